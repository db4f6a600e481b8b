//! One session with a camera: from its URL to coded pictures.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use retina::client::{
    Credentials, Demuxed, Described, InitialTimestampPolicy, PlayOptions, Session, SessionGroup,
    SessionOptions, SetupOptions, TcpTransportOptions, Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParameters};

use super::Camera;
use super::error::{CameraError, one_line};
use super::session::{Hosts, wait_for_stale, wait_for_teardown};
use crate::clock::{Clock, Deadline, Reading};
use crate::segment;

/// A name server that does not answer within this is as good as none.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the first packet to the list of streams: connection, two requests where the camera asks
/// for credentials. Cheap cameras take a second or two to wake their encoder.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// One request and its answer.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// One request and its answer.
const PLAY_TIMEOUT: Duration = Duration::from_secs(10);
/// Between pictures. Long enough for a camera that slows down to a picture in ten seconds, short
/// enough that a dead connection, which TCP itself reports after a quarter of an hour, costs
/// little. It also bounds what a picture that never ends can take of memory.
const FRAME_TIMEOUT: Duration = Duration::from_secs(15);

/// Media type and encoding of the one kind of stream that is recorded, in lower case.
const VIDEO: (&str, &str) = ("video", "h264");

/// What is known of the pictures when a session begins, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoFacts {
    /// RFC 6381 name of the codec; empty where the camera told no parameters yet.
    pub codec: String,
    /// Width and height, in pixels; 0 where the camera told no parameters yet.
    pub picture: (u32, u32),
    /// Pictures a second, where the camera says so.
    pub frame_rate: Option<f64>,
}

/// One coded picture.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Presentation time in ticks: the RTP timestamp, unwrapped.
    pub pts: i64,
    /// Ticks a second.
    pub timescale: u32,
    /// NAL units, each with a length of four bytes before it, without parameter sets
    /// (ISO/IEC 14496-15, 5.3.2).
    pub data: Vec<u8>,
    /// Whether decoding can begin here (IDR).
    pub is_key: bool,
    /// The encoded [`segment::ParameterSet`] that decodes this picture and those after it; given
    /// with the first picture and whenever its bytes change.
    pub parameters: Option<Arc<[u8]>>,
    /// Packets lost between the picture before and this one: that many, and the pictures that
    /// they belonged to, are missing.
    pub lost_packets: u32,
    /// When it was complete.
    pub received: Reading,
}

/// The pictures of one session, in the order of decoding.
pub struct Frames {
    demuxed: Demuxed,
    stream: usize,
    facts: VideoFacts,
    parameters: Option<Arc<[u8]>>,
    parameters_doubtful: bool,
    lost_packets: u32,
    deadline: Deadline,
    peer: (String, u16),
    group: Arc<SessionGroup>,
    clock: Arc<dyn Clock>,
}

/// Opens a session and starts it.
///
/// # Errors
/// Names the step that failed and why. Every step has a time-out.
pub async fn connect(
    camera: &Camera,
    hosts: &Hosts,
    clock: Arc<dyn Clock>,
) -> Result<Frames, CameraError> {
    let group = hosts.group(camera.host());
    wait_for_stale(&group).await;
    resolve(camera).await?;
    let peer = (camera.host(), camera.port());
    let described = Session::describe(camera.url.clone(), options(camera, &group));
    let mut session = step("describe", DESCRIBE_TIMEOUT, peer, described).await?;
    let stream = video_stream(&session)?;
    let setup = SetupOptions::default()
        .transport(Transport::Tcp(TcpTransportOptions::default()))
        .frame_format(FrameFormat::MP4);
    step("set-up", SETUP_TIMEOUT, peer, session.setup(stream, setup)).await?;
    let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
    let playing = step("play", PLAY_TIMEOUT, peer, session.play(play)).await?;
    let demuxed = playing
        .demuxed()
        .map_err(|error| CameraError::from_library("stream description", peer, &error))?;
    let facts = video_facts(&demuxed, stream);
    Ok(Frames {
        demuxed,
        stream,
        facts,
        parameters: None,
        parameters_doubtful: true,
        lost_packets: 0,
        deadline: Deadline::after(FRAME_TIMEOUT),
        peer: (peer.0.to_string(), peer.1),
        group,
        clock,
    })
}

