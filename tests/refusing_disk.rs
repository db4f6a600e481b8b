//! A disk that refuses: single pages, everything, or by not being there. Nothing that was
//! acknowledged is lost, nothing is given up for what can't be stored, and it goes on by itself.

mod support;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use reelfs::device::{AlignedBuffer, Device};
use reelfs::ring::{ClipState, Geometry, Refused, StateRefused, StateRequest};
use reelfs::units::{ByteCount, ClipId, DeviceOffset, StreamNumber, WallTime};
use support::disk::Disk;
use support::opened::{Open, formatted, open, open_or_wait, samples, try_open};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// A disk that can be pulled out, and whose pages can refuse to be written.
struct Fickle {
    disk: Arc<Disk>,
    pulled: AtomicBool,
    refusing_all: AtomicBool,
    /// What it says then.
    errno: AtomicI32,
    /// Offsets of pages; each refuses for ever.
    refusing: Vec<u64>,
    refusals: AtomicU64,
}

impl Fickle {
    /// Over a disk of which these pages of a ledger area refuse.
    fn over_ledger(disk: Arc<Disk>, area: usize, pages: Range<u64>) -> Arc<Fickle> {
        let start = geometry(&disk).ledger_start(area).0;
        Fickle::over(disk, pages.map(|page| start + page * PAGE).collect())
    }

    fn over(disk: Arc<Disk>, refusing: Vec<u64>) -> Arc<Fickle> {
        Arc::new(Fickle {
            disk,
            pulled: AtomicBool::new(false),
            refusing_all: AtomicBool::new(false),
            errno: AtomicI32::new(libc::EIO),
            refusing,
            refusals: AtomicU64::new(0),
        })
    }

    fn refuse_all(&self, errno: i32) {
        self.errno.store(errno, Ordering::SeqCst);
        self.refusals.store(0, Ordering::SeqCst);
        self.refusing_all.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        let gone = self.pulled.load(Ordering::SeqCst);
        if gone { Err(io::Error::from_raw_os_error(libc::ENXIO)) } else { Ok(()) }
    }
}

impl Device for Fickle {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.check()?;
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        self.check()?;
        let range = offset.0..offset.0 + bytes.len() as u64;
        let refused = self.refusing.iter().any(|page| range.contains(page));
        if refused || self.refusing_all.load(Ordering::SeqCst) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(self.errno.load(Ordering::SeqCst)));
        }
        self.disk.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        self.check()?;
        self.disk.flush()
    }

    fn length(&self) -> ByteCount {
        self.disk.length()
    }

    fn is_present(&self) -> bool {
        !self.pulled.load(Ordering::SeqCst)
    }
}

/// Tries to record for `intervals` flushes, four streams at a time.
fn record_in_vain(open: &Open, intervals: usize) {
    for _ in 0..intervals {
        for stream in 1..5 {
            let clip = open.writer.new_clip();
            open.append(stream, clip, &samples(9, 20_000)).expect("there is room to queue");
        }
        open.writer.sync().expect_err("the disk refuses");
    }
}

fn geometry(disk: &Disk) -> Geometry {
    reelfs::ring::read_superblock(disk).expect("a ring").0.geometry
}

/// A full ring of clips, none of which may go for footage that can't be stored.
fn full_ring(device: &Arc<Fickle>) -> (Open, Vec<(ClipId, Vec<u8>)>) {
    let open = open(device.clone());
    let mut clips = Vec::new();
    for seed in 0..40 {
        let data = samples(seed, 900_000);
        clips.push((open.clip(1, &data).expect("the disk is in order"), data));
    }
    let listed = open.told().closed;
    clips.retain(|(clip, _)| listed.contains_key(clip));
    assert!(clips.len() < 40, "the ring is not full");
    (open, clips)
}

fn check_all(open: &Open, clips: &[(ClipId, Vec<u8>)]) {
    let listed = open.told().closed;
    for (clip, data) in clips {
        assert!(listed.contains_key(clip), "clip {clip} was given up");
        assert_eq!(&open.samples(*clip), data, "clip {clip}");
    }
}

