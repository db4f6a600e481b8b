//! The streams of a description that are recorded, and the frames of each.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::coding::Coding;
use super::error::{CameraError, one_line};
use super::parameters::Parameters;
use super::picture::{Assembler, Odd, Picture};
use super::rtp::Packet;
use super::sdp::{Description, Format};
use super::sets::Sets;
use super::source::Source;
use crate::clock::Reading;
use crate::segment::TrackNumber;
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
    /// known; another frame has those that changed with it.
    pub data: Vec<u8>,
    /// Whether decoding can begin here.
    pub is_key: bool,
    /// Whether what is decoded from here on is right some frames later (ITU-T H.264, D.2.8; H.265,
    /// D.3.8): where there is no key frame, a clip can begin with it.
    pub is_recovery: bool,
    /// Whether it is shown before the key frame that it follows, and needs frames from before that:
    /// a decoder that begins there leaves it out (ITU-T H.265, 3.131 RASL).
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
    pub(super) coding: &'static Coding,
    timescale: u32,
    pub(super) source: Source,
    assembler: Assembler,
    sets: Sets,
    /// The sets are not those that `parameters` were made from.
    has_new_sets: bool,
    /// What was given with a frame last.
    parameters: Option<Arc<Parameters>>,
    /// What people want to know of it.
    pub(super) facts: VideoFacts,
    lost_packets: u32,
    /// The last picture: some servers send it twice.
    last: Option<Seen>,
    /// Ticks between the last two.
    step: Option<i64>,
    pub(super) heard: Heard,
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

/// How much has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) packets: u64,
    pub(super) pictures: u64,
    pub(super) key_pictures: u64,
}

/// What a picture is known again by: its time, its length, and how it begins.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    time: i64,
    length: usize,
    beginning: Vec<u8>,
}

/// So much of a picture, in bytes: another slice of the same picture begins with another place.
const BEGINNING_BYTES: usize = 256;

impl Seen {
    fn of(picture: &Picture) -> Seen {
        let beginning = picture.data[..picture.data.len().min(BEGINNING_BYTES)].to_vec();
        Seen { time: picture.time, length: picture.data.len(), beginning }
    }
}

