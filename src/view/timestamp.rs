//! Times as people and programs read them.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::units::WallTime;

/// RFC 3339 in UTC, to the second that it is in: `2026-11-21T12:10:00Z`.
#[must_use]
pub fn utc_second(wall: WallTime) -> String {
    DateTime::<Utc>::from_timestamp_nanos(wall.0).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// RFC 3339 in UTC, to the nanosecond: `2026-11-21T12:10:00.040000000Z`.
#[must_use]
pub fn utc_timestamp(wall: WallTime) -> String {
    DateTime::<Utc>::from_timestamp_nanos(wall.0).to_rfc3339_opts(SecondsFormat::Nanos, true)
}
