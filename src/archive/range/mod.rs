//! Ranges of a stream's time as files: which clips, and which pieces of them; then their bytes.

mod account;
mod building;
mod content;
mod file;
mod footage;
mod known_sets;
mod making;
mod opened;
mod plan;

use std::ops::Range;
use std::sync::Arc;

use self::building::Building;
use self::footage::Contents;
use self::making::{Asked, Making, Naming};
use self::plan::{Piece, assemble};
use super::open::chunks;
use super::{Archive, ArchiveError};
use crate::compilation::{ClipSets, Common, Cut, Wanted, first_shown, key_frames};
use crate::mp4::{Chunk, Mp4Error};
use crate::named::{Container, Form, Gaps, Named};
use crate::ring::{ClipContents, ReadError};
use crate::segment::ClipFact;
use crate::units::{ClipId, ClipKey, NANOS_PER_SECOND, StreamKey, WallTime};
use crate::zone::Zone;

pub use content::RangeContent;
pub use file::RangeFile;
pub(super) use known_sets::KnownSets;
pub use opened::{OpenedRange, Shown};

/// What was recorded is durable this much later, in nanoseconds: flushes are 60 seconds apart at
/// most.
const DURABLE_NANOS: i64 = 90 * NANOS_PER_SECOND;
/// Sound that is not there yet when its pictures are is there this much later, in nanoseconds.
const SOUND_LATE_NANOS: i64 = NANOS_PER_SECOND;

/// How long a key frame is shown that is all there is, in nanoseconds.
const STILL_NANOS: i64 = NANOS_PER_SECOND;

/// The chunks of a clip, in order.
type Chunks<'a> = Box<dyn Iterator<Item = Chunk<'a>> + 'a>;

/// A clip that has a part in a range.
struct Source {
    fact: Arc<ClipFact>,
    contents: Contents,
}

impl Source {
    fn of(clip: ClipId, fact: Arc<ClipFact>) -> Source {
        Source { fact, contents: Contents { clip, grown: None } }
    }

    fn clip(&self) -> ClipId {
        self.contents.clip
    }

