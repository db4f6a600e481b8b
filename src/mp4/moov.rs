//! Writes all that stands in front of the samples. Clauses are those of ISO/IEC 14496-12.

use super::boxes::{BoxWriter, HEADER_BYTES, LARGE_HEADER_BYTES};
use super::layout::{BRANDS, Layout, Presentation, lead, rescaled};
use super::tables::{Table, TrackTables};
use super::trak::{Trak, track_id};
use super::{Mp4Error, entry};
use crate::segment::{ClipFact, Codec, ParameterSet, TrackKind, VideoParameters};
use crate::units::{NANOS_PER_SECOND, WallTime};

/// From 1904-01-01, where mp4 counts from (8.2.2), to 1970-01-01, in seconds.
const EPOCH_SECONDS: i64 = 2_082_844_800;
/// 1.0 as 16.16 fixed point.
const ONE: u32 = 1 << 16;
/// Neither turned nor scaled (8.2.2).
const MATRIX: [u32; 9] = [ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30];
/// Enabled, and part of the presentation (8.3.2).
const TRACK_FLAGS: u32 = 1 | 2;
/// `und`, three letters of five bits (8.4.2).
const LANGUAGE: u16 = 0x55c4;
/// The samples are in this file (8.7.2).
const SELF_CONTAINED: u32 = 1;
/// What a decoder of Opus has to be fed before it is right (Encapsulation of Opus in ISO BMFF,
/// 4.3.6.2), in milliseconds.
const OPUS_ROLL_MILLIS: u64 = 80;
/// All but the tables, in bytes, of a clip with a few tracks: so much is reserved for it.
const FIXED_BYTES_USUAL: usize = 4096;

/// The 16 bytes in front of the samples: an `mdat` with a 64-bit length (ISO/IEC 14496-12, 4.2),
/// or, where 32 bits suffice, an empty `free` and an `mdat` with those. Some parsers do not know
/// the long form, and both take the same room.
fn media_data_header(to: &mut BoxWriter, data_length: u64) {
    match u32::try_from(data_length + HEADER_BYTES) {
        Ok(length) => {
            to.plain(b"free", |_| ());
            to.u32(length);
            to.raw(b"mdat");
        }
        Err(_) => {
            to.u32(1);
            to.raw(b"mdat");
            to.u64(LARGE_HEADER_BYTES + data_length);
        }
    }
}

