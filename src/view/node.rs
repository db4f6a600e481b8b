//! What goes into the tree and what it answers with.

use super::inode::Inode;
use crate::segment::NameForm;
use crate::units::{ClipKey, WallTime};

/// A closed clip as the tree needs it.
#[derive(Clone, Copy, Debug)]
pub struct ListedClip<'a> {
    /// Which.
    pub clip: ClipKey,
    /// Whether it has got other times than those it was recorded with.
    pub redated: bool,
    /// Its stream's name.
    pub camera: &'a str,
    /// When it begins.
    pub start: WallTime,
    /// When it ends: what `mtime` shows.
    pub end: WallTime,
    /// How its name is told from others'.
    pub form: NameForm,
    /// Size of its file, in bytes.
    pub size: u64,
}

/// Where a clip is, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which clip.
    pub clip: ClipKey,
    /// Whether it has got other times than those it was recorded with.
    pub redated: bool,
    /// Inode of the directory.
    pub parent: u64,
    /// Name in it.
    pub name: String,
}

impl Place {
    /// Inode of the file.
    #[must_use]
    pub fn inode(&self) -> u64 {
        Inode::of_clip(self.clip, self.redated).word()
    }
}

/// A directory that is no longer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoneDirectory {
    /// Inode of the directory that it was in.
    pub parent: u64,
    /// Its inode.
    pub inode: u64,
    /// Its name.
    pub name: String,
}

/// A directory that was not there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeDirectory {
    /// Inode of the directory that it is in.
    pub parent: u64,
    /// Its inode.
    pub inode: u64,
    /// Its name.
    pub name: String,
}

/// What a name or an inode stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its inode.
    pub inode: u64,
    /// Tells a directory from one that had the same path and inode, and was removed.
    pub generation: u64,
    /// End of the newest footage in it.
    pub modified: WallTime,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory {
        /// How many directories are in it.
        subdirectories: u32,
    },
    /// A closed clip.
    Clip {
        /// Which.
        clip: ClipKey,
        /// When it begins.
        start: WallTime,
        /// Size of its file, in bytes.
        size: u64,
    },
}

/// One line of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where to go on behind it; positive as a signed number, above 2 and never reused.
    pub cookie: u64,
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub node: Node,
}

/// Why a directory can't be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// There is nothing of that name.
    #[error("no such directory")]
    Missing,
    /// It is a clip.
    #[error("not a directory")]
    NotADirectory,
    /// It holds something.
    #[error("directory not empty")]
    NotEmpty,
    /// It is always there.
    #[error("reserved")]
    Reserved,
}
