//! Tells programs that watch directories, by inotify(7) or fanotify(7), of what appears and goes.
//!
//! No notification of FUSE to the kernel raises an event; a system call through the mount does.
//! So a process of its own (`caller`, run by `child`) makes one for each change, and the requests
//! that it comes to are answered here (`call`). They change nothing: the tree is as it is already.
//!
//! - A clip appears by a `rename` out of `.announce`, a directory that nobody else can enter: who
//!   watches takes what is moved into a directory for complete. A directory appears by `mkdir`.
//! - What is gone goes by `unlink` and `rmdir`. What somebody removes through the mount has raised
//!   its event already.
//! - The daemon knows a call by a name that nobody can guess and that holds for that call alone:
//!   who looks it up in `.announce` is the process, until it is answered.
//!
//! A process, not a thread: one of the daemon that waits for its own mount keeps a killed daemon
//! from ending, with all that it has open. And each call waits for the lock of its directory,
//! which a slow listing holds: it has a deadline, and what is late is skipped.

mod announced;
mod call;
mod caller;
mod child;
mod gate;
mod hidden;
mod news;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

pub(super) use announced::Announced;
use announced::Skipped;
use call::Calls;
pub use caller::{AnnounceError, announce};
use child::{Child, NoAnswer};
pub(super) use gate::Gate;
pub(super) use hidden::Hidden;
pub(super) use news::Event;
use news::News;

use super::lock;
use super::notifier::Notifier;
use crate::clock::{Stopwatch, Throttle, since_boot};
use crate::library::Watcher;
use crate::shown::Shown;
use crate::units::ClipKey;
use crate::view::{GoneDirectory, MadeDirectory, Moved, Place};

/// How many changes may wait, at about 60 bytes each: a day of a hundred cameras that goes at once.
/// What comes on top is skipped.
const WAITING_MAX: usize = 65_536;

/// How long one call may take: a thousand times what it usually does.
pub(super) const CALL_MAX: Duration = Duration::from_secs(1);

/// A call whose process has ended is made once more, by the next one; so is one that has met a name
/// of which the kernel was just being told.
const TRIES: usize = 2;

/// How long the news of what a request has done may take.
const REQUEST_MAX: Duration = Duration::from_secs(2);

/// For how long what follows a new directory waits: programs that watch a tree begin to watch the
/// directory when they hear of it, and many do not look at what is in it by then.
const SETTLE: Duration = Duration::from_millis(100);

/// Where more than that waits, it does not: so much that is new is looked through anyway.
const SETTLE_WAITING_MAX: usize = 1000;

/// Between two lines of the log about one that can't be made.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// See the [module](self).
pub(super) struct Announcer {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    calls: Calls,
    gate: Arc<Gate>,
    counts: Arc<Announced>,
    complaints: Mutex<Throttle>,
}

#[derive(Default)]
struct Waiting {
    news: VecDeque<News>,
    /// What requests change at this moment, or have just changed.
    requested: Vec<Requested>,
    stopped: bool,
    ended: bool,
}

/// What a request does to a name: the event of that is its own.
struct Requested {
    appears: bool,
    parent: u64,
    name: Box<str>,
    since: Stopwatch,
}

impl Requested {
    fn is_of(&self, event: Event, parent: u64, name: &str) -> bool {
        (self.appears, self.parent, &*self.name) == (event.appears(), parent, name)
    }
}

impl Announcer {
    /// One that shares the way to the kernel with a notifier, and counts what it does.
    pub(super) fn new(notifier: &Notifier, counts: Arc<Announced>) -> Announcer {
        Announcer {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            calls: Calls::default(),
            gate: notifier.gate(),
            counts,
            complaints: Mutex::new(Throttle::every(COMPLAINT_INTERVAL)),
        }
    }

    /// The call under way, as its requests see it.
    fn calls(&self) -> &Calls {
        &self.calls
    }

    /// A request is about to do what would raise an `event`: the next such news is not announced.
    /// It may come from the request, or behind it, from where the ring's news are told.
    fn requested(&self, event: Event, parent: u64, name: &str) {
        let (name, since) = (name.into(), Stopwatch::start());
        let own = Requested { appears: event.appears(), parent, name, since };
        lock(&self.waiting).requested.push(own);
    }

    /// It has not done it.
    fn not_done(&self, event: Event, parent: u64, name: &str) {
        lock(&self.waiting).take_requested(event, parent, name);
    }

    /// Starts the thread that has changes of `shown`, mounted at `mount`, announced by `program`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn start(
        self: &Arc<Self>,
        (program, mount): (PathBuf, PathBuf),
        shown: Arc<Shown>,
        notifier: Notifier,
    ) -> io::Result<()> {
        let announcer = Arc::clone(self);
        let run = move || {
            let told = Arc::clone(&announcer);
            let child = Child::new(program, mount, Arc::new(move || told.calls.caller_ended()));
            announcer.announce_all(child, &shown, &notifier);
            lock(&announcer.waiting).ended = true;
            announcer.changed.notify_all();
        };
        std::thread::Builder::new().name("announce".to_owned()).spawn(run).map(drop).inspect_err(
            |_| {
                lock(&self.waiting).ended = true;
            },
        )
    }

    /// Nothing is announced any more. Waits for the call under way, but no longer than one may
    /// take.
    pub(super) fn stop(&self) {
        lock(&self.waiting).stopped = true;
        self.changed.notify_all();
        let runs = |waiting: &mut Waiting| !waiting.ended;
        let waited = self.changed.wait_timeout_while(lock(&self.waiting), CALL_MAX, runs);
        drop(waited);
    }

    fn add(&self, event: Event, (parent, inode, name): (u64, u64, &str)) {
        let mut waiting = lock(&self.waiting);
        if waiting.take_requested(event, parent, name) || waiting.stopped {
            return;
        }
        if waiting.news.len() >= WAITING_MAX {
            drop(waiting);
            return self.counts.skip(Skipped::Queue);
        }
        waiting.news.push_back(News { event, parent, inode, name: name.into() });
        drop(waiting);
        self.changed.notify_all();
    }
}

