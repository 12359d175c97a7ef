//! How a failure is shown: where, what, and what was expected against what came.

use super::pattern::{Captures, Pattern, lines_of};
use super::play::Stop;
use similar::{ChangeTag, TextDiff};

/// Most lines in a row that are shown of what came.
const MOST_LINES: usize = 24;

/// Something that was not as a transcript says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    line: usize,
    what: String,
    /// Marked ` ` for what is right, `-` for what is missing, `+` for what came.
    rows: Vec<(char, String)>,
    notes: Vec<String>,
}

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// On a terminal.
    Colours,
    /// Everywhere else.
    Plain,
}

impl Paint {
    /// Text in an ANSI colour.
    pub fn text(self, colour: &str, text: &str) -> String {
        match self {
            Paint::Colours => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            Paint::Plain => text.to_owned(),
        }
    }
}

impl Failure {
    /// At a line of the transcript.
    pub fn new(line: usize, what: String) -> Self {
        Self { line, what, rows: Vec::new(), notes: Vec::new() }
    }

    /// With what should have been there.
    pub fn expected(mut self, lines: &[String]) -> Self {
        let rows = lines.iter().map(|line| ('-', line.clone()));
        // What was expected stands above what came.
        self.rows = rows.chain(self.rows).collect();
        self
    }

    /// With what came.
    pub fn got(mut self, text: &str) -> Self {
        self.rows.extend(lines_of(text).into_iter().map(|line| ('+', line.to_owned())));
        self
    }

    /// With both, line by line.
    pub fn differs(mut self, pattern: &Pattern, text: &str, known: &Captures) -> Self {
        self.rows.extend(diff(pattern, text, known));
        self
    }

    /// With something more to know.
    pub fn note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// With what the service complained about.
    pub fn log(mut self, complaints: &str) -> Self {
        if !complaints.is_empty() {
            self.notes.push("Bartizan's log says:".to_owned());
            self.notes.extend(complaints.lines().map(|line| format!("  {line}")));
        }
        self
    }

    /// As the end of a transcript.
    pub fn stop(self) -> Stop {
        Stop::Failed(Box::new(self))
    }

    /// For people: `path:line: what`, the transcript's line, the difference, the notes.
    pub fn shown(&self, path: &str, transcript: &str, paint: Paint) -> String {
        let mut out = format!("  {path}:{}: {}\n", self.line, self.what);
        if let Some(line) = transcript.lines().nth(self.line.saturating_sub(1)) {
            out.push_str(&format!("      {}\n", visible(line.trim_end())));
        }
        for (mark, text) in shortened(&self.rows) {
            let row = format!("    {mark} {}", visible(&text));
            let row = match mark {
                '-' => paint.text("31", &row),
                '+' => paint.text("32", &row),
                _ => row,
            };
            out.push_str(row.trim_end());
            out.push('\n');
        }
        for note in &self.notes {
            out.push_str(&format!("    {}\n", visible(note)));
        }
        out
    }
}

/// Long runs of lines that came are cut in their middle: 500 lines of output are no difference that anybody reads.
fn shortened(rows: &[(char, String)]) -> Vec<(char, String)> {
    let mut out = Vec::new();
    for run in rows.chunk_by(|one, next| one.0 == next.0) {
        if run[0].0 != '+' || run.len() <= MOST_LINES {
            out.extend_from_slice(run);
            continue;
        }
        let half = MOST_LINES / 2;
        out.extend_from_slice(&run[..half]);
        out.push(('+', format!("… {} more lines …", run.len() - 2 * half)));
        out.extend_from_slice(&run[run.len() - half..]);
    }
    out
}

/// What a bot prints must not move the cursor of who reads the report.
pub(crate) fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\t' { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// A line that its pattern matches counts as the same line.
fn diff(pattern: &Pattern, text: &str, known: &Captures) -> Vec<(char, String)> {
    let came = lines_of(text);
    let mut next = 0;
    let as_written: Vec<String> = came
        .iter()
        .map(|line| match pattern.line_like(line, next, known) {
            Some(at) => {
                next = at + 1;
                pattern.written()[at].clone()
            }
            None => (*line).to_owned(),
        })
        .collect();
    let wanted: Vec<&str> = pattern.written().iter().map(String::as_str).collect();
    let got: Vec<&str> = as_written.iter().map(String::as_str).collect();
    let changes = TextDiff::from_slices(&wanted, &got);
    changes
        .iter_all_changes()
        .map(|change| match (change.tag(), change.new_index()) {
            (ChangeTag::Equal, Some(at)) => (' ', came[at].to_owned()),
            (ChangeTag::Insert, Some(at)) => ('+', came[at].to_owned()),
            (ChangeTag::Delete, _) | (_, None) => ('-', change.value().to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_shows_what_is_missing_and_what_came() {
        let pattern = Pattern::parse(&["exit [..]", "Hello, bob", "end"]).expect("good");
        let rows = diff(&pattern, "exit 0\nHello, alice\nend", &Captures::new());
        let rows: Vec<(char, &str)> = rows.iter().map(|(mark, text)| (*mark, text.as_str())).collect();
        assert_eq!(rows, [(' ', "exit 0"), ('-', "Hello, bob"), ('+', "Hello, alice"), (' ', "end")]);
    }

    #[test]
    fn hundreds_of_lines_are_cut_in_their_middle() {
        let text: Vec<String> = (1..=500).map(|number| format!("line {number}")).collect();
        let shown = Failure::new(1, "x".to_owned()).got(&text.join("\n")).shown("x.txt", "", Paint::Plain);
        assert!(shown.contains("line 1\n") && shown.contains("line 500\n") && shown.contains("… 476 more lines …"));
        assert!(!shown.contains("line 100\n"));
    }

    #[test]
    fn a_failure_names_file_and_line_and_shows_no_control_characters() {
        let failure = Failure::new(2, "the bot posted something else".to_owned()).got("a\u{1b}[2Jb");
        let shown = failure.shown("x.txt", "alice #ops> !ping\n  bartizan> Pong!\n", Paint::Plain);
        assert_eq!(shown, "  x.txt:2: the bot posted something else\n        bartizan> Pong!\n    + a\\u{1b}[2Jb\n");
    }
}
