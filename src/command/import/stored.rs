//! What the ring has of a file: pictures where it would put them.

use std::sync::PoisonError;

use super::opened::Opened;
use crate::command::CommandError;
use crate::config::Config;
use crate::import::{Footage, Known, Placed, StoredSample, samples_of};
use crate::ring::{ClipContents, ReadError};
use crate::segment::{ChunkTable, TrackKind};
use crate::units::{ClipId, NANOS_PER_SECOND, StreamKey, Ticks, WallTime};

/// Times of pictures are rounded to ticks: they are the same where they are apart by less, in
/// nanoseconds.
const ROUNDED_NANOS: i64 = NANOS_PER_SECOND / 500;

/// What a stream has in a stretch of time.
pub(super) struct InRing {
    /// Its pictures, in the order of decoding.
    samples: Vec<StoredSample>,
    /// Where the last clip ends, in nanoseconds since the stretch begins.
    until_nanos: i64,
    /// The clips that they are in.
    pub(super) clips: Vec<ClipId>,
}

impl InRing {
    /// Those where a file would lie.
    pub(super) fn read(
        opened: &Opened,
        config: &Config,
        stream: StreamKey,
        file: &Placed,
    ) -> Result<InRing, CommandError> {
        let times = file.start..file.end;
        let mut until_nanos = 0;
        let clips: Vec<(ClipId, i64)> = {
            let catalogue = opened.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let clips = catalogue.clips_overlapping(stream, times).filter(|clip| clip.listed());
            let since = |time: WallTime| time.nanos_since(file.start);
            let clips = clips.inspect(|clip| until_nanos = since(clip.fact.end));
            clips.map(|clip| (clip.id(), since(clip.fact.start))).collect()
        };
        let length = file.end.nanos_since(file.start);
        let mut samples = Vec::new();
        let ids = clips.iter().map(|(clip, _)| *clip).collect();
        for (clip, start) in clips {
            let contents = opened.ring.contents(clip).map_err(|error| unread(config, &error))?;
            add(&contents, start, length, &mut samples);
        }
        Ok(InRing { samples, until_nanos, clips: ids })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// What it is of a file, from its beginning on; `None` where it is something else.
    pub(super) fn known(&self, footage: &Footage) -> Result<Option<Known>, CommandError> {
        let samples = samples_of(footage, &self.samples)?;
        Ok(samples.map(|samples| Known { samples, until_nanos: self.until_nanos }))
    }
}

fn unread(config: &Config, error: &ReadError) -> CommandError {
    CommandError::Failed(format!("{}: {error}", config.ring.device.display()))
}

/// Adds the pictures of a clip that begins so many nanoseconds behind a file, as far as they lie
/// within its length.
fn add(contents: &ClipContents, start: i64, length: i64, samples: &mut Vec<StoredSample>) {
    // A clip begins when the first picture is shown that is decoded in it.
    let mut first = None;
    for chunk in &contents.chunks {
        let Ok(table) = ChunkTable::decode(&chunk.table) else { continue };
        for track in table.tracks.iter().filter(|track| track.kind == TrackKind::Video) {
            let mut decoded = track.start.0;
            for sample in &track.samples {
                let shown = decoded.saturating_add(sample.composition_offset.into());
                let begins = first.is_none();
                let first = *first.get_or_insert(shown);
                let behind = Ticks(shown.saturating_sub(first)).to_nanos(track.timescale);
                let at = start.saturating_add(behind);
                if at > -ROUNDED_NANOS && at < length.saturating_sub(ROUNDED_NANOS) {
                    let length = sample.size.into();
                    samples.push(StoredSample { length, begins_clip: begins });
                }
                decoded = decoded.saturating_add(sample.duration.into());
            }
        }
    }
}
