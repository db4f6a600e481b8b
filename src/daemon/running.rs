//! The daemon while it runs: signals, small chores, and stopping in order.

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use tokio::runtime::Runtime;

use super::deeds::log_deeds;
use super::recording::{Recorded, Recording};
use super::reporter::{Parts, Reporter};
use super::settings::Settings;
use super::views::Views;
use super::{DaemonError, Store, wanted};
use crate::clock::{Clock, Stopwatch, SystemClock, within};
use crate::control::{Asked, Control};
use crate::ring::{ClockFact, Writer};

/// How often signals and asks are looked at: what a person at the keyboard does not notice.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Asks that are answered between two looks at anything else, beside the first.
const ASKS_MAX: usize = 100;
/// How often it is looked at whether cameras are to be recorded by now.
const HOURS_INTERVAL: Duration = Duration::from_secs(1);
/// How often emptied directories are looked at.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);
/// How often the trusted time goes to the ledger: it is what the next start compares its clock
/// with, and beyond an hour's difference it would doubt it.
const CLOCK_INTERVAL: Duration = Duration::from_secs(600);
/// How often it is looked at whether the ring is large enough: rates change with the day.
const FORECAST_INTERVAL: Duration = Duration::from_secs(3600);
/// The cameras' threads get this long to end once their tasks have.
const RUNTIME_STOP: Duration = Duration::from_secs(2);

/// The purge gets this long to end with the clip that it is at.
const PURGE_STOP: Duration = Duration::from_secs(5);

/// The scrub gets this long to end with the read that is under way.
const SCRUB_STOP: Duration = Duration::from_secs(2);

/// Signals that have come.
pub(super) struct Signals {
    stop: Arc<std::sync::atomic::AtomicBool>,
    confirm: Arc<std::sync::atomic::AtomicBool>,
    reload: Arc<std::sync::atomic::AtomicBool>,
}

impl Signals {
    /// SIGTERM and SIGINT end the daemon in order, SIGUSR1 says that the clock is right. SIGHUP
    /// asks for the settings to be read again; it comes when the terminal is closed, too.
    pub(super) fn catch() -> Result<Signals, DaemonError> {
        let signals =
            Signals { stop: Arc::default(), confirm: Arc::default(), reload: Arc::default() };
        let failed = |source| DaemonError::System { what: "signal handlers", source };
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, signals.stop.clone()).map_err(failed)?;
        }
        signal_hook::flag::register(SIGUSR1, signals.confirm.clone()).map_err(failed)?;
        signal_hook::flag::register(SIGHUP, signals.reload.clone()).map_err(failed)?;
        // A limit that is set while it runs: the write says so, and nothing has to end for it.
        signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(failed)?;
        Ok(signals)
    }

    pub(super) fn stop_asked(&self) -> bool {
        self.stop.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn take_reload(&self) -> bool {
        self.reload.swap(false, std::sync::atomic::Ordering::Relaxed)
    }

    fn take_confirm(&self) -> bool {
        self.confirm.swap(false, std::sync::atomic::Ordering::Relaxed)
    }
}

/// Everything above the ring.
pub(super) struct Running {
    pub reporter: Arc<Reporter>,
    pub views: Views,
    /// `None` where nothing can be recorded.
    pub recording: Option<Recording>,
    pub runtime: Runtime,
    pub writer: Writer,
    /// What somebody asks for.
    pub asks: mpsc::Receiver<Asked>,
    /// Where that is asked; `None` where nobody can.
    pub control: Option<Control>,
    /// Cameras that were warned of.
    pub warned: Vec<String>,
}

impl Running {
    /// Does small chores until a signal ends it.
    pub(super) fn wait(&mut self, signals: &Signals, mut settings: Settings, store: &Store) {
        let clock = SystemClock::new();
        let mut tidied = Stopwatch::start();
        let mut clock_kept = None::<Stopwatch>;
        let mut looked = Stopwatch::start();
        let mut foreseen = None::<Stopwatch>;
        while !signals.stop_asked() {
            let first = self.wait_for_ask();
            if signals.take_confirm() {
                self.reporter.confirm_clock();
                // Whoever confirms it is not to be asked again after a power cut.
                clock_kept = None;
            }
            settings.look(signals.take_reload(), self, store);
            let more = std::iter::from_fn(|| self.asks.try_recv().ok()).take(ASKS_MAX);
            for asked in first.into_iter().chain(more) {
                settings.answer(asked, self, store);
            }
            settings.answer_closed(self, store);
            settings.bring_back(self);
            if looked.elapsed() >= HOURS_INTERVAL {
                looked = Stopwatch::start();
                settings.look_at_hours(self, store);
            }
            log_deeds(&self.views.library.deeds.take_over(store.clock.boot()));
            if tidied.elapsed() >= TIDY_INTERVAL {
                tidied = Stopwatch::start();
                self.views.keep_mounted();
                self.views.drop_empty(clock.read().boot);
            }
            if foreseen.is_none_or(|at| at.elapsed() >= FORECAST_INTERVAL) {
                foreseen = Some(Stopwatch::start());
                self.warn();
            }
            if clock_kept.is_none_or(|at| at.elapsed() >= CLOCK_INTERVAL) {
                clock_kept = self.keep_clock().then(Stopwatch::start);
            }
        }
        log::info!("asked to stop");
    }

    /// Until somebody asks for something, or it is time to look at the rest.
    fn wait_for_ask(&self) -> Option<Asked> {
        match self.asks.recv_timeout(LOOK_INTERVAL) {
            Ok(asked) => Some(asked),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(LOOK_INTERVAL);
                None
            }
        }
    }

    /// Once for each camera, as long as it stays so: the numbers in it change.
    fn warn(&mut self) {
        let unkept = self.reporter.unkept();
        for (_, warning) in unkept.iter().filter(|(camera, _)| !self.warned.contains(camera)) {
            log::warn!("{warning}");
        }
        self.warned = unkept.into_iter().map(|(camera, _)| camera).collect();
    }

    fn keep_clock(&self) -> bool {
        let known = self.reporter.known_time();
        if let Some(known) = known {
            let clock = ClockFact { wall: known.wall, boot: known.boot, boot_id: known.boot_id };
            self.writer.trust_clock(clock);
        }
        known.is_some()
    }

    /// Recorders first: they hand in what they hold. The mount last: it needs the ring only to
    /// read.
    pub(super) fn stop(mut self, store: &Store) {
        drop(self.control.take());
        let Parts { recorders, off, purger, scrubber, caretaker, .. } = self.reporter.end();
        drop(caretaker);
        Recorded::stop_all(recorders);
        wanted::end(&off, store);
        self.keep_clock();
        if let Some(scrubber) = scrubber
            && within(SCRUB_STOP, "scrub-stop", move || scrubber.stop()).is_err()
        {
            log::warn!("the scrub waits for the device, and is left behind");
        }
        if let Some(purger) = purger
            && within(PURGE_STOP, "purge-stop", move || purger.stop()).is_err()
        {
            log::warn!(
                "the purge has not ended after {PURGE_STOP:?}; it goes on at the next start"
            );
        }
        self.views.unmount();
        log_deeds(&self.views.library.deeds.take_all());
        self.runtime.shutdown_timeout(RUNTIME_STOP);
        log::info!("recorders stopped, unmounted");
    }
}
