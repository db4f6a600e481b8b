//! Files that are copied on write: each write goes to another place, and the old one is free only
//! when nothing else of its extent is in use. A ring, which is written over and over in pieces,
//! comes to take twice its size there. btrfs does so unless a file says otherwise while it is
//! empty (btrfs(5), "nodatacow").

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::sys::statfs::{BTRFS_SUPER_MAGIC, fstatfs};

/// `FS_NOCOW_FL` of linux/fs.h.
const NO_COPY_ON_WRITE: libc::c_int = 0x0080_0000;

// The numbers are made with the size of a long, and the kernel reads and writes an int.
nix::ioctl_read_bad!(
    get_flags,
    nix::request_code_read!(b'f', 1, size_of::<libc::c_long>()),
    libc::c_int
);
nix::ioctl_write_ptr_bad!(
    set_flags,
    nix::request_code_write!(b'f', 2, size_of::<libc::c_long>()),
    libc::c_int
);

/// Has an empty file written in place, where its file system would copy it otherwise.
///
/// # Errors
/// The system refuses it; the file is used as before.
pub(super) fn switch_off(empty: &File) -> io::Result<()> {
    if !is_on(empty)? {
        return Ok(());
    }
    let flags = flags(empty)? | NO_COPY_ON_WRITE;
    // SAFETY: FS_IOC_SETFLAGS reads one int at the address given, which is that of `flags`.
    unsafe { set_flags(empty.as_raw_fd(), &raw const flags)? };
    Ok(())
}

/// Whether the file is copied on write.
///
/// # Errors
/// The system does not tell.
pub(super) fn is_on(file: &File) -> io::Result<bool> {
    let copies = fstatfs(file)?.filesystem_type() == BTRFS_SUPER_MAGIC;
    Ok(copies && flags(file)? & NO_COPY_ON_WRITE == 0)
}

fn flags(file: &File) -> io::Result<libc::c_int> {
    let mut flags = 0;
    // SAFETY: FS_IOC_GETFLAGS writes one int to the address given, which is that of `flags`.
    unsafe { get_flags(file.as_raw_fd(), &raw mut flags)? };
    Ok(flags)
}
