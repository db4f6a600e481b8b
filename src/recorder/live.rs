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
    /// Pictures since that one: reordered ones come behind it, and are shown in front of it.
    behind: i64,
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
            behind: 0,
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
        self.behind += 1;
        if let Some(last) = self.last.filter(|last| *last < frame.pts) {
            self.interval.note((frame.pts - last) / self.behind);
            self.behind = 0;
        }
        self.last = Some(self.last.map_or(frame.pts, |last| last.max(frame.pts)));
        let usual = i64::from(frame.timescale) / USUAL_PARTS;
        let interval = self.interval.median().unwrap_or(usual);
        if frame.is_key && frame.pts < self.last.unwrap_or(frame.pts) {
            // Times that go back begin anew.
            self.times.restart(None);
            (self.last, self.behind) = (Some(frame.pts), 0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Packets;
    use crate::compilation::EndlessForm;
    use crate::live::{Live, Taken, Viewer};
    use crate::segment::{AudioParameters, Codec, Look, VideoParameters};
    use crate::units::{BootTime, NANOS_PER_SECOND, WallTime};

    const INTERVAL: i64 = 3600;
    const SOUND_RATE: u32 = 16_000;

    fn reading(nanos: i64) -> Reading {
        let wall = WallTime(1_800_000_000 * NANOS_PER_SECOND + nanos);
        Reading { wall, boot: BootTime(nanos), boot_id: [7; 16], synchronised: true }
    }

    fn parameters(sound: Option<Sound>) -> Arc<Parameters> {
        let look = Look::PLAIN;
        let video = VideoParameters { width: 640, height: 360, pixel_aspect: (1, 1), look };
        let audio = AudioParameters { sample_rate: SOUND_RATE, channels: 1 };
        let configuration = if sound.is_some() {
            vec![0x14, 0x08]
        } else {
            vec![1, 0x4D, 0x40, 0x1E, 0xFF, 0xE0, 0]
        };
        let set = ParameterSet {
            codec: if sound.is_some() { Codec::Aac } else { Codec::H264 },
            configuration,
            video: sound.is_none().then_some(video),
            audio: sound.is_some().then_some(audio),
        };
        let made = Parameters::new(&set, set.encode().into(), ReorderDepth::Known(1));
        Arc::new(Parameters { sound, ..made })
    }

    /// A picture that is shown as the how-manieth: its bytes say which.
    fn picture(shown: i64, is_key: bool, parameters: Option<Arc<Parameters>>) -> Frame {
        Frame {
            track: VIDEO,
            pts: shown * INTERVAL,
            timescale: 90_000,
            data: format!("<{shown:06}>").into_bytes(),
            is_key,
            parameters,
            received: reading(shown * NANOS_PER_SECOND / 25),
            ..Frame::default()
        }
    }

    fn read(viewer: &mut Viewer) -> Vec<u8> {
        let mut all = Vec::new();
        while let Taken::Bytes(bytes) = viewer.take(100) {
            all.extend(bytes);
        }
        all
    }

    /// What stands between `<` and `>`, in the order of the file.
    fn marks(bytes: &[u8]) -> Vec<String> {
        let found = bytes.windows(8).filter(|it| it[0] == b'<' && it[7] == b'>');
        found.map(|it| String::from_utf8_lossy(&it[1..7]).into_owned()).collect()
    }

    /// How long the picture of each fragment lasts, in ticks.
    fn lengths(bytes: &[u8]) -> Vec<u32> {
        let found = bytes.windows(20).filter(|it| it.starts_with(b"trun"));
        found.map(|it| it[16..20].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))).collect()
    }

    /// When each fragment is decoded, in ticks.
    fn decoded(bytes: &[u8]) -> Vec<u64> {
        let found = bytes.windows(16).filter(|it| it.starts_with(b"tfdt"));
        found.map(|it| it[8..16].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))).collect()
    }

    fn watch(live: &Live) -> Viewer {
        let Reading { wall, boot, .. } = reading(0);
        live.watch("yard", EndlessForm::Movie, (wall, boot)).unwrap_or_else(|why| panic!("{why:?}"))
    }

    #[test]
    fn nothing_is_handed_on_before_it_is_known_what_decodes_it() {
        let live = Live::default();
        let mut tap = Tap::new(live.feed("yard"));
        tap.begin(false, &reading(0));
        tap.take(&picture(0, true, None));
        let Reading { wall, boot, .. } = reading(0);
        assert!(live.watch("yard", EndlessForm::Movie, (wall, boot)).is_err());
        tap.take(&picture(1, true, Some(parameters(None))));
        assert_eq!(marks(&read(&mut watch(&live))), ["000001"]);
    }

    #[test]
    fn reordered_pictures_come_in_the_order_of_decoding_with_times_that_rise() {
        let live = Live::default();
        let mut tap = Tap::new(live.feed("yard"));
        tap.begin(false, &reading(0));
        tap.take(&picture(0, true, Some(parameters(None))));
        let mut viewer = watch(&live);
        let order: Vec<i64> = (0..20).flat_map(|pair| [pair * 2 + 2, pair * 2 + 1]).collect();
        order.iter().for_each(|shown| tap.take(&picture(*shown, false, None)));
        // Time begins anew with a camera that is started again.
        tap.pause();
        tap.begin(false, &reading(3 * NANOS_PER_SECOND));
        let again = Frame { received: reading(3 * NANOS_PER_SECOND), ..picture(0, true, None) };
        tap.take(&again);
        let bytes = read(&mut viewer);
        let expected = [0].into_iter().chain(order).chain([0]);
        assert_eq!(marks(&bytes), expected.map(|it| format!("{it:06}")).collect::<Vec<_>>());
        let times = decoded(&bytes);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        let steps = times[1..41].windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.clone().all(|step| step.abs_diff(3600) <= 1), "{times:?}");
        let apart = times[41] - times[0];
        assert!(apart.abs_diff(3 * 90_000) < 9_000, "as on the wall: {apart}");
    }

    #[test]
    fn pictures_last_until_the_next_however_many_are_shown_in_front_of_it() {
        for between in 0..4_i64 {
            let live = Live::default();
            let mut tap = Tap::new(live.feed("yard"));
            tap.begin(false, &reading(0));
            tap.take(&picture(0, true, Some(parameters(None))));
            let mut viewer = watch(&live);
            let group = between + 1;
            let order = (1..=20)
                .flat_map(|last| (0..group).map(move |at| (last * group) - (group - at) % group));
            order.for_each(|shown| tap.take(&picture(shown, false, None)));
            let lengths = lengths(&read(&mut viewer));
            let settled = &lengths[lengths.len() / 2..];
            assert!(settled.iter().all(|length| *length == 3600), "{between}: {lengths:?}");
        }
    }

    #[test]
    fn sound_is_handed_on_with_its_own_lengths_and_records_are_not() {
        let live = Live::default();
        let mut tap = Tap::new(live.feed("yard"));
        tap.begin(true, &reading(0));
        let sound = Sound::Packets(Packets { ticks: 1024, silence: None });
        let packet = |number: i64, parameters| Frame {
            track: TrackNumber(1),
            pts: number * 1024,
            timescale: SOUND_RATE,
            data: format!("<s{number:05}>").into_bytes(),
            received: reading(number * 64_000_000),
            ..picture(0, true, parameters)
        };
        tap.take(&picture(0, true, Some(parameters(None))));
        tap.take(&packet(0, Some(parameters(Some(sound)))));
        let mut viewer = watch(&live);
        for number in 1..10 {
            tap.take(&picture(number, number % 5 == 0, None));
            tap.take(&packet(number, None));
            let record = Frame { track: TrackNumber(2), ..packet(99_999, None) };
            tap.take(&record);
        }
        let found = marks(&read(&mut viewer));
        assert!(found.iter().any(|mark| mark.starts_with('s')), "{found:?}");
        assert!(!found.iter().any(|mark| mark == "s99999"), "{found:?}");
        assert_eq!(found.iter().filter(|mark| !mark.starts_with('s')).count(), 10, "{found:?}");
    }
}
