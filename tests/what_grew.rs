//! A clip that grew when the power went, in a block of which a page has rotted or can't be read:
//! what was on that page is lost and told, and nothing else is.

mod support;

use std::sync::Arc;

use reelfs::check;
use reelfs::device::Device;
use reelfs::ring::{Geometry, Inspection, Ring, RingError};
use reelfs::units::{BlockNumber, ClipId};
use support::disk::{Disk, Fault, Image, Operation};
use support::memory::{Memory, Still, count_of};
use support::opened::{Open, formatted, open, samples, try_open};

const MIB: u64 = 1 << 20;
const CHUNKS: usize = 12;

/// What a killed recorder left.
struct Left {
    image: Image,
    geometry: Geometry,
    clip: ClipId,
    block: BlockNumber,
    /// First pages of the chunks.
    pages: Vec<u32>,
}

fn left() -> Left {
    let disk = formatted(24 * MIB);
    let open = open(disk.clone());
    let clip = open.growing_clip(CHUNKS as u64, 20_000);
    let chunks = open.ring.contents(clip).expect("it opens").chunks;
    let block = chunks[0].place.block;
    assert!(chunks.iter().all(|chunk| chunk.place.block == block), "they are in one block");
    Left {
        image: disk.image(),
        geometry: open.ring.superblock().geometry,
        clip,
        block,
        pages: chunks.iter().map(|chunk| chunk.place.first_page).collect(),
    }
}

impl Left {
    /// With a page of the block overwritten, or not readable any more.
    fn damaged(&self, page: u32) -> [Image; 2] {
        let at = self.geometry.page_start(self.block, page).0;
        let (mut overwritten, mut unreadable) = (self.image.clone(), self.image.clone());
        overwritten.write(at, &[0x5A; 4096]);
        unreadable.spoil(at);
        [overwritten, unreadable]
    }
}

struct Unheard;

impl check::Listener for Unheard {
    fn found(&mut self, _: &check::Finding) {}
    fn noted(&mut self, _: &str) {}
    fn progress(&mut self, _: check::Progress) {}
}

fn checked(image: &Image, scrub: bool) -> check::Report {
    let options = check::Options { scrub, ..check::Options::default() };
    let disk = Disk::from_image(image.clone());
    check::check(&*disk, &options, &mut Unheard).expect("a ring")
}

/// Numbers of the chunks that are found.
fn found(open: &Open, clip: ClipId) -> Vec<u64> {
    let contents = open.ring.contents(clip).expect("it opens");
    let chunks = contents.chunks.iter().map(|chunk| {
        let data = open.ring.read(clip, &chunk.place, 0..u32::MAX).expect("it reads");
        (0..CHUNKS as u64).find(|number| *data == *samples(*number, 20_000)).expect("its samples")
    });
    let chunks: Vec<u64> = chunks.collect();
    assert_eq!(count_of(&open.told().closed[&clip]) as usize, chunks.len(), "sums and chunks");
    chunks
}

#[test]
fn a_lost_header_of_a_chunk_costs_that_chunk() {
    let left = left();
    for lost in 0..CHUNKS - 2 {
        for image in left.damaged(left.pages[lost]) {
            let report = checked(&image, false);
            assert_eq!((report.status(), report.findings.len()), (2, 1), "{:?}", report.findings);
            assert_eq!(report.findings[0].place.page, Some(left.pages[lost]));
            let again = open(Disk::from_image(image));
            assert_eq!(again.opening.chunks_lost, 1);
            let others = (0..CHUNKS as u64).filter(|number| *number != lost as u64);
            assert_eq!(found(&again, left.clip), others.collect::<Vec<u64>>());
            // The stream goes on behind them.
            let next = again.clip(1, &samples(99, 20_000)).expect("the disk is in order");
            assert_eq!(again.samples(next), samples(99, 20_000));
            again.writer.close().expect("it closes");
        }
    }
}

#[test]
fn a_lost_header_of_the_block_costs_nothing() {
    let left = left();
    for image in left.damaged(0) {
        let report = checked(&image, true);
        assert_eq!((report.status(), report.chunks), (1, CHUNKS as u64), "{:?}", report.findings);
        let disk = Disk::from_image(image);
        let again = open(disk.clone());
        assert_eq!((again.opening.chunks_lost, found(&again, left.clip).len()), (0, CHUNKS));
        again.writer.close().expect("it closes");
        // A page that is written again can be read again, as on disks.
        assert_eq!(check::restore(&*disk).expect("a ring").headers, 1);
        let findings = checked(&disk.image(), true).findings;
        assert!(findings.iter().all(|found| found.place.part != "block"), "{findings:?}");
    }
}

