//! The heap of a process that handles secrets: what is given back is zeroed first, so that a freed buffer of a library (a
//! decoder's, the HTTP client's) keeps nothing. A program names it as its `#[global_allocator]`.
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's heap, zeroed when memory is given back.
#[derive(Debug, Clone, Copy, Default)]
pub struct WipingHeap;

// SAFETY: every call is handed to the system's allocator with the caller's own layout; memory is written only while it is
// still the caller's to give back.
unsafe impl GlobalAlloc for WipingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory is the caller's, `layout.size()` long, and not used after this call.
        unsafe {
            wipe(memory, layout.size());
            System.dealloc(memory, layout);
        }
    }

    /// Never in place: what the system leaves behind when it moves a block is out of our reach.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: `wanted` has a size, by the caller's promise; the two blocks do not overlap.
        unsafe {
            let moved = System.alloc(wanted);
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(memory, moved, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

/// # Safety
/// `memory` is valid for writes of `length` bytes.
unsafe fn wipe(memory: *mut u8, length: usize) {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::write_bytes(memory, 0, length) };
    // The compiler may drop stores to memory that is freed next; this says that somebody looks.
    std::hint::black_box(memory);
    // SAFETY: no instruction at all.
    unsafe { std::arch::asm!("/* {0} */", in(reg) memory, options(nostack, preserves_flags)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_content_when_it_grows_and_nothing_when_it_goes() {
        let (small, large) = (Layout::from_size_align(8, 1).expect("a layout"), 64);
        // SAFETY: allocated, grown and wiped by the rules of the trait.
        unsafe {
            let memory = WipingHeap.alloc(small);
            std::ptr::copy_nonoverlapping(b"canary!!".as_ptr(), memory, 8);
            let grown = WipingHeap.realloc(memory, small, large);
            assert_eq!(std::slice::from_raw_parts(grown, 8), b"canary!!");
            wipe(grown, large);
            assert_eq!(std::slice::from_raw_parts(grown, 8), [0; 8]);
            System.dealloc(grown, Layout::from_size_align(large, 1).expect("a layout"));
        }
    }
}
