//! Pages of the ledger with facts of any kind: behind a real log, or a log of their own.

use std::sync::{Arc, OnceLock};

use reelfs::ring::{ClipState, Extent, Fact, Inspection, Reason};
use reelfs::units::{BlockNumber, ClipId, Sequence, StreamNumber, WallTime};

use super::Seed;
use super::disk::{Disk, Image};
use super::image::{base, exercise, superblock};
use super::input::{Input, Output};
use super::seal::{PAGE, UUID, ledger, seal, u32_at};

/// First byte of an input: the pages are a log of their own in the area that does not serve.
const ANEW: u8 = 1;
/// First byte of an input: the area that serves is lost.
const ALONE: u8 = 2;

/// First byte of a page: what is not as it should be.
const GAP: u8 = 1;
const NEXT_EPOCH: u8 = 2;
const OTHER_PREVIOUS: u8 = 4;
const NO_CHECKPOINT: u8 = 8;
const FLUSHED: u8 = 16;
const FORGED_COUNTS: u8 = 32;
const FORGED_LENGTH: u8 = 64;

/// Where the next page goes.
struct Log {
    start: u64,
    pages: u32,
    generation: u64,
    epoch: u64,
    number: u32,
    previous: u32,
}

fn area_start(area: usize) -> u64 {
    superblock().geometry.ledger_start(area).0
}

fn area_pages() -> u32 {
    (superblock().geometry.ledger_area.0 / PAGE as u64) as u32
}

/// The pages of a log in one area.
fn pages_in(image: &Image, area: usize) -> Vec<Vec<u8>> {
    let page = |number: u32| {
        let mut page = vec![0; PAGE];
        image.read(area_start(area) + u64::from(number) * PAGE as u64, &mut page);
        page
    };
    (0..area_pages()).map(page).take_while(|page| page.starts_with(ledger::MAGIC)).collect()
}

fn generation(page: &[u8]) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&page[ledger::GENERATION]);
    u64::from_le_bytes(number)
}

/// The log of [`base`]: in which area it is, and its pages.
fn serving() -> &'static (usize, Vec<Vec<u8>>) {
    static SERVING: OnceLock<(usize, Vec<Vec<u8>>)> = OnceLock::new();
    SERVING.get_or_init(|| {
        let logs = [0, 1].map(|area| (area, pages_in(&base(), area)));
        let newest = |log: &(usize, Vec<Vec<u8>>)| log.1.first().map(|page| generation(page));
        logs.into_iter().max_by_key(newest).expect("a log")
    })
}

impl Log {
    fn anew() -> Log {
        let (area, pages) = serving();
        let (start, generation) = (area_start(1 - area), generation(&pages[0]) + 1);
        Log { start, pages: area_pages(), generation, epoch: 1 << 20, number: 0, previous: 0 }
    }

    fn behind() -> Log {
        let (area, pages) = serving();
        let last = pages.last().expect("a page");
        let number = u32_at(last, ledger::NUMBER) + 1;
        let previous = u32_at(last, ledger::CHECKSUM);
        let epoch = u64::from(u32_at(last, ledger::EPOCH.start..ledger::EPOCH.start + 4));
        let (start, generation) = (area_start(*area), generation(last));
        Log { start, generation, epoch, number, previous, ..Log::anew() }
    }

    /// Writes the next page of the input; a page behind the end of the area is left out.
    fn write(&mut self, image: &mut Image, input: &mut Input<'_>) {
        let how = input.byte();
        let has = |what: u8| how & what != 0;
        self.number += u32::from(has(GAP));
        self.epoch += u64::from(has(NEXT_EPOCH));
        let (mut generation, mut epoch) = (self.generation, self.epoch);
        if has(FORGED_COUNTS) {
            (generation, epoch) = (input.u64(), input.u64());
        }
        let flushed = if has(FLUSHED) { self.number } else { 0 };
        let previous = if has(OTHER_PREVIOUS) { input.u32() } else { self.previous };
        let forged = has(FORGED_LENGTH).then(|| input.u16());
        let records = input.part();
        let records = &records[..records.len().min(ledger::RECORDS.len())];
        let used = forged.unwrap_or(records.len() as u16);
        let mut page = vec![0; PAGE];
        page[..4].copy_from_slice(ledger::MAGIC);
        page[ledger::RING_UUID].copy_from_slice(&UUID);
        page[ledger::GENERATION].copy_from_slice(&generation.to_le_bytes());
        page[ledger::EPOCH].copy_from_slice(&epoch.to_le_bytes());
        page[ledger::NUMBER].copy_from_slice(&self.number.to_le_bytes());
        page[ledger::PREVIOUS].copy_from_slice(&previous.to_le_bytes());
        page[ledger::USED].copy_from_slice(&used.to_le_bytes());
        page[ledger::FLAGS].copy_from_slice(&u16::from(!has(NO_CHECKPOINT)).to_le_bytes());
        page[ledger::FLUSHED_PAGES].copy_from_slice(&flushed.to_le_bytes());
        page[ledger::RECORDS][..records.len()].copy_from_slice(records);
        self.previous = seal(&mut page, ledger::CHECKSUM);
        if self.number < self.pages {
            image.write(self.start + u64::from(self.number) * PAGE as u64, &page);
        }
        self.number += 1;
    }
}

