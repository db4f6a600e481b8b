//! Times as people and programs read them.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::units::WallTime;
use crate::zone::Zone;

/// RFC 3339 in UTC, to the nanosecond: `2026-11-21T12:10:00.040000000Z`.
#[must_use]
pub fn utc_timestamp(wall: WallTime) -> String {
    DateTime::<Utc>::from_timestamp_nanos(wall.0).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// RFC 3339 in a zone, to the second: `2026-11-21T13:10:00+01:00`.
#[must_use]
pub fn local_timestamp(zone: &Zone, wall: WallTime) -> String {
    zone.local(wall).to_rfc3339_opts(SecondsFormat::Secs, false)
}
