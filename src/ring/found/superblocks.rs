//! The superblocks: any of them serves, and those that are damaged are written again from it.
//!
//! Where they are of different rings, because something wrote over some of them, that one is
//! believed whose ledger answers, or else the one whose headers are in the blocks.

use super::facts::read_ledger;
use crate::device::{self, AlignedBuffer, Device};
use crate::ring::blocks::BlockReader;
use crate::ring::error::RingError;
use crate::ring::geometry::{SUPERBLOCK_AREA, places_text, superblock_places};
use crate::ring::ledger::Ledger;
use crate::ring::superblock::{NotASuperblock, Superblock, with_ro_compat};
use crate::units::{BlockNumber, DeviceOffset, PAGE_BYTES};

/// So many blocks are asked whose they are, all over the device.
const BLOCKS_ASKED: u32 = 256;

/// A superblock, and where it lies.
type Found = (DeviceOffset, Superblock);

/// What was found instead of a superblock in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSuperblock {
    /// What the ring is. Where no superblock is left its label, what it belongs to and when it was
    /// made are not known any more.
    pub superblock: Superblock,
    /// Where a superblock was left; `None` where the headers of blocks alone say it.
    pub at: Option<DeviceOffset>,
}

/// Reads the superblock, or a copy of it where the first is damaged or another ring's; tells
/// whether it is a copy.
///
/// # Errors
/// The device failed, it is no ring, or one that this program can't use.
pub fn read_superblock(device: &dyn Device) -> Result<(Superblock, bool), RingError> {
    let (place, superblock) = believed(device)?;
    Ok((superblock, place != DeviceOffset(0)))
}

fn believed(device: &dyn Device) -> Result<Found, RingError> {
    let mut found: Vec<Found> = Vec::new();
    let mut reason = None;
    if device.length().0 < 2 * SUPERBLOCK_AREA.0 {
        return Err(RingError::TooShort { length: device.length() });
    }
    for place in superblock_places(device.length()) {
        match superblock_at(device, place) {
            Ok(superblock) => {
                let mut known = found.iter_mut();
                match known.find(|(_, known)| known.ring_uuid == superblock.ring_uuid) {
                    // Bits are only ever added: who has more of them is younger.
                    Some(known) if superblock.ro_compat & !known.1.ro_compat != 0 => {
                        *known = (place, superblock);
                    }
                    Some(_) => {}
                    None => found.push((place, superblock)),
                }
            }
            Err(foreseen) if is_foreseen(&foreseen) && found.is_empty() => return Err(foreseen),
            // Where none serves, it is the first one that something is said of.
            Err(other) if reason.as_ref().is_none_or(is_nothing) => reason = Some(other),
            Err(_) => {}
        }
    }
    let nothing = reason.unwrap_or(RingError::NoSuperblock(NotASuperblock::Foreign));
    let (place, superblock) = most_likely(device, found).ok_or(nothing)?;
    if !fits(device, &superblock) {
        return Err(RingError::Truncated {
            length: device.length(),
            expected: superblock.geometry.length,
        });
    }
    Ok((place, superblock))
}

/// Of superblocks of different rings, that of the ring that is here.
fn most_likely(device: &dyn Device, mut found: Vec<Found>) -> Option<Found> {
    if found.len() > 1 {
        // That of the ring before may answer, too, where its areas were in other places: the later
        // ring counts, and of two of one time the one in front.
        let answering = found.iter().enumerate().filter(|(_, (_, it))| answers(device, it));
        let latest = answering.max_by_key(|(at, (_, it))| (it.created, usize::MAX - at));
        let at = latest.map(|(at, _)| at);
        let at = at.or_else(|| {
            let blocks = found.iter().map(|(_, superblock)| blocks_of(device, superblock));
            // The first of those that have as many.
            blocks
                .enumerate()
                .max_by_key(|(at, blocks)| (*blocks, usize::MAX - at))
                .map(|(at, _)| at)
        });
        return Some(found.swap_remove(at?));
    }
    found.pop()
}

fn fits(device: &dyn Device, superblock: &Superblock) -> bool {
    superblock.geometry.length <= device.length()
}

