//! A ring whose superblocks are not in their places: on a device that has grown, or after something
//! has written over all of them. It is known by the headers of its blocks, which say where its
//! parts are; those of earlier programs do so by where they lie.

use std::collections::BTreeMap;
use std::io;

use super::superblocks::{FoundSuperblock, answers, superblock_at};
use crate::device::{AlignedBuffer, Device};
use crate::ring::block::BlockHeader;
use crate::ring::error::RingError;
use crate::ring::geometry::{BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, Geometry, SUPERBLOCK_AREA};
use crate::ring::superblock::{NotASuperblock, Superblock};
use crate::units::{BlockNumber, ByteCount, DeviceOffset, PAGE_BYTES, WallTime};

/// Read at once where the device is gone through from end to end, in bytes.
const STRIDE_BYTES: u64 = 4 << 20;
/// The same where it can't be read at once.
const STRIDE_BYTES_MIN: u64 = 64 << 10;
/// For each block size so many blocks are asked for at the beginning of the device, ...
const BLOCKS_ASKED_FIRST: u32 = 16;
/// ... and so many all over it.
const BLOCKS_ASKED: u32 = 256;

/// Looks for a ring by what is left of it. `progress` hears how much of the device has been gone
/// through, where that is necessary.
///
/// # Errors
/// The device can't be read, or there is no ring on it, or none that tells where its parts are.
pub fn find_superblock(
    device: &dyn Device,
    progress: &mut dyn FnMut(ByteCount),
) -> Result<FoundSuperblock, RingError> {
    let mut headers = Headers::default();
    headers.ask_some_blocks(device);
    if headers.is_empty() {
        headers.ask_all_blocks(device, progress);
    }
    if let Some(found) = headers.most_likely(device) {
        return Ok(found);
    }
    match headers.sweep(device, progress)? {
        Some(found) => Ok(found),
        None => headers
            .most_likely(device)
            .or_else(|| headers.by_places(device))
            .ok_or(RingError::NoSuperblock(NotASuperblock::Foreign)),
    }
}

/// The headers of blocks that were met, by ring.
#[derive(Default)]
struct Headers {
    rings: BTreeMap<[u8; 16], Met>,
}

#[derive(Default)]
struct Met {
    /// What the headers say that speak of it; the last one to begin its life counts.
    geometry: Option<Geometry>,
    latest: WallTime,
    /// Where blocks are.
    places: BTreeMap<BlockNumber, DeviceOffset>,
}

impl Headers {
    fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// Asks some blocks of every ring that `format` would make on a device of this length.
    fn ask_some_blocks(&mut self, device: &dyn Device) {
        let mut block_length = BLOCK_BYTES_MIN;
        while block_length <= BLOCK_BYTES_MAX {
            if let Ok(planned) = Geometry::plan(device.length(), Some(block_length)) {
                let step = planned.block_count.div_ceil(BLOCKS_ASKED).max(1);
                let first = 0..planned.block_count.min(BLOCKS_ASKED_FIRST);
                self.ask(device, &planned, first);
                self.ask(device, &planned, (0..planned.block_count).step_by(step as usize));
            }
            block_length *= 2;
        }
    }

    /// Asks all blocks of the ring that `format` makes where no block size is wanted.
    fn ask_all_blocks(&mut self, device: &dyn Device, progress: &mut dyn FnMut(ByteCount)) {
        let Ok(planned) = Geometry::plan(device.length(), None) else { return };
        for first in (0..planned.block_count).step_by(BLOCKS_ASKED as usize) {
            progress(ByteCount(planned.block_start(BlockNumber(first)).0));
            let behind = first.saturating_add(BLOCKS_ASKED).min(planned.block_count);
            self.ask(device, &planned, first..behind);
        }
    }

    fn ask(&mut self, device: &dyn Device, planned: &Geometry, blocks: impl Iterator<Item = u32>) {
        let mut page = AlignedBuffer::zeroed(PAGE_BYTES as usize);
        for place in blocks.map(|block| planned.block_start(BlockNumber(block))) {
            if device.read_at(place, &mut page).is_ok() {
                self.meet(place, &page);
            }
        }
    }

