//! Frames for those who watch, as they come.

use std::sync::Arc;

use super::cutter::{DecodeTimes, Interval};
use crate::camera::{Frame, Parameters, ReorderDepth, Sound};
use crate::clock::Reading;
use crate::compilation::EndlessTracks;
use crate::live::{Feed, LiveSample};
use crate::segment::{ParameterSet, TrackKind, TrackNumber};
use crate::units::Ticks;

/// The track of pictures.
const VIDEO: TrackNumber = TrackNumber(0);
/// How far pictures are apart until they show it, in parts of a second.
const USUAL_PARTS: i64 = 25;

/// Hands the frames of a stream to its [`Feed`], with times of decoding.
pub(super) struct Tap {
    feed: Feed,
    times: DecodeTimes,
    interval: Interval,
    /// When the last picture is shown, in its ticks.
    last: Option<i64>,
    video: Option<Arc<ParameterSet>>,
    sound: Option<(TrackNumber, Arc<Parameters>, Arc<ParameterSet>)>,
    tracks: Option<Arc<EndlessTracks>>,
    /// Samples of sound that were coded.
    coded: u64,
}

impl Tap {
    pub(super) fn new(feed: Feed) -> Tap {
        Tap {
            feed,
            times: DecodeTimes::new(ReorderDepth::Unknown),
            interval: Interval::default(),
            last: None,
            video: None,
            sound: None,
            tracks: None,
            coded: 0,
        }
    }

    /// Another session begins, in which there may be sound.
    pub(super) fn begin(&mut self, has_sound: bool, now: &Reading) {
        self.feed.begin(has_sound, now);
        self.times.restart(None);
        self.last = None;
        if !has_sound {
            self.sound = None;
            self.learn_tracks();
        }
    }

    /// The session is over.
    pub(super) fn pause(&self) {
        self.feed.pause();
    }

    pub(super) fn take(&mut self, frame: &Frame) {
        if let Some(parameters) = &frame.parameters {
            self.learn(frame.track, parameters);
        }
        let Some(tracks) = self.tracks.clone() else { return };
        match &self.sound {
            _ if frame.track == VIDEO => self.picture(frame, tracks),
            Some((track, parameters, _)) if *track == frame.track => {
                let parameters = parameters.clone();
                self.sound(frame, &parameters, tracks);
            }
            // Records.
            _ => {}
        }
    }

    fn learn(&mut self, track: TrackNumber, parameters: &Arc<Parameters>) {
        let Ok(set) = ParameterSet::decode(&parameters.encoded) else { return };
        let set = Arc::new(set);
        match set.codec.track_kind() {
            TrackKind::Video => {
                self.times.set_depth(parameters.reorder_depth);
                self.video = Some(set);
            }
            TrackKind::Audio => self.sound = Some((track, parameters.clone(), set)),
            TrackKind::Timed | TrackKind::Unknown(_) => return,
        }
        self.learn_tracks();
    }

    /// What was known of a session before holds until something else is said: files go on.
    fn learn_tracks(&mut self) {
        if let Some(video) = self.video.clone() {
            let sound = self.sound.as_ref().map(|(.., set)| set.clone());
            self.tracks = Some(Arc::new(EndlessTracks { video, sound }));
        }
    }

    fn picture(&mut self, frame: &Frame, tracks: Arc<EndlessTracks>) {
        let nanos = |ticks: i64| Ticks(ticks).to_nanos(frame.timescale);
        if let Some(last) = self.last.filter(|last| *last < frame.pts) {
            self.interval.note(frame.pts - last);
        }
        self.last = Some(self.last.map_or(frame.pts, |last| last.max(frame.pts)));
        let usual = i64::from(frame.timescale) / USUAL_PARTS;
        let interval = self.interval.median().unwrap_or(usual);
        if frame.is_key && frame.pts < self.last.unwrap_or(frame.pts) {
            // Times that go back begin anew.
            self.times.restart(None);
            self.last = Some(frame.pts);
        }
        let decoded = self.times.push(frame.pts, interval);
        let shown = decoded.time.saturating_add(decoded.offset.into());
        let sample = LiveSample {
            is_sound: false,
            decoded_nanos: nanos(decoded.time),
            shown_nanos: nanos(shown),
            length_nanos: nanos(interval),
            is_sync: frame.is_key || frame.is_recovery,
            data: frame.data.as_slice().into(),
            tracks,
        };
        self.feed.push(sample, &frame.received);
    }

    fn sound(&mut self, frame: &Frame, parameters: &Parameters, tracks: Arc<EndlessTracks>) {
        let nanos = |ticks: i64| Ticks(ticks).to_nanos(frame.timescale);
        let packets = match &parameters.sound {
            Some(Sound::Packets(packets)) => {
                vec![(frame.duration.unwrap_or(packets.ticks), frame.data.clone())]
            }
            // Coding costs: for those who watch alone.
            Some(Sound::Pcm(pcm)) if self.feed.is_watched() => {
                let coded = pcm.code(&frame.data, self.coded);
                self.coded += coded.iter().map(|(ticks, _)| u64::from(*ticks)).sum::<u64>();
                coded
            }
            Some(Sound::Pcm(pcm)) => {
                let ticks = (frame.data.len() / pcm.width()) as i64;
                let end = frame.pts.saturating_add(ticks);
                return self.feed.note_sound(nanos(end), &frame.received);
            }
            None => return,
        };
        let mut at = frame.pts;
        for (ticks, data) in packets {
            let sample = LiveSample {
                is_sound: true,
                decoded_nanos: nanos(at),
                shown_nanos: nanos(at),
                length_nanos: nanos(ticks.into()),
                is_sync: true,
                data: data.into(),
                tracks: tracks.clone(),
            };
            at = at.saturating_add(ticks.into());
            self.feed.push(sample, &frame.received);
        }
    }
}
