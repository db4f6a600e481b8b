//! One session with a camera: from its URL to coded frames.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use retina::client::{
    Credentials, Demuxed, Described, InitialTimestampPolicy, PlayOptions, Session, SessionGroup,
    SessionOptions, SetupOptions, TcpTransportOptions, Transport,
};
use retina::codec::{CodecItem, FrameFormat, VideoFrame};
use retina::rtcp::ReceivedCompoundPacket;

use super::Camera;
use super::error::{CameraError, one_line};
use super::odd_packets::OddPackets;
use super::session::{Hosts, wait_for_stale, wait_for_teardown};
use super::track::{Frame, Track, chosen, video};
use crate::clock::{Clock, Deadline};

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
/// Behind it the socket is looked at for so long before that counts as a time-out: what waits there
/// is read first.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// For pictures of another source, where the one so far has said that it leaves: a server at the
/// end of its file says so, and keeps the connection open.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);
/// Packet type of "goodbye" (RFC 3550, 6.6).
const RTCP_BYE: u8 = 203;

/// What is known of the pictures when a session begins, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoFacts {
    /// What people call the coding; empty where the camera told no parameters yet.
    pub coding: &'static str,
    /// RFC 6381 name of the codec; empty where the camera told no parameters yet.
    pub codec: String,
    /// Width and height, in pixels; 0 where the camera told no parameters yet.
    pub picture: (u32, u32),
    /// Pictures a second, where the camera says so.
    pub frame_rate: Option<f64>,
}

/// The frames of one session, those of each track in the order of decoding.
pub struct Frames {
    demuxed: Demuxed,
    tracks: Vec<Track>,
    facts: VideoFacts,
    deadline: Deadline,
    /// The deadline was over once already, and the socket is looked at for the last time.
    looked_last: bool,
    /// The source of the pictures has said that it leaves, and none has come since.
    has_left: bool,
    peer: (String, u16),
    group: Arc<SessionGroup>,
    clock: Arc<dyn Clock>,
    odd: OddPackets,
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
    let options = options(camera, &group)?;
    wait_for_stale(&group).await;
    resolve(camera).await?;
    let peer = (camera.host(), camera.port());
    let described = Session::describe(camera.url.clone(), options);
    let mut session = step("describe", DESCRIBE_TIMEOUT, peer, described).await?;
    let tracks = recorded(&session)?;
    for track in &tracks {
        let setup = SetupOptions::default()
            .transport(Transport::Tcp(TcpTransportOptions::default()))
            .frame_format(FrameFormat::MP4);
        step("set-up", SETUP_TIMEOUT, peer, session.setup(track.stream, setup)).await?;
    }
    let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
    let playing = step("play", PLAY_TIMEOUT, peer, session.play(play)).await?;
    let demuxed = playing
        .demuxed()
        .map_err(|error| CameraError::from_library("stream description", peer, &error))?;
    let facts = tracks.first().map(|track| video_facts(&demuxed, track)).unwrap_or_default();
    Ok(Frames {
        demuxed,
        tracks,
        facts,
        deadline: Deadline::after(FRAME_TIMEOUT),
        looked_last: false,
        has_left: false,
        peer: (peer.0.to_string(), peer.1),
        group,
        clock,
        odd: OddPackets::new(&camera.name),
    })
}

