//! One change of the tree, and where it is.

use crate::view::{KEPT_NAME, ROOT, TRASH_NAME, Tree};

/// What has become of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mount) enum Event {
    /// A clip is there.
    Listed,
    /// A directory is.
    Made,
    /// A clip is not there any more.
    Gone,
    /// A directory is not.
    Dropped,
}

impl Event {
    /// Whether something is there that was not.
    pub(super) fn appears(self) -> bool {
        matches!(self, Event::Listed | Event::Made)
    }

    /// The system call that tells of it.
    pub(in crate::mount) fn call(self) -> &'static str {
        match self {
            Event::Listed => "rename",
            Event::Made => "mkdir",
            Event::Gone => "unlink",
            Event::Dropped => "rmdir",
        }
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(in crate::mount) struct News {
    pub(in crate::mount) event: Event,
    /// Inode of the directory.
    pub(in crate::mount) parent: u64,
    /// Inode of what has the name, or had it.
    pub(in crate::mount) inode: u64,
    pub(in crate::mount) name: Box<str>,
}

/// It is not so any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undone;

impl News {
    /// The path of its directory, from the root; `None` where nobody is told of what is in there.
    pub(super) fn place(&self, tree: &Tree) -> Result<Option<String>, Undone> {
        let path = tree.path_of(self.parent);
        match path.first().map(String::as_str) {
            Some(TRASH_NAME | KEPT_NAME) => return Ok(None),
            None if self.parent != ROOT => return Err(Undone),
            _ => {}
        }
        let now = tree.lookup(self.parent, &self.name).map(|node| node.inode);
        match self.event {
            Event::Listed | Event::Made if now != Some(self.inode) => Err(Undone),
            // What is there again is told of next: it was added behind this.
            _ => Ok(Some(path.join("/"))),
        }
    }
}
