//! A block that is overwritten or can't be read costs the samples in it, and no others.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use reelfs::check;
use reelfs::device::Device;
use reelfs::ring::{ClipChunk, ClipContents, Geometry, Inspection, NewChunk, ReadError};
use reelfs::units::{BlockNumber, ClipId, StreamNumber};
use support::disk::{Disk, Image};
use support::memory::count_of;
use support::opened::{Open, formatted, open, samples};

const MIB: u64 = 1 << 20;

/// A clip of many chunks over several blocks, with others before and behind it in shared blocks.
struct Recorded {
    image: Image,
    geometry: Geometry,
    clips: Vec<(ClipId, ClipContents, Vec<Vec<u8>>)>,
}

fn recorded(chunks: usize, chunk_length: usize) -> Recorded {
    let disk = formatted(64 * MIB);
    let device: Arc<dyn Device> = disk.clone();
    let open = open(device);
    let mut clips = Vec::new();
    for clip_number in 0..3_u64 {
        let clip = open.writer.new_clip();
        let mut pieces = Vec::new();
        for chunk in 0..chunks as u64 {
            let data = samples(100 * clip_number + chunk, chunk_length);
            open.append(1, clip, &data).expect("there is room in the queue");
            open.writer.sync().expect("the disk is in order");
            pieces.push(data);
        }
        open.writer.end_clip(clip, 0, None);
        open.writer.sync().expect("the disk is in order");
        clips.push((clip, pieces));
    }
    // The last clip's table gets its copy when the stream goes on in another block.
    open.clip(1, &samples(999, 900_000)).expect("the disk is in order");
    open.clip(1, &samples(998, 900_000)).expect("the disk is in order");
    let clips = clips.into_iter().map(|(clip, pieces)| {
        let contents = open.ring.contents(clip).expect("it opens");
        (clip, contents, pieces)
    });
    let (clips, geometry) = (clips.collect(), open.ring.superblock().geometry);
    open.writer.close().expect("it closes");
    Recorded { image: disk.image(), geometry, clips }
}

fn check(recorded: &Recorded, image: Image, lost: BlockNumber, what: &str) {
    let device: Arc<dyn Device> = Disk::from_image(image);
    let again: Open = open(device);
    for (clip, contents, pieces) in &recorded.clips {
        let blocks: BTreeSet<BlockNumber> =
            contents.chunks.iter().map(|chunk| chunk.place.block).collect();
        if blocks.len() == 1 && blocks.contains(&lost) {
            continue;
        }
        let found = again.ring.contents(*clip).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(&found, contents, "{what}: clip {clip}");
        let mut joined = Vec::new();
        for chunk in &found.chunks {
            let read = again.ring.read(*clip, &chunk.place, 0..u32::MAX);
            let is_lost = chunk.place.block == lost;
            match read {
                Ok(bytes) => joined.extend_from_slice(&bytes),
                Err(ReadError::Damaged(_) | ReadError::Device { .. }) if is_lost => {
                    joined.extend(std::iter::repeat_n(0, chunk.place.data_length as usize));
                }
                Err(error) => panic!("{what}: clip {clip}: {error}"),
            }
        }
        let expected: Vec<u8> = pieces.concat();
        assert_eq!(joined.len(), expected.len(), "{what}: clip {clip}");
        let mut at = 0;
        for chunk in &found.chunks {
            let length = chunk.place.data_length as usize;
            let same = joined[at..at + length] == expected[at..at + length];
            assert!(same || chunk.place.block == lost, "{what}: clip {clip}: other bytes");
            at += length;
        }
    }
    again.writer.close().expect("it closes");
}

#[test]
fn a_lost_block_costs_its_own_samples_and_no_others() {
    // Many chunks in a block; few and large ones, so that clips have less than a dozen.
    for (chunks, chunk_length) in [(60, 50_000), (5, 900_000), (13, 400_000)] {
        let recorded = recorded(chunks, chunk_length);
        let blocks: BTreeSet<BlockNumber> = recorded
            .clips
            .iter()
            .flat_map(|(_, contents, _)| contents.chunks.iter().map(|chunk| chunk.place.block))
            .collect();
        assert!(blocks.len() > 7, "{} blocks", blocks.len());
        for lost in blocks {
            let start = recorded.geometry.block_start(lost).0;
            let mut overwritten = recorded.image.clone();
            overwritten.write(start, &vec![0x5A; MIB as usize]);
            check(&recorded, overwritten, lost, &format!("block {lost} overwritten"));
            let mut unreadable = recorded.image.clone();
            (start..start + MIB).step_by(4096).for_each(|at| unreadable.spoil(at));
            check(&recorded, unreadable, lost, &format!("block {lost} unreadable"));
        }
    }
}

