//! Carries expiry and redating out, in the background, on a thread of its own.
//!
//! A pass asks [`retention`](crate::retention) what is due, under a short read lock of the
//! catalogue, and has the ring carry it out clip by clip, under no lock at all. Recording is never
//! in its way: the ring's writer comes first, and the purge rests between clips.

mod account;
mod ahead;
mod brake;
mod passes;
mod preview;
mod redating;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::catalogue::Catalogue;
use crate::clock::{Clock, ClockGuard, Doubt, KnownTime};
use crate::dating::Wrong;
use crate::retention::Policy;
use crate::ring::{ClipState, RingError, StateRequest, Writer};
use crate::units::{
    ByteCount, ClipId, EventId, NANOS_PER_SECOND, StreamKey, StreamNumber, WallTime,
};
use brake::Brake;
use passes::Passes;

pub use brake::Braked;
pub use preview::{Preview, preview};

/// Rest between two clips: leaves the disk to readers and recorders.
const REST: Duration = Duration::from_millis(5);

/// How often the log says again that the clock is doubted, in nanoseconds of boot time: an hour.
const REMINDER_NANOS: i64 = 3600 * NANOS_PER_SECOND;

/// What carries decisions out: the ring's writer.
pub trait Reclaimer: Send + 'static {
    /// As [`Writer::change_state_from`]; false where the clip or the ring refuses.
    fn change_state(&self, clip: ClipId, from: ClipState, request: StateRequest) -> bool;

    /// As [`Writer::redate`] for each, and waits until that is durable.
    fn redate(&self, wrong: &[Wrong]);

    /// As [`Writer::withdraw_event`]; what the ring does not take, the next pass comes back to.
    fn withdraw(&self, stream: StreamNumber, event: EventId);

    /// As [`Writer::free`].
    ///
    /// # Errors
    /// As [`Writer::free`].
    fn free(&self, clip: ClipId, wipe: bool) -> Result<ByteCount, RingError>;
}

impl Reclaimer for Writer {
    fn change_state(&self, clip: ClipId, from: ClipState, request: StateRequest) -> bool {
        // Where the ring does not keep up, the next pass comes back to it.
        self.change_state_from(clip, from, request).is_ok()
    }

    fn redate(&self, wrong: &[Wrong]) {
        for wrong in wrong {
            Writer::redate(self, wrong.clip.clip(), wrong.shift_nanos);
        }
        // A device that fails is told of by the ring, which says again what it did not take.
        let _ = self.sync();
    }

    fn withdraw(&self, stream: StreamNumber, event: EventId) {
        let _ = self.withdraw_event(stream, event);
    }

    fn free(&self, clip: ClipId, wipe: bool) -> Result<ByteCount, RingError> {
        Writer::free(self, clip, wipe)
    }
}

/// How the purge is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Time between two passes.
    pub every: Duration,
    /// Whether the samples of purged clips are overwritten with zeros.
    pub wipe: bool,
    /// How long footage stays.
    pub policy: Policy,
    /// How much of a camera one pass gives up, in percent; `None`: as much as there is.
    pub brake: Option<u8>,
}

/// Why nothing is being purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// When the doubt began, as the doubted clock shows it.
    pub since: WallTime,
    /// How far the clock is ahead of what is known, in nanoseconds.
    pub step_nanos: i64,
    /// Why it is doubted.
    pub reason: Doubt,
}

/// What the purge has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Passes that are finished.
    pub passes: u64,
    /// Clips that were purged.
    pub clips: u64,
    /// Space that they took on the device.
    pub bytes: ByteCount,
    /// Clips that were retired, because nothing claimed them.
    pub retired: u64,
    /// Of those, how many came back, because something did.
    pub brought_back: u64,
    /// Clips that the ring failed to purge; each is tried again in the next pass.
    pub failures: u64,
    /// Present while the clock is doubted, and nothing expires.
    pub suspension: Option<Suspension>,
    /// Where footage lies in the future: the end of the newest.
    pub newest_ahead: Option<WallTime>,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    guard: ClockGuard,
    counters: Counters,
    /// What is not given up before somebody confirms it.
    held: BTreeMap<StreamKey, Braked>,
    /// Of which of it somebody has.
    confirmed: Vec<StreamKey>,
    stopping: bool,
    /// A pass is wanted without waiting for its time.
    hurried: bool,
}

#[derive(Debug)]
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
    fn wait(&self, time: Duration) -> bool {
        let waiting = |state: &mut State| !state.stopping && !state.hurried;
        let waited = self.changed.wait_timeout_while(self.state(), time, waiting);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.hurried = false;
        !state.stopping
    }

    fn stopping(&self) -> bool {
        self.state().stopping
    }
}

