//! The only unsafe code of this package.

pub(crate) mod heap;
pub(crate) mod memory;
pub(crate) mod stack;
