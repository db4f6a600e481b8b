//! A power cut after every write and every flush of a scripted history, several outcomes each:
//! what was acknowledged is there afterwards, and nothing else.
//!
//! A failure prints its seed; `REELFS_CUTS=n` tries `n` outcomes behind each event, `REELFS_SEED=n`
//! begins with other dice.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reelfs::device::Device;
use reelfs::ring::{
    ClipState, FormatOptions, Geometry, NewChunk, Reason, Ring, Settings, Writer, format,
};
use reelfs::units::{BlockNumber, ByteCount, ClipId, StreamNumber, WallTime};
use support::disk::{Cuts, Dice, Disk, Event, Image};
use support::memory::{Memory, Still, Told, chain, count_of};

const MIB: u64 = 1 << 20;
const STREAMS: u64 = 3;
/// Steps of the history.
const STEPS: u64 = 400;
/// Steps between two kills of whoever records.
const STEPS_OF_A_SESSION: u64 = 100;
/// Threads that cut, each behind events of its own.
const THREADS: usize = 2;
/// A line on how far it is comes so often, in events.
const TELL_EVENTS: usize = 20;
/// Clips whose samples are all compared after a cut; of the others only the facts are.
const CLIPS_COMPARED: usize = 4;
/// Times that the power goes after a kill, while the ring is opened again or right behind it.
const CUTS_OF_A_KILL: u64 = 8;

struct Open {
    ring: Arc<Ring>,
    writer: Writer,
    memory: Memory,
}

impl Open {
    fn on(disk: &Arc<Disk>) -> Open {
        let memory = Memory::default();
        // Flushes happen when the test says so.
        let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: true };
        let device: Arc<dyn Device> = disk.clone();
        let clock = Arc::new(Still::at(2_000));
        let (ring, writer, _) =
            Ring::open(device, clock, &settings, Box::new(memory.clone())).expect("it opens");
        Open { ring, writer, memory }
    }

    fn told(&self) -> Told {
        self.memory.0.lock().expect("nobody died").clone()
    }

    fn samples(&self, clip: ClipId) -> Vec<u8> {
        let contents = self.ring.contents(clip).expect("a listed clip opens");
        let mut all = Vec::new();
        for chunk in &contents.chunks {
            let read = self.ring.read(clip, &chunk.place, 0..u32::MAX);
            all.extend_from_slice(&read.expect("a listed sample reads"));
        }
        all
    }
}

fn formatted() -> Arc<Disk> {
    let disk = Disk::blank(12 * MIB);
    let options = FormatOptions {
        block_length: Some(MIB),
        label: "cut".into(),
        ring_uuid: [1; 16],
        node_uuid: [2; 16],
        now: Still::at(1_000).0,
    };
    format(&*disk, &options).expect("it is large enough");
    disk
}

/// What is known of a clip, and since which event of the log it is acknowledged.
#[derive(Default)]
struct Clip {
    pieces: Vec<(Vec<u8>, usize)>,
    /// Its fact, once it was listed.
    closed: Option<(Vec<u8>, usize)>,
    /// States that were asked for, with the event that made each durable.
    states: Vec<(ClipState, usize)>,
    /// Asked to be purged, and durably gone.
    purged: Option<usize>,
    /// Something asked for its end; the ring may have given it up by itself, too.
    leaves: bool,
}

#[derive(Default)]
struct History {
    clips: BTreeMap<ClipId, Clip>,
    streams: BTreeMap<StreamNumber, Vec<(Vec<u8>, usize)>>,
    /// For clips of a session that was killed.
    tables_added: usize,
}

/// A step of the script, and what waits for the next flush to be true for good.
struct Script<'a> {
    open: Open,
    disk: &'a Arc<Disk>,
    dice: Dice,
    history: History,
    growing: BTreeMap<u64, ClipId>,
    pieces: Vec<(ClipId, Vec<u8>)>,
    states: Vec<(ClipId, ClipState)>,
    purged: Vec<ClipId>,
    facts: Vec<(StreamNumber, Vec<u8>)>,
}

