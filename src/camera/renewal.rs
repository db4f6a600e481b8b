//! From one session to the next without a seam: the pictures of both are compared, and the second
//! goes on where the first one is left. Pure, but for the session that it holds.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::beside::Beside;
use super::live::Live;
use super::parameters::Parameters;
use super::track::{Frame, PICTURES};
use crate::clock::Deadline;

/// Frames of the first session that are remembered.
const HISTORY_MAX: usize = 512;
/// Frames of the second that wait for the first one to come to them.
const WAITING_MAX: usize = 512;
/// The same, in bytes.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Sessions that show other frames are followed by one another without a seam that fits.
const OVERLAP_MAX: Duration = Duration::from_secs(5);

/// With a seam of the pictures, one of the sound is waited for up to then.
const SOUND_WAIT_MAX: Duration = Duration::from_millis(1500);

/// So much of a frame, in bytes, at its beginning and at its end, tells it from others: it is taken
/// of every frame of every camera, while hardly any session is followed by another one.
const PRINT_BYTES: usize = 64;

/// What a frame is known again by: its length, how it begins and how it ends.
pub(super) fn print(frame: &Frame) -> u64 {
    let data = frame.data.as_slice();
    let part = data.len().min(PRINT_BYTES);
    let mut hasher = DefaultHasher::new();
    (data.len(), &data[..part], &data[data.len() - part..]).hash(&mut hasher);
    hasher.finish()
}

/// The last frames of a session.
#[derive(Default)]
pub(super) struct History {
    /// Prints and times.
    frames: VecDeque<(u64, i64)>,
}

/// Where the second session goes on.
#[derive(Debug, PartialEq, Eq)]
struct Seam {
    /// So many of its frames are there already.
    known: usize,
    /// What its times are off, in ticks.
    shift: i64,
}

impl History {
    pub(super) fn note(&mut self, frame: &Frame) {
        if self.frames.len() == HISTORY_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back((print(frame), frame.pts));
    }

    /// What times of another session are off, in ticks, where this frame of it was there already.
    pub(super) fn shift(&self, frame: &Frame) -> Option<i64> {
        let wanted = print(frame);
        let known = self.frames.iter().rev().find(|(known, _)| *known == wanted);
        known.map(|(_, pts)| pts.saturating_sub(frame.pts))
    }

    /// Where frames of another session follow. `None` while they are not there yet, or not again.
    fn seam<'a>(&self, waiting: impl ExactSizeIterator<Item = &'a Frame>) -> Option<Seam> {
        let mut waiting = waiting.peekable();
        let first = print(waiting.peek()?);
        let at = self.frames.iter().rposition(|(known, _)| *known == first)?;
        let known = self.frames.len() - at;
        let (count, shift) = (waiting.len(), self.frames[at].1 - waiting.peek()?.pts);
        let is_same =
            self.frames.iter().skip(at).zip(waiting).all(|(one, two)| one.0 == print(two));
        (is_same && count >= known).then_some(Seam { known, shift })
    }
}

/// A second session beside the first one.
pub(super) struct Overlap {
    pub(super) live: Box<Live>,
    /// Pictures.
    waiting: VecDeque<Frame>,
    bytes: usize,
    /// Sound and records.
    beside: VecDeque<Frame>,
    until: Deadline,
    /// What the last frame said of parameters that is not among those that wait.
    parameters: Option<Arc<Parameters>>,
}

/// What the first session is followed by.
pub(super) struct Handover {
    pub(super) live: Box<Live>,
    /// Frames of it that come next.
    pub(super) frames: VecDeque<Frame>,
    /// What times of its pictures are off, in ticks.
    pub(super) shift: i64,
    /// Whether they follow the last frame of the first session.
    pub(super) has_seam: bool,
    /// What decodes the first of them, where it does not say so itself.
    pub(super) parameters: Option<Arc<Parameters>>,
}

impl Overlap {
    pub(super) fn new(live: Box<Live>) -> Overlap {
        let until = Deadline::after(OVERLAP_MAX);
        let (waiting, beside) = (VecDeque::new(), VecDeque::new());
        Overlap { live, waiting, bytes: 0, beside, until, parameters: None }
    }

