//! Disks that refuse, rot and lie: what it costs is named, and it costs no more.

mod support;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reelfs::clock::Clock;
use reelfs::device::{AlignedBuffer, Device};
use reelfs::ring::{
    BlockUse, ClipState, FormatOptions, Inspection, NewChunk, Opening, QUEUE_CHUNKS_MAX, Reason,
    Ring, RingError, Settings, StateRequest, Superblock, Writer, format,
};
use reelfs::units::{ByteCount, ClipId, DeviceOffset, StreamNumber, WallTime};
use support::disk::{Cuts, Dice, Disk, Fault, Image, Operation};
use support::memory::{Memory, Set, Still, Told};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

struct Open {
    ring: Arc<Ring>,
    writer: Writer,
    opening: Opening,
    memory: Memory,
}

fn try_open(disk: &Arc<Disk>) -> Result<Open, RingError> {
    try_open_on(disk.clone())
}

fn try_open_on(device: Arc<dyn Device>) -> Result<Open, RingError> {
    try_open_at(device, Arc::new(Still::at(2_000)))
}

fn try_open_at(device: Arc<dyn Device>, clock: Arc<dyn Clock>) -> Result<Open, RingError> {
    let memory = Memory::default();
    // Flushes happen when the test says so.
    let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: true };
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
        pool_uuid: None,
        now: Still::at(1_000).0,
        disk_label: None,
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
    assert_eq!(first.writer.change_state(clip, StateRequest::Remove { until }), Ok(state));
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
fn a_block_that_refuses_a_read_again_and_again_is_left_when_it_is_full() {
    let disk = formatted(16 * MIB);
    let first = open(&disk);
    let clip = first.clip(&samples(1, 50_000));
    let place = first.ring.contents(clip).expect("closed").chunks[0].place;
    let at = first.ring.superblock().geometry.page_start(place.block, place.first_page + 3).0;
    let fault = |left| Fault { operation: Operation::Read, range: at..at + PAGE, left };
    let is_bad = || {
        let inspection = Inspection::open(&*disk).expect("a ring");
        inspection.block(place.block).expect("it reads").used_for == BlockUse::Bad
    };
    let read = || first.ring.read(clip, &place, 0..u32::MAX);

    // An error of the moment says nothing of the block.
    disk.fail(fault(2));
    assert!(read().is_err());
    assert_eq!(first.samples(clip), samples(1, 50_000));
    first.writer.sync().expect("the disk takes writes");
    assert!(!is_bad());

    disk.fail(fault(u64::MAX));
    assert!(read().is_err());
    first.writer.sync().expect("the disk takes writes");
    assert!(!is_bad(), "the stream is still in it");
    let mut clips = Vec::new();
    while clips.last().is_none_or(|&clip| {
        first.ring.contents(clip).expect("closed").chunks[0].place.block == place.block
    }) {
        clips.push(first.clip(&samples(2 + clips.len() as u64, 300_000)));
    }
    first.writer.sync().expect("the disk takes writes");
    assert!(is_bad(), "it is full");
    disk.heal();
    assert_eq!(first.samples(clip), samples(1, 50_000), "what is in it stays");
    first.writer.close().expect("it closes");
    let second = open(&disk);
    for seed in 0..60 {
        let clip = second.clip(&samples(seed, 300_000));
        let places = second.ring.contents(clip).expect("closed").chunks;
        assert!(places.iter().all(|chunk| chunk.place.block != place.block), "it is used");
    }
    second.writer.close().expect("it closes");
}

#[test]
fn a_disk_that_reads_much_of_it_not_for_a_moment_loses_few_blocks() {
    let disk = formatted(32 * MIB);
    let first = open(&disk);
    let clips: Vec<ClipId> = (0..20).map(|seed| first.clip(&samples(seed, 600_000))).collect();
    let place = |clip: &ClipId| first.ring.contents(*clip).expect("closed").chunks[0].place;
    let places: Vec<_> = clips.iter().map(place).collect();
    let geometry = first.ring.superblock().geometry;
    let range = geometry.blocks_start.0..32 * MIB - MIB;
    for _ in 0..3 {
        disk.fail(Fault { operation: Operation::Read, range: range.clone(), left: u64::MAX });
        for (clip, place) in clips.iter().zip(&places) {
            assert!(first.ring.read(*clip, place, 0..9).is_err());
        }
        first.writer.sync().expect("the disk takes writes");
        disk.heal();
        for (clip, seed) in clips.iter().zip(0..) {
            assert_eq!(first.samples(*clip), samples(seed, 600_000));
        }
        first.writer.sync().expect("the disk takes writes");
    }
    assert_eq!(first.ring.usage().bad_blocks, 4);
    first.writer.close().expect("it closes");
}

