//! Where the tree is mounted: what is there now, and how a mount goes away.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::clock::within;

/// What the kernel calls this file system, in `mount` and in /proc/self/mountinfo.
pub(super) const FILE_SYSTEM_TYPE: &str = "fuse.reelfs";

/// The door to the kernel.
const FUSE_DEVICE: &str = "/dev/fuse";

/// Where the kernel lists what is mounted.
const MOUNT_INFO: &str = "/proc/self/mountinfo";

/// How many dead mounts on top of one another are cleared away: one for each killed run, had no
/// run cleared any.
const STALE_MAX: usize = 16;

/// What is mounted at a mount point answers within this, or never.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Why nobody is served any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Somebody has unmounted it.
    #[error("somebody has unmounted it")]
    Unmounted,
    /// Somebody has cut it off (`umount -f`, or by `/sys/fs/fuse/connections`): it is in its place,
    /// and whoever asks it for anything gets an error.
    #[error(
        "somebody has cut it off ('umount -f', or by /sys/fs/fuse/connections); who had a file \
         open gets an error for it"
    )]
    CutOff,
}

/// Why the tree can't be mounted, or unmounted, or is not mounted any more.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mount point does not exist.
    #[error("mount point {0}: no such directory; create it first")]
    Missing(PathBuf),
    /// The mount point is a file.
    #[error("mount point {0}: not a directory")]
    NotADirectory(PathBuf),
    /// Mounting would hide something.
    #[error("mount point {path}: not empty ({found:?} is in it)")]
    NotEmpty {
        /// The mount point.
        path: PathBuf,
        /// The name of something in it.
        found: OsString,
    },
    /// Something else is mounted there; a live run, perhaps.
    #[error("mount point {path}: {source_name:?} of type {kind} is already mounted there")]
    Taken {
        /// The mount point.
        path: PathBuf,
        /// Its file system type.
        kind: String,
        /// What it is of.
        source_name: String,
    },
    /// One would hide the other.
    #[error("mount point {0} lies in mount point {1}")]
    Nested(PathBuf, PathBuf),
    /// Whoever has mounted something there does not answer: it was stopped, or hangs itself.
    #[error(
        "mount point {0}: what is mounted there does not answer; end the program behind it, or cut \
         it off: umount -f {0}"
    )]
    Hangs(PathBuf),
    /// Nobody is served any more.
    #[error("{path}: {how}")]
    Lost {
        /// The mount point.
        path: PathBuf,
        /// By whom.
        how: Lost,
    },
    /// The kernel, or fusermount3, refuses.
    #[error("mount point {path}: {what}: {source}")]
    System {
        /// The mount point.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl MountError {
    pub(super) fn system(path: &Path, what: &'static str, source: io::Error) -> MountError {
        MountError::System { path: path.to_owned(), what, source }
    }
}

/// A line of mountinfo (proc(5)).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MountLine {
    id: String,
    device: String,
    point: PathBuf,
    kind: String,
    source: String,
}

/// Makes sure that `path` is an empty directory with nothing mounted on it and that the kernel's
/// door is open, and answers its absolute name. The mount of a run that was killed is taken away.
///
/// # Errors
/// Where it is no empty directory, can't be made, or something else is mounted there; where the
/// device of FUSE can't be opened.
pub fn prepare(path: &Path) -> Result<PathBuf, MountError> {
    answered(path, prepare_now)
}

/// Asks what is at a path. Each call of the system for one in a mount may wait without end for
/// whoever serves it, and no signal ends that.
fn answered<T: Send + 'static>(
    path: &Path,
    ask: impl FnOnce(&Path) -> Result<T, MountError> + Send + 'static,
) -> Result<T, MountError> {
    let asked = path.to_owned();
    match within(ANSWER_MAX, "mount-point", move || ask(&asked)) {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(MountError::Hangs(path.to_owned()))
        }
        Err(error) => Err(MountError::system(path, "look at it", error)),
    }
}

