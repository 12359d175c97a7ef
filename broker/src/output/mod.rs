//! What a script printed, on its way to chat: collected within a bound, stripped of what would act on a reader's screen,
//! freed of the job's secrets, and cut to what a post holds.

pub mod collect;
pub mod limit;
pub mod redact;
pub mod strip;
