//! A purge that wipes: the samples are zeros on the disk when the clip is gone, whatever flushes of
//! others come to meanwhile; and nothing but the clip's is overwritten.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use reelfs::ring::{BlockUse, ClipChunk, ClipState, Geometry, Inspection, Reason};
use reelfs::units::BlockNumber;
use support::disk::{Dice, Disk, Image};
use support::opened::{formatted, open, samples};

const MIB: u64 = 1 << 20;

/// Bytes of a clip's samples that are not zeros.
fn remains(image: &Image, geometry: &Geometry, chunks: &[ClipChunk]) -> usize {
    let left = |chunk: &ClipChunk| {
        let place = &chunk.place;
        let end = (place.header_length + place.data_length) as usize;
        let mut bytes = vec![0; end.next_multiple_of(4096)];
        image.read(geometry.page_start(place.block, place.first_page).0, &mut bytes);
        bytes[place.header_length as usize..end].iter().filter(|byte| **byte != 0).count()
    };
    chunks.iter().map(left).sum()
}

#[test]
fn a_page_that_refuses_zeros_keeps_what_it_held_and_no_other_does() {
    let disk = formatted(24 * MIB);
    let open = open(disk.clone());
    let (clip, chunks) = open.long_clip(60, 120_000);
    let geometry = open.ring.superblock().geometry;
    let place = &chunks[20].place;
    let page = geometry.page_start(place.block, place.first_page + 4).0;
    *disk.refusing.lock().expect("nobody died") = Some(page..page + 4096);
    let before = open.ring.counters().write_errors;
    open.purge(clip, true).expect_err("it may be of the moment");
    assert!(remains(&disk.image(), &geometry, &chunks) <= 4096, "the rest takes them");
    open.writer.free(clip, true).expect("nothing more can be done");
    open.writer.sync().expect("the disk takes all else");
    assert!(open.ring.counters().write_errors > before);
    assert!(open.ring.contents(clip).is_err(), "it is gone");
    let left = remains(&disk.image(), &geometry, &chunks);
    assert!((1..=4096).contains(&left), "{left} bytes are left");
    open.writer.close().expect("it closes");
    let inspection = Inspection::open(&*disk).expect("a ring");
    assert_eq!(inspection.clips().count(), 0);
    let bad = |block: &BlockNumber| {
        inspection.block(*block).is_ok_and(|block| block.used_for == BlockUse::Bad)
    };
    let blocks = (0..geometry.block_count).map(BlockNumber).filter(bad);
    assert_eq!(blocks.collect::<Vec<_>>(), [place.block], "it is not used again");
}

#[test]
fn where_no_page_takes_zeros_the_clip_is_still_to_be_purged() {
    let disk = formatted(24 * MIB);
    let open = open(disk.clone());
    let (clip, chunks) = open.long_clip(60, 120_000);
    let geometry = open.ring.superblock().geometry;
    *disk.refusing.lock().expect("nobody died") = Some(0..24 * MIB);
    open.purge(clip, true).expect_err("nothing takes them");
    open.writer.free(clip, true).expect_err("nor later");
    *disk.refusing.lock().expect("nobody died") = None;
    open.writer.sync().expect("the disk is in order");
    drop(open);
    let again = support::opened::open(Disk::from_image(disk.image()));
    assert!(again.ring.contents(clip).is_err(), "it is hidden");
    let purging = ClipState::Purging { reason: Reason::Deleted };
    assert_eq!(again.told().states.get(&clip), Some(&purging));
    assert!(remains(&disk.image(), &geometry, &chunks) > 0);
    again.writer.free(clip, true).expect("the disk is in order");
    again.writer.close().expect("it closes");
}

#[test]
fn a_flush_that_fails_while_a_clip_is_wiped_does_not_leave_its_samples() {
    let mut gone = 0;
    for round in 0..40_u64 {
        let disk = Disk::on_power(formatted(24 * MIB).image(), round);
        let first = open(disk.clone());
        let clip = first.writer.new_clip();
        let data = samples(round, 120_000);
        for _ in 0..60 {
            first.append(1, clip, &data).expect("there is room in the queue");
        }
        first.writer.end_clip(clip, 0, None);
        first.writer.sync().expect("the disk is in order");
        let chunks = first.ring.contents(clip).expect("it opens").chunks;
        let geometry = first.ring.superblock().geometry;
        assert!(remains(&disk.image(), &geometry, &chunks) > 59 * 110_000);

        // Slow enough for one flush of somebody else's to fail on the way, sooner or later.
        disk.slowness.store(200, Ordering::Relaxed);
        let (writer, failing) = (first.writer.clone(), disk.clone());
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(2 * round));
            failing.failing_flushes.store(1, Ordering::Relaxed);
            let _ = writer.sync();
        });
        let purged = first.purge(clip, true);
        other.join().expect("no panic");
        disk.slowness.store(0, Ordering::Relaxed);
        disk.failing_flushes.store(0, Ordering::Relaxed);
        let _ = first.writer.sync();
        if purged.is_ok() {
            gone += 1;
            let left = remains(&disk.after_a_cut(&mut Dice::new(round)), &geometry, &chunks);
            assert_eq!(left, 0, "round {round}: samples of a clip that is gone");
        }
        // Where it could not be, it is still to be purged: nothing else is promised then.
        drop(first);
    }
    assert!(gone > 0, "every purge met a failing flush");
}
