//! A block device or a file, opened for direct I/O and for one holder.

use std::fs::{File, FileType, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{AlignedBuffer, Device, copy_on_write, range_lock};
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES};

nix::ioctl_read!(block_device_length, 0x12, 114, u64);
nix::ioctl_read_bad!(block_device_sector, 0x1268, libc::c_int);

/// What a device is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To look at, also while another process writes.
    ReadOnly,
    /// To write; refused while another process has it open to write, or has it mounted.
    Exclusive,
}

/// Why a device can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is mounted, or another process has it open to write.
    #[error("{path} is in use: it is mounted, or another program is writing to it")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// It is a directory, a character device or the like.
    #[error("{path} is neither a block device nor a file")]
    WrongKind {
        /// Which.
        path: PathBuf,
    },
    /// Its sectors are larger than the pages that a ring is made of.
    #[error("{path} has sectors of {sector_bytes} bytes; a ring needs {PAGE_BYTES} or less")]
    SectorTooLarge {
        /// Which.
        path: PathBuf,
        /// Length of its sectors.
        sector_bytes: u64,
    },
    /// The system said no.
    #[error("{path}: {source}")]
    System {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A block device or a file. Reads and writes go around the page cache (`O_DIRECT`) wherever the
/// file system below allows it.
#[derive(Debug)]
pub struct FileDevice {
    file: Handle,
    path: PathBuf,
    length: ByteCount,
    direct: bool,
}

/// The descriptor, with the lock where there is one.
#[derive(Debug)]
enum Handle {
    Shared(File),
    /// With the file below, where it is a loop device.
    Owned(Flock<File>, #[expect(dead_code, reason = "held for its lock")] Option<File>),
}

impl Deref for Handle {
    type Target = File;
    fn deref(&self) -> &File {
        match self {
            Handle::Shared(file) => file,
            Handle::Owned(file, _) => file,
        }
    }
}

impl FileDevice {
    /// Opens what is at `path`.
    ///
    /// # Errors
    /// See [`OpenError`]; each names the path.
    pub fn open(path: &Path, access: Access) -> Result<FileDevice, OpenError> {
        let fail = |source| OpenError::System { path: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(fail)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(OpenError::WrongKind { path: path.to_owned() });
        }
        // On a block device O_EXCL asks for it exclusively: the kernel refuses it while mounted.
        let exclusive = access == Access::Exclusive && kind.is_block_device();
        let flags = if exclusive { libc::O_EXCL } else { 0 };
        let (file, direct) =
            open_direct(path, access, flags).map_err(|source| match source.raw_os_error() {
                Some(libc::EBUSY) => OpenError::InUse { path: path.to_owned() },
                _ => fail(source),
            })?;
        let length = if kind.is_block_device() {
            check_sectors(path, &file)?;
            device_length(&file).map_err(fail)?
        } else {
            file.metadata().map_err(fail)?.len()
        };
        let file = match access {
            Access::ReadOnly => Handle::Shared(file),
            Access::Exclusive => lock(path, file, length)?,
        };
        if !direct && access == Access::Exclusive {
            log::warn!(
                "{}: direct I/O is not possible here, going through the page cache",
                path.display()
            );
        }
        // Where the system does not tell there is nothing to warn of.
        if kind.is_file()
            && access == Access::Exclusive
            && copy_on_write::is_on(&file).unwrap_or(false)
        {
            log::warn!(
                "{}: is copied on write, and will come to take up to twice its size; a file that \
                 reelfs format creates, or an empty one after chattr +C, is not",
                path.display()
            );
        }
        let length = ByteCount(length - length % PAGE_BYTES);
        Ok(FileDevice { file, path: path.to_owned(), length, direct })
    }

    /// Creates a file of `length` bytes; all of its space is allocated now, unless `sparse`. It is
    /// written in place also where the file system copies other files on write.
    ///
    /// # Errors
    /// The file is there already, or the system refuses it; nothing is left behind then.
    pub fn create(path: &Path, length: ByteCount, sparse: bool) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Err(error) = copy_on_write::switch_off(&file) {
            log::debug!("{}: copy on write can't be switched off: {error}", path.display());
        }
        let allocated = if sparse { file.set_len(length.0) } else { allocate(&file, length) };
        allocated.and_then(|()| file.sync_all()).inspect_err(|_| {
            // The file is this call's own; its name must not stand in the way of the next try.
            let _ = std::fs::remove_file(path);
        })
    }

    /// Whether reads and writes go around the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// Whether another program has it open to write.
    #[must_use]
    pub fn is_written_to(&self) -> bool {
        // Released at once: a daemon may start beside whoever asks.
        let tried = File::open(&self.path).map(|file| file.try_lock_shared());
        matches!(tried, Ok(Err(TryLockError::WouldBlock)))
            || range_lock::is_taken(&self.path, self.length.0)
    }

    /// What tells other programs that all of it is taken, where it is a whole disk rather than a
    /// partition or a file: the length of its sectors is what that is said in, in bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn whole_disk_sector(&self) -> io::Result<Option<u64>> {
        let metadata = self.file.metadata()?;
        if !metadata.file_type().is_block_device() {
            return Ok(None);
        }
        let (major, minor) = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
        let partition = format!("/sys/dev/block/{major}:{minor}/partition");
        if Path::new(&partition).exists() {
            return Ok(None);
        }
        sector_bytes(&self.file).map(Some)
    }

    /// Whether it is a block device or a file.
    pub(super) fn kind(&self) -> io::Result<FileType> {
        self.file.metadata().map(|metadata| metadata.file_type())
    }

    fn named(&self, source: io::Error) -> io::Error {
        io::Error::new(source.kind(), format!("{}: {source}", self.path.display()))
    }
}

