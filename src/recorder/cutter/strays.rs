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
/// Steps that are remembered: frames that are shown in another order go back by some of them.
const STEPS_MAX: usize = 8;
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
    /// By how much the last one was off, in nanoseconds, and how many in a row were so.
    off: Option<(i64, u32)>,
    /// Steps between the last frames, in nanoseconds, without their signs.
    steps: VecDeque<i64>,
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
        let step = Ticks(time.saturating_sub(last.time)).to_nanos(frame.timescale);
        if self.steps.len() == STEPS_MAX {
            self.steps.pop_front();
        }
        self.steps.push_back(step.saturating_abs());
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
        let usual = self.steps.iter().max().copied().unwrap_or(0).saturating_mul(2);
        let off_min = last.off_nanos_min();
        let off_min = off_min.max(usual);
        let is_stray = early > off_min || step_nanos < -off_min;
        if !is_stray {
            self.off = None;
            return None;
        }
        let off_nanos = step_nanos.saturating_sub(passed_nanos);
        let alike = match self.off {
            Some((before, count)) if off_nanos.saturating_sub(before).abs() <= ALIKE_NANOS => count,
            _ => 0,
        };
        let passed = Ticks::from_nanos(passed_nanos, frame.timescale).0;
        // Two that arrive at once are apart nevertheless.
        let arrival = last.time.saturating_add(passed.max(1));
        self.off = Some((off_nanos, alike + 1));
        if alike + 1 >= ALIKE_MAX {
            self.off = None;
            self.shift = self.shift.saturating_add(arrival.saturating_sub(stamped));
        }
        Some(arrival)
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
