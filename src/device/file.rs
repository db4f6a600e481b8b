//! A block device or a file, opened for direct I/O and for one holder.

use std::fs::{File, FileType, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::handle::{Descriptor, Handle, open_direct};
use super::misfortune::Misfortune;
use super::{AlignedBuffer, Device, copy_on_write, create, extents, range_lock, refusal};
use crate::clock::Stopwatch;
use crate::units::{ByteCount, DeviceOffset, PAGE_BYTES};

/// For as long at most somebody holds a lock who only asks whether it is taken: another reelfs that
/// reads the ring, or udev that looks at the disk.
const ASKED_MAX: Duration = Duration::from_millis(200);

nix::ioctl_read!(block_device_length, 0x12, 114, u64);
nix::ioctl_read_bad!(block_device_sector, 0x1268, libc::c_int);
nix::ioctl_read_bad!(block_device_read_only, 0x125e, libc::c_int);

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
    /// It is write-protected, or in a file system that is.
    #[error("{path} is read-only")]
    ReadOnly {
        /// Which.
        path: PathBuf,
    },
    /// The process may not write to all of it.
    #[error(
        "{path} has {length} bytes, and files are limited to {limit} (ulimit -f, RLIMIT_FSIZE)"
    )]
    FileSizeLimit {
        /// Which.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
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

impl OpenError {
    /// Whether there is nothing at its path.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, OpenError::System { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// A block device or a file. Reads and writes go around the page cache (`O_DIRECT`) wherever the
/// file system below allows it.
#[derive(Debug)]
pub struct FileDevice {
    handle: Handle,
    path: PathBuf,
    kind: FileType,
    length: ByteCount,
    access: Access,
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
        let writes = access == Access::Exclusive;
        // On a block device O_EXCL asks for it exclusively: the kernel refuses it while mounted.
        let flags = if writes && kind.is_block_device() { libc::O_EXCL } else { 0 };
        let (file, direct) =
            open_direct(path, writes, flags).map_err(|source| match source.raw_os_error() {
                Some(libc::EBUSY) => OpenError::InUse { path: path.to_owned() },
                // What an older kernel says of a device that is write-protected.
                Some(libc::EACCES) if kind.is_block_device() && is_protected(path) => {
                    OpenError::ReadOnly { path: path.to_owned() }
                }
                Some(libc::EROFS) => OpenError::ReadOnly { path: path.to_owned() },
                _ => fail(source),
            })?;
        let length = if kind.is_block_device() {
            check_sectors(path, &file)?;
            device_length(&file).map_err(fail)?
        } else {
            file.metadata().map_err(fail)?.len()
        };
        let limit = create::file_size_limit().unwrap_or(u64::MAX);
        if writes && kind.is_file() && length > limit {
            return Err(OpenError::FileSizeLimit { path: path.to_owned(), length, limit });
        }
        let descriptor = match access {
            Access::ReadOnly => Descriptor::Shared(file),
            Access::Exclusive => lock(path, file, length)?,
        };
        let length = ByteCount(length - length % PAGE_BYTES);
        let handle = Handle::new(descriptor, direct, writes);
        let device = FileDevice { handle, path: path.to_owned(), kind, length, access };
        if writes && kind.is_block_device() && device.is_protected().unwrap_or(false) {
            return Err(OpenError::ReadOnly { path: path.to_owned() });
        }
        if writes {
            device.warn();
        }
        Ok(device)
    }

    /// The same to write, or to look at where it is write-protected.
    ///
    /// # Errors
    /// See [`OpenError`]; each names the path.
    pub fn open_as_allowed(path: &Path) -> Result<FileDevice, OpenError> {
        match FileDevice::open(path, Access::Exclusive) {
            Err(OpenError::ReadOnly { .. }) => FileDevice::open(path, Access::ReadOnly),
            Err(OpenError::System { source, .. })
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                FileDevice::open(path, Access::ReadOnly)
            }
            opened => opened,
        }
    }

    /// Tells of what a ring can do without, at a price. Where the system does not answer there is
    /// nothing to warn of.
    fn warn(&self) {
        let path = self.path.display();
        if !self.handle.is_direct() {
            log::warn!("{path}: direct I/O is not possible here, going through the page cache");
        }
        if !self.kind.is_file() {
            return;
        }
        if copy_on_write::is_on(self.handle.file()).unwrap_or(false) {
            log::warn!(
                "{path}: is copied on write, and will come to take up to twice its size; a file \
                 that reelfs format creates, or an empty one after chattr +C, is not"
            );
        }
        let unreserved = extents::unreserved(self.handle.file()).unwrap_or(0);
        if unreserved > 0 {
            log::warn!(
                "{path}: space for {unreserved} of its {length} bytes is not reserved, as in a \
                 sparse copy: recording pauses when the file system is full; fallocate -l {length} \
                 {path} reserves it",
                length = self.length
            );
        }
    }

    /// Creates a file of `length` bytes; all of its space is allocated now, unless `sparse`. It is
    /// written in place also where the file system copies other files on write. Goes on with one
    /// that was [begun](FileDevice::length_begun) and interrupted.
    ///
    /// # Errors
    /// The file is there already, or the system refuses it; nothing is left behind then.
    pub fn create(path: &Path, length: ByteCount, sparse: bool) -> io::Result<()> {
        create::create(path, length, sparse)
    }

    /// The length that a file was to have whose [making](FileDevice::create) was interrupted;
    /// `None` where there is none, or another.
    ///
    /// # Errors
    /// It can't be read.
    pub fn length_begun(path: &Path) -> io::Result<Option<ByteCount>> {
        create::length_begun(path)
    }

    /// Whether reads and writes go around the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.handle.is_direct()
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
        if !self.kind.is_block_device() {
            return Ok(None);
        }
        if range_lock::is_partition(&self.handle.file().metadata()?) {
            return Ok(None);
        }
        sector_bytes(self.handle.file()).map(Some)
    }

    /// Whether it is a block device or a file.
    pub(super) fn kind(&self) -> FileType {
        self.kind
    }

    /// What it was opened for.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// What has become of its file since it was opened.
    pub(super) fn misfortune(&self) -> Option<Misfortune> {
        Misfortune::of(self.handle.file(), &self.path, self.length)
    }

    fn is_protected(&self) -> io::Result<bool> {
        is_read_only(self.handle.file())
    }

    fn named(&self, source: io::Error) -> io::Error {
        refusal::named(&self.path, source, None)
    }

    fn direct_given_up(&self) {
        log::warn!(
            "{}: direct I/O is refused here, going through the page cache: what is recorded takes \
             memory from other programs, and flushes take longer",
            self.path.display()
        );
    }
}

