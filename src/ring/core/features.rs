//! Feature bits: durable before the first thing that needs them.

use super::Core;
use crate::ring::found::add_features;
use crate::ring::superblock::LATER_FACTS;
use crate::ring::types::NewChunk;

impl Core {
    /// Sees to it that the superblocks have the bits that a chunk, and what will be said of its
    /// clip, ask for: once in the life of a ring, and never for footage that the first programs of
    /// version 1 could have recorded, so that they can write to such a ring for ever. False where
    /// the superblock that they would read first does not take it: the chunk must not be written.
    pub(in crate::ring) fn ensure_features(&mut self, chunk: &NewChunk) -> bool {
        let needed = self.interpreter.features(&chunk.table, &chunk.parameters);
        self.ensure(needed, "footage (damaged frames, a pause or a new codec)")
    }

    /// The same for events, of which the first programs of version 1 knew nothing.
    pub(super) fn ensure_events(&mut self) -> bool {
        self.ensure(LATER_FACTS, "events")
    }

    fn ensure(&mut self, needed: u64, what: &str) -> bool {
        if needed & !self.superblock.ro_compat == 0 {
            return true;
        }
        let device = self.device.clone();
        if let Err(error) = add_features(&*device, needed, &mut || self.commit()) {
            // Each chunk, or event, tries again; the log hears of it once.
            if !std::mem::replace(&mut self.features_refused, true) {
                log::error!(
                    "superblock: it does not take the mark of {what} that the first versions of \
                     reelfs can't read, dropped until it does: {error}; reelfs check tells what is \
                     wrong with it"
                );
            }
            return false;
        }
        self.features_refused = false;
        self.superblock.ro_compat |= needed;
        self.state_mut().ro_compat |= needed;
        log::info!(
            "superblock: the ring has {what} now that the first versions of reelfs can't read \
             (ro-compat {:#x}); they will not write to it any more",
            self.superblock.ro_compat
        );
        true
    }
}
