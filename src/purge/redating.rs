//! Clips that were recorded on a wrong clock get their right times, before any of them is too old.

use super::passes::Passes;
use super::{Reclaimer, account};
use crate::clock::{Reading, Verdict};
use crate::dating::{Now, wrong_clips};
use crate::units::WallTime;

/// Clips that are redated with one flush at most: the catalogue is locked for milliseconds.
const WRONG_MAX: usize = 1000;

impl<C: Reclaimer> Passes<C> {
    /// Redates clips, and waits until that is durable. Answers whether there were any: then there
    /// may be more, and nothing may be deleted before.
    pub(super) fn redate(
        &mut self,
        reading: &Reading,
        verdict: Verdict,
        confirmed: bool,
        created: WallTime,
    ) -> bool {
        if !matches!(verdict, Verdict::Trusted(_)) {
            return false;
        }
        let now = Now { reading: *reading, confirmed, created };
        let wrong = { wrong_clips(&self.catalogue(), &now, WRONG_MAX) };
        let first = wrong.first().map(|first| first.clip);
        // What the ring does not take, it does not take the next moment either.
        if first.is_none() || std::mem::replace(&mut self.redated, first) == first {
            return false;
        }
        let shift = wrong.first().map_or(0, |first| first.shift_nanos);
        log::warn!(
            "{} clips were recorded while the clock was {} {}: they get the times that they should \
             have had, and new names",
            wrong.len(),
            account::length(shift),
            if shift < 0 { "ahead" } else { "behind" }
        );
        self.reclaimer.redate(&wrong);
        true
    }
}
