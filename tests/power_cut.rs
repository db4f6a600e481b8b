//! A power cut after every write and every flush of a scripted history, several outcomes each:
//! what was acknowledged is there afterwards, and nothing else.
//!
//! A failure prints its seed; `REELFS_CUTS=n` tries `n` outcomes behind each event, `REELFS_SEED=n`
//! plays another history, and cuts with other dice.

#[path = "support/script.rs"]
mod script;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use reelfs::ring::{BlockUse, ClipState, FormatOptions, Geometry, Inspection, format};
use reelfs::units::{BlockNumber, ByteCount, ClipId};
use script::{
    Clip, History, Leaves, Marker, Open, STREAMS, is_expiring, is_kept, markers, play, possible,
};
use support::disk::{Cuts, Dice, Disk, Event, Image};
use support::memory::{Still, Told, chain, count_of};

const MIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 12 * MIB;
/// Steps of the history.
const STEPS: u64 = 400;
/// Outcomes behind each event, where nobody wants others.
const OUTCOMES: u64 = 101;
/// Cuts that are promised then.
const CUTS_MIN: u64 = 100_000;
/// Histories that are tried for one in which everything happens.
const HISTORIES_MAX: u64 = 100;
/// Threads that cut, each behind events of its own.
const THREADS: usize = 2;
/// A line on how far it is comes so often, in events.
const TELL_EVENTS: usize = 20;
/// The samples of clips that something became of so many events before a cut are all compared
/// after it, and so are those of another one, in turns; of the rest only the facts are. Behind each
/// event one cut is followed by a comparison of everything.
const EVENTS_COMPARED: usize = 4;
/// Times that the power goes after a kill, while the ring is opened again or right behind it.
const CUTS_OF_A_KILL: u64 = 8;

fn format_as(disk: &Disk, label: &str, ring_uuid: [u8; 16]) {
    let options = FormatOptions {
        block_length: Some(MIB),
        label: label.into(),
        ring_uuid,
        node_uuid: [2; 16],
        pool_uuid: None,
        now: Still::at(1_000).0,
        disk_label: None,
    };
    format(disk, &options).expect("it is large enough");
}

/// A cut, and what may be found behind it.
struct Cut<'a> {
    history: &'a History,
    /// So many were logged.
    events: usize,
    /// Whose turn it is to be compared; with 1 it is everybody's.
    turn: u64,
    /// What an earlier recovery gave up.
    given_up: BTreeSet<ClipId>,
    place: String,
}

