//! When the pictures of a run were captured, from when they arrived. Pure.
//!
//! A picture arrives later than it was captured, by a delay that varies; never earlier. So the
//! wall time of a run's beginning is the smallest difference between arrival and media time that
//! was seen before it had to be told. From then on the run's media time is steered towards the
//! smallest difference of the last seconds by at most [`STEER_PPM`], which is more than the
//! crystal of a camera is off and far less than anybody sees, and by five times as much where it is
//! far off; and only where a chunk begins, so that the durations of a steady camera stay all the
//! same. What steering can't follow is a jump.
//!
//! Arrival is measured on the boot clock, and placed on the wall by one reading at the beginning
//! of the run: a wall clock that is set must not tear pictures apart or push them together.

use std::collections::VecDeque;

use crate::clock::Reading;
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks, WallTime};

/// Media time is bent by at most this, in parts per million: cameras' crystals are off by up to
/// 100, bad ones by 300.
pub const STEER_PPM: i64 = 500;

/// The same where what is told is far off: clocks that no crystal drives are off by more than that,
/// and by too little to be seen as a rate (`rate`).
const STEER_FAR_PPM: i64 = 2500;
/// More than this is far off, in nanoseconds.
const FAR_NANOS: i64 = NANOS_PER_SECOND / 25;

/// Steering looks back this far, in seconds: delays come in bursts, and the least of them all is
/// what counts.
const STEER_WINDOW: i64 = 30;

/// A jump must show over this many seconds, so that a network that stood still and then delivers
/// everything is not taken for a camera that did.
const JUMP_WINDOW: i64 = 5;

/// Less than this is left to steering, in nanoseconds.
const JUMP_NANOS: i64 = NANOS_PER_SECOND;

/// A wall clock that moved by more than this against the boot clock was set, in nanoseconds.
pub(super) const STEP_NANOS: i64 = NANOS_PER_SECOND / 2;

/// Neighbours that are further apart than this, and than [`PAUSE_INTERVALS`], have a pause between
/// them.
const PAUSE_SECONDS: i64 = 2;
/// A camera that slows down when nothing moves does not pause.
const PAUSE_INTERVALS: i64 = 10;

/// Whether a step between neighbours in the order of decoding is a pause: it and the usual
/// `interval` are in ticks.
#[must_use]
pub fn is_pause(step: i64, interval: Option<i64>, timescale: u32) -> bool {
    let floor = PAUSE_SECONDS * i64::from(timescale);
    step > floor.max(interval.unwrap_or(0).saturating_mul(PAUSE_INTERVALS))
}

/// What makes a run end with the next key frame, by how many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// The camera's time jumped, or stood still.
    Camera(i64),
    /// The clock of this machine was set.
    Machine(i64),
}

/// Wall time over the media time of one run.
#[derive(Clone, Debug)]
pub struct WallClock {
    begun: Reading,
    first_pts: i64,
    timescale: u32,
    /// Wall time of the first picture, once it has been told.
    settled: Option<WallTime>,
    /// What steering has added to media time so far, in ticks.
    shift: i64,
    /// Up to where steering has used its allowance, in ticks of media time.
    steered_to: i64,
    /// For each second of the boot clock the least wall time of media time 0; ascending seconds,
    /// at most [`STEER_WINDOW`] of them.
    least: VecDeque<(i64, WallTime)>,
}

impl WallClock {
    /// A run that begins with a picture of presentation time `first_pts`, received at `begun`.
    #[must_use]
    pub fn new(begun: Reading, first_pts: i64, timescale: u32) -> WallClock {
        WallClock {
            begun,
            first_pts,
            timescale,
            settled: None,
            shift: 0,
            steered_to: first_pts,
            least: VecDeque::new(),
        }
    }

    /// The reading of the clocks that its times come from.
    #[must_use]
    pub fn begun(&self) -> Reading {
        self.begun
    }

    /// Takes a picture. Answers what has jumped where the run should end with the next key frame.
    pub fn observe(&mut self, pts: i64, received: &Reading) -> Option<Jump> {
        let elapsed = received.boot.0.saturating_sub(self.begun.boot.0);
        let media = Ticks(pts.saturating_sub(self.first_pts)).to_nanos(self.timescale);
        let zero = self.begun.wall.plus_nanos(elapsed).plus_nanos(media.saturating_neg());
        let second = received.boot.0.div_euclid(NANOS_PER_SECOND);
        match self.least.back_mut() {
            Some((last, least)) if *last >= second => *least = (*least).min(zero),
            _ => self.least.push_back((second, zero)),
        }
        while self.least.front().is_some_and(|(oldest, _)| *oldest <= second - STEER_WINDOW) {
            self.least.pop_front();
        }
        let step = received.wall.nanos_since(self.begun.wall).saturating_sub(elapsed);
        if step.saturating_abs() > STEP_NANOS {
            return Some(Jump::Machine(step / 1_000_000));
        }
        self.jump(second).map(|nanos| Jump::Camera(nanos / 1_000_000))
    }