/// `ftyp`, `moov` and the header of the `mdat`, for tables that are finished.
///
/// # Errors
/// [`Mp4Error::Disagrees`] where it is not as long as `layout` says.
pub(super) fn header(
    fact: &ClipFact,
    layout: &Layout,
    tables: &[TrackTables<'_>],
    parameters: &[ParameterSet],
) -> Result<Vec<u8>, Mp4Error> {
    // By the tables, not by the fact's word: a forged fact must not allocate.
    let tables_length: usize = tables.iter().map(|track| track.entries.length()).sum();
    let mut to = BoxWriter::with_capacity(tables_length + FIXED_BYTES_USUAL);
    let traks: Vec<_> = tables.iter().map(|track| Trak::of(fact, track, parameters)).collect();
    let leading = lead(fact).map(track_id);
    let clock = MovieClock::new(fact.start, &traks, leading);
    write(&mut to, &clock, &traks, layout.data_length, |to, trak, table| {
        to.raw(tables[trak].entries.table(table));
    });
    let header = to.finish();
    if header.len() as u64 == layout.header_length {
        return Ok(header);
    }
    Err(Mp4Error::Disagrees {
        place: "the clip".to_owned(),
        what: "length of its boxes",
        found: header.len().to_string(),
        expected: layout.header_length.to_string(),
    })
}

/// Writes `ftyp`, `moov` and the header of the `mdat`; `put` writes the entries of the tables of
/// the how-manieth track.
pub(crate) fn write(
    to: &mut BoxWriter,
    clock: &MovieClock,
    traks: &[Trak<'_>],
    data_length: u64,
    put: impl Fn(&mut BoxWriter, usize, Table),
) {
    file_type(to);
    to.plain(b"moov", |to| {
        movie_header(to, clock, traks);
        for (number, track) in traks.iter().enumerate() {
            let put = |to: &mut BoxWriter, table| put(to, number, table);
            to.plain(b"trak", |to| trak(to, clock, track, put));
        }
    });
    media_data_header(to, data_length);
}

/// ISO/IEC 14496-12, 4.3.
pub(super) fn file_type(to: &mut BoxWriter) {
    to.plain(b"ftyp", |to| {
        to.raw(BRANDS[0]);
        to.u32(0);
        BRANDS[1..].iter().for_each(|brand| to.raw(&brand[..]));
    });
}

/// The time line on which the tracks are laid out.
pub(crate) struct MovieClock {
    /// Ticks a second: the least in which every track's times are whole. Where that does not fit
    /// 32 bits, those of the lead.
    pub(super) timescale: u32,
    /// Seconds since 1904.
    creation_time: u64,
    /// In ticks of this clock.
    duration: u64,
}

impl MovieClock {
    /// Of tracks that begin at `start`; the one with the number `leading` leads them, or the first.
    pub(crate) fn new(start: WallTime, traks: &[Trak<'_>], leading: Option<u32>) -> MovieClock {
        let common = traks
            .iter()
            .try_fold(1, |common, trak| least_common_multiple(common, trak.timescale.max(1)));
        let principal = traks.iter().find(|trak| Some(trak.id) == leading).or(traks.first());
        let fallback = principal.map_or(1, |trak| trak.timescale.max(1));
        let since_1904 = start.0.div_euclid(NANOS_PER_SECOND).saturating_add(EPOCH_SECONDS);
        let mut clock = MovieClock {
            timescale: common.unwrap_or(fallback),
            creation_time: since_1904.max(0).unsigned_abs(),
            duration: 0,
        };
        let durations = traks.iter().map(|trak| clock.track_duration(trak));
        clock.duration = durations.max().unwrap_or(0);
        clock
    }

    /// `ticks` of a track in ticks of the movie, rounded to the nearest.
    fn scaled(&self, ticks: u64, trak: &Trak<'_>) -> u64 {
        rescaled(ticks, trak.timescale, self.timescale)
    }

    /// Delay and presentation of a track.
    fn track_duration(&self, trak: &Trak<'_>) -> u64 {
        let Some(Presentation { delay, length, .. }) = trak.shown else { return 0 };
        self.scaled(delay, trak).saturating_add(self.scaled(length, trak))
    }
}

/// `None` where it does not fit.
pub(crate) fn least_common_multiple(a: u32, b: u32) -> Option<u32> {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).checked_mul(b)
}

/// 8.2.2.
pub(super) fn movie_header(to: &mut BoxWriter, clock: &MovieClock, traks: &[Trak<'_>]) {
    to.full(b"mvhd", 1, 0, |to| {
        to.u64(clock.creation_time);
        to.u64(clock.creation_time);
        to.u32(clock.timescale);
        to.u64(clock.duration);
        to.u32(ONE);
        to.u16(1 << 8);
        to.zeros(2 + 8);
        MATRIX.iter().for_each(|field| to.u32(*field));
        to.zeros(24);
        to.u32(traks.iter().map(|trak| trak.id).max().unwrap_or(0) + 1);
    });
}

/// 8.3.1.
pub(super) fn trak(
    to: &mut BoxWriter,
    clock: &MovieClock,
    trak: &Trak<'_>,
    put: impl Fn(&mut BoxWriter, Table),
) {
    track_header(to, clock, trak);
    if let Some(lead) = trak.describes {
        to.plain(b"tref", |to| to.plain(b"cdsc", |to| to.u32(lead)));
    }
    edits(to, clock, trak);
    to.plain(b"mdia", |to| {
        media_header(to, clock, trak);
        to.plain(b"minf", |to| {
            match trak.media.kind() {
                Some(TrackKind::Video) => to.full(b"vmhd", 0, 1, |to| to.zeros(8)),
                Some(TrackKind::Audio) => to.full(b"smhd", 0, 0, |to| to.zeros(4)),
                _ => to.full(b"nmhd", 0, 0, |_| ()),
            }
            to.plain(b"dinf", |to| {
                to.full(b"dref", 0, 0, |to| {
                    to.u32(1);
                    to.full(b"url ", 0, SELF_CONTAINED, |_| ());
                });
            });
            to.plain(b"stbl", |to| {
                to.full(b"stsd", 0, 0, |to| {
                    let entries = trak.media.sample_entries();
                    to.u32(entries.len() as u32);
                    entries.iter().for_each(|entry| to.raw(entry));
                });
                Table::ALL.iter().for_each(|table| sample_table(to, trak, *table, &put));
                if trak.media.kind() == Some(TrackKind::Audio) && trak.shown.is_some() {
                    roll_groups(to, trak);
                }
            });
        });
    });
}

/// 8.3.2; the picture as it is to be seen, with square pixels.
fn track_header(to: &mut BoxWriter, clock: &MovieClock, trak: &Trak<'_>) {
    to.full(b"tkhd", 1, TRACK_FLAGS, |to| {
        to.u64(clock.creation_time);
        to.u64(clock.creation_time);
        to.u32(trak.id);
        to.zeros(4);
        to.u64(clock.track_duration(trak));
        to.zeros(8 + 2 + 2);
        to.u16(if trak.media.kind() == Some(TrackKind::Audio) { 1 << 8 } else { 0 });
        to.zeros(2);
        let video = trak.media.picture();
        turned(video.as_ref()).iter().for_each(|field| to.u32(*field));
        let (width, height) = video.map_or((0, 0), |video| {
            let (horizontal, vertical) = entry::pixel_aspect(&video);
            let width = u64::from(video.width) << 16;
            (width * u64::from(horizontal) / u64::from(vertical), u32::from(video.height) << 16)
        });
        to.u32(u32::try_from(width).unwrap_or(u32::MAX));
        to.u32(height);
    });
}

/// 8.3.2; a picture that is turned lies where it would without that.
fn turned(video: Option<&VideoParameters>) -> [u32; 9] {
    const MINUS: u32 = ONE.wrapping_neg();
    let Some(video) = video.filter(|video| video.look.quarter_turns > 0) else { return MATRIX };
    let (width, height) = (u32::from(video.width) << 16, u32::from(video.height) << 16);
    let (a, b, c, d, x, y) = match video.look.quarter_turns {
        1 => (0, ONE, MINUS, 0, height, 0),
        2 => (MINUS, 0, 0, MINUS, width, height),
        _ => (0, MINUS, ONE, 0, 0, width),
    };
    [a, b, 0, c, d, 0, x, y, 1 << 30]
}

/// 8.6.6; an empty edit, where the track is delayed, and the one that presents it.
fn edits(to: &mut BoxWriter, clock: &MovieClock, trak: &Trak<'_>) {
    let Some(shown) = trak.shown else { return };
    let edit = |to: &mut BoxWriter, duration: u64, media_time: i64| {
        to.u64(clock.scaled(duration, trak));
        to.i64(media_time);
        to.u32(ONE);
    };
    to.plain(b"edts", |to| {
        to.full(b"elst", 1, 0, |to| {
            to.u32(shown.edits() as u32);
            if shown.delay > 0 {
                edit(to, shown.delay, -1);
            }
            edit(to, shown.length, i64::try_from(shown.media_time).unwrap_or(i64::MAX));
        });
    });
}

/// 8.4.2 and 8.4.3.
fn media_header(to: &mut BoxWriter, clock: &MovieClock, trak: &Trak<'_>) {
    to.full(b"mdhd", 1, 0, |to| {
        to.u64(clock.creation_time);
        to.u64(clock.creation_time);
        to.u32(trak.timescale);
        to.u64(if trak.shown.is_some() { trak.media_length } else { 0 });
        to.u16(LANGUAGE);
        to.zeros(2);
    });
    let (kind, name) = trak.media.handler();
    to.full(b"hdlr", 0, 0, |to| {
        to.zeros(4);
        to.raw(kind);
        to.zeros(12);
        to.terminated(name);
    });
}

/// One of the tables, where the track has it.
fn sample_table(
    to: &mut BoxWriter,
    trak: &Trak<'_>,
    table: Table,
    put: impl Fn(&mut BoxWriter, Table),
) {
    let Some(count) = trak.count(table) else { return };
    // Version 1 of `ctts` has signed offsets. Which version would do is not known from the fact.
    let (kind, version) = match table {
        Table::Durations => (b"stts", 0),
        Table::Offsets => (b"ctts", 1),
        Table::SyncSamples => (b"stss", 0),
        Table::Chunks => (b"stsc", 0),
        Table::Sizes => (b"stsz", 0),
        Table::Places => (b"co64", 0),
    };
    to.full(kind, version, 0, |to| {
        let alike = trak.sample_bytes.filter(|_| table == Table::Sizes);
        if table == Table::Sizes {
            to.u32(alike.unwrap_or(0));
        }
        to.u32(count as u32);
        if alike.is_none() {
            put(to, table);
        }
    });
}

/// 8.9 and 10.1: how many packets a decoder of audio needs before it is right. Each frame of FLAC
/// decodes alone: its samples are in none of the groups, of which the boxes are there all the same,
/// since which boxes there are depends on the clip's fact, and that does not tell the codec.
fn roll_groups(to: &mut BoxWriter, trak: &Trak<'_>) {
    /// 80 ms of the shortest packets that Opus has, 2.5 ms.
    const PACKETS_MAX: u64 = 32;
    let codec = trak.media.sets().first().map(|set| set.codec);
    let distance = match codec {
        Some(Codec::Opus) => {
            let packet = u64::from(trak.first_duration.max(1)) * 1000;
            let roll = u64::from(trak.timescale) * OPUS_ROLL_MILLIS;
            roll.div_ceil(packet).clamp(1, PACKETS_MAX) as i16
        }
        _ => 1,
    };
    let group = u32::from(codec != Some(Codec::Flac));
    to.full(b"sgpd", 1, 0, |to| {
        to.raw(b"roll");
        to.u32(2);
        to.u32(1);
        to.i16(-distance);
    });
    to.full(b"sbgp", 0, 0, |to| {
        to.raw(b"roll");
        to.u32(1);
        to.u32(trak.samples());
        to.u32(group);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_the_samples_takes_16_bytes_whatever_their_length() {
        let edge = u64::from(u32::MAX) - HEADER_BYTES;
        for (data_length, long) in [(0, false), (edge, false), (edge + 1, true), (1 << 40, true)] {
            let mut to = BoxWriter::with_capacity(16);
            media_data_header(&mut to, data_length);
            let bytes = to.finish();
            assert_eq!(bytes.len() as u64, LARGE_HEADER_BYTES, "{data_length}");
            assert_eq!(&bytes[4..8], if long { b"mdat" } else { b"free" }, "{data_length}");
        }
    }
}
