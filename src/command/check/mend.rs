//! Putting a ring right: superblocks, what a crash left, the ledger, the index.

use std::io::Write;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::meter::Meter;
use super::{CheckRequest, superblocks};
use crate::archive::{CatalogueUpdater, Listener};
use crate::catalogue::{Catalogue, Change};
use crate::check::{self, Finding, Options, Phase, Progress, Report};
use crate::clock::Clock;
use crate::command::CommandError;
use crate::command::contents::of_ring;
use crate::device::{Device, FileDevice};
use crate::index;
use crate::ring::{self, Ring, RingError, Settings};
use crate::units::{BlockNumber, Counted, RingNumber};

/// Nobody shows the ring while it is put right.
pub(super) struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

impl check::Listener for Nobody {
    fn found(&mut self, _: &Finding) {}
    fn noted(&mut self, _: &str) {}
    fn progress(&mut self, _: Progress) {}
}

/// No flush comes by itself: each is asked for.
const FLUSH_INTERVAL: Duration = Duration::from_secs(3600);

/// A part of a checkpoint that is certainly written with one flush, in bytes.
const CHECKPOINT_STEP_BYTES: u64 = 1 << 20;

/// What it adds up is seen by nobody, so that the ring may have any number.
fn updater() -> Box<CatalogueUpdater> {
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    Box::new(CatalogueUpdater::new(catalogue, RingNumber::default(), Box::new(Nobody)))
}