impl Cut<'_> {
    /// Compares what is on the disk before anything is recovered, then the ring that is recovered
    /// from it.
    fn recover(&self, disk: &Arc<Disk>) -> Open {
        self.check_blocks(disk);
        let waiting = disk.events();
        let open = Open::on(disk);
        let lost = open.opening.chunks_lost;
        assert_eq!(lost, 0, "{}: chunks are told lost, and nothing has rotted", self.place);
        self.check_facts(&open.told());
        self.check_samples(&open);
        self.check_wiped(&disk.log()[waiting..]);
        open
    }

    /// No block that a clip has a part of is free or reserved, or has begun another life.
    fn check_blocks(&self, disk: &Disk) {
        let place = &self.place;
        let inspection = Inspection::open(disk).expect("it can be read");
        let mut blocks = BTreeMap::new();
        for (clip, record) in inspection.clips() {
            for extent in record.all_extents() {
                let block = blocks.entry(extent.block).or_insert_with(|| {
                    inspection.block(extent.block).expect("its header was flushed")
                });
                let used_for = block.used_for;
                let taken = matches!(used_for, BlockUse::Free | BlockUse::Reserved);
                assert!(!taken, "{place}: clip {clip}: its block {} is {used_for:?}", extent.block);
                let life = block.header.as_ref().map(|header| header.life);
                assert_eq!(life, Some(extent.life), "{place}: clip {clip}: block {}", extent.block);
            }
        }
    }

    fn check_facts(&self, told: &Told) {
        let (place, events) = (&self.place, self.events);
        for (clip, known) in &self.history.clips {
            let listed = told.closed.get(clip);
            let gone = known.leaves.as_ref().is_some_and(|leaves| leaves.must_be(events));
            assert!(!gone || listed.is_none(), "{place}: clip {clip} was given up and is back");
            let Some(fact) = listed else {
                let durable = known.pieces.iter().any(|piece| piece.must_be(events));
                let excused = !durable || self.may_have_left(*clip, known, told);
                assert!(excused, "{place}: clip {clip} is lost");
                continue;
            };
            if let Some((closed, at)) = &known.closed
                && *at <= events
            {
                assert_eq!(fact, closed, "{place}: clip {clip} is another than was listed");
            }
            self.check_state(*clip, known, told.states.get(clip));
        }
        for (stream, facts) in &self.history.streams {
            let found = told.streams.get(stream);
            let (acknowledged, mut facts) = possible(facts, events);
            let known = facts.any(|fact| Some(fact) == found);
            assert!(!acknowledged || known, "{place}: stream {stream} is set back");
        }
        let unknown = told.closed.keys().find(|clip| !self.history.clips.contains_key(clip));
        assert_eq!(unknown, None, "{place}: a clip of an earlier life");
    }

    /// Its end had begun, or a recovery needed the space and it was not kept.
    fn may_have_left(&self, clip: ClipId, known: &Clip, told: &Told) -> bool {
        let begun = known.leaves.as_ref().is_some_and(|leaves| leaves.may_be(self.events));
        let given_up = told.gone.contains(&clip) || self.given_up.contains(&clip);
        let kept = known.possible_states(self.events).iter().all(is_kept);
        begun || given_up && !kept
    }

    /// The state is the last that a flush covered, or one that was asked for after it.
    fn check_state(&self, clip: ClipId, known: &Clip, found: Option<&ClipState>) {
        let found = found.copied().unwrap_or(ClipState::Closed);
        let states = known.possible_states(self.events);
        let begun = known.leaves.as_ref().is_some_and(|leaves| leaves.may_be(self.events));
        let purging = matches!(found, ClipState::Purging { .. });
        let excused = purging && (begun || states.iter().any(is_expiring));
        assert!(states.contains(&found) || excused, "{}: clip {clip} is {found:?}", self.place);
    }

    fn check_samples(&self, open: &Open) {
        let told = open.told();
        let purging = |clip| matches!(told.states.get(clip), Some(ClipState::Purging { .. }));
        let readable: Vec<&ClipId> = told.closed.keys().filter(|clip| !purging(clip)).collect();
        let count = readable.len().max(1) as u64;
        let turn = self.turn % count;
        for (clip, number) in readable.into_iter().zip(0..) {
            let known = &self.history.clips[clip];
            let touched = known.is_touched(self.events, EVENTS_COMPARED);
            if touched || number == turn || self.turn == 1 {
                self.check_samples_of(open, *clip, known, &told.closed[clip]);
            }
        }
    }

    /// They are what was handed in, and the interpreter was told each chunk once, in order, across
    /// restarts.
    fn check_samples_of(&self, open: &Open, clip: ClipId, known: &Clip, fact: &[u8]) {
        let (place, events) = (&self.place, self.events);
        let contents = open.ring.contents(clip).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(
            count_of(fact) as usize,
            contents.chunks.len(),
            "{place}: chunks of clip {clip}"
        );
        // The same fact with the same bytes: once for each event is enough.
        let listed_before = known.closed.as_ref().is_some_and(|(_, at)| *at <= events);
        let sums = !listed_before || self.turn == 1;
        let (mut found, mut digest) = (Vec::new(), [0; 32]);
        for chunk in &contents.chunks {
            let read = open.ring.read(clip, &chunk.place, 0..u32::MAX);
            let data = read.unwrap_or_else(|error| panic!("{place}: {error}"));
            if sums {
                digest = chain(&digest, blake3::hash(&data).as_bytes());
            }
            found.extend_from_slice(&data);
        }
        assert!(!sums || fact[4..36] == digest, "{place}: the fact of clip {clip}");
        let mut at = 0;
        for piece in &known.pieces {
            let rest = &found[at..];
            let same = rest.len().min(piece.what.len());
            assert!(rest[..same] == piece.what[..same], "{place}: clip {clip} has other bytes");
            let early = same > 0 && !piece.may_be(events);
            assert!(!early, "{place}: clip {clip} has what was not written yet");
            at += same;
            let whole = same == piece.what.len();
            assert!(whole || !piece.must_be(events), "{place}: clip {clip} lost samples");
            if !whole {
                break;
            }
        }
        assert_eq!(at, found.len(), "{place}: clip {clip} has more than was written");
    }

    /// What recovery writes brings nothing back that was wiped.
    fn check_wiped(&self, log: &[Event]) {
        let written: BTreeSet<Marker> = log.iter().flat_map(markers_in).collect();
        for (clip, known) in &self.history.clips {
            let wiped = known.wiped.is_some_and(|at| at <= self.events);
            let back = wiped && written.contains(&known.marker);
            assert!(!back, "{}: clip {clip} was wiped, and is written again", self.place);
        }
    }
}

