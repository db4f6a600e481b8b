//! The video of a stream: what makes its frames a group, and what breaks one. Pure.
//!
//! The video leads its stream: chunks and clips begin with its groups. Pictures are built on one
//! another, so that what follows a lost one, up to the next key frame, is *damaged*: it is kept,
//! and marked. What can't be kept leaves a *gap*, which begins with a [`Break`], lasts to the next
//! key frame, and ends the clip. A *pause* is neither: the camera sent nothing, and nothing is
//! missing.

use super::damage::Damage;
use super::gap::Gap;
use super::track::{Marks, Track};
use super::wall_clock::Jump;
use crate::camera::Frame;
use crate::clock::Reading;
use crate::recorder::drops::{DropReason, Drops};
use crate::segment::{Observation, ObservationKind};
use crate::units::{NANOS_PER_SECOND, Ticks, WallTime};

/// Behind a pause of this length, in nanoseconds, a clip begins with the next group.
const PAUSE_MAX_NANOS: i64 = 10 * NANOS_PER_SECOND;
/// A camera that has sent no key frame for so long, in nanoseconds, has none: what it marks as
/// points of recovery takes their place.
const KEYLESS_NANOS: i64 = 10 * NANOS_PER_SECOND;
/// Where nothing is marked either, a clip begins with any frame after so long, in nanoseconds.
const UNMARKED_NANOS: i64 = 120 * NANOS_PER_SECOND;

/// Nanoseconds in a millisecond.
const MILLI: i64 = 1_000_000;

/// The video track, and what of it is left out.
pub(super) struct Video {
    pub(super) track: Track,
    gap: Option<Gap>,
    damage: Option<Damage>,
    damaged: u64,
    /// The camera paused for long: the clip ends before the next group.
    ends_clip: bool,
    /// The group that comes is the first of its clip: what is shown before it can't be decoded.
    is_first: bool,
    tie: Option<i64>,
    last_received: Option<Reading>,
    /// When the last key frame came, or the first frame of the session.
    key_received: Option<Reading>,
    /// The camera is known to send none, also from sessions before.
    is_keyless: bool,
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
    /// The camera sent nothing for so long, in nanoseconds, and longer than it usually does.
    Paused(i64),
    /// Off by so much that the run should end with the next key frame.
    Off(Break),
    /// It is told in other ticks: the run ends at once.
    Torn(Break),
}

