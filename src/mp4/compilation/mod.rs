//! A file of several parts: clips, pieces of clips, and what is made for the gaps between them.
//!
//! It is laid out as the file of a clip is: `ftyp`, `moov`, and one `mdat` with the data of the
//! parts, one after another. There may be a thousand parts, of two hundred million samples: what is
//! kept of each are its sums, so that size and places are known. Its tables and the places of its
//! samples are made when a read touches them ([`Compilation::load`]), and whoever reads keeps as
//! many of these as there is room for.
//!
//! **What all parts have in common** is said in [`Common`]: one sample entry for all pictures, that
//! of the first part (their parameter sets are in band, or put in front of key frames here), one
//! for all sound, and one time line for each. Ticks are the least in which the times of all parts
//! are whole. What does not fit is not taken: see [`Common::takes`].
//!
//! **Decode times go on** from part to part, whatever the pictures' reordering: every composition
//! offset is made larger by as much as the part's lags behind that of the part that lags most.
//!
//! **A cut** begins with the key frame in front of it. What nobody asked for is decoded in ticks of
//! its own, one each, right in front of the first picture that is wanted, and presented there: at
//! the beginning of the file the one edit hides it, and at a join it is shown for some ten
//! microseconds each. What is needed to decode pictures that are shown earlier, and itself is shown
//! behind the end, is presented in the last ticks. This is the shape that players agree on; see
//! *Ranges* in the manual.
//!
//! **A gap** is a part, too: grey pictures, one a second, of which one a minute is a key frame, and
//! silence. Where none can be made, the last picture lasts.

mod blank;
mod clip;
mod cut;
mod fit;
mod laying;
mod part;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

pub use cut::Cut;
pub use fit::{ClipSets, Common, first_shown};
pub use part::{PartData, PartPiece, PartTables};

use self::blank::Pattern;
use self::laying::{Laying, Shown, arrange, place, usual_packet};
use self::part::{Part, Source, Stretch};
use super::boxes::{BoxWriter, Hole};
use super::moov::{self, MovieClock, Trak};
use super::tables::{TABLES, Table};
use super::{Chunk, Mp4Error};
use crate::segment::ClipFact;
use crate::units::WallTime;

/// Tracks of the file: pictures, and sound.
const TRACKS: usize = 2;
const VIDEO: usize = 0;
const SOUND: usize = 1;

/// What a file is made of, in the order in which it is shown.
#[derive(Clone, Copy, Debug)]
pub enum Ingredient<'a> {
    /// The how-manieth of the clips that the file is made of, or a piece of it. [`Common`] takes
    /// its pictures.
    Clip {
        /// Which.
        clip: usize,
        /// What the ledger says of it.
        fact: &'a ClipFact,
        /// What decodes it.
        sets: &'a ClipSets,
        /// Which piece, where it is not whole.
        cut: Option<&'a Arc<Cut>>,
    },
    /// Nothing, and it is shown as that, for so many nanoseconds.
    Blank(i64),
    /// Nothing, and the last picture lasts, for so many nanoseconds.
    Held(i64),
}

/// A file of several parts: its sums, and what is made of it at once.
pub struct Compilation {
    common: Common,
    parts: Vec<Part>,
    pattern: Pattern,
    /// What is made at once, and where tables are to be made amid it.
    header: Vec<u8>,
    holes: Vec<(Hole, usize, Table)>,
    header_length: u64,
    data_length: u64,
    /// Which tables each track has.
    present: [[bool; TABLES]; TRACKS],
}

/// A stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePiece<'a> {
    /// These bytes.
    Made(&'a [u8]),
    /// Some bytes of a table of a part, counted from 0, which has to be
    /// [loaded](Compilation::load).
    Table(usize, TableBytes),
    /// Some bytes of its samples, counted from its first.
    Data(usize, Range<u64>),
}

/// Some bytes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableBytes {
    /// Of which track, counted from 0.
    pub(super) track: usize,
    /// Which table.
    pub(super) table: Table,
    /// Which bytes, counted from the part's first.
    pub(super) range: Range<u64>,
}