/// How many chunks of a clip can be read, of how many.
fn readable(open: &Open, clip: ClipId) -> (usize, usize) {
    let contents = open.ring.contents(clip).expect("it opens");
    let read = |chunk: &&ClipChunk| open.ring.read(clip, &chunk.place, 0..u32::MAX).is_ok();
    (contents.chunks.iter().filter(read).count(), contents.chunks.len())
}

#[test]
fn a_chunk_header_that_rots_costs_its_chunk_also_in_a_short_clip() {
    let disk = formatted(24 * MIB);
    let first = open(disk.clone());
    let clip = first.growing_clip(4, 20_000);
    first.writer.end_clip(clip, 0, None);
    first.writer.sync().expect("the disk is in order");
    let chunks = first.ring.contents(clip).expect("it opens").chunks;
    let geometry = first.ring.superblock().geometry;
    assert!(chunks.iter().all(|chunk| chunk.place.block == chunks[0].place.block));
    for chunk in &chunks {
        let mut image = disk.image();
        image.spoil(geometry.page_start(chunk.place.block, chunk.place.first_page).0);
        let again = open(Disk::from_image(image));
        assert_eq!(readable(&again, clip), (3, 4));
        again.writer.close().expect("it closes");
    }
}

#[test]
fn a_clip_that_grew_when_the_power_went_gets_a_table_behind_the_next_one() {
    let disk = formatted(24 * MIB);
    let clip = open(disk.clone()).growing_clip(20, 150_000);
    let disk = Disk::from_image(disk.image());
    let second = open(disk.clone());
    assert_eq!(second.ring.clips_without_table(), [clip]);
    let contents = second.ring.contents(clip).expect("it opens");
    second.writer.add_table(clip, &contents);
    for number in 0..3 {
        second.clip(1, &samples(number, 500_000)).expect("the disk is in order");
    }
    assert_eq!(second.ring.clips_without_table(), []);
    second.writer.close().expect("it closes");
    let geometry = second.ring.superblock().geometry;
    let blocks: BTreeSet<BlockNumber> =
        contents.chunks.iter().map(|chunk| chunk.place.block).collect();
    assert!(blocks.len() > 2);
    for lost in blocks {
        let mut image = disk.image();
        image.write(geometry.block_start(lost).0, &vec![0; MIB as usize]);
        let again = open(Disk::from_image(image));
        let kept = contents.chunks.iter().filter(|chunk| chunk.place.block != lost).count();
        assert_eq!(readable(&again, clip), (kept, contents.chunks.len()), "block {lost}");
        again.writer.close().expect("it closes");
    }
}

#[test]
fn a_clip_of_one_chunk_gets_no_table() {
    let disk = formatted(24 * MIB);
    let first = open(disk.clone());
    let ended = first.growing_clip(1, 20_000);
    first.writer.end_clip(ended, 0, None);
    let grew = first.growing_clip(1, 20_000);
    let used_after = |asked: &[ClipId]| {
        let again = open(Disk::from_image(disk.image()));
        assert_eq!(again.ring.clips_without_table(), []);
        for &clip in asked {
            again.writer.add_table(clip, &again.ring.contents(clip).expect("it opens"));
        }
        for number in 0..3 {
            again.clip(1, &samples(number, 500_000)).expect("the disk is in order");
        }
        again.writer.close().expect("it closes");
        again.ring.usage().used
    };
    assert_eq!(used_after(&[ended, grew]), used_after(&[]));
}

