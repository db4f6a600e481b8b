//! `reelfs run --check`: whether everything is there that recording needs. Changes nothing.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::contents::{catalogue_of, device_of, of_ring};
use super::progress::progress_bar;
use super::{CommandError, WhileRead};
use crate::clock::Clock;
use crate::config::{CameraConfig, Config};
use crate::daemon::{checked, refuse_mixed_up, refuse_too_few_blocks};
use crate::mount::{self, MountError};
use crate::probe::{Wanted, listen};
use crate::ring::Inspection;
use crate::units::Counted;

/// Cameras that are asked at the same time.
const AT_ONCE: usize = 32;
/// How long each is listened to.
const LISTENED: Duration = Duration::from_secs(1);

/// Looks at everything, and prints a line for each thing.
///
/// # Errors
/// What is wrong with the configuration, the ring or the mount point; or how many cameras can't be
/// recorded.
pub fn ready(
    config: &Config,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let mut out = WhileRead::new(out);
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    checked(config).map_err(|reason| CommandError::Usage(reason.to_string()))?;
    let count = Counted(config.cameras.len() as u64, "camera");
    line(&mut out, "settings", &format!("{}: {count}", config.file().display()))?;
    line(&mut out, "ring", &look_at_ring(config)?)?;
    let failed = |reason: MountError| CommandError::Failed(reason.to_string());
    let mounts: Vec<&Path> = config.views.iter().map(|view| view.mount.as_path()).collect();
    for mount in &mounts {
        mount::examine(mount).map_err(failed)?;
        line(&mut out, "mount", &mount.display().to_string())?;
    }
    mount::refuse_nested(&mounts).map_err(failed)?;
    let enabled: Vec<&CameraConfig> = config.cameras.iter().filter(|it| it.enabled).collect();
    let answers = ask_all(&enabled, clock);
    for (camera, answer) in enabled.iter().zip(&answers) {
        let (Ok(told) | Err(told)) = answer;
        line(&mut out, camera.name.as_str(), told)?;
    }
    out.flush()?;
    match answers.iter().filter(|answer| answer.is_err()).count() {
        0 => Ok(()),
        failed => Err(CommandError::Failed(format!(
            "{failed} of {} can't be recorded",
            Counted(enabled.len() as u64, "camera")
        ))),
    }
}

fn line(out: &mut WhileRead<'_>, name: &str, told: &str) -> Result<(), CommandError> {
    Ok(writeln!(out, "{name:<11} {told}")?)
}

/// What ring there is, which has room for all cameras.
fn look_at_ring(config: &Config) -> Result<String, CommandError> {
    let path = &config.ring.device;
    let device = device_of(config)?;
    let inspection = Inspection::open(&device).map_err(of_ring(path))?;
    let superblock = &inspection.superblock;
    refuse_too_few_blocks(config, superblock)
        .map_err(|reason| CommandError::Usage(reason.to_string()))?;
    let catalogue = catalogue_of(&inspection);
    refuse_mixed_up(config, &config.cameras, &catalogue, superblock.ring_number)?;
    let label = match superblock.label.as_str() {
        "" => String::new(),
        label => format!(" ({label})"),
    };
    let blocks = Counted(u64::from(superblock.geometry.block_count), "block");
    Ok(format!("{}{label}: {blocks}", path.display()))
}

/// What each camera is, or why it can't be recorded.
fn ask_all(cameras: &[&CameraConfig], clock: &Arc<dyn Clock>) -> Vec<Result<String, String>> {
    let bar = progress_bar(cameras.len() as u64, "{wide_bar} {pos} of {len} cameras");
    let mut answers = Vec::with_capacity(cameras.len());
    for some in cameras.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let asked = some.iter().map(|camera| {
                let bar = &bar;
                scope.spawn(move || {
                    let answer = ask(camera, clock);
                    bar.inc(1);
                    answer
                })
            });
            let asked: Vec<_> = asked.collect();
            answers.extend(asked.into_iter().map(|asked| {
                asked.join().unwrap_or_else(|_| Err("whoever asked it has panicked".to_owned()))
            }));
        });
    }
    bar.finish_and_clear();
    answers
}

fn ask(camera: &CameraConfig, clock: &Arc<dyn Clock>) -> Result<String, String> {
    let session = camera.session().map_err(|reason| reason.to_string())?;
    let wanted = Wanted { length: LISTENED, keeps_frames: false };
    let (heard, _) = listen(&session, clock, wanted, &mut |_, _| ())
        .map_err(|reason| format!("can't be recorded: {reason}"))?;
    Ok(heard.facts.to_string())
}
