//! The streams of a description that are recorded, and the frames of each.

use std::collections::VecDeque;
use std::sync::Arc;

use super::coding::{Coded, Coding, Depacketizer, Heard};
use super::error::{CameraError, one_line};
use super::odd::Odd;
use super::parameters::Parameters;
use super::rtp::Packet;
use super::sdp::{Description, Format};
use super::source::Source;
use crate::clock::Reading;
use crate::segment::{TrackKind, TrackNumber};
use crate::units::WallTime;

/// One coded frame of one track: a sample to be.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The track that it belongs to.
    pub track: TrackNumber,
    /// Presentation time in ticks: the RTP timestamp (RFC 3550, 5.1), unwrapped.
    pub pts: i64,
    /// Ticks a second: the clock rate of its track.
    pub timescale: u32,
    /// Its bytes as an mp4 holds them. Of video: NAL units, each with a length of four bytes
    /// before it (ISO/IEC 14496-15, 5.3.2). A key frame begins with all parameter sets that are
    /// known, and so does one with `is_recovery`; another frame has those that changed with it.
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
    /// Ticks until the frame behind it, where the coding says so: of sound.
    pub duration: Option<u32>,
    /// When it was captured, by the clock of the camera, where its sender reports are sane
    /// (RFC 3550, 6.4.1).
    pub captured: Option<WallTime>,
    /// What decodes this frame and those of its track after it; given with the first one and
    /// whenever their bytes change.
    pub parameters: Option<Arc<Parameters>>,
    /// Packets lost between the frame of the track before and this one: that many, and the
    /// frames that they belonged to, are missing.
    pub lost_packets: u32,
    /// When it was complete.
    pub received: Reading,
}

/// Ticks a second where a description does not say (RFC 6184, 8.1).
const CLOCK_RATE: u32 = 90_000;

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
    depacketizer: Box<dyn Depacketizer>,
    /// Packets so far.
    pub(super) packets: u64,
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

/// Kinds of tracks in the order in which they are numbered: pictures lead.
const KINDS: [TrackKind; 3] = [TrackKind::Video, TrackKind::Audio, TrackKind::Timed];

/// Chooses from what is offered: of each kind the first stream that can be recorded. Tracks are
/// numbered in the order in which they are chosen.
///
/// # Errors
/// If there are no pictures that can be recorded: names what is offered.
pub(super) fn chosen(offered: &Description) -> Result<Vec<Track>, CameraError> {
    let first_of = |kind: TrackKind| {
        offered.media.iter().enumerate().find_map(|(stream, media)| {
            media.formats.iter().find_map(|format| {
                let coding = Coding::described_as(&media.kind, &format.encoding)?;
                (coding.kind == kind).then_some((stream, coding, format, media.frame_rate))
            })
        })
    };
    let chosen = KINDS.into_iter().filter_map(first_of);
    let tracks = chosen.zip(0..).map(|((stream, coding, format, frame_rate), number)| {
        Track::new(TrackNumber(number), stream, coding, format, frame_rate)
    });
    let tracks: Vec<Track> = tracks.collect();
    if tracks.first().is_some_and(|track| track.coding.kind == TrackKind::Video) {
        return Ok(tracks);
    }
    let media = offered.media.iter();
    let offers: Vec<String> =
        media.map(|it| format!("{} {}", it.kind, it.formats[0].encoding)).collect();
    let offers = if offers.is_empty() { "nothing".to_string() } else { offers.join(", ") };
    Err(CameraError::NoVideo { wanted: Coding::names(), offered: one_line(&offers) })
}

impl Track {
    fn new(
        number: TrackNumber,
        stream: usize,
        coding: &'static Coding,
        format: &Format,
        frame_rate: Option<f64>,
    ) -> Track {
        let timescale = coding.clock_rate.or(format.clock_rate).unwrap_or(CLOCK_RATE);
        Track {
            number,
            stream,
            channel: 2 * number.0,
            coding,
            timescale,
            frame_rate,
            source: Source::new(format.payload_type, format.other_type, timescale),
            depacketizer: (coding.depacketizer)(format),
            packets: 0,
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
        let taken = self.depacketizer.push(&packet, place, received);
        self.complete(frames);
        taken
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
            frames.push_back(self.frame(coded));
        }
    }

    fn frame(&self, coded: Coded) -> Frame {
        Frame {
            track: self.number,
            pts: coded.time,
            timescale: self.timescale,
            data: coded.data,
            is_key: coded.is_key,
            is_recovery: coded.is_recovery,
            is_leading: coded.is_leading,
            duration: coded.duration,
            captured: None,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(text: &str) -> Result<Vec<Track>, CameraError> {
        chosen(&Description::parse(text))
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
        assert_eq!(told, [(TrackNumber(0), 2, "H.264")]);
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
