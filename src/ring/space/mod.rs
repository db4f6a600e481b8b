//! Which blocks are free, which clips there are, what each refers to: the facts in force. Pure.
//!
//! Replaying the ledger and running the ring go through the same [`Space::apply`], so that what a
//! restart finds is what was there before it. Applying a fact twice changes nothing.

mod carried;
mod checks;
mod closed;
mod events;
mod queries;
mod record;
mod restore;
mod timings;

pub use events::Events;
pub use queries::Room;
pub use record::ClipRecord;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use super::fact::Fact;
use super::geometry::Geometry;
use super::types::{ClipState, ClockFact, Extent, Reason};
use crate::units::{BlockNumber, ClipId, Sequence, SessionNumber, StreamNumber, WallTime};
use carried::Carried;
use timings::Timings;

/// Observations kept in force take this part of a ledger area at most, in percent; the oldest
/// make room. Clips would have to go for them otherwise.
const OBSERVATIONS_MAX_PERCENT: u64 = 10;

/// The same of events.
const EVENTS_MAX_PERCENT: u64 = 10;

/// A block, as the facts have it.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    life: Sequence,
    /// How many extents, reservations and open streams hold it.
    holders: u32,
    bad: bool,
}

/// The block that a stream goes on in, as far as extents speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Which block.
    pub block: BlockNumber,
    /// Which life.
    pub life: Sequence,
    /// Page behind the last chunk.
    pub end_page: u32,
    /// Number of the next chunk.
    pub next_chunk: u32,
    /// What the next chunk names as its predecessor.
    pub seal: u32,
}

/// A fact that does not fit the facts before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Contradiction(pub String);

/// Stream, from, to and what was observed.
type Observation = (StreamNumber, WallTime, WallTime, Arc<[u8]>);

fn observation(fact: &Fact) -> Option<Observation> {
    match fact {
        Fact::Observation { stream, from, to, fact } => Some((*stream, *from, *to, fact.clone())),
        _ => None,
    }
}

/// The facts in force.
#[derive(Clone, Debug)]
pub struct Space {
    blocks: Vec<Block>,
    free: BTreeSet<BlockNumber>,
    clips: BTreeMap<ClipId, ClipRecord>,
    streams: BTreeMap<StreamNumber, Arc<[u8]>>,
    open: BTreeMap<StreamNumber, Fill>,
    reserved: BTreeMap<BlockNumber, Sequence>,
    observations: VecDeque<Fact>,
    /// The same, to be looked up: there may be a hundred thousand.
    observed: HashSet<Observation>,
    observation_bytes: u64,
    observation_bytes_max: u64,
    events: Events,
    event_bytes_max: u64,
    session: SessionNumber,
    opened: Option<ClockFact>,
    known_clock: Option<ClockFact>,
    timings: Timings,
    carried: Carried,
    clean: bool,
    frontier: BlockNumber,
    pages_per_block: u32,
    fact_bytes: u64,
}

impl Space {
    /// Nothing but free blocks.
    #[must_use]
    pub fn new(geometry: &Geometry) -> Space {
        let (block_count, pages_per_block) = (geometry.block_count, geometry.block_pages());
        Space {
            blocks: vec![Block::default(); block_count as usize],
            free: (0..block_count).map(BlockNumber).collect(),
            clips: BTreeMap::new(),
            streams: BTreeMap::new(),
            open: BTreeMap::new(),
            reserved: BTreeMap::new(),
            observations: VecDeque::new(),
            observed: HashSet::new(),
            observation_bytes: 0,
            observation_bytes_max: geometry.ledger_area.0 * OBSERVATIONS_MAX_PERCENT / 100,
            events: Events::default(),
            event_bytes_max: geometry.ledger_area.0 * EVENTS_MAX_PERCENT / 100,
            session: SessionNumber(0),
            opened: None,
            known_clock: None,
            timings: Timings::default(),
            carried: Carried::default(),
            clean: true,
            frontier: BlockNumber(0),
            pages_per_block,
            fact_bytes: 0,
        }
    }

