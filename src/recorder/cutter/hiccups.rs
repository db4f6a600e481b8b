//! Hiccups: a camera, or what stands in front of it, sends nothing for a moment and goes on where
//! it stopped, so that its time falls behind by as long; or its time stands still while frames
//! come. Pure.
//!
//! Frames that come late wait until it is clear which of them it is, or whether a network held them
//! up, for a named time: those behind a hiccup are told when they were captured before anything is
//! written of them. A network whose way becomes longer all at once looks the same; where it is as
//! short as before later on, frames are early by as much, which none is, and times come back to
//! what was captured.
//!
//! Times that are out of place are put right before that, and wait there.

use std::collections::VecDeque;

use super::lateness::{Lateness, Verdict};
use super::strays::Strays;
use super::usual::{Seen, Told};
use crate::camera::Frame;
use crate::units::{BootTime, Ticks};

/// Frames wait so long to be judged, in nanoseconds: no longer than for their sound.
const HOLD_NANOS: i64 = 700_000_000;
/// No more wait, in bytes: what a camera had kept may be much.
const HOLD_BYTES_MAX: usize = 8 << 20;

/// A scale that is known better by this part is none that is another.
const NEAR_MAX: f64 = 0.02;

/// The frames of one track, which wait where their time may have fallen behind.
#[derive(Debug, Default)]
pub(super) struct Hiccups {
    strays: Strays,
    begun: Option<BootTime>,
    waiting: VecDeque<Frame>,
    bytes: usize,
    /// The latest time that was handed on.
    latest: Option<i64>,
    /// What times have fallen behind by so far, in ticks.
    shift: i64,
    /// The same, as long as the camera's own clock does not tell of it, in nanoseconds.
    untold: i64,
    lateness: Lateness,
    scale: Option<f64>,
    timescale: u32,
}

impl Hiccups {
    /// Takes the next frame. `scale` is how many ticks its clock shows for each tick of time;
    /// `None` where its stamps are no times. `told` is when what ends at a time would be told to be
    /// captured, where that can be relied on. Answers whether frames come earlier than they could:
    /// what is told is too late.
    pub(super) fn push(
        &mut self,
        frame: Frame,
        scale: Option<f64>,
        told: impl Fn(i64) -> Told<BootTime>,
    ) -> bool {
        let now = frame.received.boot;
        self.strays.push(frame);
        let mut is_early = false;
        while let Some(frame) = self.strays.pop(Some(now)) {
            is_early |= self.judge(frame, scale, &told);
        }
        is_early
    }

    /// What times are told in from a frame on. One that is known better shifts all leads; behind
    /// another one how frames came says nothing of how they come.
    fn follow_scale(&mut self, frame: &Frame, scale: Option<f64>) {
        let before = self.scale.filter(|_| self.timescale == frame.timescale);
        let is_near = |(before, now): &(f64, f64)| (now / before - 1.0).abs() < NEAR_MAX;
        match before.zip(scale).filter(is_near) {
            Some((before, now)) if now != before => {
                self.lateness.shift(lead_of(frame, now).saturating_sub(lead_of(frame, before)));
            }
            None if scale.is_some() || self.scale.is_some() => self.lateness.forget(),
            _ => {}
        }
        (self.scale, self.timescale) = (scale, frame.timescale);
    }

    /// Answers whether a frame comes earlier than it could.
    fn judge(
        &mut self,
        frame: Frame,
        scale: Option<f64>,
        told: impl Fn(i64) -> Told<BootTime>,
    ) -> bool {
        let frame = self.shifted(frame);
        self.follow_scale(&frame, scale);
        let verdict = scale.and_then(|scale| {
            let (received, lead) = (frame.received.boot, lead_of(&frame, scale));
            let told = told(frame.end()).map(|told| lead + told.0 - received.0);
            self.lateness.judge(Seen { lead, received }, told)
        });
        self.wait(frame);
        match verdict {
            Some(Verdict::Behind(off)) => {
                let latest = self.latest.unwrap_or(i64::MIN);
                self.fell_behind(|frame, _| (frame.pts >= latest).then_some(off));
            }
            Some(Verdict::Still(lead)) => {
                let off = |frame: &Frame, scale| lead_of(frame, scale).saturating_sub(lead).max(0);
                self.fell_behind(|frame, scale| Some(off(frame, scale)));
            }
            Some(Verdict::Early) => return true,
            None => {}
        }
        false
    }

    /// A frame with what times have fallen behind by so far.
    fn shifted(&mut self, mut frame: Frame) -> Frame {
        frame.pts = frame.pts.saturating_add(self.shift);
        match &mut frame.captured {
            Some(captured) => *captured = captured.plus_nanos(self.untold),
            None => self.untold = 0,
        }
        frame
    }

    fn wait(&mut self, frame: Frame) {
        self.begun.get_or_insert(frame.received.boot);
        self.bytes += frame.data.len();
        self.waiting.push_back(frame);
    }

    /// The next frame that waits no longer; any, where there is no `now`.
    pub(super) fn pop(&mut self, now: Option<BootTime>) -> Option<Frame> {
        // What nothing followed by which it could be judged is when it came.
        while let Some(frame) = self.strays.pop(now) {
            let frame = self.shifted(frame);
            self.wait(frame);
        }
        let first = self.waiting.front().map(|first| first.received.boot);
        let waits = now.zip(self.waits_since()).is_some_and(|(now, since)| {
            now.0.saturating_sub(since.0) < HOLD_NANOS
                && first >= Some(since)
                && self.bytes <= HOLD_BYTES_MAX
        });
        let frame = if waits { None } else { self.waiting.pop_front() };
        self.bytes -= frame.as_ref().map_or(0, |frame| frame.data.len());
        self.latest = self.latest.max(frame.as_ref().map(|frame| frame.pts));
        frame
    }

    /// Whether no frame waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.strays.is_empty()
    }

    /// Since when frames wait: the first ones of a session do, because it may begin with what the
    /// camera had kept, and those that are late.
    fn waits_since(&self) -> Option<BootTime> {
        let begun = self.begun?;
        let first = self.waiting.front()?.received.boot;
        let is_first = first.0.saturating_sub(begun.0) < HOLD_NANOS && self.scale.is_some();
        self.lateness.since().or(is_first.then_some(begun))
    }

    /// A new session has a time line of its own.
    pub(super) fn forget(&mut self) {
        *self = Hiccups::default();
    }

    /// What waits was captured so many nanoseconds later than its stamps say, and what comes as
    /// much as the last of it; but for what is shown before a frame that was on time.
    fn fell_behind(&mut self, off: impl Fn(&Frame, f64) -> Option<i64>) {
        let scale = self.scale.unwrap_or(1.0);
        let (mut by, mut last) = (0, 0);
        for frame in &mut self.waiting {
            let Some(off) = off(frame, scale) else { continue };
            last = off;
            by = Ticks::from_nanos((off as f64 * scale) as i64, self.timescale).0;
            frame.pts = frame.pts.saturating_add(by);
            frame.captured = frame.captured.map(|captured| captured.plus_nanos(off));
        }
        self.shift = self.shift.saturating_add(by);
        self.untold = self.untold.saturating_add(last);
    }
}

/// By how much a frame is later than its time, in nanoseconds: nothing of what lasts is on its way
/// before its end.
fn lead_of(frame: &Frame, scale: f64) -> i64 {
    let media = Ticks(frame.end()).to_nanos(frame.timescale) as f64 / scale;
    frame.received.boot.0.saturating_sub(media as i64)
}
