//! Putting right what costs nothing yet: whatever says the same as something else.

use super::names::{Names, span_of};
use crate::device::Device;
use crate::ring::{BlockLabel, ClipRecord, Inspection, Restored, RingError};
use crate::units::WallTime;

/// Times that a ring is gone through: more than one where what is there again says what the rest
/// was.
const PASSES_MAX: usize = 8;

/// Writes headers of blocks, parameter sets and clip tables again that can't be read. Nobody else
/// may have the ring open.
///
/// # Errors
/// There is no ring that can be looked at, or the device takes no flush.
pub fn restore(device: &dyn Device) -> Result<Restored, RingError> {
    let inspection = Inspection::open(device)?;
    let names = Names::of(&inspection);
    let label = |record: &ClipRecord| {
        let start = span_of(record).map(|span| span.0);
        BlockLabel {
            stream_uuid: names.uuid(record.stream),
            name: names.camera(record.stream, start),
            start: start.unwrap_or(WallTime(0)),
        }
    };
    let mut all = Restored::default();
    for _ in 0..PASSES_MAX {
        let restored = inspection.restore(&label).map_err(|source| RingError::Device {
            what: "writing again what was damaged".into(),
            source,
        })?;
        let Restored { headers, sets, tables, left } = restored;
        all = Restored {
            headers: all.headers + headers,
            sets: all.sets + sets,
            tables: all.tables + tables,
            left,
        };
        if headers + sets + tables == 0 {
            break;
        }
    }
    Ok(all)
}
