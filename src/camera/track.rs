//! The streams of a description that are recorded, and the frames of each.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::coding::{Coded, Coding, Depacketizer, Heard};
use super::error::{CameraError, one_line};
use super::odd::Odd;
use super::parameters::Parameters;
use super::rtp::{Packet, SenderReport};
use super::sdp::{Description, Format, Media};
use super::sender_clock::SenderClock;
use super::source::Source;
use crate::clock::Reading;
use crate::segment::{TrackKind, TrackNumber};
use crate::units::{BootTime, Ticks, WallTime};

/// One coded frame of one track: a sample to be.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The track that it belongs to.
    pub track: TrackNumber,
    /// Presentation time in ticks: the RTP timestamp (RFC 3550, 5.1), unwrapped.
    pub pts: i64,
    /// Ticks a second: the clock rate of its track.
    pub timescale: u32,
    /// Its bytes as an mp4 holds them. Of video: NAL units, each with a length of four bytes
    /// before it (ISO/IEC 14496-15, 5.3.2). A key frame begins with all parameter sets that are
    /// known, and so does one with `is_recovery`; another frame has those that changed with it. Of
    /// sound: what [`Parameters::sound`] says.
    pub data: Vec<u8>,
    /// Whether decoding can begin here, and all that is shown from it on is right: of H.264 an IDR
    /// picture, or one of I slices at a recovery point that counts at once, which open groups begin
    /// with; of H.265 an IRAP picture (IDR, BLA, CRA).
    pub is_key: bool,
    /// Whether what is decoded from here on is right some frames later (ITU-T H.264, D.2.8; H.265,
    /// D.3.8): where there is no key frame, a clip can begin with it. Never set with `is_key`, and
    /// only where the camera marks it.
    pub is_recovery: bool,
    /// Whether it is shown before the key frame that it follows in the order of decoding, and needs
    /// frames from before that: a decoder that begins there leaves it out, or shows it broken. Of
    /// H.265 it says so itself (ITU-T H.265, 3.131 RASL); of H.264 it comes behind a key frame that
    /// is no IDR picture, before any frame that is shown behind that.
    pub is_leading: bool,
    /// Whether it is a key frame that is known to be followed by such: a clip does not begin with
    /// it where it need not. Of a camera nothing is known of what follows.
    pub is_open: bool,
    /// Ticks until the frame behind it, where the coding says so: of sound.
    pub duration: Option<u32>,
    /// When it was captured, by the clock of the camera, where its sender reports are sane
    /// (RFC 3550, 6.4.1).
    pub captured: Option<WallTime>,
    /// What decodes this frame and those of its track after it; given with the first one and
    /// whenever their bytes change.
    pub parameters: Option<Arc<Parameters>>,
    /// Packets lost behind the last one of the frame of the track before: that many, and the
    /// frames that they belonged to, are missing. Some may have been of this one, where that is
    /// whole without them: parameter sets, or messages.
    pub lost_packets: u32,
    /// When it was complete.
    pub received: Reading,
}

impl Frame {
    /// Where it ends, in ticks: what lasts is there from then on. A picture has no length.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.pts.saturating_add(i64::from(self.duration.unwrap_or(0)))
    }

    /// By how much it came later than its end, in nanoseconds.
    #[must_use]
    pub fn lead_nanos(&self) -> i64 {
        let end = Ticks(self.end()).to_nanos(self.timescale);
        self.received.boot.0.saturating_sub(end)
    }
}

/// Ticks a second where a description does not say (RFC 6184, 8.1).
const CLOCK_RATE: u32 = 90_000;
/// The same of sound (RFC 3551, 4.5): that of a telephone.
const SOUND_CLOCK_RATE: u32 = 8000;

/// A stream of a session that is recorded.
pub(super) struct Track {
    number: TrackNumber,
    /// Its place in the description.
    pub(super) stream: usize,
    /// The channel of its RTP; that of its RTCP is the next one.
    pub(super) channel: u8,
    coding: &'static Coding,
    timescale: u32,
    /// Pictures a second, where the description says so.
    frame_rate: Option<f64>,
    pub(super) source: Source,
    clock: SenderClock,
    depacketizer: Box<dyn Depacketizer>,
    /// Packets so far.
    pub(super) packets: u64,
    /// When the last one came.
    last: Option<BootTime>,
}