/// A second writer of a plain file is kept out by a lock, as O_EXCL does for a block device; one
/// that comes another way by a lock of the bytes.
fn lock(path: &Path, file: File, length: u64) -> Result<Handle, OpenError> {
    let in_use = || OpenError::InUse { path: path.to_owned() };
    let fail = |source| OpenError::System { path: path.to_owned(), source };
    let flock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    let file = flock.map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => in_use(),
        errno => fail(errno.into()),
    })?;
    let below = range_lock::take(&file, length).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => in_use(),
        _ => fail(error),
    })?;
    Ok(Handle::Owned(file, below))
}

fn open_direct(path: &Path, access: Access, flags: i32) -> io::Result<(File, bool)> {
    let open = |flags| {
        OpenOptions::new()
            .read(true)
            .write(access == Access::Exclusive)
            .custom_flags(flags | libc::O_CLOEXEC)
            .open(path)
    };
    match open(flags | libc::O_DIRECT) {
        // tmpfs and some network file systems answer EINVAL to O_DIRECT.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok((open(flags)?, false)),
        opened => Ok((opened?, true)),
    }
}

fn device_length(file: &File) -> io::Result<u64> {
    let mut length = 0;
    // SAFETY: BLKGETSIZE64 writes one u64 to the address given, which is that of `length`.
    unsafe { block_device_length(file.as_raw_fd(), &raw mut length)? };
    Ok(length)
}

fn check_sectors(path: &Path, file: &File) -> Result<(), OpenError> {
    let sector_bytes =
        sector_bytes(file).map_err(|source| OpenError::System { path: path.to_owned(), source })?;
    if sector_bytes == 0 || sector_bytes > PAGE_BYTES {
        return Err(OpenError::SectorTooLarge { path: path.to_owned(), sector_bytes });
    }
    Ok(())
}

fn sector_bytes(file: &File) -> io::Result<u64> {
    let mut sector: libc::c_int = 0;
    // SAFETY: BLKSSZGET writes one int to the address given, which is that of `sector`.
    unsafe { block_device_sector(file.as_raw_fd(), &raw mut sector) }?;
    Ok(u64::try_from(sector).unwrap_or(0))
}

fn allocate(file: &File, length: ByteCount) -> io::Result<()> {
    let length = i64::try_from(length.0).map_err(|_| ErrorKind::FileTooLarge)?;
    nix::fcntl::posix_fallocate(file, 0, length).map_err(io::Error::from)
}

impl Device for FileDevice {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset.0).map_err(|source| self.named(source))
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        if offset.0.saturating_add(bytes.len() as u64) > self.length.0 {
            // A file would grow; a ring never does so by accident.
            return Err(self.named(ErrorKind::StorageFull.into()));
        }
        self.file.write_all_at(bytes, offset.0).map_err(|source| self.named(source))
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|source| self.named(source))
    }

    fn length(&self) -> ByteCount {
        self.length
    }
}
