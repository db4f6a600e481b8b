//! A scripted history of a ring: what was handed in and asked for, and since which event of the
//! disk's log a cut can't undo it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reelfs::device::Device;
use reelfs::ring::{ClipState, NewChunk, Opening, Ring, Settings, StateRequest, Writer};
use reelfs::units::{ClipId, StreamNumber, WallTime};

use crate::support::disk::{Dice, Disk};
use crate::support::memory::{Memory, Still, Told};

pub const STREAMS: u64 = 3;
/// A stream of no camera: its fact tells that everything handed in before has been served.
const BARRIER: StreamNumber = StreamNumber(1_000);
/// Steps between two kills of whoever records.
const STEPS_OF_A_SESSION: u64 = 100;
/// Not yet.
const NEVER: usize = usize::MAX;
/// What markers begin with.
const MARKS: &[u8] = b"mark";
/// The samples of these clips, each with a marker at its beginning.
const SAMPLE_BYTES: usize = 100;

/// Is in every sample of one clip, and nowhere else.
pub type Marker = [u8; 8];

/// The markers in some bytes.
pub fn markers(bytes: &[u8]) -> BTreeSet<Marker> {
    let windows = bytes.windows(size_of::<Marker>());
    let marked = windows.filter(|window| window[0] == MARKS[0] && window.starts_with(MARKS));
    marked.map(|window| window.try_into().expect("as long as a marker")).collect()
}

pub struct Open {
    pub ring: Arc<Ring>,
    pub writer: Writer,
    pub opening: Opening,
    memory: Memory,
}

impl Open {
    pub fn on(disk: &Arc<Disk>) -> Open {
        let memory = Memory::default();
        // Flushes happen when the test says so.
        let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: true };
        let device: Arc<dyn Device> = disk.clone();
        let clock = Arc::new(Still::at(2_000));
        let (ring, writer, opening) =
            Ring::open(device, clock, &settings, Box::new(memory.clone())).expect("it opens");
        Open { ring, writer, opening, memory }
    }

    pub fn told(&self) -> Told {
        self.memory.0.lock().expect("nobody died").clone()
    }
}

/// Something that was asked for when so many events were logged, and durable behind so many.
pub struct Said<T> {
    pub what: T,
    pub asked: usize,
    pub durable: usize,
}

impl<T> Said<T> {
    /// Whether a cut behind so many events may find it.
    pub fn may_be(&self, events: usize) -> bool {
        self.asked < events
    }

    /// Whether a cut behind so many events can't undo it.
    pub fn must_be(&self, events: usize) -> bool {
        self.durable <= events
    }
}

/// Of what was set one after another: the last that such a cut can't undo, and what it may find
/// instead. Answers, too, whether there is such a last one.
pub fn possible<T>(said: &[Said<T>], events: usize) -> (bool, impl Iterator<Item = &T>) {
    let last = said.iter().rposition(|one| one.must_be(events));
    let since = said[last.unwrap_or(0)..].iter().filter(move |one| one.may_be(events));
    (last.is_some(), since.map(|one| &one.what))
}

/// Why a clip leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    Purged,
    /// By the ring itself, to make room.
    Evicted,
}

pub struct Clip {
    pub marker: Marker,
    pub pieces: Vec<Said<Vec<u8>>>,
    /// Its fact, once it was listed, and behind how many events.
    pub closed: Option<(Vec<u8>, usize)>,
    pub states: Vec<Said<ClipState>>,
    pub leaves: Option<Said<Leaves>>,
    /// Behind so many events none of its samples is left.
    pub wiped: Option<usize>,
}

impl Clip {
    fn new(marker: Marker) -> Clip {
        let (pieces, states) = (Vec::new(), Vec::new());
        Clip { marker, pieces, closed: None, states, leaves: None, wiped: None }
    }

    /// The states that a cut may leave.
    pub fn possible_states(&self, events: usize) -> Vec<ClipState> {
        let (acknowledged, states) = possible(&self.states, events);
        let first = (!acknowledged).then_some(ClipState::Closed);
        first.into_iter().chain(states.copied()).collect()
    }

    /// Whether something was asked of it, or became of it, in the last events before a cut.
    pub fn is_touched(&self, events: usize, lately: usize) -> bool {
        let late = |at: usize| (events.saturating_sub(lately)..=events).contains(&at);
        let of = |asked: Option<usize>, durable: Option<usize>| {
            asked.is_some_and(late) || durable.is_some_and(late)
        };
        let (piece, state) = (self.pieces.last(), self.states.last());
        of(piece.map(|piece| piece.asked), piece.map(|piece| piece.durable))
            || of(state.map(|state| state.asked), state.map(|state| state.durable))
            || self.closed.as_ref().is_none_or(|(_, at)| *at > events || late(*at))
    }
}

pub fn is_expiring(state: &ClipState) -> bool {
    matches!(state, ClipState::Expiring { .. })
}