    /// How far the pictures of the last seconds are off, in nanoseconds, where it is too far.
    fn jump(&self, now: i64) -> Option<i64> {
        let expected = self.settled?.plus_nanos(Ticks(self.shift).to_nanos(self.timescale));
        let recent = self.least.iter().rev().take_while(|(second, _)| *second > now - JUMP_WINDOW);
        let ends = |ends: Option<(i64, i64)>, (second, zero): &(i64, WallTime)| {
            let off = zero.nanos_since(expected);
            Some((ends.map_or(off, |(least, _)| least.min(off)), *second))
        };
        let (off, first) = recent.fold(None, ends)?;
        let watched = now - first >= JUMP_WINDOW - 1;
        (off < -JUMP_NANOS || (off > JUMP_NANOS && watched)).then_some(off)
    }

    /// Forgets the arrivals so far, which belong to times that ran at another pace.
    pub fn forget(&mut self) {
        if self.settled.is_some() {
            self.least.clear();
        }
    }

    /// When a picture of this presentation time is told to be captured, once that is settled.
    #[must_use]
    pub fn told_at(&self, pts: i64) -> Option<BootTime> {
        self.settled.map(|_| self.boot_at(pts))
    }

    /// The same, as far as that is known by now.
    #[must_use]
    pub fn boot_at(&self, pts: i64) -> BootTime {
        let ticks = pts.saturating_sub(self.first_pts).saturating_add(self.shift);
        let behind = self.wall_at(ticks).nanos_since(self.begun.wall);
        BootTime(self.begun.boot.0.saturating_add(behind))
    }

    fn least(&self) -> WallTime {
        self.least.iter().map(|(_, zero)| *zero).min().unwrap_or(self.begun.wall)
    }

    /// Fixes the wall time of the run's beginning: it is about to be told.
    pub fn settle(&mut self) {
        if self.settled.is_none() {
            self.settled = Some(self.least());
        }
    }

    /// What is to be added to decode times from here on, in ticks.
    #[must_use]
    pub fn shift(&self) -> i64 {
        self.shift
    }

    /// Steers, where a chunk ends before the picture at `pts`; by `most` ticks at most.
    pub fn steer(&mut self, pts: i64, most: i64) {
        let Some(settled) = self.settled else { return };
        let wanted = Ticks::from_nanos(self.least().nanos_since(settled), self.timescale);
        let off = wanted.0.saturating_sub(self.shift);
        let is_far = Ticks(off).to_nanos(self.timescale).saturating_abs() > FAR_NANOS;
        let ppm = if is_far { STEER_FAR_PPM } else { STEER_PPM };
        let passed = pts.saturating_sub(self.steered_to).max(0);
        let most = (passed.saturating_mul(ppm) / 1_000_000).min(most.max(0));
        self.shift += off.clamp(-most, most);
        self.steered_to = self.steered_to.max(pts);
    }

    /// Adds so many ticks at least to decode times from here on.
    pub fn raise(&mut self, shift_min: i64) {
        self.shift = self.shift.max(shift_min);
    }

    /// Wall time of a point that lies `ticks` of steered media time behind the first picture.
    #[must_use]
    pub fn wall_at(&self, ticks: i64) -> WallTime {
        let zero = self.settled.unwrap_or_else(|| self.least());
        zero.plus_nanos(Ticks(ticks).to_nanos(self.timescale))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_790_000_000 * NANOS_PER_SECOND;
    const SCALE: u32 = 90_000;

    fn reading(nanos: i64, wall_step: i64) -> Reading {
        Reading {
            wall: WallTime(START + nanos + wall_step),
            boot: BootTime(77 * NANOS_PER_SECOND + nanos),
            boot_id: [1; 16],
            synchronised: true,
        }
    }

    /// A camera whose clock is off by `ppm`, seen through a network that delays each picture by
    /// up to `jitter` nanoseconds. Answers the largest error of the last tenth, and of all after
    /// the first minutes, in nanoseconds.
    fn largest_error(ppm: i64, jitter: u64, interval: i64, seconds: i64, seed: u64) -> i64 {
        let mut random = seed | 1;
        let mut delay = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if jitter == 0 { 0 } else { (random % jitter) as i64 }
        };
        let mut clock = WallClock::new(reading(delay(), 0), 1000, SCALE);
        let mut worst = 0;
        let mut captured = 0;
        let mut chunk = 0;
        while captured < seconds * NANOS_PER_SECOND {
            let camera = captured + (i128::from(captured) * i128::from(ppm) / 1_000_000) as i64;
            let pts = 1000 + Ticks::from_nanos(camera, SCALE).0;
            assert_eq!(clock.observe(pts, &reading(captured + delay(), 0)), None);
            if captured >= chunk + 2 * NANOS_PER_SECOND {
                clock.settle();
                clock.steer(pts, 1800);
                chunk = captured;
                let told = clock.wall_at(pts - 1000 + clock.shift());
                worst = worst.max(told.nanos_since(WallTime(START + captured)).abs());
            }
            captured += interval;
        }
        worst
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
        #[test]
        fn a_camera_clock_that_is_off_never_drifts_away(
            ppm in -400_i64..=400, jitter_ms in 0_u64..=300, seed: u64,
        ) {
            // A day at five pictures a second: half the windows of a usual camera.
            let worst =
                largest_error(ppm, jitter_ms * 1_000_000, NANOS_PER_SECOND / 5, 86_400, seed);
            prop_assert!(worst < 200_000_000, "{} ms", worst / 1_000_000);
        }
    }

