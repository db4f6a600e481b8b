//! The superblocks, with each other and with the device.

use super::Checker;
use super::finding::{Cost, Finding, Place};
use crate::device::Device;
use crate::ring::{NotASuperblock, Superblock, SuperblockCopy, superblock_copies};

impl Checker<'_> {
    pub(super) fn check_superblocks(&mut self, device: &dyn Device) {
        let superblock = self.inspection.superblock.clone();
        let copies = superblock_copies(device, &superblock);
        let [first, last, inner @ ..] = &copies;
        let are_well = [first, last].iter().all(|copy| wrong_with(copy, &superblock).is_none());
        if are_well && inner.iter().all(is_blank) {
            self.report.superblock_is_damaged = true;
            self.note(
                "the ring was made without superblocks half a MiB from its ends: --repair, or the \
                 next run, adds them"
                    .to_owned(),
            );
            self.compare(&[first, last], &superblock);
        } else {
            self.compare(&copies.each_ref(), &superblock);
        }
        let (length, made) = (device.length(), superblock.geometry.length);
        if length > made {
            self.note(format!(
                "the device has {} bytes behind the ring, which are not used",
                length.0 - made.0
            ));
        }
    }

    /// Each by itself, and each with the first that is well.
    fn compare(&mut self, copies: &[&SuperblockCopy], superblock: &Superblock) {
        let mut well: Option<&Vec<u8>> = None;
        for copy in copies {
            let part = match copy.offset.0 {
                0 => "superblock",
                _ => "superblock copy",
            };
            let (offset, found, expected) = match (wrong_with(copy, superblock), &copy.page) {
                (Some(found), _) => (copy.offset.0, found, "the page that another one has"),
                (None, Ok(page)) => {
                    let good = *well.get_or_insert(page);
                    let differs = good.iter().zip(page).position(|(good, other)| good != other);
                    let Some(at) = differs else { continue };
                    let found = "another content than the first superblock's".to_owned();
                    (copy.offset.0 + at as u64, found, "the same")
                }
                (None, Err(_)) => continue,
            };
            self.report.superblock_is_damaged = true;
            self.tell(Finding {
                place: Place { offset: Some(offset), ..Place::of(part) },
                found,
                expected: expected.into(),
                cost: Cost::Nothing,
            });
        }
    }
}

fn is_blank(copy: &SuperblockCopy) -> bool {
    copy.page.as_ref().is_ok_and(|page| page.iter().all(|byte| *byte == 0))
}

fn wrong_with(copy: &SuperblockCopy, superblock: &Superblock) -> Option<String> {
    match (&copy.page, &copy.decoded) {
        (Err(reason), _) => Some(format!("unreadable: {reason}")),
        (Ok(_), Err(NotASuperblock::Foreign)) => Some("no superblock".into()),
        (Ok(_), Err(reason)) => Some(reason.to_string()),
        (Ok(_), Ok(found)) if found.ring_uuid != superblock.ring_uuid => {
            Some(format!("that of the ring {}", uuid::Uuid::from_bytes(found.ring_uuid)))
        }
        (Ok(_), Ok(_)) => None,
    }
}
