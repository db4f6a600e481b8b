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
    let mut places = Vec::new();
    for path in &request.paths {
        places.push(below_mount(config, path)?);
    }
    for (mount, paths) in portions(places) {
        let ask = Ask::Clips(ClipsAsk {
            verb: request.verb,
            until: request.until.clone(),
            mount,
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

/// Where something is: the mount of a view, and its path below that.
type Place = (PathBuf, String);

/// Where something is in the mount of a view.
fn below_mount(config: &Config, path: &Path) -> Result<Place, CommandError> {
    let failed =
        |path: &Path, why: &str| CommandError::Failed(format!("{}: {why}", path.display()));
    let found = path.canonicalize().map_err(|error| failed(path, &error.to_string()))?;
    let mut why = Vec::new();
    for view in &config.views {
        match view.mount.canonicalize() {
            Ok(mount) => match found.strip_prefix(&mount) {
                Ok(below) => {
                    let below = below.to_str().ok_or_else(|| failed(path, "it is not UTF-8"))?;
                    let below = if below.is_empty() { "." } else { below };
                    return Ok((view.mount.clone(), below.to_owned()));
                }
                Err(_) => why.push(mount.display().to_string()),
            },
            // Of one that is not there, another one may be meant.
            Err(error) => why.push(format!("{} ({error})", view.mount.display())),
        }
    }
    Err(failed(path, &format!("it is not in {}", why.join(", nor in "))))
}

/// The same by view, some at a time; one portion where there is none.
fn portions(places: Vec<Place>) -> Vec<(Option<PathBuf>, Vec<String>)> {
    let mut portions: Vec<(Option<PathBuf>, Vec<String>)> = Vec::new();
    let mut bytes = 0;
    for (mount, path) in places {
        bytes += path.len();
        match portions.last_mut() {
            Some((last, paths)) if *last == Some(mount.clone()) && bytes <= PATHS_BYTES_MAX => {
                paths.push(path);
            }
            _ => {
                bytes = path.len();
                portions.push((Some(mount), vec![path]));
            }
        }
    }
    if portions.is_empty() {
        portions.push((None, Vec::new()));
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_paths_are_asked_for_in_portions_and_none_at_once() {
        assert_eq!(portions(Vec::new()), [(None, Vec::new())]);
        let place = |mount: &str| (PathBuf::from(mount), "x".repeat(100));
        let all = portions(vec![place("/a"); 6000]);
        let lengths: Vec<usize> = all.iter().map(|(_, paths)| paths.len()).collect();
        assert_eq!(lengths, [2621, 2621, 758]);
        let mixed = portions(vec![place("/a"), place("/a"), place("/b"), place("/a")]);
        let mixed: Vec<_> =
            mixed.iter().map(|(mount, paths)| (mount.as_deref(), paths.len())).collect();
        let [a, b] = ["/a", "/b"].map(|mount| Some(Path::new(mount)));
        assert_eq!(mixed, [(a, 2), (b, 1), (a, 1)]);
    }
}