/// Whether a ledger of the ring is where its superblock says.
pub(super) fn answers(device: &dyn Device, superblock: &Superblock) -> bool {
    fits(device, superblock) && Ledger::replay(device, superblock).is_ok()
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

pub(super) fn superblock_at(
    device: &dyn Device,
    offset: DeviceOffset,
) -> Result<Superblock, RingError> {
    let page = device::read(device, offset, PAGE_BYTES as usize)
        .map_err(|source| RingError::Device { what: "reading the superblock".into(), source })?;
    Superblock::decode(&page).map_err(RingError::NoSuperblock)
}

/// Whether it is a whole superblock, of a program that came later: its copies say nothing else.
fn is_foreseen(reason: &RingError) -> bool {
    use NotASuperblock::{Newer, UnknownFeatures};
    matches!(reason, RingError::NoSuperblock(Newer { .. } | UnknownFeatures { .. }))
}

fn is_nothing(reason: &RingError) -> bool {
    matches!(reason, RingError::NoSuperblock(NotASuperblock::Foreign))
}

/// Writes the superblocks that are damaged, or differ, as they stand in the one that
/// [`read_superblock`] believes. One of another ring is left where that ring's blocks are still
/// here: it may be all that they can be read by. Answers where one was written.
///
/// # Errors
/// As [`read_superblock`]; or the device refuses a write. Those that it takes are written.
pub fn repair_superblocks(device: &dyn Device) -> Result<Vec<DeviceOffset>, RingError> {
    repair_from(device, believed(device)?)
}

fn repair_from(
    device: &dyn Device,
    (good, superblock): Found,
) -> Result<Vec<DeviceOffset>, RingError> {
    // As it stands there: a later program may have written records that this one does not know.
    let page = device::read(device, good, PAGE_BYTES as usize).map_err(failed)?;
    let places = superblock.geometry.superblock_places();
    write_where_needed(device, &superblock, &page, &places)
}

/// Writes a superblock to all of its places. Answers where it was not.
///
/// # Errors
/// The device refuses a write. Those that it takes are written.
pub fn write_superblocks(
    device: &dyn Device,
    superblock: &Superblock,
) -> Result<Vec<DeviceOffset>, RingError> {
    let page = AlignedBuffer::from_bytes(&superblock.encode());
    write_where_needed(device, superblock, &page, &superblock.geometry.superblock_places())
}

/// Writes what [`find_superblock`](super::find_superblock) found to all of its places, as it stands
/// where it was found. Answers where it was not.
///
/// # Errors
/// As [`write_superblocks`]; or what was found can't be read again.
pub fn restore_superblocks(
    device: &dyn Device,
    found: &FoundSuperblock,
) -> Result<Vec<DeviceOffset>, RingError> {
    let Some(at) = found.at else { return write_superblocks(device, &found.superblock) };
    let page = device::read(device, at, PAGE_BYTES as usize).map_err(failed)?;
    let places = found.superblock.geometry.superblock_places();
    write_where_needed(device, &found.superblock, &page, &places)
}

/// Looks at the superblocks of a ring that is open, and writes again what others have written
/// over. Answers where that was.
///
/// # Errors
/// [`RingError::Overwritten`] where the ring itself is not there any more; or the device refuses.
pub fn tend_superblocks(
    device: &dyn Device,
    ours: &Superblock,
) -> Result<Vec<DeviceOffset>, RingError> {
    let by = match believed(device) {
        Ok(found) if found.1.ring_uuid == ours.ring_uuid => return repair_from(device, found),
        Ok((_, another)) => Some(another.ring_uuid),
        Err(error @ RingError::Device { .. }) => return Err(error),
        Err(_) => None,
    };
    match read_ledger(device, ours) {
        // All of them are gone, and it is here nevertheless.
        Ok(_) => write_superblocks(device, ours),
        Err(RingError::LedgerLost) => Err(RingError::Overwritten { by }),
        Err(error) => Err(error),
    }
}

fn write_where_needed(
    device: &dyn Device,
    superblock: &Superblock,
    page: &AlignedBuffer,
    places: &[DeviceOffset],
) -> Result<Vec<DeviceOffset>, RingError> {
    let (mut written, mut refused) = (Vec::new(), None);
    for &place in places {
        let is_it = |found: AlignedBuffer| found[..] == page[..];
        let is_younger = |found: Superblock| {
            found.ring_uuid == superblock.ring_uuid && found.ro_compat & !superblock.ro_compat != 0
        };
        if superblock_at(device, place).is_ok_and(is_younger) {
            // Somebody has added bits to it in this moment.
            continue;
        }
        if device::read(device, place, PAGE_BYTES as usize).is_ok_and(is_it)
            || is_needed_by_another(device, superblock, place)
        {
            continue;
        }
        // One after the other, so that a power cut tears one at most.
        match device.write_at(place, page).and_then(|()| device.flush()) {
            Ok(()) => written.push(place),
            Err(source) => refused = Some(failed(source)),
        }
    }
    refused.map_or(Ok(written), Err)
}

/// Adds ro-compat bits to the superblocks of a ring. `flush` makes durable what was written before:
/// the first one is, before the others are touched, so that a power cut tears one at most.
///
/// # Errors
/// The device failed, or the superblock that a program reads first does not have the bits.
pub(in crate::ring) fn add_features(
    device: &dyn Device,
    bits: u64,
    flush: &mut dyn FnMut() -> std::io::Result<()>,
) -> Result<(), RingError> {
    let (good, superblock) = believed(device)?;
    let page = device::read(device, good, PAGE_BYTES as usize).map_err(failed)?;
    let page = AlignedBuffer::from_bytes(&with_ro_compat(&page, bits));
    let places = superblock.geometry.superblock_places();
    let (first, others) = places.split_at(1);
    for places in [first, others] {
        for &place in places {
            if is_needed_by_another(device, &superblock, place) {
                continue;
            }
            if let Err(error) = device.write_at(place, &page) {
                log::error!("superblock: {}: {error}", places_text(&[place]));
            }
        }
        flush().map_err(failed)?;
    }
    let mut sound = places.iter().filter_map(|place| superblock_at(device, *place).ok());
    match sound.find(|found| found.ring_uuid == superblock.ring_uuid) {
        Some(found) if found.ro_compat & bits == bits => Ok(()),
        _ => Err(failed(std::io::Error::other("the first one stays as it was"))),
    }
}

fn is_needed_by_another(device: &dyn Device, superblock: &Superblock, at: DeviceOffset) -> bool {
    let Ok(foreign) = superblock_at(device, at) else { return false };
    if foreign.ring_uuid == superblock.ring_uuid || blocks_of(device, &foreign) == 0 {
        return false;
    }
    let uuid = uuid::Uuid::from_bytes(foreign.ring_uuid);
    log::warn!(
        "superblock: the one at byte {} is of the ring {uuid}, which has blocks here: it is left \
         as it is",
        at.0
    );
    true
}

fn failed(source: std::io::Error) -> RingError {
    RingError::Device { what: "writing a superblock".into(), source }
}
