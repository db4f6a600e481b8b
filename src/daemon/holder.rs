//! The ring's device, when it vanishes, stalls and comes back: how it is known again, what the log
//! says.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use crate::device::{Device, DeviceHolder};
use crate::ring::{Inspection, Ring};
use crate::units::SessionNumber;

/// What a ring is known by.
struct Mark {
    ring: Weak<Ring>,
    /// Ours: whoever opens the ring to write leaves a later one.
    session: SessionNumber,
}

/// Knows the device by the ring that is on it.
pub(super) struct RingHolder {
    path: PathBuf,
    /// Set once the ring is open: before that nothing is known again.
    mark: OnceLock<Mark>,
}

impl RingHolder {
    pub(super) fn new(path: PathBuf) -> RingHolder {
        RingHolder { path, mark: OnceLock::new() }
    }

    /// The ring is open, and `session` is ours.
    pub(super) fn opened(&self, ring: &Arc<Ring>, session: SessionNumber) {
        // Set once, by who opened it.
        let _ = self.mark.set(Mark { ring: Arc::downgrade(ring), session });
    }
}

impl DeviceHolder for RingHolder {
    fn recognise(&self, device: &dyn Device) -> Result<(), String> {
        let Some(mark) = self.mark.get() else {
            return Err("the ring was not open yet".to_owned());
        };
        let Some(ring) = mark.ring.upgrade() else {
            return Err("the ring is closed".to_owned());
        };
        let found = Inspection::open(device).map_err(|error| error.to_string())?;
        if found.superblock.ring_uuid != ring.superblock().ring_uuid {
            let uuid = uuid::Uuid::from_bytes(found.superblock.ring_uuid);
            return Err(format!("another ring is there, {uuid}"));
        }
        if ring.unwritable().is_some() {
            // Our session has left nothing on it yet.
            let before = SessionNumber(mark.session.0.saturating_sub(1));
            return match found.session() {
                session if session <= before => Ok(()),
                session => Err(format!("somebody else has used the ring: session {session}")),
            };
        }
        if found.session() != mark.session || found.is_clean() {
            let (found, ours) = (found.session(), mark.session);
            return Err(format!(
                "somebody else has used the ring: session {found}, {ours} was the last; start the \
                 daemon again"
            ));
        }
        let has_all =
            || ring.last_chunks().iter().all(|(clip, place)| found.has_chunk(*clip, place));
        if found.epoch() < ring.ledger_epoch() || !has_all() {
            return Err("an older copy of the ring is there: it lacks what was recorded".to_owned());
        }
        Ok(())
    }

    fn disowned(&self, reason: &str) {
        log::error!("recording pauses: {}: {reason}", self.path.display());
    }

    fn vanished(&self, error: &io::Error) {
        log::error!("recording pauses: {} is gone: {error}", self.path.display());
    }

    fn stays_away(&self, reason: &str) {
        log::warn!("{} is left alone: {reason}", self.path.display());
    }

    fn returned(&self, away: Duration) {
        let (path, seconds) = (self.path.display(), away.as_secs());
        log::warn!("{path} is back after {seconds} s: recording goes on");
    }

    fn stalls(&self, waited: Duration) {
        let (path, seconds) = (self.path.display(), waited.as_secs());
        log::error!("{path} has not answered for {seconds} s: what is recorded waits in memory");
    }

    fn answers(&self, waited: Duration) {
        let (path, seconds) = (self.path.display(), waited.as_secs());
        log::warn!("{path} answers again, after {seconds} s");
    }
}
