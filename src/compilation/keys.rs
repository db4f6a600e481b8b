//! The key frames of a clip, as a piece of it.

use std::collections::btree_map;
use std::ops::Range;

use super::cut::{Kept, Times};
use super::fit::tracks_of;
use super::{Common, Cut, VIDEO};
use crate::mp4::{Chunk, Mp4Error};
use crate::segment::{ClipFact, TrackTable};
use crate::units::{Ticks, WallTime};

/// When the key frames of a clip are shown, in the order of decoding.
///
/// # Errors
/// [`Mp4Error`]: what can't be read.
pub fn key_frames<'a>(
    fact: &ClipFact,
    chunks: impl IntoIterator<Item = Chunk<'a>>,
) -> Result<Vec<WallTime>, Mp4Error> {
    let [Some(video), _] = tracks_of(fact) else { return Ok(Vec::new()) };
    let times = Times::of(1, (video, None), chunks)?;
    let keys = times.pictures.iter().filter(|picture| picture.is_sync);
    Ok(keys.map(|picture| fact.start.plus_nanos(times.nanos(picture.shown))).collect())
}

impl Cut {
    /// The key frames of a clip that are shown in some time, each until the next one or the end of
    /// that time; with `still_nanos` the last of them alone, for so long. `None` where none is.
    ///
    /// # Errors
    /// [`Mp4Error`]: what can't be read.
    pub fn key_frames<'a>(
        common: &Common,
        fact: &ClipFact,
        chunks: impl IntoIterator<Item = Chunk<'a>> + Clone,
        times: &Range<WallTime>,
        still_nanos: Option<i64>,
    ) -> Result<Option<Cut>, Mp4Error> {
        let [Some(video), _] = tracks_of(fact) else { return Ok(None) };
        let factor = i64::from(common.timescales[VIDEO] / video.timescale);
        let times_of = Times::of(factor, (video, None), chunks.clone())?;
        let is_in = |shown: i64| times.contains(&fact.start.plus_nanos(times_of.nanos(shown)));
        let keys = (0..).zip(&times_of.pictures).filter(|(_, picture)| picture.is_sync);
        let mut keys: Vec<(u64, i64)> = keys
            .map(|(number, key)| (number, key.shown))
            .filter(|(_, shown)| is_in(*shown))
            .collect();
        if still_nanos.is_some() {
            keys.drain(..keys.len().saturating_sub(1));
        }
        let Some((_, zero)) = keys.first().copied() else { return Ok(None) };
        let zero_nanos = times_of.nanos(zero);
        let end_nanos = match still_nanos {
            Some(nanos) => zero_nanos + nanos,
            None => times.end.min(fact.end).nanos_since(fact.start),
        };
        let kept = keys.into_iter().map(|(number, shown)| (number, shown - zero)).collect();
        let kept = Kept::KeyFrames(kept);
        Cut::summed(common, fact, chunks, zero, (zero_nanos, end_nanos), kept).map(Some)
    }

    /// Lets each key frame of a table last until the next one; `keys` are those from its first on,
    /// and when they are shown.
    pub(super) fn space(
        &self,
        common: &Common,
        table: &mut TrackTable,
        keys: btree_map::Range<'_, u64, i64>,
    ) {
        let end = common.ticks(VIDEO, self.end_nanos - self.zero_nanos);
        let mut shown = keys.map(|(_, shown)| *shown).chain([end]).peekable();
        table.start = Ticks(shown.peek().copied().unwrap_or(0));
        for sample in &mut table.samples {
            let (begin, next) = (shown.next(), shown.peek());
            let length = next.zip(begin).map_or(0, |(next, begin)| next - begin);
            sample.duration = length.clamp(1, u32::MAX.into()) as u32;
            sample.composition_offset = common.lag as i32;
        }
    }
}
