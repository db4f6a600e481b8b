//! The frames of a camera that speaks RTSP, over one session or several that follow each other
//! without a seam.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use super::beside::Beside;
use super::connect::{Received, SessionFacts};
use super::endpoint::Endpoint;
use super::error::{CameraError, Failure};
use super::hosts::Hosts;
use super::live::{Event, Live};
use super::parameters::Parameters;
use super::renewal::{Handover, History, Overlap};
use super::track::{Frame, PICTURES};
use crate::clock::Clock;

/// The frames of a camera, those of each track in the order of decoding.
pub(super) struct Sessions {
    live: Box<Live>,
    hosts: Arc<Hosts>,
    clock: Arc<dyn Clock>,
    next: Next,
    /// Of pictures.
    history: History,
    beside: Beside,
    /// Of a session that has taken over.
    waiting: VecDeque<Frame>,
    /// What times of the pictures of this session are off from those of the first one, in ticks.
    shift: i64,
    seeks: Seeks,
    /// What decodes the next frame, as those said that were left out before it.
    parameters: Option<Arc<Parameters>>,
    /// What ended this session, while the next one is being opened.
    over: Option<CameraError>,
}

/// What is left out of a session, because the one before ended before this one came to where it
/// was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seeks {
    Nothing,
    /// What comes before a frame that decoding can begin with.
    Beginning,
    /// What is there already.
    End,
}

type Opening = Pin<Box<dyn Future<Output = Result<Box<Live>, CameraError>> + Send>>;

/// The session that is to follow.
enum Next {
    None,
    Opening(Opening),
    Beside(Box<Overlap>),
}

/// What happened first.
enum First {
    Live(Result<Event, CameraError>),
    Opened(Result<Box<Live>, CameraError>),
    Second(Result<Event, CameraError>),
}

impl Sessions {
    /// Opens a session and starts it.
    ///
    /// # Errors
    /// Names the step that failed and why. Every step has a time-out.
    pub(super) async fn open(
        endpoint: &Endpoint,
        hosts: &Arc<Hosts>,
        clock: Arc<dyn Clock>,
    ) -> Result<Sessions, CameraError> {
        let opened = Live::open(endpoint.clone(), Arc::clone(hosts), Arc::clone(&clock)).await;
        let live = opened.inspect_err(|error| {
            if error.failure() == Failure::Busy {
                hosts.note_full(&endpoint.url);
            }
        })?;
        Ok(Sessions {
            live,
            hosts: Arc::clone(hosts),
            clock,
            next: Next::None,
            history: History::default(),
            beside: Beside::default(),
            waiting: VecDeque::new(),
            shift: 0,
            seeks: Seeks::Nothing,
            parameters: None,
            over: None,
        })
    }

    /// What is known of the session.
    pub(super) fn facts(&self) -> SessionFacts {
        SessionFacts {
            video: self.live.facts(),
            sound: self.live.sound_facts(),
            has_sender_reports: self.live.has_sender_reports(),
            transport: self.live.transport(),
            server: self.live.server().to_owned(),
            login: self.live.dialogue.scheme(),
        }
    }

    /// Whether sender reports tell by now when pictures and sound were captured.
    pub(super) fn has_sender_reports(&self) -> bool {
        self.live.has_sender_reports()
    }

