//! What a block has of one of its lives from some place on, also behind places where nothing can
//! be read.
//!
//! Where the chain of chunks ends there is nothing more, or something was lost. A chunk of the same
//! life that lies behind tells which: what was written before it had been flushed if the chunk is
//! of an earlier epoch than the last, and is lost to rot; in the last epoch it may never have been
//! written, and a power cut left neither.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use crate::ring::block::BlockHeader;
use crate::ring::blocks::{BlockReader, ChunkAt};
use crate::ring::chunk::{self, Header};
use crate::ring::walk::Walk;
use crate::units::{BlockNumber, Counted, PAGE_BYTES, Sequence, SessionNumber};

/// Pages that are looked at together, for the next header behind one that can't be read.
const LOOK_PAGES: u32 = 256;
/// Pages that are read in all to find what is behind lost places, of all blocks that streams were
/// going on in: 64 MiB, so that a start takes seconds however large blocks are.
const LOOKED_AT_PAGES: u32 = 16 << 10;
/// Pages at the beginning of a block in which its first chunk is looked for.
const FIRST_CHUNK_PAGES: u32 = 64;
/// Blocks that are asked whether a device reads anything at all.
const BLOCKS_ASKED: u32 = 16;

/// A place where chunks were that can't be read any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostPlace {
    /// Where, in pages from the beginning of the block.
    pub pages: Range<u32>,
    /// How many chunks, parameter sets and tables included; 0 where the block's header is lost.
    pub chunks: u32,
    /// What is wrong there.
    pub why: String,
}

impl LostPlace {
    /// Says it in the log.
    pub fn tell(&self, block: BlockNumber) {
        let LostPlace { pages, chunks, why } = self;
        match chunks {
            0 => log::error!("recovery: block {block}: {why}: what is behind it is taken"),
            _ => log::error!(
                "recovery: {} lost in block {block}, pages {} to {}: {why}",
                Counted(*chunks, "chunk"),
                pages.start,
                pages.end.saturating_sub(1)
            ),
        }
    }
}

/// The chunks that are left of a life.
#[derive(Clone, Debug)]
pub struct Tail {
    /// Where.
    pub block: BlockNumber,
    /// Which life.
    pub life: Sequence,
    /// Where it begins, in pages: what is before has been flushed.
    first_page: u32,
    /// In their order.
    pub chunks: Vec<ChunkAt>,
    /// In their order, with how many of the chunks lie before each.
    lost: Vec<(usize, LostPlace)>,
    /// The device failed on the way.
    pub failed: bool,
}

/// How far to look for a chunk behind a place that can't be read, in pages, where so many blocks
/// are looked into: a MiB at least, which takes a few chunks of any camera.
pub fn pages_ahead(blocks: usize) -> u32 {
    let share = LOOKED_AT_PAGES as usize / blocks.max(1);
    LOOK_PAGES.max(share as u32)
}

impl Tail {
    /// Reads the chunks of a life, or only what a session may have written of it, up to the first
    /// that it has not. A chunk behind a place that can't be read is looked for within
    /// `pages_ahead`.
    pub fn read(mut walk: Walk<'_>, session: Option<SessionNumber>, pages_ahead: u32) -> Tail {
        let (block, life) = (walk.block, walk.life);
        let is_ours = |at: &ChunkAt| session.is_none_or(|session| at.may_be_of(session));
        let (chunks, lost) = (Vec::new(), Vec::new());
        let first_page = walk.page;
        let mut tail = Tail { block, life, first_page, chunks, lost, failed: false };
        if walk.predecessor.is_none() {
            let why = "its header can't be read".to_owned();
            tail.lost.push((0, LostPlace { pages: 0..1, chunks: 0, why }));
        }
        loop {
            let why = match tail.follow(&mut walk, &is_ours) {
                Ok(true) => break,
                Ok(false) => "no header of a chunk that can be read".to_owned(),
                Err(error) => {
                    tail.failed = true;
                    error.to_string()
                }
            };
            // What an earlier session was writing when the power went may lie here, too: older
            // than what has been written since. A table does not tell which session it is of.
            let epoch_min = tail.chunks.last().map_or(0, |at| at.header.fixed.epoch);
            let found = next_chunk(&walk, pages_ahead, |header| {
                let fixed = &header.fixed;
                fixed.life == life
                    && fixed.number_in_block >= walk.number
                    && fixed.epoch >= epoch_min
                    && session.is_none_or(|session| fixed.clip.0.session() == session)
            });
            let Some((page, header)) = found else { break };
            let number = header.fixed.number_in_block;
            let (pages, chunks) = (walk.page..page, number - walk.number);
            tail.lost.push((tail.chunks.len(), LostPlace { pages, chunks, why }));
            walk = Walk { page, number, predecessor: None, ..walk };
        }
        // Nothing is known to have been where nothing follows.
        let count = tail.chunks.len();
        tail.lost.retain(|(before, _)| *before < count);
        tail
    }

    /// Takes the chunks that follow one another; true where one was not ours.
    fn follow(
        &mut self,
        walk: &mut Walk<'_>,
        is_ours: &dyn Fn(&ChunkAt) -> bool,
    ) -> io::Result<bool> {
        let before = self.chunks.len();
        loop {
            match walk.step() {
                Ok(Some(at)) if is_ours(&at) => self.chunks.push(at),
                Ok(Some(_)) => return Ok(true),
                ended => {
                    if before == self.chunks.len() && walk.predecessor.is_none() {
                        // Looked for there, and gone: the device reads it now and then.
                        walk.page += 1;
                    }
                    return ended.map(|_| false);
                }
            }
        }
    }

