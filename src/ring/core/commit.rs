//! One flush after another: the facts that are due ride along with each.

use std::io;

use super::Core;
use crate::ring::fact::Fact;
use crate::ring::types::Ending;
use crate::units::ClipId;

/// Pages of a checkpoint that ride along with one flush: 4 MiB.
const CHECKPOINT_PAGES: usize = 1024;
/// Flushes that it takes at most until everything handed in is durable: chunks, facts, and what
/// sealing the clips adds.
const ROUNDS_MAX: usize = 8;

impl Core {
    /// Whether a flush would make anything durable.
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
            || !self.undurable.is_empty()
            || !self.suspects.is_empty()
            || !self.unreadable().is_empty()
            || self.ledger.is_checkpointing()
            || self.ledger.wants_checkpoint()
            || self.is_failing()
    }

    /// Writes the facts that are due and flushes: whatever was handed in before is durable then,
    /// and the facts about it are due with the next flush.
    ///
    /// # Errors
    /// What the device says. What the flush should have covered counts as not written.
    pub fn commit(&mut self) -> io::Result<()> {
        let suspects = self.accuse();
        let committed = if self.device.is_present() {
            self.try_flush()
                .and_then(|()| self.keep_facts_within_the_ledger())
                .and_then(|()| self.reserve_ahead())
                .and_then(|()| self.flush_facts())
        } else {
            // Fails at once, and settles that what was written before it went is not owed to the
            // first flush after its return.
            self.device.flush().and(Err(io::ErrorKind::NotConnected.into()))
        };
        match committed {
            Ok(()) => {
                self.convict(&suspects);
                self.tell_of_bad_blocks();
                self.well_again();
                self.ready.extend(self.reserving.drain(..));
                self.announce();
                self.tell_what_is_durable();
                Ok(())
            }
            Err(error) => {
                self.acquit(suspects);
                self.complain(&error);
                self.ledger.flush_failed();
                self.drop_undurable();
                Err(error)
            }
        }
    }

    /// While flushes fail nothing is written for them: the facts would be written again and again,
    /// each time to other pages of the ledger. One that had no page to cover counts for nothing.
    fn try_flush(&self) -> io::Result<()> {
        if self.is_failing() { self.flush_device() } else { Ok(()) }
    }

    /// Commits until nothing is due.
    ///
    /// # Errors
    /// As [`Core::commit`].
    pub fn settle(&mut self) -> io::Result<()> {
        for _ in 0..ROUNDS_MAX {
            self.commit()?;
            if self.pending.is_empty() && self.undurable.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Ends what still grows, and makes the end of the session durable.
    ///
    /// # Errors
    /// As [`Core::commit`].
    pub fn close(&mut self) -> io::Result<()> {
        let growing: Vec<ClipId> = self.growing.keys().copied().collect();
        for clip in growing {
            self.end_clip(clip, Ending::Closed);
        }
        self.settle()?;
        if self.undurable.is_empty() {
            self.record(Fact::Clean);
        }
        self.flush_facts()
    }

    /// Begins a checkpoint now: the log has rotten pages, or came from a crash.
    pub fn begin_checkpoint(&mut self) {
        if !self.ledger.is_checkpointing() {
            let facts = self.facts_in_force();
            self.ledger.begin_checkpoint(&facts);
        }
    }

    /// With what is said of bad blocks, which holds only once the ledger has taken it.
    fn facts_in_force(&self) -> Vec<Fact> {
        let mut facts = self.state().space.facts();
        let said = self.unannounced.iter().chain(&self.pending);
        facts.extend(said.filter(|fact| matches!(fact, Fact::Bad { .. })).cloned());
        facts
    }

    /// Makes the recorded facts durable, and whatever was written before.
    ///
    /// # Errors
    /// What the device says.
    pub fn flush_facts(&mut self) -> io::Result<()> {
        let epoch = self.epoch;
        self.write_facts()?;
        self.flush()?;
        self.ledger.flushed();
        // Without facts no page was written.
        if !self.pending.is_empty() {
            self.state_mut().ledger_epoch = epoch;
        }
        self.checkpoint_due = false;
        self.unannounced.append(&mut self.pending);
        Ok(())
    }

    fn write_facts(&mut self) -> io::Result<()> {
        if self.checkpoint_due || !self.ledger.has_room_for(&self.pending) {
            // The facts in force hold the pending ones, too.
            let facts = self.facts_in_force();
            return self.ledger.stand_in(&*self.device, self.epoch, &facts);
        }
        self.ledger.append(&*self.device, self.epoch, &self.pending)?;
        if self.ledger.wants_checkpoint() {
            self.begin_checkpoint();
        }
        let advanced = self.ledger.advance_checkpoint(&*self.device, self.epoch, CHECKPOINT_PAGES);
        if let Err(error) = advanced {
            // The log has taken the facts, and there is room in it for a while.
            self.state_mut().counters.write_errors += 1;
            log::error!("ledger: the other area takes no checkpoint, tried again later: {error}");
        }
        Ok(())
    }

    /// Epochs count flushes that succeeded.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.flush_device()?;
        self.epoch += 1;
        Ok(())
    }

    fn flush_device(&self) -> io::Result<()> {
        self.state_mut().counters.flushes += 1;
        self.device.flush().inspect_err(|_| self.state_mut().counters.flush_errors += 1)
    }
}
