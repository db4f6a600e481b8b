//! What the daemon says of itself, from wherever it is known.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Store;
use super::recording::{Placed, Recorded};
use super::scrub::scrub_status;
use super::superblocks::Caretaker;
use super::views;
use super::wanted::{Change, Off, Switches};
use crate::archive::Archive;
use crate::catalogue::Catalogue;
use crate::check::Scrubber;
use crate::cli::quantity::duration_text;
use crate::clock::{Clock, KnownTime};
use crate::config::Config;
use crate::device::ReturningDevice;
use crate::library::{KeepMax, Told};
use crate::live::Live;
use crate::logged::Logged;
use crate::purge::{self, Braked, Purger};
use crate::recorder::{DropReason, State, StreamStatus};
use crate::segment::{StreamFact, Switch};
use crate::status::{
    CameraErrorStatus, CameraStatus, Counted, SCHEMA, SettingsStatus, Status, camera_totals,
    device_status, foresee, metrics, ring_status, unkept,
};
use crate::units::{BootTime, NANOS_PER_SECOND, StreamKey, StreamNumber, WallTime};
use crate::view::utc_timestamp;

/// Knows whom to ask.
pub(super) struct Reporter {
    archive: Arc<Archive>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    device: Arc<ReturningDevice>,
    began: BootTime,
    logged: &'static Logged,
    live: Live,
    /// How much may be kept.
    pub(super) keep_max: Arc<KeepMax>,
    /// What is said of the views.
    pub(super) views: views::Told,
    settings: Mutex<InForce>,
    parts: Mutex<Parts>,
}

/// The settings that are in force.
#[derive(Default)]
struct InForce {
    /// Names, the `retain` that holds for each, and whether it is recorded.
    cameras: Vec<(String, Option<Duration>, bool)>,
    told: SettingsStatus,
}

/// What runs, between start and stop.
#[derive(Default)]
pub(super) struct Parts {
    /// All that are configured.
    pub cameras: Vec<Placed>,
    pub recorders: Vec<Recorded>,
    /// Those that are not recorded, on purpose, by their names.
    pub off: BTreeMap<String, Off>,
    /// What was switched by hand since the start: the ring may not have heard of it yet.
    pub switches: Switches,
    pub purger: Option<Purger>,
    pub scrubber: Option<Scrubber>,
    /// Ends when it is dropped.
    pub caretaker: Option<Caretaker>,
}

impl Reporter {
    pub(super) fn new(config: &Config, store: &Store, logged: &'static Logged) -> Reporter {
        let reporter = Reporter {
            archive: store.archive.clone(),
            clock: store.clock.clone(),
            path: config.ring.device.clone(),
            device: store.device.clone(),
            began: store.clock.read().boot,
            logged,
            live: store.live.clone(),
            keep_max: Arc::new(KeepMax::new(config.ring.keep_max)),
            views: views::Told::new(config),
            settings: Mutex::default(),
            parts: Mutex::default(),
        };
        reporter.in_force(config, Vec::new());
        reporter
    }

    /// These settings are in force from now on, but for the keys that are named.
    pub(super) fn in_force(&self, config: &Config, at_restart: Vec<String>) {
        let cameras = config.cameras.iter().map(|camera| {
            let name = camera.name.as_str();
            (name.to_owned(), config.retain_of(name), camera.enabled)
        });
        let told = SettingsStatus {
            file: config.absolute_file().display().to_string(),
            since: utc_timestamp(self.clock.read().wall),
            refused: None,
            at_restart,
        };
        *self.settings() = InForce { cameras: cameras.collect(), told };
    }

    /// Others were refused, and why.
    pub(super) fn refused(&self, reason: String) {
        self.settings().told.refused = Some(reason);
    }

    fn settings(&self) -> MutexGuard<'_, InForce> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything runs.
    pub(super) fn begin(&self, parts: Parts) {
        *self.parts() = parts;
    }

    /// Everything is to be stopped, by the caller.
    pub(super) fn end(&self) -> Parts {
        std::mem::take(&mut *self.parts())
    }

    /// The recorders that go, to be stopped by the caller; the others are told of what stays.
    pub(super) fn take_recorders(
        &self,
        mut stays: impl FnMut(&mut Recorded) -> bool,
    ) -> Vec<Recorded> {
        self.parts().recorders.extract_if(.., |recorded| !stays(recorded)).collect()
    }

    /// Names of the cameras that are recorded.
    pub(super) fn recorded(&self) -> HashSet<String> {
        self.parts().recorders.iter().map(|recorded| recorded.name().to_owned()).collect()
    }

