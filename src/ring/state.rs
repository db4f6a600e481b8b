//! What readers and the writer share: facts in force, growing clips, counters.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::error::{Refused, StateRefused};
use super::space::Space;
use super::types::{ClipContents, ClipState};
use crate::units::{BlockNumber, ClipId, StreamNumber};

/// Clips that ended by themselves and whose recorders have not been told: more than any set of
/// streams has at once. Beyond it the oldest are forgotten.
const ENDED_MAX: usize = 4096;

/// What readers and the writer share. Locked for moments, never across I/O.
pub(super) struct Shared {
    /// The facts in force, and those that the next flush makes durable.
    pub space: Space,
    /// Chunks of growing clips that a flush covers.
    pub growing: HashMap<ClipId, GrowingContents>,
    /// Growing clips that the ring ended by itself; their recorders do not know yet.
    pub ended: BTreeSet<ClipId>,
    /// Blocks of which the device does not read something, and that the writer has not heard of.
    pub unreadable: BTreeSet<BlockNumber>,
    /// Counted for `status`.
    pub counters: Counters,
    /// The epoch of the last ledger pages that a flush covers.
    pub ledger_epoch: u64,
    /// Why nothing can be written, while the session has not begun for that.
    pub unwritable: Option<String>,
    /// The ro-compat bits of the superblocks.
    pub ro_compat: u64,
}

impl Shared {
    /// Nothing grows, and nothing has been done yet.
    pub fn new(space: Space) -> Shared {
        Shared {
            space,
            growing: HashMap::new(),
            ended: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            counters: Counters::default(),
            ledger_epoch: 0,
            unwritable: None,
            ro_compat: 0,
        }
    }

    /// Locks it to be read. A thread that died left nothing half done: facts are applied whole.
    pub fn read(shared: &RwLock<Shared>) -> RwLockReadGuard<'_, Shared> {
        shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks it to be changed.
    pub fn write(shared: &RwLock<Shared>) -> RwLockWriteGuard<'_, Shared> {
        shared.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clip takes no more chunks; its recorder hears so when it comes with the next.
    pub fn end(&mut self, clip: ClipId) {
        self.ended.insert(clip);
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_first();
        }
    }

    /// Whether a chunk of the clip may be taken.
    ///
    /// # Errors
    /// Nothing can be written, or the clip has ended.
    pub fn admit(&self, clip: ClipId) -> Result<(), Refused> {
        match self.has_ended(clip) {
            _ if self.unwritable.is_some() => Err(Refused::Unwritable),
            true => Err(Refused::ClipEnded),
            false => Ok(()),
        }
    }

    /// The state of a closed clip, where it may be changed.
    ///
    /// # Errors
    /// Nothing can be written, or the clip is gone.
    pub fn changeable(&self, clip: ClipId) -> Result<ClipState, StateRefused> {
        match &self.unwritable {
            Some(_) => Err(StateRefused::Unwritable),
            None => self.space.state_of(clip).ok_or(StateRefused::Gone),
        }
    }

    /// Whether the clip takes no more chunks.
    pub fn has_ended(&self, clip: ClipId) -> bool {
        self.ended.contains(&clip) || self.space.state_of(clip).is_some()
    }
}

/// The readable part of a growing clip.
#[derive(Clone, Default)]
pub(super) struct GrowingContents {
    /// Whose.
    pub stream: StreamNumber,
    /// What a flush covers.
    pub contents: ClipContents,
}

/// What the writer has done since the ring was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes to the device.
    pub writes: u64,
    /// Bytes in them.
    pub write_bytes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Flushes that failed.
    pub flush_errors: u64,
    /// Clips evicted.
    pub evicted: u64,
    /// Events forgotten to make room for others.
    pub events_dropped: u64,
    /// Chunks that could not be stored.
    pub chunks_dropped: u64,
    /// Flush intervals in a row of which nothing is safe; 0 while the device is well.
    pub commits_failed: u64,
}

impl Counters {
    /// Writes and flushes that failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.write_errors + self.flush_errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::geometry::Geometry;
    use crate::units::{ByteCount, Sequence};

    #[test]
    fn of_the_clips_that_ended_the_newest_are_remembered() {
        let geometry = Geometry::plan(ByteCount(12 << 20), Some(1 << 20)).expect("a ring");
        let mut shared = Shared::new(Space::new(&geometry));
        let clip = |number: usize| ClipId(Sequence(number as u64));
        (1..=ENDED_MAX + 1).for_each(|number| shared.end(clip(number)));
        assert!(!shared.has_ended(clip(1)));
        assert!(shared.has_ended(clip(2)) && shared.has_ended(clip(ENDED_MAX + 1)));
    }
}