impl Compilation {
    /// Lays out the file of `ingredients`, which begins at `start`.
    ///
    /// # Errors
    /// [`Mp4Error::TooLarge`] where an mp4 can't hold it.
    pub fn new(
        common: Common,
        start: WallTime,
        ingredients: &[Ingredient<'_>],
    ) -> Result<Compilation, Mp4Error> {
        let packet = ingredients.iter().find_map(usual_packet).unwrap_or(0);
        let pattern = Pattern::new(&common, packet);
        let mut layout = Laying::new(&common, &pattern);
        for ingredient in ingredients {
            match ingredient {
                Ingredient::Clip { clip, fact, sets, cut } => {
                    layout.add_clip(*clip, fact, sets, *cut)?;
                }
                Ingredient::Blank(nanos) => layout.add_blank(*nanos)?,
                Ingredient::Held(nanos) => layout.hold(*nanos),
            }
        }
        let (mut parts, total_nanos) = layout.finish()?;
        if parts.iter().all(|part| part.stretches[VIDEO].is_none()) {
            return Err(Mp4Error::NoPictures);
        }
        let shown = arrange(&common, &mut parts, total_nanos)?;
        let data_length = place(&mut parts);
        let mut compilation = Compilation {
            present: present(&parts),
            common,
            parts,
            pattern,
            header: Vec::new(),
            holes: Vec::new(),
            header_length: 0,
            data_length,
        };
        compilation.write_header(start, shown)?;
        Ok(compilation)
    }

    /// Length of the file, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header_length + self.data_length
    }

