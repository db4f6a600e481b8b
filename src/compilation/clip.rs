//! A clip, or a piece of one, as a part.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::cut::Cut;
use super::fit::tracks_of;
use super::part::{self, AddSamples, Data, Part, Place, Source, Stretch, decoded};
use super::{ClipSets, Common, SOUND, TRACKS, VIDEO, first_shown};
use crate::mp4::{Chunk, Mp4Error};
use crate::segment::{ClipFact, TrackNumber, TrackTable, TrackTotals};

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Clip {
    /// Which of the clips that the file is made of.
    pub number: usize,
    /// Its tracks, where they are in the file.
    tracks: [Option<TrackNumber>; TRACKS],
    /// By how much its ticks are made more.
    factor: i64,
    /// By how much composition of its own lags behind decoding, in ticks of the file.
    lag: i64,
    /// What of its time is shown first, in ticks of the pictures and of the sound.
    zeros: [i64; TRACKS],
    cut: Option<Arc<Cut>>,
    /// What stands in front of each key frame.
    prefix: Option<Arc<[u8]>>,
}

impl Clip {
    pub(super) fn new(
        common: &Common,
        number: usize,
        fact: &ClipFact,
        sets: &ClipSets,
        cut: Option<Arc<Cut>>,
    ) -> Clip {
        let mut clip = Clip::laid(common, number, fact, cut);
        clip.prefix = common.prefix(fact, sets);
        if !common.takes_sound(fact, sets) {
            clip.tracks[SOUND] = None;
        }
        clip
    }

    fn laid(common: &Common, number: usize, fact: &ClipFact, cut: Option<Arc<Cut>>) -> Clip {
        let [video, sound] = tracks_of(fact);
        let factor = video.map_or(1, |video| common.timescales[VIDEO] / video.timescale);
        let lag = video.map_or(0, |video| video.first_offset);
        let zero_nanos = match &cut {
            Some(cut) => cut.zero_nanos,
            None => first_shown(fact).nanos_since(fact.start),
        };
        let zero = cut.as_ref().map(|cut| cut.zero);
        Clip {
            number,
            tracks: [video, sound].map(|track| track.map(|track| track.track)),
            factor: factor.into(),
            lag: i64::from(lag) * i64::from(factor),
            zeros: [
                zero.unwrap_or_else(|| common.ticks(VIDEO, zero_nanos)),
                common.ticks(SOUND, zero_nanos),
            ],
            cut,
            prefix: None,
        }
    }

    /// The clip of which `cut` is a piece, as far as its sums go.
    pub(super) fn of_cut(common: &Common, fact: &ClipFact, cut: &Cut) -> Clip {
        Clip::laid(common, 0, fact, Some(Arc::new(cut.clone())))
    }

    /// The part, shown at `nanos`.
    ///
    /// # Errors
    /// [`Mp4Error::TooLarge`]: sums that can't be.
    pub(super) fn part(
        self,
        common: &Common,
        nanos: i64,
        fact: &ClipFact,
    ) -> Result<Part, Mp4Error> {
        let ats = std::array::from_fn(|track| common.ticks(track, nanos));
        let totals = match &self.cut {
            Some(cut) => cut.totals.clone(),
            None => self.whole(common, fact),
        };
        let length_nanos = match &self.cut {
            Some(cut) => cut.end_nanos - cut.zero_nanos,
            None => fact.end.nanos_since(first_shown(fact)),
        };
        let mut length = 0_u64;
        let mut stretches = [None, None];
        for (track, totals) in totals.iter().enumerate() {
            let Some(totals) = totals.as_ref().filter(|_| self.tracks[track].is_some()) else {
                continue;
            };
            let (limit, found) = (u64::from(u32::MAX), totals.samples);
            if found > limit {
                let what = "samples of a clip";
                return Err(Mp4Error::TooLarge { what, found: found.into(), limit });
            }
            length = length.saturating_add(totals.bytes);
            if track == VIDEO {
                let prefix = self.prefix.as_ref().map_or(0, |prefix| prefix.len() as u64);
                length = length.saturating_add(prefix.saturating_mul(totals.sync_samples));
            }
            stretches[track] = Some(Stretch::new(totals, ats[track]));
        }
        let source = Source::Clip(Box::new(self));
        Ok(Part { source, ats, length_nanos, stretches, offset: 0, length })
    }