fn markers_in(event: &Event) -> BTreeSet<Marker> {
    match event {
        Event::Write { bytes, .. } => markers(bytes),
        Event::Flush => BTreeSet::new(),
    }
}

/// The number that a variable of the environment sets.
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

fn first_seed() -> u64 {
    setting("REELFS_SEED").unwrap_or(0)
}

/// A history on a disk, and what was on it before.
struct Played {
    base: Image,
    history: History,
    log: Vec<Event>,
    /// Events of what was there before.
    start: usize,
}

impl Played {
    /// On a new ring on a disk whose blocks are full of another ring's chunks.
    fn on_an_earlier_life(seed: u64, steps: u64) -> Played {
        let disk = Disk::blank(DISK_BYTES);
        format_as(&disk, "cut", [1; 16]);
        drop(play(&disk, 2, STEPS));
        format_as(&disk, "next", [3; 16]);
        let (base, start) = (disk.image(), disk.events());
        let history = play(&disk, seed, steps);
        Played { base, history, log: disk.log(), start }
    }

    /// With the seed that is wanted, or one behind it, what is required happens.
    fn with(seed: u64, steps: u64, lacks: impl Fn(&Played) -> Vec<&'static str>) -> Played {
        for number in 0..HISTORIES_MAX {
            let seed = seed + 10 * (HISTORIES_MAX * first_seed() + number);
            let played = Played::on_an_earlier_life(seed, steps);
            let lacking = lacks(&played);
            if lacking.is_empty() {
                println!("REELFS_SEED={} plays history {seed}", first_seed());
                return played;
            }
            assert!(first_seed() > 0, "the history lacks {lacking:?}");
        }
        panic!("{HISTORIES_MAX} histories lack something");
    }

    fn events(&self) -> &[Event] {
        &self.log[self.start..]
    }

