//! Putting superblocks right: found by what is left of the ring, told to others by a disk label.

use super::CheckRequest;
use super::meter::Meter;
use crate::check::{Phase, Progress};
use crate::command::CommandError;
use crate::command::contents::of_ring;
use crate::command::format::disk_label_of;
use crate::device::{Device, FileDevice};
use crate::ring::{self, NotASuperblock, RingError, Superblock};
use crate::units::DeviceOffset;

/// Where no superblock is in its place, looks for one, or for the ring by its blocks, and writes
/// all of them again. Answers what was done, in words; `None` where there was no need.
///
/// # Errors
/// There is nothing of a ring; or no superblock is left at all, and no rescue was asked for.
pub(super) fn find(
    request: &CheckRequest,
    device: &dyn Device,
) -> Result<Option<String>, CommandError> {
    use NotASuperblock::{Foreign, Impossible, Torn};
    let fail = of_ring(&request.path);
    match ring::read_superblock(device) {
        Err(RingError::NoSuperblock(Foreign | Torn { .. } | Impossible(_))) => {}
        _ => return Ok(None),
    }
    let mut meter = Meter::new();
    let total = device.length().0;
    let found = ring::find_superblock(device, &mut |done| {
        meter.show(Progress { phase: Phase::Device, done: done.0, total });
    });
    meter.finish();
    let found = found.map_err(&fail)?;
    let said = match found.at {
        Some(place) => {
            format!("the superblocks are written again from the one at byte {}", place.0)
        }
        None if request.rescue => {
            "the superblocks are written again from the headers of blocks: the ring's label is not \
             known any more"
                .to_owned()
        }
        None => {
            return Err(CommandError::Failed(format!(
                "{}: no superblock of its ring is left: reelfs check --rescue writes them again \
                 from the headers of its blocks; nothing was changed",
                request.path.display()
            )));
        }
    };
    ring::restore_superblocks(device, &found).map_err(&fail)?;
    Ok(Some(said))
}

/// Writes the disk label into the superblocks of a whole disk; `None` where it is there.
///
/// # Errors
/// It is no whole disk, or it refuses.
pub(super) fn add_label(
    request: &CheckRequest,
    device: &FileDevice,
) -> Result<Option<String>, CommandError> {
    let fail = of_ring(&request.path);
    let label = disk_label_of(&request.path, device)?.ok_or_else(|| {
        let path = request.path.display();
        CommandError::Failed(format!("{path}: only a whole disk gets a partition table"))
    })?;
    let (superblock, _) = ring::read_superblock(device).map_err(&fail)?;
    if let Some(features) = superblock.unknown_ro_compat() {
        return Err(fail(RingError::ReadOnly { features }));
    }
    if superblock.disk_label == Some(label) {
        return Ok(None);
    }
    ring::write_superblocks(device, &Superblock { disk_label: Some(label), ..superblock })
        .map_err(&fail)?;
    Ok(Some("a partition table tells other programs that the disk is taken".to_owned()))
}

/// What was done where superblocks were written, in words.
pub(super) fn written_again(places: &[DeviceOffset]) -> Option<String> {
    let written =
        || format!("superblocks are written again from another: at {}", ring::places_text(places));
    (!places.is_empty()).then(written)
}
