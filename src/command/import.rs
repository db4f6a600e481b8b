//! `reelfs import`: existing files into the ring, as a camera's footage.
//!
//! All files are looked at before anything is written, so that what can't be taken is refused as a
//! whole. What is in the ring already is known by its pictures, and passed: an import that ended
//! half way is gone on with by the same words.

mod checks;
mod opened;
mod stored;
mod taking;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::contents::of_ring;
use super::progress::progress_bar;
use super::{CommandError, WhileRead, camera_named};
use crate::cli::quantity::size_text;
use crate::clock::Clock;
use crate::config::{CameraConfig, Config};
use crate::import::{Beginning, Footage, Placed, Survey, has_own_times, placed};
use crate::units::{ByteCount, Counted, WallTime};
use crate::view::utc_timestamp;
use checks::Plan;
use opened::Opened;

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The camera of the configuration whose footage it is.
    pub camera: String,
    /// What says when files begin.
    pub beginning: Beginning,
    /// Footage is taken also where it overlaps what is there, pushes it out, or is of the future.
    pub force: bool,
    /// What is taken is kept for so long, whatever its age.
    pub keep: Option<Duration>,
    /// Only say what would be done.
    pub plan: bool,
    /// The files.
    pub files: Vec<PathBuf>,
}

/// Puts files into the ring and prints a line for each, and what was left out of it.
///
/// # Errors
/// A file that can't be imported, a camera that is not in the configuration, footage that has no
/// place in time or in the ring; a daemon that runs on the ring, or a ring that fails: what was
/// imported until then stays. Also where something of a file was left out.
pub fn import(
    config: &Config,
    request: &ImportRequest,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let mut out = WhileRead::new(out);
    camera_of(config, &request.camera)?;
    let now = clock.read().wall;
    let files = place_all(request, now, &mut out)?;
    checks::refuse_by_time(config, request, &files, now)?;
    let opened = Opened::open(config, clock)?;
    let outcome = opened.import(config, request, files, &mut out);
    // Also after an error: what was taken is closed in order.
    let closed = opened.writer.close().map_err(of_ring(&config.ring.device));
    let left_out = outcome?;
    closed?;
    out.flush()?;
    opened.refuse_losses(config)?;
    match left_out {
        0 => Ok(()),
        files => Err(CommandError::Failed(format!(
            "something of {} is left out, as said above",
            Counted(files, "file")
        ))),
    }
}

fn camera_of<'a>(config: &'a Config, camera: &str) -> Result<&'a CameraConfig, CommandError> {
    camera_named(config, camera).map_err(|known| {
        CommandError::Usage(format!("no camera {camera:?} in the configuration: {known}"))
    })
}

/// Looks at all files and gives each its place in time.
fn place_all(
    request: &ImportRequest,
    now: WallTime,
    out: &mut dyn Write,
) -> Result<Vec<Placed>, CommandError> {
    let bar = progress_bar(request.files.len() as u64, "looking at {pos} of {len} files");
    let mut seen = HashSet::new();
    let mut surveys: Vec<Survey> = Vec::with_capacity(request.files.len());
    for path in &request.files {
        bar.inc(1);
        let known = fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        if known.is_ok_and(|known| !seen.insert(known)) {
            bar.suspend(|| writeln!(out, "{}: given twice, and taken once", path.display()))?;
            continue;
        }
        surveys.push(Footage::open(path)?.survey());
    }
    bar.finish_and_clear();
    if let Beginning::At(_) = request.beginning
        && let Some(file) = surveys.iter().find(|file| has_own_times(file, now))
    {
        let path = file.path.display();
        writeln!(out, "{path}: its own times are seconds since 1970; --start file takes them")?;
    }
    let (files, said) = placed(surveys, request.beginning, now)
        .map_err(|misplaced| CommandError::Usage(misplaced.to_string()))?;
    if let Some(said) = said {
        writeln!(out, "{said}")?;
    }
    Ok(files)
}

impl Opened {
    /// Answers of how many files something is left out.
    fn import(
        &self,
        config: &Config,
        request: &ImportRequest,
        files: Vec<Placed>,
        out: &mut dyn Write,
    ) -> Result<u64, CommandError> {
        let plan = self.plan(config, request, files)?;
        for file in &plan.passed {
            let path = file.survey.path.display();
            writeln!(out, "{path}: imported before, from {} on", utc_timestamp(file.start))?;
        }
        self.refuse_by_room(config, request, &plan)?;
        if request.plan {
            return self.tell(request, &plan, out).map(|()| 0);
        }
        self.take_all(config, request, &plan, out)
    }

    /// Says what would be done.
    fn tell(
        &self,
        request: &ImportRequest,
        plan: &Plan,
        out: &mut dyn Write,
    ) -> Result<(), CommandError> {
        for file in plan.files.iter().map(|wanted| &wanted.file) {
            writeln!(
                out,
                "{}: {} from {} to {} ({}): {}, {}",
                file.survey.path.display(),
                request.camera,
                utc_timestamp(file.start),
                utc_timestamp(file.end),
                file.known,
                Counted(file.survey.pictures, "frame"),
                size_text(ByteCount(file.survey.byte_count))
            )?;
            for remark in &file.survey.remarks {
                writeln!(out, "  {remark}")?;
            }
        }
        let usage = self.ring.usage();
        let bytes = size_text(plan.bytes());
        let (free, size) = (size_text(usage.free), size_text(usage.size));
        let pushed_out = self.pushed_out(plan.bytes());
        writeln!(
            out,
            "{}, {bytes}; {free} of {size} are free; {} would make room. Nothing was changed",
            Counted(plan.files.len() as u64, "file"),
            Counted(pushed_out.len() as u64, "clip")
        )?;
        Ok(())
    }
}
