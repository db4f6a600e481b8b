//! Overwriting a clip's samples with zeros. The headers stay, so that its neighbours in shared
//! blocks can still be walked.

use std::io;
use std::sync::{PoisonError, RwLock};

use super::chunk::ChunkKind;
use super::core::Shared;
use super::superblock::Superblock;
use super::walk::Walk;
use crate::device::{self, Device};
use crate::units::{ByteCount, ClipId, PAGE_BYTES};

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
        let mut walk = Walk {
            device,
            superblock,
            block: extent.block,
            life: extent.life,
            page: extent.first_page,
            number: extent.first_chunk,
            predecessor: None,
        };
        let outcome = wipe_extent(&mut walk, extent.chunks, extent.end_page);
        match outcome {
            Ok(bytes) => wiped += bytes,
            Err(source) => failure = Some(source),
        }
    }
    failure.map_or(Ok(wiped), Err)
}

fn wipe_extent(walk: &mut Walk<'_>, chunks: u32, end_page: u32) -> io::Result<ByteCount> {
    let mut wiped = ByteCount(0);
    for _ in 0..chunks {
        let page = walk.page;
        let Some(at) = walk.step()? else {
            // The chain is broken: what is left of the extent can only be samples of this clip.
            return blank(walk, page, end_page, 0).map(|rest| wiped + rest);
        };
        if at.header.fixed.kind == ChunkKind::Media {
            let end = at.page + at.header.fixed.pages();
            wiped += blank(walk, at.page, end, at.header.fixed.header_length as usize)?;
        }
    }
    Ok(wiped)
}

/// Zeros the pages from `page` to `end`, but for the first `keep` bytes.
fn blank(walk: &Walk<'_>, page: u32, end: u32, keep: usize) -> io::Result<ByteCount> {
    let length = end.saturating_sub(page) as usize * PAGE_BYTES as usize;
    let offset = walk.superblock.geometry.page_start(walk.block, page);
    let mut pages = device::read(walk.device, offset, length)?;
    pages[keep.min(length)..].fill(0);
    walk.device.write_at(offset, &pages)?;
    Ok(ByteCount((length - keep.min(length)) as u64))
}