impl Waiting {
    /// Whether a request does what the event tells of; if so, the next one like it is another.
    fn take_requested(&mut self, event: Event, parent: u64, name: &str) -> bool {
        self.requested.retain(|requested| requested.since.elapsed() < REQUEST_MAX);
        let found = self.requested.iter().position(|own| own.is_of(event, parent, name));
        found.map(|at| self.requested.swap_remove(at)).is_some()
    }
}

impl Watcher for Announcer {
    fn clip_closed(&self, place: &Place) {
        self.add(Event::Listed, (place.parent, place.inode(), &place.name));
    }

    fn clip_gone(&self, place: &Place) {
        self.add(Event::Gone, (place.parent, place.inode(), &place.name));
    }

    /// One of the places is in the trash, of which nobody is told.
    fn clip_moved(&self, moved: &Moved) {
        self.clip_gone(&moved.from);
        self.clip_closed(&moved.to);
    }

    fn clip_kept(&self, _place: &Place) {}

    fn clip_released(&self, _place: &Place) {}

    fn clip_purged(&self, _clip: ClipKey) {}

    fn directory_made(&self, made: &MadeDirectory) {
        self.add(Event::Made, (made.parent, made.inode, &made.name));
    }

    fn directory_gone(&self, gone: &GoneDirectory) {
        self.add(Event::Dropped, (gone.parent, gone.inode, &gone.name));
    }
}

impl Announcer {
    fn announce_all(&self, mut child: Child, shown: &Shown, notifier: &Notifier) {
        self.have_running(&mut child);
        while let Some(news) = self.next() {
            let place = news.place(&shown.tree());
            let done = match place {
                Ok(Some(directory)) => self.announce(&news, &directory, &mut child, notifier),
                Ok(None) => continue,
                Err(news::Undone) => Err(Skipped::Gone),
            };
            match done {
                Ok(()) => {
                    self.counts.note();
                    self.let_settle(news.event);
                }
                Err(why) => self.counts.skip(why),
            }
            if news.event == Event::Gone {
                // In the trash it has the same inode, which has lost a link for the kernel.
                notifier.attributes_changed(news.inode);
            }
        }
    }

    fn let_settle(&self, event: Event) {
        let waiting = lock(&self.waiting);
        if event == Event::Made && waiting.news.len() <= SETTLE_WAITING_MAX {
            let goes_on = |waiting: &mut Waiting| !waiting.stopped;
            drop(self.changed.wait_timeout_while(waiting, SETTLE, goes_on));
        }
    }

    /// The next change; `None` when it is to end.
    fn next(&self) -> Option<News> {
        let idle = |waiting: &mut Waiting| !waiting.stopped && waiting.news.is_empty();
        let waiting = self.changed.wait_while(lock(&self.waiting), idle);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if waiting.stopped { None } else { waiting.news.pop_front() }
    }

    fn announce(
        &self,
        news: &News,
        directory: &str,
        child: &mut Child,
        notifier: &Notifier,
    ) -> Result<(), Skipped> {
        let busy = || {
            self.complain(&format!("{directory} was locked for {CALL_MAX:?}"));
            Skipped::Busy
        };
        for attempt in 1..=TRIES {
            if !self.have_running(child) {
                break;
            }
            // Not while the kernel forgets a name: see there.
            let passing = self.gate.pass(CALL_MAX).ok_or_else(busy)?;
            let token = self.calls.begin(news);
            let answer = child.ask([news.event.call(), &token, directory, &news.name], CALL_MAX);
            let came = self.calls.end();
            drop(passing);
            match answer {
                _ if came => return Ok(()),
                Ok(0) => return Err(Skipped::Refused),
                // The kernel has not forgotten yet what had the name of its directory before.
                Ok(libc::ESTALE) if attempt < TRIES => _ = notifier.wait_until_told(CALL_MAX),
                Ok(errno) => {
                    let error = io::Error::from_raw_os_error(errno);
                    self.complain(&format!("{directory}/{}: {error}", news.name));
                    return Err(Skipped::Refused);
                }
                Err(NoAnswer::Late) => return Err(busy()),
                Err(NoAnswer::Ended) => {}
            }
        }
        Err(Skipped::Process)
    }

    /// Starts the process where none runs; false where that can't be.
    fn have_running(&self, child: &mut Child) -> bool {
        if child.is_running() {
            return true;
        }
        let goes_on = |waiting: &mut Waiting| !waiting.stopped;
        let pause = child.pause();
        drop(self.changed.wait_timeout_while(lock(&self.waiting), pause, goes_on));
        match child.start() {
            Ok(()) => true,
            Err(error) => {
                self.complain(&format!("no process for it can be started: {error}"));
                false
            }
        }
    }

    fn complain(&self, what: &str) {
        if lock(&self.complaints).take(since_boot()) {
            log::warn!("a change is not told to who watches directories: {what}");
        }
    }
}
