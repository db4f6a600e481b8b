//! Frames become chunks, chunks become clips. Pure.
//!
//! Words: a *run* is the time line of one connection, until its time jumps. Frames that are
//! missing from it leave a *gap*, which lasts to the next key frame, and which ends the clip; the
//! run goes on behind it. Points of a run are in ticks of steered decode time since its first
//! frame; the wall time of each clip comes from them, so that no rounding adds up.

mod hand_in;

use std::sync::Arc;
use std::time::Duration;

use hand_in::LastChunk;

use super::action::{Action, DropReason, Drops};
use super::decode_times::{DecodeTimes, Decoded, Interval};
use super::gap::Gap;
use super::pending::Pending;
use super::run::Run;
use crate::camera::{Format, Frame, Parameters, ReorderDepth};
use crate::clock::Reading;
use crate::segment::{ClockQuality, EndReason};
use crate::units::{NANOS_PER_SECOND, Ticks, WallTime};

/// What is younger than this when a flush comes waits for the next one: it would be a chunk of
/// a page or two, and promise 5 leaves a second beside the flush interval.
const FLUSH_AGE_MIN: i64 = NANOS_PER_SECOND / 2;

/// A chunk never holds more frames: its table has to fit beside its samples into a block, and
/// takes up to 15 bytes a frame.
const SAMPLES_MAX: usize = 4096;

/// A clip that finds no key frame to end at is ended by force when it is this long, in
/// nanoseconds: memory and tables of whoever opens it depend on its length.
const CLIP_DURATION_MAX: i64 = 2 * 3600 * NANOS_PER_SECOND;

/// Steering moves clip starts by less than this, in nanoseconds: where a boundary is that near,
/// it is decided after steering.
const BOUNDARY_MARGIN: i64 = NANOS_PER_SECOND / 10;

/// How far arrivals may be off where a silence of the camera is told from a jump of its time, in
/// nanoseconds: what a network delays.
const SILENCE_ERROR_MAX: i64 = NANOS_PER_SECOND;

/// Nanoseconds in a millisecond.
const MILLI: i64 = 1_000_000;

/// The point at which a clip that began at the given time should end: later than that time.
pub type Boundary = Arc<dyn Fn(WallTime) -> WallTime + Send + Sync>;

/// How to cut.
#[derive(Clone)]
pub struct CutterSettings {
    /// How often the ring is flushed.
    pub flush_interval: Duration,
    /// The most bytes that a chunk's samples may have: a block less its headers.
    pub chunk_bytes_max: usize,
    /// Where clips end.
    pub boundary: Boundary,
}

/// The clip that frames go into.
struct OpenClip {
    format: Format,
    /// Wall time of its first sample, once its first chunk is cut.
    begun: Option<WallTime>,
    quality: ClockQuality,
}

/// Cuts one stream.
pub struct Cutter {
    settings: CutterSettings,
    run: Option<Run>,
    clip: Option<OpenClip>,
    pending: Pending,
    gap: Option<Gap>,
    /// Of the frames that come.
    parameters: Option<Arc<Parameters>>,
    times: DecodeTimes,
    /// What new parameters say, until the first frame with them is placed.
    depth: Option<ReorderDepth>,
    interval: Interval,
    last_chunk: Option<LastChunk>,
    last_received: Option<Reading>,
    drops: Drops,
}

impl Cutter {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(settings: CutterSettings) -> Cutter {
        Cutter {
            settings,
            run: None,
            clip: None,
            pending: Pending::default(),
            gap: None,
            parameters: None,
            times: DecodeTimes::new(ReorderDepth::Unknown),
            depth: None,
            interval: Interval::default(),
            last_chunk: None,
            last_received: None,
            drops: Drops::default(),
        }
    }

