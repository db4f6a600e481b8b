//! Cut footage goes into the ring: in batches, so that nothing is ever refused.

use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;

use super::cut::{Cut, Cutter, Step};
use crate::clock::Reading;
use crate::command::CommandError;
use crate::import::{DemuxError, Footage};
use crate::recorder::Boundary;
use crate::ring::{NewChunk, QUEUE_BYTES_MAX, QUEUE_CHUNKS_MAX, Refused, RingError, Writer};
use crate::units::{ByteCount, ClipId, StreamNumber, WallTime};

/// A chunk's samples at most, in bytes; smaller where a block is.
const CHUNK_BYTES_MAX: u64 = 8 << 20;
/// Room that a block's and a chunk's headers are left, in bytes.
const HEADER_ROOM_BYTES: u64 = 128 << 10;
/// The queue is emptied when this part of it is filled: the writer works on one half while the
/// files are read into the other.
const BATCH_PART: usize = 2;

/// What became of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// When its first clip begins.
    pub start: WallTime,
    /// Frames of it that are in the ring.
    pub frames: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// How many clips it became.
    pub clips: u64,
}

/// Why a file was not taken to its end.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The file is not what it seemed.
    Footage(DemuxError),
    /// The ring failed.
    Ring(RingError),
    /// The ring and the file do not fit one another.
    Refused(String),
}

impl NotTaken {
    /// The error of the command; `device` is where the ring is.
    pub fn of_ring(self, device: &Path) -> CommandError {
        match self {
            NotTaken::Footage(error) => CommandError::Footage(error),
            NotTaken::Ring(reason) => CommandError::Ring { path: device.to_owned(), reason },
            NotTaken::Refused(reason) => CommandError::Failed(reason),
        }
    }
}

/// Takes footage of one stream.
pub(super) struct Store<'a> {
    writer: &'a Writer,
    stream: StreamNumber,
    /// The largest sample that fits, in bytes.
    sample_bytes_max: u64,
    boundary: Boundary,
    now: Reading,
    clip: Option<ClipId>,
    batch_bytes: usize,
    batch_chunks: usize,
}

impl<'a> Store<'a> {
    /// Nothing is taken yet.
    pub fn new(
        writer: &'a Writer,
        stream: StreamNumber,
        block_length: ByteCount,
        boundary: Boundary,
        now: Reading,
    ) -> Store<'a> {
        Store {
            writer,
            stream,
            sample_bytes_max: block_length.0.saturating_sub(HEADER_ROOM_BYTES),
            boundary,
            now,
            clip: None,
            batch_bytes: 0,
            batch_chunks: 0,
        }
    }

    /// Takes a file whose presentation begins at `start`, as a run of clips.
    pub fn take(
        &mut self,
        path: &Path,
        footage: &Footage,
        start: WallTime,
        bar: &ProgressBar,
    ) -> Result<Taken, NotTaken> {
        let parameters: Arc<[u8]> = footage.parameters().encode().into();
        let mut cutter = Cutter::new(Cut {
            start,
            timescale: footage.timescale(),
            boundary: self.boundary.clone(),
            chunk_bytes_max: self.sample_bytes_max.min(CHUNK_BYTES_MAX) as usize,
            now: self.now,
        });
        let mut taken = Taken { start, frames: 0, bytes: 0, clips: 0 };
        let outcome = self.take_samples(path, footage, &parameters, &mut cutter, &mut taken, bar);
        // Also after an error: the clip that grows ends behind what was taken of it.
        let ended = self.carry_out(cutter.finish(), &parameters, &mut taken);
        let skipped = cutter.skipped();
        outcome.and(ended)?;
        if skipped > 0 {
            log::warn!("{}: {skipped} frames without a key frame left out", path.display());
        }
        if taken.frames == 0 {
            let path = path.display();
            return Err(NotTaken::Refused(format!("{path}: it has no key frame")));
        }
        Ok(taken)
    }

    fn take_samples(
        &mut self,
        path: &Path,
        footage: &Footage,
        parameters: &Arc<[u8]>,
        cutter: &mut Cutter,
        taken: &mut Taken,
        bar: &ProgressBar,
    ) -> Result<(), NotTaken> {
        for sample in footage.samples() {
            let sample = sample.map_err(NotTaken::Footage)?;
            let length = sample.data.len() as u64;
            if length > self.sample_bytes_max {
                let (path, most) = (path.display(), self.sample_bytes_max);
                return Err(NotTaken::Refused(format!(
                    "{path}: a frame of {length} bytes does not fit a block, {most} bytes do"
                )));
            }
            let steps = cutter.push(sample);
            bar.inc(length);
            self.carry_out(steps, parameters, taken)?;
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        steps: Vec<Step>,
        parameters: &Arc<[u8]>,
        taken: &mut Taken,
    ) -> Result<(), NotTaken> {
        for step in steps {
            match step {
                Step::Begin { start } => {
                    self.clip = Some(self.writer.new_clip());
                    if taken.clips == 0 {
                        taken.start = start;
                    }
                    taken.clips += 1;
                }
                Step::Chunk(table, data) => {
                    let Some(clip) = self.clip else { continue };
                    taken.frames +=
                        table.tracks.iter().map(|t| t.samples.len() as u64).sum::<u64>();
                    taken.bytes += data.len() as u64;
                    self.append(NewChunk {
                        clip,
                        stream: self.stream,
                        parameters: vec![parameters.clone()],
                        table: table.encode().into(),
                        data,
                    })?;
                }
                Step::End { reason, length_nanos } => {
                    if let Some(clip) = self.clip.take() {
                        self.writer.end_clip(clip, reason.code(), Some(length_nanos));
                    }
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, chunk: NewChunk) -> Result<(), NotTaken> {
        let bytes = chunk.data.len() + chunk.table.len();
        let full = self.batch_bytes + bytes > QUEUE_BYTES_MAX / BATCH_PART
            || self.batch_chunks >= QUEUE_CHUNKS_MAX / BATCH_PART;
        if full {
            self.writer.sync().map_err(NotTaken::Ring)?;
            (self.batch_bytes, self.batch_chunks) = (0, 0);
        }
        self.batch_bytes += bytes;
        self.batch_chunks += 1;
        self.writer.append(chunk).map_err(|refused| match refused {
            Refused::Closed => NotTaken::Ring(RingError::Closed),
            Refused::QueueFull | Refused::DeviceAway | Refused::Unwritable => {
                NotTaken::Refused(refused.to_string())
            }
            Refused::ClipEnded => NotTaken::Refused(
                "the ring is too small for a clip of this footage, or its device failed: \
                 see the log"
                    .to_owned(),
            ),
        })
    }
}
