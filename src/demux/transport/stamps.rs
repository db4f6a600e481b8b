//! Time stamps of 33 bits (ISO/IEC 13818-1, 2.4.3.7) on one line of time. Pure.
//!
//! They run over every 26 hours, and begin anew where a writer does: what follows is put behind
//! what was before, of all streams alike.

/// Bits of a stamp.
const BITS: u32 = 33;
/// Stamps of a stream go back by no more where only those of showing are told, in ticks: a second.
const BACK_TICKS_MAX: i64 = 90_000;
/// Streams are no further apart, and no picture is shown further from when it is decoded, in ticks:
/// ten seconds.
pub(super) const APART_TICKS_MAX: i64 = 900_000;
/// From one to the next where nothing tells it, in ticks: 40 ms.
pub(super) const STEP_TICKS: i64 = 3600;

/// What a packet says of its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) pts: i64,
    pub(super) dts: i64,
}

/// The same on the line of all, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    pub(super) pts: i64,
    pub(super) dts: i64,
    /// It was put there, because its times begin anew.
    pub(super) is_anew: bool,
    /// The one before was far ahead, and is the only one: it was damaged.
    pub(super) is_back: bool,
}

impl Stamped {
    /// Puts one that was far ahead right before another.
    pub(super) fn step_before(&mut self, next: &Stamped) {
        self.dts = next.dts.saturating_sub(STEP_TICKS);
        self.pts = self.dts;
    }
}

/// The line of all streams.
#[derive(Default)]
pub(super) struct Stamps {
    /// What is added to a stamp since times began anew last.
    shift: i64,
    /// The latest time so far.
    end: Option<i64>,
}

/// A stream on it.
#[derive(Default)]
pub(super) struct Own {
    /// What is added to its stamps.
    pub(super) shift: i64,
    last: Option<i64>,
    /// The one before, where the last one is far ahead of it, and the latest of all then.
    before: Option<i64>,
    before_end: i64,
}

impl Stamps {
    /// Where a stamp of a stream is.
    pub(super) fn place(&mut self, own: &mut Own, stamp: Stamp) -> Stamped {
        let is_back = self.goes_back(own, stamp);
        let end = self.end.unwrap_or(stamp.dts);
        let (dts, is_anew) = match own.last.map(|last| (last, near(stamp.dts, own.shift, last))) {
            Some((last, at)) if at >= last.saturating_sub(BACK_TICKS_MAX) => (at, false),
            _ => {
                let at = near(stamp.dts, self.shift, end);
                // Others may have begun anew before.
                let is_other = std::mem::replace(&mut own.shift, self.shift) != self.shift;
                let goes_on = is_other && at.abs_diff(end) <= APART_TICKS_MAX as u64;
                match goes_on || own.last.is_none() {
                    true => (at, false),
                    false => (end.saturating_add(STEP_TICKS), true),
                }
            }
        };
        if is_anew {
            self.shift = dts.saturating_sub(stamp.dts);
            own.shift = self.shift;
        }
        let before = own.last.replace(dts);
        own.before = before.filter(|last| dts > last.saturating_add(APART_TICKS_MAX));
        own.before_end = end;
        self.end = Some(end.max(dts));
        let ahead = wrapped(stamp.pts.saturating_sub(stamp.dts));
        let is_sane = (-APART_TICKS_MAX..=APART_TICKS_MAX).contains(&ahead);
        let pts = dts.saturating_add(if is_sane { ahead } else { 0 });
        Stamped { pts, dts, is_anew, is_back }
    }

    /// Whether the last stamp of a stream was far ahead, and this one goes on from the one before:
    /// then that was damaged, and is forgotten.
    fn goes_back(&mut self, own: &mut Own, stamp: Stamp) -> bool {
        let Some(before) = own.before else { return false };
        let at = near(stamp.dts, own.shift, before);
        let goes_on = (0..=APART_TICKS_MAX).contains(&at.saturating_sub(before));
        if goes_on {
            (own.last, self.end) = (Some(before), Some(own.before_end.max(before)));
        }
        goes_on
    }
}

