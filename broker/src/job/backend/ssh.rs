//! `ssh`: not there yet; a script of it is refused when it is run.

use super::{Backend, Launch, LaunchError, Right};
use bartizan_proto::script::Verb;

/// Nothing about it is different from job to job.
pub(super) struct Ssh;

impl Backend for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn submit(&self, _: &Right<'_>) -> Result<Launch, LaunchError> {
        Err(LaunchError::Program("this version has no backend ssh".to_owned()))
    }

    fn verbs(&self) -> &'static [Verb] {
        &[]
    }
}