/// A disk in a file system that is full at times.
struct Crowded {
    disk: Arc<Disk>,
    is_full: AtomicBool,
}

impl Device for Crowded {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.disk.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        self.disk.flush()
    }

    fn length(&self) -> ByteCount {
        self.disk.length()
    }
}

/// Nothing but the ring's clock says that time has passed: a seed can play it again.
#[test]
fn a_pause_for_room_lasts_as_long_by_the_rings_clock() {
    let device = Arc::new(Crowded { disk: formatted(16 * MIB), is_full: AtomicBool::new(false) });
    let clock = Set::at(2_000);
    let first = try_open_at(device.clone(), Arc::new(clock.clone())).expect("it opens");
    first.clip(&samples(1, 5_000));
    let dropped = || first.ring.counters().chunks_dropped;
    let lost = || {
        let (clip, before) = (first.writer.new_clip(), dropped());
        first.append(clip, &samples(2, 5_000));
        first.writer.end_clip(clip, 0, None);
        // While it is full the ledger takes nothing either.
        let _ = first.writer.sync();
        dropped() > before
    };
    device.is_full.store(true, Ordering::SeqCst);
    assert!(lost(), "there is no room");
    device.is_full.store(false, Ordering::SeqCst);
    first.writer.sync().expect("there is room");
    for _ in 0..3 {
        assert!(lost(), "no time has passed");
    }
    clock.pass(Duration::from_nanos(4_999_999_999));
    assert!(lost(), "the pause is not over");
    clock.pass(Duration::from_nanos(1));
    assert!(!lost() && !lost(), "it is over");
    assert_eq!(first.ring.usage().bad_blocks, 0);
    first.writer.close().expect("it closes");
}

#[test]
fn how_many_unreadable_blocks_are_given_up_goes_by_the_rings_clock() {
    let disk = formatted(32 * MIB);
    let clock = Set::at(2_000);
    let first = try_open_at(disk.clone(), Arc::new(clock.clone())).expect("it opens");
    let clips: Vec<ClipId> = (0..20).map(|seed| first.clip(&samples(seed, 600_000))).collect();
    let place = |clip: &ClipId| first.ring.contents(*clip).expect("closed").chunks[0].place;
    let places: Vec<_> = clips.iter().map(place).collect();
    let range = first.ring.superblock().geometry.blocks_start.0..32 * MIB - MIB;
    let bad_after_a_round = || {
        disk.fail(Fault { operation: Operation::Read, range: range.clone(), left: u64::MAX });
        for (clip, place) in clips.iter().zip(&places) {
            assert!(first.ring.read(*clip, place, 0..9).is_err());
        }
        first.writer.sync().expect("the disk takes writes");
        disk.heal();
        first.ring.usage().bad_blocks
    };
    assert_eq!((bad_after_a_round(), bad_after_a_round()), (4, 4));
    clock.pass(Duration::from_secs(599));
    assert_eq!(bad_after_a_round(), 4);
    clock.pass(Duration::from_secs(1));
    assert_eq!((bad_after_a_round(), bad_after_a_round()), (8, 8));
    first.writer.close().expect("it closes");
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
    again.writer.change_state(clip, StateRequest::Expire).expect("it is closed");
    again.writer.free(clip, true).expect("it is purged");
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

/// A disk whose flushes fail for a time: what they should have covered is gone.
struct Losing {
    disk: Arc<Disk>,
    loses: AtomicBool,
    /// Flushes succeed that have nothing to cover.
    flaps: bool,
    /// What was written since the last flush: offsets and lengths.
    written: Mutex<Vec<(DeviceOffset, usize)>>,
}

impl Device for Losing {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        self.written.lock().expect("nobody died").push((offset, bytes.len()));
        self.disk.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        let written = std::mem::take(&mut *self.written.lock().expect("nobody died"));
        if !self.loses.load(Ordering::SeqCst) || self.flaps && written.is_empty() {
            return self.disk.flush();
        }
        for (offset, length) in written {
            self.disk.write_at(offset, &AlignedBuffer::zeroed(length))?;
        }
        Err(io::Error::from_raw_os_error(libc::EIO))
    }

    fn length(&self) -> ByteCount {
        self.disk.length()
    }
}

