//! Compares superblocks, ledger, blocks and index with one another, and says what differs.
//!
//! [`check`] looks at a ring and writes nothing, also while a daemon records: what is found wrong
//! with a clip that the daemon has given up meanwhile is left out. Each [`Finding`] is a place,
//! what was found there, what was expected, and what that costs. [`Scrubber`] does the part of it
//! that reads every sample in the daemon, at its own slow pace.

mod blocks;
mod clips;
mod facts;
mod finding;
mod growing;
mod idle;
mod indexed;
mod ledger;
mod names;
mod pass;
mod report;
mod restoring;
mod samples;
mod scrubber;
mod superblocks;

pub use finding::{Cost, Finding, Loss, Place};
pub use growing::rescue_losses;
pub use idle::give_way;
pub use names::Span;
pub use report::{FINDINGS_MAX, Report};
pub use restoring::restore;
pub use scrubber::{Damage, LATEST_MAX, ScrubCounters, Scrubber};

use std::path::Path;
use std::time::Duration;

use crate::device::Device;
use crate::index::Audit;
use crate::ring::{ClipRecord, Extent, Inspection, RingError};
use crate::units::{ClipId, Sequence, StreamNumber};
use names::Names;

/// A ledger that is being written to may look torn for a moment: it is read again, so often ...
const LEDGER_READS_MAX: u32 = 4;
/// ... and after this time.
const LEDGER_WAIT: Duration = Duration::from_millis(500);

/// What is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Every sample, too.
    pub scrub: bool,
    /// The directory of the index, to be compared with the ring.
    pub index: Option<&'a Path>,
    /// A daemon writes to the ring.
    pub live: bool,
}

/// What is being gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Clips: headers and tables. Counted in clips.
    Clips,
    /// Headers of blocks. Counted in blocks.
    Blocks,
    /// Samples. Counted in bytes.
    Samples,
    /// The device, for what is left of a ring. Counted in bytes.
    Device,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which part of it.
    pub phase: Phase,
    /// Done of it.
    pub done: u64,
    /// In all.
    pub total: u64,
}

/// Who hears of a check while it goes on.
pub trait Listener {
    /// Something was found; while a daemon writes, only at the end.
    fn found(&mut self, finding: &Finding);

    /// Something is worth knowing.
    fn noted(&mut self, note: &str);

    /// It has come so far.
    fn progress(&mut self, progress: Progress);
}

/// A check that goes on.
struct Checker<'a> {
    inspection: Inspection<'a>,
    options: Options<'a>,
    names: Names,
    index: Option<Audit>,
    /// What no fact speaks of yet: clips with their streams.
    behind: Vec<(ClipId, StreamNumber, Extent)>,
    report: Report,
    listener: &'a mut dyn Listener,
}

/// Compares everything that a ring says of itself.
///
/// # Errors
/// There is no ring that can be looked at: see [`RingError`]. All superblocks are gone, or
/// neither ledger area has a complete checkpoint.
pub fn check<'a>(
    device: &'a dyn Device,
    options: &Options<'a>,
    listener: &'a mut dyn Listener,
) -> Result<Report, RingError> {
    let inspection = open(device, options.live)?;
    let names = Names::of(&inspection);
    let (options, report) = (*options, Report::default());
    let (index, behind) = (None, Vec::new());
    let mut checker = Checker { inspection, options, names, index, behind, report, listener };
    if options.live {
        checker.note("a daemon records: what grows may look half-written".into());
    }
    checker.check_superblocks(device);
    checker.check_ledger();
    checker.check_what_grows()?;
    checker.check_facts();
    if let Some(directory) = options.index {
        checker.open_index(directory);
    }
    checker.check_blocks();
    checker.check_clips();
    if options.scrub {
        checker.check_samples();
    }
    checker.finish(device)
}

fn open(device: &dyn Device, live: bool) -> Result<Inspection<'_>, RingError> {
    let reads_max = if live { LEDGER_READS_MAX } else { 1 };
    let mut opened = Inspection::open(device);
    // The copies are read one after the other: the second may say what the first did not yet.
    let mut cut_short_before = None;
    for _ in 1..reads_max {
        cut_short_before = match &opened {
            Ok(inspection) if inspection.findings.is_clean() => break,
            Ok(inspection) => inspection.findings.cut_short,
            Err(_) => None,
        };
        std::thread::sleep(LEDGER_WAIT);
        opened = Inspection::open(device);
    }
    let mut inspection = opened?;
    if live && inspection.findings.cut_short != cut_short_before {
        inspection.findings.cut_short = None;
    }
    Ok(inspection)
}

impl Checker<'_> {
    fn tell(&mut self, finding: Finding) {
        if !self.options.live {
            self.listener.found(&finding);
        }
        self.report.take(finding);
    }

    fn note(&mut self, note: String) {
        self.listener.noted(&note);
        self.report.notes.push(note);
    }

    fn step(&mut self, phase: Phase, done: u64, total: u64) {
        self.listener.progress(Progress { phase, done, total });
    }

    fn finish(mut self, device: &dyn Device) -> Result<Report, RingError> {
        let bad = (0..self.inspection.superblock.geometry.block_count)
            .filter(|block| self.inspection.is_bad(crate::units::BlockNumber(*block)));
        let bad = bad.count();
        if bad > 0 {
            self.note(format!(
                "{bad} blocks have refused a write or a read, and are not used any more"
            ));
        }
        if self.options.live {
            let now = Inspection::open(device)?;
            self.report.forget(|finding| is_gone(&now, finding));
            for finding in &self.report.findings {
                self.listener.found(finding);
            }
        }
        Ok(self.report)
    }
}

/// Whether the clip or the block's life that a finding speaks of is not there any more.
fn is_gone(now: &Inspection<'_>, finding: &Finding) -> bool {
    let place = &finding.place;
    let other_life = place
        .block
        .zip(place.life)
        .is_some_and(|(block, life)| now.life(crate::units::BlockNumber(block)) != Sequence(life));
    let clip_gone = place.clip_id.is_some_and(|clip| {
        let mut clips = now.clips();
        let record = clips.find(|(known, _)| *known == clip).map(|(_, record)| record);
        record.is_none_or(ClipRecord::is_purging)
    });
    other_life || clip_gone
}