    /// What comes next. Cancelling the future loses nothing.
    ///
    /// # Errors
    /// Any error ends the session: drop it and connect again. What can't be understood is none.
    pub(super) async fn next(&mut self) -> Result<Received, CameraError> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                match self.known(frame) {
                    Some(frame) => return Ok(Received::Frame(frame)),
                    None => continue,
                }
            }
            match self.first().await {
                First::Live(Ok(Event::Frame(frame))) => self.waiting.push_back(frame),
                First::Live(Ok(Event::NoBeginning(text))) => {
                    return Ok(Received::NoBeginning(text));
                }
                First::Live(Ok(Event::Renew)) => self.renew(),
                First::Live(Err(error)) => match std::mem::replace(&mut self.next, Next::None) {
                    Next::Beside(second) => drop(self.hand_over(*second)),
                    Next::None => return Err(error),
                    opening @ Next::Opening(_) => (self.next, self.over) = (opening, Some(error)),
                },
                First::Opened(Ok(live)) if self.over.take().is_some() => {
                    drop(self.hand_over(Overlap::new(live)));
                    self.next = Next::None;
                }
                First::Opened(Ok(live)) => self.next = Next::Beside(Box::new(Overlap::new(live))),
                First::Opened(Err(error)) | First::Second(Err(error)) => {
                    if let Some(over) = self.over.take() {
                        return Err(over);
                    }
                    // A login that is refused is not tried again and again.
                    if error.failure() == Failure::Denied {
                        self.live.renew_no_more();
                    }
                    log::debug!("{}: a session was not renewed: {error}", self.live.camera.name);
                    self.next = Next::None;
                }
                First::Second(Ok(event)) => self.second(event),
            }
        }
    }

    async fn first(&mut self) -> First {
        match &mut self.next {
            Next::None => First::Live(self.live.next().await),
            Next::Opening(opening) if self.over.is_some() => First::Opened(opening.await),
            Next::Opening(opening) => tokio::select! {
                biased;
                event = self.live.next() => First::Live(event),
                opened = opening => First::Opened(opened),
            },
            Next::Beside(second) => tokio::select! {
                biased;
                event = self.live.next() => First::Live(event),
                event = second.live.next() => First::Second(event),
            },
        }
    }

    /// A frame on its way out; `None` where it was there already.
    fn known(&mut self, mut frame: Frame) -> Option<Frame> {
        if frame.track != PICTURES {
            return self.beside.known(frame);
        }
        if frame.parameters.is_some() {
            self.parameters = frame.parameters.take();
        }
        if self.seeks != Seeks::Nothing {
            if let Some(shift) = self.history.shift(&frame) {
                (self.seeks, self.shift) = (Seeks::End, shift);
                return None;
            }
            if self.seeks == Seeks::Beginning && !frame.is_key {
                return None;
            }
            self.seeks = Seeks::Nothing;
        }
        frame.parameters = self.parameters.take();
        frame.pts = frame.pts.saturating_add(self.shift);
        self.history.note(&frame);
        if let Next::Beside(second) = &self.next
            && second.is_due(&self.history, &self.beside)
        {
            self.take_over();
        }
        Some(frame)
    }

    /// Another session is opened beside this one: the camera may allow two, unless another stream
    /// of it waits for a place.
    fn renew(&mut self) {
        let has_room = self.hosts.has_room_beside(&self.live.camera.url);
        if matches!(self.next, Next::None) && has_room {
            let camera = self.live.camera.clone();
            let opening = Live::open(camera, Arc::clone(&self.hosts), Arc::clone(&self.clock));
            self.next = Next::Opening(Box::pin(opening));
        }
    }

    fn second(&mut self, event: Event) {
        let Next::Beside(second) = &mut self.next else { return };
        if let Event::Frame(frame) = event {
            second.push(frame);
            if second.is_due(&self.history, &self.beside) {
                self.take_over();
            }
        }
    }

    fn take_over(&mut self) {
        if let Next::Beside(second) = std::mem::replace(&mut self.next, Next::None) {
            let first = self.hand_over(*second);
            tokio::spawn(first.close());
        }
    }

    /// The second session takes the place of the first one, which is answered.
    fn hand_over(&mut self, second: Overlap) -> Box<Live> {
        let Handover { live, frames, shift, has_seam, parameters } =
            second.hand_over(&self.history);
        self.parameters = parameters.or(self.parameters.take());
        log::debug!("{}: another session goes on", live.camera.name);
        self.beside.take_over(frames.iter());
        self.waiting.extend(frames);
        self.shift = shift;
        self.seeks = if has_seam { Seeks::Nothing } else { Seeks::Beginning };
        std::mem::replace(&mut self.live, live)
    }

    /// Ends the session and gives the camera a moment to hear of it.
    pub(super) async fn close(self) {
        self.live.close().await;
    }
}
