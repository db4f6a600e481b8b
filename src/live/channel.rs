//! The frames of one stream, for all who watch it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::{Live, NotYet, Signal, lock};
use crate::clock::{FastestWay, Reading};
use crate::compilation::EndlessTracks;
use crate::units::{BootTime, NANOS_PER_SECOND};

/// What is kept of a stream that nobody watches, in bytes: a group that is longer is forgotten, and
/// who comes then waits for the next.
const UNWATCHED_BYTES_MAX: usize = 8 << 20;
/// The same of one that somebody watches.
const WATCHED_BYTES_MAX: usize = 32 << 20;
/// A frame that is so far off the line of time is astray, in nanoseconds.
const ASTRAY_NANOS: i64 = 10 * NANOS_PER_SECOND;
/// So many of them in a row are no strays: the line of time is another one.
const STRAYS_MAX: u32 = 8;
/// Sound that a camera has promised is waited for so long, in nanoseconds.
const SOUND_NANOS_MAX: i64 = 2 * NANOS_PER_SECOND;

/// A frame as its track counts time: in nanoseconds from anywhere on.
#[derive(Clone, Debug)]
pub struct LiveSample {
    /// Of sound, or a picture.
    pub is_sound: bool,
    /// When it is decoded.
    pub decoded_nanos: i64,
    /// When it is shown, or heard.
    pub shown_nanos: i64,
    /// How long it lasts, about.
    pub length_nanos: i64,
    /// Decoding can begin with it.
    pub is_sync: bool,
    /// Its bytes, as an mp4 has them.
    pub data: Arc<[u8]>,
    /// What decodes it and those of the other track.
    pub tracks: Arc<EndlessTracks>,
}

/// The times of tracks, counted in time of the boot clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimeLine {
    /// The how-manieth it is of its stream.
    pub(super) number: u64,
    /// By how much each track's own times are less, in nanoseconds.
    offsets: [Option<i64>; 2],
}

impl TimeLine {
    /// Goes on as another one: what is known of the same one stays, since tracks are not to move
    /// against each other.
    pub(super) fn go_on(&mut self, other: &TimeLine) {
        if other.number != self.number {
            *self = *other;
        }
        for (own, other) in self.offsets.iter_mut().zip(other.offsets) {
            *own = own.or(other);
        }
    }

    /// When a sample is decoded and shown; `None` where nothing is known of its track.
    pub(super) fn times(&self, sample: &LiveSample) -> Option<(i64, i64)> {
        let offset = self.offsets[usize::from(sample.is_sound)]?;
        let at = |nanos: i64| nanos.saturating_add(offset);
        Some((at(sample.decoded_nanos), at(sample.shown_nanos)))
    }
}

/// See the [module](self).
pub(super) struct Channel {
    stream: String,
    signal: Arc<Signal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of what line of time the samples are.
    line: u64,
    /// How late frames of each track are at best, by that.
    leads: [Option<FastestWay>; 2],
    strays: u32,
    /// The number of the first sample that is there.
    first: u64,
    samples: VecDeque<LiveSample>,
    bytes: usize,
    /// The numbers of the last key frames: those from which on samples are kept.
    keys: VecDeque<u64>,
    /// Whether the camera has promised sound, and when the session began.
    promise: Option<BootTime>,
    viewers: usize,
    is_over: bool,
}

impl Channel {
    pub(super) fn new(stream: &str, signal: Arc<Signal>) -> Channel {
        Channel { stream: stream.to_owned(), signal, state: Mutex::default() }
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        lock(&self.state).is_over = true;
        self.signal.give();
    }

    /// Counts a viewer in, who begins with the sample of that number, on that line of time.
    pub(super) fn enter(&self, now: BootTime) -> Result<(u64, TimeLine), NotYet> {
        let mut state = lock(&self.state);
        if state.is_over {
            return Err(NotYet::Waiting("it is not recorded"));
        }
        let Some(newest) = state.keys.back().copied() else {
            return Err(NotYet::Waiting("no key frame has come"));
        };
        let has_sound = state.leads[1].is_some();
        let waits = |begun: BootTime| now.0.saturating_sub(begun.0) < SOUND_NANOS_MAX;
        if !has_sound && state.promise.is_some_and(waits) {
            return Err(NotYet::Waiting("its sound has not come"));
        }
        state.viewers += 1;
        Ok((newest, state.time_line()))
    }

