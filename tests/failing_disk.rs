//! Disks that refuse, rot and lie: what it costs is named, and it costs no more.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reelfs::device::Device;
use reelfs::ring::{
    ClipState, FormatOptions, Geometry, Inspection, NewChunk, Opening, Reason, Ring, RingError,
    Settings, Superblock, Writer, format,
};
use reelfs::units::{ClipId, DeviceOffset, StreamNumber, WallTime};
use support::disk::{Cuts, Dice, Disk, Image};
use support::memory::{Memory, Still, Told};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

struct Open {
    ring: Arc<Ring>,
    writer: Writer,
    opening: Opening,
    memory: Memory,
}

fn try_open(disk: &Arc<Disk>) -> Result<Open, RingError> {
    let memory = Memory::default();
    // Flushes happen when the test says so.
    let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: true };
    let device: Arc<dyn Device> = disk.clone();
    let clock = Arc::new(Still::at(2_000));
    let (ring, writer, opening) = Ring::open(device, clock, &settings, Box::new(memory.clone()))?;
    Ok(Open { ring, writer, opening, memory })
}

fn open(disk: &Arc<Disk>) -> Open {
    try_open(disk).expect("it opens")
}

impl Open {
    fn told(&self) -> Told {
        self.memory.0.lock().expect("nobody died").clone()
    }

    fn append(&self, clip: ClipId, data: &[u8]) {
        let chunk = NewChunk {
            clip,
            stream: StreamNumber(1),
            parameters: vec![Arc::from(&b"parameters"[..])],
            table: Arc::from(&b"table"[..]),
            data: data.to_vec(),
        };
        self.writer.append(chunk).expect("there is room");
    }

    /// A closed clip of one chunk.
    fn clip(&self, data: &[u8]) -> ClipId {
        let clip = self.writer.new_clip();
        self.append(clip, data);
        self.writer.end_clip(clip, 0, None);
        self.writer.sync().expect("the disk is in order");
        clip
    }

    fn samples(&self, clip: ClipId) -> Vec<u8> {
        let contents = self.ring.contents(clip).expect("it opens");
        let read = |place| self.ring.read(clip, place, 0..u32::MAX).expect("it reads").to_vec();
        contents.chunks.iter().flat_map(|chunk| read(&chunk.place)).collect()
    }
}

fn formatted(length: u64) -> Arc<Disk> {
    let disk = Disk::blank(length);
    let options = FormatOptions {
        block_length: Some(MIB),
        label: "fail".into(),
        ring_uuid: [1; 16],
        node_uuid: [2; 16],
        now: Still::at(1_000).0,
    };
    format(&*disk, &options).expect("it is large enough");
    disk
}

fn samples(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    (0..length).map(|_| dice.roll(256) as u8).collect()
}

/// What is left when the power goes now: nothing that no flush covered.
fn after_a_cut(disk: &Disk, base: &Image) -> Arc<Disk> {
    let log = disk.log();
    let mut cuts = Cuts::new(base.clone(), &log);
    while cuts.step() {}
    Disk::from_image(cuts.flushed())
}

#[test]
fn what_a_failed_flush_should_have_covered_is_dropped_and_the_rest_is_kept() {
    let disk = formatted(16 * MIB);
    let base = disk.image();
    let first = open(&disk);
    let clip = first.writer.new_clip();
    first.append(clip, &samples(1, 5_000));
    first.writer.sync().expect("the disk is in order");
    first.append(clip, &samples(2, 5_000));
    first.writer.end_clip(clip, 0, None);
    disk.failing_flushes.store(1, Ordering::Relaxed);
    assert!(first.writer.sync().is_err());
    assert_eq!(first.ring.counters().chunks_dropped, 1);
    first.writer.sync().expect("the disk is in order again");
    first.writer.sync().expect("the disk is in order again");
    assert_eq!(first.samples(clip), samples(1, 5_000), "it ends at the last good flush");
    assert!(first.told().closed.contains_key(&clip), "it is listed without a restart");
    let next = first.clip(&samples(3, 5_000));
    let second = open(&after_a_cut(&disk, &base));
    assert_eq!(second.samples(clip), samples(1, 5_000));
    assert_eq!(second.samples(next), samples(3, 5_000));
}

