//! A new file with all of its space, which takes long where the file system can't reserve any:
//! what is interrupted is known by its first page, and gone on with.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, Flock, FlockArg};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::copy_on_write;
use crate::units::{ByteCount, PAGE_BYTES};

/// How the first page of a file begins while its space is being reserved; its length in digits and
/// a line feed follow.
const BEGUN: &str = "reelfs format has not finished: bytes ";
/// Zeros that are written at once.
const STRIDE_BYTES: u64 = 1 << 20;
/// Zeros that wait for the disk at most: an interruption costs no more, and how far it has come is
/// true.
const UNFLUSHED_BYTES: u64 = 64 << 20;

/// Makes a file of `length` bytes, or goes on with one that was begun.
pub(super) fn create(path: &Path, length: ByteCount, sparse: bool) -> io::Result<()> {
    let limit = file_size_limit()?;
    if limit < length.0 {
        let reason = format!("files are limited to {limit} bytes (ulimit -f, RLIMIT_FSIZE)");
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    let begun = length_begun(path)?.is_some();
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(!begun).mode(0o600).open(path)?;
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    if !begun && let Err(error) = copy_on_write::switch_off(&file) {
        log::debug!("{}: copy on write can't be switched off: {error}", path.display());
    }
    let allocated = if sparse { file.set_len(length.0) } else { reserve(path, &file, length) };
    allocated.and_then(|()| file.sync_all()).inspect_err(|_| {
        // The file is this call's own; its name must not stand in the way of the next try.
        let _ = std::fs::remove_file(path);
    })
}

/// The length that a file was to have whose making was interrupted.
///
/// # Errors
/// It can't be read.
pub(super) fn length_begun(path: &Path) -> io::Result<Option<ByteCount>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut first = String::new();
    // What is not text is none of ours.
    let is_text = file.take(128).read_to_string(&mut first).is_ok();
    let length = || first.strip_prefix(BEGUN)?.split_once('\n')?.0.parse().ok();
    Ok(length().filter(|_| is_text).map(ByteCount))
}

/// How long a file of this process may be, in bytes.
pub(super) fn file_size_limit() -> io::Result<u64> {
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
    Ok(if limit == RLIM_INFINITY { u64::MAX } else { limit })
}

fn reserve(path: &Path, file: &File, length: ByteCount) -> io::Result<()> {
    let mut page = format!("{BEGUN}{length}\n").into_bytes();
    page.resize(PAGE_BYTES as usize, 0);
    file.write_all_at(&page, 0)?;
    let bytes = i64::try_from(length.0).map_err(|_| ErrorKind::FileTooLarge)?;
    loop {
        // The library's own stand-in writes into each page, without a word for hours.
        match nix::fcntl::fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return fill(path, file, length),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Zeros from where the file ends.
fn fill(path: &Path, file: &File, length: ByteCount) -> io::Result<()> {
    let found = file.metadata()?.len();
    log::warn!(
        "{}: this file system reserves no space, so that zeros are written; when it is \
         interrupted, the same command goes on with it",
        path.display()
    );
    let zeros = vec![0; STRIDE_BYTES as usize];
    let mut at = found - found % PAGE_BYTES;
    let mut flushed = at;
    while at < length.0 {
        let stride = STRIDE_BYTES.min(length.0 - at);
        file.write_all_at(&zeros[..stride as usize], at)?;
        at += stride;
        if at - flushed >= UNFLUSHED_BYTES {
            file.sync_data()?;
            flushed = at;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: ByteCount = ByteCount(5 << 20);

    #[test]
    fn what_was_interrupted_is_known_and_gone_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ring");
        assert_eq!(length_begun(&path).expect("nothing is there"), None);
        std::fs::write(&path, format!("{BEGUN}{LENGTH}\nand some zeros")).expect("a file");
        assert_eq!(length_begun(&path).expect("a file"), Some(LENGTH));
        create(&path, LENGTH, false).expect("there is room");
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), LENGTH.0);
        assert_eq!(length_begun(&path).expect("a file"), Some(LENGTH));
    }

    #[test]
    fn zeros_are_written_from_where_it_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ring");
        let begun = vec![7; 3 * PAGE_BYTES as usize + 9];
        std::fs::write(&path, &begun).expect("a file");
        let file = OpenOptions::new().write(true).open(&path).expect("a file");
        fill(&path, &file, LENGTH).expect("there is room");
        let filled = std::fs::read(&path).expect("a file");
        assert_eq!(filled.len() as u64, LENGTH.0);
        let kept = 3 * PAGE_BYTES as usize;
        assert!(filled[..kept] == begun[..kept] && filled[kept..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_somebody_else_has_written_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ring");
        for other in [&b"a letter"[..], b"", &[0xff; 4096], BEGUN.as_bytes()] {
            std::fs::write(&path, other).expect("a file");
            assert_eq!(length_begun(&path).expect("a file"), None);
            create(&path, LENGTH, false).expect_err("it is there");
            assert_eq!(std::fs::read(&path).expect("a file"), other);
        }
    }
}
