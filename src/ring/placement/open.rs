//! A block that a stream goes on in, and one write into it: block header, parameter sets and
//! chunk, laid out behind one another.

use std::collections::HashMap;
use std::sync::Arc;

use crate::device::AlignedBuffer;
use crate::ring::block::BlockHeader;
use crate::ring::chunk::{self, ChunkHeader, ChunkKind, Content};
use crate::ring::space::Fill;
use crate::ring::types::{ChunkPlace, Extent};
use crate::units::{BlockNumber, ClipId, PAGE_BYTES, Sequence, StreamNumber};

/// A block that a stream is writing into.
pub struct OpenBlock {
    block: BlockNumber,
    life: Sequence,
    next_page: u32,
    next_chunk: u32,
    seal: u32,
    /// Parameter sets that the block holds, and their first pages.
    parameters: HashMap<Arc<[u8]>, u32>,
    /// Whether its header is written.
    begun: bool,
}

/// A chunk to be written.
pub struct Part<'a> {
    pub kind: ChunkKind,
    pub stream: StreamNumber,
    pub clip: ClipId,
    pub number_in_clip: u32,
    pub parameters: &'a [Arc<[u8]>],
    /// Those of its parameter sets that the block does not hold yet.
    pub missing: &'a [Arc<[u8]>],
    pub table: &'a [u8],
    pub data: &'a [u8],
}

/// A chunk that was written: where, and what the next one names.
pub struct Written {
    first_page: u32,
    end_page: u32,
    first_chunk: u32,
    chunks: u32,
    seal: u32,
    pub place: ChunkPlace,
    pub digest: [u8; 32],
}

/// What goes into one write.
pub struct Composed {
    pub pages: AlignedBuffer,
    /// Where it goes, in pages of the block.
    pub base_page: u32,
    new_sets: Vec<(Arc<[u8]>, u32)>,
    written: Written,
}

impl OpenBlock {
    /// A block whose life begins with the next write into it.
    pub fn fresh(block: BlockNumber, life: Sequence) -> OpenBlock {
        let parameters = HashMap::new();
        OpenBlock { block, life, next_page: 1, next_chunk: 0, seal: 0, parameters, begun: false }
    }

    /// A block that goes on where the facts in force end.
    pub fn resumed(fill: &Fill) -> OpenBlock {
        OpenBlock {
            block: fill.block,
            life: fill.life,
            next_page: fill.end_page,
            next_chunk: fill.next_chunk,
            seal: fill.seal,
            parameters: HashMap::new(),
            begun: true,
        }
    }

    /// Which block.
    pub fn block(&self) -> BlockNumber {
        self.block
    }

    /// Which life of it.
    pub fn life(&self) -> Sequence {
        self.life
    }

    /// Whether nothing is in it yet.
    pub fn is_fresh(&self) -> bool {
        !self.begun
    }

    /// Pages behind the last chunk, of a block of so many.
    pub fn rest_pages(&self, block_pages: u32) -> u32 {
        block_pages - self.next_page
    }

    /// Those of these parameter sets that the block does not hold yet, each once.
    pub fn missing_parameters(&self, wanted: &[Arc<[u8]>]) -> Vec<Arc<[u8]>> {
        let mut missing: Vec<Arc<[u8]>> = Vec::new();
        for set in wanted {
            if !self.parameters.contains_key(set) && !missing.contains(set) {
                missing.push(set.clone());
            }
        }
        missing
    }

    /// Lays out the header of the block where it is new, the missing parameter sets, and the chunk.
    pub fn compose(
        &self,
        new: &Part<'_>,
        header: Option<&[u8]>,
        ring_uuid: [u8; 16],
        epoch: u64,
    ) -> Composed {
        let head_pages = u32::from(header.is_some());
        let sets = new.missing.iter().map(|set| chunk::page_count(0, 0, set.len()));
        let own = chunk::page_count(new.parameters.len(), new.table.len(), new.data.len());
        let mut pages = chunk::buffer_for(head_pages + sets.sum::<u32>() + own);
        if let Some(header) = header {
            pages[..header.len()].copy_from_slice(header);
        }
        let base_page = self.next_page - head_pages;
        let mut fixed = ChunkHeader {
            kind: ChunkKind::Parameters,
            ring_uuid,
            life: self.life,
            clip: new.clip,
            stream: new.stream,
            number_in_clip: new.number_in_clip,
            number_in_block: self.next_chunk,
            predecessor: header.map_or(self.seal, BlockHeader::seal),
            epoch,
            header_length: 0,
            data_length: 0,
            digest: [0; 32],
            checksum: 0,
        };
        let (mut page, mut new_sets) = (self.next_page, Vec::new());
        for set in new.missing {
            let content = Content { parameter_pages: &[], table: &[], data: set };
            new_sets.push((set.clone(), page));
            chunk::encode(&mut fixed, &content, slot(&mut pages, page - base_page));
            page += fixed.pages();
            fixed.predecessor = fixed.checksum;
            fixed.number_in_block += 1;
        }
        let page_of = |set: &Arc<[u8]>| {
            let new = new_sets.iter().find(|(known, _)| known == set).map(|(_, page)| *page);
            new.or_else(|| self.parameters.get(set).copied()).unwrap_or(0)
        };
        let parameter_pages: Vec<u32> = new.parameters.iter().map(page_of).collect();
        fixed.kind = new.kind;
        let (table, data) = (new.table, new.data);
        let content = Content { parameter_pages: &parameter_pages, table, data };
        chunk::encode(&mut fixed, &content, slot(&mut pages, page - base_page));
        let written = self.place(&fixed, page);
        Composed { pages, base_page, new_sets, written }
    }

