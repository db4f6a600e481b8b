//! A block that is overwritten or can't be read costs the samples in it, and no others.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use reelfs::device::Device;
use reelfs::ring::{ClipContents, Geometry, ReadError};
use reelfs::units::{BlockNumber, ClipId};
use support::disk::{Disk, Image};
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
