//! Where a file lies in its file system: whether its space is its own, and whether it has any.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// Extents that are asked for at once: more than one write of a ring touches.
const EXTENTS_MAX: usize = 32;
/// `FIEMAP_EXTENT_SHARED` of linux/fiemap.h.
const SHARED: u32 = 0x2000;
/// Length of `struct fiemap` without its extents: what the number of the call is made with.
const HEADER_BYTES: usize = 32;

/// `struct fiemap` of linux/fiemap.h.
#[repr(C)]
struct Map {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [Extent; EXTENTS_MAX],
}

/// `struct fiemap_extent` of linux/fiemap.h.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved_64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

const _: () = assert!(std::mem::offset_of!(Map, extents) == HEADER_BYTES);
const _: () = assert!(size_of::<Extent>() == 56);

nix::ioctl_readwrite_bad!(map_extents, nix::request_code_readwrite!(b'f', 11, HEADER_BYTES), Map);

/// Why a write to these bytes of a file needs space that it has not, where that can be told.
pub(super) fn why_no_room(file: &File, bytes: Range<u64>) -> Option<&'static str> {
    let extents = extents(file, bytes.clone()).ok()?;
    if extents.iter().any(|extent| extent.flags & SHARED != 0) {
        return Some(
            "its space is shared with a copy or a snapshot, and what is written needs new space",
        );
    }
    let own: u64 = extents
        .iter()
        .map(|extent| {
            let end = extent.logical.saturating_add(extent.length).min(bytes.end);
            end.saturating_sub(extent.logical.max(bytes.start))
        })
        .sum();
    (own < bytes.end - bytes.start).then_some("its space is not reserved (see fallocate(1))")
}

/// Bytes of a file that have no space in its file system; none where it does not count so.
pub(super) fn unreserved(file: &File) -> io::Result<u64> {
    /// What `st_blocks` counts in (stat(2)).
    const UNIT_BYTES: u64 = 512;
    let metadata = file.metadata()?;
    Ok(metadata.len().saturating_sub(metadata.blocks().saturating_mul(UNIT_BYTES)))
}

/// The first extents of these bytes.
fn extents(file: &File, bytes: Range<u64>) -> io::Result<Vec<Extent>> {
    let mut map = Map {
        start: bytes.start,
        length: bytes.end - bytes.start,
        flags: 0,
        mapped: 0,
        count: EXTENTS_MAX as u32,
        reserved: 0,
        extents: [Extent::default(); EXTENTS_MAX],
    };
    // SAFETY: FS_IOC_FIEMAP reads the header at the address given, which is that of `map`, and
    // writes up to `count` extents behind it, for which there is room.
    unsafe { map_extents(file.as_raw_fd(), &raw mut map)? };
    let mapped = (map.mapped as usize).min(EXTENTS_MAX);
    Ok(map.extents[..mapped].to_vec())
}
