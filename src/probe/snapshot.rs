//! Frames that were heard as a file.

use std::sync::Arc;

use super::Frame;
use crate::mp4::{self, Movie, Mp4Error, Piece};
use crate::recorder::{Chunk, Cutter, CutterSettings, HandOut};
use crate::segment::{EndReason, Growth, Malformed, NameForm};
use crate::units::WallTime;

/// The most bytes that a chunk's samples have.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Why frames are no file.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is nothing that decoding can begin with.
    #[error("no key frame came")]
    NoKeyFrame,
    /// The camera's parameters are of no use.
    #[error("parameters of the camera: {0}")]
    Parameters(#[from] Malformed),
    /// They can't be laid out.
    #[error(transparent)]
    Movie(#[from] Mp4Error),
}

/// The first clip that a recorder would make of some frames, as an mp4.
///
/// # Errors
/// See [`SnapshotError`].
pub fn snapshot(frames: Vec<Frame>) -> Result<Vec<u8>, SnapshotError> {
    let chunks = cut(frames);
    let mut sets: Vec<Arc<[u8]>> = Vec::new();
    let mut growth: Option<Growth> = None;
    let mut laid = Vec::new();
    for chunk in &chunks {
        let entries = chunk.parameters.iter().map(|set| mp4::entry_facts(set));
        let entries = entries.collect::<Result<Vec<_>, Malformed>>()?;
        let growth = growth.get_or_insert_with(|| Growth::new(&chunk.table));
        growth.add(&chunk.table, &[0; 32], &entries);
        let indices = chunk.parameters.iter().map(|set| {
            let known = sets.iter().position(|known| known == set);
            known.unwrap_or_else(|| {
                sets.push(Arc::clone(set));
                sets.len() - 1
            }) as u16
        });
        laid.push((chunk.table.encode(), indices.collect::<Vec<u16>>(), chunk.data.as_slice()));
    }
    let growth = growth.ok_or(SnapshotError::NoKeyFrame)?;
    let fact = growth.closed(mp4::OUTPUT_VERSION, NameForm::Seconds, EndReason::Stopped);
    let of_clip = laid.iter().map(|(table, parameters, data)| mp4::Chunk {
        table,
        parameters,
        data_length: data.len() as u32,
    });
    let movie = Movie::new(&fact, &sets, of_clip)?;
    let mut bytes = Vec::with_capacity(movie.size() as usize);
    for piece in movie.pieces(0..movie.size()) {
        match piece {
            Piece::Made(made) => bytes.extend_from_slice(made),
            Piece::Media { chunk, range } => {
                let (_, _, data) = &laid[chunk];
                bytes.extend_from_slice(&data[range.start as usize..range.end as usize]);
            }
        }
    }
    Ok(bytes)
}

/// The chunks of the first clip.
fn cut(frames: Vec<Frame>) -> Vec<Chunk> {
    let mut cutter = Cutter::new(CutterSettings {
        flush_interval: std::time::Duration::from_secs(60),
        chunk_bytes_max: CHUNK_BYTES_MAX,
        boundary: Arc::new(|_| WallTime(i64::MAX)),
        keeps_damaged: true,
    });
    let (mut chunks, mut is_over) = (Vec::new(), false);
    let mut take = |out: HandOut| {
        let taken = out.offer(|chunk| {
            is_over |= chunk.begins_clip && !chunks.is_empty();
            if !is_over {
                chunks.push(chunk);
            }
            Ok(())
        });
        // All that is offered is taken.
        drop(taken);
    };
    let Some(last) = frames.last().map(|frame| frame.received) else { return Vec::new() };
    for frame in frames {
        let now = frame.received;
        cutter.push(frame);
        while let Some(out) = cutter.next(&now) {
            take(out);
        }
    }
    cutter.hold_no_more();
    while let Some(out) = cutter.next(&last) {
        take(out);
    }
    take(cutter.stop(EndReason::Stopped, &last));
    chunks
}
