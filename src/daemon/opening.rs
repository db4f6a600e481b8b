//! What opening the ring has met, for the log.

use crate::ring::Opening;
use crate::units::Counted;

pub(super) fn log_opening(opening: &Opening) {
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
