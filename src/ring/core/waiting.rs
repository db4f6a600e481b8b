//! A session that can't begin yet, because nothing can be written: what there is can be read, and
//! is asked now and then whether it takes the beginning of the session after all.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use super::Core;
use crate::ring::fact::Fact;
use crate::ring::space;
use crate::ring::types::News;
use crate::units::{BootTime, ClipId};

/// Between two tries, at first; doubled with each.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The same at most: room that somebody has made is soon used.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Until the facts that open the session are durable.
pub(super) struct Waiting {
    tried: BootTime,
    pause: Duration,
    /// Clips that opening the ring has closed, and that were told of before the ledger knows.
    told: BTreeSet<ClipId>,
    /// A checkpoint has to be taken as soon as something can be written.
    owes_checkpoint: bool,
}

impl Core {
    /// The facts that open the session can't be written. They are kept, and what they say of
    /// clips is told: what it says was read from the device, and will be read again.
    pub(in crate::ring) fn wait_until_writable(&mut self, error: &io::Error, checkpoint: bool) {
        self.facts.flush_failed();
        let mut told = BTreeSet::new();
        for fact in self.facts.pending().to_vec() {
            let Fact::Clip { clip, stream, fact, .. } = fact else { continue };
            let used = self.state().space.clip(clip).map(space::ClipRecord::used);
            let Some(used) = used else { continue };
            told.insert(clip);
            let redating = None;
            self.interpreter.news(&News::ClipClosed { clip, stream, fact, used, redating });
        }
        let tried = self.clock.boot();
        self.waiting = Some(Waiting { tried, pause: PAUSE_MIN, told, owes_checkpoint: checkpoint });
        let mut state = self.state_mut();
        state.unwritable = Some(error.to_string());
        // As after any flush that failed: nothing is reserved or evicted for the next.
        state.counters.commits_failed = 1;
    }

    /// Whether the session waits for something that can be written.
    pub(in crate::ring) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether it may have changed that nothing can be written.
    pub(in crate::ring) fn is_worth_a_try(&self) -> bool {
        let Some(waiting) = &self.waiting else { return true };
        self.device.is_writable() && self.clock.boot().since(waiting.tried) >= waiting.pause
    }

    /// Whether the clip's closing was told before it was durable.
    pub(super) fn has_told(&mut self, clip: ClipId) -> bool {
        self.waiting.as_mut().is_some_and(|waiting| waiting.told.remove(&clip))
    }

    /// The session could not begin this time either.
    pub(super) fn waits_on(&mut self, error: &io::Error) {
        let tried = self.clock.boot();
        if let Some(waiting) = &mut self.waiting {
            waiting.tried = tried;
            waiting.pause = (2 * waiting.pause).min(PAUSE_MAX);
        }
        self.state_mut().unwritable = Some(error.to_string());
    }

    /// The session has begun at last.
    pub(super) fn waits_no_more(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        {
            let mut state = self.state_mut();
            state.unwritable = None;
            state.counters.commits_failed = 0;
        }
        if waiting.owes_checkpoint {
            self.begin_checkpoint();
        }
        log::warn!("ring: it can be written now: recording begins");
    }
}
