//! Trying what is on the device against what was written: headers, chains, every unit of samples.
//!
//! [`ExtentTrial`] goes through the chunks of an extent in the order in which they lie. Where one
//! can't be read it looks for the next one that is sound, so that damage costs what it hit.

mod fault;
mod inspected;
mod live;
mod window;

pub use fault::{Fault, Wrong};
pub use inspected::{NoTable, SuperblockCopy, UnknownClip, superblock_copies};
pub use live::{HeldExtent, Scrubbed};
pub use window::Pace;

use std::ops::Range;

use super::blocks::BlockReader;
use super::chunk::{self, ChunkKind, Header, Peek, UNIT_BYTES};
use super::types::{ChunkPlace, Extent};
use crate::units::{ByteCount, ClipId, PAGE_BYTES};
use window::Window;

/// How thoroughly an extent is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Headers and their chain; what lies between them is not read.
    Headers,
    /// Every checksum and digest of the data, too.
    Data,
}

/// A chunk whose header is sound.
#[derive(Clone, Debug)]
pub struct TriedChunk {
    /// What it holds.
    pub kind: ChunkKind,
    /// The clip that it names.
    pub clip: ClipId,
    /// Its number in the clip.
    pub number_in_clip: u32,
    /// Where it is.
    pub place: ChunkPlace,
    /// Pages that it takes, from the beginning of the block.
    pub pages: Range<u32>,
    /// First pages of its parameter sets, in the same block.
    pub parameter_pages: Vec<u32>,
    /// Opaque sample table.
    pub table: Vec<u8>,
    /// BLAKE3 of its data, as the header has it.
    pub digest: [u8; 32],
    /// What is wrong with it all the same.
    pub faults: Vec<Fault>,
}

/// What a step of a trial came to.
#[derive(Clone, Debug)]
pub enum Tried {
    /// A chunk.
    Chunk(Box<TriedChunk>),
    /// Pages where no chunk can be made out, or what is wrong with the extent as a whole.
    Lost(Fault),
}

/// The chunks of an extent, each tried.
pub struct ExtentTrial<'a> {
    reader: BlockReader<'a>,
    extent: Extent,
    depth: Depth,
    window: Window<'a>,
    page: u32,
    number: u32,
    predecessor: Option<u32>,
    /// Chunks that are sound.
    found: u32,
    /// Something was passed over: what is said of the end would follow from that.
    lost: bool,
    ended: bool,
}

