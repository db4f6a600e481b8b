//! What comes from a camera, whatever that is.

use std::fmt;
use std::sync::Arc;

use super::Camera;
use super::error::CameraError;
use super::hosts::Hosts;
use super::program::Run;
use super::sessions::Sessions;
use super::track::{Frame, SoundFacts, VideoFacts};
use crate::clock::Clock;

/// What comes from a camera.
#[derive(Debug)]
pub enum Received {
    /// A frame.
    Frame(Frame),
    /// Nothing that decoding can begin with for a while. Says what came instead.
    NoBeginning(String),
}

/// What is known of a session, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionFacts {
    /// Of the pictures.
    pub video: VideoFacts,
    /// Of the sound, where it is recorded.
    pub sound: Option<SoundFacts>,
    /// Whether sender reports tell when pictures and sound were captured; their arrival does where
    /// they do not.
    pub has_sender_reports: bool,
    /// "TCP", "UDP", or "a pipe".
    pub transport: &'static str,
    /// What the camera says that it is; empty where it says nothing.
    pub server: String,
    /// How it asks for a login, "Basic" or "Digest"; empty where it does not.
    pub login: &'static str,
}

impl fmt::Display for SessionFacts {
    /// In a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VideoFacts { coding, codec, picture: (width, height), frame_rate } = &self.video;
        write!(f, "{coding} {codec} {width}x{height}")?;
        if let Some(rate) = frame_rate {
            write!(f, ", {} frames a second", (rate * 100.0).round() / 100.0)?;
        }
        if let Some(sound) = &self.sound {
            write!(f, ", {sound}")?;
        }
        write!(f, ", over {}", self.transport)?;
        match self.server.as_str() {
            "" => Ok(()),
            server => write!(f, ", from \"{server}\""),
        }
    }
}

/// The frames of a camera, those of each track in the order of decoding.
pub struct Frames(Inner);

enum Inner {
    Sessions(Box<Sessions>),
    Run(Box<Run>),
}

/// Opens a session, or runs a program, and starts it.
///
/// # Errors
/// Names the step that failed and why. Every step has a time-out.
pub async fn connect(
    camera: &Camera,
    hosts: &Arc<Hosts>,
    clock: Arc<dyn Clock>,
) -> Result<Frames, CameraError> {
    let inner = match camera {
        Camera::Rtsp(endpoint) => {
            Inner::Sessions(Box::new(Sessions::open(endpoint, hosts, clock).await?))
        }
        Camera::Onvif(camera) => {
            let endpoint = camera.locate(hosts).await?;
            let opened = match Sessions::open(&endpoint, hosts, Arc::clone(&clock)).await {
                Err(error @ CameraError::Connect { .. }) => {
                    let beside = camera.beside(&endpoint, hosts).ok_or(error)?;
                    Sessions::open(&beside, hosts, clock).await?
                }
                opened => opened?,
            };
            Inner::Sessions(Box::new(opened))
        }
        Camera::Program(program) => Inner::Run(Box::new(Run::start(program, clock).await?)),
    };
    Ok(Frames(inner))
}

impl Frames {
    /// What is known of the session.
    #[must_use]
    pub fn facts(&self) -> SessionFacts {
        match &self.0 {
            Inner::Sessions(sessions) => sessions.facts(),
            Inner::Run(run) => run.facts(),
        }
    }

    /// Whether sender reports tell by now when pictures and sound were captured.
    #[must_use]
    pub fn has_sender_reports(&self) -> bool {
        match &self.0 {
            Inner::Sessions(sessions) => sessions.has_sender_reports(),
            Inner::Run(_) => false,
        }
    }

    /// What comes next. Cancelling the future loses nothing.
    ///
    /// # Errors
    /// Any error ends the session: drop it and connect again. What can't be understood is none.
    pub async fn next(&mut self) -> Result<Received, CameraError> {
        match &mut self.0 {
            Inner::Sessions(sessions) => sessions.next().await,
            Inner::Run(run) => run.next().await,
        }
    }

    /// Ends the session and gives the camera a moment to hear of it.
    pub async fn close(self) {
        match self.0 {
            Inner::Sessions(sessions) => sessions.close().await,
            Inner::Run(run) => run.close().await,
        }
    }
}
