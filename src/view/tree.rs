//! The tree of closed clips: what is looked up, listed and removed.
//!
//! Directories exist as long as they hold something, and for a while longer, so that `rm -r`
//! finds what it is about to remove. Listings go by cookie, which a clip keeps for life: one that
//! is interrupted goes on behind the same place whatever was added or removed meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::directory::{ClipTimes, Directory, Listed, Sums};
use super::inode::{HASH_MASK, Inode, KEPT_NAME, NOW_NAME, ROOT, TRASH_NAME, word_of_cookie};
use super::layout::{CLIP_SUFFIX, Layout};
use super::node::{
    Entry, GoneDirectory, ListedClip, MadeDirectory, Node, NodeKind, Place, RemoveError,
};
use crate::units::{BootTime, ClipKey, NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

/// How long an emptied directory stays: `rm -r` of 10,000 clips is well within it.
const EMPTY_NANOS_MIN: i64 = 60 * NANOS_PER_SECOND;

/// Whether what is listed below a directory is no matter of the one that it is in.
fn is_top(inode: u64) -> bool {
    [Inode::Root, Inode::Trash, Inode::Kept].iter().any(|top| top.word() == inode)
}

/// Whether a directory, in the root, is found by its name alone.
pub(super) fn is_hidden(cookie: u64) -> bool {
    [Inode::Trash, Inode::Kept].iter().any(|hidden| hidden.cookie() == cookie)
}

/// All closed clips, by directory.
#[derive(Debug)]
pub struct Tree {
    layout: Layout,
    zone: Zone,
    /// The directory of each clip.
    pub(super) clips: HashMap<ClipKey, u64>,
    /// The directory below `.kept` of each clip that is kept.
    pub(super) kept: HashMap<ClipKey, u64>,
    pub(super) directories: HashMap<u64, Directory>,
    /// Empty directories, and when [`Tree::drop_empty`] first found them so.
    emptied: BTreeMap<u64, Option<BootTime>>,
    /// Directories made since somebody asked, but for what mirrors others.
    pub(super) made: Vec<MadeDirectory>,
    /// Directories removed so far; the generation of the next one made. So all that a restart
    /// makes are of generation 0, and handles to them outlive it.
    removals: u64,
    hash_mask: u64,
}

impl Tree {
    /// An empty tree: a root with `now` in it, `.trash` and `.kept`. `zone` is the configured one.
    #[must_use]
    pub fn new(layout: Layout, zone: Zone) -> Tree {
        Self::with_hash_mask(layout, zone, HASH_MASK)
    }

    /// The zone that names are in.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.layout.zone(&self.zone)
    }

    fn with_hash_mask(layout: Layout, zone: Zone, hash_mask: u64) -> Tree {
        let mut tree = Tree {
            layout,
            zone,
            clips: HashMap::new(),
            kept: HashMap::new(),
            directories: HashMap::from([(ROOT, Directory::new(ROOT, "", 0, false))]),
            emptied: BTreeMap::new(),
            made: Vec::new(),
            removals: 0,
            hash_mask,
        };
        tree.add_directory(Inode::Now, ROOT, NOW_NAME);
        tree.add_directory(Inode::Trash, ROOT, TRASH_NAME);
        tree.add_directory(Inode::Kept, ROOT, KEPT_NAME);
        if let Some(root) = tree.directories.get_mut(&ROOT) {
            // A link count that `find` can rely on is one of what is listed.
            root.subdirectories -= 2;
        }
        tree.emptied.clear();
        tree
    }

    /// How many clips are listed.
    #[must_use]
    pub fn clip_count(&self) -> usize {
        self.clips.len()
    }

    /// Lists a clip. One that is listed already stays as it is: a closed clip never changes.
    ///
    /// Where another clip has the name, because two streams share one, the id goes into the name:
    /// footage is never hidden.
    pub fn insert(&mut self, clip: &ListedClip<'_>) -> Place {
        if let Some(place) = self.place(clip.clip) {
            return place;
        }
        let path = self.layout.path(&self.zone, clip.camera, clip.start, clip.form);
        let parent = self.directory_at(&path.directories);
        let ListedClip { start, end, size, redated, .. } = *clip;
        let times = ClipTimes { redated, start, end, size };
        self.list_clip(clip.clip, parent, path.file, times)
    }

    pub(super) fn list_clip(
        &mut self,
        clip: ClipKey,
        parent: u64,
        name: String,
        times: ClipTimes,
    ) -> Place {
        let mut name = name;
        if self.cookie_of(parent, &name).is_some() {
            let stem = name.strip_suffix(CLIP_SUFFIX).unwrap_or(&name);
            name = format!("{stem}~{:x}.mp4", clip.number());
        }
        self.clips.insert(clip, parent);
        self.add_clip(clip, parent, name, times)
    }

    /// Puts a clip into a directory, where it may be beside another one.
    pub(super) fn add_clip(
        &mut self,
        clip: ClipKey,
        parent: u64,
        name: String,
        times: ClipTimes,
    ) -> Place {
        if let Some(directory) = self.directories.get_mut(&parent) {
            directory.add(Inode::Clip(clip).cookie(), &name, Some(times));
        }
        self.emptied.remove(&parent);
        self.note_newest(parent, times.end);
        self.change_sums(parent, |sums| Sums {
            clips: sums.clips + 1,
            bytes: sums.bytes.saturating_add(times.size),
        });
        Place { clip, redated: times.redated, parent, name }
    }

    /// Takes a clip off the listing, that of what is kept, too; answers where it was, `None` where
    /// it was not listed.
    pub fn remove(&mut self, clip: ClipKey) -> Option<Place> {
        self.release(clip);
        let parent = self.clips.remove(&clip)?;
        self.take_clip(clip, parent)
    }

    /// Takes a clip out of a directory.
    pub(super) fn take_clip(&mut self, clip: ClipKey, parent: u64) -> Option<Place> {
        let directory = self.directories.get_mut(&parent)?;
        let listed = directory.take(Inode::Clip(clip).cookie())?;
        let times = listed.clip.map(|times| (times.end, times.redated, times.size));
        let (end, redated, size) = times.unwrap_or_default();
        self.after_removal(parent, end);
        self.change_sums(parent, |sums| Sums {
            clips: sums.clips.saturating_sub(1),
            bytes: sums.bytes.saturating_sub(size),
        });
        Some(Place { clip, redated, parent, name: listed.name.into() })
    }

    /// Where a clip is.
    #[must_use]
    pub fn place(&self, clip: ClipKey) -> Option<Place> {
        let parent = *self.clips.get(&clip)?;
        let listed = self.directories.get(&parent)?.entries.get(&Inode::Clip(clip).cookie())?;
        let redated = listed.clip.is_some_and(|times| times.redated);
        Some(Place { clip, redated, parent, name: listed.name.to_string() })
    }

    /// What `name` stands for in a directory.
    #[must_use]
    pub fn lookup(&self, parent: u64, name: &str) -> Option<Node> {
        let cookie = self.cookie_of(parent, name)?;
        let listed = self.directories.get(&parent)?.entries.get(&cookie)?;
        self.listed_node(cookie, listed)
    }

    /// What an inode stands for.
    #[must_use]
    pub fn node(&self, inode: u64) -> Option<Node> {
        let named = Inode::decode(inode)?;
        let (Inode::Clip(clip) | Inode::Redated(clip)) = named else {
            return self.directory_node(inode);
        };
        let cookie = named.cookie();
        let listed = self.directories.get(self.clips.get(&clip)?)?.entries.get(&cookie)?;
        // One that has got other times is not found any more by what it was before.
        self.listed_node(cookie, listed).filter(|node| node.inode == inode)
    }

    /// The directory that an inode is in; the root is in itself.
    #[must_use]
    pub fn parent(&self, inode: u64) -> Option<u64> {
        match Inode::decode(inode)? {
            Inode::Clip(clip) | Inode::Redated(clip) => self.clips.get(&clip).copied(),
            _ => self.directories.get(&inode).map(|directory| directory.parent),
        }
    }

    /// What is in a directory, in the order of cookies, from behind `after` on (0: from the
    /// beginning); `None` where there is no such directory.
    #[must_use]
    pub fn list(&self, inode: u64, after: u64) -> Option<impl Iterator<Item = Entry<'_>>> {
        let directory = self.directories.get(&inode)?;
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let entries = directory.entries.range(behind).filter(|(cookie, _)| !is_hidden(**cookie));
        Some(entries.filter_map(|(cookie, listed)| {
            let node = self.listed_node(*cookie, listed)?;
            Some(Entry { cookie: *cookie, name: &listed.name, node })
        }))
    }

    /// What the clips in a directory, and below it, come to; those in the trash are apart from all
    /// others.
    #[must_use]
    pub fn sums(&self, inode: u64) -> Option<Sums> {
        self.directories.get(&inode).map(|directory| directory.sums)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Where it is none, holds something, or is always there.
    pub fn rmdir(&mut self, parent: u64, name: &str) -> Result<GoneDirectory, RemoveError> {
        let cookie = self.cookie_of(parent, name).ok_or(RemoveError::Missing)?;
        let inode = word_of_cookie(cookie);
        match Inode::decode(inode) {
            Some(Inode::Directory(_)) => {}
            Some(Inode::Now | Inode::Trash | Inode::Kept) => return Err(RemoveError::Reserved),
            _ => return Err(RemoveError::NotADirectory),
        }
        let directory = self.directories.get(&inode).ok_or(RemoveError::Missing)?;
        if !directory.entries.is_empty() {
            return Err(RemoveError::NotEmpty);
        }
        self.unlist_directory(inode).ok_or(RemoveError::Missing)
    }

    /// Drops directories that have been empty for a minute of calls to this; `now` is boot time.
    /// Answers which, so that caches can be told.
    pub fn drop_empty(&mut self, now: BootTime) -> Vec<GoneDirectory> {
        let mut due = Vec::new();
        for (inode, since) in &mut self.emptied {
            let since = since.get_or_insert(now);
            if now.0.saturating_sub(since.0) >= EMPTY_NANOS_MIN {
                due.push(*inode);
            }
        }
        due.into_iter().filter_map(|inode| self.unlist_directory(inode)).collect()
    }

    fn cookie_of(&self, parent: u64, name: &str) -> Option<u64> {
        self.directories.get(&parent)?.cookie_of(name)
    }

    fn listed_node(&self, cookie: u64, listed: &Listed) -> Option<Node> {
        let inode = word_of_cookie(cookie);
        let (Some(times), Some(Inode::Clip(clip))) = (listed.clip, Inode::decode(inode)) else {
            return self.directory_node(inode);
        };
        let kind = NodeKind::Clip { clip, start: times.start, size: times.size };
        let inode = Inode::of_clip(clip, times.redated).word();
        Some(Node { inode, generation: 0, modified: times.end, kind })
    }

    fn directory_node(&self, inode: u64) -> Option<Node> {
        let directory = self.directories.get(&inode)?;
        // The newest footage is being written: `now` is as new as what is listed, not newer, so
        // that it does not change while nothing else does.
        let newest = if inode == Inode::Now.word() { ROOT } else { inode };
        let modified = self.directories.get(&newest)?.newest;
        let kind = NodeKind::Directory { subdirectories: directory.subdirectories };
        Some(Node { inode, generation: directory.generation, modified, kind })
    }

    /// The inode of the directory at a path, made where it is missing.
    pub(super) fn directory_at(&mut self, components: &[String]) -> u64 {
        let mut inode = ROOT;
        let mut path = String::new();
        for component in components {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(component);
            inode = match self.cookie_of(inode, component) {
                Some(cookie) => word_of_cookie(cookie),
                None => self.make_directory(inode, component, &path),
            };
        }
        inode
    }

    fn make_directory(&mut self, parent: u64, name: &str, path: &str) -> u64 {
        let mut attempt = 0;
        let mut inode = Inode::directory(path, attempt, self.hash_mask);
        while self.directories.contains_key(&inode.word()) {
            attempt += 1;
            inode = Inode::directory(path, attempt, self.hash_mask);
        }
        let mirrors = [TRASH_NAME, KEPT_NAME].map(Some).contains(&path.split('/').next());
        if !mirrors {
            let name = name.to_owned();
            self.made.push(MadeDirectory { parent, inode: inode.word(), name });
        }
        self.add_directory(inode, parent, name)
    }

    fn add_directory(&mut self, inode: Inode, parent: u64, name: &str) -> u64 {
        let is_trash = inode == Inode::Trash || self.is_trash(parent);
        let word = inode.word();
        self.directories.insert(word, Directory::new(parent, name, self.removals, is_trash));
        if let Some(directory) = self.directories.get_mut(&parent) {
            directory.add(inode.cookie(), name, None);
        }
        self.emptied.remove(&parent);
        self.emptied.insert(word, None);
        word
    }

    pub(super) fn unlist_directory(&mut self, inode: u64) -> Option<GoneDirectory> {
        let cookie = Inode::decode(inode)?.cookie();
        let gone = self.directories.remove(&inode)?;
        self.emptied.remove(&inode);
        self.removals += 1;
        if let Some(parent) = self.directories.get_mut(&gone.parent) {
            parent.take(cookie);
            self.after_removal(gone.parent, gone.newest);
        }
        Some(GoneDirectory { parent: gone.parent, inode, name: gone.name.into() })
    }

    fn note_newest(&mut self, inode: u64, end: WallTime) {
        let mut inode = inode;
        while let Some(directory) = self.directories.get_mut(&inode) {
            if directory.newest >= end {
                return;
            }
            directory.newest = end;
            if is_top(inode) {
                return;
            }
            inode = directory.parent;
        }
    }

    /// Changes the sums of a directory and of those that it is in, up to the root, or to the trash.
    fn change_sums(&mut self, inode: u64, change: impl Fn(Sums) -> Sums) {
        let mut inode = inode;
        while let Some(directory) = self.directories.get_mut(&inode) {
            directory.sums = change(directory.sums);
            if is_top(inode) {
                return;
            }
            inode = directory.parent;
        }
    }

    /// Keeps `newest` and the list of empty directories right once something that ended at `end`
    /// has left a directory.
    fn after_removal(&mut self, inode: u64, end: WallTime) {
        let is_empty = self.directories.get(&inode).is_some_and(|dir| dir.entries.is_empty());
        if is_empty && !is_top(inode) {
            self.emptied.insert(inode, None);
        }
        let mut inode = inode;
        while let Some(directory) = self.directories.get(&inode) {
            if directory.newest > end {
                return;
            }
            let newest = directory
                .entries
                .iter()
                .filter_map(|(cookie, listed)| match listed.clip {
                    Some(times) => Some(times.end),
                    None if is_hidden(*cookie) => None,
                    None => Some(self.directories.get(&word_of_cookie(*cookie))?.newest),
                })
                .max();
            // A function of what is there, so that a restart changes nothing.
            let (newest, parent) = (newest.unwrap_or_default(), directory.parent);
            if newest == directory.newest {
                return;
            }
            if let Some(directory) = self.directories.get_mut(&inode) {
                directory.newest = newest;
            }
            if is_top(inode) {
                return;
            }
            inode = parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::NameForm;
    use crate::units::{ClipId, RingNumber, Sequence, SessionNumber};
    use proptest::prelude::*;

    const MINUTE: i64 = 60 * NANOS_PER_SECOND;
    /// 2026-11-21 00:00 UTC.
    const DAY: i64 = 1_795_219_200 * NANOS_PER_SECOND;

    fn key(number: u64) -> ClipKey {
        ClipKey::from_number(number).expect("a clip's number")
    }

    fn tree() -> Tree {
        Tree::new(Layout::parse("default").expect("a preset"), Zone::UTC)
    }

    fn clip(number: u64, camera: &str, minute: i64) -> ListedClip<'_> {
        let start = WallTime(DAY + minute * MINUTE);
        ListedClip {
            clip: key(number),
            redated: false,
            camera,
            start,
            end: start.plus_nanos(MINUTE),
            form: NameForm::Seconds,
            size: number * 1000,
        }
    }

    fn find(tree: &Tree, path: &str) -> Option<Node> {
        let mut node = tree.node(ROOT)?;
        for name in path.split('/') {
            node = tree.lookup(node.inode, name)?;
        }
        Some(node)
    }

    fn names(tree: &Tree, inode: u64) -> Vec<String> {
        tree.list(inode, 0).expect("a directory").map(|entry| entry.name.to_owned()).collect()
    }

    #[test]
    fn a_clip_is_found_by_path_inode_and_listing() {
        let mut tree = tree();
        let place = tree.insert(&clip(100, "a", 10));
        let node = find(&tree, "2026-11-21/a/00-10-00.mp4").expect("listed");
        assert_eq!(node.inode, 100);
        assert_eq!(tree.node(100), Some(node));
        assert_eq!(tree.parent(100), Some(place.parent));
        assert_eq!(tree.parent(place.parent), find(&tree, "2026-11-21").map(|day| day.inode));
        assert_eq!(names(&tree, place.parent), ["00-10-00.mp4"]);
        assert_eq!(tree.place(key(100)), Some(place));
    }

    #[test]
    fn a_directory_knows_what_the_clips_below_it_come_to() {
        let mut tree = tree();
        let sums = |tree: &Tree, path: &str| {
            let node = find(tree, path).expect("listed");
            tree.sums(node.inode).map(|sums| (sums.clips, sums.bytes))
        };
        for (number, camera, minute) in [(100, "a", 1), (101, "a", 2), (102, "b", 1)] {
            tree.insert(&clip(number, camera, minute));
        }
        let next_day = 24 * 60;
        tree.insert(&clip(103, "a", next_day));
        let root = |tree: &Tree| tree.sums(ROOT).map(|sums| (sums.clips, sums.bytes));
        assert_eq!(sums(&tree, "2026-11-21/a"), Some((2, 201_000)));
        assert_eq!(sums(&tree, "2026-11-21"), Some((3, 303_000)));
        assert_eq!(root(&tree), Some((4, 406_000)));
        tree.discard(key(101));
        assert_eq!(sums(&tree, "2026-11-21"), Some((2, 202_000)));
        assert_eq!(sums(&tree, ".trash"), Some((1, 101_000)));
        assert_eq!(root(&tree), Some((3, 305_000)), "the trash is apart");
        tree.restore(key(101));
        tree.remove(key(102));
        assert_eq!(sums(&tree, "2026-11-21"), Some((2, 201_000)));
        assert_eq!(sums(&tree, ".trash"), Some((0, 0)));
        assert_eq!(root(&tree), Some((3, 304_000)));
    }

    #[test]
    fn a_listing_goes_on_where_it_was_whatever_is_removed() {
        let mut tree = tree();
        let parent = (100..110).map(|id| tree.insert(&clip(id, "a", id as i64)).parent).max();
        let parent = parent.expect("ten");
        let seen = tree.list(parent, 0).expect("a directory").nth(4).expect("a fifth").cookie;
        for id in 100..=seen {
            tree.remove(key(id));
        }
        let rest: Vec<u64> =
            tree.list(parent, seen).expect("a directory").map(|entry| entry.node.inode).collect();
        assert_eq!(rest, (seen + 1..110).collect::<Vec<_>>());
    }

    #[test]
    fn an_emptied_directory_stays_a_minute_or_until_rmdir() {
        let mut tree = tree();
        tree.insert(&clip(100, "a", 0));
        tree.insert(&clip(101, "b", 0));
        let day = find(&tree, "2026-11-21").expect("a day").inode;
        assert_eq!(tree.rmdir(day, "a"), Err(RemoveError::NotEmpty));
        tree.remove(key(100));
        tree.remove(key(101));
        assert_eq!(tree.rmdir(day, "a").map(|gone| gone.name), Ok("a".to_owned()));
        assert_eq!(tree.rmdir(day, "a"), Err(RemoveError::Missing));
        assert!(tree.drop_empty(BootTime(5)).is_empty());
        assert!(tree.drop_empty(BootTime(MINUTE + 4)).is_empty());
        let gone = tree.drop_empty(BootTime(MINUTE + 5));
        assert_eq!(gone.iter().map(|gone| gone.name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(tree.drop_empty(BootTime(MINUTE + 6)).is_empty());
        assert_eq!(tree.drop_empty(BootTime(3 * MINUTE)).len(), 1, "the day follows");
        assert_eq!(names(&tree, ROOT), [NOW_NAME]);
    }

    #[test]
    fn a_directory_that_is_used_again_is_not_dropped() {
        let mut tree = tree();
        tree.insert(&clip(100, "a", 0));
        tree.remove(key(100));
        tree.drop_empty(BootTime(0));
        tree.insert(&clip(101, "a", 1));
        assert!(tree.drop_empty(BootTime(10 * MINUTE)).is_empty());
    }

    #[test]
    fn a_directory_made_again_is_another_to_a_cache() {
        let mut tree = tree();
        let first = tree.insert(&clip(100, "a", 0)).parent;
        let before = tree.node(first).expect("there");
        tree.remove(key(100));
        tree.rmdir(before_parent(&tree, first), "a").expect("empty");
        assert_eq!(tree.insert(&clip(101, "a", 1)).parent, first);
        let after = tree.node(first).expect("there");
        assert_eq!((before.generation, after.generation), (0, 1));
    }

    fn before_parent(tree: &Tree, inode: u64) -> u64 {
        tree.parent(inode).expect("a parent")
    }

    #[test]
    fn what_is_always_there_cannot_be_removed() {
        let mut tree = tree();
        assert_eq!(tree.rmdir(ROOT, NOW_NAME), Err(RemoveError::Reserved));
        tree.insert(&clip(100, "a", 0));
        let camera = find(&tree, "2026-11-21/a").expect("a camera").inode;
        assert_eq!(tree.rmdir(camera, "00-00-00.mp4"), Err(RemoveError::NotADirectory));
        assert!(tree.drop_empty(BootTime(i64::MAX)).is_empty());
    }

    #[test]
    fn two_clips_of_one_name_are_both_found() {
        let mut tree = tree();
        tree.insert(&clip(0x100, "a:", 0));
        let second = tree.insert(&clip(0x101, "a*", 0));
        assert_eq!(second.name, "00-00-00~101.mp4");
        assert_eq!(tree.clip_count(), 2);
        assert!(find(&tree, "2026-11-21/a_/00-00-00.mp4").is_some());
    }

    #[test]
    fn clips_of_two_rings_that_have_one_id_are_two_files_of_one_directory() {
        let mut tree = tree();
        let id = ClipId(Sequence::new(SessionNumber(1), 5));
        let of_ring = |ring| ClipKey::new(RingNumber(ring), id).expect("a sound id");
        let places = [0, 1].map(|ring| {
            let minute = i64::from(ring);
            tree.insert(&ListedClip { clip: of_ring(ring), ..clip(100, "a", minute) })
        });
        assert_eq!(places[0].parent, places[1].parent);
        assert_eq!(names(&tree, places[0].parent), ["00-00-00.mp4", "00-01-00.mp4"]);
        assert_eq!(places[0].inode(), id.number(), "on ring 0 it is the id");
        for place in &places {
            let node = tree.lookup(place.parent, &place.name).expect("listed");
            assert!(matches!(node.kind, NodeKind::Clip { clip, .. } if clip == place.clip));
            assert_eq!(
                (tree.node(place.inode()), tree.place(place.clip).as_ref()),
                (Some(node), Some(place))
            );
        }
        let same_name = ListedClip { clip: of_ring(2), ..clip(100, "a", 0) };
        assert_eq!(tree.insert(&same_name).name, "00-00-00~10200000005.mp4");
        tree.remove(of_ring(0));
        assert_eq!((tree.place(of_ring(0)), tree.clip_count()), (None, 2));
    }

    #[test]
    fn directories_whose_numbers_collide_are_told_apart() {
        let layout = Layout::parse("default").expect("a preset");
        let mut tree = Tree::with_hash_mask(layout, Zone::UTC, 0xF);
        let cameras: Vec<String> = (0..12).map(|camera| format!("camera-{camera}")).collect();
        for (id, camera) in (100..).zip(&cameras) {
            tree.insert(&clip(id, camera, 0));
        }
        for (id, camera) in (100..).zip(&cameras) {
            let path = format!("2026-11-21/{camera}/00-00-00.mp4");
            assert_eq!(find(&tree, &path).map(|node| node.inode), Some(id));
        }
    }

    #[test]
    fn a_directory_is_as_new_as_the_newest_footage_in_it() {
        let mut tree = tree();
        for (id, minute) in [(100, 5), (101, 30), (102, 20)] {
            tree.insert(&clip(id, "a", minute));
        }
        let newest = |tree: &Tree| (tree.node(ROOT).expect("root").modified.0 - DAY) / MINUTE;
        assert_eq!(newest(&tree), 31);
        tree.remove(key(101));
        assert_eq!(newest(&tree), 21);
        tree.remove(key(100));
        assert_eq!(newest(&tree), 21);
    }

    #[test]
    fn ten_thousand_entries_a_directory_are_quick() {
        let mut tree = tree();
        let begun = std::time::Instant::now();
        for id in 0..100_000u64 {
            let camera = ["a", "b"][(id % 2) as usize];
            let mut clip = clip(id + 1000, camera, 0);
            clip.start = WallTime(DAY + id as i64 * 8 * NANOS_PER_SECOND);
            tree.insert(&clip);
        }
        let day = find(&tree, "2026-11-22/a").expect("a day");
        assert!(names(&tree, day.inode).len() > 5_000);
        assert_eq!(tree.clip_count(), 100_000);
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }

    /// The tree as one would write it without a care: every path spelled out in one list.
    #[derive(Default)]
    struct Model {
        clips: Vec<(String, u64, i64)>,
        empty: Vec<(String, Option<i64>)>,
    }

    impl Model {
        fn insert(&mut self, clip: &ListedClip<'_>) {
            if self.clips.iter().any(|(_, id, _)| *id == clip.clip.number()) {
                return;
            }
            let second = (clip.start.0 - DAY) / NANOS_PER_SECOND;
            let (day, of_day) = (21 + second / 86_400, second % 86_400);
            let directory = format!("2026-11-{day}/{}", clip.camera);
            let time = format!("{:02}-{:02}-{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
            let mut path = format!("{directory}/{time}.mp4");
            if self.clips.iter().any(|(taken, ..)| *taken == path) {
                path = format!("{directory}/{time}~{:x}.mp4", clip.clip.number());
            }
            self.clips.push((path, clip.clip.number(), clip.end.0));
            self.empty
                .retain(|(empty, _)| !format!("{directory}/").starts_with(&(empty.clone() + "/")));
        }

        fn remove(&mut self, id: u64) {
            let Some(at) = self.clips.iter().position(|(_, number, _)| *number == id) else {
                return;
            };
            let (path, ..) = self.clips.remove(at);
            let parent = path.rsplit_once('/').expect("in a directory").0;
            self.note_if_empty(parent);
        }

        fn note_if_empty(&mut self, path: &str) {
            let below = format!("{path}/");
            let used = self.clips.iter().any(|(clip, ..)| clip.starts_with(&below))
                || self.empty.iter().any(|(empty, _)| empty.starts_with(&below));
            if !used {
                self.empty.push((path.to_owned(), None));
            }
        }

        fn drop_directory(&mut self, path: &str) -> bool {
            let Some(at) = self.empty.iter().position(|(empty, _)| empty == path) else {
                return false;
            };
            self.empty.remove(at);
            if let Some((parent, _)) = path.rsplit_once('/') {
                self.note_if_empty(parent);
            }
            true
        }

        fn drop_empty(&mut self, now: i64) {
            let mut due = Vec::new();
            for (path, since) in &mut self.empty {
                if now - *since.get_or_insert(now) >= EMPTY_NANOS_MIN {
                    due.push(path.clone());
                }
            }
            for path in due {
                self.drop_directory(&path);
            }
        }

        /// Every path there is, directories included.
        fn paths(&self) -> BTreeMap<String, Option<u64>> {
            let mut paths = BTreeMap::from([(NOW_NAME.to_owned(), None)]);
            let clips = self.clips.iter().map(|(path, id, _)| (path, Some(*id)));
            for (path, id) in clips.chain(self.empty.iter().map(|(path, _)| (path, None))) {
                paths.insert(path.clone(), id);
                for (at, _) in path.match_indices('/') {
                    paths.insert(path[..at].to_owned(), None);
                }
            }
            paths
        }

        fn newest(&self, directory: &str) -> Option<i64> {
            let below = format!("{directory}/");
            let within = self.clips.iter().filter(|(path, ..)| path.starts_with(&below));
            within.map(|(_, _, end)| *end).max()
        }
    }

    fn paths(tree: &Tree) -> BTreeMap<String, Option<u64>> {
        let mut found = BTreeMap::new();
        let mut todo = vec![(ROOT, String::new())];
        while let Some((inode, prefix)) = todo.pop() {
            let mut subdirectories = 0;
            for entry in tree.list(inode, 0).expect("a directory") {
                let path = format!("{prefix}{}", entry.name);
                assert_eq!(tree.lookup(inode, entry.name), Some(entry.node), "{path}");
                assert_eq!(tree.node(entry.node.inode), Some(entry.node), "{path}");
                assert_eq!(tree.parent(entry.node.inode), Some(inode), "{path}");
                assert!(entry.cookie > 2 && i64::try_from(entry.cookie).is_ok());
                let id = match entry.node.kind {
                    NodeKind::Directory { .. } => {
                        subdirectories += 1;
                        todo.push((entry.node.inode, format!("{path}/")));
                        None
                    }
                    NodeKind::Clip { clip, .. } => Some(clip.number()),
                };
                assert_eq!(found.insert(path, id), None, "each path once");
            }
            let node = tree.node(inode).expect("a directory");
            assert_eq!(node.kind, NodeKind::Directory { subdirectories });
        }
        found
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert { id: u64, camera: usize, minute: i64 },
        Remove { id: u64 },
        Rmdir { day: i64, camera: usize },
        DropEmpty { after: i64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let insert = (100..120u64, 0..3usize, 0..2880i64 / 300)
            .prop_map(|(id, camera, minute)| Step::Insert { id, camera, minute: minute * 300 });
        let step = prop_oneof![
            4 => insert,
            3 => (100..120u64).prop_map(|id| Step::Remove { id }),
            1 => (21..23i64, 0..3usize).prop_map(|(day, camera)| Step::Rmdir { day, camera }),
            1 => (0..2 * MINUTE).prop_map(|after| Step::DropEmpty { after }),
        ];
        prop::collection::vec(step, 1..60)
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_a_plain_list_of_paths(steps in steps()) {
            const CAMERAS: [&str; 3] = ["a", "b", "front-door"];
            let (mut tree, mut model, mut now) = (tree(), Model::default(), 0);
            for step in steps {
                match step {
                    Step::Insert { id, camera, minute } => {
                        let clip = clip(id, CAMERAS[camera], minute);
                        tree.insert(&clip);
                        model.insert(&clip);
                    }
                    Step::Remove { id } => {
                        tree.remove(key(id));
                        model.remove(id);
                    }
                    Step::Rmdir { day, camera } => {
                        let path = format!("2026-11-{day}/{}", CAMERAS[camera]);
                        let day = find(&tree, &format!("2026-11-{day}"));
                        let removed =
                            day.is_some_and(|day| tree.rmdir(day.inode, CAMERAS[camera]).is_ok());
                        prop_assert_eq!(removed, model.drop_directory(&path));
                    }
                    Step::DropEmpty { after } => {
                        now += after;
                        tree.drop_empty(BootTime(now));
                        model.drop_empty(now);
                    }
                }
                let expected = model.paths();
                prop_assert_eq!(&paths(&tree), &expected);
                for path in expected.keys() {
                    if let Some(newest) = model.newest(path) {
                        let node = find(&tree, path).expect("listed");
                        prop_assert_eq!(node.modified.0, newest, "{}", path);
                    }
                }
            }
        }
    }
}
