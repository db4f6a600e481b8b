//! How old clips are that are certainly dated too early: the first minutes after a power cut on a
//! machine without a battery-backed clock, dated 1970, would expire as soon as the clock is set.

use std::ops::Range;

use crate::catalogue::{Catalogue, Clip};
use crate::dating::{earliest_of, is_misdated, made_at};
use crate::units::{ClipKey, WallTime};

/// Looks at one clip of a stream after another.
pub(super) struct Misdated<'a> {
    catalogue: &'a Catalogue,
    created: WallTime,
    /// Clips between these two keys were recorded before that time: thousands of them may lie
    /// before one that says so.
    known: Option<(Range<ClipKey>, WallTime)>,
}

impl<'a> Misdated<'a> {
    /// On a ring that says that it was made at `created`.
    pub(super) fn new(catalogue: &'a Catalogue, created: WallTime, now: WallTime) -> Misdated<'a> {
        Misdated { catalogue, created: made_at(created, now), known: None }
    }

    /// Before when a clip was recorded that is certainly dated too early: when the next one that is
    /// not was, as clips get their ids in the order of recording. The end of time where none
    /// follows; `None` for one that is taken for right.
    pub(super) fn age(&mut self, clip: &Clip) -> Option<WallTime> {
        // Most are, and nothing else has to be looked up.
        if clip.dated() {
            return None;
        }
        let earliest = earliest_of(self.catalogue, clip.key, self.created);
        if !is_misdated(clip, earliest) {
            return None;
        }
        if let Some((clips, before)) = &self.known
            && clips.contains(&clip.key)
        {
            return Some(*before);
        }
        let mut behind = self.catalogue.clips_behind(clip.key);
        let next = behind.find(|other| {
            let here = other.key.ring() == clip.key.ring();
            let read = other.fact.quality.is_read();
            here && read && !is_misdated(other, earliest)
        });
        let (end, before) =
            next.map_or((ClipKey::MAX, WallTime(i64::MAX)), |next| (next.key, next.fact.start));
        self.known = Some((clip.key..end, before));
        Some(before)
    }
}
