//! Where the parts of a ring lie on its device.

use crate::units::{BlockNumber, ByteCount, DeviceOffset, PAGE_BYTES};

/// Bytes at the beginning and at the end of the device that belong to the superblocks alone: all
/// known file systems and partition tables have their marks there, and none survives in them.
pub const SUPERBLOCK_AREA: ByteCount = ByteCount(1 << 20);

/// So far from either end lie the two inner superblocks, in bytes: a partition table is written to
/// both ends at once, and takes a few pages of them. See "Superblock" in `FORMAT.md`.
const INNER_BYTES: u64 = 512 << 10;

/// Where the superblocks of a ring lie that ends at `length`, the first one first, and the outer
/// copy before the inner ones. `length` is at least twice [`SUPERBLOCK_AREA`].
#[must_use]
pub fn superblock_places(length: ByteCount) -> [DeviceOffset; 4] {
    let end = length.0 - length.0 % PAGE_BYTES;
    let from_end = |bytes| DeviceOffset(end - bytes - PAGE_BYTES);
    [DeviceOffset(0), from_end(0), DeviceOffset(INNER_BYTES), from_end(INNER_BYTES)]
}

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
/// Fewer pages than these at the end of a block are left unused rather than filled with part of a
/// chunk: the part's own header would weigh too much.
pub(super) const REST_PAGES_MIN: u32 = 16;

/// Places on the device, for people.
#[must_use]
pub fn places_text(places: &[DeviceOffset]) -> String {
    let bytes: Vec<String> = places.iter().map(|place| format!("byte {}", place.0)).collect();
    bytes.join(", ")
}

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

    /// Of a ring with parts of these lengths; `None` where there is none like it.
    pub(super) fn of(
        length: ByteCount,
        ledger_area: ByteCount,
        block_count: u32,
        block_length: ByteCount,
    ) -> Option<Geometry> {
        // Anything may be in the numbers.
        let ledger = ledger_area.0.checked_mul(2)?.checked_add(SUPERBLOCK_AREA.0)?;
        let blocks_start = DeviceOffset(ledger);
        let geometry = Geometry { length, ledger_area, blocks_start, block_count, block_length };
        geometry.is_sound().then_some(geometry)
    }

    /// Where the superblocks lie: the first page and the last one, and those half a MiB inside.
    #[must_use]
    pub fn superblock_places(&self) -> [DeviceOffset; 4] {
        superblock_places(self.length)
    }

    /// Where the superblock lies that is the last page of the ring.
    #[must_use]
    pub fn superblock_copy(&self) -> DeviceOffset {
        self.superblock_places()[1]
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

    /// What facts of kinds that this program does not know may take of a ledger area, in bytes: a
    /// tenth, as much as observations. Clips would have to go for them otherwise.
    #[must_use]
    pub fn carried_bytes_max(&self) -> u64 {
        self.ledger_area.0 / 10
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

    pub(super) fn is_sound(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn every_plan_is_sound_and_leaves_the_superblocks_their_places(
            length in (12_u64 << 20)..1 << 50,
            exponent in 20_u32..=28,
        ) {
            let plans = [None, Some(1_u64 << exponent)];
            for plan in plans.map(|block| Geometry::plan(ByteCount(length), block)) {
                let Ok(geometry) = plan else { continue };
                prop_assert!(geometry.is_sound(), "{geometry:?}");
                let end = geometry.block_start(BlockNumber(geometry.block_count));
                let places = geometry.superblock_places();
                let starts = places.iter().filter(|at| at.0 < SUPERBLOCK_AREA.0).count();
                let ends = places.iter().filter(|at| **at >= end).count();
                prop_assert_eq!((starts, ends), (2, 2));
            }
        }
    }
}
