//! Bartizan as root installs it, setuid, under attack by the user who starts it, by scripts and by strangers.
//!
//! All of it needs root, to install and to look on; without, each test says so and counts as skipped. `tests/run` leaves
//! them out of the unprivileged run and runs them by themselves.

mod as_root;
