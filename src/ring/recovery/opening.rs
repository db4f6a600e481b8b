//! What opening a ring comes to.

use crate::ring::ledger::Findings;
use crate::ring::types::{ClipState, ClockFact};
use crate::units::{ClipId, SessionNumber};

/// What opening a ring met and took; for the log.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// What the ledger said of itself.
    pub findings: Findings,
    /// The first superblock was damaged, and its copy served.
    pub superblock_from_copy: bool,
    /// The last session ended in order.
    pub was_clean: bool,
    /// Growing clips that were found and closed.
    pub clips_recovered: usize,
    /// Chunks in them that no fact spoke of.
    pub chunks_recovered: usize,
    /// Chunks behind the facts that had been flushed and can't be read any more.
    pub chunks_lost: usize,
    /// Clips among them of which later facts have rotted: what their blocks say is expiring.
    pub clips_found: Vec<(ClipId, ClipState)>,
    /// The last time that was trusted, if any ever was.
    pub known_clock: Option<ClockFact>,
    /// The number of this session.
    pub session: SessionNumber,
    /// Why nothing can be written: the session begins when that has changed.
    pub unwritable: Option<String>,
}
