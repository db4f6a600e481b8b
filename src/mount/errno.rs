//! Which errno stands for what: chosen here, once.

use fuser::Errno;

use crate::library::LibraryError;
use crate::ring::Refusal;
use crate::view::RemoveError;

/// A file can't be opened. ESTALE makes the kernel look the name up again, so that who opens a
/// clip by a cached name that has just left is told ENOENT.
pub(super) fn of_open(error: &LibraryError) -> Errno {
    match error {
        LibraryError::Gone => Errno::ESTALE,
        LibraryError::Nothing(_) => Errno::ENOENT,
        LibraryError::Damaged(_)
        | LibraryError::Device(_)
        | LibraryError::Refused(_)
        | LibraryError::NoRoom { .. }
        | LibraryError::Grows
        | LibraryError::Busy
        | LibraryError::Unwritable
        | LibraryError::Closed => Errno::EIO,
    }
}

/// What is looked up can't be made.
pub(super) fn of_lookup(error: &LibraryError) -> Errno {
    match error {
        LibraryError::Gone => Errno::ENOENT,
        error => of_open(error),
    }
}

/// A clip can't be removed, restored, kept or released.
pub(super) fn of_change(error: &LibraryError) -> Errno {
    match error {
        // What was restored meanwhile is no longer where somebody looked it up.
        LibraryError::Gone
        | LibraryError::Nothing(_)
        | LibraryError::Refused(Refusal::NotRemoved) => Errno::ENOENT,
        LibraryError::Refused(_) => Errno::EPERM,
        LibraryError::Unwritable => Errno::EROFS,
        LibraryError::NoRoom { .. } => Errno::ENOSPC,
        LibraryError::Grows => Errno::EBUSY,
        LibraryError::Busy => Errno::EAGAIN,
        LibraryError::Damaged(_) | LibraryError::Device(_) | LibraryError::Closed => Errno::EIO,
    }
}

/// A file that is open can't be read, whatever the reason: it is its own bytes or EIO.
pub(super) fn of_read(_error: &LibraryError) -> Errno {
    Errno::EIO
}

/// A directory can't be removed.
pub(super) fn of_rmdir(error: RemoveError) -> Errno {
    match error {
        RemoveError::Missing => Errno::ENOENT,
        RemoveError::NotADirectory => Errno::ENOTDIR,
        RemoveError::NotEmpty => Errno::ENOTEMPTY,
        RemoveError::Reserved => Errno::EPERM,
    }
}