#[test]
fn a_deletion_after_a_failed_flush_survives_a_cut() {
    let disk = formatted(16 * MIB);
    let base = disk.image();
    let first = open(&disk);
    let clip = first.clip(&samples(1, 5_000));
    first.writer.set_stream(StreamNumber(1), vec![1; 2_000]);
    disk.failing_flushes.store(1, Ordering::Relaxed);
    assert!(first.writer.sync().is_err());
    let until = WallTime(9_000);
    let state = ClipState::Expiring { until, reason: Reason::Deleted };
    assert!(first.writer.set_state(clip, state));
    first.writer.sync().expect("the disk is in order again");
    // The page that the failed flush should have covered never got there.
    let cut = after_a_cut(&disk, &base);
    let geometry = first.ring.superblock().geometry;
    let lost = disk.failed_writes();
    let page = lost.iter().find(|at| **at < geometry.blocks_start.0).expect("a ledger page");
    let mut image = cut.image();
    image.write(*page, &[0; PAGE as usize]);
    let second = open(&Disk::from_image(image));
    assert_eq!(second.told().states.get(&clip), Some(&state));
    assert_eq!(second.told().streams[&StreamNumber(1)], vec![1; 2_000]);
    assert!(second.opening.findings.rotten.is_empty(), "{:?}", second.opening.findings);
}

#[test]
fn a_block_that_refuses_a_write_is_left_for_good() {
    let disk = formatted(16 * MIB);
    let first = open(&disk);
    let clip = first.writer.new_clip();
    first.append(clip, &samples(1, 50_000));
    first.writer.sync().expect("the disk is in order");
    let contents = first.ring.contents(clip).expect("it grows");
    let geometry = first.ring.superblock().geometry;
    let block = contents.chunks[0].place.block;
    let start = geometry.block_start(block).0;
    *disk.refusing.lock().expect("alive") = Some(start..start + MIB);
    first.append(clip, &samples(2, 50_000));
    first.writer.sync().expect("the rest of the disk is in order");
    first.writer.sync().expect("the rest of the disk is in order");
    assert_eq!(first.samples(clip), samples(1, 50_000));
    let next = first.clip(&samples(3, 50_000));
    assert_ne!(first.ring.contents(next).expect("closed").chunks[0].place.block, block);
    first.writer.close().expect("it closes");
    let second = open(&disk);
    assert_eq!(second.samples(clip), samples(1, 50_000));
    for seed in 0..30 {
        let clip = second.clip(&samples(seed, 300_000));
        let places = second.ring.contents(clip).expect("closed").chunks;
        assert!(places.iter().all(|chunk| chunk.place.block != block), "the bad block is used");
    }
    assert_eq!(second.ring.counters().errors(), 0);
    second.writer.close().expect("it closes");
}

#[test]
fn a_fact_that_no_page_can_hold_is_refused_and_the_ring_goes_on() {
    let disk = formatted(16 * MIB);
    let open = open(&disk);
    open.writer.set_stream(StreamNumber(1), vec![1; 5_000]);
    open.writer.observe(StreamNumber(1), WallTime(1), WallTime(2), vec![2; 5_000]);
    let clip = open.clip(&samples(1, 5_000));
    assert_eq!(open.samples(clip), samples(1, 5_000));
    assert!(open.told().streams.is_empty(), "what is not on the disk is not told");
    open.writer.close().expect("it closes");
}

#[test]
fn observations_make_room_for_one_another_and_not_the_clips_for_them() {
    let disk = formatted(12 * MIB);
    let first = open(&disk);
    let clip = first.clip(&samples(1, 5_000));
    for at in 0..3_000 {
        first.writer.observe(StreamNumber(1), WallTime(at), WallTime(at), vec![3; 100]);
        if at % 50 == 0 {
            first.writer.sync().expect("the disk is in order");
        }
    }
    first.writer.close().expect("it closes");
    let second = open(&disk);
    assert!(second.told().closed.contains_key(&clip));
    second.writer.close().expect("it closes");
    let inspection = Inspection::open(&*disk).expect("a ring");
    let times: Vec<i64> = inspection.observations().map(|(_, from, ..)| from.0).collect();
    assert!(times.len() > 100, "{} are left", times.len());
    assert!(times.windows(2).all(|pair| pair[0] + 1 == pair[1]), "each once, in order");
    assert_eq!(times.last(), Some(&2_999));
}

#[test]
fn a_damaged_first_superblock_is_repaired_from_its_copy() {
    let disk = formatted(16 * MIB);
    let clip = open(&disk).clip(&samples(1, 5_000));
    let before = disk.image();
    disk.flip(100, 1);
    let second = open(&disk);
    assert!(second.opening.superblock_from_copy);
    assert_eq!(second.samples(clip), samples(1, 5_000));
    second.writer.close().expect("it closes");
    let page = |image: &Image| {
        let mut page = vec![0; PAGE as usize];
        image.read(0, &mut page);
        page
    };
    assert_eq!(page(&disk.image()), page(&before));
}