impl<'a> ExtentTrial<'a> {
    /// Reads `stride` bytes at once at most where data is tried, and asks `pace` before each read.
    /// The extent has to lie in its block, as the facts in force do.
    #[must_use]
    pub fn new(
        reader: BlockReader<'a>,
        extent: &Extent,
        depth: Depth,
        stride: ByteCount,
        pace: &'a mut Pace<'a>,
    ) -> ExtentTrial<'a> {
        let stride = if depth == Depth::Headers { ByteCount(PAGE_BYTES) } else { stride };
        ExtentTrial {
            reader,
            extent: *extent,
            depth,
            window: Window::new(reader, extent.block, extent.end_page, stride, pace),
            page: extent.first_page,
            number: extent.first_chunk,
            predecessor: None,
            found: 0,
            lost: false,
            ended: false,
        }
    }

    /// The header of the chunk that begins at a page.
    fn header(&mut self, page: u32) -> Result<Header, Wrong> {
        let unreadable = |reason| Wrong::Unreadable { reason };
        let start = u64::from(page) * PAGE_BYTES;
        let room = u64::from(self.extent.end_page.saturating_sub(page)) * PAGE_BYTES;
        let first = self.window.bytes(start..start + PAGE_BYTES).map_err(unreadable)?;
        let Peek::Header(length) = chunk::peek(first, room) else { return Err(Wrong::NoHeader) };
        let whole = self.window.bytes(start..start + length as u64).map_err(unreadable)?;
        let header = chunk::decode(whole).ok_or(Wrong::NoHeader)?;
        let fixed = &header.fixed;
        if fixed.ring_uuid != *self.reader.ring_uuid() || fixed.life != self.extent.life {
            return Err(Wrong::OtherLife { life: fixed.life });
        }
        Ok(header)
    }

    fn end_number(&self) -> u32 {
        self.extent.first_chunk.saturating_add(self.extent.chunks)
    }

    fn accept(&mut self, header: Header) -> TriedChunk {
        let fixed = &header.fixed;
        let pages = self.page..self.page.saturating_add(fixed.pages());
        let mut chunk = TriedChunk {
            kind: fixed.kind,
            clip: fixed.clip,
            number_in_clip: fixed.number_in_clip,
            place: ChunkPlace {
                block: self.extent.block,
                life: self.extent.life,
                first_page: self.page,
                header_length: fixed.header_length,
                data_length: fixed.data_length,
            },
            pages: pages.clone(),
            parameter_pages: header.parameter_pages.clone(),
            table: header.table.clone(),
            digest: fixed.digest,
            faults: Vec::new(),
        };
        let mut wrong = Vec::new();
        if let Some(expected) = self.predecessor.filter(|known| *known != fixed.predecessor) {
            wrong.push(Wrong::OtherPredecessor { found: fixed.predecessor, expected });
        }
        if self.depth == Depth::Data {
            wrong.extend(self.data(&header));
        }
        chunk.faults = wrong.into_iter().map(|wrong| chunk.fault(wrong)).collect();
        self.page = pages.end;
        self.number = fixed.number_in_block.saturating_add(1);
        self.predecessor = Some(fixed.checksum);
        self.found += 1;
        chunk
    }

    /// Tries the data of the chunk at the present page.
    fn data(&mut self, header: &Header) -> Option<Wrong> {
        let fixed = &header.fixed;
        let start = u64::from(self.page) * PAGE_BYTES + u64::from(fixed.header_length);
        let end = start + u64::from(fixed.data_length);
        let mut damaged = Vec::new();
        let mut digest = blake3::Hasher::new();
        for (number, expected) in (0_u32..).zip(&header.unit_checksums) {
            let at = start + u64::from(number) * u64::from(UNIT_BYTES);
            let unit = self.window.bytes(at..end.min(at + u64::from(UNIT_BYTES)));
            match unit {
                Ok(unit) if crc32c::crc32c(unit) == *expected => drop(digest.update(unit)),
                _ => damaged.push(number),
            }
        }
        if self.window.stopped {
            return None;
        }
        if !damaged.is_empty() {
            let of = header.unit_checksums.len() as u32;
            return Some(Wrong::Units { damaged, of });
        }
        (*digest.finalize().as_bytes() != fixed.digest).then_some(Wrong::Digest)
    }

    /// Passes over what can't be read, up to the next chunk of this life that may follow.
    fn pass_over(&mut self, wrong: Wrong) -> Fault {
        self.lost = true;
        let from = self.page;
        let numbers = self.number..self.end_number();
        self.page = self.extent.end_page;
        for page in from + 1..self.extent.end_page {
            let Ok(header) = self.header(page) else { continue };
            if numbers.contains(&header.fixed.number_in_block) {
                (self.page, self.number) = (page, header.fixed.number_in_block);
                break;
            }
        }
        self.predecessor = None;
        Fault { pages: from..self.page, number_in_clip: None, table: None, wrong }
    }

    /// What is wrong with the extent as a whole.
    fn end(&mut self) -> Option<Tried> {
        self.ended = true;
        if self.lost || self.window.stopped {
            return None;
        }
        let wrong = match self.predecessor {
            _ if self.found != self.extent.chunks || self.page != self.extent.end_page => {
                Wrong::ShortExtent { found: self.found, expected: self.extent.chunks }
            }
            Some(found) if found != self.extent.seal => {
                Wrong::OtherSeal { found, expected: self.extent.seal }
            }
            _ => return None,
        };
        let pages = self.extent.first_page..self.extent.end_page;
        Some(Tried::Lost(Fault { pages, number_in_clip: None, table: None, wrong }))
    }
}

impl Iterator for ExtentTrial<'_> {
    type Item = Tried;

    fn next(&mut self) -> Option<Tried> {
        if self.ended {
            return None;
        }
        if self.page >= self.extent.end_page || self.number >= self.end_number() {
            return self.end();
        }
        let tried = match self.header(self.page) {
            Ok(header) if header.fixed.number_in_block != self.number => {
                let (found, expected) = (header.fixed.number_in_block, self.number);
                Tried::Lost(self.pass_over(Wrong::OtherNumber { found, expected }))
            }
            Ok(header) => Tried::Chunk(Box::new(self.accept(header))),
            Err(wrong) if !self.window.stopped => Tried::Lost(self.pass_over(wrong)),
            Err(_) => return None,
        };
        // What was not read says nothing.
        (!self.window.stopped).then_some(tried)
    }
}

