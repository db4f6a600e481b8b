//! The video of a stream: what makes its frames a group, and what breaks one. Pure.
//!
//! Pictures are built on one another, so that one that is missing costs all up to the next key
//! frame: frames that are left out make a *gap*, which begins with a [`Break`] and lasts until
//! then. The video leads its stream: a gap of it ends the clip, and chunks and clips begin with
//! its key frames.

use super::gap::Gap;
use super::track::Track;
use super::wall_clock::Jump;
use crate::camera::Frame;
use crate::clock::Reading;
use crate::recorder::drops::{DropReason, Drops};
use crate::segment::Observation;
use crate::units::{NANOS_PER_SECOND, Ticks, WallTime};

/// How far arrivals may be off where a silence of the camera is told from a jump of its time, in
/// nanoseconds: what a network delays.
const SILENCE_ERROR_MAX_NANOS: i64 = NANOS_PER_SECOND;

/// Nanoseconds in a millisecond.
const MILLI: i64 = 1_000_000;

/// The video track, and what of it is left out.
pub(super) struct Video {
    pub(super) track: Track,
    gap: Option<Gap>,
    last_received: Option<Reading>,
}

/// Why frames that come can't go on where those before them ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) reason: DropReason,
    /// Packets, milliseconds or bytes, as the reason has it.
    pub(super) number: i64,
}

/// How a frame's time goes with that of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As it should, or there is no run.
    Steady,
    /// Off by so much that the run should end with the next key frame.
    Off(Break),
    /// A step of so many ticks, which ends the run at once.
    Torn(Break, i64),
}

impl Break {
    fn jump(jump: Jump) -> Break {
        match jump {
            Jump::Camera(number) => Break { reason: DropReason::TimeJump, number },
            Jump::Machine(number) => Break { reason: DropReason::ClockSet, number },
        }
    }

    /// Whether the camera's time is what jumped.
    pub(super) fn is_of_camera(&self) -> bool {
        self.reason == DropReason::TimeJump
    }

    /// Packets lost just before this frame.
    pub(super) fn loss(frame: &Frame) -> Option<Break> {
        let number = i64::from(frame.lost_packets);
        (number > 0).then_some(Break { reason: DropReason::Loss, number })
    }
}

impl Video {
    /// Nothing has come yet.
    pub(super) fn new() -> Video {
        Video { track: Track::new(), gap: None, last_received: None }
    }

    /// Follows the run's clock.
    pub(super) fn pace(&mut self, frame: &Frame) -> Pace {
        let interval = self.track.interval();
        let Some(line) = self.track.line() else { return Pace::Steady };
        let step = line.step(frame.pts);
        if line.continues(step, interval, frame.timescale) {
            let jump = line.observe(frame.pts, &frame.received);
            return jump.map_or(Pace::Steady, |jump| Pace::Off(Break::jump(jump)));
        }
        let nanos = Ticks(step).to_nanos(frame.timescale);
        let broken = Break::loss(frame).unwrap_or_else(|| {
            let silent = self.was_silent(nanos, &frame.received);
            let reason = if silent { DropReason::Silence } else { DropReason::TimeJump };
            Break { reason, number: nanos / MILLI }
        });
        Pace::Torn(broken, step)
    }

    /// Whether as much time has passed here as in the camera: its clock is right, and nothing came.
    fn was_silent(&self, step_nanos: i64, now: &Reading) -> bool {
        let passed = self.last_received.map(|last| now.boot.0.saturating_sub(last.boot.0));
        let off = passed.map(|passed| passed.saturating_sub(step_nanos).saturating_abs());
        off.is_some_and(|off| off <= SILENCE_ERROR_MAX_NANOS)
    }

    /// Takes the parameters that come with a frame. Answers a break where it is amid a group of a
    /// clip that it can't be in.
    pub(super) fn take_parameters(&mut self, frame: &Frame, in_clip: bool) -> Option<Break> {
        let new = frame.parameters.as_ref()?;
        self.track.take_parameters(new);
        let breaks = in_clip && self.track.has_other_format() && !frame.is_key;
        breaks.then_some(Break { reason: DropReason::ParametersChanged, number: 0 })
    }

    /// Whether a group begins with this frame. It is whole, whatever was lost before it.
    pub(super) fn begins_group(frame: &Frame) -> bool {
        frame.is_key
    }

    /// A gap begins before the frame that is received `now`, or goes on.
    pub(super) fn leave_out(&mut self, broken: Break, now: &Reading) {
        let from = self.last_received.map_or(now.wall, |received| received.wall);
        match &mut self.gap {
            Some(gap) if gap.reason == broken.reason => {
                gap.number = gap.number.saturating_add(broken.number);
            }
            Some(_) => {}
            None => self.gap = Some(Gap::new(broken.reason, broken.number, from)),
        }
    }

    /// Whether what comes is left out, up to the next key frame. A run that has not begun begins
    /// with one.
    pub(super) fn is_left_out(&mut self, now: &Reading) -> bool {
        if !self.track.is_running() {
            let waits = || Gap::new(DropReason::BeforeKeyFrame, 0, now.wall);
            self.gap.get_or_insert_with(waits);
        }
        self.gap.is_some()
    }

