//! A track of a stream: its frames, from when they arrive to when they are cut. Pure.
//!
//! A track has its own parameters, decode times, time line and frames that wait. It does as it is
//! told: what breaks a track and where a clip ends is decided above it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::decode_times::{DecodeTimes, Decoded, Interval};
use super::pending::{Pending, Taken};
use super::time_line::{Ended, TimeLine};
use super::wall_clock::is_pause;
use crate::camera::{Frame, Parameters, ReorderDepth};
use crate::clock::Reading;
use crate::segment::SampleFlags;
use crate::units::{BootTime, Ticks, WallTime};

/// No track has more frames in a chunk: its table has to fit beside its samples into a block, and
/// takes up to 15 bytes a frame.
const SAMPLES_MAX: usize = 4096;

/// One track.
pub(super) struct Track {
    line: Option<TimeLine>,
    /// Of the frames that come.
    parameters: Option<Arc<Parameters>>,
    /// Of the clip that it entered last: other ones of the same format stand in front of the key
    /// frames that need them, and the clip keeps the one sample entry that all players take.
    clip_parameters: Option<Arc<Parameters>>,
    times: DecodeTimes,
    /// What new parameters say, until the first frame with them is placed.
    depth: Option<ReorderDepth>,
    interval: Interval,
    /// How far frames are known to be apart before any came, in nanoseconds.
    expected: Option<i64>,
    /// The same in ticks, once one has come.
    step: Option<i64>,
    /// A pause of so many ticks is not told yet.
    pause: Option<i64>,
    pending: Pending,
}

/// What is marked on a frame that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Decoding can begin here, as well as it can with this camera.
    pub(super) sync: bool,
    /// Decoding from here is right some frames later.
    pub(super) recovery: bool,
    /// Something before it was lost.
    pub(super) damaged: bool,
}

/// Decode times that a frame may have with which a group begins.
pub(super) struct Ahead {
    last: Option<i64>,
    on: Decoded,
    anew: (Decoded, DecodeTimes),
}

impl Ahead {
    /// Where it goes on with what is before it.
    pub(super) fn on(&self) -> i64 {
        self.on.time
    }

    /// Where a clip begins with it.
    pub(super) fn anew(&self) -> i64 {
        self.anew.0.time
    }

    /// How far a time is behind that of the frame before.
    pub(super) fn step(&self, time: i64) -> i64 {
        self.last.map_or(0, |last| time.saturating_sub(last))
    }
}

impl Track {
    /// Nothing has come yet.
    pub(super) fn new() -> Track {
        Track {
            line: None,
            parameters: None,
            clip_parameters: None,
            times: DecodeTimes::new(ReorderDepth::Unknown),
            depth: None,
            interval: Interval::default(),
            expected: None,
            step: None,
            pause: None,
            pending: Pending::default(),
        }
    }

    /// Its time line, while a run is on.
    pub(super) fn line(&mut self) -> Option<&mut TimeLine> {
        self.line.as_mut()
    }

    /// The reading of the clocks that the run's times come from.
    pub(super) fn begun(&self) -> Option<Reading> {
        self.line.as_ref().map(TimeLine::begun)
    }

    /// Begins a run with this frame, where none is on.
    pub(super) fn begin_run(&mut self, frame: &Frame) {
        let new = || TimeLine::new(frame.received, frame.pts, frame.timescale);
        self.line.get_or_insert_with(new);
        if let Some(nanos) = self.expected.take() {
            let step = Ticks::from_nanos(nanos, frame.timescale).0;
            self.interval.expect(step);
            self.step = Some(step);
        }
    }

    /// Frames will be so far apart, in nanoseconds.
    pub(super) fn expect(&mut self, step_nanos: i64) {
        self.expected = Some(step_nanos);
    }

    /// Takes what is known when a run has begun, or goes on: frames that have come already behind
    /// its first one, since what was kept and sent at once is told by the last of it; and where
    /// the clip before ended.
    pub(super) fn foresee(&mut self, frames: &VecDeque<Frame>, ended: Option<&Ended>) {
        let Some(line) = &mut self.line else { return };
        let timescale = line.timescale();
        for frame in frames.iter().filter(|frame| frame.timescale == timescale) {
            line.observe(frame.pts, &frame.received);
        }
        if let Some(ended) = ended {
            line.keep_behind(ended);
        }
    }