    /// Forgets what is behind a place that may never have been written: where a chunk of this
    /// epoch, the last of all, follows it.
    pub fn end_at_torn(&mut self, epoch_max: u64) {
        let torn = |(before, _): &&(usize, LostPlace)| {
            self.chunks[*before..].first().is_none_or(|at| at.header.fixed.epoch >= epoch_max)
        };
        if let Some(&(before, _)) = self.lost.iter().find(torn) {
            self.truncate(before);
        }
    }

    fn truncate(&mut self, chunks: usize) {
        self.chunks.truncate(chunks);
        self.lost.retain(|(before, _)| *before < chunks);
    }

    /// Takes the chunks out whose parameter sets can't be read, and answers all that is lost. A set
    /// that chunks of this epoch are the first to need, the last of all, may never have been
    /// written: the tail ends there.
    pub fn without_sets(&mut self, reader: BlockReader<'_>, epoch_max: u64) -> Vec<LostPlace> {
        let (block, life) = (self.block, self.life);
        // By their pages: whether they can be read, and may be torn otherwise.
        let mut sets = BTreeMap::new();
        for at in &self.chunks {
            for &page in &at.header.parameter_pages {
                sets.entry(page).or_insert_with(|| {
                    let set = reader.parameter_set(block, life, page);
                    let is_new = page >= self.first_page && at.header.fixed.epoch >= epoch_max;
                    (matches!(set, Ok(Some(_))), is_new)
                });
            }
        }
        let needs = |at: &ChunkAt, set| {
            at.header.parameter_pages.iter().copied().find(|page| sets.get(page) == Some(&set))
        };
        let torn = self.chunks.iter().position(|at| needs(at, (false, true)).is_some());
        if let Some(torn) = torn {
            self.truncate(torn);
        }
        let mut lost: Vec<LostPlace> = self.lost.drain(..).map(|(_, place)| place).collect();
        self.chunks.retain(|at| {
            let Some(page) = needs(at, (false, false)) else { return true };
            let pages = at.page..at.page + at.header.fixed.pages();
            let why = format!("the parameter set at page {page} can't be read");
            lost.push(LostPlace { pages, chunks: 1, why });
            false
        });
        lost.sort_by_key(|place| place.pages.start);
        lost.dedup_by(|next, before| {
            let follows = next.pages.start == before.pages.end && next.why == before.why;
            if follows {
                before.pages.end = next.pages.end;
                before.chunks += next.chunks;
            }
            follows
        });
        lost
    }
}

/// A walk over what is left of a life in a block whose header can't be read; `None` where nothing
/// is. It is looked for within so many pages; where it is not known which life, a chunk tells that
/// lies where the first of a block does.
pub fn headless<'a>(
    reader: BlockReader<'a>,
    block: BlockNumber,
    life: Option<(Sequence, u32)>,
) -> Option<Walk<'a>> {
    if let Ok(bytes) = reader.pages(block, 0, 2 * PAGE_BYTES as usize) {
        let is_blank = bytes.iter().all(|byte| *byte == 0);
        // What another ring has left, or a block in another's place, is not ours.
        if is_blank || BlockHeader::decode(&bytes).is_some() {
            return None;
        }
    }
    let pages_ahead = life.map_or(FIRST_CHUNK_PAGES, |(_, pages_ahead)| pages_ahead);
    let unknown = Sequence::default();
    let walk = Walk { reader, block, life: unknown, page: 1, number: 0, predecessor: None };
    let found = next_chunk(&walk, pages_ahead, |header| {
        life.is_none_or(|(life, _)| header.fixed.life == life)
    });
    found.map(|(_, header)| Walk { life: header.fixed.life, ..walk })
}

/// The next chunk that is wanted, within so many pages from the walk's on.
fn next_chunk(
    walk: &Walk<'_>,
    pages_ahead: u32,
    is_wanted: impl Fn(&Header) -> bool,
) -> Option<(u32, Header)> {
    let block_pages = walk.reader.geometry().block_pages();
    let mut from = walk.page;
    let end = from.saturating_add(pages_ahead).min(block_pages);
    while from < end {
        let pages = LOOK_PAGES.min(end - from);
        let length = pages as usize * PAGE_BYTES as usize;
        let read = walk.reader.pages(walk.block, from, length).ok();
        for page in from..from + pages {
            let at = (page - from) as usize * PAGE_BYTES as usize;
            if read.as_ref().is_some_and(|bytes| !chunk::may_begin(&bytes[at..])) {
                continue;
            }
            let header = walk.reader.header_at(walk.block, page);
            let Ok(Some(header)) = header else { continue };
            if is_wanted(&header) {
                return Some((page, header));
            }
        }
        from += pages;
    }
    None
}

/// Whether a device that has failed reads anything of its blocks. One that does not says nothing
/// of what is on it.
pub fn reads_anything(reader: BlockReader<'_>) -> io::Result<()> {
    let count = reader.geometry().block_count;
    let step = (count / BLOCKS_ASKED).max(1) as usize;
    let mut said = Ok(());
    for block in (0..count).step_by(step).map(BlockNumber) {
        match reader.pages(block, 0, PAGE_BYTES as usize) {
            Ok(_) => return Ok(()),
            Err(error) => said = Err(error),
        }
    }
    said
}
