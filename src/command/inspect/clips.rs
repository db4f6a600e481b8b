//! Clips of a ring, those that grow included.

use serde::Serialize;

use super::row::{Row, hexadecimal, words};
use super::selection::{Selection, Span};
use super::streams::{Streams, Wanted};
use crate::archive::fact_in_force;
use crate::cli::quantity::{duration_text, size_text};
use crate::cli::table::Align;
use crate::mp4;
use crate::ring::{ClipRecord, ClipState, Extent, Inspection};
use crate::segment::{ClipFact, Growth, Malformed, Pause, Pauses, TrackKind, TrackTotals};
use crate::units::{ByteCount, ClipId, PAGE_BYTES, StreamNumber, WallTime};
use crate::view::utc_timestamp;

/// Digits of a digest that people see; enough to compare by eye.
const DIGEST_DIGITS: usize = 16;

/// A clip and what its fact, or its sums so far, say.
pub(super) struct Known<'a> {
    pub id: ClipId,
    pub record: &'a ClipRecord,
    pub content: Result<Content, Malformed>,
}

/// What is known of a clip.
pub(super) enum Content {
    Closed(ClipFact),
    Growing(Growth),
}

impl Known<'_> {
    /// From when to when it lasts.
    pub fn span(&self) -> Option<Span> {
        match self.content.as_ref().ok()? {
            Content::Closed(fact) => Some((fact.start, fact.end)),
            Content::Growing(growth) => Some((growth.start, growth.end())),
        }
    }

    /// When it begins, and when nothing came.
    pub fn pauses(&self) -> Option<(WallTime, &Pauses)> {
        match self.content.as_ref().ok()? {
            Content::Closed(fact) => Some((fact.start, &fact.pauses)),
            Content::Growing(growth) => Some((growth.start, &growth.pauses)),
        }
    }

    /// Its tracks.
    pub fn tracks(&self) -> &[TrackTotals] {
        match &self.content {
            Ok(Content::Closed(fact)) => &fact.tracks,
            Ok(Content::Growing(growth)) => &growth.tracks,
            Err(_) => &[],
        }
    }
}

/// All clips of the wanted streams, in the order in which they were begun.
pub(super) fn known<'a>(
    inspection: &'a Inspection<'_>,
    wanted: &'a Wanted,
) -> impl Iterator<Item = Known<'a>> {
    let clips = inspection.clips().filter(|(_, record)| wanted.has(record.stream));
    clips.map(|(id, record)| {
        let content = match record.state {
            Some(_) => fact_in_force(record).map(Content::Closed),
            None => Growth::decode(&record.fact).map(Content::Growing),
        };
        Known { id, record, content }
    })
}

/// Rows of the selected clips.
pub(super) fn rows(
    inspection: &Inspection<'_>,
    streams: &Streams,
    wanted: &Wanted,
    selection: &Selection,
) -> Vec<ClipRow> {
    let clips = known(inspection, wanted).collect();
    let selected = selection.of(clips, Known::span, None);
    selected.iter().map(|clip| row(clip, streams)).collect()
}

/// One clip.
#[derive(Serialize)]
pub(super) struct ClipRow {
    clip: String,
    inode: u64,
    stream: u32,
    camera: String,
    state: &'static str,
    state_reason: Option<String>,
    state_until: Option<String>,
    start: Option<String>,
    end: Option<String>,
    duration_seconds: Option<f64>,
    end_reason: Option<String>,
    clock: Option<String>,
    codec: String,
    width: u16,
    height: u16,
    frames: u64,
    sync_frames: u64,
    damaged_frames: u64,
    pauses: Vec<PauseRow>,
    pauses_more: u64,
    records: u64,
    media_bytes: u64,
    mp4_bytes: Option<u64>,
    used_bytes: u64,
    output_version: Option<u16>,
    digest: Option<String>,
    extents: Vec<ExtentRow>,
    table: Vec<ExtentRow>,
    table_copy: Vec<ExtentRow>,
    damage: Option<String>,
    #[serde(skip)]
    span: Option<Span>,
    #[serde(skip)]
    until: Option<WallTime>,
}

/// When nothing came for a while, and nothing was lost.
#[derive(Serialize)]
struct PauseRow {
    start: String,
    seconds: f64,
}

/// Where a part of a clip lies: pages of 4 KiB from the beginning of the block.
#[derive(Serialize)]
struct ExtentRow {
    block: u32,
    life: String,
    first_page: u32,
    end_page: u32,
    first_chunk: u32,
    chunks: u32,
    bytes: u64,
}

