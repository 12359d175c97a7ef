//! `bartizan audit export`: for other programs, and so that nothing in a cell is a formula or another row to them.

use super::arguments::{Filter, Format};
use super::entries::{Fields, Wanted, each};
use super::place::Place;
use crate::exit::{CtlError, Exit};
use crate::show::inert;
use bartizan_proto::text::printable;
use serde_json::Value;
use std::io::{self, BufWriter, Write};

/// Columns of their own; what a line has beyond them stands in `details`.
const COLUMNS: [&str; 15] = [
    "sequence",
    "timestamp",
    "event",
    "executionId",
    "scriptName",
    "arguments",
    "userId",
    "userName",
    "channelId",
    "postId",
    "command",
    "success",
    "exitCode",
    "durationMs",
    "error",
];
const SEAL: [&str; 3] = ["previousHash", "publicKey", "signature"];

pub(super) fn run(place: &Place, format: Format, filter: &Filter) -> Result<Exit, CtlError> {
    let wanted = Wanted::from(filter);
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match format {
        Format::Json => json(place, &wanted, &mut out),
        Format::Csv => csv(place, &wanted, &mut out),
    };
    match written.and_then(|()| Ok(out.flush()?)) {
        // `… | head` has seen enough.
        Err(CtlError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => Err(error),
        Ok(()) => Ok(Exit::Ok),
    }
}

fn json(place: &Place, wanted: &Wanted, out: &mut impl Write) -> Result<(), CtlError> {
    let mut between = "[\n";
    each(place, |line| {
        if wanted.fields(line).is_some() {
            write!(out, "{between}{}", inert(line))?;
            between = ",\n";
        }
        Ok(())
    })?;
    Ok(out.write_all(if between == "[\n" { b"[]\n" } else { b"\n]\n" })?)
}

fn csv(place: &Place, wanted: &Wanted, out: &mut impl Write) -> Result<(), CtlError> {
    let head: Vec<&str> = COLUMNS.into_iter().chain(["details"]).chain(SEAL).collect();
    write!(out, "{}\r\n", head.join(","))?;
    each(place, |line| {
        if let Some(fields) = wanted.fields(line) {
            write!(out, "{}\r\n", row(&fields))?;
        }
        Ok(())
    })
}

fn row(fields: &Fields) -> String {
    let value = |name: &&str| fields.get(*name).map_or_else(String::new, plain);
    let own = |name: &String| COLUMNS.contains(&name.as_str()) || SEAL.contains(&name.as_str());
    let details: Fields =
        fields.iter().filter(|(name, _)| !own(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    let details = if details.is_empty() { String::new() } else { Value::Object(details).to_string() };
    let cells: Vec<String> = COLUMNS.iter().map(value).chain([details]).chain(SEAL.iter().map(value)).collect();
    cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One cell (RFC 4180): quoted always, without anything that acts or ends a row. A spreadsheet takes text for a formula by
/// its first character, also after spaces; an apostrophe before it makes it text (OWASP, "CSV injection").
fn cell(text: &str) -> String {
    let text = printable(text).replace('"', "\"\"");
    let acts = text.trim_start().starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠']);
    if acts { format!("\"'{text}\"") } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_ends_its_row() {
        assert_eq!(cell("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        for formula in ["+1", "-1", "@SUM(1)", " =1", "\u{ff1d}1", "|x", "%x"] {
            assert!(cell(formula).starts_with("\"'"), "{formula}");
        }
        assert_eq!(cell("a\"b\r\n=1\tc"), "\"a\"\"b<U+000D><U+000A>=1<U+0009>c\"");
        assert_eq!(cell("\t=1"), "\"<U+0009>=1\"");
        assert_eq!(cell("deploy"), "\"deploy\"");
    }

    #[test]
    fn a_row_has_every_column_and_nothing_is_lost() {
        let fields: Fields = serde_json::from_str(
            r#"{"sequence":1,"event":"change","change":"ban","subject":"u","error":null,"signature":"s"}"#,
        )
        .expect("json");
        let row = row(&fields);
        assert!(row.starts_with("\"1\",\"\",\"change\",\"\","), "{row}");
        assert!(row.contains(r#""{""change"":""ban"",""subject"":""u""}""#), "{row}");
        assert!(row.ends_with("\"s\""), "{row}");
    }
}
