//! The superblock: what this ring is, and where its parts lie.

use super::layout::{checksum_around, fields, get, get_u32, get_u64, put};
use crate::units::{BlockNumber, ByteCount, DeviceOffset, PAGE_BYTES, RingNumber, WallTime};

/// Bytes at the beginning and at the end of the device that belong to the superblocks alone: all
/// known file systems and partition tables have their marks there, and none survives in them.
pub const SUPERBLOCK_AREA: ByteCount = ByteCount(1 << 20);

/// The version of the format as a whole. Within it, the feature masks tell what a program has to
/// know: see `FORMAT.md`.
pub const FORMAT_VERSION: u32 = 1;

/// Smallest block, in bytes.
pub const BLOCK_BYTES_MIN: u64 = 1 << 20;
/// Largest block, in bytes.
pub const BLOCK_BYTES_MAX: u64 = 256 << 20;
/// Below this many blocks a ring can't turn: some are reserved, some being written.
pub const BLOCKS_MIN: u32 = 8;
/// What the block size is chosen for: about as many blocks at most.
pub const BLOCKS_WANTED_MAX: u64 = 1 << 20;
/// Smallest block that is chosen without being asked for, in bytes.
pub const BLOCK_BYTES_CHOSEN_MIN: u64 = 4 << 20;
/// Smallest ledger area, in bytes: 64 pages, two minutes of one page a flush.
pub const LEDGER_AREA_BYTES_MIN: u64 = 256 << 10;
/// Each ledger area of a small ring is this part of the device, ...
const LEDGER_AREA_PART: u64 = 32;
/// ... up to this, in bytes: room for some 3,000 short clips.
const LEDGER_AREA_BYTES_SMALL: u64 = 2 << 20;
/// Ledger area bytes for each block: room for a dozen short clips, and as much again to log into.
const LEDGER_BYTES_PER_BLOCK: u64 = 4096;
/// A ledger of this length, in bytes, is long enough for 100,000 clips; beyond it ...
const LEDGER_AREA_BYTES_LARGE: u64 = 64 << 20;
/// ... only what a block needs at least: room for an extent, its share of a clip, and the log.
const LEDGER_BYTES_PER_BLOCK_MIN: u64 = 256;
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

/// Fewer pages than these at the end of a block are left unused rather than filled with part of a
/// chunk: the part's own header would weigh too much.
pub(super) const REST_PAGES_MIN: u32 = 16;

/// A stretch of the device with ledger areas and blocks. Version 1 has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Length of the device when it was formatted, in bytes.
    pub length: ByteCount,
    /// Length of each of the two ledger areas, in bytes.
    pub ledger_area: ByteCount,
    /// Where block 0 begins.
    pub blocks_start: DeviceOffset,
    /// How many blocks there are.
    pub block_count: u32,
    /// Length of a block, in bytes.
    pub block_length: ByteCount,
}

/// A size that a ring can't be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// No power of two, or out of range.
    #[error("block size {0} is not a power of two from 1 MiB to 256 MiB")]
    BlockSize(u64),
    /// Too small.
    #[error(
        "{length} bytes are too small: {BLOCKS_MIN} blocks of {block_length} bytes and their \
         ledger need {needed}"
    )]
    TooSmall {
        /// What there is.
        length: u64,
        /// The block size.
        block_length: u64,
        /// What is needed.
        needed: u64,
    },
    /// More than 2³²−2 blocks.
    #[error("{length} bytes are too many for blocks of {block_length} bytes: choose larger blocks")]
    TooLarge {
        /// What there is.
        length: u64,
        /// The block size.
        block_length: u64,
    },
}

