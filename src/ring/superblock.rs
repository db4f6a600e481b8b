//! The superblock: what this ring is, and where its parts lie.

use super::disk_label::{self, DiskLabel};
use super::geometry::Geometry;
use super::layout::{checksum_around, fields, get, get_u32, get_u64, put};
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES, RingNumber, WallTime};

/// The version of the format as a whole. Within it, the feature masks tell what a program has to
/// know: see `FORMAT.md`.
pub const FORMAT_VERSION: u32 = 1;

/// Longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 64;

const MAGIC_BYTES: [u8; 8] = *b"reelfs\r\n";

fields! {
    MAGIC: 8,
    CHECKSUM: 4,
    VERSION: 4,
    COMPAT: 8,
    RO_COMPAT: 8,
    INCOMPAT: 8,
    RING_UUID: 16,
    NODE_UUID: 16,
    POOL_UUID: 16,
    CREATED: 8,
    BLOCK_BYTES: 8,
    LABEL: LABEL_BYTES_MAX,
    RECORDS: 1024,
    RING_NUMBER: 1,
}
const _: () = assert!(END <= PAGE_BYTES as usize);

/// Type of the record that describes a region; records are type (2 bytes), length (2 bytes), body.
const RECORD_REGION: u16 = 1;
const RECORD_HEADER_BYTES: usize = 4;
const REGION_BYTES: usize = 5 * 8;
/// Type of the record whose body ends with the disk label: it fills the page up to where that lies.
const RECORD_DISK_LABEL: u16 = 2;
/// Where that record begins: behind the region.
const DISK_LABEL_RECORD: usize = RECORDS.start + RECORD_HEADER_BYTES + REGION_BYTES;
const DISK_LABEL_BYTES: usize = disk_label::PLACE.end - DISK_LABEL_RECORD - RECORD_HEADER_BYTES;
const _: () = assert!(DISK_LABEL_RECORD + RECORD_HEADER_BYTES <= disk_label::PLACE.start);

/// What this ring is, and where its parts lie. Written once by `format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// This ring.
    pub ring_uuid: [u8; 16],
    /// The machine that formatted it.
    pub node_uuid: [u8; 16],
    /// The set of rings that it belongs to; its own UUID where it is alone.
    pub pool_uuid: [u8; 16],
    /// Its number among the rings of its tree.
    pub ring_number: RingNumber,
    /// When it was formatted.
    pub created: WallTime,
    /// A name for people; at most [`LABEL_BYTES_MAX`] bytes.
    pub label: String,
    /// Features that a program may ignore.
    pub compat: u64,
    /// Features that a program must know to write.
    pub ro_compat: u64,
    /// Features that a program must know to read.
    pub incompat: u64,
    /// What says to others that the whole disk is taken, where it is one.
    pub disk_label: Option<DiskLabel>,
    /// Where its parts lie.
    pub geometry: Geometry,
}

/// Why a page is not a superblock that this program can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASuperblock {
    /// Something else, or nothing.
    #[error("no reelfs superblock")]
    Foreign,
    /// The magic number is right, the rest is not.
    #[error("superblock damaged: checksum {found:08x}, expected {expected:08x}")]
    Torn {
        /// In the page.
        found: u32,
        /// Computed.
        expected: u32,
    },
    /// Made by a program that came later.
    #[error("ring format {version} is newer than this program, which knows {FORMAT_VERSION}")]
    Newer {
        /// In the page.
        version: u32,
    },
    /// Made with features that this program does not know.
    #[error("the ring uses features that this program does not know (incompat {features:#x})")]
    UnknownFeatures {
        /// Bits that are set and not known.
        features: u64,
    },
    /// The checksum is right, the sizes are impossible.
    #[error("superblock with an impossible layout: {0:?}")]
    Impossible(Box<Geometry>),
}

/// Ro-compat: on the ring are chunk tables, clip facts or parameter sets of encodings, or of
/// codecs, that the first programs of version 1 can't read.
pub const LATER_FOOTAGE: u64 = 1;
/// Ro-compat: in the ledger are facts of the kinds up to 31 that version 1 kept for later programs.
/// Whoever writes a checkpoint has to carry them over.
pub const LATER_FACTS: u64 = 2;
const RO_COMPAT_KNOWN: u64 = LATER_FOOTAGE | LATER_FACTS;

/// The page of a superblock with these ro-compat bits set as well; all else stands as it stood.
pub(super) fn with_ro_compat(page: &[u8], bits: u64) -> Vec<u8> {
    let mut page = page.to_vec();
    let bits = get_u64(&page, RO_COMPAT) | bits;
    put(&mut page, RO_COMPAT, bits.to_le_bytes());
    let checksum = checksum_around(&page, CHECKSUM);
    put(&mut page, CHECKSUM, checksum.to_le_bytes());
    page
}

