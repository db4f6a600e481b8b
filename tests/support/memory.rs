//! An interpreter that knows nothing of video and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reelfs::clock::{Clock, Reading};
use reelfs::ring::{
    ClipState, DurableChunk, Ending, EventSaid, FoundStream, Interpreter, NewChunk, News,
};
use reelfs::units::{BootTime, ClipId, EventId, StreamNumber, WallTime};

/// What the ring has said.
#[derive(Default, Debug, Clone)]
pub struct Told {
    /// Tables of durable chunks of growing clips, by clip; `resumed` chunks come as a count.
    pub growing: BTreeMap<ClipId, (u32, [u8; 32])>,
    pub closed: BTreeMap<ClipId, Vec<u8>>,
    pub states: BTreeMap<ClipId, ClipState>,
    /// What was said of clips that were redated.
    pub redated: BTreeMap<ClipId, Vec<u8>>,
    pub gone: BTreeSet<ClipId>,
    pub streams: BTreeMap<StreamNumber, Vec<u8>>,
    /// What is known of each event.
    pub events: BTreeMap<(StreamNumber, EventId), Vec<u8>>,
}

#[derive(Clone, Default)]
pub struct Memory(pub Arc<Mutex<Told>>);

fn encode(count: u32, chain: &[u8; 32]) -> Vec<u8> {
    [&count.to_le_bytes()[..], chain].concat()
}

pub fn count_of(fact: &[u8]) -> u32 {
    u32::from_le_bytes(fact[..4].try_into().unwrap())
}

pub fn chain(before: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    *blake3::hash(&[&before[..], digest].concat()).as_bytes()
}

impl Interpreter for Memory {
    fn chunk_durable(&mut self, clip: ClipId, chunk: &DurableChunk<'_>) {
        let mut told = self.0.lock().unwrap();
        let entry = told.growing.entry(clip).or_default();
        *entry = (entry.0 + 1, chain(&entry.1, chunk.digest));
    }

    fn growth(&mut self, clip: ClipId) -> Vec<u8> {
        let told = self.0.lock().unwrap();
        let (count, chain) = told.growing.get(&clip).copied().unwrap_or_default();
        encode(count, &chain)
    }

    fn resume(&mut self, clip: ClipId, _stream: StreamNumber, growth: &[u8]) {
        let chain = growth[4..36].try_into().unwrap();
        self.0.lock().unwrap().growing.insert(clip, (count_of(growth), chain));
    }

    fn close_clip(
        &mut self,
        clip: ClipId,
        _stream: StreamNumber,
        _ending: Ending,
    ) -> Option<Vec<u8>> {
        let (count, chain) = self.0.lock().unwrap().growing.remove(&clip)?;
        Some(encode(count, &chain))
    }

    fn redate(&mut self, _: ClipId, shift_nanos: i64) -> Option<Vec<u8>> {
        Some(shift_nanos.to_le_bytes().to_vec())
    }

    /// What is said is a time and a number of bytes, and the later time holds.
    fn event_said(&mut self, before: Option<&[u8]>, said: &[u8]) -> Option<EventSaid> {
        let fact = before.map_or(said, |before| before.max(said)).to_vec();
        let start = WallTime(i64::from(fact[0]));
        (before != Some(&fact)).then_some(EventSaid { start, fact })
    }

    fn split(
        &mut self,
        mut chunk: NewChunk,
        data_bytes_max: usize,
    ) -> Result<(NewChunk, NewChunk), NewChunk> {
        // Samples of these chunks are 100 bytes long.
        let cut = data_bytes_max / 100 * 100;
        if cut == 0 || cut >= chunk.data.len() {
            return Err(chunk);
        }
        let rest = chunk.data.split_off(cut);
        let second = NewChunk { data: rest, ..chunk.clone() };
        Ok((chunk, second))
    }

    fn describe(&self, stream: StreamNumber) -> ([u8; 16], String) {
        ([stream.0 as u8; 16], format!("stream-{stream}"))
    }

    fn stream_found(&mut self, _: StreamNumber, found: &FoundStream) -> Vec<u8> {
        found.name.clone().into_bytes()
    }

    fn news(&mut self, news: &News) {
        let mut told = self.0.lock().unwrap();
        match news {
            News::ClipClosed { clip, fact, redating, .. } => {
                told.redated.extend(redating.as_ref().map(|said| (*clip, said.to_vec())));
                told.closed.insert(*clip, fact.to_vec());
            }
            News::StateSet { clip, state } => {
                told.states.insert(*clip, *state);
            }
            News::ClipGone { clip, .. } => {
                told.closed.remove(clip);
                told.states.remove(clip);
                told.redated.remove(clip);
                told.gone.insert(*clip);
            }
            News::StreamSet { stream, fact } => {
                told.streams.insert(*stream, fact.to_vec());
            }
            News::Grown { .. } | News::StreamTimed { .. } => {}
            News::EventSet { stream, event, fact } => {
                told.events.insert((*stream, *event), fact.to_vec());
                told.events.retain(|_, fact| !fact.is_empty());
            }
            News::ClipRedated { clip, redating } => {
                told.redated.insert(*clip, redating.to_vec());
            }
        }
    }

    fn flush_due(&mut self) {}
}

/// A clock that stands where it is put.
pub struct Still(pub Reading);

impl Still {
    pub fn at(wall: i64) -> Still {
        let boot = BootTime(1);
        Still(Reading { wall: WallTime(wall), boot, boot_id: [7; 16], synchronised: true })
    }
}

impl Clock for Still {
    fn read(&self) -> Reading {
        self.0
    }
}

/// A clock that is set while the ring runs.
#[derive(Clone)]
pub struct Set(pub Arc<Mutex<Reading>>);

impl Set {
    pub fn at(wall: i64) -> Set {
        Set(Arc::new(Mutex::new(Still::at(wall).0)))
    }

    /// Lets time pass, on both clocks.
    pub fn pass(&self, time: Duration) {
        let mut reading = self.0.lock().unwrap();
        let nanos = time.as_nanos() as i64;
        reading.wall = reading.wall.plus_nanos(nanos);
        reading.boot = BootTime(reading.boot.0 + nanos);
    }
}

impl Clock for Set {
    fn read(&self) -> Reading {
        *self.0.lock().unwrap()
    }
}
