//! What is made of a range that is put together, in the form that was asked for.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::building::Building;
use super::file::RangeFile;
use super::footage::Footage;
use super::plan::Step;
use super::{Chunks, OpenedRange, RangeContent, Shown, Source, account, no_footage, no_movie};
use crate::archive::{Archive, ArchiveError};
use crate::captions::{Captions, Section};
use crate::compilation::{
    ClipSets, Common, Compilation, GreyGroup, Ingredient, MovieFile, SegmentedFile, Segmenting,
};
use crate::mp4::{Mp4Error, codec_name};
use crate::named::{Container, Form, Named};
use crate::playlist::{MediaSegment, Variant, master_playlist, media_playlist};
use crate::segment::{Codec, ParameterSet};
use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

/// How long a tick of pictures is at most: segments begin with one.
const TICK_NANOS_MAX: i64 = NANOS_PER_SECOND / 90_000 + 1;

/// What was asked for.
pub(super) struct Asked<'a> {
    pub camera: &'a str,
    pub form: Form,
    /// Local times are those of this zone.
    pub zone: &'a Zone,
    pub name: Naming<'a>,
}

/// What files are called that belong to one another.
pub(super) enum Naming<'a> {
    /// By their times.
    Range,
    /// As a clip is, up to what says that it is an mp4.
    Clip(&'a str),
}

/// See the [module](self).
pub(super) struct Making<'a> {
    pub archive: &'a Archive,
    pub asked: &'a Asked<'a>,
    /// The times that are in the file, or could be.
    pub ranges: Vec<Range<WallTime>>,
    pub common: Common,
    pub sources: &'a [Source],
    pub sets: &'a [ClipSets],
}

