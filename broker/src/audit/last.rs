//! What the log said last of the brain: the newest signed line with the brain's epoch, looked for from the end, also in
//! the closed files.
//!
//! Every start writes one, as every checkpoint does, so that no more than one run of the service has to be read. A signed
//! checkpoint that knows of no brain ends the search as well: the service puts into each the last state that it or the log
//! knew. Of a log without checkpoints, which is not ours, no more is read either: the start does not grow with it.

use super::{Audit, AuditError, CHECKPOINT_EVERY, search};
use crate::brain::Checkpoint;
use bartizan_audit::{CHECKPOINT, Entry, segments};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;

/// The event of a line that tells of a change of the brain, and of nothing else.
pub(super) const BRAIN: &str = "brain-checkpoint";

/// So many lines are looked at: those since the last checkpoint, also where a run ended before its first and where one turn
/// wrote many, and to spare.
const LINES: u64 = 4 * CHECKPOINT_EVERY;

/// And so many bytes: far more than so many lines of ours ever have.
const BYTES: u64 = 256 * 1024 * 1024;

impl Audit {
    /// The newest state of the brain in a line that is signed by this log's key.
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn last_brain(&self) -> Result<Option<Checkpoint>, AuditError> {
        self.look_for_brain().map_err(|source| self.failed(source))
    }

    fn look_for_brain(&self) -> io::Result<Option<Checkpoint>> {
        let mut found = None;
        let (mut left, mut lines) = (BYTES, LINES);
        for segment in segments(self.path())?.into_iter().rev() {
            let file = match File::open(&segment.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let end = search::backward(&file, &mut left, |line| {
                lines -= 1;
                let said = self.brain_in(line);
                let enough = said.is_some() || lines == 0;
                found = said.flatten();
                if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if end.is_break() || left == 0 {
                break;
            }
        }
        Ok(found)
    }

    /// What a line says of the brain: `Some(None)` that there was none.
    fn brain_in(&self, line: &str) -> Option<Option<Checkpoint>> {
        // Most lines say nothing of it: they are not taken apart.
        if !line.contains("\"brainRoot\"") {
            return None;
        }
        let entry = Entry::read(line.as_bytes()).ok()?;
        if !matches!(&*entry.event, BRAIN | CHECKPOINT) || !entry.is_signed_by(self.public_key()) {
            return None;
        }
        let fields = entry.fields().ok()?;
        if entry.event == CHECKPOINT && fields.get("brainRoot")?.is_null() {
            return Some(None);
        }
        let root = fields.get("brainRoot")?.as_str().filter(|root| root.len() == 64 && root.is_ascii())?;
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&root[at..at + 2], 16).ok()?;
        }
        Some(Some(Checkpoint { epoch: fields.get("brainEpoch")?.as_u64()?, root: bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_newest_signed_checkpoint_is_found_behind_anything_that_follows_it() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        assert_eq!(audit.last_brain().expect("read"), None);
        for epoch in [3, 4] {
            audit.append(&Record::BrainCheckpoint(Checkpoint { epoch, root: [7; 32] }));
            for i in 0..3000 {
                audit.append(&Record::Alert { what: format!("{i} brain-checkpoint {}", "x".repeat(i % 300)) });
            }
        }
        audit.write().expect("write");
        assert_eq!(audit.last_brain().expect("read"), Some(Checkpoint { epoch: 4, root: [7; 32] }));
    }

    #[test]
    fn it_is_found_in_a_closed_file_and_in_a_checkpoint_of_the_log_by_the_newest_key() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        audit.append(&Record::BrainCheckpoint(Checkpoint { epoch: 4, root: [7; 32] }));
        audit.write().expect("write");
        audit.rotate(1);
        audit.write().expect("write");
        audit.append(&Record::Alert { what: "later".to_owned() });
        audit.write().expect("write");
        assert_eq!(audit.last_brain().expect("read").map(|checkpoint| checkpoint.epoch), Some(4));
        audit.rotate_key("uid 0").expect("another key");
        audit.checkpoint(Some(Checkpoint { epoch: 5, root: [8; 32] }));
        audit.write().expect("write");
        assert_eq!(audit.last_brain().expect("read"), Some(Checkpoint { epoch: 5, root: [8; 32] }));
    }

    /// A service without a brain read its whole log at each start.
    #[test]
    fn a_signed_checkpoint_without_a_brain_ends_the_search_and_an_unsigned_one_does_not() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        audit.append(&Record::BrainCheckpoint(Checkpoint { epoch: 4, root: [7; 32] }));
        audit.write().expect("write");
        let path = folder.path().join("audit.jsonl");
        let before = std::fs::read(&path).expect("read");
        audit.checkpoint(None);
        audit.write().expect("write");
        assert_eq!(audit.last_brain().expect("read"), None, "the line before it was not read");
        // The same line, with one figure changed.
        let text = std::fs::read_to_string(&path).expect("read");
        let forged = text.split_at(before.len()).1.replace("\"count\":1", "\"count\":9");
        assert!(forged.contains("\"count\":9"), "{forged}");
        std::fs::write(&path, [&before[..], forged.as_bytes()].concat()).expect("write");
        assert_eq!(audit.last_brain().expect("read"), Some(Checkpoint { epoch: 4, root: [7; 32] }));
    }

    /// Such a log was read whole at each start.
    #[test]
    fn of_a_log_without_checkpoints_no_more_is_read_than_there_are_lines_between_two() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        let fill = |audit: &mut Audit, lines: u64| {
            for _ in 0..lines {
                audit.append(&Record::Alert { what: "later".to_owned() });
            }
            audit.write().expect("write");
        };
        audit.append(&Record::BrainCheckpoint(Checkpoint { epoch: 4, root: [7; 32] }));
        fill(&mut audit, LINES - 1);
        assert_eq!(audit.last_brain().expect("read").map(|checkpoint| checkpoint.epoch), Some(4));
        fill(&mut audit, 1);
        assert_eq!(audit.last_brain().expect("read"), None);
    }

    #[test]
    fn a_checkpoint_that_somebody_else_wrote_is_not_believed() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        audit.append(&Record::BrainCheckpoint(Checkpoint { epoch: 4, root: [7; 32] }));
        audit.write().expect("write");
        let path = folder.path().join("audit.jsonl");
        let text = std::fs::read_to_string(&path).expect("read");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(text.replace("\"brainEpoch\":4", "\"brainEpoch\":9").as_bytes()).expect("write");
        assert_eq!(audit.last_brain().expect("read").map(|checkpoint| checkpoint.epoch), Some(4));
    }
}
