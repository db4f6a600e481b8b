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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::{Anchor, ClockQuality, Sample, SampleFlags, TrackKind, TrackNumber};
    use crate::units::{BootTime, WallTime};

    fn track(number: u8, timescale: u32, samples: &[(u32, u32)]) -> TrackTable {
        let samples = samples.iter().map(|&(duration, size)| Sample {
            duration,
            size,
            composition_offset: 0,
            flags: SampleFlags::default(),
        });
        TrackTable {
            track: TrackNumber(number),
            kind: TrackKind::Video,
            timescale,
            parameters: 0,
            codec_delay: 0,
            start: Ticks(1000),
            samples: samples.collect(),
        }
    }

    fn table(tracks: Vec<TrackTable>) -> ChunkTable {
        let anchor = Anchor {
            wall: WallTime(0),
            boot: BootTime(0),
            boot_id: [0; 16],
            camera: None,
            quality: ClockQuality::Given,
        };
        ChunkTable { anchor, tracks }
    }

    fn bytes_by_track(parts: &[Part]) -> Vec<(TrackNumber, Vec<u8>)> {
        let mut all: Vec<(TrackNumber, Vec<u8>)> = Vec::new();
        for (table, data) in parts {
            let mut at = 0;
            for track in &table.tracks {
                let end = at + track.byte_count() as usize;
                match all.iter_mut().find(|(number, _)| *number == track.track) {
                    Some((_, bytes)) => bytes.extend_from_slice(&data[at..end]),
                    None => all.push((track.track, data[at..end].to_vec())),
                }
                at = end;
            }
            assert_eq!(at, data.len());
        }
        all.sort_by_key(|(number, _)| *number);
        all
    }

    #[test]
    fn a_chunk_of_one_sample_is_not_divided() {
        let whole = table(vec![track(0, 90_000, &[(3600, 10)])]);
        assert_eq!(split(&whole, &[0; 10], 5), None);
    }

    #[test]
    fn lengths_that_lie_divide_nothing() {
        let whole = table(vec![track(0, 90_000, &[(3600, 10), (3600, 10)])]);
        assert_eq!(split(&whole, &[0; 19], 15), None);
    }

    #[test]
    fn audio_is_cut_at_the_same_time_as_video() {
        let video = track(0, 90_000, &[(9000, 50); 4]);
        let audio = track(1, 8_000, &[(160, 5); 20]);
        let whole = table(vec![video, audio]);
        let data: Vec<u8> = (0..300_u32).map(|n| n as u8).collect();
        let (first, second) = split(&whole, &data, 160).expect("it divides");
        assert_eq!(first.0.tracks[0].samples.len(), 2);
        let video_cut = second.0.tracks[0].start.to_nanos(90_000);
        let audio_cut = second.0.tracks[1].start.to_nanos(8_000);
        assert!((audio_cut - video_cut).abs() <= 160 * 1_000_000_000 / 8_000 + 125_000_000);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(
            sizes in proptest::collection::vec((1_u32..5000, 0_u32..200), 1..40),
            second in proptest::collection::vec((1_u32..900, 1_u32..30), 1..40),
            bytes_max in 0_usize..4000,
        ) {
            let whole = table(vec![track(0, 90_000, &sizes), track(3, 8_000, &second)]);
            let data: Vec<u8> = (0..whole.byte_count()).map(|n| (n * 7 + n / 256) as u8).collect();
            if let Some((first, rest)) = split(&whole, &data, bytes_max) {
                prop_assert!(first.1.len() <= bytes_max);
                prop_assert!(!first.0.tracks[0].samples.is_empty());
                prop_assert!(!rest.0.tracks[0].samples.is_empty());
                prop_assert_eq!(rest.0.tracks[0].start, first.0.tracks[0].expected_end());
                prop_assert_eq!(
                    bytes_by_track(&[first, rest]),
                    bytes_by_track(&[(whole, data)])
                );
            }
        }
    }
}
