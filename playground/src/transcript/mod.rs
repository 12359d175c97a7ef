//! Transcripts (DESIGN.md §9): what a person sees, written down, and run against the real processes.
//!
//! | file | concern |
//! |---|---|
//! | [`model`] | what a transcript is |
//! | [`parse`] | text to transcript |
//! | [`pattern`] | does a text match an expectation, and what does it capture |
//! | [`log`] | what came in over chat, in order |
//! | [`stage`] | a server, the service, and the people on it |
//! | [`act`], [`expect`], [`play`] | the acts, the expectations, one transcript from its first line to its last |
//! | [`load`] | files found and read |
//! | [`run`] | many of them, some at a time; verdicts, exit code |
//! | [`report`] | how a failure is shown |

pub mod act;
pub mod expect;
pub mod load;
pub mod log;
pub mod model;
pub mod parse;
pub mod pattern;
pub mod play;
pub mod report;
pub mod run;
pub mod stage;