/// What is known of the pictures of a track, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoFacts {
    /// What people call the coding.
    pub coding: &'static str,
    /// RFC 6381 name of the codec; empty as long as no parameters are known.
    pub codec: String,
    /// Width and height, in pixels; 0 as long as no parameters are known.
    pub picture: (u32, u32),
    /// Pictures a second, where the camera says so.
    pub frame_rate: Option<f64>,
}

/// What is known of the sound of a session, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundFacts {
    /// What people call the coding in which the camera sends it.
    pub coding: &'static str,
    /// The coding in which it is recorded, where that is another one.
    pub stored_as: Option<&'static str>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u16,
}

impl fmt::Display for SoundFacts {
    /// In a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} kHz", self.coding, f64::from(self.sample_rate) / 1000.0)?;
        match self.channels {
            1 => {}
            2 => write!(f, " stereo")?,
            channels => write!(f, " {channels} channels")?,
        }
        self.stored_as.map_or(Ok(()), |other| write!(f, " as {other}"))
    }
}

/// Kinds of tracks, each with the number that its track has in every session.
const KINDS: [(TrackKind, TrackNumber); 3] = [
    (TrackKind::Video, PICTURES),
    (TrackKind::Audio, TrackNumber(1)),
    (TrackKind::Timed, TrackNumber(2)),
];
/// The track of the pictures, which every session has.
pub(super) const PICTURES: TrackNumber = TrackNumber(0);

/// What is recorded of a session, and what is not.
pub(super) struct Chosen {
    pub(super) tracks: Vec<Track>,
    /// Sound and records that are offered and can't be recorded, each with its reason.
    pub(super) left_out: Vec<String>,
}

/// What becomes of a stream that is offered.
enum Choice {
    Track(Box<Track>),
    Unusable(String),
}

/// Chooses from what is offered: of each kind the first stream that can be recorded, pictures
/// first; sound only where it is wanted.
///
/// # Errors
/// If there are no pictures that can be recorded: names what is offered.
pub(super) fn chosen(offered: &Description, wants_sound: bool) -> Result<Chosen, CameraError> {
    let (mut tracks, mut left_out) = (Vec::new(), Vec::new());
    for (kind, number) in KINDS {
        if kind == TrackKind::Audio && !wants_sound {
            continue;
        }
        let mut unusable = Vec::new();
        let found = choices(offered, kind, number).find_map(|choice| match choice {
            Choice::Track(track) => Some(*track),
            Choice::Unusable(why) => {
                unusable.push(why);
                None
            }
        });
        match found {
            Some(track) => tracks.push(track),
            None if kind == TrackKind::Video => return Err(no_video(offered)),
            None => left_out.append(&mut unusable),
        }
    }
    Ok(Chosen { tracks, left_out })
}

/// The streams of one kind, in the order in which they are offered.
fn choices(
    offered: &Description,
    kind: TrackKind,
    number: TrackNumber,
) -> impl Iterator<Item = Choice> {
    let media = offered.media.iter().enumerate();
    let media = media.filter(move |(_, media)| !is_back_channel(offered, media));
    let formats = media.flat_map(|(stream, media)| {
        media.formats.iter().map(move |format| (stream, media, format))
    });
    formats.filter_map(move |(stream, media, format)| {
        let unusable = |why: &str| {
            let name = format!("{} {}", media.kind, format.encoding);
            Choice::Unusable(one_line(&format!("{name}: {why}")))
        };
        let Some(coding) = Coding::described_as(&media.kind, &format.encoding) else {
            // Other applications are none that anybody misses.
            let is_sound = kind == TrackKind::Audio && media.kind == "audio";
            return is_sound.then(|| unusable("this coding is not recorded"));
        };
        if coding.kind != kind {
            return None;
        }
        Some(match (coding.depacketizer)(format) {
            Ok(depacketizer) => {
                let track = Track::new(number, stream, coding, format, depacketizer);
                Choice::Track(Box::new(Track { frame_rate: media.frame_rate, ..track }))
            }
            Err(why) => unusable(&why),
        })
    })
}

/// Whether a medium is sound that the camera would like to get (ONVIF Streaming, 5.3). Where its
/// pictures are said to go in that direction, too, it means its own.
fn is_back_channel(offered: &Description, media: &Media) -> bool {
    let mut pictures = offered.media.iter().filter(|media| media.kind == "video");
    media.kind != "video" && media.is_send_only && !pictures.any(|media| media.is_send_only)
}

