//! The two superblocks: either serves, and a damaged one is written again from the other.
//!
//! Where they are of different rings, because something wrote over one of them, that one is
//! believed whose ledger answers, or else the one whose headers are in the blocks.

use crate::device::{self, AlignedBuffer, Device};
use crate::ring::blocks::BlockReader;
use crate::ring::error::RingError;
use crate::ring::ledger::Ledger;
use crate::ring::superblock::{NotASuperblock, SUPERBLOCK_AREA, Superblock};
use crate::units::{BlockNumber, DeviceOffset, PAGE_BYTES};

/// So many blocks are asked whose they are, all over the device.
const BLOCKS_ASKED: u32 = 256;

/// Reads the superblock, or its copy where the first is damaged or another ring's; tells which.
///
/// # Errors
/// The device failed, it is no ring, or one that this program can't use.
pub fn read_superblock(device: &dyn Device) -> Result<(Superblock, bool), RingError> {
    if device.length().0 < 2 * SUPERBLOCK_AREA.0 {
        return Err(RingError::TooShort { length: device.length() });
    }
    let copy = DeviceOffset(device.length().0 - PAGE_BYTES);
    let (superblock, from_copy) = match superblock_at(device, DeviceOffset(0)) {
        Ok(first) => match superblock_at(device, copy) {
            Ok(copy) if copy.ring_uuid != first.ring_uuid && is_rather(device, &copy, &first) => {
                (copy, true)
            }
            _ => (first, false),
        },
        Err(reason) if is_foreseen(&reason) => return Err(reason),
        // Where neither serves, it is the first one that something is said of.
        Err(reason) => match superblock_at(device, copy) {
            Ok(superblock) => (superblock, true),
            Err(_) => return Err(reason),
        },
    };
    if !fits(device, &superblock) {
        return Err(RingError::Truncated {
            length: device.length(),
            expected: superblock.geometry.length,
        });
    }
    Ok((superblock, from_copy))
}

fn fits(device: &dyn Device, superblock: &Superblock) -> bool {
    superblock.geometry.length <= device.length()
}

/// Whether it is rather the copy's ring that is here than the first superblock's.
fn is_rather(device: &dyn Device, copy: &Superblock, first: &Superblock) -> bool {
    let answers =
        |superblock| fits(device, superblock) && Ledger::replay(device, superblock).is_ok();
    if answers(first) {
        return false;
    }
    answers(copy) || blocks_of(device, copy) > blocks_of(device, first)
}

/// Of some blocks, how many a ring has written.
fn blocks_of(device: &dyn Device, superblock: &Superblock) -> usize {
    if !fits(device, superblock) {
        return 0;
    }
    let reader = BlockReader::new(device, superblock);
    let count = superblock.geometry.block_count;
    let asked = (0..count).step_by(count.div_ceil(BLOCKS_ASKED).max(1) as usize).map(BlockNumber);
    let is_its =
        |block: &BlockNumber| reader.block_header(*block).is_ok_and(|header| header.is_some());
    asked.filter(is_its).count()
}

fn superblock_at(device: &dyn Device, offset: DeviceOffset) -> Result<Superblock, RingError> {
    let page = device::read(device, offset, PAGE_BYTES as usize)
        .map_err(|source| RingError::Device { what: "reading the superblock".into(), source })?;
    Superblock::decode(&page).map_err(RingError::NoSuperblock)
}

/// Whether it is a whole superblock, of a program that came later: its copy says nothing else.
fn is_foreseen(reason: &RingError) -> bool {
    use NotASuperblock::{Newer, UnknownFeatures};
    matches!(reason, RingError::NoSuperblock(Newer { .. } | UnknownFeatures { .. }))
}

/// Writes the superblock that is damaged, or differs, as it stands in the other; which one is
/// believed, [`read_superblock`] says. One of another ring is left where that ring's blocks are
/// still here: it may be all that they can be read by. Answers whether one was written.
///
/// # Errors
/// As [`read_superblock`]; or the device refuses the write.
pub fn repair_superblocks(device: &dyn Device) -> Result<bool, RingError> {
    let (superblock, from_copy) = read_superblock(device)?;
    let (first, copy) = (DeviceOffset(0), superblock.geometry.superblock_copy());
    let (good, other) = if from_copy { (copy, first) } else { (first, copy) };
    let failed = |source| RingError::Device { what: "repairing a superblock".into(), source };
    // As it stands there: a later program may have written records that this one does not know.
    let page = device::read(device, good, PAGE_BYTES as usize).map_err(failed)?;
    let differs = |other: AlignedBuffer| other[..] != page[..];
    if !device::read(device, other, PAGE_BYTES as usize).map_or(true, differs) {
        return Ok(false);
    }
    if let Ok(foreign) = superblock_at(device, other)
        && foreign.ring_uuid != superblock.ring_uuid
        && blocks_of(device, &foreign) > 0
    {
        let uuid = uuid::Uuid::from_bytes(foreign.ring_uuid);
        log::warn!(
            "superblock: the one at byte {} is of the ring {uuid}, which has blocks here: it is \
             left as it is",
            other.0
        );
        return Ok(false);
    }
    device.write_at(other, &page).and_then(|()| device.flush()).map_err(failed)?;
    Ok(true)
}