    /// Memory that it takes, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.header.len() + self.parts.len() * size_of::<Part>()
    }

    /// Which of the clips a part is made of; none for one that is made.
    #[must_use]
    pub fn clip_of(&self, part: usize) -> Option<usize> {
        match &self.parts.get(part)?.source {
            Source::Clip(clip) => Some(clip.number),
            Source::Blank(_) => None,
        }
    }

    /// Makes the tables of a part, and says where its samples are, from the chunks of its clip
    /// where it has one.
    ///
    /// # Errors
    /// [`Mp4Error`]: what can't be read, or is not what the sums say.
    pub fn load<'a>(
        &self,
        part: usize,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<(PartTables, PartData), Mp4Error> {
        let planned = &self.parts[part];
        let is_there = |track: usize, table| self.present[track][table as usize];
        part::load(planned, self.header_length, is_there, |add| {
            match &planned.source {
                Source::Clip(clip) => clip.chunks(&self.common, chunks, add)?,
                Source::Blank(blank) => blank.chunks(&self.common, &self.pattern, add),
            }
            Ok(())
        })
    }

    /// What the bytes `range` of the file consist of, in order and without a gap. What lies behind
    /// the end of the file is left out.
    #[must_use]
    pub fn pieces(&self, range: Range<u64>) -> Vec<FilePiece<'_>> {
        let range = range.start..range.end.min(self.size());
        let mut pieces = Vec::new();
        let (mut at, mut written) = (0, 0);
        for (hole, track, table) in &self.holes {
            self.add_made(&mut pieces, &range, at, written..hole.behind);
            at += (hole.behind - written) as u64;
            written = hole.behind;
            if range.start < at + hole.length && at < range.end {
                self.add_table(&mut pieces, &range, at, (*track, *table));
            }
            at += hole.length;
        }
        self.add_made(&mut pieces, &range, at, written..self.header.len());
        let begin = self.header_length;
        let wanted = range.start.max(begin) - begin..range.end.max(begin) - begin;
        let first = self.parts.partition_point(|part| part.offset + part.length <= wanted.start);
        for (number, part) in self.parts.iter().enumerate().skip(first) {
            let own = wanted.start.max(part.offset)..wanted.end.min(part.offset + part.length);
            if wanted.end <= part.offset {
                break;
            }
            if own.start < own.end {
                let own = own.start - part.offset..own.end - part.offset;
                pieces.push(FilePiece::Data(number, own));
            }
        }
        pieces
    }

    /// Adds what is wanted of bytes that were written, and stand at `at` in the file.
    fn add_made<'a>(
        &'a self,
        pieces: &mut Vec<FilePiece<'a>>,
        wanted: &Range<u64>,
        at: u64,
        bytes: Range<usize>,
    ) {
        let end = at + bytes.len() as u64;
        let own = wanted.start.max(at)..wanted.end.min(end);
        if own.start < own.end {
            let from = bytes.start + (own.start - at) as usize;
            let length = (own.end - own.start) as usize;
            pieces.push(FilePiece::Made(&self.header[from..from + length]));
        }
    }

    /// Adds what is wanted of a table that stands at `at` in the file.
    fn add_table(
        &self,
        pieces: &mut Vec<FilePiece<'_>>,
        wanted: &Range<u64>,
        at: u64,
        (track, table): (usize, Table),
    ) {
        let entry_bytes = table.entry_bytes();
        let bounds = |part: &Part| {
            let stretch = part.stretches[track].as_ref();
            stretch.map(|stretch| {
                let before = at + stretch.before[table as usize] * entry_bytes;
                before..before + stretch.counts[table as usize] * entry_bytes
            })
        };
        for (number, part) in self.parts.iter().enumerate() {
            let Some(all) = bounds(part) else { continue };
            if wanted.end <= all.start {
                break;
            }
            let own = wanted.start.max(all.start)..wanted.end.min(all.end);
            if own.start < own.end {
                let range = own.start - all.start..own.end - all.start;
                pieces.push(FilePiece::Table(number, TableBytes { track, table, range }));
            }
        }
    }

    /// Writes all that is not a table.
    fn write_header(
        &mut self,
        start: WallTime,
        shown: [Option<Shown>; TRACKS],
    ) -> Result<(), Mp4Error> {
        let sets = [Some(&self.common.video), self.common.sound.as_ref()];
        let traks = (0..TRACKS).filter_map(|track| {
            let (shown, set) = (shown[track]?, sets[track]?);
            let counts = Table::ALL.map(|table| {
                let counted =
                    |part: &Part| part.stretches[track].as_ref().map(Stretch::total(table));
                let is_there = self.present[track][table as usize];
                is_there.then(|| self.parts.iter().rev().find_map(counted).unwrap_or(0))
            });
            let kind = set.codec.track_kind();
            Some((
                track,
                Trak {
                    id: track as u32 + 1,
                    kind,
                    timescale: self.common.timescales[track],
                    shown: shown.presentation,
                    media_length: shown.media_length,
                    describes: None,
                    sets: vec![set],
                    first_duration: shown.first_duration,
                    counts,
                },
            ))
        });
        let (numbers, traks): (Vec<usize>, Vec<Trak<'_>>) = traks.unzip();
        let clock = MovieClock::new(start, &traks, Some(1));
        let mut to = BoxWriter::default();
        let order = RefCell::new(Vec::new());
        moov::write(&mut to, &clock, &traks, self.data_length, |to, trak, table| {
            let count = traks[trak].counts[table as usize].unwrap_or(0);
            to.hole(count * table.entry_bytes());
            order.borrow_mut().push((numbers[trak], table));
        });
        let (header, holes) = to.finish_with_holes();
        let left_out: u64 = holes.iter().map(|hole| hole.length).sum();
        self.header_length = header.len() as u64 + left_out;
        let limit = u64::from(u32::MAX);
        for (what, found, limit) in [
            ("moov box", self.header_length, limit),
            ("samples of the file", self.data_length, i64::MAX.unsigned_abs() - limit),
        ] {
            if found > limit {
                return Err(Mp4Error::TooLarge { what, found: found.into(), limit });
            }
        }
        let tables = order.into_inner();
        self.holes = holes.into_iter().zip(tables).map(|(hole, (a, b))| (hole, a, b)).collect();
        self.header = header;
        Ok(())
    }
}

/// Which tables the tracks of a file of these parts have.
fn present(parts: &[Part]) -> [[bool; TABLES]; TRACKS] {
    std::array::from_fn(|track| {
        let stretches = || parts.iter().filter_map(|part| part.stretches[track].as_ref());
        Table::ALL.map(|table| match table {
            Table::Offsets => stretches().any(|stretch| stretch.is_reordered),
            Table::SyncSamples => stretches().any(|Stretch { counts, .. }| {
                counts[Table::SyncSamples as usize] < counts[Table::Sizes as usize]
            }),
            _ => true,
        })
    })
}

#[cfg(test)]
mod tests;