    /// Forgets the arrivals so far, which belong to times that ran at another pace.
    pub(super) fn forget_arrivals(&mut self) {
        if let Some(line) = &mut self.line {
            line.forget();
        }
    }

    /// When a frame of this time is told to be captured, once that is settled.
    pub(super) fn told_at(&self, pts: i64) -> Option<BootTime> {
        self.line.as_ref()?.told_at(pts)
    }

    /// The same, as far as that is known by now.
    pub(super) fn boot_at(&self, pts: i64) -> Option<BootTime> {
        self.line.as_ref().map(|line| line.boot_at(pts))
    }

    /// The run is over.
    pub(super) fn end_run(&mut self) {
        self.line = None;
    }

    /// Whether a run is on.
    pub(super) fn is_running(&self) -> bool {
        self.line.is_some()
    }

    /// Whether a step between neighbours is a pause, and not what this camera usually does; in
    /// ticks.
    pub(super) fn is_pause(&self, step: i64, timescale: u32) -> bool {
        self.interval.is_outdone_by(step) && is_pause(step, self.interval.median(), timescale)
    }

    /// A pause of so many ticks lies before the frame that comes.
    pub(super) fn pauses(&mut self, ticks: i64) {
        self.pause = Some(ticks);
    }

    /// Takes what decodes the frames from here on.
    pub(super) fn take_parameters(&mut self, new: &Arc<Parameters>) {
        self.depth = Some(new.reorder_depth);
        self.parameters = Some(Arc::clone(new));
    }

    /// Nothing is known of frames to come.
    pub(super) fn forget_parameters(&mut self) {
        self.parameters = None;
    }

    /// Whether frames that come can be decoded.
    pub(super) fn has_parameters(&self) -> bool {
        self.parameters.is_some()
    }

    /// A clip begins with what comes.
    pub(super) fn enter_clip(&mut self) {
        self.clip_parameters.clone_from(&self.parameters);
    }

    /// Whether frames that come can't be in the clip that was entered.
    pub(super) fn has_other_format(&self) -> bool {
        let format = |parameters: &Option<Arc<Parameters>>| parameters.as_ref().map(|it| it.format);
        format(&self.parameters) != format(&self.clip_parameters)
    }

    /// Frames are missing before what comes.
    pub(super) fn restart(&mut self) {
        self.pause = None;
        let last = self.line.as_ref().and(self.times.last());
        self.times.restart(last);
        self.pending.clear();
        self.pending.restart(last);
    }

    /// Gives the waiting frames their final decode times.
    pub(super) fn place(&mut self) {
        if let Some(line) = &self.line {
            let usual = self.usual_interval(line.timescale());
            self.pending.place(&mut self.times, self.step, usual, line);
        }
    }

    /// The decode time of a frame with which a group begins, where it goes on with what is before
    /// it, and where a clip begins with it: pictures that are shown before it are none of that.
    pub(super) fn decode_times_ahead(&mut self, frame: &Frame) -> Ahead {
        let last = self.times.last();
        let mut anew = self.times.clone();
        anew.restart(last);
        let on = self.decode_time(frame);
        let usual = self.usual_interval(frame.timescale);
        let begins = anew.push(frame.pts, usual);
        Ahead { last, on, anew: (begins, anew) }
    }

    /// Takes one of the two.
    pub(super) fn take_ahead(&mut self, ahead: Ahead, is_anew: bool) -> Decoded {
        let Ahead { on, anew: (begins, times), .. } = ahead;
        if !is_anew {
            return on;
        }
        self.times = times;
        begins
    }

    /// The decode time of a frame that comes.
    pub(super) fn decode_time(&mut self, frame: &Frame) -> Decoded {
        if let Some(depth) = self.depth.take() {
            self.times.set_depth(depth);
        }
        self.times.push(frame.pts, self.usual_interval(frame.timescale))
    }

