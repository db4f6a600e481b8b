//! One stream's life: connect, chunk, cut into clips, reconnect.
//!
//! What happens to a frame is decided by functions from values to values: [`Cutter`] makes chunks
//! and clips, and its own page says of which parts it consists. Around it is one task for each
//! stream ([`spawn`]), which connects, waits and hands over. A stream that fails disturbs no
//! other; all that it can hold of memory is one frame, one chunk and what the ring's queue allows
//! it.

mod backoff;
mod cutter;
mod drops;
mod live;
mod observing;
mod outage;
mod settings;
mod sink;
mod status;
mod stream;

pub use cutter::{Action, Boundary, Chunk, Cutter, CutterSettings, HandOut, Rate, Refusal};
pub use drops::{DropReason, Drops};
pub use settings::RecorderSettings;
pub use sink::Sink;
pub use status::{State, StreamStatus};

use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long [`RecorderHandle::stop`] waits: handing over takes milliseconds, telling the camera a
/// second at most.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// A recorder at work. Dropping it asks it to stop and does not wait.
pub struct RecorderHandle {
    stop: watch::Sender<bool>,
    done: mpsc::Receiver<()>,
    status: status::Shared,
    task: tokio::task::JoinHandle<()>,
}

/// Starts to record one stream on `runtime`. `ticks` changes when a flush is due: what is old
/// enough is then handed to `sink`.
pub fn spawn<S: Sink>(
    runtime: &Handle,
    settings: RecorderSettings,
    sink: S,
    ticks: watch::Receiver<u64>,
) -> RecorderHandle {
    let (stop, stopping) = watch::channel(false);
    let (finished, done) = mpsc::channel();
    let status = status::Shared::default();
    let recording = stream::StreamTask::new(settings, sink, ticks, stopping, status.clone());
    let task = runtime.spawn(async move {
        // Told by being dropped, so that it is told in any case.
        let _finished: mpsc::Sender<()> = finished;
        recording.run().await;
    });
    RecorderHandle { stop, done, status, task }
}

impl RecorderHandle {
    /// How the stream is doing.
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        self.status.read()
    }

    /// Asks to stop, without waiting: to be called on all recorders before the first is waited for.
    pub fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Hands everything in, ends the clip as stopped, and waits until that is done, or for five
    /// seconds. Answers whether it was done. Not to be called on a thread of the runtime.
    #[must_use = "a recorder that did not stop may still hand something in"]
    pub fn stop(self) -> bool {
        self.request_stop();
        let stopped =
            matches!(self.done.recv_timeout(STOP_WAIT), Err(mpsc::RecvTimeoutError::Disconnected));
        if !stopped {
            self.task.abort();
        }
        stopped
    }
}