    /// Frames left out so far.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.drops
    }

    /// Takes the next frame in the order of decoding.
    pub fn push(&mut self, frame: Frame) -> Vec<Action> {
        let mut actions = Vec::new();
        if frame.timescale > 0 {
            self.sort(&frame, &mut actions);
        }
        self.last_received = Some(frame.received);
        actions
    }

    fn sort(&mut self, frame: &Frame, actions: &mut Vec<Action>) {
        let jump = self.watch_time(frame, actions);
        self.watch_loss(frame, actions);
        self.watch_parameters(frame, actions);
        if frame.data.len() > self.settings.chunk_bytes_max {
            let number = frame.data.len() as i64;
            self.interrupt(DropReason::TooLarge, number, &frame.received, actions);
        } else if frame.is_key && frame.lost_packets == 0 {
            // Behind a loss, a key frame may lack its own beginning: parameter sets, or slices.
            if let Some(millis) = jump {
                self.interrupt(DropReason::TimeJump, millis, &frame.received, actions);
                self.run = None;
            }
            self.key_frame(frame, actions);
            return;
        }
        match &mut self.gap {
            None if self.run.is_some() => self.other_frame(frame, actions),
            None => self.gap = Some(Gap::new(DropReason::BeforeKeyFrame, 0, frame.received.wall)),
            Some(_) => {}
        }
        if let Some(gap) = &mut self.gap {
            gap.frames += 1;
            self.drops.add(gap.reason, 1);
        }
    }

    /// A flush comes: hands in what would be too old at the next one.
    pub fn flush_due(&mut self, now: &Reading) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.age(now) >= FLUSH_AGE_MIN {
            self.cut(None, now, &mut actions);
        }
        actions
    }

    /// The stream is over for now: hands everything in and ends the clip.
    pub fn stop(&mut self, reason: EndReason, now: &Reading) -> Vec<Action> {
        let mut actions = Vec::new();
        self.close(reason, None, now, &mut actions);
        if let Some(gap) = self.gap.take() {
            actions.extend(gap.observation(now.wall).map(Action::Observe));
        }
        (self.run, self.parameters) = (None, None);
        actions
    }

    /// Follows the run's clock. Answers the milliseconds of a jump that should end the run at
    /// the next key frame; one that can't wait ends it at once.
    fn watch_time(&mut self, frame: &Frame, actions: &mut Vec<Action>) -> Option<i64> {
        let run = self.run.as_mut()?;
        let step = run.step(frame.pts);
        if !run.continues(step, self.interval.median(), frame.timescale) {
            let nanos = Ticks(step).to_nanos(frame.timescale);
            let (reason, number) = match frame.lost_packets {
                0 if self.was_silent(nanos, &frame.received) => {
                    (DropReason::Silence, nanos / MILLI)
                }
                0 => (DropReason::TimeJump, nanos / MILLI),
                lost => (DropReason::Loss, i64::from(lost)),
            };
            self.interrupt(reason, number, &frame.received, actions);
            self.interval.note(step);
            self.run = None;
            return None;
        }
        run.clock.observe(frame.pts, &frame.received)
    }

    /// Whether as much time has passed here as in the camera: its clock is right, and nothing came.
    fn was_silent(&self, step_nanos: i64, now: &Reading) -> bool {
        let passed = self.last_received.map(|last| now.boot.0.saturating_sub(last.boot.0));
        let off = passed.map(|passed| passed.saturating_sub(step_nanos).saturating_abs());
        off.is_some_and(|off| off <= SILENCE_ERROR_MAX)
    }

    fn watch_loss(&mut self, frame: &Frame, actions: &mut Vec<Action>) {
        if frame.lost_packets > 0 && self.run.is_some() {
            let number = i64::from(frame.lost_packets);
            self.interrupt(DropReason::Loss, number, &frame.received, actions);
        }
    }

    fn watch_parameters(&mut self, frame: &Frame, actions: &mut Vec<Action>) {
        let Some(parameters) = &frame.parameters else { return };
        self.depth = Some(parameters.reorder_depth);
        self.parameters = Some(Arc::clone(parameters));
        let fits = self.clip.as_ref().is_none_or(|clip| clip.format == parameters.format);
        if !fits && !frame.is_key {
            self.interrupt(DropReason::ParametersChanged, 0, &frame.received, actions);
        }
    }

    /// Ends the clip here; what comes is dropped up to the next key frame.
    fn interrupt(
        &mut self,
        reason: DropReason,
        number: i64,
        now: &Reading,
        actions: &mut Vec<Action>,
    ) {
        let from = self.last_received.map_or(now.wall, |received| received.wall);
        let end = match reason {
            DropReason::TimeJump => EndReason::TimeJump,
            DropReason::ParametersChanged => EndReason::ParametersChanged,
            _ => EndReason::Loss,
        };
        self.close(end, None, now, actions);
        match &mut self.gap {
            Some(gap) if gap.reason == reason => gap.number = gap.number.saturating_add(number),
            Some(_) => {}
            None => self.gap = Some(Gap::new(reason, number, from)),
        }
    }

    fn key_frame(&mut self, frame: &Frame, actions: &mut Vec<Action>) {
        let Some(parameters) = self.parameters.clone() else { return };
        let after_gap = self.gap.take();
        let restart = self.run.is_none() || after_gap.is_some();
        if let Some(gap) = after_gap {
            actions.extend(gap.observation(frame.received.wall).map(Action::Observe));
        }
        if restart {
            let last = self.run.as_ref().and(self.times.last());
            self.times.restart(last);
            self.pending.clear();
            self.pending.restart(last);
        }
        let (pts, timescale) = (frame.pts, frame.timescale);
        self.run.get_or_insert_with(|| Run::new(frame.received, pts, timescale));
        self.place();
        let decoded = self.decode_time(frame);
        if !restart {
            self.end_before(frame, decoded.time, parameters.format, actions);
        }
        let quality = match frame.received.synchronised {
            true => ClockQuality::Synchronised,
            false => ClockQuality::Unsynchronised,
        };
        self.clip.get_or_insert(OpenClip { format: parameters.format, begun: None, quality });
        self.wait(frame, decoded, parameters);
    }

    /// Whether chunk and clip end before a key frame of this decode time.
    fn end_before(&mut self, frame: &Frame, time: i64, format: Format, actions: &mut Vec<Action>) {
        let Some(clip) = &self.clip else { return };
        let changed = clip.format != format;
        let near = self.boundary_within(time, BOUNDARY_MARGIN);
        let half = self.settings.flush_interval.as_nanos() as i64 / 2;
        if changed || near || self.age(&frame.received) >= half || !self.fits(frame) {
            self.cut(Some(time), &frame.received, actions);
        }
        if let Some(run) = &mut self.run {
            run.steer(time);
        }
        if changed {
            self.close(EndReason::ParametersChanged, Some(time), &frame.received, actions);
        } else if near && self.boundary_within(time, 0) {
            self.close(EndReason::Boundary, Some(time), &frame.received, actions);
        }
    }

    fn other_frame(&mut self, frame: &Frame, actions: &mut Vec<Action>) {
        let Some(parameters) = self.parameters.clone() else { return };
        if self.clip_length(self.times.last()) > CLIP_DURATION_MAX {
            self.interrupt(DropReason::NoKeyFrame, 0, &frame.received, actions);
            return;
        }
        let fits = self.fits(frame);
        if !fits {
            self.place();
        }
        let decoded = self.decode_time(frame);
        if !fits {
            self.cut(Some(decoded.time), &frame.received, actions);
        }
        self.wait(frame, decoded, parameters);
    }

    /// Whether a frame can go into the chunk that waits.
    fn fits(&self, frame: &Frame) -> bool {
        let bytes = self.pending.byte_count() + frame.data.len();
        let same = match (self.pending.parameters(), &self.parameters) {
            (Some(before), Some(now)) => before.encoded == now.encoded,
            _ => true,
        };
        same && bytes <= self.settings.chunk_bytes_max && self.pending.len() < SAMPLES_MAX
    }

    fn wait(&mut self, frame: &Frame, decoded: Decoded, parameters: Arc<Parameters>) {
        let Some(run) = &mut self.run else { return };
        if self.pending.is_empty() {
            run.steer(decoded.time);
            self.pending.begin(frame, parameters, run.clock.shift());
        }
        let before = self.pending.last_time().or_else(|| run.cut_to());
        if let Some(before) = before.filter(|_| !self.pending.is_restart()) {
            self.interval.note(decoded.time - before);
        }
        self.pending.push(frame, decoded);
    }

    fn decode_time(&mut self, frame: &Frame) -> Decoded {
        if let Some(depth) = self.depth.take() {
            self.times.set_depth(depth);
        }
        self.times.push(frame.pts, self.usual_interval(frame.timescale))
    }

    /// Gives the waiting frames their final decode times.
    fn place(&mut self) {
        if let Some(run) = &self.run {
            let usual = self.usual_interval(run.timescale());
            self.pending.place(&mut self.times, usual);
        }
    }

    /// How far frames are apart, in ticks; 25 a second where nobody knows.
    fn usual_interval(&self, timescale: u32) -> i64 {
        self.interval.median().unwrap_or(i64::from(timescale / 25).max(1))
    }

    /// Nanoseconds since the oldest waiting frame was received.
    fn age(&self, now: &Reading) -> i64 {
        self.pending.since().map_or(0, |since| now.boot.0.saturating_sub(since.boot.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::Refused;
    use crate::segment::{ChunkTable, Codec, ParameterSet, TrackNumber, VideoParameters};
    use crate::units::BootTime;

    const START: i64 = 1_790_000_003 * NANOS_PER_SECOND;
    const CLIP: i64 = 5 * NANOS_PER_SECOND;
    const BYTES_MAX: usize = 5000;
    const INTERVAL: i64 = 3600;

    fn reading(nanos: i64) -> Reading {
        Reading {
            wall: WallTime(START + nanos),
            boot: BootTime(1 + nanos),
            boot_id: [3; 16],
            synchronised: true,
        }
    }

    fn parameters(width: u16, mark: u8) -> Arc<Parameters> {
        let video = VideoParameters { width, height: 360, pixel_aspect: (1, 1) };
        let set = ParameterSet {
            codec: Codec::H264,
            configuration: vec![mark; 9],
            video: Some(video),
            audio: None,
        };
        Arc::new(Parameters::new(&set, ReorderDepth::Unknown))
    }

    /// A clip as it was handed out.
    #[derive(Debug)]
    struct Clip {
        start: WallTime,
        chunks: Vec<(ChunkTable, Vec<u8>, Arc<[u8]>)>,
        end: Option<(EndReason, i64)>,
    }

    /// A camera at 25 pictures a second, a cutter, and what came out.
    struct Bench {
        cutter: Cutter,
        clips: Vec<Clip>,
        observed: usize,
        frame: i64,
        sent: u64,
        refuse: Option<Refused>,
    }

    impl Bench {
        fn new() -> Bench {
            let boundary = |start: WallTime| WallTime((start.0.div_euclid(CLIP) + 1) * CLIP);
            let cutter = Cutter::new(CutterSettings {
                flush_interval: Duration::from_secs(2),
                chunk_bytes_max: BYTES_MAX,
                boundary: Arc::new(boundary),
            });
            let clips = Vec::new();
            Bench { cutter, clips, observed: 0, frame: 0, sent: 0, refuse: None }
        }

        fn now(&self) -> Reading {
            reading(self.frame * NANOS_PER_SECOND / 25)
        }

        fn frame(&mut self, is_key: bool) -> Frame {
            let received = self.now();
            let data = self.frame.to_be_bytes().repeat(if is_key { 20 } else { 5 });
            let parameters = (self.frame == 0).then(|| parameters(640, 0));
            let pts = 1_000_000 + self.frame * INTERVAL;
            self.frame += 1;
            Frame {
                track: TrackNumber(0),
                pts,
                timescale: 90_000,
                data,
                is_key,
                parameters,
                lost_packets: 0,
                received,
            }
        }

        fn send(&mut self, frame: Frame) {
            self.sent += 1;
            let now = frame.received;
            let actions = self.cutter.push(frame);
            self.take(actions, &now);
        }

        /// Groups of 25, from a key frame on.
        fn run(&mut self, frames: i64) {
            for _ in 0..frames {
                let frame = self.frame(self.frame % 25 == 0);
                self.send(frame);
                if self.frame % 50 == 11 {
                    let now = self.now();
                    let actions = self.cutter.flush_due(&now);
                    self.take(actions, &now);
                }
            }
        }

        fn take(&mut self, actions: Vec<Action>, now: &Reading) {
            for action in actions {
                if matches!(action, Action::Append(_))
                    && let Some(why) = self.refuse.take()
                {
                    if self.clips.last().is_some_and(|clip| clip.chunks.is_empty()) {
                        self.clips.pop();
                    } else if why == Refused::ClipEnded
                        && let Some(clip) = self.clips.last_mut()
                    {
                        clip.end = Some((EndReason::Evicted, 0));
                    }
                    let actions = self.cutter.refused(why, now);
                    assert!(!actions.iter().any(|action| matches!(action, Action::Append(_))));
                    self.take(actions, now);
                    return;
                }
                self.take_one(action);
            }
        }

        fn take_one(&mut self, action: Action) {
            match action {
                Action::Begin => {
                    assert!(self.clips.last().is_none_or(|clip| clip.end.is_some()));
                    let start = WallTime(0);
                    self.clips.push(Clip { start, chunks: Vec::new(), end: None });
                }
                Action::Append(chunk) => {
                    let clip = self.clips.last_mut().expect("a clip has begun");
                    assert!(clip.end.is_none());
                    assert!(chunk.data.len() <= BYTES_MAX);
                    assert_eq!(chunk.table.byte_count(), chunk.data.len() as u64);
                    if clip.chunks.is_empty() {
                        clip.start = chunk.table.anchor.wall;
                        assert_eq!(chunk.table.tracks[0].start, Ticks(0));
                        assert!(chunk.table.tracks[0].samples[0].flags.sync);
                    }
                    assert_eq!(clip.start, chunk.table.anchor.wall);
                    let [set] = chunk.parameters.try_into().expect("one set");
                    clip.chunks.push((chunk.table, chunk.data, set));
                }
                Action::End { reason, length_nanos } => {
                    let clip = self.clips.last_mut().expect("a clip has begun");
                    assert!(clip.end.is_none() && length_nanos > 0, "{reason:?} {length_nanos}");
                    clip.end = Some((reason, length_nanos));
                }
                Action::Observe(_) => self.observed += 1,
            }
        }

        fn stop(&mut self) {
            let now = self.now();
            let actions = self.cutter.stop(EndReason::Stopped, &now);
            self.take(actions, &now);
        }

        fn ends(&self) -> Vec<EndReason> {
            self.clips.iter().filter_map(|clip| clip.end).map(|(reason, _)| reason).collect()
        }

        fn recorded(&self) -> u64 {
            let chunks = self.clips.iter().flat_map(|clip| &clip.chunks);
            chunks.map(|(table, ..)| table.tracks[0].samples.len() as u64).sum()
        }

        fn dropped(&self) -> u64 {
            self.cutter.drops().losses() + self.cutter.drops().of(DropReason::BeforeKeyFrame)
        }

        /// What holds whatever happens: decode times grow, boundaries join, nothing vanishes.
        fn check(&self) {
            assert_eq!(self.recorded() + self.dropped(), self.sent);
            for clip in &self.clips {
                let mut last = -1;
                for (table, ..) in &clip.chunks {
                    let track = &table.tracks[0];
                    let mut time = track.start.0;
                    for sample in &track.samples {
                        assert!(time > last, "{time} follows {last}");
                        last = time;
                        time += i64::from(sample.duration);
                    }
                }
                let (_, length) = clip.end.expect("all clips have ended");
                assert!(length == 0 || length >= Ticks(last).to_nanos(90_000));
            }
            for pair in self.clips.windows(2) {
                let (reason, length) = pair[0].end.expect("all clips have ended");
                let end = pair[0].start.plus_nanos(length);
                let joined = reason == EndReason::Boundary && self.observed == 0;
                let next = pair[1].start;
                assert!(if joined { end == next } else { end <= next }, "{end} {next} {reason:?}");
            }
        }
    }

    #[test]
    fn a_steady_camera_is_cut_at_the_first_key_frame_behind_each_boundary() {
        let mut bench = Bench::new();
        bench.run(25 * 22);
        bench.stop();
        bench.check();
        assert_eq!(bench.dropped(), 0);
        let starts: Vec<i64> =
            bench.clips.iter().map(|clip| (clip.start.0 - START) / NANOS_PER_SECOND).collect();
        assert_eq!(starts, [0, 2, 7, 12, 17]);
        let mut frames = 0_i64;
        for (_, data, _) in bench.clips.iter().flat_map(|clip| &clip.chunks) {
            for bytes in data.chunks(8) {
                let frame = i64::from_be_bytes(bytes.try_into().expect("eight"));
                assert!(frame == frames || frame == frames - 1);
                frames = frames.max(frame + 1);
            }
        }
        assert_eq!(frames, 25 * 22);
    }

    #[test]
    fn frames_before_the_first_key_frame_are_no_loss() {
        let mut bench = Bench::new();
        for _ in 0..7 {
            let frame = bench.frame(false);
            bench.send(frame);
        }
        bench.frame = 25;
        bench.run(30);
        bench.stop();
        bench.check();
        assert_eq!((bench.dropped(), bench.cutter.drops().losses(), bench.observed), (7, 0, 0));
    }

    #[test]
    fn a_lost_packet_ends_the_clip_and_drops_the_rest_of_its_group() {
        let mut bench = Bench::new();
        bench.run(35);
        let mut frame = bench.frame(false);
        frame.lost_packets = 3;
        bench.send(frame);
        bench.run(60);
        bench.stop();
        bench.check();
        assert_eq!(bench.ends(), [EndReason::Loss, EndReason::Stopped]);
        assert_eq!(bench.cutter.drops().of(DropReason::Loss), 15);
        assert_eq!(bench.clips[1].start.0 - START, 2 * NANOS_PER_SECOND);
    }

    #[test]
    fn a_key_frame_that_may_lack_its_beginning_is_none() {
        let mut bench = Bench::new();
        bench.run(50);
        let mut frame = bench.frame(true);
        frame.lost_packets = 1;
        bench.send(frame);
        bench.run(40);
        bench.stop();
        bench.check();
        assert_eq!(bench.ends(), [EndReason::Loss, EndReason::Stopped]);
        assert_eq!(bench.cutter.drops().of(DropReason::Loss), 25);
        assert_eq!(bench.clips[1].start.0 - START, 3 * NANOS_PER_SECOND);
    }

    #[test]
    fn another_picture_size_is_another_clip_and_other_parameters_another_chunk() {
        let mut bench = Bench::new();
        bench.run(60);
        let mut frame = bench.frame(false);
        frame.parameters = Some(parameters(640, 1));
        bench.send(frame);
        bench.run(14);
        let mut frame = bench.frame(true);
        frame.parameters = Some(parameters(1280, 1));
        bench.send(frame);
        bench.run(20);
        bench.stop();
        bench.check();
        assert_eq!(bench.dropped(), 0);
        assert_eq!(
            bench.ends(),
            [EndReason::Boundary, EndReason::ParametersChanged, EndReason::Stopped]
        );
        let sets: Vec<_> = bench.clips[1].chunks.iter().map(|(.., set)| Arc::clone(set)).collect();
        assert_eq!(sets.first(), Some(&parameters(640, 0).encoded));
        assert_eq!(sets.last(), Some(&parameters(640, 1).encoded));
        let (_, length) = bench.clips[1].end.expect("an end");
        assert_eq!(bench.clips[1].start.plus_nanos(length), bench.clips[2].start);
    }

    #[test]
    fn a_frame_larger_than_a_chunk_costs_its_group() {
        let mut bench = Bench::new();
        bench.run(30);
        let mut frame = bench.frame(false);
        frame.data = vec![0; BYTES_MAX + 1];
        bench.send(frame);
        bench.run(40);
        bench.stop();
        bench.check();
        assert_eq!(bench.cutter.drops().of(DropReason::TooLarge), 20);
        assert_eq!(bench.observed, 1);
    }

    #[test]
    fn a_gap_in_media_time_ends_the_run() {
        let mut bench = Bench::new();
        bench.run(35);
        bench.frame += 25 * 4;
        bench.run(40);
        bench.stop();
        bench.check();
        assert_eq!(bench.ends()[0], EndReason::Loss);
        assert_eq!(bench.cutter.drops().of(DropReason::TimeJump), 0, "the camera was silent");
        let (_, length) = bench.clips[0].end.expect("an end");
        assert_eq!(length, 35 * NANOS_PER_SECOND / 25);
    }

    #[test]
    fn media_time_that_leaps_while_no_time_passes_is_a_jump() {
        let mut bench = Bench::new();
        bench.run(35);
        let mut frame = bench.frame(false);
        frame.pts += 4 * 90_000;
        bench.send(frame);
        bench.stop();
        assert_eq!(bench.ends()[0], EndReason::TimeJump);
        assert_eq!(bench.cutter.drops().of(DropReason::TimeJump), 1);
    }

    #[test]
    fn a_chunk_that_the_queue_refuses_ends_the_clip_where_it_began() {
        let mut bench = Bench::new();
        bench.run(100);
        bench.refuse = Some(Refused::QueueFull);
        bench.run(100);
        bench.stop();
        bench.check();
        assert!(bench.refuse.is_none());
        assert!(bench.ends().contains(&EndReason::Loss));
        assert!(bench.cutter.drops().of(DropReason::QueueFull) > 0);
        assert_eq!(bench.observed, 1);
    }

    #[test]
    fn what_waits_is_never_older_than_the_flush_interval_and_a_second() {
        let mut bench = Bench::new();
        for frame in 0..25 * 30 {
            let frame = bench.frame(frame == 0);
            bench.send(frame);
            if bench.frame % 50 == 0 {
                let now = bench.now();
                let actions = bench.cutter.flush_due(&now);
                bench.take(actions, &now);
            }
            assert!(bench.cutter.age(&bench.now()) <= 3 * NANOS_PER_SECOND);
        }
    }

    #[test]
    fn a_stream_without_key_frames_is_ended_by_force() {
        let mut bench = Bench::new();
        let frame = bench.frame(true);
        bench.send(frame);
        for _ in 0..25 * 7300 {
            let frame = bench.frame(false);
            bench.send(frame);
        }
        bench.stop();
        bench.check();
        assert_eq!(bench.ends(), [EndReason::Loss]);
        assert!(bench.cutter.drops().of(DropReason::NoKeyFrame) > 25 * 90);
    }

    #[test]
    fn reordered_pictures_keep_their_times_across_chunks_and_clips() {
        let mut bench = Bench::new();
        let mut sent = Vec::new();
        // Groups of 25: a key frame, then one picture ahead of the two that are shown before it.
        let ahead = |place: i64| match place % 3 {
            _ if place == 0 => 0,
            1 => 2,
            _ => -1,
        };
        for frame in 0..25 * 21 {
            let place = frame % 25;
            let mut frame = bench.frame(place == 0);
            frame.pts += ahead(place) * INTERVAL;
            sent.push(frame.pts - 1_000_000);
            bench.send(frame);
            if bench.frame % 50 == 13 {
                let now = bench.now();
                let actions = bench.cutter.flush_due(&now);
                bench.take(actions, &now);
            }
        }
        bench.stop();
        bench.check();
        let mut shown = Vec::new();
        for clip in &bench.clips {
            let tables = || clip.chunks.iter().map(|(table, ..)| &table.tracks[0]);
            let first = tables().next().map_or(0, |track| track.samples[0].composition_offset);
            for track in tables() {
                let mut time = track.start.0;
                for sample in &track.samples {
                    let ticks = time + i64::from(sample.composition_offset - first);
                    let wall = clip.start.0 - bench.clips[0].start.0;
                    shown.push(Ticks::from_nanos(wall, 90_000).0 + ticks);
                    time += i64::from(sample.duration);
                }
                let (_, placed) = track.samples.split_last().expect("samples");
                assert!(placed.iter().all(|sample| i64::from(sample.duration) == INTERVAL));
            }
        }
        assert_eq!(shown, sent);
        assert_eq!(bench.clips.len(), 5);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Frames(i64),
        Lose(u32),
        Skip(i64),
        Refuse(Refused),
        Larger,
        Parameters(u16, u8),
        Reconnect,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let refused = prop_oneof![
            Just(Refused::QueueFull),
            Just(Refused::DeviceAway),
            Just(Refused::ClipEnded),
        ];
        let event = prop_oneof![
            6 => (1_i64..200).prop_map(Event::Frames),
            1 => (1_u32..9).prop_map(Event::Lose),
            1 => (1_i64..300).prop_map(Event::Skip),
            1 => refused.prop_map(Event::Refuse),
            1 => Just(Event::Larger),
            1 => (640_u16..643, 0_u8..3).prop_map(|(width, mark)| Event::Parameters(width, mark)),
            1 => Just(Event::Reconnect),
        ];
        proptest::collection::vec(event, 1..30)
    }

    proptest! {
        #[test]
        fn whatever_happens_every_frame_is_recorded_once_or_counted_as_dropped(
            events in events(), slip in 0_i64..40,
        ) {
            let mut bench = Bench::new();
            bench.run(1 + slip);
            for event in events {
                match event {
                    Event::Frames(frames) => bench.run(frames),
                    Event::Skip(frames) => bench.frame += frames,
                    Event::Refuse(why) => bench.refuse = Some(why),
                    Event::Lose(packets) => {
                        let mut frame = bench.frame(bench.frame % 25 == 0);
                        frame.lost_packets = packets;
                        bench.send(frame);
                    }
                    Event::Larger => {
                        let mut frame = bench.frame(bench.frame % 25 == 0);
                        frame.data = vec![0; BYTES_MAX + 1];
                        bench.send(frame);
                    }
                    Event::Parameters(width, mark) => {
                        let mut frame = bench.frame(bench.frame % 25 == 0);
                        frame.parameters = Some(parameters(width, mark));
                        bench.send(frame);
                    }
                    Event::Reconnect => {
                        bench.stop();
                        bench.frame += 25;
                        let mut frame = bench.frame(false);
                        frame.parameters = Some(parameters(640, 0));
                        bench.send(frame);
                    }
                }
            }
            bench.refuse = None;
            bench.stop();
            bench.check();
        }
    }
}
