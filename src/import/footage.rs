//! A file, opened: its track of pictures, its track of sound, and what is left out of it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::naming::Named;
use super::order::Order;
use crate::camera::{StoredPictures, StoredSound};
use crate::demux::{self, Coding, FileSource, Kind, Problem, Remark, Sample, Track};
use crate::units::{Ticks, WallTime};

/// Why a file can't be imported.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct ImportError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// A file that can be imported, opened.
pub struct Footage {
    pub(super) path: PathBuf,
    pub(super) source: FileSource,
    pub(super) video: Track,
    pub(super) order: Order,
    pub(super) sound: Option<(Track, StoredSound)>,
    created: Option<WallTime>,
    remarks: Vec<Remark>,
}

/// What there is of a file elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// So many of its first samples.
    pub samples: usize,
    /// Up to where they are shown, in nanoseconds behind its first picture: one of them that is
    /// shown later, because it is decoded ahead, is not.
    pub until_nanos: i64,
}

/// Times are the same where they are apart by less, in nanoseconds: they are rounded to ticks.
const ROUNDED_NANOS: i64 = 1_000_000;

/// What is known of a file before its frames are read.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The file.
    pub path: PathBuf,
    /// When its first picture is shown, in nanoseconds from the file's own zero.
    pub first_nanos: i64,
    /// From its first picture to the end of its last one, in nanoseconds.
    pub length_nanos: i64,
    /// The longest time between pictures that decoding can begin with, in nanoseconds.
    pub group_nanos: i64,
    /// When it was made, as it says.
    pub created: Option<WallTime>,
    /// When it begins, as its name says, where somebody has read that.
    pub named: Option<Named>,
    /// Length of its samples, in bytes.
    pub byte_count: u64,
    /// That of the largest one.
    pub largest_sample: u64,
    /// Number of its pictures.
    pub pictures: u64,
    /// What there is to say of it.
    pub remarks: Vec<Remark>,
}

impl Footage {
    /// Opens a file and reads its index, not its samples.
    ///
    /// # Errors
    /// [`ImportError`] names the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Footage, ImportError> {
        Footage::opened(path).map_err(|problem| ImportError { path: path.to_owned(), problem })
    }

    fn opened(path: &Path) -> Result<Footage, Problem> {
        let source = FileSource::new(File::open(path)?)?;
        let demux::Contents { mut tracks, created, mut remarks } = demux::contents(&source)?;
        let video = tracks.remove(video(&tracks)?);
        for entry in &video.entries {
            let known = StoredPictures::new(entry, None);
            known.map_err(|why| Problem::Malformed(format!("track {}: {why}", video.number)))?;
        }
        let order = Order::of(&video.samples, video.timescale).ok_or(Problem::Empty)?;
        let mut sound = None;
        for mut track in tracks {
            match listened(&track, sound.is_some()) {
                Ok(stored) => {
                    // One decoder has all sound of a clip.
                    let before = track.samples.len();
                    track.samples.retain(|sample| sample.entry == 0);
                    let count = (before - track.samples.len()) as u64;
                    remarks.extend((count > 0).then_some(Remark::Recoded { count }));
                    sound = Some((track, stored));
                }
                Err(what) => remarks.push(Remark::LeftOut { number: track.number, what }),
            }
        }
        let path = path.to_owned();
        Ok(Footage { path, source, video, order, sound, created, remarks })
    }

    pub(super) fn fails(&self, problem: Problem) -> ImportError {
        ImportError { path: self.path.clone(), problem }
    }

    pub(super) fn read(&self, track: &Track, sample: &Sample) -> Result<Vec<u8>, ImportError> {
        let read = track.read(&self.source, sample);
        read.map_err(|error| self.fails(Problem::Io(error)))
    }

    /// Number of samples of its track of pictures.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.video.samples.len()
    }

    /// Leaves out what is known of it, but for what the rest needs. Answers by how many nanoseconds
    /// its first picture is later; `None` where nothing is left.
    pub fn begin_behind(&mut self, known: Known) -> Option<i64> {
        let before = Ticks(self.order.first).to_nanos(self.timescale());
        let until = known.until_nanos.saturating_sub(ROUNDED_NANOS).saturating_add(before);
        let until = Ticks::from_nanos(until, self.video.timescale).0;
        for sample in self.video.samples.iter_mut().take(known.samples) {
            sample.shown &= sample.pts >= until;
        }
        self.order = Order::of(&self.video.samples, self.video.timescale)?;
        let first = Ticks(self.order.first).to_nanos(self.timescale());
        Some(first.saturating_sub(before))
    }

    /// Ticks a second of its pictures.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        self.video.timescale.saturating_mul(self.order.scale)
    }

    /// How far its pictures usually are apart, in nanoseconds.
    #[must_use]
    pub fn step_nanos(&self) -> i64 {
        Ticks(self.order.step).to_nanos(self.timescale())
    }

    /// What is known of it.
    #[must_use]
    pub fn survey(&self) -> Survey {
        let nanos = |ticks: i64| Ticks(ticks).to_nanos(self.timescale());
        let sound = self.sound.iter().flat_map(|(track, _)| &track.samples);
        let all = self.video.samples.iter().chain(sound);
        let sizes = || all.clone().map(|sample| u64::from(sample.size));
        let Order { first, end, group, .. } = self.order;
        Survey {
            path: self.path.clone(),
            first_nanos: nanos(first),
            length_nanos: nanos(end.saturating_sub(first)),
            group_nanos: nanos(group),
            created: self.created,
            named: None,
            byte_count: sizes().sum(),
            largest_sample: sizes().max().unwrap_or(0),
            pictures: self.order.times.iter().flatten().count() as u64,
            remarks: self.remarks.clone(),
        }
    }
}

