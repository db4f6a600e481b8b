//! The task that records one stream.

use std::sync::Arc;
use std::time::Duration;

use log::Level;
use tokio::sync::watch;

use super::backoff::Backoff;
use super::cutter::{Action, Chunk, Cutter, CutterSettings, HandOut};
use super::live::Tap;
use super::observing::{Gathered, Observing};
use super::outage::{Outage, span};
use super::settings::RecorderSettings;
use super::sink::Sink;
use super::status::{Shared, State};
use crate::camera::{self, CameraError, Failure, Frame, Frames, Received};
use crate::clock::{Deadline, Reading};
use crate::ring::{NewChunk, Refused};
use crate::segment::{EndReason, Observation};
use crate::units::{BootTime, ClipId, WallTime};

/// How often a password is looked for that a camera might take.
const PASSWORD_LOOK: Duration = Duration::from_secs(2);

/// Why a session is over.
enum Over {
    /// Somebody asked for it.
    Stopped,
    /// The camera or the way to it failed.
    Failed(CameraError),
    /// The ring takes nothing any more.
    RingClosed,
}

/// One stream while it is recorded.
pub(super) struct StreamTask<S: Sink> {
    settings: RecorderSettings,
    sink: S,
    cutter: Cutter,
    clip: Option<ClipId>,
    status: Shared,
    tap: Tap,
    outage: Option<Outage>,
    observing: Observing,
    ring_closed: bool,
    /// Something of this session is recorded.
    has_begun: bool,
    ticks: watch::Receiver<u64>,
    ticks_open: bool,
    stop: watch::Receiver<bool>,
}

impl<S: Sink> StreamTask<S> {
    pub(super) fn new(
        settings: RecorderSettings,
        sink: S,
        ticks: watch::Receiver<u64>,
        stop: watch::Receiver<bool>,
        status: Shared,
    ) -> StreamTask<S> {
        let cutter = Cutter::new(CutterSettings {
            flush_interval: settings.flush_interval,
            chunk_bytes_max: settings.chunk_bytes_max,
            boundary: Arc::clone(&settings.boundary),
            keeps_damaged: settings.keeps_damaged,
        });
        let tap = Tap::new(settings.live.feed(settings.camera.name()));
        StreamTask {
            settings,
            sink,
            cutter,
            tap,
            clip: None,
            status,
            outage: None,
            observing: Observing::default(),
            ring_closed: false,
            has_begun: false,
            ticks,
            ticks_open: true,
            stop,
        }
    }

