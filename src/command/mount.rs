//! `reelfs mount` in the background: the same program once more, which says when the tree is there.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use super::CommandError;

/// What the one in the background says when the tree is there.
pub const READY: &str = "ready";

/// Begins this program again with `words`, and answers when it has said that it is [`READY`]; what
/// it logs is in `.log` of the mount then. It is left running, in a session of its own.
///
/// # Errors
/// It can't be begun. Where it ends first, what it logged goes to standard error, and how it ended
/// is answered.
pub fn in_background(
    program: &Path,
    words: &[impl AsRef<OsStr>],
) -> Result<Option<ExitStatus>, CommandError> {
    let failed = |error: io::Error| CommandError::Failed(format!("{}: {error}", program.display()));
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (told, said) = (child.stdout.take(), child.stderr.take());
    // What it logs is read as it comes: nobody waits for a pipe that is full.
    let log = thread::spawn(move || said.map(all_of).unwrap_or_default());
    let is_ready = told.is_some_and(|told| {
        BufReader::new(told).lines().map_while(Result::ok).any(|line| line == READY)
    });
    if is_ready {
        return Ok(None);
    }
    let status = child.wait().map_err(failed)?;
    // There is nobody to tell where standard error is closed.
    let _ = io::stderr().write_all(&log.join().unwrap_or_default());
    Ok(Some(status))
}

fn all_of(mut said: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    // What came before an error is there.
    let _ = said.read_to_end(&mut all);
    all
}
