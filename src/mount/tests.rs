//! Each kind of directory without a kernel: what is in it, what is found, and what becomes of it.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::{Errno, FileType};

use super::attributes::{Described, NO_TTL, Ownership};
use super::clips::Clips;
use super::directory::{Directory, Found};
use super::disk_queue::DiskQueue;
use super::handles::{Content, Handle};
use super::live::LiveFiles;
use super::made::MadeFiles;
use super::newest::Newest;
use super::notifier::Notifier;
use super::now::Now;
use super::operations::RequestCounts;
use super::ranges::Ranges;
use super::root::Root;
use super::served::{Manner, Served};
use super::trash::Trash;
use super::waiting::WaitingRoom;
use crate::library::{Attribute, Bytes, Changes, Footage, LibraryError, OpenFile, Snapshot, Told};
use crate::live::Live;
use crate::named::{Form, Named};
use crate::ring::Usage;
use crate::segment::NameForm;
use crate::shown::Shown;
use crate::units::{ByteCount, ClipKey, NANOS_PER_SECOND, WallTime};
use crate::view::{
    Inode, KEPT_NAME, LIVE_NAME, LOG_NAME, Layout, ListedClip, METRICS_NAME, NOW_NAME,
    RANGE_LOG_NAME, RANGE_NAME, ROOT, STATUS_NAME, TRASH_NAME, Tree,
};
use crate::zone::Zone;

const CLIP: ClipKey = ClipKey::from_number(100).expect("a clip's number");
const CLIP_BYTES: u64 = 1000;
const CLIP_NAME: &str = "00-00-00.mp4";
const STATUS: &[u8] = b"{}\n";
const OWNER: Ownership = Ownership { uid: 1, gid: 2, umask: 0o022 };
/// The process that asks, as the kernel numbers it.
const SOMEBODY: u32 = 7;

/// A library of one clip and one camera, that writes down what it is asked to change.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<&'static str>>,
    /// The growing clip's length, in bytes; 0 where nothing grows.
    growing_bytes: Mutex<u64>,
    /// The closed clip's length, in bytes; `None` where it is gone.
    clip_bytes: Mutex<Option<u64>>,
    /// When the closed clip begins, where that is told.
    clip_start: Mutex<Option<WallTime>>,
}

struct Zeros(u64, Option<WallTime>);

impl OpenFile for Zeros {
    fn size(&self) -> u64 {
        self.0
    }
    fn start(&self) -> Option<WallTime> {
        self.1
    }
    fn read(&self, _offset: u64, length: u32) -> Result<Bytes<'_>, LibraryError> {
        Ok(Box::new(vec![0; length as usize]))
    }
}

