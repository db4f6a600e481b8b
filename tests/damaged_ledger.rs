//! The ledger's pages rot, singly, in stretches, whole areas of them: what can be known is kept,
//! nothing deleted comes back as if nothing had happened, and nothing live is overwritten.

mod support;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reelfs::check;
use reelfs::device::{AlignedBuffer, Device};
use reelfs::ring::{
    ClipState, FormatOptions, Geometry, Inspection, Rescued, Ring, RingError, StateRequest, format,
    read_superblock, repair_superblocks,
};
use reelfs::units::{BlockNumber, ByteCount, ClipId, DeviceOffset, StreamNumber, WallTime};
use support::disk::{Cuts, Dice, Disk, Image};
use support::memory::{Memory, Still};
use support::opened::{Open, formatted, open, samples, try_open};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// What a history left: the disk, and what is true of it.
struct Left {
    image: Image,
    geometry: Geometry,
    /// Clips with their samples; deleted ones, too, while they can be restored.
    clips: BTreeMap<ClipId, Vec<u8>>,
    states: BTreeMap<ClipId, ClipState>,
    purged: Vec<ClipId>,
}

impl Left {
    fn is_live(&self, clip: ClipId) -> bool {
        !matches!(self.states.get(&clip), Some(ClipState::Expiring { .. }))
    }
}

fn device(disk: &Arc<Disk>) -> Arc<dyn Device> {
    disk.clone()
}

/// Clips of two streams; some deleted, kept, restored, purged; several turns of the ledger.
fn history(turns: usize, close: bool) -> Left {
    let disk = formatted(24 * MIB);
    let open = open(device(&disk));
    let mut dice = Dice::new(7);
    let mut left = Left {
        image: disk.image(),
        geometry: read_superblock(&*disk).expect("a ring").0.geometry,
        clips: BTreeMap::new(),
        states: BTreeMap::new(),
        purged: Vec::new(),
    };
    for seed in 0..40 {
        let stream = 1 + (seed % 2) as u32;
        open.writer.set_stream(StreamNumber(stream), format!("stream-{stream}").into_bytes());
        let data = samples(seed, 1_000 + 100 * dice.roll(400) as usize);
        left.clips.insert(open.clip(stream, &data).expect("the disk is in order"), data);
        if seed % 10 == 9 {
            for round in 0..turns * 60 {
                open.writer.set_stream(StreamNumber(9), vec![round as u8; 2_500]);
                open.writer.sync().expect("the disk is in order");
            }
        }
        let clips: Vec<ClipId> = left.clips.keys().copied().collect();
        let clip = clips[dice.roll(clips.len() as u64) as usize];
        if matches!(left.states.get(&clip), Some(ClipState::Kept { .. })) {
            // What is kept stays so until that is taken back; the mount refuses to delete it.
            continue;
        }
        let until = WallTime(9_000);
        let request = match seed % 6 {
            0 => StateRequest::Remove { until },
            1 => {
                let restored = open.writer.change_state(clip, StateRequest::Restore);
                assert_eq!(restored, Ok(ClipState::Closed));
                StateRequest::Keep { until: None }
            }
            2 => StateRequest::Restore,
            3 => {
                open.purge(clip, false).expect("the disk is in order");
                left.clips.remove(&clip);
                left.states.remove(&clip);
                left.purged.push(clip);
                open.writer.sync().expect("the disk is in order");
                continue;
            }
            _ => continue,
        };
        let state = open.writer.change_state(clip, request).expect("the disk is in order");
        left.states.insert(clip, state);
        open.writer.sync().expect("the disk is in order");
    }
    if close {
        open.writer.close().expect("it closes");
    }
    left.image = disk.image();
    left
}

fn pages_of_area(left: &Left, area: usize) -> u64 {
    let mut bytes = vec![0; left.geometry.ledger_area.0 as usize];
    left.image.read(left.geometry.ledger_start(area).0, &mut bytes);
    // Behind the log of one generation stand pages of the one before it.
    let generation = |page: &[u8]| page[24..32].to_vec();
    let first = generation(&bytes);
    let pages = bytes.chunks(PAGE as usize);
    pages.take_while(|page| page[0] != 0 && generation(page) == first).count() as u64
}

