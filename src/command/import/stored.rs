//! What the ring has of a file: pictures where it would put them.

use std::sync::PoisonError;

use super::opened::Opened;
use crate::command::CommandError;
use crate::config::Config;
use crate::import::{Footage, Placed, samples_of};
use crate::ring::{ClipContents, ReadError};
use crate::segment::{ChunkTable, TrackKind};
use crate::units::{ClipId, NANOS_PER_SECOND, StreamKey, Ticks};

/// Times of pictures are rounded to ticks: they are the same where they are apart by less, in
/// nanoseconds.
const ROUNDED_NANOS: i64 = NANOS_PER_SECOND / 100;

/// Pictures of a stream in a stretch of time, in the order of decoding: the length of each, in
/// bytes.
pub(super) struct InRing(Vec<u64>);

impl InRing {
    /// Those where a file would lie.
    pub(super) fn read(
        opened: &Opened,
        config: &Config,
        stream: StreamKey,
        file: &Placed,
    ) -> Result<InRing, CommandError> {
        let times = file.start..file.end;
        let clips: Vec<(ClipId, i64)> = {
            let catalogue = opened.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let clips = catalogue.clips_overlapping(stream, times).filter(|clip| clip.listed());
            clips.map(|clip| (clip.id(), clip.fact.start.nanos_since(file.start))).collect()
        };
        let length = file.end.nanos_since(file.start);
        let mut lengths = Vec::new();
        for (clip, start) in clips {
            let contents = opened.ring.contents(clip).map_err(|error| unread(config, &error))?;
            add(&contents, start, length, &mut lengths);
        }
        Ok(InRing(lengths))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn unread(config: &Config, error: &ReadError) -> CommandError {
    CommandError::Failed(format!("{}: {error}", config.ring.device.display()))
}

/// Adds the pictures of a clip that begins so many nanoseconds behind a file, as far as they lie
/// within its length.
fn add(contents: &ClipContents, start: i64, length: i64, lengths: &mut Vec<u64>) {
    // A clip begins when the first picture is shown that is decoded in it.
    let mut first = None;
    for chunk in &contents.chunks {
        let Ok(table) = ChunkTable::decode(&chunk.table) else { continue };
        for track in table.tracks.iter().filter(|track| track.kind == TrackKind::Video) {
            let mut decoded = track.start.0;
            for sample in &track.samples {
                let shown = decoded.saturating_add(sample.composition_offset.into());
                let first = *first.get_or_insert(shown);
                let behind = Ticks(shown.saturating_sub(first)).to_nanos(track.timescale);
                let at = start.saturating_add(behind);
                if at > -ROUNDED_NANOS && at < length.saturating_sub(ROUNDED_NANOS) {
                    lengths.push(sample.size.into());
                }
                decoded = decoded.saturating_add(sample.duration.into());
            }
        }
    }
}

/// How many samples of a file are in the ring, from its beginning on; `None` where something else
/// is there.
pub(super) fn compared(footage: &Footage, in_ring: &InRing) -> Result<Option<usize>, CommandError> {
    Ok(samples_of(footage, &in_ring.0)?)
}
