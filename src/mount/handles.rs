//! Files that are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fuser::{FileAttr, FileHandle};

use super::lock;
use crate::library::OpenFile;
use crate::live::Viewer;
use crate::units::ClipKey;

/// How many may be open at once: as many as one process may have on Linux (`fs.nr_open`).
const OPEN_MAX: usize = 1 << 20;

/// An open file.
pub(super) struct Handle {
    /// What `fstat` says, also once the file has no name any more.
    pub(super) attributes: FileAttr,
    /// What is read.
    pub(super) content: Content,
}

/// What an open file is read from.
pub(super) enum Content {
    /// A clip, or a range.
    File(Arc<dyn OpenFile>),
    /// One of those that a growing clip's file had.
    Snapshot(Arc<dyn OpenFile>),
    /// Bytes that were made when it was opened.
    Made(Vec<u8>),
    /// What a camera sends.
    Live(Mutex<Viewer>),
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Handles(Mutex<State>);

#[derive(Default)]
struct State {
    opened: u64,
    open: HashMap<u64, Arc<Handle>>,
}

impl Handles {
    /// Adds an open file; `None` where there are too many.
    pub(super) fn add(&self, handle: Handle) -> Option<FileHandle> {
        let mut state = lock(&self.0);
        if state.open.len() >= OPEN_MAX {
            return None;
        }
        state.opened += 1;
        let number = state.opened;
        state.open.insert(number, Arc::new(handle));
        Some(FileHandle(number))
    }

    /// The file behind a handle.
    pub(super) fn get(&self, handle: FileHandle) -> Option<Arc<Handle>> {
        lock(&self.0).open.get(&handle.0).map(Arc::clone)
    }

    /// Any handle on an inode. Looks at all of them: for the rare inode that has no name left.
    pub(super) fn of_inode(&self, inode: u64) -> Option<Arc<Handle>> {
        let state = lock(&self.0);
        state.open.values().find(|handle| handle.attributes.ino.0 == inode).map(Arc::clone)
    }

    /// The inodes of open files that have bytes of a clip beside others.
    pub(super) fn holding(&self, clip: ClipKey) -> Vec<u64> {
        let state = lock(&self.0);
        let holds = |handle: &&Arc<Handle>| match &handle.content {
            Content::File(file) => file.holds(clip),
            // Not in a cache.
            Content::Snapshot(_) | Content::Made(_) | Content::Live(_) => false,
        };
        state.open.values().filter(holds).map(|handle| handle.attributes.ino.0).collect()
    }

    /// Closes a file.
    pub(super) fn remove(&self, handle: FileHandle) {
        // Dropped behind the lock: what a file holds may take a while to free.
        let closed = lock(&self.0).open.remove(&handle.0);
        drop(closed);
    }
}