    /// The clip of a stream that grows is to end with its next key frame.
    pub(super) fn end_clip(&self, name: &str, now: WallTime) {
        let parts = self.parts();
        parts.recorders.iter().filter(|it| it.name() == name).for_each(|it| it.end_clip(now));
    }

    /// All cameras that are configured.
    pub(super) fn cameras(&self) -> Vec<Placed> {
        self.parts().cameras.clone()
    }

    /// These are configured from now on.
    pub(super) fn set_cameras(&self, cameras: Vec<Placed>) {
        self.parts().cameras = cameras;
    }

    /// What was switched by hand since the start.
    pub(super) fn switches(&self) -> Switches {
        self.parts().switches.clone()
    }

    /// A stream is switched by hand until then, or not any more.
    pub(super) fn set_switch(
        &self,
        stream: StreamNumber,
        switch: Option<Switch>,
        until: Option<BootTime>,
    ) {
        self.parts().switches.set(stream, switch, until);
    }

    /// Those that are off now, each since when it was first; told is what changes.
    pub(super) fn change_off(
        &self,
        mut now: BTreeMap<String, Off>,
        mut tell: impl FnMut(Change<'_>),
    ) {
        let before = self.parts().off.clone();
        for (name, off) in &mut now {
            match before.get(name) {
                Some(known) => *off = known.goes_on(off),
                None => tell(Change::Begins(name, off)),
            }
        }
        before.iter().filter(|(name, _)| !now.contains_key(*name)).for_each(|(_, off)| {
            tell(Change::Ends(off));
        });
        self.parts().off = now;
    }

    /// More of them run.
    pub(super) fn add_recorders(&self, recorders: Vec<Recorded>) {
        self.parts().recorders.extend(recorders);
    }

    /// The purge goes by these from now on.
    pub(super) fn set_purge(&self, settings: purge::Settings) {
        self.with_purger(|purger| purger.set(settings));
    }

    /// Asks the purge, where there is one.
    pub(super) fn with_purger<T>(&self, ask: impl FnOnce(&Purger) -> T) -> Option<T> {
        self.parts().purger.as_ref().map(ask)
    }

    /// What is due is looked at at once.
    pub(super) fn hurry_purge(&self) {
        self.with_purger(Purger::hurry);
    }

    /// Somebody says that the clock is right.
    pub(super) fn confirm_clock(&self) {
        self.with_purger(Purger::confirm_clock);
    }

    /// The time that is known, for the ledger.
    pub(super) fn known_time(&self) -> Option<KnownTime> {
        self.with_purger(Purger::known_time).flatten()
    }

    /// What is asked for.
    pub(super) fn told(&self, what: Told) -> Vec<u8> {
        match what {
            Told::Status => self.json(),
            Told::Metrics => self.metrics().into_bytes(),
            Told::Log => self.logged.text().into_bytes(),
        }
    }

    /// The whole status as JSON, with a line feed at its end.
    fn json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(&self.status()).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Cameras whose `retain` can't be kept, with what is to be said of each.
    pub(super) fn unkept(&self) -> Vec<(String, String)> {
        unkept(&self.status())
    }

    fn metrics(&self) -> String {
        let mut status = self.status();
        // A count that only comes with the first frame is none whose growth is seen.
        for camera in &mut status.cameras {
            for reason in DropReason::ALL {
                camera.dropped.entry(reason.words().to_owned()).or_default();
            }
        }
        let (lines, viewers) = (self.logged.counts().to_vec(), self.live.viewers());
        metrics(&status, &Counted { lines, viewers })
    }

    fn status(&self) -> Status {
        let now = self.clock.read();
        let ring = self.archive.ring();
        let (usage, counters) = (ring.usage(), ring.counters());
        let unwritable = ring.unwritable();
        let (in_force, settings) = {
            let settings = self.settings();
            (settings.cameras.clone(), settings.told.clone())
        };
        let configured: Vec<(&str, Option<Duration>)> =
            in_force.iter().map(|(name, retain, _)| (name.as_str(), *retain)).collect();
        let held = self.with_purger(Purger::held).unwrap_or_default();
        let (health, geometry) = (self.device.health(), ring.superblock().geometry);
        let (mut ring, mut cameras) = {
            let catalogue = self.archive.catalogue();
            let superblock = ring.superblock();
            let (path, wall) = (&self.path, now.wall);
            let mut cameras = camera_totals(&catalogue, &configured, wall);
            tell_held(&mut cameras, &held, &catalogue);
            (ring_status(superblock, path, &usage, &counters, &catalogue, wall), cameras)
        };
        ring.device_errors += health.read_errors;
        ring.keep_max_bytes = Some(self.keep_max.of(usage.size).0);
        for (camera, (_, _, enabled)) in cameras.iter_mut().zip(&in_force) {
            if !enabled {
                camera.state = "disabled".to_owned();
            }
        }
        let parts = self.parts();
        for camera in &mut cameras {
            if let Some(off) = parts.off.get(&camera.name) {
                (camera.state, camera.reason) = ("off".to_owned(), Some(off.words()));
            }
        }
        for recorded in &parts.recorders {
            if let Some(camera) = cameras.iter_mut().find(|it| it.name == recorded.name()) {
                describe(camera, &recorded.recorder.status(), now.boot);
            }
        }
        let purge = parts.purger.as_ref().map(Purger::counters).unwrap_or_default();
        let suspension = purge.suspension;
        let mut status = Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            running: true,
            at: utc_timestamp(now.wall),
            uptime_seconds: Some(seconds(now.boot.0 - self.began.0)),
            settings: Some(settings),
            views: self.views.status(),
            ring,
            device: device_status(&health, &counters, unwritable),
            expiry_suspended: suspension.map(|suspension| {
                let ahead = whole_seconds_text(suspension.step_nanos);
                format!("the clock is {ahead} ahead of what is known: {}", suspension.reason)
            }),
            footage_ahead: purge.newest_ahead.map(|end| {
                let end = utc_timestamp(end);
                format!("the newest footage is from {end}: the clock is behind, or was ahead then")
            }),
            scrub: parts.scrubber.as_ref().map(|scrubber| scrub_status(&scrubber.counters())),
            cameras,
            ..Status::default()
        };
        foresee(&mut status, &geometry, &usage);
        status.wrong = status.troubles();
        status
    }
}