#[test]
fn a_disk_that_takes_no_write_costs_no_clip_and_no_block() {
    let device = Fickle::over(formatted(24 * MIB), Vec::new());
    let (open_ring, clips) = full_ring(&device);
    device.refusing_all.store(true, Ordering::SeqCst);
    record_in_vain(&open_ring, 50);
    let tried = device.refusals.load(Ordering::SeqCst);
    assert!(tried < 400, "{tried} writes were tried on a disk that takes none");
    // Eight blocks were reserved, or begun, before it was clear that the disk fails.
    check_all(&open_ring, &clips[8..]);
    device.refusing_all.store(false, Ordering::SeqCst);
    open_ring.writer.sync().expect("the disk is well again");
    assert_eq!(open_ring.ring.counters().commits_failed, 0);
    check_all(&open_ring, &clips[8..]);
    let next = open_ring.clip(1, &samples(77, 50_000)).expect("it records again");
    assert_eq!(open_ring.samples(next), samples(77, 50_000));
    open_ring.writer.close().expect("it closes");
    let inspection = reelfs::ring::Inspection::open(&*device).expect("a ring");
    let bad = inspection.facts.iter().filter(|f| matches!(f, reelfs::ring::Fact::Bad { .. }));
    assert_eq!(bad.count(), 0, "blocks count as bad that are not");
}

#[test]
fn a_disk_whose_flushes_fail_for_long_costs_no_clip() {
    let device = Fickle::over(formatted(24 * MIB), Vec::new());
    let (open_ring, clips) = full_ring(&device);
    device.disk.failing_flushes.store(u64::MAX, Ordering::SeqCst);
    record_in_vain(&open_ring, 50);
    // Eight blocks were reserved, or begun, before it was clear that the disk fails.
    check_all(&open_ring, &clips[8..]);
    device.disk.failing_flushes.store(0, Ordering::SeqCst);
    open_ring.writer.sync().expect("the disk is well again");
    // The blocks that were begun in vain are lost until the next start, and no more than those.
    let next = open_ring.clip(1, &samples(77, 50_000)).expect("it records again");
    let kept: Vec<_> = clips.into_iter().skip(16).collect();
    assert!(!kept.is_empty());
    check_all(&open_ring, &kept);
    open_ring.writer.close().expect("it closes");
    let again = open(device.clone());
    check_all(&again, &kept);
    assert_eq!(again.samples(next), samples(77, 50_000));
    again.writer.close().expect("it closes");
}

#[test]
fn a_region_of_bad_blocks_is_passed_and_only_it_counts_as_bad() {
    let disk = formatted(48 * MIB);
    let geometry = geometry(&disk);
    let bad: Vec<u64> =
        (3..23).map(|block| geometry.block_start(reelfs::units::BlockNumber(block)).0).collect();
    let device = Fickle::over(disk, bad);
    let open_ring = open(device.clone());
    let mut stored = Vec::new();
    for seed in 0..60 {
        let data = samples(seed, 700_000);
        let clip = open_ring.clip(1, &data).expect("the disk takes flushes");
        if open_ring.told().closed.contains_key(&clip) {
            stored.push((clip, data));
        }
    }
    assert!(stored.len() > 30, "only {} clips were stored", stored.len());
    let listed = open_ring.told().closed;
    stored.retain(|(clip, _)| listed.contains_key(clip));
    check_all(&open_ring, &stored);
    open_ring.writer.close().expect("it closes");
    let inspection = reelfs::ring::Inspection::open(&*device).expect("a ring");
    let bad = inspection.facts.iter().filter(|f| matches!(f, reelfs::ring::Fact::Bad { .. }));
    assert_eq!(bad.count(), 20);
}

#[test]
fn a_ledger_page_that_refuses_is_passed_over_and_costs_no_chunk() {
    let disk = formatted(24 * MIB);
    let geometry = geometry(&disk);
    // Some in the log that serves, and some where the next checkpoint will be written.
    let page = |area: usize, page: u64| geometry.ledger_start(area).0 + page * 4096;
    let device =
        Fickle::over(disk, vec![page(0, 9), page(0, 10), page(0, 17), page(1, 0), page(1, 2)]);
    let open_ring = open(device.clone());
    let mut clips = Vec::new();
    for seed in 0..12 {
        clips.push((
            open_ring.clip(1, &samples(seed, 10_000)).expect("no page matters"),
            samples(seed, 10_000),
        ));
    }
    // Until the other area serves, pages 0 and 2 of which refuse.
    for round in 0..600_u32 {
        let fact = vec![round as u8; 3_000];
        open_ring.writer.set_stream(StreamNumber(1), fact);
        open_ring.writer.sync().expect("no page matters");
    }
    assert!(device.refusals.load(Ordering::SeqCst) >= 5, "the pages were never written");
    assert_eq!(open_ring.ring.counters().chunks_dropped, 0);
    check_all(&open_ring, &clips);
    open_ring.writer.close().expect("it closes");
    let again = open(device.clone());
    assert!(again.opening.findings.is_clean(), "{:?}", again.opening.findings);
    check_all(&again, &clips);
    assert_eq!(again.told().streams[&StreamNumber(1)], vec![(599 % 256) as u8; 3_000]);
    again.writer.close().expect("it closes");
}

