//! A track's times by the clock of its camera, as sender reports tell it (RFC 3550, 6.4.1). Pure.
//!
//! Many cameras send none, or some that were made up: with a clock that stands still, with times of
//! another track, with zeros. What counts is that they agree with one another.

use super::rtp::SenderReport;
use crate::clock::FastestWay;
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks, WallTime};

/// So many reports in a row have to agree.
const AGREEING_COUNT: u32 = 3;
/// Two of them agree when the clocks that they compare have gone on by the same, but for so much.
const DISAGREEMENT_NANOS_MAX: u64 = 100_000_000;
/// What is told to be captured so much before what came before it, or would have come so much
/// faster than anything else, is of a clock that was set behind the last report, in nanoseconds.
const SET_NANOS_MIN: i64 = 2 * NANOS_PER_SECOND;
/// From 1900 to 1970 (RFC 5905, 6).
const SECONDS_FROM_1900: i64 = 2_208_988_800;
/// Seconds of 32 bits begin anew in 2036; smaller ones than half of them are behind that (RFC 4330,
/// 3).
const ERA_SECONDS: i64 = 1 << 32;

/// What the reports of one track have said.
pub(super) struct SenderClock {
    timescale: u32,
    last: Option<Report>,
    /// So many have agreed with the one before, and the first.
    agreeing: u32,
    /// What was told last to be captured, and how fast things come at best.
    told: Option<(WallTime, FastestWay)>,
}

/// A moment on both clocks.
#[derive(Clone, Copy)]
struct Report {
    ssrc: u32,
    /// By the camera's clock.
    wall: WallTime,
    /// The same in unwrapped RTP time.
    time: i64,
}

impl SenderClock {
    /// Of a track with so many ticks a second.
    pub(super) fn new(timescale: u32) -> SenderClock {
        SenderClock { timescale, last: None, agreeing: 0, told: None }
    }

    /// Takes a report, and the unwrapped time that it means.
    pub(super) fn take(&mut self, report: &SenderReport, time: i64) {
        let Some(wall) = wall_time(report.ntp) else {
            self.forget();
            return;
        };
        let new = Report { ssrc: report.ssrc, wall, time };
        // The same report again says nothing.
        if self.last.is_some_and(|last| (last.wall, last.time) == (wall, time)) {
            return;
        }
        let agrees = self.last.is_some_and(|last| last.ssrc == new.ssrc && self.agree(last, new));
        self.agreeing = if agrees { self.agreeing.saturating_add(1) } else { 1 };
        self.last = Some(new);
    }

    fn agree(&self, one: Report, other: Report) -> bool {
        let passed = other.wall.0.saturating_sub(one.wall.0);
        let ticks = Ticks(other.time.saturating_sub(one.time)).to_nanos(self.timescale);
        passed > 0 && passed.abs_diff(ticks) <= DISAGREEMENT_NANOS_MAX
    }

    /// Whether what the reports say can be believed.
    pub(super) fn is_sane(&self) -> bool {
        self.agreeing >= AGREEING_COUNT
    }

    /// When what has that time, and was received then, was captured by the camera's clock; `None`
    /// where nothing sane says so. RTP time that is set in between makes reports worthless.
    pub(super) fn captured(&mut self, time: i64, received: BootTime) -> Option<WallTime> {
        let Some(last) = self.last.filter(|_| self.is_sane()) else {
            self.told = None;
            return None;
        };
        let since = Ticks(time.saturating_sub(last.time)).to_nanos(self.timescale);
        let wall = WallTime(last.wall.0.saturating_add(since));
        let lead = received.0.saturating_sub(wall.0);
        let (before, mut way) = self.told.unwrap_or((wall, FastestWay::new(lead, received)));
        let is_back = wall.0 < before.0.saturating_sub(SET_NANOS_MIN);
        if is_back || lead < way.lead().saturating_sub(SET_NANOS_MIN) {
            self.forget();
            return None;
        }
        way.note(lead, received);
        self.told = Some((wall, way));
        Some(wall)
    }

    /// Nothing is told up to the next reports that agree.
    fn forget(&mut self) {
        (self.last, self.agreeing, self.told) = (None, 0, None);
    }
}

