//! What the index has to do: questions first, then writes, both bounded.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Deadline;
use crate::units::ClipId;

/// Questions that wait at most: more than there are threads that could ask.
const QUESTIONS_MAX: usize = 64;

/// Writes that wait at most.
const WRITES_MAX: usize = 1024;

/// Bytes of contents that wait at most: a few minutes of all clips closing at once.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Where a question's answer goes.
pub(super) type Reply = SyncSender<Option<Vec<u8>>>;

/// Contents that are still to be got, on the index's thread; `None` where there are none.
pub(super) type Deferred = Box<dyn FnOnce() -> Option<Vec<u8>> + Send>;

/// A change of the index.
pub(super) enum Write {
    Put(ClipId, Vec<u8>),
    PutDeferred(ClipId, Deferred),
    Forget(ClipId),
}

impl Write {
    fn byte_count(&self) -> usize {
        match self {
            Write::Put(_, contents) => contents.len(),
            Write::PutDeferred(..) | Write::Forget(_) => 0,
        }
    }
}

/// What the index's thread is to do next.
pub(super) enum Job {
    Answer(ClipId, Reply),
    Write(Write),
    /// Nothing came for as long as was said.
    Idle,
    /// Nothing will come any more; whether what was written is to be made durable.
    Stop {
        flush: bool,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Opening,
    Ready,
    /// The thread has stopped, or gone on without an index.
    Off,
}

#[derive(Default)]
struct State {
    phase: Phase,
    questions: VecDeque<(ClipId, Reply)>,
    writes: VecDeque<Write>,
    waiting_bytes: usize,
    /// A question was not answered in time, and nothing has been since.
    overdue: bool,
    /// Set once; whether to finish the writes and flush.
    closing: Option<bool>,
}

/// The queue between whoever uses the index and its thread.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    pub(super) fn new() -> Queue {
        Queue::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; a poisoned one is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a question; `false` where it would not be answered soon.
    pub(super) fn ask(&self, clip: ClipId, reply: Reply) -> bool {
        let mut state = self.state();
        let answers = state.phase == Phase::Ready && state.closing.is_none() && !state.overdue;
        if !answers || state.questions.len() >= QUESTIONS_MAX {
            return false;
        }
        state.questions.push_back((clip, reply));
        self.changed.notify_all();
        true
    }

    pub(super) fn answer_overdue(&self) {
        self.state().overdue = true;
        // A thread that was done in this very moment says so now, not when it is next needed.
        self.changed.notify_all();
    }

    /// Takes a write, or drops it where there is no room.
    pub(super) fn write(&self, write: Write) {
        let mut state = self.state();
        let bytes = state.waiting_bytes + write.byte_count();
        let room = state.writes.len() < WRITES_MAX && bytes <= WAITING_BYTES_MAX;
        if state.phase == Phase::Off || state.closing.is_some() || !room {
            return;
        }
        state.waiting_bytes = bytes;
        state.writes.push_back(write);
        self.changed.notify_all();
    }

    pub(super) fn ready(&self) -> bool {
        self.state().phase == Phase::Ready
    }

    pub(super) fn close(&self, flush: bool) {
        let mut state = self.state();
        state.closing.get_or_insert(flush);
        self.changed.notify_all();
    }

    /// Waits until the thread has stopped; `false` where it has not after `wait_max`.
    pub(super) fn wait_stopped(&self, wait_max: Duration) -> bool {
        let waiting = self
            .changed
            .wait_timeout_while(self.state(), wait_max, |state| state.phase != Phase::Off);
        let (state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        state.phase == Phase::Off
    }

    /// For the thread: questions are taken from now on.
    pub(super) fn opened(&self) {
        self.state().phase = Phase::Ready;
    }

    /// For the thread: nothing is taken any more. Whoever waits for an answer gets none at once.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.phase = Phase::Off;
        state.questions.clear();
        state.writes.clear();
        state.waiting_bytes = 0;
        self.changed.notify_all();
    }

    /// For the thread: what to do next, or [`Job::Idle`] after `wait_max`.
    pub(super) fn next(&self, wait_max: Duration) -> Job {
        let deadline = Deadline::after(wait_max);
        let mut state = self.state();
        loop {
            state.overdue = false;
            if state.closing == Some(false) {
                return Job::Stop { flush: false };
            }
            if let Some((clip, reply)) = state.questions.pop_front() {
                return Job::Answer(clip, reply);
            }
            if let Some(write) = state.writes.pop_front() {
                state.waiting_bytes -= write.byte_count();
                return Job::Write(write);
            }
            if state.closing == Some(true) {
                return Job::Stop { flush: true };
            }
            let left = deadline.left();
            if left.is_zero() {
                return Job::Idle;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sequence;

    #[test]
    fn writes_beyond_the_bound_are_dropped_and_questions_come_first() {
        let queue = Queue::new();
        let clip = ClipId(Sequence(1));
        for _ in 0..20 {
            queue.write(Write::Put(clip, vec![0; 1 << 20]));
        }
        let (reply, _answer) = std::sync::mpsc::sync_channel(1);
        assert!(!queue.ask(clip, reply.clone()), "before it is open");
        queue.opened();
        assert!(queue.ask(clip, reply));
        assert!(matches!(queue.next(Duration::ZERO), Job::Answer(..)));
        for _ in 0..16 {
            assert!(matches!(queue.next(Duration::ZERO), Job::Write(Write::Put(..))));
        }
        assert!(matches!(queue.next(Duration::ZERO), Job::Idle));
    }

    #[test]
    fn nobody_waits_behind_an_answer_that_is_overdue() {
        let queue = Queue::new();
        queue.opened();
        queue.answer_overdue();
        let (reply, _answer) = std::sync::mpsc::sync_channel(1);
        assert!(!queue.ask(ClipId(Sequence(1)), reply.clone()));
        queue.next(Duration::ZERO);
        assert!(queue.ask(ClipId(Sequence(1)), reply));
    }
}
