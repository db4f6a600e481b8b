//! Facts are lost for good, both copies of them: what can still be known is kept, and what nobody
//! can vouch for is *found*. Nothing deleted comes back as if nothing had happened, and nothing
//! that may be footage counts as free. What is kept stays kept: it had to be given back before it
//! could be deleted, and must never be overwritten.

use std::collections::BTreeMap;
use std::time::Duration;

use super::adopt::Standing;
use crate::clock::{Throttle, since_boot};
use crate::ring::blocks::BlockReader;
use crate::ring::fact::Fact;
use crate::ring::found::{Scope, Sweep, sweep};
use crate::ring::ledger::Replay;
use crate::ring::space::{Room, Space};
use crate::ring::types::{ClipState, StateRequest};
use crate::units::ClipId;

/// Between two lines in the log about how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// What the facts that are left say of clips.
pub(super) struct Doubt {
    since_epoch: u64,
    /// The last that was said of a clip's state; `None` where it is gone.
    last_words: BTreeMap<ClipId, Option<ClipState>>,
}

impl Doubt {
    /// `None` where no fact is lost.
    pub fn of(replay: &Replay) -> Option<Doubt> {
        let since_epoch = replay.doubtful_since?;
        let mut last_words = BTreeMap::new();
        for fact in replay.older.iter().chain(&replay.facts) {
            match fact {
                Fact::State { clip, state } => last_words.insert(*clip, Some(*state)),
                Fact::Gone { clip, .. } => last_words.insert(*clip, None),
                _ => continue,
            };
        }
        Some(Doubt { since_epoch, last_words })
    }

    /// Deletions may be among the facts that are lost. Growing clips are looked for in the blocks,
    /// where they are whole; and what a block says itself of its life holds.
    pub fn settle(&self, reader: BlockReader<'_>, space: &mut Space) {
        log::error!(
            "ledger: both copies of a part are lost; the blocks are asked, which takes time"
        );
        let mut progress = Progress::new("blocks in use are looked at");
        for (block, life) in space.blocks_in_use().collect::<Vec<_>>() {
            progress.step();
            // A header that can't be read says nothing against the facts.
            let header = reader.block_header(block).ok().flatten();
            if let Some((header, _)) = header.filter(|(header, _)| header.life > life) {
                log::warn!("ledger: block {block} has begun life {}, not {life}", header.life);
                space.begin_life(block, header.life);
            }
        }
        space.leave_open_blocks();
        space.drop_overwritten();
        space.drop_growing();
        let closed = space.clips().filter_map(|(clip, record)| Some((clip, record.state?)));
        let found: Vec<(ClipId, ClipState)> =
            closed.filter_map(|(clip, state)| Some((clip, found_state(state)?))).collect();
        log::error!(
            "ledger: {} clips are in .trash, as nobody can say whether they were deleted",
            found.len()
        );
        for (clip, state) in found {
            // A closed clip takes any state.
            let _ = space.apply(&Fact::State { clip, state });
        }
    }

    /// What is to become of a clip that is found.
    pub fn standing(&self, clip: ClipId) -> Standing {
        match self.last_words.get(&clip) {
            Some(None) => Standing::Gone,
            Some(Some(state)) => Standing::Found(found_state(*state).unwrap_or(*state)),
            None => Standing::Found(ClipState::Found),
        }
    }

    /// Looks through the blocks that have room for what is lost.
    pub fn look_through(&self, reader: BlockReader<'_>, space: &Space) -> Sweep {
        let scope = Scope { since_epoch: self.since_epoch, used_part_only: true };
        let mut blocks = space.blocks_with_room();
        blocks.retain(|(block, room)| match room {
            Room::Anywhere => true,
            // One look tells whether the rest of a full block is empty.
            Room::AtEnd(page) => {
                let chunk = reader.header_at(*block, *page);
                chunk.is_ok_and(|chunk| {
                    chunk.is_some_and(|chunk| Some(chunk.fixed.life) == space.life(*block))
                })
            }
        });
        let mut progress = Progress::new("blocks are searched for lost clips");
        let blocks = blocks.into_iter().map(|(block, _)| block);
        sweep(reader, blocks, scope, &mut |_| progress.step())
    }
}

/// The state that a clip gets because facts are lost; `None` where its own stands.
fn found_state(state: ClipState) -> Option<ClipState> {
    state.after(StateRequest::Find).ok().filter(|found| *found != state)
}

/// Says in the log how far a search is.
struct Progress {
    what: &'static str,
    count: u64,
    lines: Throttle,
}

impl Progress {
    fn new(what: &'static str) -> Progress {
        Progress { what, count: 0, lines: Throttle::begun(PROGRESS_INTERVAL, since_boot()) }
    }

    fn step(&mut self) {
        self.count += 1;
        if self.lines.take(since_boot()) {
            log::warn!("ledger: {}: {} so far", self.what, self.count);
        }
    }
}
