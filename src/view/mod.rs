//! What people see of the archive: clips as directories, names and inode numbers. Pure.
//!
//! A [`Layout`] says where a clip is found; a [`Tree`] holds all closed clips in that shape, in
//! memory, and answers what a file system is asked: look up, list, parent. [`clip_boundary_after`]
//! says where clips are cut, so that the names come out even on the local clock.
//!
//! Numbers: [`Inode`] says what each inode names, and how. Closed clips and directories keep theirs
//! over restarts and upgrades: a clip's is its id with its ring's number in it, a directory's comes
//! from its path. Clips of several rings may be in one tree, and in one directory.

mod calendar;
mod cameras;
mod directory;
mod field;
mod hour;
mod inode;
mod kept;
mod layout;
mod node;
mod pattern;
mod timestamp;
mod trash;
mod tree;

pub use calendar::clip_boundary_after;
pub use cameras::{Selection, camera_and_stream};
pub use directory::Sums;
pub use inode::{
    ANNOUNCE_NAME, Inode, KEPT_NAME, LIVE_NAME, LOG_NAME, METRICS_NAME, NOW_NAME, NameHash,
    PathHash, RANGE_LOG_NAME, RANGE_NAME, ROOT, STATUS_NAME, TRASH_NAME,
};
pub use layout::{CLIP_SUFFIX, ClipPath, Layout, LayoutError, growing_name, ranges_name};
pub use node::{
    Entry, GoneDirectory, ListedClip, MadeDirectory, Node, NodeKind, Place, RemoveError,
};
pub use timestamp::{utc_second, utc_timestamp};
pub use trash::Moved;
pub use tree::Tree;
