//! Streams of a ring and their names.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::row::Row;
use crate::cli::quantity::{duration_text, size_text};
use crate::cli::table::Align;
use crate::command::CommandError;
use crate::command::contents::catalogue_of;
use crate::ring::Inspection;
use crate::segment::StreamFact;
use crate::units::{ByteCount, NANOS_PER_SECOND, StreamKey, StreamNumber, WallTime};
use crate::view::utc_timestamp;

/// What the facts say of each stream.
pub(super) struct Streams(BTreeMap<StreamNumber, StreamFact>);

impl Streams {
    /// The streams of a ring; those whose facts can't be understood are logged and left out.
    pub fn of(inspection: &Inspection<'_>) -> Streams {
        let facts = inspection.streams().filter_map(|(number, fact)| {
            let fact = StreamFact::decode(fact);
            let fact = fact.inspect_err(|error| log::warn!("stream {number}: {error}")).ok()?;
            Some((number, fact))
        });
        Streams(facts.collect())
    }

    /// The name of a stream at a time; its number where it has none.
    pub fn name_at(&self, stream: StreamNumber, time: WallTime) -> String {
        let known = self.0.get(&stream).map(|fact| fact.name_at(time).to_owned());
        known.unwrap_or_else(|| format!("stream {stream}"))
    }

    /// The name of a stream now; its number where it has none.
    pub fn name(&self, stream: StreamNumber) -> String {
        let known = self.0.get(&stream).map(|fact| fact.name().to_owned());
        known.unwrap_or_else(|| format!("stream {stream}"))
    }

    /// The streams that have, or had, a name.
    ///
    /// # Errors
    /// There is none; the names that there are are listed.
    pub fn wanted(&self, camera: Option<&str>) -> Result<Wanted, CommandError> {
        let Some(camera) = camera else { return Ok(Wanted(None)) };
        let named = |fact: &StreamFact| fact.names.iter().any(|name| name.name == camera);
        let matching = self.0.iter().filter(|(_, fact)| named(fact));
        let numbers: BTreeSet<StreamNumber> = matching.map(|(number, _)| *number).collect();
        if numbers.is_empty() {
            let names: Vec<&str> = self.0.values().map(StreamFact::name).collect();
            let known = match names.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has {}", names.join(", ")),
            };
            return Err(CommandError::Usage(format!("no camera {camera:?} in the ring: {known}")));
        }
        Ok(Wanted(Some(numbers)))
    }

    /// A row for each wanted stream.
    pub fn rows(&self, inspection: &Inspection<'_>, wanted: &Wanted) -> Vec<StreamRow> {
        let (catalogue, ring) = (catalogue_of(inspection), inspection.superblock.ring_number);
        let shown = self.0.iter().filter(|(number, _)| wanted.has(**number));
        let rows = shown.map(|(number, fact)| {
            let totals = catalogue.totals(StreamKey { ring, stream: *number });
            let retain = fact.retain_nanos.and_then(|nanos| u64::try_from(nanos).ok());
            StreamRow {
                stream: number.0,
                camera: fact.name().to_owned(),
                uuid: uuid::Uuid::from_bytes(fact.uuid).to_string(),
                names: fact
                    .names
                    .iter()
                    .map(|n| (n.name.clone(), utc_timestamp(n.since)))
                    .collect(),
                retain_seconds: retain.map(|nanos| nanos / NANOS_PER_SECOND.unsigned_abs()),
                removed: fact.removed.map(utc_timestamp),
                clips: totals.clips,
                used_bytes: totals.used.0,
                hidden_clips: totals.hidden_clips,
                hidden_bytes: totals.hidden_used.0,
                oldest: totals.oldest.map(utc_timestamp),
                newest: totals.newest.map(utc_timestamp),
                times: (totals.oldest, totals.newest, fact.removed),
            }
        });
        rows.collect()
    }
}

/// Streams that are asked for; all where there is no set.
pub(super) struct Wanted(Option<BTreeSet<StreamNumber>>);

impl Wanted {
    /// Whether a stream is asked for.
    pub fn has(&self, stream: StreamNumber) -> bool {
        self.0.as_ref().is_none_or(|wanted| wanted.contains(&stream))
    }

    /// Whether all are asked for, and what belongs to none, too.
    pub fn is_everything(&self) -> bool {
        self.0.is_none()
    }
}

/// One stream.
#[derive(Serialize)]
pub(super) struct StreamRow {
    stream: u32,
    camera: String,
    uuid: String,
    names: Vec<(String, String)>,
    retain_seconds: Option<u64>,
    removed: Option<String>,
    clips: u64,
    used_bytes: u64,
    hidden_clips: u64,
    hidden_bytes: u64,
    oldest: Option<String>,
    newest: Option<String>,
    #[serde(skip)]
    times: (Option<WallTime>, Option<WallTime>, Option<WallTime>),
}

impl Row for StreamRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("stream", Align::Right),
        ("camera", Align::Left),
        ("clips", Align::Right),
        ("used", Align::Right),
        ("removed", Align::Right),
        ("retain", Align::Right),
        ("oldest", Align::Left),
        ("newest", Align::Left),
        ("left", Align::Left),
        ("UUID", Align::Left),
        ("earlier names", Align::Left),
    ];

    fn cells(&self, time_text: &dyn Fn(WallTime) -> String) -> Vec<String> {
        let time = |time: Option<WallTime>| time.map_or_else(|| "-".to_owned(), time_text);
        let retain = self.retain_seconds.map(std::time::Duration::from_secs);
        let (_, earlier) = self.names.split_last().unwrap_or((&Default::default(), &[]));
        let earlier: Vec<&str> = earlier.iter().map(|(name, _)| name.as_str()).collect();
        vec![
            self.stream.to_string(),
            self.camera.clone(),
            self.clips.to_string(),
            size_text(ByteCount(self.used_bytes)),
            self.hidden_clips.to_string(),
            match retain {
                None => "-".to_owned(),
                // What events claim, and nothing else.
                Some(retain) if retain.is_zero() => "events".to_owned(),
                Some(retain) => duration_text(retain),
            },
            time(self.times.0),
            time(self.times.1),
            time(self.times.2),
            self.uuid.clone(),
            earlier.join(", "),
        ]
    }
}
