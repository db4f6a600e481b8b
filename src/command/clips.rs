//! `reelfs keep`, `unkeep`, `rm` and `restore`: what becomes of clips.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::record::asked;
use super::{CommandError, unless_closed};
use crate::config::Config;
use crate::control::{Ask, ClipsAsk, Span, Verb};

/// Paths that are asked for at once take no more, in bytes: an ask has its limit.
const PATHS_BYTES_MAX: usize = 256 << 10;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ClipsRequest {
    /// What is to be done.
    pub verb: Verb,
    /// Until when, of what is kept.
    pub until: Option<String>,
    /// Clips, ranges or directories in the mount.
    pub paths: Vec<PathBuf>,
    /// All of a camera in some time.
    pub span: Option<Span>,
    /// Nothing is done.
    pub dry_run: bool,
}

/// Has the daemon do it, and prints what it has done.
///
/// # Errors
/// Nobody listens; a path is not in the mount; or some of it was not done, and why.
pub fn clips(
    config: &Config,
    request: &ClipsRequest,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let paths: Vec<String> =
        request.paths.iter().map(|path| below_mount(config, path)).collect::<Result<_, _>>()?;
    for paths in portions(paths) {
        let ask = Ask::Clips(ClipsAsk {
            verb: request.verb,
            until: request.until.clone(),
            paths,
            span: request.span.clone(),
            dry_run: request.dry_run,
            config: Some(config.absolute_file()),
        });
        let answer = asked(&config.control.socket, &ask)?;
        let written = answer.done.iter().try_for_each(|line| Ok(writeln!(out, "{line}")?));
        unless_closed(written)?;
        if let Some(why) = answer.error {
            return Err(CommandError::Failed(why));
        }
    }
    Ok(())
}

/// Where something is in the mount.
fn below_mount(config: &Config, path: &Path) -> Result<String, CommandError> {
    let failed =
        |path: &Path, why: &str| CommandError::Failed(format!("{}: {why}", path.display()));
    let absolute =
        |path: &Path| path.canonicalize().map_err(|error| failed(path, &error.to_string()));
    let mount = absolute(&config.view.mount)?;
    let found = absolute(path)?;
    let Ok(below) = found.strip_prefix(&mount) else {
        return Err(failed(path, &format!("it is not in {}", mount.display())));
    };
    let below = below.to_str().ok_or_else(|| failed(path, "it is not UTF-8"))?;
    Ok(if below.is_empty() { ".".to_owned() } else { below.to_owned() })
}

/// The same, some at a time; one portion where there is none.
fn portions(paths: Vec<String>) -> Vec<Vec<String>> {
    let mut portions = vec![Vec::new()];
    let mut bytes = 0;
    for path in paths {
        bytes += path.len();
        if bytes > PATHS_BYTES_MAX {
            portions.push(Vec::new());
            bytes = path.len();
        }
        if let Some(last) = portions.last_mut() {
            last.push(path);
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_paths_are_asked_for_in_portions_and_none_at_once() {
        assert_eq!(portions(Vec::new()), [Vec::<String>::new()]);
        let path = "x".repeat(100);
        let all = portions(vec![path; 6000]);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [2621, 2621, 758]);
    }
}