/// Whether a clip begins behind a pause of so many nanoseconds.
pub(super) fn is_long(pause_nanos: i64) -> bool {
    pause_nanos >= PAUSE_MAX_NANOS
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
        Video {
            track: Track::new(),
            gap: None,
            damage: None,
            damaged: 0,
            ends_clip: false,
            is_first: false,
            tie: None,
            last_received: None,
            key_received: None,
            is_keyless: false,
        }
    }

    /// Follows the run's clock.
    pub(super) fn pace(&mut self, frame: &Frame) -> Pace {
        let Some(line) = self.track.line() else { return Pace::Steady };
        let step = line.step(frame.pts);
        if line.timescale() != frame.timescale {
            return Pace::Torn(Break { reason: DropReason::TimeJump, number: 0 });
        }
        if let Some(jump) = line.observe(frame.pts, &frame.received) {
            return Pace::Off(Break::jump(jump));
        }
        match self.track.is_pause(step, frame.timescale) {
            true => Pace::Paused(Ticks(step).to_nanos(frame.timescale)),
            false => Pace::Steady,
        }
    }

    /// Takes the parameters that come with a frame. Answers a break where it is amid a group of a
    /// clip that it can't be in.
    pub(super) fn take_parameters(&mut self, frame: &Frame, in_clip: bool) -> Option<Break> {
        let new = frame.parameters.as_ref()?;
        self.track.take_parameters(new);
        let breaks = in_clip && self.track.has_other_format() && !frame.is_key;
        breaks.then_some(Break { reason: DropReason::ParametersChanged, number: 0 })
    }

    /// Whether a group begins with this frame. It is whole, whatever was lost before it; or it is
    /// the best that a camera without key frames has.
    pub(super) fn begins_group(&self, frame: &Frame) -> bool {
        let since = self.key_received.unwrap_or(frame.received);
        let keyless = frame.received.boot.0.saturating_sub(since.boot.0);
        let is_begun = self.track.is_running();
        frame.is_key
            || (frame.is_recovery && (self.is_keyless || keyless > KEYLESS_NANOS))
            || (!is_begun && keyless > UNMARKED_NANOS)
    }

    /// A pause of so many nanoseconds lies before a frame. Answers what is remembered of it.
    pub(super) fn paused(&mut self, nanos: i64, frame: &Frame) -> Observation {
        self.ends_clip |= is_long(nanos);
        self.track.pauses(Ticks::from_nanos(nanos, frame.timescale).0);
        Observation {
            from: self.left_off(&frame.received),
            to: frame.received.wall.max(self.left_off(&frame.received)),
            kind: ObservationKind::Pause,
            number: nanos / MILLI,
            text: format!("the camera sent nothing for {} ms", nanos / MILLI),
        }
    }

    /// Whether the clip ends before the next group, because the camera paused for long.
    pub(super) fn ends_clip(&self) -> bool {
        self.ends_clip
    }

    /// A clip begins with what comes.
    pub(super) fn clip_begins(&mut self) {
        (self.ends_clip, self.is_first) = (false, true);
    }

    /// Whether a frame is shown before the clip begins, and needs frames from before that.
    pub(super) fn leads(&mut self, frame: &Frame) -> bool {
        self.is_first &= frame.is_leading;
        self.is_first
    }

    /// Frames so far that were damaged.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// When the last frame came.
    fn left_off(&self, now: &Reading) -> WallTime {
        self.last_received.map_or(now.wall, |received| received.wall)
    }

    /// A gap begins before the frame that is received `now`, or goes on.
    pub(super) fn leave_out(&mut self, broken: Break, now: &Reading) {
        let from = self.left_off(now);
        match &mut self.gap {
            Some(gap) if gap.reason == broken.reason => {
                gap.number = gap.number.saturating_add(broken.number);
            }
            Some(_) => {}
            None => self.gap = Some(Gap::new(broken.reason, broken.number, from)),
        }
    }

    /// Packets are missing before a frame: what follows is damaged.
    pub(super) fn damage(&mut self, frame: &Frame) {
        let from = self.left_off(&frame.received);
        self.damage.get_or_insert_with(|| Damage::new(from)).lose(frame.lost_packets);
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
    /// them, or of those that were damaged.
    pub(super) fn begin_group(&mut self, frame: &Frame) -> (bool, [Option<Observation>; 2]) {
        let gap = self.gap.take();
        let restart = gap.is_some() || !self.track.is_running();
        if restart {
            self.track.restart();
        }
        self.track.begin_run(frame);
        let now = frame.received.wall;
        self.is_keyless = !frame.is_key;
        let damage = self.damage.take_if(|damage| damage.ends_with(frame));
        let left_out = gap.and_then(|gap| gap.observation(now));
        (restart, [left_out, damage.map(|damage| damage.observation(now))])
    }

    /// What is marked on a frame that is kept; `begins` where a group begins with it.
    pub(super) fn marks(&mut self, frame: &Frame, begins: bool) -> Marks {
        if let Some(damage) = &mut self.damage {
            damage.frames += 1;
            self.damaged += 1;
        }
        let damaged = self.damage.is_some();
        Marks { sync: begins, recovery: frame.is_recovery, damaged }
    }

    /// Whether something is left out by now.
    pub(super) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// What comes is part of this gap.
    pub(super) fn open_gap(&mut self, gap: Gap) {
        self.gap = Some(gap);
    }

    /// Nothing more comes: what is remembered of a gap that is not over, and of damage.
    pub(super) fn end(&mut self, now: WallTime) -> [Option<Observation>; 2] {
        let gap = self.gap.take().and_then(|gap| gap.observation(now));
        let damage = self.damage.take().map(|damage| damage.observation(now));
        self.track.end_run();
        self.track.forget_parameters();
        (self.ends_clip, self.key_received) = (false, None);
        [gap, damage]
    }

    /// Whether nothing has come for longer than so many nanoseconds.
    pub(super) fn is_silent(&self, now: &Reading, nanos: i64) -> bool {
        let last = self.last_received.map_or(now.boot, |last| last.boot);
        now.boot.0.saturating_sub(last.0) > nanos
    }

    /// By how much the clock that nobody sets is ahead of the camera's, in nanoseconds, where the
    /// camera tells.
    pub(super) fn tie(&self) -> Option<i64> {
        self.tie
    }

    /// A frame was received, whatever became of it.
    pub(super) fn received(&mut self, frame: &Frame) {
        let at = frame.captured.zip(self.track.boot_at(frame.pts));
        self.tie = at.map(|(captured, told)| told.0.saturating_sub(captured.0));
        self.last_received = Some(frame.received);
        if frame.is_key || self.key_received.is_none() {
            self.key_received = Some(frame.received);
        }
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
            received: at(arrival_s * NANOS_PER_SECOND),
            ..Frame::default()
        }
    }

    fn running() -> Video {
        let mut video = Video::new();
        video.track.begin_run(&picture(0, 0));
        video.received(&picture(0, 0));
        video
    }

    #[test]
    fn a_pause_is_told_and_no_more_than_that() {
        let step = 5 * NANOS_PER_SECOND;
        let mut video = running();
        assert_eq!(video.pace(&picture(5, 5)), Pace::Paused(step));
        let seen = video.paused(step, &picture(5, 5));
        assert_eq!((seen.kind, seen.number), (ObservationKind::Pause, 5000));
        assert!(!video.ends_clip() && !video.has_gap());
        video.paused(2 * step, &picture(15, 15));
        assert!(video.ends_clip());
        assert_eq!(running().pace(&picture(1, 1)), Pace::Steady);
        assert_eq!(Video::new().pace(&picture(60, 60)), Pace::Steady, "there is no run");
    }

    #[test]
    fn frames_behind_a_loss_are_damaged_up_to_the_next_key_frame() {
        let mut video = running();
        let lost = Frame { lost_packets: 4, ..picture(1, 1) };
        video.damage(&lost);
        assert!(video.marks(&lost, false).damaged && video.marks(&picture(2, 2), false).damaged);
        let key = Frame { is_key: true, ..picture(3, 3) };
        let (restart, seen) = video.begin_group(&key);
        let [None, Some(seen)] = seen else { panic!("packets were lost") };
        assert_eq!((restart, seen.kind, seen.number), (false, ObservationKind::Damaged, 2));
        assert_eq!((seen.from, seen.to), (WallTime(0), WallTime(3 * NANOS_PER_SECOND)));
        let marks = Marks { sync: true, recovery: false, damaged: false };
        assert_eq!((video.marks(&key, true), video.damaged()), (marks, 2));
    }

    #[test]
    fn where_there_are_no_key_frames_points_of_recovery_begin_groups() {
        let mut video = running();
        let recovery = |second| Frame { is_recovery: true, ..picture(second, second) };
        assert!(!video.begins_group(&recovery(9)) && video.begins_group(&recovery(11)));
        assert!(!video.begins_group(&picture(130, 130)), "something is recorded");
        video.damage(&Frame { lost_packets: 1, ..picture(11, 11) });
        assert_eq!(video.begin_group(&recovery(12)).1, [None, None], "right some frames later");
        assert!(video.begin_group(&recovery(13)).1[1].is_some());
        video.end(WallTime(0));
        assert!(video.begins_group(&recovery(14)), "that is known in the next session");
        assert!(!video.begins_group(&picture(14, 14)));
        let mut video = Video::new();
        video.received(&picture(0, 0));
        assert!(!video.begins_group(&picture(119, 119)) && video.begins_group(&picture(121, 121)));
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
        let [Some(seen), None] = seen else { panic!("packets were lost") };
        assert!(restart && !video.has_gap());
        assert_eq!((seen.kind, seen.number), (ObservationKind::Lost, 5));
        assert_eq!((seen.from, seen.to), (WallTime(0), WallTime(2 * NANOS_PER_SECOND)));
        assert_eq!((drops.of(DropReason::Loss), drops.losses()), (3, 3));
        assert_eq!(video.begin_group(&picture(3, 3)), (false, [None, None]));
    }

    #[test]
    fn without_a_run_pictures_wait_for_a_key_frame_and_nothing_is_amiss() {
        let (mut video, mut drops) = (Video::new(), Drops::default());
        assert!(video.is_left_out(&at(0)));
        video.count(&mut drops);
        assert_eq!(video.begin_group(&picture(1, 1)), (true, [None, None]));
        assert!(!video.is_left_out(&at(NANOS_PER_SECOND)));
        assert_eq!((drops.of(DropReason::BeforeKeyFrame), drops.losses()), (1, 0));
    }
}
