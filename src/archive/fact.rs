//! What the ring's record of a closed clip says.

use crate::ring::ClipRecord;
use crate::segment::{ClipFact, Malformed};

/// The fact of a closed clip, with the times that it was given since.
///
/// # Errors
/// Names the first field that is not what it should be.
pub fn fact_in_force(record: &ClipRecord) -> Result<ClipFact, Malformed> {
    ClipFact::decode_in_force(&record.fact, record.redating.as_deref())
}
