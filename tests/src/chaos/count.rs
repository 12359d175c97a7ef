//! What came of the runs.

use std::fmt;

/// The result. Everything but `runs` is to be 0.
#[derive(Debug, Default)]
pub struct Count {
    /// Commands.
    pub runs: usize,
    /// Commands that were interrupted, and told so.
    pub interrupted: usize,
    /// Commands without an answer.
    pub lost: usize,
    /// Commands with two answers, or whose script started twice.
    pub doubled: usize,
    /// Processes of jobs that outlived them.
    pub orphans: usize,
    /// Answers that nothing explains, and logs that do not verify.
    pub unexplained: usize,
    /// What each of those was.
    pub details: Vec<String>,
}

impl Count {
    /// One command: what the bot said to it, how often its script started, what a whole result has in it, and what was done.
    /// Whether all is well with it.
    pub fn add(&mut self, said: &[String], starts: usize, result: &str, what: &str) -> bool {
        self.runs += 1;
        let wrong_before = self.details.len();
        let mut wrong = |number: &mut usize, how: &str| {
            *number += 1;
            self.details.push(format!("{how} ({what}): started {starts} times, answered {said:?}"));
        };
        match said {
            [] => wrong(&mut self.lost, "lost"),
            [_, _, ..] => wrong(&mut self.doubled, "answered twice"),
            [_] if starts > 1 => wrong(&mut self.doubled, "started twice"),
            [one] if one.contains("exit 0") && one.contains(result) && starts == 1 => {}
            [one] if one.contains("was interrupted") => self.interrupted += 1,
            // The server could not be asked, and that was told.
            [one] if one.contains("could not check this command") && starts == 0 => {}
            [_] => wrong(&mut self.unexplained, "unexplained"),
        }
        self.details.len() == wrong_before
    }

    /// Processes that are left.
    pub fn orphans(&mut self, left: usize) {
        self.orphans += left;
    }

    /// Whether the audit log is whole.
    pub fn log(&mut self, verified: &Result<(), String>) {
        if let Err(why) = verified {
            self.unexplained += 1;
            self.details.push(why.clone());
        }
    }

    /// With another house's.
    pub fn with(mut self, other: Count) -> Count {
        self.runs += other.runs;
        self.interrupted += other.interrupted;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.orphans += other.orphans;
        self.unexplained += other.unexplained;
        self.details.extend(other.details);
        self
    }

    /// Whether all is well.
    pub fn is_clean(&self) -> bool {
        (self.lost, self.doubled, self.orphans, self.unexplained) == (0, 0, 0, 0)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for detail in &self.details {
            writeln!(f, "{detail}")?;
        }
        writeln!(f, "{} runs, {} of them interrupted and told so", self.runs, self.interrupted)?;
        let Count { lost, doubled, orphans, unexplained, .. } = self;
        write!(f, "lost {lost}, doubled {doubled}, orphans {orphans}, unexplained {unexplained}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_counted() {
        let mut count = Count::default();
        let said = |text: &str| text.to_owned();
        count.add(&[said("**mark**: exit 0 in 1 ms\nDone 1!")], 1, "Done 1!", "");
        count.add(&[said("**mark** was interrupted: …")], 1, "Done 2!", "");
        assert!(count.is_clean() && count.interrupted == 1);
        count.add(&[], 1, "Done 3!", "");
        count.add(&[said("a"), said("a")], 1, "Done 4!", "");
        count.add(&[said("**mark** was interrupted: …")], 2, "Done 5!", "");
        count.add(&[said("Too many")], 0, "Done 6!", "");
        count.add(&[said("**mark**: exit 0 in 1 ms\nDone 7!")], 0, "Done 7!", "");
        count.orphans(1);
        assert!(count.to_string().ends_with("lost 1, doubled 2, orphans 1, unexplained 2"), "{count}");
    }
}
