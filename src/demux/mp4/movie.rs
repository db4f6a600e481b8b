//! A movie and its tracks (ISO/IEC 14496-12, 8.2 to 8.5).

use super::TRAKS_MAX;
use super::boxes::{child, children, full};
use super::entries::{entries, named};
use super::fragments::{Defaults, Fragment, Walk};
use super::tables::{Places, places};
use super::times::Edits;
use crate::demux::{Kind, Packing, Problem, Remark, Sample, Track};
use crate::units::{NANOS_PER_SECOND, WallTime};

/// From 1904-01-01, where mp4 counts from (ISO/IEC 14496-12, 8.2.2), to 1970-01-01, in seconds.
const EPOCH_SECONDS: u64 = 2_082_844_800;

/// What a `moov` says.
pub(super) struct Movie<'a> {
    moov: &'a [u8],
    timescale: u32,
    pub(super) created: Option<WallTime>,
    pub(super) traks: Vec<Trak<'a>>,
}

/// A `trak` of it.
pub(super) struct Trak<'a> {
    body: &'a [u8],
    number: u32,
    kind: Kind,
    /// What its samples are, as the file says.
    handler: String,
}

impl<'a> Movie<'a> {
    pub(super) fn read(moov: &'a [u8]) -> Movie<'a> {
        let header = child(moov, b"mvhd").and_then(times);
        let (created, timescale) = header.unwrap_or((0, 0));
        let traks = children(moov).filter(|(kind, _)| kind == b"trak");
        let traks =
            traks.take(TRAKS_MAX).enumerate().map(|(index, (_, body))| Trak::read(body, index));
        Movie { moov, timescale, created: wall_time(created), traks: traks.collect() }
    }
}

impl<'a> Trak<'a> {
    fn read(body: &'a [u8], index: usize) -> Trak<'a> {
        let number = child(body, b"tkhd").and_then(|tkhd| {
            let (version, _, mut body) = full(tkhd)?;
            body.skip(if version == 1 { 16 } else { 8 })?;
            body.u32()
        });
        let handler = child(body, b"mdia").and_then(|mdia| child(mdia, b"hdlr")).and_then(|hdlr| {
            let (_, _, mut body) = full(hdlr)?;
            body.skip(4)?;
            body.array::<4>()
        });
        let kind = match handler.as_ref() {
            Some(b"vide") => Kind::Video,
            Some(b"soun") => Kind::Sound,
            _ => Kind::Other,
        };
        Trak {
            body,
            number: number.unwrap_or(index as u32 + 1),
            kind,
            handler: handler.as_ref().map_or_else(|| "of no kind".to_owned(), named),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn number(&self) -> u64 {
        self.number.into()
    }

    /// How its pictures are turned, as the matrix of its header says (ISO/IEC 14496-12, 8.3.2); 0
    /// where that is no quarter turn.
    fn quarter_turns(&self) -> u8 {
        const ONE: u32 = 1 << 16;
        const MINUS: u32 = ONE.wrapping_neg();
        let matrix = child(self.body, b"tkhd").and_then(|tkhd| {
            let (version, _, mut body) = full(tkhd)?;
            body.skip(if version == 1 { 32 } else { 20 } + 16)?;
            let (a, b) = (body.u32()?, body.u32()?);
            body.skip(4)?;
            Some([a, b, body.u32()?, body.u32()?])
        });
        match matrix {
            Some([0, ONE, MINUS, 0]) => 1,
            Some([MINUS, 0, 0, MINUS]) => 2,
            Some([0, MINUS, ONE, 0]) => 3,
            _ => 0,
        }
    }

    /// What it holds, in a file of so many bytes.
    pub(super) fn track(
        &self,
        movie: &Movie<'_>,
        fragments: &[Fragment],
        length: u64,
        remarks: &mut Vec<Remark>,
    ) -> Result<Track, Problem> {
        let malformed = |what: &str| Problem::Malformed(format!("track {}: {what}", self.number));
        if self.kind == Kind::Other {
            return Err(Problem::Unsupported(format!("data of type \"{}\"", self.handler)));
        }
        let mdia = child(self.body, b"mdia").unwrap_or_default();
        let (_, timescale) = child(mdia, b"mdhd").and_then(times).unwrap_or((0, 0));
        if timescale == 0 {
            return Err(malformed("no ticks a second"));
        }
        let stbl = child(mdia, b"minf").and_then(|minf| child(minf, b"stbl"));
        let stbl = stbl.ok_or_else(|| malformed("no sample tables"))?;
        let mut entries = entries(child(stbl, b"stsd").unwrap_or_default(), self.kind);
        let quarter_turns = self.quarter_turns();
        entries.iter_mut().for_each(|entry| entry.quarter_turns = quarter_turns);
        if entries.is_empty() {
            return Err(malformed("no sample entry"));
        }
        let mut places = places(stbl, &entries, length);
        let anew = self.add_fragments(movie, fragments, (timescale, length), &mut places);
        let edits = Edits::read(self.body, timescale, movie.timescale);
        let (mut samples, mut unknown) = (Vec::with_capacity(places.whole.len()), 0);
        let mut is_behind_loss = false;
        for place in &places.whole {
            if usize::from(place.entry) >= entries.len() {
                unknown += 1;
                is_behind_loss = true;
                continue;
            }
            let (pts, shown) = edits.shown(place.composed);
            samples.push(Sample {
                pts,
                offset: place.offset,
                skip: 0,
                size: place.size,
                duration: place.duration,
                entry: place.entry,
                sync: place.sync,
                shown,
                is_behind_loss: std::mem::take(&mut is_behind_loss),
            });
        }
        self.remark(&places, unknown, anew, remarks);
        let (number, kind, packing) = (self.number(), self.kind, Packing::Plain);
        Ok(Track { number, kind, timescale, entries, samples, packing })
    }

    /// Adds what fragments say; `shape` is the ticks a second, and the length of the file. Answers
    /// where times begin anew.
    fn add_fragments(
        &self,
        movie: &Movie<'_>,
        fragments: &[Fragment],
        shape: (u32, u64),
        places: &mut Places,
    ) -> Vec<u64> {
        let defaults = Defaults::read(movie.moov, self.number);
        let (timescale, length) = shape;
        let (track, anew) = (self.number, Vec::new());
        let mut walk = Walk { track, defaults, timescale, length, places, anew, moved: 0 };
        fragments.iter().for_each(|fragment| walk.add(fragment));
        walk.anew
    }

    /// Says what is left out; of `unknown` samples no entry is there.
    fn remark(&self, places: &Places, unknown: u64, anew: Vec<u64>, remarks: &mut Vec<Remark>) {
        let kind = if self.kind == Kind::Video { "video" } else { "sound" };
        let there = (places.whole.len() as u64).saturating_add(places.empty);
        let missing = places.count.saturating_sub(there);
        if missing > 0 {
            remarks.push(Remark::CutOff { kind, missing, count: places.count });
        }
        if places.empty > 0 {
            remarks.push(Remark::Empty { kind, count: places.empty });
        }
        if unknown > 0 {
            remarks.push(Remark::NoEntry { kind, count: unknown });
        }
        remarks.extend(anew.into_iter().map(|sample| Remark::TimesAnew { sample }));
    }
}

/// When something was made, in seconds, and its ticks a second: of an `mvhd` or an `mdhd`.
fn times(header: &[u8]) -> Option<(u64, u32)> {
    let (version, _, mut body) = full(header)?;
    let created = match version {
        1 => {
            let created = body.u64()?;
            body.skip(8)?;
            created
        }
        _ => {
            let created = body.u32()?;
            body.skip(4)?;
            created.into()
        }
    };
    Some((created, body.u32()?))
}

/// Times before 1970 are those of writers that count from there, against the standard.
fn wall_time(seconds: u64) -> Option<WallTime> {
    let since_1970 = i64::try_from(seconds.checked_sub(EPOCH_SECONDS).unwrap_or(seconds)).ok()?;
    let nanos = since_1970.checked_mul(NANOS_PER_SECOND)?;
    (nanos > 0).then_some(WallTime(nanos))
}
