//! The same facts rot in both ledger areas, on a ring that has gone round: whatever is still in the
//! blocks is found, what has been overwritten is not, and recording on damages neither.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use reelfs::device::Device;
use reelfs::ring::{ClipState, Geometry, read_superblock};
use reelfs::units::{BlockNumber, ClipId, SessionNumber, StreamNumber};
use support::disk::{Dice, Disk, Image};
use support::opened::{Open, formatted, open, samples};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;
const MAGIC: &[u8] = b"rlLP";
const STREAMS: u64 = 3;
const CLIPS: u64 = 130;

struct Left {
    image: Image,
    geometry: Geometry,
    session: SessionNumber,
    /// What is not evicted, with its samples.
    clips: BTreeMap<ClipId, Vec<u8>>,
}

fn device(disk: &Arc<Disk>) -> Arc<dyn Device> {
    disk.clone()
}

/// Chunks of several streams, one behind another, that share blocks and fill the ring three times;
/// then the power goes.
fn history() -> Left {
    let disk = formatted(24 * MIB);
    let open = open(device(&disk));
    let mut dice = Dice::new(3);
    let mut clips = BTreeMap::new();
    for seed in 0..CLIPS {
        let stream = 1 + dice.roll(STREAMS) as u32;
        open.writer.set_stream(StreamNumber(stream), format!("stream-{stream}").into_bytes());
        let clip = open.writer.new_clip();
        let mut all = Vec::new();
        for chunk in 0..1 + dice.roll(4) {
            let data = samples(seed * 10 + chunk, 20_000 + 100 * dice.roll(3_000) as usize);
            open.append(stream, clip, &data).expect("there is room in the queue");
            open.writer.sync().expect("the disk is in order");
            all.extend(data);
        }
        open.writer.end_clip(clip, 0, None);
        open.writer.sync().expect("the disk is in order");
        clips.insert(clip, all);
    }
    let told = open.told();
    clips.retain(|clip, _| told.closed.contains_key(clip));
    assert!(told.gone.len() > 60 && clips.len() > 20, "{} gone", told.gone.len());
    let geometry = read_superblock(&*disk).expect("a ring").0.geometry;
    Left { image: disk.image(), geometry, session: open.opening.session, clips }
}

/// Generation, epoch and place of the pages of an area, those of its newest generation only.
fn pages_of_area(left: &Left, area: usize) -> Vec<(u64, u64)> {
    let start = left.geometry.ledger_start(area).0;
    let number = |page: &[u8], at: usize| {
        u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"))
    };
    let mut pages = Vec::new();
    for at in (start..start + left.geometry.ledger_area.0).step_by(PAGE as usize) {
        let mut page = vec![0; PAGE as usize];
        left.image.read(at, &mut page);
        if page.starts_with(MAGIC) {
            pages.push((number(&page, 24), number(&page, 32), at));
        }
    }
    let newest = pages.iter().map(|(generation, ..)| *generation).max().expect("pages");
    let of_newest = pages.into_iter().filter(|(generation, ..)| *generation == newest);
    of_newest.map(|(_, epoch, at)| (epoch, at)).collect()
}

/// Every clip is there and exact, as far as the ring has not given it up since; answers how many.
fn check(left: &Left, open: &Open, what: &str) -> usize {
    let told = open.told();
    let known = left.clips.iter().filter(|(clip, _)| !told.gone.contains(clip));
    let mut exact = 0;
    for (clip, data) in known {
        if told.closed.contains_key(clip) {
            assert_eq!(&open.samples(*clip), data, "{what}: clip {clip}");
            exact += 1;
        }
    }
    for clip in told.closed.keys().filter(|clip| !left.clips.contains_key(clip)) {
        let state = told.states.get(clip).copied();
        let is_ours = clip.0.session() > left.session;
        assert!(is_ours || state == Some(ClipState::Found), "{what}: clip {clip} is back");
    }
    exact
}

