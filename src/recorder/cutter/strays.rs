//! Frames whose time is out of place, although they arrive where they should: some recorders stamp
//! one frame in a hundred hours off, and clocks of cameras are set. The arrival rules such a time
//! out: the frame gets the one at which it came. Where all that follow are off by the same, the
//! camera's clock has been set, and their times go on from the arrival: nothing is lost, and no
//! clip ends for it. Pure.
//!
//! A frame that a network held up is late, and may be so by any time; but none is early, and none
//! was captured before those that were coded before it.

use std::collections::VecDeque;

use crate::camera::Frame;
use crate::clock::FastestWay;
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks};

/// A time is out of place where the frame would have come so much earlier than on the fastest way,
/// or would be so much older than the one before it, in nanoseconds.
const OFF_NANOS_MIN: i64 = 2 * NANOS_PER_SECOND;
/// The same while the fastest way is not known: a camera may send what it had kept.
const FIRST_OFF_NANOS_MIN: i64 = 10 * NANOS_PER_SECOND;
/// It is known after so much time, in nanoseconds, and so many frames.
const KNOWN_NANOS: i64 = 2 * NANOS_PER_SECOND;
const KNOWN_FRAMES: u64 = 8;
/// Frames that are remembered: those that are shown in another order go back by some steps between
/// them.
const RECENT_MAX: usize = 9;
/// So many in a row that are off by the same are no strays: the camera's clock has been set.
const ALIKE_MAX: u32 = 3;
/// What counts as the same, in nanoseconds.
const ALIKE_NANOS: i64 = 2 * NANOS_PER_SECOND;

/// Watches the times of one track.
#[derive(Debug, Default)]
pub(super) struct Strays {
    last: Option<Last>,
    /// What the camera's clock was set by, in ticks.
    shift: i64,
    /// What the last one was, if it was off.
    off: Option<Off>,
    /// The last frames, in the order of decoding.
    recent: VecDeque<Recent>,
}

/// Frames in a row whose times are off by the same.
#[derive(Clone, Copy, Debug)]
struct Off {
    /// By how much the last one is, in nanoseconds.
    nanos: i64,
    count: u32,
    /// How far the time of the first one was moved, in ticks.
    shift: i64,
}

/// A frame that came: its time, in ticks, and when it was received.
#[derive(Clone, Copy, Debug)]
struct Recent {
    time: i64,
    received: BootTime,
}

/// The frames so far.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Time of the last one, in ticks.
    time: i64,
    received: BootTime,
    begun: BootTime,
    frames: u64,
    way: FastestWay,
}

impl Last {
    fn new(time: i64, received: BootTime, lead: i64) -> Last {
        let way = FastestWay::new(lead, received);
        Last { time, received, begun: received, frames: 0, way }
    }

    fn note(&mut self, time: i64, received: BootTime, lead: i64) {
        self.way.note(lead, received);
        (self.time, self.received) = (time, received);
        self.frames += 1;
    }

    fn off_nanos_min(&self) -> i64 {
        let age_nanos = self.received.0.saturating_sub(self.begun.0);
        let is_known = age_nanos >= KNOWN_NANOS && self.frames >= KNOWN_FRAMES;
        if is_known { OFF_NANOS_MIN } else { FIRST_OFF_NANOS_MIN }
    }
}

