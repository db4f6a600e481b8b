//! The time on the wall as a track of subtitles (timed text, 3GPP TS 26.245), in front of all other
//! samples.
//!
//! Every sample is as long as every other: its tables take some bytes, whatever it tells of.

use std::ops::Range;

use super::{Common, VIDEO};
use crate::captions::{Captions, TOLD_BYTES};
use crate::mp4::layout::Presentation;
use crate::mp4::tables::Table;
use crate::mp4::trak::{Media, Trak};
use crate::segment::VideoParameters;

/// Length of a sample, in bytes: its text behind the length of that (5.17).
const SAMPLE_BYTES: usize = size_of::<u16>() + TOLD_BYTES;

/// See the [module](self).
pub(super) struct Clock {
    captions: Captions,
    /// What it is shown over.
    picture: VideoParameters,
    timescale: u32,
    /// How many samples one behind another last how many ticks.
    runs: Vec<(u32, u32)>,
}

impl Clock {
    /// Of a file of so many ticks a second, those of its pictures.
    pub(super) fn new(captions: Captions, common: &Common) -> Option<Clock> {
        let runs = captions.runs().map(|run| {
            let [from, to] = [run.shown.start, run.shown.end].map(|at| common.ticks(VIDEO, at));
            // A second is whole in ticks: of several, each is as long as every other.
            let each = (to - from).max(0).unsigned_abs() / run.cues;
            (run.cues as u32, u32::try_from(each).unwrap_or(u32::MAX))
        });
        let runs = runs.collect();
        let (picture, timescale) = (common.video.video?, common.timescales[VIDEO]);
        Some(Clock { captions, picture, timescale, runs })
    }

    /// Length of its samples, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.captions.cues() * SAMPLE_BYTES as u64
    }

    /// Memory that it takes, in bytes, about.
    pub(super) fn memory(&self) -> usize {
        self.captions.memory() + self.runs.len() * size_of::<(u32, u32)>()
    }

    /// What boxes tell of it as the track of that number.
    pub(super) fn trak(&self, id: u32) -> Trak<'_> {
        let length = self.runs.iter().map(|(count, ticks)| u64::from(*count) * u64::from(*ticks));
        let length = length.sum();
        let counts = Table::ALL.map(|table| match table {
            Table::Durations => Some(self.runs.len() as u64),
            Table::Sizes => Some(self.captions.cues()),
            Table::Chunks | Table::Places => Some(1),
            Table::Offsets | Table::SyncSamples => None,
        });
        Trak {
            id,
            media: Media::Subtitles(self.picture),
            timescale: self.timescale,
            shown: Some(Presentation { delay: 0, media_time: 0, length }),
            media_length: length,
            describes: None,
            first_duration: self.runs.first().map_or(0, |(_, ticks)| *ticks),
            counts,
            sample_bytes: Some(SAMPLE_BYTES as u32),
        }
    }

    /// The entries of a table, where the samples lie at `offset` in the file.
    pub(super) fn entries(&self, table: Table, offset: u64) -> Vec<u8> {
        let words: Vec<u32> = match table {
            Table::Durations => {
                self.runs.iter().flat_map(|(count, ticks)| [*count, *ticks]).collect()
            }
            Table::Chunks => vec![1, self.captions.cues() as u32, 1],
            Table::Places => vec![(offset >> u32::BITS) as u32, offset as u32],
            Table::Sizes | Table::Offsets | Table::SyncSamples => Vec::new(),
        };
        words.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    /// Some bytes of its samples.
    pub(super) fn bytes(&self, range: &Range<u64>) -> Vec<u8> {
        let each = SAMPLE_BYTES as u64;
        let first = range.start / each;
        let mut bytes = Vec::new();
        for number in first..range.end.div_ceil(each).min(self.captions.cues()) {
            bytes.extend((TOLD_BYTES as u16).to_be_bytes());
            bytes.extend_from_slice(self.captions.told(number).as_bytes());
        }
        bytes.truncate((range.end - first * each) as usize);
        bytes.drain(..((range.start - first * each) as usize).min(bytes.len()));
        bytes
    }
}
