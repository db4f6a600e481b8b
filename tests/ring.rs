//! The ring as a whole, on a disk that forgets: what it says is there, is.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reelfs::device::Device;
use reelfs::ring::{
    ClipState, FormatOptions, NewChunk, Opening, Reason, Ring, Settings, StateRefused,
    StateRequest, Writer, format,
};
use reelfs::units::{ByteCount, ClipId, StreamNumber, WallTime};
use support::disk::{Dice, Disk};
use support::memory::{Memory, Still};

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
        pool_uuid: None,
        now,
        disk_label: None,
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
    let before = disk.reads.load(Ordering::Relaxed);
    let contents = second.ring.contents(clip).unwrap();
    let reads = disk.reads.load(Ordering::Relaxed) - before;
    assert!(contents.chunks.len() >= 100);
    assert!(reads <= 2, "{reads} reads");
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
    open.writer.change_state(clips[1].0, StateRequest::Expire).unwrap();
    open.writer.free(clips[1].0, true).unwrap();
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
fn what_was_restored_before_it_was_to_be_purged_stays() {
    let disk = formatted(16 * MIB);
    let open = open(&disk);
    let clip = open.writer.new_clip();
    let data = samples(7, 30_000);
    open.writer.append(chunk(clip, 1, data.clone())).unwrap();
    open.writer.end_clip(clip, 0, None);
    open.writer.sync().unwrap();
    let until = WallTime(5);
    let expiring = ClipState::Expiring { until, reason: Reason::Deleted };
    assert_eq!(open.writer.change_state(clip, StateRequest::Remove { until }), Ok(expiring));
    open.writer.sync().unwrap();
    // The writer is busy, so that all of this waits: somebody restores the clip, and who decided
    // to purge it before does not know.
    disk.slowness.store(400_000, Ordering::Relaxed);
    let other = open.writer.new_clip();
    open.writer.append(chunk(other, 2, samples(8, 30_000))).unwrap();
    let writer = open.writer.clone();
    let flush = std::thread::spawn(move || writer.sync());
    std::thread::sleep(Duration::from_millis(100));
    let restored = open.writer.change_state(clip, StateRequest::Restore);
    assert_eq!(restored, Ok(ClipState::Closed));
    let expire = || open.writer.change_state_from(clip, expiring, StateRequest::Expire);
    assert_eq!(expire(), Err(StateRefused::Changed));
    open.writer.free(clip, false).unwrap();
    assert_eq!(open.writer.free(clip, true).unwrap(), ByteCount(0));
    disk.slowness.store(0, Ordering::Relaxed);
    flush.join().unwrap().unwrap();
    open.writer.sync().unwrap();
    assert_eq!(whole(&open.ring, clip), data);
    assert_eq!(expire(), Err(StateRefused::Changed));
    open.writer.close().unwrap();
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
    let reads = disk.watched_reads.load(Ordering::Relaxed);
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
    let before = disk.reads.load(Ordering::Relaxed);
    assert_eq!(second.ring.contents(clip).unwrap().chunks.len(), 3600);
    let reads = disk.reads.load(Ordering::Relaxed) - before;
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
    let before = disk.reads.load(Ordering::Relaxed);
    assert_eq!(open.ring.contents(clip).unwrap(), with_table);
    let reads = disk.reads.load(Ordering::Relaxed) - before;
    assert!(reads > 40, "its chunks were walked");
}
