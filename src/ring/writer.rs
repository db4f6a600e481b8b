//! The one thread that writes, and the handle through which work reaches it.

mod asked_states;
mod changes;
mod clocks;
mod events;
mod observations;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use asked_states::AskedStates;

use super::append::NotStored;
use super::core::Core;
use super::error::{Refused, RingError};
use super::fact::Fact;
use super::sequences::Sequences;
use super::state::Shared;
use super::superblock::Superblock;
use super::types::{
    ClipContents, ClipState, Ending, FLUSH_NOTICE, NewChunk, QUEUE_BYTES_MAX, QUEUE_CHUNKS_MAX,
    StateRequest, Timing,
};
use super::under_way::TABLE_CHUNKS_MIN;
use crate::clock::{Deadline, Throttle};
use crate::device::Device;
use crate::units::{BlockNumber, ByteCount, ClipId, EventId, StreamNumber};

/// Everything that may wait; other requests than chunks wait for room beyond it.
const QUEUE_REQUESTS_MAX: usize = 2 * QUEUE_CHUNKS_MAX;
/// Between two lines in the log about chunks that could not be stored.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

pub(super) enum Request {
    Append(NewChunk),
    EndClip {
        clip: ClipId,
        ending: Ending,
    },
    ChangeState {
        clip: ClipId,
        request: StateRequest,
    },
    /// The same of each.
    ChangeStates {
        clips: Vec<ClipId>,
        request: StateRequest,
    },
    SetStream {
        stream: StreamNumber,
        fact: Vec<u8>,
    },
    Record(Fact),
    /// Nothing withdraws the event.
    SayOfEvent {
        stream: StreamNumber,
        event: EventId,
        said: Vec<u8>,
    },
    /// Unless the clip is not purging.
    Forget {
        clip: ClipId,
    },
    /// The block refuses a write that was not the writer's own.
    Suspect {
        block: BlockNumber,
        error: std::io::Error,
    },
    AddTable {
        clip: ClipId,
        table: Vec<u8>,
    },
    TimeClip(StreamNumber, ClipId, Timing),
    Redate(ClipId, i64),
    Sync {
        done: SyncSender<Result<(), RingError>>,
    },
    Close {
        done: SyncSender<Result<(), RingError>>,
    },
}

/// Hands work to the one thread that writes. Cheap to clone; no call but [`Writer::sync`],
/// [`Writer::free`] and [`Writer::close`] waits for the device.
#[derive(Clone)]
pub struct Writer {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    requests: SyncSender<Request>,
    queued: Arc<Queued>,
    sequences: Arc<Sequences>,
    pub shared: Arc<RwLock<Shared>>,
    pub device: Arc<dyn Device>,
    pub superblock: Superblock,
    /// Clips of which a page has refused its zeros once.
    pub wipes_refused: Mutex<BTreeSet<ClipId>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queued {
    bytes: AtomicUsize,
    chunks: AtomicUsize,
    observations: AtomicUsize,
    closed: AtomicBool,
    states: Mutex<AskedStates>,
}

impl Queued {
    /// Locked for moments: while a request is queued, so that requests are served in the order in
    /// which they were answered.
    fn states(&self) -> MutexGuard<'_, AskedStates> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(super) fn start(core: Core, flush_interval: Duration) -> Writer {
        let (requests, received) = sync_channel(QUEUE_REQUESTS_MAX);
        let queued = Arc::new(Queued::default());
        let inner = Inner {
            requests,
            queued: queued.clone(),
            sequences: core.sequences.clone(),
            shared: core.shared.clone(),
            device: core.device.clone(),
            superblock: core.superblock.clone(),
            wipes_refused: Mutex::default(),
            thread: Mutex::new(None),
        };
        let complaints = Throttle::every(COMPLAINT_INTERVAL);
        let mut served = WriterThread { core, queued, flush_interval, complaints };
        let thread =
            std::thread::Builder::new().name("ring".into()).spawn(move || served.run(&received));
        let writer = Writer { inner: Arc::new(inner) };
        match thread {
            Ok(thread) => *writer.thread() = Some(thread),
            Err(error) => {
                log::error!("ring: the writer does not start: {error}");
                writer.inner.queued.closed.store(true, Ordering::Release);
            }
        }
        writer
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new stream.
    #[must_use]
    pub fn new_stream(&self) -> StreamNumber {
        self.inner.sequences.next_stream()
    }