fn no_video(offered: &Description) -> CameraError {
    let media = offered.media.iter();
    let offers: Vec<String> =
        media.map(|it| format!("{} {}", it.kind, it.formats[0].encoding)).collect();
    let offers = if offers.is_empty() { "nothing".to_string() } else { offers.join(", ") };
    CameraError::NoVideo { wanted: Coding::names(), offered: one_line(&offers) }
}

impl Track {
    fn new(
        number: TrackNumber,
        stream: usize,
        coding: &'static Coding,
        format: &Format,
        depacketizer: Box<dyn Depacketizer>,
    ) -> Track {
        let usual = if coding.kind == TrackKind::Audio { SOUND_CLOCK_RATE } else { CLOCK_RATE };
        let timescale = coding.clock_rate.or(format.clock_rate).unwrap_or(usual);
        Track {
            number,
            stream,
            channel: 2 * number.0,
            coding,
            timescale,
            frame_rate: None,
            source: Source::new(format.payload_type, format.other_type, timescale),
            clock: SenderClock::new(timescale),
            depacketizer,
            packets: 0,
            last: None,
        }
    }

    /// Takes an RTP packet, and gives the frames that are complete by now.
    ///
    /// # Errors
    /// If nothing can be made of it; what there is goes on.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        received: &Reading,
        frames: &mut VecDeque<Frame>,
    ) -> Result<(), Odd> {
        // Empty ones are sent to say that somebody is there.
        let Some(packet) = Packet::parse(bytes) else {
            return if bytes.is_empty() { Ok(()) } else { Err(Odd::NoPacket) };
        };
        let Some(place) = self.source.place(&packet, received.boot) else { return Ok(()) };
        self.packets += 1;
        self.last = Some(received.boot);
        let taken = self.depacketizer.push(&packet, place, received);
        self.complete(frames);
        taken
    }

    /// Takes what its source says of its clock.
    pub(super) fn take_report(&mut self, report: &SenderReport) {
        if let Some(time) = self.source.time_of(report.ssrc, report.timestamp) {
            self.clock.take(report, time);
        }
    }

    /// Whether its times are those of the camera's clock.
    pub(super) fn has_sender_reports(&self) -> bool {
        self.clock.is_sane()
    }

    /// Whether it is pictures or sound, and not records.
    pub(super) fn is_media(&self) -> bool {
        self.coding.kind != TrackKind::Timed
    }

    /// Whether packets are those of this track, by the number that they carry.
    pub(super) fn is_type(&self, bytes: &[u8]) -> bool {
        bytes.get(1).is_some_and(|second| self.source.is_described(second & 0x7f))
    }

    /// Whether it is sound or records, and nothing has come of it for so long.
    pub(super) fn is_stale(&self, now: BootTime, limit: Duration) -> bool {
        let since = self.last.map(|last| now.since(last));
        self.coding.kind != TrackKind::Video && since.is_some_and(|since| since >= limit)
    }

    /// Whether a frame waits that may be complete.
    pub(super) fn waits(&self) -> bool {
        self.depacketizer.waits()
    }

    /// Nothing more comes, or not soon.
    pub(super) fn flush(&mut self, frames: &mut VecDeque<Frame>) {
        self.depacketizer.flush();
        self.complete(frames);
    }

    fn complete(&mut self, frames: &mut VecDeque<Frame>) {
        while let Some(coded) = self.depacketizer.next() {
            let frame = self.frame(coded);
            frames.push_back(frame);
        }
    }

    fn frame(&mut self, coded: Coded) -> Frame {
        Frame {
            track: self.number,
            pts: coded.time,
            timescale: self.timescale,
            data: coded.data,
            is_key: coded.is_key,
            is_recovery: coded.is_recovery,
            is_leading: coded.is_leading,
            is_open: false,
            duration: coded.duration,
            captured: self.clock.captured(coded.time, coded.received.boot),
            parameters: coded.parameters,
            lost_packets: coded.lost_packets,
            received: coded.received,
        }
    }

    /// Frames so far.
    pub(super) fn heard(&self) -> Heard {
        self.depacketizer.heard()
    }

    /// Whether it is known what decodes its frames.
    pub(super) fn has_parameters(&self) -> bool {
        self.depacketizer.has_parameters()
    }

    /// What is known of its pictures, for people.
    pub(super) fn video_facts(&self) -> VideoFacts {
        let facts = self.depacketizer.video_facts();
        let frame_rate = facts.frame_rate.or(self.frame_rate);
        VideoFacts { coding: self.coding.name, frame_rate, ..facts }
    }

    /// What is known of its sound, where it is any.
    pub(super) fn sound_facts(&self) -> Option<SoundFacts> {
        self.depacketizer.sound_facts()
    }

    /// What people call its coding.
    pub(super) fn name(&self) -> &'static str {
        self.coding.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod losses;

    fn offered(text: &str) -> Result<Vec<Track>, CameraError> {
        chosen(&Description::parse(text), true).map(|chosen| chosen.tracks)
    }

    #[test]
    fn of_what_is_offered_the_first_that_can_be_recorded_is_the_first_track() {
        let tracks = offered(
            "m=audio 0 RTP/AVP 0\nm=video 0 RTP/AVP 31\nm=video 0 RTP/AVP 97 96\n\
             a=rtpmap:97 VP8/90000\na=rtpmap:96 H264/90000\nm=video 0 RTP/AVP 98\n\
             a=rtpmap:98 H264/90000\n",
        );
        let told: Vec<_> = tracks
            .expect("there is one")
            .iter()
            .map(|track| (track.number, track.stream, track.coding.name))
            .collect();
        assert_eq!(told, [(TrackNumber(0), 2, "H.264"), (TrackNumber(1), 0, "G.711 µ-law")]);
    }

    /// Numbers and places of the tracks that are chosen, and what is left out.
    fn of(beside: &str, wants_sound: bool) -> (Vec<(u8, usize)>, Vec<String>) {
        let text = format!("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n{beside}");
        let chosen = chosen(&Description::parse(&text), wants_sound).expect("there are pictures");
        let tracks = chosen.tracks.iter().map(|it| (it.number.0, it.stream)).collect();
        (tracks, chosen.left_out)
    }

    #[test]
    fn sound_and_records_have_numbers_of_their_own() {
        const RECORDS: &str = "m=application 0 RTP/AVP 98\na=rtpmap:98 VND.ONVIF.METADATA/90000\n";
        let both = format!("{RECORDS}m=audio 0 RTP/AVP 8\n");
        assert_eq!(of(&both, true), (vec![(0, 0), (1, 2), (2, 1)], vec![]));
        assert_eq!(of(&both, false), (vec![(0, 0), (2, 1)], vec![]));
        assert_eq!(of("m=application 0 RTP/AVP 98\na=rtpmap:98 x/9\n", true).1, [""; 0]);
    }

    #[test]
    fn sound_that_the_camera_would_like_to_get_is_none() {
        let back = "m=audio 0 RTP/AVP 0\na=sendonly\n";
        assert_eq!(of(back, true), (vec![(0, 0)], vec![]));
        let both = format!("{back}m=audio 0 RTP/AVP 8\na=recvonly\n");
        assert_eq!(of(&both, true).0, [(0, 0), (1, 2)]);
        // Of a camera that means itself.
        let own = format!("a=sendonly\n{back}");
        assert_eq!(of(&own, true).0, [(0, 0), (1, 1)]);
    }

    #[test]
    fn sound_that_cannot_be_recorded_is_left_out_with_a_reason() {
        let latm = "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000\n";
        let why = "audio mp4a-latm: this coding is not recorded".to_owned();
        assert_eq!(of(latm, true), (vec![(0, 0)], vec![why]));
        let other = format!("{latm}m=audio 0 RTP/AVP 0\n");
        assert_eq!(of(&other, true), (vec![(0, 0), (1, 2)], vec![]), "there is other sound");
        for (map, why) in [
            ("0 RTP/AVP 9", "audio g722: this coding is not recorded"),
            (
                "0 RTP/AVP 97\na=rtpmap:97 G726-32/8000",
                "audio g726-32: this coding is not recorded",
            ),
        ] {
            assert_eq!(of(&format!("m=audio {map}\n"), true).1, [why]);
        }
        let aac = "m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/16000\n";
        let why = "audio mpeg4-generic: its description has no config".to_owned();
        assert_eq!(of(aac, true).1, [why]);
    }

    #[test]
    fn a_camera_without_such_a_stream_is_told_what_it_offers() {
        let refused = |text: &str| match offered(text) {
            Ok(_) => panic!("nothing can be recorded"),
            Err(error) => error.to_string(),
        };
        assert_eq!(refused(""), "no H.264, H.265 or MJPEG video: the camera offers nothing");
        let words = "no H.264, H.265 or MJPEG video: the camera offers video mpv, audio pcmu";
        assert_eq!(refused("m=video 0 RTP/AVP 32\nm=audio 0 RTP/AVP 0"), words);
    }
}