#[test]
fn a_disk_that_is_pulled_and_put_back_goes_on_where_the_last_flush_left_it() {
    let device = Fickle::over(formatted(24 * MIB), Vec::new());
    let open_ring = open(device.clone());
    let before = open_ring.clip(1, &samples(1, 50_000)).expect("it is there");
    let growing = open_ring.writer.new_clip();
    open_ring.append(2, growing, &samples(2, 50_000)).expect("it is there");
    open_ring.writer.sync().expect("it is there");
    open_ring.append(2, growing, &samples(3, 50_000)).expect("it is there");
    device.pulled.store(true, Ordering::SeqCst);
    assert_eq!(open_ring.append(2, growing, &samples(4, 100)), Err(Refused::DeviceAway));
    open_ring.writer.sync().expect_err("it is away");
    open_ring.ring.contents(before).expect_err("it is away");
    // States are remembered, in bounded memory, and told when it is back.
    let mut state = ClipState::Closed;
    for at in 0..40_000_i64 {
        let until = Some(WallTime(at));
        state = ClipState::Kept { until };
        let keep = StateRequest::Keep { until };
        while open_ring.writer.change_state(before, keep) == Err(StateRefused::QueueFull) {
            std::thread::yield_now();
        }
    }
    for _ in 0..5 {
        open_ring.writer.sync().expect_err("it is away");
    }
    device.pulled.store(false, Ordering::SeqCst);
    open_ring.writer.sync().expect("it is back");
    let after = open_ring.clip(1, &samples(5, 50_000)).expect("it is back");
    assert_eq!(open_ring.samples(growing), samples(2, 50_000));
    open_ring.writer.close().expect("it closes");
    let again = open(device.clone());
    assert!(again.opening.was_clean && again.opening.findings.is_clean());
    assert_eq!(again.samples(growing), samples(2, 50_000), "cut at what was flushed");
    assert_eq!(again.samples(after), samples(5, 50_000));
    assert_eq!(again.told().states.get(&before), Some(&state));
    again.writer.close().expect("it closes");
}

#[test]
fn what_only_a_checkpoint_took_is_kept_when_a_page_of_it_rots() {
    let device = Fickle::over(formatted(24 * MIB), Vec::new());
    let open_ring = open(device.clone());
    let kept = open_ring.clip(1, &samples(1, 50_000)).expect("it is there");
    device.pulled.store(true, Ordering::SeqCst);
    let mut state = ClipState::Closed;
    // More than may wait: a checkpoint takes the place of the log.
    for at in 0..40_000_i64 {
        let until = Some(WallTime(at));
        state = ClipState::Kept { until };
        let keep = StateRequest::Keep { until };
        while open_ring.writer.change_state(kept, keep) == Err(StateRefused::QueueFull) {
            std::thread::yield_now();
        }
    }
    open_ring.writer.sync().expect_err("it is away");
    device.pulled.store(false, Ordering::SeqCst);
    open_ring.writer.sync().expect("it is back");
    open_ring.writer.set_stream(StreamNumber(1), vec![1; 2_500]);
    open_ring.writer.sync().expect("it is back");
    let whole = device.disk.image();
    for area in 0..2 {
        for page in 0..3 {
            let mut image = whole.clone();
            image.flip(geometry(&device.disk).ledger_start(area).0 + page * PAGE + 90, 0x40);
            let again = open(Disk::from_image(image));
            let what = format!("page {page} of area {area}: {:?}", again.opening.findings);
            assert!(!again.opening.findings.doubtful, "{what}");
            assert_eq!(again.told().states.get(&kept), Some(&state), "{what}");
            assert_eq!(again.told().streams[&StreamNumber(1)], vec![1; 2_500], "{what}");
            again.writer.close().expect("it closes");
        }
    }
}

/// A ring whose ledger areas have more than a thousand pages each.
fn ring_of_long_areas() -> Arc<Disk> {
    let disk = formatted(1_100 * MIB);
    let pages = geometry(&disk).ledger_area.0 / PAGE;
    assert!((1_000..1_200).contains(&pages), "{pages} pages");
    disk
}

/// Facts of a page each, so that a checkpoint takes as many pages as there are.
const LONG_FACTS: u32 = 200;

