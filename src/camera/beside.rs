//! Sound and records over sessions that follow one another: each goes on behind what is there
//! already. Pure.
//!
//! Pictures have a seam where both sessions have sent the same ones. So has sound, unless a camera
//! parts it into other packets for each client; then, and in silence, the frames of two sessions
//! are told apart by their arrival alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::parameters::Parameters;
use super::renewal::print;
use super::track::Frame;
use crate::segment::TrackNumber;
use crate::units::{NANOS_PER_SECOND, Ticks};

/// Frames of a track that are remembered: some seconds.
const RECENT_MAX: usize = 256;
/// The same frame in two sessions arrives within this.
const ARRIVAL_ERROR_NANOS: i64 = NANOS_PER_SECOND / 4;
/// So many frames of a session say by their arrival what its times are off.
const ENOUGH: usize = 16;
/// What ends before this, as what is there does, is there already.
const OVERLAP_NANOS_MAX: i64 = 2_000_000;
/// Nothing more is left out as known when the session is so old: its times are no continuation.
const KNOWN_NANOS_MAX: i64 = 2 * NANOS_PER_SECOND;

/// The tracks beside the pictures.
#[derive(Default)]
pub(super) struct Beside(BTreeMap<TrackNumber, Line>);

/// The frames of one track.
#[derive(Default)]
struct Line {
    recent: VecDeque<Seen>,
    /// What times of this session are off from those of the first one, in ticks.
    shift: i64,
    /// Of a session that has taken over.
    joining: Option<Joining>,
    /// What decodes the next frame, as those said that were left out before it.
    parameters: Option<Arc<Parameters>>,
}

/// A frame that was handed on.
struct Seen {
    print: u64,
    pts: i64,
    end: i64,
    /// How much later than its end it was there, in nanoseconds.
    lead: i64,
}

/// A session whose first frames may be there already.
#[derive(Clone, Copy)]
struct Joining {
    /// `None` until its first frame says so.
    shift: Option<i64>,
    /// When that one came, in nanoseconds since boot.
    begun: Option<i64>,
}

impl Seen {
    fn of(frame: &Frame) -> Seen {
        Seen { print: print(frame), pts: frame.pts, end: frame.end(), lead: frame.lead_nanos() }
    }
}

impl Beside {
    /// Whether it is known of all sound where another session goes on, of which these frames wait.
    pub(super) fn is_ready(&self, waiting: &VecDeque<Frame>) -> bool {
        self.0.iter().filter(|(_, line)| line.is_sound()).all(|(track, line)| {
            let own = waiting.iter().filter(|frame| frame.track == *track);
            let has_seam = own.clone().any(|frame| {
                let print = print(frame);
                line.recent.iter().any(|seen| seen.print == print)
            });
            has_seam || own.count() >= ENOUGH
        })
    }

    /// Another session takes over, of which these frames wait.
    pub(super) fn take_over<'a>(&mut self, waiting: impl Iterator<Item = &'a Frame>) {
        let mut frames: BTreeMap<TrackNumber, Vec<&Frame>> = BTreeMap::new();
        for frame in waiting {
            frames.entry(frame.track).or_default().push(frame);
        }
        for (track, line) in &mut self.0 {
            let shift = frames.get(track).and_then(|frames| line.shift_of(frames));
            line.joining = Some(Joining { shift, begun: None });
        }
    }

    /// A frame on its way out; `None` where it was there already.
    pub(super) fn known(&mut self, mut frame: Frame) -> Option<Frame> {
        let line = self.0.entry(frame.track).or_default();
        if let Some(mut joining) = line.joining {
            let shift = joining.shift.or_else(|| line.shift_of(&[&frame])).unwrap_or(0);
            let now = frame.received.boot.0;
            let begun = *joining.begun.get_or_insert(now);
            line.shift = shift;
            line.joining = Some(Joining { shift: Some(shift), begun: Some(begun) });
            if now.saturating_sub(begun) < KNOWN_NANOS_MAX && line.has(&frame) {
                line.parameters = frame.parameters.or(line.parameters.take());
                return None;
            }
            line.joining = None;
        }
        frame.parameters = frame.parameters.or(line.parameters.take());
        frame.pts = frame.pts.saturating_add(line.shift);
        if line.recent.len() == RECENT_MAX {
            line.recent.pop_front();
        }
        line.recent.push_back(Seen::of(&frame));
        Some(frame)
    }
}

impl Line {
    fn is_sound(&self) -> bool {
        self.recent.back().is_some_and(|last| last.end > last.pts)
    }

