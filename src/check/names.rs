//! Whose footage a clip is, and when it was taken: what a finding says of what it costs.

use std::collections::BTreeMap;

use super::finding::{Cost, Loss};
use crate::archive::fact_in_force;
use crate::ring::{ClipRecord, Inspection};
use crate::segment::{ChunkTable, Growth, StreamFact};
use crate::units::{ClipId, StreamNumber, WallTime};
use crate::view::utc_timestamp;

/// Streams by their numbers.
pub(super) struct Names {
    streams: BTreeMap<StreamNumber, StreamFact>,
}

impl Names {
    pub fn of(inspection: &Inspection<'_>) -> Names {
        let decoded = inspection
            .streams()
            .filter_map(|(stream, fact)| StreamFact::decode(fact).ok().map(|fact| (stream, fact)));
        Names { streams: decoded.collect() }
    }

    pub fn knows(&self, stream: StreamNumber) -> bool {
        self.streams.contains_key(&stream)
    }

    /// The number under which other rings know a stream; zeros where nobody does.
    pub fn uuid(&self, stream: StreamNumber) -> [u8; 16] {
        self.streams.get(&stream).map_or([0; 16], |fact| fact.uuid)
    }

    /// The camera of a stream, by the name that it had at a time.
    pub fn camera(&self, stream: StreamNumber, at: Option<WallTime>) -> String {
        match (self.streams.get(&stream), at) {
            (Some(fact), Some(at)) => fact.name_at(at).to_owned(),
            (Some(fact), None) => fact.name().to_owned(),
            (None, _) => format!("stream-{stream}"),
        }
    }

    /// Footage of a clip is lost: all of it, or what was taken in `part`.
    pub fn loss(&self, clip: ClipId, record: &ClipRecord, part: Option<Span>) -> Cost {
        let whole = span_of(record);
        let span = part.or(whole);
        Cost::Footage(Loss {
            camera: self.camera(record.stream, whole.map(|whole| whole.0)),
            clip: Some(clip.to_string()),
            clip_start: whole.map(|whole| utc_timestamp(whole.0)),
            from: span.map(|span| utc_timestamp(span.0)),
            to: span.map(|span| utc_timestamp(span.1)),
        })
    }
}

/// From when to when.
pub type Span = (WallTime, WallTime);

/// When a clip was taken, by its fact.
pub(super) fn span_of(record: &ClipRecord) -> Option<Span> {
    match record.state {
        Some(_) => fact_in_force(record).ok().map(|fact| (fact.start, fact.end)),
        None => Growth::decode(&record.fact).ok().map(|growth| (growth.start, growth.end())),
    }
}

/// When the samples of a chunk were taken, by its table.
pub(super) fn span_of_table(table: &[u8]) -> Option<Span> {
    let table = ChunkTable::decode(table).ok()?;
    let anchor = table.anchor.wall;
    let begin = |t: &crate::segment::TrackTable| anchor.plus_nanos(t.start.to_nanos(t.timescale));
    let end =
        |t: &crate::segment::TrackTable| anchor.plus_nanos(t.expected_end().to_nanos(t.timescale));
    let from = table.tracks.iter().map(begin).min()?;
    Some((from, table.tracks.iter().map(end).max()?.max(from)))
}
