//! What the mount asks of a directory, whatever kind it is of.
//!
//! A kind of directory is a type of its own: it says what is in a directory of its kind, and
//! answers for the files in it. Requests, replies and the disk's queue it never sees.

use fuser::{Errno, FileAttr, FileType, Generation};

use super::attributes::{Described, FILE_TTL};
use super::handles::Handle;
use crate::library::{Attribute, LibraryError};
use crate::units::ClipKey;
use crate::view::Inode;

/// One line of a listing.
pub(super) struct Line<'a> {
    /// Where to go on behind it.
    pub(super) cookie: u64,
    /// Its name.
    pub(super) name: &'a str,
    /// What it is.
    pub(super) described: Described,
}

/// Takes a line of a listing; true where there is no room for it.
pub(super) type AddLine<'a> = dyn FnMut(&Line<'_>) -> bool + 'a;

/// What was asked for: there already, or to be had from the disk.
pub(super) enum Found<T> {
    /// At once.
    Here(T),
    /// By who may wait for the disk.
    OnDisk(Look<T>),
    /// From a camera that may have to be waited for.
    Coming(Expect<T>),
}

/// Looks whether it has come; with true, for the last time.
pub(super) type Expect<T> = Box<dyn FnMut(bool) -> Option<Result<T, Errno>> + Send>;

/// Looks for it on the disk.
pub(super) type Look<T> = Box<dyn FnOnce() -> Result<Give<T>, Errno> + Send>;

/// Gives what has been found. Not called where nobody waits for it any more.
pub(super) type Give<T> = Box<dyn FnOnce() -> T>;

/// A kind of directory, and the files in it. An inode that is not of its kind is ESTALE.
pub(super) trait Directory: Send + Sync {
    /// What `name` stands for in `parent`: a lookup, which the kernel forgets one day.
    fn look_up(&self, parent: Inode, name: &str) -> Result<Found<Described>, Errno>;

    /// The lines of a directory from behind a cookie on (0: from the beginning), but for `.` and
    /// `..`, until there is no room.
    fn list(&self, inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno>;

    /// What a directory, or a file in one, is.
    fn describe(&self, inode: Inode) -> Result<Described, Errno>;

    /// As [`Directory::describe`], for an answer that counts as a lookup.
    fn look_up_again(&self, inode: Inode) -> Result<Found<Described>, Errno> {
        self.describe(inode).map(Found::Here)
    }

    /// The inode of the directory that a directory, or a file, is in.
    fn parent(&self, inode: Inode) -> Result<u64, Errno>;

    /// A file, for reading.
    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno>;

    /// Extended attributes of a directory, or of a file; none where it has none.
    fn extended(&self, _inode: Inode) -> Vec<Attribute> {
        Vec::new()
    }

    /// The clips that a file has something of, or that are in a directory.
    fn clips(&self, _inode: Inode) -> Result<Vec<ClipKey>, Errno> {
        Err(Errno::EPERM)
    }

    /// Removes a file.
    fn unlink(&self, parent: Inode, name: &str) -> Result<(), Errno>;

    /// Removes an empty directory.
    fn rmdir(&self, parent: Inode, name: &str) -> Result<(), Errno>;

    /// Gives what is called `name` in `parent` another place.
    fn rename(&self, _from: (Inode, &str), _to: (Inode, &str)) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
}

/// A file that never changes.
pub(super) fn immutable(attributes: FileAttr) -> Described {
    debug_assert!(attributes.kind == FileType::RegularFile);
    let generation = Generation(0);
    Described { attributes, generation, attribute_ttl: FILE_TTL, entry_ttl: FILE_TTL }
}

/// Not for everybody: a disk that is dying would fill the log, and the library says what is wrong
/// with it as often as is good.
pub(super) fn log_failure(what: &str, which: &str, error: &LibraryError) {
    log::debug!("{what} {which}: {error}");
}
