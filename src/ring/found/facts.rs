//! The facts in force, as the ledger has them.

use crate::device::Device;
use crate::ring::error::RingError;
use crate::ring::fact::Fact;
use crate::ring::geometry::Geometry;
use crate::ring::ledger::{Ledger, LedgerError, Replay};
use crate::ring::space::Space;
use crate::ring::superblock::Superblock;

/// Replays the ledger into the facts in force.
///
/// # Errors
/// Neither area can be used.
pub fn read_ledger(
    device: &dyn Device,
    superblock: &Superblock,
) -> Result<(Space, Replay), RingError> {
    let geometry = &superblock.geometry;
    let mut replay = Ledger::replay(device, superblock).map_err(|error| match error {
        LedgerError::Device { area, source } => {
            RingError::Device { what: format!("reading ledger area {area}"), source }
        }
        LedgerError::Lost => RingError::LedgerLost,
    })?;
    let (mut space, contradictions) = applied(geometry, &replay.facts);
    replay.findings.unreadable_facts += contradictions;
    if !replay.older.is_empty() {
        let (older, _) = applied(geometry, &replay.older);
        replay.findings.clips_restored = space.restore(&older, &replay.facts) as u32;
    }
    Ok((space, replay))
}

fn applied(geometry: &Geometry, facts: &[Fact]) -> (Space, u32) {
    let mut space = Space::new(geometry);
    let mut contradictions = 0;
    for fact in facts {
        if let Err(contradiction) = space.apply(fact) {
            log::warn!("ledger: {contradiction}");
            contradictions += 1;
        }
    }
    (space, contradictions)
}
