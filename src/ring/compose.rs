//! One write: block header, parameter sets and chunk, laid out behind one another.

use std::sync::Arc;

use super::chunk::{self, ChunkHeader, ChunkKind, Content};
use super::core::OpenBlock;
use super::types::ChunkPlace;
use crate::device::AlignedBuffer;
use crate::units::{ClipId, PAGE_BYTES, StreamNumber};

/// A chunk to be written.
pub(super) struct Part<'a> {
    pub(super) kind: ChunkKind,
    pub(super) stream: StreamNumber,
    pub(super) clip: ClipId,
    pub(super) number_in_clip: u32,
    pub(super) parameters: &'a [Arc<[u8]>],
    /// Those of its parameter sets that the block does not hold yet.
    pub(super) missing: &'a [Arc<[u8]>],
    pub(super) table: &'a [u8],
    pub(super) data: &'a [u8],
}

/// A chunk that was written: where, and what the next one names.
pub(super) struct Written {
    pub(super) first_page: u32,
    pub(super) end_page: u32,
    pub(super) first_chunk: u32,
    pub(super) chunks: u32,
    pub(super) seal: u32,
    pub(super) place: ChunkPlace,
    pub(super) digest: [u8; 32],
}

/// What goes into one write.
pub(super) struct Composed {
    pub(super) pages: AlignedBuffer,
    /// Where it goes, in pages of the block.
    pub(super) base_page: u32,
    pub(super) new_sets: Vec<(Arc<[u8]>, u32)>,
    pub(super) written: Written,
}

/// Lays out the header of the block where it is new, the missing parameter sets, and the chunk.
pub(super) fn compose(
    open: &OpenBlock,
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
    let base_page = open.next_page - head_pages;
    let mut fixed = ChunkHeader {
        kind: ChunkKind::Parameters,
        ring_uuid,
        life: open.life,
        clip: new.clip,
        stream: new.stream,
        number_in_clip: new.number_in_clip,
        number_in_block: open.next_chunk,
        predecessor: open.seal,
        epoch,
        header_length: 0,
        data_length: 0,
        digest: [0; 32],
        checksum: 0,
    };
    let (mut page, mut new_sets) = (open.next_page, Vec::new());
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
        new.or_else(|| open.parameters.get(set).copied()).unwrap_or(0)
    };
    let parameter_pages: Vec<u32> = new.parameters.iter().map(page_of).collect();
    fixed.kind = new.kind;
    let content = Content { parameter_pages: &parameter_pages, table: new.table, data: new.data };
    chunk::encode(&mut fixed, &content, slot(&mut pages, page - base_page));
    let written = Written {
        first_page: open.next_page,
        end_page: page + fixed.pages(),
        first_chunk: open.next_chunk,
        chunks: fixed.number_in_block + 1 - open.next_chunk,
        seal: fixed.checksum,
        place: ChunkPlace {
            block: open.block,
            life: fixed.life,
            first_page: page,
            header_length: fixed.header_length,
            data_length: fixed.data_length,
        },
        digest: fixed.digest,
    };
    Composed { pages, base_page, new_sets, written }
}

fn slot(pages: &mut [u8], page: u32) -> &mut [u8] {
    &mut pages[page as usize * PAGE_BYTES as usize..]
}