/// Several turns of the ledger with pages that refuse, in each of which every flush succeeds, and
/// what was said is known after it: at once, after a kill, and after an end in order.
fn check_ledger_turns(area: usize, refusing: Range<u64>) {
    let what = format!("pages {refusing:?} of area {area} refuse");
    let device = Fickle::over_ledger(ring_of_long_areas(), area, refusing);
    let open_ring = open(device.clone());
    let stored = open_ring.clip(300, &samples(1, 10_000)).expect("no page matters");
    for round in 0..1_400_u32 {
        let stream = StreamNumber(1 + round % LONG_FACTS);
        open_ring.writer.set_stream(stream, vec![(round / LONG_FACTS) as u8; 2_500]);
        let synced = open_ring.writer.sync();
        assert!(synced.is_ok(), "{what}: round {round}: {synced:?}");
    }
    assert_eq!(open_ring.ring.counters().chunks_dropped, 0, "{what}");
    assert!(device.refusals.load(Ordering::SeqCst) > 0, "{what}: they were never written");
    let check = |again: &Open, when: &str| {
        assert!(!again.opening.findings.doubtful, "{what}: {when}: {:?}", again.opening.findings);
        for stream in 1..=LONG_FACTS {
            let told = again.told().streams.get(&StreamNumber(stream)).cloned();
            assert_eq!(told, Some(vec![6; 2_500]), "{what}: {when}: stream {stream}");
        }
        assert_eq!(again.samples(stored), samples(1, 10_000), "{what}: {when}");
    };
    check(&open(Disk::from_image(device.disk.image())), "killed");
    open_ring.writer.close().expect("no page matters");
    let again = open(device.clone());
    check(&again, "closed");
    assert!(again.opening.findings.is_clean(), "{what}: {:?}", again.opening.findings);
    again.writer.close().expect("no page matters");
}

#[test]
fn ledger_pages_that_refuse_at_the_beginning_of_an_area_cost_nothing() {
    for (area, pages) in [(0, 0..5), (1, 0..5), (0, 0..40), (1, 0..300), (0, 0..300)] {
        check_ledger_turns(area, pages);
    }
}

#[test]
fn ledger_pages_that_refuse_within_a_checkpoint_cost_nothing() {
    for (area, pages) in [(0, 100..105), (1, 100..105), (1, 90..130), (0, 100..400), (1, 100..400)]
    {
        check_ledger_turns(area, pages);
    }
}

#[test]
fn ledger_pages_that_refuse_in_the_log_cost_nothing() {
    for (area, pages) in [(0, 300..305), (1, 300..305), (0, 300..340), (0, 300..600), (1, 300..600)]
    {
        check_ledger_turns(area, pages);
    }
}

#[test]
fn one_copy_of_the_ledger_alone_carries_what_the_other_refuses() {
    for area in 0..2 {
        // From a page on, an area takes nothing: its checkpoints fit before it, its log does not.
        let device = Fickle::over_ledger(ring_of_long_areas(), area, 20..1_200);
        let open_ring = open(device.clone());
        for round in 0..300_u32 {
            open_ring.writer.set_stream(StreamNumber(1), vec![round as u8; 2_500]);
            let synced = open_ring.writer.sync();
            assert!(synced.is_ok(), "area {area}: round {round}: {synced:?}");
        }
        let killed = open(Disk::from_image(device.disk.image()));
        assert!(!killed.opening.findings.doubtful, "{:?}", killed.opening.findings);
        let told = killed.told();
        assert_eq!(told.streams[&StreamNumber(1)], vec![(299 % 256) as u8; 2_500], "area {area}");
        open_ring.writer.close().expect("one copy is enough");
        open(device.clone()).writer.close().expect("one copy is enough");
    }
}

#[test]
fn a_disk_that_is_away_for_a_moment_while_a_clip_is_wiped_leaves_none_of_its_samples() {
    let mut gone = 0;
    for round in 0..30 {
        let disk = formatted(24 * MIB);
        let device = Fickle::over(disk.clone(), Vec::new());
        let open = open(device.clone());
        let (clip, chunks) = open.long_clip(60, 120_000);
        let geometry = geometry(&disk);
        disk.slowness.store(300, Ordering::Relaxed);
        let pulled = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5 * round));
            device.pulled.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            device.pulled.store(false, Ordering::SeqCst);
        });
        let purged = open.purge(clip, true);
        pulled.join().expect("no panic");
        disk.slowness.store(0, Ordering::Relaxed);
        if purged.is_err() {
            open.writer.sync().expect("the disk is back");
            open.writer.free(clip, true).expect("the disk is back");
        } else {
            gone += 1;
        }
        for chunk in &chunks {
            let place = &chunk.place;
            let page = geometry.page_start(place.block, place.first_page).0;
            let mut bytes = vec![0; (place.header_length + place.data_length) as usize];
            bytes.resize(bytes.len().next_multiple_of(PAGE as usize), 0);
            disk.image().read(page, &mut bytes);
            let samples = &bytes[place.header_length as usize..];
            assert!(samples.iter().all(|byte| *byte == 0), "round {round}: chunk at {page}");
        }
        assert_eq!(open.ring.usage().bad_blocks, 0, "round {round}: it was away");
        open.writer.close().expect("it closes");
    }
    assert!(gone > 0, "every wipe met it");
}