/// A second writer of a plain file is kept out by a lock, as O_EXCL does for a block device; one
/// that comes another way by a lock of the bytes.
fn lock(path: &Path, file: File, length: u64) -> Result<Descriptor, OpenError> {
    let in_use = || OpenError::InUse { path: path.to_owned() };
    let fail = |source| OpenError::System { path: path.to_owned(), source };
    let mut file = file;
    let begun = Stopwatch::start();
    let file = loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => break locked,
            Err((unlocked, Errno::EWOULDBLOCK)) if begun.elapsed() < ASKED_MAX => file = unlocked,
            Err((_, Errno::EWOULDBLOCK)) => return Err(in_use()),
            Err((_, errno)) => return Err(fail(errno.into())),
        }
        std::thread::sleep(ASKED_MAX / 20);
    };
    let below = range_lock::take(&file, length).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => in_use(),
        _ => fail(error),
    })?;
    Ok(Descriptor::Owned(file, below))
}

/// Whether the system says of what is at the path that it is write-protected.
fn is_protected(path: &Path) -> bool {
    File::open(path).and_then(|file| is_read_only(&file)).unwrap_or(false)
}

fn is_read_only(device: &File) -> io::Result<bool> {
    let mut read_only: libc::c_int = 0;
    // SAFETY: BLKROGET writes one int to the address given, which is that of `read_only`.
    unsafe { block_device_read_only(device.as_raw_fd(), &raw mut read_only)? };
    Ok(read_only != 0)
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

impl Device for FileDevice {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        if self.handle.read(offset.0, buffer).map_err(|source| self.named(source))? {
            self.direct_given_up();
        }
        Ok(())
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        if !self.is_writable() {
            return Err(self.named(io::Error::from_raw_os_error(libc::EROFS)));
        }
        let end = offset.0.saturating_add(bytes.len() as u64);
        if end > self.length.0 {
            // A file would grow; a ring never does so by accident.
            return Err(self.named(ErrorKind::StorageFull.into()));
        }
        let written = self.handle.write(offset.0, bytes).map_err(|source| {
            let is_full =
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            let why = is_full && self.kind.is_file();
            let why = why.then(|| extents::why_no_room(self.handle.file(), offset.0..end));
            refusal::named(&self.path, source, why.flatten())
        });
        if written? {
            self.direct_given_up();
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        if !self.is_writable() {
            // Nothing was written, and nothing is asked of what is write-protected.
            return Ok(());
        }
        self.handle.file().sync_data().map_err(|source| self.named(source))
    }

    fn is_writable(&self) -> bool {
        self.access == Access::Exclusive
    }

    fn length(&self) -> ByteCount {
        self.length
    }
}