    /// Sets what is known of a stream.
    pub fn set_stream(&self, stream: StreamNumber, fact: Vec<u8>) {
        self.send(Request::SetStream { stream, fact });
    }

    /// A number for a new clip.
    #[must_use]
    pub fn new_clip(&self) -> ClipId {
        ClipId(self.inner.sequences.next())
    }

    /// Takes a chunk, to be written before the next flush. Never waits.
    ///
    /// What is taken is written, in the order in which it came. When the queue is full the chunk
    /// at the door is refused, and of what stands outside the oldest is always at the door. One in
    /// the queue can't make room for it: the times of its clip run on over it (promise 4), so with
    /// it would go all that is queued of the clip, for one group that is gained.
    ///
    /// # Errors
    /// See [`Refused`]; the chunk is dropped then.
    pub fn append(&self, chunk: NewChunk) -> Result<(), Refused> {
        let queued = &self.inner.queued;
        if queued.closed.load(Ordering::Acquire) {
            return Err(Refused::Closed);
        }
        if !self.inner.device.is_present() {
            return Err(Refused::DeviceAway);
        }
        let bytes = chunk.data.len() + chunk.table.len();
        Shared::read(&self.inner.shared).admit(chunk.clip)?;
        let room = queued.bytes.load(Ordering::Acquire) + bytes <= QUEUE_BYTES_MAX
            && queued.chunks.load(Ordering::Acquire) < QUEUE_CHUNKS_MAX;
        if !room {
            return Err(Refused::QueueFull);
        }
        queued.bytes.fetch_add(bytes, Ordering::AcqRel);
        queued.chunks.fetch_add(1, Ordering::AcqRel);
        self.inner.requests.try_send(Request::Append(chunk)).map_err(|error| {
            queued.bytes.fetch_sub(bytes, Ordering::AcqRel);
            queued.chunks.fetch_sub(1, Ordering::AcqRel);
            match error {
                TrySendError::Full(_) => Refused::QueueFull,
                TrySendError::Disconnected(_) => Refused::Closed,
            }
        })
    }

    /// Ends a clip behind the chunks taken so far. `reason` is a code of the caller's;
    /// `length_nanos` the settled length from tick 0 to where a next clip would begin.
    pub fn end_clip(&self, clip: ClipId, reason: u8, length_nanos: Option<i64>) {
        let ending = Ending::ByRecorder { reason, length_nanos };
        self.send(Request::EndClip { clip, ending });
    }

    /// Gives a closed clip the table that it lacks ([`Ring::clips_without_table`]): written behind
    /// the next clip of its stream that ends. Without one, a chunk header that rots costs the whole
    /// clip.
    ///
    /// [`Ring::clips_without_table`]: super::Ring::clips_without_table
    pub fn add_table(&self, clip: ClipId, contents: &ClipContents) {
        if contents.chunks.len() >= TABLE_CHUNKS_MIN {
            self.send(Request::AddTable { clip, table: contents.encode() });
        }
    }

    /// Makes everything handed in so far durable, facts included, and waits for it.
    ///
    /// # Errors
    /// The device failed, or the ring is closed.
    pub fn sync(&self) -> Result<(), RingError> {
        let (done, wait) = sync_channel(1);
        self.send(Request::Sync { done });
        wait.recv().unwrap_or(Err(RingError::Closed))
    }

    /// Ends what grows, flushes, and stops the thread. Later calls answer that the ring is closed.
    ///
    /// # Errors
    /// The device failed; the next start will find what was not flushed missing.
    pub fn close(&self) -> Result<(), RingError> {
        let (done, wait) = sync_channel(1);
        {
            // First, so that nothing is taken behind the request that ends it.
            let _asked = self.inner.queued.states();
            self.inner.queued.closed.store(true, Ordering::Release);
        }
        self.send(Request::Close { done });
        let outcome = wait.recv().unwrap_or(Err(RingError::Closed));
        let thread = self.thread().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("ring: the writer died");
        }
        outcome
    }