    /// What the history has to hold and does not.
    fn lacks(&self) -> Vec<&'static str> {
        let history = &self.history;
        let set = |wanted: fn(&ClipState) -> bool| {
            let states = history.clips.values().flat_map(|clip| &clip.states);
            states.filter(|state| wanted(&state.what)).count()
        };
        let left = |wanted: Leaves, wiped: bool| {
            let left = |clip: &&Clip| {
                clip.leaves.as_ref().is_some_and(|leaves| leaves.what == wanted)
                    && (!wiped || clip.wiped.is_some())
            };
            history.clips.values().filter(left).count()
        };
        let required = [
            ("three streams", history.streams.len() as u64 == STREAMS),
            ("blocks that clips share", history.blocks_shared > 2),
            ("rm", set(is_expiring) > 2),
            ("restore", set(|state| *state == ClipState::Closed) > 2),
            ("keep", set(is_kept) > 2),
            ("purge", left(Leaves::Purged, false) > 2),
            ("purge with wipe", left(Leaves::Purged, true) > 1),
            ("eviction", left(Leaves::Evicted, false) > 5),
            ("a ring that wraps", self.blocks_begin_again()),
            ("a checkpoint and a switch of areas", self.areas_switch()),
            ("tables of killed clips", history.tables_added > 2),
            ("room", history.chunks_dropped == 0),
        ];
        required.iter().filter(|(_, is_met)| !is_met).map(|(what, _)| *what).collect()
    }

    fn written(events: &[Event], range: &Range<u64>) -> usize {
        let within = |event: &&Event| match event {
            Event::Write { offset, .. } => range.contains(offset),
            Event::Flush => false,
        };
        events.iter().filter(within).count()
    }

    fn blocks_begin_again(&self) -> bool {
        let plan = plan();
        let headers = (0..plan.block_count).map(|block| plan.block_start(BlockNumber(block)).0);
        headers.map(|at| Played::written(self.events(), &(at..at + 1))).max() > Some(1)
    }

    /// A checkpoint has begun in each area: the one that came later only once the ring had gone
    /// over to the one before.
    fn areas_switch(&self) -> bool {
        let starts = [0, 1].map(|area| plan().ledger_start(area).0);
        starts.into_iter().all(|at| Played::written(self.events(), &(at..at + 1)) > 0)
    }

    /// Once a clip is wiped, no cut can bring a sample of it back: none is in what was flushed, and
    /// none in what is written later. A cut leaves nothing else, recovery aside.
    fn check_wipes(&self) {
        let mut cuts = Cuts::new(self.base.unshared(), self.events());
        let mut written = BTreeSet::new();
        let mut wiped = BTreeMap::new();
        for (event, events) in self.events().iter().zip(self.start + 1..) {
            cuts.step();
            for marker in markers_in(event) {
                let clip = wiped.get(&marker);
                assert_eq!(clip, None, "event {events} writes what was wiped");
                written.insert(marker);
            }
            let now = |clip: &(&ClipId, &Clip)| clip.1.wiped == Some(events);
            for (clip, known) in self.history.clips.iter().filter(now) {
                assert!(written.contains(&known.marker), "clip {clip} has never been there");
                assert!(matches!(event, Event::Flush), "clip {clip}: zeros wait for a flush");
                let left = markers(&cuts.flushed().bytes_or_zeros()).contains(&known.marker);
                assert!(!left, "clip {clip} is wiped behind event {events}, and is there");
                wiped.insert(known.marker, *clip);
            }
        }
        println!("{} clips were wiped", wiped.len());
    }

    /// Cuts behind every event, on two threads; every eighth time also once more while the ring is
    /// opened again. Answers how many.
    fn cut_everywhere(&self, outcomes: u64) -> u64 {
        let tried: u64 = std::thread::scope(|scope| {
            let cut = |turn| scope.spawn(move || self.cut_in_turn(turn, outcomes));
            let threads: Vec<_> = (0..THREADS).map(cut).collect();
            threads.into_iter().map(|thread| thread.join().expect("no cut loses anything")).sum()
        });
        let events = self.events().len();
        println!("torture: cuts rounds={events} cuts={tried} failures=0");
        tried
    }

    fn cut_in_turn(&self, turn: usize, outcomes: u64) -> u64 {
        // With pages of its own: counting who shares one would cost more than all the rest.
        let mut cuts = Cuts::new(self.base.unshared(), self.events());
        let mut tried = 0_u64;
        for events in self.start.. {
            if events % THREADS == turn {
                tried += cut_behind(&cuts, &self.history, events, outcomes);
            }
            if turn == 0 && (events - self.start).is_multiple_of(TELL_EVENTS) {
                let (done, all) = (events - self.start, self.events().len());
                println!("behind event {done} of {all}: about {} cuts", tried * THREADS as u64);
            }
            if !cuts.step() {
                break;
            }
        }
        tried
    }
}

