//! The background scrub, as the daemon starts it and tells of it.

use super::superblocks::Caretaker;
use super::{DaemonError, Store};
use crate::check::{Damage, ScrubCounters, Scrubber};
use crate::config::Config;
use crate::status::{ScrubFinding, ScrubStatus};
use crate::view::utc_timestamp;

/// Starts it, unless it is switched off. With each pass the superblocks are looked at, too.
pub(super) fn start_scrub(
    config: &Config,
    store: &Store,
    caretaker: &Caretaker,
) -> Result<Option<Scrubber>, DaemonError> {
    let Some(every) = config.ring.scrub else { return Ok(None) };
    let (archive, writer, clock) =
        (store.archive.clone(), store.writer.clone(), store.clock.clone());
    let started = Scrubber::start(every, archive, writer, clock, caretaker.asking());
    started.map(Some).map_err(|source| DaemonError::System { what: "the scrub", source })
}

/// What it has done, for the status.
pub(super) fn scrub_status(counters: &ScrubCounters) -> ScrubStatus {
    ScrubStatus {
        progress_percent: counters.progress_percent,
        last_complete: counters.last_complete.map(utc_timestamp),
        chunks: counters.chunks,
        bytes: counters.bytes.0,
        damaged: counters.damaged,
        latest: counters.latest.iter().map(finding).collect(),
    }
}

fn finding(damage: &Damage) -> ScrubFinding {
    ScrubFinding {
        at: utc_timestamp(damage.at),
        camera: damage.camera.clone(),
        clip: damage.clip.to_string(),
        from: utc_timestamp(damage.hit.0),
        to: utc_timestamp(damage.hit.1),
        block: damage.block.0,
        page: damage.page,
        found: damage.found.clone(),
    }
}
