//! The background scrub: a thread of the daemon that tries all footage once in a given time.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::idle::give_way;
use super::names::{Span, span_of_table};
use super::pass::Schedule;
use crate::archive::Archive;
use crate::clock::{Clock, Stopwatch};
use crate::ring::{Fault, HeldExtent, Writer};
use crate::units::{BlockNumber, ByteCount, ClipId, ClipKey, WallTime};

/// Read at once, in bytes: a spinning disk is back with the others after a few milliseconds.
const STRIDE: ByteCount = ByteCount(256 << 10);
/// The longest rest between two reads: a stop is noticed at once, a clock that has been set soon.
const REST_MAX: Duration = Duration::from_secs(60);
/// A scrub that is behind its time rests this part of the time that a read would have.
const HURRY: u32 = 4;
/// How long a read waits for the writer's queue to become empty, and how often it looks. It goes
/// on after that: a queue that is never empty must not keep rot from being found.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(5);
const QUEUE_LOOK: Duration = Duration::from_millis(20);
/// How often a device that is away is looked for.
const AWAY_LOOK: Duration = Duration::from_secs(5);
/// Places that are remembered, so that each is told once.
const PLACES_MAX: usize = 10_000;
/// Findings that `status` shows.
pub const LATEST_MAX: usize = 16;
/// Lines that the log takes in one [`LINES_INTERVAL`].
const LINES_MAX: u32 = 10;
/// See [`LINES_MAX`].
const LINES_INTERVAL: Duration = Duration::from_secs(60);

/// Something damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// When it was found.
    pub at: WallTime,
    /// Name of the camera.
    pub camera: String,
    /// The clip.
    pub clip: ClipId,
    /// From when to when the footage was taken that is hit.
    pub hit: Span,
    /// Block of the ring.
    pub block: BlockNumber,
    /// Page in the block.
    pub page: u32,
    /// What is wrong, in words.
    pub found: String,
}

/// What the scrub has done since it was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrubCounters {
    /// Part of the ring that the present pass has been through, in percent.
    pub progress_percent: f64,
    /// When the last pass was complete.
    pub last_complete: Option<WallTime>,
    /// Chunks tried.
    pub chunks: u64,
    /// Bytes in them.
    pub bytes: ByteCount,
    /// Places that are damaged.
    pub damaged: u64,
    /// The latest of them, the newest last; [`LATEST_MAX`] at most.
    pub latest: VecDeque<Damage>,
}

