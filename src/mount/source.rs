//! What the mount asks of whoever has the footage. It knows neither ring nor archive.

use std::ops::Deref;
use std::sync::Arc;

use crate::ring::Usage;
use crate::units::{ClipId, WallTime};

/// Bytes of a file: made, or as they were read. Nothing is copied on the way to the kernel.
pub type Bytes<'a> = Box<dyn Deref<Target = [u8]> + Send + 'a>;

/// An extended attribute: its whole name (`user.reelfs.start`), and its value.
pub type Attribute = (&'static str, String);

/// Why something can't be had. Which errno that is, [`mount`](super) decides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It was evicted, purged or removed.
    #[error("gone")]
    Gone,
    /// The bytes on the device are not the ones that were written; says where.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The device failed; says how.
    #[error("device: {0}")]
    Device(String),
    /// The ring is being closed.
    #[error("closed")]
    Closed,
}

/// Where files come from. Called from several threads at once.
pub trait Source: Send + Sync + 'static {
    /// The file of a closed clip. May wait for the device.
    ///
    /// # Errors
    /// Where the clip is gone, or its tables can't be read.
    fn open_clip(&self, clip: ClipId) -> Result<Arc<dyn OpenFile>, SourceError>;

    /// What flushes cover of a camera's growing clip, as one playable file that never changes;
    /// `None` where nothing grows. May wait for the device.
    ///
    /// # Errors
    /// Where its tables can't be read.
    fn snapshot(&self, camera: &str) -> Result<Option<Snapshot>, SourceError>;

    /// Names of the cameras with a growing clip. Does not wait.
    fn growing_cameras(&self) -> Vec<String>;

    /// Makes a clip expiring: true at once, durable with the next flush. Does not wait.
    ///
    /// # Errors
    /// Where it is gone already, or nothing can be written any more.
    fn remove(&self, clip: ClipId) -> Result<(), SourceError>;

    /// Lists a removed clip again: true at once, durable with the next flush. Does not wait.
    ///
    /// # Errors
    /// Where it is gone, or nothing can be written any more.
    fn restore(&self, clip: ClipId) -> Result<(), SourceError>;

    /// Gives a removed clip up for good before its deadline: it can be neither read nor restored
    /// from now on. Durable with the next flush. Does not wait.
    ///
    /// # Errors
    /// Where it is gone already, or nothing can be written any more.
    fn purge(&self, clip: ClipId) -> Result<(), SourceError>;

    /// Makes everything durable that has happened so far, and waits for it.
    ///
    /// # Errors
    /// What the device says.
    fn sync(&self) -> Result<(), SourceError>;

    /// How full the ring is. Does not wait.
    fn usage(&self) -> Usage;

    /// The extended attributes of a closed clip; `None` where it is gone. Does not wait.
    fn attributes(&self, clip: ClipId) -> Option<Vec<Attribute>>;

    /// What `.status.json` holds at this moment. Does not wait.
    fn status_json(&self) -> Vec<u8>;
}

/// A file of fixed content. Called from several threads at once.
pub trait OpenFile: Send + Sync {
    /// Its size, in bytes.
    fn size(&self) -> u64;

    /// The `length` bytes from `offset` on, both within the file: all of them, or none. May wait
    /// for the device.
    ///
    /// # Errors
    /// Where any of them can't be had.
    fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, SourceError>;
}

/// A growing clip at one moment.
pub struct Snapshot {
    /// Its content.
    pub file: Arc<dyn OpenFile>,
    /// When it begins.
    pub start: WallTime,
    /// When it ends so far: what `mtime` shows.
    pub end: WallTime,
    /// Its extended attributes.
    pub attributes: Vec<Attribute>,
}
