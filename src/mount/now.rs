//! `now`: what grows, one file for each camera. Its inode stays; its content is chosen when it is
//! opened, and stays for who has it open.
//!
//! The bytes of a growing clip's file shift as it grows. So nothing of it is to be in the kernel's
//! page cache, where two snapshots would mix: what is open is read past it.

use std::sync::Arc;

use fuser::Errno;

use super::attributes::{Described, NO_TTL, Ownership};
use super::directory::{AddLine, Directory, Found, Line, immutable, log_failure};
use super::errno;
use super::handles::{Content, Handle};
use super::newest::{Fresh, Newest, Seen};
use crate::library::{Attribute, Library};
use crate::shown::Shown;
use crate::units::{ClipKey, WallTime};
use crate::view::{Inode, growing_name};

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Now {
    pub(super) shown: Arc<Shown>,
    pub(super) library: Arc<dyn Library>,
    pub(super) owner: Ownership,
    pub(super) newest: Arc<Newest>,
}

impl Now {
    /// The camera whose name in the listing comes to `inode`.
    fn camera_of(&self, inode: Inode) -> Option<String> {
        let mut cameras = self.library.growing_cameras().into_iter();
        cameras.find(|camera| Inode::growing(&growing_name(camera)) == inode)
    }

    /// A snapshot of a camera's growing clip, made on the disk where the newest is no longer fresh.
    fn snapshot<T: 'static>(
        &self,
        (camera, inode): (String, Inode),
        give: impl FnOnce(Described, Fresh) -> T + Send + 'static,
    ) -> Found<T> {
        if let Some(fresh) = self.newest.fresh(inode) {
            return Found::Here(give(self.described(inode, &fresh.seen), fresh));
        }
        let now = self.clone();
        Found::OnDisk(Box::new(move || match now.library.snapshot(&camera) {
            Ok(Some(made)) => Ok(Box::new(move || {
                let fresh = now.newest.keep(inode, made);
                give(now.described(inode, &fresh.seen), fresh)
            })),
            Ok(None) => Err(Errno::ENOENT),
            Err(error) => {
                log_failure("snapshot", &camera, &error);
                Err(errno::of_open(&error))
            }
        }))
    }

    /// To be asked for every time: in a moment it is longer, or gone.
    fn described(&self, inode: Inode, seen: &Seen) -> Described {
        let attributes = self.owner.file(inode.word(), seen.size, seen.start, seen.end);
        Described { attribute_ttl: NO_TTL, entry_ttl: NO_TTL, ..immutable(attributes) }
    }

    /// One that nobody has made a snapshot of.
    fn unseen(&self, inode: Inode) -> Described {
        let none = WallTime::default();
        let attributes = self.owner.file(inode.word(), 0, none, none);
        Described { attribute_ttl: NO_TTL, entry_ttl: NO_TTL, ..immutable(attributes) }
    }
}

impl Directory for Now {
    fn look_up(&self, _parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        self.look_up_again(Inode::growing(name))
    }

    /// A listing makes no snapshot. What it says of the files is not to be believed for a moment,
    /// so that `stat` asks.
    fn list(&self, _inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        let cameras = self.library.growing_cameras();
        let names = cameras.iter().map(|camera| growing_name(camera));
        let mut lines: Vec<_> = names.map(|name| (Inode::growing(&name), name)).collect();
        lines.sort_by_key(|(inode, _)| inode.cookie());
        lines.dedup_by_key(|(inode, _)| inode.cookie());
        for (inode, name) in lines.iter().filter(|(inode, _)| inode.cookie() > after) {
            if add(&Line { cookie: inode.cookie(), name, described: self.unseen(*inode) }) {
                break;
            }
        }
        Ok(())
    }

    /// Of a file, what the newest snapshot says: that which was looked up or opened last.
    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        if inode == Inode::Now {
            let node = self.shown.tree().node(inode.word());
            return node.map(|node| self.owner.node(&node)).ok_or(Errno::ESTALE);
        }
        match self.newest.seen(inode) {
            Some(seen) => Ok(self.described(inode, &seen)),
            None => self.camera_of(inode).map(|_| self.unseen(inode)).ok_or(Errno::ENOENT),
        }
    }

    fn look_up_again(&self, inode: Inode) -> Result<Found<Described>, Errno> {
        if inode == Inode::Now {
            return self.describe(inode).map(Found::Here);
        }
        let camera = self.camera_of(inode).ok_or(Errno::ENOENT)?;
        Ok(self.snapshot((camera, inode), |described, _fresh| described))
    }

    fn parent(&self, inode: Inode) -> Result<u64, Errno> {
        match inode {
            Inode::Now => self.shown.tree().parent(inode.word()).ok_or(Errno::ESTALE),
            _ => Ok(Inode::Now.word()),
        }
    }

    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno> {
        if inode == Inode::Now {
            return Err(Errno::EISDIR);
        }
        let camera = self.camera_of(inode).ok_or(Errno::ENOENT)?;
        Ok(self.snapshot((camera, inode), |described, fresh| {
            let attributes = described.attributes;
            Handle { attributes, content: Content::Snapshot(fresh.file) }
        }))
    }

    fn extended(&self, inode: Inode) -> Vec<Attribute> {
        self.newest.seen(inode).map(|seen| seen.attributes.clone()).unwrap_or_default()
    }

    fn clips(&self, inode: Inode) -> Result<Vec<ClipKey>, Errno> {
        self.newest.seen(inode).map(|seen| seen.clips.clone()).ok_or(Errno::EPERM)
    }

    fn unlink(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Only files are in it.
    fn rmdir(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }
}
