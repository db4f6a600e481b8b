//! Handing out: a chunk is offered, taken or refused, and what follows depends on that. Pure.
//!
//! The protocol is in the types. What a frame or a flush leads to is one [`HandOut`]: a chunk at
//! most, and what is to be done once it is taken. [`HandOut::offer`] uses it up, so that it is
//! answered once: what follows the chunk can be had only from one that was taken, and of one that
//! was refused there is only a [`Refusal`], which goes back to the cutter and knows what is missing
//! now. What follows a refusal holds no chunk, and so can't be refused in turn.

use super::chunk::Chunk;
use super::gap::Gap;
use crate::recorder::drops::DropReason;
use crate::ring::Refused;
use crate::segment::{EndReason, Observation};
use crate::units::WallTime;

/// What is to be done with a stream's clips beside storing chunks.
#[derive(Clone, Debug)]
pub enum Action {
    /// The clip that began last is over.
    End {
        /// Why.
        reason: EndReason,
        /// From its first picture to where the next clip begins, or would, in nanoseconds.
        length_nanos: i64,
    },
    /// Something to be remembered.
    Observe(Observation),
}

/// What a frame, a flush or the end of a session leads to.
#[derive(Debug, Default)]
#[must_use = "a chunk that is not offered is lost without being counted"]
pub struct HandOut {
    chunk: Option<(Chunk, Handed)>,
    /// What is to be done, in this order, behind the chunk.
    then: Vec<Action>,
}

/// What has to be known of a chunk where it is refused.
#[derive(Debug)]
struct Handed {
    /// Whether its clip begins with it.
    begins_clip: bool,
    /// When its clip begins.
    clip_start: WallTime,
    /// When its first frame was captured.
    start: WallTime,
    frames: u64,
}

/// A chunk that was offered and not taken.
#[derive(Debug)]
#[must_use = "the cutter does not know yet what is missing"]
pub struct Refusal {
    why: Refused,
    chunk: Handed,
}

impl HandOut {
    /// Hands out a chunk whose first frame was captured at `start`; nothing may have been handed
    /// out before it.
    pub(super) fn chunk(&mut self, chunk: Chunk, start: WallTime) {
        debug_assert!(self.chunk.is_none() && self.then.is_empty(), "a chunk comes first");
        let handed = Handed {
            begins_clip: chunk.begins_clip,
            clip_start: chunk.table.anchor.wall,
            start,
            frames: chunk.frames(),
        };
        self.chunk = Some((chunk, handed));
    }

    /// Whether a chunk is handed out.
    pub(super) fn has_chunk(&self) -> bool {
        self.chunk.is_some()
    }

    /// The clip is over.
    pub(super) fn end(&mut self, reason: EndReason, length_nanos: i64) {
        self.then.push(Action::End { reason, length_nanos });
    }

    /// Something is to be remembered, if anything is.
    pub(super) fn observe(&mut self, observation: Option<Observation>) {
        self.then.extend(observation.map(Action::Observe));
    }

    /// Has `take` take the chunk, if there is one. Answers what is to be done next, in this order.
    ///
    /// # Errors
    /// If the chunk is refused: the cutter has to be told ([`Cutter::refused`](super::Cutter)).
    pub fn offer(
        self,
        take: impl FnOnce(Chunk) -> Result<(), Refused>,
    ) -> Result<Vec<Action>, Refusal> {
        match self.chunk {
            None => Ok(self.then),
            Some((chunk, handed)) => match take(chunk) {
                Ok(()) => Ok(self.then),
                Err(why) => Err(Refusal { why, chunk: handed }),
            },
        }
    }
}

impl Refusal {
    /// Why the chunk was not taken.
    #[must_use]
    pub fn why(&self) -> Refused {
        self.why
    }

    fn reason(&self) -> DropReason {
        match self.why {
            Refused::QueueFull => DropReason::QueueFull,
            Refused::DeviceAway => DropReason::DeviceAway,
            Refused::Unwritable => DropReason::Unwritable,
            Refused::ClipEnded | Refused::Closed => DropReason::ClipEnded,
        }
    }