/// The purge, running.
#[derive(Debug)]
pub struct Purger {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Purger {
    /// Starts the thread; its first pass comes at once. `guard` begins with what the ledger knows
    /// of the clock.
    ///
    /// # Errors
    /// Where the thread can't be started.
    pub fn start(
        settings: Settings,
        catalogue: Arc<RwLock<Catalogue>>,
        reclaimer: impl Reclaimer,
        clock: Arc<dyn Clock>,
        guard: ClockGuard,
    ) -> io::Result<Purger> {
        let counters = Counters::default();
        let (held, confirmed) = (BTreeMap::new(), Vec::new());
        let (stopping, hurried) = (false, false);
        let state = State { settings, guard, counters, held, confirmed, stopping, hurried };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (told, brake) = (Arc::clone(&shared), Brake::default());
        let (reminded_at, redated) = (None, None);
        let passes =
            Passes { shared: told, catalogue, reclaimer, clock, brake, reminded_at, redated };
        let thread = std::thread::Builder::new().name("purge".into()).spawn(|| passes.run())?;
        Ok(Purger { shared, thread: Some(thread) })
    }

    /// Takes new settings, as after a reload; holds from the next pass on, which comes at once.
    pub fn set(&self, settings: Settings) {
        self.shared.state().settings = settings;
        self.hurry();
    }

    /// Somebody says that the clock is right; see [`ClockGuard::confirm`].
    pub fn confirm_clock(&self) {
        log::info!("the clock has been confirmed: what is due is deleted");
        self.shared.state().guard.confirm();
        self.hurry();
    }

    /// What is known of the clock, for the ledger; see [`ClockGuard::known`].
    #[must_use]
    pub fn known_time(&self) -> Option<KnownTime> {
        self.shared.state().guard.known()
    }

    /// What has been done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.state().counters
    }

    /// What is not given up before somebody confirms it, by stream.
    #[must_use]
    pub fn held(&self) -> BTreeMap<StreamKey, Braked> {
        self.shared.state().held.clone()
    }

    /// Somebody says that what is held of a stream is to go: it does with the next pass, which
    /// comes at once. What is held of it later is held anew.
    pub fn confirm(&self, stream: StreamKey) {
        self.shared.state().confirmed.push(stream);
        self.hurry();
    }

    /// Makes the next pass come at once.
    pub fn hurry(&self) {
        self.shared.state().hurried = true;
        self.shared.changed.notify_all();
    }

    /// Stops after the clip that is being purged, and waits for it.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.shared.state().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the purge thread has panicked");
        }
    }
}