/// The time of a stamp that is nearest to another one.
fn near(stamp: i64, shift: i64, to: i64) -> i64 {
    to.saturating_add(wrapped(stamp.saturating_add(shift).saturating_sub(to)))
}

/// The shortest way between two stamps.
fn wrapped(way: i64) -> i64 {
    let half = 1 << (BITS - 1);
    way.saturating_add(half).rem_euclid(1 << BITS) - half
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 1 << BITS;

    fn placed(stamps: &mut Stamps, own: &mut Own, dts: i64) -> (i64, bool) {
        let stamped = stamps.place(own, Stamp { pts: (dts + 7200) % DAY, dts: dts % DAY });
        assert_eq!(stamped.pts - stamped.dts, 7200);
        (stamped.dts, stamped.is_anew)
    }

    #[test]
    fn stamps_that_run_over_go_on() {
        let (mut stamps, mut pictures, mut sound) = Default::default();
        let stamps: &mut Stamps = &mut stamps;
        assert_eq!(placed(stamps, &mut pictures, DAY - 3600), (DAY - 3600, false));
        assert_eq!(placed(stamps, &mut pictures, DAY), (DAY, false));
        assert_eq!(placed(stamps, &mut sound, DAY - 1800), (DAY - 1800, false));
        assert_eq!(placed(stamps, &mut sound, DAY + 90), (DAY + 90, false));
        let late = DAY + 3600 * 90_000;
        assert_eq!(placed(stamps, &mut sound, late), (late, false), "a gap stays one");
        assert_eq!(placed(stamps, &mut pictures, DAY + 3600), (DAY + 3600, false));
    }

    #[test]
    fn stamps_that_begin_anew_are_put_behind_those_of_all_streams() {
        let (mut stamps, mut pictures, mut sound) = Default::default();
        let stamps: &mut Stamps = &mut stamps;
        let hour = 3600 * 90_000;
        assert_eq!(placed(stamps, &mut pictures, hour), (hour, false));
        assert_eq!(placed(stamps, &mut sound, hour), (hour, false));
        assert_eq!(placed(stamps, &mut pictures, 5000), (hour + 3600, true));
        assert_eq!(placed(stamps, &mut sound, hour + 1000), (hour + 1000, false), "of before");
        assert_eq!(placed(stamps, &mut sound, 5900), (hour + 4500, false));
        assert_eq!(placed(stamps, &mut pictures, 8600), (hour + 7200, false));
    }

    #[test]
    fn a_stamp_that_is_damaged_moves_no_other() {
        let (mut stamps, mut pictures, mut sound) = Default::default();
        let stamps: &mut Stamps = &mut stamps;
        assert_eq!(placed(stamps, &mut pictures, 3600), (3600, false));
        let hours = 1 << 31;
        assert_eq!(placed(stamps, &mut pictures, 7200 + hours), (7200 + hours, false));
        let mut back = stamps.place(&mut pictures, Stamp { pts: 10_800, dts: 10_800 });
        assert_eq!((back.dts, back.is_back, back.is_anew), (10_800, true, false));
        assert_eq!(placed(stamps, &mut sound, 10_900), (10_900, false));
        assert_eq!(placed(stamps, &mut pictures, 14_400), (14_400, false));
        let next = back;
        back.step_before(&next);
        assert_eq!((back.dts, back.pts), (7200, 7200));
    }

    #[test]
    fn a_picture_that_would_be_shown_long_before_it_is_decoded_is_shown_then() {
        let (mut stamps, mut own): (Stamps, Own) = Default::default();
        let stamped = stamps.place(&mut own, Stamp { pts: 5_000_000, dts: 90 });
        assert_eq!((stamped.pts, stamped.dts), (90, 90));
    }
}
