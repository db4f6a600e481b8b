//! The streams of a description that are recorded, and the frames of each.

use std::sync::Arc;

use retina::codec::{ParametersRef, VideoFrame, VideoParameters};

use super::coding::{Coding, Content};
use super::error::{CameraError, one_line};
use super::parameters::Parameters;
use crate::clock::Reading;
use crate::segment::{self, ParameterSet, TrackNumber};

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
    /// before it, without parameter sets (ISO/IEC 14496-15, 5.3.2).
    pub data: Vec<u8>,
    /// Whether decoding can begin here.
    pub is_key: bool,
    /// What decodes this frame and those of its track after it; given with the first one and
    /// whenever their bytes change.
    pub parameters: Option<Arc<Parameters>>,
    /// Packets lost between the frame of the track before and this one: that many, and the
    /// frames that they belonged to, are missing.
    pub lost_packets: u32,
    /// When it was complete.
    pub received: Reading,
}

/// A stream of a session that is recorded.
pub(super) struct Track {
    number: TrackNumber,
    /// Its place in the description.
    pub(super) stream: usize,
    pub(super) coding: &'static Coding,
    /// What was given with a frame last.
    parameters: Option<Arc<Parameters>>,
    parameters_doubtful: bool,
    lost_packets: u32,
    /// The last picture: some servers send it twice.
    last: Option<Seen>,
    /// Ticks between the last two.
    step: Option<i64>,
    /// Something was left out since the last picture that may have been part of one.
    doubtful: bool,
}

/// What a picture is known again by: its time, its length, and how it begins.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    timestamp: i64,
    length: usize,
    beginning: Vec<u8>,
}

/// So much of a picture, in bytes: another slice of the same picture begins with another place.
const BEGINNING_BYTES: usize = 256;

impl Seen {
    fn of(picture: &VideoFrame) -> Seen {
        let data = picture.data();
        Seen {
            timestamp: picture.timestamp().timestamp(),
            length: data.len(),
            beginning: data[..data.len().min(BEGINNING_BYTES)].to_vec(),
        }
    }
}

/// Chooses from the streams that are offered, by media type and encoding name: the first one
/// that can be recorded. Tracks are numbered in the order in which they are chosen.
///
/// # Errors
/// If there is no such stream: names what is offered.
pub(super) fn chosen(offered: &[(&str, &str)]) -> Result<Vec<Track>, CameraError> {
    let known = |(stream, (media, encoding)): (usize, &(&str, &str))| {
        Some((stream, Coding::described_as(media, encoding)?))
    };
    let first = offered.iter().enumerate().find_map(known);
    if first.is_none() {
        let offers: Vec<String> =
            offered.iter().map(|(media, encoding)| format!("{media} {encoding}")).collect();
        let offers = if offers.is_empty() { "nothing".to_string() } else { offers.join(", ") };
        return Err(CameraError::NoVideo { wanted: Coding::names(), offered: one_line(&offers) });
    }
    let numbers = (0..).map(TrackNumber);
    let tracks = first.into_iter().zip(numbers);
    Ok(tracks.map(|((stream, coding), number)| Track::new(number, stream, coding)).collect())
}

impl Track {
    fn new(number: TrackNumber, stream: usize, coding: &'static Coding) -> Track {
        Track {
            number,
            stream,
            coding,
            parameters: None,
            parameters_doubtful: true,
            lost_packets: 0,
            last: None,
            step: None,
            doubtful: false,
        }
    }

    /// Packets that can't be understood are left out before the next picture.
    pub(super) fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// Whether what was left out before a picture was part of one: it lacks its beginning, or there
    /// is room for another before it.
    fn lacks(&mut self, picture: &VideoFrame) -> bool {
        let step = |last: &Seen| picture.timestamp().timestamp().saturating_sub(last.timestamp);
        let step = self.last.as_ref().map(step);
        let usual = std::mem::replace(&mut self.step, step);
        let is_far = step.zip(usual).is_some_and(|(step, usual)| step > usual + usual / 2);
        std::mem::take(&mut self.doubtful)
            && (is_far || !(self.coding.begins_whole)(picture.data()))
    }