/// Everything is as it was, and the damage is reported and mended.
fn check_nothing_is_lost(left: &Left, image: Image, what: &str) {
    let disk = Disk::from_image(image);
    let again = open(device(&disk));
    let told = again.told();
    assert!(!again.opening.findings.doubtful, "{what}: {:?}", again.opening.findings);
    assert_eq!(told.closed.len(), left.clips.len(), "{what}: {:?}", again.opening);
    for (clip, data) in &left.clips {
        assert!(told.closed.contains_key(clip), "{what}: clip {clip} is lost");
        let state = told.states.get(clip).copied().unwrap_or(ClipState::Closed);
        let expected = left.states.get(clip).copied().unwrap_or(ClipState::Closed);
        assert_eq!(state, expected, "{what}: clip {clip}");
        assert_eq!(&again.samples(*clip), data, "{what}: clip {clip}");
    }
    again.writer.close().expect("it closes");
    let third = open(device(&disk));
    assert!(third.opening.findings.is_clean(), "{what}: {:?}", third.opening.findings);
    assert_eq!(third.told().closed.len(), left.clips.len(), "{what}");
    third.writer.close().expect("it closes");
}

/// What nobody can vouch for is in .trash; nothing deleted is live, and nothing is overwritten.
fn check_nothing_deleted_is_live(left: &Left, image: Image, what: &str) {
    let disk = Disk::from_image(image);
    let again = open(device(&disk));
    check_doubtful(left, &again, what);
    // As much again as the ring has free: what was found is not in its way.
    for seed in 0..4 {
        again.clip(7, &samples(seed, 400_000)).expect("the disk is in order");
    }
    check_doubtful(left, &again, what);
    again.writer.close().expect("it closes");
    let third = open(device(&disk));
    check_doubtful(left, &third, what);
    assert!(third.opening.findings.is_clean(), "{what}: {:?}", third.opening.findings);
    third.writer.close().expect("it closes");
}

fn check_doubtful(left: &Left, again: &Open, what: &str) {
    let told = again.told();
    for (clip, data) in &left.clips {
        assert!(told.closed.contains_key(clip), "{what}: clip {clip} is lost");
        let hidden = told.states.get(clip).is_some_and(|state| state.is_in_trash());
        assert!(hidden || left.is_live(*clip), "{what}: deleted clip {clip} is back");
        assert_eq!(&again.samples(*clip), data, "{what}: clip {clip}");
    }
    for clip in &left.purged {
        let state = told.states.get(clip);
        let hidden = state.is_some_and(|state| state.is_in_trash());
        assert!(
            hidden || !told.closed.contains_key(clip),
            "{what}: purged clip {clip} is back {state:?} {:?}",
            again.opening
        );
    }
}

fn flipped(left: &Left, area: usize, page: u64) -> Image {
    let mut image = left.image.clone();
    image.flip(left.geometry.ledger_start(area).0 + page * PAGE + 90, 0x40);
    image
}

#[test]
fn any_page_of_the_ledger_may_rot_and_nothing_is_lost() {
    for (turns, close) in [(0, true), (0, false), (3, true), (3, false)] {
        let left = history(turns, close);
        for area in 0..2 {
            let pages = pages_of_area(&left, area);
            assert!(pages > 40, "{pages} pages in area {area}");
            // All of a short one, each seventh of a long one, and its ends.
            let step = if turns == 0 { 1 } else { 7 };
            let tail = pages - 5..pages;
            for page in (0..pages).step_by(step).chain(tail) {
                let what = format!("page {page} of {pages} in area {area}, {turns} turns, {close}");
                check_nothing_is_lost(&left, flipped(&left, area, page), &what);
            }
        }
    }
}

