//! Fragmented mp4: each segment is a `moof` and its `mdat` (ISO/IEC 14496-12, 8.8).
//!
//! There is no edit list: players that are fed with segments drop what is in front of its edit. So
//! the file begins with a key frame.
//!
//! A segment is decoded from when its first picture is shown, since shaka-player takes the one for
//! the other, and hls.js at times. What is shown before it is decoded then has a negative
//! composition offset. With all of it later, by the lag, playlists would be wrong by that; with the
//! first pictures decoded at once, a tick each, Chromium shows others than those of a time.

use std::ops::Range;

use super::part::PartData;
use super::segmented::{Container, Counted, Segmenting};
use super::segments::{Boundary, Measure, Placed};
use super::{Compilation, SOUND, TRACKS, VIDEO};
use crate::mp4::Mp4Error;
use crate::mp4::boxes::{BoxWriter, FULL_HEADER_BYTES, HEADER_BYTES};
use crate::mp4::moov::MovieClock;
use crate::mp4::mvex;
use crate::mp4::tables::{TABLES, Table};
use crate::mp4::trak::{Media, Trak};
use crate::segment::{ParameterSet, Sample};
use crate::units::WallTime;

/// `mfhd` (8.8.5).
const MFHD: u64 = FULL_HEADER_BYTES + 4;
/// `tfhd` without anything optional (8.8.7).
const TFHD: u64 = FULL_HEADER_BYTES + 4;
/// `tfdt` version 1 (8.8.12).
const TFDT: u64 = FULL_HEADER_BYTES + 8;
/// `trun` before its samples (8.8.8).
const TRUN: u64 = FULL_HEADER_BYTES + 4 + 4;
const TRAF: u64 = HEADER_BYTES + TFHD + TFDT + TRUN;

/// Offsets count from the `moof` (8.8.7).
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
/// What a `trun` has: where its samples are; of each its duration and size; of pictures flags and
/// composition offset (8.8.8).
const TRUN_SOUND: u32 = 0x000_001 | 0x000_100 | 0x000_200;
const TRUN_PICTURES: u32 = TRUN_SOUND | 0x000_400 | 0x000_800;
/// It needs no other sample, or it needs some (8.8.3.1).
const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;

/// The tables that a track has to have, without entries.
const NO_SAMPLES: [Option<u64>; TABLES] = {
    let mut counts = [None; TABLES];
    counts[Table::Durations as usize] = Some(0);
    counts[Table::Chunks as usize] = Some(0);
    counts[Table::Sizes as usize] = Some(0);
    counts[Table::Places as usize] = Some(0);
    counts
};

/// See the [module](self).
struct Fragments {
    /// By how much all is shown later than the file begins, so that nothing is decoded before
    /// that; in nanoseconds.
    delay_nanos: i64,
}

impl Compilation {
    /// The parts as fragmented mp4.
    #[must_use]
    pub fn fragments(self) -> Segmenting {
        let delay_nanos = self.early_nanos(VIDEO).max(self.early_nanos(SOUND));
        Segmenting::new(self, Box::new(Fragments { delay_nanos }))
    }
}

/// Length of what a `trun` says of a sample, in bytes.
fn entry_bytes(track: usize) -> u64 {
    if track == VIDEO { 4 * 4 } else { 2 * 4 }
}

/// Length of a `moof` that has so many samples of each track, but for what it says of each of them,
/// in bytes.
fn frame_bytes(counts: [u64; TRACKS]) -> u64 {
    let tracks = counts.iter().filter(|count| **count > 0).count() as u64;
    HEADER_BYTES + MFHD + tracks * TRAF
}

/// The same with that.
fn moof_bytes(counts: [u64; TRACKS]) -> u64 {
    let entries = counts.iter().enumerate().map(|(track, count)| count * entry_bytes(track));
    frame_bytes(counts) + entries.sum::<u64>()
}

impl Measure for Fragments {
    fn sample_bytes(&self, track: usize, sample: &Sample) -> u64 {
        u64::from(sample.size) + entry_bytes(track)
    }

    fn segment_bytes(&self, counts: [u64; TRACKS], _shown_nanos: Range<i64>) -> u64 {
        frame_bytes(counts) + HEADER_BYTES
    }
}

