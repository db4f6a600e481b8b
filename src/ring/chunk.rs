//! A chunk: header, parameter references, sample table, checksums, samples; padded to pages.
//!
//! The samples begin right behind the header, so that a slow stream does not pay for padding
//! twice. Their checksums cover units of 16 KiB counted from the first sample byte.

use super::layout::{checksum_around, fields, get, get_u32, get_u64, put};
use super::page::COUNT_MAX;
use crate::device::AlignedBuffer;
use crate::units::{ByteCount, ClipId, PAGE_BYTES, Sequence, StreamNumber};

const MAGIC_BYTES: [u8; 4] = *b"rlCH";

/// Samples that one checksum covers, in bytes.
pub const UNIT_BYTES: u32 = 16 << 10;

fields! {
    MAGIC: 4,
    /// Covers the whole header: fields, references, table, unit checksums.
    CHECKSUM: 4,
    HEADER_LENGTH: 4,
    DATA_LENGTH: 4,
    KIND: 1,
    PARAMETER_COUNT: 1,
    RESERVED: 2,
    STREAM: 4,
    RING_UUID: 16,
    LIFE: 8,
    CLIP: 8,
    NUMBER_IN_CLIP: 4,
    NUMBER_IN_BLOCK: 4,
    PREDECESSOR: 4,
    TABLE_LENGTH: 4,
    EPOCH: 8,
    DIGEST: 32,
}

/// Length of the fixed part of a header, in bytes.
pub const FIXED_BYTES: usize = END;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// Samples.
    Media,
    /// A parameter set.
    Parameters,
    /// A piece of a clip's table.
    Table,
    /// Nothing: space that can't be used.
    Hole,
}

impl ChunkKind {
    const ALL: [ChunkKind; 4] =
        [ChunkKind::Media, ChunkKind::Parameters, ChunkKind::Table, ChunkKind::Hole];

    pub(super) fn code(self) -> u8 {
        match self {
            ChunkKind::Media => 1,
            ChunkKind::Parameters => 2,
            ChunkKind::Table => 3,
            ChunkKind::Hole => 4,
        }
    }

    fn from_code(code: u8) -> Option<ChunkKind> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The fixed part of a chunk's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// What it holds.
    pub kind: ChunkKind,
    /// The ring that it was written to.
    pub ring_uuid: [u8; 16],
    /// The life of its block.
    pub life: Sequence,
    /// The clip that it belongs to; that which needed it first for a parameter set.
    pub clip: ClipId,
    /// The stream.
    pub stream: StreamNumber,
    /// Counts the media chunks of the clip from 0.
    pub number_in_clip: u32,
    /// Counts the chunks of the block from 0.
    pub number_in_block: u32,
    /// Header checksum of the chunk before it in the block, or the seal of the block's header: a
    /// stale tail of an earlier life, or of an earlier try, does not continue the chain.
    pub predecessor: u32,
    /// Flushes of the ring that had completed when it was written. A chunk with a lower epoch
    /// than any other durable thing was covered by a flush.
    pub epoch: u64,
    /// Length of the header with references, table and unit checksums, in bytes.
    pub header_length: u32,
    /// Length of what follows, in bytes.
    pub data_length: u32,
    /// BLAKE3 of the data.
    pub digest: [u8; 32],
    /// Header checksum.
    pub checksum: u32,
}

/// A whole header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The fixed part.
    pub fixed: ChunkHeader,
    /// Where its parameter sets are: first pages in the same block, in the table's order.
    pub parameter_pages: Vec<u32>,
    /// Opaque sample table.
    pub table: Vec<u8>,
    /// CRC32C of each unit of the data.
    pub unit_checksums: Vec<u32>,
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// First pages of its parameter sets in the same block.
    pub parameter_pages: &'a [u32],
    /// Opaque sample table.
    pub table: &'a [u8],
    /// The data.
    pub data: &'a [u8],
}

