//! A block in full: its chunks and samples, with what their checksums say.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::blocks::{self, BlockRow};
use super::row::{Printer, Row, hexadecimal, words};
use super::streams::Streams;
use crate::cli::quantity::size_text;
use crate::cli::table::Align;
use crate::command::CommandError;
use crate::command::contents::of_ring;
use crate::mp4::codec_name;
use crate::ring::{ChunkKind, ChunkReport, ClipRecord, Inspection, UNIT_BYTES};
use crate::segment::{ChunkTable, ClipFact, Growth, ParameterSet, TrackTable};
use crate::units::{BlockNumber, ByteCount, ClipId, Ticks, WallTime};
use crate::view::utc_timestamp;

/// Bytes of a sample that are shown: a length prefix, a NAL unit's header, and a little more.
const FIRST_BYTES: usize = 8;

/// What the ring knows of its clips.
type Clips<'a> = BTreeMap<ClipId, &'a ClipRecord>;

/// A block with its chunks.
#[derive(Serialize)]
struct BlockReport {
    #[serde(flatten)]
    block: BlockRow,
    chunks: Vec<ChunkRow>,
}

/// A chunk with its samples.
#[derive(Serialize)]
struct ChunkRow {
    page: u32,
    kind: String,
    clip: String,
    camera: String,
    number_in_clip: u32,
    bytes: u64,
    content: String,
    digest: String,
    verdict: String,
    samples: Vec<SampleRow>,
}

/// One sample.
#[derive(Serialize)]
struct SampleRow {
    track: u8,
    time: String,
    decode_ticks: i64,
    duration: u32,
    composition_offset: i32,
    bytes: u32,
    sync: bool,
    recovery: bool,
    damaged: bool,
    resumed: bool,
    first_bytes: String,
    sound: bool,
    #[serde(skip)]
    wall: WallTime,
    #[serde(skip)]
    timescale: u32,
}

/// Prints blocks in full, one after another.
///
/// # Errors
/// The ring has no such block, or the device failed.
pub(super) fn print(
    inspection: &Inspection<'_>,
    streams: &Streams,
    numbers: &[BlockNumber],
    path: &Path,
    to: &mut Printer<'_>,
) -> Result<(), CommandError> {
    let count = inspection.superblock.geometry.block_count;
    if let Some(wrong) = numbers.iter().find(|number| number.0 >= count) {
        let blocks = format!("the ring has blocks 0 to {}", count.saturating_sub(1));
        return Err(CommandError::Usage(format!("no block {wrong}: {blocks}")));
    }
    let wanted = streams.wanted(None)?;
    let clips: Clips<'_> = inspection.clips().collect();
    let reports = numbers.iter().map(|number| {
        let block = blocks::named(inspection, &wanted, *number);
        let block = blocks::row(inspection, streams, &block).map_err(of_ring(path))?;
        let chunks = inspection.chunks(*number).map_err(of_ring(path))?;
        let chunks = chunks.iter().map(|chunk| chunk_row(&clips, streams, chunk)).collect();
        Ok(BlockReport { block, chunks })
    });
    if to.json {
        return to.array(reports);
    }
    for report in reports {
        print_report(report?, to)?;
    }
    Ok(())
}

fn print_report(report: BlockReport, to: &mut Printer<'_>) -> Result<(), CommandError> {
    to.rows(std::iter::once(Ok(report.block)))?;
    for chunk in report.chunks {
        writeln!(
            to.out,
            "\npage {}: {} chunk {} of clip {} ({}), {}{}: {}",
            chunk.page,
            chunk.kind,
            chunk.number_in_clip,
            chunk.clip,
            chunk.camera.replace(char::is_control, "?"),
            size_text(ByteCount(chunk.bytes)),
            chunk.content.replace(char::is_control, "?"),
            chunk.verdict
        )?;
        if !chunk.samples.is_empty() {
            to.rows(chunk.samples.into_iter().map(Ok))?;
        }
    }
    Ok(writeln!(to.out)?)
}

