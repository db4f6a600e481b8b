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
/// What is kept for those that are slow is at least so long, in nanoseconds: where each picture is
/// a key frame, two groups are nothing.
const WATCHED_NANOS_MIN: i64 = 2 * NANOS_PER_SECOND;
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
    /// Of what line of time the samples are that come.
    line: u64,
    /// How late frames of each track are at best, by that.
    leads: [Option<FastestWay>; 2],
    /// How many of each track in a row were astray.
    strays: [u32; 2],
    /// The number of the first sample that is there.
    first: u64,
    samples: VecDeque<Kept>,
    /// What those take.
    bytes: usize,
    /// The last key frames that somebody may begin with: their numbers, and when they came.
    keys: VecDeque<(u64, BootTime)>,
    /// The group that comes was too long to be kept.
    is_too_long: bool,
    /// What comes is of use from the next key frame on.
    awaits_key: bool,
    /// The camera does not send.
    is_paused: bool,
    /// Whether the camera has promised sound, and when the session began.
    promise: Option<BootTime>,
    viewers: usize,
    is_over: bool,
}

/// A sample, and of what line of time it is.
struct Kept {
    line: u64,
    sample: LiveSample,
}

impl Kept {
    /// What it takes, in bytes.
    fn bytes(&self) -> usize {
        /// The two counts in front of bytes that are shared.
        const COUNTS: usize = 2 * size_of::<usize>();
        self.sample.data.len() + size_of::<Kept>() + COUNTS
    }
}

/// Where a viewer begins.
pub(super) struct Entry {
    /// The number of its first sample.
    pub(super) first: u64,
    /// The number of the first that has not come yet.
    pub(super) known: u64,
    /// What decodes those before it, and sound that was not known yet when the first came.
    pub(super) tracks: Arc<EndlessTracks>,
    /// On what line of time.
    pub(super) line: TimeLine,
}

/// Of what line of time a sample is, and the one that is in force.
pub(super) struct Line {
    pub(super) of_sample: u64,
    pub(super) in_force: TimeLine,
}

/// What comes next for a reader.
pub(super) enum Next {
    /// The sample of that number.
    Sample(u64, LiveSample, Line),
    /// Nothing yet.
    Nothing,
    /// Nothing more.
    Over,
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

    /// Counts a viewer in.
    pub(super) fn enter(&self, now: BootTime) -> Result<Entry, NotYet> {
        let mut state = lock(&self.state);
        if state.is_over {
            return Err(NotYet::Never("it is not recorded".to_owned()));
        }
        if state.is_paused {
            return Err(NotYet::Waiting("its camera sends nothing"));
        }
        let (Some((first, _)), Some(newest)) = (state.keys.back().copied(), state.samples.back())
        else {
            return Err(NotYet::Waiting(match state.is_too_long {
                true => "its key frames are too far apart: it begins with the next one",
                false => "no key frame has come",
            }));
        };
        let has_sound = state.leads[1].is_some();
        let waits = |begun: BootTime| now.0.saturating_sub(begun.0) < SOUND_NANOS_MAX;
        if !has_sound && state.promise.is_some_and(waits) {
            return Err(NotYet::Waiting("its sound has not come"));
        }
        let tracks = newest.sample.tracks.clone();
        state.viewers += 1;
        Ok(Entry { first, known: state.next(), tracks, line: state.time_line() })
    }

    /// How many watch it.
    pub(super) fn viewers(&self) -> usize {
        lock(&self.state).viewers
    }

    pub(super) fn leave(&self) {
        let mut state = lock(&self.state);
        state.viewers -= 1;
        state.forget();
    }

    /// The sample of that number, or where it is gone the newest key frame.
    pub(super) fn next(&self, number: u64) -> Next {
        let state = lock(&self.state);
        let wanted = match number < state.first {
            true => state.keys.back().map(|(key, _)| *key),
            false => Some(number),
        };
        let place = wanted.and_then(|wanted| usize::try_from(wanted - state.first).ok());
        match (wanted, place.and_then(|place| state.samples.get(place))) {
            (Some(number), Some(kept)) => {
                let line = Line { of_sample: kept.line, in_force: state.time_line() };
                Next::Sample(number, kept.sample.clone(), line)
            }
            _ if state.is_over => Next::Over,
            _ => Next::Nothing,
        }
    }

    /// How many samples are kept, and their bytes.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.samples.len(), state.bytes)
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

    /// What comes is of another line of time: nobody begins with what came before.
    fn begin(&mut self) {
        self.line += 1;
        (self.leads, self.strays, self.is_too_long) = ([None; 2], [0; 2], false);
        self.keys.clear();
        self.awaits_key = true;
        self.forget();
    }

    fn drop_first(&mut self) {
        if let Some(gone) = self.samples.pop_front() {
            self.bytes -= gone.bytes();
            self.first += 1;
        }
        while self.keys.front().is_some_and(|(key, _)| *key < self.first) {
            self.keys.pop_front();
        }
    }

    fn drop_before(&mut self, number: u64) {
        while self.first < number && !self.samples.is_empty() {
            self.drop_first();
        }
    }

    /// Forgets what nobody needs: without viewers all but the group that comes, and all of it where
    /// that is long; with viewers what is older than two groups and than some time, and what is
    /// too much.
    fn forget(&mut self) {
        if self.viewers == 0 {
            let newest = self.keys.back().map_or(self.next(), |(key, _)| *key);
            self.drop_before(newest);
            if self.bytes > UNWATCHED_BYTES_MAX {
                self.is_too_long = true;
                self.drop_before(self.next());
            }
            return;
        }
        let came = self.keys.back().map_or(0, |(_, came)| came.0);
        let is_old = |came_then: BootTime| came.saturating_sub(came_then.0) > WATCHED_NANOS_MIN;
        while self.keys.len() > 2
            && let Some((second, came_then)) = self.keys.get(1).copied()
            && is_old(came_then)
        {
            self.drop_before(second);
        }
        while self.bytes > WATCHED_BYTES_MAX {
            self.drop_first();
        }
    }

    /// Whether what ends then on a track's line of time, and came then, is where it should be.
    fn is_astray(&mut self, track: usize, end_nanos: i64, received: BootTime) -> bool {
        let lead = received.0.saturating_sub(end_nanos);
        let known = self.leads[track].map(|way| way.lead());
        if known.is_some_and(|known| lead.abs_diff(known) > ASTRAY_NANOS.unsigned_abs()) {
            self.strays[track] += 1;
            if self.strays[track] < STRAYS_MAX {
                return true;
            }
            self.begin();
        }
        self.strays[track] = 0;
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
        if is_key {
            self.keys.push_back((self.next(), received));
            (self.is_paused, self.is_too_long, self.awaits_key) = (false, false, false);
        } else if self.awaits_key || self.keys.is_empty() && self.viewers == 0 {
            // Nothing begins with it.
            return;
        }
        let kept = Kept { line: self.line, sample };
        self.bytes += kept.bytes();
        self.samples.push_back(kept);
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

    /// The session is over: who watches waits for the next one, and nobody begins before.
    pub fn pause(&self) {
        let mut state = lock(&self.channel.state);
        state.is_paused = true;
        state.keys.clear();
        state.forget();
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
        let is_watched = {
            let mut state = lock(&self.channel.state);
            state.push(sample, received.boot);
            state.viewers > 0
        };
        if is_watched {
            self.channel.signal.give();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.live.remove(&self.channel);
    }
}