/// Length of a header, in bytes.
#[must_use]
pub fn header_length(parameters: usize, table_length: usize, data_length: usize) -> usize {
    let units = data_length.div_ceil(UNIT_BYTES as usize);
    FIXED_BYTES + 4 * parameters + table_length + 4 * units
}

/// Pages that a chunk takes.
#[must_use]
pub fn page_count(parameters: usize, table_length: usize, data_length: usize) -> u32 {
    let bytes = header_length(parameters, table_length, data_length) + data_length;
    (bytes as u64).div_ceil(PAGE_BYTES) as u32
}

/// Bytes of samples that fit `pages` pages beside a header of at most this size.
#[must_use]
pub fn data_room(pages: u32, parameters: usize, table_length: usize) -> Option<usize> {
    let bytes = pages as usize * PAGE_BYTES as usize;
    let units = bytes.div_ceil(UNIT_BYTES as usize);
    let header = FIXED_BYTES + 4 * parameters + table_length + 4 * units;
    bytes.checked_sub(header).filter(|room| *room > 0)
}

/// Writes a chunk into `pages`, which must be as long as [`page_count`] says; sets lengths, digest
/// and checksum in `fixed`.
pub fn encode(fixed: &mut ChunkHeader, content: &Content<'_>, pages: &mut [u8]) {
    let Content { parameter_pages, table, data } = *content;
    let length = header_length(parameter_pages.len(), table.len(), data.len());
    fixed.header_length = length as u32;
    fixed.data_length = data.len() as u32;
    fixed.digest = *blake3::hash(data).as_bytes();
    let (header, rest) = pages.split_at_mut(length);
    put(header, MAGIC, MAGIC_BYTES);
    put(header, HEADER_LENGTH, fixed.header_length.to_le_bytes());
    put(header, DATA_LENGTH, fixed.data_length.to_le_bytes());
    put(header, KIND, [fixed.kind.code()]);
    put(header, PARAMETER_COUNT, [parameter_pages.len() as u8]);
    put(header, STREAM, fixed.stream.0.to_le_bytes());
    put(header, RING_UUID, fixed.ring_uuid);
    put(header, LIFE, fixed.life.0.to_le_bytes());
    put(header, CLIP, fixed.clip.number().to_le_bytes());
    put(header, NUMBER_IN_CLIP, fixed.number_in_clip.to_le_bytes());
    put(header, NUMBER_IN_BLOCK, fixed.number_in_block.to_le_bytes());
    put(header, PREDECESSOR, fixed.predecessor.to_le_bytes());
    put(header, TABLE_LENGTH, (table.len() as u32).to_le_bytes());
    put(header, EPOCH, fixed.epoch.to_le_bytes());
    put(header, DIGEST, fixed.digest);
    let mut at = END;
    let pages_of_sets = parameter_pages.iter().flat_map(|page| page.to_le_bytes());
    let units = data.chunks(UNIT_BYTES as usize).flat_map(|u| crc32c::crc32c(u).to_le_bytes());
    let variable: Vec<u8> = pages_of_sets.chain(table.iter().copied()).chain(units).collect();
    header[at..at + variable.len()].copy_from_slice(&variable);
    at += variable.len();
    debug_assert_eq!(at, length);
    fixed.checksum = checksum_around(header, CHECKSUM);
    put(header, CHECKSUM, fixed.checksum.to_le_bytes());
    rest[..data.len()].copy_from_slice(data);
}

/// Gives a whole chunk that [`encode`] wrote another epoch; answers its checksum then.
pub fn stamp(fixed: &mut ChunkHeader, epoch: u64, pages: &mut [u8]) -> u32 {
    let header = &mut pages[..fixed.header_length as usize];
    put(header, EPOCH, epoch.to_le_bytes());
    (fixed.epoch, fixed.checksum) = (epoch, checksum_around(header, CHECKSUM));
    put(header, CHECKSUM, fixed.checksum.to_le_bytes());
    fixed.checksum
}