impl Footage for Scripted {
    fn open_clip(&self, _clip: ClipKey) -> Result<Arc<dyn OpenFile>, LibraryError> {
        let bytes = (*self.clip_bytes.lock().expect("no panic")).ok_or(LibraryError::Gone)?;
        Ok(Arc::new(Zeros(bytes, *self.clip_start.lock().expect("no panic"))))
    }
    fn snapshot(&self, _camera: &str) -> Result<Option<Snapshot>, LibraryError> {
        let bytes = *self.growing_bytes.lock().expect("no panic");
        Ok((bytes > 0).then(|| Snapshot {
            clips: Vec::new(),
            file: Arc::new(Zeros(bytes, None)),
            start: WallTime(0),
            end: WallTime(1),
            attributes: vec![("user.reelfs.camera", "a".to_owned())],
            identity: None,
            memory: 0,
        }))
    }
    fn range(
        &self,
        camera: &str,
        named: &Named,
        _: &Zone,
        _: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<Snapshot, LibraryError> {
        let range = &named.ranges[0];
        if range.start < WallTime(0) {
            return Err(LibraryError::Nothing("nothing was recorded then".to_owned()));
        }
        let bytes = *self.growing_bytes.lock().expect("no panic");
        let mut identity = [0; 32];
        identity[..8].copy_from_slice(&bytes.to_le_bytes());
        Ok(Snapshot {
            clips: Vec::new(),
            file: Arc::new(Zeros(bytes, None)),
            start: range.start,
            end: range.end,
            attributes: vec![("user.reelfs.camera", camera.to_owned())],
            identity: Some(identity),
            memory: 0,
        })
    }
    fn clip_as(
        &self,
        clip: ClipKey,
        form: Form,
        _: &Zone,
        stem: &str,
    ) -> Result<Snapshot, LibraryError> {
        let bytes = self.open_clip(clip)?.size();
        Ok(Snapshot {
            clips: Vec::new(),
            file: Arc::new(Zeros(bytes + 1, None)),
            start: WallTime(0),
            end: WallTime(1),
            attributes: vec![("user.reelfs.camera", format!("{stem} as {}", form.name()))],
            identity: Some([1; 32]),
            memory: 0,
        })
    }
    fn now(&self) -> WallTime {
        WallTime(86_400 * NANOS_PER_SECOND)
    }
    fn cameras(&self) -> Vec<String> {
        self.growing_cameras()
    }
    fn growing_cameras(&self) -> Vec<String> {
        vec!["a".to_owned(), "b:c".to_owned()]
    }
    fn usage(&self) -> Usage {
        let none = ByteCount(0);
        Usage { size: none, used: none, expiring: none, kept: none, free: none, bad_blocks: 0 }
    }
    fn keep_max(&self) -> ByteCount {
        ByteCount(0)
    }
    fn attributes(&self, clip: ClipKey) -> Option<Vec<Attribute>> {
        (clip == CLIP).then(|| vec![("user.reelfs.frames", "7".to_owned())])
    }
    fn told(&self, _what: Told) -> Option<Vec<u8>> {
        Some(STATUS.to_vec())
    }
}

impl Scripted {
    fn ask(&self, what: &'static str) -> Result<(), LibraryError> {
        self.asked.lock().expect("no panic").push(what);
        Ok(())
    }
}

impl Changes for Scripted {
    fn remove(&self, _clip: ClipKey) -> Result<(), LibraryError> {
        self.ask("remove")
    }
    fn restore(&self, _clip: ClipKey) -> Result<(), LibraryError> {
        self.ask("restore")
    }
    fn purge(&self, _clip: ClipKey) -> Result<(), LibraryError> {
        self.ask("purge")
    }
    fn keep(
        &self,
        clips: &[ClipKey],
        _until: Option<WallTime>,
    ) -> Result<Vec<ClipKey>, LibraryError> {
        self.ask("keep").map(|()| clips.to_vec())
    }
    fn release(&self, clips: &[ClipKey]) -> Result<Vec<ClipKey>, LibraryError> {
        self.ask("release").map(|()| clips.to_vec())
    }
    fn sync(&self) -> Result<(), LibraryError> {
        self.ask("sync")
    }
}

struct Scene {
    library: Arc<Scripted>,
    shown: Arc<Shown>,
    clips: Arc<Clips>,
    trash: Trash,
    root: Root,
    live: Arc<LiveFiles>,
    ranges: Arc<Ranges>,
    now: Now,
    served: Served,
    /// The directories of the clip: of its day, and of its camera.
    day: Inode,
    camera: Inode,
}

fn scene() -> Scene {
    let layout = Layout::parse("default").expect("a preset");
    let shown = Arc::new(Shown::new(Tree::new(layout, Zone::UTC)));
    let (start, end) = (WallTime(0), WallTime(60_000_000_000));
    let form = NameForm::Seconds;
    let listed =
        ListedClip { clip: CLIP, redated: false, camera: "a", start, end, form, size: CLIP_BYTES };
    let camera = shown.list(&listed).expect("it was not there").parent;
    let day = shown.tree().parent(camera).expect("a day");
    let library = Arc::new(Scripted::default());
    *library.clip_bytes.lock().expect("no panic") = Some(CLIP_BYTES);
    let made = Arc::new(MadeFiles::default());
    let clips = Arc::new(Clips {
        shown: shown.clone(),
        library: library.clone(),
        owner: OWNER,
        made: made.clone(),
    });
    let newest = Arc::new(Newest::default());
    let ranges = Arc::new(Ranges {
        shown: shown.clone(),
        library: library.clone(),
        owner: OWNER,
        made,
        refused: Arc::default(),
    });
    let now = Now { shown: shown.clone(), library: library.clone(), owner: OWNER, newest };
    let disk = DiskQueue::new(Duration::from_secs(1)).expect("a thread");
    let notifier = Notifier::default();
    let waiting = WaitingRoom::new(Live::default()).expect("a thread");
    let (live, owner) = (library.clone(), OWNER);
    let live = Arc::new(LiveFiles::new(shown.clone(), live, owner));
    let counts = RequestCounts::default();
    let manner = Manner { owner, list_special: false, is_read_only: false, counts: counts.clone() };
    let (queues, tellers) = ((disk, waiting), (notifier.clone(), None));
    let served = Served::new(shown.clone(), library.clone(), manner, queues, tellers);
    let root = Root {
        clips: clips.clone(),
        ranges: ranges.clone(),
        live: live.clone(),
        counts,
        hidden: None,
        list_special: false,
    };
    Scene {
        trash: Trash { clips: clips.clone(), notifier },
        root,
        live,
        ranges,
        day: decoded(day),
        camera: decoded(camera),
        library,
        shown,
        clips,
        now,
        served,
    }
}

impl Scene {
    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.library.asked.lock().expect("no panic"))
    }

    fn grow(&self, bytes: u64) {
        *self.library.growing_bytes.lock().expect("no panic") = bytes;
    }

    /// Removes the clip; answers where it is in the trash.
    fn discarded(&self) -> Inode {
        self.shown.discard(CLIP);
        decoded(self.shown.tree().place(CLIP).expect("in the trash").parent)
    }
}

