//! What the mount asks for, answered by archive, catalogue and ring.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::listener::camera_of;
use super::reporter::Reporter;
use crate::archive::{Archive, ArchiveError, ClipFile, attributes};
use crate::clock::Clock;
use crate::device::{Device, ReturningDevice};
use crate::mount::{Attribute, Bytes, OpenFile, Snapshot, Source, SourceError};
use crate::ring::{ClipState, ReadError, Reason, Usage, Writer};
use crate::units::ClipId;
use crate::view::utc_timestamp;

/// Recorders hand over what they hold within this time; `fsync` waits for it.
const HAND_OVER: Duration = Duration::from_millis(50);
/// Between two lines in the log about the same clip.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// Clips that complaints are remembered of.
const COMPLAINTS_MAX: usize = 256;

/// The footage, as the mount sees it.
pub(super) struct Library {
    pub archive: Arc<Archive>,
    pub device: Arc<ReturningDevice>,
    pub writer: Writer,
    pub clock: Arc<dyn Clock>,
    /// From `rm` to the purge, in nanoseconds.
    pub grace_nanos: i64,
    pub reporter: Arc<Reporter>,
    pub ticks: watch::Sender<u64>,
    pub complaints: Arc<Complaints>,
}

/// Clips that the log has spoken of lately: the kernel asks for a damaged page again and again.
#[derive(Default)]
pub(super) struct Complaints(Mutex<HashMap<ClipId, Instant>>);

impl Complaints {
    fn log(&self, clip: ClipId, error: &SourceError) {
        if matches!(error, SourceError::Gone | SourceError::Closed) {
            return;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&clip).is_some_and(|at| at.elapsed() < COMPLAINT_INTERVAL) {
            return;
        }
        if told.len() >= COMPLAINTS_MAX {
            told.clear();
        }
        told.insert(clip, Instant::now());
        log::error!("a reader gets EIO: {error}");
    }
}

/// A clip that somebody has open.
struct Opened {
    clip: ClipId,
    file: Arc<ClipFile>,
    complaints: Arc<Complaints>,
}

impl OpenFile for Opened {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, SourceError> {
        self.file.read(offset, length).map_err(|error| {
            let error = source_error(&error);
            self.complaints.log(self.clip, &error);
            error
        })
    }
}

impl Library {
    /// Nothing can be made durable on a device that is gone, and nobody knows for how long.
    fn check_present(&self) -> Result<(), SourceError> {
        match self.device.is_present() {
            true => Ok(()),
            false => Err(SourceError::Device("the device is gone".to_owned())),
        }
    }
}

impl Library {
    fn set_state(&self, clip: ClipId, state: ClipState) -> Result<(), SourceError> {
        match self.writer.set_state(clip, state) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SourceError::Gone),
            Err(refused) => Err(SourceError::Device(refused.to_string())),
        }
    }
}

impl Source for Library {
    fn open_clip(&self, clip: ClipId) -> Result<Arc<dyn OpenFile>, SourceError> {
        let file = self.archive.open_clip(clip).map_err(|error| {
            let error = source_error(&error);
            self.complaints.log(clip, &error);
            error
        })?;
        Ok(Arc::new(Opened { clip, file, complaints: self.complaints.clone() }))
    }

    fn snapshot(&self, camera: &str) -> Result<Option<Snapshot>, SourceError> {
        let growing = self.archive.open_growing(camera).map_err(|error| source_error(&error))?;
        Ok(growing.map(|growing| Snapshot {
            file: Arc::new(Opened {
                clip: growing.file.clip(),
                file: growing.file,
                complaints: self.complaints.clone(),
            }),
            start: growing.start,
            end: growing.end,
            attributes: growing.attributes,
        }))
    }

    fn growing_cameras(&self) -> Vec<String> {
        let catalogue = self.archive.catalogue();
        let growing = |number| catalogue.growing_of(number).is_some();
        let streams = catalogue.streams().filter(|(number, _)| growing(*number));
        streams.map(|(_, fact)| fact.name().to_owned()).collect()
    }

    fn remove(&self, clip: ClipId) -> Result<(), SourceError> {
        self.check_present()?;
        let until = self.clock.read().wall.plus_nanos(self.grace_nanos);
        let state = ClipState::Expiring { until, reason: Reason::Deleted };
        self.set_state(clip, state)
    }

    fn restore(&self, clip: ClipId) -> Result<(), SourceError> {
        self.check_present()?;
        self.set_state(clip, ClipState::Closed)
    }

    fn purge(&self, clip: ClipId) -> Result<(), SourceError> {
        self.check_present()?;
        self.set_state(clip, ClipState::Purging { reason: Reason::Deleted })
    }

    fn sync(&self) -> Result<(), SourceError> {
        self.check_present()?;
        self.ticks.send_modify(|tick| *tick = tick.wrapping_add(1));
        std::thread::sleep(HAND_OVER);
        self.writer.sync().map_err(|error| SourceError::Device(error.to_string()))
    }

    fn usage(&self) -> Usage {
        self.archive.ring().usage()
    }

    fn attributes(&self, clip: ClipId) -> Option<Vec<Attribute>> {
        let catalogue = self.archive.catalogue();
        let clip = catalogue.clip(clip)?;
        let mut attributes = attributes(&camera_of(&catalogue, clip), &clip.fact);
        if let ClipState::Expiring { until, .. } = clip.state {
            let expires = if clip.state.is_found() { "found".into() } else { utc_timestamp(until) };
            attributes.push(("user.reelfs.expires", expires));
        }
        Some(attributes)
    }

    fn status_json(&self) -> Vec<u8> {
        self.reporter.json()
    }
}

fn source_error(error: &ArchiveError) -> SourceError {
    match error {
        ArchiveError::Gone(_) | ArchiveError::Read(ReadError::Gone(_)) => SourceError::Gone,
        ArchiveError::Read(ReadError::Device { .. }) => SourceError::Device(error.to_string()),
        ArchiveError::Read(ReadError::Damaged(_))
        | ArchiveError::Movie { .. }
        | ArchiveError::Malformed { .. } => SourceError::Damaged(error.to_string()),
    }
}