#[test]
fn a_ring_with_unknown_features_for_writing_is_only_looked_at() {
    let disk = formatted(16 * MIB);
    let page = reelfs::device::read(&*disk, DeviceOffset(0), PAGE as usize).expect("it reads");
    let mut superblock = Superblock::decode(&page).expect("a superblock");
    superblock.ro_compat = 4;
    let mut image = disk.image();
    image.write(0, &superblock.encode());
    let disk = Disk::from_image(image);
    assert!(matches!(try_open(&disk), Err(RingError::ReadOnly { features: 4 })));
    assert!(Inspection::open(&*disk).is_ok());
}

/// A ring with ten clips, each flushed by itself, that then ended in order or did not.
fn with_clips(close: bool) -> (Arc<Disk>, Vec<(ClipId, Vec<u8>)>) {
    let disk = formatted(16 * MIB);
    let open = open(&disk);
    let clips = (0..10)
        .map(|seed| {
            let data = samples(seed, 2_000);
            (open.clip(&data), data)
        })
        .collect();
    if close {
        open.writer.close().expect("it closes");
    }
    (disk, clips)
}

fn pages_of_area(disk: &Disk, geometry: &Geometry, area: usize) -> u64 {
    let mut bytes = vec![0; geometry.ledger_area.0 as usize];
    disk.image().read(geometry.ledger_start(area).0, &mut bytes);
    let pages = bytes.chunks(PAGE as usize);
    pages.take_while(|page| page.iter().any(|byte| *byte != 0)).count() as u64
}

/// Stream facts until the other ledger area serves.
fn turn_the_ledger(open: &Open, disk: &Disk, area: usize) {
    let geometry = open.ring.superblock().geometry;
    for round in 0..200 {
        open.writer.set_stream(StreamNumber(1), vec![round; 2_000]);
        open.writer.sync().expect("the disk is in order");
        if pages_of_area(disk, &geometry, area) > 4 {
            return;
        }
    }
    panic!("the ledger did not turn");
}

#[test]
fn a_rotten_checkpoint_costs_nothing_that_the_area_before_still_knows() {
    let disk = formatted(16 * MIB);
    let open = self::open(&disk);
    // Enough for a checkpoint of several pages.
    let clips: Vec<(ClipId, u64)> = (0..120)
        .map(|seed| {
            let clip = open.writer.new_clip();
            open.append(clip, &samples(seed, 200));
            open.writer.end_clip(clip, 0, None);
            (clip, seed)
        })
        .collect();
    open.writer.sync().expect("the disk is in order");
    assert!(pages_of_area(&disk, &open.ring.superblock().geometry, 1) == 0, "too early");
    turn_the_ledger(&open, &disk, 1);
    let geometry = open.ring.superblock().geometry;
    let deleted = clips[100].0;
    open.writer.purge(deleted, Reason::Deleted, false).expect("it is purged");
    open.writer.close().expect("it closes");
    disk.flip(geometry.ledger_start(1).0 + 2 * PAGE + 100, 1);
    let again = self::open(&disk);
    assert_eq!(again.opening.findings.rotten, [(1, 2)]);
    assert!(again.opening.findings.clips_restored > 10, "{:?}", again.opening.findings);
    let closed = again.told().closed;
    assert!(!closed.contains_key(&deleted), "what was deleted since stays deleted");
    for (clip, seed) in clips.iter().filter(|(clip, _)| *clip != deleted) {
        assert!(closed.contains_key(clip), "clip {clip} is lost");
        assert_eq!(again.samples(*clip), samples(*seed, 200));
    }
    again.writer.close().expect("it closes");
}

#[test]
fn where_a_whole_ledger_area_is_lost_the_one_before_serves() {
    let disk = formatted(16 * MIB);
    let first = open(&disk);
    let clips: Vec<_> = (0..20).map(|seed| (first.clip(&samples(seed, 200)), seed)).collect();
    turn_the_ledger(&first, &disk, 1);
    first.writer.close().expect("it closes");
    let geometry = first.ring.superblock().geometry;
    let mut image = disk.image();
    image.write(geometry.ledger_start(1).0, &vec![0; geometry.ledger_area.0 as usize]);
    let second = open(&Disk::from_image(image));
    for (clip, seed) in clips {
        assert_eq!(second.samples(clip), samples(seed, 200));
    }
    second.writer.close().expect("it closes");
    let mut image = disk.image();
    let both = 2 * geometry.ledger_area.0 as usize;
    image.write(geometry.ledger_start(0).0, &vec![0; both]);
    assert!(matches!(try_open(&Disk::from_image(image)), Err(RingError::LedgerLost)));
}