impl Superblock {
    /// Of a ring that blocks alone speak of: nobody knows what was written to it, so that it asks
    /// for whatever this program may have.
    pub(super) fn found(ring_uuid: [u8; 16], geometry: Geometry) -> Superblock {
        Superblock { ro_compat: RO_COMPAT_KNOWN, ..Superblock::alone(ring_uuid, geometry) }
    }

    /// The ro-compat bits that this program does not know: where there are any it may only look.
    #[must_use]
    pub fn unknown_ro_compat(&self) -> Option<u64> {
        Some(self.ro_compat & !RO_COMPAT_KNOWN).filter(|unknown| *unknown != 0)
    }

    /// Of a ring of which only its UUID and its parts are known: the only one of its pool and of
    /// its tree, without a label, made nobody knows when.
    pub(super) fn alone(ring_uuid: [u8; 16], geometry: Geometry) -> Superblock {
        Superblock {
            ring_uuid,
            node_uuid: [0; 16],
            pool_uuid: ring_uuid,
            ring_number: RingNumber(0),
            created: WallTime(0),
            label: String::new(),
            compat: 0,
            ro_compat: 0,
            incompat: 0,
            disk_label: None,
            geometry,
        }
    }

    /// The page.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; PAGE_BYTES as usize];
        put(&mut page, MAGIC, MAGIC_BYTES);
        put(&mut page, VERSION, FORMAT_VERSION.to_le_bytes());
        put(&mut page, COMPAT, self.compat.to_le_bytes());
        put(&mut page, RO_COMPAT, self.ro_compat.to_le_bytes());
        put(&mut page, INCOMPAT, self.incompat.to_le_bytes());
        put(&mut page, RING_UUID, self.ring_uuid);
        put(&mut page, NODE_UUID, self.node_uuid);
        put(&mut page, POOL_UUID, self.pool_uuid);
        put(&mut page, RING_NUMBER, [self.ring_number.0]);
        put(&mut page, CREATED, self.created.0.to_le_bytes());
        put(&mut page, BLOCK_BYTES, self.geometry.block_length.0.to_le_bytes());
        let label = &self.label.as_bytes()[..self.label.floor_char_boundary(LABEL_BYTES_MAX)];
        page[LABEL][..label.len()].copy_from_slice(label);
        let region = [
            self.geometry.length.0,
            self.geometry.ledger_area.0,
            self.geometry.blocks_start.0,
            u64::from(self.geometry.block_count),
            0,
        ];
        let region: Vec<u8> = region.iter().flat_map(|number| number.to_le_bytes()).collect();
        put_record(&mut page, RECORDS.start, RECORD_REGION, &region);
        if let Some(label) = self.disk_label {
            let mut body = [0; DISK_LABEL_BYTES];
            let label = label.encode();
            body[DISK_LABEL_BYTES - label.len()..].copy_from_slice(&label);
            put_record(&mut page, DISK_LABEL_RECORD, RECORD_DISK_LABEL, &body);
        }
        let checksum = checksum_around(&page, CHECKSUM);
        put(&mut page, CHECKSUM, checksum.to_le_bytes());
        page
    }

    /// Reads a page.
    ///
    /// # Errors
    /// See [`NotASuperblock`].
    pub fn decode(page: &[u8]) -> Result<Superblock, NotASuperblock> {
        if page.len() < PAGE_BYTES as usize || page[MAGIC] != MAGIC_BYTES {
            return Err(NotASuperblock::Foreign);
        }
        let page = &page[..PAGE_BYTES as usize];
        let (found, expected) = (get_u32(page, CHECKSUM), checksum_around(page, CHECKSUM));
        if found != expected {
            return Err(NotASuperblock::Torn { found, expected });
        }
        let version = get_u32(page, VERSION);
        if version > FORMAT_VERSION {
            return Err(NotASuperblock::Newer { version });
        }
        let incompat = get_u64(page, INCOMPAT);
        if incompat != 0 {
            return Err(NotASuperblock::UnknownFeatures { features: incompat });
        }
        let region = find_record(&page[RECORDS], RECORD_REGION)
            .filter(|region| region.len() == REGION_BYTES)
            .ok_or(NotASuperblock::Foreign)?;
        let number = |index: usize| get_u64(region, index * 8..index * 8 + 8);
        let geometry = Geometry {
            length: ByteCount(number(0)),
            ledger_area: ByteCount(number(1)),
            blocks_start: DeviceOffset(number(2)),
            block_count: u32::try_from(number(3)).unwrap_or(0),
            block_length: ByteCount(get_u64(page, BLOCK_BYTES)),
        };
        if !geometry.is_sound() {
            return Err(NotASuperblock::Impossible(Box::new(geometry)));
        }
        let label = page[LABEL].split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Superblock {
            ring_uuid: get(page, RING_UUID),
            node_uuid: get(page, NODE_UUID),
            pool_uuid: get(page, POOL_UUID),
            ring_number: RingNumber(page[RING_NUMBER.start]),
            created: WallTime(i64::from_le_bytes(get(page, CREATED))),
            label: String::from_utf8_lossy(label).into_owned(),
            compat: get_u64(page, COMPAT),
            ro_compat: get_u64(page, RO_COMPAT),
            incompat,
            disk_label: find_record(&page[RECORDS], RECORD_DISK_LABEL)
                .and_then(|_| DiskLabel::decode(&page[disk_label::PLACE])),
            geometry,
        })
    }
}

