//! One session at work: packets in, frames out, kept alive until somebody ends it.

use std::sync::Arc;
use std::time::Duration;

use super::dialogue::Dialogue;
use super::endpoint::{Endpoint, UDP};
use super::error::CameraError;
use super::header::SESSION_TIMEOUT;
use super::hosts::{Hosts, renewal_after};
use super::inflow::Inflow;
use super::keep_alive::{Alive, KeepAlive};
use super::message::Item;
use super::nap::{NAP_MAX, Nap};
use super::opening::{Opened, open};
use super::order::Arrived;
use super::patience::Patience;
use super::timers::{BEGINNING_TIMEOUT, Timers};
use super::track::{Frame, SoundFacts, Track, VideoFacts};
use super::way::Way;
use crate::clock::{Clock, Deadline, Reading, since_boot};

/// Behind the time-out of pictures the socket is looked at for so long before that counts: what
/// waits there is read first, and a camera is asked whether it is there.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// For pictures of another source, where the one so far has said that it leaves: a server at the
/// end of its file says so, and keeps the connection open.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);
/// A picture that a marker ends, of a camera whose markers are not known to be right, is complete
/// when nothing follows for so long.
const QUIET: Duration = Duration::from_millis(200);
/// A renewal that failed is tried again after so long.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);
/// So many frames are made before the first is handed on, and what made them is read on.
const FRAMES_AT_ONCE: usize = 64;

/// What a session has to tell.
pub(super) enum Event {
    Frame(Frame),
    /// Nothing that decoding can begin with has come for a while; says what has.
    NoBeginning(String),
    /// Another session should take its place.
    Renew,
}

/// A session that plays.
pub(super) struct Live {
    pub(super) camera: Endpoint,
    hosts: Arc<Hosts>,
    pub(super) dialogue: Dialogue,
    tool: String,
    inflow: Inflow,
    way: Way,
    keep_alive: KeepAlive,
    timers: Timers,
    patience: Patience,
    clock: Arc<dyn Clock>,
    received: Reading,
    /// What ended it, once all frames are handed on.
    over: Option<CameraError>,
}