    /// Makes a fact true.
    ///
    /// # Errors
    /// The fact names what does not exist or contradicts one before it; nothing is changed then.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), Contradiction> {
        self.clean = matches!(fact, Fact::Clean | Fact::CheckpointEnd) && {
            self.clean || matches!(fact, Fact::Clean)
        };
        match fact {
            Fact::Session { number, clock } => {
                self.session = self.session.max(*number);
                self.opened = Some(*clock);
                self.timings.enter_boot(&clock.boot_id);
            }
            Fact::Clean | Fact::CheckpointEnd => {}
            Fact::Clock { clock } => self.known_clock = Some(*clock),
            Fact::Stream { stream, fact } => self.set_stream(*stream, fact)?,
            Fact::Reserved { block, life } => {
                self.reserve(*block, *life)?;
                self.session = self.session.max(life.session());
            }
            Fact::Fill { stream, block, life, end_page, next_chunk, seal } => {
                let fill = Fill {
                    block: *block,
                    life: *life,
                    end_page: *end_page,
                    next_chunk: *next_chunk,
                    seal: *seal,
                };
                self.check_fill(&fill)?;
                self.check_stream(*stream)?;
                self.set_open(*stream, fill);
            }
            Fact::Extent { clip, stream, ordinal, extent, growth } => {
                self.add_extent(*clip, *stream, *ordinal, extent, growth)?;
                self.session = self.session.max(clip.0.session());
            }
            Fact::Clip { clip, stream, extents, table, fact } => {
                self.close_clip(*clip, *stream, *extents, table, fact)?;
                self.session = self.session.max(clip.0.session());
            }
            Fact::TableCopy { clip, table } => self.add_table_copy(*clip, table)?,
            Fact::State { clip, state } => {
                let record = self.clips.get_mut(clip);
                let known = record.filter(|record| record.state.is_some());
                let record =
                    known.ok_or_else(|| Contradiction(format!("state of unknown clip {clip}")))?;
                record.state = Some(*state);
            }
            Fact::Timed { stream, clip, timing } => {
                self.check_stream(*stream)?;
                self.timings.add(*stream, *clip, *timing);
            }
            Fact::Redated { clip, redating } => self.redate(*clip, redating)?,
            Fact::Gone { clip, .. } => self.forget(*clip),
            Fact::Observation { .. } => self.observe(fact),
            Fact::Event { stream, event, start, fact } => {
                self.check_stream(*stream)?;
                self.events.set(*stream, *event, *start, fact);
            }
            Fact::Unknown { kind, body } => self.carried.add(*kind, body),
            Fact::Left { stream } => {
                if let Some(fill) = self.open.remove(stream) {
                    self.release(fill.block);
                }
            }
            Fact::Bad { block } => {
                self.check_place(*block, 1..1)?;
                self.blocks[block.0 as usize].bad = true;
                self.free.remove(block);
            }
        }
        Ok(())
    }

    fn set_stream(&mut self, stream: StreamNumber, fact: &Arc<[u8]>) -> Result<(), Contradiction> {
        self.check_stream(stream)?;
        self.fact_bytes += fact.len() as u64 + FACT_OVERHEAD_BYTES;
        if let Some(old) = self.streams.insert(stream, fact.clone()) {
            self.fact_bytes -= old.len() as u64 + FACT_OVERHEAD_BYTES;
        }
        Ok(())
    }

    fn observe(&mut self, fact: &Fact) {
        if !observation(fact).is_some_and(|observation| self.observed.insert(observation)) {
            return;
        }
        self.observations.push_back(fact.clone());
        self.observation_bytes += fact.record_length() as u64;
        while self.observation_bytes > self.observation_bytes_max
            && let Some(oldest) = self.observations.pop_front()
        {
            self.observation_bytes -= oldest.record_length() as u64;
            observation(&oldest).map(|observation| self.observed.remove(&observation));
        }
    }

    fn reserve(&mut self, block: BlockNumber, life: Sequence) -> Result<(), Contradiction> {
        self.check_place(block, 1..1)?;
        match self.reserved.insert(block, life) {
            Some(_) => {}
            None if self.blocks[block.0 as usize].holders == 0 => self.hold(block),
            None => {
                self.reserved.remove(&block);
                if self.blocks[block.0 as usize].life == life {
                    return Ok(());
                }
                return Err(Contradiction(format!("block {block} is reserved while in use")));
            }
        }
        self.blocks[block.0 as usize].life = life;
        self.frontier = BlockNumber((block.0 + 1) % self.blocks.len() as u32);
        Ok(())
    }

    fn set_open(&mut self, stream: StreamNumber, fill: Fill) {
        let previous = self.open.insert(stream, fill);
        if previous.is_some_and(|previous| previous.block == fill.block) {
            return;
        }
        self.blocks[fill.block.0 as usize].life = fill.life;
        if self.reserved.remove(&fill.block).is_none() {
            self.hold(fill.block);
        }
        if let Some(previous) = previous {
            self.release(previous.block);
        }
    }

    fn add_extent(
        &mut self,
        clip: ClipId,
        stream: StreamNumber,
        ordinal: u32,
        extent: &Extent,
        growth: &Arc<[u8]>,
    ) -> Result<(), Contradiction> {
        self.check_extent(extent)?;
        self.check_stream(stream)?;
        let known = self.clips.get(&clip);
        let have = known.map_or(0, |record| record.extents.len() as u32);
        if have > ordinal {
            return Ok(());
        }
        if have < ordinal || known.is_some_and(|record| record.state.is_some()) {
            return Err(Contradiction(format!("extent {ordinal} of clip {clip} behind {have}")));
        }
        let record = self.clips.entry(clip).or_insert_with(|| ClipRecord {
            stream,
            extents: Vec::new(),
            table: Vec::new(),
            table_copy: Vec::new(),
            fact: Arc::from([]),
            redating: None,
            state: None,
        });
        record.extents.push(*extent);
        if !growth.is_empty() {
            self.fact_bytes = self.fact_bytes + growth.len() as u64 - record.fact.len() as u64;
            record.fact = growth.clone();
        }
        self.fact_bytes += EXTENT_FACT_BYTES;
        self.hold_extent(extent);
        self.fill_up(stream, extent);
        Ok(())
    }

    /// The stream goes on behind this extent, where it lies in the stream's block or begins a
    /// reserved one. Other blocks have been left for good, and facts about them come again only
    /// in a checkpoint.
    fn fill_up(&mut self, stream: StreamNumber, extent: &Extent) {
        let further = match self.open.get(&stream) {
            Some(fill) if fill.block == extent.block => fill.end_page < extent.end_page,
            _ => self.reserved.get(&extent.block) == Some(&extent.life),
        };
        if further {
            let fill = Fill {
                block: extent.block,
                life: extent.life,
                end_page: extent.end_page,
                next_chunk: extent.first_chunk + extent.chunks,
                seal: extent.seal,
            };
            self.set_open(stream, fill);
        }
    }

    fn forget(&mut self, clip: ClipId) {
        let Some(record) = self.clips.remove(&clip) else { return };
        let facts = match record.state {
            Some(_) => closed_bytes(&record.fact, record.table.len() + record.table_copy.len()),
            None => record.fact.len() as u64,
        };
        let facts = facts + redating_bytes(record.redating.as_deref());
        self.fact_bytes -= facts + record.extents.len() as u64 * EXTENT_FACT_BYTES;
        for extent in record.all_extents() {
            self.release(extent.block);
        }
    }

    /// A checkpoint has no reservation for a block that is filled: its extents tell the life.
    fn hold_extent(&mut self, extent: &Extent) {
        let block = &mut self.blocks[extent.block.0 as usize];
        block.life = block.life.max(extent.life);
        self.hold(extent.block);
    }

    fn hold(&mut self, block: BlockNumber) {
        self.blocks[block.0 as usize].holders += 1;
        self.free.remove(&block);
    }

    fn release(&mut self, block: BlockNumber) {
        let state = &mut self.blocks[block.0 as usize];
        state.holders = state.holders.saturating_sub(1);
        if state.holders == 0 && !state.bad {
            self.free.insert(block);
        }
    }
}