fn decoded(inode: u64) -> Inode {
    Inode::decode(inode).expect("an inode")
}

fn names(directory: &dyn Directory, inode: Inode, after: u64) -> Vec<(u64, String, u64)> {
    let mut lines = Vec::new();
    let listed = directory.list(inode, after, &mut |line| {
        let inode = line.described.attributes.ino.0;
        lines.push((line.cookie, line.name.to_owned(), inode));
        false
    });
    listed.expect("a directory");
    lines
}

fn here<T>(found: Result<Found<T>, Errno>) -> Result<T, Errno> {
    match found? {
        Found::Here(found) => Ok(found),
        Found::OnDisk(_) | Found::Coming(_) => panic!("nobody has to wait for it"),
    }
}

fn from_disk<T>(found: Result<Found<T>, Errno>) -> Result<T, Errno> {
    match found? {
        Found::Here(_) | Found::Coming(_) => panic!("it takes the disk"),
        Found::OnDisk(look) => Ok(look()?()),
    }
}

fn inode_of(described: Result<Described, Errno>) -> Result<u64, Errno> {
    described.map(|described| described.attributes.ino.0)
}

fn size_of(handle: &Handle) -> u64 {
    match &handle.content {
        Content::File(file) | Content::Snapshot(file) => file.size(),
        Content::Made(bytes) => bytes.len() as u64,
        Content::Live(_) => panic!("nobody knows its size"),
    }
}

#[test]
fn a_directory_of_clips_finds_lists_describes_and_opens_what_is_in_it() {
    let scene = scene();
    let clips = &*scene.clips;
    let clip = Inode::Clip(CLIP);
    assert_eq!(inode_of(here(clips.look_up(scene.day, "a"))), Ok(scene.camera.word()));
    assert_eq!(inode_of(here(clips.look_up(scene.camera, CLIP_NAME))), Ok(clip.word()));
    assert_eq!(here(clips.look_up(scene.camera, "other")).err(), Some(Errno::ENOENT));
    let line = (clip.word(), CLIP_NAME.to_owned(), clip.word());
    assert_eq!(names(clips, scene.camera, line.0), []);
    assert_eq!(names(clips, scene.camera, 0), [line]);
    assert_eq!(clips.parent(clip), Ok(scene.camera.word()));
    let attributes = clips.describe(clip).expect("a clip").attributes;
    assert_eq!((attributes.kind, attributes.size), (FileType::RegularFile, CLIP_BYTES));
    assert_eq!(clips.extended(clip), [("user.reelfs.frames", "7".to_owned())]);
    let end = ("user.reelfs.end", "1970-01-01T00:01:00.000000000Z".to_owned());
    let sums = [("user.reelfs.clips", "1".to_owned()), ("user.reelfs.bytes", "1000".to_owned())];
    assert_eq!(clips.extended(scene.camera), [&sums[..], &[end]].concat());
    let handle = from_disk(clips.open(clip)).expect("a clip");
    assert_eq!((handle.attributes.ino.0, size_of(&handle)), (clip.word(), CLIP_BYTES));
    assert_eq!(here(clips.open(scene.day)).err(), Some(Errno::EISDIR));
}

