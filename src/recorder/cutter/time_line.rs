//! The time line of a track: where its decode times lie on the wall, for one run. Pure.
//!
//! A run is the samples of one stream until its time jumps. A track's time line is in ticks of its
//! own clock rate (RFC 3550, 5.1): its *points* are ticks of steered decode time since its first
//! frame that was cut. Wall times come from points, so that no rounding adds up, and the wall is
//! where tracks meet: a clip begins and ends at wall times. Frames are known by their times only.

use super::wall_clock::{Jump, STEP_NANOS, WallClock};
use crate::clock::Reading;
use crate::units::{BootTime, Ticks, WallTime};

/// Where the frames of one track lie on the wall.
#[derive(Debug)]
pub(super) struct TimeLine {
    clock: WallClock,
    timescale: u32,
    /// Presentation time of the frame before, recorded or not.
    last_pts: i64,
    /// Decode time of the first frame, once it is final: point 0.
    origin: Option<i64>,
    /// Decode time of the last frame that was cut.
    cut_to: Option<i64>,
    /// The point where it lies.
    cut_at: i64,
    /// Point behind the last frame that was cut, as it was expected then.
    end: i64,
    /// Where the clip before the run ends: no frame lies before it.
    floor: Option<WallTime>,
}

/// Where a clip ended, and the reading of the clocks that its times come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) at: WallTime,
    pub(super) begun: Reading,
}

/// Frames that wait to be cut, by their decode times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) first: i64,
    pub(super) last: i64,
    /// That of the first one, had no clip before it been in its way.
    pub(super) wanted: i64,
    /// What steering had added to decode times when the first one came, in ticks.
    pub(super) shift: i64,
}

/// Where frames that were cut lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// When the first one was captured.
    pub(super) start: WallTime,
    /// How long the last one lasts, in ticks.
    pub(super) last_duration: i64,
}

impl TimeLine {
    /// Of a run that begins with a frame received at `begun`.
    pub(super) fn new(begun: Reading, first_pts: i64, timescale: u32) -> TimeLine {
        TimeLine {
            clock: WallClock::new(begun, first_pts, timescale),
            timescale,
            last_pts: first_pts,
            origin: None,
            cut_to: None,
            cut_at: 0,
            end: 0,
            floor: None,
        }
    }

    /// A clip ended before the run: no frame of it lies before that. What a camera had kept, and
    /// sends when somebody connects anew, may be in that clip already.
    pub(super) fn keep_behind(&mut self, ended: &Ended) {
        let (begun, before) = (self.clock.begun(), ended.begun);
        if begun.boot_id != before.boot_id {
            return;
        }
        // Told by the clock that nobody sets, unless the other one was no more than nudged.
        let passed = begun.boot.0.saturating_sub(before.boot.0);
        let floor = begun.wall.plus_nanos(passed.saturating_neg());
        let floor = floor.plus_nanos(ended.at.nanos_since(before.wall));
        let nudged = ended.at.nanos_since(floor);
        let is_set = nudged.saturating_abs() > STEP_NANOS;
        self.floor = Some(if is_set { floor } else { floor.max(ended.at) });
    }

    /// The decode time before which no frame may lie, where one of this time would begin a clip
    /// behind another one.
    pub(super) fn floor(&self, wanted: i64, shift: i64) -> Option<i64> {
        let zero = self.origin.unwrap_or(wanted).saturating_sub(shift);
        if self.cut_to.is_some() {
            return Some(zero.saturating_add(self.end));
        }
        let behind = self.floor?.nanos_since(self.clock.wall_at(0));
        let ticks = Ticks::from_nanos(behind, self.timescale).0;
        let is_short = Ticks(ticks).to_nanos(self.timescale) < behind;
        Some(zero.saturating_add(ticks).saturating_add(i64::from(is_short)))
    }

    /// The reading of the clocks that its times come from.
    pub(super) fn begun(&self) -> Reading {
        self.clock.begun()
    }

    /// Ticks from the frame before to this one, which is the frame before from now on.
    pub(super) fn step(&mut self, pts: i64) -> i64 {
        pts.saturating_sub(std::mem::replace(&mut self.last_pts, pts))
    }

    /// Follows the clock. Answers what has jumped where the run should end with the next key frame.
    pub(super) fn observe(&mut self, pts: i64, received: &Reading) -> Option<Jump> {
        self.clock.observe(pts, received)
    }

    /// When a frame of this time is told to be captured, once that is settled.
    pub(super) fn told_at(&self, pts: i64) -> Option<BootTime> {
        self.clock.told_at(pts)
    }

    /// The same, as far as that is known by now.
    pub(super) fn boot_at(&self, pts: i64) -> BootTime {
        self.clock.boot_at(pts)
    }

    /// Forgets the arrivals so far, which belong to times that ran at another pace.
    pub(super) fn forget(&mut self) {
        self.clock.forget();
    }

    /// What steering adds to decode times by now, in ticks.
    pub(super) fn shift(&self) -> i64 {
        self.clock.shift()
    }

    /// Decode time of the last frame that was cut.
    pub(super) fn cut_to(&self) -> Option<i64> {
        self.cut_to
    }

    /// Ticks a second.
    pub(super) fn timescale(&self) -> u32 {
        self.timescale
    }

    /// Steers where a chunk begins with this decode time, and never so far that times would
    /// not grow.
    pub(super) fn steer(&mut self, time: i64) {
        if let Some(last) = self.cut_to {
            self.clock.steer(time, time.saturating_sub(last) / 2);
            // A frame may come before the one that was expected when it was steered last.
            let behind = self.cut_at.saturating_add(1);
            self.clock.raise(behind.saturating_sub(self.point(time, time, 0)));
        }
    }

