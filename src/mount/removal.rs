//! What people do to clips: remove them, bring them back, give them up for good.

use fuser::Errno;

use super::errno;
use super::served::{STATUS_NAME, Served, log_failure};
use crate::units::ClipId;
use crate::view::{NodeKind, ROOT, TRASH_NAME};

impl Served {
    /// Removes a clip into `.trash`; in there it gives it up for good.
    pub(super) fn unlink(&self, parent: u64, name: &str) -> Result<(), Errno> {
        let (node, now, is_trash) = {
            let tree = self.shown.tree();
            (tree.lookup(parent, name), tree.now_inode(), tree.is_trash(parent))
        };
        if parent == now || parent == ROOT && name == STATUS_NAME {
            return Err(Errno::EPERM);
        }
        let NodeKind::Clip { clip, .. } = node.ok_or(Errno::ENOENT)?.kind else {
            return Err(Errno::EISDIR);
        };
        let library = &*self.library;
        let asked = match is_trash {
            true => self.shown.purge(clip, library),
            false => self.shown.remove(clip, library),
        };
        asked.map_err(|error| {
            log_failure("remove", &format!("clip {clip}"), &error);
            errno::of_change(&error)
        })
    }

    /// Restores a clip, or all of a directory, from `.trash`: to where it belongs, or into the
    /// root, which puts it there, too. Nothing else can be renamed.
    pub(super) fn rename(
        &self,
        (parent, name): (u64, &str),
        (new_parent, new_name): (u64, &str),
    ) -> Result<(), Errno> {
        let (node, clips) = {
            let tree = self.shown.tree();
            let to_its_place = new_parent == ROOT || tree.home_of(parent) == Some(new_parent);
            let is_trash = tree.is_trash(parent) && name != TRASH_NAME;
            if !is_trash || !to_its_place || name != new_name {
                return Err(Errno::EPERM);
            }
            let node = tree.lookup(parent, name).ok_or(Errno::ENOENT)?;
            let clips = match node.kind {
                NodeKind::Clip { clip, .. } => vec![clip],
                NodeKind::Directory { .. } => tree.clips_below(node.inode),
            };
            (node, clips)
        };
        for clip in clips {
            self.restore(clip)?;
        }
        if let NodeKind::Directory { .. } = node.kind {
            self.shown.drop_emptied_trash(node.inode);
        }
        // The kernel has moved its own entry, which stands for what was in the trash.
        self.notifier.name_changed(parent, node.inode, name);
        self.notifier.name_changed(new_parent, node.inode, new_name);
        Ok(())
    }

    fn restore(&self, clip: ClipId) -> Result<(), Errno> {
        self.shown.restore(clip, &*self.library).map_err(|error| {
            log_failure("restore", &format!("clip {clip}"), &error);
            errno::of_change(&error)
        })
    }

    /// Removes an empty directory.
    pub(super) fn rmdir(&self, parent: u64, name: &str) -> Result<(), Errno> {
        if parent == self.shown.tree().now_inode() {
            return Err(Errno::ENOTDIR);
        }
        self.shown.remove_directory(parent, name).map_err(errno::of_rmdir)
    }
}