impl Making<'_> {
    /// The file.
    ///
    /// # Errors
    /// [`ArchiveError::NoFootage`] where nothing is in it, or what can't be read.
    pub(super) fn make(self, building: Building) -> Result<OpenedRange, ArchiveError> {
        let has_pictures = building.steps.iter().any(|step| matches!(step, Step::Clip(_)));
        let start = building.start.filter(|_| has_pictures);
        let start = start.ok_or_else(|| no_footage("no picture was recorded then"))?;
        let mut identity = self.identity(&building.steps);
        let speed = self.asked.form.container.speed();
        let content = match self.asked.form.container {
            container @ (Container::Mp4
            | Container::Clock
            | Container::KeyFrames
            | Container::Timelapse(_)
            | Container::Still) => {
                let clock = container == Container::Clock;
                let clock = clock.then(|| self.captions(&building, start));
                let file = self.compilation(&building, start, GreyGroup::Long);
                let file = file.and_then(|parts| MovieFile::new(parts, speed, clock));
                let file = file.map_err(|reason| self.failed(reason))?;
                RangeContent::File(Box::new(RangeFile::movie(self.footage(), file)))
            }
            container @ (Container::Fragments | Container::Matroska | Container::Transport) => {
                let sections = building.sections(start);
                let file = self.segmented(&building, start, &sections, (identity, container))?;
                RangeContent::File(Box::new(RangeFile::segmented(self.footage(), file)))
            }
            container @ (Container::Playlist | Container::MasterPlaylist) => {
                let sections = building.sections(start);
                let kind = (identity, Container::Fragments);
                let file = self.segmented(&building, start, &sections, kind)?;
                let segments = segments(&file, &sections);
                let text = match container {
                    Container::MasterPlaylist => self.master(&building, &segments),
                    _ => self.playlist(&file, &segments),
                };
                RangeContent::Text(text.into_bytes())
            }
            Container::Captions => RangeContent::Captions(self.captions(&building, start)),
            Container::Json => RangeContent::Text(account::account(&self, &building)),
        };
        if let RangeContent::Text(text) = &content {
            identity = *blake3::hash(text).as_bytes();
        }
        let length_nanos = building.length_nanos() / i64::from(speed);
        let shown = self.shown(&building);
        let Building { end, gaps, omitted, .. } = building;
        let camera = self.asked.camera.to_owned();
        let clips = self.sources.iter().map(|source| source.contents.clip).collect();
        Ok(OpenedRange {
            camera,
            content,
            start,
            end,
            length_nanos,
            gaps,
            omitted,
            clips,
            shown,
            identity,
        })
    }

    fn shown(&self, building: &Building) -> Shown {
        let mut shown = Shown::default();
        for step in &building.steps {
            let Step::Clip(piece) = step else { continue };
            let fact = &self.sources[piece.clip].fact;
            if shown.frames == 0 {
                (shown.codec, shown.picture) = (fact.codec.clone(), fact.picture);
            }
            shown.frames += piece.cut.as_ref().map_or(fact.frames(), |cut| cut.frames());
            if !shown.quality.contains(&fact.quality) {
                shown.quality.push(fact.quality);
            }
        }
        shown
    }

    fn failed(&self, reason: Mp4Error) -> ArchiveError {
        no_movie(&self.sources[0], reason)
    }

    fn captions(&self, building: &Building, start: WallTime) -> Captions {
        Captions::new(building.sections(start), self.asked.zone.clone())
    }

    fn footage(&self) -> Footage {
        let contents = self.sources.iter().map(|source| source.contents.clone());
        Footage::new(self.archive, contents.collect())
    }

    fn compilation(
        &self,
        building: &Building,
        start: WallTime,
        grey_group: GreyGroup,
    ) -> Result<Compilation, Mp4Error> {
        let ingredients = building.steps.iter().map(|step| match step {
            Step::Clip(piece) => Ingredient::Clip {
                clip: piece.clip,
                fact: &self.sources[piece.clip].fact,
                sets: &self.sets[piece.clip],
                cut: piece.cut.as_ref(),
            },
            Step::Blank(nanos) => Ingredient::Blank(*nanos),
            Step::Held(nanos) => Ingredient::Held(*nanos),
        });
        let ingredients: Vec<Ingredient<'_>> = ingredients.collect();
        Compilation::new(self.common.clone(), start, &ingredients, grey_group)
    }

    /// A file of segments: it is remembered for a while, because players ask for each segment by
    /// itself.
    fn segmented(
        &self,
        building: &Building,
        start: WallTime,
        sections: &[Section],
        (identity, container): ([u8; 32], Container),
    ) -> Result<Arc<SegmentedFile>, ArchiveError> {
        let key = (identity, container);
        if let Some(known) = self.archive.segmented.get(&key) {
            return Ok(known);
        }
        let compilation = self.compilation(building, start, GreyGroup::Short);
        let compilation = compilation.map_err(|reason| self.failed(reason))?;
        let segmenting = match container {
            Container::Matroska => compilation.matroska(),
            Container::Transport => compilation.transport(),
            _ => compilation.fragments(),
        };
        let file = self.counted(segmenting, sections)?;
        Ok(self.archive.segmented.keep(key, file.memory(), file))
    }

    fn counted(
        &self,
        segmenting: Segmenting,
        sections: &[Section],
    ) -> Result<SegmentedFile, ArchiveError> {
        let footage = self.footage();
        let jumps = sections.iter().skip(1).map(|section| section.shown.start);
        let mut segmenter = segmenting.segmenter(jumps);
        for part in 0..segmenting.parts() {
            let list = |chunks: Chunks<'_>| segmenting.list(part, chunks);
            segmenter.add(&footage.with(segmenting.clip_of(part), list)?);
        }
        let counted = segmenter.finish();
        segmenting.finish(counted).map_err(|reason| self.failed(reason))
    }

    /// The name of the file of another kind that belongs to this one.
    fn name(&self, container: Container) -> String {
        let form = Form { container, ..self.asked.form };
        match self.asked.name {
            Naming::Range => Named { ranges: self.ranges.clone(), form }.to_string(),
            Naming::Clip(stem) => format!("{stem}.{}", form.name()),
        }
    }

    fn playlist(&self, file: &SegmentedFile, segments: &[MediaSegment]) -> String {
        media_playlist(&self.name(Container::Fragments), file.header_bytes(), segments)
    }

    /// Its codecs are those of every clip in it (RFC 8216, 4.3.4.2).
    fn master(&self, building: &Building, segments: &[MediaSegment]) -> String {
        let pictures = building.steps.iter().filter_map(|step| match step {
            Step::Clip(piece) => Some(&*self.sets[piece.clip].video),
            Step::Blank(_) | Step::Held(_) => None,
        });
        let own = std::iter::once(self.common.video()).chain(pictures).chain(self.common.sound());
        let codecs: Option<Vec<String>> = own.map(registered_name).collect();
        let mut codecs = codecs.unwrap_or_default();
        let mut known = HashSet::new();
        codecs.retain(|codec| known.insert(codec.clone()));
        let video = self.common.video().video;
        let picture = video.map_or((0, 0), |video| (video.width, video.height));
        let name = self.name(Container::Playlist);
        master_playlist(&[Variant::new(name, codecs, picture, segments)])
    }

    /// What the bytes of the file depend on.
    fn identity(&self, steps: &[Step]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.common.encode());
        for step in steps {
            let words: Vec<i64> = match step {
                Step::Clip(piece) => {
                    let source = &self.sources[piece.clip];
                    hasher.update(&source.clip().number().to_le_bytes());
                    let contents = source.contents.grown.as_ref();
                    let chunks = contents.map_or(0, |contents| contents.chunks.len());
                    let fact = &source.fact;
                    let shown = &piece.shown;
                    let times = [fact.start, fact.end, shown.start, shown.end].map(|time| time.0);
                    [&[0], &times[..], &[chunks as i64]].concat()
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
}

/// The segments of a file, with their times on the wall.
fn segments(file: &SegmentedFile, sections: &[Section]) -> Vec<MediaSegment> {
    let segments = file.segments().map(|segment| {
        let at = segment.shown_nanos.start;
        let begun = |section: &Section| section.shown.start <= at + TICK_NANOS_MAX;
        let begun = sections.partition_point(begun);
        let section = sections.get(begun.saturating_sub(1));
        let wall = section.map(|section| section.wall.plus_nanos(at - section.shown.start));
        MediaSegment {
            bytes: segment.bytes,
            length_nanos: segment.shown_nanos.end - at,
            wall: wall.unwrap_or_default(),
        }
    });
    segments.collect()
}

/// What HLS calls a codec (RFC 6381, and what browsers know); `None` where it does not know it.
fn registered_name(set: &ParameterSet) -> Option<String> {
    match set.codec {
        Codec::H264 | Codec::H265 | Codec::Aac => Some(codec_name(set)),
        Codec::Opus => Some("Opus".to_owned()),
        Codec::Flac => Some("fLaC".to_owned()),
        Codec::Jpeg | Codec::TimedText | Codec::Unknown(_) => None,
    }
}
