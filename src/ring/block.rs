//! The first page of a block: where it is, and whose samples it holds.
//!
//! The two parts are checksummed apart: *placement* belongs to this device, *content* would be
//! the same on another.

use super::geometry::Geometry;
use super::layout::{fields, get, get_u32, get_u64, put};
use crate::units::{BlockNumber, ByteCount, PAGE_BYTES, Sequence, StreamNumber, WallTime};

const MAGIC_BYTES: [u8; 4] = *b"rlBK";

/// Longest stream name that is kept in a block, in bytes; longer ones are cut.
pub const NAME_BYTES_MAX: usize = 128;

fields! {
    MAGIC: 4,
    PLACEMENT_CHECKSUM: 4,
    RING_UUID: 16,
    BLOCK: 4,
    DEVICE_BYTES: 8,
    LEDGER_AREA_BYTES: 8,
    BLOCK_COUNT: 4,
    BLOCK_BYTES: 8,
    PLACEMENT_RESERVED: 456,
    CONTENT_CHECKSUM: 4,
    ORIGIN_UUID: 16,
    LIFE: 8,
    STREAM: 4,
    START: 8,
    STREAM_UUID: 16,
    NAME: NAME_BYTES_MAX,
    CHAIN: 4,
}
const PLACEMENT: std::ops::Range<usize> = RING_UUID.start..PLACEMENT_RESERVED.end;
const CONTENT: std::ops::Range<usize> = CONTENT_CHECKSUM.end..PAGE_BYTES as usize;
const _: () = assert!(END <= PAGE_BYTES as usize);

/// The first page of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// The ring on whose device it lies.
    pub ring_uuid: [u8; 16],
    /// Which block of it.
    pub block: BlockNumber,
    /// Where the parts of the ring lay when the life began, so that they are found without any
    /// superblock. Headers of earlier programs don't say it.
    pub geometry: Option<Geometry>,
    /// The ring that it was recorded to.
    pub origin_uuid: [u8; 16],
    /// Which life of the block.
    pub life: Sequence,
    /// Whose samples.
    pub stream: StreamNumber,
    /// The stream, under a number that other rings know.
    pub stream_uuid: [u8; 16],
    /// The stream's name at that time; at most `NAME_BYTES_MAX` bytes.
    pub name: String,
    /// When the life began.
    pub start: WallTime,
    /// What the first chunk names as its predecessor, where that is not this page's content
    /// checksum: of a header that was written again from what others say. 0: it is.
    pub chain: u32,
}

