//! How many requests there were, and how long each took to be answered: counted without a lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::Errno;

use super::announcing::Announced;
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
    MkDir,
    Unlink,
    RmDir,
    Rename,
}

/// As FUSE calls them, in their order.
const NAMES: [&str; 20] = [
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
    "mkdir",
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
    /// Requests that could not be answered.
    failures: AtomicU64,
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
struct Operations([Histogram; NAMES.len()]);

impl Operations {
    /// A request begins.
    fn begin(self: &Arc<Self>, operation: Operation) -> Timer {
        Timer { operations: Arc::clone(self), operation, begun: Stopwatch::start() }
    }

    fn note_failure(&self, operation: Operation) {
        self.0[operation as usize].failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// Requests to every view, and what was announced in it, counted; one of them is who counts.
#[derive(Clone)]
pub struct RequestCounts {
    all: Arc<[OfView]>,
    own: OfView,
}

#[derive(Clone, Default)]
struct OfView {
    /// What it is called.
    name: String,
    operations: Arc<Operations>,
    announced: Arc<Announced>,
}

impl Default for RequestCounts {
    fn default() -> RequestCounts {
        let own = OfView::default();
        RequestCounts { all: Arc::new([own.clone()]), own }
    }
}

impl RequestCounts {
    /// One for each of these views, by their names.
    #[must_use]
    pub fn of(views: impl IntoIterator<Item = String>) -> Vec<RequestCounts> {
        let views = views.into_iter().map(|name| OfView { name, ..OfView::default() });
        let all: Arc<[OfView]> = views.collect();
        all.iter().map(|own| RequestCounts { all: Arc::clone(&all), own: own.clone() }).collect()
    }

    /// A request begins.
    pub(super) fn begin(&self, operation: Operation) -> Timer {
        self.own.operations.begin(operation)
    }

    /// Where it is counted what is announced.
    pub(super) fn announced(&self) -> Arc<Announced> {
        Arc::clone(&self.own.announced)
    }

    /// All of it, for `.metrics`: by view, where there is more than one.
    pub(super) fn text(&self) -> String {
        const DURATION: &str = "reelfs_fuse_request_duration_seconds";
        const ERRORS: &str = "reelfs_fuse_errors_total";
        let is_one = self.all.len() == 1;
        let views = self.all.iter().map(|of| ((!is_one).then_some(("view", of.name.as_str())), of));
        let mut out = Exposition::default();
        out.begin(DURATION, Kind::Histogram, "How long requests to the mount took to be answered.");
        for (view, of) in views.clone() {
            of.operations.tell(DURATION, view, &mut out);
        }
        out.begin(ERRORS, Kind::Counter, "Requests to the mount that failed: EIO, ENODATA.");
        for (view, of) in views.clone() {
            for (operation, histogram) in NAMES.iter().zip(&of.operations.0) {
                let labels: Vec<_> = view.into_iter().chain([("operation", *operation)]).collect();
                out.sample(ERRORS, &labels, histogram.failures.load(Ordering::Relaxed));
            }
        }
        Announced::tell_all(views.map(|(view, of)| (view, &*of.announced)), &mut out);
        out.into_text()
    }
}

impl Operations {
    fn tell(&self, name: &str, view: Option<(&str, &str)>, out: &mut Exposition) {
        let [bucket, sum, count] = ["bucket", "sum", "count"].map(|it| format!("{name}_{it}"));
        let mut labels: Vec<(&str, &str)> = view.into_iter().collect();
        let own = labels.len();
        for (operation, histogram) in NAMES.iter().zip(&self.0) {
            labels.truncate(own);
            labels.push(("operation", operation));
            let mut total = 0;
            let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
            for (bound, requests) in bounds.zip(&histogram.buckets) {
                total += requests.load(Ordering::Relaxed);
                out.sample(&bucket, &[&labels[..], &[("le", bound)]].concat(), total);
            }
            let seconds = histogram.nanos.load(Ordering::Relaxed) as f64 / 1e9;
            out.sample(&sum, &labels, seconds);
            out.sample(&count, &labels, total);
        }
    }
}

impl Requests {
    /// Runs a handler, which is timed until it lets go of the timer. A panic would end its thread
    /// without a word, and with it an eighth of the mount; the reply that it held is answered with
    /// EIO as it is dropped.
    pub(super) fn run(&self, operation: Operation, handler: impl FnOnce(Timer)) {
        let timer = self.served.begin(operation);
        let operations = Arc::clone(&timer.operations);
        if catch_unwind(AssertUnwindSafe(|| handler(timer))).is_err() {
            operations.note_failure(operation);
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
        // What is not there, or not allowed, is no failure of the mount.
        if errno == Errno::EIO || errno == Errno::ENODATA {
            self.timer.operations.note_failure(self.timer.operation);
        }
        self.give(|reply| reply.fail(errno));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_in_every_bucket_that_it_fits_in() {
        let counts = RequestCounts::default();
        for nanos in [1, 100_000, 100_001, 5_000_000_000] {
            counts.own.operations.0[Operation::Read as usize].note(nanos);
        }
        drop(counts.begin(Operation::Rename));
        let text = counts.text();
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
        let counts = RequestCounts::default();
        let mut timed = counts.begin(Operation::Read).with(());
        timed.is_of(Operation::ReadLive);
        timed.give(|()| ());
        let text = counts.text();
        assert!(text.contains("_count{operation=\"read\"} 0\n"), "{text}");
        assert!(text.contains("_count{operation=\"read_live\"} 1\n"), "{text}");
    }

    #[test]
    fn a_request_that_can_not_be_answered_is_a_failure_and_one_for_what_is_not_there_is_none() {
        struct Reply;
        impl Answer for Reply {
            fn fail(self, _errno: Errno) {}
        }
        let counts = RequestCounts::default();
        for errno in [Errno::EIO, Errno::ENODATA, Errno::ENOENT, Errno::EROFS] {
            counts.begin(Operation::Read).with(Reply).fail(errno);
        }
        let text = counts.text();
        assert!(text.contains("reelfs_fuse_errors_total{operation=\"read\"} 2\n"), "{text}");
        assert!(text.contains("reelfs_fuse_errors_total{operation=\"lookup\"} 0\n"), "{text}");
    }

    #[test]
    fn each_view_tells_the_requests_of_all_by_their_mounts() {
        let views = RequestCounts::of(["/a", "/b"].map(str::to_owned));
        drop(views[1].begin(Operation::Open));
        views[1].announced().note();
        for counts in &views {
            let text = counts.text();
            assert_eq!(text.matches("# TYPE").count(), 4);
            for (view, count) in [("/a", 0), ("/b", 1)] {
                let told = format!("reelfs_announcements_total{{view=\"{view}\"}} {count}\n");
                assert!(text.contains(&told), "{told}{text}");
                let line = format!("_count{{view=\"{view}\",operation=\"open\"}} {count}\n");
                assert!(text.contains(&line), "{line}{text}");
            }
        }
    }
}
