//! `reelfs check`: what of a ring disagrees, and putting it right where that is asked for.

mod mend;
mod meter;
mod superblocks;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::contents::of_ring;
use super::{CommandError, WhileRead};
use crate::check::{self, Finding, Listener, Options, Progress, Report};
use crate::clock::Clock;
use crate::device::{Access, Device, FileDevice};
use crate::ring::RingError;
use crate::units::Counted;
use meter::Meter;

/// What to check, and what to do about it.
#[derive(Clone, Debug)]
pub struct CheckRequest {
    /// The block device or file.
    pub path: PathBuf,
    /// Whether what can be put right is.
    pub repair: bool,
    /// Whether every sample is read.
    pub scrub: bool,
    /// Whether a whole disk gets a partition table that says that it is taken.
    pub add_label: bool,
    /// Whether the ledger is made anew from the blocks.
    pub rescue: bool,
    /// The directory of the index, to be compared with the ring.
    pub index: Option<PathBuf>,
    /// JSON for programs, rather than lines for people.
    pub json: bool,
}

/// The check could not be made.
pub const CHECK_FAILED: u8 = 3;

/// The JSON form.
#[derive(Serialize)]
struct Answer<'a> {
    path: String,
    status: u8,
    #[serde(flatten)]
    report: &'a Report,
    /// Cameras and clips whose footage is hit, for all that has been put right.
    losses: Vec<String>,
    /// What has been put right.
    repaired: &'a [String],
}

/// Prints what disagrees, and puts it right where the request says so. Answers the exit status: 0
/// nothing disagrees, 1 what does costs no footage, or has been put right, 2 footage is lost.
///
/// # Errors
/// There is no ring, it can't be read, or it is in use while it is to be written to.
pub fn check(
    request: &CheckRequest,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let out = &mut WhileRead::new(out);
    let outcome = run(request, clock, out);
    if let (Err(error), true) = (&outcome, request.json) {
        let (path, error) = (request.path.display().to_string(), error.to_string());
        let answer = serde_json::json!({ "path": path, "status": CHECK_FAILED, "error": error });
        writeln!(out, "{answer:#}")?;
    }
    outcome
}

fn run(
    request: &CheckRequest,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let writes = request.repair || request.rescue;
    let access = if writes { Access::Exclusive } else { Access::ReadOnly };
    let device = Arc::new(FileDevice::open(&request.path, access)?);
    match request.rescue {
        true => mend::rescue(request, device, clock, out),
        false => look(request, device, clock, out),
    }
}

fn look(
    request: &CheckRequest,
    device: Arc<FileDevice>,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let live = !request.repair && device.is_written_to();
    let found = match request.repair {
        true => superblocks::find(request, &*device)?,
        false => None,
    };
    let index = request.index.as_deref();
    let options = Options { scrub: request.scrub, index, live };
    let mut printer = Printer::new(out, request.json);
    let report = printer.check(&*device, &options).map_err(of_ring(&request.path))?;
    printer.finish()?;
    let mut repaired: Vec<String> = found.into_iter().collect();
    let mut losses = report.losses();
    if request.repair {
        repaired.extend(mend::repair(request, &report, device.clone(), clock)?);
        if request.add_label {
            repaired.extend(superblocks::add_label(request, &device)?);
        }
        if !losses.is_empty() && !repaired.is_empty() {
            // What was written again may have been all that was missing.
            let after = check::check(&*device, &options, &mut mend::Nobody);
            losses = report.losses_after(&after.map_err(of_ring(&request.path))?);
        }
    }
    let status = match (report.status(), losses.is_empty()) {
        (2, true) => 1,
        (status, _) => status.max(u8::from(!repaired.is_empty())),
    };
    if request.json {
        let path = request.path.display().to_string();
        let repaired = &repaired[..];
        let answer = Answer { path, status, report: &report, losses, repaired };
        serde_json::to_writer_pretty(&mut *out, &answer).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        print_end(request, &report, &repaired, &losses, out)?;
    }
    out.flush()?;
    Ok(status)
}

fn print_end(
    request: &CheckRequest,
    report: &Report,
    repaired: &[String],
    losses: &[String],
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    for line in repaired {
        writeln!(out, "repaired: {line}")?;
    }
    let tried = match request.scrub {
        true => format!("the data of {} was read", report.chunks_tried),
        false => "their data was not read".to_owned(),
    };
    let (clips, chunks) = (Counted(report.clips, "clip"), Counted(report.chunks, "chunk"));
    let looked = format!("{clips}, {chunks}, {tried}");
    let path = request.path.display();
    match (report.findings_count, report.footage_count) {
        (0, _) => writeln!(out, "{path}: clean: {looked}")?,
        (count, 0) => {
            let advice = if request.repair { "" } else { " (see --repair)" };
            writeln!(out, "{path}: findings: {count}, no footage is lost{advice}: {looked}")?;
        }
        (count, footage) => {
            writeln!(
                out,
                "{path}: findings: {count}, of them costing footage: {footage}: {looked}"
            )?;
        }
    }
    for loss in losses {
        writeln!(out, "footage is lost: {loss}")?;
    }
    Ok(())
}

/// Prints while a check goes on.
struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
    meter: Meter,
    /// What the writer said: the check goes on to its end, which is soon where nothing is read.
    failed: Option<std::io::Error>,
}

impl<'a> Printer<'a> {
    fn new(out: &'a mut dyn Write, json: bool) -> Printer<'a> {
        Printer { out, json, meter: Meter::new(), failed: None }
    }

    fn check(&mut self, device: &dyn Device, options: &Options<'_>) -> Result<Report, RingError> {
        let report = check::check(device, options, self);
        self.meter.finish();
        report
    }

    fn line(&mut self, line: &str) {
        if self.json || self.failed.is_some() {
            return;
        }
        let out = &mut *self.out;
        self.failed =
            self.meter.suspend(|| writeln!(out, "{line}").and_then(|()| out.flush())).err();
    }

    fn finish(self) -> Result<(), CommandError> {
        self.failed.map_or(Ok(()), |error| Err(CommandError::Output(error)))
    }
}

impl Listener for Printer<'_> {
    fn found(&mut self, finding: &Finding) {
        self.line(&finding.to_string());
    }

    fn noted(&mut self, note: &str) {
        self.line(&format!("note: {note}"));
    }

    fn progress(&mut self, progress: Progress) {
        self.meter.show(progress);
    }
}
