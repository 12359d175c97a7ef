//! `bartizan people`, `bans` and `explain`, for people.

use super::Look;
use bartizan_proto::people::{BanRow, Enrolment, Explained, FactorRow, GateVerdict, KeyRow, PersonRow};
use bartizan_proto::text::printable;

/// Everybody who is listed.
pub fn people(rows: &[PersonRow], look: &Look) -> String {
    if rows.is_empty() {
        return "Nobody is listed: everybody counts as user. `bartizan admin bootstrap USER` makes the first admin.\n"
            .to_owned();
    }
    let mut table = vec![["NAME", "LEVEL", "FLAGS", "SOURCE", "BY", "ID"].map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        vec![
            row.name.to_string(),
            row.level.to_string(),
            flags(row),
            row.source.to_string(),
            row.by.to_string(),
            row.user.to_string(),
        ]
    }));
    look.table(&table)
}

/// One person.
pub fn person(row: &PersonRow, look: &Look) -> String {
    let listed = if row.source.is_empty() {
        "not listed, counts as user".to_owned()
    } else {
        let since = if row.since_ms == 0 { String::new() } else { format!(", {}", time(row.since_ms)) };
        format!("{}, by {}{since}", row.source.as_str(), row.by.as_str())
    };
    let ban = row.ban.as_ref().map_or("no".to_owned(), |ban| {
        format!("{}, by {}: {}", until(ban.until_ms), ban.by.as_str(), ban.reason.as_str())
    });
    let mut out = String::new();
    for (name, value) in [
        ("Name", row.name.to_string()),
        ("Id", row.user.to_string()),
        ("Level", row.level.to_string()),
        ("Flags", flags(row)),
        ("Listed", listed),
        ("Banned", ban),
    ] {
        out.push_str(&format!("{}  {}\n", look.heading(&format!("{name:6}")), printable(&value)));
    }
    out
}

/// The keys that approvals are signed with.
pub fn keys(rows: &[KeyRow], look: &Look) -> String {
    if rows.is_empty() {
        return "No key is registered.\n".to_owned();
    }
    let mut table = vec![["NAME", "FINGERPRINT", "SINCE", "ID"].map(str::to_owned).to_vec()];
    table.extend(
        rows.iter().map(|row| {
            vec![row.name.to_string(), row.fingerprint.to_string(), time(row.added_ms), row.user.to_string()]
        }),
    );
    look.table(&table)
}

/// The bans in force.
pub fn bans(rows: &[BanRow], look: &Look) -> String {
    if rows.is_empty() {
        return "Nobody is banned.\n".to_owned();
    }
    let mut table = vec![["NAME", "UNTIL", "BY", "ID", "REASON"].map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        vec![
            row.name.to_string(),
            until(row.until_ms),
            row.by.to_string(),
            row.user.to_string(),
            row.reason.to_string(),
        ]
    }));
    look.table(&table)
}

/// Each gate's verdict.
pub fn explained(explained: &Explained, look: &Look) -> String {
    let place = match explained.channel.as_str() {
        "" => "in a direct message".to_owned(),
        channel => format!("in #{channel}"),
    };
    let mut out = printable(&format!("As {} ({}), {place}:", explained.name.as_str(), explained.user)) + "\n";
    for row in &explained.gates {
        let verdict = match row.verdict {
            GateVerdict::Pass => look.good("pass   "),
            GateVerdict::Refuse => look.bad("refuse "),
            GateVerdict::Unknown => look.doubtful("unknown"),
        };
        let line = format!("  {verdict}  {:11}{}", printable(&row.gate), printable(&row.cause));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if explained.allowed {
        out.push_str("It would be let through. Nothing was run.\n");
        if !explained.words.is_empty() {
            out.push_str(&format!("{}\n", printable(&explained.words)));
        }
    } else if explained.words.is_empty() {
        out.push_str("It would be refused, in silence.\n");
    } else {
        out.push_str(&format!("It would be refused: {}\n", printable(&explained.words)));
    }
    out
}

/// A new second factor.
pub fn enrolment(enrolment: &Enrolment) -> String {
    let text = |secret: &[u8]| String::from_utf8_lossy(secret).into_owned();
    format!(
        "{}{}\nFor the authenticator of {name}. It counts when {name} has sent the bot its first code: !elevate 123456\nClear this screen.\n",
        text(&enrolment.picture),
        text(&enrolment.uri),
        name = printable(&enrolment.name),
    )
}

/// How a second factor stands.
pub fn factor(row: &FactorRow, look: &Look) -> String {
    let open = if row.open_s > 0 { format!(", for {} s", row.open_s) } else { String::new() };
    let locked =
        if row.locked_until_ms > 0 { format!(", locked until {}", time(row.locked_until_ms)) } else { String::new() };
    let mut out = String::new();
    for (name, value) in [
        ("Name", row.name.to_string()),
        ("Factor", format!("{}{open}", row.standing.as_str())),
        ("Wrong", format!("{} in a row{locked}", row.failures)),
        ("Codes", format!("{} recovery codes left", row.recovery_codes)),
    ] {
        out.push_str(&format!("{}  {}\n", look.heading(&format!("{name:6}")), printable(&value)));
    }
    out
}

fn flags(row: &PersonRow) -> String {
    let flags: Vec<&str> = row.flags.iter().map(bartizan_proto::ids::FlagName::as_str).collect();
    if flags.is_empty() { "-".to_owned() } else { flags.join(" ") }
}

fn until(until_ms: Option<u64>) -> String {
    until_ms.map_or("permanent".to_owned(), time)
}

pub(super) fn time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or("ever".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::people::GateRow;
    use bartizan_proto::{List, Text};

    #[test]
    fn an_explanation_names_each_gate_and_what_chat_would_be_told() {
        let gate =
            |name: &str, verdict, cause: &str| GateRow { gate: Text::cut(name), verdict, cause: Text::cut(cause) };
        let explained = Explained {
            user: "u".repeat(26).parse().expect("id"),
            name: Text::cut("carol"),
            channel: Text::cut("ops"),
            allowed: false,
            gates: List::cut([
                gate("ban", GateVerdict::Pass, ""),
                gate("permission", GateVerdict::Refuse, "level\u{1b}[2J"),
            ]),
            words: Text::cut("I know no command."),
        };
        let text = super::explained(&explained, &Look { colour: false, width: None });
        assert!(text.contains("As carol") && text.contains("in #ops") && text.contains("  pass     ban\n"), "{text}");
        assert!(text.contains("permission level<U+001B>[2J") && text.contains("refused: I know"), "{text}");
    }
}