fn is_recorded(coding: &Coding) -> bool {
    matches!(coding, Coding::H264 | Coding::H265 | Coding::Jpeg)
}

fn coding(track: &Track) -> Option<&Coding> {
    track.entries.first().map(|entry| &entry.coding)
}

/// Which track of pictures is taken: of those that can be the one with most of them; a cover is one
/// picture.
fn video(tracks: &[Track]) -> Result<usize, Problem> {
    let all = || tracks.iter().enumerate().filter(|(_, track)| track.kind == Kind::Video);
    let recorded = all().filter(|(_, track)| coding(track).is_some_and(is_recorded));
    // Of equals the first one.
    let best = recorded.rev().max_by_key(|(_, track)| track.samples.len());
    match (best, all().next()) {
        (Some((_, best)), _) if best.samples.is_empty() => Err(Problem::Empty),
        (Some((index, best)), _) => {
            let entry = best.entries.first().ok_or(Problem::NoVideo)?;
            let known = StoredPictures::new(entry, None);
            known.map_err(|why| Problem::Malformed(format!("track {}: {why}", best.number)))?;
            Ok(index)
        }
        (None, Some((_, other))) => {
            let name = coding(other).map_or("of no known kind", Coding::name);
            Err(Problem::Coding(name.to_owned()))
        }
        (None, None) => Err(Problem::NoVideo),
    }
}

/// What becomes of a track beside the pictures that are taken, or why it is left out.
fn listened(track: &Track, has_sound: bool) -> Result<StoredSound, String> {
    let what = coding(track).map_or("of no known kind", Coding::name).to_owned();
    match track.kind {
        Kind::Video => Err(format!("another video ({what})")),
        Kind::Other => Err(what),
        Kind::Sound if has_sound => Err(format!("another sound ({what})")),
        Kind::Sound => {
            let entry = track.entries.first().ok_or("it says nothing of its sound")?;
            StoredSound::new(entry).map_err(|why| format!("sound: {why}"))
        }
    }
}
