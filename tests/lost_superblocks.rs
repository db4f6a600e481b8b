//! Something writes over the superblocks: over some, over all of them, with another ring's; or the
//! device grows and they are not where its end is. One is enough, and where none is left the blocks
//! say where the ring is.

mod support;

use std::sync::Arc;

use reelfs::check;
use reelfs::device::Device;
use reelfs::ring::{
    BlockHeader, Geometry, RingError, Superblock, find_superblock, read_superblock,
    repair_superblocks, restore_superblocks, tend_superblocks,
};
use reelfs::units::{BlockNumber, ClipId, DeviceOffset};
use support::disk::{Disk, Image};
use support::opened::{formatted, open, samples};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// A ring with some clips.
struct Left {
    image: Image,
    superblock: Superblock,
    clips: Vec<(ClipId, Vec<u8>)>,
}

fn recorded() -> Left {
    let disk = formatted(24 * MIB);
    let opened = open(disk.clone());
    let clips = (0..12).map(|seed| {
        let data = samples(seed, 700_000);
        (opened.clip(1 + seed as u32 % 2, &data).expect("the disk is in order"), data)
    });
    let clips = clips.collect();
    opened.writer.close().expect("it closes");
    let (superblock, _) = read_superblock(&*disk).expect("a ring");
    Left { image: disk.image(), superblock, clips }
}

impl Left {
    fn geometry(&self) -> &Geometry {
        &self.superblock.geometry
    }

    /// All of them wiped.
    fn without_superblocks(&self) -> Image {
        let mut image = self.image.clone();
        wipe(&mut image, &self.geometry().superblock_places());
        image
    }

    fn expect_all(&self, disk: &Arc<Disk>, what: &str) {
        let again = open(disk.clone());
        for (clip, data) in &self.clips {
            assert_eq!(&again.samples(*clip), data, "{what}: clip {clip}");
        }
        again.writer.close().expect("it closes");
        let report = check::check(&**disk, &check::Options::default(), &mut Deaf);
        let findings = report.expect("a ring").findings.into_iter();
        let of_superblocks = findings.filter(|it| it.place.part.starts_with("superblock"));
        assert_eq!(of_superblocks.count(), 0, "{what}");
    }
}

struct Deaf;

impl check::Listener for Deaf {
    fn found(&mut self, _: &check::Finding) {}
    fn noted(&mut self, _: &str) {}
    fn progress(&mut self, _: check::Progress) {}
}

fn wipe(image: &mut Image, places: &[DeviceOffset]) {
    for place in places {
        image.write(place.0, &[0; PAGE as usize]);
    }
}

/// Found by what is left, and written to all its places.
fn find_and_restore(disk: &Disk) -> Option<DeviceOffset> {
    let found = find_superblock(disk, &mut |_| {}).expect("there is a ring");
    let written = restore_superblocks(disk, &found).expect("the disk is in order");
    assert!(written.len() >= 3, "{written:?}");
    found.at
}

/// The headers of all blocks, changed.
fn change_headers(image: &mut Image, geometry: &Geometry, change: impl Fn(&mut BlockHeader)) {
    for block in (0..geometry.block_count).map(BlockNumber) {
        let place = geometry.block_start(block).0;
        let mut page = vec![0; PAGE as usize];
        image.read(place, &mut page);
        if let Some(mut header) = BlockHeader::decode(&page) {
            change(&mut header);
            image.write(place, &header.encode());
        }
    }
}

#[test]
fn any_superblock_that_is_left_is_enough() {
    let left = recorded();
    let places = left.geometry().superblock_places();
    for kept in places {
        let mut image = left.image.clone();
        let others: Vec<_> = places.into_iter().filter(|place| *place != kept).collect();
        wipe(&mut image, &others);
        let disk = Disk::from_image(image);
        let (found, is_copy) = read_superblock(&*disk).expect("one is left");
        assert_eq!((found, is_copy), (left.superblock.clone(), kept.0 != 0));
        let mut written = repair_superblocks(&*disk).expect("the disk is in order");
        written.sort_unstable();
        let mut expected = others.clone();
        expected.sort_unstable();
        assert_eq!(written, expected);
        left.expect_all(&disk, &format!("the one at byte {}", kept.0));
    }
}