impl Strays {
    /// The time of a frame, in ticks: its own, or that of its arrival.
    pub(super) fn time_of(&mut self, frame: &Frame) -> i64 {
        let stamped = frame.pts.saturating_add(self.shift);
        let time = self.arrival_of(frame, stamped).unwrap_or(stamped);
        let received = frame.received.boot;
        let lead = received.0.saturating_sub(Ticks(time).to_nanos(frame.timescale));
        let mut last = self.last.unwrap_or(Last::new(time, received, lead));
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { time, received });
        last.note(time, received, lead);
        self.last = Some(last);
        time
    }

    /// A new session has a time line of its own.
    pub(super) fn forget(&mut self) {
        *self = Strays::default();
    }

    /// When it arrived, in ticks, where its own time is out of place.
    fn arrival_of(&mut self, frame: &Frame, stamped: i64) -> Option<i64> {
        let last = self.last?;
        let step_nanos = Ticks(stamped.saturating_sub(last.time)).to_nanos(frame.timescale);
        let passed_nanos = frame.received.boot.0.saturating_sub(last.received.0);
        let stamp_nanos = Ticks(stamped).to_nanos(frame.timescale);
        let lead = frame.received.boot.0.saturating_sub(stamp_nanos);
        let early = last.way.lead().saturating_sub(lead);
        let usual = self.usual_nanos(frame.timescale);
        let off_min = last.off_nanos_min().max(usual);
        let is_stray = early > off_min || step_nanos < -off_min;
        if !is_stray {
            self.off = None;
            return None;
        }
        let nanos = step_nanos.saturating_sub(passed_nanos);
        let is_alike = |off: &Off| nanos.saturating_sub(off.nanos).abs() <= ALIKE_NANOS;
        let before = self.off.take().filter(is_alike);
        let arrival = self.told_by_arrival(frame)?;
        // What follows one that was moved is as far from it as the camera says, where it comes so:
        // frames that are shown in another order stay in it.
        let moved = before.map(|off| stamped.saturating_add(off.shift));
        let is_near = |time: &i64| {
            Ticks(time.saturating_sub(arrival)).to_nanos(frame.timescale).saturating_abs() <= usual
        };
        let time = moved.filter(is_near).unwrap_or(arrival);
        let shift = time.saturating_sub(stamped);
        let count = before.map_or(0, |off| off.count) + 1;
        match count {
            ..ALIKE_MAX => self.off = Some(Off { nanos, count, shift }),
            _ => self.shift = self.shift.saturating_add(shift),
        }
        Some(time)
    }

    /// Twice the longest step between the last frames, in nanoseconds.
    fn usual_nanos(&self, timescale: u32) -> i64 {
        let times = || self.recent.iter().map(|recent| recent.time);
        let steps = times().zip(times().skip(1)).map(|(one, next)| next.saturating_sub(one));
        let most = steps.map(i64::saturating_abs).max().unwrap_or(0);
        Ticks(most).to_nanos(timescale).saturating_mul(2)
    }

    /// When a frame was captured, in ticks, if it was as long on its way as the last one that is
    /// shown behind all others: what is shown before others that came is older than it looks.
    fn told_by_arrival(&self, frame: &Frame) -> Option<i64> {
        let newest = self.recent.iter().max_by_key(|recent| recent.time)?;
        let passed_nanos = frame.received.boot.0.saturating_sub(newest.received.0);
        let passed = Ticks::from_nanos(passed_nanos, frame.timescale).0;
        // Two that arrive at once are apart nevertheless.
        Some(newest.time.saturating_add(passed.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reading;
    use crate::segment::TrackNumber;
    use crate::units::WallTime;

    const RATE: u32 = 90_000;

    /// A frame of this time that arrives so many milliseconds after the beginning.
    fn frame(pts: i64, millis: i64) -> Frame {
        let nanos = millis * 1_000_000;
        let received = Reading {
            wall: WallTime(nanos),
            boot: BootTime(nanos),
            boot_id: [1; 16],
            synchronised: true,
        };
        Frame {
            track: TrackNumber(0),
            pts,
            timescale: RATE,
            is_key: false,
            parameters: None,
            lost_packets: 0,
            duration: None,
            captured: None,
            is_recovery: false,
            is_leading: false,
            received,
            data: Vec::new(),
        }
    }

    /// Times of frames that come each 40 ms.
    fn times(all: &[i64]) -> Vec<i64> {
        let mut strays = Strays::default();
        let frames = all.iter().zip(0..).map(|(pts, number)| frame(*pts, number * 40));
        frames.map(|frame| strays.time_of(&frame)).collect()
    }

    #[test]
    fn a_frame_that_is_hours_off_gets_the_time_at_which_it_came() {
        let hours = 9_800 * i64::from(RATE);
        let sent = [0, 3600, 7200 - hours, 10_800, 14_400 + hours, 18_000, 21_600 - hours, 25_200];
        let meant: Vec<i64> = (0..8).map(|number| number * 3600).collect();
        assert_eq!(times(&sent), meant);
    }

    #[test]
    fn where_a_clock_was_set_times_go_on() {
        let hours = 9_800 * i64::from(RATE);
        let sent = [0, 3600, hours + 7200, hours + 10_800, hours + 14_400, hours + 18_000, hours];
        let mut meant: Vec<i64> = (0..6).map(|number| number * 3600).collect();
        // What is shown before what came before it is no stray.
        meant.push(0);
        assert_eq!(times(&sent), meant);
    }

    #[test]
    fn where_a_clock_was_set_frames_that_are_shown_in_another_order_stay_in_it() {
        // Each third frame is shown behind the two that follow it.
        let order = |number: i64| match number % 3 {
            1 => number + 2,
            _ => (number - 1).max(0),
        };
        let meant: Vec<i64> = (0..40).map(|number| order(number) * 3600).collect();
        for set_at in 20..23 {
            for by in [-9_800, -60, 3600] {
                let set = |(time, number): (&i64, usize)| match number < set_at {
                    true => *time,
                    false => time + by * i64::from(RATE),
                };
                let told = times(&meant.iter().zip(0..).map(set).collect::<Vec<_>>());
                let off: Vec<i64> =
                    told.iter().zip(&meant).map(|(told, meant)| told - meant).collect();
                let (before, behind) = off.split_at(set_at);
                assert!(before.iter().all(|off| *off == 0), "{set_at}, {by}: {before:?}");
                let first = behind[0];
                assert!(behind.iter().all(|off| *off == first), "{set_at}, {by}: {behind:?}");
                // One that is shown before others came is told as late as those: 120 ms.
                assert!((0..=3 * 3600).contains(&first), "{set_at}, {by}: {behind:?}");
                let mut shown = told.clone();
                shown.sort_unstable();
                shown.dedup();
                assert_eq!(shown.len(), told.len(), "each has a time of its own");
            }
        }
    }

    #[test]
    fn what_was_silent_or_kept_waiting_is_no_stray() {
        let mut strays = Strays::default();
        strays.time_of(&frame(0, 0));
        // Nothing was sent for two minutes; then the process stood still for as long.
        let later = 120 * i64::from(RATE);
        assert_eq!(strays.time_of(&frame(later, 120_000)), later);
        assert_eq!(strays.time_of(&frame(later + 3600, 240_000)), later + 3600);
        assert_eq!(strays.time_of(&frame(later + 7200, 240_000)), later + 7200);
    }
}