    /// Counts a frame that was left out, if there is a gap.
    pub(super) fn count(&mut self, drops: &mut Drops) {
        if let Some(gap) = &mut self.gap {
            gap.frames += 1;
            drops.add(gap.reason, 1);
        }
    }

    /// A group begins. Answers whether frames are missing before it, and what is remembered of
    /// them.
    pub(super) fn begin_group(&mut self, frame: &Frame) -> (bool, Option<Observation>) {
        let gap = self.gap.take();
        let restart = gap.is_some() || !self.track.is_running();
        if restart {
            self.track.restart();
        }
        self.track.begin_run(frame);
        (restart, gap.and_then(|gap| gap.observation(frame.received.wall)))
    }

    /// Whether something is left out by now.
    pub(super) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// What comes is part of this gap.
    pub(super) fn open_gap(&mut self, gap: Gap) {
        self.gap = Some(gap);
    }

    /// Nothing more comes: what is remembered of a gap that is not over.
    pub(super) fn end(&mut self, now: WallTime) -> Option<Observation> {
        let gap = self.gap.take();
        self.track.end_run();
        self.track.forget_parameters();
        gap.and_then(|gap| gap.observation(now))
    }

    /// A frame was received, whatever became of it.
    pub(super) fn received(&mut self, frame: &Frame) {
        self.last_received = Some(frame.received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{ObservationKind, TrackNumber};
    use crate::units::BootTime;

    const RATE: u32 = 90_000;

    fn at(nanos: i64) -> Reading {
        let (wall, boot) = (WallTime(nanos), BootTime(nanos));
        Reading { wall, boot, boot_id: [3; 16], synchronised: true }
    }

    /// A picture whose own time and time of arrival are so many seconds after the first one.
    fn picture(media_s: i64, arrival_s: i64) -> Frame {
        Frame {
            track: TrackNumber(0),
            pts: media_s * i64::from(RATE),
            timescale: RATE,
            data: Vec::new(),
            is_key: false,
            parameters: None,
            lost_packets: 0,
            duration: None,
            captured: None,
            is_recovery: false,
            is_leading: false,
            received: at(arrival_s * NANOS_PER_SECOND),
        }
    }

    fn running() -> Video {
        let mut video = Video::new();
        video.track.begin_run(&picture(0, 0));
        video.received(&picture(0, 0));
        video
    }

    #[test]
    fn a_silence_is_told_from_a_jump_by_the_time_that_passes_here() {
        let torn = |frame: Frame| match running().pace(&frame) {
            Pace::Torn(broken, step) => (broken.reason, broken.number, step),
            other => panic!("{other:?}"),
        };
        let step = 60 * i64::from(RATE);
        assert_eq!(torn(picture(60, 60)), (DropReason::Silence, 60_000, step));
        assert_eq!(torn(picture(60, 1)), (DropReason::TimeJump, 60_000, step));
        let lost = Frame { lost_packets: 4, ..picture(60, 60) };
        assert_eq!(torn(lost), (DropReason::Loss, 4, step));
        assert_eq!(running().pace(&picture(1, 1)), Pace::Steady);
        assert_eq!(Video::new().pace(&picture(60, 1)), Pace::Steady, "there is no run");
    }

    #[test]
    fn breaks_of_one_kind_add_up_to_one_gap_and_another_kind_does_not_rename_it() {
        let (mut video, mut drops) = (running(), Drops::default());
        for (reason, number) in
            [(DropReason::Loss, 2), (DropReason::TooLarge, 900), (DropReason::Loss, 3)]
        {
            video.leave_out(Break { reason, number }, &at(NANOS_PER_SECOND));
            assert!(video.is_left_out(&at(NANOS_PER_SECOND)));
            video.count(&mut drops);
        }
        let (restart, seen) = video.begin_group(&picture(2, 2));
        let seen = seen.expect("packets were lost");
        assert!(restart && !video.has_gap());
        assert_eq!((seen.kind, seen.number), (ObservationKind::Lost, 5));
        assert_eq!((seen.from, seen.to), (WallTime(0), WallTime(2 * NANOS_PER_SECOND)));
        assert_eq!((drops.of(DropReason::Loss), drops.losses()), (3, 3));
        assert_eq!(video.begin_group(&picture(3, 3)), (false, None));
    }

    #[test]
    fn without_a_run_pictures_wait_for_a_key_frame_and_nothing_is_amiss() {
        let (mut video, mut drops) = (Video::new(), Drops::default());
        assert!(video.is_left_out(&at(0)));
        video.count(&mut drops);
        assert_eq!(video.begin_group(&picture(1, 1)), (true, None));
        assert!(!video.is_left_out(&at(NANOS_PER_SECOND)));
        assert_eq!((drops.of(DropReason::BeforeKeyFrame), drops.losses()), (1, 0));
    }
}