    /// What ends the clip where the chunk would have begun: nothing where there is no clip without
    /// it, or where the ring has ended it.
    pub(super) fn end(&self) -> Option<Action> {
        let is_open = !self.chunk.begins_clip && self.reason() != DropReason::ClipEnded;
        let length_nanos = self.chunk.start.nanos_since(self.chunk.clip_start);
        is_open.then_some(Action::End { reason: EndReason::Loss, length_nanos })
    }

    /// The gap that begins with the chunk, with its frames.
    pub(super) fn gap(&self) -> Gap {
        let mut gap = Gap::new(self.reason(), 0, self.chunk.start);
        gap.frames = self.chunk.frames;
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reading;
    use crate::segment::{
        Anchor, ClockQuality, ObservationKind, Sample, SampleFlags, TrackKind, TrackNumber,
        TrackTable,
    };
    use crate::units::{BootTime, NANOS_PER_SECOND, Ticks};

    const CLIP: WallTime = WallTime(1_790_000_000 * NANOS_PER_SECOND);
    const READING: Reading =
        Reading { wall: WallTime(5), boot: BootTime(1), boot_id: [3; 16], synchronised: true };
    const CHUNK: WallTime = WallTime(1_790_000_004 * NANOS_PER_SECOND);

    /// A chunk of three frames, the end of its clip, and an observation.
    fn handed_out(begins_clip: bool) -> HandOut {
        let quality = ClockQuality::Synchronised;
        let anchor =
            Anchor { wall: CLIP, boot: BootTime(1), boot_id: [3; 16], camera: None, quality };
        let mut chunk = Chunk::new(anchor, begins_clip, READING);
        let flags = SampleFlags::default();
        chunk.table.tracks.push(TrackTable {
            track: TrackNumber(0),
            kind: TrackKind::Video,
            timescale: 90_000,
            parameters: 0,
            codec_delay: 0,
            start: Ticks(0),
            samples: vec![Sample { duration: 3600, size: 0, composition_offset: 0, flags }; 3],
        });
        let mut hand_out = HandOut::default();
        hand_out.chunk(chunk, CHUNK);
        hand_out.end(EndReason::Boundary, 5 * NANOS_PER_SECOND);
        let kind = ObservationKind::Lost;
        let text = "lost".to_owned();
        hand_out.observe(Some(Observation { from: CLIP, to: CHUNK, kind, number: 1, text }));
        hand_out
    }

    fn refused(begins_clip: bool, why: Refused) -> Refusal {
        handed_out(begins_clip).offer(|_| Err(why)).expect_err("it was refused")
    }

    #[test]
    fn what_follows_a_chunk_is_done_once_it_is_taken() {
        let mut taken = 0;
        let then = handed_out(false).offer(|chunk| {
            taken += chunk.table.tracks[0].samples.len();
            Ok(())
        });
        let then = then.expect("it was taken");
        assert_eq!(taken, 3);
        assert!(matches!(
            then.as_slice(),
            [Action::End { reason: EndReason::Boundary, .. }, Action::Observe(_)]
        ));
    }

    #[test]
    fn without_a_chunk_nobody_is_asked_to_take_one() {
        let mut hand_out = HandOut::default();
        hand_out.observe(None);
        hand_out.end(EndReason::Stopped, 1);
        let then = hand_out.offer(|_| panic!("there is none")).expect("nothing was refused");
        assert_eq!(then.len(), 1);
    }

    #[test]
    fn a_refused_chunk_ends_its_clip_where_it_would_have_begun() {
        for why in [Refused::QueueFull, Refused::DeviceAway] {
            let refusal = refused(false, why);
            let Some(Action::End { reason, length_nanos }) = refusal.end() else {
                panic!("the clip is over");
            };
            assert_eq!((reason, length_nanos), (EndReason::Loss, 4 * NANOS_PER_SECOND));
            assert_eq!((refusal.why(), refusal.gap().frames), (why, 3));
        }
    }

    #[test]
    fn a_clip_that_has_no_chunk_or_that_the_ring_ended_is_not_ended_again() {
        assert!(refused(true, Refused::QueueFull).end().is_none());
        for why in [Refused::ClipEnded, Refused::Closed] {
            let refusal = refused(false, why);
            assert!(refusal.end().is_none());
            assert_eq!(refusal.gap().reason, DropReason::ClipEnded);
        }
    }
}