    fn grows(&self) -> bool {
        self.contents.grown.is_some()
    }
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
            let known = match named.form.container.is_segmented() {
                true => self.settled(&sources[first..], now)?,
                false => {
                    let grown = sources[first..].iter().rfind(|source| source.grows());
                    grown.map_or(now, |grown| grown.fact.end)
                }
            };
            ranges.push((range.start..range.end.min(known), first..sources.len()));
        }
        let asked = Asked { camera, form: named.form, zone, name: Naming::Range };
        match ranges.as_slice() {
            [(range, _)] if named.form.container == Container::Still => {
                self.open_still(&asked, sources, range)
            }
            _ => self.open_sources(&asked, &sources, ranges),
        }
    }

    /// Opens a clip as a file of another kind; `stem` is what it is called, up to what says that it
    /// is an mp4.
    ///
    /// # Errors
    /// [`ArchiveError::Gone`] where it is not there any more, or what can't be read.
    pub fn open_clip_as(
        &self,
        clip: ClipKey,
        form: Form,
        zone: &Zone,
        stem: &str,
    ) -> Result<OpenedRange, ArchiveError> {
        let (key, clip) = (clip, clip.clip());
        let (camera, fact) = {
            let catalogue = self.catalogue();
            let known = catalogue.clip(key).filter(|known| known.readable());
            let known = known.ok_or(ArchiveError::Gone(clip))?;
            (catalogue.camera_of(known), known.fact.clone())
        };
        let range = fact.start..fact.end;
        let sources = [Source::of(clip, fact)];
        let asked = Asked { camera: &camera, form, zone, name: Naming::Clip(stem) };
        self.open_sources(&asked, &sources, vec![(range, 0..1)])
    }

    /// The file of the last key frame in a range.
    fn open_still(
        &self,
        asked: &Asked<'_>,
        mut sources: Vec<Source>,
        range: &Range<WallTime>,
    ) -> Result<OpenedRange, ArchiveError> {
        while let Some(source) = sources.pop() {
            let sources = std::slice::from_ref(&source);
            let sets = self.sets_of(sources)?;
            let common = Common::new(std::iter::once((&*source.fact, &sets[0])));
            let common = common.map_err(|reason| no_movie(&source, reason))?.of_key_frames();
            let cut = self.key_frames(&common, &source, range, Some(STILL_NANOS))?;
            let Some(cut) = cut else { continue };
            let mut building = Building::default();
            building.add_still(Piece::of(0, &source.fact, cut));
            let ranges = vec![range.clone()];
            return Making { archive: self, asked, ranges, common, sources, sets: &sets }
                .make(building);
        }
        Err(no_footage("nothing was recorded then"))
    }

    /// The file of ranges, each with its sources.
    fn open_sources(
        &self,
        asked: &Asked<'_>,
        sources: &[Source],
        ranges: Vec<(Range<WallTime>, Range<usize>)>,
    ) -> Result<OpenedRange, ArchiveError> {
        if sources.is_empty() {
            return Err(no_footage("nothing was recorded then"));
        }
        let sets = self.sets_of(sources)?;
        let both = || sources.iter().map(|source| &*source.fact).zip(&sets);
        let common = Common::new(both()).map_err(|reason| no_movie(&sources[0], reason))?;
        let common = match asked.form.container {
            Container::Transport if !common.fits_transport() => {
                return Err(no_footage("MPEG-TS has no place for these pictures"));
            }
            Container::Transport => common.of_transport(),
            container if container.has_key_frames_alone() => common.of_key_frames(),
            _ => common,
        };
        let mut building = Building::default();
        let count = ranges.len();
        for (number, (range, own)) in ranges.iter().enumerate() {
            let range = (range, number + 1 == count);
            let own = own.clone();
            self.add_range(&mut building, &common, (sources, &sets), own, range, asked.form)?;
        }
        if asked.form.gaps == Gaps::Refused {
            building.refuse_holes()?;
        }
        let ranges = ranges.into_iter().map(|(range, _)| range).collect();
        let making = Making { archive: self, asked, ranges, common, sources, sets: &sets };
        making.make(building)
    }

    /// The clips that have footage in a range, in the order of their beginnings: those that are
    /// listed, those that will be with the next flush, and the one that grows, as it is now.
    fn sources(
        &self,
        stream: StreamKey,
        range: &Range<WallTime>,
        is_listed: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<Vec<Source>, ArchiveError> {
        let of = |clip, fact: &Arc<ClipFact>| Source::of(clip, fact.clone());
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
        sources.sort_by_key(|source| (source.fact.start, source.clip()));
        sources.dedup_by_key(|source| source.clip());
        Ok(sources)
    }

    /// Up to when what is known of these clips stays as it is. Of one that grows, up to a key frame
    /// that is not its last moment, because sound may come a moment later. Where none grows, the
    /// next may have begun, and nothing of it be durable yet.
    fn settled(&self, sources: &[Source], now: WallTime) -> Result<WallTime, ArchiveError> {
        let Some(grown) = sources.iter().rfind(|source| source.grows()) else {
            let last = sources.iter().map(|source| source.fact.end).max().unwrap_or_default();
            return Ok(last.max(now.plus_nanos(-DURABLE_NANOS)).min(now));
        };
        let keys = self.of_source(grown, |contents| key_frames(&grown.fact, chunks(contents)))?;
        let last = grown.fact.end.plus_nanos(-SOUND_LATE_NANOS);
        Ok(keys.into_iter().rfind(|key| *key <= last).unwrap_or(grown.fact.start))
    }

    fn growing_source(&self, clip: ClipId) -> Result<Option<Source>, ArchiveError> {
        let grown = match self.grown(clip) {
            // It ended in this moment.
            Err(ArchiveError::Read(ReadError::Gone(_))) => None,
            grown => grown?,
        };
        Ok(grown.map(|(fact, contents)| {
            let contents = Contents { clip, grown: Some(Arc::new(contents)) };
            Source { fact: Arc::new(fact), contents }
        }))
    }

    fn sets_of(&self, sources: &[Source]) -> Result<Vec<ClipSets>, ArchiveError> {
        let mut all: Vec<ClipSets> = Vec::with_capacity(sources.len());
        for source in sources {
            let sets = match self.known_sets.get(source.clip()) {
                Some(known) => known,
                None => {
                    let sets = self.of_source(source, |contents| {
                        ClipSets::new(&source.fact, &contents.parameters, chunks(contents))
                    })?;
                    self.known_sets.keep(source.clip(), sets, all.last())
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
        source.contents.make(&self.index, &self.ring, |contents| {
            make(contents).map_err(|reason| no_movie(source, reason))
        })
    }

    fn add_range(
        &self,
        building: &mut Building,
        common: &Common,
        (sources, sets): (&[Source], &[ClipSets]),
        own: Range<usize>,
        (range, is_last): (&Range<WallTime>, bool),
        form: Form,
    ) -> Result<(), ArchiveError> {
        let taken = own.filter(|number| {
            let (source, sets) = (&sources[*number], &sets[*number]);
            let times = source.fact.start..source.fact.end;
            if !common.takes(&source.fact, sets) {
                building.omitted.push((times, "pictures are coded in another way"));
                return false;
            }
            let why = match common.sound() {
                Some(_) => "sound is coded in another way",
                None => "MPEG-TS has no place for this sound",
            };
            let is_heard = sets.sound.is_some() && !form.container.has_key_frames_alone();
            if is_heard && !common.takes_sound(&source.fact, sets) {
                building.omitted.push((times, why));
            }
            true
        });
        let taken: Vec<usize> = taken.collect();
        let facts: Vec<&ClipFact> = taken.iter().map(|number| &*sources[*number].fact).collect();
        let plan = plan::plan(&facts, range);
        let covered = plan.covered.into_iter();
        building.omitted.extend(covered.map(|times| (times, "other footage is of that time")));
        let mut pieces = Vec::new();
        for planned in plan.pieces {
            let number = taken[planned.clip];
            let is_end = (is_last, range.end);
            let is_first = pieces.is_empty();
            let asked = (form.container, is_first, is_end);
            pieces.extend(self.piece(common, (number, &sources[number]), planned.times, asked)?);
        }
        let shows_gaps = form.gaps == Gaps::Shown && common.shows_gaps();
        building.add(assemble(pieces, range, form.gaps, shows_gaps));
        Ok(())
    }

    /// A clip, or a piece of it where some times of it are wanted; `None` where nothing is shown
    /// then.
    fn piece(
        &self,
        common: &Common,
        (number, source): (usize, &Source),
        times: Option<Range<WallTime>>,
        (container, is_first, (is_last, end)): (Container, bool, (bool, WallTime)),
    ) -> Result<Option<Piece>, ArchiveError> {
        let fact = &source.fact;
        if container.has_key_frames_alone() {
            let is_begun = times.as_ref().is_some_and(|times| fact.start < times.start);
            let times = times.unwrap_or(fact.start..fact.end);
            let cut = self.key_frames(common, source, &times, None)?;
            return Ok(cut.map(|cut| Piece { is_begun, ..Piece::of(number, fact, cut) }));
        }
        let Some(times) = times else {
            let shown = first_shown(fact)..fact.end;
            return Ok(Some(Piece { clip: number, cut: None, shown, is_begun: false }));
        };
        let is_begun = fact.start < times.start;
        let wanted = Wanted {
            ends_file: is_last && times.end == end,
            from_key_frame: container.is_segmented() && is_first,
            times,
        };
        let cut =
            self.of_source(source, |contents| Cut::new(common, fact, chunks(contents), &wanted))?;
        Ok(cut.map(|cut| Piece { is_begun, ..Piece::of(number, fact, cut) }))
    }

    fn key_frames(
        &self,
        common: &Common,
        source: &Source,
        times: &Range<WallTime>,
        still_nanos: Option<i64>,
    ) -> Result<Option<Cut>, ArchiveError> {
        self.of_source(source, |contents| {
            Cut::key_frames(common, &source.fact, chunks(contents), times, still_nanos)
        })
    }
}

fn no_footage(why: &str) -> ArchiveError {
    ArchiveError::NoFootage(why.to_owned())
}

fn no_movie(source: &Source, reason: Mp4Error) -> ArchiveError {
    match reason {
        Mp4Error::TooLarge { .. } => ArchiveError::NoFootage(reason.to_string()),
        Mp4Error::NoPictures => no_footage("no picture was recorded then"),
        reason => ArchiveError::Movie { clip: source.clip(), reason },
    }
}
