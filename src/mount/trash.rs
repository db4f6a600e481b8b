//! `.trash` and the directories below it: removed clips, which can be brought back or given up.

use std::sync::Arc;

use fuser::Errno;

use super::attributes::Described;
use super::clips::{Clips, not_removed};
use super::directory::{AddLine, Directory, Found, log_failure};
use super::errno;
use super::handles::Handle;
use super::notifier::Notifier;
use crate::library::Attribute;
use crate::units::ClipKey;
use crate::view::{Inode, Node, NodeKind};

/// See the [module](self). It reads as any directory of clips does; what differs is what becomes of
/// a clip.
pub(super) struct Trash {
    pub(super) clips: Arc<Clips>,
    pub(super) notifier: Notifier,
}

impl Trash {
    /// What is to be moved, and the clips that it consists of. They go where they belong, or into
    /// the root, which puts them there, too.
    fn to_restore(
        &self,
        (parent, name): (Inode, &str),
        (new_parent, new_name): (Inode, &str),
    ) -> Result<(Node, Vec<ClipKey>), Errno> {
        let tree = self.clips.shown.tree();
        let is_home =
            new_parent == Inode::Root || tree.home_of(parent.word()) == Some(new_parent.word());
        if !is_home || name != new_name {
            return Err(Errno::EPERM);
        }
        let node = tree.lookup(parent.word(), name).ok_or(Errno::ENOENT)?;
        let clips = match node.kind {
            NodeKind::Clip { clip, .. } => vec![clip],
            NodeKind::Directory { .. } => tree.clips_below(node.inode),
        };
        Ok((node, clips))
    }

    fn restore(&self, clip: ClipKey) -> Result<(), Errno> {
        self.clips.shown.restore(clip, &*self.clips.library).map_err(|error| {
            log_failure("restore", &format!("clip {clip}"), &error);
            errno::of_change(&error)
        })
    }
}

impl Directory for Trash {
    fn look_up(&self, parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        self.clips.look_up(parent, name)
    }

    fn list(&self, inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        self.clips.list(inode, after, add)
    }

    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        self.clips.describe(inode)
    }

    fn parent(&self, inode: Inode) -> Result<u64, Errno> {
        self.clips.parent(inode)
    }

    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno> {
        self.clips.open(inode)
    }

    fn extended(&self, inode: Inode) -> Vec<Attribute> {
        self.clips.extended(inode)
    }

    fn clips(&self, inode: Inode) -> Result<Vec<ClipKey>, Errno> {
        self.clips.clips(inode)
    }

    /// Gives a clip up for good.
    fn unlink(&self, parent: Inode, name: &str) -> Result<(), Errno> {
        let clip = self.clips.clip_named(parent, name)?;
        let purged = self.clips.shown.purge(clip, &*self.clips.library);
        purged.map_err(|error| not_removed(clip, &error))
    }

    fn rmdir(&self, parent: Inode, name: &str) -> Result<(), Errno> {
        self.clips.rmdir(parent, name)
    }

    /// Restores a clip, or all of a directory. Nothing else can be renamed.
    fn rename(&self, from: (Inode, &str), to: (Inode, &str)) -> Result<(), Errno> {
        let (node, clips) = self.to_restore(from, to)?;
        for clip in clips {
            self.restore(clip)?;
        }
        if let NodeKind::Directory { .. } = node.kind {
            self.clips.shown.drop_emptied_trash(node.inode);
        }
        // The kernel has moved its own entry, which stands for what was in the trash.
        for (parent, name) in [from, to] {
            self.notifier.name_changed(parent.word(), node.inode, name);
        }
        Ok(())
    }
}