fn options(camera: &Camera, group: &Arc<SessionGroup>) -> SessionOptions {
    let credentials = camera.username.clone().map(|username| Credentials {
        username,
        password: camera.password.clone().unwrap_or_default(),
    });
    SessionOptions::default()
        .creds(credentials)
        .session_group(Arc::clone(group))
        .user_agent(concat!("reelfs/", env!("CARGO_PKG_VERSION")).to_string())
}

/// The library would resolve the name, too, but not say that this is what failed.
async fn resolve(camera: &Camera) -> Result<(), CameraError> {
    let host = camera.host();
    // Brackets of an IPv6 address belong to the URL and not to the address.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |why: String| CameraError::Resolve { host: host.to_string(), why };
    let lookup = tokio::net::lookup_host((name, camera.port()));
    match tokio::time::timeout(RESOLVE_TIMEOUT, lookup).await {
        Err(_) => Err(failed(format!("no answer within {} s", RESOLVE_TIMEOUT.as_secs()))),
        Ok(Err(error)) => Err(failed(one_line(&error.to_string()))),
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(_) => Ok(()),
            None => Err(failed("no address".to_string())),
        },
    }
}

/// One step with its time-out. A panic inside the library, which parses what strangers send, is
/// an error of this session and not the end of the recorder.
async fn step<T>(
    stage: &'static str,
    limit: Duration,
    peer: (&str, u16),
    future: impl Future<Output = Result<T, retina::Error>>,
) -> Result<T, CameraError> {
    let caught = AssertUnwindSafe(future).catch_unwind();
    match tokio::time::timeout(limit, caught).await {
        Err(_) => Err(CameraError::TimedOut { stage, waited: limit }),
        Ok(Err(_)) => Err(panicked(stage)),
        Ok(Ok(result)) => result.map_err(|error| CameraError::from_library(stage, peer, &error)),
    }
}

fn panicked(stage: &'static str) -> CameraError {
    CameraError::Protocol { stage, why: "the RTSP library panicked".to_string() }
}

fn video_stream(session: &Session<Described>) -> Result<usize, CameraError> {
    let streams = session.streams();
    let wanted = |media: &str, encoding: &str| (media, encoding) == VIDEO;
    streams
        .iter()
        .position(|stream| wanted(stream.media(), &stream.encoding_name().to_ascii_lowercase()))
        .ok_or_else(|| {
            let offers: Vec<String> = streams
                .iter()
                .map(|stream| format!("{} {}", stream.media(), stream.encoding_name()))
                .collect();
            let offered = if offers.is_empty() { "nothing".to_string() } else { offers.join(", ") };
            CameraError::NoVideo { offered: one_line(&offered) }
        })
}

fn video_parameters(demuxed: &Demuxed, stream: usize) -> Option<&VideoParameters> {
    match demuxed.streams().get(stream)?.parameters()? {
        ParametersRef::Video(video) => Some(video),
        ParametersRef::Audio(_) | ParametersRef::Message(_) => None,
    }
}

fn video_facts(demuxed: &Demuxed, stream: usize) -> VideoFacts {
    let described = demuxed.streams().get(stream).and_then(retina::client::Stream::framerate);
    let Some(video) = video_parameters(demuxed, stream) else {
        return VideoFacts { frame_rate: described.map(f64::from), ..VideoFacts::default() };
    };
    // The parameters give the duration of a picture, as a fraction of a second.
    let coded = video.frame_rate().filter(|(length, _)| *length > 0);
    VideoFacts {
        codec: video.rfc6381_codec().to_string(),
        picture: video.pixel_dimensions(),
        frame_rate: coded
            .map(|(length, scale)| f64::from(scale) / f64::from(length))
            .or(described.map(f64::from)),
    }
}

/// What the ring keeps of a camera's parameters, encoded.
fn encoded_parameters(video: &VideoParameters) -> Option<Arc<[u8]>> {
    let (width, height) = video.pixel_dimensions();
    let aspect = video.pixel_aspect_ratio().unwrap_or((1, 1));
    let small = |(a, b)| Some((u16::try_from(a).ok()?, u16::try_from(b).ok()?));
    let (width, height) = small((width, height))?;
    let set = segment::ParameterSet {
        codec: segment::Codec::H264,
        configuration: video.extra_data().to_vec(),
        video: Some(segment::VideoParameters {
            width,
            height,
            pixel_aspect: small(aspect).filter(|(a, b)| *a > 0 && *b > 0).unwrap_or((1, 1)),
        }),
        audio: None,
    };
    Some(set.encode().into())
}