impl Container for Fragments {
    fn header(&self, compilation: &Compilation, counted: &Counted) -> Result<Vec<u8>, Mp4Error> {
        let boundaries = &counted.boundaries;
        let limit = u64::from(u32::MAX);
        let lengths = boundaries.windows(2).map(|pair| pair[1].offset - pair[0].offset);
        if let Some(found) = lengths.max().filter(|found| *found > limit) {
            let what = "bytes from one key frame to the next";
            return Err(Mp4Error::TooLarge { what, found: found.into(), limit });
        }
        let tracks = compilation.tracks();
        let tracks = tracks.map(|track| (track.number, track.timescale, track.set));
        let length_nanos = compilation.total_nanos.saturating_add(self.delay_nanos);
        Ok(header(compilation.start, tracks, Some(length_nanos)))
    }

    fn write(
        &self,
        compilation: &Compilation,
        _segment: &[Boundary; 2],
        number: usize,
        samples: [Vec<Placed>; TRACKS],
        to: &mut PartData,
    ) {
        let tracks = samples.each_ref().map(Vec::as_slice);
        let delay = |track| compilation.common.ticks(track, self.delay_nanos);
        to.add(fragment(number, tracks, delay, |track| compilation.lag_of(track)).into());
        samples.into_iter().flatten().flat_map(|sample| sample.data).for_each(|data| to.add(data));
    }
}

/// `ftyp` and `moov` of fragments that begin at `start`, and last so long where that is known, of
/// tracks with their numbers, ticks a second, and what decodes them.
pub(super) fn header<'a>(
    start: WallTime,
    tracks: impl Iterator<Item = (usize, u32, &'a ParameterSet)>,
    length_nanos: Option<i64>,
) -> Vec<u8> {
    let trak = |(track, timescale, set): (usize, u32, &'a ParameterSet)| Trak {
        id: track as u32 + 1,
        media: Media::Recorded(set.codec.track_kind(), vec![set]),
        timescale,
        shown: None,
        media_length: 0,
        describes: None,
        first_duration: 0,
        counts: NO_SAMPLES,
        sample_bytes: None,
    };
    let traks: Vec<Trak<'_>> = tracks.map(trak).collect();
    let clock = MovieClock::new(start, &traks, Some(1));
    let mut to = BoxWriter::default();
    mvex::write(&mut to, &clock, &traks, length_nanos, |trak| {
        if trak.id == VIDEO as u32 + 1 { NOT_SYNC } else { SYNC }
    });
    to.finish()
}

/// The `moof` of the samples of each track, which come right behind it, and the header of their
/// `mdat`. `delay` says how much later than they say the samples of a track are decoded, and `lag`
/// how much earlier than that they are shown, in its ticks.
pub(super) fn fragment(
    number: usize,
    samples: [&[Placed]; TRACKS],
    delay: impl Fn(usize) -> i64,
    lag: impl Fn(usize) -> i64,
) -> Vec<u8> {
    let counts = samples.map(|samples| samples.len() as u64);
    let mut moof = BoxWriter::default();
    let mut offset = moof_bytes(counts) + HEADER_BYTES;
    moof.plain(b"moof", |moof| {
        moof.full(b"mfhd", 0, 0, |to| to.u32(number as u32 + 1));
        for (track, samples) in samples.into_iter().enumerate() {
            let Some(first) = samples.first() else { continue };
            moof.plain(b"traf", |traf| {
                let id = track as u32 + 1;
                traf.full(b"tfhd", 0, DEFAULT_BASE_IS_MOOF, |to| to.u32(id));
                let decoded = first.decoded.saturating_add(delay(track)).max(0);
                traf.full(b"tfdt", 1, 0, |to| to.i64(decoded));
                run(traf, track, offset, samples, lag(track));
            });
            offset += samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
        }
    });
    moof.u32((offset - moof_bytes(counts)) as u32);
    moof.raw(b"mdat");
    moof.finish()
}

/// The samples of a track (8.8.8), whose bytes begin at `offset`, and which are shown as much
/// earlier as all of them lag behind decoding: composition offsets have signs.
fn run(to: &mut BoxWriter, track: usize, offset: u64, samples: &[Placed], lag: i64) {
    let flags = if track == SOUND { TRUN_SOUND } else { TRUN_PICTURES };
    to.full(b"trun", 1, flags, |to| {
        to.u32(samples.len() as u32);
        to.u32(offset as u32);
        for sample in samples {
            to.u32(sample.duration);
            to.u32(sample.size);
            if track == VIDEO {
                to.u32(if sample.is_sync { SYNC } else { NOT_SYNC });
                to.u32((i64::from(sample.composition_offset) - lag) as u32);
            }
        }
    });
}