impl Drop for Purger {
    fn drop(&mut self) {
        self.halt();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::clock::Reading;
    use crate::retention::{EventTerms, Quota, Terms};
    use crate::ring::{News, Reason, Used};
    use crate::segment::{
        ClipFact, ClockQuality, EventClass, EventFact, NameForm, Redating, StreamFact, StreamName,
    };
    use crate::units::{
        BootTime, ClipKey, RingNumber, Sequence, SessionNumber, StreamNumber, length_of,
    };

    const DAY: i64 = 86_400 * NANOS_PER_SECOND;
    const NOW: i64 = 21_000 * DAY;

    fn id(counter: u64) -> ClipId {
        ClipId(Sequence::new(SessionNumber(1), counter))
    }

    fn key(counter: u64) -> ClipKey {
        ClipKey::new(RingNumber(0), id(counter)).expect("a sound id")
    }

    /// A clock that stands where it is put.
    struct Still(Mutex<Reading>);

    impl Still {
        fn at(wall: i64) -> Arc<Still> {
            let (wall, boot) = (WallTime(wall), BootTime(0));
            Arc::new(Still(Mutex::new(Reading {
                wall,
                boot,
                boot_id: [1; 16],
                synchronised: false,
            })))
        }

        fn step(&self, wall: i64) {
            self.0.lock().expect("the clock").wall = WallTime(wall);
        }
    }

    impl Clock for Still {
        fn read(&self) -> Reading {
            *self.0.lock().expect("the clock")
        }
    }

    /// A ring that does what it is told and tells the catalogue.
    struct Recorder {
        catalogue: Arc<RwLock<Catalogue>>,
        purged: Arc<Mutex<Vec<(ClipId, bool)>>>,
        failing: Option<ClipId>,
    }

    impl Recorder {
        fn tell(&self, news: &News) {
            let mut catalogue = self.catalogue.try_write().expect("no lock held across a call");
            catalogue.apply(RingNumber(0), news).expect("well-formed news");
        }
    }

    impl Reclaimer for Recorder {
        fn change_state(&self, clip: ClipId, from: ClipState, request: StateRequest) -> bool {
            let Ok(state) = from.after(request) else { return false };
            self.tell(&News::StateSet { clip, state });
            true
        }

        fn redate(&self, wrong: &[Wrong]) {
            for Wrong { clip, shift_nanos } in wrong {
                let redating = Redating { shift_nanos: *shift_nanos, name_form: NameForm::Seconds };
                let redating = redating.encode().into();
                self.tell(&News::ClipRedated { clip: clip.clip(), redating });
            }
        }

        fn withdraw(&self, stream: StreamNumber, event: EventId) {
            self.tell(&News::EventSet { stream, event, fact: [].into() });
        }

        fn free(&self, clip: ClipId, wipe: bool) -> Result<ByteCount, RingError> {
            if self.failing == Some(clip) {
                let source = io::Error::other("bad sector");
                return Err(RingError::Device { what: "writing zeros".into(), source });
            }
            self.purged.lock().expect("the list").push((clip, wipe));
            self.tell(&News::ClipGone { clip, reason: Reason::Expired });
            Ok(ByteCount(4096))
        }
    }

    struct Scene {
        catalogue: Arc<RwLock<Catalogue>>,
        purged: Arc<Mutex<Vec<(ClipId, bool)>>>,
        clock: Arc<Still>,
        purger: Purger,
    }

    /// A camera with `retain` of five days and a clip for each of the last ten, ids 0 to 9; clip 8
    /// was removed with a deadline that has passed.
    fn scene(failing: Option<ClipId>) -> Scene {
        let mut catalogue = Catalogue::new();
        let stream = StreamNumber(1);
        let names = vec![StreamName { name: "front-door".into(), since: WallTime(0) }];
        let fact =
            StreamFact { uuid: [0; 16], names, retain_nanos: None, removed: None, switch: None };
        let fact = fact.encode().into();
        catalogue.apply(RingNumber(0), &News::StreamSet { stream, fact }).expect("a stream");
        for counter in 0..10 {
            let start = WallTime(NOW - (10 - counter as i64) * DAY);
            let end = start.plus_nanos(60 * NANOS_PER_SECOND);
            let fact = ClipFact::between(start, end, ClockQuality::Synchronised);
            let (fact, used) = (fact.encode().into(), Used { bytes: ByteCount(4096), blocks: 1 });
            let closed = News::ClipClosed { clip: id(counter), stream, fact, used, redating: None };
            catalogue.apply(RingNumber(0), &closed).expect("a clip");
        }
        let state = ClipState::Expiring { until: WallTime(NOW - 1), reason: Reason::Deleted };
        catalogue.apply(RingNumber(0), &News::StateSet { clip: id(8), state }).expect("a state");
        let catalogue = Arc::new(RwLock::new(catalogue));
        let purged = Arc::new(Mutex::new(Vec::new()));
        let reclaimer =
            Recorder { catalogue: Arc::clone(&catalogue), purged: Arc::clone(&purged), failing };
        let clock = Still::at(NOW);
        let purger = Purger::start(
            settings(5),
            Arc::clone(&catalogue),
            reclaimer,
            Arc::clone(&clock) as Arc<dyn Clock>,
            ClockGuard::new(None),
        );
        Scene { catalogue, purged, clock, purger: purger.expect("a thread") }
    }

    fn settings(retain_days: i64) -> Settings {
        let stream = StreamKey { ring: RingNumber(0), stream: StreamNumber(1) };
        let terms = Terms::of_age(Some(length_of(retain_days * DAY)));
        let cameras = BTreeMap::from([(stream, terms)]);
        let policy = Policy { cameras, ..Policy::default() };
        Settings { every: Duration::from_secs(3600), wipe: true, policy, brake: None }
    }

    fn wait_for_pass(purger: &Purger, passes: u64) -> Counters {
        let deadline = Instant::now() + Duration::from_secs(20);
        while purger.counters().passes < passes {
            assert!(Instant::now() < deadline, "no pass");
            std::thread::sleep(Duration::from_millis(1));
        }
        purger.counters()
    }

    #[test]
    fn a_pass_purges_what_is_due_and_counts_it() {
        let scene = scene(None);
        let counters = wait_for_pass(&scene.purger, 1);
        assert_eq!((counters.clips, counters.bytes), (6, ByteCount(6 * 4096)));
        let purged = scene.purged.lock().expect("the list").clone();
        assert_eq!(purged, [8, 0, 1, 2, 3, 4].map(|counter| (id(counter), true)));
        assert_eq!(scene.catalogue.read().expect("the catalogue").clip_count(), 4);
        scene.purger.set(settings(1));
        assert_eq!(wait_for_pass(&scene.purger, 2).clips, 9);
        scene.purger.stop();
    }

    #[test]
    fn a_clock_stepped_ten_years_ahead_deletes_nothing_until_it_is_confirmed() {
        let scene = scene(None);
        wait_for_pass(&scene.purger, 1);
        scene.clock.step(NOW + 3650 * DAY);
        scene.purger.hurry();
        let counters = wait_for_pass(&scene.purger, 2);
        let suspension = counters.suspension.expect("a suspension");
        assert_eq!((suspension.step_nanos, suspension.reason), (3650 * DAY, Doubt::Stepped));
        assert_eq!(counters.clips, 6);
        assert_eq!(scene.purger.known_time().map(|known| known.wall), Some(WallTime(NOW)));
        scene.purger.confirm_clock();
        let counters = wait_for_pass(&scene.purger, 3);
        assert_eq!((counters.clips, counters.suspension), (10, None));
    }

    #[test]
    fn what_a_camera_has_too_much_of_goes_behind_what_is_too_old() {
        let scene = scene(None);
        wait_for_pass(&scene.purger, 1);
        let stream = StreamKey { ring: RingNumber(0), stream: StreamNumber(1) };
        let quotas = vec![Quota { streams: vec![stream], max: ByteCount(2 * 4096) }];
        let mut settings = settings(4);
        settings.policy.quotas = quotas;
        scene.purger.set(settings);
        // Five days old is one of the four that are left; the pass behind sees to the next.
        wait_for_pass(&scene.purger, 3);
        let purged = scene.purged.lock().expect("the list").clone();
        assert_eq!(purged[6..], [5, 6].map(|counter| (id(counter), true)));
        assert_eq!(scene.catalogue.read().expect("the catalogue").clip_count(), 2);
    }

    #[test]
    fn what_nothing_claims_is_retired_and_comes_back() {
        let scene = scene(None);
        wait_for_pass(&scene.purger, 1);
        let mut strict = settings(0);
        let alerts = EventTerms { period: Some(length_of(30 * DAY)), ..EventTerms::default() };
        for terms in strict.policy.cameras.values_mut() {
            let late = length_of(DAY);
            *terms = Terms { alerts, late, ..Terms::of_age(Some(Duration::ZERO)) };
        }
        scene.purger.set(strict);
        let counters = wait_for_pass(&scene.purger, 2);
        assert_eq!((counters.retired, counters.clips), (4, 6), "none is purged");
        let state = |number| scene.catalogue.read().expect("it").clip(key(number)).map(|c| c.state);
        let quiet = ClipState::Expiring { until: WallTime(NOW + DAY), reason: Reason::Quiet };
        assert_eq!(state(7), Some(quiet));
        let start = WallTime(NOW - 3 * DAY);
        let fact = EventFact {
            source: "s".into(),
            id: "a".into(),
            class: EventClass::Alert,
            label: "person".into(),
            start,
            end: Some(start),
            heard: start,
            zones: Vec::new(),
            score_permille: None,
            text: String::new(),
        };
        let (stream, event) = (StreamNumber(1), fact.event_id());
        let said = News::EventSet { stream, event, fact: fact.encode().into() };
        scene.catalogue.write().expect("it").apply(RingNumber(0), &said).expect("an event");
        scene.purger.hurry();
        assert_eq!(wait_for_pass(&scene.purger, 3).brought_back, 1);
        assert_eq!((state(7), state(6)), (Some(ClipState::Closed), Some(quiet)));
    }

    #[test]
    fn a_clip_that_fails_keeps_no_other_and_is_tried_again() {
        let scene = scene(Some(id(8)));
        let counters = wait_for_pass(&scene.purger, 1);
        assert_eq!((counters.clips, counters.failures), (5, 1));
        scene.purger.hurry();
        let counters = wait_for_pass(&scene.purger, 2);
        assert_eq!((counters.clips, counters.failures), (5, 2));
        let state = scene.catalogue.read().expect("the catalogue").clip(key(8)).map(|c| c.state);
        assert_eq!(state, Some(ClipState::Purging { reason: Reason::Deleted }));
    }
}
