//! Reading a ledger area: which of its pages belong to the log, and what is missing.

use std::collections::HashSet;
use std::io;
use std::ops::RangeInclusive;

use super::{Findings, HOLE_PAGES_MAX, STRIDE_PAGES, Tail};
use crate::device::{AlignedBuffer, Device};
use crate::ring::fact::Fact;
use crate::ring::page::{self, PageHeader, Slot};
use crate::ring::superblock::Superblock;
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES, SessionNumber};

/// Pages of one generation of an area, as they were found.
pub(super) struct Scan {
    pub generation: u64,
    /// The highest that any page names: one that was given up must not be used again.
    pub generation_max: u64,
    strides: Vec<AlignedBuffer>,
    accepted: Vec<Seen>,
    /// Where flushed pages of the log are missing.
    gaps: Vec<Gap>,
    pub tail: Tail,
    pub epoch: u64,
    pub findings: Findings,
    /// Rotten pages may have been part of the checkpoint.
    pub rotten_checkpoint: bool,
}

/// Reads the pages of one area, as far as its generation goes; `None` where it holds none. Pages
/// of a filling before may stand at its beginning, where places refuse to be written.
pub(super) fn scan(
    device: &dyn Device,
    superblock: &Superblock,
    area: usize,
) -> io::Result<Option<Scan>> {
    let geometry = &superblock.geometry;
    let start = geometry.ledger_start(area);
    let mut pages: Vec<Seen> = Vec::new();
    let mut strides = Vec::new();
    // The header with the highest epoch: nothing is written to a filling that another follows.
    let mut newest: Option<PageHeader> = None;
    let (mut failure, mut end) = (None, 0);
    let area_bytes = geometry.ledger_area.0;
    let stride_bytes = STRIDE_PAGES as u64 * PAGE_BYTES;
    for at in (0..area_bytes).step_by(stride_bytes as usize) {
        let range = at..(at + stride_bytes).min(area_bytes);
        let read = (range.end / PAGE_BYTES) as u32;
        let length = (range.end - range.start) as usize;
        let Around { bytes: stride, error, .. } =
            read_around(device, start + ByteCount(range.start), length);
        if let Some(error) = &error {
            log::warn!("ledger: {error}; reading page by page");
            end = read;
        }
        failure = failure.or(error);
        let numbers = (at / PAGE_BYTES) as u32..;
        for (number, bytes) in numbers.zip(stride.chunks(PAGE_BYTES as usize)) {
            let Slot::Sealed { header, checksum, records } =
                page::open(&superblock.ring_uuid, bytes)
            else {
                continue;
            };
            if header.number != number {
                continue;
            }
            if newest.is_none_or(|newest| header.epoch > newest.epoch) {
                newest = Some(header);
            }
            if newest.is_some_and(|newest| header.generation == newest.generation) {
                end = number + 1;
            }
            let ends_checkpoint = Fact::ends_checkpoint(records);
            pages.push(Seen { header, checksum, ends_checkpoint });
        }
        strides.push(stride);
        if read - end > HOLE_PAGES_MAX {
            break;
        }
    }
    let Some(PageHeader { generation, .. }) = newest else {
        return failure.map_or(Ok(None), Err);
    };
    let generation_max = pages.iter().map(|page| page.header.generation).max().unwrap_or(0);
    pages.retain(|page| page.header.generation == generation);
    Ok(Some(Scan { generation_max, ..accept(area, generation, strides, &pages) }))
}

/// Pages that were read around those that do not read.
pub(super) struct Around {
    /// One behind another; zeros for those that do not read, which is rot to the caller.
    pub bytes: AlignedBuffer,
    /// Why they were not read at once.
    pub error: Option<io::Error>,
    /// Not one of them reads.
    pub is_empty: bool,
}

/// One bad sector must not take a megabyte of pages with it: what can't be read at once is read
/// page by page.
pub(super) fn read_around(device: &dyn Device, start: DeviceOffset, length: usize) -> Around {
    let error = match crate::device::read(device, start, length) {
        Ok(bytes) => return Around { bytes, error: None, is_empty: false },
        Err(error) => Some(error),
    };
    let (mut bytes, mut is_empty) = (AlignedBuffer::zeroed(length), true);
    for (number, slot) in (0..).zip(bytes.chunks_mut(PAGE_BYTES as usize)) {
        let offset = start + ByteCount(number * PAGE_BYTES);
        if let Ok(page) = crate::device::read(device, offset, slot.len()) {
            slot.copy_from_slice(&page);
            is_empty = false;
        }
    }
    Around { bytes, error, is_empty }
}

/// Pages of the log that had been flushed and are missing.
struct Gap {
    /// Of the page behind it among those accepted.
    index: usize,
    /// Epochs of the page before it and of that behind it: what is missing has one of these.
    epochs: RangeInclusive<u64>,
    /// They may have been part of the checkpoint.
    checkpoint: bool,
}