/// The camera is not asked where there is no password for it.
fn options(camera: &Camera, group: &Arc<SessionGroup>) -> Result<SessionOptions, CameraError> {
    let failed = |why: String| CameraError::Authentication { why };
    let credentials = match camera.username.clone() {
        None => None,
        Some(username) => {
            let password = camera.password.clone().map_err(failed)?;
            Some(Credentials { username, password })
        }
    };
    Ok(SessionOptions::default()
        .creds(credentials)
        .session_group(Arc::clone(group))
        .user_agent(concat!("reelfs/", env!("CARGO_PKG_VERSION")).to_string()))
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

/// The streams of a session that are recorded.
fn recorded(session: &Session<Described>) -> Result<Vec<Track>, CameraError> {
    let streams = session.streams();
    let offered: Vec<(&str, &str)> =
        streams.iter().map(|stream| (stream.media(), stream.encoding_name())).collect();
    chosen(&offered)
}

fn video_facts(demuxed: &Demuxed, track: &Track) -> VideoFacts {
    let stream = demuxed.streams().get(track.stream);
    let described = stream.and_then(|stream| stream.framerate());
    let Some(video) = video(stream.and_then(|stream| stream.parameters())) else {
        return VideoFacts { frame_rate: described.map(f64::from), ..VideoFacts::default() };
    };
    // The parameters give the duration of a picture, as a fraction of a second.
    let coded = video.frame_rate().filter(|(length, _)| *length > 0);
    VideoFacts {
        coding: track.coding.name,
        codec: video.rfc6381_codec().to_string(),
        picture: video.pixel_dimensions(),
        frame_rate: coded
            .map(|(length, scale)| f64::from(scale) / f64::from(length))
            .or(described.map(f64::from)),
    }
}

impl Frames {
    /// What was known of the pictures when the session began.
    #[must_use]
    pub fn facts(&self) -> &VideoFacts {
        &self.facts
    }

    /// The next frame of any track. Cancelling the future loses nothing.
    ///
    /// # Errors
    /// Any error ends the session: drop it and connect again. A packet that can't be understood is
    /// none.
    pub async fn next(&mut self) -> Result<Frame, CameraError> {
        loop {
            let item = AssertUnwindSafe(self.demuxed.next()).catch_unwind();
            let item = match tokio::time::timeout(self.deadline.left(), item).await {
                // A process that was stopped, or was kept from running, wakes up behind its
                // deadline, and to a socket that nobody has looked at yet.
                Err(_) if !std::mem::replace(&mut self.looked_last, true) => {
                    self.deadline = Deadline::after(LAST_LOOK);
                    continue;
                }
                Err(_) if self.has_left => return Err(CameraError::Ended),
                Err(_) => {
                    let (stage, waited) = ("waiting for pictures", FRAME_TIMEOUT);
                    return Err(CameraError::TimedOut { stage, waited });
                }
                Ok(Err(_)) => return Err(panicked("receiving")),
                // What an error was final for is over without another word.
                Ok(Ok(None)) => return Err(self.odd.last.take().unwrap_or(CameraError::Ended)),
                Ok(Ok(Some(Err(error)))) => {
                    let peer = (self.peer.0.as_str(), self.peer.1);
                    self.odd.take(CameraError::from_library("receiving", peer, &error))?;
                    self.tracks.iter_mut().for_each(Track::doubt);
                    continue;
                }
                Ok(Ok(Some(Ok(item)))) => item,
            };
            self.odd.last = None;
            if let CodecItem::Rtcp(report) = &item
                && self.is_farewell(report)
            {
                self.has_left = true;
                self.deadline = Deadline::after(FAREWELL_TIMEOUT);
            }
            if let CodecItem::VideoFrame(picture) = item
                && let Some(frame) = self.frame(picture)
            {
                self.deadline = Deadline::after(FRAME_TIMEOUT);
                (self.looked_last, self.has_left) = (false, false);
                return Ok(frame);
            }
        }
    }

    /// Whether a source of one of the tracks says that it leaves. Another one may take its place.
    fn is_farewell(&self, report: &ReceivedCompoundPacket) -> bool {
        self.tracks.iter().any(|track| track.stream == report.stream_id())
            && report.pkts().any(|packet| packet.payload_type() == RTCP_BYE)
    }

    fn frame(&mut self, picture: VideoFrame) -> Option<Frame> {
        let received = self.clock.read();
        let stream = picture.stream_id();
        let track = self.tracks.iter_mut().find(|track| track.stream == stream)?;
        let told = self.demuxed.streams().get(stream).and_then(|stream| stream.parameters());
        track.frame(picture, told, received)
    }

    /// Ends the session and gives the camera a moment to hear of it.
    pub async fn close(self) {
        let group = Arc::clone(&self.group);
        drop(self);
        wait_for_teardown(&group).await;
    }
}