#[test]
fn a_refusal_that_is_about_no_place_is_said_in_the_systems_words_and_not_walked_around() {
    let device = Fickle::over(formatted(24 * MIB), Vec::new());
    for errno in [libc::ENOSPC, libc::EINVAL, libc::EPERM, libc::EROFS, libc::EFBIG] {
        device.refuse_all(errno);
        let error = try_open(device.clone()).map(drop).expect_err("it can't be opened");
        let expected = io::Error::from_raw_os_error(errno).to_string();
        assert_eq!(error.to_string(), format!("beginning a session: {expected}"));
        let tried = device.refusals.load(Ordering::SeqCst);
        assert!(tried <= 2, "{tried} writes were tried, one for each copy of the ledger is enough");
    }
    // All places refuse: the disk's own word, not that the ledger would be full.
    device.refuse_all(libc::EIO);
    let error = try_open(device).map(drop).expect_err("it can't be opened");
    assert!(error.to_string().contains("Input/output error"), "{error}");
}

#[test]
fn a_ring_that_can_not_be_written_is_read_and_recorded_into_once_it_can() {
    let device = Fickle::over(formatted(24 * MIB), Vec::new());
    let first = open(device.clone());
    let data = samples(1, 50_000);
    let closed = first.clip(1, &data).expect("the disk is in order");
    let growing = first.growing_clip(2, 30_000);
    device.pulled.store(true, Ordering::SeqCst);
    drop(first);
    device.pulled.store(false, Ordering::SeqCst);

    device.refuse_all(libc::ENOSPC);
    let waiting = open_or_wait(device.clone());
    assert!(waiting.opening.unwritable.as_ref().is_some_and(|why| why.contains("No space left")));
    assert_eq!(waiting.ring.unwritable(), waiting.opening.unwritable);
    assert_eq!(waiting.samples(closed), data);
    assert_eq!(waiting.samples(growing), [samples(0, 30_000), samples(1, 30_000)].concat());
    assert!(waiting.told().closed.contains_key(&growing), "what was growing is listed, too");
    let keep = StateRequest::Keep { until: None };
    assert_eq!(waiting.writer.change_state(closed, keep), Err(StateRefused::Unwritable));
    let clip = waiting.writer.new_clip();
    assert_eq!(waiting.append(1, clip, &samples(2, 9)), Err(Refused::Unwritable));
    // More tries than a ledger area has pages.
    for _ in 0..600 {
        waiting.writer.sync().expect_err("nothing can be written");
    }
    check_all(&waiting, &[(closed, data.clone())]);

    device.refusing_all.store(false, Ordering::SeqCst);
    waiting.writer.sync().expect("there is room");
    assert_eq!(waiting.ring.unwritable(), None);
    assert_eq!(waiting.ring.counters().commits_failed, 0);
    let next = waiting.clip(1, &samples(3, 40_000)).expect("it records");
    waiting.writer.change_state(closed, keep).expect("it can be kept");
    waiting.writer.close().expect("it closes");
    let again = open(device);
    assert!(again.opening.was_clean);
    let all = [(closed, data), (next, samples(3, 40_000))];
    check_all(&again, &all);
    assert_eq!(again.samples(growing).len(), 60_000);
}

#[test]
fn a_ring_that_could_not_be_written_is_left_as_it_was() {
    let device = Fickle::over(formatted(24 * MIB), Vec::new());
    open(device.clone()).writer.close().expect("it closes");
    device.refuse_all(libc::EROFS);
    let waiting = open_or_wait(device.clone());
    waiting.writer.close().expect("there was nothing to write");
    device.refusing_all.store(false, Ordering::SeqCst);
    let again = open(device);
    assert!(again.opening.was_clean);
    assert_eq!(again.opening.session, waiting.opening.session);
}
