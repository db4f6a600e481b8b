//! A piece of a clip: which samples it takes, and when those are shown that nobody asked for.

use std::collections::BTreeMap;
use std::ops::Range;

use super::clip::{Clip, scale};
use super::fit::tracks_of;
use super::part::{decode_times, decoded};
use super::{Common, TRACKS, VIDEO};
use crate::mp4::{Chunk, Mp4Error};
use crate::segment::{ClipFact, TrackTable, TrackTotals};
use crate::units::{Ticks, WallTime};

/// A piece of a clip. Times without a unit are in ticks of the file.
#[derive(Clone, Debug)]
pub struct Cut {
    /// When the first picture that is wanted is shown, since the clip's tick 0.
    pub(super) zero: i64,
    /// The same, in nanoseconds.
    pub(super) zero_nanos: i64,
    /// When the last one's turn is over.
    pub(super) end_nanos: i64,
    kept: Kept,
    /// What it adds up to, in ticks since the zero.
    pub(super) totals: [Option<TrackTotals>; TRACKS],
}

/// What is kept of the clip. Samples are counted in the whole clip, times since the zero.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// Some that follow one another.
    Samples {
        /// Which ones of each track.
        samples: [Range<u64>; TRACKS],
        /// When those are decoded that are not when they were.
        decoded: BTreeMap<u64, i64>,
        /// When those are shown that nobody wants to see.
        hidden: BTreeMap<u64, i64>,
    },
    /// These key frames, and when each is shown.
    KeyFrames(BTreeMap<u64, i64>),
}

/// Which piece.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What is shown.
    pub times: Range<WallTime>,
    /// It ends the file: pictures that others need and that are shown later stay behind its end.
    pub ends_file: bool,
    /// What is needed in front, to decode it, is shown, too.
    pub from_key_frame: bool,
}

/// A picture of the clip.
#[derive(Clone, Copy)]
pub(super) struct Picture {
    pub decoded: i64,
    pub shown: i64,
    pub is_sync: bool,
}

/// The times of a clip's samples, in the order of decoding.
pub(super) struct Times {
    pub pictures: Vec<Picture>,
    /// When the last one's turn is over.
    end: i64,
    /// Ticks of the file in one of the clip's.
    factor: i64,
    timescale: u32,
    /// When packets of sound begin, in nanoseconds.
    packets: Vec<i64>,
}

impl Times {
    /// Where a tick of the clip's is `factor` ones of the file.
    pub(super) fn of<'a>(
        factor: i64,
        (video, sound): (&TrackTotals, Option<&TrackTotals>),
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<Times, Mp4Error> {
        let lag = i64::from(video.first_offset) * factor;
        let (timescale, end) = (video.timescale, video.end.0.saturating_mul(factor));
        let mut times = Times { pictures: Vec::new(), end, factor, timescale, packets: Vec::new() };
        for (number, chunk) in chunks.into_iter().enumerate() {
            for mut table in decoded(number, &chunk)?.tracks {
                if table.track == video.track {
                    scale(&mut table, factor);
                    times.pictures.extend(decode_times(&table).map(|(decoded, sample)| {
                        let shown = decoded + i64::from(sample.composition_offset) - lag;
                        Picture { decoded, shown, is_sync: sample.flags.sync }
                    }));
                } else if sound.is_some_and(|sound| sound.track == table.track) {
                    let nanos = |start| Ticks(start).to_nanos(table.timescale);
                    times.packets.extend(decode_times(&table).map(|(start, _)| nanos(start)));
                }
            }
        }
        Ok(times)
    }

    pub(super) fn nanos(&self, shown: i64) -> i64 {
        Ticks(shown / self.factor).to_nanos(self.timescale)
    }

    /// The packets of sound that begin in some time since the clip's tick 0, in nanoseconds.
    fn packets(&self, time: &Range<i64>) -> Range<u64> {
        let first = self.packets.iter().position(|start| time.contains(start));
        let last = self.packets.iter().rposition(|start| time.contains(start));
        first.zip(last).map_or(0..0, |(first, last)| first as u64..last as u64 + 1)
    }
}

