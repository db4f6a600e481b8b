//! Tells the kernel what it has to forget, from a thread that serves no request: sent from within
//! one, an invalidation may wait for a lock that its own request holds (libfuse 341).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use fuser::INodeNo;

use super::announcing::{CALL_MAX, Gate};
use super::handles::Handles;
use super::lock;
use super::made::MadeFiles;
use crate::library::Watcher;
use crate::units::ClipKey;
use crate::view::{GoneDirectory, Inode, MadeDirectory, Moved, Place};

/// How many names may wait to be forgotten, at about 100 bytes each. What comes on top is told by
/// inode alone: its name is then asked for again at its next use, which the kernel does on ESTALE.
const NAMES_MAX: usize = 65_536;

/// Hands over what has changed. Cheap to clone; never waits, so that it may be called under a
/// lock, and from the ring's writer.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
    handles: Arc<Handles>,
    /// Ranges that have been looked up: they are others when a clip has left, or come back.
    made: Arc<MadeFiles>,
    gate: Arc<Gate>,
}

impl Default for Notifier {
    fn default() -> Notifier {
        let made = Arc::new(MadeFiles::default());
        Notifier { shared: Arc::default(), handles: Arc::default(), made, gate: Arc::default() }
    }
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// Names by directory and inode: a clip, or a directory, that left.
    names: BTreeMap<(u64, u64), Box<str>>,
    /// Inodes whose pages and attributes are no longer true: at most one for each clip that is in
    /// memory anyway, and never dropped, since a page that is not forgotten can be read.
    contents: BTreeSet<u64>,
    /// Inodes whose attributes have changed.
    attributes: BTreeSet<u64>,
    sending: bool,
    stopped: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.contents.is_empty() && self.attributes.is_empty()
    }

    fn forget_name(&mut self, parent: u64, inode: u64, name: &str) {
        if self.names.len() < NAMES_MAX {
            self.names.insert((parent, inode), name.into());
        }
        self.attributes.insert(parent);
    }
}

impl Watcher for Notifier {
    /// A clip has been listed. Absent names are not cached: only its directory has changed.
    fn clip_closed(&self, place: &Place) {
        self.tell(|waiting| {
            waiting.attributes.insert(place.parent);
        });
    }

    /// A clip is no longer listed.
    fn clip_gone(&self, place: &Place) {
        self.made.outdate();
        let holding = self.handles.holding(place.clip);
        self.tell(|waiting| {
            waiting.forget_name(place.parent, place.inode(), &place.name);
            waiting.contents.insert(place.inode());
            waiting.contents.extend(holding);
        });
    }

    /// A clip has another place: in the trash, or out of it.
    fn clip_moved(&self, moved: &Moved) {
        self.made.outdate();
        self.tell(|waiting| {
            waiting.forget_name(moved.from.parent, moved.from.inode(), &moved.from.name);
            waiting.attributes.insert(moved.to.parent);
        });
    }

    /// A clip has another name beside its own: only the directory of that has changed.
    fn clip_kept(&self, place: &Place) {
        self.clip_closed(place);
    }

    /// It has lost that name; its pages and those of ranges are what they were.
    fn clip_released(&self, place: &Place) {
        self.tell(|waiting| waiting.forget_name(place.parent, place.inode(), &place.name));
    }

    /// A clip that left the listing earlier has been purged: who has it open may not read it from
    /// a cache any more.
    fn clip_purged(&self, clip: ClipKey) {
        self.made.outdate();
        let holding = self.handles.holding(clip);
        self.tell(|waiting| {
            waiting.contents.extend(holding);
            let files = [false, true].map(|redated| Inode::of_clip(clip, redated).word());
            waiting.contents.extend(files);
        });
    }

    /// Names that are absent are not cached: only the directory that it is in has changed.
    fn directory_made(&self, made: &MadeDirectory) {
        self.attributes_changed(made.parent);
    }

    /// An emptied directory has been dropped.
    fn directory_gone(&self, gone: &GoneDirectory) {
        self.tell(|waiting| waiting.forget_name(gone.parent, gone.inode, &gone.name));
    }
}

impl Notifier {
    /// The files that are open: what they have of a clip that goes is forgotten, too.
    pub(super) fn handles(&self) -> Arc<Handles> {
        Arc::clone(&self.handles)
    }

    /// The ranges that have been looked up.
    pub(super) fn made(&self) -> Arc<MadeFiles> {
        Arc::clone(&self.made)
    }

