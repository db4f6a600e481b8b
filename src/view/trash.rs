//! Removed clips: under `.trash`, at the path that they had, until their deadline.

use super::inode::{Inode, ROOT, TRASH_NAME, word_of_cookie};
use super::node::{GoneDirectory, MadeDirectory, Place};
use super::tree::{Tree, is_hidden};
use crate::units::ClipKey;

/// A clip has another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it was.
    pub from: Place,
    /// Where it is.
    pub to: Place,
}

impl Tree {
    /// Whether a directory is `.trash`, or below it.
    #[must_use]
    pub fn is_trash(&self, inode: u64) -> bool {
        self.directories.get(&inode).is_some_and(|directory| directory.is_trash)
    }

    /// Moves a listed clip into `.trash`, and out of `.kept`; `None` where it is not listed, or
    /// there already.
    pub fn discard(&mut self, clip: ClipKey) -> Option<Moved> {
        let parent = *self.clips.get(&clip)?;
        if self.is_trash(parent) {
            return None;
        }
        let mut path = self.path_of(parent);
        path.insert(0, TRASH_NAME.to_owned());
        self.move_to(clip, &path)
    }

    /// Moves a clip from `.trash` to where it belongs; `None` where it is not there.
    pub fn restore(&mut self, clip: ClipKey) -> Option<Moved> {
        let parent = *self.clips.get(&clip)?;
        if !self.is_trash(parent) {
            return None;
        }
        let mut path = self.path_of(parent);
        path.remove(0);
        self.move_to(clip, &path)
    }

    /// Where the clips of a directory below `.trash` belong: the directory there, if it exists.
    #[must_use]
    pub fn home_of(&self, inode: u64) -> Option<u64> {
        let path = self.path_of(inode);
        let (first, rest) = path.split_first()?;
        if first != TRASH_NAME {
            return None;
        }
        rest.iter().try_fold(ROOT, |inode, name| {
            let cookie = self.directories.get(&inode)?.cookie_of(name)?;
            Some(word_of_cookie(cookie))
        })
    }

    /// All clips in a directory and below it; those in the root are the ones that are listed.
    #[must_use]
    pub fn clips_below(&self, inode: u64) -> Vec<ClipKey> {
        let Some(directory) = self.directories.get(&inode) else { return Vec::new() };
        let mut clips = Vec::new();
        for &cookie in directory.entries.keys().filter(|cookie| !is_hidden(**cookie)) {
            let inode = word_of_cookie(cookie);
            match Inode::decode(inode) {
                Some(Inode::Clip(clip)) => clips.push(clip),
                _ => clips.extend(self.clips_below(inode)),
            }
        }
        clips
    }

    /// Drops a directory below `.trash` and what is in it, where no clip is left in any of it.
    pub fn drop_emptied_trash(&mut self, inode: u64) -> Vec<GoneDirectory> {
        let mut gone = Vec::new();
        if !self.is_trash(inode) || !self.clips_below(inode).is_empty() {
            return gone;
        }
        let Some(directory) = self.directories.get(&inode) else { return gone };
        let below: Vec<u64> =
            directory.entries.keys().map(|cookie| word_of_cookie(*cookie)).collect();
        for directory in below {
            gone.extend(self.drop_emptied_trash(directory));
        }
        if inode != Inode::Trash.word() {
            gone.extend(self.unlist_directory(inode));
        }
        gone
    }

    fn move_to(&mut self, clip: ClipKey, path: &[String]) -> Option<Moved> {
        let times = {
            let directory = self.directories.get(self.clips.get(&clip)?)?;
            directory.entries.get(&Inode::Clip(clip).cookie())?.clip?
        };
        let from = self.remove(clip)?;
        let parent = self.directory_at(path);
        let to = self.list_clip(clip, parent, from.name.clone(), times);
        Some(Moved { from, to })
    }

    /// Directories that clips have made since this was last asked, those above others first; those
    /// in the trash and among the kept ones are left out.
    pub fn take_made(&mut self) -> Vec<MadeDirectory> {
        std::mem::take(&mut self.made)
    }