impl Cut {
    /// What is shown of a clip in some time; `None` where nothing is.
    ///
    /// # Errors
    /// [`Mp4Error`]: what can't be read.
    pub fn new<'a>(
        common: &Common,
        fact: &ClipFact,
        chunks: impl IntoIterator<Item = Chunk<'a>> + Clone,
        wanted: &Wanted,
    ) -> Result<Option<Cut>, Mp4Error> {
        let [Some(video), sound] = tracks_of(fact) else { return Ok(None) };
        let factor = i64::from(common.timescales[VIDEO] / video.timescale);
        let times_of = Times::of(factor, (video, sound), chunks.clone())?;
        let pictures = &times_of.pictures;
        let nanos = |shown: i64| times_of.nanos(shown);
        let time = |picture: &Picture| fact.start.plus_nanos(nanos(picture.shown));
        let is_in = |picture: &Picture| wanted.times.contains(&time(picture));
        let Some(first) = pictures.iter().position(is_in) else { return Ok(None) };
        let begin = pictures[..=first].iter().rposition(|picture| picture.is_sync).unwrap_or(0);
        let mut times = wanted.times.clone();
        if wanted.from_key_frame {
            times.start = times.start.min(time(&pictures[begin]));
        }
        let is_last = wanted.ends_file;
        let wanted = |picture: &Picture| times.contains(&time(picture));
        let last = pictures.iter().rposition(wanted).unwrap_or(first);
        let kept = &pictures[begin..=last];
        let shown = || kept.iter().filter(|it| wanted(it)).map(|it| it.shown);
        let (zero, last_shown) = (shown().min().unwrap_or(0), shown().max().unwrap_or(0));
        // The turn of the last one is over when the next one is shown, wherever that is decoded.
        let later = pictures.iter().map(|it| it.shown).filter(|shown| *shown > last_shown);
        let end = later.min().unwrap_or(times_of.end).max(last_shown + 1);
        let (zero_nanos, end_nanos) = (nanos(zero), nanos(end));
        let packets = times_of.packets(&(zero_nanos..end_nanos));
        let is_early = |picture: &Picture| time(picture) < times.start;
        let span = Span { begin, zero, last_shown, end };
        let early: Vec<_> = kept.iter().enumerate().filter(|(_, it)| is_early(it)).collect();
        let late = kept.iter().enumerate().filter(|(_, it)| !wanted(it) && !is_early(it));
        let late: Vec<_> = if is_last { Vec::new() } else { late.collect() };
        let decoded = span.decode_times(common, kept, &early, !late.is_empty());
        let mut hidden = span.hide_early(common, early);
        hidden.extend(span.hide_late(common, late));
        let samples = [begin as u64..last as u64 + 1, packets];
        let kept = Kept::Samples { samples, decoded, hidden };
        Cut::summed(common, fact, chunks, zero, (zero_nanos, end_nanos), kept).map(Some)
    }

    /// What that adds up to.
    pub(super) fn summed<'a>(
        common: &Common,
        fact: &ClipFact,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
        zero: i64,
        (zero_nanos, end_nanos): (i64, i64),
        kept: Kept,
    ) -> Result<Cut, Mp4Error> {
        let mut cut = Cut { zero, zero_nanos, end_nanos, kept, totals: [None, None] };
        let clip = Clip::of_cut(common, fact, &cut);
        let mut totals: [Option<TrackTotals>; TRACKS] = [None, None];
        clip.chunks(common, chunks, &mut |track, table, _| {
            totals[track].get_or_insert_with(|| TrackTotals::new(table)).add(table);
        })?;
        cut.totals = totals;
        Ok(cut)
    }

    /// How many pictures it shows, hidden ones not counted.
    #[must_use]
    pub fn frames(&self) -> u64 {
        match &self.kept {
            Kept::Samples { samples, hidden, .. } => {
                let Range { start, end } = samples[VIDEO];
                (end - start).saturating_sub(hidden.len() as u64)
            }
            Kept::KeyFrames(shown) => shown.len() as u64,
        }
    }

    /// When the first of its pictures is shown, which is wanted.
    #[must_use]
    pub fn start(&self, fact: &ClipFact) -> WallTime {
        fact.start.plus_nanos(self.zero_nanos)
    }

    /// When the turn of the last one is over.
    #[must_use]
    pub fn end(&self, fact: &ClipFact) -> WallTime {
        fact.start.plus_nanos(self.end_nanos)
    }

    /// What is kept of a chunk's samples of a track, whose times are in ticks of the file since the
    /// zero, and which of its bytes; `first` samples of the clip are in front of them. `None` where
    /// nothing is.
    pub(super) fn apply(
        &self,
        common: &Common,
        track: usize,
        table: TrackTable,
        first: u64,
    ) -> Option<(TrackTable, Vec<Range<u32>>)> {
        let is_kept = |number: u64| match &self.kept {
            Kept::Samples { samples, .. } => samples[track].contains(&number),
            Kept::KeyFrames(keys) => track == VIDEO && keys.contains_key(&number),
        };
        let (mut begin, mut offset) = (None, 0);
        let (mut samples, mut bytes) = (Vec::new(), Vec::<Range<u32>>::new());
        for (number, (decoded, sample)) in (first..).zip(decode_times(&table)) {
            let from = offset;
            offset += sample.size;
            if !is_kept(number) {
                continue;
            }
            begin.get_or_insert((number, decoded));
            match bytes.last_mut() {
                Some(last) if last.end == from => last.end = offset,
                _ => bytes.push(from..offset),
            }
            samples.push(*sample);
        }
        let (first, decoded) = begin?;
        let mut own = TrackTable { start: Ticks(decoded), samples, ..table };
        match &self.kept {
            Kept::Samples { decoded, hidden, .. } if track == VIDEO => {
                lead(&mut own, first, decoded, hidden);
            }
            Kept::Samples { .. } => {}
            Kept::KeyFrames(keys) => self.space(common, &mut own, keys.range(first..)),
        }
        Some((own, bytes))
    }
}