    /// Samples that wait for the device, in bytes.
    #[must_use]
    pub fn queued(&self) -> ByteCount {
        ByteCount(self.inner.queued.bytes.load(Ordering::Acquire) as u64)
    }

    /// The state of a closed clip.
    pub(super) fn state_of(&self, clip: ClipId) -> Option<ClipState> {
        let shared = Shared::read(&self.inner.shared);
        shared.space.state_of(clip)
    }

    pub(super) fn send(&self, request: Request) -> bool {
        self.inner.requests.send(request).is_ok()
    }
}

/// The thread's own side.
struct WriterThread {
    core: Core,
    queued: Arc<Queued>,
    flush_interval: Duration,
    complaints: Throttle,
}

impl WriterThread {
    fn run(&mut self, requests: &Receiver<Request>) {
        let mut deadline = Deadline::after(self.flush_interval);
        let mut noticed = false;
        loop {
            let ahead = if noticed { Duration::ZERO } else { self.notice() };
            match requests.recv_timeout(deadline.left().saturating_sub(ahead)) {
                Ok(Request::Close { done }) => {
                    let closed = self.core.close().map_err(device_error);
                    self.queued.closed.store(true, Ordering::Release);
                    // Whoever waited may have gone.
                    let _ = done.send(closed);
                    return;
                }
                Ok(request) => self.serve(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if deadline.is_over() {
                if self.core.is_dirty() && self.core.is_worth_a_try() {
                    // The error is logged, and what it hit has been dropped and counted.
                    let _ = self.core.commit();
                }
                deadline = deadline.next(self.flush_interval, self.notice());
                noticed = false;
            } else if !noticed && deadline.left() <= self.notice() {
                noticed = true;
                self.core.interpreter.flush_due();
            }
        }
    }

    fn notice(&self) -> Duration {
        FLUSH_NOTICE.min(self.flush_interval / 4)
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Append(chunk) => self.append(chunk),
            Request::EndClip { clip, ending } => self.core.end_clip(clip, ending),
            Request::ChangeState { clip, request } => {
                self.change_state(clip, request);
            }
            Request::ChangeStates { clips, request } => {
                clips.into_iter().for_each(|clip| self.change_state(clip, request));
            }
            Request::TimeClip(stream, clip, timing) => self.core.time_clip(stream, clip, timing),
            Request::Redate(clip, shift_nanos) => self.core.redate(clip, shift_nanos),
            Request::SetStream { stream, fact } => self.core.set_stream(stream, fact.into()),
            Request::Record(fact) => {
                self.queued.took(&fact);
                self.core.record(fact);
            }
            Request::SayOfEvent { stream, event, said } => {
                self.core.say_of_event(stream, event, &said);
            }
            Request::Forget { clip } => self.core.forget_purged(clip),
            Request::Suspect { block, error } => self.core.suspect(block, &error),
            Request::AddTable { clip, table } => self.core.add_table(clip, table),
            Request::Sync { done } => {
                // Whoever waited may have gone.
                let _ = done.send(self.core.settle().map_err(device_error));
            }
            Request::Close { .. } => {}
        }
    }

    fn change_state(&mut self, clip: ClipId, request: StateRequest) {
        self.core.change_state(clip, request);
        self.queued.states().served(clip);
    }

    fn append(&mut self, chunk: NewChunk) {
        let bytes = chunk.data.len() + chunk.table.len();
        let clip = chunk.clip;
        let stored = self.core.append(chunk);
        self.queued.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.queued.chunks.fetch_sub(1, Ordering::AcqRel);
        let Err(reason) = stored else { return };
        if reason != NotStored::ClipEnded && self.complaints.take(self.core.clock.boot()) {
            log::error!("ring: a chunk of clip {clip} is not stored: {reason}");
        }
    }
}

fn device_error(source: std::io::Error) -> RingError {
    RingError::Device { what: "flush".into(), source }
}