impl Geometry {
    /// Lays a ring out on a device of `length` bytes. Without a `block_length` the smallest power
    /// of two from 4 MiB is taken that gives at most about a million blocks, or a smaller one
    /// where eight blocks of 4 MiB do not fit.
    ///
    /// # Errors
    /// See [`Unsuitable`].
    pub fn plan(length: ByteCount, block_length: Option<u64>) -> Result<Geometry, Unsuitable> {
        let block_length = match block_length {
            Some(bytes) => {
                let range = BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX;
                if !bytes.is_power_of_two() || !range.contains(&bytes) {
                    return Err(Unsuitable::BlockSize(bytes));
                }
                bytes
            }
            None => chosen_block_length(length),
        };
        let length = ByteCount(length.0 - length.0 % PAGE_BYTES);
        let between = length.0.saturating_sub(2 * SUPERBLOCK_AREA.0);
        let ledger_for = |count: u64| ledger_area_length(length, count);
        let per_block = block_length + 2 * LEDGER_BYTES_PER_BLOCK_MIN;
        let mut count = between / per_block;
        while count > 0 && 2 * ledger_for(count) + count * block_length > between {
            count -= 1;
        }
        if count < u64::from(BLOCKS_MIN) {
            let blocks = u64::from(BLOCKS_MIN);
            let needed = 2 * SUPERBLOCK_AREA.0 + 2 * ledger_for(blocks) + blocks * block_length;
            return Err(Unsuitable::TooSmall { length: length.0, block_length, needed });
        }
        let block_count = u32::try_from(count)
            .ok()
            .filter(|count| *count < u32::MAX)
            .ok_or(Unsuitable::TooLarge { length: length.0, block_length })?;
        let ledger_area = ByteCount(ledger_for(count));
        let blocks_start = DeviceOffset(SUPERBLOCK_AREA.0 + 2 * ledger_area.0);
        Ok(Geometry {
            length,
            ledger_area,
            blocks_start,
            block_count,
            block_length: ByteCount(block_length),
        })
    }

    /// Where the second superblock lies.
    #[must_use]
    pub fn superblock_copy(&self) -> DeviceOffset {
        DeviceOffset(self.length.0 - PAGE_BYTES)
    }

    /// Where ledger area 0 or 1 begins.
    #[must_use]
    pub fn ledger_start(&self, area: usize) -> DeviceOffset {
        DeviceOffset(SUPERBLOCK_AREA.0 + area as u64 * self.ledger_area.0)
    }

    /// Where a block begins.
    #[must_use]
    pub fn block_start(&self, block: BlockNumber) -> DeviceOffset {
        DeviceOffset(self.blocks_start.0 + u64::from(block.0) * self.block_length.0)
    }

    /// Pages of 4 KiB in a block.
    #[must_use]
    pub fn block_pages(&self) -> u32 {
        (self.block_length.0 / PAGE_BYTES) as u32
    }

    /// Where the pages of a block lie.
    #[must_use]
    pub fn page_start(&self, block: BlockNumber, page: u32) -> DeviceOffset {
        self.block_start(block) + ByteCount(u64::from(page) * PAGE_BYTES)
    }

    fn is_sound(&self) -> bool {
        let block_length = self.block_length.0;
        block_length.is_power_of_two()
            && (BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&block_length)
            && self.block_count >= BLOCKS_MIN
            && self.ledger_area.0 >= LEDGER_AREA_BYTES_MIN
            && self.ledger_area.0.is_multiple_of(PAGE_BYTES)
            && self.ledger_area.0 < 1 << 40
            && self.blocks_start.0 == SUPERBLOCK_AREA.0 + 2 * self.ledger_area.0
            && self.length.0.is_multiple_of(PAGE_BYTES)
            && (u64::from(self.block_count).checked_mul(block_length))
                .and_then(|bytes| bytes.checked_add(self.blocks_start.0 + SUPERBLOCK_AREA.0))
                .is_some_and(|needed| needed <= self.length.0)
    }
}

/// Length of a ledger area for `count` blocks on a device of `length` bytes.
fn ledger_area_length(length: ByteCount, count: u64) -> u64 {
    let small = (length.0 / LEDGER_AREA_PART).min(LEDGER_AREA_BYTES_SMALL);
    let wanted = (count * LEDGER_BYTES_PER_BLOCK).min(LEDGER_AREA_BYTES_LARGE);
    let needed = count * LEDGER_BYTES_PER_BLOCK_MIN;
    let bytes = small.max(wanted).max(needed).max(LEDGER_AREA_BYTES_MIN);
    ByteCount(bytes).rounded_up(PAGE_BYTES).0
}