/// Gives samples the times of what is decoded in front, and shows what is hidden elsewhere.
fn lead(
    table: &mut TrackTable,
    first: u64,
    decoded: &BTreeMap<u64, i64>,
    hidden: &BTreeMap<u64, i64>,
) {
    let moved = |number: u64, natural: i64| decoded.get(&number).copied().unwrap_or(natural);
    let mut natural = table.start.0;
    table.start = Ticks(moved(first, natural));
    for (number, sample) in (first..).zip(&mut table.samples) {
        let decoded = moved(number, natural);
        let shown = natural + i64::from(sample.composition_offset);
        let shown = hidden.get(&number).copied().unwrap_or(shown);
        sample.composition_offset = (shown - decoded) as i32;
        natural += i64::from(sample.duration);
        let next = moved(number + 1, natural);
        sample.duration = (next - decoded).max(0) as u32;
    }
}

/// What a piece has of its clip.
struct Span {
    /// Its first sample, counted in the clip.
    begin: usize,
    /// When the first picture that is wanted is shown, and the last one, and when its turn is over.
    zero: i64,
    last_shown: i64,
    end: i64,
}

impl Span {
    fn number(&self, index: usize) -> u64 {
        (self.begin + index) as u64
    }

    /// When pictures are decoded that are not when they were, since the zero. All up to the last of
    /// those in front are decoded at once, right before the zero: a tick each. Where pictures stand
    /// at the end `that are late`, decoding is over when the last one that is wanted is shown.
    fn decode_times(
        &self,
        common: &Common,
        kept: &[Picture],
        early: &[(usize, &Picture)],
        that_are_late: bool,
    ) -> BTreeMap<u64, i64> {
        let count = early.iter().map(|(index, _)| index + 1).max().unwrap_or(0);
        let natural = |index: usize| kept.get(index).map_or(0, |it| it.decoded - self.zero);
        let mut start = natural(count) - count as i64;
        // No picture is shown before it is decoded.
        for (shown, index) in self.shown_early(common, early) {
            start = start.min(shown - index as i64);
        }
        // Nor is any decoded while the part before is shown.
        let mut next = start.max(-(count as i64));
        let mut times: Vec<i64> = Vec::with_capacity(kept.len());
        for index in 0..kept.len() {
            let decoded = if index < count { next } else { natural(index).max(next) };
            times.push(decoded);
            next = decoded + 1;
        }
        let mut limit = if that_are_late { self.last_shown - self.zero } else { i64::MAX };
        for decoded in times.iter_mut().rev() {
            *decoded = limit.min(*decoded);
            limit = *decoded - 1;
        }
        let moved = times.into_iter().enumerate().filter(|(index, it)| *it != natural(*index));
        moved.map(|(index, decoded)| (self.number(index), decoded)).collect()
    }

    /// When pictures in front are shown, in their order, and which they are: a tick each, right
    /// before the zero.
    fn shown_early(&self, common: &Common, early: &[(usize, &Picture)]) -> Vec<(i64, usize)> {
        let mut early: Vec<_> = early.to_vec();
        early.sort_by_key(|(_, picture)| picture.shown);
        let first = common.lag - early.len() as i64;
        (first..).zip(early).map(|(shown, (index, _))| (shown, index)).collect()
    }

    fn hide_early(&self, common: &Common, early: Vec<(usize, &Picture)>) -> BTreeMap<u64, i64> {
        let shown = self.shown_early(common, &early).into_iter();
        shown.map(|(shown, index)| (self.number(index), shown)).collect()
    }

    /// When pictures are shown that others need and nobody asked for: a tick each, in the turn of
    /// the last one that is wanted, in front of what the next part hides.
    fn hide_late(&self, common: &Common, late: Vec<(usize, &Picture)>) -> Vec<(u64, i64)> {
        /// For as many pictures as the next part hides, or half of the last one's turn.
        const RESERVED: i64 = 1024;
        let mut late = late;
        late.sort_by_key(|(_, picture)| picture.shown);
        let reserved = RESERVED.min((self.end - self.last_shown) / 2);
        let first = common.lag + self.end - self.zero - reserved - late.len() as i64;
        (first..).zip(late).map(|(shown, (index, _))| (self.number(index), shown)).collect()
    }
}