/// Puts right what `report` found and can be. Answers what was done, in words.
pub(super) fn repair(
    request: &CheckRequest,
    report: &Report,
    device: Arc<FileDevice>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<String>, CommandError> {
    let fail = of_ring(&request.path);
    let mut done = Vec::new();
    if report.superblock_is_damaged {
        let places = ring::repair_superblocks(&*device).map_err(&fail)?;
        done.extend(superblocks::written_again(&places));
    }
    if report.has_unknown {
        log::warn!(
            "{}: the ledger is left as it is: a new one would give up the footage that no fact \
             knows any more. `reelfs check --rescue` finds it, and forgets what was deleted; \
             `reelfs run` goes on without it",
            request.path.display()
        );
    } else if report.is_unclean || !report.ledger_is_sound {
        done.extend(reopen(device.clone(), clock).map_err(&fail)?);
    }
    if report.has_copies_damaged && !report.has_unknown {
        done.extend(restore(request, &*device).map_err(&fail)?);
    }
    if report.index_differs
        && let Some(directory) = &request.index
    {
        index::set_aside(directory).map_err(|source| CommandError::System {
            what: directory.display().to_string(),
            source,
        })?;
        done.push("the index is set aside as sled.discarded: it fills again by itself".to_owned());
    }
    Ok(done)
}

/// Opens the ring as the daemon does, which closes what grows, and closes it in order behind a
/// new checkpoint.
fn reopen(device: Arc<FileDevice>, clock: &Arc<dyn Clock>) -> Result<Vec<String>, RingError> {
    let settings = Settings { flush_interval: FLUSH_INTERVAL, wipe: false };
    let (ring, writer, opening) = Ring::open(device, clock.clone(), &settings, updater())?;
    if !opening.findings.is_clean() {
        // Each flush takes part of the checkpoint along.
        let length = ring.superblock().geometry.ledger_area.0;
        for _ in 0..=length.div_ceil(CHECKPOINT_STEP_BYTES) {
            writer.sync()?;
        }
    }
    writer.close()?;
    let mut done = Vec::new();
    if !opening.was_clean {
        done.push(format!(
            "{} growing clips are closed, with {} chunks that no fact spoke of",
            opening.clips_recovered, opening.chunks_recovered
        ));
    }
    if !opening.findings.is_clean() {
        done.push("the ledger has a new checkpoint".to_owned());
    }
    let found = ring.clips_found();
    if opening.findings.doubtful && found > 0 {
        done.push(format!("{found} clips that nobody can vouch for are in .trash"));
    }
    Ok(done)
}

/// Writes again what something else says, too.
fn restore(request: &CheckRequest, device: &dyn Device) -> Result<Vec<String>, RingError> {
    let restored = check::restore(device)?;
    for left in &restored.left {
        log::warn!("{}: not repaired: {left}", request.path.display());
    }
    let counts = [
        (restored.headers, "headers of blocks"),
        (restored.sets, "parameter sets"),
        (restored.tables, "pieces of clip tables"),
    ];
    let done = counts.iter().filter(|(count, _)| *count > 0);
    Ok(done.map(|(count, what)| format!("{what} written again: {count}")).collect())
}

/// Makes the ledger anew from the blocks. Answers the exit status.
pub(super) fn rescue(
    request: &CheckRequest,
    device: Arc<FileDevice>,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let fail = of_ring(&request.path);
    let found = superblocks::find(request, &*device)?;
    if is_ledger_good(request, &*device)? {
        return match found {
            Some(done) => print_found(request, &done, out),
            None => Err(good_ledger(request)),
        };
    }
    let places = ring::repair_superblocks(&*device).map_err(&fail)?;
    let superblock = found.or_else(|| superblocks::written_again(&places));
    let mut meter = Meter::new();
    let mut progress = |block: BlockNumber, count: u32| {
        let (done, total) = (u64::from(block.0), u64::from(count));
        meter.show(Progress { phase: Phase::Blocks, done, total });
    };
    let rescued = Ring::rescue(device, clock.clone(), updater(), &mut progress);
    meter.finish();
    let rescued = rescued.map_err(&fail)?;
    let path = request.path.display();
    let losses = check::rescue_losses(&rescued);
    let status = if losses.is_empty() { 1 } else { 2 };
    let chunks_lost: u64 = rescued.lost.iter().map(|lost| u64::from(lost.place.chunks)).sum();
    if request.json {
        let answer = serde_json::json!({
            "path": path.to_string(),
            "status": status,
            "superblock_repaired": superblock.is_some(),
            "blocks_read": rescued.blocks_read,
            "blocks_unreadable": rescued.blocks_unreadable,
            "clips_found": rescued.clips_found,
            "chunks_found": rescued.chunks_found,
            "chunks_lost": chunks_lost,
            "streams_found": rescued.streams_found,
            "losses": losses,
        });
        writeln!(out, "{answer:#}")?;
    } else {
        if let Some(done) = superblock {
            writeln!(out, "repaired: {done}")?;
        }
        writeln!(
            out,
            "{path}: a new ledger from {} ({} without a header, {} lost): {} of {}, {}; all of \
             them are in .trash, and mv brings them back",
            Counted(rescued.blocks_read, "block"),
            rescued.blocks_unreadable,
            Counted(chunks_lost, "chunk"),
            Counted(rescued.clips_found, "clip"),
            Counted(rescued.streams_found, "camera"),
            Counted(rescued.chunks_found, "chunk")
        )?;
        for loss in losses {
            writeln!(out, "footage is lost: {loss}")?;
        }
    }
    out.flush()?;
    Ok(status)
}

/// The superblocks were all that was missing.
fn print_found(
    request: &CheckRequest,
    done: &str,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let path = request.path.display();
    if request.json {
        let answer = serde_json::json!({
            "path": path.to_string(),
            "status": 1,
            "superblock_repaired": true,
            "losses": [],
        });
        writeln!(out, "{answer:#}")?;
    } else {
        writeln!(out, "repaired: {done}")?;
        writeln!(out, "{path}: its ledger is good: nothing else was changed")?;
    }
    out.flush()?;
    Ok(1)
}

/// A rescue knows nothing of deletions, so that it is refused where the ledger still does.
fn is_ledger_good(request: &CheckRequest, device: &dyn Device) -> Result<bool, CommandError> {
    match check::check(device, &Options::default(), &mut Nobody) {
        Ok(report) => Ok(report.ledger_is_complete && !report.has_unknown),
        // Where one area can't be read, the other has no checkpoint.
        Err(RingError::LedgerLost | RingError::Device { .. }) => Ok(false),
        Err(reason) => Err(of_ring(&request.path)(reason)),
    }
}

fn good_ledger(request: &CheckRequest) -> CommandError {
    CommandError::Failed(format!(
        "{}: its ledger is good: a rescue would forget what was deleted and what was kept, and put \
         every clip into .trash; nothing was changed",
        request.path.display()
    ))
}
