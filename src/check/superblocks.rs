//! The two superblocks, with each other and with the device.

use super::Checker;
use super::finding::{Cost, Finding, Place};
use crate::device::Device;
use crate::ring::{NotASuperblock, Superblock, SuperblockCopy, superblock_copies};

impl Checker<'_> {
    pub(super) fn check_superblocks(&mut self, device: &dyn Device) {
        let superblock = self.inspection.superblock.clone();
        let copies = superblock_copies(device, &superblock);
        for (copy, part) in copies.iter().zip(["superblock", "superblock copy"]) {
            let Some(found) = wrong_with(copy, &superblock) else { continue };
            let offset = Some(copy.offset.0);
            self.report.superblock_is_damaged = true;
            self.tell(Finding {
                place: Place { offset, ..Place::of(part) },
                found,
                expected: "the page that the other one has".into(),
                cost: Cost::Nothing,
            });
        }
        let [first, second] = &copies;
        if let (Ok(_), Ok(_), Ok(one), Ok(other)) =
            (&first.decoded, &second.decoded, &first.page, &second.page)
            && one != other
            && !self.report.superblock_is_damaged
        {
            let at = one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(0);
            self.report.superblock_is_damaged = true;
            self.tell(Finding {
                place: Place {
                    offset: Some(second.offset.0 + at as u64),
                    ..Place::of("superblock copy")
                },
                found: "another content than the first superblock's".into(),
                expected: "the same".into(),
                cost: Cost::Nothing,
            });
        }
        let (length, made) = (device.length(), superblock.geometry.length);
        if length > made {
            self.note(format!(
                "the device has {} bytes behind the ring, which are not used",
                length.0 - made.0
            ));
        }
    }
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