#[derive(Default)]
struct State {
    counters: ScrubCounters,
    stopping: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; `false` when it is time to stop.
    fn rest(&self, time: Duration) -> bool {
        let waiting = |state: &mut State| !state.stopping;
        let waited = self.changed.wait_timeout_while(self.state(), time, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

/// The scrub, running.
pub struct Scrubber {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Scrubber {
    /// Starts the thread: everything is tried once in `every`, which is at least a nanosecond.
    /// `passed` is called when it was.
    ///
    /// # Errors
    /// Where the thread can't be started.
    pub fn start(
        every: Duration,
        archive: Arc<Archive>,
        writer: Writer,
        clock: Arc<dyn Clock>,
        passed: Box<dyn Fn() + Send>,
    ) -> io::Result<Scrubber> {
        let shared = Arc::new(Shared::default());
        let blocks = archive.ring().superblock().geometry.block_count;
        let passes = Passes {
            schedule: Schedule { blocks, every },
            shared: shared.clone(),
            archive,
            writer,
            clock,
            passed,
            places: BTreeSet::new(),
            lines: Lines { began: Stopwatch::start(), written: 0, left_out: 0 },
        };
        let thread = std::thread::Builder::new().name("scrub".into()).spawn(|| passes.run())?;
        Ok(Scrubber { shared, thread: Some(thread) })
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> ScrubCounters {
        self.shared.state().counters.clone()
    }

    /// Stops after the read that is under way, and waits for it.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.shared.state().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the scrub thread has panicked");
        }
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.halt();
    }
}

/// How many lines the log has taken lately.
struct Lines {
    began: Stopwatch,
    written: u32,
    left_out: u64,
}

impl Lines {
    fn take(&mut self, line: &str) {
        if self.began.elapsed() >= LINES_INTERVAL {
            (self.began, self.written) = (Stopwatch::start(), 0);
        }
        if self.written >= LINES_MAX {
            self.left_out += 1;
            return;
        }
        self.written += 1;
        match std::mem::take(&mut self.left_out) {
            0 => log::error!("{line}"),
            more => log::error!("{line}; and {more} more places before it"),
        }
    }
}

/// What the thread works with.
struct Passes {
    schedule: Schedule,
    shared: Arc<Shared>,
    archive: Arc<Archive>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    passed: Box<dyn Fn() + Send>,
    /// Lives of blocks and pages in them that have been told.
    places: BTreeSet<(u64, u32)>,
    lines: Lines,
}

impl Passes {
    fn run(mut self) {
        if let Err(error) = give_way() {
            log::debug!("scrub: no idle priority: {error}");
        }
        let mut position = self.schedule.due(self.clock.read().wall.0);
        // Blocks that were tried one behind another: a pass is complete with as many as there are.
        let mut in_a_row = 0;
        loop {
            let due = self.schedule.due(self.clock.read().wall.0);
            position = self.schedule.in_pass_of(position, due);
            if position > due {
                if !self.shared.rest(self.schedule.per_block().min(REST_MAX)) {
                    return;
                }
                continue;
            }
            let behind = due - position;
            if !self.scrub_block(BlockNumber(self.schedule.block(position)), behind) {
                return;
            }
            position += 1;
            in_a_row += 1;
            self.count_block(&mut in_a_row);
        }
    }

    fn count_block(&self, in_a_row: &mut u32) {
        let now = self.clock.read().wall;
        let counters = &mut self.shared.state().counters;
        if *in_a_row >= self.schedule.blocks {
            *in_a_row = 0;
            counters.last_complete = Some(now);
            (self.passed)();
        }
        counters.progress_percent =
            f64::from(*in_a_row) * 100.0 / f64::from(self.schedule.blocks.max(1));
    }

    /// Answers `false` when it is time to stop.
    fn scrub_block(&mut self, block: BlockNumber, behind: u64) -> bool {
        let ring = self.archive.ring().clone();
        let block_bytes = ring.superblock().geometry.block_length.0.max(1);
        let per_block = self.schedule.per_block() / if behind > 1 { HURRY } else { 1 };
        let (shared, writer) = (self.shared.clone(), self.writer.clone());
        let mut pace = |length: ByteCount| {
            let part = length.0 as f64 / block_bytes as f64;
            let rest = per_block.mul_f64(part.min(1.0)).min(REST_MAX);
            shared.rest(rest) && wait_for_writer(&shared, &writer)
        };
        for held in ring.extents_in(block) {
            let mut scrubbed = ring.scrub(&held, STRIDE, &mut pace);
            while scrubbed.is_away && self.shared.rest(AWAY_LOOK) {
                scrubbed = ring.scrub(&held, STRIDE, &mut pace);
            }
            {
                let counters = &mut self.shared.state().counters;
                counters.chunks += scrubbed.chunks;
                counters.bytes += scrubbed.bytes;
            }
            for fault in scrubbed.faults {
                self.tell(&held, &fault);
            }
            if self.shared.state().stopping {
                return false;
            }
        }
        true
    }

    fn tell(&mut self, held: &HeldExtent, fault: &Fault) {
        let place = (held.extent.life.0, fault.pages.start);
        if self.places.contains(&place) {
            return;
        }
        if self.places.len() >= PLACES_MAX {
            self.places.clear();
        }
        self.places.insert(place);
        let Some((camera, clip_span)) = self.clip(held.clip) else { return };
        let span = fault.table.as_ref().and_then(|table| span_of_table(table));
        let (block, page) = (held.extent.block, fault.pages.start);
        let damage = Damage {
            at: self.clock.read().wall,
            camera,
            clip: held.clip,
            hit: span.unwrap_or(clip_span),
            block,
            page,
            found: match held.is_table {
                true => format!("its table, which is a cache: {}", fault.wrong),
                false => fault.wrong.to_string(),
            },
        };
        self.lines.take(&format!(
            "scrub: {}: clip {} is damaged at page {page} of block {block}: {}",
            damage.camera, damage.clip, damage.found
        ));
        let counters = &mut self.shared.state().counters;
        counters.damaged += 1;
        counters.latest.push_back(damage);
        if counters.latest.len() > LATEST_MAX {
            counters.latest.pop_front();
        }
    }

    /// Whose a clip is and when it was taken; `None` where it is gone.
    fn clip(&self, clip: ClipId) -> Option<(String, Span)> {
        let catalogue = self.archive.catalogue();
        let clip = catalogue.clip(ClipKey::new(self.archive.number(), clip)?)?;
        Some((catalogue.camera_of(clip), (clip.fact.start, clip.fact.end)))
    }
}

/// Recording comes first. Answers `false` when it is time to stop.
fn wait_for_writer(shared: &Shared, writer: &Writer) -> bool {
    let began = Stopwatch::start();
    while writer.queued().0 > 0 && began.elapsed() < QUEUE_WAIT_MAX {
        if !shared.rest(QUEUE_LOOK) {
            return false;
        }
    }
    true
}