    /// When a frame of this decode time was captured, as far as it is known. Before anything is
    /// cut, `first` is the decode time that the first frame wants, as far as that is known.
    pub(super) fn wall_at(&self, time: i64, first: i64, shift: i64) -> WallTime {
        self.clock.wall_at(self.point(time, first, shift))
    }

    fn point(&self, time: i64, first: i64, shift: i64) -> i64 {
        time - self.origin.unwrap_or(first) + shift
    }

    /// Puts what waits into a chunk: from now on its times are final. `next` is the decode time of
    /// the frame behind, where that is known; else the last frame is expected to last `usual`
    /// ticks.
    pub(super) fn cut(&mut self, waiting: Waiting, next: Option<i64>, usual: i64) -> Cut {
        let Waiting { first, last, wanted, shift } = waiting;
        self.clock.settle();
        self.origin.get_or_insert(wanted);
        self.cut_to = Some(last);
        self.cut_at = self.point(last, first, shift);
        let last_duration = match next {
            Some(next) => {
                self.steer(next);
                next - last + self.clock.shift() - shift
            }
            None => usual,
        };
        self.end = self.cut_at + last_duration;
        Cut { start: self.wall_at(first, first, shift), last_duration }
    }

    /// Whether what was cut last was expected to end before a decode time.
    pub(super) fn ends_before(&self, time: i64) -> bool {
        self.end <= self.point(time, time, self.clock.shift())
    }

    /// When what was cut last ends: where the frame behind it, of decode time `next`, begins, or
    /// where that was expected.
    pub(super) fn cut_end(&self, next: Option<i64>) -> WallTime {
        let end = next.map_or(self.end, |next| self.point(next, next, self.clock.shift()));
        self.clock.wall_at(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NANOS_PER_SECOND;

    const START: i64 = 1_790_000_000 * NANOS_PER_SECOND;

    fn reading(nanos: i64) -> Reading {
        Reading {
            wall: WallTime(START + nanos),
            boot: BootTime(77 * NANOS_PER_SECOND + nanos),
            boot_id: [1; 16],
            synchronised: true,
        }
    }

    /// A time line whose frames come at `rate` a second, as long after they are captured as
    /// `delay` says, cut each second. Answers where the cuts and the end of the last one lie.
    fn cut_each_second(timescale: u32, rate: i64, delay: i64) -> (Vec<Cut>, WallTime) {
        let ticks = i64::from(timescale) / rate;
        let mut line = TimeLine::new(reading(delay), 7000, timescale);
        let (mut cuts, mut shift) = (Vec::new(), 0);
        for frame in 0..=rate * 5 {
            let pts = 7000 + frame * ticks;
            let received = reading(frame * NANOS_PER_SECOND / rate + delay);
            if frame > 0 {
                assert_eq!((line.step(pts), line.timescale()), (ticks, timescale));
                assert_eq!(line.observe(pts, &received), None);
            }
            if frame > 0 && frame % rate == 0 {
                let first = pts - rate * ticks;
                let waiting = Waiting { first, last: pts - ticks, wanted: first, shift };
                cuts.push(line.cut(waiting, Some(pts), ticks));
                shift = line.shift();
            }
        }
        (cuts, line.cut_end(None))
    }

    #[test]
    fn cuts_join_and_whatever_the_clock_rate_they_lie_at_the_same_times() {
        for (timescale, rate) in [(90_000, 25), (16_000, 50), (8000, 50)] {
            let (cuts, end) = cut_each_second(timescale, rate, 30_000_000);
            let starts: Vec<i64> = cuts.iter().map(|cut| cut.start.0 - START).collect();
            let second = |number: i64| number * NANOS_PER_SECOND + 30_000_000;
            assert_eq!(starts, [second(0), second(1), second(2), second(3), second(4)]);
            assert_eq!(end.0 - START, second(5));
            let usual = i64::from(timescale) / rate;
            assert!(cuts.iter().all(|cut| cut.last_duration == usual));
        }
    }

    #[test]
    fn what_nothing_follows_ends_where_it_was_expected_to() {
        let mut line = TimeLine::new(reading(0), 0, 90_000);
        let waiting = Waiting { first: 0, last: 7200, wanted: 0, shift: 0 };
        let cut = line.cut(waiting, None, 3600);
        assert_eq!(cut, Cut { start: WallTime(START), last_duration: 3600 });
        assert_eq!(line.cut_end(None), WallTime(START + 120_000_000));
        assert_eq!(line.cut_end(Some(9000)), WallTime(START + 100_000_000));
    }

    #[test]
    fn a_run_lies_behind_the_clip_before_it_unless_the_clock_was_set() {
        let ended = Ended { at: reading(10 * NANOS_PER_SECOND).wall, begun: reading(0) };
        for (moved_nanos, floor_nanos) in [
            (0, 10 * NANOS_PER_SECOND),
            // Nudged: not before the end of the other one by either clock.
            (-20_000_000, 10 * NANOS_PER_SECOND),
            (20_000_000, 10 * NANOS_PER_SECOND + 20_000_000),
            (-3600 * NANOS_PER_SECOND, -3590 * NANOS_PER_SECOND),
        ] {
            let begun = reading(9 * NANOS_PER_SECOND);
            let begun = Reading { wall: begun.wall.plus_nanos(moved_nanos), ..begun };
            let mut line = TimeLine::new(begun, 7000, 90_000);
            assert_eq!(line.floor(7000, 0), None);
            line.keep_behind(&ended);
            let floor = line.floor(7000, 0).expect("a floor");
            assert_eq!(line.wall_at(floor, 7000, 0).0 - START, floor_nanos);
        }
    }
}