    fn meet(&mut self, place: DeviceOffset, page: &[u8]) {
        let Some(header) = BlockHeader::decode(page) else { return };
        let is_there = |geometry: &Geometry| {
            header.block.0 < geometry.block_count && geometry.block_start(header.block) == place
        };
        let met = self.rings.entry(header.ring_uuid).or_default();
        met.places.insert(header.block, place);
        // A copy of a block in another place says nothing of this one.
        if let Some(geometry) = header.geometry.filter(is_there)
            && (met.geometry.is_none() || header.start >= met.latest)
        {
            met.geometry = Some(geometry);
            met.latest = header.start;
        }
    }

    /// Goes through the device from end to end; ends early where a superblock is met.
    fn sweep(
        &mut self,
        device: &dyn Device,
        progress: &mut dyn FnMut(ByteCount),
    ) -> Result<Option<FoundSuperblock>, RingError> {
        let end = device.length().0;
        let (mut was_read, mut refused) = (false, None);
        let (mut at, mut length) = (0, STRIDE_BYTES);
        while at < end {
            progress(ByteCount(at));
            let mut stride = AlignedBuffer::zeroed(length.min(end - at) as usize);
            match device.read_at(DeviceOffset(at), &mut stride) {
                Ok(()) => {
                    was_read = true;
                    if let Some(found) = self.look_through(&stride, at, device) {
                        return Ok(Some(found));
                    }
                }
                // A place that can't be read takes no more with it than has to be.
                Err(_) if length > STRIDE_BYTES_MIN => {
                    length = STRIDE_BYTES_MIN;
                    continue;
                }
                Err(error) => refused = Some(error),
            }
            at += stride.len() as u64;
            if at.is_multiple_of(STRIDE_BYTES) {
                length = STRIDE_BYTES;
            }
        }
        match refused {
            Some(error) if !was_read => Err(unreadable(error)),
            _ => Ok(None),
        }
    }

    fn look_through(
        &mut self,
        stride: &[u8],
        at: u64,
        device: &dyn Device,
    ) -> Option<FoundSuperblock> {
        let places = (at..).step_by(PAGE_BYTES as usize).map(DeviceOffset);
        for (page, place) in stride.chunks_exact(PAGE_BYTES as usize).zip(places) {
            if let Some(superblock) = superblock_in(page, place, device) {
                return Some(FoundSuperblock { superblock, at: Some(place) });
            }
            self.meet(place, page);
        }
        None
    }

    /// The ring whose headers say where its parts are: of several, because the device was formatted
    /// before, the one whose ledger is there, or else the one that was written to last.
    fn most_likely(&self, device: &dyn Device) -> Option<FoundSuperblock> {
        let fits = |geometry: &Geometry| geometry.length <= device.length();
        let mut found: Vec<(WallTime, FoundSuperblock)> = Vec::new();
        for (uuid, met) in &self.rings {
            let Some(geometry) = met.geometry.filter(fits) else { continue };
            found.push((met.latest, with_a_superblock(device, *uuid, geometry)));
        }
        found.sort_by_key(|(latest, _)| *latest);
        // That of the ring before may answer, too, where its areas were in other places.
        let at = found.iter().rposition(|(_, found)| answers(device, &found.superblock));
        match at {
            Some(at) => Some(found.swap_remove(at).1),
            None => found.pop().map(|(_, found)| found),
        }
    }

    /// The same for headers that say nothing: two of them that lie as blocks of one size do.
    fn by_places(&self, device: &dyn Device) -> Option<FoundSuperblock> {
        let found = self.rings.iter().filter_map(|(uuid, met)| {
            let geometry = geometry_by_places(&met.places, device.length())?;
            Some((met.places.len(), with_a_superblock(device, *uuid, geometry)))
        });
        found.max_by_key(|(blocks, _)| *blocks).map(|(_, found)| found)
    }
}

