//! Questions to the facts in force.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::timings::Timings;
use super::{ClipRecord, EXTENT_FACT_BYTES, Events, Fill, Space};
use crate::ring::fact::Fact;
use crate::ring::geometry::REST_PAGES_MIN;
use crate::ring::types::{ClipState, ClockFact, Usage};
use crate::units::{
    BlockNumber, ByteCount, ClipId, EventId, PAGE_BYTES, Sequence, SessionNumber, StreamNumber,
    WallTime,
};

/// Where in a block something may be that no clip has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Anywhere.
    Anywhere,
    /// Only a short chunk, which would begin at this page.
    AtEnd(u32),
}

/// Where there is room in a block beside the pages that clips have of it.
fn room_beside(mut held: Vec<Range<u32>>, pages_per_block: u32) -> Option<Room> {
    held.sort_unstable_by_key(|pages| pages.start);
    let mut end = 1;
    for pages in held {
        if pages.start > end {
            return Some(Room::Anywhere);
        }
        end = end.max(pages.end);
    }
    match pages_per_block.saturating_sub(end) {
        0 => None,
        rest if rest < REST_PAGES_MIN => Some(Room::AtEnd(end)),
        _ => Some(Room::Anywhere),
    }
}

impl Space {
    /// All facts in force, in an order in which they can be applied again.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        if let Some(clock) = self.opened {
            facts.push(Fact::Session { number: self.session, clock });
        }
        facts.extend(self.known_clock.map(|clock| Fact::Clock { clock }));
        facts.extend(self.timings.facts());
        let streams = self.streams.iter();
        facts.extend(streams.map(|(&stream, fact)| Fact::Stream { stream, fact: fact.clone() }));
        for (index, block) in self.blocks.iter().enumerate() {
            if block.bad {
                facts.push(Fact::Bad { block: BlockNumber(index as u32) });
            }
        }
        for (&clip, record) in &self.clips {
            facts_of_clip(clip, record, &mut facts);
        }
        facts.extend(self.open.iter().map(|(&stream, fill)| fill.fact(stream)));
        let reserved = self.reserved.iter();
        facts.extend(reserved.map(|(&block, &life)| Fact::Reserved { block, life }));
        facts.extend(self.observations.iter().cloned());
        facts.extend(self.events.facts());
        facts.extend(self.carried.facts());
        if self.clean {
            facts.push(Fact::Clean);
        }
        facts
    }

    /// Streams whose open block holds nothing of theirs any more.
    #[must_use]
    pub fn idle_streams(&self) -> Vec<StreamNumber> {
        let idle = |fill: &Fill| self.blocks[fill.block.0 as usize].holders == 1;
        self.open.iter().filter(|(_, fill)| idle(fill)).map(|(&stream, _)| stream).collect()
    }

    /// The free block at the frontier or next behind it.
    #[must_use]
    pub fn next_free(&self) -> Option<BlockNumber> {
        self.free.range(self.frontier..).next().or_else(|| self.free.iter().next()).copied()
    }

    /// Blocks that the clips do not fill, free ones among them, in the order in which they would
    /// be taken: where something may be that no fact speaks of.
    #[must_use]
    pub fn blocks_with_room(&self) -> Vec<(BlockNumber, Room)> {
        let mut held: Vec<Vec<Range<u32>>> = vec![Vec::new(); self.blocks.len()];
        for extent in self.clips.values().flat_map(ClipRecord::all_extents) {
            held[extent.block.0 as usize].push(extent.first_page..extent.end_page);
        }
        let count = held.len() as u32;
        let in_order = (0..count).map(|at| BlockNumber((self.frontier.0 + at) % count));
        let room = |block: BlockNumber| {
            let pages = std::mem::take(&mut held[block.0 as usize]);
            Some((block, room_beside(pages, self.pages_per_block)?))
        };
        in_order.filter_map(room).collect()
    }

    /// Blocks that clips, streams or reservations hold, each with the life that the facts know.
    pub fn blocks_in_use(&self) -> impl Iterator<Item = (BlockNumber, Sequence)> {
        let in_use = self.blocks.iter().enumerate().filter(|(_, block)| block.holders > 0);
        in_use.map(|(index, block)| (BlockNumber(index as u32), block.life))
    }

    /// The oldest closed clip that may be given up for its space; one whose footage lies elsewhere
    /// has none.
    #[must_use]
    pub fn oldest_evictable(&self) -> Option<ClipId> {
        let evictable = |record: &ClipRecord| {
            !record.is_elsewhere() && record.state.is_some_and(ClipState::is_evictable)
        };
        self.clips.iter().find(|(_, record)| evictable(record)).map(|(&clip, _)| clip)
    }

    /// Which life of a block the facts know; what a reader compares before and after it reads.
    #[must_use]
    pub fn life(&self, block: BlockNumber) -> Option<Sequence> {
        self.blocks.get(block.0 as usize).map(|block| block.life)
    }

    /// How many facts hold a block: 0 is free.
    #[must_use]
    pub fn holders(&self, block: BlockNumber) -> u32 {
        self.blocks.get(block.0 as usize).map_or(0, |block| block.holders)
    }

    /// Whether the device refused a write into the block, or to read something of it.
    #[must_use]
    pub fn is_bad(&self, block: BlockNumber) -> bool {
        self.blocks.get(block.0 as usize).is_some_and(|block| block.bad)
    }

    /// All clips, oldest first.
    pub fn clips(&self) -> impl Iterator<Item = (ClipId, &ClipRecord)> {
        self.clips.iter().map(|(&clip, record)| (clip, record))
    }

    /// One clip.
    #[must_use]
    pub fn clip(&self, clip: ClipId) -> Option<&ClipRecord> {
        self.clips.get(&clip)
    }

    /// The state of a closed clip; `None` where it is gone, or grows.
    #[must_use]
    pub fn state_of(&self, clip: ClipId) -> Option<ClipState> {
        self.clip(clip).and_then(|record| record.state)
    }

    /// All streams with their facts.
    pub fn streams(&self) -> impl Iterator<Item = (StreamNumber, &Arc<[u8]>)> {
        self.streams.iter().map(|(&stream, fact)| (stream, fact))
    }

    /// All streams' open blocks.
    pub fn open_blocks(&self) -> impl Iterator<Item = (StreamNumber, Fill)> {
        self.open.iter().map(|(&stream, &fill)| (stream, fill))
    }

    /// Blocks that may have begun a life that no extent speaks of yet.
    pub fn reserved(&self) -> impl Iterator<Item = (BlockNumber, Sequence)> {
        self.reserved.iter().map(|(&block, &life)| (block, life))
    }

    /// Observations in force, oldest first.
    pub fn observations(&self) -> impl Iterator<Item = (StreamNumber, WallTime, WallTime, &[u8])> {
        self.observations.iter().filter_map(|fact| match fact {
            Fact::Observation { stream, from, to, fact } => Some((*stream, *from, *to, &**fact)),
            _ => None,
        })
    }

    /// Whether the block may have begun a life that no extent speaks of yet.
    #[must_use]
    pub fn is_reserved(&self, block: BlockNumber) -> bool {
        self.reserved.contains_key(&block)
    }

    /// The highest number of a stream that anything speaks of.
    #[must_use]
    pub fn last_stream(&self) -> Option<StreamNumber> {
        let of_clips = self.clips.values().map(|record| record.stream);
        self.streams.keys().chain(self.open.keys()).copied().chain(of_clips).max()
    }

    /// The last session.
    #[must_use]
    pub fn session(&self) -> SessionNumber {
        self.session
    }

    /// The last time that was trusted.
    #[must_use]
    pub fn known_clock(&self) -> Option<ClockFact> {
        self.known_clock
    }

    /// Which clocks the clips of this boot take their times from.
    #[must_use]
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// What sources say of streams.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The event that goes first where there is no room for one more of `stream`, of so many
    /// `bytes`.
    #[must_use]
    pub fn event_to_go(
        &self,
        stream: StreamNumber,
        bytes: usize,
    ) -> Option<(StreamNumber, EventId)> {
        self.events.first_to_go(stream, bytes, self.event_bytes_max)
    }

    /// Whether the last session ended in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Bytes that the facts in force take as records, within a few percent.
    #[must_use]
    pub fn fact_bytes(&self) -> u64 {
        let blocks = (self.open.len() + self.reserved.len()) as u64 * EXTENT_FACT_BYTES;
        let said = self.observation_bytes + self.events.bytes();
        self.fact_bytes + blocks + said + self.timings.fact_bytes() + self.carried.bytes()
    }

    /// Bytes of them that are of kinds that this program does not know.
    #[must_use]
    pub fn carried_bytes(&self) -> u64 {
        self.carried.bytes()
    }

    /// What some clips refer to, in bytes of whole blocks.
    #[must_use]
    pub fn bytes_of(&self, is_meant: impl Fn(ClipId, &ClipRecord) -> bool) -> ByteCount {
        let meant = self.clips.iter().filter(|(clip, record)| is_meant(**clip, record));
        let extents = meant.flat_map(|(_, record)| record.all_extents());
        let blocks: HashSet<BlockNumber> = extents.map(|extent| extent.block).collect();
        ByteCount(blocks.len() as u64 * u64::from(self.pages_per_block) * PAGE_BYTES)
    }

    /// How full the ring is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let block_bytes = u64::from(self.pages_per_block) * PAGE_BYTES;
        let size = self.blocks.len() as u64 * block_bytes;
        // A block that has refused its first chunk stays reserved, and is of no use.
        let reserved = self.reserved.keys().filter(|block| !self.is_bad(**block)).count();
        let free = (self.free.len() + reserved) as u64 * block_bytes;
        let leaving = |record: &&ClipRecord| record.state.is_some_and(|state| !state.is_listed());
        let is_kept = |_, record: &ClipRecord| record.state.is_some_and(ClipState::is_kept);
        let leaving = self.clips.values().filter(leaving);
        Usage {
            size: ByteCount(size),
            used: ByteCount(size - free),
            expiring: ByteCount(leaving.map(|record| record.used().bytes.0).sum()),
            kept: self.bytes_of(is_kept),
            free: ByteCount(free),
            bad_blocks: self.blocks.iter().filter(|block| block.bad).count() as u32,
        }
    }
}

pub(super) fn facts_of_clip(clip: ClipId, record: &ClipRecord, facts: &mut Vec<Fact>) {
    let last = record.extents.len().saturating_sub(1);
    for (index, extent) in record.extents.iter().enumerate() {
        // Sums are cumulative: those of the last extent say it all.
        let growth = if record.state.is_none() && index == last {
            record.fact.clone()
        } else {
            Arc::from([])
        };
        let (stream, ordinal) = (record.stream, index as u32);
        facts.push(Fact::Extent { clip, stream, ordinal, extent: *extent, growth });
    }
    let Some(state) = record.state else { return };
    facts.push(Fact::Clip {
        clip,
        stream: record.stream,
        extents: record.extents.len() as u32,
        table: record.table.clone(),
        fact: record.fact.clone(),
    });
    if let Some(redating) = &record.redating {
        facts.push(Fact::Redated { clip, redating: redating.clone() });
    }
    if !record.table_copy.is_empty() {
        facts.push(Fact::TableCopy { clip, table: record.table_copy.clone() });
    }
    if state != ClipState::Closed {
        facts.push(Fact::State { clip, state });
    }
}