/// What the beginning of a page says about a header.
#[derive(Debug, PartialEq, Eq)]
pub enum Peek {
    /// No chunk begins here.
    Nothing,
    /// A header of this length, in bytes, seems to begin here; its checksum is not verified yet.
    Header(usize),
}

/// Looks at the first page of what may be a chunk: how much has to be read for its header.
/// `room` is what is left of the block, in bytes.
#[must_use]
pub fn peek(page: &[u8], room: u64) -> Peek {
    if page.len() < END || page[MAGIC] != MAGIC_BYTES {
        return Peek::Nothing;
    }
    let header_length = get_u32(page, HEADER_LENGTH);
    let total = u64::from(header_length) + u64::from(get_u32(page, DATA_LENGTH));
    if (header_length as usize) < END || total > room {
        return Peek::Nothing;
    }
    Peek::Header(header_length as usize)
}

/// Whether a page begins as a chunk does.
#[must_use]
pub fn may_begin(page: &[u8]) -> bool {
    page.starts_with(&MAGIC_BYTES)
}

/// Reads a header; `None` where its checksum or its lengths are wrong. `bytes` may be longer.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Header> {
    let Peek::Header(length) = peek(bytes, u64::MAX) else { return None };
    let header = bytes.get(..length)?;
    let checksum = get_u32(header, CHECKSUM);
    if checksum != checksum_around(header, CHECKSUM) {
        return None;
    }
    let parameters = usize::from(get::<1>(header, PARAMETER_COUNT)[0]);
    let table_length = get_u32(header, TABLE_LENGTH) as usize;
    let data_length = get_u32(header, DATA_LENGTH);
    let units = (data_length as usize).div_ceil(UNIT_BYTES as usize);
    let (sets, rest) = header[END..].split_at_checked(4 * parameters)?;
    let (table, rest) = rest.split_at_checked(table_length)?;
    if rest.len() != 4 * units {
        return None;
    }
    let epoch = get_u64(header, EPOCH);
    if epoch > COUNT_MAX {
        return None;
    }
    let fixed = ChunkHeader {
        kind: ChunkKind::from_code(get::<1>(header, KIND)[0])?,
        ring_uuid: get(header, RING_UUID),
        life: Sequence(get_u64(header, LIFE)),
        clip: ClipId(Sequence(get_u64(header, CLIP))),
        stream: StreamNumber(get_u32(header, STREAM)),
        number_in_clip: get_u32(header, NUMBER_IN_CLIP),
        number_in_block: get_u32(header, NUMBER_IN_BLOCK),
        predecessor: get_u32(header, PREDECESSOR),
        epoch,
        header_length: length as u32,
        data_length,
        digest: get(header, DIGEST),
        checksum,
    };
    Some(Header {
        fixed,
        parameter_pages: numbers(sets),
        table: table.to_vec(),
        unit_checksums: numbers(rest),
    })
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|four| get_u32(four, 0..4)).collect()
}

impl ChunkHeader {
    /// Pages that the chunk takes.
    #[must_use]
    pub fn pages(&self) -> u32 {
        let bytes = u64::from(self.header_length) + u64::from(self.data_length);
        bytes.div_ceil(PAGE_BYTES) as u32
    }

    /// Length of the pages that hold the header, in bytes.
    #[must_use]
    pub fn header_pages_length(&self) -> ByteCount {
        ByteCount(u64::from(self.header_length)).rounded_up(PAGE_BYTES)
    }
}

/// The first unit in `units` (counted from `first_unit`) whose checksum is wrong.
/// `data` begins with that unit and ends with the last byte of a unit or of the chunk.
#[must_use]
pub fn first_damaged(header: &[u32], first_unit: usize, data: &[u8]) -> Option<usize> {
    data.chunks(UNIT_BYTES as usize).enumerate().find_map(|(index, unit)| {
        let expected = header.get(first_unit + index)?;
        (crc32c::crc32c(unit) != *expected).then_some(first_unit + index)
    })
}