impl BlockHeader {
    /// The page.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; PAGE_BYTES as usize];
        put(&mut page, MAGIC, MAGIC_BYTES);
        put(&mut page, RING_UUID, self.ring_uuid);
        put(&mut page, BLOCK, self.block.0.to_le_bytes());
        if let Some(geometry) = &self.geometry {
            put(&mut page, DEVICE_BYTES, geometry.length.0.to_le_bytes());
            put(&mut page, LEDGER_AREA_BYTES, geometry.ledger_area.0.to_le_bytes());
            put(&mut page, BLOCK_COUNT, geometry.block_count.to_le_bytes());
            put(&mut page, BLOCK_BYTES, geometry.block_length.0.to_le_bytes());
        }
        put(&mut page, ORIGIN_UUID, self.origin_uuid);
        put(&mut page, LIFE, self.life.0.to_le_bytes());
        put(&mut page, STREAM, self.stream.0.to_le_bytes());
        put(&mut page, STREAM_UUID, self.stream_uuid);
        put(&mut page, START, self.start.0.to_le_bytes());
        let name = &self.name.as_bytes()[..self.name.floor_char_boundary(NAME_BYTES_MAX)];
        page[NAME][..name.len()].copy_from_slice(name);
        put(&mut page, CHAIN, self.chain.to_le_bytes());
        let placement = crc32c::crc32c(&page[PLACEMENT]);
        put(&mut page, PLACEMENT_CHECKSUM, placement.to_le_bytes());
        let content = crc32c::crc32c(&page[CONTENT]);
        put(&mut page, CONTENT_CHECKSUM, content.to_le_bytes());
        page
    }

    /// Reads a page; `None` where it is not the header of a block.
    #[must_use]
    pub fn decode(page: &[u8]) -> Option<BlockHeader> {
        if page.len() < PAGE_BYTES as usize || page[MAGIC] != MAGIC_BYTES {
            return None;
        }
        let page = &page[..PAGE_BYTES as usize];
        if get_u32(page, PLACEMENT_CHECKSUM) != crc32c::crc32c(&page[PLACEMENT])
            || get_u32(page, CONTENT_CHECKSUM) != crc32c::crc32c(&page[CONTENT])
        {
            return None;
        }
        let name = page[NAME].split(|byte| *byte == 0).next().unwrap_or_default();
        Some(BlockHeader {
            ring_uuid: get(page, RING_UUID),
            block: BlockNumber(get_u32(page, BLOCK)),
            geometry: Geometry::of(
                ByteCount(get_u64(page, DEVICE_BYTES)),
                ByteCount(get_u64(page, LEDGER_AREA_BYTES)),
                get_u32(page, BLOCK_COUNT),
                ByteCount(get_u64(page, BLOCK_BYTES)),
            ),
            origin_uuid: get(page, ORIGIN_UUID),
            life: Sequence(get_u64(page, LIFE)),
            stream: StreamNumber(get_u32(page, STREAM)),
            stream_uuid: get(page, STREAM_UUID),
            name: String::from_utf8_lossy(name).into_owned(),
            start: WallTime(i64::from_le_bytes(get(page, START))),
            chain: get_u32(page, CHAIN),
        })
    }

    /// What the first chunk of the block names as its predecessor.
    #[must_use]
    pub fn seal(page: &[u8]) -> u32 {
        match get_u32(page, CHAIN) {
            0 => get_u32(page, CONTENT_CHECKSUM),
            chain => chain,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> BlockHeader {
        BlockHeader {
            ring_uuid: [1; 16],
            block: BlockNumber(7),
            geometry: Geometry::plan(ByteCount(100 << 20), None).ok(),
            origin_uuid: [2; 16],
            life: Sequence(99),
            stream: StreamNumber(3),
            stream_uuid: [4; 16],
            name: "front-door".into(),
            start: WallTime(5),
            chain: 0,
        }
    }

    #[test]
    fn what_was_written_is_read_and_the_content_is_the_same_in_another_place() {
        assert_eq!(BlockHeader::decode(&header().encode()), Some(header()));
        let placed = Geometry::plan(ByteCount(200 << 20), None).ok();
        let elsewhere =
            BlockHeader { ring_uuid: [8; 16], block: BlockNumber(1), geometry: placed, ..header() };
        let (here, there) = (header().encode(), elsewhere.encode());
        assert_eq!(here[CONTENT], there[CONTENT]);
        assert_eq!(BlockHeader::seal(&here), BlockHeader::seal(&there));
    }

    #[test]
    fn a_header_of_an_earlier_program_says_nothing_of_the_ring() {
        let earlier = BlockHeader { geometry: None, ..header() };
        assert_eq!(BlockHeader::decode(&earlier.encode()), Some(earlier));
    }

    #[test]
    fn a_header_that_was_written_again_goes_on_with_the_chain_that_is_there() {
        let again = BlockHeader { start: WallTime(6), chain: 0x1234_5678, ..header() };
        let page = again.encode();
        assert_eq!(BlockHeader::decode(&page), Some(again));
        assert_eq!(BlockHeader::seal(&page), 0x1234_5678);
    }

    #[test]
    fn a_long_name_is_cut_between_letters() {
        let long = BlockHeader { name: "ü".repeat(NAME_BYTES_MAX), ..header() };
        let read = BlockHeader::decode(&long.encode()).expect("a header");
        assert_eq!(read.name, "ü".repeat(NAME_BYTES_MAX / 2));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0..PAGE_BYTES as usize, mask in 1_u8..) {
            let mut page = header().encode();
            page[at] ^= mask;
            prop_assert_eq!(BlockHeader::decode(&page), None);
        }
    }
}