/// Two streams whose facts take a page each, made durable by one flush; not closed.
fn two_pages_with_one_flush() -> Left {
    let disk = formatted(24 * MIB);
    let open = open(device(&disk));
    for stream in 1..3 {
        open.writer.set_stream(StreamNumber(stream), vec![stream as u8; 2_500]);
    }
    open.writer.sync().expect("the disk is in order");
    let geometry = read_superblock(&*disk).expect("a ring").0.geometry;
    let (clips, states, purged) = Default::default();
    Left { image: disk.image(), geometry, clips, states, purged }
}

#[test]
fn the_last_page_of_one_copy_may_rot_and_one_within_the_other() {
    let left = two_pages_with_one_flush();
    for area in 0..2 {
        let pages = pages_of_area(&left, area);
        let mut image = flipped(&left, area, pages - 1);
        image.flip(left.geometry.ledger_start(1 - area).0 + (pages - 3) * PAGE + 90, 0x40);
        let again = open(Disk::from_image(image));
        assert_eq!(again.told().streams.len(), 2, "area {area}: {:?}", again.opening.findings);
        again.writer.close().expect("it closes");
    }
}

#[test]
fn the_last_page_of_either_copy_may_rot_and_nothing_flushed_is_lost() {
    let left = two_pages_with_one_flush();
    for area in 0..2 {
        let pages = pages_of_area(&left, area);
        for page in pages - 2..pages {
            let disk = Disk::from_image(flipped(&left, area, page));
            let again = open(device(&disk));
            let what = format!("page {page} of {pages} in area {area}");
            assert!(!again.opening.findings.doubtful, "{what}: {:?}", again.opening.findings);
            for stream in 1..3 {
                let told = again.told().streams.get(&StreamNumber(stream)).cloned();
                assert_eq!(told, Some(vec![stream as u8; 2_500]), "{what}: stream {stream}");
            }
            again.writer.close().expect("it closes");
            let third = open(device(&disk));
            assert!(third.opening.findings.is_clean(), "{what}: {:?}", third.opening.findings);
            assert_eq!(third.told().streams.len(), 2, "{what}");
            third.writer.close().expect("it closes");
        }
    }
}

struct Unheard;

impl check::Listener for Unheard {
    fn found(&mut self, _: &check::Finding) {}
    fn noted(&mut self, _: &str) {}
    fn progress(&mut self, _: check::Progress) {}
}

fn checked(disk: &Disk) -> check::Report {
    check::check(disk, &check::Options::default(), &mut Unheard).expect("a ring")
}

#[test]
fn a_copy_of_the_log_that_ends_too_early_is_found_and_costs_nothing() {
    for turns in [0, 3] {
        let left = history(turns, false);
        let whole = checked(&Disk::from_image(left.image.clone()));
        assert!(whole.ledger_is_sound, "{:?}", whole.findings);
        for area in 0..2 {
            let page = pages_of_area(&left, area) - 25;
            let mut image = left.image.clone();
            let at = left.geometry.ledger_start(area).0 + page * PAGE;
            image.write(at, &vec![0; 25 * PAGE as usize]);
            let disk = Disk::from_image(image.clone());
            let report = checked(&disk);
            assert!(!report.ledger_is_sound, "area {area}: {:?}", report.findings);
            let of_ledger = report.findings.iter().filter(|found| found.place.part == "ledger");
            let found: Vec<_> = of_ledger.collect();
            assert_eq!(found.len(), 1, "{found:?}");
            let place = (found[0].place.area, found[0].place.page.map(u64::from));
            assert_eq!(place, (Some(area), Some(page)), "{turns} turns");
            assert_eq!(found[0].cost, check::Cost::Nothing);
            check_nothing_is_lost(&left, image, &format!("the end of area {area}"));
            open(device(&disk)).writer.close().expect("it closes");
            assert!(checked(&disk).ledger_is_sound);
        }
    }
}

#[test]
fn no_cut_makes_a_copy_of_the_log_look_cut_short() {
    let left = history(3, false);
    let disk = Disk::from_image(left.image.clone());
    for round in 0..3 {
        let again = open(device(&disk));
        for stream in 1..4 {
            again.writer.set_stream(StreamNumber(stream), vec![round; 2_500]);
            again.writer.sync().expect("the disk is in order");
        }
    }
    let log = disk.log();
    let mut cuts = Cuts::new(left.image, &log);
    while cuts.step() {
        for image in [cuts.flushed(), cuts.written()] {
            let disk = Disk::from_image(image);
            let inspection = Inspection::open(&*disk).expect("a ring");
            assert_eq!(inspection.findings.cut_short, None, "{:?}", inspection.findings);
        }
    }
}

