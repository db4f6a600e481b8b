//! Frames whose time is out of place, although they arrive where they should: some recorders stamp
//! one frame in a hundred hours off, and clocks of cameras are set. The arrival rules such a time
//! out: the frame gets the one at which it came. Where all that follow are off by the same, the
//! camera's clock has been set, and their times go on from the arrival, as far from each other as
//! the camera says: nothing is lost, and no clip ends for it. Pure.
//!
//! Which of them it is shows with the frames that follow, for which one that is out of place waits,
//! for a named time. One that is shown before others that came is later than its time, by as much:
//! how far a clock was set is seen from so many frames that one is among them that is not.
//!
//! A frame that a network held up is late, and may be so by any time; but none is early, and none
//! was captured before those that were coded before it.

use std::collections::VecDeque;
use std::mem;

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
/// So many in a row that are off by the same are no strays: the camera's clock has been set.
const ALIKE_MIN: u32 = 3;
/// What counts as the same, in nanoseconds.
const ALIKE_NANOS: i64 = 2 * NANOS_PER_SECOND;
/// By so many it is seen how far it has been set, and by as many before: one of them is shown
/// behind all that came before it.
const SEEN_MAX: usize = 8;
/// Those that came within this part of their time were kept somewhere, and came at once.
const KEPT_PARTS: i64 = 4;
/// None waits for them for longer, in nanoseconds.
const HOLD_NANOS: i64 = 400_000_000;

/// Watches the times of one track.
#[derive(Debug, Default)]
pub(super) struct Strays {
    last: Option<Last>,
    /// What the camera's clock was set by, in ticks.
    shift: i64,
    /// How much later than its time the last one came that was off, in nanoseconds, and how many
    /// in a row were so.
    off: Option<(i64, u32)>,
    /// The last frames: those that are shown in another order go back by some steps between them.
    recent: VecDeque<Recent>,
    /// Frames that are off by the same, which wait.
    waiting: Vec<Frame>,
    placed: VecDeque<Frame>,
}

