//! The only door to the disk: reads, writes and flushes at offsets, whole pages at a time.
//!
//! Everything above works on [`Device`], so that a test can put a disk that forgets, counts or
//! fails behind the same door. Offsets, lengths and memory are aligned to [`PAGE_BYTES`], as
//! direct I/O on every disk in use wants it.

mod aligned;
mod copy_on_write;
mod create;
mod extents;
mod file;
mod handle;
mod holder;
mod misfortune;
mod only_read;
mod range_lock;
mod refusal;
mod returning;

use std::io;

pub use aligned::AlignedBuffer;
pub use file::{Access, FileDevice, OpenError};
pub use holder::{DeviceHolder, Health};
pub use only_read::OnlyRead;
pub use refusal::is_of_one_place;
pub use returning::ReturningDevice;

use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES};

/// A disk, or what stands in for one. All calls may come from several threads at once.
pub trait Device: Send + Sync {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// What the device says; a read behind the end is `UnexpectedEof`. The contents of `buffer`
    /// are then unspecified.
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. Durable only after the next [`Device::flush`].
    ///
    /// # Errors
    /// What the device says; any part of `bytes` may then have been written, or none.
    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()>;

    /// Makes durable every write that had returned when this call began.
    ///
    /// # Errors
    /// What the device says; nothing written since the last good flush may be assumed to be
    /// durable then, and a later flush does not make it so.
    fn flush(&self) -> io::Result<()>;

    /// Whether the device is there at all. While it is not, every call fails at once, and says
    /// nothing about the place that it was for.
    fn is_present(&self) -> bool {
        true
    }

    /// Whether it takes writes at all. Where it does not, every write fails, and none is tried.
    fn is_writable(&self) -> bool {
        true
    }

    /// Length of the device, in bytes; a multiple of [`PAGE_BYTES`].
    fn length(&self) -> ByteCount;
}

/// Reads `length` bytes at `offset` into a buffer of their own; both are multiples of
/// [`PAGE_BYTES`].
///
/// # Errors
/// As [`Device::read_at`].
pub fn read(device: &dyn Device, offset: DeviceOffset, length: usize) -> io::Result<AlignedBuffer> {
    debug_assert!(offset.0.is_multiple_of(PAGE_BYTES));
    let mut buffer = AlignedBuffer::zeroed(length);
    device.read_at(offset, &mut buffer)?;
    Ok(buffer)
}
