//! Cameras in, samples out; the only room that knows RTSP, RTP and retina.
//!
//! [`Camera`] says where the pictures come from, [`connect()`] opens a session, or runs a program
//! that writes a transport stream, and answers
//! [`Frames`]: the coded frames of its tracks in the order in which they are decoded, in the form
//! in which an mp4 holds them. Cameras of a hundred makers speak RTSP, each a little wrong: what
//! can be understood is, what can't is left out and counted, and nothing that a camera sends takes
//! more memory than its limit. An error ends the session; whether and when to try again is for the
//! recorder to decide.
//!
//! | part | knows |
//! |---|---|
//! | [`connect()`] | what comes of a camera |
//! | `sessions`, `endpoint` | one session, and the next one before it ends (`renewal`, `beside`) |
//! | `live`, `timers`, `patience`, `nap` | a session at work, and what it waits for |
//! | `opening` | how one is opened |
//! | `inflow` | which track bytes belong to |
//! | `dialogue`, `keep_alive`, `way` | requests and answers; over what packets come (`udp`) |
//! | `wire` | the connection |
//! | `track`, `source` | frames of a track, of whatever coding |
//! | `sender_clock` | the camera's clock |
//! | `coding` | which codings are recorded |
//! | `h264`, `h265`, `jpeg`, `jpeg_header` | codecs of pictures, which nothing else here does |
//! | `nal`, `picture`, `open_picture`, `leading`, `units`, `sets`, `sei` | pictures of NAL units |
//! | `aac`, `opus`, `pcm` (as FLAC), `records` | the same of sound, and of metadata |
//! | `sound` | what those have in common |
//! | `message`, `header`, `sdp`, `auth`, `rtp` | what is written on the wire |
//! | `replay` | the same without a network |
//! | `stored`, `stored_sound` | the same of frames that come whole, out of a container |
//! | `onvif_camera`, `finder` | cameras that are asked where their streams are, and looked for |
//! | `program`, `transported`, `standard_error` | a program instead of a camera, what it writes |
//! | `hosts`, `voice`, `odd`, `secret` | what is remembered, and what is said |
//!
//! The session is our own because each of a hundred forms of it has to be understood, bounded, and
//! recorded: the library's ends with the first word that it does not know. Pictures are put
//! together here because a clip wants all parameter sets of a camera, in front of each key frame,
//! and because markers lie; the library reads the sets.

mod aac;
mod auth;
mod beside;
mod coding;
mod connect;
mod dialogue;
mod endpoint;
mod error;
mod finder;
mod h264;
mod h265;
mod header;
mod hosts;
mod inflow;
mod jpeg;
mod jpeg_header;
mod keep_alive;
mod leading;
mod live;
mod message;
mod nal;
mod nap;
mod odd;
mod onvif_camera;
mod open_picture;
mod opening;
mod opus;
mod order;
mod parameters;
mod patience;
mod pcm;
mod picture;
mod program;
mod records;
mod renewal;
mod replay;
mod rtp;
mod sdp;
mod secret;
mod sei;
mod sender_clock;
mod sessions;
mod sets;
mod sound;
mod source;
mod standard_error;
mod stored;
mod stored_sound;
mod timers;
mod track;
mod transported;
mod udp;
mod units;
mod voice;
mod way;
mod wire;

pub use coding::ReorderDepth;
pub use connect::{Frames, Received, SessionFacts, connect};
pub use endpoint::{Endpoint, PasswordSource, Transport, UDP};
pub use error::{CameraError, Failure, one_line};
pub use hosts::Hosts;
pub use onvif_camera::OnvifCamera;
pub use parameters::{Format, Parameters};
pub use program::{A_PIPE, Program};
pub use replay::Replay;
pub use sound::{Packets, Pcm, Sound};
pub use stored::{At, StoredPicture, StoredPictures};
pub use stored_sound::{SoundTimes, StoredSound};
pub use track::{Frame, SoundFacts, VideoFacts};
pub use voice::Voice;

use url::Url;

use crate::onvif::Wanted;

/// The scheme of cameras that are asked.
pub const ONVIF: &str = "onvif";

/// Where one stream of pictures comes from.
#[derive(Clone, Debug)]
pub enum Camera {
    /// A camera that speaks RTSP.
    Rtsp(Endpoint),
    /// The same, which says itself where its stream is.
    Onvif(OnvifCamera),
    /// A program, which has it from wherever.
    Program(Program),
}

impl Camera {
    /// A camera at `url`, as [`Endpoint::new`] takes it, or [`OnvifCamera::new`] for its largest
    /// pictures.
    ///
    /// # Errors
    /// The same.
    pub fn new(
        name: &str,
        url: &str,
        username: Option<String>,
        password: Option<String>,
    ) -> Result<Camera, CameraError> {
        match Url::parse(url) {
            Ok(url) if url.scheme() == ONVIF => {
                let login = (username, password);
                OnvifCamera::new(name, &url, Wanted::Main, login).map(Camera::Onvif)
            }
            _ => Endpoint::new(name, url, username, password).map(Camera::Rtsp),
        }
    }

    /// The same camera, whose packets come that way.
    #[must_use]
    pub fn with_transport(self, transport: Transport) -> Camera {
        self.with(|endpoint| endpoint.with_transport(transport))
    }

    /// The same camera, whose sound is recorded or not.
    #[must_use]
    pub fn with_audio(self, audio: bool) -> Camera {
        match self {
            Camera::Program(program) => Camera::Program(program.with_audio(audio)),
            other => other.with(|endpoint| endpoint.with_audio(audio)),
        }
    }

    /// The same camera, whose password `source` tells anew when a login was refused.
    #[must_use]
    pub fn with_password_source(self, source: PasswordSource) -> Camera {
        self.with(|endpoint| endpoint.with_password_source(source))
    }

    fn with(self, change: impl FnOnce(Endpoint) -> Endpoint) -> Camera {
        match self {
            Camera::Rtsp(endpoint) => Camera::Rtsp(change(endpoint)),
            Camera::Onvif(camera) => Camera::Onvif(camera.with(change)),
            program @ Camera::Program(_) => program,
        }
    }

    /// What tells its password anew.
    #[must_use]
    pub fn password_source(&self) -> Option<PasswordSource> {
        match self {
            Camera::Rtsp(endpoint) => endpoint.password_source(),
            Camera::Onvif(camera) => camera.endpoint().password_source(),
            Camera::Program(_) => None,
        }
    }

    /// Takes what its password is now. Answers whether that is another one; where there is none at
    /// the moment it is not.
    pub fn take_password(&mut self, password: Result<String, String>) -> bool {
        match self {
            Camera::Rtsp(endpoint) => endpoint.take_password(password),
            Camera::Onvif(camera) => camera.endpoint_mut().take_password(password),
            Camera::Program(_) => false,
        }
    }

    /// The name that log lines carry.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Camera::Rtsp(endpoint) => &endpoint.name,
            Camera::Onvif(camera) => &camera.endpoint().name,
            Camera::Program(program) => program.name(),
        }
    }

    /// What is logged of it.
    #[must_use]
    pub fn voice(&self) -> &Voice {
        match self {
            Camera::Rtsp(endpoint) => &endpoint.voice,
            Camera::Onvif(camera) => &camera.endpoint().voice,
            Camera::Program(program) => program.voice(),
        }
    }

    /// Its address without user and password, and without the secrets in its path and query; or
    /// what the program is: fit for a log.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Camera::Rtsp(endpoint) => endpoint.address(),
            Camera::Onvif(camera) => camera.address(),
            Camera::Program(program) => program.address(),
        }
    }
}
