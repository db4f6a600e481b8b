//! The disk label: a partition table in the superblock's page which says that the whole disk is
//! taken, so that tools ask before they make something else of it.
//!
//! It is a master boot record with one entry of type 0xDA ("non-file-system data"), from the second
//! sector to the end, as the protective one of GPT has it (UEFI specification 2.10, 5.2.3) but for
//! the type: `parted` and `sgdisk` write over an entry of type 0xEE without a word.

use super::layout::{fields, get_u32, put};
use crate::units::ByteCount;

/// Where it lies in the page, and in the disk's first sector: behind the boot code.
pub(super) const PLACE: std::ops::Range<usize> = 446..512;

/// "Non-file-system data": no system mounts it, and none takes it for free.
const TYPE_DATA: u8 = 0xDA;
/// What ends a master boot record.
const SIGNATURE_BYTES: [u8; 2] = [0x55, 0xAA];
/// The second sector, in cylinder, head and sector.
const CHS_FIRST: [u8; 3] = [0x00, 0x02, 0x00];
/// Beyond what cylinders, heads and sectors can say.
const CHS_BEYOND: [u8; 3] = [0xFE, 0xFF, 0xFF];

fields! {
    STATUS: 1,
    FIRST_CHS: 3,
    TYPE: 1,
    LAST_CHS: 3,
    FIRST_SECTOR: 4,
    SECTOR_COUNT: 4,
    OTHER_ENTRIES: 3 * 16,
    SIGNATURE: 2,
}
const _: () = assert!(END == PLACE.end - PLACE.start);

/// The entry that takes the whole disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLabel {
    /// Sectors of the disk behind its first one; as many as 32 bits say where there are more.
    sector_count: u32,
}

impl DiskLabel {
    /// For a disk of `length` bytes in sectors of `sector_length` bytes, which is not 0.
    #[must_use]
    pub fn new(length: ByteCount, sector_length: u64) -> DiskLabel {
        let sectors = (length.0 / sector_length.max(1)).saturating_sub(1);
        DiskLabel { sector_count: u32::try_from(sectors).unwrap_or(u32::MAX) }
    }

    /// The bytes at [`PLACE`].
    pub(super) fn encode(self) -> [u8; END] {
        let mut bytes = [0; END];
        put(&mut bytes, FIRST_CHS, CHS_FIRST);
        put(&mut bytes, TYPE, [TYPE_DATA]);
        put(&mut bytes, LAST_CHS, CHS_BEYOND);
        put(&mut bytes, FIRST_SECTOR, 1_u32.to_le_bytes());
        put(&mut bytes, SECTOR_COUNT, self.sector_count.to_le_bytes());
        put(&mut bytes, SIGNATURE, SIGNATURE_BYTES);
        bytes
    }

    /// What the bytes at [`PLACE`] say; `None` where it is not such an entry.
    pub(super) fn decode(bytes: &[u8]) -> Option<DiskLabel> {
        let is_one = bytes.len() == END
            && bytes[SIGNATURE] == SIGNATURE_BYTES
            && bytes[TYPE] == [TYPE_DATA]
            && get_u32(bytes, FIRST_SECTOR) == 1;
        is_one.then(|| DiskLabel { sector_count: get_u32(bytes, SECTOR_COUNT) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_disk_in_sectors_of_its_own_size() {
        let label = DiskLabel::new(ByteCount(1 << 30), 512);
        assert_eq!(label.sector_count, 2_097_151);
        assert_eq!(DiskLabel::new(ByteCount(1 << 30), 4096).sector_count, 262_143);
        assert_eq!(DiskLabel::new(ByteCount(4 << 40), 512).sector_count, u32::MAX);
        assert_eq!(DiskLabel::decode(&label.encode()), Some(label));
        assert_eq!(label.encode()[..8], [0, 0, 2, 0, 0xDA, 0xFE, 0xFF, 0xFF]);
    }

    #[test]
    fn another_entry_is_none() {
        let mut bytes = DiskLabel::new(ByteCount(1 << 30), 512).encode();
        bytes[TYPE.start] = 0xEE;
        assert_eq!(DiskLabel::decode(&bytes), None);
        assert_eq!(DiskLabel::decode(&bytes[1..]), None);
    }
}
