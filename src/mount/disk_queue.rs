//! Requests that may wait for the disk: few at a time, and none for longer than a limit.
//!
//! A request is worked on by the thread that brought it, which costs nothing while the disk keeps
//! up. When [`BUSY_MAX`] threads are at it, further requests queue, and whichever thread is done
//! first takes the next: the rest of the threads go on to answer `ls` and `stat`. A watch answers
//! EIO to what has taken too long; the thread that comes back late then finds nobody waiting.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fuser::{Errno, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen};

use super::lock;
use crate::clock::{Stopwatch, Throttle, since_boot};

/// Threads that serve FUSE. A request costs microseconds unless it waits.
pub(super) const THREADS: usize = 8;

/// How many of them may wait for the disk: more in flight make no disk faster, and two are left
/// for what memory can answer.
const BUSY_MAX: usize = THREADS - 2;

/// How many requests may queue. The kernel sends at most 64 for read-ahead; the rest are one for
/// each process that waits.
const WAITING_MAX: usize = 4096;

/// How long the disk may take for a request, queueing included.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Part of it that further requests are given while one is overdue that the disk has not answered
/// since: the kernel asks again for a page whose read-ahead has failed.
const WHILE_SILENT: u32 = 10;

/// Between two lines in the log about a disk that does not answer.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// How often the watch looks, as a part of the patience.
const LOOKS: u32 = 20;

/// What a request is answered with when there is no answer.
pub(super) trait Answer: Send + 'static {
    /// Answers with an error.
    fn fail(self, errno: Errno);
}

macro_rules! answers {
    ($($reply:ty),*) => {
        $(impl Answer for $reply {
            fn fail(self, errno: Errno) {
                self.error(errno);
            }
        })*
    };
}
answers!(ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen);

/// A reply that two may give: whoever does the work, and the watch. The first one does.
struct Slot<R>(Mutex<Option<R>>);

trait Expire: Send + Sync {
    /// Answers EIO, unless it has been answered; true if so.
    fn expire(&self) -> bool;
}

impl<R: Answer> Expire for Slot<R> {
    fn expire(&self) -> bool {
        let reply = lock(&self.0).take();
        let unanswered = reply.is_some();
        if let Some(reply) = reply {
            reply.fail(Errno::EIO);
        }
        unanswered
    }
}

/// The reply of a request that is being worked on.
pub(super) struct Pending<R>(Arc<Slot<R>>);

impl<R: Answer> Pending<R> {
    /// Gives the answer, unless the requester has been told that there is none.
    pub(super) fn answer(self, give: impl FnOnce(R)) {
        let reply = lock(&self.0.0).take();
        if let Some(reply) = reply {
            give(reply);
        }
    }

    /// Answers with an error.
    pub(super) fn fail(self, errno: Errno) {
        self.answer(|reply| reply.fail(errno));
    }
}

/// See the [module](self).
pub(super) struct DiskQueue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    closing: Condvar,
    patience: Duration,
}

#[derive(Default)]
struct State {
    busy: usize,
    /// Tickets of what the threads are at.
    working: BTreeSet<u64>,
    waiting: VecDeque<Job>,
    /// What is not answered yet, by ticket: in the order of their coming.
    unanswered: BTreeMap<u64, (Stopwatch, Arc<dyn Expire>)>,
    next_ticket: u64,
    closed: bool,
}

struct Job {
    ticket: u64,
    slot: Arc<dyn Expire>,
    work: Box<dyn FnOnce() + Send>,
}

impl DiskQueue {
    /// Starts the watch. No request is worked on for longer than `patience`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn new(patience: Duration) -> std::io::Result<DiskQueue> {
        let shared =
            Arc::new(Shared { state: Mutex::default(), closing: Condvar::new(), patience });
        let watched = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("mount-watch".to_owned())
            .spawn(move || watched.watch())?;
        Ok(DiskQueue { shared })
    }

    /// Has `work` answer `reply`: at once on this thread, or later on another.
    pub(super) fn run<R: Answer>(&self, reply: R, work: impl FnOnce(Pending<R>) + Send + 'static) {
        let slot = Arc::new(Slot(Mutex::new(Some(reply))));
        let pending = Pending(Arc::clone(&slot));
        self.shared.take(slot, Box::new(move || work(pending)));
    }
}

impl Drop for DiskQueue {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.shared.closing.notify_all();
    }
}

impl Shared {
    fn take(&self, slot: Arc<dyn Expire>, work: Box<dyn FnOnce() + Send>) {
        let mut state = lock(&self.state);
        if state.waiting.len() >= WAITING_MAX {
            drop(state);
            log::error!("{WAITING_MAX} requests wait for the disk; EIO to the next");
            slot.expire();
            return;
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.unanswered.insert(ticket, (Stopwatch::start(), Arc::clone(&slot)));
        let job = Job { ticket, slot, work };
        if state.busy >= BUSY_MAX {
            state.waiting.push_back(job);
            return;
        }
        state.busy += 1;
        drop(state);
        self.work_off(job);
    }

    /// Does a job, and then whatever has queued meanwhile.
    fn work_off(&self, first: Job) {
        let mut next = Some(first);
        while let Some(Job { ticket, slot, work }) = next {
            lock(&self.state).working.insert(ticket);
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                log::error!("a request panicked; EIO to it");
            }
            slot.expire();
            let mut state = lock(&self.state);
            state.unanswered.remove(&ticket);
            state.working.remove(&ticket);
            next = state.next_job();
            if next.is_none() {
                state.busy -= 1;
            }
        }
    }