pub fn is_kept(state: &ClipState) -> bool {
    matches!(state, ClipState::Kept { .. })
}

#[derive(Default)]
pub struct History {
    pub clips: BTreeMap<ClipId, Clip>,
    pub streams: BTreeMap<StreamNumber, Vec<Said<Vec<u8>>>>,
    /// For clips of a session that was killed.
    pub tables_added: usize,
    /// For want of space; the history is worth nothing then.
    pub chunks_dropped: u64,
    /// Blocks that more than one clip had a part of in the end.
    pub blocks_shared: usize,
}

impl History {
    /// A flush has covered everything.
    fn acknowledge(&mut self, now: usize) {
        for clip in self.clips.values_mut() {
            let pieces = clip.pieces.iter_mut().map(|piece| &mut piece.durable);
            let states = clip.states.iter_mut().map(|state| &mut state.durable);
            let leaves = clip.leaves.iter_mut().map(|leaves| &mut leaves.durable);
            pieces.chain(states).chain(leaves).for_each(|durable| *durable = now.min(*durable));
        }
        for fact in self.streams.values_mut().flatten() {
            fact.durable = now.min(fact.durable);
        }
    }
}

/// The script, under way.
struct Script<'a> {
    seed: u64,
    open: Open,
    disk: &'a Arc<Disk>,
    dice: Dice,
    history: History,
    growing: BTreeMap<u64, ClipId>,
    barrier: u64,
}

/// Plays so many steps; the same ones again with the same seed.
pub fn play(disk: &Arc<Disk>, seed: u64, steps: u64) -> History {
    let mut script = Script {
        seed,
        open: Open::on(disk),
        disk,
        dice: Dice::new(seed),
        history: History::default(),
        growing: BTreeMap::new(),
        barrier: 0,
    };
    for step in 0..steps {
        if step % STEPS_OF_A_SESSION == STEPS_OF_A_SESSION / 2 {
            script.begin_again();
        }
        script.step();
    }
    script.sync();
    script.count();
    script.history
}

