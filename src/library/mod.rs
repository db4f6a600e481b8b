//! The interface to footage: reading it, changing what becomes of it, telling who watches.
//!
//! Whatever serves footage, a mount or another door, stands on these three traits, and a test can
//! stand in for any of them. [`RingLibrary`] answers them from archive, catalogue and ring.
//!
//! - [`Footage`] reads: files of clips, snapshots of what grows, how full it is.
//! - [`Changes`] asks for another state of a clip, and for everything to become durable.
//! - [`Watcher`] is told what is shown differently from now on.
//!
//! Errors are values to decide by. Which errno or status one becomes, each door decides.

mod deeds;
mod keeping;
mod ring_library;
mod selected;
mod states;

use std::sync::Arc;

pub use deeds::{Deed, Deeds, DoneTo, Gathered};
pub use keeping::KeepMax;
pub use ring_library::{Complaints, Grace, RingLibrary};
pub use selected::SelectedLibrary;

pub use crate::archive::Bytes;
use crate::live::Live;
use crate::named::{Form, Named};
use crate::ring::{Refusal, Usage};
use crate::units::{ByteCount, ClipKey, WallTime};
use crate::view::{GoneDirectory, MadeDirectory, Moved, Place};
use crate::zone::Zone;

/// An extended attribute: its whole name (`user.reelfs.start`), and its value.
pub type Attribute = (&'static str, String);

/// What the daemon says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// What `.status.json` holds.
    Status,
    /// What `.metrics` holds, but for what a door counts itself.
    Metrics,
    /// The last lines of the log.
    Log,
}

/// Why something can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// It was evicted, purged or removed.
    #[error("gone")]
    Gone,
    /// There is nothing of which it could be made; says why.
    #[error("{0}")]
    Nothing(String),
    /// The bytes on the device are not the ones that were written; says where.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The device failed; says how.
    #[error("device: {0}")]
    Device(String),
    /// More would be kept than may be: bytes of the blocks that kept clips refer to.
    #[error("no more may be kept (ring.keep_max)")]
    NoRoom {
        /// What is kept already.
        before: ByteCount,
        /// What would be.
        after: ByteCount,
        /// What may be.
        most: ByteCount,
    },
    /// What is to be kept grows.
    #[error("a clip that grows can't be kept before it is closed")]
    Grows,
    /// Too much is asked for at once.
    #[error("the device does not keep up")]
    Busy,
    /// Nothing can be changed, because nothing can be written; the log has said why.
    #[error("the ring can't be written")]
    Unwritable,
    /// The clip's state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The ring is being closed.
    #[error("closed")]
    Closed,
}

/// Where files come from. Called from several threads at once.
pub trait Footage: Send + Sync + 'static {
    /// The file of a closed clip. May wait for the device.
    ///
    /// # Errors
    /// Where the clip is gone, or its tables can't be read.
    fn open_clip(&self, clip: ClipKey) -> Result<Arc<dyn OpenFile>, LibraryError>;

    /// What flushes cover of a camera's growing clip, as one playable file that never changes;
    /// `None` where nothing grows. May wait for the device.
    ///
    /// # Errors
    /// Where its tables can't be read.
    fn snapshot(&self, camera: &str) -> Result<Option<Snapshot>, LibraryError>;

    /// What a camera recorded in some ranges of time, as one file that never changes. Local times
    /// in it are those of `zone`. What `is_listed` says of a clip counts ahead of what is durable.
    /// May wait for the device.
    ///
    /// # Errors
    /// [`LibraryError::Nothing`] where nothing was, or what can't be read.
    fn range(
        &self,
        camera: &str,
        named: &Named,
        zone: &Zone,
        is_listed: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<Snapshot, LibraryError>;

    /// A clip that is listed, as a file of another kind; what belongs to it is called as it is, up
    /// to what says the kind: `stem`. May wait for the device.
    ///
    /// # Errors
    /// As [`Footage::range`].
    fn clip_as(
        &self,
        clip: ClipKey,
        form: Form,
        zone: &Zone,
        stem: &str,
    ) -> Result<Snapshot, LibraryError>;

    /// What time it is for who names a range. Does not wait.
    fn now(&self) -> WallTime;

    /// Names of the cameras that have footage, or had. Does not wait.
    fn cameras(&self) -> Vec<String>;

    /// Names of the cameras with a growing clip. Does not wait.
    fn growing_cameras(&self) -> Vec<String>;

    /// What cameras send at this moment; `None` where nothing is recorded. Does not wait.
    fn live(&self) -> Option<Live> {
        None
    }

    /// How full the ring is. Does not wait.
    fn usage(&self) -> Usage;

    /// What the blocks that kept clips refer to may come to. Does not wait.
    fn keep_max(&self) -> ByteCount;

    /// The extended attributes of a closed clip; `None` where it is gone. Does not wait.
    fn attributes(&self, clip: ClipKey) -> Option<Vec<Attribute>>;

    /// What the daemon says of itself at this moment; `None` where there is none. Does not wait.
    fn told(&self, what: Told) -> Option<Vec<u8>>;
}