    /// What has to be passed to have the kernel take the lock of a directory.
    pub(super) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// What the kernel knows of an inode, its pages aside, is no longer true.
    pub(super) fn attributes_changed(&self, inode: u64) {
        self.tell(|waiting| _ = waiting.attributes.insert(inode));
    }

    /// A name stands for another inode than the kernel believes.
    pub(super) fn name_changed(&self, parent: u64, inode: u64, name: &str) {
        self.tell(|waiting| waiting.forget_name(parent, inode, name));
    }

    /// Waits until the kernel has been told everything so far; false where that takes longer than
    /// `limit`. Not to be called from a request.
    #[must_use]
    pub fn wait_until_told(&self, limit: Duration) -> bool {
        let waiting = lock(&self.shared.waiting);
        let busy =
            |waiting: &mut Waiting| !waiting.stopped && (waiting.sending || !waiting.is_empty());
        let waited = self.shared.changed.wait_timeout_while(waiting, limit, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn tell(&self, change: impl FnOnce(&mut Waiting)) {
        let mut waiting = lock(&self.shared.waiting);
        if waiting.stopped {
            return;
        }
        change(&mut waiting);
        drop(waiting);
        self.shared.changed.notify_all();
    }

    /// Starts the thread that sends.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn start(&self, kernel: fuser::Notifier) -> io::Result<()> {
        let (shared, gate) = (Arc::clone(&self.shared), self.gate());
        std::thread::Builder::new()
            .name("mount-notify".to_owned())
            .spawn(move || shared.send_all(&kernel, &gate))
            .map(drop)
    }

    /// Ends the thread; nothing is told any more.
    pub(super) fn stop(&self) {
        lock(&self.shared.waiting).stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn send_all(&self, kernel: &fuser::Notifier, gate: &Gate) {
        loop {
            let idle = |waiting: &mut Waiting| !waiting.stopped && waiting.is_empty();
            let waiting = self.changed.wait_while(lock(&self.waiting), idle);
            let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            if waiting.stopped {
                return;
            }
            let batch = Waiting { sending: true, ..Waiting::default() };
            let batch = std::mem::replace(&mut *waiting, batch);
            drop(waiting);
            send(kernel, &batch, gate);
            lock(&self.waiting).sending = false;
            self.changed.notify_all();
        }
    }
}

fn send(kernel: &fuser::Notifier, batch: &Waiting, gate: &Gate) {
    for ((parent, _), name) in &batch.names {
        // A call that has not ended by then waits for a lock itself, and holds none of the tree's.
        let _passing = gate.pass(CALL_MAX);
        log_failure(kernel.inval_entry(INodeNo(*parent), OsStr::new(&**name)));
    }
    for inode in &batch.contents {
        log_failure(kernel.inval_inode(INodeNo(*inode), 0, 0));
    }
    for inode in &batch.attributes {
        // A negative offset leaves pages alone; a directory has none.
        log_failure(kernel.inval_inode(INodeNo(*inode), -1, 0));
    }
}

/// What the kernel does not know, it need not forget; after an unmount it knows nothing.
fn log_failure(told: io::Result<()>) {
    if let Err(error) = told {
        log::debug!("invalidation: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(clip: u64) -> Place {
        let key = ClipKey::from_number(1 << 40 | clip).expect("a clip's number");
        Place { clip: key, redated: false, parent: 1 << 63, name: format!("{clip}.mp4") }
    }

    #[test]
    fn the_same_change_waits_once() {
        let notifier = Notifier::default();
        for _ in 0..1000 {
            notifier.clip_closed(&place(7));
            notifier.clip_gone(&place(7));
        }
        let waiting = lock(&notifier.shared.waiting);
        assert_eq!(
            (waiting.names.len(), waiting.contents.len(), waiting.attributes.len()),
            (1, 1, 1)
        );
    }

    #[test]
    fn a_flood_loses_names_but_no_inode() {
        let notifier = Notifier::default();
        let count = NAMES_MAX + 1000;
        for clip in 0..count as u64 {
            notifier.clip_gone(&place(clip));
        }
        let waiting = lock(&notifier.shared.waiting);
        assert_eq!((waiting.names.len(), waiting.contents.len()), (NAMES_MAX, count));
    }

    #[test]
    fn what_cannot_be_told_is_not_waited_for() {
        let notifier = Notifier::default();
        notifier.clip_gone(&place(7));
        assert!(!notifier.wait_until_told(Duration::from_millis(20)));
        notifier.stop();
        assert!(notifier.wait_until_told(Duration::from_millis(20)));
    }
}
