//! How text looks: whether it may be coloured, how wide a line may be, and tables in columns.

use anstyle::{AnsiColor, Style};
use bartizan_proto::text::printable;
use std::io::IsTerminal;

/// What the reader's terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours are wanted.
    pub colour: bool,
    /// Columns of the terminal; `None` where there is none, and lines are never cut.
    pub width: Option<usize>,
}

impl Look {
    /// The one for standard output: colour only on a terminal, and not where `NO_COLOR` is set (no-color.org).
    pub fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let terminal = stdout.is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let size = rustix::termios::tcgetwinsize(&stdout).ok().filter(|size| terminal && size.ws_col > 0);
        Self { colour: terminal && !refused, width: size.map(|size| usize::from(size.ws_col)) }
    }

    /// For what is right.
    pub fn good(&self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// For what is worth a look.
    pub fn doubtful(&self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// For what is wrong.
    pub fn bad(&self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    /// For headings.
    pub fn heading(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// Rows in columns, two spaces apart, the first row as the heading. The last column is cut at the terminal's width;
    /// nothing else is. Every cell is made printable here.
    pub fn table(&self, rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let mut out = String::new();
        for (index, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                line.push_str(cell);
                if column + 1 < row.len() {
                    line.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count()));
                }
            }
            let line = self.fitted(line.trim_end());
            out.push_str(&if index == 0 { self.heading(&line) } else { line });
            out.push('\n');
        }
        out
    }

    /// Lines of `name  value`, the names in one column.
    pub fn pairs(&self, pairs: &[(&str, String)]) -> String {
        let widest = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        pairs.iter().map(|(name, value)| format!("{name:widest$}  {value}\n")).collect()
    }

    fn fitted(&self, line: &str) -> String {
        match self.width {
            Some(width) if line.chars().count() > width => {
                line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
            }
            Some(_) | None => line.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { colour: false, width: None };

    fn rows(cells: &[[&str; 2]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.map(str::to_owned).to_vec()).collect()
    }

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        assert_eq!(PLAIN.table(&rows(&[["JOB", "WHAT"], ["1", "a"], ["1000", ""]])), "JOB   WHAT\n1     a\n1000\n");
    }

    #[test]
    fn a_line_wider_than_the_terminal_is_cut() {
        let narrow = Look { width: Some(8), ..PLAIN };
        assert_eq!(narrow.table(&rows(&[["A", "B"], ["1", "abcdefghi"]])), "A  B\n1  abcd…\n");
    }

    #[test]
    fn a_cell_cannot_leave_its_line_or_set_a_colour() {
        assert_eq!(PLAIN.table(&rows(&[["A", "B"], ["1", "x\n\u{1b}[31my"]])), "A  B\n1  x<U+000A><U+001B>[31my\n");
    }

    #[test]
    fn without_colour_there_is_no_escape_at_all() {
        assert_eq!(PLAIN.bad("x"), "x");
        assert!(Look { colour: true, ..PLAIN }.bad("x").starts_with('\u{1b}'));
    }
}