pub fn run(data: &[u8]) {
    exercise(changed(data));
}

fn changed(data: &[u8]) -> Image {
    let mut image = base();
    change(&mut image, data);
    image
}

/// Writes the pages of the input.
pub fn change(image: &mut Image, data: &[u8]) {
    let mut input = Input(data);
    let how = input.byte();
    if how & ALONE != 0 {
        image.write(area_start(serving().0), &vec![0xff; area_pages() as usize * PAGE]);
    }
    let mut log = if how & ANEW != 0 { Log::anew() } else { Log::behind() };
    while !input.is_empty() && log.number < log.pages {
        log.write(image, &mut input);
    }
}

fn records(facts: &[Fact]) -> Vec<u8> {
    let mut records = Vec::new();
    facts.iter().for_each(|fact| fact.append_to(&mut records));
    records
}

/// Facts about what [`base`] holds, one of each kind that the log does not hold by itself.
fn more_facts() -> Vec<Fact> {
    let (block, life) = (BlockNumber(5), Sequence(1 << 40 | 90));
    let (stream, clip) = (StreamNumber(4), ClipId(Sequence(1 << 40 | 91)));
    let extent = Extent {
        block,
        life,
        first_page: 1,
        end_page: 4,
        first_chunk: 0,
        chunks: 3,
        clip_chunks: 1,
        seal: 77,
    };
    let growth = Arc::from(&[][..]);
    let reason = Reason::Evicted;
    vec![
        Fact::Reserved { block, life },
        Fact::Extent { clip, stream, ordinal: 0, extent, growth },
        Fact::Fill { stream, block, life, end_page: 4, next_chunk: 3, seal: 77 },
        Fact::Left { stream },
        Fact::Gone { clip, reason },
        Fact::Bad { block: BlockNumber(6) },
        Fact::State { clip, state: ClipState::Purging { reason } },
        Fact::Observation {
            stream,
            from: WallTime(1),
            to: WallTime(2),
            fact: Arc::from(&b"text"[..]),
        },
        Fact::Clean,
        Fact::CheckpointEnd,
    ]
}

pub fn seeds() -> Vec<Seed> {
    let real: Vec<Vec<u8>> = serving()
        .1
        .iter()
        .map(|page| {
            let used = usize::from(u16::from_le_bytes([page[ledger::USED.start], page[49]]));
            page[ledger::RECORDS][..used].to_vec()
        })
        .collect();
    let log = |first: u8, how: u8, pages: &[Vec<u8>]| {
        let begin = Output::default().bytes(&[first]);
        pages.iter().fold(begin, |to, page| to.bytes(&[how]).part(page)).0
    };
    let more = [records(&more_facts())];
    // The number of the next chunk in the block that a stream goes on in is the last there is.
    let disk = Disk::from_image(base());
    let inspection = Inspection::open(&*disk).expect("a ring");
    let (_, record) = inspection.clips().next().expect("a clip");
    let last = Fact::Fill {
        stream: record.stream,
        block: record.extents[0].block,
        life: record.extents[0].life,
        end_page: 200,
        next_chunk: u32::MAX,
        seal: u32::MAX,
    };
    let last = [records(&[last, Fact::Clean])];
    vec![
        ("last", log(0, NEXT_EPOCH, &last)),
        ("behind", log(0, NEXT_EPOCH, &more)),
        ("anew", log(ANEW, NEXT_EPOCH, &real)),
        ("alone", log(ANEW | ALONE, 0, &real)),
        ("gap", log(ANEW, NEXT_EPOCH | GAP | FLUSHED, &real)),
        ("torn", log(0, OTHER_PREVIOUS | GAP, &more)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_of_the_harness_says_what_the_real_one_said() {
        let facts = |image: Image| {
            let disk = Disk::from_image(image);
            let inspection = Inspection::open(&*disk).expect("a ring");
            (inspection.facts.clone(), inspection.findings.rotten.clone())
        };
        let seed = |name: &str| {
            let seed = seeds().into_iter().find(|(known, _)| *known == name);
            changed(&seed.expect("a seed").1)
        };
        assert_eq!(facts(seed("anew")), facts(base()));
        assert_eq!(facts(seed("alone")), facts(base()));
        let more = facts(seed("behind")).0;
        assert!(more.ends_with(&more_facts()));
    }
}