/// A whole chunk in memory that device writes can take.
#[must_use]
pub fn buffer_for(pages: u32) -> AlignedBuffer {
    AlignedBuffer::zeroed(pages as usize * PAGE_BYTES as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fixed() -> ChunkHeader {
        ChunkHeader {
            kind: ChunkKind::Media,
            ring_uuid: [1; 16],
            life: Sequence(2),
            clip: ClipId(Sequence(3)),
            stream: StreamNumber(4),
            number_in_clip: 5,
            number_in_block: 6,
            predecessor: 7,
            epoch: 8,
            header_length: 0,
            data_length: 0,
            digest: [0; 32],
            checksum: 0,
        }
    }

    fn encoded(sets: &[u32], table: &[u8], data: &[u8]) -> (ChunkHeader, Vec<u8>) {
        let mut fixed = fixed();
        let mut pages = buffer_for(page_count(sets.len(), table.len(), data.len()));
        let content = Content { parameter_pages: sets, table, data };
        encode(&mut fixed, &content, &mut pages);
        (fixed, pages.to_vec())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            sets in proptest::collection::vec(any::<u32>(), 0..5),
            table in proptest::collection::vec(any::<u8>(), 0..6_000),
            length in 0_usize..70_000,
        ) {
            let data: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
            let (fixed, pages) = encoded(&sets, &table, &data);
            prop_assert_eq!(pages.len(), fixed.pages() as usize * PAGE_BYTES as usize);
            let header = decode(&pages).expect("a header");
            let start = header.fixed.header_length as usize;
            prop_assert_eq!(&pages[start..start + length], &data[..]);
            prop_assert_eq!(first_damaged(&header.unit_checksums, 0, &data), None);
            prop_assert_eq!(header.fixed.digest, *blake3::hash(&data).as_bytes());
            prop_assert_eq!((header.fixed, header.parameter_pages, header.table),
                (fixed, sets, table));
        }

        #[test]
        fn a_changed_byte_of_a_header_is_noticed(at in 0_usize..200, mask in 1_u8..) {
            let (fixed, mut pages) = encoded(&[1, 2], &[3; 100], &[4; 20_000]);
            prop_assume!(at < fixed.header_length as usize);
            pages[at] ^= mask;
            prop_assert_eq!(decode(&pages), None);
        }

        #[test]
        fn a_changed_byte_of_a_sample_is_in_its_unit(at in 0_usize..60_000, mask in 1_u8..) {
            let mut data = vec![5; 60_000];
            let (_, pages) = encoded(&[], &[], &data);
            let header = decode(&pages).expect("a header");
            data[at] ^= mask;
            let damaged = first_damaged(&header.unit_checksums, 0, &data);
            prop_assert_eq!(damaged, Some(at / UNIT_BYTES as usize));
        }

        #[test]
        fn any_bytes_with_a_right_checksum_are_a_header_or_not(
            at in MAGIC.end..FIXED_BYTES, bytes in any::<[u8; 4]>(),
        ) {
            let (_, mut pages) = encoded(&[1], &[2; 50], &[3; 5_000]);
            let to = (at + 4).min(FIXED_BYTES);
            pages[at..to].copy_from_slice(&bytes[..to - at]);
            let length = get_u32(&pages, HEADER_LENGTH) as usize;
            if (FIXED_BYTES..=pages.len()).contains(&length) {
                let checksum = checksum_around(&pages[..length], CHECKSUM);
                put(&mut pages, CHECKSUM, checksum.to_le_bytes());
            }
            // Reading it answers; with lengths that agree with one another.
            if let Some(header) = decode(&pages) {
                let units = (header.fixed.data_length as usize).div_ceil(UNIT_BYTES as usize);
                prop_assert_eq!(header.unit_checksums.len(), units);
            }
        }
    }
}
