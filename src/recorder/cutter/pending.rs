//! The frames of one track that wait to be cut. Pure.

use std::sync::Arc;

use super::decode_times::{DecodeTimes, Decoded};
use super::time_line::{Cut, TimeLine, Waiting};
use crate::camera::{Frame, Parameters};
use crate::clock::Reading;
use crate::segment::{Sample, SampleFlags, TrackNumber};
use crate::units::WallTime;

/// One frame that waits.
#[derive(Clone, Copy, Debug)]
struct Kept {
    pts: i64,
    decoded: Decoded,
    size: u32,
    flags: SampleFlags,
}

/// What is the same for all frames of a chunk to be.
#[derive(Debug)]
struct Begun {
    track: TrackNumber,
    timescale: u32,
    parameters: Arc<Parameters>,
    /// When the first one was received.
    since: Reading,
    /// What steering adds to their decode times, in ticks.
    shift: i64,
}

/// Frames of a track that have been received and not been handed in. Bounded by the cutter.
#[derive(Debug, Default)]
pub(super) struct Pending {
    frames: Vec<Kept>,
    data: Vec<u8>,
    begun: Option<Begun>,
    /// The chunk begins after missing frames: with the decode time before them.
    restart: Option<Option<i64>>,
    /// The decode time of the first frame, had no clip been in its way.
    wanted: Option<i64>,
}

/// What [`Pending::take`] hands out.
pub(super) struct Taken {
    pub(super) track: TrackNumber,
    /// Ticks a second.
    pub(super) timescale: u32,
    /// When the first sample was captured.
    pub(super) start: WallTime,
    pub(super) parameters: Arc<Parameters>,
    pub(super) samples: Vec<Sample>,
    pub(super) data: Vec<u8>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn byte_count(&self) -> usize {
        self.data.len()
    }

    /// When the first frame was received.
    pub(super) fn since(&self) -> Option<Reading> {
        self.begun.as_ref().map(|begun| begun.since)
    }

    pub(super) fn begins_with_key(&self) -> bool {
        self.frames.first().is_some_and(|frame| frame.flags.sync)
    }

    /// Where the frames are in time; `None` where there are none.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let (first, last) = (self.frames.first()?.decoded.time, self.last_time()?);
        let wanted = self.wanted.unwrap_or(first);
        Some(Waiting { first, last, wanted, shift: self.begun.as_ref()?.shift })
    }

    /// Whether frames are missing before the first one.
    pub(super) fn is_restart(&self) -> bool {
        self.restart.is_some()
    }

    pub(super) fn last_time(&self) -> Option<i64> {
        self.frames.last().map(|frame| frame.decoded.time)
    }

    pub(super) fn clear(&mut self) {
        *self = Pending::default();
    }

    /// The frames that come next are the first after missing ones; `last` is the decode time
    /// before those.
    pub(super) fn restart(&mut self, last: Option<i64>) {
        self.restart = Some(last);
    }

    /// `frame` is about to be the first one.
    pub(super) fn begin(&mut self, frame: &Frame, parameters: Arc<Parameters>, shift: i64) {
        self.begun = Some(Begun {
            track: frame.track,
            timescale: frame.timescale,
            parameters,
            since: frame.received,
            shift,
        });
    }

    pub(super) fn push(&mut self, frame: &Frame, decoded: Decoded, flags: SampleFlags) {
        self.data.extend_from_slice(&frame.data);
        self.frames.push(Kept {
            pts: frame.pts,
            decoded,
            // The cutter refuses frames that are larger than a chunk.
            size: frame.data.len() as u32,
            flags,
        });
    }

    /// Gives the first frames after missing ones their final decode times: now that their
    /// successors show how far frames are apart and how they are reordered. None lies before what
    /// was cut: those that should follow it closely.
    ///
    /// How far they are apart is `step`, where that is known, or seen, or else as is `usual`.
    pub(super) fn place(
        &mut self,
        times: &mut DecodeTimes,
        step: Option<i64>,
        usual: i64,
        line: &TimeLine,
    ) {
        let (Some(last), Some(begun)) = (self.restart, &self.begun) else { return };
        let interval = step.or_else(|| self.interval()).unwrap_or(usual);
        times.restart(last);
        if let Some(first) = self.frames.first() {
            let wanted = times.clone().push(first.pts, interval).time;
            self.wanted = Some(wanted);
            if let Some(floor) = line.floor(wanted, begun.shift).filter(|floor| *floor > wanted) {
                times.restart_behind(floor, wanted, interval);
            }
        }
        for frame in &mut self.frames {
            frame.decoded = times.push(frame.pts, interval);
        }
    }

    /// The median distance of neighbours in the order of presentation, in ticks.
    pub(super) fn interval(&self) -> Option<i64> {
        let mut times: Vec<i64> = self.frames.iter().map(|frame| frame.pts).collect();
        times.sort_unstable();
        let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().filter(|step| *step > 0)
    }

    /// All frames as samples, which lie where the time line has cut them; nothing waits afterwards.
    pub(super) fn take(&mut self, cut: Cut) -> Option<Taken> {
        let taken = std::mem::take(self);
        let Begun { track, timescale, parameters, .. } = taken.begun?;
        let next = taken.frames.iter().skip(1).map(|frame| Some(frame.decoded.time));
        let samples = taken.frames.iter().zip(next.chain([None])).map(|(frame, next)| Sample {
            duration: match next {
                Some(next) => tick_count(next - frame.decoded.time),
                None => tick_count(cut.last_duration),
            },
            size: frame.size,
            composition_offset: frame.decoded.offset,
            flags: frame.flags,
        });
        let samples = samples.collect();
        Some(Taken { track, timescale, start: cut.start, parameters, samples, data: taken.data })
    }
}

/// A duration as a sample table holds it: at least one tick, so that times grow.
fn tick_count(ticks: i64) -> u32 {
    u32::try_from(ticks.max(1)).unwrap_or(u32::MAX)
}
