//! Clips that are kept: how much may be, and what is said of what is not.

use std::sync::atomic::{AtomicU8, Ordering};

use super::{Deed, LibraryError, RingLibrary};
use crate::ring::{ClipState, KeepRefused, Reason, Refusal, StateRefused, StateRequest};
use crate::units::{ByteCount, ClipId, ClipKey, WallTime};

/// How much of a ring may be kept. It may change at any time, for what is to be kept from then on.
#[derive(Debug)]
pub struct KeepMax(AtomicU8);

impl KeepMax {
    /// So many percent of it.
    #[must_use]
    pub fn new(percent: u8) -> KeepMax {
        KeepMax(AtomicU8::new(percent))
    }

    /// What holds from now on, in percent.
    pub fn set(&self, percent: u8) {
        self.0.store(percent, Ordering::Relaxed);
    }

    /// What holds now, of so much.
    #[must_use]
    pub fn of(&self, size: ByteCount) -> ByteCount {
        ByteCount(size.0 / 100 * u64::from(self.0.load(Ordering::Relaxed)))
    }
}

impl RingLibrary {
    /// As [`Changes::keep`](super::Changes::keep).
    pub(super) fn keep_all(
        &self,
        clips: &[ClipKey],
        until: Option<WallTime>,
    ) -> Result<Vec<ClipKey>, LibraryError> {
        let ids = self.ids(clips)?;
        let kept = self.writer()?.keep(&ids, until, self.keep_max());
        let tell = |clips: &[ClipKey], deed| {
            clips.iter().for_each(|clip| self.tell(*clip, deed, until));
        };
        let kept = kept.map_err(refused).inspect_err(|error| match error {
            LibraryError::NoRoom { .. } => tell(clips, Deed::NotKept),
            LibraryError::Grows => tell(clips, Deed::Grows),
            _ => {}
        })?;
        let kept = among(clips, &kept);
        tell(&kept, Deed::Kept);
        Ok(kept)
    }

    /// As [`Changes::release`](super::Changes::release).
    pub(super) fn release_all(&self, clips: &[ClipKey]) -> Result<Vec<ClipKey>, LibraryError> {
        let ids = self.ids(clips)?;
        let released = among(clips, &self.writer()?.release(&ids).map_err(refused)?);
        released.iter().for_each(|clip| self.tell(*clip, Deed::Released, None));
        Ok(released)
    }

    /// As [`Changes::restore`](super::Changes::restore). One that nothing claims would be retired
    /// again with the next pass: who brings it back by hand keeps it.
    pub(super) fn restore_one(&self, clip: ClipKey) -> Result<(), LibraryError> {
        let state = self.writer()?.state_asked(self.own(clip)?);
        self.carry_out(clip, (Deed::Restored, StateRequest::Restore), None)?;
        if let Some(ClipState::Expiring { until, reason: Reason::Quiet }) = state {
            self.keep_all(&[clip], None).inspect_err(|_| {
                // It goes back where it was; where it does not, the purge sees to it.
                let _ = self.change_state(clip, StateRequest::Retire { until });
            })?;
        }
        Ok(())
    }

    /// Those that are of this ring.
    fn ids(&self, clips: &[ClipKey]) -> Result<Vec<ClipId>, LibraryError> {
        self.check_present()?;
        let ids: Vec<ClipId> = clips.iter().filter_map(|clip| self.own(*clip).ok()).collect();
        if ids.is_empty() { Err(LibraryError::Gone) } else { Ok(ids) }
    }

    /// What blocks of kept clips may come to.
    pub(super) fn keep_max(&self) -> ByteCount {
        self.keep_max.of(self.archive.ring().usage().size)
    }

    /// Remembers for the log what was done, or not, to a clip that is still there.
    pub(super) fn tell(&self, clip: ClipKey, deed: Deed, until: Option<WallTime>) {
        if let Some(done_to) = self.done_to(clip, until) {
            self.deeds.gather(deed, done_to, self.clock.boot());
        }
    }
}

/// Those that the ring calls so; it answers them in their order.
fn among(clips: &[ClipKey], ids: &[ClipId]) -> Vec<ClipKey> {
    clips.iter().filter(|clip| ids.binary_search(&clip.clip()).is_ok()).copied().collect()
}

/// All clips stay as they are.
fn refused(refused: KeepRefused) -> LibraryError {
    match refused {
        KeepRefused::State(refused) => state_refused(refused),
        KeepRefused::Grows(_) => LibraryError::Grows,
        KeepRefused::NoRoom { before, after, most } => LibraryError::NoRoom { before, after, most },
    }
}

/// A clip stays as it is.
pub(super) fn state_refused(refused: StateRefused) -> LibraryError {
    match refused {
        StateRefused::Gone | StateRefused::Changed => LibraryError::Gone,
        // What is being purged is gone for everybody else.
        StateRefused::State(Refusal::Purging) => LibraryError::Gone,
        StateRefused::State(refusal) => LibraryError::Refused(refusal),
        StateRefused::Unwritable => LibraryError::Unwritable,
        StateRefused::QueueFull => LibraryError::Busy,
        StateRefused::Closed => LibraryError::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_there_is_and_never_more() {
        let keep_max = KeepMax::new(30);
        assert_eq!(keep_max.of(ByteCount(1000)), ByteCount(300));
        keep_max.set(90);
        assert_eq!(keep_max.of(ByteCount(u64::MAX)), ByteCount(u64::MAX / 100 * 90));
        keep_max.set(0);
        assert_eq!(keep_max.of(ByteCount(1 << 40)), ByteCount(0));
    }
}
