//! What opening the ring has met, for the log.

use std::path::Path;

use crate::ring::Opening;
use crate::units::Counted;

/// `is_protected`: no write was tried.
pub(super) fn log_opening(path: &Path, opening: &Opening, is_protected: bool) {
    let path = path.display();
    match &opening.unwritable {
        Some(_) if is_protected => log::warn!(
            "{path} is read-only: it is served as it is, nothing is recorded and nothing can be \
             removed; where it can be written, start again"
        ),
        Some(reason) => log::error!(
            "the ring can't be written ({reason}): it is served read-only, nothing can be \
             removed; recording begins by itself when that has changed"
        ),
        None => {}
    }
    if !opening.was_clean {
        log::warn!(
            "the last run did not end in order: {} clips closed, {} chunks found behind the ledger",
            opening.clips_recovered,
            opening.chunks_recovered
        );
    }
    if opening.chunks_lost > 0 {
        let chunks = Counted(opening.chunks_lost, "chunk");
        log::error!("lost of clips that were growing: {chunks}, see above");
    }
    let findings = &opening.findings;
    if !findings.rotten.is_empty() || findings.unreadable_facts > 0 {
        log::error!(
            "ledger: {} pages and {} facts can't be read; what they said may be missing",
            findings.rotten.len(),
            findings.unreadable_facts
        );
    }
}
