//! Handing in: what waits becomes a chunk, a clip ends, a chunk was refused.

use super::super::action::{Action, DropReason};
use super::super::chunk::Chunk;
use super::super::gap::Gap;
use super::super::run::Run;
use super::Cutter;
use crate::clock::Reading;
use crate::ring::Refused;
use crate::segment::{Anchor, EndReason};
use crate::units::WallTime;

/// The chunk that was handed out last, for the case that it is refused.
pub(super) struct LastChunk {
    /// Where its clip begins; `None` where the chunk is its first.
    clip_start: Option<WallTime>,
    start: WallTime,
    frames: u64,
}

impl Cutter {
    /// The chunk that was handed out last was not taken, and nothing that followed it in the
    /// same answer was done.
    pub fn refused(&mut self, why: Refused, now: &Reading) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(chunk) = self.last_chunk.take() else { return actions };
        let reason = match why {
            Refused::QueueFull => DropReason::QueueFull,
            Refused::DeviceAway => DropReason::DeviceAway,
            Refused::ClipEnded | Refused::Closed => DropReason::ClipEnded,
        };
        if let Some(clip_start) = chunk.clip_start
            && reason != DropReason::ClipEnded
        {
            let length_nanos = chunk.start.nanos_since(clip_start);
            actions.push(Action::End { reason: EndReason::Loss, length_nanos });
        }
        let mut gap = Gap::new(reason, 0, chunk.start);
        gap.frames = chunk.frames;
        if self.pending.begins_with_key() {
            // The group behind the refused one is whole: a clip of its own begins with it.
            if let Some(clip) = &mut self.clip {
                clip.begun = None;
            }
        } else {
            gap.frames += self.pending.len() as u64;
            self.pending.clear();
            self.clip = None;
        }
        self.drops.add(reason, gap.frames);
        if self.clip.is_some() || self.gap.is_some() {
            actions.extend(gap.observation(now.wall).map(Action::Observe));
        } else {
            self.gap = Some(gap);
        }
        actions
    }

    /// Wall time of the clip's first sample: final once its first chunk is cut.
    pub(super) fn clip_start(&self) -> Option<WallTime> {
        let (clip, run) = (self.clip.as_ref()?, self.run.as_ref()?);
        clip.begun.or_else(|| {
            let first = self.pending.first_time()?;
            Some(run.clock.wall_at(run.point(first, first, self.pending.shift())))
        })
    }

    /// Nanoseconds of the clip up to a decode time.
    pub(super) fn clip_length(&self, time: Option<i64>) -> i64 {
        let (Some(start), Some(run), Some(time)) = (self.clip_start(), &self.run, time) else {
            return 0;
        };
        let first = self.pending.first_time().unwrap_or(time);
        run.clock.wall_at(run.point(time, first, run.clock.shift())).nanos_since(start)
    }

    /// Whether the clip's boundary is not later than `margin` nanoseconds behind a decode time.
    pub(super) fn boundary_within(&self, time: i64, margin: i64) -> bool {
        let Some(start) = self.clip_start() else { return false };
        let end = start.plus_nanos(self.clip_length(Some(time)));
        end.plus_nanos(margin) >= (self.settings.boundary)(start)
    }

    /// Hands in what waits. `next` is the decode time of the frame behind it, where that is known;
    /// what waits has been placed then.
    pub(super) fn cut(&mut self, next: Option<i64>, now: &Reading, actions: &mut Vec<Action>) {
        if next.is_none() {
            self.place();
        }
        let (Some(first), Some(last)) = (self.pending.first_time(), self.pending.last_time())
        else {
            return;
        };
        let expected = self.usual_interval(self.run.as_ref().map_or(0, Run::timescale));
        let (Some(run), Some(clip)) = (&mut self.run, &mut self.clip) else { return };
        run.settle(first);
        let before = self.pending.shift();
        run.cut(last);
        let duration = match next {
            Some(next) => {
                run.steer(next);
                next - last + run.clock.shift() - before
            }
            None => expected,
        };
        let start = run.point(first, first, before);
        run.end = run.point(last, first, before) + duration;
        let is_first = clip.begun.is_none();
        let wall = *clip.begun.get_or_insert(run.clock.wall_at(start));
        let is_restart = self.pending.is_restart();
        let Some(taken) = self.pending.take(duration) else { return };
        if is_restart && let Some((_, placed)) = taken.samples.split_last() {
            for sample in placed {
                self.interval.note(i64::from(sample.duration));
            }
        }
        self.last_chunk = Some(LastChunk {
            clip_start: (!is_first).then_some(wall),
            start: run.clock.wall_at(start),
            frames: taken.samples.len() as u64,
        });
        let mut chunk = Chunk::new(Anchor {
            wall,
            boot: now.boot,
            boot_id: now.boot_id,
            camera: None,
            quality: clip.quality,
        });
        chunk.add(taken, run.clock.wall_at(start));
        if is_first {
            actions.push(Action::Begin);
        }
        actions.push(Action::Append(chunk));
    }

    /// Hands in what waits and ends the clip, at the decode time of its successor where there
    /// is one.
    pub(super) fn close(
        &mut self,
        reason: EndReason,
        next: Option<i64>,
        now: &Reading,
        actions: &mut Vec<Action>,
    ) {
        self.cut(next, now, actions);
        let (Some(run), Some(clip)) = (&self.run, self.clip.take()) else { return };
        let Some(start) = clip.begun else { return };
        let end = next.map_or(run.end, |next| run.point(next, next, run.clock.shift()));
        let length_nanos = run.clock.wall_at(end).nanos_since(start);
        actions.push(Action::End { reason, length_nanos });
    }
}
