//! Parts that show that there is nothing.

use std::sync::Arc;

use super::part::{AddSamples, Data, Part, Source, Stretch};
use super::{Common, SOUND, TRACKS, VIDEO};
use crate::segment::{Sample, SampleFlags, TrackKind, TrackNumber, TrackTable, TrackTotals};
use crate::units::{NANOS_PER_SECOND, Ticks};

/// What one part holds at most: as much as a clip.
pub(super) const PART_NANOS: i64 = 600 * NANOS_PER_SECOND;
/// Parts of a file at most: a year of clips of ten minutes, half a year of gaps.
pub(super) const PARTS_MAX: usize = 1 << 16;
/// As PART_NANOS of packets, and how many of them are one chunk at most.
const PACKETS_MAX: i64 = 1 << 15;
const CHUNK_PACKETS_MAX: u32 = 1 << 11;

/// What blank parts repeat.
pub(super) struct Pattern {
    pictures: Option<Repeated>,
    /// Pictures from one key frame to the next, one a second.
    group: u32,
    silence: Option<Repeated>,
    /// Of each track, a part that is as long as one can be, at the beginning of the file.
    longest: [Option<Part>; TRACKS],
}

/// Samples, as many as one chunk has at most, each of which lasts as long.
struct Repeated {
    bytes: Arc<[u8]>,
    /// Where each ends in the bytes.
    ends: Vec<usize>,
    /// In ticks of its track.
    duration: u32,
}

impl Repeated {
    fn new(samples: &[Vec<u8>], duration: u32) -> Repeated {
        let ends = samples.iter().scan(0, |end, sample| {
            *end += sample.len();
            Some(*end)
        });
        Repeated { ends: ends.collect(), bytes: Arc::from(samples.concat()), duration }
    }

    /// The first `count` samples, from `start` on, and their bytes.
    fn chunk(
        &self,
        track: usize,
        start: i64,
        count: u32,
        composition_offset: i32,
    ) -> (TrackTable, Data) {
        let mut begin = 0;
        let samples = self.ends.iter().take(count as usize).enumerate().map(|(number, end)| {
            let size = (end - std::mem::replace(&mut begin, *end)) as u32;
            let flags = SampleFlags { sync: track == SOUND || number == 0, ..Default::default() };
            Sample { duration: self.duration, size, composition_offset, flags }
        });
        let table = TrackTable {
            track: TrackNumber(track as u8),
            kind: if track == VIDEO { TrackKind::Video } else { TrackKind::Audio },
            timescale: 1,
            parameters: 0,
            codec_delay: 0,
            start: Ticks(start),
            samples: samples.collect(),
        };
        (table, Data::Made(self.bytes.clone(), 0..begin))
    }
}

impl Pattern {
    /// What can be made for a file in which packets of sound usually last `packet` ticks.
    pub(super) fn new(common: &Common, packet: u32, group: u32) -> Pattern {
        let pictures = crate::blank::pictures(&common.video, group as usize);
        let pictures = pictures.map(|made| Repeated::new(&made, common.timescales[VIDEO]));
        let silence = common.sound.as_ref().and_then(|set| crate::blank::silence(set, packet));
        let silence = silence.filter(|(_, duration)| *duration > 0).map(|(packet, duration)| {
            Repeated::new(&vec![packet; CHUNK_PACKETS_MAX as usize], duration)
        });
        let mut pattern = Pattern { pictures, group, silence, longest: [None, None] };
        let grey = pattern.pictures.is_some().then(|| pattern.grey(common, 0, PART_NANOS));
        let packets = Blank { track: SOUND, count: PACKETS_MAX as u32 };
        let silence = pattern.silence.is_some().then(|| packets.part(common, &pattern, 0, 0));
        pattern.longest = [grey, silence];
        pattern
    }

    /// One of the longest parts from a tick of the file on, where it is as long.
    fn longest(&self, blank: &Blank, at: i64, length_nanos: i64) -> Option<Part> {
        let part = self.longest[blank.track].as_ref()?;
        let is_it = matches!(&part.source, Source::Blank(own) if own == blank);
        (is_it && part.length_nanos == length_nanos).then(|| part.clone().moved(at))
    }

    pub(super) fn has_pictures(&self) -> bool {
        self.pictures.is_some()
    }

    /// How long a packet of silence is, in ticks; `None` where none can be made.
    pub(super) fn silence_ticks(&self) -> Option<i64> {
        self.silence.as_ref().map(|silence| silence.duration.into())
    }

    /// So many packets of silence from a tick of the file on.
    pub(super) fn silence(&self, common: &Common, from: i64, packets: i64) -> Vec<Part> {
        let duration = self.silence_ticks().unwrap_or(0);
        let (mut at, mut left) = (from, packets);
        let mut parts = Vec::new();
        while left > 0 && parts.len() <= PARTS_MAX {
            let count = left.min(PACKETS_MAX);
            let blank = Blank { track: SOUND, count: count as u32 };
            parts.push(blank.part(common, self, at, 0));
            at += count * duration;
            left -= count;
        }
        parts
    }

    /// Grey from a tick of the file on, for that long, [`PART_NANOS`] at most.
    pub(super) fn grey(&self, common: &Common, at: i64, nanos: i64) -> Part {
        let seconds = nanos.saturating_add(NANOS_PER_SECOND - 1) / NANOS_PER_SECOND;
        let count = seconds.clamp(1, PART_NANOS / NANOS_PER_SECOND) as u32;
        Blank { track: VIDEO, count }.part(common, self, at, nanos)
    }
}

/// So many pictures, or packets, of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blank {
    track: usize,
    count: u32,
}

impl Blank {
    fn part(self, common: &Common, pattern: &Pattern, at: i64, length_nanos: i64) -> Part {
        if let Some(part) = pattern.longest(&self, at, length_nanos) {
            return part;
        }
        let (mut totals, mut length) = (None, 0);
        self.chunks(common, pattern, &mut |_, table, data| {
            totals.get_or_insert_with(|| TrackTotals::new(table)).add(table);
            length += data.iter().map(Data::length).sum::<u64>();
        });
        let mut stretches = [None, None];
        stretches[self.track] = totals.map(|totals| Stretch::new(&totals, at));
        let (source, ats) = (Source::Blank(self), [at; TRACKS]);
        Part { source, ats, length_nanos, stretches, offset: 0, length }
    }

    /// Hands over all samples of the part, chunk by chunk.
    pub(super) fn chunks(&self, common: &Common, pattern: &Pattern, add: &mut AddSamples<'_>) {
        let (repeated, most, lag) = match self.track {
            VIDEO => (&pattern.pictures, pattern.group, common.lag as i32),
            _ => (&pattern.silence, CHUNK_PACKETS_MAX, 0),
        };
        let Some(repeated) = repeated else { return };
        let (mut start, mut left) = (0, self.count);
        while left > 0 {
            let count = left.min(most);
            let (table, data) = repeated.chunk(self.track, start, count, lag);
            add(self.track, &table, vec![data]);
            start += i64::from(count) * i64::from(repeated.duration);
            left -= count;
        }
    }
}