#[test]
fn a_header_that_cannot_be_read_does_not_keep_samples_from_being_wiped() {
    let disk = formatted(16 * MIB);
    let first = open(&disk);
    let clip = first.writer.new_clip();
    let data = samples(1, 30_000);
    first.append(clip, &data);
    first.append(clip, &samples(2, 30_000));
    first.writer.end_clip(clip, 0, None);
    let neighbour = first.clip(&samples(3, 30_000));
    let chunks = first.ring.contents(clip).expect("it opens").chunks;
    let geometry = first.ring.superblock().geometry;
    let second = geometry.page_start(chunks[1].place.block, chunks[1].place.first_page).0;
    first.writer.close().expect("it closes");
    let mut image = disk.image();
    image.spoil(second);
    let disk = Disk::from_image(image);
    let again = open(&disk);
    again.writer.purge(clip, Reason::Deleted, true).expect("it is purged");
    again.writer.sync().expect("the disk is in order");
    let raw = disk.image().bytes();
    let windows: std::collections::HashSet<&[u8]> = data.windows(64).collect();
    assert!(!raw.windows(64).any(|window| windows.contains(window)), "samples are left");
    let other = samples(2, 30_000);
    let windows: std::collections::HashSet<&[u8]> = other.windows(64).collect();
    assert!(!raw.windows(64).any(|window| windows.contains(window)), "samples are left");
    assert_eq!(again.samples(neighbour), samples(3, 30_000), "it uses the same parameter set");
    again.writer.close().expect("it closes");
}

/// What a rotten checkpoint leaves where the area before is gone, too: the clip whose extent stands
/// at the end of a page and whose fact stood on the next.
#[test]
fn a_clip_whose_fact_has_rotted_is_found_in_its_block_and_is_expiring() {
    let disk = formatted(16 * MIB);
    let first = open(&disk);
    for seed in 0..120 {
        let clip = first.writer.new_clip();
        first.append(clip, &samples(seed, 200));
        first.writer.end_clip(clip, 0, None);
    }
    first.writer.sync().expect("the disk is in order");
    turn_the_ledger(&first, &disk, 1);
    first.writer.close().expect("it closes");
    let geometry = first.ring.superblock().geometry;
    let mut image = disk.image();
    image.write(geometry.ledger_start(0).0, &vec![0; geometry.ledger_area.0 as usize]);
    image.flip(geometry.ledger_start(1).0 + 2 * PAGE + 100, 1);
    let disk = Disk::from_image(image);
    let second = open(&disk);
    let [found] = second.opening.clips_found[..] else { panic!("{:?}", second.opening) };
    let state = second.told().states.get(&found).copied();
    assert!(matches!(state, Some(ClipState::Expiring { .. })), "{state:?}");
    assert_eq!(second.samples(found).len(), 200);
    second.writer.close().expect("it closes");
    let third = open(&disk);
    assert_eq!(third.told().states.get(&found).copied(), state);
    third.writer.close().expect("it closes");
}

#[test]
fn a_rotten_page_in_the_middle_of_the_ledger_costs_what_it_said_and_is_reported() {
    let (disk, clips) = with_clips(true);
    let geometry = Inspection::open(&*disk).expect("a ring").superblock.geometry;
    disk.flip(geometry.ledger_start(0).0 + 12 * PAGE + 80, 1);
    let open = open(&disk);
    assert_eq!(open.opening.findings.rotten, [(0, 12)]);
    let left = open.told().closed;
    assert!(left.len() >= 8, "{} clips of ten", left.len());
    for (clip, data) in clips.iter().filter(|(clip, _)| left.contains_key(clip)) {
        assert_eq!(open.samples(*clip), *data);
    }
    open.writer.close().expect("it closes");
    let again = self::open(&disk);
    assert!(again.opening.findings.is_clean(), "a new checkpoint has taken its place");
    assert_eq!(again.told().closed.len(), left.len());
    again.writer.close().expect("it closes");
}

#[test]
fn rot_before_the_last_page_does_not_cost_the_last_page() {
    let (disk, clips) = with_clips(false);
    let geometry = Inspection::open(&*disk).expect("a ring").superblock.geometry;
    let last_but_one = pages_of_area(&disk, &geometry, 0) - 2;
    disk.flip(geometry.ledger_start(0).0 + last_but_one * PAGE, 1);
    let open = open(&disk);
    assert_eq!(open.opening.findings.rotten, [(0, last_but_one as u32)]);
    let (last, data) = clips.last().expect("ten");
    assert_eq!(open.samples(*last), *data);
    open.writer.close().expect("it closes");
}