impl Live {
    /// Opens a session and starts it.
    ///
    /// # Errors
    /// Names the step that failed and why. Every step has a time-out.
    pub(super) async fn open(
        camera: Endpoint,
        hosts: Arc<Hosts>,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<Live>, CameraError> {
        let Opened { dialogue, tool, inflow, way } = open(&camera, &hosts, &*clock).await?;
        let timeout = dialogue.session.as_ref().map_or(SESSION_TIMEOUT, |it| it.timeout);
        let known = hosts.known(&camera.url);
        let lives = known.lives;
        let frame_rate = inflow.tracks.first().and_then(|track| track.video_facts().frame_rate);
        let patience = Patience::new(frame_rate, known.pace);
        let nap = Nap::new(!way.is_udp() && inflow.tracks.len() > 1);
        let timers = Timers::new(patience.timeout(), lives.map(renewal_after), nap);
        let heard_of = known.patience.map_or(timeout, |patience| patience.min(timeout));
        let keep_alive = KeepAlive::new(heard_of, &dialogue.methods);
        let received = clock.read();
        Ok(Box::new(Live {
            camera,
            hosts,
            dialogue,
            tool,
            inflow,
            way,
            keep_alive,
            timers,
            patience,
            clock,
            received,
            over: None,
        }))
    }

    /// Why it should be followed by another one, or what has come. Cancelling the future loses
    /// nothing.
    ///
    /// # Errors
    /// Any error ends the session. What can't be understood is none.
    pub(super) async fn next(&mut self) -> Result<Event, CameraError> {
        loop {
            if let Some(frame) = self.inflow.frames.pop_front() {
                if frame.track.0 == 0 && self.patience.note(&frame) && !self.timers.has_left {
                    self.timers.picture = Deadline::after(self.patience.timeout());
                }
                return Ok(Event::Frame(frame));
            }
            if let Some(error) = self.over.take() {
                return Err(error);
            }
            let moved = self.advance().await;
            if let Err(error) = moved {
                // What is there is handed on before.
                let Live { way, inflow, clock, .. } = self;
                let now = clock.read();
                way.take_rest(&now, |channel, packet| {
                    inflow.take(channel, packet);
                });
                inflow.flush();
                self.ends(&error);
                self.over = Some(error);
                continue;
            }
            if let Some(event) = self.due() {
                return Ok(event);
            }
        }
    }

    /// Reads what has come, and waits for more where that is nothing.
    async fn advance(&mut self) -> Result<(), CameraError> {
        let left = self.read()?;
        let heard = self.heard();
        if std::mem::replace(&mut self.timers.heard, heard) != heard {
            self.timers.heard_at = since_boot();
            self.timers.picture = Deadline::after(self.patience.timeout());
            (self.timers.looked_last, self.timers.has_left) = (false, false);
        }
        if left {
            self.source_left();
        }
        if !self.inflow.frames.is_empty() {
            return Ok(());
        }
        self.on_time()?;
        if !self.inflow.frames.is_empty() {
            return Ok(());
        }
        let nap = self.timers.nap.begin();
        let wait = self.wait().min(nap.map_or(Duration::MAX, |_| NAP_MAX));
        let Live { dialogue, way, inflow, clock, timers, .. } = self;
        dialogue.wire.wake_at(nap.unwrap_or(1));
        let mut left = false;
        tokio::select! {
            biased;
            step = dialogue.wire.step() => step?,
            came = way.receive(&**clock, |channel, packet| {
                left |= inflow.take(channel, packet);
            }) => came?,
            () = tokio::time::sleep(wait) => timers.nap.over(),
        }
        self.received = self.clock.read();
        if left {
            self.source_left();
        }
        Ok(())
    }

    /// Pictures so far.
    fn heard(&self) -> u64 {
        self.inflow.tracks.first().map_or(0, |track| track.heard().frames)
    }

    fn source_left(&mut self) {
        self.timers.has_left = true;
        self.timers.picture = Deadline::after(FAREWELL_TIMEOUT);
    }

    /// Takes what lies in the buffer. Answers whether the source of a track says that it leaves.
    fn read(&mut self) -> Result<bool, CameraError> {
        let mut left = false;
        while self.inflow.frames.len() < FRAMES_AT_ONCE {
            let Live { dialogue, way, inflow, received, .. } = self;
            let item = match dialogue.wire.item()? {
                None => break,
                Some(Item::Packet { channel, bytes }) => {
                    let packet = Arrived { bytes, at: received };
                    way.take(channel, packet, |channel, it| left |= inflow.take(channel, it));
                    continue;
                }
                Some(Item::Answer(answer)) => Ok(answer),
                Some(Item::Request { method, headers }) => Err((method, headers)),
            };
            match item {
                Err((method, headers)) => dialogue.reply(&method, &headers)?,
                Ok(answer) => {
                    self.timers.has_answered = true;
                    let alive = self.keep_alive.answered(&answer, dialogue)?;
                    self.take_life(alive, answer.status);
                }
            }
        }
        let skipped = self.dialogue.wire.take_skipped();
        if skipped > 0 {
            self.inflow.note(&format!("{skipped} bytes that are no RTSP"));
        }
        Ok(left)
    }

    fn take_life(&mut self, alive: Alive, status: u16) {
        let age = since_boot().since(self.timers.begun);
        let timeout = self.timeout();
        match alive {
            Alive::Yes => {}
            Alive::Gone => self.timers.renewal = Some(Deadline::after(Duration::ZERO)),
            Alive::NoLonger => {
                let left = renewal_after(timeout).saturating_sub(age);
                self.timers.renewal.get_or_insert_with(|| Deadline::after(left));
                let mut is_told = true;
                self.hosts.change(&self.camera.url, |known| {
                    is_told = std::mem::replace(&mut known.is_refusal_told, true);
                });
                if !is_told {
                    let text = format!(
                        "refuses to keep a session alive ({status}): it is renewed every {} s",
                        renewal_after(timeout).as_secs()
                    );
                    self.camera.voice.say(log::Level::Info, &text);
                }
            }
        }
    }

    fn timeout(&self) -> Duration {
        let session = self.dialogue.session.as_ref();
        session.map_or(SESSION_TIMEOUT, |session| session.timeout)
    }

    /// Does what time has come for.
    fn on_time(&mut self) -> Result<(), CameraError> {
        let timers = &mut self.timers;
        self.keep_alive.tick(&mut self.dialogue)?;
        let packets = self.inflow.packets();
        let is_quiet = std::mem::replace(&mut timers.packets, packets) == packets;
        let since = timers.quiet.filter(|_| is_quiet);
        let waits = self.inflow.waits();
        let quiet = waits.then(|| since.unwrap_or_else(|| Deadline::after(QUIET)));
        timers.quiet = quiet;
        if quiet.is_some_and(Deadline::is_over) {
            timers.quiet = None;
            self.inflow.flush_waiting();
        }
        self.inflow.flush_stale(self.received.boot);
        if !timers.picture.is_over() {
            return Ok(());
        }
        // A process that was stopped, or was kept from running, wakes up behind its deadline, and
        // to a socket that nobody has looked at yet.
        if !std::mem::replace(&mut timers.looked_last, true) {
            timers.picture = Deadline::after(LAST_LOOK);
            timers.has_answered = false;
            let asks = !timers.has_left && self.patience.is_longer_if_alive();
            return if asks { self.keep_alive.ask(&mut self.dialogue) } else { Ok(()) };
        }
        if timers.has_left {
            return Err(CameraError::Ended);
        }
        let waited = since_boot().since(timers.heard_at);
        if self.may_be_slow(waited) {
            return Ok(());
        }
        let stage = "waiting for pictures";
        match self.inflow.tracks.first().filter(|track| track.heard().frames == 0) {
            Some(track) if track.packets > 0 => {
                let why = format!("{} packets came, and no whole picture", track.packets);
                Err(CameraError::Protocol { stage, why })
            }
            _ => Err(CameraError::TimedOut { stage, waited }),
        }
    }

    /// Whether pictures are waited for longer, of a camera that has sent none for so long.
    fn may_be_slow(&mut self, waited: Duration) -> bool {
        let left = self.patience.timeout_if_alive().saturating_sub(waited);
        let packets = self.inflow.tracks.first().map_or(0, |track| track.packets);
        // Pictures that can't be put together are another matter; and over UDP something in the way
        // is likelier, as long as nothing has come.
        let is_other = if packets > 0 { self.timers.heard == 0 } else { self.way.is_udp() };
        if left.is_zero() || is_other || !self.timers.has_answered {
            return false;
        }
        if !std::mem::replace(&mut self.timers.is_slow_told, true) {
            let (waited, left) = (waited.as_secs(), left.as_secs());
            let text = format!(
                "no picture for {waited} s, but it answers: it is waited for another {left} s"
            );
            self.camera.voice.say(log::Level::Info, &text);
        }
        self.timers.looked_last = false;
        self.timers.picture = Deadline::after(left.min(self.patience.timeout()));
        true
    }

    /// Until the next timer.
    fn wait(&self) -> Duration {
        self.timers.left().min(self.keep_alive.left()).min(self.way.left())
    }

    /// What is to be told besides frames.
    fn due(&mut self) -> Option<Event> {
        if self.timers.renewal.is_some_and(Deadline::is_over) {
            self.timers.renewal = Some(Deadline::after(RENEWAL_INTERVAL));
            return Some(Event::Renew);
        }
        if self.timers.beginning.is_some_and(Deadline::is_over) {
            self.timers.beginning = None;
            let track = self.inflow.tracks.first()?;
            let heard = track.heard();
            let is_begun = heard.key_frames > 0 && track.has_parameters();
            let seconds = BEGINNING_TIMEOUT.as_secs();
            let came = format!("{} pictures in {seconds} s", heard.frames);
            let why = if is_begun || heard.frames == 0 {
                return None;
            } else if track.has_parameters() {
                format!("no key frame among {came}")
            } else {
                format!("no parameter sets with {came}, and none in the description")
            };
            return Some(Event::NoBeginning(why));
        }
        None
    }

    /// Another session is not to be had.
    pub(super) fn renew_no_more(&mut self) {
        self.timers.renewal = None;
    }

    /// What is known of the pictures.
    pub(super) fn facts(&self) -> VideoFacts {
        self.inflow.tracks.first().map(Track::video_facts).unwrap_or_default()
    }

    /// What is known of the sound, where there is any.
    pub(super) fn sound_facts(&self) -> Option<SoundFacts> {
        self.inflow.tracks.iter().find_map(Track::sound_facts)
    }

    /// Whether the sender reports of pictures and sound are sane. Records are dated by what is in
    /// them, and few cameras report on them.
    pub(super) fn has_sender_reports(&self) -> bool {
        let mut media = self.inflow.tracks.iter().filter(|track| track.is_media());
        media.all(Track::has_sender_reports)
    }

    /// How packets come.
    pub(super) fn transport(&self) -> &'static str {
        if self.way.is_udp() { UDP } else { "TCP" }
    }

    /// What the camera says that it is; empty where it says nothing.
    pub(super) fn server(&self) -> &str {
        if self.dialogue.server.is_empty() { &self.tool } else { &self.dialogue.server }
    }

    /// Takes note of how fast pictures came.
    fn remember_pace(&self) {
        let pace = self.patience.pace();
        self.hosts.change(&self.camera.url, |known| known.pace = pace);
    }

    /// Takes note of how it ended.
    fn ends(&self, error: &CameraError) {
        let url = &self.camera.url;
        self.remember_pace();
        if matches!(error, CameraError::Ended | CameraError::Protocol { .. }) {
            self.hosts.ended(url, since_boot().since(self.timers.begun), self.timeout());
        }
        if !matches!(error, CameraError::TimedOut { .. }) {
            self.hosts.left_open(url, &self.tool, self.dialogue.session.clone());
        }
    }

    /// Ends the session and gives the camera a moment to hear of it.
    pub(super) async fn close(mut self) {
        self.remember_pace();
        if !self.dialogue.end().await {
            log::debug!("{}: the end of a session was not answered", self.camera.name);
            let session = self.dialogue.session.clone();
            self.hosts.left_open(&self.camera.url, &self.tool, session);
        }
    }
}