    #[test]
    fn a_clock_that_is_further_off_than_crystals_are_never_drifts_away() {
        for ppm in [-1450, -1000, -700, 700, 1000, 1450] {
            let worst = largest_error(ppm, 45_000_000, NANOS_PER_SECOND / 8, 7200, 7);
            assert!(worst < 100_000_000, "{ppm} ppm: {} ms", worst / 1_000_000);
        }
    }

    #[test]
    fn three_days_of_a_fast_camera_end_where_they_should() {
        let worst = largest_error(400, 300_000_000, NANOS_PER_SECOND / 8, 3 * 86_400, 7);
        assert!(worst < 200_000_000, "{} ms", worst / 1_000_000);
    }

    fn run(clock: &mut WallClock, from: i64, to: i64, off: i64, step: i64) -> Option<Jump> {
        (from..to).find_map(|frame| {
            let nanos = frame * NANOS_PER_SECOND / 25;
            clock.observe(1000 + frame * 3600, &reading(nanos + off, step))
        })
    }

    #[test]
    fn a_camera_that_stood_still_is_a_jump() {
        let mut clock = WallClock::new(reading(0, 0), 1000, SCALE);
        assert_eq!(run(&mut clock, 0, 500, 0, 0), None);
        clock.settle();
        let jump = run(&mut clock, 500, 1000, 5 * NANOS_PER_SECOND, 0);
        assert_eq!(jump, Some(Jump::Camera(5000)));
    }

    #[test]
    fn a_network_that_stood_still_is_none() {
        let mut clock = WallClock::new(reading(0, 0), 1000, SCALE);
        assert_eq!(run(&mut clock, 0, 500, 0, 0), None);
        clock.settle();
        for frame in 500..750 {
            let received = reading(30 * NANOS_PER_SECOND + frame * 1000, 0);
            assert_eq!(clock.observe(1000 + frame * 3600, &received), None);
        }
        assert_eq!(run(&mut clock, 750, 1500, 0, 0), None);
    }

    #[test]
    fn pictures_from_the_future_are_a_jump_at_once() {
        let mut clock = WallClock::new(reading(0, 0), 1000, SCALE);
        assert_eq!(run(&mut clock, 0, 500, 0, 0), None);
        clock.settle();
        let jump = run(&mut clock, 500, 501, -2 * NANOS_PER_SECOND, 0);
        assert_eq!(jump, Some(Jump::Camera(-2000)));
    }

    #[test]
    fn a_wall_clock_that_is_set_ends_the_run_and_one_that_is_nudged_does_not() {
        let mut clock = WallClock::new(reading(0, 0), 1000, SCALE);
        assert_eq!(run(&mut clock, 0, 100, 0, 0), None);
        clock.settle();
        assert_eq!(run(&mut clock, 100, 200, 0, 400_000_000), None);
        let jump = run(&mut clock, 200, 300, 0, 3600 * NANOS_PER_SECOND);
        assert_eq!(jump, Some(Jump::Machine(3_600_000)));
    }

    #[test]
    fn a_slow_camera_does_not_pause_and_a_fast_one_does() {
        assert!(is_pause(270_000, Some(3600), SCALE));
        assert!(!is_pause(170_000, Some(3600), SCALE));
        assert!(!is_pause(900_000, Some(450_000), SCALE));
        assert!(!is_pause(-400_000, None, SCALE));
        assert!(!is_pause(i64::MAX, Some(i64::MAX / 2), SCALE));
    }
}
