//! Each verb, asked for and told again: the tree changes at once, and whoever watches hears once.

use std::sync::Mutex;

use super::*;
use crate::segment::NameForm;
use crate::view::{GoneDirectory, Inode, Layout, MadeDirectory, TRASH_NAME};
use crate::zone::Zone;

const CLIP: ClipKey = ClipKey::from_number(100).expect("a clip's number");

/// Writes down what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<&'static str>>);

impl Heard {
    fn add(&self, what: &'static str) {
        self.0.lock().expect("no panic").push(what);
    }

    fn all(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

impl Watcher for Heard {
    fn clip_closed(&self, _place: &Place) {
        self.add("closed");
    }
    fn clip_gone(&self, _place: &Place) {
        self.add("gone");
    }
    fn clip_moved(&self, moved: &Moved) {
        self.add(if moved.from.parent == moved.to.parent { "nowhere" } else { "moved" });
    }
    fn clip_kept(&self, _place: &Place) {
        self.add("kept");
    }
    fn clip_released(&self, _place: &Place) {
        self.add("released");
    }
    fn clip_purged(&self, _clip: ClipKey) {
        self.add("purged");
    }
    fn directory_made(&self, _made: &MadeDirectory) {
        self.add("made");
    }
    fn directory_gone(&self, _gone: &GoneDirectory) {
        self.add("directory");
    }
}

/// Answers all requests alike.
struct Answers(Result<(), LibraryError>);

impl Changes for Answers {
    fn remove(&self, _clip: ClipKey) -> Result<(), LibraryError> {
        self.0.clone()
    }
    fn restore(&self, _clip: ClipKey) -> Result<(), LibraryError> {
        self.0.clone()
    }
    fn purge(&self, _clip: ClipKey) -> Result<(), LibraryError> {
        self.0.clone()
    }
    fn keep(
        &self,
        clips: &[ClipKey],
        _until: Option<WallTime>,
    ) -> Result<Vec<ClipKey>, LibraryError> {
        self.0.clone().map(|()| clips.to_vec())
    }
    fn release(&self, clips: &[ClipKey]) -> Result<Vec<ClipKey>, LibraryError> {
        self.0.clone().map(|()| clips.to_vec())
    }
    fn sync(&self) -> Result<(), LibraryError> {
        self.0.clone()
    }
}

fn refuses() -> Answers {
    Answers(Err(LibraryError::Device("gone".to_owned())))
}

fn listed() -> ListedClip<'static> {
    let (start, end) = (WallTime(0), WallTime(60_000_000_000));
    ListedClip {
        clip: CLIP,
        redated: false,
        camera: "a",
        start,
        end,
        form: NameForm::Seconds,
        size: 1,
    }
}

fn with_a_clip() -> (Shown, Arc<Heard>) {
    let layout = Layout::parse("default").expect("a preset");
    let (shown, heard) = (Shown::new(Tree::new(layout, Zone::UTC)), Arc::new(Heard::default()));
    let watcher: Arc<dyn Watcher> = heard.clone();
    shown.watched_by(&[watcher]);
    assert!(shown.list(&listed()).is_some());
    assert_eq!(heard.all(), ["made", "made", "closed"], "the day, the camera, the clip");
    (shown, heard)
}

fn in_trash(shown: &Shown) -> Option<bool> {
    let tree = shown.tree();
    tree.place(CLIP).map(|place| tree.is_trash(place.parent))
}

#[test]
fn what_is_asked_for_is_shown_at_once_and_its_news_change_nothing() {
    let (shown, heard) = with_a_clip();
    let library = Answers(Ok(()));
    shown.remove(CLIP, &library).expect("removed");
    assert_eq!((in_trash(&shown), heard.all()), (Some(true), vec!["moved"]));
    shown.discard(CLIP);
    assert_eq!((in_trash(&shown), heard.all()), (Some(true), vec![]));
    shown.restore(CLIP, &library).expect("restored");
    assert_eq!((in_trash(&shown), heard.all()), (Some(false), vec!["moved"]));
    shown.put_back(CLIP);
    assert_eq!(shown.list(&listed()), None, "it is no new clip");
    assert_eq!((in_trash(&shown), heard.all()), (Some(false), vec![]));
    shown.remove(CLIP, &library).expect("removed");
    shown.purge(CLIP, &library).expect("purged");
    assert_eq!((in_trash(&shown), heard.all()), (None, vec!["moved", "gone"]));
    shown.hide(CLIP);
    assert_eq!(heard.all(), Vec::<&str>::new());
    shown.drop_clip(CLIP);
    assert_eq!(heard.all(), ["purged"], "pages of a file that is still open");
}

#[test]
fn what_is_asked_for_in_one_view_is_seen_in_all_of_them_at_once() {
    let view = |layout: &str, cameras| {
        let layout = Layout::parse(layout).expect("a preset");
        Arc::new(Shown::of(Tree::new(layout, Zone::UTC), cameras))
    };
    let other = Selection::of(vec!["b".to_owned()]);
    let views =
        [view("day", Selection::ALL), view("frigate", Selection::ALL), view("camera", other)];
    Shown::join(&views);
    let heard = Arc::new(Heard::default());
    let watcher: Arc<dyn Watcher> = heard.clone();
    views[1].watched_by(&[watcher]);
    let listed = views.each_ref().map(|view| view.list(&listed()).is_some());
    assert_eq!(listed, [true, true, false], "b is not its camera");
    let all = ["made", "made", "made", "closed"];
    assert_eq!(heard.all(), all, "the day, the hour, the camera, the clip");
    let library = Answers(Ok(()));
    let seen = || views.each_ref().map(|view| in_trash(view));
    views[0].remove(CLIP, &library).expect("removed");
    assert_eq!((seen(), heard.all()), ([Some(true), Some(true), None], vec!["moved"]));
    views[0].restore(CLIP, &library).expect("restored");
    assert_eq!((seen(), heard.all()), ([Some(false), Some(false), None], vec!["moved"]));
    views[0].keep(&[CLIP], None, &library).expect("kept");
    views[0].release(&[CLIP], &library).expect("released");
    assert_eq!(heard.all(), ["kept", "released"]);
    assert!(views[0].remove(CLIP, &refuses()).is_err());
    assert_eq!((seen(), heard.all()), ([Some(false), Some(false), None], vec![]));
    views[0].purge(CLIP, &library).expect("purged");
    assert_eq!((seen(), heard.all()), ([None; 3], vec!["gone"]));
}

#[test]
fn what_is_refused_is_shown_as_before() {
    let (shown, heard) = with_a_clip();
    assert!(shown.remove(CLIP, &refuses()).is_err());
    assert!(shown.purge(CLIP, &refuses()).is_err());
    assert_eq!((in_trash(&shown), heard.all()), (Some(false), vec![]));
    shown.discard(CLIP);
    heard.all();
    assert!(shown.restore(CLIP, &refuses()).is_err());
    assert_eq!((in_trash(&shown), heard.all()), (Some(true), vec![]));
}

#[test]
fn a_clip_that_is_gone_meanwhile_is_hidden_and_can_not_be_restored() {
    let gone = Answers(Err(LibraryError::Gone));
    let (shown, heard) = with_a_clip();
    assert_eq!(shown.restore(CLIP, &gone), Err(LibraryError::Gone));
    assert_eq!(shown.remove(CLIP, &gone), Ok(()));
    assert_eq!((in_trash(&shown), heard.all()), (None, vec!["gone"]));
}

#[test]
fn a_clip_that_is_redated_is_another_file_where_its_times_put_it() {
    for is_removed in [false, true] {
        let (shown, heard) = with_a_clip();
        if is_removed {
            shown.discard(CLIP);
            heard.all();
        }
        let place = |shown: &Shown| shown.tree().place(CLIP).expect("it is shown");
        let before = place(&shown);
        let day = 86_400 * 1_000_000_000;
        let (start, end) = (WallTime(day), WallTime(2 * day));
        let times = ListedClip { redated: true, start, end, ..listed() };
        shown.redate(&times);
        let now = place(&shown);
        assert_eq!(
            (in_trash(&shown), heard.all()),
            (Some(is_removed), vec!["gone", "made", "made", "closed"])
        );
        assert_ne!((before.inode(), before.parent), (now.inode(), now.parent));
        let tree = shown.tree();
        assert_eq!(tree.node(before.inode()), None, "who has the old inode is told so");
        let node = tree.node(now.inode()).expect("it is shown");
        assert_eq!((node.modified, tree.parent(node.inode)), (end, Some(now.parent)));
        assert_eq!(tree.lookup(now.parent, &now.name), Some(node));
    }
}

#[test]
fn directories_that_leave_with_their_last_clip_are_told() {
    let (shown, heard) = with_a_clip();
    shown.discard(CLIP);
    let trash = Inode::Trash.word();
    let day = {
        let tree = shown.tree();
        assert_eq!(tree.lookup(crate::view::ROOT, TRASH_NAME).map(|node| node.inode), Some(trash));
        tree.list(trash, 0).and_then(|mut days| days.next()).expect("a day").node.inode
    };
    shown.drop_emptied_trash(day);
    assert_eq!(heard.all(), ["moved"], "the clip is still in it");
    shown.put_back(CLIP);
    shown.drop_emptied_trash(day);
    assert_eq!(heard.all(), ["moved", "directory", "directory"]);
}

#[test]
fn what_is_kept_is_shown_twice_until_it_is_released_or_leaves() {
    let (shown, heard) = with_a_clip();
    let library = Answers(Ok(()));
    assert_eq!(shown.keep(&[CLIP], None, &library), Ok(1));
    assert_eq!((in_trash(&shown), heard.all()), (Some(false), vec!["kept"]));
    shown.show_kept(CLIP);
    assert_eq!(heard.all(), Vec::<&str>::new(), "its news");
    shown.redate(&listed());
    assert_eq!(heard.all(), ["released", "gone", "closed", "kept"]);
    assert!(shown.keep(&[CLIP], None, &refuses()).is_err());
    assert!(shown.release(&[CLIP], &refuses()).is_err());
    assert_eq!(heard.all(), Vec::<&str>::new());
    assert_eq!(shown.release(&[CLIP], &library), Ok(1));
    assert_eq!((shown.hide_kept(CLIP), heard.all()), (false, vec!["released"]));
    shown.show_kept(CLIP);
    shown.discard(CLIP);
    assert_eq!(heard.all(), ["kept", "released", "moved"]);
    shown.show_kept(CLIP);
    assert_eq!(heard.all(), Vec::<&str>::new(), "it is removed");
}
