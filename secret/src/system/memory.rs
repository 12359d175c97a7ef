//! Memory for a secret: `memfd_secret(2)` where the kernel has it, else locked pages that no core dump shows.
//!
//! With `memfd_secret` not even root reads it through `/proc/PID/mem`. memsec opens that descriptor without
//! close-on-exec, which is harmless here: neither the core nor egress starts another program (both are forbidden to).
//! Each secret takes 16 KiB of RLIMIT_MEMLOCK, whatever its size.
#![allow(unsafe_code, reason = "memsec hands out raw pointers; this is the one wrapper around them")]

use super::stack::on_clean_stack;
use std::marker::PhantomData;
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

impl Protection {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Protection::Secret => "memfd_secret",
            Protection::Locked => "mlock",
        }
    }
}

/// Which kind of memory a secret gets in this process.
///
/// # Errors
/// [`SecretMemoryError`] when it gets none.
pub fn protection_here() -> Result<Protection, SecretMemoryError> {
    Ok(Region::of(1)?.protection)
}

/// A region of memory of our own; zeroed and given back when dropped.
struct Region {
    memory: NonNull<[u8]>,
    protection: Protection,
}

impl Region {
    /// Writable until [`Region::close`].
    fn of(length: usize) -> Result<Self, SecretMemoryError> {
        // SAFETY: allocating has no precondition; the result is checked.
        match unsafe { memsec::memfd_secret_sized(length) } {
            Some(memory) => Ok(Self { memory, protection: Protection::Secret }),
            None => Self::locked(length),
        }
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

    fn bytes(&self) -> &[u8] {
        // SAFETY: `memory` is valid and readable until `drop`.
        unsafe { self.memory.as_ref() }
    }

    /// Makes it read-only.
    fn close(&self) -> Result<(), SecretMemoryError> {
        self.protect(memsec::Prot::ReadOnly)
    }

    fn protect(&self, how: memsec::Prot::Ty) -> Result<(), SecretMemoryError> {
        // SAFETY: the pointer came from memsec and was not freed. Both of its allocators lay memory out alike.
        if unsafe { memsec::mprotect(self.memory, how) } { Ok(()) } else { Err(SecretMemoryError::Protect) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        match self.protection {
            // SAFETY: the pointer came from `memfd_secret_sized` and is freed once.
            Protection::Secret => unsafe { memsec::free_memfd_secret(self.memory) },
            // SAFETY: the pointer came from `malloc_sized` and is freed once.
            Protection::Locked => unsafe { memsec::free(self.memory) },
        }
    }
}

/// Bytes in protected, read-only memory; zeroed when dropped. There is no way to print them.
pub struct SecretBytes(Region);

// SAFETY: the memory is owned by this value alone and never written after `build`.
unsafe impl Send for SecretBytes {}
// SAFETY: as above: shared references only read.
unsafe impl Sync for SecretBytes {}

impl SecretBytes {
    /// Moves a secret there; the original is zeroed in every case.
    ///
    /// # Errors
    /// [`SecretMemoryError`].
    pub fn new(secret: Zeroizing<Vec<u8>>) -> Result<Self, SecretMemoryError> {
        Self::build(secret.len(), |memory| memory.copy_from_slice(&secret))
    }

    /// Lets `fill` write a secret of this length where it will stay.
    ///
    /// # Errors
    /// [`SecretMemoryError`].
    pub fn build(length: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self, SecretMemoryError> {
        if length == 0 {
            return Err(SecretMemoryError::Empty);
        }
        let mut region = Region::of(length)?;
        // SAFETY: the region is writable until `close`, and nobody else has a reference to it.
        fill(unsafe { region.memory.as_mut() });
        region.close()?;
        Ok(Self(region))
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Which kind of memory it is in.
    pub fn protection(&self) -> Protection {
        self.0.protection
    }
}

impl std::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretBytes")
    }
}

/// A value with a secret in it, like a cipher with its expanded key, in protected, read-only memory.
pub struct SecretBox<T>(Region, PhantomData<T>);

// SAFETY: the value is owned by this box alone, and only shared references to it are given.
unsafe impl<T: Send> Send for SecretBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for SecretBox<T> {}

impl<T> SecretBox<T> {
    /// Makes the value and moves it there; what the stack had of it is zeroed.
    ///
    /// # Errors
    /// [`SecretMemoryError`].
    pub fn new(make: impl FnOnce() -> T) -> Result<Self, SecretMemoryError> {
        let region = Region::of(size_of::<T>().max(1))?;
        let place = region.memory.as_ptr().cast::<T>();
        // memsec ends its regions at the end of a page, so that a size that is a multiple of the alignment is aligned.
        assert!(place.is_aligned(), "a region ends at the end of a page");
        // SAFETY: the region is ours, large enough, aligned, and writable until `close`.
        on_clean_stack(|| unsafe { place.write(make()) });
        let own = Self(region, PhantomData);
        own.0.close()?;
        Ok(own)
    }

    /// The value.
    pub fn expose(&self) -> &T {
        // SAFETY: `new` put a `T` there, and only `drop` takes it away.
        unsafe { self.0.memory.cast::<T>().as_ref() }
    }

    /// Which kind of memory it is in.
    pub fn protection(&self) -> Protection {
        self.0.protection
    }
}

impl<T> Drop for SecretBox<T> {
    fn drop(&mut self) {
        if self.0.protect(memsec::Prot::ReadWrite).is_ok() {
            // SAFETY: the value is there, writable, and dropped once. The region is freed after this.
            unsafe { self.0.memory.as_ptr().cast::<T>().drop_in_place() };
        }
    }
}

impl<T> std::fmt::Debug for SecretBox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretBox")
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
        let memory = Region::locked(5).expect("memory");
        assert_eq!(memory.protection, Protection::Locked);
        assert_eq!(memory.bytes().len(), 5);
    }

    #[test]
    fn a_value_is_aligned_where_it_is_kept_and_dropped_once() {
        use std::sync::Arc;
        let counted = Arc::new(());
        let kept = SecretBox::new(|| (7u128, Arc::clone(&counted))).expect("memory");
        assert_eq!((kept.expose().0, Arc::strong_count(&counted)), (7, 2));
        drop(kept);
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn no_text_of_a_secret_is_shown() {
        let secret = SecretBytes::new(Zeroizing::new(b"canary".to_vec())).expect("memory");
        assert_eq!(format!("{secret:?}"), "SecretBytes");
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(matches!(SecretBytes::new(Zeroizing::new(Vec::new())), Err(SecretMemoryError::Empty)));
    }
}