/// What becomes of clips. Called from several threads at once.
pub trait Changes: Send + Sync + 'static {
    /// Makes a clip expiring: true at once, durable with the next flush. Does not wait.
    ///
    /// # Errors
    /// Where it is kept, or gone already, or nothing can be written any more.
    fn remove(&self, clip: ClipKey) -> Result<(), LibraryError>;

    /// Lists a removed clip again: true at once, durable with the next flush. Does not wait.
    ///
    /// # Errors
    /// Where it is gone, or nothing can be written any more.
    fn restore(&self, clip: ClipKey) -> Result<(), LibraryError>;

    /// Gives a removed clip up for good before its deadline: it can be neither read nor restored
    /// from now on. Durable with the next flush. Does not wait.
    ///
    /// # Errors
    /// Where it is kept, or gone already, or nothing can be written any more.
    fn purge(&self, clip: ClipKey) -> Result<(), LibraryError>;

    /// Protects clips until a time, or until somebody releases them, or changes how long they are
    /// protected: true at once, durable with the next flush. Answers those that are: one that can't
    /// be is left out, unless none can. Does not wait.
    ///
    /// # Errors
    /// [`LibraryError::NoRoom`] or [`LibraryError::Grows`], and none of them is; or why the first
    /// of them can't be.
    fn keep(
        &self,
        clips: &[ClipKey],
        until: Option<WallTime>,
    ) -> Result<Vec<ClipKey>, LibraryError>;

    /// Ends the protection of those of these clips that have one, and answers which: true at once,
    /// durable with the next flush. Does not wait.
    ///
    /// # Errors
    /// Where nothing can be written any more.
    fn release(&self, clips: &[ClipKey]) -> Result<Vec<ClipKey>, LibraryError>;

    /// Makes everything durable that has happened so far, and waits for it.
    ///
    /// # Errors
    /// What the device says.
    fn sync(&self) -> Result<(), LibraryError>;
}

/// Who shows the tree elsewhere, and has to hear when it changes: the kernel's caches, and programs
/// that watch directories. Called under no lock of the tree; never waits.
pub trait Watcher: Send + Sync + 'static {
    /// A clip has been listed.
    fn clip_closed(&self, place: &Place);

    /// A clip is no longer listed.
    fn clip_gone(&self, place: &Place);

    /// A clip has another place: in the trash, or out of it.
    fn clip_moved(&self, moved: &Moved);

    /// A clip is shown among the kept ones, too.
    fn clip_kept(&self, place: &Place);

    /// A clip is no longer shown among the kept ones.
    fn clip_released(&self, place: &Place);

    /// A clip that left the listing earlier has been purged: its bytes are no longer true.
    fn clip_purged(&self, clip: ClipKey);

    /// A directory is there that was not; what it was made for is told afterwards.
    fn directory_made(&self, made: &MadeDirectory);

    /// An emptied directory has been dropped.
    fn directory_gone(&self, gone: &GoneDirectory);
}

/// Both that a door needs: reading and changing.
pub trait Library: Footage + Changes {}

impl<T: Footage + Changes> Library for T {}

/// A file of fixed content. Called from several threads at once.
pub trait OpenFile: Send + Sync {
    /// Its size, in bytes.
    fn size(&self) -> u64;

    /// When it begins, where it can tell: a clip that is redated is another file, and who asks for
    /// the one that it was must not be given that.
    fn start(&self) -> Option<WallTime> {
        None
    }

    /// Whether it has bytes of a clip, beside others: those are not to be read any more when the
    /// clip is given up.
    fn holds(&self, _clip: ClipKey) -> bool {
        false
    }

    /// Whether bytes that can't be had are told as a hole, not as an error.
    fn tells_holes(&self) -> bool {
        false
    }

    /// The `length` bytes from `offset` on, both within the file: all of them, or none. May wait
    /// for the device.
    ///
    /// # Errors
    /// Where any of them can't be had.
    fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, LibraryError>;
}

/// What a name stands for at one moment: a growing clip, or a range.
pub struct Snapshot {
    /// Its content.
    pub file: Arc<dyn OpenFile>,
    /// When it begins.
    pub start: WallTime,
    /// When it ends so far: what `mtime` shows.
    pub end: WallTime,
    /// Its extended attributes.
    pub attributes: Vec<Attribute>,
    /// The clips that it has something of.
    pub clips: Vec<ClipKey>,
    /// What it has in common with a file of the same bytes; `None` where no other has them.
    pub identity: Option<[u8; 32]>,
    /// Memory that it takes, in bytes, about.
    pub memory: usize,
}