/// Kind, length, version and numbers of a fact beside its opaque part, in bytes, at most.
const FACT_OVERHEAD_BYTES: u64 = 64;
/// An extent's record, in bytes, at most.
const EXTENT_FACT_BYTES: u64 = 64;

fn closed_bytes(fact: &[u8], table_extents: usize) -> u64 {
    fact.len() as u64 + FACT_OVERHEAD_BYTES + table_extents as u64 * EXTENT_FACT_BYTES
}

impl Fill {
    /// The fact that says so.
    #[must_use]
    pub fn fact(&self, stream: StreamNumber) -> Fact {
        Fact::Fill {
            stream,
            block: self.block,
            life: self.life,
            end_page: self.end_page,
            next_chunk: self.next_chunk,
            seal: self.seal,
        }
    }
}

fn redating_bytes(redating: Option<&[u8]>) -> u64 {
    redating.map_or(0, |redating| redating.len() as u64 + FACT_OVERHEAD_BYTES)
}

/// The fact that a clip is gone, for the reason that its state tells.
#[must_use]
pub fn gone(clip: ClipId, record: &ClipRecord, otherwise: Reason) -> Fact {
    let reason = record.state.and_then(ClipState::reason).unwrap_or(otherwise);
    Fact::Gone { clip, reason }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ring::types::Timing;
    use crate::units::{BootTime, ByteCount};

    #[test]
    fn a_clip_stays_redated_in_a_checkpoint_and_is_as_it_was_to_a_reader_that_knows_no_redating() {
        let geometry = Geometry::plan(ByteCount(16 << 20), Some(1 << 20)).expect("a ring");
        let (stream, clip) = (StreamNumber(1), ClipId(Sequence(1 << 40 | 9)));
        let clock = ClockFact { wall: WallTime(7), boot: BootTime(5), boot_id: [3; 16] };
        let extent = Extent {
            block: BlockNumber(2),
            life: Sequence(1 << 40 | 8),
            first_page: 1,
            end_page: 4,
            first_chunk: 0,
            chunks: 1,
            clip_chunks: 1,
            seal: 5,
        };
        let said = [
            Fact::Session { number: SessionNumber(1), clock },
            Fact::Timed { stream, clip, timing: Timing { clock, synchronised: false } },
            Fact::Extent { clip, stream, ordinal: 0, extent, growth: [].into() },
            Fact::Clip { clip, stream, extents: 1, table: Vec::new(), fact: [1, 2].into() },
            Fact::Redated { clip, redating: [3].into() },
            Fact::Redated { clip, redating: [4].into() },
        ];
        let space_of = |facts: &[Fact]| {
            let mut space = Space::new(&geometry);
            facts.iter().for_each(|fact| space.apply(fact).expect("it fits those before it"));
            space
        };
        let space = space_of(&said);
        let again = space_of(&space.facts());
        for space in [&space, &again] {
            let record = space.clip(clip).expect("a clip");
            assert_eq!((&*record.fact, record.redating.as_deref()), (&[1, 2][..], Some(&[3][..])));
            assert_eq!(space.timings().iter().count(), 1);
        }
        assert_eq!(again.fact_bytes(), space.fact_bytes());
        let mut known = space.facts();
        known.retain(|fact| !matches!(fact, Fact::Timed { .. } | Fact::Redated { .. }));
        let old = space_of(&known);
        let record = old.clip(clip).expect("a clip");
        assert_eq!((&*record.fact, record.redating.as_deref()), (&[1, 2][..], None));
        let mut gone = space;
        gone.apply(&Fact::Gone { clip, reason: Reason::Deleted }).expect("a clip");
        gone.apply(&Fact::Session {
            number: SessionNumber(2),
            clock: ClockFact { boot_id: [4; 16], ..clock },
        })
        .expect("a session");
        assert_eq!((gone.fact_bytes(), gone.timings().iter().count()), (0, 0));
    }

    #[test]
    fn a_hundred_thousand_observations_are_replayed_within_seconds() {
        let geometry = Geometry::plan(ByteCount(64 << 30), Some(1 << 20)).expect("a ring fits");
        let began = Instant::now();
        let mut space = Space::new(&geometry);
        // Twice: the log says again what the checkpoint has said.
        for at in (0..100_000).chain(0..100_000) {
            let (stream, fact) = (StreamNumber(1), Arc::from(&b"moved"[..]));
            let observation =
                Fact::Observation { stream, from: WallTime(at), to: WallTime(at), fact };
            space.apply(&observation).expect("it fits the facts before it");
        }
        assert_eq!(space.observations().count(), 100_000);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
