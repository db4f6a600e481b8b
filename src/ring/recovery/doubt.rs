//! Facts are lost for good, both copies of them: what can still be known is kept, and what nobody
//! can vouch for is *found*. Nothing deleted comes back as if nothing had happened, and nothing
//! that may be footage counts as free. What is kept stays kept: it had to be given back before it
//! could be deleted, and must never be overwritten.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::adopt::Standing;
use super::sweep::{Scope, Sweep, sweep};
use crate::device::Device;
use crate::ring::fact::Fact;
use crate::ring::ledger::Replay;
use crate::ring::space::Space;
use crate::ring::superblock::Superblock;
use crate::ring::types::ClipState;
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
    /// where they are whole.
    pub fn settle(&self, space: &mut Space) {
        space.drop_overwritten();
        space.drop_growing();
        let closed = space.clips().filter(|(_, record)| record.state == Some(ClipState::Closed));
        let closed: Vec<ClipId> = closed.map(|(clip, _)| clip).collect();
        log::error!(
            "ledger: both copies of a part are lost; {} clips are in .trash, as nobody can say \
             whether they were deleted",
            closed.len()
        );
        for clip in closed {
            // A closed clip takes any state.
            let _ = space.apply(&Fact::State { clip, state: ClipState::FOUND });
        }
    }

    /// What is to become of a clip that is found.
    pub fn standing(&self, clip: ClipId) -> Standing {
        match self.last_words.get(&clip) {
            Some(None) => Standing::Gone,
            Some(Some(ClipState::Closed)) | None => Standing::Found(ClipState::FOUND),
            Some(Some(state)) => Standing::Found(*state),
        }
    }

    /// Looks through the blocks that have room for what is lost.
    pub fn look_through(
        &self,
        device: &dyn Device,
        superblock: &Superblock,
        space: &Space,
    ) -> Sweep {
        let scope = Scope { since_epoch: self.since_epoch, used_part_only: true };
        let blocks = space.blocks_with_room();
        let count = blocks.len();
        let mut told = Instant::now();
        let mut looked_at = 0_usize;
        let mut progress = |_| {
            looked_at += 1;
            if told.elapsed() >= PROGRESS_INTERVAL {
                told = Instant::now();
                log::warn!("ledger: looking for lost clips: {looked_at} of {count} blocks");
            }
        };
        sweep(device, superblock, blocks.into_iter(), scope, &mut progress)
    }
}
