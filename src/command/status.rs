//! `reelfs status`: what the daemon says of itself, or what a ring says of which none runs.

mod text;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use super::contents::{catalogue_of, device_of, of_ring};
use super::{CommandError, unless_closed};
use crate::clock::{Clock, within};
use crate::config::Config;
use crate::ring::{Counters, Inspection};
use crate::status::{DeviceStatus, SCHEMA, Status, camera_totals, foresee, ring_status};
use crate::units::WallTime;
use crate::view::{STATUS_NAME, utc_timestamp};

/// A daemon answers in milliseconds; one that does not within this is taken as none.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);
/// For the ring itself, where no daemon answers: a spinning disk reads the ledger of 16 TiB in two
/// seconds.
const RING_TIME_MAX: Duration = Duration::from_secs(20);
/// A daemon answers, and something is wrong.
const SOMETHING_WRONG: u8 = 1;
/// The exit status where no daemon answers, whatever the reason: the health of the recorder is not
/// known.
pub const NO_ANSWER: u8 = 2;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct StatusRequest {
    /// JSON for programs, rather than lines for people.
    pub json: bool,
    /// What is wrong alone, for a watchdog.
    pub check: bool,
}

/// What came of asking the daemon.
enum Answer {
    /// It said this.
    Said(Box<Status>),
    /// Its mount is there, and it says nothing that helps.
    Silence,
    /// No daemon has mounted anything.
    Nobody,
}

/// Prints the state of cameras and ring. Answers the exit status: 0 all is well, 1 something is
/// wrong, which is printed, 2 ([`NO_ANSWER`]) no daemon answers.
///
/// # Errors
/// No daemon answers, and the ring can't be read either.
pub fn status(
    config: &Config,
    request: &StatusRequest,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let Some(view) = config.views.iter().find(|view| view.cameras.is_all()) else {
        let why = "no view shows the status: each is one of some cameras (view.cameras)";
        return Err(CommandError::Failed(why.to_owned()));
    };
    let mut status = match ask_daemon(&view.mount) {
        Answer::Said(status) => *status,
        Answer::Silence => from_ring(config, clock, true)?,
        Answer::Nobody => from_ring(config, clock, false)?,
    };
    if status.wrong.is_empty() {
        // A daemon of an earlier version does not say it.
        status.wrong = status.troubles();
    }
    let printed = match request {
        StatusRequest { json: true, .. } => print_json(&status, out),
        StatusRequest { check: true, .. } => print_wrong(&status, out),
        _ => text::print(&status, out),
    };
    unless_closed(printed)?;
    Ok(match (status.uptime_seconds, status.wrong.as_slice()) {
        (None, _) => NO_ANSWER,
        (Some(_), []) => 0,
        (Some(_), _) => SOMETHING_WRONG,
    })
}

/// Of a ring that no daemon speaks of, that none does.
fn print_wrong(status: &Status, out: &mut dyn Write) -> Result<(), CommandError> {
    if status.uptime_seconds.is_none() {
        writeln!(out, "no daemon answers")?;
    }
    status.wrong.iter().try_for_each(|wrong| writeln!(out, "{wrong}"))?;
    Ok(out.flush()?)
}

fn ask_daemon(mount: &Path) -> Answer {
    let path = mount.join(STATUS_NAME);
    let shown = path.display().to_string();
    let json = match within(ANSWER_TIME_MAX, "status", || fs::read(path)).flatten() {
        Ok(json) => json,
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            log::warn!("{shown}: {error}; asking the ring instead");
            return Answer::Silence;
        }
        // No such file, or what a killed daemon left behind.
        Err(_) => return Answer::Nobody,
    };
    match serde_json::from_slice(&json) {
        Ok(status) => Answer::Said(Box::new(status)),
        Err(error) => {
            log::warn!("{shown}: {error}; asking the ring instead");
            Answer::Silence
        }
    }
}

/// What the ring says; `is_running` where a daemon is there that does not.
///
/// # Errors
/// It can't be read, or not within [`RING_TIME_MAX`].
fn from_ring(config: &Config, clock: &dyn Clock, is_running: bool) -> Result<Status, CommandError> {
    let (own, now) = (config.clone(), clock.read().wall);
    within(RING_TIME_MAX, "status", move || read_ring(&own, now, is_running)).unwrap_or_else(
        |error| {
            let path = config.ring.device.display();
            Err(CommandError::Failed(format!("{path}: {error}")))
        },
    )
}

fn read_ring(config: &Config, now: WallTime, is_running: bool) -> Result<Status, CommandError> {
    let path = &config.ring.device;
    let device = device_of(config)?;
    let inspection = Inspection::open(&device).map_err(of_ring(path))?;
    let catalogue = catalogue_of(&inspection);
    let configured: Vec<(&str, Option<Duration>)> = config
        .cameras
        .iter()
        .map(|camera| (camera.name.as_str(), config.retain_of(camera.name.as_str())))
        .collect();
    let (superblock, usage) = (&inspection.superblock, inspection.usage());
    let counters = Counters::default();
    let mut cameras = camera_totals(&catalogue, &configured, now);
    if is_running {
        let asked = cameras.iter_mut().take(configured.len());
        asked.for_each(|camera| camera.state = "unknown".to_owned());
    }
    let mut status = Status {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        running: is_running,
        at: utc_timestamp(now),
        ring: ring_status(superblock, path, &usage, &counters, &catalogue, now),
        device: DeviceStatus { state: "unknown".into(), ..DeviceStatus::default() },
        cameras,
        ..Status::default()
    };
    foresee(&mut status, &superblock.geometry, &usage);
    Ok(status)
}

fn print_json(status: &Status, out: &mut dyn Write) -> Result<(), CommandError> {
    serde_json::to_writer_pretty(&mut *out, status).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
