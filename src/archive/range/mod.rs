//! Ranges of a stream's time as files: which clips, and which pieces of them; then their bytes.

mod account;
mod content;
mod file;
mod known_sets;
mod plan;

use std::ops::Range;
use std::sync::Arc;

use self::file::Contents;
use self::plan::{Piece, Step, assemble};
use super::open::{chunks, of_contents};
use super::{Archive, ArchiveError};
use crate::captions::{Captions, Section};
use crate::mp4::{ClipSets, Common, Compilation, Cut, Ingredient, Mp4Error, first_shown};
use crate::named::{Container, Gaps, Named};
use crate::ring::{ClipContents, ReadError};
use crate::segment::ClipFact;
use crate::units::{ClipId, ClipKey, StreamKey, WallTime};
use crate::view::utc_timestamp;
use crate::zone::Zone;

pub use content::RangeContent;
pub use file::RangeFile;
pub(super) use known_sets::KnownSets;

/// A clip that has a part in a range.
struct Source {
    clip: ClipId,
    fact: Arc<ClipFact>,
    /// Those that it has now, of one that still grows.
    contents: Option<Arc<ClipContents>>,
}

/// A range that is a file.
pub struct OpenedRange {
    /// Its content.
    pub content: RangeContent,
    /// When it begins: with its first picture.
    pub start: WallTime,
    /// When the last of what it has ends.
    pub end: WallTime,
    /// How long it is, in nanoseconds.
    pub length_nanos: i64,
    /// When nothing was recorded, or nothing that is in the file.
    pub gaps: Vec<Range<WallTime>>,
    /// Footage that could not be in it, and why.
    pub omitted: Vec<(Range<WallTime>, &'static str)>,
    /// Two files that have this in common have the same bytes.
    pub identity: [u8; 32],
}

impl Archive {
    /// Opens what was recorded of a camera in some ranges, one after another; `now` is the time up
    /// to which nothing more can come. Local times in it are those of `zone`. Whether a clip is
    /// listed `is_listed` says, or else the catalogue, which a removal reaches a moment later.
    ///
    /// # Errors
    /// [`ArchiveError::NoFootage`] where there is none, or what can't be read.
    pub fn open_range(
        &self,
        camera: &str,
        named: &Named,
        (now, zone): (WallTime, &Zone),
        is_listed: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<OpenedRange, ArchiveError> {
        let stream = {
            let catalogue = self.catalogue();
            catalogue.stream_of(self.number(), camera).map(|(stream, _)| stream)
        };
        let stream = stream.ok_or_else(|| no_footage("no such camera"))?;
        let mut sources = Vec::new();
        let mut ranges = Vec::new();
        for range in &named.ranges {
            let first = sources.len();
            sources.extend(self.sources(stream, range, is_listed)?);
            let grown = sources[first..].iter().rfind(|source| source.contents.is_some());
            let known = grown.map_or(now, |growing| growing.fact.end);
            ranges.push((range.start..range.end.min(known), first..sources.len()));
        }
        if sources.is_empty() {
            return Err(no_footage("nothing was recorded then"));
        }
        let sets = self.sets_of(&sources)?;
        let both = || sources.iter().map(|source| &*source.fact).zip(&sets);
        let common = Common::new(both()).map_err(|reason| no_movie(&sources[0], reason))?;
        let mut building = Building::default();
        let (count, gaps) = (ranges.len(), named.form.gaps);
        for (number, (range, own)) in ranges.into_iter().enumerate() {
            let range = (&range, number + 1 == count);
            self.add_range(&mut building, &common, (&sources, &sets), own, range, gaps)?;
        }
        if named.form.gaps == Gaps::Refused {
            building.refuse_holes()?;
        }
        let has_pictures = building.steps.iter().any(|step| matches!(step, Step::Clip(_)));
        let start = building.start.filter(|_| has_pictures);
        let start = start.ok_or_else(|| no_footage("no picture was recorded then"))?;
        let content = match named.form.container {
            Container::Mp4 => building.movie(self, start, common, &sources, &sets)?,
            Container::Captions => {
                RangeContent::Captions(Captions::new(building.sections(start), zone.clone()))
            }
            Container::Json => {
                let uuid = &self.ring().superblock().ring_uuid;
                let text = account::account(camera, uuid, &building, &sources, &sets);
                RangeContent::Text(text)
            }
        };
        let identity = match &content {
            RangeContent::Text(text) => *blake3::hash(text).as_bytes(),
            _ => identity(&building.steps, &sources),
        };
        let length_nanos = building.length_nanos();
        let Building { end, gaps, omitted, .. } = building;
        Ok(OpenedRange { content, start, end, length_nanos, gaps, omitted, identity })
    }

    /// The clips that have footage in a range, in the order of their beginnings: those that are
    /// listed, those that will be with the next flush, and the one that grows, as it is now.
    fn sources(
        &self,
        stream: StreamKey,
        range: &Range<WallTime>,
        is_listed: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<Vec<Source>, ArchiveError> {
        let of = |clip, fact: &Arc<ClipFact>| Source { clip, fact: fact.clone(), contents: None };
        let (closed, mut sources, growing) = {
            let catalogue = self.catalogue();
            let closed = catalogue.clips_overlapping(stream, range.clone());
            let closed = closed.filter(|clip| clip.readable());
            let closed = closed.map(|clip| (clip.key, clip.listed(), clip.fact.clone()));
            let closed: Vec<(ClipKey, bool, Arc<ClipFact>)> = closed.collect();
            let mut sources = Vec::new();
            let is_in = |fact: &ClipFact| fact.start < range.end && range.start < fact.end;
            let ended = catalogue.ended_of(stream).filter(|(_, fact)| is_in(fact));
            sources.extend(ended.map(|(clip, fact)| of(clip.clip(), fact)));
            let growing = catalogue.growing_of(stream);
            let growing = growing.filter(|(_, growth)| growth.start < range.end);
            (closed, sources, growing.map(|(clip, _)| clip.clip()))
        };
        // Under no lock: who knows it has one of its own.
        let listed = closed.iter().filter(|(key, listed, _)| is_listed(*key).unwrap_or(*listed));
        sources.extend(listed.map(|(key, _, fact)| of(key.clip(), fact)));
        if let Some(clip) = growing {
            sources.extend(self.growing_source(clip)?);
        }
        sources.retain(|source| range.start < source.fact.end);
        sources.sort_by_key(|source| (source.fact.start, source.clip));
        sources.dedup_by_key(|source| source.clip);
        Ok(sources)
    }

    fn growing_source(&self, clip: ClipId) -> Result<Option<Source>, ArchiveError> {
        let grown = match self.grown(clip) {
            // It ended in this moment.
            Err(ArchiveError::Read(ReadError::Gone(_))) => None,
            grown => grown?,
        };
        Ok(grown.map(|(fact, contents)| Source {
            clip,
            fact: Arc::new(fact),
            contents: Some(Arc::new(contents)),
        }))
    }

    fn sets_of(&self, sources: &[Source]) -> Result<Vec<ClipSets>, ArchiveError> {
        let mut all: Vec<ClipSets> = Vec::with_capacity(sources.len());
        for source in sources {
            let sets = match self.known_sets.get(source.clip) {
                Some(known) => known,
                None => {
                    let sets = self.of_source(source, |contents| {
                        ClipSets::new(&source.fact, &contents.parameters, chunks(contents))
                    })?;
                    self.known_sets.keep(source.clip, sets, all.last())
                }
            };
            all.push(sets);
        }
        Ok(all)
    }

    /// What `make` makes of the contents of a clip.
    fn of_source<T>(
        &self,
        source: &Source,
        make: impl Fn(&ClipContents) -> Result<T, Mp4Error>,
    ) -> Result<T, ArchiveError> {
        let make =
            |contents: &ClipContents| make(contents).map_err(|reason| no_movie(source, reason));
        match &source.contents {
            Some(contents) => make(contents),
            None => of_contents(&self.index, &self.ring, source.clip, make),
        }
    }

    fn add_range(
        &self,
        building: &mut Building,
        common: &Common,
        (sources, sets): (&[Source], &[ClipSets]),
        own: Range<usize>,
        (range, is_last): (&Range<WallTime>, bool),
        gaps: Gaps,
    ) -> Result<(), ArchiveError> {
        let taken = own.filter(|number| {
            let (source, sets) = (&sources[*number], &sets[*number]);
            let times = source.fact.start..source.fact.end;
            if !common.takes(&source.fact, sets) {
                building.omitted.push((times, "pictures are coded in another way"));
                return false;
            }
            if sets.sound.is_some() && !common.takes_sound(&source.fact, sets) {
                building.omitted.push((times, "sound is coded in another way"));
            }
            true
        });
        let taken: Vec<usize> = taken.collect();
        let facts: Vec<&ClipFact> = taken.iter().map(|number| &*sources[*number].fact).collect();
        let mut pieces = Vec::new();
        let plan = plan::plan(&facts, range);
        let covered = plan.covered.into_iter();
        building.omitted.extend(covered.map(|times| (times, "other footage is of that time")));
        for planned in plan.pieces {
            let number = taken[planned.clip];
            let source = &sources[number];
            let Some(times) = planned.times else {
                let shown = first_shown(&source.fact)..source.fact.end;
                pieces.push(Piece { clip: number, cut: None, shown, is_begun: false });
                continue;
            };
            let ends_file = is_last && times.end == range.end;
            let cut = self.of_source(source, |contents| {
                Cut::new(common, &source.fact, chunks(contents), &times, ends_file)
            })?;
            let Some(cut) = cut else { continue };
            let shown = cut.start(&source.fact)..cut.end(&source.fact);
            let is_begun = source.fact.start < times.start;
            pieces.push(Piece { clip: number, cut: Some(Arc::new(cut)), shown, is_begun });
        }
        let shows_gaps = gaps == Gaps::Shown && common.shows_gaps();
        let steps = assemble(pieces, range, gaps, shows_gaps);
        building.add(steps);
        Ok(())
    }
}

/// A file as it is put together.
#[derive(Default)]
struct Building {
    steps: Vec<Step>,
    gaps: Vec<Range<WallTime>>,
    omitted: Vec<(Range<WallTime>, &'static str)>,
    start: Option<WallTime>,
    end: WallTime,
}

impl Building {
    fn add(&mut self, assembled: plan::Assembled) {
        self.start = self.start.or(assembled.shown.as_ref().map(|shown| shown.start));
        self.end = assembled.shown.map_or(self.end, |shown| self.end.max(shown.end));
        self.steps.extend(assembled.steps);
        self.gaps.extend(assembled.gaps);
    }

    /// What is known to be missing, as the reason why there is no file.
    fn refuse_holes(&self) -> Result<(), ArchiveError> {
        let gaps = self.gaps.iter().map(|gap| (gap, "nothing was recorded"));
        let omitted = self.omitted.iter().map(|(times, why)| (times, *why));
        match gaps.chain(omitted).next() {
            None => Ok(()),
            Some((times, why)) => {
                let (from, to) = (utc_timestamp(times.start), utc_timestamp(times.end));
                Err(ArchiveError::NoFootage(format!("{why} from {from} to {to}")))
            }
        }
    }

    /// How long the file is, in nanoseconds.
    fn length_nanos(&self) -> i64 {
        self.steps.iter().map(Step::length_nanos).sum()
    }

    /// Which times of the file are which on the wall; it begins at `start`.
    fn sections(&self, start: WallTime) -> Vec<Section> {
        let mut sections: Vec<Section> = Vec::new();
        let (mut at, mut wall) = (0, start);
        for step in &self.steps {
            let begin = match step {
                Step::Clip(piece) => piece.shown.start,
                Step::Blank(_) | Step::Held(_) => wall,
            };
            let end = at + step.length_nanos();
            match sections.last_mut() {
                Some(last) if begin == wall => last.shown.end = end,
                _ => sections.push(Section { shown: at..end, wall: begin }),
            }
            wall = begin.plus_nanos(end - at);
            at = end;
        }
        sections
    }

    fn movie(
        &self,
        archive: &Archive,
        start: WallTime,
        common: Common,
        sources: &[Source],
        sets: &[ClipSets],
    ) -> Result<RangeContent, ArchiveError> {
        let ingredients = self.steps.iter().map(|step| match step {
            Step::Clip(piece) => Ingredient::Clip {
                clip: piece.clip,
                fact: &sources[piece.clip].fact,
                sets: &sets[piece.clip],
                cut: piece.cut.as_ref(),
            },
            Step::Blank(nanos) => Ingredient::Blank(*nanos),
            Step::Held(nanos) => Ingredient::Held(*nanos),
        });
        let ingredients: Vec<Ingredient<'_>> = ingredients.collect();
        let compilation = Compilation::new(common, start, &ingredients);
        let compilation = compilation.map_err(|reason| no_movie(&sources[0], reason))?;
        let contents = sources.iter().map(|source| match &source.contents {
            Some(contents) => Contents::Known(source.clip, contents.clone()),
            None => Contents::Of(source.clip),
        });
        let file = RangeFile::new(archive, compilation, contents.collect());
        Ok(RangeContent::Movie(Box::new(file)))
    }
}

/// What the bytes of the file depend on.
fn identity(steps: &[Step], sources: &[Source]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for step in steps {
        let words: Vec<i64> = match step {
            Step::Clip(piece) => {
                let source = &sources[piece.clip];
                hasher.update(&source.clip.number().to_le_bytes());
                let chunks = source.contents.as_ref().map_or(0, |contents| contents.chunks.len());
                let fact = &source.fact;
                vec![
                    0,
                    fact.start.0,
                    fact.end.0,
                    piece.shown.start.0,
                    piece.shown.end.0,
                    chunks as i64,
                ]
            }
            Step::Blank(nanos) => vec![1, *nanos],
            Step::Held(nanos) => vec![2, *nanos],
        };
        for word in words {
            hasher.update(&word.to_le_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}

fn no_footage(why: &str) -> ArchiveError {
    ArchiveError::NoFootage(why.to_owned())
}

fn no_movie(source: &Source, reason: Mp4Error) -> ArchiveError {
    match reason {
        Mp4Error::TooLarge { .. } => ArchiveError::NoFootage(reason.to_string()),
        Mp4Error::NoPictures => no_footage("no picture was recorded then"),
        reason => ArchiveError::Movie { clip: source.clip, reason },
    }
}
