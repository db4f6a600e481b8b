//! Writes all that stands in front of the samples. Clauses are those of ISO/IEC 14496-12.

use super::boxes::{BoxWriter, HEADER_BYTES, LARGE_HEADER_BYTES};
use super::layout::{
    BRANDS, Layout, Presentation, described, handler, lead, lists_sync_samples, media_length,
    rescaled, shown,
};
use super::tables::TrackTables;
use super::{Mp4Error, entry};
use crate::segment::{ClipFact, Codec, ParameterSet, TrackKind, TrackTotals, VideoParameters};
use crate::units::NANOS_PER_SECOND;

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
    let tables_length: usize = tables.iter().map(TrackTables::length).sum();
    let mut to = BoxWriter::with_capacity(tables_length + FIXED_BYTES_USUAL);
    to.plain(b"ftyp", |to| {
        to.raw(BRANDS[0]);
        to.u32(0);
        BRANDS[1..].iter().for_each(|brand| to.raw(&brand[..]));
    });
    let clock = MovieClock::new(fact);
    to.plain(b"moov", |to| {
        movie_header(to, fact, &clock);
        for track in tables {
            to.plain(b"trak", |to| trak(to, fact, &clock, track, parameters));
        }
    });
    media_data_header(&mut to, layout.data_length);
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

/// The time line on which the tracks are laid out.
struct MovieClock {
    /// Ticks a second: the least in which every track's times are whole. Where that does not fit
    /// 32 bits, those of the lead.
    timescale: u32,
    /// Seconds since 1904.
    creation_time: u64,
    /// In ticks of this clock.
    duration: u64,
}

impl MovieClock {
    fn new(fact: &ClipFact) -> MovieClock {
        let common = shown(fact)
            .try_fold(1, |common, track| least_common_multiple(common, track.timescale.max(1)));
        let principal = lead(fact).or(shown(fact).next());
        let fallback = principal.map_or(1, |track| track.timescale.max(1));
        let since_1904 = fact.start.0.div_euclid(NANOS_PER_SECOND).saturating_add(EPOCH_SECONDS);
        let mut clock = MovieClock {
            timescale: common.unwrap_or(fallback),
            creation_time: since_1904.max(0).unsigned_abs(),
            duration: 0,
        };
        let durations = shown(fact).map(|track| clock.track_duration(fact, track));
        clock.duration = durations.max().unwrap_or(0);
        clock
    }

    /// `ticks` of a track in ticks of the movie, rounded to the nearest.
    fn scaled(&self, ticks: u64, track: &TrackTotals) -> u64 {
        rescaled(ticks, track.timescale, self.timescale)
    }

    /// Delay and presentation of a track.
    fn track_duration(&self, fact: &ClipFact, track: &TrackTotals) -> u64 {
        let shown = Presentation::new(fact, track);
        self.scaled(shown.delay, track).saturating_add(self.scaled(shown.length, track))
    }
}

fn least_common_multiple(a: u32, b: u32) -> Option<u32> {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).checked_mul(b)
}

fn track_id(track: &TrackTotals) -> u32 {
    u32::from(track.track.0) + 1
}

/// 8.2.2.
fn movie_header(to: &mut BoxWriter, fact: &ClipFact, clock: &MovieClock) {
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
        to.u32(shown(fact).map(track_id).max().unwrap_or(0) + 1);
    });
}

/// 8.3.1.
fn trak(
    to: &mut BoxWriter,
    fact: &ClipFact,
    clock: &MovieClock,
    tables: &TrackTables<'_>,
    parameters: &[ParameterSet],
) {
    let track = tables.promised;
    let sets = || tables.entries.iter().filter_map(|index| parameters.get(usize::from(*index)));
    track_header(to, fact, clock, track, sets().next().and_then(|set| set.video));
    if let Some(lead) = described(fact, track) {
        to.plain(b"tref", |to| to.plain(b"cdsc", |to| to.u32(track_id(lead))));
    }
    edits(to, fact, clock, track);
    to.plain(b"mdia", |to| {
        media_header(to, clock, track);
        to.plain(b"minf", |to| {
            match track.kind {
                TrackKind::Video => to.full(b"vmhd", 0, 1, |to| to.zeros(8)),
                TrackKind::Audio => to.full(b"smhd", 0, 0, |to| to.zeros(4)),
                TrackKind::Timed | TrackKind::Unknown(_) => to.full(b"nmhd", 0, 0, |_| ()),
            }
            to.plain(b"dinf", |to| {
                to.full(b"dref", 0, 0, |to| {
                    to.u32(1);
                    to.full(b"url ", 0, SELF_CONTAINED, |_| ());
                });
            });
            to.plain(b"stbl", |to| {
                to.full(b"stsd", 0, 0, |to| {
                    to.u32(tables.entries.len() as u32);
                    sets().for_each(|set| to.raw(&entry::sample_entry(set)));
                });
                sample_tables(to, tables);
                if track.kind == TrackKind::Audio {
                    roll_groups(to, tables, sets().next().map(|set| set.codec));
                }
            });
        });
    });
}

