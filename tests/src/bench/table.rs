//! The figures as a table, the goal beside each.

use super::numbers::ms;
use std::fmt;
use std::time::Duration;

/// Every figure, in the order in which they were measured.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<[String; 6]>,
    missed: usize,
}

const HEAD: [&str; 6] = ["figure", "Bartizan", "least bot", "ratio", "goal", ""];

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Anything: it is there to be read.
    None,
}

impl Goal {
    fn holds(self, value: f64) -> bool {
        match self {
            Goal::AtMost(limit) => value <= limit,
            Goal::AtLeast(limit) => value >= limit,
            Goal::None => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtMost(limit) => write!(f, "≤ {limit}"),
            Goal::AtLeast(limit) => write!(f, "≥ {limit}"),
            Goal::None => Ok(()),
        }
    }
}

impl Table {
    /// Two times, and a goal for their ratio.
    pub(super) fn times(&mut self, figure: &str, bartizan: Duration, least: Duration, goal: Goal) {
        self.ratio(figure, (ms(bartizan), bartizan.as_secs_f64()), (ms(least), least.as_secs_f64()), goal);
    }

    /// Two numbers as they are to be shown, and a goal for their ratio.
    pub(super) fn ratio(&mut self, figure: &str, bartizan: (String, f64), least: (String, f64), goal: Goal) {
        let ratio = bartizan.1 / least.1;
        self.row([figure.to_owned(), bartizan.0, least.0, format!("{ratio:.2} ×"), goal.to_string()], goal, ratio);
    }

    /// One number with a goal of its own, in the unit that `shown` has.
    pub(super) fn absolute(&mut self, figure: &str, shown: String, least: String, value: f64, goal: Goal, unit: &str) {
        let wanted = if goal == Goal::None { String::new() } else { format!("{goal}{unit}") };
        self.row([figure.to_owned(), shown, least, String::new(), wanted], goal, value);
    }

    fn row(&mut self, cells: [String; 5], goal: Goal, value: f64) {
        let verdict = match (goal, goal.holds(value)) {
            (Goal::None, _) => "",
            (_, true) => "ok",
            (_, false) => {
                self.missed += 1;
                "MISSED"
            }
        };
        let [figure, bartizan, least, ratio, goal] = cells;
        self.rows.push([figure, bartizan, least, ratio, goal, verdict.to_owned()]);
    }

    /// How many goals were missed.
    pub(super) fn missed(&self) -> usize {
        self.missed
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(str::to_owned);
        let all = || std::iter::once(&head).chain(&self.rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        for (number, row) in all().enumerate() {
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                match column {
                    0 | 5 => write!(f, "{cell:width$}  ")?,
                    _ => write!(f, "{cell:>width$}  ")?,
                }
            }
            writeln!(f)?;
            if number == 0 {
                writeln!(f, "{}", "─".repeat(widths.iter().sum::<usize>() + 12))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_counted_and_named() {
        let mut table = Table::default();
        let (long, short) = (Duration::from_millis(3), Duration::from_millis(2));
        table.times("kept", short, short, Goal::AtMost(1.1));
        table.times("missed", long, short, Goal::AtMost(1.1));
        table.times("only told", long, short, Goal::None);
        assert_eq!(table.missed(), 1);
        let text = table.to_string();
        assert!(text.contains("1.50 ×") && text.matches("MISSED").count() == 1, "{text}");
    }
}
