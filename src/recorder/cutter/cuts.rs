//! Where chunks and clips end: what waits is cut, and handed out. Pure.

use super::chunk::Chunk;
use super::pending::Taken;
use super::track::Ahead;
use super::video::is_long;
use super::{Cutter, Ended, HandOut};
use crate::camera::Frame;
use crate::clock::Reading;
use crate::segment::EndReason;
use crate::units::{NANOS_PER_SECOND, Ticks, WallTime, nanos_of};

/// Steering moves clip starts by less than this, in nanoseconds: where a boundary is that near,
/// it is decided after steering.
const BOUNDARY_MARGIN_NANOS: i64 = NANOS_PER_SECOND / 10;

/// A clip of open groups ends before one of them, and loses what leads it, when it is this long, in
/// nanoseconds.
const OPEN_NANOS_MAX: i64 = 3600 * NANOS_PER_SECOND;

/// What is beside pictures goes on without them where none came for so long, in nanoseconds.
const ALONE_NANOS_MIN: i64 = NANOS_PER_SECOND;

impl Cutter {
    /// Pictures will be so far apart, in nanoseconds: what is further apart is a pause from the
    /// first one on.
    pub fn expect(&mut self, step_nanos: i64) {
        self.video.track.expect(step_nanos);
    }

    /// Whether chunk and clip end before a group that begins with this frame.
    pub(super) fn end_before(&mut self, frame: &Frame, ahead: &Ahead, out: &mut HandOut) {
        if self.clip.is_none() {
            return;
        }
        let paused = self.video.ends_clip();
        let changed = self.video.track.has_other_format() || self.sides.have_other_format();
        let near = self.boundary_within(ahead.anew(), BOUNDARY_MARGIN_NANOS)
            && !(self.begins_astray(&frame.received));
        let time = if near || changed || paused { ahead.anew() } else { ahead.on() };
        let step = ahead.step(time);
        let half = nanos_of(self.settings.flush_interval) / 2;
        let is_old = self.video.track.age_nanos(&frame.received) >= half;
        // What lies before a long pause does not last through it where a clip ends.
        let is_behind = is_long(Ticks(step).to_nanos(frame.timescale));
        let is_apart = paused && is_behind && self.video.track.ends_before(time);
        let next = (!is_apart).then_some(time);
        if paused || changed || near || is_old || !self.fits(frame) {
            self.cut(next, &frame.received, out);
        }
        self.video.track.steer(time);
        if changed {
            self.close(EndReason::ParametersChanged, next, &frame.received, out);
        } else if paused {
            self.close(EndReason::Loss, next, &frame.received, out);
        } else if near && self.boundary_within(time, 0) && !self.waits_for_closed(frame, time) {
            self.close(EndReason::Boundary, Some(time), &frame.received, out);
        }
    }

    /// Whether the clip goes on although it should end: what is shown before this key frame would
    /// be lost. It need not wait for long.
    fn waits_for_closed(&self, frame: &Frame, time: i64) -> bool {
        frame.is_open && self.clip_length_nanos(Some(time)) < OPEN_NANOS_MAX
    }

    pub(super) fn fits(&self, frame: &Frame) -> bool {
        let bytes_max = self.settings.chunk_bytes_max.saturating_sub(self.sides.byte_count());
        self.video.track.fits(frame, bytes_max)
    }

    /// Whether a run begins with stamps that run away, so that no time can be told from them.
    pub(super) fn begins_astray(&self, now: &Reading) -> bool {
        self.video.track.begins_run() && self.stamps.run_away(now.boot)
    }

    /// When the clip begins: final once its first chunk is cut.
    pub(super) fn clip_start(&self) -> Option<WallTime> {
        self.clip.as_ref()?.start().or_else(|| self.video.track.waits_from())
    }

    /// Nanoseconds of the clip up to a decode time.
    pub(super) fn clip_length_nanos(&self, time: Option<i64>) -> i64 {
        let end = time.and_then(|time| self.video.track.wall_at(time));
        self.clip_start().zip(end).map_or(0, |(start, end)| end.nanos_since(start))
    }

    /// Whether the clip's boundary is not later than `margin_nanos` behind a decode time.
    pub(super) fn boundary_within(&self, time: i64, margin_nanos: i64) -> bool {
        let boundary = self.clip_start().map(|start| (self.settings.boundary)(start));
        let times = boundary.zip(self.video.track.wall_at(time));
        times.is_some_and(|(boundary, end)| end.plus_nanos(margin_nanos) >= boundary)
    }

    /// Hands out what waits. `next` is the decode time of the frame behind it, where that is known;
    /// what waits has been placed then.
    pub(super) fn cut(&mut self, next: Option<i64>, now: &Reading, out: &mut HandOut) {
        self.cut_all(next, false, now, out);
    }

    fn cut_all(&mut self, next: Option<i64>, closes: bool, now: &Reading, out: &mut HandOut) {
        let Some(clip) = self.clip.as_mut().filter(|_| !out.has_chunk()) else { return };
        let video = self.video.track.cut(next);
        let Some(start) = video.as_ref().map(|taken| taken.start).or(clip.start()) else { return };
        let (begins_clip, anchor) = clip.chunk(start, now);
        // What lies behind the pictures so far may belong to the next clip.
        let is_led = closes || next.is_some() || video.is_some();
        let to = self.video.track.cut_end(next).filter(|_| is_led);
        // Where nothing of the video is cut, the end is not steered yet.
        let is_settled = closes || (next.is_some() && video.is_some());
        let beside = match (is_led, is_settled) {
            (false, _) => self.cut_alone(anchor.wall, now),
            (true, false) => self.sides.cut_ahead(anchor.wall, to),
            (true, true) => self.sides.cut(anchor.wall, to),
        };
        let all: Vec<Taken> = video.into_iter().chain(beside).collect();
        let Some(start) = all.iter().map(|taken| taken.start).min() else { return };
        let timed_by = self.video.track.begun().unwrap_or(*now);
        let mut chunk = Chunk::new(anchor, begins_clip, timed_by);
        all.into_iter().for_each(|taken| chunk.add(taken));
        out.chunk(chunk, start.max(anchor.wall));
    }

    /// Cuts what lies beside pictures that do not come.
    fn cut_alone(&mut self, start: WallTime, now: &Reading) -> Vec<Taken> {
        let pictures_wait = !(self.held.is_empty() && self.hiccups.is_empty());
        if pictures_wait || !self.video.is_silent(now, ALONE_NANOS_MIN) {
            return Vec::new();
        }
        self.sides.cut_ahead(start, None)
    }

    /// Hands out what waits and ends the clip, at the decode time of its successor where there
    /// is one.
    pub(super) fn close(
        &mut self,
        reason: EndReason,
        next: Option<i64>,
        now: &Reading,
        out: &mut HandOut,
    ) {
        self.cut_all(next, true, now, out);
        let Some(clip) = self.clip.take() else { return };
        let (Some(start), Some(end)) = (clip.start(), self.video.track.cut_end(next)) else {
            return;
        };
        self.sides.clip_ends(start, end);
        self.ended = self.video.track.begun().map(|begun| Ended { at: end, begun });
        out.end(reason, end.nanos_since(start));
    }
}