/// A superblock of a ring that lies where one of such a ring does.
fn superblock_in(page: &[u8], place: DeviceOffset, device: &dyn Device) -> Option<Superblock> {
    let superblock = Superblock::decode(page).ok()?;
    let geometry = &superblock.geometry;
    let is_there = geometry.superblock_places().contains(&place);
    (is_there && geometry.length <= device.length()).then_some(superblock)
}

/// Of a ring with these parts: a superblock in one of its places, or else a new one.
fn with_a_superblock(
    device: &dyn Device,
    ring_uuid: [u8; 16],
    geometry: Geometry,
) -> FoundSuperblock {
    for at in geometry.superblock_places() {
        if let Ok(superblock) = superblock_at(device, at)
            && superblock.ring_uuid == ring_uuid
        {
            return FoundSuperblock { superblock, at: Some(at) };
        }
    }
    FoundSuperblock { superblock: Superblock::found(ring_uuid, geometry), at: None }
}

/// Where the parts of a ring are whose blocks are in these places. The number of its blocks is what
/// `format` gives it on a device of `length`, or else what was seen.
fn geometry_by_places(
    places: &BTreeMap<BlockNumber, DeviceOffset>,
    length: ByteCount,
) -> Option<Geometry> {
    let (first, first_at) = places.first_key_value()?;
    let (last, last_at) = places.last_key_value().filter(|(last, _)| *last != first)?;
    let apart = u64::from(last.0 - first.0);
    let block_length = last_at.0.checked_sub(first_at.0)?.checked_div(apart)?;
    let start = first_at.0.checked_sub(u64::from(first.0).checked_mul(block_length)?)?;
    let lies = |(block, at): (&BlockNumber, &DeviceOffset)| {
        at.0 == start + u64::from(block.0) * block_length
    };
    if !places.iter().all(lies) {
        return None;
    }
    let planned = Geometry::plan(length, Some(block_length)).ok();
    planned.filter(|planned| planned.blocks_start.0 == start).or_else(|| {
        let ledger_area = ByteCount(start.checked_sub(SUPERBLOCK_AREA.0)? / 2);
        Geometry::of(
            ByteCount(length.0 - length.0 % PAGE_BYTES),
            ledger_area,
            last.0.checked_add(1)?,
            ByteCount(block_length),
        )
    })
}

fn unreadable(source: io::Error) -> RingError {
    RingError::Device { what: "looking for a ring".into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(geometry: &Geometry, blocks: &[u32]) -> BTreeMap<BlockNumber, DeviceOffset> {
        let blocks = blocks.iter().map(|block| BlockNumber(*block));
        blocks.map(|block| (block, geometry.block_start(block))).collect()
    }

    #[test]
    fn two_blocks_tell_where_the_ring_is_and_one_does_not() {
        let geometry = Geometry::plan(ByteCount(1 << 30), Some(2 << 20)).expect("a ring");
        let length = geometry.length;
        assert_eq!(geometry_by_places(&places(&geometry, &[3, 90]), length), Some(geometry));
        assert_eq!(geometry_by_places(&places(&geometry, &[3]), length), None);
        let mut moved = places(&geometry, &[3, 9, 90]);
        moved.insert(BlockNumber(9), DeviceOffset(20 << 20));
        assert_eq!(geometry_by_places(&moved, length), None);
    }

    #[test]
    fn on_a_device_that_has_grown_the_blocks_are_those_that_were_seen() {
        let geometry = Geometry::plan(ByteCount(40 << 20), Some(1 << 20)).expect("a ring");
        let grown = ByteCount(1 << 30);
        let found = geometry_by_places(&places(&geometry, &[0, 30]), grown).expect("a ring");
        assert_eq!(
            (found.blocks_start, found.block_length),
            (geometry.blocks_start, ByteCount(1 << 20))
        );
        assert_eq!(found.block_count, 31);
    }
}