    /// What writing a chunk comes to whose header, `fixed`, begins at a page.
    fn place(&self, fixed: &ChunkHeader, first_page: u32) -> Written {
        Written {
            first_page: self.next_page,
            end_page: first_page + fixed.pages(),
            first_chunk: self.next_chunk,
            chunks: fixed.number_in_block + 1 - self.next_chunk,
            seal: fixed.checksum,
            place: ChunkPlace {
                block: self.block,
                life: fixed.life,
                first_page,
                header_length: fixed.header_length,
                data_length: fixed.data_length,
            },
            digest: fixed.digest,
        }
    }

    /// The device has taken the write: the next one goes behind it.
    pub fn advance(&mut self, composed: Composed) -> Written {
        let written = composed.written;
        self.begun = true;
        self.next_page = written.end_page;
        self.next_chunk = written.first_chunk + written.chunks;
        self.seal = written.seal;
        self.parameters.extend(composed.new_sets);
        written
    }
}

impl Written {
    /// What the write adds to a clip that has so many media chunks with it.
    pub fn extent(&self, clip_chunks: u32) -> Extent {
        Extent {
            block: self.place.block,
            life: self.place.life,
            first_page: self.first_page,
            end_page: self.end_page,
            first_chunk: self.first_chunk,
            chunks: self.chunks,
            clip_chunks,
            seal: self.seal,
        }
    }
}

fn slot(pages: &mut [u8], page: u32) -> &mut [u8] {
    &mut pages[page as usize * PAGE_BYTES as usize..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING_UUID: [u8; 16] = [3; 16];

    fn part<'a>(sets: &'a [Arc<[u8]>], missing: &'a [Arc<[u8]>], data: &'a [u8]) -> Part<'a> {
        Part {
            kind: ChunkKind::Media,
            stream: StreamNumber(1),
            clip: ClipId(Sequence(9)),
            number_in_clip: 0,
            parameters: sets,
            missing,
            table: b"table",
            data,
        }
    }

    #[test]
    fn a_write_goes_behind_the_one_before_and_names_it() {
        let mut open = OpenBlock::fresh(BlockNumber(4), Sequence(7));
        let sets: [Arc<[u8]>; 1] = [Arc::from(&b"set"[..])];
        let head = vec![0; PAGE_BYTES as usize];
        let missing = open.missing_parameters(&sets);
        assert_eq!((missing.len(), open.is_fresh()), (1, true));
        let composed = open.compose(&part(&sets, &missing, b"one"), Some(&head), RING_UUID, 5);
        // Header, set and chunk take a page each.
        assert_eq!((composed.base_page, composed.pages.len()), (0, 3 * PAGE_BYTES as usize));
        let first = open.advance(composed).extent(1);
        assert_eq!(
            (first.first_page, first.end_page, first.first_chunk, first.chunks),
            (1, 3, 0, 2)
        );
        assert!(!open.is_fresh() && open.missing_parameters(&sets).is_empty());
        assert_eq!(open.rest_pages(10), 7);

        let composed = open.compose(&part(&sets, &[], b"two"), None, RING_UUID, 5);
        assert_eq!((composed.base_page, composed.pages.len()), (3, PAGE_BYTES as usize));
        let header = chunk::decode(&composed.pages).expect("a chunk");
        assert_eq!(header.fixed.predecessor, first.seal);
        assert_eq!((header.fixed.number_in_block, header.parameter_pages), (2, vec![1]));
        let second = open.advance(composed).extent(2);
        assert_eq!((second.first_page, second.end_page, second.first_chunk), (3, 4, 2));
    }

    #[test]
    fn a_write_that_failed_leaves_the_block_as_it_was() {
        let open = OpenBlock::fresh(BlockNumber(4), Sequence(7));
        drop(open.compose(&part(&[], &[], b"one"), None, RING_UUID, 5));
        assert!(open.is_fresh());
        assert_eq!(open.rest_pages(10), 9);
    }

    #[test]
    fn a_set_that_is_wanted_twice_is_missing_once() {
        let open = OpenBlock::fresh(BlockNumber(4), Sequence(7));
        let set: Arc<[u8]> = Arc::from(&b"set"[..]);
        assert_eq!(open.missing_parameters(&[set.clone(), set.clone()]), [set]);
    }
}
