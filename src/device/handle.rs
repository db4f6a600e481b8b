//! An open file or block device: read and written around the page cache, or through it where the
//! file system below does not have that.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;

use nix::fcntl::Flock;

use super::AlignedBuffer;

/// The descriptor, with the lock where there is one.
#[derive(Debug)]
pub(super) enum Descriptor {
    Shared(File),
    /// With the file below, where it is a loop device.
    Owned(Flock<File>, #[expect(dead_code, reason = "held for its lock")] Option<File>),
}

impl Deref for Descriptor {
    type Target = File;
    fn deref(&self) -> &File {
        match self {
            Descriptor::Shared(file) => file,
            Descriptor::Owned(file, _) => file,
        }
    }
}

/// Opens for direct I/O where that is possible; answers whether it is.
pub(super) fn open_direct(path: &Path, writes: bool, flags: i32) -> io::Result<(File, bool)> {
    match open(path, writes, flags | libc::O_DIRECT) {
        // tmpfs and some network file systems answer EINVAL to O_DIRECT.
        Err(error) if is_invalid(&error) => Ok((open(path, writes, flags)?, false)),
        opened => Ok((opened?, true)),
    }
}

fn open(path: &Path, writes: bool, flags: i32) -> io::Result<File> {
    let flags = flags | libc::O_CLOEXEC;
    OpenOptions::new().read(true).write(writes).custom_flags(flags).open(path)
}

fn is_invalid(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// What reads and writes go through.
#[derive(Debug)]
pub(super) struct Handle {
    opened: Descriptor,
    direct: bool,
    writes: bool,
    /// The same file, opened once more: some file systems take O_DIRECT and then refuse what is
    /// aligned as it wants it, and the flag can't be taken from what they have opened below.
    /// The lock stays with the first.
    buffered: OnceLock<File>,
}

impl Handle {
    pub(super) fn new(opened: Descriptor, direct: bool, writes: bool) -> Handle {
        Handle { opened, direct, writes, buffered: OnceLock::new() }
    }

    /// Whether it goes around the page cache.
    pub(super) fn is_direct(&self) -> bool {
        self.direct && self.buffered.get().is_none()
    }

    pub(super) fn file(&self) -> &File {
        self.buffered.get().unwrap_or(&self.opened)
    }

    /// The same, and whether that goes around the page cache: another request may give that up
    /// while this one is under way.
    fn used(&self) -> (&File, bool) {
        match self.buffered.get() {
            Some(file) => (file, false),
            None => (&self.opened, self.direct),
        }
    }

    /// Fills the buffer; answers whether direct I/O has been given up for it.
    pub(super) fn read(&self, offset: u64, buffer: &mut AlignedBuffer) -> io::Result<bool> {
        let (file, is_direct) = self.used();
        match file.read_exact_at(buffer, offset) {
            Err(error) if is_direct && is_invalid(&error) => {
                self.give_up_direct(error, |file| file.read_exact_at(buffer, offset))
            }
            read => read.map(|()| false),
        }
    }

    /// Writes all of it; answers whether direct I/O has been given up for it.
    pub(super) fn write(&self, offset: u64, bytes: &AlignedBuffer) -> io::Result<bool> {
        let (file, is_direct) = self.used();
        match file.write_all_at(bytes, offset) {
            Err(error) if is_direct && is_invalid(&error) => {
                self.give_up_direct(error, |file| file.write_all_at(bytes, offset))
            }
            written => written.map(|()| false),
        }
    }

    /// Tries it through the page cache, and stays with that where it succeeds.
    fn give_up_direct(
        &self,
        error: io::Error,
        act: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<bool> {
        let path = format!("/proc/self/fd/{}", self.opened.as_raw_fd());
        let Ok(file) = open(Path::new(&path), self.writes, 0) else { return Err(error) };
        act(&file)?;
        // False for all but one of those who come at once.
        Ok(self.buffered.set(file).is_ok())
    }
}
