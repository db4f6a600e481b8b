//! Dividing a chunk in two, between samples: the end of a block does not wait for the end of a
//! chunk.

use super::table::{ChunkTable, TrackTable};
use crate::units::Ticks;

/// A chunk's table and samples.
pub type Part = (ChunkTable, Vec<u8>);

/// Divides a chunk so that the samples of the first part take at most `bytes_max` bytes, and as
/// much of that as can be. The first track is cut behind a sample, the others at the same time.
/// `None` where no sample of the first track fits, or all of them do, or the lengths in the table
/// are not those of `data`.
#[must_use]
pub fn split(table: &ChunkTable, data: &[u8], bytes_max: usize) -> Option<(Part, Part)> {
    if table.byte_count() != data.len() as u64 {
        return None;
    }
    let leading = table.tracks.first()?;
    let cuts = (1..leading.samples.len()).rev();
    let counts = cuts.map(|cut| counts_at(table, cut)).find(|counts| {
        let bytes: u64 = table.tracks.iter().zip(counts).map(|(t, n)| bytes_of(t, *n)).sum();
        bytes <= bytes_max as u64
    })?;
    let (mut first, mut second) = (empty_like(table), empty_like(table));
    let mut at = 0;
    for (track, count) in table.tracks.iter().zip(counts) {
        let (head, tail) = divide(track, count);
        let middle = at + bytes_of(track, count) as usize;
        let end = at + track.byte_count() as usize;
        push(&mut first, head, &data[at..middle]);
        push(&mut second, tail, &data[middle..end]);
        at = end;
    }
    Some((first, second))
}

fn empty_like(table: &ChunkTable) -> Part {
    (ChunkTable { anchor: table.anchor, tracks: Vec::new() }, Vec::new())
}

fn push(part: &mut Part, track: TrackTable, bytes: &[u8]) {
    if !track.samples.is_empty() {
        part.0.tracks.push(track);
        part.1.extend_from_slice(bytes);
    }
}

/// How many samples of each track come before sample `cut` of the first one.
fn counts_at(table: &ChunkTable, cut: usize) -> Vec<usize> {
    let time = |track: &TrackTable, count: usize| {
        let ticks: i64 = track.samples[..count].iter().map(|s| i64::from(s.duration)).sum();
        Ticks(track.start.0.saturating_add(ticks)).to_nanos(track.timescale)
    };
    let limit = time(&table.tracks[0], cut);
    let others = table.tracks[1..].iter().map(|track| {
        let mut ticks = track.start.0;
        let before = track.samples.iter().take_while(|sample| {
            let begins = Ticks(ticks).to_nanos(track.timescale);
            ticks = ticks.saturating_add(i64::from(sample.duration));
            begins < limit
        });
        before.count()
    });
    std::iter::once(cut).chain(others).collect()
}

fn bytes_of(track: &TrackTable, count: usize) -> u64 {
    track.samples[..count].iter().map(|sample| u64::from(sample.size)).sum()
}

fn divide(track: &TrackTable, count: usize) -> (TrackTable, TrackTable) {
    let (head, tail) = track.samples.split_at(count);
    let ticks: i64 = head.iter().map(|sample| i64::from(sample.duration)).sum();
    let start = Ticks(track.start.0.saturating_add(ticks));
    let first = TrackTable { samples: head.to_vec(), ..track.clone() };
    (first, TrackTable { samples: tail.to_vec(), start, ..track.clone() })
}
