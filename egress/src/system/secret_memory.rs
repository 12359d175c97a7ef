//! Memory for a secret: `memfd_secret(2)` where the kernel has it, else locked pages that no core dump shows.
//!
//! With `memfd_secret` not even root reads it through `/proc/PID/mem`. memsec opens that descriptor without
//! close-on-exec, which is harmless here: egress never starts another program.
#![allow(unsafe_code, reason = "memsec hands out raw pointers; this is the one wrapper around them")]

use std::ptr::NonNull;
use zeroize::Zeroizing;

/// Why a secret could not be put away.
#[derive(Debug, thiserror::Error)]
pub enum SecretMemoryError {
    /// There was nothing to keep.
    #[error("the secret is empty")]
    Empty,
    /// No such memory could be had at all.
    #[error("no protected memory could be allocated; raise RLIMIT_MEMLOCK (LimitMEMLOCK=) to at least 64 KiB")]
    Allocate,
    /// There is memory, but it could be swapped out.
    #[error("memory could not be locked; raise RLIMIT_MEMLOCK (LimitMEMLOCK=) to at least 64 KiB")]
    Lock,
    /// The pages could not be made read-only.
    #[error("the secret's memory could not be made read-only")]
    Protect,
}

/// Which kind of memory it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `memfd_secret`: outside the kernel's own map.
    Secret,
    /// `mlock` and `MADV_DONTDUMP`, between guard pages.
    Locked,
}

/// Bytes in protected, read-only memory; zeroed when dropped.
pub struct SecretBytes {
    memory: NonNull<[u8]>,
    protection: Protection,
}

// SAFETY: the memory is owned by this value alone and never written after `new`.
unsafe impl Send for SecretBytes {}
// SAFETY: as above: shared references only read.
unsafe impl Sync for SecretBytes {}

impl SecretBytes {
    /// Moves a secret there; the original is zeroed in every case.
    ///
    /// # Errors
    /// [`SecretMemoryError`].
    pub fn new(secret: Zeroizing<Vec<u8>>) -> Result<Self, SecretMemoryError> {
        if secret.is_empty() {
            return Err(SecretMemoryError::Empty);
        }
        // SAFETY: allocating has no precondition; the result is checked.
        let own = match unsafe { memsec::memfd_secret_sized(secret.len()) } {
            Some(memory) => Self { memory, protection: Protection::Secret },
            None => Self::locked(secret.len())?,
        };
        // SAFETY: both regions are `secret.len()` bytes, and the new one is nobody else's.
        unsafe { std::ptr::copy_nonoverlapping(secret.as_ptr(), own.memory.as_ptr().cast::<u8>(), secret.len()) };
        // SAFETY: the pointer came from memsec and was not freed. Both of its allocators lay memory out alike.
        if !unsafe { memsec::mprotect(own.memory, memsec::Prot::ReadOnly) } {
            return Err(SecretMemoryError::Protect);
        }
        Ok(own)
    }

    fn locked(length: usize) -> Result<Self, SecretMemoryError> {
        // SAFETY: allocating has no precondition; the result is checked.
        let memory = unsafe { memsec::malloc_sized(length) }.ok_or(SecretMemoryError::Allocate)?;
        let own = Self { memory, protection: Protection::Locked };
        // SAFETY: the region is ours and `length` long. memsec's malloc locks it too but does not say whether that
        // worked; locking once more does, and locks do not add up.
        if unsafe { memsec::mlock(memory.as_ptr().cast::<u8>(), length) } {
            Ok(own)
        } else {
            Err(SecretMemoryError::Lock)
        }
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        // SAFETY: `memory` is valid and readable until `drop`, and never written meanwhile.
        unsafe { self.memory.as_ref() }
    }

    /// Which kind of memory it is in.
    pub fn protection(&self) -> Protection {
        self.protection
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        match self.protection {
            // SAFETY: the pointer came from `memfd_secret_sized` and is freed once.
            Protection::Secret => unsafe { memsec::free_memfd_secret(self.memory) },
            // SAFETY: the pointer came from `malloc_sized` and is freed once.
            Protection::Locked => unsafe { memsec::free(self.memory) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_out_as_it_went_in() {
        let secret = SecretBytes::new(Zeroizing::new(b"canary".to_vec())).expect("memory");
        assert_eq!(secret.expose(), b"canary");
    }

    #[test]
    fn locked_memory_serves_where_the_kernel_has_no_secret_memory() {
        let memory = SecretBytes::locked(5).expect("memory");
        assert_eq!(memory.protection(), Protection::Locked);
        assert_eq!(memory.expose().len(), 5);
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(matches!(SecretBytes::new(Zeroizing::new(Vec::new())), Err(SecretMemoryError::Empty)));
    }
}