fn chosen_block_length(length: ByteCount) -> u64 {
    let wanted = length.0.div_ceil(BLOCKS_WANTED_MAX).next_power_of_two();
    let mut block_length = wanted.clamp(BLOCK_BYTES_CHOSEN_MIN, BLOCK_BYTES_MAX);
    while block_length > BLOCK_BYTES_MIN && Geometry::plan(length, Some(block_length)).is_err() {
        block_length /= 2;
    }
    block_length
}

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

impl Superblock {
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
        let mut record = Vec::with_capacity(RECORD_HEADER_BYTES + REGION_BYTES);
        record.extend(RECORD_REGION.to_le_bytes());
        record.extend((REGION_BYTES as u16).to_le_bytes());
        record.extend(region.iter().flat_map(|number| number.to_le_bytes()));
        page[RECORDS][..record.len()].copy_from_slice(&record);
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
        let region = find_record(&page[RECORDS], RECORD_REGION).ok_or(NotASuperblock::Foreign)?;
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
            geometry,
        })
    }
}

fn find_record(mut records: &[u8], wanted: u16) -> Option<&[u8]> {
    while records.len() >= RECORD_HEADER_BYTES {
        let kind = u16::from_le_bytes(get(records, 0..2));
        let length = usize::from(u16::from_le_bytes(get(records, 2..4)));
        let body = records.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length)?;
        if kind == wanted {
            return (length == REGION_BYTES).then_some(body);
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
        Superblock {
            ring_uuid: [3; 16],
            node_uuid: [0; 16],
            pool_uuid: [0; 16],
            ring_number: RingNumber(0),
            created: WallTime(0),
            label: String::new(),
            compat: 0,
            ro_compat: 0,
            incompat: 0,
            geometry: Geometry::plan(ByteCount(12 << 20), Some(1 << 20)).expect("a ring"),
        }
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
            geometry: Geometry::plan(ByteCount(100 << 20), None).expect("large enough"),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Superblock::decode(&superblock().encode()), Ok(superblock()));
    }

    #[test]
    fn a_ring_that_says_no_number_is_ring_0_of_its_tree() {
        let alone = Superblock { ring_number: RingNumber(0), ..superblock() };
        let page = alone.encode();
        assert!(page[RECORDS.end..].iter().all(|byte| *byte == 0), "as in every ring so far");
        assert_eq!(Superblock::decode(&page), Ok(alone));
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

    #[test]
    fn a_ring_of_16_tib_has_at_most_about_a_million_blocks_and_a_small_one_eight() {
        let large = Geometry::plan(ByteCount(16 << 40), None).expect("large enough");
        assert!(u64::from(large.block_count) <= BLOCKS_WANTED_MAX, "{large:?}");
        assert_eq!(large.block_length.0, 16 << 20);
        assert!(matches!(
            Geometry::plan(ByteCount(10 << 20), Some(BLOCK_BYTES_MIN)),
            Err(Unsuitable::TooSmall { .. })
        ));
        assert_eq!(
            Geometry::plan(ByteCount(1 << 30), Some(3 << 20)),
            Err(Unsuitable::BlockSize(3 << 20))
        );
    }

    proptest! {
        #[test]
        fn every_plan_is_sound_and_ends_before_the_copy(
            length in (12_u64 << 20)..1 << 50,
            exponent in 20_u32..=28,
        ) {
            let plans = [None, Some(1_u64 << exponent)];
            for plan in plans.map(|block| Geometry::plan(ByteCount(length), block)) {
                let Ok(geometry) = plan else { continue };
                prop_assert!(geometry.is_sound(), "{geometry:?}");
                let end = geometry.block_start(BlockNumber(geometry.block_count));
                prop_assert!(end <= geometry.superblock_copy());
            }
        }

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