impl Frames {
    /// What was known of the pictures when the session began.
    #[must_use]
    pub fn facts(&self) -> &VideoFacts {
        &self.facts
    }

    /// The next picture. Cancelling the future loses nothing.
    ///
    /// # Errors
    /// Any error ends the session: drop it and connect again.
    pub async fn next(&mut self) -> Result<Frame, CameraError> {
        loop {
            let item = AssertUnwindSafe(self.demuxed.next()).catch_unwind();
            let item = match tokio::time::timeout(self.deadline.left(), item).await {
                Err(_) => {
                    let (stage, waited) = ("waiting for pictures", FRAME_TIMEOUT);
                    return Err(CameraError::TimedOut { stage, waited });
                }
                Ok(Err(_)) => return Err(panicked("receiving")),
                Ok(Ok(None)) => return Err(CameraError::Ended),
                Ok(Ok(Some(Err(error)))) => {
                    let peer = (self.peer.0.as_str(), self.peer.1);
                    return Err(CameraError::from_library("receiving", peer, &error));
                }
                Ok(Ok(Some(Ok(item)))) => item,
            };
            if let CodecItem::VideoFrame(frame) = item
                && let Some(frame) = self.frame(frame)
            {
                self.deadline = Deadline::after(FRAME_TIMEOUT);
                return Ok(frame);
            }
        }
    }

    /// A picture as the recorder wants it; `None` where it is none, or nobody could decode it.
    fn frame(&mut self, frame: VideoFrame) -> Option<Frame> {
        let received = self.clock.read();
        self.lost_packets += u32::from(frame.loss());
        self.parameters_doubtful |= frame.has_new_parameters();
        let slices = slices(frame.data());
        if slices == Slices::None {
            return None;
        }
        let mut parameters = None;
        if self.parameters_doubtful {
            // A camera's word that its parameters are new may flap; only other bytes are news.
            let encoded = encoded_parameters(video_parameters(&self.demuxed, self.stream)?)?;
            if self.parameters.as_ref() != Some(&encoded) {
                self.parameters = Some(Arc::clone(&encoded));
                parameters = Some(encoded);
            }
            self.parameters_doubtful = false;
        }
        let timestamp = frame.timestamp();
        Some(Frame {
            pts: timestamp.timestamp(),
            timescale: timestamp.clock_rate().get(),
            is_key: frame.is_random_access_point() && slices == Slices::Idr,
            parameters,
            lost_packets: std::mem::take(&mut self.lost_packets),
            received,
            data: frame.into_data(),
        })
    }

    /// Ends the session and gives the camera a moment to hear of it.
    pub async fn close(self) {
        let group = Arc::clone(&self.group);
        drop(self);
        wait_for_teardown(&group).await;
    }
}

/// Which coded picture an access unit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slices {
    /// None: only a delimiter, filler or messages.
    None,
    /// One that decoding can begin with.
    Idr,
    /// Another.
    Other,
}

/// Looks for slices (`nal_unit_type` 1 to 5; ITU-T H.264, table 7-1) among NAL units with
/// lengths of four bytes. The library calls a unit without any slice a key frame.
fn slices(mut data: &[u8]) -> Slices {
    let mut found = Slices::None;
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        match rest[..length].first().map(|header| header & 0x1f) {
            Some(5) => return Slices::Idr,
            Some(1..=4) => found = Slices::Other,
            _ => {}
        }
        data = &rest[length..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(headers: &[u8]) -> Vec<u8> {
        headers.iter().flat_map(|header| [0, 0, 0, 2, *header, 0x80]).collect()
    }

    #[test]
    fn a_unit_without_slices_is_no_picture() {
        assert_eq!(slices(&units(&[0x09, 0x06, 0x0c])), Slices::None);
        assert_eq!(slices(&units(&[0x09, 0x06, 0x65])), Slices::Idr);
        assert_eq!(slices(&units(&[0x09, 0x41])), Slices::Other);
        assert_eq!(slices(&[0, 0, 0]), Slices::None);
        assert_eq!(slices(&[0xff, 0xff, 0xff, 0xff, 0x41]), Slices::Other);
        assert_eq!(slices(&[]), Slices::None);
    }
}