    /// A frame of the second session: it begins with one that decoding can begin with. Where the
    /// first one shows something else, it is the latest of these: what came before it is there.
    pub(super) fn push(&mut self, mut frame: Frame) {
        if frame.track != PICTURES {
            if self.beside.len() == WAITING_MAX {
                self.beside.pop_front();
            }
            self.beside.push_back(frame);
            return;
        }
        if self.is_hopeless() {
            let left_out = self.waiting.drain(..).filter_map(|frame| frame.parameters).next_back();
            self.parameters = left_out.or(self.parameters.take());
            self.bytes = 0;
        }
        if self.waiting.is_empty() {
            self.parameters = frame.parameters.take().or(self.parameters.take());
            if !frame.is_key {
                return;
            }
            frame.parameters = self.parameters.take();
        }
        self.bytes += frame.data.len();
        self.waiting.push_back(frame);
    }

    /// No seam was found for long enough.
    fn is_hopeless(&self) -> bool {
        let is_much = self.waiting.len() > WAITING_MAX || self.bytes > WAITING_BYTES_MAX;
        is_much || self.until.is_over()
    }

    /// Whether the second session takes over now.
    pub(super) fn is_due(&self, history: &History, beside: &Beside) -> bool {
        let has_key = self.waiting.len() == 1;
        if has_key && self.is_hopeless() {
            return true;
        }
        let ends = self.waiting.front().zip(self.waiting.back());
        let waited = ends.map(|(first, last)| last.received.boot.since(first.received.boot));
        let has_sound =
            beside.is_ready(&self.beside) || waited.is_some_and(|waited| waited >= SOUND_WAIT_MAX);
        has_sound && history.seam(self.waiting.iter()).is_some()
    }

    /// It takes over.
    pub(super) fn hand_over(mut self, history: &History) -> Handover {
        let seam = history.seam(self.waiting.iter());
        let has_seam = seam.is_some();
        let seam = seam.unwrap_or(Seam { known: 0, shift: 0 });
        let known =
            self.waiting.drain(..seam.known).filter_map(|frame| frame.parameters).next_back();
        let parameters = known.or(self.parameters);
        let mut frames = self.waiting;
        frames.append(&mut self.beside);
        frames.make_contiguous().sort_by_key(|frame| frame.received.boot);
        Handover { live: self.live, frames, shift: seam.shift, has_seam, parameters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reading;
    use crate::segment::TrackNumber;
    use crate::units::{BootTime, WallTime};

    fn frame(content: u8, pts: i64) -> Frame {
        Frame {
            track: TrackNumber(0),
            pts,
            timescale: 90_000,
            data: vec![content; 8],
            is_key: content.is_multiple_of(10),
            received: Reading {
                wall: WallTime(0),
                boot: BootTime(0),
                boot_id: [0; 16],
                synchronised: true,
            },
            ..Frame::default()
        }
    }

    fn history(contents: impl IntoIterator<Item = u8>) -> History {
        let mut history = History::default();
        for content in contents {
            history.note(&frame(content, i64::from(content) * 100));
        }
        history
    }

    fn seam(history: &History, contents: std::ops::Range<u8>) -> Option<(usize, i64)> {
        let frames: Vec<Frame> =
            contents.map(|content| frame(content, 5 + i64::from(content) * 100)).collect();
        history.seam(frames.iter()).map(|seam| (seam.known, seam.shift))
    }

    #[test]
    fn a_frame_is_known_again_by_its_length_its_beginning_and_its_end() {
        let of = |data: Vec<u8>| print(&Frame { data, ..frame(0, 0) });
        let whole = vec![7; 10 * PRINT_BYTES];
        assert_eq!(of(whole.clone()), of(whole.clone()));
        assert_ne!(of(whole.clone()), of(whole[1..].to_vec()));
        for at in [0, PRINT_BYTES - 1, whole.len() - PRINT_BYTES, whole.len() - 1] {
            let mut other = whole.clone();
            other[at] = 8;
            assert_ne!(of(whole.clone()), of(other), "{at}");
        }
        assert_ne!(of(vec![]), of(vec![0]));
    }

    #[test]
    fn the_second_session_goes_on_behind_the_frame_that_both_have_sent() {
        let first = history(0..15);
        assert_eq!(seam(&first, 10..20), Some((5, -5)), "it is ahead");
        assert_eq!(seam(&first, 10..15), Some((5, -5)), "both are as far");
        assert_eq!(seam(&first, 10..12), None, "it is behind, and will come there");
        assert_eq!(seam(&first, 20..25), None, "the first one is behind");
        assert_eq!(seam(&first, 0..0), None);
        assert_eq!(first.shift(&frame(14, 1_000)), Some(400));
        assert_eq!(first.shift(&frame(15, 1_000)), None);
        assert_eq!(seam(&history([10, 11, 99]), 10..20), None, "they show something else");
    }
}
