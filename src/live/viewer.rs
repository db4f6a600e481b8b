//! One file of what a stream sends, as it is read.

use std::collections::VecDeque;
use std::sync::Arc;

use super::NotYet;
use super::channel::{Channel, Entry, LiveSample, Next, TimeLine};
use crate::compilation::{Arriving, EndlessFile, EndlessForm, EndlessTracks, Put};
use crate::units::{BootTime, WallTime};

/// A reader who asks for more at once is given no more than this, in bytes: it is to be answered
/// soon.
const READ_BYTES_MAX: usize = 1 << 20;

/// Samples of a track are decoded so far apart at least, in nanoseconds: a millisecond, which is
/// what Matroska counts in.
const STEP_NANOS_MIN: i64 = 1_000_000;

/// One reader's file.
pub struct Viewer {
    channel: Arc<Channel>,
    file: EndlessFile,
    tracks: Arc<EndlessTracks>,
    /// The number of the next sample.
    next: u64,
    /// Those in front of this one were there when it began.
    known: u64,
    line: TimeLine,
    /// The time of the boot clock at which the file begins.
    zero: Option<i64>,
    /// When the last sample of each track is decoded.
    decoded: [i64; 2],
    /// Bytes that are made, of which so many of the first are read.
    made: VecDeque<Bytes>,
    read: usize,
    /// The file is over: what follows would not fit.
    is_over: bool,
}

/// Some bytes of the file.
enum Bytes {
    Made(Vec<u8>),
    /// Those of a sample, which all have in common.
    Shared(Arc<[u8]>),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Made(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Some bytes.
    Bytes(Vec<u8>),
    /// Nothing has come.
    Nothing,
    /// Nothing more comes.
    Over,
}

impl Viewer {
    pub(super) fn new(
        channel: Arc<Channel>,
        form: EndlessForm,
        (wall, boot): (WallTime, BootTime),
    ) -> Result<Viewer, NotYet> {
        let Entry { first, known, tracks, line } = channel.enter(boot)?;
        let begun = EndlessFile::new(form, &tracks, wall).map_err(NotYet::Never);
        let file = begun.inspect_err(|_| channel.leave())?;
        let header = Bytes::Made(file.header());
        Ok(Viewer {
            channel,
            file,
            tracks,
            next: first,
            known,
            line,
            zero: None,
            decoded: [i64::MIN; 2],
            made: VecDeque::from([header]),
            read: 0,
            is_over: false,
        })
    }

    /// Up to `length` bytes behind those that were taken before.
    pub fn take(&mut self, length: usize) -> Taken {
        let length = length.min(READ_BYTES_MAX);
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let Some(first) = self.made.front() else {
                if self.is_over || !self.make() {
                    break;
                }
                continue;
            };
            let rest = &first.as_slice()[self.read..];
            let count = rest.len().min(length - bytes.len());
            bytes.extend_from_slice(&rest[..count]);
            self.read += count;
            if count == rest.len() {
                self.made.pop_front();
                self.read = 0;
            }
        }
        match bytes.is_empty() {
            false => Taken::Bytes(bytes),
            true if self.is_over => Taken::Over,
            true => Taken::Nothing,
        }
    }

    /// What a reader passes: for one who is not to wait any longer. Between two samples alone, and
    /// so where nothing is left to take.
    pub fn pass(&mut self) {
        if self.made.is_empty() {
            self.made.push_back(Bytes::Made(self.file.nothing()));
        }
    }

    /// Makes the next bytes; false where there is nothing to make them of.
    fn make(&mut self) -> bool {
        let (number, sample, line) = match self.channel.next(self.next) {
            Next::Sample(number, sample, line) => (number, sample, line),
            Next::Nothing => return false,
            Next::Over => {
                self.is_over = true;
                return false;
            }
        };
        self.next = number + 1;
        if number >= self.known && !self.tracks.go_on_with(&sample.tracks) {
            self.is_over = true;
            return false;
        }
        if line.in_force.number == line.of_sample {
            self.line.go_on(&line.in_force);
        }
        // What is of a line of time that came and went meanwhile has no place.
        if self.line.number == line.of_sample {
            self.put(&sample);
        }
        true
    }

    fn put(&mut self, sample: &LiveSample) {
        let Some((decoded, shown)) = self.line.times(sample) else { return };
        if self.zero.is_none() && sample.is_sound {
            return;
        }
        let zero = *self.zero.get_or_insert(decoded);
        let track = usize::from(sample.is_sound);
        let (decoded, shown) = (decoded.saturating_sub(zero), shown.saturating_sub(zero));
        if decoded < 0 {
            // Of sound that belongs to pictures in front of the first.
            return;
        }
        // Another line of time may begin before the former one ended.
        let next = self.decoded[track].saturating_add(STEP_NANOS_MIN);
        let late = next.saturating_sub(decoded).max(0);
        let (decoded, shown) = (decoded + late, shown + late);
        self.decoded[track] = decoded;
        let arriving = Arriving {
            is_sound: sample.is_sound,
            decoded_nanos: decoded,
            shown_nanos: shown,
            length_nanos: sample.length_nanos,
            is_sync: sample.is_sync,
            data: &sample.data,
        };
        match self.file.put(&arriving) {
            Put::Whole(bytes) => self.made.push_back(Bytes::Made(bytes)),
            Put::InFront(bytes) => {
                self.made.push_back(Bytes::Made(bytes));
                self.made.push_back(Bytes::Shared(sample.data.clone()));
            }
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.channel.leave();
    }
}
