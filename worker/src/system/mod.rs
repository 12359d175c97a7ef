//! The system calls that no safe crate wraps: one function each. The only folder of this package with `unsafe`.
#![allow(unsafe_code, reason = "each of these system calls has no safe wrapper elsewhere")]

mod descriptors;
mod mount;
mod process;
mod signals;

pub(crate) use descriptors::{close_on_exec_from, close_range, is_inherited};
pub(crate) use mount::{Attributes, set_attributes, set_attributes_of_one};
pub(crate) use process::{Forked, clone, first_ended, fork, leave};
pub(crate) use signals::{hold_termination, reset_signals};
