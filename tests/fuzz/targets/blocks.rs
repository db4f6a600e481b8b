//! Blocks: their headers, the chunks in them, and the clip tables among these.

use reelfs::ring::{Fact, Inspection};
use reelfs::units::{BlockNumber, ClipId, Sequence};

use super::Seed;
use super::disk::{Disk, Image};
use super::footage::{contents, parameters, table};
use super::image::{base, exercise, superblock};
use super::input::{Input, Output};
use super::seal::{Chain, PAGE, UUID, block, chunk, seal_block};

/// What the first byte of a step asks for.
const PATCH: u8 = 0;
const CHUNK: u8 = 1;
const HEADER: u8 = 2;
const TABLE: u8 = 3;
const STEPS: u8 = 4;

fn block_length() -> usize {
    superblock().geometry.block_length.0 as usize
}

fn block_start(number: u8) -> u64 {
    let blocks = superblock().geometry.block_count;
    superblock().geometry.block_start(BlockNumber(u32::from(number) % blocks)).0
}

fn seal_all(image: &mut Image) {
    for number in 0..superblock().geometry.block_count as u8 {
        seal_block(image, block_start(number), block_length());
    }
}

/// Changes some bytes of a block.
fn patch(image: &mut Image, input: &mut Input<'_>) {
    let start = block_start(input.byte());
    let at = usize::from(input.byte()) * PAGE + usize::from(input.u16()) % PAGE;
    let length = usize::from(input.byte());
    let bytes = input.take(length);
    let room = block_length() - at;
    image.write(start + at as u64, &bytes[..bytes.len().min(room)]);
}

/// What a chunk is to say; the rest follows from where it stands.
struct Forged<'a> {
    kind: u8,
    stream: u8,
    clip: u64,
    number_in_clip: u8,
    references: Vec<u32>,
    table: &'a [u8],
    data: &'a [u8],
}

