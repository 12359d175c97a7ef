//! `slurm`: not there yet; a script of it is refused when it is run.

use super::{Backend, Launch, LaunchError, Right};
use bartizan_proto::script::Verb;

/// Nothing about it is different from job to job.
pub(super) struct Slurm;

impl Backend for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn submit(&self, _: &Right<'_>) -> Result<Launch, LaunchError> {
        Err(LaunchError::Program("this version has no backend slurm".to_owned()))
    }

    fn verbs(&self) -> &'static [Verb] {
        &[]
    }

    fn reattaches(&self) -> bool {
        false
    }
}