/// Chooses from what is offered: the first stream that can be recorded. Tracks are numbered in the
/// order in which they are chosen.
///
/// # Errors
/// If there is no such stream: names what is offered.
pub(super) fn chosen(offered: &Description) -> Result<Vec<Track>, CameraError> {
    let known = offered.media.iter().enumerate().find_map(|(stream, media)| {
        media.formats.iter().find_map(|format| {
            let coding = Coding::described_as(&media.kind, &format.encoding)?;
            Some((stream, coding, format, media.frame_rate))
        })
    });
    let Some((stream, coding, format, frame_rate)) = known else {
        let media = offered.media.iter();
        let offers: Vec<String> =
            media.map(|it| format!("{} {}", it.kind, it.formats[0].encoding)).collect();
        let offers = if offers.is_empty() { "nothing".to_string() } else { offers.join(", ") };
        return Err(CameraError::NoVideo { wanted: Coding::names(), offered: one_line(&offers) });
    };
    Ok(vec![Track::new(TrackNumber(0), stream, coding, format, frame_rate)])
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
        let mut sets = Sets::default();
        for set in (coding.told_sets)(format) {
            sets.take(coding.syntax, &set);
        }
        Track {
            number,
            stream,
            channel: 2 * number.0,
            coding,
            timescale,
            source: Source::new(format.payload_type, format.other_type, timescale),
            assembler: Assembler::new(coding.syntax),
            sets,
            has_new_sets: true,
            parameters: None,
            facts: VideoFacts { coding: coding.name, frame_rate, ..VideoFacts::default() },
            lost_packets: 0,
            last: None,
            step: None,
            heard: Heard::default(),
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
        self.heard.packets += 1;
        let taken = self.assembler.push(&packet, place, received);
        self.complete(frames);
        taken
    }

    /// Whether a picture waits that may be complete.
    pub(super) fn waits(&self) -> bool {
        self.assembler.waits()
    }

    /// Nothing more comes, or not soon.
    pub(super) fn flush(&mut self, frames: &mut VecDeque<Frame>) {
        self.assembler.flush();
        self.complete(frames);
    }

    fn complete(&mut self, frames: &mut VecDeque<Frame>) {
        while let Some(picture) = self.assembler.next() {
            self.heard.pictures += 1;
            self.heard.key_pictures += u64::from(picture.is_key);
            frames.extend(self.frame(picture));
        }
    }

    /// Whether a parameter set of each kind is known.
    pub(super) fn has_parameters(&self) -> bool {
        self.parameters.is_some()
    }

    /// Whether what was left out before a picture may have been another one: there is room for it.
    fn lacks(&mut self, picture: &Picture) -> bool {
        let step = self.last.as_ref().map(|last| picture.time.saturating_sub(last.time));
        let usual = std::mem::replace(&mut self.step, step);
        let is_far = step.zip(usual).is_some_and(|(step, usual)| step > usual + usual / 2);
        picture.is_doubtful && is_far
    }

    /// A picture as the recorder wants it; `None` where it came before, or nobody could decode it.
    fn frame(&mut self, picture: Picture) -> Option<Frame> {
        self.lost_packets = self.lost_packets.saturating_add(picture.lost);
        let seen = Seen::of(&picture);
        if self.last.as_ref() == Some(&seen) {
            return None;
        }
        let lacks = self.lacks(&picture);
        if lacks {
            self.lost_packets = self.lost_packets.max(picture.skipped).max(1);
        }
        self.last = Some(seen);
        let mut changed = Vec::new();
        for set in &picture.sets {
            if self.sets.take(self.coding.syntax, set) {
                changed.push(set.clone());
            }
        }
        self.has_new_sets |= !changed.is_empty();
        let mut parameters = None;
        if self.has_new_sets && (picture.is_key || self.parameters.is_none()) {
            parameters = self.new_parameters(&picture)?;
        }
        let front = match picture.is_key {
            true => self.sets.in_front(&picture.sets),
            false => Sets::joined(&changed),
        };
        let data = match front.is_empty() {
            true => picture.data,
            false => (self.coding.with_front)(front, &picture.data),
        };
        Some(Frame {
            track: self.number,
            pts: picture.time,
            timescale: self.timescale,
            is_key: picture.is_key,
            parameters,
            is_recovery: false,
            is_leading: false,
            duration: None,
            captured: None,
            lost_packets: std::mem::take(&mut self.lost_packets),
            received: picture.received,
            data,
        })
    }

    /// What decodes a picture, where it is news; `None` where nothing does.
    fn new_parameters(&mut self, picture: &Picture) -> Option<Option<Arc<Parameters>>> {
        let slice = picture.data.get(picture.slice + 4..)?;
        // What strangers send is read by libraries here: a panic in them is no picture, and not
        // the end of the recorder.
        let read = || (self.coding.decoding)(&self.sets, slice);
        let decoding = catch_unwind(AssertUnwindSafe(read)).ok()??;
        self.has_new_sets = false;
        self.assembler.set_fields(decoding.has_fields);
        let size = decoding.set.video.map_or((0, 0), |video| (video.width, video.height));
        self.facts.codec = decoding.codec;
        self.facts.picture = (u32::from(size.0), u32::from(size.1));
        self.facts.frame_rate = decoding.frame_rate.or(self.facts.frame_rate);
        let encoded = decoding.set.encode();
        if self.parameters.as_ref().is_some_and(|known| *known.encoded == *encoded) {
            return Some(None);
        }
        let new = Parameters::new(&decoding.set, encoded.into(), decoding.reorder_depth);
        let new = Arc::new(new);
        self.parameters = Some(Arc::clone(&new));
        Some(Some(new))
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
            "m=audio 0 RTP/AVP 0\nm=video 0 RTP/AVP 26\nm=video 0 RTP/AVP 97 96\n\
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
        assert_eq!(refused(""), "no H.264 video: the camera offers nothing");
        let words = "no H.264 video: the camera offers video jpeg, audio pcmu";
        assert_eq!(refused("m=video 0 RTP/AVP 26\nm=audio 0 RTP/AVP 0"), words);
    }
}