fn row(clip: &Known<'_>, streams: &Streams) -> ClipRow {
    let record = clip.record;
    let (state, state_reason, until) = state_of(record.state);
    let span = clip.span();
    let tracks = clip.tracks();
    let video = tracks.iter().find(|track| track.kind == TrackKind::Video).or(tracks.first());
    let mut row = ClipRow {
        clip: clip.id.to_string(),
        inode: clip.id.number(),
        stream: record.stream.0,
        camera: camera(streams, record.stream, span),
        state,
        state_reason,
        state_until: until.map(utc_timestamp),
        start: span.map(|(start, _)| utc_timestamp(start)),
        end: span.map(|(_, end)| utc_timestamp(end)),
        duration_seconds: span.map(|(start, end)| end.nanos_since(start) as f64 / 1e9),
        end_reason: None,
        clock: None,
        codec: String::new(),
        width: 0,
        height: 0,
        frames: video.map_or(0, |track| track.samples),
        sync_frames: video.map_or(0, |track| track.sync_samples),
        damaged_frames: video.map_or(0, |track| track.damaged),
        pauses: Vec::new(),
        pauses_more: clip.pauses().map_or(0, |(_, pauses)| pauses.more().0),
        records: tracks.iter().filter(|t| t.kind == TrackKind::Timed).map(|t| t.samples).sum(),
        media_bytes: tracks.iter().map(|track| track.bytes).sum(),
        mp4_bytes: None,
        used_bytes: record.used().bytes.0,
        output_version: None,
        digest: None,
        extents: record.extents.iter().map(extent_row).collect(),
        table: record.table.iter().map(extent_row).collect(),
        table_copy: record.table_copy.iter().map(extent_row).collect(),
        damage: None,
        span,
        until,
    };
    if let Some((start, pauses)) = clip.pauses() {
        let pause_row = |pause: &Pause| PauseRow {
            start: utc_timestamp(start.plus_nanos(pause.from_nanos)),
            seconds: pause.length_nanos as f64 / 1e9,
        };
        row.pauses = pauses.listed().iter().map(pause_row).collect();
    }
    match &clip.content {
        Ok(Content::Closed(fact)) => {
            row.end_reason = Some(words(fact.end_reason));
            row.clock = Some(words(fact.quality));
            row.codec.clone_from(&fact.codec);
            (row.width, row.height) = fact.picture;
            row.mp4_bytes = mp4::size(fact).ok();
            row.output_version = Some(fact.output_version);
            row.digest = Some(hexadecimal(&fact.digest));
        }
        Ok(Content::Growing(growth)) => {
            row.clock = Some(words(growth.quality));
            row.codec.clone_from(&growth.codec);
            (row.width, row.height) = growth.picture;
        }
        Err(error) => row.damage = Some(error.to_string()),
    }
    row
}

fn camera(streams: &Streams, stream: StreamNumber, span: Option<Span>) -> String {
    match span {
        Some((start, _)) => streams.name_at(stream, start),
        None => streams.name(stream),
    }
}

/// The state's name, its reason, and how long it lasts.
pub(super) fn state_of(
    state: Option<ClipState>,
) -> (&'static str, Option<String>, Option<WallTime>) {
    match state {
        None => ("growing", None, None),
        Some(ClipState::Closed) => ("closed", None, None),
        Some(ClipState::Kept { until }) => ("kept", None, until),
        Some(ClipState::Found) => ("found", None, None),
        Some(ClipState::Expiring { until, reason }) => {
            ("expiring", Some(words(reason)), Some(until))
        }
        Some(ClipState::Purging { reason }) => ("purging", Some(words(reason)), None),
        Some(ClipState::Unknown(state)) => ("unknown", Some(state.code.to_string()), None),
    }
}

fn extent_row(extent: &Extent) -> ExtentRow {
    ExtentRow {
        block: extent.block.0,
        life: extent.life.to_string(),
        first_page: extent.first_page,
        end_page: extent.end_page,
        first_chunk: extent.first_chunk,
        chunks: extent.chunks,
        bytes: u64::from(extent.end_page.saturating_sub(extent.first_page)) * PAGE_BYTES,
    }
}

/// Extents beyond this are counted, not listed, in the table for people.
const EXTENTS_SHOWN: usize = 3;

fn extents_text(extents: &[ExtentRow]) -> String {
    let shown = extents.iter().take(EXTENTS_SHOWN);
    let mut texts: Vec<String> =
        shown.map(|e| format!("{}:{}-{}", e.block, e.first_page, e.end_page)).collect();
    if extents.len() > EXTENTS_SHOWN {
        texts.push(format!("+{}", extents.len() - EXTENTS_SHOWN));
    }
    texts.join(" ")
}

impl Row for ClipRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("clip", Align::Right),
        ("camera", Align::Left),
        ("state", Align::Left),
        ("start", Align::Left),
        ("duration", Align::Right),
        ("ended", Align::Left),
        ("frames", Align::Right),
        ("damaged", Align::Right),
        ("mp4 bytes", Align::Right),
        ("on the ring", Align::Right),
        ("codec", Align::Left),
        ("digest", Align::Left),
        ("extents (block:pages)", Align::Left),
    ];

    fn cells(&self, time_text: &dyn Fn(WallTime) -> String) -> Vec<String> {
        let unknown = || "-".to_owned();
        let state = match (&self.state_reason, self.until) {
            (_, Some(until)) => format!("{} until {}", self.state, time_text(until)),
            (Some(reason), None) => format!("{} ({reason})", self.state),
            (None, None) => self.state.to_owned(),
        };
        let length = self.span.map(|(start, end)| end.nanos_since(start).max(0).unsigned_abs());
        let length = length.map(std::time::Duration::from_nanos);
        let digest = self.digest.as_ref().and_then(|digest| digest.get(..DIGEST_DIGITS));
        let extents = match &self.damage {
            Some(damage) => format!("{} {damage}", extents_text(&self.extents)),
            None => extents_text(&self.extents),
        };
        vec![
            self.clip.clone(),
            self.camera.clone(),
            state,
            self.span.map_or_else(unknown, |(start, _)| time_text(start)),
            length.map_or_else(unknown, duration_text),
            self.end_reason.clone().unwrap_or_else(unknown),
            self.frames.to_string(),
            self.damaged_frames.to_string(),
            self.mp4_bytes.map_or_else(unknown, |bytes| bytes.to_string()),
            size_text(ByteCount(self.used_bytes)),
            self.codec.clone(),
            digest.map_or_else(unknown, str::to_owned),
            extents,
        ]
    }
}
