//! Where secrets are while a process has them, and how nothing of them stays behind.
//!
//! For the processes that hold one: the core (keys, secrets, the token on its way), egress (the token), `bartizan` (what is
//! typed into it).
//!
//! | what | file |
//! |---|---|
//! | memory for a secret: `memfd_secret(2)`, else locked pages | `system/memory.rs` |
//! | a heap that is zeroed when it is given back | `system/heap.rs` |
//! | a stack that is zeroed after a calculation with a key | `system/stack.rs` |
#![deny(unsafe_code)]

mod system;

pub use system::heap::WipingHeap;
pub use system::memory::{Protection, SecretBox, SecretBytes, SecretMemoryError, protection_here};
pub use system::stack::on_clean_stack;
pub use zeroize::{Zeroize, Zeroizing};