#[derive(Clone, Copy)]
struct Seen {
    header: PageHeader,
    checksum: u32,
    /// It holds the end of the checkpoint.
    ends_checkpoint: bool,
}

/// Decides which pages belong to the log. A page that names the one before it belongs to it.
/// Where that one is missing, it had been flushed (then it is rot, and the log goes on behind
/// it) or it had not (then the log ends there: no flush covered what follows either).
fn accept(area: usize, generation: u64, strides: Vec<AlignedBuffer>, pages: &[Seen]) -> Scan {
    let epoch_max = pages.iter().map(|page| page.header.epoch).max().unwrap_or(0);
    let mut findings =
        Findings { pages_read: (strides.len() * STRIDE_PAGES) as u32, ..Findings::default() };
    let mut accepted: Vec<Seen> = Vec::with_capacity(pages.len());
    let mut tail = Tail::empty(area, generation);
    let mut gaps = Vec::new();
    for seen in pages {
        let header = &seen.header;
        let gap = header.number != tail.next_page;
        let epoch = accepted.last().map_or(0, |page| page.header.epoch);
        if header.epoch < epoch {
            // What no flush had covered before a crash, in a place that was passed over since.
            continue;
        }
        if header.previous != tail.previous {
            if let Some(behind) = last_safe(&accepted, header) {
                // The pages between were part of a failed flush, and are said again from here on.
                accepted.truncate(behind);
                gaps.retain(|gap: &Gap| gap.index < behind);
                // One of them missing is no rot either.
                let last = accepted.last().map_or(0, |page| page.header.number);
                findings.rotten.retain(|(_, page)| *page < last);
            } else if !gap {
                continue;
            } else if header.epoch == epoch_max && header.number > header.flushed_pages {
                findings.torn_tail += 1;
                continue;
            } else {
                let (index, checkpoint) = (accepted.len(), !tail.checkpointed);
                gaps.push(Gap { index, epochs: epoch..=header.epoch, checkpoint });
                findings.rotten.extend((tail.next_page..header.number).map(|page| (area, page)));
            }
        }
        accepted.push(*seen);
        tail.next_page = header.number.saturating_add(1);
        tail.hole_start = tail.next_page;
        tail.previous = seen.checksum;
        tail.checkpointed |= header.checkpointed || seen.ends_checkpoint;
    }
    tail.flushed();
    let epoch = epoch_max;
    let rotten_checkpoint = gaps.iter().any(|gap| gap.checkpoint);
    let generation_max = generation;
    Scan {
        generation,
        generation_max,
        strides,
        accepted,
        gaps,
        tail,
        epoch,
        findings,
        rotten_checkpoint,
    }
}

/// How many of the accepted pages come before a page that passes over what a failed flush left.
/// Epochs count good flushes: the pages passed over have the same as that page, or the one before
/// where they were left behind a flush that had nothing to cover.
fn last_safe(accepted: &[Seen], next: &PageHeader) -> Option<usize> {
    let last = accepted.last()?.header.epoch;
    let passed = |page: &&Seen| page.header.epoch == next.epoch || page.header.epoch == last;
    let same = accepted.iter().rev().take_while(passed).count();
    let from = accepted.len().saturating_sub(same + 1);
    let found = accepted[from..].iter().rposition(|page| page.checksum == next.previous)?;
    Some(from + found + 1)
}

impl Scan {
    /// Whether nothing that had been flushed is missing, as far as the pages say.
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Whether the session ended in order, and this says so.
    pub fn ends_clean(&self) -> bool {
        let last = self.accepted.len().saturating_sub(1);
        let facts = self.facts_of(&self.accepted[last..]).0;
        matches!(facts.as_slice(), [.., Fact::Clean] | [.., Fact::Clean, Fact::CheckpointEnd])
    }

    /// The epoch of the last page.
    pub fn reach(&self) -> u64 {
        self.accepted.last().map_or(0, |page| page.header.epoch)
    }

    /// Whether it says more than `other`: it reaches farther, or says all that the other says in
    /// its last epoch, and more. Epochs alone do not tell: one flush covers several pages, and
    /// where the last of them has rotted, nothing behind it tells that there was one.
    pub fn goes_on_behind(&self, other: &Scan) -> bool {
        let (reach, other_reach) = (self.reach(), other.reach());
        if reach != other_reach {
            return reach > other_reach;
        }
        let (said, said_there) = (self.last_records(), other.last_records());
        said.len() > said_there.len() && said_there.is_subset(&said)
    }