#[test]
fn a_clip_that_is_gone_redated_or_of_another_size_is_not_opened() {
    let scene = scene();
    let open = || from_disk(scene.clips.open(Inode::Clip(CLIP))).err();
    *scene.library.clip_bytes.lock().expect("no panic") = Some(CLIP_BYTES + 1);
    assert_eq!(open(), Some(Errno::EIO));
    *scene.library.clip_bytes.lock().expect("no panic") = Some(CLIP_BYTES);
    assert_eq!(open(), None);
    *scene.library.clip_start.lock().expect("no panic") = Some(WallTime(1));
    assert_eq!(open(), Some(Errno::ESTALE), "it has been redated");
    *scene.library.clip_bytes.lock().expect("no panic") = None;
    assert_eq!(open(), Some(Errno::ESTALE));
    scene.shown.hide(CLIP);
    assert_eq!(here(scene.clips.open(Inode::Clip(CLIP))).err(), Some(Errno::ESTALE));
}

#[test]
fn a_directory_of_clips_gives_up_its_clips_and_itself_when_it_is_empty() {
    let scene = scene();
    let clips = &*scene.clips;
    assert_eq!(clips.unlink(scene.day, "a"), Err(Errno::EISDIR));
    assert_eq!(clips.unlink(scene.camera, "other"), Err(Errno::ENOENT));
    assert_eq!(clips.rmdir(scene.camera, CLIP_NAME), Err(Errno::ENOTDIR));
    assert_eq!(clips.rmdir(scene.day, "a"), Err(Errno::ENOTEMPTY));
    let renamed = clips.rename((scene.camera, CLIP_NAME), (Inode::Root, CLIP_NAME));
    assert_eq!((renamed, scene.asked()), (Err(Errno::EPERM), vec![]));
    assert_eq!(clips.unlink(scene.camera, CLIP_NAME), Ok(()));
    assert_eq!(scene.asked(), ["remove"]);
    assert_eq!(clips.rmdir(scene.day, "a"), Ok(()));
    assert_eq!(names(clips, scene.day, 0), []);
}

#[test]
fn the_trash_reads_as_other_directories_and_gives_a_clip_up_for_good() {
    let scene = scene();
    let camera = scene.discarded();
    let (trash, clip) = (&scene.trash, Inode::Clip(CLIP));
    let day = names(trash, Inode::Trash, 0);
    assert_eq!(day.iter().map(|(_, name, _)| name.as_str()).collect::<Vec<_>>(), ["1970-01-01"]);
    assert_eq!(inode_of(here(trash.look_up(camera, CLIP_NAME))), Ok(clip.word()));
    assert_eq!(inode_of(trash.describe(camera)), Ok(camera.word()));
    assert_eq!((trash.parent(clip), trash.extended(clip).len()), (Ok(camera.word()), 1));
    assert_eq!(size_of(&from_disk(trash.open(clip)).expect("a clip")), CLIP_BYTES);
    assert_eq!(trash.rmdir(decoded(day[0].2), "a"), Err(Errno::ENOTEMPTY));
    assert_eq!(trash.unlink(camera, CLIP_NAME), Ok(()));
    assert_eq!((scene.asked(), scene.shown.tree().place(CLIP)), (vec!["purge"], None));
}