    fn watch(&self) {
        let mut state = lock(&self.state);
        let (mut complaints, mut untold) = (Throttle::every(COMPLAINT_INTERVAL), 0);
        while !state.closed {
            let waited = self.closing.wait_timeout(state, self.patience / LOOKS);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            let overdue = state.overdue(self.patience);
            if overdue.is_empty() {
                continue;
            }
            drop(state);
            untold += overdue.iter().filter(|slot| slot.expire()).count();
            if untold > 0 && complaints.take(since_boot()) {
                let patience = self.patience;
                log::error!("no answer from the disk for {patience:?}; EIO to {untold} requests");
                untold = 0;
            }
            state = lock(&self.state);
        }
    }
}

impl State {
    /// The next job whose requester still waits.
    fn next_job(&mut self) -> Option<Job> {
        loop {
            let job = self.waiting.pop_front()?;
            if self.unanswered.contains_key(&job.ticket) {
                return Some(job);
            }
        }
    }

    /// Whether a request has been given up on that the disk still has.
    fn is_silent(&self) -> bool {
        self.working.iter().any(|ticket| !self.unanswered.contains_key(ticket))
    }

    fn overdue(&mut self, patience: Duration) -> Vec<Arc<dyn Expire>> {
        let patience = if self.is_silent() { patience / WHILE_SILENT } else { patience };
        let mut overdue = Vec::new();
        while let Some(first) = self.unanswered.first_entry() {
            if first.get().0.elapsed() < patience {
                break;
            }
            overdue.push(first.remove().1);
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Told(Sender<&'static str>);

    impl Answer for Told {
        fn fail(self, _errno: Errno) {
            self.0.send("EIO").expect("a listener");
        }
    }

    #[test]
    fn a_request_that_the_disk_does_not_answer_fails_in_time() {
        let queue = DiskQueue::new(Duration::from_millis(100)).expect("a thread");
        let (told, answers) = channel();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                queue.run(Told(told), |pending| {
                    std::thread::sleep(Duration::from_millis(400));
                    pending.answer(|told| told.0.send("late").expect("a listener"));
                });
            });
            assert_eq!(answers.recv(), Ok("EIO"));
            assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
        });
        assert!(answers.recv().is_err(), "nothing is answered twice");
    }

    #[test]
    fn while_the_disk_is_silent_further_requests_fail_soon_and_then_no_more() {
        let queue = DiskQueue::new(Duration::from_secs(1)).expect("a thread");
        let (told, answers) = channel();
        let hang = |told: Sender<&'static str>, millis: u64| {
            queue.run(Told(told), move |pending| {
                std::thread::sleep(Duration::from_millis(millis));
                pending.answer(|told| told.0.send("answered").expect("a listener"));
            });
        };
        std::thread::scope(|scope| {
            let first = told.clone();
            scope.spawn(|| hang(first, 2_000));
            assert_eq!(answers.recv(), Ok("EIO"));
            let (again, begun) = (told.clone(), Instant::now());
            scope.spawn(|| hang(again, 800));
            assert_eq!(answers.recv(), Ok("EIO"));
            assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        });
        hang(told, 500);
        assert_eq!(answers.recv(), Ok("answered"));
    }

    #[test]
    fn a_slow_disk_leaves_threads_for_other_work() {
        let queue = DiskQueue::new(PATIENCE).expect("a thread");
        let (told, answers) = channel();
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let wait = |gate: &(Mutex<bool>, Condvar)| {
            drop(gate.1.wait_while(lock(&gate.0), |open| !*open).expect("no panic"));
        };
        std::thread::scope(|scope| {
            for _ in 0..BUSY_MAX {
                let (told, gate, queue) = (told.clone(), Arc::clone(&gate), &queue);
                scope.spawn(move || {
                    queue.run(Told(told), move |pending| {
                        wait(&gate);
                        pending.answer(|told| told.0.send("slow").expect("a listener"));
                    });
                });
            }
            while lock(&queue.shared.state).busy < BUSY_MAX {
                std::thread::yield_now();
            }
            // This thread comes back at once, though its request is not answered yet.
            queue.run(Told(told.clone()), |pending| {
                pending.answer(|told| told.0.send("queued").expect("a listener"));
            });
            assert!(answers.try_recv().is_err());
            *lock(&gate.0) = true;
            gate.1.notify_all();
        });
        drop(told);
        let all: Vec<_> = answers.iter().collect();
        assert_eq!(all.len(), BUSY_MAX + 1);
        assert!(all.contains(&"queued"));
        assert_eq!(lock(&queue.shared.state).busy, 0);
    }

    #[test]
    fn a_request_that_panics_fails_and_the_next_is_served() {
        let queue = DiskQueue::new(PATIENCE).expect("a thread");
        let (told, answers) = channel();
        queue.run(Told(told.clone()), |_pending| panic!("as a test"));
        assert_eq!(answers.recv(), Ok("EIO"));
        queue.run(Told(told), |pending| {
            pending.answer(|told| told.0.send("served").expect("a listener"));
        });
        assert_eq!(answers.recv(), Ok("served"));
    }
}
