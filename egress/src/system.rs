//! The calls that need `unsafe`, each behind a safe type. Nothing else in this package may use it.

pub mod secret_memory;