    /// The names on the way from the root to a directory; none of the root itself.
    #[must_use]
    pub fn path_of(&self, inode: u64) -> Vec<String> {
        let mut path = Vec::new();
        let mut inode = inode;
        while let Some(directory) = self.directories.get(&inode)
            && inode != ROOT
        {
            path.push(directory.name.to_string());
            inode = directory.parent;
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::segment::NameForm;
    use crate::units::{BootTime, NANOS_PER_SECOND, WallTime};
    use crate::view::{Layout, ListedClip, RemoveError};
    use crate::zone::Zone;

    /// 2026-11-21 00:00 UTC.
    const DAY: i64 = 1_795_219_200 * NANOS_PER_SECOND;

    pub(in crate::view) fn key(number: u64) -> ClipKey {
        ClipKey::from_number(number).expect("a clip's number")
    }

    fn tree() -> Tree {
        tree_of(DAY, 60, 1)
    }

    /// Four clips of a camera, so many seconds apart, and of so many bytes each.
    pub(in crate::view) fn tree_of(origin: i64, seconds_apart: i64, size: u64) -> Tree {
        let mut tree = Tree::new(Layout::parse("default").expect("a preset"), Zone::UTC);
        for number in 2..6 {
            let start = WallTime(origin + number as i64 * seconds_apart * NANOS_PER_SECOND);
            tree.insert(&ListedClip {
                clip: key(number),
                redated: false,
                camera: "a",
                start,
                end: start.plus_nanos(NANOS_PER_SECOND),
                form: NameForm::Seconds,
                size,
            });
        }
        tree
    }

    pub(in crate::view) fn names(tree: &Tree, inode: u64) -> Vec<String> {
        tree.list(inode, 0).expect("a directory").map(|entry| entry.name.to_owned()).collect()
    }

    #[test]
    fn a_removed_clip_is_in_the_trash_at_its_path_and_comes_back_to_it() {
        let mut tree = tree();
        let before = tree.node(ROOT);
        let clip = key(3);
        let moved = tree.discard(clip).expect("it is listed");
        assert_eq!(tree.discard(clip), None, "it is there already");
        assert!(tree.is_trash(moved.to.parent) && !tree.is_trash(moved.from.parent));
        assert_eq!(tree.home_of(moved.to.parent), Some(moved.from.parent));
        assert_eq!(moved.to.name, moved.from.name);
        assert_eq!(tree.lookup(moved.from.parent, &moved.from.name), None);
        assert_eq!(tree.node(clip.number()).map(|node| node.inode), Some(3), "the same inode");
        let back = tree.restore(clip).expect("it is in the trash");
        assert_eq!((back.from, back.to), (moved.to, moved.from));
        assert_eq!(tree.restore(clip), None);
        assert_eq!(tree.node(ROOT), before);
    }

    #[test]
    fn the_trash_is_found_by_name_and_neither_listed_nor_counted_nor_removed() {
        let mut tree = tree();
        let before = (tree.node(ROOT), names(&tree, ROOT));
        tree.discard(key(2)).expect("it is listed");
        assert_eq!((tree.node(ROOT), names(&tree, ROOT)), before);
        let trash = tree.lookup(ROOT, TRASH_NAME).expect("it is always there");
        assert_eq!(trash.inode, Inode::Trash.word());
        assert_eq!(names(&tree, trash.inode), ["2026-11-21"]);
        assert_eq!(tree.rmdir(ROOT, TRASH_NAME), Err(RemoveError::Reserved));
        let minute = 60 * NANOS_PER_SECOND;
        assert!(tree.drop_empty(BootTime(0)).is_empty());
        assert!(tree.drop_empty(BootTime(2 * minute)).is_empty());
    }

    #[test]
    fn what_is_older_than_the_trash_does_not_age_the_root() {
        let mut tree = tree();
        let newest = key(5);
        let all = tree.node(ROOT).expect("the root").modified;
        tree.discard(newest).expect("it is listed");
        let left = tree.node(ROOT).expect("the root").modified;
        assert!(left < all, "the newest is not among the files any more");
        tree.restore(newest).expect("it is in the trash");
        assert_eq!(tree.node(ROOT).expect("the root").modified, all);
    }

    #[test]
    fn a_whole_directory_is_restored_and_leaves_nothing_behind() {
        let mut tree = tree();
        let listed = names(&tree, ROOT);
        for number in 2..6 {
            tree.discard(key(number)).expect("it is listed");
        }
        let day = tree.lookup(Inode::Trash.word(), "2026-11-21").expect("removed clips").inode;
        assert_eq!(tree.clips_below(day).len(), 4);
        assert!(tree.drop_emptied_trash(day).is_empty(), "clips are in it");
        for clip in tree.clips_below(day) {
            tree.restore(clip).expect("it is in the trash");
        }
        let gone = tree.drop_emptied_trash(day);
        assert_eq!(gone.len(), 2, "{gone:?}");
        assert!(names(&tree, Inode::Trash.word()).is_empty());
        assert_eq!(names(&tree, ROOT), listed);
    }
}