    /// Decode time of the frame before.
    pub(super) fn last_time(&self) -> Option<i64> {
        self.times.last()
    }

    /// Steers where the frame of this decode time begins a chunk, or could.
    pub(super) fn steer(&mut self, time: i64) {
        if let Some(line) = &mut self.line {
            line.steer(time);
        }
    }

    /// Whether a frame can go into the chunk that waits.
    pub(super) fn fits(&self, frame: &Frame, bytes_max: usize) -> bool {
        let bytes = self.pending.byte_count() + frame.data.len();
        bytes <= bytes_max && self.pending.len() < SAMPLES_MAX
    }

    /// A frame waits to be cut.
    pub(super) fn wait(&mut self, frame: &Frame, decoded: Decoded, marks: Marks) {
        let (Some(line), Some(parameters)) = (&mut self.line, &self.clip_parameters) else {
            return;
        };
        if self.pending.is_empty() {
            line.steer(decoded.time);
            self.pending.begin(frame, Arc::clone(parameters), line.shift());
        }
        let before = self.pending.last_time().or_else(|| line.cut_to());
        let mut flags = SampleFlags {
            sync: marks.sync,
            recovery: marks.recovery,
            damaged: marks.damaged,
            ..SampleFlags::default()
        };
        if let Some(before) = before.filter(|_| !self.pending.is_restart()) {
            let step = decoded.time - before;
            self.interval.note(step);
            // Where frames are shown in another order, a pause is decoded a few of them later.
            flags.resumed = self.pause.take_if(|pause| step > *pause / 2).is_some();
        }
        self.pending.push(frame, decoded, flags);
    }

    /// Cuts what waits. `next` is the decode time of the frame behind it, where that is known;
    /// what waits has been placed then.
    pub(super) fn cut(&mut self, next: Option<i64>) -> Option<Taken> {
        if next.is_none() {
            self.place();
        }
        let waiting = self.pending.waiting()?;
        // Of the first frames nothing else is known.
        let known = self.interval.median().or_else(|| self.pending.interval());
        let timescale = self.line.as_ref().map_or(0, TimeLine::timescale);
        let usual = known.unwrap_or_else(|| self.usual_interval(timescale));
        let cut = self.line.as_mut()?.cut(waiting, next, usual);
        // What a clip is in the way of is a tick apart, which is no interval.
        let is_restart = self.pending.is_restart() && waiting.first == waiting.wanted;
        let taken = self.pending.take(cut)?;
        if is_restart && let Some((_, placed)) = taken.samples.split_last() {
            for sample in placed {
                self.interval.note(i64::from(sample.duration));
            }
        }
        Some(taken)
    }

    /// Whether the last frame is expected to be over before a decode time.
    pub(super) fn ends_before(&self, time: i64) -> bool {
        let Some(line) = &self.line else { return true };
        match self.pending.last_time() {
            Some(last) => last.saturating_add(self.usual_interval(line.timescale())) <= time,
            None => line.ends_before(time),
        }
    }

    /// When what was cut last ends; `next` is the decode time of the frame behind it, where that
    /// is known.
    pub(super) fn cut_end(&self, next: Option<i64>) -> Option<WallTime> {
        self.line.as_ref().map(|line| line.cut_end(next))
    }

    /// When the first frame that waits was captured, as far as that is known.
    pub(super) fn waits_from(&self) -> Option<WallTime> {
        let waiting = self.pending.waiting()?;
        Some(self.line.as_ref()?.wall_at(waiting.first, waiting.wanted, waiting.shift))
    }

    /// When a frame of this decode time was captured, as far as that is known.
    pub(super) fn wall_at(&self, time: i64) -> Option<WallTime> {
        let first = self.pending.waiting().map_or(time, |waiting| waiting.wanted);
        self.line.as_ref().map(|line| line.wall_at(time, first, line.shift()))
    }

    /// Nanoseconds since the first frame that waits was received.
    pub(super) fn age_nanos(&self, now: &Reading) -> i64 {
        self.pending.since().map_or(0, |since| now.boot.0.saturating_sub(since.boot.0))
    }

