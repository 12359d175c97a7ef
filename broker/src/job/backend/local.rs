//! `local`: the script itself, here. The worker's order is all that there is to it.

use super::{Backend, Launch, LaunchError, Right};
use bartizan_proto::script::Verb;

/// Nothing about it is different from job to job.
pub(super) struct Local;

impl Backend for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn submit(&self, right: &Right<'_>) -> Result<Launch, LaunchError> {
        right.launch(right.order()?, right.file.fd.try_clone()?)
    }

    fn events(&self) -> &'static [Verb] {
        &[]
    }
}
