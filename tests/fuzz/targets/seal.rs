//! Makes checksums good again behind whatever the fuzzer has changed: places and rules of
//! `src/ring/FORMAT.md`, written down a second time so that both have to be right.

use std::ops::Range;

use super::disk::Image;

pub const PAGE: usize = 4096;

pub const UUID: [u8; 16] = [1; 16];

/// Checksum of a superblock.
pub const SUPERBLOCK_CHECKSUM: Range<usize> = 8..12;

/// Fields of a ledger page.
pub mod ledger {
    use std::ops::Range;

    pub const MAGIC: &[u8] = b"rlLP";
    pub const CHECKSUM: Range<usize> = 4..8;
    pub const RING_UUID: Range<usize> = 8..24;
    pub const GENERATION: Range<usize> = 24..32;
    pub const EPOCH: Range<usize> = 32..40;
    pub const NUMBER: Range<usize> = 40..44;
    pub const PREVIOUS: Range<usize> = 44..48;
    pub const USED: Range<usize> = 48..50;
    pub const FLAGS: Range<usize> = 50..52;
    pub const FLUSHED_PAGES: Range<usize> = 52..56;
    pub const RECORDS: Range<usize> = 56..super::PAGE;
}

/// Fields of a block's header.
pub mod block {
    use std::ops::Range;

    pub const MAGIC: &[u8] = b"rlBK";
    pub const PLACEMENT_CHECKSUM: Range<usize> = 4..8;
    pub const RING_UUID: Range<usize> = 8..24;
    pub const BLOCK: Range<usize> = 24..28;
    pub const PLACEMENT: Range<usize> = 8..512;
    pub const CONTENT_CHECKSUM: Range<usize> = 512..516;
    pub const CONTENT: Range<usize> = 516..super::PAGE;
    pub const LIFE: Range<usize> = 532..540;
    pub const STREAM: Range<usize> = 540..544;
    pub const CHAIN: Range<usize> = 696..700;
}

/// Fields of a chunk's header.
pub mod chunk {
    use std::ops::Range;

    pub const MAGIC: &[u8] = b"rlCH";
    pub const CHECKSUM: Range<usize> = 4..8;
    pub const HEADER_LENGTH: Range<usize> = 8..12;
    pub const DATA_LENGTH: Range<usize> = 12..16;
    pub const KIND: usize = 16;
    pub const PARAMETERS: usize = 17;
    pub const STREAM: Range<usize> = 20..24;
    pub const RING_UUID: Range<usize> = 24..40;
    pub const LIFE: Range<usize> = 40..48;
    pub const CLIP: Range<usize> = 48..56;
    pub const NUMBER_IN_CLIP: Range<usize> = 56..60;
    pub const NUMBER_IN_BLOCK: Range<usize> = 60..64;
    pub const PREDECESSOR: Range<usize> = 64..68;
    pub const TABLE_LENGTH: Range<usize> = 68..72;
    pub const EPOCH: Range<usize> = 72..80;
    pub const DIGEST: Range<usize> = 80..112;
    pub const FIXED: usize = 112;
    pub const UNIT: usize = 16 << 10;
}

pub fn u32_at(bytes: &[u8], field: Range<usize>) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[field]);
    u32::from_le_bytes(number)
}

/// Writes the checksum of `bytes` into its field, which counts as zeros.
pub fn seal(bytes: &mut [u8], field: Range<usize>) -> u32 {
    bytes[field.clone()].fill(0);
    let checksum = crc32c::crc32c(bytes);
    bytes[field].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

fn seal_block_header(page: &mut [u8]) -> u32 {
    let placement = crc32c::crc32c(&page[block::PLACEMENT]);
    page[block::PLACEMENT_CHECKSUM].copy_from_slice(&placement.to_le_bytes());
    let content = crc32c::crc32c(&page[block::CONTENT]);
    page[block::CONTENT_CHECKSUM].copy_from_slice(&content.to_le_bytes());
    match u32_at(page, block::CHAIN) {
        0 => content,
        chain => chain,
    }
}

/// Where the chunks of a block end.
pub struct Chain {
    /// Behind the last chunk, in pages.
    pub end_page: usize,
    /// How many there are.
    pub chunks: u32,
    /// What the next one names.
    pub seal: u32,
    pub life: [u8; 8],
}

/// Seals the header of the block at `start`, in bytes from the beginning of the disk, and every
/// chunk in it, each naming the one before; `None` where no block begins there.
pub fn seal_block(image: &mut Image, start: u64, length: usize) -> Option<Chain> {
    let mut page = vec![0; PAGE];
    image.read(start, &mut page);
    if !page.starts_with(block::MAGIC) {
        return None;
    }
    let mut life = [0; 8];
    life.copy_from_slice(&page[block::LIFE]);
    let mut chain = Chain { end_page: 1, chunks: 0, seal: seal_block_header(&mut page), life };
    image.write(start, &page);
    while let Some(pages) = seal_chunk(image, start, length, &mut chain) {
        chain.end_page += pages;
        chain.chunks += 1;
    }
    Some(chain)
}

/// Seals the chunk at the end of the chain; answers how many pages it takes.
fn seal_chunk(image: &mut Image, start: u64, length: usize, chain: &mut Chain) -> Option<usize> {
    let room = length.checked_sub(chain.end_page * PAGE).filter(|room| *room >= PAGE)?;
    let at = start + (chain.end_page * PAGE) as u64;
    let mut bytes = vec![0; PAGE];
    image.read(at, &mut bytes);
    if !bytes.starts_with(chunk::MAGIC) {
        return None;
    }
    let header = u32_at(&bytes, chunk::HEADER_LENGTH) as usize;
    let data = u32_at(&bytes, chunk::DATA_LENGTH) as usize;
    let total = header.checked_add(data).filter(|total| *total <= room)?;
    if header < chunk::FIXED {
        return None;
    }
    let pages = total.div_ceil(PAGE);
    bytes.resize(pages * PAGE, 0);
    image.read(at, &mut bytes);
    seal_data(&mut bytes, header, data);
    bytes[chunk::PREDECESSOR].copy_from_slice(&chain.seal.to_le_bytes());
    chain.seal = seal(&mut bytes[..header], chunk::CHECKSUM);
    image.write(at, &bytes);
    Some(pages)
}

/// Digest and unit checksums of a chunk, where its lengths agree.
fn seal_data(bytes: &mut [u8], header: usize, data: usize) {
    let digest = *blake3::hash(&bytes[header..header + data]).as_bytes();
    bytes[chunk::DIGEST].copy_from_slice(&digest);
    let units = 4 * data.div_ceil(chunk::UNIT);
    let references = 4 * usize::from(bytes[chunk::PARAMETERS]);
    let table = u32_at(bytes, chunk::TABLE_LENGTH) as usize;
    if chunk::FIXED + references + table + units != header {
        return;
    }
    let sums: Vec<u8> = bytes[header..header + data]
        .chunks(chunk::UNIT)
        .flat_map(|unit| crc32c::crc32c(unit).to_le_bytes())
        .collect();
    bytes[header - units..header].copy_from_slice(&sums);
}