fn tell_held(
    cameras: &mut [CameraStatus],
    held: &BTreeMap<StreamKey, Braked>,
    catalogue: &Catalogue,
) {
    for (stream, held) in held {
        let name = catalogue.stream(*stream).map(StreamFact::name);
        if let Some(camera) = cameras.iter_mut().find(|it| Some(&*it.name) == name) {
            camera.held_bytes = held.bytes.0;
        }
    }
}

fn describe(camera: &mut CameraStatus, status: &StreamStatus, now: BootTime) {
    let (state, reason) = match &status.state {
        State::Connecting => ("connecting", None),
        State::AwaitingKeyFrame { why } => ("waiting for a key frame", why.clone()),
        State::Recording => ("recording", None),
        State::Waiting { error, retry, .. } => {
            let wait = whole_seconds_text(retry.0 - now.0);
            let tries = match status.tries {
                0 | 1 => String::new(),
                tries => format!(", after {tries} tries"),
            };
            ("waiting", Some(format!("{error}; next try in {wait}{tries}")))
        }
        State::Stopped => ("stopped", None),
    };
    camera.state = state.into();
    camera.reason = reason;
    camera.error = match &status.state {
        State::Waiting { error, kind, .. } => Some(CameraErrorStatus {
            kind: kind.name().to_owned(),
            text: error.clone(),
            since: status.failing_since.map(utc_timestamp),
        }),
        _ => None,
    };
    let age = |at: BootTime| (now.0 - at.0).max(0) as f64 / NANOS_PER_SECOND as f64;
    camera.last_frame_age_seconds = status.last_frame.map(age);
    camera.frames = status.frames;
    camera.bytes = status.bytes;
    (camera.lost_packets, camera.damaged) = (status.lost_packets, status.damaged);
    camera.reconnects = status.reconnects;
    camera.tries = status.tries;
    camera.transport = status.transport.to_owned();
    camera.server.clone_from(&status.server);
    camera.sound.clone_from(&status.sound);
    camera.clock = match (status.transport, status.has_sender_reports) {
        ("", _) => String::new(),
        (_, true) => "sender reports".to_owned(),
        (_, false) => "arrival".to_owned(),
    };
    let dropped = DropReason::ALL.iter().map(|reason| (*reason, status.dropped.of(*reason)));
    let some = dropped.filter(|(_, frames)| *frames > 0);
    camera.dropped = some
        .map(|(reason, frames)| (reason.words().to_owned(), frames))
        .collect::<BTreeMap<_, _>>();
    let gaps = status.gaps.kinds().map(|(what, count)| (what.to_owned(), count));
    camera.gaps = gaps.collect();
}

/// Whole seconds of a length in nanoseconds; none where it is negative.
fn seconds(nanos: i64) -> u64 {
    u64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(0)
}

/// The same for people.
fn whole_seconds_text(nanos: i64) -> String {
    duration_text(Duration::from_secs(seconds(nanos)))
}
