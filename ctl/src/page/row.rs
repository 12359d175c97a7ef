//! What the page shows of a command, made of the audit log's lines about it: one row for each decision, and for each run that nobody
//! asked for. Lines are data here: a field that is missing or of another kind is an empty one.

use crate::audit::Fields;
use serde_json::Value;

/// Longest text that is kept of a field, in bytes; the line itself has all of it.
const MOST_TEXT: usize = 400;

/// Most lines of the log that are kept for one row.
const MOST_LINES: usize = 64;

/// Where a line is: the number of its file, where it begins, how long it is without its line break; and which of the log's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) line: u64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A gate refused it.
    Refused,
    /// It was let through, and no run was begun (yet): a command of the bot's own, or one that waits.
    Allowed,
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended otherwise.
    Failed,
}

impl Verdict {
    pub(super) const ALL: [Self; 5] = [Self::Succeeded, Self::Failed, Self::Refused, Self::Running, Self::Allowed];

    /// As it is called on the page, in addresses and in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Allowed => "allowed",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// One command.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The number of the first line about it.
    pub(super) line: u64,
    /// When that was written, RFC 3339 in UTC.
    pub(super) at: String,
    /// Whose, by id; empty for what nobody asked for.
    pub(super) user: String,
    /// Their name then, or `schedule:NAME`; empty where the log has only the id.
    pub(super) person: String,
    pub(super) channel: String,
    pub(super) post: String,
    /// The script, or the word that stood in its place.
    pub(super) script: String,
    /// As it was typed, or the script with its arguments.
    pub(super) command: String,
    pub(super) job: Option<u64>,
    pub(super) verdict: Verdict,
    /// How it ended, in words.
    pub(super) ending: String,
    pub(super) duration_ms: Option<u64>,
    /// The cause of a refusal or a failure.
    pub(super) why: String,
    pub(super) ended: String,
    pub(super) lines: Vec<Spot>,
}

impl Row {
    /// The row that a line begins: a decision, or a run without one.
    pub(super) fn begun(fields: &Fields, line: u64, at: &str) -> Option<Self> {
        let event = text(fields, "event");
        if event != "decision" && event != "job-start" {
            return None;
        }
        let command = text(fields, "command");
        let mut row = Self {
            line,
            at: at.to_owned(),
            user: text(fields, "userId"),
            person: String::new(),
            channel: text(fields, "channelId"),
            post: text(fields, "postId"),
            script: script_of(&command),
            command,
            job: None,
            verdict: Verdict::Allowed,
            ending: String::new(),
            duration_ms: None,
            why: String::new(),
            ended: String::new(),
            lines: Vec::new(),
        };
        row.take(fields, at);
        Some(row)
    }

    /// One more line about it.
    pub(super) fn take(&mut self, fields: &Fields, at: &str) {
        for name in ["userName", "actor"] {
            let name = text(fields, name);
            if self.person.is_empty() && !name.is_empty() {
                self.person = name;
            }
        }
        match text(fields, "event").as_str() {
            "decision" if fields.get("success") == Some(&Value::Bool(false)) => {
                self.verdict = Verdict::Refused;
                self.why = text(fields, "error");
            }
            "job-start" => {
                self.job = fields.get("executionId").and_then(Value::as_u64);
                self.verdict = Verdict::Running;
                self.script = text(fields, "scriptName");
                if self.command.is_empty() {
                    self.command = with_arguments(&self.script, fields);
                }
            }
            "job-end" => {
                let good = fields.get("success") == Some(&Value::Bool(true));
                self.verdict = if good { Verdict::Succeeded } else { Verdict::Failed };
                self.ending = text(fields, "ending");
                if let Some(code) = fields.get("exitCode").and_then(Value::as_i64) {
                    self.ending = format!("exit {code}");
                }
                self.duration_ms = fields.get("durationMs").and_then(Value::as_u64);
                self.why = text(fields, "error");
                at.clone_into(&mut self.ended);
            }
            _ => {}
        }
    }

    /// Keeps where a line about it is.
    pub(super) fn keep(&mut self, spot: Spot) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(spot);
        }
    }

    /// Whether it has come to its end.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.verdict, Verdict::Refused | Verdict::Succeeded | Verdict::Failed)
    }
}

/// A field that is a text, short.
pub(super) fn text(fields: &Fields, name: &str) -> String {
    let text = fields.get(name).and_then(Value::as_str).unwrap_or_default();
    match text.char_indices().find(|(at, _)| *at >= MOST_TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The word of a command that names what is to run, without the prefix.
fn script_of(command: &str) -> String {
    let mut words = command.split_whitespace().map(|word| word.trim_start_matches(|c: char| c.is_ascii_punctuation()));
    match words.next() {
        Some("run") => words.next().unwrap_or("run").to_owned(),
        word => word.unwrap_or_default().to_owned(),
    }
}

fn with_arguments(script: &str, fields: &Fields) -> String {
    let mut command = script.to_owned();
    for value in fields.get("arguments").and_then(Value::as_object).into_iter().flat_map(|values| values.values()) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if command.len() + value.len() > MOST_TEXT {
            command.push('…');
            break;
        }
        command.push(' ');
        command.push_str(&value);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        serde_json::from_str(text).expect("json")
    }

    #[test]
    fn a_row_follows_its_command_from_the_decision_to_the_end() {
        let decision = fields(
            r#"{"event":"decision","postId":"p","userId":"u","channelId":"c","command":"!run deploy x","success":true}"#,
        );
        let mut row = Row::begun(&decision, 3, "t3").expect("begun");
        assert_eq!((row.verdict, row.script.as_str(), row.person.as_str()), (Verdict::Allowed, "deploy", ""));
        row.take(&fields(r#"{"event":"job-start","executionId":7,"scriptName":"deploy","userName":"bob"}"#), "t4");
        assert_eq!((row.verdict, row.job, row.person.as_str()), (Verdict::Running, Some(7), "bob"));
        row.take(&fields(r#"{"event":"job-end","success":false,"exitCode":3,"durationMs":12,"error":null}"#), "t5");
        assert_eq!((row.verdict, row.ending.as_str(), row.duration_ms), (Verdict::Failed, "exit 3", Some(12)));
        assert!(row.is_over() && row.ended == "t5");
    }

    #[test]
    fn a_refusal_has_its_cause_and_a_run_that_nobody_asked_for_its_actor() {
        let refused = fields(r#"{"event":"decision","command":"!x","success":false,"error":"no such script"}"#);
        let row = Row::begun(&refused, 1, "t").expect("begun");
        assert_eq!((row.verdict, row.why.as_str()), (Verdict::Refused, "no such script"));
        let run = fields(
            r#"{"event":"job-start","executionId":1,"scriptName":"s","userName":null,"actor":"schedule:s","arguments":{"a":"b"}}"#,
        );
        let row = Row::begun(&run, 1, "t").expect("begun");
        assert_eq!((row.person.as_str(), row.command.as_str()), ("schedule:s", "s b"));
        assert!(Row::begun(&fields(r#"{"event":"job-end"}"#), 1, "t").is_none());
    }

    #[test]
    fn a_field_of_another_kind_is_an_empty_one_and_a_long_one_is_cut_between_characters() {
        assert_eq!(text(&fields(r#"{"a":7}"#), "a"), "");
        let long = format!(r#"{{"a":"{}"}}"#, "é".repeat(1000));
        assert_eq!(text(&fields(&long), "a").chars().count(), MOST_TEXT / 2 + 1);
    }
}
