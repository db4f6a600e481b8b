//! Memory that direct I/O accepts.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::units::PAGE_BYTES;

/// Bytes that begin on a page and are whole pages long.
pub struct AlignedBuffer {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the buffer owns its memory and hands it out only behind `&self` and `&mut self`.
unsafe impl Send for AlignedBuffer {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// `length` zero bytes, rounded up to whole pages.
    #[must_use]
    pub fn zeroed(length: usize) -> AlignedBuffer {
        let length = length.next_multiple_of(PAGE_BYTES as usize);
        if length == 0 {
            return AlignedBuffer { start: NonNull::dangling(), length };
        }
        let layout = Self::layout(length);
        // SAFETY: the layout is not of size zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        AlignedBuffer { start, length }
    }

    /// A copy of `bytes`, padded with zeros to whole pages.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> AlignedBuffer {
        let mut buffer = AlignedBuffer::zeroed(bytes.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        buffer
    }

    fn layout(length: usize) -> Layout {
        // The length was the size of a buffer before, or is bounded by a block: it can't overflow.
        Layout::from_size_align(length, PAGE_BYTES as usize).expect("a page-aligned layout")
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: allocated in `zeroed` with this very layout, and not freed before.
            unsafe { dealloc(self.start.as_ptr(), Self::layout(self.length)) }
        }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` points to `length` initialised bytes that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}