#[test]
fn a_table_of_an_earlier_session_hides_nothing_that_is_recorded_behind_it() {
    for is_purged in [false, true] {
        let disk = formatted(24 * MIB);
        let grew = open(disk.clone()).growing_clip(4, 20_000);
        let disk = Disk::from_image(disk.image());
        let second = open(disk.clone());
        let contents = second.ring.contents(grew).expect("it opens");
        second.writer.add_table(grew, &contents);
        let ended = second.growing_clip(3, 20_000);
        if is_purged {
            second.purge(grew, false).expect("it goes");
            second.writer.sync().expect("the disk is in order");
        }
        second.writer.end_clip(ended, 0, None);
        let clip = second.growing_clip(5, 20_000);
        let disk = Disk::from_image(disk.image());
        let inspection = Inspection::open(&*disk).expect("a ring");
        let behind = inspection.behind().expect("the disk is in order");
        let third = open(disk.clone());
        assert_eq!(third.opening.chunks_recovered > 0, !behind.is_empty(), "{behind:?}");
        assert_eq!(readable(&third, clip), (5, 5), "purged: {is_purged}");
        third.writer.close().expect("it closes");
    }
}

/// The first chunk of a block has none before it that tells when it was written.
#[test]
fn the_first_set_of_a_block_is_written_again_also_when_the_ring_is_old() {
    let disk = formatted(24 * MIB);
    let first = open(disk.clone());
    for _ in 0..(1 << 20) + 1_000 {
        first.writer.sync().expect("the disk is in order");
    }
    let clip = first.growing_clip(4, 20_000);
    first.writer.end_clip(clip, 0, None);
    first.writer.close().expect("it closes");
    let place = first.ring.contents(clip).expect("it opens").chunks[0].place;
    let start = first.ring.superblock().geometry.page_start(place.block, 1).0;
    let mut image = disk.image();
    image.write(start, &[0x5A; 4096]);
    let damaged = Disk::from_image(image);
    let restored = check::restore(&*damaged).expect("a ring");
    assert_eq!((restored.sets, restored.left), (1, vec![]));
    let [before, after] = [disk.image(), damaged.image()].map(|image| {
        let mut page = vec![0; 4096];
        image.read(start, &mut page);
        page
    });
    assert!(before == after, "other bytes");
}

/// A table that does not fit its block needs another one, and for that a flush might be due: it
/// may fail while the clip is between growing and ended.
#[test]
fn a_flush_that_fails_while_a_clip_ends_costs_no_sample_of_an_earlier_one() {
    for others in 0..=12_u32 {
        let disk = formatted(32 * MIB);
        let first = open(disk.clone());
        let clip = first.writer.new_clip();
        let append = |number: u64| {
            let chunk = NewChunk {
                clip,
                stream: StreamNumber(1),
                parameters: vec![Arc::from(&b"parameters"[..])],
                table: Arc::from(vec![number as u8; 3_000]),
                data: samples(number, 30_000),
            };
            first.writer.append(chunk).expect("there is room in the queue");
        };
        (0..26).for_each(append);
        first.writer.sync().expect("the disk is in order");
        append(26);
        // They take the blocks that are ready.
        for other in 0..others {
            let number = first.writer.new_clip();
            first.append(2 + other, number, &samples(7, 1_000)).expect("there is room");
        }
        disk.failing_flushes.store(1, Ordering::Relaxed);
        first.writer.end_clip(clip, 0, None);
        let _ = first.writer.sync();
        disk.failing_flushes.store(0, Ordering::Relaxed);
        (0..3).for_each(|_| first.writer.sync().expect("the disk is in order again"));
        let flushed: Vec<u8> = (0..26).flat_map(|number| samples(number, 30_000)).collect();
        let what = format!("{others} others");
        assert!(first.samples(clip).starts_with(&flushed), "{what}");
        // Whatever takes a block now does not take the clip's.
        first.clip(1, &samples(1, 900_000)).expect("the disk is in order");
        assert!(first.samples(clip).starts_with(&flushed), "{what}");
        first.writer.close().expect("it closes");
        let again = open(Disk::from_image(disk.image()));
        assert!(again.samples(clip).starts_with(&flushed), "{what}");
        let chunks = again.ring.contents(clip).expect("it opens").chunks.len() as u32;
        assert_eq!(count_of(&again.told().closed[&clip]), chunks, "{what}: sums and chunks agree");
        again.writer.close().expect("it closes");
    }
}