/// 8.3.2; the picture as it is to be seen, with square pixels.
fn track_header(
    to: &mut BoxWriter,
    fact: &ClipFact,
    clock: &MovieClock,
    track: &TrackTotals,
    video: Option<VideoParameters>,
) {
    to.full(b"tkhd", 1, TRACK_FLAGS, |to| {
        to.u64(clock.creation_time);
        to.u64(clock.creation_time);
        to.u32(track_id(track));
        to.zeros(4);
        to.u64(clock.track_duration(fact, track));
        to.zeros(8 + 2 + 2);
        to.u16(if track.kind == TrackKind::Audio { 1 << 8 } else { 0 });
        to.zeros(2);
        MATRIX.iter().for_each(|field| to.u32(*field));
        let (width, height) = video.map_or((0, 0), |video| {
            let (horizontal, vertical) = entry::pixel_aspect(&video);
            let width = u64::from(video.width) << 16;
            (width * u64::from(horizontal) / u64::from(vertical), u32::from(video.height) << 16)
        });
        to.u32(u32::try_from(width).unwrap_or(u32::MAX));
        to.u32(height);
    });
}

/// 8.6.6; an empty edit, where the track is delayed, and the one that presents it.
fn edits(to: &mut BoxWriter, fact: &ClipFact, clock: &MovieClock, track: &TrackTotals) {
    let shown = Presentation::new(fact, track);
    let edit = |to: &mut BoxWriter, duration: u64, media_time: i64| {
        to.u64(clock.scaled(duration, track));
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
fn media_header(to: &mut BoxWriter, clock: &MovieClock, track: &TrackTotals) {
    to.full(b"mdhd", 1, 0, |to| {
        to.u64(clock.creation_time);
        to.u64(clock.creation_time);
        to.u32(track.timescale);
        to.u64(media_length(track));
        to.u16(LANGUAGE);
        to.zeros(2);
    });
    let (kind, name) = handler(track.kind);
    to.full(b"hdlr", 0, 0, |to| {
        to.zeros(4);
        to.raw(kind);
        to.zeros(12);
        to.terminated(name);
    });
}

/// 8.6.1, 8.6.2, 8.7.3 to 8.7.5.
fn sample_tables(to: &mut BoxWriter, tables: &TrackTables<'_>) {
    let track = tables.promised;
    let table = |to: &mut BoxWriter, kind: &[u8; 4], version: u8, entry: usize, bytes: &[u8]| {
        to.full(kind, version, 0, |to| {
            to.u32((bytes.len() / entry) as u32);
            to.raw(bytes);
        });
    };
    table(to, b"stts", 0, 8, &tables.stts);
    if track.reordered {
        // Version 1 has signed offsets. Which version would do is not known from the fact.
        table(to, b"ctts", 1, 8, &tables.ctts);
    }
    if lists_sync_samples(track) {
        table(to, b"stss", 0, 4, &tables.stss);
    }
    table(to, b"stsc", 0, 12, &tables.stsc);
    to.full(b"stsz", 0, 0, |to| {
        to.u32(0);
        to.u32((tables.stsz.len() / 4) as u32);
        to.raw(&tables.stsz);
    });
    table(to, b"co64", 0, 8, &tables.co64);
}

/// 8.9 and 10.1: how many packets a decoder of audio needs before it is right. Each frame of FLAC
/// decodes alone: its samples are in none of the groups, of which the boxes are there all the same,
/// since which boxes there are depends on the clip's fact, and that does not tell the codec.
fn roll_groups(to: &mut BoxWriter, tables: &TrackTables<'_>, codec: Option<Codec>) {
    /// 80 ms of the shortest packets that Opus has, 2.5 ms.
    const PACKETS_MAX: u64 = 32;
    let distance = match codec {
        Some(Codec::Opus) => {
            let packet = u64::from(tables.first_duration.max(1)) * 1000;
            let roll = u64::from(tables.promised.timescale) * OPUS_ROLL_MILLIS;
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
        to.u32((tables.stsz.len() / 4) as u32);
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