    /// A picture as the recorder wants it, `told` being what its stream says of its parameters by
    /// now; `None` where it is none, or nobody could decode it.
    pub(super) fn frame(
        &mut self,
        picture: VideoFrame,
        told: Option<ParametersRef<'_>>,
        received: Reading,
    ) -> Option<Frame> {
        self.lost_packets += u32::from(picture.loss());
        self.parameters_doubtful |= picture.has_new_parameters();
        let content = (self.coding.content)(picture.data());
        let seen = Seen::of(&picture);
        if content == Content::Nothing || self.last.as_ref() == Some(&seen) {
            return None;
        }
        self.lost_packets += u32::from(self.lacks(&picture));
        self.last = Some(seen);
        let mut parameters = None;
        if self.parameters_doubtful {
            // A camera's word that its parameters are new may flap; only other bytes are news, and
            // only they are looked into.
            let set = self.coding.parameter_set(video(told)?)?;
            let encoded = set.encode();
            if self.parameters.as_ref().is_none_or(|known| *known.encoded != *encoded) {
                let depth = (self.coding.reorder_depth)(&set.configuration);
                let new = Arc::new(Parameters::new(&set, encoded.into(), depth));
                self.parameters = Some(Arc::clone(&new));
                parameters = Some(new);
            }
            self.parameters_doubtful = false;
        }
        let timestamp = picture.timestamp();
        Some(Frame {
            track: self.number,
            pts: timestamp.timestamp(),
            timescale: timestamp.clock_rate().get(),
            is_key: picture.is_random_access_point() && content == Content::Key,
            parameters,
            lost_packets: std::mem::take(&mut self.lost_packets),
            received,
            data: picture.into_data(),
        })
    }
}

/// What a stream says of its pictures.
pub(super) fn video(told: Option<ParametersRef<'_>>) -> Option<&VideoParameters> {
    match told? {
        ParametersRef::Video(video) => Some(video),
        ParametersRef::Audio(_) | ParametersRef::Message(_) => None,
    }
}

impl Coding {
    /// A stream's parameters; `None` where a picture is larger than a set can say.
    fn parameter_set(&self, video: &VideoParameters) -> Option<ParameterSet> {
        let (width, height) = video.pixel_dimensions();
        let aspect = video.pixel_aspect_ratio().unwrap_or((1, 1));
        let small = |(a, b)| Some((u16::try_from(a).ok()?, u16::try_from(b).ok()?));
        let (width, height) = small((width, height))?;
        Some(ParameterSet {
            codec: self.codec,
            configuration: video.extra_data().to_vec(),
            video: Some(segment::VideoParameters {
                width,
                height,
                pixel_aspect: small(aspect).filter(|(a, b)| *a > 0 && *b > 0).unwrap_or((1, 1)),
            }),
            audio: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_offered_the_first_that_can_be_recorded_is_the_first_track() {
        let offered = [("audio", "pcmu"), ("video", "jpeg"), ("video", "h264"), ("video", "h264")];
        let tracks = chosen(&offered).expect("there is one");
        let told: Vec<_> =
            tracks.iter().map(|track| (track.number, track.stream, track.coding.name)).collect();
        assert_eq!(told, [(TrackNumber(0), 2, "H.264")]);
    }

    #[test]
    fn a_camera_without_such_a_stream_is_told_what_it_offers() {
        let refused = |offered: &[(&str, &str)]| match chosen(offered) {
            Ok(_) => panic!("nothing can be recorded"),
            Err(error) => error.to_string(),
        };
        assert_eq!(refused(&[]), "no H.264 video: the camera offers nothing");
        let offered = [("video", "jpeg"), ("audio", "pcmu")];
        let words = "no H.264 video: the camera offers video jpeg, audio pcmu";
        assert_eq!(refused(&offered), words);
    }
}
