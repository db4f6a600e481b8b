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

#[test]
fn a_flipped_bit_costs_the_unit_that_it_is_in() {
    let disk = formatted(16 * MIB);
    let open = open(&disk);
    let clip = open.writer.new_clip();
    let data = samples(7, 100_000);
    open.writer.append(chunk(clip, 1, data.clone())).unwrap();
    open.writer.end_clip(clip, 0, None);
    open.writer.sync().unwrap();
    let place = open.ring.contents(clip).unwrap().chunks[0].place;
    let geometry = open.ring.superblock().geometry;
    let start = geometry.page_start(place.block, place.first_page).0;
    disk.flip(start + u64::from(place.header_length) + 40_000, 4);
    let read = |range: std::ops::Range<u32>| open.ring.read(clip, &place, range);
    let unit = reelfs::ring::UNIT_BYTES;
    assert_eq!(&*read(0..2 * unit).unwrap(), &data[..2 * unit as usize]);
    let error = read(2 * unit..2 * unit + 1).err().expect("damaged").to_string();
    assert!(error.contains("bytes 32768 on"), "{error}");
    assert!(read(0..100_000).is_err());
    assert_eq!(&*read(3 * unit..100_000).unwrap(), &data[3 * unit as usize..]);
    open.writer.close().unwrap();
}

#[test]
fn after_a_purge_with_wipe_no_sample_is_on_the_device_and_neighbours_are_intact() {
    let disk = formatted(16 * MIB);
    let open = open(&disk);
    let clips: Vec<(ClipId, Vec<u8>)> = (0..3)
        .map(|seed| {
            let clip = open.writer.new_clip();
            let data = samples(100 + seed, 50_000);
            open.writer.append(chunk(clip, 1, data.clone())).unwrap();
            open.writer.end_clip(clip, 0, None);
            (clip, data)
        })
        .collect();
    open.writer.sync().unwrap();
    let block = |clip| open.ring.contents(clip).unwrap().chunks[0].place.block;
    assert_eq!(block(clips[0].0), block(clips[1].0), "they share a block");
    open.writer.purge(clips[1].0, Reason::Deleted, true).unwrap();
    open.writer.sync().unwrap();
    assert!(open.ring.contents(clips[1].0).is_err());
    let raw = disk.image().bytes();
    let windows: std::collections::HashSet<&[u8]> = clips[1].1.windows(64).collect();
    assert!(!raw.windows(64).any(|window| windows.contains(window)), "samples are left");
    for (clip, data) in [&clips[0], &clips[2]] {
        assert_eq!(whole(&open.ring, *clip), *data);
    }
    open.writer.close().unwrap();
    let again = self::open(&disk);
    for (clip, data) in [&clips[0], &clips[2]] {
        assert_eq!(whole(&again.ring, *clip), *data);
    }
    again.writer.close().unwrap();
}

#[test]
fn a_thousand_clips_are_known_without_a_read_outside_of_superblock_and_ledger() {
    let disk = formatted(64 * MIB);
    let first = open(&disk);
    for seed in 0..1000 {
        let clip = first.writer.new_clip();
        first.writer.append(chunk(clip, 1 + seed % 5, samples(u64::from(seed), 500))).unwrap();
        first.writer.end_clip(clip, 0, None);
    }
    first.writer.close().unwrap();
    let blocks = first.ring.superblock().geometry.blocks_start.0;
    *disk.watched.lock().unwrap() = Some(blocks..63 * MIB);
    let second = open(&disk);
    assert_eq!(second.memory.0.lock().unwrap().closed.len(), 1000);
    let reads = disk.watched_reads.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(reads, 0, "reads in blocks");
    second.writer.close().unwrap();
}

/// Bytes that a slow camera of 500 kbit/s sends in a chunk of 1.5 s.
const SLOW_CHUNK_BYTES: usize = 94_000;

#[test]
fn reconnects_and_restarts_waste_at_most_five_percent_and_a_block_per_stream() {
    let disk = formatted(128 * MIB);
    let mut received = 0_u64;
    let mut used = 0;
    for round in 0..100 {
        let open = open(&disk);
        for reconnect in 0..2 {
            for stream in [1, 2] {
                let clip = open.writer.new_clip();
                for part in 0..2 {
                    let data = samples(round * 8 + reconnect * 4 + part, SLOW_CHUNK_BYTES);
                    received += data.len() as u64;
                    open.writer.append(chunk(clip, stream, data)).unwrap();
                }
                open.writer.end_clip(clip, 0, None);
            }
        }
        open.writer.close().unwrap();
        used = open.ring.usage().used.0;
    }
    let chunk_headers = 100 * 8 * 4096;
    let allowed = received + received / 20 + 2 * MIB + chunk_headers;
    println!("received {received}, used {used}: {:.3}", used as f64 / received as f64);
    assert!(used <= allowed, "{used} bytes used for {received}, allowed {allowed}");
}

#[test]
fn an_hour_long_clip_opens_with_at_most_four_reads() {
    let disk = formatted(64 * MIB);
    let first = open(&disk);
    let clip = first.writer.new_clip();
    let table: Arc<[u8]> = Arc::from(samples(1, 230));
    for second in 0..3600 {
        let part = chunk(clip, 1, samples(second, 1000));
        first.writer.append(NewChunk { table: table.clone(), ..part }).unwrap();
    }
    first.writer.end_clip(clip, 0, None);
    first.writer.close().unwrap();
    let second = open(&disk);
    let before = disk.reads.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(second.ring.contents(clip).unwrap().chunks.len(), 3600);
    let reads = disk.reads.load(std::sync::atomic::Ordering::Relaxed) - before;
    assert!(reads <= 4, "{reads} reads");
    second.writer.close().unwrap();
}

#[test]
fn a_clip_is_the_same_with_and_without_its_table() {
    let disk = formatted(32 * MIB);
    let open = open(&disk);
    let clip = open.writer.new_clip();
    for seed in 0..40 {
        open.writer.append(chunk(clip, 1, samples(seed, 50_000))).unwrap();
    }
    open.writer.end_clip(clip, 0, None);
    open.writer.close().unwrap();
    let with_table = open.ring.contents(clip).unwrap();
    let device: &dyn Device = &*disk;
    let inspection = reelfs::ring::Inspection::open(device).unwrap();
    let extent = inspection.clips().find(|(found, _)| *found == clip).unwrap().1.table[0];
    let start = inspection.superblock.geometry.page_start(extent.block, extent.first_page).0;
    disk.flip(start + 300, 1);
    let before = disk.reads.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(open.ring.contents(clip).unwrap(), with_table);
    let reads = disk.reads.load(std::sync::atomic::Ordering::Relaxed) - before;
    assert!(reads > 40, "its chunks were walked");
}