/// So many flushes that fail, all of them or those with something to do; then the disk is well, and
/// what is said from then on, and what was said before, is known after a crash.
fn check_behind_failed_flushes(length: u64, flushes: usize, flaps: bool) {
    let disk = formatted(length);
    let (loses, written) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let device = Arc::new(Losing { disk: disk.clone(), loses, flaps, written });
    let first = try_open_on(device.clone()).expect("it opens");
    let clip = first.clip(&samples(1, 5_000));
    first.writer.set_stream(StreamNumber(1), vec![1; 2_500]);
    device.loses.store(true, Ordering::SeqCst);
    for _ in 0..flushes {
        first.writer.sync().expect_err("the flush fails");
    }
    device.loses.store(false, Ordering::SeqCst);
    let until = WallTime(9_000);
    let state = ClipState::Expiring { until, reason: Reason::Deleted };
    assert_eq!(first.writer.change_state(clip, StateRequest::Remove { until }), Ok(state));
    first.writer.sync().expect("the disk is well again");
    first.writer.set_stream(StreamNumber(2), vec![2; 2_500]);
    first.writer.sync().expect("the disk is well again");
    let again = open(&Disk::from_image(disk.image()));
    let told = again.told();
    let what = format!("{flushes} flushes, {flaps}: {:?}", again.opening.findings);
    assert_eq!(told.states.get(&clip), Some(&state), "{what}");
    assert_eq!(told.streams.get(&StreamNumber(1)), Some(&vec![1; 2_500]), "{what}");
    assert_eq!(told.streams.get(&StreamNumber(2)), Some(&vec![2; 2_500]), "{what}");
    assert!(again.opening.findings.rotten.is_empty(), "{what}");
    again.writer.close().expect("it closes");
}

#[test]
fn what_is_said_behind_a_long_row_of_failed_flushes_is_found_again() {
    // Areas of a thousand pages: they are not filled by any of these.
    for flushes in [1, 200, 520] {
        for flaps in [false, true] {
            check_behind_failed_flushes(1_100 * MIB, flushes, flaps);
        }
    }
    // More than are passed over in a row: a checkpoint takes the place of the log.
    check_behind_failed_flushes(9_000 * MIB, 4_500, true);
}

/// A disk whose flush waits while the gate is shut.
struct Stalling {
    disk: Arc<Disk>,
    gate: Mutex<()>,
}

impl Device for Stalling {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        self.disk.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        let _open = self.gate.lock().expect("nobody died");
        self.disk.flush()
    }

    fn length(&self) -> ByteCount {
        self.disk.length()
    }
}

#[test]
fn no_recorder_waits_for_room_for_what_it_observes_while_the_disk_stalls() {
    let device = Arc::new(Stalling { disk: formatted(16 * MIB), gate: Mutex::new(()) });
    let open = try_open_on(device.clone()).expect("it opens");
    let shut = device.gate.lock().expect("nobody died");
    let clip = open.writer.new_clip();
    open.append(clip, &samples(1, 20_000));
    let writer = open.writer.clone();
    let synced = std::thread::spawn(move || writer.sync());
    let writer = open.writer.clone();
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for second in 0..4 * QUEUE_CHUNKS_MAX as i64 {
            let at = WallTime(second * 1_000_000_000);
            writer.observe(StreamNumber(1), at, at, b"lost".to_vec());
        }
        done.send(())
    });
    wait.recv_timeout(Duration::from_secs(20)).expect("nobody waits for the disk");
    drop(shut);
    synced.join().expect("nobody died").expect("the disk answers again");
    open.writer.sync().expect("the disk is well");
    let next = open.clip(&samples(2, 20_000));
    assert_eq!(open.samples(next), samples(2, 20_000));
    open.writer.close().expect("it closes");
}
