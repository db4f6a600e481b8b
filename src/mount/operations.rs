//! How many requests there were, and how long each took to be answered: counted without a lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::Errno;

use super::disk_queue::Answer;
use super::filesystem::Requests;
use crate::clock::Stopwatch;
use crate::status::{Exposition, Kind};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    LookUp,
    Forget,
    GetAttr,
    Open,
    Read,
    /// A read of what a camera sends, which waits for it.
    ReadLive,
    Release,
    Fsync,
    ReadDir,
    ReadDirPlus,
    FsyncDir,
    StatFs,
    GetXattr,
    ListXattr,
    SetXattr,
    RemoveXattr,
    Unlink,
    RmDir,
    Rename,
}

/// As FUSE calls them, in their order.
const NAMES: [&str; 19] = [
    "lookup",
    "forget",
    "getattr",
    "open",
    "read",
    "read_live",
    "release",
    "fsync",
    "readdir",
    "readdirplus",
    "fsyncdir",
    "statfs",
    "getxattr",
    "listxattr",
    "setxattr",
    "removexattr",
    "unlink",
    "rmdir",
    "rename",
];

impl Operation {
    pub(super) fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// Up to how many nanoseconds a request is counted in which bucket: memory answers in the first
/// one, a disk that turns in those of milliseconds.
const BOUNDS: [(u64, &str); 10] = [
    (100_000, "0.0001"),
    (300_000, "0.0003"),
    (1_000_000, "0.001"),
    (3_000_000, "0.003"),
    (10_000_000, "0.01"),
    (30_000_000, "0.03"),
    (100_000_000, "0.1"),
    (300_000_000, "0.3"),
    (1_000_000_000, "1"),
    (3_000_000_000, "3"),
];

#[derive(Default)]
struct Histogram {
    /// Not those of the buckets before; the last one is for what is beyond all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    fn note(&self, nanos: u64) {
        let place = BOUNDS.partition_point(|(bound, _)| *bound < nanos);
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Operations([Histogram; NAMES.len()]);

impl Operations {
    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>, operation: Operation) -> Timer {
        Timer { operations: Arc::clone(self), operation, begun: Stopwatch::start() }
    }

    /// All of it, for `.metrics`.
    pub(super) fn text(&self) -> String {
        const NAME: &str = "reelfs_fuse_request_duration_seconds";
        let mut out = Exposition::default();
        out.begin(NAME, Kind::Histogram, "How long requests to the mount took to be answered.");
        let name = |suffix: &str| format!("{NAME}_{suffix}");
        let [bucket, sum, count] = ["bucket", "sum", "count"].map(name);
        for (operation, histogram) in NAMES.iter().zip(&self.0) {
            let mut total = 0;
            let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
            for (bound, requests) in bounds.zip(&histogram.buckets) {
                total += requests.load(Ordering::Relaxed);
                out.sample(&bucket, &[("operation", operation), ("le", bound)], total);
            }
            let seconds = histogram.nanos.load(Ordering::Relaxed) as f64 / 1e9;
            out.sample(&sum, &[("operation", operation)], seconds);
            out.sample(&count, &[("operation", operation)], total);
        }
        out.into_text()
    }
}

impl Requests {
    /// Runs a handler, which is timed until it lets go of the timer. A panic would end its thread
    /// without a word, and with it an eighth of the mount; the reply that it held is answered with
    /// EIO as it is dropped.
    pub(super) fn run(&self, operation: Operation, handler: impl FnOnce(Timer)) {
        let timer = self.served.begin(operation);
        if catch_unwind(AssertUnwindSafe(|| handler(timer))).is_err() {
            log::error!("{} panicked; EIO to it", operation.name());
        }
    }
}

/// A request that is under way; it is over when this is dropped.
pub(super) struct Timer {
    operations: Arc<Operations>,
    operation: Operation,
    begun: Stopwatch,
}

impl Timer {
    /// The answer to it, which may be given later.
    pub(super) fn with<R>(self, reply: R) -> Timed<R> {
        Timed { reply, timer: self }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.operations.0[self.operation as usize].note(nanos);
    }
}

/// A reply whose request is over when it is given.
pub(super) struct Timed<R> {
    reply: R,
    timer: Timer,
}

impl<R> Timed<R> {
    /// Gives it.
    pub(super) fn give(self, give: impl FnOnce(R)) {
        let Timed { reply, timer } = self;
        give(reply);
        drop(timer);
    }

    /// It turns out to be another operation.
    pub(super) fn is_of(&mut self, operation: Operation) {
        self.timer.operation = operation;
    }
}

impl<R: Answer> Answer for Timed<R> {
    fn fail(self, errno: Errno) {
        self.give(|reply| reply.fail(errno));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_in_every_bucket_that_it_fits_in() {
        let operations = Arc::new(Operations::default());
        for nanos in [1, 100_000, 100_001, 5_000_000_000] {
            operations.0[Operation::Read as usize].note(nanos);
        }
        drop(operations.begin(Operation::Rename));
        let text = operations.text();
        for line in [
            "_bucket{operation=\"read\",le=\"0.0001\"} 2",
            "_bucket{operation=\"read\",le=\"0.0003\"} 3",
            "_bucket{operation=\"read\",le=\"3\"} 3",
            "_bucket{operation=\"read\",le=\"+Inf\"} 4",
            "_sum{operation=\"read\"} 5.000200002",
            "_count{operation=\"read\"} 4",
            "_count{operation=\"rename\"} 1",
            "_count{operation=\"lookup\"} 0",
        ] {
            assert!(text.contains(&format!("duration_seconds{line}\n")), "{line}:\n{text}");
        }
    }

    #[test]
    fn a_request_that_turns_out_to_be_another_is_counted_as_that() {
        let operations = Arc::new(Operations::default());
        let mut timed = operations.begin(Operation::Read).with(());
        timed.is_of(Operation::ReadLive);
        timed.give(|()| ());
        let text = operations.text();
        assert!(text.contains("_count{operation=\"read\"} 0\n"), "{text}");
        assert!(text.contains("_count{operation=\"read_live\"} 1\n"), "{text}");
    }
}
