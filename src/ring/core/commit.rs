//! One flush after another: what each covers is told, and leads to the facts of the next.

use std::io;

use super::Core;

/// Flushes that it takes at most until everything handed in is durable: chunks, facts, and what
/// sealing the clips adds.
const ROUNDS_MAX: usize = 8;

impl Core {
    /// Whether a flush would make anything durable.
    pub fn is_dirty(&self) -> bool {
        self.facts.wants_flush()
            || self.clips.are_undurable()
            || self.trouble.has_suspects()
            || !self.unreadable().is_empty()
            || self.is_failing()
    }

    /// Writes the facts that are due and flushes: whatever was handed in before is durable then,
    /// and the facts about it are due with the next flush.
    ///
    /// # Errors
    /// What the device says. What the flush should have covered counts as not written.
    pub fn commit(&mut self) -> io::Result<()> {
        if !self.device.is_writable() {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let suspects = self.propose_bad();
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
                self.mark_bad(&suspects);
                self.trouble.tell_of_bad_blocks(self.clock.boot());
                self.commit_succeeded();
                self.placement.reservations_are_durable();
                self.announce();
                self.waits_no_more();
                self.tell_what_is_durable();
                Ok(())
            }
            Err(error) => {
                self.clear(suspects);
                self.commit_failed(&error);
                self.facts.flush_failed();
                self.drop_undurable();
                Err(error)
            }
        }
    }

    /// Commits until nothing is due.
    ///
    /// # Errors
    /// As [`Core::commit`].
    pub fn settle(&mut self) -> io::Result<()> {
        for _ in 0..ROUNDS_MAX {
            self.commit()?;
            if self.facts.is_empty() && !self.clips.are_undurable() {
                break;
            }
        }
        Ok(())
    }
}
