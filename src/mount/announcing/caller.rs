//! The process that makes the calls, as it sees itself: words in, one system call, its end out.
//!
//! It never goes by a path alone. The mount may be gone, and what is below it is somebody else's:
//! a directory is opened from the root in which the daemon has just known the name, for the length
//! of one call, so that nothing is kept from being unmounted.

use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2, renameat};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, close, unlinkat};

use super::call::KNOWN;
use crate::view::ANNOUNCE_NAME;

/// Longest word, in bytes: PATH_MAX and its end.
const WORD_BYTES_MAX: u64 = 4097;

/// Why the process ends before its input does.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// It is not the daemon that asks.
    #[error("this command is for the daemon alone: it reads what no person writes")]
    NotUnderstood,
    /// The daemon does not listen.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Makes the calls that standard input asks for, through the mount at `mount`, and says on standard
/// output how each ended; closes whatever else is open. To be called by a process that does nothing
/// else, before it has opened anything.
///
/// # Errors
/// The mount can't be entered, or the pipe fails; see [`AnnounceError`].
pub fn announce(mount: &Path) -> Result<(), AnnounceError> {
    close_inherited();
    make_calls(mount, &mut io::stdin().lock(), &mut io::stdout().lock())
}

/// Makes the calls that `words` ask for through the mount at `mount`, until they end, and says
/// after each how it ended: 0 or the errno, as four bytes.
///
/// # Errors
/// Where `words` are not understood, or nobody takes the answer.
fn make_calls(
    mount: &Path,
    words: &mut dyn BufRead,
    answers: &mut dyn Write,
) -> Result<(), AnnounceError> {
    while let Some(call) = next_word(words)? {
        let mut word = || next_word(words)?.ok_or(AnnounceError::NotUnderstood);
        let (token, directory, name) = (word()?, word()?, word()?);
        let made = match call.as_str() {
            "rename" => rename(mount, &token, &directory, &name),
            "mkdir" => within(mount, &token, &directory, |directory| {
                mkdirat(directory, name.as_str(), Mode::from_bits_truncate(0o755))
            }),
            "unlink" => within(mount, &token, &directory, |directory| {
                unlinkat(directory, name.as_str(), UnlinkatFlags::NoRemoveDir)
            }),
            "rmdir" => within(mount, &token, &directory, |directory| {
                unlinkat(directory, name.as_str(), UnlinkatFlags::RemoveDir)
            }),
            _ => return Err(AnnounceError::NotUnderstood),
        };
        let answer = made.err().map_or(0, |errno| errno as i32);
        answers.write_all(&answer.to_le_bytes())?;
        answers.flush()?;
    }
    Ok(())
}

/// Closes what whoever started the daemon has left open in it: the locks of others, perhaps.
fn close_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > libc::STDERR_FILENO) {
        // The one that listed them is closed already.
        let _ = close(number);
    }
}

/// A word that ends with NUL; `None` at the end of all.
fn next_word(words: &mut dyn BufRead) -> Result<Option<String>, AnnounceError> {
    let mut word = Vec::new();
    io::Read::take(&mut *words, WORD_BYTES_MAX).read_until(0, &mut word)?;
    match word.pop() {
        None => Ok(None),
        Some(0) => Ok(Some(String::from_utf8(word).map_err(|_| AnnounceError::NotUnderstood)?)),
        Some(_) => Err(AnnounceError::NotUnderstood),
    }
}

fn root_of(mount: &Path) -> nix::Result<OwnedFd> {
    open(mount, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// What is called `token` is nowhere but in the mount, and can't be moved out of it.
fn rename(mount: &Path, token: &str, directory: &str, name: &str) -> nix::Result<()> {
    let root = root_of(mount)?;
    let from = format!("{ANNOUNCE_NAME}/{token}");
    let to = Path::new(directory).join(name);
    renameat(&root, from.as_str(), &root, &to)
}

fn within(
    mount: &Path,
    token: &str,
    directory: &str,
    call: impl FnOnce(&OwnedFd) -> nix::Result<()>,
) -> nix::Result<()> {
    let root = root_of(mount)?;
    let known = format!("{ANNOUNCE_NAME}/{token}");
    match fstatat(&root, known.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(errno) if errno as i32 == KNOWN => {}
        Err(errno) => return Err(errno),
        Ok(_) => return Err(Errno::EEXIST),
    }
    let directory = match directory.is_empty() {
        true => root,
        false => below(&root, directory)?,
    };
    call(&directory)
}

fn below<P: NixPath + ?Sized>(root: &impl AsFd, path: &P) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_BENEATH);
    openat2(root, path, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(mount: &Path, words: &[u8]) -> (Result<(), AnnounceError>, Vec<u8>) {
        let mut answers = Vec::new();
        let mut words = words;
        (make_calls(mount, &mut words, &mut answers), answers)
    }

    #[test]
    fn where_the_mount_is_gone_what_is_below_it_stays_as_it_is() {
        let below = tempfile::tempdir().expect("a directory");
        std::fs::write(below.path().join("a.mp4"), "somebody's").expect("room");
        std::fs::create_dir(below.path().join("day")).expect("room");
        for (call, name) in
            [("rename", "a.mp4"), ("mkdir", "new"), ("unlink", "a.mp4"), ("rmdir", "day")]
        {
            let words = format!("{call}\0token\0\0{name}\0");
            let (done, answers) = made(below.path(), words.as_bytes());
            assert!(done.is_ok(), "{done:?}");
            assert_eq!(answers, libc::ENOENT.to_le_bytes(), "{call}");
        }
        let mut names: Vec<_> = std::fs::read_dir(below.path()).expect("a directory").collect();
        assert_eq!(names.len(), 2, "{names:?}");
        names.clear();
    }

    #[test]
    fn what_is_not_understood_ends_it() {
        let nowhere = Path::new("/nonexistent");
        let long = vec![b'a'; 5000];
        for words in [&b"rename\0token"[..], b"link\0a\0b\0c\0", b"rename\0\xFF\0b\0c\0", &long] {
            let (done, answers) = made(nowhere, words);
            assert!(matches!(done, Err(AnnounceError::NotUnderstood)), "{done:?}");
            assert!(answers.is_empty());
        }
        assert!(made(nowhere, b"").0.is_ok());
    }
}
