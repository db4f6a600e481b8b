//! `reelfs import`: existing files into the ring, as a camera's footage.
//!
//! All files are looked at before anything is written, so that what can't be taken is refused as a
//! whole. What is in the ring already is known by its pictures, and passed: an import that ended
//! half way is gone on with by the same words.

mod checks;
mod folders;
mod opened;
mod stored;
mod taking;

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::contents::of_ring;
use super::progress::progress_bar;
use super::{CommandError, WhileRead, camera_named};
use crate::cli::quantity::size_text;
use crate::clock::Clock;
use crate::config::{CameraConfig, Config};
use crate::import::{Beginning, Footage, NamePattern, Placed, Survey, has_own_times, placed};
use crate::units::{ByteCount, ClipId, Counted, WallTime};
use crate::view::utc_timestamp;
use crate::zone::Zone;
use checks::{Plan, Wanted};
use folders::Given;
use opened::Opened;

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The camera of the configuration whose footage it is, where the names of files do not say;
    /// where they do, the one whose footage is wanted.
    pub camera: Option<String>,
    /// What says when files begin.
    pub beginning: Beginning,
    /// How files are named; without it, no folder is looked into.
    pub naming: Option<Naming>,
    /// Footage is taken also where it overlaps what is there, pushes it out, or is of the future.
    pub force: bool,
    /// What is taken is kept for so long, whatever its age.
    pub keep: Option<Duration>,
    /// Only say what would be done.
    pub plan: bool,
    /// Files, and folders of such.
    pub files: Vec<PathBuf>,
}

/// How files are named.
#[derive(Clone, Debug)]
pub struct Naming {
    /// From some folder on.
    pub pattern: NamePattern,
    /// The zone of the times in it.
    pub zone: Zone,
}

/// What becomes of the files of one camera.
struct Job<'a> {
    request: &'a ImportRequest,
    camera: String,
    /// Those that were found in folders.
    found: HashSet<PathBuf>,
}

/// A job, and what is to be done for it.
type Planned<'a> = (Job<'a>, Plan);

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
    if let Some(camera) = &request.camera {
        camera_of(config, camera)?;
    }
    let now = clock.read().wall;
    let (batches, mut left_out) = folders::batches(config, request, &mut out)?;
    let mut jobs = Vec::new();
    for (camera, given) in batches {
        let (files, unread) = place_all(request, &given, now, &mut out)?;
        left_out += unread;
        let found = given.into_iter().filter(|given| given.is_found).map(|given| given.path);
        let job = Job { request, camera, found: found.collect() };
        checks::refuse_by_time(config, &job, &files, now)?;
        jobs.push((job, files));
    }
    let opened = Opened::open(config, clock)?;
    let mut begun = Vec::new();
    let outcome = opened.import_all(config, request, jobs, &mut begun, &mut out);
    let outcome = outcome.map(|more| left_out += more);
    // Also after an error: what was taken is closed in order.
    let closed = opened.writer.close().map_err(of_ring(&config.ring.device));
    let outcome = outcome.and(closed).and_then(|()| opened.refuse_losses(config));
    if let (Err(_), Some(end)) = (&outcome, opened.end_of(&begun)) {
        let end = utc_timestamp(end);
        writeln!(out, "up to {end} it is in the ring; the same words go on behind that")?;
    }
    out.flush()?;
    outcome?;
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

/// Looks at all files of a camera and gives each its place in time. Answers how many can't be
/// taken, too.
fn place_all(
    request: &ImportRequest,
    files: &[Given],
    now: WallTime,
    out: &mut dyn Write,
) -> Result<(Vec<Placed>, u64), CommandError> {
    let bar = progress_bar(files.len() as u64, "looking at {pos} of {len} files");
    let mut surveys: Vec<Survey> = Vec::with_capacity(files.len());
    let mut unread = 0;
    for given in files {
        bar.inc(1);
        match Footage::open(&given.path) {
            Ok(footage) => surveys.push(Survey { named: given.named, ..footage.survey() }),
            Err(error) if given.is_found => {
                unread += 1;
                bar.suspend(|| writeln!(out, "{error}: left out"))?;
            }
            Err(error) => return Err(error.into()),
        }
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
    Ok((files, unread))
}

impl Opened {
    /// Answers of how many files something is left out; `begun` are the clips of the last camera
    /// then. Whatever is refused is, before anything is written.
    fn import_all(
        &self,
        config: &Config,
        request: &ImportRequest,
        jobs: Vec<(Job<'_>, Vec<Placed>)>,
        begun: &mut Vec<ClipId>,
        out: &mut dyn Write,
    ) -> Result<u64, CommandError> {
        let mut planned = Vec::with_capacity(jobs.len());
        let mut left_out = 0;
        for (job, files) in jobs {
            let plan = self.plan(config, &job, files)?;
            for file in &plan.passed {
                let path = file.survey.path.display();
                writeln!(out, "{path}: imported before, from {} on", utc_timestamp(file.start))?;
            }
            for why in &plan.left_out {
                writeln!(out, "{why}: left out")?;
            }
            left_out += plan.left_out.len() as u64;
            planned.push((job, plan));
        }
        if !request.force {
            self.refuse_by_room(config, &planned)?;
        }
        if request.plan {
            self.tell(&planned, out)?;
            return Ok(left_out);
        }
        for (job, plan) in &planned {
            begun.clear();
            left_out += self.take_all(config, job, plan, begun, out)?;
        }
        Ok(left_out)
    }

    /// Says what would be done.
    fn tell(&self, planned: &[Planned<'_>], out: &mut dyn Write) -> Result<(), CommandError> {
        for (job, Wanted { file, .. }) in checks::wanted(planned) {
            writeln!(
                out,
                "{}: {} from {} to {} ({}): {}, {}",
                file.survey.path.display(),
                job.camera,
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
        let (free, size) = (size_text(usage.free), size_text(usage.size));
        writeln!(
            out,
            "{}, {}; {free} of {size} are free; {} would make room. Nothing was changed",
            Counted(checks::wanted(planned).count() as u64, "file"),
            size_text(checks::bytes(planned)),
            Counted(self.room(planned).pushed_out.len() as u64, "clip")
        )?;
        Ok(())
    }
}