#[test]
fn what_is_in_the_trash_goes_back_to_where_it_belongs_and_nowhere_else() {
    let scene = scene();
    let camera = scene.discarded();
    let (trash, from) = (&scene.trash, (camera, CLIP_NAME));
    let elsewhere = [(scene.day, CLIP_NAME), (Inode::Now, CLIP_NAME), (scene.camera, "other")];
    for to in elsewhere {
        assert_eq!(trash.rename(from, to), Err(Errno::EPERM), "{to:?}");
    }
    assert_eq!(trash.rename((camera, "x"), (scene.camera, "x")), Err(Errno::ENOENT));
    assert_eq!(scene.asked(), Vec::<&str>::new());
    assert_eq!(trash.rename(from, (scene.camera, CLIP_NAME)), Ok(()));
    assert_eq!(scene.clips.parent(Inode::Clip(CLIP)), Ok(scene.camera.word()));
    scene.discarded();
    let whole_day = (Inode::Trash, "1970-01-01");
    assert_eq!(trash.rename(whole_day, (Inode::Root, "1970-01-01")), Ok(()));
    assert_eq!(scene.clips.parent(Inode::Clip(CLIP)), Ok(scene.camera.word()));
    assert_eq!(names(trash, Inode::Trash, 0), [], "the emptied directories left with it");
    assert_eq!(scene.asked(), ["restore", "restore"]);
}

#[test]
fn the_root_has_the_status_by_name_alone_and_what_the_layout_puts_there() {
    let scene = scene();
    let (root, status) = (&scene.root, Inode::Status);
    let mut listed: Vec<_> = names(root, Inode::Root, 0).into_iter().map(|line| line.1).collect();
    listed.sort();
    assert_eq!(listed, ["1970-01-01", NOW_NAME]);
    for (name, inode) in [(NOW_NAME, Inode::Now), (TRASH_NAME, Inode::Trash)] {
        assert_eq!(inode_of(here(root.look_up(Inode::Root, name))), Ok(inode.word()));
        assert_eq!(root.rmdir(Inode::Root, name), Err(Errno::EPERM));
        assert_eq!(root.unlink(Inode::Root, name), Err(Errno::EISDIR));
    }
    assert_eq!(inode_of(here(root.look_up(Inode::Root, STATUS_NAME))), Ok(status.word()));
    assert_eq!(root.unlink(Inode::Root, STATUS_NAME), Err(Errno::EPERM));
    let handle = here(root.open(status)).expect("the status");
    let described = root.describe(status).expect("the status").attributes;
    assert_eq!((described.size, size_of(&handle)), (STATUS.len() as u64, STATUS.len() as u64));
    assert_eq!((root.parent(status), root.parent(Inode::Root)), (Ok(ROOT), Ok(ROOT)));
    assert_eq!(inode_of(root.describe(Inode::Root)), Ok(ROOT));
    assert_eq!(here(root.open(Inode::Root)).err(), Some(Errno::EISDIR));
}

