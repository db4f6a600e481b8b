//! Reading the ledger: either area says everything; where one is damaged the other serves, and
//! where both are, each fills the other's gaps as far as it can.

use std::io;

use super::Ledger;
use super::scan::{self, Scan};
use crate::device::Device;
use crate::ring::fact::Fact;
use crate::ring::superblock::Superblock;

/// What was met while the ledger was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Pages read, and areas looked at.
    pub pages_read: u32,
    /// Pages that had been flushed and can't be read any more: (area, page).
    pub rotten: Vec<(usize, u32)>,
    /// An area whose log ends before what a flush covered in the other: (area, first page missing).
    pub cut_short: Option<(usize, u32)>,
    /// Pages at the end that no flush had covered.
    pub torn_tail: u32,
    /// Facts that could not be made sense of.
    pub unreadable_facts: u32,
    /// An area that holds nothing any more.
    pub area_lost: Option<usize>,
    /// The newest area is damaged, and the other one served.
    pub fell_back: bool,
    /// Facts are lost for good: both copies of a part of the log, or of a checkpoint.
    pub doubtful: bool,
    /// Clips that the area before still knew, and rotten pages of the checkpoint had held.
    pub clips_restored: u32,
}

impl Findings {
    /// Whether the ledger is as it was written.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rotten.is_empty()
            && self.cut_short.is_none()
            && self.torn_tail == 0
            && self.unreadable_facts == 0
            && self.area_lost.is_none()
            && !self.fell_back
            && !self.doubtful
    }
}

/// The facts of a ledger in their order, and where it goes on.
#[derive(Debug)]
pub struct Replay {
    /// In the order in which they were logged.
    pub facts: Vec<Fact>,
    /// Where both areas are damaged, and pages of the checkpoint are rotten: what the area before
    /// still says.
    pub older: Vec<Fact>,
    /// The highest epoch of any page.
    pub epoch: u64,
    /// Where facts are lost for good: chunks of this epoch or a later one may be in blocks that
    /// count as free.
    pub doubtful_since: Option<u64>,
    /// What was met.
    pub findings: Findings,
    /// Of each area that has any page: which, its generation, and the page behind its last one.
    pub(super) ends: Vec<(usize, u64, u32)>,
    /// The ledger, to append to.
    pub ledger: Ledger,
}

/// Why a ledger can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The device failed.
    #[error("reading ledger area {area}: {source}")]
    Device {
        /// Which area.
        area: usize,
        /// What the device said.
        source: io::Error,
    },
    /// Neither area has a complete checkpoint.
    #[error("no complete checkpoint in either ledger area")]
    Lost,
}

/// What the areas say together.
struct Choice {
    facts: Vec<Fact>,
    unreadable: u32,
    older: Vec<Fact>,
    serving: Scan,
    mirror: Option<Scan>,
    fell_back: bool,
    doubtful_since: Option<u64>,
}

impl Ledger {
    /// Reads the ledger of a ring.
    ///
    /// # Errors
    /// See [`LedgerError`]; what can be read is read, and the rest told in the findings.
    pub fn replay(device: &dyn Device, superblock: &Superblock) -> Result<Replay, LedgerError> {
        let mut areas = Vec::new();
        let mut findings = Findings::default();
        let mut failure = None;
        for area in 0..2 {
            match scan::scan(device, superblock, area) {
                Ok(Some(found)) => areas.push(found),
                Ok(None) => findings.area_lost = Some(area),
                Err(source) => {
                    findings.area_lost = Some(area);
                    failure = Some(LedgerError::Device { area, source });
                }
            }
        }
        let generation_max = areas.iter().map(|scan| scan.generation_max).max().unwrap_or(0);
        let epoch = areas.iter().map(|scan| scan.epoch).max().unwrap_or(0);
        findings.pages_read = areas.iter().map(|scan| scan.findings.pages_read).sum();
        let end = |scan: &Scan| (scan.tail.area, scan.generation, scan.tail.next_page);
        let ends = areas.iter().map(end).collect();
        // An unfinished newer checkpoint is no damage in itself.
        areas.retain(|scan| scan.tail.checkpointed);
        areas.sort_by_key(|scan| scan.generation);
        for scan in &areas {
            findings.rotten.extend(&scan.findings.rotten);
            findings.torn_tail += scan.findings.torn_tail;
        }
        findings.rotten.sort_unstable();
        let choice = match (areas.pop(), areas.pop()) {
            (Some(newer), Some(older)) => {
                let pairs = [(&newer, &older), (&older, &newer)];
                let cut_short = pairs.into_iter().find(|(one, other)| one.is_cut_short(other));
                findings.cut_short = cut_short.map(|(one, _)| (one.tail.area, one.tail.next_page));
                choose(newer, older)
            }
            (Some(only), None) => alone(only),
            _ => return Err(failure.unwrap_or(LedgerError::Lost)),
        };
        findings.unreadable_facts = choice.unreadable;
        findings.fell_back = choice.fell_back;
        findings.doubtful = choice.doubtful_since.is_some();
        let (tail, mirror) = (choice.serving.tail, choice.mirror.map(|scan| scan.tail));
        Ok(Replay {
            facts: choice.facts,
            older: choice.older,
            epoch,
            doubtful_since: choice.doubtful_since,
            findings,
            ends,
            ledger: Ledger::at(superblock, tail, mirror, generation_max),
        })
    }
}

/// One area is all there is.
fn alone(only: Scan) -> Choice {
    let (facts, unreadable) = only.facts();
    let doubtful_since = (!only.is_whole()).then(|| only.doubtful_since());
    Choice {
        facts,
        unreadable,
        older: Vec::new(),
        serving: only,
        mirror: None,
        fell_back: false,
        doubtful_since,
    }
}

/// The newer area where it is whole and the other says no more, then the older one, then both
/// together.
fn choose(newer: Scan, older: Scan) -> Choice {
    let (reach, older_reach) = (newer.reach(), older.reach());
    if newer.is_whole() && !older.goes_on_behind(&newer) {
        // Behind a crash the two may differ in what no flush covered: only one can go on.
        let same = older_reach == reach && newer.ends_clean() && older.ends_clean();
        let goes_on = older.is_whole() && same;
        return Choice { mirror: goes_on.then_some(older), ..alone(newer) };
    }
    let is_filled = |(facts, unreadable, all_filled): (Vec<Fact>, u32, bool), by: &Scan| {
        (facts, unreadable, (!all_filled).then(|| by.doubtful_since()))
    };
    if older.is_whole() && older_reach >= reach {
        let filled = older.facts_filled_from(&newer);
        let (facts, unreadable, doubtful_since) = is_filled(filled, &older);
        let fell_back = !newer.is_whole();
        return Choice { facts, unreadable, doubtful_since, fell_back, ..alone(older) };
    }
    let filled = newer.facts_filled_from(&older);
    let (facts, unreadable, doubtful_since) = is_filled(filled, &newer);
    let older = if newer.rotten_checkpoint { older.facts().0 } else { Vec::new() };
    Choice { facts, unreadable, older, doubtful_since, ..alone(newer) }
}
