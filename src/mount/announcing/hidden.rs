//! `.announce`: what the process comes through, and what is answered to it there and elsewhere.

use std::sync::Arc;

use fuser::{Errno, FileAttr, FileType};

use super::Announcer;
use super::call::{Looked, Mine};
use super::news::Event;
use crate::mount::attributes::{Described, Ownership};
use crate::mount::directory::{AddLine, Directory, Found, immutable};
use crate::mount::handles::Handle;
use crate::shown::Shown;
use crate::view::{Inode, ROOT};

/// Nobody but the daemon's user enters it, and nobody at all lists it.
const MODE: u16 = 0o700;

/// See the [module](self).
pub(in crate::mount) struct Hidden {
    pub(in crate::mount) shown: Arc<Shown>,
    pub(in crate::mount) owner: Ownership,
    pub(in crate::mount) announcer: Arc<Announcer>,
}

impl Hidden {
    /// What a lookup of the process finds; `None` where it is answered as everybody's.
    pub(in crate::mount) fn found(
        &self,
        asker: u32,
        parent: u64,
        name: &str,
    ) -> Option<Result<Described, Errno>> {
        Some(match self.announcer.calls().look_up(asker, parent, name)? {
            Looked::Clip(news) => self.listed(news.parent, &news.name, news.inode),
            Looked::Leaving(inode) => self.describe(inode),
            Looked::Error(errno) => Err(errno),
        })
    }

    /// What a request that would remove or move something is answered, where it is the process's.
    pub(in crate::mount) fn answered(
        &self,
        asker: u32,
        event: Event,
        (parent, name): (u64, &str),
    ) -> Option<Result<(), Errno>> {
        match self.announcer.calls().answer(asker, event, (parent, name))? {
            Mine::Call(_) => Some(Ok(())),
            Mine::TooLate => Some(Err(Errno::EPERM)),
        }
    }

    /// Answers who makes a directory: nobody may, but the process finds the one that there is.
    pub(in crate::mount) fn make_directory(
        &self,
        asker: u32,
        parent: u64,
        name: &str,
    ) -> Result<Described, Errno> {
        match self.announcer.calls().answer(asker, Event::Made, (parent, name)) {
            Some(Mine::Call(news)) => self.listed(parent, name, news.inode),
            _ => Err(Errno::EROFS),
        }
    }

    /// Does what somebody's request asks for: the event of that is its own.
    pub(in crate::mount) fn requested(
        &self,
        event: Event,
        (parent, name): (u64, &str),
        change: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.announcer.requested(event, parent, name);
        change().inspect_err(|_| self.announcer.not_done(event, parent, name))
    }

    /// What has a name in the tree, if it is what it was.
    fn listed(&self, parent: u64, name: &str, inode: u64) -> Result<Described, Errno> {
        let node = self.shown.tree().lookup(parent, name).filter(|node| node.inode == inode);
        node.map(|node| self.owner.node(&node)).ok_or(Errno::ENOENT)
    }

    fn directory(&self, inode: Inode) -> Described {
        let file = self.owner.file(inode.word(), 0, Default::default(), Default::default());
        let described = immutable(file);
        let attributes = FileAttr { kind: FileType::Directory, perm: MODE, nlink: 2, ..file };
        Described { attributes, ..described }
    }
}

impl Directory for Hidden {
    fn look_up(&self, _parent: Inode, _name: &str) -> Result<Found<Described>, Errno> {
        Err(Errno::ENOENT)
    }

    fn list(&self, _inode: Inode, _after: u64, _add: &mut AddLine<'_>) -> Result<(), Errno> {
        Ok(())
    }

    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        match inode {
            Inode::Announce | Inode::LeavingDirectory => Ok(self.directory(inode)),
            Inode::Leaving => {
                let word = inode.word();
                Ok(immutable(self.owner.file(word, 0, Default::default(), Default::default())))
            }
            _ => Err(Errno::ESTALE),
        }
    }

    fn parent(&self, _inode: Inode) -> Result<u64, Errno> {
        Ok(ROOT)
    }

    fn open(&self, _inode: Inode) -> Result<Found<Handle>, Errno> {
        Err(Errno::EISDIR)
    }

    fn unlink(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn rmdir(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
}
