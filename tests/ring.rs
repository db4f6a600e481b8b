//! The ring as a whole, on a disk that forgets: what it says is there, is.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reelfs::device::Device;
use reelfs::ring::{
    ClipState, FormatOptions, NewChunk, Opening, Reason, Ring, Settings, Writer, format,
};
use reelfs::units::{ClipId, StreamNumber, WallTime};
use support::disk::{self, Dice, Disk, Image};
use support::memory::{Memory, Still, chain, count_of};

const MIB: u64 = 1 << 20;

struct Open {
    ring: Arc<Ring>,
    writer: Writer,
    opening: Opening,
    memory: Memory,
}

fn formatted(length: u64) -> Arc<Disk> {
    let disk = Disk::blank(length);
    let now = Still::at(1_000).0;
    let options = FormatOptions {
        block_length: Some(MIB),
        label: "test".into(),
        ring_uuid: [1; 16],
        node_uuid: [2; 16],
        now,
    };
    format(&*disk, &options).unwrap();
    disk
}

fn open(disk: &Arc<Disk>) -> Open {
    let memory = Memory::default();
    // Flushes happen when the test says so.
    let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: true };
    let device: Arc<dyn Device> = disk.clone();
    let clock = Arc::new(Still::at(2_000));
    let (ring, writer, opening) =
        Ring::open(device, clock, &settings, Box::new(memory.clone())).unwrap();
    Open { ring, writer, opening, memory }
}

fn samples(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    (0..length).map(|_| dice.roll(256) as u8).collect()
}

fn chunk(clip: ClipId, stream: u32, data: Vec<u8>) -> NewChunk {
    NewChunk {
        clip,
        stream: StreamNumber(stream),
        parameters: vec![Arc::from(&b"parameters"[..])],
        table: Arc::from(format!("table of {}", data.len()).into_bytes()),
        data,
    }
}

fn whole(ring: &Ring, clip: ClipId) -> Vec<u8> {
    let contents = ring.contents(clip).unwrap();
    let mut all = Vec::new();
    for chunk in &contents.chunks {
        let length = chunk.place.data_length;
        all.extend_from_slice(&ring.read(clip, &chunk.place, 0..length).unwrap());
    }
    all
}

#[test]
fn what_was_written_is_read_back_before_and_after_a_restart() {
    let disk = formatted(16 * MIB);
    let first = open(&disk);
    let clip = first.writer.new_clip();
    let mut expected = Vec::new();
    for seed in 0..20 {
        let data = samples(seed, 30_000 + seed as usize * 100);
        expected.extend_from_slice(&data);
        first.writer.append(chunk(clip, 1, data)).unwrap();
    }
    first.writer.end_clip(clip, 0, None);
    first.writer.sync().unwrap();
    assert_eq!(whole(&first.ring, clip), expected);
    assert!(first.memory.0.lock().unwrap().closed.contains_key(&clip));
    first.writer.close().unwrap();

    let second = open(&disk);
    assert!(second.opening.was_clean);
    assert_eq!(whole(&second.ring, clip), expected);
    second.writer.close().unwrap();
}

#[test]
fn a_clip_with_a_table_opens_with_one_read() {
    let disk = formatted(32 * MIB);
    let first = open(&disk);
    let clip = first.writer.new_clip();
    for seed in 0..100 {
        first.writer.append(chunk(clip, 1, samples(seed, 50_000))).unwrap();
    }
    first.writer.end_clip(clip, 0, None);
    first.writer.close().unwrap();
    let second = open(&disk);
    let before = disk.reads.load(std::sync::atomic::Ordering::Relaxed);
    let contents = second.ring.contents(clip).unwrap();
    let reads = disk.reads.load(std::sync::atomic::Ordering::Relaxed) - before;
    assert!(contents.chunks.len() >= 100);
    assert!(reads <= 2, "{reads} reads");
}

/// What the test handed in, and at which event it knew that it was durable.
struct Clip {
    pieces: Vec<(Vec<u8>, usize)>,
    ended: Option<usize>,
    deleted: Option<usize>,
    evicted: bool,
    /// Somebody asked for its removal, durably or not.
    removed: bool,
}