impl<'a> Forged<'a> {
    fn read(input: &mut Input<'a>) -> Forged<'a> {
        let kind = input.byte();
        let stream = input.byte();
        // Session and counter of a clip of the real ring, or near.
        let clip = u64::from(input.byte()) << 40 | u64::from(input.byte());
        let number_in_clip = input.byte();
        let count = input.byte() % 4;
        let references = (0..count).map(|_| u32::from(input.byte())).collect();
        let (table, data) = (input.part(), input.part());
        Forged { kind, stream, clip, number_in_clip, references, table, data }
    }

    fn encode(&self, chain: &Chain) -> Vec<u8> {
        let units = self.data.len().div_ceil(chunk::UNIT);
        let header = chunk::FIXED + 4 * self.references.len() + self.table.len() + 4 * units;
        let mut bytes = vec![0; header];
        bytes[..4].copy_from_slice(chunk::MAGIC);
        bytes[chunk::HEADER_LENGTH].copy_from_slice(&(header as u32).to_le_bytes());
        bytes[chunk::DATA_LENGTH].copy_from_slice(&(self.data.len() as u32).to_le_bytes());
        bytes[chunk::KIND] = self.kind;
        bytes[chunk::PARAMETERS] = self.references.len() as u8;
        bytes[chunk::STREAM].copy_from_slice(&u32::from(self.stream).to_le_bytes());
        bytes[chunk::RING_UUID].copy_from_slice(&UUID);
        bytes[chunk::LIFE].copy_from_slice(&chain.life);
        bytes[chunk::CLIP].copy_from_slice(&self.clip.to_le_bytes());
        let number = u32::from(self.number_in_clip);
        bytes[chunk::NUMBER_IN_CLIP].copy_from_slice(&number.to_le_bytes());
        bytes[chunk::NUMBER_IN_BLOCK].copy_from_slice(&chain.chunks.to_le_bytes());
        bytes[chunk::TABLE_LENGTH].copy_from_slice(&(self.table.len() as u32).to_le_bytes());
        bytes[chunk::EPOCH].copy_from_slice(&u64::MAX.wrapping_shr(2).to_le_bytes());
        let mut at = chunk::FIXED;
        for page in &self.references {
            bytes[at..at + 4].copy_from_slice(&page.to_le_bytes());
            at += 4;
        }
        bytes[at..at + self.table.len()].copy_from_slice(self.table);
        bytes.extend_from_slice(self.data);
        bytes
    }
}

/// Adds a chunk behind the last one of a block.
fn add_chunk(image: &mut Image, input: &mut Input<'_>) {
    let start = block_start(input.byte());
    let forged = Forged::read(input);
    let Some(chain) = seal_block(image, start, block_length()) else { return };
    let bytes = forged.encode(&chain);
    if chain.end_page * PAGE + bytes.len() <= block_length() {
        image.write(start + (chain.end_page * PAGE) as u64, &bytes);
    }
}

/// Begins another life of a block.
fn new_header(image: &mut Image, input: &mut Input<'_>) {
    let number = input.byte();
    let start = block_start(number);
    let mut page = vec![0; PAGE];
    page[..4].copy_from_slice(block::MAGIC);
    page[block::RING_UUID].copy_from_slice(&UUID);
    let number = u32::from(number) % superblock().geometry.block_count;
    page[block::BLOCK].copy_from_slice(&number.to_le_bytes());
    let life = u64::from(input.byte()) << 40 | u64::from(input.byte());
    page[block::LIFE].copy_from_slice(&life.to_le_bytes());
    page[block::STREAM].copy_from_slice(&u32::from(input.byte()).to_le_bytes());
    image.write(start, &page);
    // What was behind the old one is not chunks of this life.
    image.write(start + PAGE as u64, &vec![0; PAGE]);
}

/// Where the table of a clip lies on the disk, and the length of its pages.
fn table_place() -> (u64, usize) {
    static PLACE: std::sync::OnceLock<(u64, usize)> = std::sync::OnceLock::new();
    *PLACE.get_or_init(|| {
        let disk = Disk::from_image(base());
        let inspection = Inspection::open(&*disk).expect("a ring");
        let extent = inspection.clips().find_map(|(_, record)| record.table.first().copied());
        let extent = extent.expect("a clip with a table");
        let geometry = superblock().geometry;
        let length = (extent.end_page - extent.first_page) as usize * PAGE;
        (geometry.page_start(extent.block, extent.first_page).0, length)
    })
}

/// Puts other contents into a clip's table, as many bytes as it had.
fn other_table(image: &mut Image, input: &mut Input<'_>) {
    let (start, length) = table_place();
    let mut bytes = vec![0; length];
    image.read(start, &mut bytes);
    let header = super::seal::u32_at(&bytes, chunk::HEADER_LENGTH) as usize;
    let contents = input.part();
    let contents = &contents[..contents.len().min(length.saturating_sub(header))];
    if header > length {
        return;
    }
    bytes[header..header + contents.len()].copy_from_slice(contents);
    bytes[chunk::DATA_LENGTH].copy_from_slice(&(contents.len() as u32).to_le_bytes());
    image.write(start, &bytes);
}

pub fn run(data: &[u8]) {
    exercise(changed(data));
}

fn changed(data: &[u8]) -> Image {
    let mut image = base();
    change(&mut image, data);
    image
}

/// Takes the steps that the input asks for, and seals all blocks.
pub fn change(image: &mut Image, data: &[u8]) {
    let mut input = Input(data);
    while !input.is_empty() {
        match input.byte() % STEPS {
            PATCH => patch(image, &mut input),
            CHUNK => add_chunk(image, &mut input),
            HEADER => new_header(image, &mut input),
            _ => other_table(image, &mut input),
        }
    }
    seal_all(image);
}

/// Low byte of session and of counter: how steps name clips and lives.
fn short(sequence: Sequence) -> [u8; 2] {
    [(sequence.0 >> 40) as u8, sequence.0 as u8]
}

pub fn seeds() -> Vec<Seed> {
    let disk = Disk::from_image(base());
    let inspection = Inspection::open(&*disk).expect("a ring");
    let closed: Vec<ClipId> = inspection.clips().map(|(clip, _)| clip).collect();
    let blocks = (0..superblock().geometry.block_count).map(BlockNumber);
    let mut growing = blocks.filter_map(|block| {
        let last = inspection.chunks(block).ok()?.pop()?;
        (!closed.contains(&last.clip)).then_some((block.0 as u8, last))
    });
    let (block, last) = growing.next_back().expect("a clip that grows");
    let (stream, next) = (last.stream.0 as u8, last.number_in_clip as u8 + 1);
    let reserved = inspection.facts.iter().rev().find_map(|fact| match fact {
        Fact::Reserved { block, life } => Some((block.0 as u8, short(*life))),
        _ => None,
    });
    let (free, life) = reserved.expect("a block that is reserved");
    let table_bytes = table(2).encode();
    let data = vec![9; table(2).byte_count() as usize];
    let chunk = |to: Output, block: u8, kind: u8, number: u8, table: &[u8], data: &[u8]| {
        let references: &[u8] = if table.is_empty() { &[0] } else { &[2, 1, 2] };
        let to = to.bytes(&[CHUNK, block, kind, stream]).bytes(&short(last.clip.0));
        to.bytes(&[number]).bytes(references).part(table).part(data)
    };
    let sets = parameters();
    let header = Output::default().bytes(&[HEADER, free]).bytes(&life).bytes(&[stream]);
    let new_life = chunk(header, free, 2, next, &[], &sets[0]);
    let new_life = chunk(new_life, free, 2, next, &[], &sets[1]);
    vec![
        ("patch", Output::default().bytes(&[PATCH, 0, 1, 60, 0, 4, 1, 2, 3, 4]).0),
        ("chunk", chunk(Output::default(), block, 1, next, &table_bytes, &data).0),
        ("life", chunk(new_life, free, 1, next, &table_bytes, &data).0),
        ("table", Output::default().bytes(&[TABLE]).part(&contents(14).encode()).0),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::image::chunks_found;
    use super::*;

    #[test]
    fn sealing_a_sound_ring_changes_nothing() {
        assert!(changed(&[]).bytes() == base().bytes());
    }

    #[test]
    fn what_the_seeds_forge_gets_past_every_checksum() {
        let found = |name: &str| {
            let seed = seeds().into_iter().find(|(known, _)| *known == name);
            chunks_found(changed(&seed.expect("a seed").1))
        };
        let before = chunks_found(base());
        assert_eq!(found("chunk"), before + 1);
        assert_eq!(found("life"), before + 1);
    }
}