    /// Whether it ends before something that a flush covered in `other`. Behind a crash two copies
    /// may differ in the last epoch; and the session after one has a single copy, until a
    /// checkpoint takes the place of the other.
    pub fn is_cut_short(&self, other: &Scan) -> bool {
        let flushed = self.reach() + 1..other.reach();
        let missing = |page: &&Seen| flushed.contains(&page.header.epoch);
        if !other.accepted.iter().any(|page| missing(&page)) {
            return false;
        }
        let session = sessions(&self.facts().0).max();
        let ended = self.ends_clean();
        let later = |page: &Seen| {
            let (facts, _) = other.facts_of(std::slice::from_ref(page));
            !ended && sessions(&facts).max() > session
        };
        other.accepted.iter().take_while(|page| !later(page)).any(|page| missing(&page))
    }

    /// What the pages of the last epoch say.
    fn last_records(&self) -> HashSet<(u8, &[u8])> {
        let reach = self.reach();
        let last = self.accepted.iter().rev().take_while(|page| page.header.epoch == reach);
        last.flat_map(|page| Fact::records(self.records(page))).collect()
    }

    /// What is missing speaks of nothing before this epoch: the checkpoint said the rest.
    pub fn doubtful_since(&self) -> u64 {
        let first = self.accepted.first().map_or(0, |page| page.header.epoch);
        if self.rotten_checkpoint { 0 } else { first }
    }

    /// The facts of the pages, and how many more could not be made sense of.
    pub fn facts(&self) -> (Vec<Fact>, u32) {
        self.facts_of(&self.accepted)
    }

    /// As [`Scan::facts`], with what `other` says where pages of the log are missing, or where it
    /// goes on behind them; tells, too, whether that is all that was in them. Facts may then come
    /// twice, which changes nothing.
    pub fn facts_filled_from(&self, other: &Scan) -> (Vec<Fact>, u32, bool) {
        let (mut facts, mut unreadable) = (Vec::new(), 0);
        let mut all_filled = !self.rotten_checkpoint;
        let mut take = |(more, bad): (Vec<Fact>, u32)| {
            facts.extend(more);
            unreadable += bad;
        };
        let within = |epochs: &RangeInclusive<u64>| -> Vec<Seen> {
            let pages = other.accepted.iter();
            pages.filter(|page| epochs.contains(&page.header.epoch)).copied().collect()
        };
        let mut from = 0;
        for (number, Gap { index, epochs, .. }) in self.gaps.iter().enumerate() {
            take(self.facts_of(&self.accepted[from..*index]));
            // Of gaps in the same epochs the first brings all that others refer to, and the last
            // puts it in order: a checkpoint may be of one epoch, and have hundreds of gaps.
            let before = number.checked_sub(1).and_then(|before| self.gaps.get(before));
            let beside = [before, self.gaps.get(number + 1)];
            if !beside.iter().all(|gap| gap.is_some_and(|gap| gap.epochs == *epochs)) {
                take(other.facts_of(&within(epochs)));
            }
            let missing_there = other.gaps.iter().any(|theirs| {
                theirs.epochs.start() <= epochs.end() && epochs.start() <= theirs.epochs.end()
            });
            all_filled &= !missing_there && other.reach() >= *epochs.end();
            from = *index;
        }
        take(self.facts_of(&self.accepted[from..]));
        if other.goes_on_behind(self) {
            take(other.facts_of(&within(&(self.reach()..=other.reach()))));
            let said = self.last_records();
            // What follows a gap that lies before the end of this is here, too.
            all_filled &= other.gaps.iter().all(|gap| {
                let behind = Fact::records(other.records(&other.accepted[gap.index]));
                *gap.epochs.end() < self.reach() || behind.into_iter().all(|r| said.contains(&r))
            });
        }
        (facts, unreadable, all_filled)
    }

    fn facts_of(&self, pages: &[Seen]) -> (Vec<Fact>, u32) {
        let mut facts = Vec::new();
        let mut unreadable = 0;
        for page in pages {
            for (kind, body) in Fact::records(self.records(page)) {
                match Fact::decode(kind, body) {
                    Ok(fact) => facts.push(fact),
                    Err(error) => {
                        log::warn!("ledger page {}: {error}", page.header.number);
                        unreadable += 1;
                    }
                }
            }
        }
        (facts, unreadable)
    }

    /// The records of a page, one behind another.
    fn records(&self, page: &Seen) -> &[u8] {
        let number = page.header.number as usize;
        let stride = &self.strides[number / STRIDE_PAGES];
        let at = (number % STRIDE_PAGES) * PAGE_BYTES as usize;
        let bytes = &stride[at..at + PAGE_BYTES as usize];
        match page::open(&page::ring_uuid(bytes), bytes) {
            Slot::Sealed { records, .. } => records,
            Slot::Blank | Slot::Torn => &[],
        }
    }
}

fn sessions(facts: &[Fact]) -> impl Iterator<Item = SessionNumber> {
    facts.iter().filter_map(|fact| match fact {
        Fact::Session { number, .. } => Some(*number),
        _ => None,
    })
}