#[test]
fn a_lost_parameter_set_costs_what_needs_it_and_is_told() {
    let left = left();
    for image in left.damaged(1) {
        let report = checked(&image, false);
        assert_eq!(report.status(), 2, "{:?}", report.findings);
        let again = open(Disk::from_image(image));
        assert!(again.opening.chunks_lost >= CHUNKS, "{}", again.opening.chunks_lost);
        assert!(!again.told().closed.contains_key(&left.clip), "it can't be shown");
        again.writer.close().expect("it closes");
    }
}

#[test]
fn a_scrub_reads_what_no_fact_speaks_of_yet() {
    let left = left();
    let mut image = left.image.clone();
    image.flip(left.geometry.page_start(left.block, left.pages[3] + 1).0, 1);
    assert_eq!(checked(&image, false).status(), 0);
    let report = checked(&image, true);
    assert_eq!((report.status(), report.findings.len()), (2, 1), "{:?}", report.findings);
    assert_eq!(report.findings[0].place.chunk, Some(3));
}

#[test]
fn a_disk_that_reads_nothing_is_not_opened_and_keeps_what_is_on_it() {
    let left = left();
    let disk = Disk::from_image(left.image);
    let blocks = left.geometry.blocks_start.0..left.geometry.superblock_copy().0;
    disk.fail(Fault { operation: Operation::Read, range: blocks, left: u64::MAX });
    let refused = try_open(disk.clone()).err();
    assert!(matches!(refused, Some(RingError::Device { .. })), "{refused:?}");
    let again = open(Disk::from_image(disk.image()));
    assert_eq!(found(&again, left.clip).len(), CHUNKS);
    again.writer.close().expect("it closes");
}

#[test]
fn a_rescue_takes_what_is_behind_a_lost_header() {
    let left = left();
    let [mut image, _] = left.damaged(0);
    let both = 2 * left.geometry.ledger_area.0 as usize;
    image.write(left.geometry.ledger_start(0).0, &vec![0; both]);
    let disk: Arc<dyn Device> = Disk::from_image(image);
    let (clock, memory) = (Arc::new(Still::at(3_000)), Box::new(Memory::default()));
    let rescued = Ring::rescue(disk.clone(), clock, memory, &mut |_, _| {}).expect("a ring");
    assert_eq!((rescued.blocks_unreadable, rescued.lost.len()), (1, 0));
    assert_eq!((rescued.clips_found, rescued.chunks_found), (1, CHUNKS));
    let again = open(disk);
    assert_eq!(found(&again, left.clip).len(), CHUNKS);
    again.writer.close().expect("it closes");
}

#[test]
fn what_a_power_cut_left_of_an_earlier_session_is_no_loss_of_a_later_one() {
    let disk = formatted(24 * MIB);
    let first = open(disk.clone());
    let clip = first.growing_clip(1, 20_000);
    let mut image = disk.image();
    // One more flush was under way: of all that it was to cover, a table reached the disk.
    for number in 1..5 {
        first.append(1, clip, &samples(number, 20_000)).expect("there is room in the queue");
    }
    first.writer.end_clip(clip, 0, None);
    first.writer.sync().expect("the disk is in order");
    let under_way = disk.image();
    let disk = Disk::from_image(under_way.clone());
    let inspection = Inspection::open(&*disk).expect("a ring");
    let (_, record) = inspection.clips().find(|(of, _)| *of == clip).expect("it is known");
    let table = record.table[0];
    assert_eq!(table.end_page - table.first_page, 1);
    let at = inspection.superblock.geometry.page_start(table.block, table.first_page).0;
    let mut page = vec![0; 4096];
    assert!(under_way.read(at, &mut page));
    image.write(at, &page);

    let disk = Disk::from_image(image);
    let second = open(disk.clone());
    assert_eq!(second.opening.chunks_lost, 0);
    let later = second.growing_clip(1, 1_000);
    let place = second.ring.contents(later).expect("it opens").chunks[0].place;
    assert_eq!(place.block, table.block, "the stream goes on in its block");
    assert!(place.first_page + 2 < table.first_page, "what is left lies behind a gap");
    let image = disk.image();
    // These samples are of no camera; of the blocks, nothing is wrong.
    let findings = checked(&image, true).findings;
    assert!(findings.iter().all(|finding| finding.place.block.is_none()), "{findings:?}");
    let third = open(Disk::from_image(image));
    assert_eq!(third.opening.chunks_lost, 0);
    assert_eq!(third.samples(later), samples(0, 1_000));
    third.writer.close().expect("it closes");
}