#[test]
fn what_grows_keeps_its_inode_and_is_chosen_when_it_is_opened() {
    let scene = scene();
    let now = &scene.now;
    let file = Inode::growing("a.mp4");
    let mut listed = names(now, Inode::Now, 0);
    for (cookie, name, inode) in &listed {
        assert_eq!((*cookie, *inode), (Inode::growing(name).word(), *cookie));
        let described = now.describe(decoded(*inode)).expect("it is listed");
        assert_eq!((described.attributes.size, described.attribute_ttl), (0, NO_TTL));
    }
    assert_eq!(names(now, Inode::Now, listed[0].0), listed.split_off(1), "it goes on behind one");
    assert_eq!(here(now.look_up(Inode::Now, "c.mp4")).err(), Some(Errno::ENOENT));
    assert_eq!(now.describe(Inode::growing("c.mp4")).err(), Some(Errno::ENOENT));
    assert_eq!(from_disk(now.look_up(Inode::Now, "a.mp4")).err(), Some(Errno::ENOENT), "no byte");
    scene.grow(5);
    let looked_up = from_disk(now.look_up(Inode::Now, "a.mp4")).expect("a snapshot");
    let Described { attributes, attribute_ttl, entry_ttl, .. } = looked_up;
    assert_eq!((attributes.ino.0, attributes.size), (file.word(), 5));
    assert_eq!((attribute_ttl, entry_ttl), (NO_TTL, NO_TTL));
    assert_eq!(inode_of(here(now.look_up(Inode::Now, "a.mp4"))), Ok(file.word()), "it is fresh");
    assert_eq!((now.parent(file), now.extended(file).len()), (Ok(Inode::Now.word()), 1));
    let first = here(now.open(file)).expect("it is fresh");
    scene.grow(7);
    now.newest.outdate();
    let second = from_disk(now.open(file)).expect("another");
    assert_eq!((size_of(&first), size_of(&second)), (5, 7), "each has its own");
    let told = now.describe(file).map(|described| described.attributes.size);
    assert_eq!(told, Ok(7), "what was opened last");
    now.newest.outdate();
    scene.grow(9);
    assert_eq!(from_disk(now.look_up_again(file)).map(|found| found.attributes.size), Ok(9));
    assert_eq!(inode_of(now.describe(Inode::Now)), Ok(Inode::Now.word()));
    assert_eq!(now.parent(Inode::Now), Ok(ROOT));
    assert_eq!(here(now.open(Inode::Now)).err(), Some(Errno::EISDIR));
}

#[test]
fn what_grows_can_be_neither_removed_nor_moved() {
    let scene = scene();
    let now = &scene.now;
    assert_eq!(now.unlink(Inode::Now, "a.mp4"), Err(Errno::EPERM));
    assert_eq!(now.rmdir(Inode::Now, "a.mp4"), Err(Errno::ENOTDIR));
    let renamed = now.rename((Inode::Now, "a.mp4"), (Inode::Root, "a.mp4"));
    assert_eq!((renamed, scene.asked()), (Err(Errno::EPERM), vec![]));
}

#[test]
fn an_answer_that_nobody_waits_for_keeps_no_snapshot() {
    let scene = scene();
    scene.grow(5);
    let Ok(Found::OnDisk(look)) = scene.now.look_up(Inode::Now, "a.mp4") else {
        panic!("it takes the disk");
    };
    drop(look().expect("a snapshot"));
    assert!(scene.now.newest.seen(Inode::growing("a.mp4")).is_none());
}

#[test]
fn each_inode_is_answered_for_by_its_kind_of_directory() {
    let scene = scene();
    let served = &scene.served;
    let camera = scene.discarded();
    for inode in [Inode::Root, Inode::Status, Inode::Now, Inode::Trash, scene.day, camera] {
        assert_eq!(inode_of(served.describe(inode.word())), Ok(inode.word()));
    }
    assert_eq!(served.describe(0).err(), Some(Errno::ESTALE));
    assert_eq!(served.describe(u64::MAX).err(), Some(Errno::ESTALE));
    let mut root = Vec::new();
    let listed = served.list(ROOT, 0, &mut |line| {
        root.push(line.name.to_owned());
        false
    });
    assert_eq!((listed, root[..2].to_vec()), (Ok(()), vec![".".to_owned(), "..".to_owned()]));
    assert_eq!(served.unlink(SOMEBODY, Inode::Now.word(), "a.mp4"), Err(Errno::EPERM));
    assert_eq!(served.unlink(SOMEBODY, ROOT, STATUS_NAME), Err(Errno::EPERM));
    let (from, to) = ((camera.word(), CLIP_NAME), (scene.camera.word(), CLIP_NAME));
    assert_eq!(
        served.rename(SOMEBODY, to, from),
        Err(Errno::EPERM),
        "into the trash goes rm alone"
    );
    assert_eq!(served.rename(SOMEBODY, from, to), Ok(()));
    assert_eq!(served.unlink(SOMEBODY, to.0, to.1), Ok(()));
    assert_eq!(served.unlink(SOMEBODY, from.0, from.1), Ok(()));
    assert_eq!(scene.asked(), ["restore", "remove", "purge"]);
}

