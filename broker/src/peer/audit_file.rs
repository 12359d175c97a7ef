//! An operator reads the audit log: one of its files, open for reading, goes to them with the answer. What they do with it
//! costs the core nothing, and its directory stays closed.

use bartizan_audit::segments;
use bartizan_proto::control::{Answer, Refusal};
use bartizan_proto::stream::Sender;
use bartizan_proto::{FrameError, Text};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// Answers with the file of this number, the oldest first.
pub(super) async fn hand_out(sender: &Sender, log: &Path, number: u32) -> Result<(), FrameError> {
    let refused = |refusal, why: String| Answer::Refused { refusal, why: Text::cut(why) };
    let unavailable = |error: std::io::Error| refused(Refusal::Unavailable, format!("{}: {error}", log.display()));
    let files = match segments(log) {
        Ok(files) => files,
        Err(error) => return sender.send(&unavailable(error)).await,
    };
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    let Some(segment) = files.get(at) else {
        return sender.send(&refused(Refusal::NotFound, format!("the audit log has {} files", files.len()))).await;
    };
    match File::open(&segment.path) {
        Ok(file) => {
            let path = Text::cut(segment.path.display().to_string());
            let answer = Answer::AuditFile { path, more: at + 1 < files.len() };
            sender.send_with(&answer, &[file.as_fd()]).await
        }
        Err(error) => sender.send(&unavailable(error)).await,
    }
}