/// A ring that is recorded into while it is read: when the second copy of the ledger is, there is
/// more in it than there was in the first.
struct Moving {
    disks: Vec<Arc<Disk>>,
    reads: AtomicUsize,
    geometry: Geometry,
}

impl Device for Moving {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        let [first, second] = [0, 1].map(|area| self.geometry.ledger_start(area));
        let began = usize::from(offset == first);
        let turn = self.reads.fetch_add(began, Ordering::Relaxed) + began;
        let is_first = (first.0..second.0).contains(&offset.0);
        let now = turn.min(self.disks.len() - 1);
        self.disks[now.saturating_sub(usize::from(is_first))].read_at(offset, buffer)
    }

    fn write_at(&self, _: DeviceOffset, _: &AlignedBuffer) -> io::Result<()> {
        unreachable!("a check writes nothing")
    }

    fn flush(&self) -> io::Result<()> {
        unreachable!("a check writes nothing")
    }

    fn length(&self) -> ByteCount {
        self.disks[0].length()
    }
}

#[test]
fn a_ledger_that_grows_while_it_is_checked_is_not_damaged() {
    let disk = formatted(24 * MIB);
    let open = open(device(&disk));
    let disks = (0..8).map(|seed| {
        open.clip(1, &samples(seed, 5_000)).expect("the disk is in order");
        open.clip(1, &samples(seed, 5_000)).expect("the disk is in order");
        Disk::from_image(disk.image())
    });
    let (disks, geometry) = (disks.collect(), open.ring.superblock().geometry);
    let moving = Moving { disks, reads: AtomicUsize::new(0), geometry };
    let seen = Inspection::open(&moving).expect("a ring");
    assert!(seen.findings.cut_short.is_some(), "they were read at two times: {:?}", seen.findings);
    let options = check::Options { live: true, ..check::Options::default() };
    let report = check::check(&moving, &options, &mut Unheard).expect("a ring");
    assert!(report.ledger_is_sound, "{:?}", report.findings);
}

#[test]
fn a_whole_ledger_area_may_be_lost_and_nothing_is_lost_with_it() {
    for (turns, close) in [(0, true), (0, false), (3, true), (3, false)] {
        let left = history(turns, close);
        for area in 0..2 {
            let start = left.geometry.ledger_start(area).0;
            let length = left.geometry.ledger_area.0;
            let mut zeroed = left.image.clone();
            zeroed.write(start, &vec![0; length as usize]);
            check_nothing_is_lost(&left, zeroed, &format!("area {area} is zeros"));
            let mut unreadable = left.image.clone();
            (start..start + length).step_by(PAGE as usize).for_each(|at| unreadable.spoil(at));
            check_nothing_is_lost(&left, unreadable, &format!("area {area} is unreadable"));
            let mut stretch = left.image.clone();
            let begin = start + 20 * PAGE;
            stretch.write(begin, &vec![0xA5; 64 * PAGE as usize]);
            check_nothing_is_lost(&left, stretch, &format!("a stretch of area {area}"));
        }
    }
}

