//! What people see of the archive: clips as directories, names and inode numbers. Pure.
//!
//! A [`Layout`] says where a clip is found; a [`Tree`] holds all closed clips in that shape, in
//! memory, and answers what a file system is asked: look up, list, parent. [`clip_boundary_after`]
//! says where clips are cut, so that the names come out even on the local clock.
//!
//! Numbers: the root is [`ROOT`]; a clip's inode and listing cookie is its id, which is below 2⁶²
//! and never reused; a directory's inode comes from its path and has bit 63 set, so that it
//! survives a restart. Bit 62 alone marks what whoever serves the tree makes up himself
//! ([`SERVED_BIT`]).

mod calendar;
mod directory;
mod layout;
mod node;
mod number;
mod timestamp;
mod trash;
mod tree;

pub use calendar::clip_boundary_after;
pub use layout::{ClipPath, Layout, LayoutError, growing_name};
pub use node::{Entry, GoneDirectory, ListedClip, Node, NodeKind, Place, RemoveError};
pub use number::{ROOT, SERVED_BIT, name_number};
pub use timestamp::{local_timestamp, utc_timestamp};
pub use trash::Moved;
pub use tree::{NOW_NAME, TRASH_NAME, Tree};
