//! What `ls` cannot say of a clip, as names and values.

use crate::segment::ClipFact;
use crate::view::utc_timestamp;

/// What a clip that still grows does not have yet.
pub(super) const DIGEST_ATTRIBUTE: &str = "user.reelfs.digest";

/// The extended attributes of a clip: times in UTC to the nanosecond, the duration in seconds.
#[must_use]
pub fn attributes(camera: &str, fact: &ClipFact) -> Vec<(&'static str, String)> {
    let length = fact.end.nanos_since(fact.start).max(0);
    let digest: String = fact.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("user.reelfs.start", utc_timestamp(fact.start)),
        ("user.reelfs.end", utc_timestamp(fact.end)),
        ("user.reelfs.duration", seconds(length)),
        ("user.reelfs.camera", camera.to_owned()),
        ("user.reelfs.codec", fact.codec.clone()),
        ("user.reelfs.frames", fact.frames().to_string()),
        (DIGEST_ATTRIBUTE, digest),
    ]
}

fn seconds(nanos: i64) -> String {
    let second = crate::units::NANOS_PER_SECOND;
    format!("{}.{:09}", nanos / second, nanos % second)
}
