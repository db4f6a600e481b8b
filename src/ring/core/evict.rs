//! Space for what comes: blocks reserved ahead, the oldest clips given up.

use std::io;

use super::Core;
use crate::ring::fact::Fact;
use crate::ring::types::{ClipState, Reason, StateRequest};
use crate::ring::zero;
use crate::units::ClipId;

impl Core {
    /// Reserves blocks for what two more flush intervals like the last one will take.
    pub(super) fn reserve_ahead(&mut self) -> io::Result<()> {
        if self.is_failing() {
            // Nothing is given up for a device that takes nothing in its place.
            return Ok(());
        }
        let blocks = self.superblock.geometry.block_count as usize;
        let wanted = self.placement.wanted_ahead(blocks);
        while self.placement.reserved_count() < wanted {
            let free = self.state().space.next_free();
            if let Some(block) = free {
                let life = self.sequences.next();
                self.record(Fact::Reserved { block, life });
                self.placement.reserve(block, life);
            } else if !self.evict_oldest()? {
                break;
            }
        }
        Ok(())
    }

    /// Gives the oldest clip up that may go; false where there is none.
    ///
    /// # Errors
    /// A flush failed.
    pub(in crate::ring) fn evict_oldest(&mut self) -> io::Result<bool> {
        let Some(clip) = self.state().space.oldest_evictable() else { return Ok(false) };
        let state = self.state().space.state_of(clip);
        if self.wipe && state.is_some_and(ClipState::is_in_trash) && !self.wipe_deleted(clip)? {
            return Ok(true);
        }
        log::debug!("ring: clip {clip} is evicted");
        self.state_mut().counters.evicted += 1;
        self.forget(clip, Reason::Evicted);
        Ok(true)
    }

    /// Somebody deleted the clip and was promised zeros. It is durably purging before the first
    /// of them, and they are on the disk before the ledger forgets where they belong. False where
    /// the device does not take the zeros: the clip stays in that state, its space is not used.
    fn wipe_deleted(&mut self, clip: ClipId) -> io::Result<bool> {
        self.change_state(clip, StateRequest::Purge);
        self.flush_facts()?;
        let wiped = zero::wipe(&*self.device, &self.superblock, &self.shared, clip);
        if wiped.is_away {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if let Some((block, error)) = wiped.refused.first() {
            log::error!("ring: clip {clip} is not wiped, and not evicted: block {block}: {error}");
            return Ok(false);
        }
        self.flush()?;
        Ok(true)
    }

    /// A checkpoint has to fit its area beside the log: many short clips can be more than that.
    pub(super) fn keep_facts_within_the_ledger(&mut self) -> io::Result<()> {
        let mut evicted = 0;
        while self.state().space.fact_bytes() > self.facts.facts_bytes_max() {
            if !self.evict_oldest()? {
                break;
            }
            evicted += 1;
        }
        self.trouble.evicted_for_ledger(evicted, self.clock.boot());
        Ok(())
    }
}