impl TriedChunk {
    /// Something that is wrong with this chunk.
    #[must_use]
    pub fn fault(&self, wrong: Wrong) -> Fault {
        Fault {
            pages: self.pages.clone(),
            number_in_clip: Some(self.number_in_clip),
            table: Some(self.table.clone()),
            wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;
    use crate::device::{AlignedBuffer, Device};
    use crate::ring::chunk::{ChunkHeader, Content};
    use crate::ring::superblock::Superblock;
    use crate::units::{BlockNumber, DeviceOffset, Sequence, StreamNumber};

    const BLOCK: BlockNumber = BlockNumber(2);
    const LIFE: Sequence = Sequence(7);
    const CHUNKS: u32 = 4;

    /// Memory that refuses to read some of its pages.
    struct Memory {
        bytes: Mutex<Vec<u8>>,
        refused: Mutex<Vec<u64>>,
    }

    impl Device for Memory {
        fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
            let pages = offset.0 / PAGE_BYTES..(offset.0 + buffer.len() as u64) / PAGE_BYTES;
            if self.refused.lock().expect("no panic").iter().any(|page| pages.contains(page)) {
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
            let (start, length) = (offset.0 as usize, buffer.len());
            let bytes = self.bytes.lock().expect("no panic");
            buffer.copy_from_slice(&bytes[start..start + length]);
            Ok(())
        }

        fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
            let start = offset.0 as usize;
            let mut memory = self.bytes.lock().expect("no panic");
            memory[start..start + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }

        fn length(&self) -> ByteCount {
            ByteCount(self.bytes.lock().expect("no panic").len() as u64)
        }
    }

    /// An extent of four chunks, the chunk `n` of 20,000 + 7 n bytes, and where they begin.
    fn written() -> (Memory, Superblock, Extent, Vec<u32>) {
        let superblock = Superblock::of_a_small_ring();
        let length = superblock.geometry.length;
        let memory =
            Memory { bytes: Mutex::new(vec![0; length.0 as usize]), refused: Mutex::default() };
        let (mut page, mut predecessor, mut begins) = (1, 99, Vec::new());
        for number in 0..CHUNKS {
            let mut fixed = ChunkHeader {
                kind: ChunkKind::Media,
                ring_uuid: superblock.ring_uuid,
                life: LIFE,
                clip: ClipId(Sequence(5)),
                stream: StreamNumber(1),
                number_in_clip: number,
                number_in_block: number,
                predecessor,
                epoch: 1,
                header_length: 0,
                data_length: 0,
                digest: [0; 32],
                checksum: 0,
            };
            let data: Vec<u8> =
                (0..20_000 + 7 * number).map(|at| (at * 31 + number) as u8).collect();
            let content = Content { parameter_pages: &[], table: &[1, 2], data: &data };
            let mut pages = chunk::buffer_for(chunk::page_count(0, 2, data.len()));
            chunk::encode(&mut fixed, &content, &mut pages);
            memory.write_at(superblock.geometry.page_start(BLOCK, page), &pages).expect("memory");
            begins.push(page);
            page += fixed.pages();
            predecessor = fixed.checksum;
        }
        let extent = Extent {
            block: BLOCK,
            life: LIFE,
            first_page: 1,
            end_page: page,
            first_chunk: 0,
            chunks: CHUNKS,
            clip_chunks: CHUNKS,
            seal: predecessor,
        };
        (memory, superblock, extent, begins)
    }

    /// Numbers of the chunks that are whole, and what is wrong with pages.
    fn tried(memory: &Memory, superblock: &Superblock, extent: &Extent) -> (Vec<u32>, Vec<Fault>) {
        let (mut whole, mut faults) = (Vec::new(), Vec::new());
        let mut always = |_| true;
        let stride = ByteCount(16 << 10);
        let reader = BlockReader::new(memory, superblock);
        let trial = ExtentTrial::new(reader, extent, Depth::Data, stride, &mut always);
        for step in trial {
            match step {
                Tried::Chunk(chunk) if chunk.faults.is_empty() => whole.push(chunk.number_in_clip),
                Tried::Chunk(chunk) => faults.extend(chunk.faults),
                Tried::Lost(fault) => faults.push(fault),
            }
        }
        (whole, faults)
    }

    fn flip(memory: &Memory, superblock: &Superblock, page: u32, byte: u64) {
        let at = superblock.geometry.page_start(BLOCK, page).0 + byte;
        memory.bytes.lock().expect("no panic")[at as usize] ^= 4;
    }

    #[test]
    fn what_was_written_is_whole() {
        let (memory, superblock, extent, _) = written();
        assert_eq!(tried(&memory, &superblock, &extent), (vec![0, 1, 2, 3], vec![]));
    }

    #[test]
    fn any_flipped_bit_costs_its_chunk_and_no_other() {
        let (memory, superblock, extent, begins) = written();
        for (number, &page) in (0..).zip(&begins) {
            let end = begins.get(number as usize + 1).copied().unwrap_or(extent.end_page);
            // Headers are 144 bytes long here; behind 20,000 bytes there is only padding.
            for byte in (0..20_000).step_by(97) {
                flip(&memory, &superblock, page, byte);
                let (whole, faults) = tried(&memory, &superblock, &extent);
                let others: Vec<u32> = (0..CHUNKS).filter(|other| *other != number).collect();
                assert_eq!(whole, others, "byte {byte} of chunk {number}");
                assert_eq!(faults.len(), 1, "byte {byte} of chunk {number}: {faults:?}");
                assert_eq!(faults[0].pages, page..end);
                flip(&memory, &superblock, page, byte);
            }
        }
    }

    #[test]
    fn a_page_that_the_device_refuses_costs_the_units_that_are_in_it() {
        let (memory, superblock, extent, begins) = written();
        let page = begins[1] + 4;
        let refused = superblock.geometry.page_start(BLOCK, page).0 / PAGE_BYTES;
        memory.refused.lock().expect("no panic").push(refused);
        let (whole, faults) = tried(&memory, &superblock, &extent);
        assert_eq!(whole, [0, 2, 3]);
        assert!(
            matches!(&faults[..], [Fault { wrong: Wrong::Units { damaged, of: 2 }, .. }]
                if !damaged.is_empty()),
            "{faults:?}"
        );
        // A header that is refused costs the chunk; what is behind it is found.
        *memory.refused.lock().expect("no panic") = vec![refused - 4];
        let (whole, faults) = tried(&memory, &superblock, &extent);
        assert_eq!(whole, [0, 2, 3]);
        assert!(matches!(faults[0].wrong, Wrong::Unreadable { .. }), "{faults:?}");
    }

    #[test]
    fn an_extent_that_the_facts_have_longer_or_sealed_otherwise_is_told() {
        let (memory, superblock, extent, _) = written();
        let longer = Extent { chunks: CHUNKS + 1, end_page: extent.end_page + 3, ..extent };
        let (whole, faults) = tried(&memory, &superblock, &longer);
        assert_eq!((whole.len(), faults[0].wrong.clone()), (4, Wrong::NoHeader));
        let sealed = Extent { seal: 1, ..extent };
        let (_, faults) = tried(&memory, &superblock, &sealed);
        let found = extent.seal;
        assert_eq!(faults[0].wrong, Wrong::OtherSeal { found, expected: 1 });
        let shorter = Extent { chunks: 2, ..extent };
        let (_, faults) = tried(&memory, &superblock, &shorter);
        assert_eq!(faults[0].wrong, Wrong::ShortExtent { found: 2, expected: 2 });
    }

    #[test]
    fn a_trial_that_is_stopped_says_nothing_of_what_it_did_not_read() {
        let (memory, superblock, extent, begins) = written();
        flip(&memory, &superblock, begins[3], 10);
        // How many faults there are after so many reads, and how many reads were asked for.
        let lost = |reads_max: u32| {
            let mut asked = 0;
            let mut pace = |_| {
                asked += 1;
                asked <= reads_max
            };
            let stride = ByteCount(PAGE_BYTES);
            let trial = ExtentTrial::new(
                BlockReader::new(&memory, &superblock),
                &extent,
                Depth::Data,
                stride,
                &mut pace,
            );
            let count = trial.filter(|step| matches!(step, Tried::Lost(_))).count();
            (count, asked)
        };
        let (all, needed) = lost(u32::MAX);
        assert_eq!(all, 1);
        for reads in 0..needed {
            assert_eq!(lost(reads).0, 0, "{reads} of {needed} reads");
        }
    }
}