#[test]
fn where_both_areas_rot_nothing_deleted_is_live_and_nothing_is_overwritten() {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse().expect("a number"));
    let seed: u64 = number("REELFS_SEED").unwrap_or(1);
    let rounds: u64 = number("REELFS_ROUNDS").unwrap_or(240) / 4;
    println!("REELFS_SEED={seed}");
    let mut dice = Dice::new(seed);
    for (turns, close) in [(0, true), (0, false), (3, true), (3, false)] {
        let left = history(turns, close);
        let pages = [pages_of_area(&left, 0), pages_of_area(&left, 1)];
        for round in 0..rounds {
            let mut image = left.image.clone();
            let mut what = format!("{turns} turns, {close}, round {round}:");
            for (area, pages) in pages.iter().enumerate() {
                // Not the last page of either: with the ends of both, nothing is left that says
                // that there was more.
                let begin = dice.roll(*pages - 1);
                let length = 1 + dice.roll(12).min(pages - begin - 2);
                what = format!("{what} {begin}+{length} of {pages} in area {area}");
                for page in begin..begin + length {
                    image.spoil(left.geometry.ledger_start(area).0 + page * PAGE);
                }
            }
            check_nothing_deleted_is_live(&left, image, &what);
        }
    }
    println!("torture: ledger rounds={} cuts=0 failures=0", 4 * rounds);
}

fn without_ledger(left: &Left) -> Image {
    let mut image = left.image.clone();
    let both = 2 * left.geometry.ledger_area.0 as usize;
    image.write(left.geometry.ledger_start(0).0, &vec![0; both]);
    image
}

#[test]
fn where_both_areas_are_gone_the_blocks_alone_bring_the_clips_back() {
    for close in [true, false] {
        let left = history(0, close);
        let disk = Disk::from_image(without_ledger(&left));
        let lost = try_open(device(&disk)).err();
        assert!(matches!(lost, Some(RingError::LedgerLost)), "{lost:?}");
        let mut heard = Vec::new();
        let mut progress = |block: BlockNumber, count: u32| heard.push((block, count));
        let clock = Arc::new(Still::at(3_000));
        let memory = Box::new(Memory::default());
        let rescued =
            Ring::rescue(device(&disk), clock, memory, &mut progress).expect("it is rescued");
        assert_eq!(heard.len(), left.geometry.block_count as usize);
        assert!(rescued.clips_found >= left.clips.len(), "{rescued:?}");
        assert_eq!((rescued.streams_found, rescued.blocks_unreadable), (2, 0));
        let again = open(device(&disk));
        assert!(again.opening.findings.is_clean(), "{:?}", again.opening.findings);
        let told = again.told();
        assert_eq!(told.streams[&StreamNumber(1)], b"stream-1");
        for (clip, data) in &left.clips {
            assert_eq!(&again.samples(*clip), data, "clip {clip}");
            let state = told.states.get(clip);
            assert!(state.is_some_and(|state| state.is_in_trash()), "clip {clip}: {state:?}");
        }
        let restored = *left.clips.keys().next_back().expect("there are clips");
        let state = again.writer.change_state(restored, StateRequest::Restore);
        assert_eq!(state, Ok(ClipState::Closed));
        let newer = again.clip(1, &samples(99, 50_000)).expect("it records");
        assert!(newer > restored, "numbers are never used twice");
        again.writer.close().expect("it closes");
        let third = open(device(&disk));
        assert_eq!(third.told().states.get(&restored), None);
        assert_eq!(third.samples(newer), samples(99, 50_000));
        third.writer.close().expect("it closes");
    }
}

/// A checkpoint of one epoch, of many pages.
fn rescued() -> (Arc<Disk>, Geometry) {
    let disk = formatted(24 * MIB);
    let first = open(device(&disk));
    for seed in 0..400 {
        let clip = first.writer.new_clip();
        first.append(1, clip, &samples(seed, 500)).expect("there is room in the queue");
        first.writer.end_clip(clip, 0, None);
    }
    first.writer.close().expect("it closes");
    let geometry = first.ring.superblock().geometry;
    let mut image = disk.image();
    image.write(geometry.ledger_start(0).0, &vec![0; 2 * geometry.ledger_area.0 as usize]);
    let disk = Disk::from_image(image);
    let (clock, memory) = (Arc::new(Still::at(3_000)), Box::new(Memory::default()));
    let rescued = Ring::rescue(device(&disk), clock, memory, &mut |_, _| {});
    assert_eq!(rescued.expect("it is rescued").clips_found, 400);
    (disk, geometry)
}

