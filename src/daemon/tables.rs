//! Tables for clips that were growing when the power went: their headers are read when nobody else
//! wants the disk, so that recording begins at once.

use std::sync::Arc;

use super::Store;
use crate::check;

/// Reads on a thread of its own, which ends with the ring and is not waited for.
pub(super) fn add_missing_tables(store: &Store) {
    let ring = Arc::downgrade(store.archive.ring());
    let writer = store.writer.clone();
    let work = move || {
        if let Err(error) = check::give_way() {
            log::debug!("tables: reads have no idle priority: {error}");
        }
        let clips = ring.upgrade().map(|ring| ring.clips_without_table());
        for clip in clips.unwrap_or_default() {
            let Some(ring) = ring.upgrade() else { return };
            match ring.contents(clip) {
                Ok(contents) => writer.add_table(clip, &contents),
                Err(error) => log::warn!("tables: {error}"),
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("tables".into()).spawn(work) {
        log::warn!("tables: no thread: {error}");
    }
}