fn plan() -> Geometry {
    Geometry::plan(ByteCount(DISK_BYTES), Some(MIB)).expect("as formatted")
}

/// Several outcomes of a cut behind an event; the first is that of a kill, which loses nothing by
/// itself: what waits for a flush goes on waiting.
fn cut_behind(cuts: &Cuts<'_>, history: &History, events: usize, outcomes: u64) -> u64 {
    let mut tried = 0;
    for outcome in 0..outcomes {
        let seed = first_seed() + events as u64 * 1_000_000 + outcome;
        let mut dice = Dice::new(seed);
        let killed = outcome == 0;
        let base = if killed { cuts.flushed() } else { cuts.image(&mut dice) };
        let disk = if killed { cuts.killed() } else { Disk::from_image(base.clone()) };
        let place = format!("REELFS_SEED={}, event {events}, outcome {outcome}", first_seed());
        let cut = Cut { history, events, turn: outcome, given_up: BTreeSet::new(), place };
        let waiting = disk.events();
        let first = cut.recover(&disk);
        let again = if killed { CUTS_OF_A_KILL } else { u64::from(outcome.is_multiple_of(8)) };
        tried += 1 + again;
        for _ in 0..again {
            cut_again((&base, &disk.log(), waiting), &first, &cut, &mut dice);
        }
    }
    tried
}

/// The power goes again: somewhere in the recovery, or right behind it; then nothing that the
/// recovered ring had listed may be missing. Of the log the first events were there before it.
fn cut_again(
    (base, log, waiting): (&Image, &[Event], usize),
    first: &Open,
    cut: &Cut<'_>,
    dice: &mut Dice,
) {
    let behind = dice.roll(2) == 0;
    let recovery = log.len() - waiting;
    let steps = if behind { recovery } else { dice.roll(recovery as u64 + 1) as usize };
    let mut cuts = Cuts::new(base.clone(), log);
    for _ in 0..waiting + steps {
        cuts.step();
    }
    let before = first.told();
    let place = format!("{}, again behind {steps} of {recovery}", cut.place);
    let (given_up, turn) = (before.gone, 2 + dice.roll(1 << 20));
    let again = Cut { given_up, place, turn, ..*cut };
    let second = again.recover(&Disk::from_image(cuts.image(dice)));
    if behind {
        let (after, place) = (second.told(), &again.place);
        for (clip, fact) in before.closed {
            let given_up = after.gone.contains(&clip);
            assert!(given_up || after.closed.get(&clip) == Some(&fact), "{place}: {clip} changed");
        }
    }
}

#[test]
fn a_cut_after_any_write_or_flush_loses_nothing_that_was_acknowledged() {
    let played = Played::with(1, STEPS, Played::lacks);
    played.check_wipes();
    let tried = played.cut_everywhere(setting("REELFS_CUTS").unwrap_or(OUTCOMES));
    let enough = setting("REELFS_CUTS").is_some() || tried >= CUTS_MIN;
    assert!(enough, "{tried} cuts, {CUTS_MIN} are promised");
}

#[test]
fn what_an_earlier_life_left_on_the_disk_is_never_adopted() {
    let full =
        |played: &Played| Vec::from_iter((played.history.chunks_dropped > 0).then_some("room"));
    let played = Played::with(3, STEPS / 4, full);
    played.cut_everywhere(setting("REELFS_CUTS").unwrap_or(OUTCOMES / 4));
}

#[test]
fn a_seed_plays_the_same_history_again() {
    let digest = || {
        let played = Played::on_an_earlier_life(5, STEPS / 4);
        let mut hasher = blake3::Hasher::new();
        for event in played.events() {
            match event {
                Event::Write { offset, bytes } => {
                    hasher.update(&offset.to_le_bytes()).update(bytes)
                }
                Event::Flush => hasher.update(b"flush"),
            };
        }
        hasher.finalize()
    };
    assert_eq!(digest(), digest());
}