#[test]
fn a_page_of_each_copy_may_rot_right_after_a_rescue() {
    let (disk, geometry) = rescued();
    let mut image = disk.image();
    image.spoil(geometry.ledger_start(0).0 + 2 * PAGE);
    image.spoil(geometry.ledger_start(1).0 + 5 * PAGE);
    let again = open(device(&Disk::from_image(image)));
    assert!(again.opening.findings.doubtful, "{:?}", again.opening.findings);
    assert_eq!(again.told().closed.len(), 400);
    again.writer.close().expect("it closes");
}

#[test]
fn many_gaps_in_one_checkpoint_do_not_multiply_its_facts() {
    let (disk, geometry) = rescued();
    let whole = Inspection::open(&*disk).expect("a ring").facts.len();
    let mut image = disk.image();
    for gap in 0..4 {
        image.spoil(geometry.ledger_start(0).0 + (1 + 2 * gap) * PAGE);
    }
    image.spoil(geometry.ledger_start(1).0 + 4 * PAGE);
    let disk = Disk::from_image(image);
    let inspection = Inspection::open(&*disk).expect("a ring");
    assert_eq!(inspection.findings.rotten.len(), 5, "{:?}", inspection.findings);
    assert!(inspection.facts.len() < 3 * whole, "{} of {whole}", inspection.facts.len());
}

#[test]
fn what_was_wiped_is_not_found_and_a_lost_block_costs_no_other() {
    let disk = formatted(24 * MIB);
    let first = open(device(&disk));
    let clips: Vec<(ClipId, Vec<u8>)> = (0..8)
        .map(|seed| {
            let data = samples(seed, 700_000);
            (first.clip(1, &data).expect("the disk is in order"), data)
        })
        .collect();
    let wiped = clips[2].0;
    let lost = first.ring.contents(clips[5].0).expect("it opens").chunks[0].place.block;
    first.purge(wiped, true).expect("the disk is in order");
    first.writer.close().expect("it closes");
    let geometry = first.ring.superblock().geometry;
    let mut image = disk.image();
    image.write(geometry.ledger_start(0).0, &vec![0; 2 * geometry.ledger_area.0 as usize]);
    image.spoil(geometry.block_start(lost).0);
    let disk = Disk::from_image(image);
    let clock = Arc::new(Still::at(3_000));
    let memory = Box::new(Memory::default());
    let rescued =
        Ring::rescue(device(&disk), clock, memory, &mut |_, _| {}).expect("it is rescued");
    assert_eq!(rescued.blocks_unreadable, 1);
    let again = open(device(&disk));
    let closed = again.told().closed;
    assert!(!closed.contains_key(&wiped), "what was wiped is listed");
    let whole = clips.iter().filter(|(clip, _)| closed.contains_key(clip));
    let whole: Vec<_> = whole.filter(|(clip, data)| again.samples(*clip) == *data).collect();
    assert!(whole.len() >= 5, "{} clips of eight are whole", whole.len());
    again.writer.close().expect("it closes");
}

#[test]
fn a_superblock_that_rots_is_written_again_from_the_other() {
    let left = history(0, true);
    for offset in left.geometry.superblock_places().map(|place| place.0) {
        for spoil in [false, true] {
            let mut image = left.image.clone();
            if spoil {
                image.spoil(offset);
            } else {
                image.flip(offset + 60, 1);
            }
            let disk = Disk::from_image(image);
            let again = open(device(&disk));
            again.writer.close().expect("it closes");
            let mut page = vec![0; PAGE as usize];
            let mut expected = vec![0; PAGE as usize];
            assert!(disk.image().read(offset, &mut page), "it is still unreadable");
            left.image.read(0, &mut expected);
            assert_eq!(page, expected, "superblock at {offset}");
        }
    }
}

/// The first bytes of another ring, on a device of this length.
fn beginning_of_another(length: u64, bytes: u64) -> Vec<u8> {
    let disk = Disk::blank(length);
    let options = FormatOptions {
        block_length: Some(MIB),
        label: "another".into(),
        ring_uuid: [9; 16],
        node_uuid: [2; 16],
        pool_uuid: None,
        now: Still::at(1_000).0,
        disk_label: None,
    };
    format(&*disk, &options).expect("it is large enough");
    let mut beginning = vec![0; bytes as usize];
    disk.image().read(0, &mut beginning);
    beginning
}

