//! Requests that wait for what cameras send, on no thread of FUSE: reads for half a second at most,
//! opens for ten.
//!
//! One thread answers them, as soon as something comes; who has waited long enough is answered
//! with what there is. The kernel can't interrupt a request: a process that waits in one can't be
//! killed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::ReplyData;

use super::directory::Expect;
use super::disk_queue::Answer;
use super::handles::{Content, Handle};
use super::lock;
use super::operations::Timed;
use crate::clock::Deadline;
use crate::live::{Live, Taken};

/// How long an open waits for a camera.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// How long a read waits for a frame: somebody who is killed meanwhile stays until it is answered.
const READ_MAX: Duration = Duration::from_millis(400);
/// How often those that wait are looked at when nothing comes.
const LOOK: Duration = Duration::from_millis(50);

/// Answers a request if it can; true if so. With true, it is asked for the last time.
type Try = Box<dyn FnMut(bool) -> bool + Send>;

/// See the [module](self).
pub(super) struct WaitingRoom {
    shared: Arc<Shared>,
}

struct Shared {
    live: Live,
    waiting: Mutex<VecDeque<(Deadline, Try)>>,
    is_closed: AtomicBool,
}

impl WaitingRoom {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where it can't be started.
    pub(super) fn new(live: Live) -> std::io::Result<WaitingRoom> {
        let (waiting, is_closed) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { live, waiting, is_closed });
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name("mount-live".to_owned()).spawn(move || own.answer())?;
        Ok(WaitingRoom { shared })
    }

    /// Gives what comes from a camera, when it does.
    pub(super) fn expect<R: Answer, T: 'static>(
        &self,
        mut expect: Expect<T>,
        reply: R,
        give: impl FnOnce(R, T) + Send + 'static,
    ) {
        let mut once = Some((reply, give));
        self.wait(OPEN_MAX, move |is_last| {
            let Some(found) = expect(is_last) else { return false };
            let Some((reply, give)) = once.take() else { return true };
            match found {
                Ok(found) => give(reply, found),
                Err(errno) => reply.fail(errno),
            }
            true
        });
    }

    /// Answers a read with what a camera has sent, and where nothing comes with what readers pass.
    pub(super) fn read(&self, handle: Arc<Handle>, length: usize, reply: Timed<ReplyData>) {
        let mut once = Some(reply);
        self.wait(READ_MAX, move |is_last| {
            let Some(bytes) = taken(&handle, length, is_last) else { return false };
            if let Some(reply) = once.take() {
                reply.give(|reply| reply.data(&bytes));
            }
            true
        });
    }

    /// Answers a request now, or whenever something comes, `longest` from now at the latest.
    fn wait(&self, longest: Duration, mut answer: impl FnMut(bool) -> bool + Send + 'static) {
        if answer(false) {
            return;
        }
        let one = (Deadline::after(longest), Box::new(answer) as Try);
        lock(&self.shared.waiting).push_back(one);
        self.shared.live.wake();
    }
}

impl Drop for WaitingRoom {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        self.shared.live.wake();
    }
}

impl Shared {
    fn answer(&self) {
        loop {
            let seen = self.live.count();
            let is_closed = self.is_closed.load(Ordering::Relaxed);
            // Not locked meanwhile: further requests come.
            let mut waiting = std::mem::take(&mut *lock(&self.waiting));
            waiting.retain_mut(|(deadline, answer)| {
                let is_last = is_closed || deadline.is_over();
                let answered = catch_unwind(AssertUnwindSafe(|| answer(is_last)));
                if answered.is_err() {
                    log::error!("a request that waited panicked; EIO to it");
                }
                !(answered.unwrap_or(true) || is_last)
            });
            if is_closed {
                return;
            }
            let is_empty = {
                let mut all = lock(&self.waiting);
                waiting.append(&mut all);
                *all = waiting;
                all.is_empty()
            };
            // With nobody there, whoever comes wakes it.
            let longest = if is_empty { Duration::from_secs(3600) } else { LOOK };
            self.live.wait(seen, longest);
        }
    }
}

/// What a read of a live file gets; `None` where it has to wait. Nothing is locked behind it.
fn taken(handle: &Handle, length: usize, is_last: bool) -> Option<Vec<u8>> {
    let Content::Live(viewer) = &handle.content else { return Some(Vec::new()) };
    let mut viewer = lock(viewer);
    let taken = match viewer.take(length) {
        Taken::Nothing if is_last => {
            viewer.pass();
            viewer.take(length)
        }
        taken => taken,
    };
    match taken {
        Taken::Nothing => None,
        Taken::Bytes(bytes) => Some(bytes),
        Taken::Over => Some(Vec::new()),
    }
}