    /// Records until somebody asks to stop, or the ring is closed.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(u64::from(self.settings.stream.0));
        loop {
            let begun = self.now();
            let over = self.session().await;
            let now = self.now();
            let reason = match over {
                Over::Failed(_) => EndReason::Disconnected,
                Over::Stopped | Over::RingClosed => EndReason::Stopped,
            };
            self.cutter.hold_no_more();
            self.carry_on(&now);
            let out = self.cutter.stop(reason, &now);
            self.carry_out(out, &now);
            let Over::Failed(error) = over else { break };
            let recorded = self.recorded_since(begun.boot);
            let wait = backoff.after(recorded, error.failure());
            self.failed(&error, recorded, wait, &now);
            let is_over = match error.failure() {
                Failure::Denied => self.stopped_or_told(wait, &mut backoff).await,
                _ => self.stopped_within(wait).await,
            };
            if is_over {
                break;
            }
        }
        let gathered = self.observing.end(self.now().wall);
        self.tell(gathered);
        if let Some(outage) = self.outage.take() {
            self.observe_outage(&outage, self.now().wall);
        }
        self.status.set(|status| status.state = State::Stopped);
        let how = if self.ring_closed { "the ring is closed" } else { "stopped" };
        self.say(Level::Info, &format!("recording has ended: {how}"));
    }

    fn now(&self) -> Reading {
        self.settings.clock.read()
    }

    /// One session, from connecting to its end.
    async fn session(&mut self) -> Over {
        self.status.set(|status| status.state = State::Connecting);
        let mut stop = self.stop.clone();
        let connected = {
            let clock = Arc::clone(&self.settings.clock);
            let connecting = camera::connect(&self.settings.camera, &self.settings.hosts, clock);
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Over::Stopped,
                connected = connecting => connected,
            }
        };
        match connected {
            Err(error) => Over::Failed(error),
            Ok(mut frames) => {
                let over = self.record(&mut frames).await;
                self.tap.pause();
                match over {
                    Over::Stopped | Over::RingClosed => frames.close().await,
                    // Another session need not wait for that.
                    Over::Failed(_) => drop(tokio::spawn(frames.close())),
                }
                over
            }
        }
    }

    async fn record(&mut self, frames: &mut Frames) -> Over {
        self.has_begun = false;
        self.status.set(|status| status.session(frames.facts()));
        self.tap.begin(frames.facts().sound.is_some(), &self.now());
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Over::Stopped,
                changed = self.ticks.changed(), if self.ticks_open => {
                    self.ticks_open = changed.is_ok();
                    let now = self.now();
                    self.carry_on(&now);
                    let out = self.cutter.flush_due(&now);
                    self.carry_out(out, &now);
                }
                frame = frames.next() => match frame {
                    Err(error) => return Over::Failed(error),
                    Ok(Received::Frame(frame)) => self.take(frame, frames),
                    Ok(Received::NoBeginning(why)) => {
                        self.say(Level::Warn, &format!("nothing is recorded yet: {why}"));
                        let state = State::AwaitingKeyFrame { why: Some(why) };
                        self.status.set(|status| status.state = state);
                    }
                },
            }
            if self.ring_closed {
                return Over::RingClosed;
            }
        }
    }

    /// The first frame of a session that is recorded is there.
    fn begins(&mut self, frames: &Frames, now: &Reading) {
        let mut line = format!("recording {}: {}", self.settings.camera.address(), frames.facts());
        if let Some(outage) = self.outage.take() {
            line += &format!(", after {} without footage", outage.length(now.boot));
            self.observe_outage(&outage, now.wall);
        }
        self.say(Level::Info, &line);
        self.status.set(|status| {
            status.reconnects += u64::from(status.last_frame.is_some());
            status.state = State::Recording;
            (status.tries, status.failing_since) = (0, None);
        });
    }

    fn take(&mut self, frame: Frame, frames: &Frames) {
        let now = frame.received;
        let lost = u64::from(frame.lost_packets);
        self.tap.take(&frame);
        self.cutter.push(frame);
        self.carry_on(&now);
        if self.cutter.is_recording() && !std::mem::replace(&mut self.has_begun, true) {
            self.begins(frames, &now);
        }
        if let Some(rate) = self.cutter.rate_news() {
            self.say(Level::Warn, &rate.words());
        }
        let gathered = self.observing.due(now.wall);
        self.tell(gathered);
        let cutter = &self.cutter;
        self.status.set(|status| {
            if cutter.is_recording() {
                status.last_frame = Some(now.boot);
            }
            status.lost_packets += lost;
            (status.dropped, status.damaged) = (cutter.drops(), cutter.damaged());
            status.has_sender_reports = frames.has_sender_reports();
        });
    }

    fn say(&self, level: Level, text: &str) {
        self.settings.camera.voice().say(level, text);
    }

    /// Does what the cutter wants by now.
    fn carry_on(&mut self, now: &Reading) {
        while let Some(out) = self.cutter.next(now) {
            self.carry_out(out, now);
        }
    }

    /// Does what the cutter wants.
    fn carry_out(&mut self, out: HandOut, now: &Reading) {
        let refusal = match out.offer(|chunk| self.append(chunk)) {
            Ok(actions) => return self.act(actions, now),
            Err(refusal) => refusal,
        };
        match refusal.why() {
            Refused::Closed => self.ring_closed = true,
            // Told with the gap that they leave.
            why => log::debug!("{}: a chunk was refused: {why}", self.settings.camera.name()),
        }
        let actions = self.cutter.refused(refusal, now);
        self.act(actions, now);
        self.clip = None;
    }

    fn append(&mut self, chunk: Chunk) -> Result<(), Refused> {
        if chunk.begins_clip {
            self.clip = Some(self.sink.new_clip());
        }
        let Some(clip) = self.clip else { return Err(Refused::ClipEnded) };
        let begins = chunk.begins_clip.then(|| chunk.timing());
        let (bytes, stream) = (chunk.data.len() as u64, self.settings.stream);
        let frames = chunk.frames();
        self.sink.append(NewChunk {
            clip,
            stream,
            parameters: chunk.parameters,
            table: chunk.table.encode().into(),
            data: chunk.data,
        })?;
        // Of what was taken: what is refused while a disk hangs must not pile up.
        if let Some(timing) = begins {
            self.sink.time_clip(stream, clip, timing);
        }
        self.status.set(|status| {
            status.frames += frames;
            status.bytes += bytes;
        });
        Ok(())
    }

    fn act(&mut self, actions: Vec<Action>, now: &Reading) {
        for action in actions {
            match action {
                Action::End { reason, length_nanos } => {
                    if let Some(clip) = self.clip.take() {
                        self.sink.end_clip(clip, reason.code(), Some(length_nanos));
                    }
                }
                Action::Observe(observation) => self.gather(observation, now),
            }
        }
    }

    /// The first of its kind is logged at once, more of them together a minute later.
    fn gather(&mut self, observation: Observation, now: &Reading) {
        self.status.set(|status| status.gaps.add(observation.kind));
        let text = observation.text.clone();
        let (is_news, before) = self.observing.take(observation, now.wall);
        self.tell(before);
        if is_news {
            self.say(Level::Warn, &text);
        }
    }

    fn tell(&self, gathered: impl IntoIterator<Item = Gathered>) {
        for Gathered { observation, is_news } in gathered {
            if is_news {
                self.say(Level::Warn, &observation.text);
            }
            self.observe(&observation);
        }
    }

    fn observe_outage(&self, outage: &Outage, until: WallTime) {
        let observation = outage.observation(until);
        self.status.set(|status| status.gaps.add(observation.kind));
        self.observe(&observation);
    }

    fn observe(&self, observation: &Observation) {
        let (from, to) = (observation.from, observation.to);
        self.sink.observe(self.settings.stream, from, to, observation.encode());
    }

    /// How long the session that began then has delivered frames.
    fn recorded_since(&self, begun: BootTime) -> Duration {
        let last = self.status.read().last_frame;
        last.map_or(Duration::ZERO, |last| last.since(begun))
    }

    fn failed(&mut self, error: &CameraError, recorded: Duration, wait: Duration, now: &Reading) {
        let text = error.to_string();
        let voice = self.settings.camera.voice();
        match &mut self.outage {
            Some(outage) => {
                if let Some(line) = outage.failed(now.boot, text.clone()) {
                    voice.say(Level::Warn, &line);
                }
            }
            None => {
                let what = match recorded.is_zero() {
                    true => "not recorded".to_owned(),
                    false => format!("recording has ended after {}", span(recorded)),
                };
                let soon = match wait.as_secs() {
                    0 => "at once".to_owned(),
                    _ => format!("in {}", span(wait)),
                };
                voice.say(Level::Warn, &format!("{what}: {text}; trying again {soon}"));
                let last = self.status.read().last_frame.filter(|_| !recorded.is_zero());
                self.outage = Some(Outage::new(now, last, text.clone()));
            }
        }
        let retry = now.boot.plus(wait);
        self.status.set(|status| {
            status.state = State::Waiting { error: text, kind: error.failure(), retry };
            status.tries += 1;
            status.failing_since.get_or_insert(now.wall);
        });
    }

    /// The same, unless the camera has another password before.
    async fn stopped_or_told(&mut self, wait: Duration, backoff: &mut Backoff) -> bool {
        let deadline = Deadline::after(wait);
        while !deadline.is_over() {
            if self.stopped_within(deadline.left().min(PASSWORD_LOOK)).await {
                return true;
            }
            let Some(source) = self.settings.camera.password_source() else { continue };
            // Its disk may hang: that is no affair of the other cameras.
            let told = tokio::select! {
                told = tokio::task::spawn_blocking(move || source()) => told,
                () = stopped(&mut self.stop) => return true,
            };
            if told.is_ok_and(|password| self.settings.camera.take_password(password)) {
                self.say(Level::Info, "there is another password");
                backoff.recovered();
                return false;
            }
        }
        false
    }

    async fn stopped_within(&mut self, wait: Duration) -> bool {
        tokio::time::timeout(wait, stopped(&mut self.stop)).await.is_ok()
    }
}

/// Waits until somebody asks to stop; a handle that was dropped asks for it, too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The only error is that the sender is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}