    /// Whether a frame lies within what was handed on.
    fn has(&self, frame: &Frame) -> bool {
        let begin = frame.pts.saturating_add(self.shift);
        let room = Ticks::from_nanos(OVERLAP_NANOS_MAX, frame.timescale).0;
        self.recent.back().is_some_and(|last| begin.saturating_add(room) < last.end)
    }

    /// What times of another session are off, in ticks, which has sent these frames; `None` where
    /// there is nothing to compare them with.
    fn shift_of(&self, frames: &[&Frame]) -> Option<i64> {
        let timescale = frames.first()?.timescale;
        let others: Vec<Seen> = frames.iter().map(|frame| Seen::of(frame)).collect();
        let ours = self.recent.iter().map(|seen| seen.lead).min()?;
        let theirs = others.iter().map(|seen| seen.lead).min()?;
        let arrived = Ticks::from_nanos(theirs.saturating_sub(ours), timescale).0;
        let same = self.recent.iter().flat_map(|seen| {
            let others = others.iter().filter(|other| other.print == seen.print);
            others.map(|other| seen.pts.saturating_sub(other.pts))
        });
        let error = Ticks::from_nanos(ARRIVAL_ERROR_NANOS, timescale).0.unsigned_abs();
        let near = same.filter(|shift| shift.abs_diff(arrived) <= error);
        Some(near.min_by_key(|shift| shift.abs_diff(arrived)).unwrap_or(arrived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reading;
    use crate::units::{BootTime, WallTime};

    /// A frame of a hundred milliseconds, by kilohertz, that came so many milliseconds behind its
    /// end.
    fn frame(content: u8, pts: i64, shift: i64, late: i64) -> Frame {
        let boot = BootTime((pts + 100 + late) * 1_000_000);
        Frame {
            track: TrackNumber(1),
            pts: pts - shift,
            timescale: 1000,
            data: vec![content; 8],
            is_key: true,
            duration: Some(100),
            received: Reading { wall: WallTime(0), boot, boot_id: [0; 16], synchronised: true },
            ..Frame::default()
        }
    }

    /// Frames 5 to 19 of a session whose times are off by `shift`, behind 0 to 9 of the first one;
    /// answers the times that come of them. Some of them wait when it takes over.
    fn joined(content: impl Fn(u8) -> u8, shift: i64, waiting: usize, offset: i64) -> Vec<i64> {
        let mut beside = Beside::default();
        for number in 0..10_u8 {
            beside.known(frame(content(number), i64::from(number) * 100, 0, 30)).unwrap();
        }
        let second: Vec<Frame> = (5..20_u8)
            .map(|number| {
                let late = 30 + i64::from(number % 3) * 7;
                frame(content(number), i64::from(number) * 100 + offset, shift, late)
            })
            .collect();
        beside.take_over(second.iter().take(waiting));
        second.into_iter().filter_map(|frame| beside.known(frame)).map(|it| it.pts).collect()
    }

    #[test]
    fn the_second_session_goes_on_behind_the_frame_that_both_have_sent() {
        let wanted: Vec<i64> = (10..20).map(|number| number * 100).collect();
        assert_eq!(joined(|number| number, 123_456, 8, 0), wanted);
        assert_eq!(joined(|number| number, -777, 0, 0), wanted, "none has waited");
    }

    #[test]
    fn what_is_coded_anew_or_is_the_same_all_along_goes_on_by_its_arrival() {
        let own = joined(|_| 0, 5_000, 8, 0);
        assert_eq!((own[0], own.len()), (1000, 10));
        // Cut at other places: nothing is there twice, and less than a frame is missing.
        let mut number = 0;
        let content = std::cell::RefCell::new(move || {
            number += 1;
            number
        });
        let cut = joined(|_| (content.borrow_mut())(), 5_000, 8, 40);
        assert_eq!((cut[0], cut[1] - cut[0]), (1040, 100));
    }

    #[test]
    fn times_that_do_not_go_on_are_taken_as_they_are_two_seconds_later() {
        let mut beside = Beside::default();
        beside.known(frame(0, 1_000_000, 0, 0)).unwrap();
        beside.take_over(std::iter::empty());
        // Late by a quarter of an hour at first, and then as far behind as it was.
        let frames = (0..40).map(|number| frame(1, number * 100, 0, 0));
        let taken = frames.filter_map(|frame| beside.known(frame)).count();
        assert!(taken >= 20, "{taken}");
    }
}
