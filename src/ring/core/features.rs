//! Feature bits: durable before the first thing that needs them.

use super::Core;
use crate::ring::error::RingError;
use crate::ring::found::add_features;
use crate::ring::types::NewChunk;

impl Core {
    /// Sees to it that the superblocks have the bits that a chunk, and what will be said of its
    /// clip, ask for: once in the life of a ring, and never for footage that the first programs of
    /// version 1 could have recorded, so that they can write to such a ring for ever.
    ///
    /// # Errors
    /// The superblock that they would read first does not take it: the chunk must not be written.
    pub(in crate::ring) fn ensure_features(&mut self, chunk: &NewChunk) -> Result<(), RingError> {
        let needed = self.interpreter.features(&chunk.table, &chunk.parameters);
        if needed & !self.superblock.ro_compat == 0 {
            return Ok(());
        }
        let device = self.device.clone();
        add_features(&*device, needed, &mut || self.commit())?;
        self.superblock.ro_compat |= needed;
        self.state_mut().ro_compat |= needed;
        log::info!(
            "superblock: the ring has footage now that the first versions of reelfs can't read \
             (ro-compat {:#x}); they will not write to it any more",
            self.superblock.ro_compat
        );
        Ok(())
    }
}
