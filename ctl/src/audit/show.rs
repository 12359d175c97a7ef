//! `bartizan audit show`, and what a line looks like to people.

use super::arguments::Filter;
use super::entries::{Fields, Wanted, each};
use super::place::Place;
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::show::Look;
use bartizan_proto::text::printable;
use serde_json::Value;
use std::collections::VecDeque;

/// What seals a line, and what stands before the rest.
const NOT_REPEATED: [&str; 6] = ["sequence", "timestamp", "event", "previousHash", "publicKey", "signature"];

pub(super) fn run(place: &Place, last: usize, filter: &Filter, out: &Out) -> Result<Exit, CtlError> {
    let lines = newest(place, last, filter)?;
    out.give(&lines, |look| match lines.len() {
        0 => "No line.\n".to_owned(),
        _ => lines.iter().map(|fields| line(fields, look)).collect(),
    })
}

/// The last lines that are wanted.
pub(super) fn newest(place: &Place, last: usize, filter: &Filter) -> Result<VecDeque<Fields>, CtlError> {
    let wanted = Wanted::from(filter);
    let mut kept = VecDeque::new();
    each(place, |line| {
        if let Some(fields) = wanted.fields(line) {
            kept.push_back(fields);
            if kept.len() > last {
                kept.pop_front();
            }
        }
        Ok(())
    })?;
    Ok(kept)
}

/// One line for a terminal.
pub(super) fn line(fields: &Fields, look: &Look) -> String {
    let word = |name: &str| fields.get(name).map_or_else(String::new, plain);
    let mut out = format!(
        "{}  {:>6}  {:<12}",
        printable(&word("timestamp")),
        printable(&word("sequence")),
        printable(&word("event"))
    );
    for (name, value) in
        fields.iter().filter(|(name, value)| !NOT_REPEATED.contains(&name.as_str()) && !value.is_null())
    {
        out.push_str(&printable(&format!("  {name}={}", plain(value))));
    }
    let out = out.trim_end();
    let bad = word("event") == "alert" || fields.get("success") == Some(&Value::Bool(false));
    format!("{}\n", if bad { look.bad(out) } else { out.to_owned() })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_happened_and_cannot_act_on_the_terminal() {
        let text = r#"{"sequence":3,"timestamp":"2026-01-01T00:00:00.000Z","event":"decision","command":"x\u001b[2J\n\u009b","error":null,"signature":"s"}"#;
        let fields: Fields = serde_json::from_str(text).expect("json");
        let shown = line(&fields, &Look { colour: false, width: None });
        assert_eq!(shown, "2026-01-01T00:00:00.000Z       3  decision      command=x<U+001B>[2J<U+000A><U+009B>\n");
    }
}