/// With another ring's superblock in the place of each of them, which may be one of a larger
/// device.
fn overwritten(left: &Left, image: &Image) -> Vec<(u64, Image)> {
    let places = left.geometry.superblock_places().map(|place| place.0);
    let each = places.into_iter().flat_map(|offset| {
        [left.geometry.length.0, left.geometry.length.0 + 8 * MIB].map(|length| {
            let mut image = image.clone();
            image.write(offset, &beginning_of_another(length, PAGE));
            (offset, image)
        })
    });
    each.collect()
}

fn of_superblocks(disk: &Disk) -> Vec<check::Finding> {
    let findings = checked(disk).findings.into_iter();
    findings.filter(|finding| finding.place.part.starts_with("superblock")).collect()
}

fn rescue(disk: &Arc<Disk>) -> Result<Rescued, RingError> {
    let (clock, memory) = (Arc::new(Still::at(3_000)), Box::new(Memory::default()));
    Ring::rescue(device(disk), clock, memory, &mut |_, _| {})
}

#[test]
fn a_superblock_of_another_ring_does_not_hide_this_one() {
    let left = history(0, true);
    for (offset, image) in overwritten(&left, &left.image) {
        let disk = Disk::from_image(image);
        let findings = of_superblocks(&disk);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].place.offset, Some(offset));
        assert!(findings[0].found.starts_with("that of the ring 09090909-"), "{findings:?}");
        check_nothing_is_lost(&left, disk.image(), "superblock of another ring");
        open(device(&disk)).writer.close().expect("it closes");
        assert_eq!(of_superblocks(&disk), [], "written again from the other");
    }
}

#[test]
fn a_rescue_believes_the_superblock_whose_blocks_are_there() {
    let left = history(0, true);
    let blocks = without_ledger(&left);
    for (offset, image) in overwritten(&left, &blocks) {
        let disk = Disk::from_image(image);
        let rescued = rescue(&disk).expect("it is rescued");
        assert!(rescued.clips_found >= left.clips.len(), "{offset}: {rescued:?}");
        let again = open(device(&disk));
        for (clip, data) in &left.clips {
            assert_eq!(&again.samples(*clip), data, "clip {clip}");
        }
        again.writer.close().expect("it closes");
    }
}

#[test]
fn the_superblock_of_a_ring_whose_blocks_are_there_is_not_written_over() {
    let left = history(0, true);
    // The beginning of another ring, with its ledger, has been copied over this one.
    let (length, bytes) = (left.geometry.length.0, left.geometry.blocks_start.0);
    let beginning = beginning_of_another(length, bytes);
    let mut image = left.image.clone();
    image.write(0, &beginning);
    let disk = Disk::from_image(image);
    let other = open(device(&disk));
    assert_eq!(other.ring.superblock().ring_uuid, [9; 16], "its ledger answers");
    other.writer.close().expect("it closes");
    assert_eq!(repair_superblocks(&*disk).expect("a ring"), []);
    // So that it is still there to be rescued.
    let mut image = disk.image();
    let places = left.geometry.superblock_places();
    for place in places.iter().filter(|place| place.0 < left.geometry.blocks_start.0) {
        image.write(place.0, &[0; PAGE as usize]);
    }
    let disk = Disk::from_image(image);
    assert!(rescue(&disk).expect("it is rescued").clips_found >= left.clips.len());
}

#[test]
fn where_nothing_is_found_a_rescue_changes_nothing() {
    let left = history(0, true);
    let mut image = without_ledger(&left);
    let blocks = left.geometry.length.0 - MIB - left.geometry.blocks_start.0;
    image.write(left.geometry.blocks_start.0, &vec![0; blocks as usize]);
    let disk = Disk::from_image(image.clone());
    let nothing = rescue(&disk).err();
    assert!(matches!(nothing, Some(RingError::NothingToRescue)), "{nothing:?}");
    assert!(disk.image().bytes() == image.bytes());
}
