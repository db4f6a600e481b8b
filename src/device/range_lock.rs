//! Keeps two writers apart who come to the same bytes by different ways: one by a file and one by
//! a loop device over it, or two by loop devices. Neither the lock of a file nor that of a device
//! tells one of the other; a lock on the bytes of the file below does (fcntl(2), "open file
//! description locks").

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// What sysfs counts the beginning of a partition in, in bytes, whatever the disk's sectors.
const SYSFS_SECTOR_BYTES: u64 = 512;

/// The bytes of a file that are a device.
#[derive(Debug, PartialEq, Eq)]
struct Below {
    path: PathBuf,
    start: u64,
}

/// Locks the bytes that are behind `file`, which is open to write, for as long as it and what is
/// answered are. `None` where it is no loop device, or its file is out of reach.
///
/// # Errors
/// `WouldBlock` where somebody else has them.
pub(super) fn take(file: &File, length: u64) -> io::Result<Option<File>> {
    let (kind, below) = what_is_behind(file)?;
    if kind.is_file() {
        lock(file, 0, length)?;
    }
    let Some(below) = below else { return Ok(None) };
    // Rust opens close-on-exec by itself.
    match OpenOptions::new().read(true).write(true).open(&below.path) {
        Ok(backing) => {
            lock(&backing, below.start, length)?;
            Ok(Some(backing))
        }
        Err(error) => {
            log::debug!("{}: not locked: {error}", below.path.display());
            Ok(None)
        }
    }
}

/// Whether somebody has taken the bytes that are behind what is at `path`.
pub(super) fn is_taken(path: &Path, length: u64) -> bool {
    let asked = || -> io::Result<bool> {
        let file = File::open(path)?;
        let (kind, below) = what_is_behind(&file)?;
        match below {
            Some(below) => would_block(&File::open(below.path)?, below.start, length),
            None => Ok(kind.is_file() && would_block(&file, 0, length)?),
        }
    };
    asked().unwrap_or(false)
}

fn what_is_behind(file: &File) -> io::Result<(FileType, Option<Below>)> {
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    Ok((kind, if kind.is_block_device() { below(&sysfs_node(&metadata)) } else { None }))
}

/// What sysfs says of a block device.
fn sysfs_node(metadata: &Metadata) -> PathBuf {
    let (major, minor) = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
}

/// Whether a block device is a partition of another.
pub(super) fn is_partition(metadata: &Metadata) -> bool {
    sysfs_node(metadata).join("partition").exists()
}

/// What sysfs says of a loop device, or of a partition of one.
fn below(node: &Path) -> Option<Below> {
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let (disk, partition_start) = match number(node.join("partition")) {
        Some(_) => {
            let sectors = number(node.join("start"))?;
            // The link's own parent is the folder of links.
            (fs::canonicalize(node).ok()?.parent()?.to_owned(), sectors * SYSFS_SECTOR_BYTES)
        }
        None => (node.to_owned(), 0),
    };
    let path = fs::read_to_string(disk.join("loop/backing_file")).ok()?;
    let offset = number(disk.join("loop/offset"))?;
    let path = PathBuf::from(path.trim_end_matches('\n'));
    Some(Below { path, start: offset.checked_add(partition_start)? })
}

fn range(kind: libc::c_int, start: u64, length: u64) -> io::Result<libc::flock> {
    let number = |number| i64::try_from(number).map_err(|_| io::ErrorKind::InvalidInput);
    Ok(libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: number(start)?,
        l_len: number(length)?,
        l_pid: 0,
    })
}

fn lock(file: &File, start: u64, length: u64) -> io::Result<()> {
    let range = range(libc::F_WRLCK, start, length)?;
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range)) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(io::ErrorKind::WouldBlock.into()),
        Err(errno) => {
            // Not every file system has locks; the ring is none the worse for it.
            log::debug!("no lock of a range: {errno}");
            Ok(())
        }
    }
}

fn would_block(file: &File, start: u64, length: u64) -> io::Result<bool> {
    let mut range = range(libc::F_WRLCK, start, length)?;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut range))?;
    Ok(range.l_type != libc::F_UNLCK as libc::c_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_do_not_meet_do_not_meet() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("disk");
        fs::write(&path, vec![0; 8192]).expect("a file");
        let open = || OpenOptions::new().read(true).write(true).open(&path).expect("it opens");
        let (one, other) = (open(), open());
        lock(&one, 0, 4096).expect("nobody has it");
        lock(&other, 4096, 4096).expect("nobody has it");
        let refused = lock(&other, 0, 8192).expect_err("somebody has it");
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        assert!(is_taken(&path, 4096));
        drop(one);
        assert!(!is_taken(&path, 4096));
    }

    #[test]
    fn a_partition_of_a_loop_device_begins_where_the_disk_and_the_table_say() {
        let sysfs = tempfile::tempdir().expect("a directory");
        let disk = sysfs.path().join("loop7");
        fs::create_dir_all(disk.join("loop")).expect("a directory");
        fs::create_dir_all(disk.join("loop7p2")).expect("a directory");
        let write = |name: &str, text: &str| fs::write(disk.join(name), text).expect("a file");
        write("loop/backing_file", "/srv/disk.img\n");
        write("loop/offset", "1048576\n");
        write("loop7p2/partition", "2\n");
        write("loop7p2/start", "2048\n");
        let path = PathBuf::from("/srv/disk.img");
        assert_eq!(below(&disk), Some(Below { path: path.clone(), start: 1 << 20 }));
        assert_eq!(below(&disk.join("loop7p2")), Some(Below { path, start: 2 << 20 }));
        assert_eq!(below(sysfs.path()), None);
    }
}