#[test]
fn without_any_superblock_the_blocks_say_where_the_ring_is() {
    let left = recorded();
    let disk = Disk::from_image(left.without_superblocks());
    assert!(matches!(read_superblock(&*disk), Err(RingError::NoSuperblock(_))));
    let mut steps = 0;
    let found = find_superblock(&*disk, &mut |_| steps += 1).expect("there is a ring");
    assert_eq!(steps, 0, "the device need not be gone through");
    assert_eq!(found.at, None);
    assert_eq!(found.superblock.geometry, *left.geometry());
    assert_eq!(found.superblock.ring_uuid, left.superblock.ring_uuid);
    restore_superblocks(&*disk, &found).expect("the disk is in order");
    left.expect_all(&disk, "headers");
}

#[test]
fn blocks_of_an_earlier_program_say_it_by_where_they_are() {
    let left = recorded();
    let mut image = left.without_superblocks();
    change_headers(&mut image, left.geometry(), |header| header.geometry = None);
    let disk = Disk::from_image(image);
    let found = find_superblock(&*disk, &mut |_| {}).expect("there is a ring");
    assert_eq!(found.superblock.geometry, *left.geometry());
    restore_superblocks(&*disk, &found).expect("the disk is in order");
    left.expect_all(&disk, "places");
}

#[test]
fn what_the_ring_before_has_left_does_not_hide_this_one() {
    let left = recorded();
    let mut image = left.without_superblocks();
    // Of a ring that had the device before: where this one has not written yet.
    for block in (0..left.geometry().block_count).map(BlockNumber) {
        let place = left.geometry().block_start(block).0;
        let mut page = vec![0; PAGE as usize];
        image.read(place, &mut page);
        if BlockHeader::decode(&page).is_none() {
            let first = left.geometry().block_start(BlockNumber(0)).0;
            image.read(first, &mut page);
            let header = BlockHeader::decode(&page).expect("the first block is in use");
            let of_the_other = BlockHeader { ring_uuid: [0; 16], block, ..header };
            image.write(place, &of_the_other.encode());
        }
    }
    let disk = Disk::from_image(image);
    assert_eq!(find_and_restore(&disk), None);
    left.expect_all(&disk, "two rings");
}

#[test]
fn on_a_device_that_has_grown_the_superblock_is_found_where_it_is() {
    let left = recorded();
    let places = left.geometry().superblock_places();
    let (mut by_headers, mut by_sweep) = (left.image.clone(), left.image.clone());
    for image in [&mut by_headers, &mut by_sweep] {
        let inner_end = places[3];
        let others: Vec<_> = places.into_iter().filter(|place| *place != inner_end).collect();
        wipe(image, &others);
        image.grow(64 * MIB + 3 * PAGE);
    }
    change_headers(&mut by_sweep, left.geometry(), |header| header.geometry = None);
    for image in [by_headers, by_sweep] {
        let disk = Disk::from_image(image);
        assert!(matches!(read_superblock(&*disk), Err(RingError::NoSuperblock(_))));
        assert_eq!(find_and_restore(&disk), Some(places[3]));
        left.expect_all(&disk, "grown");
    }
}

#[test]
fn where_there_is_no_ring_none_is_found() {
    let disk = Disk::from_image(Image::garbage(24 * MIB, 3));
    assert!(matches!(find_superblock(&*disk, &mut |_| {}), Err(RingError::NoSuperblock(_))));
}

#[test]
fn while_the_ring_is_open_its_superblocks_are_mended_and_another_ring_is_noticed() {
    let left = recorded();
    let ours = &left.superblock;
    let disk = Disk::from_image(left.image.clone());
    assert_eq!(tend_superblocks(&*disk, ours).expect("a ring"), []);
    let mut image = left.image.clone();
    wipe(&mut image, &ours.geometry.superblock_places()[..2]);
    let disk = Disk::from_image(image);
    assert_eq!(tend_superblocks(&*disk, ours).expect("a ring").len(), 2);
    left.expect_all(&disk, "mended");
    let disk = Disk::from_image(left.without_superblocks());
    assert_eq!(tend_superblocks(&*disk, ours).expect("a ring").len(), 4);
    left.expect_all(&disk, "all mended");
    let another = Superblock { ring_uuid: [9; 16], ..ours.clone() };
    let disk = formatted(24 * MIB);
    let overwritten = tend_superblocks(&*disk, &another).expect_err("another ring");
    let by = Some(read_superblock(&*disk).expect("a ring").0.ring_uuid);
    assert!(matches!(overwritten, RingError::Overwritten { by: found } if found == by));
    let disk: Arc<dyn Device> = Disk::blank(24 * MIB);
    let overwritten = tend_superblocks(&*disk, ours).expect_err("nothing is there");
    assert!(matches!(overwritten, RingError::Overwritten { by: None }), "{overwritten}");
}
