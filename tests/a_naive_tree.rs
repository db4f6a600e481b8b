//! The tree against a naive one: random histories of clips that are closed, removed, restored,
//! kept, released, given other times and evicted, of cameras that are renamed and zones that
//! change. After each step everything that can be asked of the tree is what a list of clips says.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use reelfs::segment::NameForm;
use reelfs::units::{ClipKey, NANOS_PER_SECOND, WallTime};
use reelfs::view::{Inode, KEPT_NAME, Layout, ListedClip, Node, NodeKind, ROOT, TRASH_NAME, Tree};
use reelfs::zone::Zone;

/// 2026-11-21 00:00 UTC, in s.
const DAY: i64 = 1_795_219_200;
/// No clock is put forward or back in these then.
const ZONES: [&str; 3] = ["UTC", "Asia/Kolkata", "America/Los_Angeles"];
const CAMERAS: [&str; 2] = ["door", "yard"];

/// A clip, as somebody would write it down.
#[derive(Clone, Debug)]
struct Clip {
    camera: String,
    /// In s.
    start: i64,
    length: i64,
    size: u64,
    redated: bool,
    is_removed: bool,
    is_kept: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Close {
        camera: usize,
        minute: i64,
        size: u64,
    },
    Remove(usize),
    Restore(usize),
    Keep(usize),
    Release(usize),
    Redate(usize),
    Evict(usize),
    /// The daemon is started again with these, and all is listed anew.
    Restart {
        zone: usize,
        name: Option<usize>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..1000_usize;
    prop_oneof![
        4 => (0..2_usize, 0..4000_i64, 1..1000_u64)
            .prop_map(|(camera, minute, size)| Step::Close { camera, minute, size }),
        2 => which.clone().prop_map(Step::Remove),
        1 => which.clone().prop_map(Step::Restore),
        2 => which.clone().prop_map(Step::Keep),
        1 => which.clone().prop_map(Step::Release),
        1 => which.clone().prop_map(Step::Redate),
        1 => which.prop_map(Step::Evict),
        1 => (0..3_usize, proptest::option::of(0..2_usize))
            .prop_map(|(zone, name)| Step::Restart { zone, name }),
    ]
}

struct World {
    clips: BTreeMap<u64, Clip>,
    next: u64,
    zone: &'static str,
    names: [String; 2],
    tree: Tree,
}

fn key(number: u64) -> ClipKey {
    ClipKey::from_number(number).expect("a clip's number")
}

fn nanos(seconds: i64) -> WallTime {
    WallTime(seconds * NANOS_PER_SECOND)
}

fn empty_tree(zone: &str) -> Tree {
    Tree::new(Layout::parse("default").expect("a preset"), Zone::named(zone).expect("a zone"))
}

impl Clip {
    fn listed(&self, number: u64) -> ListedClip<'_> {
        let Clip { ref camera, start, length, size, redated, .. } = *self;
        let (start, end, form) = (nanos(start), nanos(start + length), NameForm::Seconds);
        ListedClip { clip: key(number), redated, camera, start, end, form, size }
    }

    fn path(&self, zone: &str) -> String {
        let zone: Tz = zone.parse().expect("a zone");
        let local = DateTime::<Utc>::from_timestamp(self.start, 0).expect("a time");
        let local = local.with_timezone(&zone);
        format!("{}/{}/{}", local.format("%Y-%m-%d"), self.camera, local.format("%H-%M-%S.mp4"))
    }
}

impl World {
    fn new() -> World {
        let (clips, names) = (BTreeMap::new(), CAMERAS.map(str::to_owned));
        World { clips, next: 2, zone: ZONES[0], names, tree: empty_tree(ZONES[0]) }
    }

    fn pick(&self, which: usize) -> Option<u64> {
        let count = self.clips.len();
        (count > 0).then(|| *self.clips.keys().nth(which % count).expect("one of them"))
    }

