//! A ring that is open on some device, flushed when the test says so.

use std::sync::Arc;
use std::time::Duration;

use reelfs::clock::Clock;
use reelfs::device::Device;
use reelfs::ring::{
    ClipChunk, FormatOptions, Interpreter, NewChunk, Opening, Refused, Ring, RingError, Settings,
    StateRequest, Writer, format,
};
use reelfs::units::{ByteCount, ClipId, StreamNumber, WallTime};

use super::disk::{Dice, Disk};
use super::memory::{Memory, Still, Told};

pub struct Open {
    pub ring: Arc<Ring>,
    pub writer: Writer,
    pub memory: Memory,
    pub opening: Opening,
}

pub fn try_open(device: Arc<dyn Device>) -> Result<Open, RingError> {
    try_open_by(Ring::open, device)
}

/// The same, also where nothing can be written.
pub fn open_or_wait(device: Arc<dyn Device>) -> Open {
    try_open_by(Ring::open_or_wait, device).expect("it can be read")
}

fn try_open_by<O>(open: O, device: Arc<dyn Device>) -> Result<Open, RingError>
where
    O: FnOnce(
        Arc<dyn Device>,
        Arc<dyn Clock>,
        &Settings,
        Box<dyn Interpreter>,
    ) -> Result<(Arc<Ring>, Writer, Opening), RingError>,
{
    let memory = Memory::default();
    let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: false };
    let clock = Arc::new(Still::at(2_000));
    let (ring, writer, opening) = open(device, clock, &settings, Box::new(memory.clone()))?;
    Ok(Open { ring, writer, memory, opening })
}

pub fn open(device: Arc<dyn Device>) -> Open {
    try_open(device).expect("it opens")
}

impl Open {
    pub fn told(&self) -> Told {
        self.memory.0.lock().expect("nobody died").clone()
    }

    /// Frees a closed clip for good.
    pub fn purge(&self, clip: ClipId, wipe: bool) -> Result<ByteCount, RingError> {
        let until = WallTime(0);
        self.writer.change_state(clip, StateRequest::Remove { until }).expect("it may be removed");
        self.writer.change_state(clip, StateRequest::Purge).expect("it may be purged");
        self.writer.free(clip, wipe)
    }

    pub fn append(&self, stream: u32, clip: ClipId, data: &[u8]) -> Result<(), Refused> {
        self.writer.append(NewChunk {
            clip,
            stream: StreamNumber(stream),
            parameters: vec![Arc::from(&b"parameters"[..])],
            table: Arc::from(format!("table of {}", data.len()).into_bytes()),
            data: data.to_vec(),
        })
    }

    /// A clip of stream 1 that has not ended, all its chunks flushed: number `n` is of
    /// `samples(n, chunk_length)`.
    pub fn growing_clip(&self, chunks: u64, chunk_length: usize) -> ClipId {
        let clip = self.writer.new_clip();
        for number in 0..chunks {
            let data = samples(number, chunk_length);
            self.append(1, clip, &data).expect("there is room in the queue");
            self.writer.sync().expect("the disk is in order");
        }
        clip
    }

    /// A closed clip of chunks that were flushed together, with its chunks: number `n` is of
    /// `samples(n, chunk_length)`.
    pub fn long_clip(&self, chunks: u64, chunk_length: usize) -> (ClipId, Vec<ClipChunk>) {
        let clip = self.writer.new_clip();
        for number in 0..chunks {
            let data = samples(number, chunk_length);
            self.append(1, clip, &data).expect("there is room in the queue");
        }
        self.writer.end_clip(clip, 0, None);
        self.writer.sync().expect("the disk is in order");
        (clip, self.ring.contents(clip).expect("it opens").chunks)
    }

    /// A closed clip of one chunk.
    pub fn clip(&self, stream: u32, data: &[u8]) -> Result<ClipId, RingError> {
        let clip = self.writer.new_clip();
        self.append(stream, clip, data).expect("there is room in the queue");
        self.writer.sync()?;
        self.writer.end_clip(clip, 0, None);
        self.writer.sync()?;
        Ok(clip)
    }

    pub fn samples(&self, clip: ClipId) -> Vec<u8> {
        let contents = self.ring.contents(clip).expect("a listed clip opens");
        let mut all = Vec::new();
        for chunk in &contents.chunks {
            let read = self.ring.read(clip, &chunk.place, 0..u32::MAX);
            all.extend_from_slice(&read.expect("a listed sample reads"));
        }
        all
    }
}

/// A disk with an empty ring of blocks of 1 MiB.
pub fn formatted(length: u64) -> Arc<Disk> {
    let disk = Disk::blank(length);
    let options = FormatOptions {
        block_length: Some(1 << 20),
        label: "test".into(),
        ring_uuid: [1; 16],
        node_uuid: [2; 16],
        pool_uuid: None,
        now: Still::at(1_000).0,
        disk_label: None,
    };
    format(&*disk, &options).expect("it is large enough");
    disk
}

pub fn samples(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed + 1);
    (0..length).map(|_| dice.roll(256) as u8).collect()
}
