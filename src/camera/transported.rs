//! Frames of a transport stream as it comes. Pure.

use std::collections::VecDeque;

use super::stored::{At, StoredPictures};
use super::stored_sound::{SoundTimes, StoredSound};
use super::track::{Frame, SoundFacts, VideoFacts};
use crate::clock::Reading;
use crate::demux::{Entry, Kind, STAMPS_PER_SECOND, Transport, Unit};
use crate::units::{Ticks, WallTime};

/// What comes of one stream of pictures and one of sound.
pub(super) struct Transported {
    transport: Transport,
    has_sound: bool,
    pictures: Option<(usize, StoredPictures)>,
    sound: Option<Sounding>,
    /// Something is missing before the next picture.
    is_behind_loss: bool,
    /// Why the sound is not recorded.
    refused_sound: Option<String>,
    pub(super) frames: VecDeque<Frame>,
    /// Pictures so far, and whether decoding could begin with any.
    pub(super) pictures_seen: u64,
    pub(super) has_begun: bool,
}

/// The stream of sound.
struct Sounding {
    stream: usize,
    stored: StoredSound,
    times: SoundTimes,
    is_told: bool,
}

impl Transported {
    pub(super) fn new(has_sound: bool) -> Transported {
        Transported {
            transport: Transport::default(),
            has_sound,
            pictures: None,
            sound: None,
            is_behind_loss: false,
            refused_sound: None,
            frames: VecDeque::new(),
            pictures_seen: 0,
            has_begun: false,
        }
    }

    /// Takes what has come by now.
    pub(super) fn push(&mut self, bytes: &[u8], now: &Reading) {
        self.transport.push(bytes);
        self.take_all(now);
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, now: &Reading) {
        self.transport.finish();
        self.take_all(now);
    }

    /// Whether it is known which streams there are.
    pub(super) fn is_known(&self) -> bool {
        self.transport.is_known()
    }

    /// What the streams are, as people call it.
    pub(super) fn streams(&self) -> Vec<&str> {
        self.transport.streams()
    }

    /// Whether there is a stream of pictures that can be recorded.
    pub(super) fn has_video(&self) -> bool {
        self.transport.has_video()
    }

    /// Bytes so far that are of no packet.
    pub(super) fn strays(&self) -> u64 {
        self.transport.strays()
    }

    /// Why sound is left out, once.
    pub(super) fn take_refusal(&mut self) -> Option<String> {
        self.refused_sound.take()
    }

    pub(super) fn video_facts(&self) -> VideoFacts {
        self.pictures.as_ref().map(|(_, stored)| stored.facts()).unwrap_or_default()
    }

    pub(super) fn sound_facts(&self) -> Option<SoundFacts> {
        self.sound.as_ref().map(|sound| sound.stored.facts())
    }

    fn take_all(&mut self, now: &Reading) {
        while let Some(mut unit) = self.transport.next() {
            if let Some(entry) = unit.entry.take() {
                self.begin(unit.stream, &entry);
            }
            let frame = match self.transport.kind(unit.stream) {
                Kind::Video => self.picture(&unit, now),
                Kind::Sound => self.packet(unit, now),
                Kind::Other => None,
            };
            self.frames.extend(frame);
        }
    }

    /// The first stream of each kind is recorded.
    fn begin(&mut self, stream: usize, entry: &Entry) {
        match self.transport.kind(stream) {
            Kind::Video if self.pictures.is_none() => {
                let stored = StoredPictures::new(entry, None);
                self.pictures = stored.ok().map(|stored| (stream, stored));
            }
            Kind::Sound if self.has_sound => {
                let is_other = self.sound.as_ref().is_some_and(|sound| sound.stream != stream);
                if is_other {
                    return;
                }
                match StoredSound::new(entry) {
                    Ok(stored) if self.has_other_rate(&stored) => {
                        self.refused_sound = Some("its sampling rate changes".to_owned());
                        (self.sound, self.has_sound) = (None, false);
                    }
                    Ok(stored) => {
                        let (times, is_told) = (SoundTimes::default(), false);
                        self.sound = Some(Sounding { stream, stored, times, is_told });
                    }
                    Err(why) => self.refused_sound = Some(why),
                }
            }
            _ => {}
        }
    }

    /// Whether sound has another rate than that before: its frames have one line of time.
    fn has_other_rate(&self, stored: &StoredSound) -> bool {
        self.sound.as_ref().is_some_and(|sound| sound.stored.sample_rate != stored.sample_rate)
    }

    fn picture(&mut self, unit: &Unit, now: &Reading) -> Option<Frame> {
        let (stream, stored) = self.pictures.as_mut()?;
        if *stream != unit.stream {
            return None;
        }
        self.pictures_seen += 1;
        self.is_behind_loss |= unit.is_behind_loss;
        let picture = stored.take(&unit.data, unit.pts, unit.sync)?;
        self.has_begun |= picture.is_key || picture.is_recovery;
        let (pts, timescale) = (unit.pts, STAMPS_PER_SECOND);
        let is_behind_loss = std::mem::take(&mut self.is_behind_loss);
        Some(picture.frame(At { is_behind_loss, ..at(unit, pts, timescale, now) }))
    }

    fn packet(&mut self, mut unit: Unit, now: &Reading) -> Option<Frame> {
        let sound = self.sound.as_mut().filter(|sound| sound.stream == unit.stream)?;
        let rate = sound.stored.sample_rate;
        let (data, samples) = sound.stored.frame(std::mem::take(&mut unit.data))?;
        let stated = Ticks::from_nanos(told(unit.pts).0, rate).0;
        let pts = sound.times.place(stated, samples, rate);
        let is_first = !std::mem::replace(&mut sound.is_told, true);
        Some(sound.stored.sounding(data, samples, at(&unit, pts, rate, now), is_first))
    }
}

/// Where a sample is on the time line of its frames.
fn at(unit: &Unit, pts: i64, timescale: u32, now: &Reading) -> At {
    let (captured, is_behind_loss) = (told(unit.pts), unit.is_behind_loss);
    At { pts, timescale, captured, received: *now, is_behind_loss }
}

/// When something was captured by the clock of the stream, which is that of pictures and sound
/// alike; nobody knows where it counts from.
fn told(pts: i64) -> WallTime {
    WallTime(Ticks(pts).to_nanos(STAMPS_PER_SECOND))
}