    /// What the fact says of the whole clip, in ticks since the part's zero.
    fn whole(&self, common: &Common, fact: &ClipFact) -> [Option<TrackTotals>; TRACKS] {
        let [video, sound] = tracks_of(fact).map(|track| track.cloned());
        let moved = |mut totals: TrackTotals, factor: i64, by: i64| {
            totals.start.0 = totals.start.0.saturating_mul(factor).saturating_add(by);
            totals.end.0 = totals.end.0.saturating_mul(factor).saturating_add(by);
            totals
        };
        let video = video.map(|mut video| {
            video.reordered |= self.lag != common.lag;
            moved(video, self.factor, -self.zeros[VIDEO])
        });
        [video, sound.map(|sound| moved(sound, 1, -self.zeros[SOUND]))]
    }

    /// Hands over all samples that the part has, chunk by chunk.
    ///
    /// # Errors
    /// [`Mp4Error::Table`] where a table can't be read.
    pub(super) fn chunks<'a>(
        &self,
        common: &Common,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
        add: &mut AddSamples<'_>,
    ) -> Result<(), Mp4Error> {
        let mut before = [0; TRACKS];
        for (number, chunk) in chunks.into_iter().enumerate() {
            let table = decoded(number, &chunk)?;
            let mut offset = 0;
            for own in table.tracks {
                let length = own.byte_count() as u32;
                let bytes = offset..offset + length;
                offset += length;
                let track = self.tracks.iter().position(|track| *track == Some(own.track));
                let Some(track) = track else { continue };
                let first = before[track];
                before[track] += own.samples.len() as u64;
                self.add_samples(common, track, own, first, (number, bytes), add);
            }
        }
        Ok(())
    }

    /// Hands over what the part has of one chunk's samples of a track; `first` samples of it are
    /// in front of them.
    fn add_samples(
        &self,
        common: &Common,
        track: usize,
        mut own: TrackTable,
        first: u64,
        (chunk, bytes): (usize, Range<u32>),
        add: &mut AddSamples<'_>,
    ) {
        let mut ranges = vec![bytes.clone()];
        if track == VIDEO {
            scale(&mut own, self.factor);
            let more = (common.lag - self.lag) as i32;
            own.samples.iter_mut().for_each(|sample| sample.composition_offset += more);
        }
        own.start.0 -= self.zeros[track];
        if let Some(cut) = &self.cut {
            let Some((kept, own_ranges)) = cut.apply(common, track, own, first) else { return };
            own = kept;
            let moved = |range: Range<u32>| bytes.start + range.start..bytes.start + range.end;
            ranges = own_ranges.into_iter().map(moved).collect();
        }
        let place = |range| Data::Ring(Place { clip: self.number, chunk, range });
        let data: Vec<Data> = ranges.into_iter().map(place).collect();
        let data = match self.prefix.as_ref().filter(|_| track == VIDEO) {
            None => data,
            Some(prefix) => prefixed(&mut own, prefix, data),
        };
        add(track, &own, data);
    }
}

/// Multiplies all times.
pub(super) fn scale(table: &mut TrackTable, factor: i64) {
    if factor != 1 {
        table.start.0 = table.start.0.saturating_mul(factor);
        for sample in &mut table.samples {
            sample.duration = sample.duration.saturating_mul(factor as u32);
            sample.composition_offset = sample.composition_offset.saturating_mul(factor as i32);
        }
    }
}

/// Puts `prefix` in front of each key frame.
fn prefixed(table: &mut TrackTable, prefix: &Arc<[u8]>, data: Vec<Data>) -> Vec<Data> {
    let mut all = Vec::new();
    let mut left = VecDeque::from(data);
    for sample in &mut table.samples {
        let own = part::taken(&mut left, sample.size.into());
        if sample.flags.sync {
            all.push(Data::Made(prefix.clone(), 0..prefix.len()));
            sample.size = sample.size.saturating_add(prefix.len() as u32);
        }
        all.extend(own);
    }
    all
}