#[test]
fn ranges_are_found_by_name_and_keep_their_inode_while_their_bytes_are_the_same() {
    let scene = scene();
    let directory = inode_of(here(scene.root.look_up(Inode::Root, RANGE_NAME)));
    assert_eq!(directory, Ok(Inode::Ranges.word()));
    let listed: Vec<String> =
        names(&scene.root, Inode::Root, 0).into_iter().map(|(_, name, _)| name).collect();
    assert!(!listed.contains(&RANGE_NAME.to_owned()), "{listed:?}");
    let (clips, ranges, live) = (scene.clips.clone(), scene.ranges.clone(), scene.live.clone());
    let counts = RequestCounts::default();
    let all = Root { clips, ranges, live, counts, hidden: None, list_special: true };
    let ranges = &*scene.ranges;
    let lines = names(&all, Inode::Root, 0);
    let listed: Vec<&str> = lines.iter().rev().take(7).map(|(_, name, _)| name.as_str()).collect();
    let told = [LOG_NAME, METRICS_NAME, STATUS_NAME];
    assert_eq!(listed, [&told[..], &[KEPT_NAME, TRASH_NAME, RANGE_NAME, LIVE_NAME]].concat());
    for (number, (cookie, ..)) in lines.iter().enumerate() {
        assert_eq!(names(&all, Inode::Root, *cookie), lines[number + 1..], "from {cookie} on");
    }
    let mut cameras = names(ranges, Inode::Ranges, 0);
    cameras.sort_by(|a, b| a.1.cmp(&b.1));
    let called: Vec<&str> = cameras.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(called, ["a", "b_c"]);
    let camera = decoded(cameras[1].2);
    assert_eq!(inode_of(here(ranges.look_up(Inode::Ranges, "b_c"))), Ok(camera.word()));
    assert_eq!(ranges.parent(camera), Ok(Inode::Ranges.word()));
    assert_eq!(here(ranges.look_up(Inode::Ranges, "b:c")).err(), Some(Errno::ENOENT));

    let name = "1970-01-01T10-00-00--10-01-00.mp4";
    let range = |bytes| {
        scene.grow(bytes);
        let found = from_disk(ranges.look_up(camera, name)).expect("a range");
        ranges.made.outdate();
        decoded(found.attributes.ino.0)
    };
    let first = range(500);
    assert_eq!(range(500), first);
    let second = range(600);
    assert_ne!(second, first);
    assert_eq!(ranges.parent(second), Ok(camera.word()));
    assert_eq!(ranges.extended(second), [("user.reelfs.camera", "b:c".to_owned())]);
    let sizes = [first, second].map(|inode| here(ranges.open(inode)).map(|file| size_of(&file)));
    assert_eq!(sizes, [Ok(500), Ok(600)], "who knows the first one still gets it");
    assert_eq!(scene.served.unlink(SOMEBODY, camera.word(), name).err(), Some(Errno::EPERM));
    assert_eq!(all.rmdir(Inode::Root, RANGE_NAME).err(), Some(Errno::EPERM));
}

#[test]
fn a_clip_is_found_as_other_kinds_of_file_beside_itself() {
    let scene = scene();
    let (clips, directory) = (&*scene.clips, scene.camera);
    let lines = names(clips, directory, 0);
    let found = from_disk(clips.look_up(directory, "00-00-00.frag.mp4")).expect("fragments");
    assert_eq!(found.attributes.size, CLIP_BYTES + 1);
    let inode = decoded(found.attributes.ino.0);
    let again = here(clips.look_up(directory, "00-00-00.frag.mp4")).expect("at once");
    assert_eq!(again.attributes.ino, found.attributes.ino);
    assert_eq!(scene.ranges.parent(inode), Ok(directory.word()));
    assert_eq!(scene.ranges.extended(inode)[0].1, "00-00-00 as frag.mp4");
    assert_eq!(names(clips, directory, 0), lines, "it is not listed");
    for absent in ["00-00-01.frag.mp4", "00-00-00.avi", "00-00-00.held.mp4", "frag.mp4"] {
        let found = clips.look_up(directory, absent);
        assert!(matches!(found, Err(Errno::ENOENT)), "{absent}");
    }
    *scene.library.clip_bytes.lock().expect("no panic") = None;
    let gone = from_disk(clips.look_up(directory, "00-00-00.m3u8")).err();
    assert_eq!(gone, Some(Errno::ENOENT));
}