impl Script<'_> {
    fn step(&mut self) {
        let before = self.disk.events();
        match self.dice.roll(20) {
            0..10 => self.append(),
            10..13 => self.end(),
            13 => self.change_state(StateRequest::Keep { until: None }),
            14 | 15 => {
                self.change_state(StateRequest::Remove { until: WallTime(9_000) });
            }
            16 => self.take_back(),
            17 => self.purge(),
            _ => self.describe_streams(),
        }
        self.serve();
        self.hear(before);
        if self.dice.roll(3) == 0 {
            self.sync();
        }
    }

    fn said<T>(&self, what: T) -> Said<T> {
        Said { what, asked: self.disk.events(), durable: NEVER }
    }

    fn clip(&mut self, clip: ClipId) -> &mut Clip {
        let seed = self.seed;
        self.history.clips.entry(clip).or_insert_with(|| {
            let digest = blake3::hash(format!("{seed} {clip}").as_bytes());
            let marker = [MARKS, &digest.as_bytes()[..4]].concat();
            Clip::new(marker.try_into().expect("as long as a marker"))
        })
    }

    fn append(&mut self) {
        let stream = self.dice.roll(STREAMS);
        let writer = &self.open.writer;
        let id = *self.growing.entry(stream).or_insert_with(|| writer.new_clip());
        // Mostly short, so that many clips share a block; sometimes a good part of a block.
        let units = if self.dice.roll(4) == 0 { 3_000 } else { 40 };
        let length = SAMPLE_BYTES * (1 + self.dice.roll(units) as usize);
        let mut dice = Dice::new(self.dice.roll(1 << 30));
        let word = dice.roll(1 << 30).to_le_bytes();
        let mut data: Vec<u8> = (0..length).map(|at| word[at % 4] ^ (at / 4) as u8).collect();
        let marker = self.clip(id).marker;
        for sample in data.chunks_mut(SAMPLE_BYTES) {
            sample[..marker.len()].copy_from_slice(&marker);
        }
        let chunk = NewChunk {
            clip: id,
            stream: StreamNumber(stream as u32 + 1),
            parameters: vec![Arc::from(&b"parameters"[..])],
            table: Arc::from(format!("table of {length}").into_bytes()),
            data: data.clone(),
        };
        let piece = self.said(data);
        match self.open.writer.append(chunk) {
            Ok(()) => self.clip(id).pieces.push(piece),
            // The ring ended it to make room.
            Err(_) => self.forget_growing(id),
        }
    }

    fn forget_growing(&mut self, clip: ClipId) {
        self.growing.retain(|_, growing| *growing != clip);
        self.open.writer.end_clip(clip, 0, None);
    }

    fn end(&mut self) {
        let stream = self.dice.roll(STREAMS);
        if let Some(clip) = self.growing.get(&stream).copied() {
            self.forget_growing(clip);
        }
    }

    fn some_closed(&mut self) -> Option<ClipId> {
        let closed: Vec<ClipId> = self.open.told().closed.keys().copied().collect();
        let wanted = self.dice.roll(closed.len().max(1) as u64) as usize;
        closed.get(wanted).copied()
    }

    fn change_state(&mut self, request: StateRequest) {
        let all_kept = self.open.told().states.values().filter(|state| is_kept(state)).count();
        let Some(clip) = self.some_closed() else { return };
        if matches!(request, StateRequest::Keep { .. }) && all_kept >= 3 {
            return;
        }
        self.request(clip, request);
    }

    /// Makes a clip that is removed or kept an ordinary one.
    fn take_back(&mut self) {
        let Some(clip) = self.some_closed() else { return };
        self.request(clip, StateRequest::Release);
        self.request(clip, StateRequest::Restore);
    }

    fn request(&mut self, clip: ClipId, request: StateRequest) {
        let known = self.open.told().states.get(&clip).copied().unwrap_or(ClipState::Closed);
        let Ok(state) = known.after(request) else { return };
        let said = self.said(state);
        if state != known && self.open.writer.change_state(clip, request) == Ok(state) {
            self.clip(clip).states.push(said);
        }
    }

    fn purge(&mut self) {
        let told = self.open.told();
        let found = told.states.iter().find(|(_, state)| is_expiring(state)).map(|(clip, _)| *clip);
        let Some(clip) = found else { return };
        let wipe = self.dice.roll(2) == 0;
        let leaves = self.said(Leaves::Purged);
        self.clip(clip).leaves = Some(leaves);
        self.open.writer.change_state(clip, StateRequest::Purge).expect("it may be purged");
        self.open.writer.free(clip, wipe).expect("it is purged");
        let now = self.disk.events();
        self.clip(clip).wiped = wipe.then_some(now);
    }

    /// Long facts, so that the ledger turns.
    fn describe_streams(&mut self) {
        for stream in (1..=STREAMS as u32).map(StreamNumber) {
            let fact = vec![self.dice.roll(256) as u8; 2_000];
            let said = self.said(fact.clone());
            self.open.writer.set_stream(stream, fact);
            self.history.streams.entry(stream).or_default().push(said);
        }
    }

    /// Killed, and started again: what grew is closed, and gets the table that it lacks.
    fn begin_again(&mut self) {
        self.sync();
        self.count();
        let before = self.disk.events();
        self.open = Open::on(self.disk);
        self.growing.clear();
        for clip in self.open.ring.clips_without_table() {
            let contents = self.open.ring.contents(clip).expect("a listed clip opens");
            self.open.writer.add_table(clip, &contents);
            self.history.tables_added += 1;
        }
        self.serve();
        self.hear(before);
    }

    /// What a session leaves besides clips.
    fn count(&mut self) {
        self.history.chunks_dropped += self.open.ring.counters().chunks_dropped;
        let mut clips_in = BTreeMap::new();
        for clip in self.open.told().closed.keys() {
            let Ok(contents) = self.open.ring.contents(*clip) else { continue };
            let blocks: BTreeSet<_> =
                contents.chunks.iter().map(|chunk| chunk.place.block).collect();
            blocks.into_iter().for_each(|block| *clips_in.entry(block).or_insert(0) += 1);
        }
        self.history.blocks_shared = clips_in.values().filter(|clips| **clips > 1).count();
    }

    /// Waits until everything handed in has been served: with one seed the same is written in
    /// the same order.
    fn serve(&mut self) {
        self.barrier += 1;
        let fact = self.barrier.to_le_bytes().to_vec();
        self.open.writer.set_stream(BARRIER, fact.clone());
        let until = Instant::now() + Duration::from_secs(60);
        while self.open.told().streams.get(&BARRIER) != Some(&fact) {
            assert!(Instant::now() < until, "the writer does not serve");
            std::thread::yield_now();
        }
    }

    /// What the ring gave up by itself since so many events were logged.
    fn hear(&mut self, before: usize) {
        let now = self.disk.events();
        for clip in self.open.told().gone {
            let clip = self.clip(clip);
            if clip.leaves.is_none() {
                let kept = clip.states.last().is_some_and(|state| is_kept(&state.what));
                assert!(!kept, "a clip is kept, and was evicted");
                let (what, asked, durable) = (Leaves::Evicted, before, NEVER);
                clip.leaves = Some(Said { what, asked, durable });
                // Whoever deleted it was promised zeros.
                let deleted = clip.states.last().is_some_and(|state| is_expiring(&state.what));
                clip.wiped = deleted.then_some(now);
            }
        }
    }

    fn sync(&mut self) {
        let before = self.disk.events();
        self.open.writer.sync().expect("the disk is in order");
        self.hear(before);
        let now = self.disk.events();
        self.history.acknowledge(now);
        for (clip, fact) in self.open.told().closed {
            self.clip(clip).closed.get_or_insert((fact, now));
        }
    }
}