    /// How many samples are kept, and their bytes.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.samples.len(), state.bytes)
    }

    pub(super) fn leave(&self) {
        let mut state = lock(&self.state);
        state.viewers -= 1;
        state.forget();
    }

    /// The sample of that number, or where it is gone the newest key frame, with its number and
    /// its line of time. `None` where there is nothing yet, and `Err` where nothing more comes.
    pub(super) fn sample(&self, number: u64) -> Result<Option<(u64, LiveSample, TimeLine)>, ()> {
        let state = lock(&self.state);
        let number = match number < state.first {
            true => state.keys.back().copied().unwrap_or(state.first),
            false => number,
        };
        let place = usize::try_from(number - state.first).unwrap_or(usize::MAX);
        match state.samples.get(place) {
            Some(sample) => Ok(Some((number, sample.clone(), state.time_line()))),
            None if state.is_over => Err(()),
            None => Ok(None),
        }
    }
}

impl State {
    /// The number of what comes next.
    fn next(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    fn time_line(&self) -> TimeLine {
        let offsets = self.leads.map(|lead| lead.map(|lead| lead.lead()));
        TimeLine { number: self.line, offsets }
    }

    /// Forgets all that has come, since what comes is of another line of time.
    fn begin(&mut self) {
        self.line += 1;
        (self.leads, self.strays) = ([None; 2], 0);
        self.drop_before(self.next());
    }

    fn drop_before(&mut self, number: u64) {
        while self.first < number {
            let Some(gone) = self.samples.pop_front() else { break };
            self.bytes -= gone.data.len();
            self.first += 1;
        }
        self.keys.retain(|key| *key >= number);
    }

    /// Forgets what nobody needs.
    fn forget(&mut self) {
        let (groups, most) = match self.viewers {
            0 => (1, UNWATCHED_BYTES_MAX),
            _ => (2, WATCHED_BYTES_MAX),
        };
        while self.keys.len() > groups || self.bytes > most {
            let next = self.keys.get(1).copied().unwrap_or(self.next());
            self.drop_before(next);
        }
    }

    /// Whether what ends then on a track's line of time, and came then, is where it should be.
    fn is_astray(&mut self, track: usize, end_nanos: i64, received: BootTime) -> bool {
        let lead = received.0.saturating_sub(end_nanos);
        let known = self.leads[track].map(|way| way.lead());
        if known.is_some_and(|known| lead.abs_diff(known) > ASTRAY_NANOS.unsigned_abs()) {
            self.strays += 1;
            if self.strays < STRAYS_MAX {
                return true;
            }
            self.begin();
        }
        self.strays = 0;
        match &mut self.leads[track] {
            Some(way) => way.note(lead, received),
            none => *none = Some(FastestWay::new(lead, received)),
        }
        false
    }

    fn push(&mut self, sample: LiveSample, received: BootTime) {
        // What lasts is there from its end on.
        let lasts = if sample.is_sound { sample.length_nanos } else { 0 };
        let end_nanos = sample.shown_nanos.saturating_add(lasts);
        if self.is_astray(usize::from(sample.is_sound), end_nanos, received) {
            return;
        }
        let is_key = sample.is_sync && !sample.is_sound;
        if !is_key && self.keys.is_empty() {
            // Nothing begins with it.
            return;
        }
        if is_key {
            self.keys.push_back(self.next());
        }
        self.bytes += sample.data.len();
        self.samples.push_back(sample);
        self.forget();
    }
}

/// Where the recorder of a stream puts its frames. The stream ends for who watches when this is
/// dropped.
pub struct Feed {
    pub(super) channel: Arc<Channel>,
    live: Live,
}

impl Feed {
    pub(super) fn new(channel: Arc<Channel>, live: Live) -> Feed {
        Feed { channel, live }
    }

    /// Another session begins, in which there may be sound.
    pub fn begin(&self, has_sound: bool, now: &Reading) {
        let mut state = lock(&self.channel.state);
        state.begin();
        state.promise = has_sound.then_some(now.boot);
    }

    /// Whether anybody watches.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        lock(&self.channel.state).viewers > 0
    }

    /// Sound came that nobody hears, and which ends then on its line of time.
    pub fn note_sound(&self, end_nanos: i64, received: &Reading) {
        lock(&self.channel.state).is_astray(1, end_nanos, received.boot);
    }

    /// Takes a frame that came then.
    pub fn push(&self, sample: LiveSample, received: &Reading) {
        lock(&self.channel.state).push(sample, received.boot);
        self.channel.signal.give();
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.live.remove(&self.channel);
    }
}
