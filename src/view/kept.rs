//! Kept clips: under `.kept`, at the path that they have, beside where they are.

use super::inode::{Inode, KEPT_NAME};
use super::node::Place;
use super::tree::Tree;
use crate::units::ClipKey;

impl Tree {
    /// Shows a listed clip in `.kept`, too; `None` where it is not listed, or there already.
    pub fn keep(&mut self, clip: ClipKey) -> Option<Place> {
        let home = *self.clips.get(&clip)?;
        if self.is_trash(home) || self.kept.contains_key(&clip) {
            return None;
        }
        let (name, times) = {
            let listed = self.directories.get(&home)?.entries.get(&Inode::Clip(clip).cookie())?;
            (listed.name.to_string(), listed.clip?)
        };
        let mut path = self.path_of(home);
        path.insert(0, KEPT_NAME.to_owned());
        let parent = self.directory_at(&path);
        self.kept.insert(clip, parent);
        Some(self.add_clip(clip, parent, name, times))
    }

    /// Whether a directory is `.kept`, or below it.
    #[must_use]
    pub fn is_below_kept(&self, inode: u64) -> bool {
        self.path_of(inode).first().is_some_and(|first| first == KEPT_NAME)
    }

    /// Shows a clip in `.kept` no more; answers where it was, `None` where it was not.
    pub fn release(&mut self, clip: ClipKey) -> Option<Place> {
        let parent = self.kept.remove(&clip)?;
        self.take_clip(clip, parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{BootTime, NANOS_PER_SECOND};
    use crate::view::trash::tests::{key, names, tree_of};
    use crate::view::{ROOT, RemoveError, TRASH_NAME};

    fn tree() -> Tree {
        tree_of(0, 86_400, 100)
    }

    #[test]
    fn a_kept_clip_is_where_it_was_and_in_kept_with_the_same_inode() {
        let mut tree = tree();
        let kept = tree.lookup(ROOT, KEPT_NAME).expect("it is always there");
        assert_eq!(kept.inode, Inode::Kept.word());
        let before = (tree.node(ROOT), names(&tree, ROOT), tree.sums(ROOT));
        let home = tree.place(key(3)).expect("listed");
        let place = tree.keep(key(3)).expect("it is listed");
        assert_eq!((&place.name, place.clip), (&home.name, home.clip));
        assert_eq!(tree.keep(key(3)), None, "it is there already");
        assert_eq!((tree.node(ROOT), names(&tree, ROOT), tree.sums(ROOT)), before);
        assert_eq!(tree.place(key(3)), Some(home.clone()));
        assert_eq!(names(&tree, kept.inode), ["1970-01-04"]);
        assert_eq!(tree.sums(kept.inode).map(|sums| (sums.clips, sums.bytes)), Some((1, 100)));
        let found = tree.lookup(place.parent, &place.name).expect("it is listed there");
        assert_eq!(Some(found), tree.node(home.inode()));
        assert_eq!(tree.clips_below(kept.inode), [key(3)]);
        assert_eq!(tree.clips_below(ROOT).len(), 4, "each once");
        assert_eq!(tree.release(key(3)), Some(place));
        assert_eq!((tree.release(key(3)), tree.place(key(3))), (None, Some(home)));
        assert_eq!(tree.sums(kept.inode).map(|sums| sums.clips), Some(0));
    }

    #[test]
    fn what_leaves_is_not_left_in_kept() {
        let mut tree = tree();
        tree.keep(key(3)).expect("it is listed");
        tree.remove(key(3)).expect("it is listed");
        assert_eq!((tree.release(key(3)), tree.keep(key(3))), (None, None));
        assert_eq!(tree.sums(Inode::Kept.word()).map(|sums| sums.clips), Some(0));
        tree.discard(key(4)).expect("it is listed");
        assert_eq!(tree.keep(key(4)), None, "it is removed");
        let trash = tree.lookup(ROOT, TRASH_NAME).expect("it is always there").inode;
        assert_eq!(tree.clips_below(trash), [key(4)]);
    }

    #[test]
    fn kept_itself_stays_and_what_is_empty_in_it_goes() {
        let mut tree = tree();
        assert_eq!(tree.rmdir(ROOT, KEPT_NAME), Err(RemoveError::Reserved));
        tree.keep(key(3)).expect("it is listed");
        tree.release(key(3)).expect("it is kept");
        let minute = 60 * NANOS_PER_SECOND;
        tree.drop_empty(BootTime(0));
        tree.drop_empty(BootTime(2 * minute));
        tree.drop_empty(BootTime(4 * minute));
        tree.drop_empty(BootTime(6 * minute));
        assert!(names(&tree, Inode::Kept.word()).is_empty());
        assert!(tree.node(Inode::Kept.word()).is_some());
    }
}