fn chunk_row(clips: &Clips<'_>, streams: &Streams, chunk: &ChunkReport) -> ChunkRow {
    let mut samples = Vec::new();
    let content = match chunk.kind {
        ChunkKind::Media => match ChunkTable::decode(&chunk.table) {
            Ok(table) => {
                samples = sample_rows(clips, chunk, &table);
                format!(", {} samples", samples.len())
            }
            Err(error) => format!(", {error}"),
        },
        ChunkKind::Parameters => match ParameterSet::decode(&chunk.data) {
            Ok(set) => format!(", {}", codec_name(&set)),
            Err(error) => format!(", {error}"),
        },
        ChunkKind::Table | ChunkKind::Hole => String::new(),
    };
    ChunkRow {
        page: chunk.page,
        kind: words(chunk.kind),
        clip: chunk.clip.to_string(),
        camera: streams.name(chunk.stream),
        number_in_clip: chunk.number_in_clip,
        bytes: chunk.data.len() as u64,
        content,
        digest: hexadecimal(&chunk.digest),
        verdict: verdict(chunk),
        samples,
    }
}

fn verdict(chunk: &ChunkReport) -> String {
    let damaged: Vec<String> = chunk.damaged_units.iter().map(usize::to_string).collect();
    match (damaged.is_empty(), chunk.digest_matches) {
        (true, true) => "ok".to_owned(),
        (true, false) => "damaged: the digest is another one".to_owned(),
        (false, _) => format!("damaged: units {} of {UNIT_BYTES} bytes", damaged.join(", ")),
    }
}

fn sample_rows(clips: &Clips<'_>, chunk: &ChunkReport, table: &ChunkTable) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    let mut offset = 0_usize;
    for track in &table.tracks {
        let first_offset = first_offset(clips, chunk.clip, track);
        let mut ticks = track.start.0;
        for sample in &track.samples {
            let end = offset.saturating_add(sample.size as usize);
            let shown = ticks.saturating_add(i64::from(sample.composition_offset) - first_offset);
            let wall = table.anchor.wall.plus_nanos(Ticks(shown).to_nanos(track.timescale));
            let bytes = chunk.data.get(offset..end.min(chunk.data.len())).unwrap_or_default();
            let unit = UNIT_BYTES as usize;
            let units = offset / unit..end.div_ceil(unit);
            rows.push(SampleRow {
                track: track.track.0,
                time: utc_timestamp(wall),
                decode_ticks: ticks,
                duration: sample.duration,
                composition_offset: sample.composition_offset,
                bytes: sample.size,
                sync: sample.flags.sync,
                recovery: sample.flags.recovery,
                damaged: sample.flags.damaged,
                resumed: sample.flags.resumed,
                first_bytes: hexadecimal(&bytes[..bytes.len().min(FIRST_BYTES)]),
                sound: !chunk.damaged_units.iter().any(|damaged| units.contains(damaged)),
                wall,
                timescale: track.timescale,
            });
            ticks = ticks.saturating_add(i64::from(sample.duration));
            offset = end;
        }
    }
    rows
}

/// Composition offset of the clip's first sample on a track: it is shown at the clip's start.
fn first_offset(clips: &Clips<'_>, clip: ClipId, track: &TrackTable) -> i64 {
    let tracks = clips.get(&clip).and_then(|record| match record.state {
        Some(_) => ClipFact::decode(&record.fact).ok().map(|fact| fact.tracks),
        None => Growth::decode(&record.fact).ok().map(|growth| growth.tracks),
    });
    let own = tracks.and_then(|tracks| tracks.into_iter().find(|known| known.track == track.track));
    let first = track.samples.first().map_or(0, |first| first.composition_offset);
    i64::from(own.map_or(first, |own| own.first_offset))
}

impl SampleRow {
    /// `*` a key frame, `r` a recovery point, `d` damaged, `p` behind a pause.
    fn marks(&self) -> String {
        let marks =
            [('*', self.sync), ('r', self.recovery), ('d', self.damaged), ('p', self.resumed)];
        marks.iter().filter(|(_, is_set)| *is_set).map(|(mark, _)| *mark).collect()
    }
}

impl Row for SampleRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("track", Align::Right),
        ("time", Align::Left),
        ("ms", Align::Right),
        ("bytes", Align::Right),
        ("marks", Align::Left),
        ("first bytes", Align::Left),
        ("checksum", Align::Left),
    ];

    fn cells(&self, time_text: &dyn Fn(WallTime) -> String) -> Vec<String> {
        let nanos = Ticks(i64::from(self.duration)).to_nanos(self.timescale);
        vec![
            self.track.to_string(),
            time_text(self.wall),
            format!("{:.1}", nanos as f64 / 1e6),
            self.bytes.to_string(),
            self.marks(),
            self.first_bytes.clone(),
            if self.sound { "ok" } else { "damaged" }.to_owned(),
        ]
    }
}