impl Script<'_> {
    fn step(&mut self) {
        match self.dice.roll(20) {
            0..10 => self.append(),
            10..13 => self.end(),
            13 => self.set_state(ClipState::Kept { until: None }),
            14 | 15 => {
                let (until, reason) = (WallTime(9_000), Reason::Deleted);
                self.set_state(ClipState::Expiring { until, reason });
            }
            16 => self.set_state(ClipState::Closed),
            17 => self.purge(),
            _ => self.describe_streams(),
        }
        if self.dice.roll(3) == 0 {
            self.sync();
        }
    }

    fn append(&mut self) {
        let stream = self.dice.roll(STREAMS);
        let writer = &self.open.writer;
        let clip = *self.growing.entry(stream).or_insert_with(|| writer.new_clip());
        // Mostly short, so that many clips share a block; sometimes a good part of a block.
        let units = if self.dice.roll(4) == 0 { 3_000 } else { 40 };
        let length = 100 * (1 + self.dice.roll(units) as usize);
        let mut dice = Dice::new(self.dice.roll(1 << 30));
        let word = dice.roll(1 << 30).to_le_bytes();
        let data: Vec<u8> = (0..length).map(|at| word[at % 4] ^ (at / 4) as u8).collect();
        let chunk = NewChunk {
            clip,
            stream: StreamNumber(stream as u32 + 1),
            parameters: vec![Arc::from(&b"parameters"[..])],
            table: Arc::from(format!("table of {length}").into_bytes()),
            data: data.clone(),
        };
        self.history.clips.entry(clip).or_default();
        match self.open.writer.append(chunk) {
            Ok(()) => self.pieces.push((clip, data)),
            // The ring ended it to make room.
            Err(_) => self.forget_growing(clip),
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

    fn set_state(&mut self, state: ClipState) {
        let kept = |s: &ClipState| matches!(s, ClipState::Kept { .. });
        let all_kept = self.open.told().states.values().filter(|state| kept(state)).count();
        let Some(clip) = self.some_closed() else { return };
        if (!kept(&state) || all_kept < 3) && self.open.writer.set_state(clip, state) == Ok(true) {
            self.states.push((clip, state));
        }
    }

    fn purge(&mut self) {
        let told = self.open.told();
        let found = told.states.iter().find(|(_, state)| expiring(state)).map(|(clip, _)| *clip);
        if let Some(clip) = found {
            self.history.clips.entry(clip).or_default().leaves = true;
            let wipe = self.dice.roll(2) == 0;
            self.open.writer.purge(clip, Reason::Deleted, wipe).expect("it is purged");
            self.purged.push(clip);
        }
    }

    /// Long facts, so that the ledger turns.
    fn describe_streams(&mut self) {
        for stream in 1..=STREAMS as u32 {
            let fact = vec![self.dice.roll(256) as u8; 2_000];
            self.open.writer.set_stream(StreamNumber(stream), fact.clone());
            self.facts.push((StreamNumber(stream), fact));
        }
    }

    /// Killed, and started again: what grew is closed, and gets the table that it lacks.
    fn begin_again(&mut self) {
        self.sync();
        self.open = Open::on(self.disk);
        self.growing.clear();
        for clip in self.open.ring.clips_without_table() {
            let contents = self.open.ring.contents(clip).expect("a listed clip opens");
            self.open.writer.add_table(clip, &contents);
            self.history.tables_added += 1;
        }
    }

    fn sync(&mut self) {
        self.open.writer.sync().expect("the disk is in order");
        let now = self.disk.events();
        for (clip, data) in self.pieces.drain(..) {
            self.history.clips.entry(clip).or_default().pieces.push((data, now));
        }
        for (clip, state) in self.states.drain(..) {
            self.history.clips.entry(clip).or_default().states.push((state, now));
        }
        for clip in self.purged.drain(..) {
            self.history.clips.entry(clip).or_default().purged = Some(now);
        }
        for (stream, fact) in self.facts.drain(..) {
            self.history.streams.entry(stream).or_default().push((fact, now));
        }
        let told = self.open.told();
        for (clip, fact) in told.closed {
            self.history.clips.entry(clip).or_default().closed.get_or_insert((fact, now));
        }
        for clip in told.gone {
            self.history.clips.entry(clip).or_default().leaves = true;
        }
    }
}

fn play(disk: &Arc<Disk>, seed: u64, steps: u64) -> History {
    let mut script = Script {
        open: Open::on(disk),
        disk,
        dice: Dice::new(seed),
        history: History::default(),
        growing: BTreeMap::new(),
        pieces: Vec::new(),
        states: Vec::new(),
        purged: Vec::new(),
        facts: Vec::new(),
    };
    for step in 0..steps {
        if step % STEPS_OF_A_SESSION == STEPS_OF_A_SESSION / 2 {
            script.begin_again();
        }
        script.step();
    }
    script.sync();
    script.history
}

/// Compares an open ring with what was acknowledged before event `events`.
fn check(open: &Open, history: &History, events: usize, dice: &mut Dice, place: &str) {
    check_but(&BTreeSet::new(), open, history, events, dice, place);
}

/// As [`check`]; the clips in `given_up` may be missing.
fn check_but(
    given_up: &BTreeSet<ClipId>,
    open: &Open,
    history: &History,
    events: usize,
    dice: &mut Dice,
    place: &str,
) {
    let mut told = open.told();
    told.gone.extend(given_up);
    for (clip, known) in &history.clips {
        let durable = known.pieces.iter().filter(|(_, at)| *at <= events);
        let listed = told.closed.get(clip);
        let gone = known.purged.is_some_and(|at| at <= events);
        assert!(!gone || listed.is_none(), "{place}: clip {clip} was purged and is back");
        let Some(fact) = listed else {
            let may_leave = known.leaves || told.gone.contains(clip) || known.pieces.is_empty();
            assert!(may_leave || durable.count() == 0, "{place}: clip {clip} is lost");
            continue;
        };
        if let Some((closed, at)) = &known.closed
            && *at <= events
        {
            assert_eq!(fact, closed, "{place}: clip {clip} is another than was listed");
        }
        check_state(*clip, known, told.states.get(clip), events, place);
    }
    for (stream, facts) in &history.streams {
        let last = facts.iter().rposition(|(_, at)| *at <= events);
        let found = told.streams.get(stream);
        let possible = facts.iter().skip(last.unwrap_or(0)).any(|(fact, _)| Some(fact) == found);
        assert!(last.is_none() || possible, "{place}: stream {stream} is set back");
    }
    let unknown = told.closed.keys().find(|clip| !history.clips.contains_key(clip));
    assert_eq!(unknown, None, "{place}: a clip of an earlier life");
    let readable: Vec<ClipId> = told
        .closed
        .keys()
        .filter(|clip| !matches!(told.states.get(clip), Some(ClipState::Purging { .. })))
        .copied()
        .collect();
    let newest = readable.len().saturating_sub(CLIPS_COMPARED / 2);
    let mut compared: BTreeSet<ClipId> = readable[newest..].iter().copied().collect();
    for _ in 0..CLIPS_COMPARED / 2 {
        compared.extend(readable.get(dice.roll(readable.len().max(1) as u64) as usize));
    }
    for clip in compared {
        check_fact(open, clip, &told.closed[&clip], place);
        check_samples(open, clip, &history.clips[&clip], events, place);
    }
}

/// The state is the last that a flush covered, or one that was asked for after it.
fn check_state(clip: ClipId, known: &Clip, found: Option<&ClipState>, events: usize, place: &str) {
    let found = found.copied().unwrap_or(ClipState::Closed);
    let last = known.states.iter().rposition(|(_, at)| *at <= events);
    let mut possible: Vec<ClipState> =
        known.states.iter().skip(last.unwrap_or(0)).map(|(state, _)| *state).collect();
    if last.is_none() {
        possible.push(ClipState::Closed);
    }
    let purging = matches!(found, ClipState::Purging { .. });
    let excused = purging && (known.leaves || possible.iter().any(expiring));
    assert!(possible.contains(&found) || excused, "{place}: clip {clip} is {found:?}");
}

fn expiring(state: &ClipState) -> bool {
    matches!(state, ClipState::Expiring { .. })
}

/// The interpreter was told each chunk once, in order, across restarts.
fn check_fact(open: &Open, clip: ClipId, fact: &[u8], place: &str) {
    let contents = open.ring.contents(clip).expect("a listed clip opens");
    assert_eq!(count_of(fact) as usize, contents.chunks.len(), "{place}: clip {clip}");
    let digest = contents.chunks.iter().fold([0; 32], |before, chunk| {
        let data = open.ring.read(clip, &chunk.place, 0..u32::MAX).expect("it reads");
        chain(&before, blake3::hash(&data).as_bytes())
    });
    assert_eq!(fact[4..36], digest, "{place}: clip {clip}");
}

fn check_samples(open: &Open, clip: ClipId, known: &Clip, events: usize, place: &str) {
    let found = open.samples(clip);
    let mut at = 0;
    for (piece, acknowledged) in &known.pieces {
        let rest = &found[at..];
        let same = rest.len().min(piece.len());
        assert_eq!(rest[..same], piece[..same], "{place}: clip {clip} has other bytes");
        at += same;
        let whole = same == piece.len();
        assert!(whole || *acknowledged > events, "{place}: clip {clip} lost samples");
        if !whole {
            break;
        }
    }
    assert_eq!(at, found.len(), "{place}: clip {clip} has more than was written");
}

fn outcomes() -> u64 {
    std::env::var("REELFS_CUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(112)
}

fn first_seed() -> u64 {
    std::env::var("REELFS_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Cuts behind every event, on two threads; every eighth time also once more while the ring is
/// opened again.
fn cut_everywhere(base: &Image, history: &History, log: &[Event], start: usize) {
    let cut = move |turn| {
        // With pages of its own: counting who shares one would cost more than all the rest.
        let mut cuts = Cuts::new(base.unshared(), &log[start..]);
        let mut tried = 0_u64;
        for events in start.. {
            if events % THREADS == turn {
                tried += cut_behind(&cuts, history, events);
            }
            if turn == 0 && (events - start).is_multiple_of(TELL_EVENTS) {
                let (done, all) = (events - start, log.len() - start);
                println!("behind event {done} of {all}: about {} cuts", tried * THREADS as u64);
            }
            if !cuts.step() {
                return tried;
            }
        }
        tried
    };
    let tried: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|turn| scope.spawn(move || cut(turn))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no cut loses anything")).sum()
    });
    let events = log.len() - start;
    println!("torture: cuts rounds={events} cuts={tried} failures=0");
}

/// Several outcomes of a cut behind an event; the first is that of a kill, which loses nothing by
/// itself: what waits for a flush goes on waiting.
fn cut_behind(cuts: &Cuts<'_>, history: &History, events: usize) -> u64 {
    let mut tried = 0;
    for outcome in 0..outcomes() {
        let seed = first_seed() + events as u64 * 1_000_000 + outcome;
        let mut dice = Dice::new(seed);
        let killed = outcome == 0;
        let place = format!("cut behind event {events}, seed {seed}");
        let base = if killed { cuts.flushed() } else { cuts.image(&mut dice) };
        let disk = if killed { cuts.killed() } else { Disk::from_image(base.clone()) };
        let waiting = disk.events();
        let open = Open::on(&disk);
        check(&open, history, events, &mut dice, &place);
        let again = if killed { CUTS_OF_A_KILL } else { u64::from(outcome.is_multiple_of(8)) };
        tried += 1 + again;
        for _ in 0..again {
            cut_again((&base, &disk.log(), waiting), &open, (history, events), &mut dice, &place);
        }
    }
    tried
}

/// The power goes again: somewhere in the recovery, or right behind it; then nothing that the
/// recovered ring had listed may be missing. Of the log the first events were there before it.
fn cut_again(
    (base, log, waiting): (&Image, &[Event], usize),
    first: &Open,
    (history, events): (&History, usize),
    dice: &mut Dice,
    place: &str,
) {
    let behind = dice.roll(2) == 0;
    let recovery = log.len() - waiting;
    let steps = if behind { recovery } else { dice.roll(recovery as u64 + 1) as usize };
    let mut cuts = Cuts::new(base.clone(), log);
    for _ in 0..waiting + steps {
        cuts.step();
    }
    let place = format!("{place}, again behind {steps} of {recovery}");
    let second = Open::on(&Disk::from_image(cuts.image(dice)));
    check_but(&first.told().gone, &second, history, events, dice, &place);
    if behind {
        let (before, after) = (first.told(), second.told());
        for (clip, fact) in before.closed {
            let given_up = after.gone.contains(&clip);
            assert!(given_up || after.closed.get(&clip) == Some(&fact), "{place}: {clip} changed");
        }
    }
}

/// A new ring on a disk whose blocks are full of another ring's chunks.
fn on_an_earlier_life() -> Arc<Disk> {
    let disk = formatted();
    drop(play(&disk, 2, STEPS));
    let options = FormatOptions {
        block_length: Some(MIB),
        label: "next".into(),
        ring_uuid: [3; 16],
        node_uuid: [2; 16],
        now: Still::at(1_000).0,
    };
    format(&*disk, &options).expect("it is large enough");
    disk
}

#[test]
fn a_cut_after_any_write_or_flush_loses_nothing_that_was_acknowledged() {
    let disk = on_an_earlier_life();
    let (base, start) = (disk.image(), disk.events());
    let history = play(&disk, 1, STEPS);
    let purged = history.clips.values().filter(|clip| clip.purged.is_some()).count();
    let left = history.clips.values().filter(|clip| clip.leaves).count();
    assert!(purged > 2 && left > purged + 5, "{purged} purged, {left} gone: the ring did not turn");
    assert!(history.tables_added > 2, "{} clips lacked a table", history.tables_added);
    let set = |wanted: fn(&ClipState) -> bool| {
        let states = history.clips.values().flat_map(|clip| &clip.states);
        states.filter(|(state, _)| wanted(state)).count()
    };
    assert!(set(|state| matches!(state, ClipState::Kept { .. })) > 2, "few were kept");
    assert!(set(expiring) > 2 && set(|state| *state == ClipState::Closed) > 2, "few came back");
    let log = &disk.log()[start..];
    let written = |range: Range<u64>| {
        let within = |event: &&Event| match event {
            Event::Write { offset, .. } => range.contains(offset),
            Event::Flush => false,
        };
        log.iter().filter(within).count()
    };
    let plan = Geometry::plan(ByteCount(12 * MIB), Some(MIB)).expect("as formatted");
    assert!(written(plan.ledger_start(1).0..plan.blocks_start.0) > 1, "the ledger did not turn");
    let headers = (0..plan.block_count).map(|block| plan.block_start(BlockNumber(block)).0);
    let lives: Vec<usize> = headers.map(|start| written(start..start + 1)).collect();
    assert!(lives.iter().max() > Some(&1), "the ring did not wrap: {lives:?}");
    cut_everywhere(&base, &history, &disk.log(), start);
}

#[test]
fn what_an_earlier_life_left_on_the_disk_is_never_adopted() {
    let disk = on_an_earlier_life();
    let (base, start) = (disk.image(), disk.events());
    let history = play(&disk, 3, STEPS / 4);
    cut_everywhere(&base, &history, &disk.log(), start);
}