fn prepare_now(path: &Path) -> Result<PathBuf, MountError> {
    let absolute = absolute(path)?;
    for _ in 0..STALE_MAX {
        let top = mounted_at(&absolute)
            .map_err(|error| MountError::system(path, "read mountinfo", error))?;
        let Some(top) = top else {
            break;
        };
        if top.kind != FILE_SYSTEM_TYPE || !is_dead(&absolute) {
            let (kind, source_name) = (top.kind, top.source);
            return Err(MountError::Taken { path: path.to_owned(), kind, source_name });
        }
        log::warn!("{}: the mount of a run that was killed is replaced", path.display());
        detach(&absolute)
            .map_err(|error| MountError::system(path, "take a dead mount away", error))?;
    }
    check_empty(path, &absolute)?;
    check_device(path)?;
    Ok(absolute)
}

/// Makes sure that none of these mount points hides another. Each has to have been looked at, by
/// [`prepare`] or [`examine`].
///
/// # Errors
/// Where two are one directory, or one lies in another, whatever links lead there.
pub fn refuse_nested(paths: &[&Path]) -> Result<(), MountError> {
    let all: Vec<PathBuf> = paths.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
    for (at, inner) in all.iter().enumerate() {
        let is_outer = |other: usize| other != at && inner.starts_with(&all[other]);
        if let Some(outer) = (0..all.len()).find(|other| is_outer(*other)) {
            return Err(MountError::Nested(paths[at].to_owned(), paths[outer].to_owned()));
        }
    }
    Ok(())
}

/// Whether a tree can be mounted at `path`, or is; changes nothing.
///
/// # Errors
/// As [`prepare`].
pub fn examine(path: &Path) -> Result<(), MountError> {
    answered(path, examine_now)
}

fn examine_now(path: &Path) -> Result<(), MountError> {
    let absolute = absolute(path)?;
    let top = mounted_at(&absolute);
    match top.map_err(|error| MountError::system(path, "read mountinfo", error))? {
        None => check_empty(path, &absolute).and_then(|()| check_device(path)),
        Some(top) if top.kind == FILE_SYSTEM_TYPE => {
            // A live run or a killed one, as long as the kernel says which.
            is_dead(&absolute);
            Ok(())
        }
        Some(MountLine { kind, source: source_name, .. }) => {
            Err(MountError::Taken { path: path.to_owned(), kind, source_name })
        }
    }
}

fn check_empty(path: &Path, absolute: &Path) -> Result<(), MountError> {
    let found = fs::metadata(absolute).map_err(|error| not_there(path, error))?;
    if !found.is_dir() {
        return Err(MountError::NotADirectory(path.to_owned()));
    }
    let mut entries =
        fs::read_dir(absolute).map_err(|error| MountError::system(path, "list", error))?;
    match entries.next() {
        Some(Ok(entry)) => {
            Err(MountError::NotEmpty { path: path.to_owned(), found: entry.file_name() })
        }
        _ => Ok(()),
    }
}

fn check_device(path: &Path) -> Result<(), MountError> {
    open_device().map(drop).map_err(|error| MountError::system(path, "mount", error))
}

/// Where it can't be opened nothing can be mounted, by whomever.
pub(super) fn open_device() -> io::Result<File> {
    let opened = OpenOptions::new().read(true).write(true).open(FUSE_DEVICE);
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("no {FUSE_DEVICE}; try 'modprobe fuse'"))
        }
        kind => io::Error::new(kind, format!("{FUSE_DEVICE}: {error}")),
    })
}

/// The absolute name. Of a dead mount point only the directory above it can be asked.
fn absolute(path: &Path) -> Result<PathBuf, MountError> {
    let full = std::path::absolute(path).map_err(|error| not_there(path, error))?;
    match full.canonicalize() {
        Ok(absolute) => Ok(absolute),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            let (Some(parent), Some(name)) = (full.parent(), full.file_name()) else {
                return Err(not_there(path, error));
            };
            let parent = parent.canonicalize().map_err(|error| not_there(path, error))?;
            Ok(parent.join(name))
        }
        Err(error) => Err(not_there(path, error)),
    }
}

