//! Freeing clips for good, overwritten with zeros before where that is wanted.

use std::io;
use std::sync::PoisonError;

use super::error::RingError;
use super::state::Shared;
use super::types::ClipState;
use super::writer::{Request, Writer};
use super::zero::{self, Wiped};
use crate::units::{BlockNumber, ByteCount, ClipId, Counted};

/// How often the samples of a clip are zeroed at most, where flushes fail meanwhile.
const WIPES_MAX: usize = 3;
/// Blocks that are called bad with one flush: fewer than make the writer pause.
const BAD_AT_ONCE: usize = 8;

impl Writer {
    /// Frees a clip that is being purged, or will be once the writer comes to it: overwritten with
    /// zeros if `wipe`, then gone. One that is in another state by then stays. Answers the space
    /// that it took.
    ///
    /// A page that refuses the zeros when this is called again, while the device takes others,
    /// keeps what it held: the log says so, and its block is bad and not used any more.
    ///
    /// # Errors
    /// The device failed, or a page refuses for the first time, or the ring is closed; the clip
    /// stays hidden, and purging goes on when this is called again, also after the next start.
    pub fn free(&self, clip: ClipId, wipe: bool) -> Result<ByteCount, RingError> {
        let used = {
            let shared = Shared::read(&self.inner.shared);
            let record = shared.space.clip(clip).filter(|record| record.state.is_some());
            record.map_or(ByteCount(0), |record| record.used().bytes)
        };
        if wipe {
            self.sync()?;
            if !self.state_of(clip).is_some_and(ClipState::is_purging) {
                return Ok(ByteCount(0));
            }
            self.wipe(clip)?;
        }
        if self.send(Request::Forget { clip }) { Ok(used) } else { Err(RingError::Closed) }
    }

    /// The zeros have to be on the disk before the ledger forgets where they belong: also those
    /// that were written before a flush of somebody else's failed.
    fn wipe(&self, clip: ClipId) -> Result<(), RingError> {
        let inner = &self.inner;
        let flush_errors = || {
            let shared = Shared::read(&inner.shared);
            shared.counters.flush_errors
        };
        for _ in 0..WIPES_MAX {
            let before = flush_errors();
            let wiped = zero::wipe(&*inner.device, &inner.superblock, &inner.shared, clip);
            if wiped.is_away {
                return Err(failed(clip, io::ErrorKind::NotConnected.into()));
            }
            self.sync()?;
            if flush_errors() == before {
                return self.give_up_blocks(clip, wiped);
            }
        }
        Err(failed(clip, io::Error::other("flushes fail meanwhile")))
    }

    /// What refuses zeros twice takes none later either. Only where the device takes it that the
    /// blocks are bad is it they that fail, and not all of it.
    fn give_up_blocks(&self, clip: ClipId, wiped: Wiped) -> Result<(), RingError> {
        let (pages, blocks) = (wiped.refused_pages, wiped.refused.len() as u64);
        let known = || self.inner.wipes_refused.lock().unwrap_or_else(PoisonError::into_inner);
        if pages == 0 {
            known().remove(&clip);
            return Ok(());
        }
        let is_first = known().insert(clip);
        let all_bad = self.mark_bad(wiped.refused)?;
        let pages = Counted(pages, "page");
        if is_first || !all_bad {
            return Err(failed(clip, io::Error::other(format!("{pages} refused the zeros"))));
        }
        known().remove(&clip);
        log::error!(
            "ring: {pages} of clip {clip} refuse to be overwritten, and may still be read from the \
             device: {} not used any more",
            Counted(blocks, "block"),
        );
        Ok(())
    }

    /// Has the ledger say that these blocks are bad; false where it does not take that.
    fn mark_bad(&self, mut refused: Vec<(BlockNumber, io::Error)>) -> Result<bool, RingError> {
        let is_bad = |block: BlockNumber| {
            let shared = Shared::read(&self.inner.shared);
            shared.space.is_bad(block)
        };
        refused.retain(|(block, _)| !is_bad(*block));
        let blocks: Vec<BlockNumber> = refused.iter().map(|(block, _)| *block).collect();
        let mut refused = refused.into_iter().peekable();
        while refused.peek().is_some() {
            for (block, error) in refused.by_ref().take(BAD_AT_ONCE) {
                self.send(Request::Suspect { block, error });
            }
            self.sync()?;
        }
        Ok(blocks.into_iter().all(is_bad))
    }
}

fn failed(clip: ClipId, source: io::Error) -> RingError {
    RingError::Device { what: format!("wiping clip {clip}"), source }
}