/// Opens what is left, records on until much of it had to go, and opens it again.
fn go_on(left: &Left, image: Image, what: &str) {
    let disk = Disk::from_image(image);
    let first = open(device(&disk));
    assert_eq!(check(left, &first, what), left.clips.len(), "{what}: a clip is lost");
    for seed in 0..12 {
        let stream = 1 + (seed % STREAMS) as u32;
        first.clip(stream, &samples(seed, 500_000)).expect("the disk is in order");
    }
    assert!(check(left, &first, what) > 0, "{what}: not everything had to go");
    first.writer.close().expect("it closes");
    let again = open(device(&disk));
    assert!(again.opening.findings.is_clean(), "{what}: {:?}", again.opening.findings);
    check(left, &again, what);
    again.writer.close().expect("it closes");
}

#[test]
fn what_both_areas_have_lost_is_found_and_nothing_is_recorded_over_it() {
    let left = history();
    let [first, second] = [0, 1].map(|area| pages_of_area(&left, area));
    let ruined = |places: &[u64]| {
        let mut image = left.image.clone();
        places.iter().for_each(|at| image.write(*at, &vec![0; PAGE as usize]));
        image
    };
    let mut tried = 0;
    let newest = first.iter().chain(&second).map(|(epoch, _)| *epoch).max().expect("pages");
    for (epoch, at) in first.iter().filter(|(epoch, _)| *epoch < newest) {
        for (_, other) in second.iter().filter(|(other, _)| other == epoch) {
            go_on(&left, ruined(&[*at, *other]), &format!("epoch {epoch}"));
            tried += 1;
        }
    }
    // And where the beginning of a checkpoint is lost, and any one page of the other area.
    for (epoch, other) in second.iter().filter(|(epoch, _)| *epoch < newest).step_by(5) {
        go_on(&left, ruined(&[first[0].1, *other]), &format!("a checkpoint and epoch {epoch}"));
        tried += 1;
    }
    assert!(tried > 30, "{tried} of {} and {} pages", first.len(), second.len());
}

/// The chunks of a clip's block, whichever: the header of one is overwritten.
fn spoil_chunk(image: &mut Image, geometry: &Geometry, block: BlockNumber, page: u32) {
    image.write(geometry.page_start(block, page).0, &[0xa5; 512]);
}

#[test]
fn a_rescue_finds_what_lies_behind_a_chunk_that_is_lost() {
    let disk = formatted(24 * MIB);
    let first = open(device(&disk));
    let clip = first.writer.new_clip();
    let mut chunks = Vec::new();
    for number in 0..20 {
        let data = samples(number, 150_000);
        first.append(1, clip, &data).expect("there is room in the queue");
        first.writer.sync().expect("the disk is in order");
        chunks.push(data);
    }
    first.writer.end_clip(clip, 0, None);
    first.writer.sync().expect("the disk is in order");
    let places: Vec<_> =
        first.ring.contents(clip).expect("it opens").chunks.iter().map(|c| c.place).collect();
    let geometry = first.ring.superblock().geometry;
    let mut image = disk.image();
    for area in 0..2 {
        let length = geometry.ledger_area.0 as usize;
        image.write(geometry.ledger_start(area).0, &vec![0; length]);
    }
    // In the middle of a block, and a whole block: the parts of a split chunk are places, too.
    spoil_chunk(&mut image, &geometry, places[2].block, places[2].first_page);
    let gone = places[places.len() / 2].block;
    image.write(geometry.block_start(gone).0, &vec![0; MIB as usize]);
    let kept = places.iter().filter(|place| place.block != gone).count() - 1;

    let disk = Disk::from_image(image);
    let memory = support::memory::Memory::default();
    let clock = Arc::new(support::memory::Still::at(2_000));
    let rescued =
        reelfs::ring::Ring::rescue(device(&disk), clock, Box::new(memory), &mut |_, _| {});
    let rescued = rescued.expect("a rescue");
    assert_eq!((rescued.clips_found, rescued.chunks_found), (1, kept), "{rescued:?}");
    let again = open(device(&disk));
    let contents = again.ring.contents(clip).expect("it opens");
    assert_eq!(contents.chunks.len(), kept);
    let all: Vec<u8> = chunks.concat();
    let mut from = 0;
    for chunk in &contents.chunks {
        let read = again.ring.read(clip, &chunk.place, 0..u32::MAX).expect("it reads").to_vec();
        let at = all[from..].windows(64).position(|bytes| bytes == &read[..64]).expect("ours");
        assert!(all[from + at..].starts_with(&read), "in order, and whole");
        from += at + read.len();
    }
}