    fn change(&mut self, which: usize, change: impl FnOnce(&mut Clip, ClipKey, &mut Tree)) {
        let Some(number) = self.pick(which) else { return };
        let clip = self.clips.get_mut(&number).expect("it was picked");
        change(clip, key(number), &mut self.tree);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Close { camera, minute, size } => {
                let (camera, start) = (self.names[camera].clone(), DAY + minute * 60);
                if self.clips.values().any(|it| it.camera == camera && it.start == start) {
                    return;
                }
                let (redated, is_removed, is_kept) = (false, false, false);
                let clip = Clip { camera, start, length: 60, size, redated, is_removed, is_kept };
                self.tree.insert(&clip.listed(self.next));
                self.clips.insert(self.next, clip);
                self.next += 1;
            }
            Step::Remove(which) => self.change(which, |clip, key, tree| {
                if !clip.is_kept {
                    assert_eq!(tree.discard(key).is_some(), !clip.is_removed);
                    clip.is_removed = true;
                }
            }),
            Step::Restore(which) => self.change(which, |clip, key, tree| {
                assert_eq!(tree.restore(key).is_some(), clip.is_removed);
                clip.is_removed = false;
            }),
            Step::Keep(which) => self.change(which, |clip, key, tree| {
                let is_new = !clip.is_kept && !clip.is_removed;
                assert_eq!(tree.keep(key).is_some(), is_new);
                clip.is_kept |= is_new;
            }),
            Step::Release(which) => self.change(which, |clip, key, tree| {
                assert_eq!(tree.release(key).is_some(), clip.is_kept);
                clip.is_kept = false;
            }),
            Step::Redate(which) => self.redate(which),
            Step::Evict(which) => {
                let Some(number) = self.pick(which) else { return };
                assert!(self.tree.remove(key(number)).is_some());
                self.clips.remove(&number);
            }
            Step::Restart { zone, name } => self.restart(zone, name),
        }
    }

    /// A month later, and half a minute, where no other clip begins.
    fn redate(&mut self, which: usize) {
        let taken: Vec<(String, i64)> =
            self.clips.values().map(|clip| (clip.camera.clone(), clip.start)).collect();
        self.change(which, |clip, key, tree| {
            let start = clip.start + 30 * 86_400 + 30;
            if clip.redated || clip.is_removed || clip.is_kept {
                return;
            }
            // One that began at the same minute as this, after it, may be there.
            if taken.contains(&(clip.camera.clone(), start)) {
                return;
            }
            tree.remove(key).expect("it is listed");
            *clip = Clip { start, redated: true, ..clip.clone() };
            tree.insert(&clip.listed(key.number()));
        });
    }

    fn restart(&mut self, zone: usize, name: Option<usize>) {
        self.zone = ZONES[zone];
        if let Some(camera) = name {
            // What it has recorded keeps the name that it had then.
            self.names[camera].push('x');
        }
        self.tree = empty_tree(self.zone);
        for (number, clip) in &self.clips {
            self.tree.insert(&clip.listed(*number));
            if clip.is_removed {
                self.tree.discard(key(*number)).expect("it is listed");
            }
            if clip.is_kept {
                self.tree.keep(key(*number)).expect("it is listed");
            }
        }
    }

    /// Every file that should be found, by its path: inode, size, end.
    fn wanted(&self) -> BTreeMap<String, (u64, u64, WallTime)> {
        let mut wanted = BTreeMap::new();
        for (number, clip) in &self.clips {
            let inode = Inode::of_clip(key(*number), clip.redated).word();
            let told = (inode, clip.size, nanos(clip.start + clip.length));
            let path = clip.path(self.zone);
            if clip.is_kept {
                wanted.insert(format!("{KEPT_NAME}/{path}"), told);
            }
            let above = if clip.is_removed { format!("{TRASH_NAME}/") } else { String::new() };
            wanted.insert(above + &path, told);
        }
        wanted
    }

    /// Walks a directory, and looks at it from all sides. Answers its sums and its newest end.
    fn walk(
        &self,
        directory: Node,
        path: &str,
        found: &mut BTreeMap<String, (u64, u64, WallTime)>,
    ) -> (u64, u64, WallTime) {
        let entries = || self.tree.list(directory.inode, 0).expect("a directory");
        let cookies: Vec<u64> = entries().map(|entry| entry.cookie).collect();
        let (mut clips, mut bytes, mut newest) = (0, 0, WallTime(0));
        for (number, entry) in entries().enumerate() {
            let behind = self.tree.list(directory.inode, entry.cookie).expect("a directory");
            let behind: Vec<u64> = behind.map(|entry| entry.cookie).collect();
            assert_eq!(behind, cookies[number + 1..], "from {} on", entry.name);
            assert_eq!(self.tree.lookup(directory.inode, entry.name), Some(entry.node));
            assert_eq!(self.tree.node(entry.node.inode), Some(entry.node));
            let below = format!("{path}{}", entry.name);
            match entry.node.kind {
                NodeKind::Clip { size, .. } => {
                    let told = (entry.node.inode, size, entry.node.modified);
                    assert_eq!(found.insert(below, told), None, "a path twice");
                    (clips, bytes) = (clips + 1, bytes + size);
                    newest = newest.max(entry.node.modified);
                }
                NodeKind::Directory { .. } if entry.node.inode == Inode::Now.word() => {}
                NodeKind::Directory { .. } => {
                    assert_eq!(self.tree.parent(entry.node.inode), Some(directory.inode));
                    let (more, sum, end) = self.walk(entry.node, &format!("{below}/"), found);
                    (clips, bytes, newest) = (clips + more, bytes + sum, newest.max(end));
                }
            }
        }
        let sums = self.tree.sums(directory.inode).expect("a directory");
        assert_eq!((sums.clips, sums.bytes), (clips, bytes), "{path}");
        if clips > 0 {
            assert_eq!(directory.modified, newest, "{path}");
        }
        (clips, bytes, newest)
    }

    fn check(&self) {
        let mut found = BTreeMap::new();
        for top in ["", TRASH_NAME, KEPT_NAME] {
            let root = self.tree.node(ROOT).expect("the root");
            let (directory, path) = match top {
                "" => (root, String::new()),
                name => (self.tree.lookup(ROOT, name).expect("always there"), format!("{name}/")),
            };
            self.walk(directory, &path, &mut found);
        }
        assert_eq!(found, self.wanted());
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_histories_of_the_tree_are_what_a_list_of_clips_says(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
    }
}