#[test]
fn a_range_that_can_not_be_made_is_told_of_in_the_log_of_its_camera() {
    let scene = scene();
    let ranges = &*scene.ranges;
    let camera = Inode::ranges_of("a");
    let log = || {
        let found = here(ranges.look_up(camera, RANGE_LOG_NAME)).expect("a log");
        let handle = here(ranges.open(decoded(found.attributes.ino.0))).expect("a log");
        let Content::Made(text) = handle.content else { panic!("it is made") };
        assert_eq!(found.attributes.size, text.len() as u64);
        String::from_utf8(text).expect("a text")
    };
    assert_eq!(log(), "");
    assert_eq!(here(ranges.look_up(camera, "holiday.mp4")).err(), Some(Errno::ENOENT));
    assert_eq!(from_disk(ranges.look_up(camera, "2d--now.mp4")).err(), Some(Errno::ENOENT));
    let expected = "1970-01-02T00:00:00.000000000Z holiday.mp4: \"holiday.mp4\" is no time: one is \
         like 2026-11-21T13-05-00, 2026-11-21, 10m or now\n\
         1970-01-02T00:00:00.000000000Z 2d--now.mp4: nothing was recorded then\n";
    assert_eq!(log(), expected);
    assert_eq!(names(ranges, camera, 0).len(), 1, "and nothing else is listed");
    for _ in 0..200 {
        assert!(here(ranges.look_up(camera, "x")).is_err());
        assert!(here(ranges.look_up(camera, ".hidden")).is_err());
    }
    assert!(!log().contains(".hidden"), "what shells look for everywhere is not told of");
    assert_eq!(log().lines().count(), 100, "the oldest go");
}

#[test]
fn a_directory_that_is_gone_is_looked_up_again_by_its_name() {
    let scene = scene();
    let gone = Inode::ranges_of("of nobody");
    assert_eq!(scene.clips.look_up(gone, "13-00-00.mp4").err(), Some(Errno::ESTALE));
    assert_eq!(scene.clips.look_up(scene.day, "13-00-00.mp4").err(), Some(Errno::ENOENT));
}

#[test]
fn only_footage_is_kept_and_of_the_attributes_only_that_one_is_set() {
    let scene = scene();
    let (clip, asked) = (Inode::Clip(CLIP).word(), &scene.library.asked);
    let keep = |inode: u64, value: &[u8], flags| {
        scene.served.set_extended(inode, OsStr::new("user.reelfs.keep"), value, flags)
    };
    assert_eq!(keep(clip, b"forever", 0), Ok(()));
    assert_eq!(keep(scene.day.word(), b"90d", libc::XATTR_CREATE), Ok(()));
    assert_eq!(scene.served.remove_extended(clip, OsStr::new("user.reelfs.keep")), Ok(()));
    assert_eq!(*asked.lock().expect("no panic"), ["keep", "keep", "release"]);
    assert_eq!(keep(clip, b"forever", libc::XATTR_REPLACE), Err(Errno::ENODATA), "it has none");
    assert_eq!(keep(clip, b"soon", 0), Err(Errno::EINVAL));
    assert_eq!(keep(clip, &[0xFF], 0), Err(Errno::EINVAL));
    for inode in [Inode::Status, Inode::Now, Inode::Live, Inode::Ranges] {
        assert_eq!(keep(inode.word(), b"forever", 0), Err(Errno::EPERM), "{inode:?}");
    }
    assert_eq!(keep(Inode::Trash.word(), b"forever", 0), Err(Errno::ENODATA), "nothing is in it");
    let other = OsStr::new("user.other");
    assert_eq!(scene.served.set_extended(clip, other, b"1", 0), Err(Errno::EROFS));
    assert_eq!(scene.served.remove_extended(clip, other), Err(Errno::EROFS));
    assert_eq!(asked.lock().expect("no panic").len(), 3);
}