/// The time of a report; `None` where its sender has no clock (RFC 3550, 6.4.1).
fn wall_time(ntp: u64) -> Option<WallTime> {
    let (seconds, fraction) = ((ntp >> 32) as i64, ntp & 0xffff_ffff);
    if ntp == 0 {
        return None;
    }
    let era = if seconds < ERA_SECONDS / 2 { ERA_SECONDS } else { 0 };
    let nanos = (fraction * NANOS_PER_SECOND as u64) >> 32;
    let since_1970 = seconds + era - SECONDS_FROM_1900;
    Some(WallTime(since_1970 * NANOS_PER_SECOND + nanos as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A report so many milliseconds behind a moment of 2026.
    fn report(millis: u64) -> SenderReport {
        let seconds = 2_208_988_800 + 1_790_000_000 + millis / 1000;
        let ntp = (seconds << 32) | (((millis % 1000) << 32) / 1000);
        SenderReport { ssrc: 1, ntp, timestamp: 0 }
    }

    /// Whether it is sane behind each of them: milliseconds of the camera's clock and ticks of a
    /// kilohertz.
    fn sane(reports: &[(u64, i64)]) -> Vec<bool> {
        let mut clock = SenderClock::new(1000);
        let taken = reports.iter().map(|(millis, time)| {
            clock.take(&report(*millis), *time);
            clock.is_sane()
        });
        taken.collect()
    }

    #[test]
    fn the_third_report_that_agrees_makes_it_sane_and_one_that_does_not_ends_that() {
        let steady = [(0, 7), (5000, 5007), (10_000, 10_090), (15_000, 15_000)];
        assert_eq!(sane(&steady), [false, false, true, true]);
        let jump =
            [(0, 0), (1000, 1000), (2000, 2000), (9000, 3000), (10_000, 4000), (11_000, 5000)];
        assert_eq!(sane(&jump), [false, false, true, false, false, true]);
        let still = [(0, 0), (0, 1000), (0, 2000), (0, 3000)];
        assert_eq!(sane(&still), [false; 4]);
        let again = [(0, 0), (0, 0), (1000, 1000), (1000, 1000), (1000, 1000)];
        assert_eq!(sane(&again), [false; 5], "the same says nothing");
        let far = [(0, 0), (1000, 1101), (2000, 2202), (3000, 3303)];
        assert_eq!(sane(&far), [false; 4], "they go at another rate");
    }

    #[test]
    fn what_is_captured_is_told_by_the_last_report() {
        let mut clock = SenderClock::new(1000);
        for second in 0..3 {
            assert_eq!(clock.captured(0, BootTime(0)), None);
            clock.take(&report(second * 1000), second as i64 * 1000);
        }
        assert_eq!(clock.captured(2500, boot(2500)), at(2500));
        assert_eq!(clock.captured(1500, boot(2500)), at(1500));
        clock.take(&SenderReport { ntp: 0, ..report(0) }, 3000);
        assert_eq!(clock.captured(3000, boot(3000)), None, "a sender without a clock");
    }

    /// Of the reports, by the clock of the camera and by that of this machine.
    fn at(millis: i64) -> Option<WallTime> {
        Some(WallTime((1_790_000_000_000 + millis) * 1_000_000))
    }

    fn boot(millis: i64) -> BootTime {
        BootTime(millis * 1_000_000)
    }

    #[test]
    fn times_that_are_set_behind_a_report_are_none_up_to_others_that_agree() {
        for jump in [3_600_000, 3000, -3000, -60_000] {
            let mut clock = SenderClock::new(1000);
            for second in 0..3 {
                clock.take(&report(second * 1000), second as i64 * 1000);
            }
            for millis in (2000..2500).step_by(40) {
                assert_eq!(clock.captured(millis, boot(millis + 5)), at(millis));
            }
            // What a network held up comes late, and then as fast as before.
            assert_eq!(clock.captured(2500, boot(9000)), at(2500));
            assert_eq!(clock.captured(9010, boot(9010)), at(9010));
            for second in 10..12 {
                assert_eq!(clock.captured(second * 1000 + jump, boot(second * 1000)), None);
                clock.take(&report(second as u64 * 1000), second * 1000 + jump);
            }
            clock.take(&report(12_000), 12_000 + jump);
            assert_eq!(clock.captured(12_000 + jump, boot(12_000)), at(12_000), "{jump}");
        }
    }

    #[test]
    fn seconds_go_on_behind_the_year_2036() {
        let last = wall_time(u64::from(u32::MAX) << 32).expect("a time");
        let next = wall_time(1).expect("a time");
        assert_eq!(next.0 - last.0, NANOS_PER_SECOND);
    }

    proptest! {
        #[test]
        fn any_reports_are_taken(
            reports in prop::collection::vec(any::<(u32, u64, i64)>(), 0..20),
        ) {
            let mut clock = SenderClock::new(90_000);
            for (ssrc, ntp, time) in reports {
                clock.take(&SenderReport { ssrc, ntp, timestamp: 0 }, time);
                let _ = clock.captured(i64::MAX, BootTime(0));
                let _ = clock.captured(i64::MIN, BootTime(0));
            }
        }
    }
}
