//! What the log's file has against what the database remembers, at start. Pure: decides, reads and writes nothing.
//!
//! The database has each line first and keeps the last one that is known to be on the disk in the file, and everything
//! after it. So a file that ends earlier misses only what a crash kept from it, and gets it back; a file that ends even
//! before what the database keeps, or in another line, was changed by somebody.

/// Where the chain goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After the file's last line.
    File,
    /// After the last line that is remembered.
    Remembered,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'r> {
    /// What the file misses, in order.
    pub(super) missing: &'r [(u64, String)],
    /// Where the chain goes on once it has that.
    pub(super) goes_on_after: End,
    /// What a person must know: the file is not what was written.
    pub(super) alarm: Option<String>,
}

/// Compares the file's last line with the remembered ones.
pub(super) fn compare<'r>(last: Option<(u64, &str)>, remembered: &'r [(u64, String)]) -> Found<'r> {
    let all = Found { missing: remembered, goes_on_after: End::Remembered, alarm: None };
    let (Some((first, _)), Some((newest, _))) = (remembered.first(), remembered.last()) else {
        return Found { missing: &[], goes_on_after: End::File, alarm: None };
    };
    let lost = |what: String| Found { alarm: Some(what), ..all };
    match last {
        // The first line of all may have been kept from the file like any other.
        None if *first == 1 => all,
        None => {
            lost(format!("the audit log's file is empty or new, and line {newest} had been written: lines are missing"))
        }
        // The machine stopped, and the file had more on the disk than the database: those turns did not happen, but they
        // were decided.
        Some((end, _)) if end > *newest => Found { missing: &[], goes_on_after: End::File, alarm: None },
        Some((end, line)) => match remembered.iter().position(|(sequence, _)| *sequence == end) {
            Some(at) if remembered[at].1 == line => Found { missing: &remembered[at + 1..], ..all },
            Some(_) => lost(format!("line {end} at the end of the audit log's file is not the one that was written")),
            None if end + 1 == *first && *first == 1 => all,
            None => lost(format!(
                "the audit log's file ends at line {end}, and line {newest} had been written: lines are missing"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: std::ops::RangeInclusive<u64>) -> Vec<(u64, String)> {
        numbers.map(|number| (number, format!("line {number}"))).collect()
    }

    #[test]
    fn what_a_crash_kept_from_the_file_is_put_back() {
        let remembered = lines(3..=5);
        let found = compare(Some((3, "line 3")), &remembered);
        assert_eq!((found.missing, found.goes_on_after, found.alarm), (&remembered[1..], End::Remembered, None));
        let found = compare(Some((5, "line 5")), &remembered);
        assert_eq!((found.missing, found.alarm), (&remembered[3..], None));
    }

    #[test]
    fn a_file_that_the_machine_kept_more_of_is_gone_on_with() {
        let remembered = lines(3..=5);
        let found = compare(Some((9, "line 9")), &remembered);
        assert_eq!((found.missing.len(), found.goes_on_after, found.alarm), (0, End::File, None));
    }

    #[test]
    fn a_cut_file_and_another_last_line_are_told_about() {
        for last in [None, Some((1, "line 1")), Some((2, "line 2")), Some((3, "edited")), Some((5, "edited"))] {
            let remembered = lines(3..=5);
            let found = compare(last, &remembered);
            assert!(found.alarm.is_some(), "{last:?}");
            assert_eq!(found.goes_on_after, End::Remembered);
        }
    }

    #[test]
    fn a_log_of_a_version_that_remembered_nothing_is_gone_on_with() {
        assert_eq!(compare(Some((7, "line 7")), &[]).goes_on_after, End::File);
        assert_eq!(compare(None, &[]).missing.len(), 0);
    }
}
