//! What the boxes of a track tell, but for the entries of its tables.

use super::entry;
use super::layout::{Presentation, described, handler, media_length};
use super::tables::{TABLES, Table, TrackTables};
use crate::segment::{ClipFact, ParameterSet, TrackKind, TrackTotals, VideoParameters};

/// What the samples of a track are.
pub(crate) enum Media<'a> {
    /// Of that kind, and what decodes them: each becomes a sample entry.
    Recorded(TrackKind, Vec<&'a ParameterSet>),
    /// Text to be read below pictures like this.
    Subtitles(VideoParameters),
}

impl<'a> Media<'a> {
    /// As which kind it was recorded.
    pub(super) fn kind(&self) -> Option<TrackKind> {
        match self {
            Media::Recorded(kind, _) => Some(*kind),
            Media::Subtitles(_) => None,
        }
    }

    /// What decodes it.
    pub(super) fn sets(&self) -> &[&'a ParameterSet] {
        match self {
            Media::Recorded(_, sets) => sets,
            Media::Subtitles(_) => &[],
        }
    }

    /// How large it is to be seen.
    pub(super) fn picture(&self) -> Option<VideoParameters> {
        match self {
            Media::Recorded(_, sets) => sets.first().and_then(|set| set.video),
            Media::Subtitles(picture) => Some(*picture),
        }
    }

    /// Handler type and name (ISO/IEC 14496-12, 8.4.3).
    pub(super) fn handler(&self) -> (&'static [u8; 4], &'static [u8]) {
        match self {
            Media::Recorded(kind, _) => handler(*kind),
            // Programs know subtitles by this, and take the `text` that the standard of the sample
            // entry asks for (3GPP TS 26.245, 5.3) for chapters or a commentary.
            Media::Subtitles(_) => (b"sbtl", b"Subtitles"),
        }
    }

    /// Its sample entries, each a box.
    pub(super) fn sample_entries(&self) -> Vec<Vec<u8>> {
        match self {
            Media::Recorded(_, sets) => sets.iter().map(|set| entry::sample_entry(set)).collect(),
            Media::Subtitles(picture) => vec![entry::subtitles(picture)],
        }
    }
}

/// See the [module](self).
pub(crate) struct Trak<'a> {
    /// Its number in the file, from 1 on.
    pub id: u32,
    /// What its samples are.
    pub media: Media<'a>,
    /// Ticks a second.
    pub timescale: u32,
    /// When it is presented; `None` where its fragments say that.
    pub shown: Option<Presentation>,
    /// Length of its own time line, in ticks.
    pub media_length: u64,
    /// The number of the track that it describes.
    pub describes: Option<u32>,
    /// Duration of the first sample, in ticks.
    pub first_duration: u32,
    /// How many entries each table has; `None` where there is no such table.
    pub counts: [Option<u64>; TABLES],
    /// Length of every sample, in bytes, where all are as long: the table of sizes has no entries
    /// then, whatever it counts.
    pub sample_bytes: Option<u32>,
}

impl<'a> Trak<'a> {
    pub(super) fn of(
        fact: &ClipFact,
        track: &TrackTables<'_>,
        parameters: &'a [ParameterSet],
    ) -> Trak<'a> {
        let promised = track.promised;
        let sets = track.sets.iter().filter_map(|index| parameters.get(usize::from(*index)));
        Trak {
            id: track_id(promised),
            media: Media::Recorded(promised.kind, sets.collect()),
            timescale: promised.timescale,
            shown: Some(Presentation::new(fact, promised)),
            media_length: media_length(promised),
            describes: described(fact, promised).map(track_id),
            first_duration: track.first_duration,
            counts: Table::ALL.map(|table| track.count(table)),
            sample_bytes: None,
        }
    }

    pub(super) fn count(&self, table: Table) -> Option<u64> {
        self.counts[table as usize]
    }

    pub(super) fn samples(&self) -> u32 {
        self.count(Table::Sizes).unwrap_or(0) as u32
    }
}

pub(super) fn track_id(track: &TrackTotals) -> u32 {
    u32::from(track.track.0) + 1
}