    /// Whether nothing has been cut in this run.
    pub(super) fn begins_run(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.cut_to().is_none())
    }

    /// Whether decoding can begin with the first frame that waits.
    pub(super) fn waits_with_key(&self) -> bool {
        self.pending.begins_with_key()
    }

    /// Drops what waits. Answers how many frames that are.
    pub(super) fn drop_waiting(&mut self) -> u64 {
        let frames = self.pending.len() as u64;
        self.pending.clear();
        frames
    }

    /// How far frames are apart, in ticks; 25 a second where nobody knows.
    fn usual_interval(&self, timescale: u32) -> i64 {
        self.interval.median().unwrap_or(i64::from(timescale / 25).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{AudioParameters, Codec, ParameterSet, TrackKind, TrackNumber};
    use crate::units::NANOS_PER_SECOND;

    const START: i64 = 1_790_000_003 * NANOS_PER_SECOND;
    const RATE: u32 = 16_000;
    const PACKET: i64 = 1024;

    fn parameters(mark: u8) -> Arc<Parameters> {
        let audio = AudioParameters { sample_rate: RATE, channels: 1 };
        let set = ParameterSet {
            codec: Codec::Aac,
            configuration: vec![mark; 2],
            video: None,
            audio: Some(audio),
        };
        Arc::new(Parameters::new(&set, set.encode().into(), ReorderDepth::Known(0)))
    }

    /// A packet of 64 ms, received as it ends.
    fn packet(number: i64) -> Frame {
        let nanos = number * 64_000_000;
        Frame {
            track: TrackNumber(3),
            pts: 5000 + number * PACKET,
            timescale: RATE,
            data: vec![number as u8; 4],
            is_key: true,
            received: Reading {
                wall: WallTime(START + nanos),
                boot: BootTime(1 + nanos),
                boot_id: [3; 16],
                synchronised: true,
            },
            ..Frame::default()
        }
    }

    fn wait(track: &mut Track, numbers: std::ops::Range<i64>) {
        for number in numbers {
            let frame = packet(number);
            track.begin_run(&frame);
            let decoded = track.decode_time(&frame);
            track.wait(&frame, decoded, Marks { sync: true, ..Marks::default() });
        }
    }

    #[test]
    fn what_is_cut_knows_its_track_and_follows_what_was_cut_before() {
        let mut track = Track::new();
        track.take_parameters(&parameters(7));
        track.enter_clip();
        track.restart();
        wait(&mut track, 0..5);
        let next = packet(5).pts;
        track.place();
        let first = track.cut(Some(next)).expect("five packets");
        wait(&mut track, 5..8);
        let second = track.cut(None).expect("three packets");
        for (taken, count) in [(&first, 5), (&second, 3)] {
            assert_eq!((taken.track, taken.timescale), (TrackNumber(3), RATE));
            assert_eq!(taken.parameters.format.codec.track_kind(), TrackKind::Audio);
            assert_eq!((taken.samples.len(), taken.data.len()), (count, 4 * count));
            let is_steady = taken.samples.iter().all(|sample| i64::from(sample.duration) == PACKET);
            assert!(is_steady && taken.samples.iter().all(|sample| sample.flags.sync));
        }
        assert_eq!(first.start, WallTime(START));
        assert_eq!(second.start, first.start.plus_nanos(5 * 64_000_000));
        assert_eq!(track.cut_end(None), Some(first.start.plus_nanos(8 * 64_000_000)));
        assert!(track.cut(None).is_none(), "nothing waits");
    }

    #[test]
    fn a_chunk_has_so_many_bytes_whatever_the_parameters() {
        let mut track = Track::new();
        track.take_parameters(&parameters(7));
        track.enter_clip();
        wait(&mut track, 0..2);
        assert!(track.fits(&packet(2), 12));
        assert!(!track.fits(&packet(2), 11));
        track.take_parameters(&parameters(8));
        assert!(track.fits(&packet(2), 12), "they stand in front of key frames");
    }
}
