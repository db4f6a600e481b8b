//! Writes and flushes, counted, and the facts that ride along with a flush.

use std::io;

use super::Core;
use crate::device::AlignedBuffer;
use crate::units::DeviceOffset;

impl Core {
    /// Whether nothing of the last flush intervals is safe.
    pub(super) fn is_failing(&self) -> bool {
        self.state().counters.commits_failed > 0
    }

    /// Begins a checkpoint now: the log has rotten pages, or came from a crash.
    pub fn begin_checkpoint(&mut self) {
        self.facts.begin_checkpoint(&self.shared);
    }

    /// Makes the recorded facts durable, and whatever was written before.
    ///
    /// # Errors
    /// What the device says.
    pub fn flush_facts(&mut self) -> io::Result<()> {
        let epoch = self.facts.epoch();
        self.facts.write(&*self.device, &self.shared)?;
        self.flush()?;
        // Without facts no page was written.
        if self.facts.are_durable() {
            self.state_mut().ledger_epoch = epoch;
        }
        Ok(())
    }

    /// Epochs count flushes that succeeded.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.flush_device()?;
        self.facts.begin_epoch();
        Ok(())
    }

    /// While flushes fail nothing is written for them: the facts would be written again and again,
    /// each time to other pages of the ledger. One that had no page to cover counts for nothing.
    pub(super) fn try_flush(&self) -> io::Result<()> {
        if self.is_failing() { self.flush_device() } else { Ok(()) }
    }

    fn flush_device(&self) -> io::Result<()> {
        self.state_mut().counters.flushes += 1;
        self.device.flush().inspect_err(|_| self.state_mut().counters.flush_errors += 1)
    }

    pub(in crate::ring) fn write(
        &self,
        offset: DeviceOffset,
        bytes: &AlignedBuffer,
    ) -> io::Result<()> {
        let written = self.device.write_at(offset, bytes);
        let mut state = self.state_mut();
        state.counters.writes += 1;
        state.counters.write_bytes += bytes.len() as u64;
        state.counters.write_errors += u64::from(written.is_err());
        written
    }
}