fn put_record(page: &mut [u8], at: usize, kind: u16, body: &[u8]) {
    let start = at + RECORD_HEADER_BYTES;
    put(page, at..at + 2, kind.to_le_bytes());
    put(page, at + 2..start, (body.len() as u16).to_le_bytes());
    page[start..start + body.len()].copy_from_slice(body);
}

fn find_record(mut records: &[u8], wanted: u16) -> Option<&[u8]> {
    while records.len() >= RECORD_HEADER_BYTES {
        let kind = u16::from_le_bytes(get(records, 0..2));
        let length = usize::from(u16::from_le_bytes(get(records, 2..4)));
        let body = records.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length)?;
        if kind == wanted {
            return Some(body);
        }
        if kind == 0 {
            return None;
        }
        records = &records[RECORD_HEADER_BYTES + length..];
    }
    None
}

#[cfg(test)]
impl Superblock {
    /// Of a ring of 12 MiB in blocks of one.
    pub(super) fn of_a_small_ring() -> Superblock {
        let geometry = Geometry::plan(ByteCount(12 << 20), Some(1 << 20)).expect("a ring");
        Superblock { pool_uuid: [0; 16], ..Superblock::alone([3; 16], geometry) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn superblock() -> Superblock {
        Superblock {
            ring_uuid: [1; 16],
            node_uuid: [2; 16],
            pool_uuid: [3; 16],
            ring_number: RingNumber(9),
            created: WallTime(-4),
            label: "garage".into(),
            compat: 5,
            ro_compat: 6,
            incompat: 0,
            disk_label: None,
            geometry: Geometry::plan(ByteCount(100 << 20), None).expect("large enough"),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Superblock::decode(&superblock().encode()), Ok(superblock()));
    }

    #[test]
    fn a_disk_label_stands_where_tools_look_and_a_superblock_without_one_is_as_it_was() {
        let label = DiskLabel::new(ByteCount(100 << 20), 512);
        let labelled = Superblock { disk_label: Some(label), ..superblock() };
        let page = labelled.encode();
        assert_eq!(Superblock::decode(&page), Ok(labelled));
        assert_eq!(page[disk_label::PLACE], label.encode());
        let mut without = page.clone();
        without[DISK_LABEL_RECORD..disk_label::PLACE.end].fill(0);
        let checksum = checksum_around(&without, CHECKSUM);
        put(&mut without, CHECKSUM, checksum.to_le_bytes());
        assert_eq!(without, superblock().encode());
    }

    #[test]
    fn a_ring_that_says_no_number_is_ring_0_of_its_tree() {
        let alone = Superblock { ring_number: RingNumber(0), ..superblock() };
        let page = alone.encode();
        assert!(page[RECORDS.end..].iter().all(|byte| *byte == 0), "as in every ring so far");
        assert_eq!(Superblock::decode(&page), Ok(alone));
    }

    #[test]
    fn bits_are_added_to_a_page_and_nothing_else_changes() {
        let page = with_ro_compat(&superblock().encode(), 1);
        assert_eq!(page, Superblock { ro_compat: 7, ..superblock() }.encode());
        assert_eq!(Superblock { ro_compat: 7, ..superblock() }.unknown_ro_compat(), Some(4));
        assert_eq!(Superblock { ro_compat: 3, ..superblock() }.unknown_ro_compat(), None);
    }

    #[test]
    fn what_a_later_program_wrote_is_refused_by_name() {
        let newer = Superblock { incompat: 8, ..superblock() };
        let refused = Superblock::decode(&newer.encode());
        assert_eq!(refused, Err(NotASuperblock::UnknownFeatures { features: 8 }));
        let mut page = superblock().encode();
        put(&mut page, VERSION, 2_u32.to_le_bytes());
        let checksum = checksum_around(&page, CHECKSUM);
        put(&mut page, CHECKSUM, checksum.to_le_bytes());
        assert_eq!(Superblock::decode(&page), Err(NotASuperblock::Newer { version: 2 }));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0..PAGE_BYTES as usize, mask in 1_u8..) {
            let mut page = superblock().encode();
            page[at] ^= mask;
            prop_assert!(Superblock::decode(&page).is_err());
        }

        #[test]
        fn any_sealed_bytes_are_a_superblock_or_a_named_reason(
            at in 16..PAGE_BYTES as usize - 8, bytes in any::<[u8; 8]>(),
        ) {
            let mut page = superblock().encode();
            page[at..at + 8].copy_from_slice(&bytes);
            let checksum = checksum_around(&page, CHECKSUM);
            put(&mut page, CHECKSUM, checksum.to_le_bytes());
            if let Ok(superblock) = Superblock::decode(&page) {
                prop_assert!(superblock.geometry.is_sound());
            }
        }
    }
}