/// One of the last frames.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// Its time, in ticks.
    time: i64,
    /// From the one before, in nanoseconds, without its sign.
    step: i64,
    /// By how much it came later than its time, in nanoseconds.
    lead: i64,
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
    /// Takes the next frame.
    pub(super) fn push(&mut self, mut frame: Frame) {
        frame.pts = frame.pts.saturating_add(self.shift);
        if !self.is_stray(&frame) {
            self.off = None;
            self.place_by_arrival();
            self.place(frame);
            return;
        }
        let lead = lead_of(&frame);
        let alike = match self.off {
            Some((before, count)) if lead.saturating_sub(before).abs() <= ALIKE_NANOS => count,
            _ => {
                self.place_by_arrival();
                0
            }
        };
        self.off = Some((lead, alike + 1));
        self.waiting.push(frame);
        if self.waiting.len() == SEEN_MAX {
            self.settle();
        }
    }

    /// The next frame that waits no longer, with its time: its own, or that of its arrival. Any,
    /// where there is no `now`.
    pub(super) fn pop(&mut self, now: Option<BootTime>) -> Option<Frame> {
        let is_over = self.waiting.first().is_some_and(|first| {
            now.is_none_or(|now| now.0.saturating_sub(first.received.boot.0) >= HOLD_NANOS)
        });
        if is_over {
            self.settle();
        }
        self.placed.pop_front()
    }

    /// Whether no frame waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.placed.is_empty()
    }

    fn is_stray(&self, frame: &Frame) -> bool {
        let Some(last) = self.last else { return false };
        let step_nanos = Ticks(frame.pts.saturating_sub(last.time)).to_nanos(frame.timescale);
        let early = last.way.lead().saturating_sub(lead_of(frame));
        let usual = self.recent.iter().map(|recent| recent.step).max().unwrap_or(0);
        let off_min = last.off_nanos_min().max(usual.saturating_mul(2));
        early > off_min || step_nanos < -off_min
    }

    /// No frame is waited for any longer: the camera's clock has been set, or those that wait are
    /// off for themselves.
    fn settle(&mut self) {
        let is_set = self.off.is_some_and(|(_, count)| count >= ALIKE_MIN);
        let Some(by) = self.set_by().filter(|_| is_set) else { return self.place_by_arrival() };
        self.off = None;
        for mut frame in mem::take(&mut self.waiting) {
            frame.pts = frame.pts.saturating_add(by);
            self.place(frame);
        }
        self.shift = self.shift.saturating_add(by);
    }

    /// What the times of those that wait have to be moved by, in ticks, to go on.
    fn set_by(&self) -> Option<i64> {
        let (first, last) = (self.waiting.first()?, self.waiting.last()?);
        let times = || self.waiting.iter().map(|frame| frame.pts);
        let (oldest, newest) = (times().min()?, times().max()?);
        let ticks = |nanos| Ticks::from_nanos(nanos, first.timescale).0;
        let passed = ticks(last.received.boot.0.saturating_sub(first.received.boot.0));
        if passed < newest.saturating_sub(oldest) / KEPT_PARTS {
            // They were kept somewhere, and when they came says nothing.
            let steps = self.recent.iter().map(|recent| recent.step).filter(|step| *step > 0);
            let before = self.recent.iter().map(|recent| recent.time).max()?;
            return Some(before.saturating_add(ticks(steps.min()?)).saturating_sub(oldest));
        }
        let fastest = self.waiting.iter().map(lead_of).min()?;
        let before = self.recent.iter().map(|recent| recent.lead).min()?;
        Some(ticks(fastest.saturating_sub(before)))
    }

    /// Those that wait were captured when they came.
    fn place_by_arrival(&mut self) {
        for mut frame in mem::take(&mut self.waiting) {
            if let Some(last) = self.last {
                let passed_nanos = frame.received.boot.0.saturating_sub(last.received.0);
                let passed = Ticks::from_nanos(passed_nanos, frame.timescale).0;
                // Two that arrive at once are apart nevertheless.
                frame.pts = last.time.saturating_add(passed.max(1));
            }
            self.place(frame);
        }
    }

    fn place(&mut self, frame: Frame) {
        let (time, received, lead) = (frame.pts, frame.received.boot, lead_of(&frame));
        let last = self.last.get_or_insert_with(|| Last::new(time, received, lead));
        let step = Ticks(time.saturating_sub(last.time)).to_nanos(frame.timescale);
        last.note(time, received, lead);
        if self.recent.len() == SEEN_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { time, step: step.saturating_abs(), lead });
        self.placed.push_back(frame);
    }
}