/// Three streams, short and long clips, deletions and evictions, on a ring of few blocks.
fn history(disk: &Arc<Disk>, rounds: u64, size: u64) -> BTreeMap<ClipId, Clip> {
    let open = open(disk);
    let mut dice = Dice::new(42);
    let mut clips: BTreeMap<ClipId, Clip> = BTreeMap::new();
    let mut growing: Vec<Option<ClipId>> = vec![None; 3];
    let mut unacknowledged: Vec<(ClipId, Vec<u8>)> = Vec::new();
    for round in 0..rounds {
        let stream = dice.roll(3) as usize;
        let clip = *growing[stream].get_or_insert_with(|| open.writer.new_clip());
        clips.entry(clip).or_insert(Clip {
            pieces: vec![],
            ended: None,
            deleted: None,
            evicted: false,
            removed: false,
        });
        let data = samples(round, 100 * (1 + dice.roll(size) as usize));
        if open.writer.append(chunk(clip, stream as u32 + 1, data.clone())).is_ok() {
            unacknowledged.push((clip, data));
        }
        let mut ended = Vec::new();
        if dice.roll(4) == 0 {
            open.writer.end_clip(clip, 0, None);
            growing[stream] = None;
            ended.push(clip);
        }
        let mut deleted = Vec::new();
        if dice.roll(6) == 0 {
            let told = open.memory.0.lock().unwrap().closed.keys().next_back().copied();
            if let Some(victim) = told {
                let until = WallTime(9_000);
                let state = ClipState::Expiring { until, reason: Reason::Deleted };
                if open.writer.set_state(victim, state) {
                    deleted.push(victim);
                    clips.get_mut(&victim).unwrap().removed = true;
                }
            }
        }
        if dice.roll(3) == 0 || !ended.is_empty() {
            open.writer.sync().unwrap();
            let now = disk.events();
            for (clip, data) in unacknowledged.drain(..) {
                clips.get_mut(&clip).unwrap().pieces.push((data, now));
            }
            for clip in ended {
                clips.get_mut(&clip).unwrap().ended = Some(now);
            }
            for clip in deleted {
                clips.get_mut(&clip).unwrap().deleted = Some(now);
            }
        } else {
            open.writer.sync().unwrap();
            for (clip, data) in unacknowledged.drain(..) {
                clips.get_mut(&clip).unwrap().pieces.push((data, disk.events()));
            }
        }
    }
    let gone = &open.memory.0.lock().unwrap().gone;
    for clip in gone {
        clips.get_mut(clip).unwrap().evicted = true;
    }
    clips
}

fn check_after_cut(image: Image, clips: &BTreeMap<ClipId, Clip>, events: usize, seed: u64) {
    let disk = Disk::from_image(image);
    let open = open(&disk);
    let told = open.memory.0.lock().unwrap().clone();
    for (clip, expected) in clips {
        let acknowledged: Vec<u8> = expected
            .pieces
            .iter()
            .filter(|(_, at)| *at <= events)
            .flat_map(|(data, _)| data.clone())
            .collect();
        let possible: Vec<u8> = expected.pieces.iter().flat_map(|(data, _)| data.clone()).collect();
        // A full ring makes room for what comes when it is opened.
        let evicted = expected.evicted || told.gone.contains(clip);
        if !acknowledged.is_empty() && !evicted {
            assert!(told.closed.contains_key(clip), "clip {clip} is lost, event {events}, {seed}");
        }
        if told.closed.contains_key(clip) {
            if let Some(ClipState::Purging { .. }) = told.states.get(clip) {
                assert!(expected.removed, "clip {clip} is purged unasked");
                continue;
            }
            let found = whole(&open.ring, *clip);
            let place = format!("clip {clip} after event {events}, seed {seed}");
            assert!(found.starts_with(&acknowledged), "{place}: acknowledged samples are lost");
            assert!(possible.starts_with(&found), "{place}: other bytes than were written");
            if expected.deleted.is_some_and(|at| at <= events) {
                let state = told.states.get(clip);
                assert!(matches!(state, Some(ClipState::Expiring { .. })), "{place}: undeleted");
            }
            let contents = open.ring.contents(*clip).unwrap();
            let fact = &told.closed[clip];
            assert_eq!(count_of(fact) as usize, contents.chunks.len(), "{place}");
            let digest = contents.chunks.iter().fold([0; 32], |before, chunk| {
                let data = open.ring.read(*clip, &chunk.place, 0..u32::MAX).unwrap();
                chain(&before, blake3::hash(&data).as_bytes())
            });
            assert_eq!(fact[4..36], digest, "{place}");
        }
    }
    drop(told);
    open.writer.close().unwrap();
}

#[test]
fn a_cut_after_any_write_keeps_every_flushed_sample() {
    let disk = formatted(24 * MIB);
    let base = disk.image();
    let log_start = disk.events();
    let clips = history(&disk, 60, 900);
    let log = disk.log();
    for events in log_start..=log.len() {
        for outcome in 0..2 {
            let seed = (events * 10 + outcome) as u64;
            let image =
                disk::cut(&base, &log[log_start..], events - log_start, &mut Dice::new(seed));
            check_after_cut(image, &clips, events, seed);
        }
    }
}

#[test]
fn a_cut_on_a_ring_that_turns_keeps_every_flushed_sample_that_was_not_evicted() {
    let disk = formatted(12 * MIB);
    let base = disk.image();
    let log_start = disk.events();
    let clips = history(&disk, 120, 7000);
    assert!(clips.values().filter(|clip| clip.evicted).count() > 5, "the ring did not turn");
    let log = disk.log();
    for events in (log_start..=log.len()).step_by(3) {
        let seed = events as u64;
        let image = disk::cut(&base, &log[log_start..], events - log_start, &mut Dice::new(seed));
        check_after_cut(image, &clips, events, seed);
    }
}
