//! Which clips were recorded on a wrong clock, and by how much it was wrong. Pure.
//!
//! A clip's times are those of the wall clock at a moment, and of the boot clock since. Where the
//! wall clock is set later in the same boot, and is right then, the difference of the two clocks
//! says to the millisecond what it would have shown before: the clip is *redated*, once. Not every
//! clock that was set was wrong before, though, nor is it always right behind:
//!
//! - A clip that is dated before what the ring knows to lie behind it is certainly wrong: before
//!   [`EARLIEST`], before the ring was made, or before a clip that was
//!   recorded earlier on a synchronised clock. It is redated by a time that may be trusted
//!   ([`Verdict::Trusted`](crate::clock::Verdict)) and is none of that, whether or not a kernel
//!   ever calls it synchronised.
//! - Another one is redated by a *confirmed* time alone, and only if no clock of this boot was
//!   synchronised before: a virtual machine that stood still, and whose clock is set forward behind
//!   it, was right before.
//! - Less than [`SHIFT_NANOS_MIN`] is no correction.
//! - A clip that was recorded on a synchronised clock, and one whose times were given, stays as it
//!   is.
//!
//! Of clips of an earlier boot nobody can say how wrong they are. They are certainly wrong, or
//! taken for right ([`is_misdated`]); of the former the next clip that is not says how old they are
//! at least.

use crate::catalogue::{Catalogue, Clip, StreamTiming};
use crate::clock::{EARLIEST, Reading};
use crate::ring::ClockFact;
use crate::units::{ClipKey, NANOS_PER_SECOND, WallTime};

/// A clock that was off by less is left to be, in nanoseconds: names are to the second.
pub const SHIFT_NANOS_MIN: i64 = NANOS_PER_SECOND;

/// A clip that ends later than now by more than this, in nanoseconds, lies in the future.
const AHEAD_NANOS_MAX: i64 = 60 * NANOS_PER_SECOND;

/// A time that may be trusted.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What the clocks show.
    pub reading: Reading,
    /// Whether the kernel has confirmed it.
    pub confirmed: bool,
    /// When the ring was made, by the clock of then.
    pub created: WallTime,
}

/// A clip that was recorded on a wrong clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which.
    pub clip: ClipKey,
    /// How far the clock was behind, in nanoseconds; negative where it was ahead.
    pub shift_nanos: i64,
}

/// When a ring was made that says that it was at `created`; a clock that was ahead then says
/// nothing.
#[must_use]
pub fn made_at(created: WallTime, now: WallTime) -> WallTime {
    if created <= now { created } else { EARLIEST }
}

/// The earliest that a clip of this key can have been recorded, on a ring that was made at
/// `created`.
#[must_use]
pub fn earliest_of(catalogue: &Catalogue, clip: ClipKey, created: WallTime) -> WallTime {
    let before = catalogue.dated_before(clip).map(|before| before.fact.start);
    before.into_iter().fold(EARLIEST.max(created), WallTime::max)
}

/// Whether a clip is certainly older or younger than it says, as it can't have been recorded before
/// `earliest`.
#[must_use]
pub fn is_misdated(clip: &Clip, earliest: WallTime) -> bool {
    !clip.dated() && clip.fact.start < earliest
}

/// The newest clip that was recorded here, where it ends later than now: the clock is behind, or
/// was ahead then.
#[must_use]
pub fn newest_ahead(catalogue: &Catalogue, now: WallTime) -> Option<&Clip> {
    let recorded = |clip: &&Clip| clip.listed() && clip.fact.quality.is_read();
    let newest = catalogue
        .streams()
        .filter_map(|(stream, _)| catalogue.clips_of(stream).rfind(recorded))
        .max_by_key(|clip| clip.fact.end)?;
    (newest.fact.end > now.plus_nanos(AHEAD_NANOS_MAX)).then_some(newest)
}

/// The clips that are to be redated now, `most` of them.
#[must_use]
pub fn wrong_clips(catalogue: &Catalogue, now: &Now, most: usize) -> Vec<Wrong> {
    let timings: Vec<StreamTiming> = catalogue.timings().collect();
    let of_timing = timings.iter().flat_map(|timing| wrong_by(catalogue, now, &timings, timing));
    of_timing.take(most).collect()
}

fn wrong_by(
    catalogue: &Catalogue,
    now: &Now,
    timings: &[StreamTiming],
    by: &StreamTiming,
) -> Vec<Wrong> {
    let present = ClockFact::from(&now.reading);
    let shift_nanos = present.offset_nanos().saturating_sub(by.timing.clock.offset_nanos());
    let same_boot = by.timing.clock.boot_id == now.reading.boot_id;
    if !same_boot || by.timing.synchronised || shift_nanos.saturating_abs() < SHIFT_NANOS_MIN {
        return Vec::new();
    }
    // A time that is before it is none to put others right by.
    // Without a confirmation it may as well be this time that is wrong.
    let created = match now.confirmed {
        true => made_at(now.created, now.reading.wall),
        false => now.created,
    };
    let earliest = earliest_of(catalogue, by.clips.start, created);
    let ends_max = now.reading.wall.plus_nanos(AHEAD_NANOS_MAX);
    let fits = |clip: &&Clip| {
        let start = clip.fact.start.plus_nanos(shift_nanos);
        let is_theirs = clip.stream == by.stream && by.clips.contains(&clip.key);
        is_theirs
            && !clip.dated()
            && clip.readable()
            && start >= earliest
            && clip.fact.end.plus_nanos(shift_nanos) <= ends_max
    };
    let wrong = |clip: &Clip| Wrong { clip: clip.key, shift_nanos };
    if now.confirmed && is_first_right(timings, by) {
        let theirs =
            catalogue.clips_from(by.clips.start).take_while(|clip| clip.key < by.clips.end);
        return theirs.filter(fits).map(wrong).collect();
    }
    let before = catalogue.clips_starting(by.stream, WallTime(i64::MIN)..earliest);
    before.filter(fits).map(wrong).collect()
}

/// Whether no clock of the boot was synchronised before clips were timed by this one.
fn is_first_right(timings: &[StreamTiming], by: &StreamTiming) -> bool {
    let earlier = |other: &&StreamTiming| other.clips.start < by.clips.start;
    let same_boot = |other: &&StreamTiming| other.timing.clock.boot_id == by.timing.clock.boot_id;
    !timings.iter().filter(earlier).filter(same_boot).any(|other| other.timing.synchronised)
}

#[cfg(test)]
mod tests;
