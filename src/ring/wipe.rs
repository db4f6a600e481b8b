//! Overwriting a clip's samples with zeros. The headers stay, so that its neighbours in shared
//! blocks can still be walked.

use std::io;
use std::sync::{PoisonError, RwLock};

use super::chunk::ChunkKind;
use super::core::Shared;
use super::superblock::Superblock;
use super::types::Extent;
use super::walk;
use crate::device::{self, AlignedBuffer, Device};
use crate::units::{ByteCount, ClipId, DeviceOffset, PAGE_BYTES};

/// Overwrites the samples of a closed clip; answers how many bytes. Without a flush.
///
/// # Errors
/// What the device says; the rest of the clip has been overwritten all the same.
pub(super) fn wipe(
    device: &dyn Device,
    superblock: &Superblock,
    shared: &RwLock<Shared>,
    clip: ClipId,
) -> io::Result<ByteCount> {
    let record = {
        let state = shared.read().unwrap_or_else(PoisonError::into_inner);
        state.space.clip(clip).cloned()
    };
    let mut wiped = ByteCount(0);
    let mut failure = None;
    for extent in record.iter().flat_map(|record| &record.extents) {
        let outcome = wipe_extent(device, superblock, extent);
        match outcome {
            Ok(bytes) => wiped += bytes,
            Err(source) => failure = Some(source),
        }
    }
    failure.map_or(Ok(wiped), Err)
}

/// Zeros the samples in the extent. Where no header can be read any more, samples of this clip may
/// lie: such pages are zeroed whole. Parameter sets stay, other clips may use them.
fn wipe_extent(
    device: &dyn Device,
    superblock: &Superblock,
    extent: &Extent,
) -> io::Result<ByteCount> {
    let mut wiped = ByteCount(0);
    let header = walk::block_header(device, superblock, extent.block).unwrap_or_default();
    if header.is_some_and(|(header, _)| header.life != extent.life) {
        // Somebody else's, whatever the facts say.
        return Ok(wiped);
    }
    let mut page = extent.first_page;
    while page < extent.end_page {
        // A page that can't be read is written without being read.
        let header = walk::header_at(device, superblock, extent.block, page).unwrap_or_default();
        let header = header.filter(|header| header.fixed.life == extent.life);
        let (pages, keep) = header
            .as_ref()
            .map_or((1, 0), |header| (header.fixed.pages(), header.fixed.header_length as usize));
        let end = page.saturating_add(pages).min(extent.end_page);
        let kept = header.is_some_and(|header| header.fixed.kind != ChunkKind::Media);
        if !kept {
            let offset = superblock.geometry.page_start(extent.block, page);
            wiped += blank(device, offset, (end - page) as usize * PAGE_BYTES as usize, keep)?;
        }
        page = end;
    }
    Ok(wiped)
}

/// Zeros `length` bytes at `offset`, but for the first `keep`.
fn blank(
    device: &dyn Device,
    offset: DeviceOffset,
    length: usize,
    keep: usize,
) -> io::Result<ByteCount> {
    let kept = keep.min(length);
    let mut pages = AlignedBuffer::zeroed(length);
    if kept > 0 {
        let head = device::read(device, offset, kept.next_multiple_of(PAGE_BYTES as usize))?;
        pages[..kept].copy_from_slice(&head[..kept]);
    }
    device.write_at(offset, &pages)?;
    Ok(ByteCount((length - kept) as u64))
}
