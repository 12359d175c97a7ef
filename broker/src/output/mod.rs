//! What a script printed, on its way to chat: collected within a bound, stripped of what would act on a reader's screen,
//! and cut to what a post holds.

pub mod collect;
pub mod limit;
pub mod strip;
