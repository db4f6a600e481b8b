//! Timed records of clips: what a camera said beside its pictures.

use serde::Serialize;

use super::clips::{self, Known};
use super::row::Printer;
use super::selection::Selection;
use super::streams::{Streams, Wanted};
use crate::command::CommandError;
use crate::ring::{ChunkKind, ChunkReport, Inspection, RingError, UNIT_BYTES};
use crate::segment::{ChunkTable, TrackKind, TrackTable};
use crate::units::{Ticks, WallTime};
use crate::view::utc_timestamp;

/// One record.
#[derive(Serialize)]
struct Record {
    time: String,
    camera: String,
    clip: String,
    track: u8,
    sound: bool,
    text: String,
    #[serde(skip)]
    wall: WallTime,
}

/// Prints the records of the wanted streams between the times of the selection, clip after clip:
/// for people a line each with its time and its text, for programs an object.
///
/// Of a clip that grows it is what is in blocks that it has left.
///
/// # Errors
/// The device failed, or the selection asks for an order that records do not have.
pub(super) fn print(
    inspection: &Inspection<'_>,
    streams: &Streams,
    wanted: &Wanted,
    selection: &Selection,
    fail: impl Fn(RingError) -> CommandError,
    to: &mut Printer<'_>,
) -> Result<(), CommandError> {
    if selection.at.is_some() || selection.newest {
        let reason = "records are shown in their order: --at and --newest do not go with them";
        return Err(CommandError::Usage(reason.to_owned()));
    }
    let mut left_out = selection.offset;
    let mut room = selection.limit.unwrap_or(usize::MAX);
    let mut shown = 0_usize;
    if to.json {
        write!(to.out, "[")?;
    }
    for clip in clips::known(inspection, wanted).filter(|clip| may_have(clip, selection)) {
        for extent in &clip.record.extents {
            let mut written = Ok(());
            let wants =
                |table: &[u8]| ChunkTable::decode(table).is_ok_and(|table| has_records(&table));
            let each = inspection.each_chunk(extent, wants, |chunk| {
                for record in records_of(&clip, streams, selection, &chunk) {
                    if left_out > 0 {
                        left_out -= 1;
                    } else if room > 0 && written.is_ok() {
                        room -= 1;
                        written = print_one(&record, shown == 0, to);
                        shown += 1;
                    }
                }
                room > 0 && written.is_ok()
            });
            each.map_err(&fail)?;
            written?;
        }
    }
    if to.json {
        writeln!(to.out, "\n]")?;
    }
    Ok(())
}

fn print_one(record: &Record, is_first: bool, to: &mut Printer<'_>) -> Result<(), CommandError> {
    if to.json {
        to.out.write_all(if is_first { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *to.out, record).map_err(std::io::Error::from)?;
        return Ok(());
    }
    // A record may have lines of its own, and whatever else a camera sends.
    let text = match record.sound {
        true => record.text.replace(char::is_control, " "),
        false => "(damaged on the device)".to_owned(),
    };
    Ok(writeln!(to.out, "{}  {}", (to.time_text)(record.wall), text.trim())?)
}

fn may_have(clip: &Known<'_>, selection: &Selection) -> bool {
    let has_some = clip.tracks().iter().any(|track| track.kind == TrackKind::Timed);
    has_some && clip.span().is_some_and(|span| selection.overlaps(span))
}

fn has_records(table: &ChunkTable) -> bool {
    table.tracks.iter().any(|track| track.kind == TrackKind::Timed)
}

/// The selected records of a chunk. One is of the moment at which it begins.
fn records_of(
    clip: &Known<'_>,
    streams: &Streams,
    selection: &Selection,
    chunk: &ChunkReport,
) -> Vec<Record> {
    let (Ok(table), Some((start, _))) = (ChunkTable::decode(&chunk.table), clip.span()) else {
        return Vec::new();
    };
    if chunk.kind != ChunkKind::Media || chunk.clip != clip.id {
        return Vec::new();
    }
    let mut records = Vec::new();
    let mut offset = 0_usize;
    for track in &table.tracks {
        let mut ticks = track.start;
        for sample in &track.samples {
            let end = offset.saturating_add(sample.size as usize);
            let wall = start.plus_nanos(ticks.to_nanos(track.timescale));
            if track.kind == TrackKind::Timed && selection.overlaps((wall, wall.plus_nanos(1))) {
                records.push(record(clip, streams, chunk, (track, offset..end), wall));
            }
            ticks = Ticks(ticks.0.saturating_add(i64::from(sample.duration)));
            offset = end;
        }
    }
    records
}

fn record(
    clip: &Known<'_>,
    streams: &Streams,
    chunk: &ChunkReport,
    (track, place): (&TrackTable, std::ops::Range<usize>),
    wall: WallTime,
) -> Record {
    let unit = UNIT_BYTES as usize;
    let units = place.start / unit..place.end.div_ceil(unit);
    let is_damaged = chunk.damaged_units.iter().any(|damaged| units.contains(damaged));
    let bytes = chunk.data.get(place).filter(|_| !is_damaged);
    Record {
        time: utc_timestamp(wall),
        camera: streams.name_at(clip.record.stream, wall),
        clip: clip.id.to_string(),
        track: track.track.0,
        sound: bytes.is_some(),
        text: bytes.map_or_else(String::new, |bytes| String::from_utf8_lossy(bytes).into_owned()),
        wall,
    }
}