/// By how much a frame came later than its time, in nanoseconds.
fn lead_of(frame: &Frame) -> i64 {
    frame.received.boot.0.saturating_sub(Ticks(frame.pts).to_nanos(frame.timescale))
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
        Frame { track: TrackNumber(0), pts, timescale: RATE, received, ..Frame::default() }
    }

    /// Times of frames that come each 40 ms.
    fn times(all: &[i64]) -> Vec<i64> {
        let mut strays = Strays::default();
        let frames = all.iter().zip(0..).map(|(pts, number)| frame(*pts, number * 40));
        let mut times = placed(&mut strays, frames);
        times.extend(std::iter::from_fn(|| strays.pop(None)).map(|frame| frame.pts));
        times
    }

    /// Times of those that wait no longer when the last of these has come.
    fn placed(strays: &mut Strays, frames: impl Iterator<Item = Frame>) -> Vec<i64> {
        let mut times = Vec::new();
        for frame in frames {
            let now = frame.received.boot;
            strays.push(frame);
            times.extend(std::iter::from_fn(|| strays.pop(Some(now))).map(|frame| frame.pts));
        }
        times
    }

    const HOURS: i64 = 9_800 * RATE as i64;

    #[test]
    fn a_frame_that_is_hours_off_gets_the_time_at_which_it_came() {
        let sent = [0, 3600, 7200 - HOURS, 10_800, 14_400 + HOURS, 18_000, 21_600 - HOURS, 25_200];
        let meant: Vec<i64> = (0..8).map(|number| number * 3600).collect();
        assert_eq!(times(&sent), meant);
    }

    #[test]
    fn where_a_clock_was_set_times_go_on() {
        let sent = [0, 3600, HOURS + 7200, HOURS + 10_800, HOURS + 14_400, HOURS + 18_000, HOURS];
        let mut meant: Vec<i64> = (0..6).map(|number| number * 3600).collect();
        // What is shown before what came before it is no stray.
        meant.push(0);
        assert_eq!(times(&sent), meant);
    }

    #[test]
    fn where_a_clock_was_set_frames_are_shown_in_the_order_that_the_camera_says() {
        // How much later or earlier than the frame before each of a few is shown.
        for orders in [&[4, 2, 1, 3][..], &[3, 1, 2], &[2, 1], &[8, 4, 2, 1, 3, 6, 5, 7]] {
            let length = orders.len();
            let meant: Vec<i64> = (0..80)
                .map(|at| (at / length * length) as i64 + orders[at % length])
                .map(|number| number * 3600)
                .collect();
            for set_at in 60..68 {
                for by in [HOURS, -HOURS, -60 * i64::from(RATE)] {
                    let stamped =
                        |(at, time): (usize, &i64)| time + if at < set_at { 0 } else { by };
                    let sent: Vec<i64> = meant.iter().enumerate().map(stamped).collect();
                    assert_eq!(times(&sent), meant, "{orders:?}, {set_at}, {by}");
                }
            }
        }
    }

    #[test]
    fn where_a_clock_was_set_that_has_fallen_behind_times_go_on_as_they_were() {
        let sent = (0..90).map(|number| {
            let set = if number < 70 { 0 } else { HOURS };
            let late = if number < 50 { 0 } else { 3000 };
            frame(number * 3600 + set, number * 40 + late)
        });
        let meant: Vec<i64> = (0..90).map(|number| number * 3600).collect();
        assert_eq!(placed(&mut Strays::default(), sent), meant);
    }

    #[test]
    fn where_a_clock_was_set_amid_what_a_network_kept_times_go_on() {
        let sent = (0..90).map(|number| {
            let set = if number < 70 { 0 } else { -HOURS };
            let came = if (50..85).contains(&number) { 85 } else { number };
            frame(number * 3600 + set, came * 40)
        });
        let meant: Vec<i64> = (0..90).map(|number| number * 3600).collect();
        assert_eq!(placed(&mut Strays::default(), sent), meant);
    }

    #[test]
    fn a_frame_that_is_off_waits_for_the_next_one_or_no_longer_than_is_named() {
        let steady = || (0..20).map(|number| frame(number * 3600, number * 40));
        let mut strays = Strays::default();
        assert_eq!(placed(&mut strays, steady()).len(), 20);
        strays.push(frame(20 * 3600 - HOURS, 800));
        let at = |millis: i64| Some(BootTime(millis * 1_000_000));
        assert!(strays.pop(at(1199)).is_none() && !strays.is_empty());
        assert_eq!(strays.pop(at(1200)).map(|frame| frame.pts), Some(20 * 3600));
        assert!(strays.pop(None).is_none() && strays.is_empty());
        // A slow camera's clock has been set: nothing waits for the frame behind.
        let mut slow = Strays::default();
        let second = i64::from(RATE);
        assert_eq!(placed(&mut slow, (0..20).map(|at| frame(at * second, at * 1000))).len(), 20);
        for number in 20..30 {
            slow.push(frame(number * second + HOURS, number * 1000));
            let now = at(number * 1000 + if number < 23 { 400 } else { 0 });
            assert_eq!(slow.pop(now).map(|frame| frame.pts), Some(number * second), "{number}");
        }
    }

    #[test]
    fn what_was_silent_or_kept_waiting_is_no_stray() {
        // Nothing was sent for two minutes; then the process stood still for as long.
        let later = 120 * i64::from(RATE);
        let sent = [(0, 0), (later, 120_000), (later + 3600, 240_000), (later + 7200, 240_000)];
        let frames = sent.map(|(pts, millis)| frame(pts, millis));
        assert_eq!(placed(&mut Strays::default(), frames.into_iter()), sent.map(|(pts, _)| pts));
    }
}
