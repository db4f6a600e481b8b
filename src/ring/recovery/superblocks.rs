//! The two superblocks: either serves, and a damaged one is written again from the other.

use crate::device::{self, AlignedBuffer, Device};
use crate::ring::RingError;
use crate::ring::superblock::{NotASuperblock, SUPERBLOCK_AREA, Superblock};
use crate::units::{DeviceOffset, PAGE_BYTES};

/// Reads the superblock, or its copy where the first is damaged; tells which.
///
/// # Errors
/// The device failed, it is no ring, or one that this program can't use.
pub fn read_superblock(device: &dyn Device) -> Result<(Superblock, bool), RingError> {
    if device.length().0 < 2 * SUPERBLOCK_AREA.0 {
        return Err(RingError::TooShort { length: device.length() });
    }
    let copy = DeviceOffset(device.length().0 - PAGE_BYTES);
    let (superblock, from_copy) = match superblock_at(device, DeviceOffset(0)) {
        Ok(superblock) => (superblock, false),
        Err(reason) if is_foreseen(&reason) => return Err(reason),
        // Where neither serves, it is the first one that something is said of.
        Err(reason) => match superblock_at(device, copy) {
            Ok(superblock) => (superblock, true),
            Err(_) => return Err(reason),
        },
    };
    if device.length() < superblock.geometry.length {
        return Err(RingError::Truncated {
            length: device.length(),
            expected: superblock.geometry.length,
        });
    }
    Ok((superblock, from_copy))
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

/// Writes the superblock that is damaged, or differs, as it stands in the other; the first one is
/// believed where both can be read. Answers whether there was one.
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
    device.write_at(other, &page).and_then(|()| device.flush()).map_err(failed)?;
    Ok(true)
}