fn not_there(path: &Path, error: io::Error) -> MountError {
    match error.kind() {
        io::ErrorKind::NotFound => MountError::Missing(path.to_owned()),
        io::ErrorKind::NotADirectory => MountError::NotADirectory(path.to_owned()),
        _ => MountError::system(path, "look at it", error),
    }
}

/// Whether nobody serves what is mounted at `path`. Asked by `statfs`, which the kernel never
/// answers from a cache: attributes outlive their daemon by a second.
fn is_dead(path: &Path) -> bool {
    nix::sys::statvfs::statvfs(path) == Err(Errno::ENOTCONN)
}

/// What is mounted at `path`, uppermost; `None` where nothing is.
pub(super) fn mounted_at(path: &Path) -> io::Result<Option<MountLine>> {
    let text = fs::read(MOUNT_INFO)?;
    let mut lines = text.split(|byte| *byte == b'\n').filter_map(parse_line);
    Ok(lines.rfind(|line| line.point == path))
}

/// Reads `36 35 98:0 /root /mnt/point rw shared:1 - ext4 /dev/sda1 rw`: any number of fields
/// before the dash.
fn parse_line(line: &[u8]) -> Option<MountLine> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    Some(MountLine {
        id: text(fields.first()?),
        device: text(fields.get(2)?),
        point: OsString::from_vec(unescape(fields.get(4)?)).into(),
        kind: text(fields.get(dash + 1)?),
        source: text(fields.get(dash + 2)?),
    })
}

/// Undoes the octal escapes (`\040`) of mountinfo.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = match behind {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[3..] } else { behind };
    }
    bytes
}

/// Takes a mount out of the tree of directories at once, whoever still uses it.
fn detach(path: &Path) -> io::Result<()> {
    match umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) => fusermount_detach(path),
        Err(errno) => Err(errno.into()),
    }
}

/// As [`detach`], for who is not root.
fn fusermount_detach(path: &Path) -> io::Result<()> {
    let output = Command::new("fusermount3").args(["-u", "-z", "--"]).arg(path).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Unmounts what this process has mounted as root. Where somebody still uses it, the connection
/// is cut, so that nobody is left waiting for a daemon that is gone.
pub(super) fn unmount(path: &Path) -> io::Result<()> {
    match umount2(path, MntFlags::UMOUNT_NOFOLLOW) {
        // Somebody else was quicker.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(Errno::EBUSY) => {
            log::info!("{} is in use; whoever uses it gets an error now", path.display());
            umount2(path, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH).map_err(io::Error::from)
        }
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_name_with_spaces() {
        let line =
            br"36 35 0:98 / /srv/my\040cameras rw shared:1 master:2 - fuse.reelfs yard\011x rw";
        let found = parse_line(line).expect("a mount");
        assert_eq!(found.point, Path::new("/srv/my cameras"));
        assert_eq!((found.id.as_str(), found.device.as_str()), ("36", "0:98"));
        assert_eq!((found.kind.as_str(), found.source.as_str()), ("fuse.reelfs", "yard\tx"));
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        for line in [&b""[..], b"36 35 0:98", b"1 2 3 4 5 6 -", b"1 2 3 4 5 6 - fuse", b"- a b"] {
            assert_eq!(parse_line(line), None, "{line:?}");
        }
        assert_eq!(unescape(br"a\04"), br"a\04");
        assert_eq!(unescape(br"\777\134\"), br"\777\\");
    }

    #[test]
    fn a_place_that_is_not_an_empty_directory_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let missing = directory.path().join("missing");
        assert!(matches!(prepare(&missing), Err(MountError::Missing(_))));
        let file = directory.path().join("file");
        fs::write(&file, b"x").expect("a file");
        assert!(matches!(prepare(&file), Err(MountError::NotADirectory(_))));
        assert!(matches!(prepare(directory.path()), Err(MountError::NotEmpty { .. })));
        assert!(matches!(prepare(Path::new("/proc")), Err(MountError::Taken { .. })));
    }

    #[test]
    fn the_message_names_path_and_reason() {
        let error = prepare(Path::new("/does/not/exist")).expect_err("missing");
        assert!(error.to_string().contains("/does/not/exist: no such directory"), "{error}");
    }
}
