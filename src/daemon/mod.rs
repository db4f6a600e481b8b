//! Wires the rooms, owns threads, signals and the order of shutdown: `reelfs run`.
//!
//! Start-up: mount point, device, ring (which tells the catalogue what there is), index, mount,
//! recorders, purge, scrub. Shutdown goes the other way round, so that each part still finds below
//! it what it needs.

mod clips;
mod deeds;
mod events;
mod expire;
mod holder;
mod limits;
mod listener;
mod opening;
mod reader;
mod recording;
mod reporter;
mod running;
mod scrub;
mod settings;
mod streams;
mod superblocks;
mod tables;
mod views;
mod wanted;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, mpsc};
use std::time::Duration;

use tokio::sync::watch;

use crate::archive::{Archive, CatalogueUpdater};
use crate::camera::{Camera, CameraError};
use crate::catalogue::Catalogue;
use crate::clock::{Clock, Stopwatch, SystemClock, within};
use crate::config::{Config, ConfigError};
use crate::control::Control;
use crate::device::{Device, OpenError, ReturningDevice};
use crate::index::Index;
use crate::library::{Grace, RingLibrary};
use crate::live::Live;
use crate::logged::Logged;
use crate::mount::MountError;
use crate::ring::{self, Opening, Ring, RingError, Superblock, Writer};
use crate::shown::Shown;
use crate::units::Counted;
use crate::view::Layout;
use crate::zone::Zone;
use holder::RingHolder;
use listener::TreeKeeper;
pub use reader::{ReaderSettings, leave_session, read};
use recording::Recording;
use reporter::{Parts, Reporter};
use running::Running;
use settings::Settings;
pub use streams::refuse_mixed_up;
use views::Views;

/// Blocks that each stream needs at least: one that it fills, one reserved for it, and one or two
/// that can be looked at before they are evicted.
const BLOCKS_PER_STREAM_MIN: usize = 4;
/// For the device to take what is left when the daemon stops: a disk that has to spin up, and then
/// what the queue holds. A service manager allows more by default.
const CLOSE_MAX: Duration = Duration::from_secs(15);
/// Threads for all cameras: one keeps up with two hundred of them, the second keeps a slow
/// handshake from being in anybody's way.
const CAMERA_THREADS: usize = 2;

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A value of the configuration that another room has to judge.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// A camera's address.
    #[error("camera {name}: {reason}")]
    Camera {
        /// Which.
        name: String,
        /// What is wrong.
        reason: CameraError,
    },
    /// What was not flushed is lost, as by a power cut.
    #[error("{device}: the ring is not closed in order: {reason}")]
    NotClosed {
        /// Which.
        device: PathBuf,
        /// What it said, or that it did not.
        reason: String,
    },
    /// There is no device; it may come later.
    #[error("{0}")]
    NoRing(ConfigError),
    /// The device can't be opened.
    #[error("{0}")]
    Device(#[from] OpenError),
    /// The ring can't be opened.
    #[error("{device}: {reason}")]
    Ring {
        /// Which device.
        device: PathBuf,
        /// What is wrong.
        reason: RingError,
    },
    /// The ring is too small for the configured cameras.
    #[error(
        "{device} has {blocks} blocks, too few for {streams} cameras: each needs \
         {BLOCKS_PER_STREAM_MIN}; use a larger ring, or format it with smaller blocks"
    )]
    TooFewBlocks {
        /// Which device.
        device: PathBuf,
        /// How many it has.
        blocks: u32,
        /// How many cameras there are.
        streams: usize,
    },
    /// The tree can't be mounted.
    #[error("{0}")]
    Mount(#[from] MountError),
    /// The address space is limited.
    #[error(
        "the address space is limited to {limit} bytes (ulimit -v, RLIMIT_AS), and up to {needed} \
         are needed"
    )]
    AddressSpace {
        /// The limit, in bytes.
        limit: u64,
        /// What is needed, in bytes.
        needed: u64,
    },
    /// The system refuses a thread or a signal handler.
    #[error("{what}: {source}")]
    System {
        /// What was being started.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl DaemonError {
    /// Whether the configuration is wrong, rather than the world.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            DaemonError::Configuration(_)
                | DaemonError::Camera { .. }
                | DaemonError::TooFewBlocks { .. }
        )
    }
}

/// Tells how long each step of the start took.
struct Steps {
    began: Stopwatch,
    step: Stopwatch,
}

impl Steps {
    fn begin() -> Steps {
        let began = Stopwatch::start();
        Steps { began, step: began }
    }

    fn done(&mut self, what: &str) {
        log::info!("start: {what} ({:.3} s)", self.step.lap().as_secs_f64());
    }
}

/// Records, serves and purges until a signal ends it. What it logs, it finds in `logged`.
///
/// # Errors
/// Why it could not start, or that the mount went away under it. Everything that was started is
/// stopped again, and what was recorded is safe.
pub fn run(config: &Config, logged: &'static Logged) -> Result<(), DaemonError> {
    let mut steps = Steps::begin();
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let (layouts, sessions) = checked(config)?;
    limits::check(config.views.len())?;
    let signals = running::Signals::catch()?;
    views::prepare(config)?;
    let store = Store::open(config, &layouts)?;
    steps.done("the ring is open");
    let mut running = match start(config, &layouts, sessions, (&store, logged), &mut steps) {
        Ok(running) => running,
        Err(error) => {
            if let Err(error) = store.close() {
                log::error!("{error}");
            }
            return Err(error);
        }
    };
    let what = store.opening.unwritable.as_ref().map_or("recording", |_| "serving read-only");
    log::info!("{what} after {:.3} s", steps.began.elapsed().as_secs_f64());
    running.wait(&signals, Settings::new(config.clone()), &store);
    running.stop(&store);
    let closed = store.close();
    log::info!("stopped");
    closed
}

/// What a configuration comes to, in which everything is right that can be told without a ring: the
/// layout of each view, and what sessions of the cameras are begun with, in their order.
///
/// # Errors
/// What is wrong with it.
pub fn checked(config: &Config) -> Result<(Vec<Layout>, Vec<Camera>), DaemonError> {
    let layouts = config.views.iter().map(|view| {
        Layout::parse(&view.layout).map_err(|reason| config.refuse_layout(view, reason))
    });
    let layouts = layouts.collect::<Result<_, ConfigError>>()?;
    let sessions = config.cameras.iter().map(|camera| {
        camera.session().map_err(|reason| {
            let name = camera.name.as_str().to_owned();
            DaemonError::Camera { name, reason }
        })
    });
    Ok((layouts, sessions.collect::<Result<_, DaemonError>>()?))
}

/// Everything below the mount: ring, catalogue, tree, archive.
struct Store {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    device: Arc<ReturningDevice>,
    catalogue: Arc<RwLock<Catalogue>>,
    /// What each view shows.
    shown: Vec<Arc<Shown>>,
    archive: Arc<Archive>,
    index: Arc<Index>,
    writer: Writer,
    opening: Opening,
    ticks: watch::Sender<u64>,
    live: Live,
}

impl Store {
    fn open(config: &Config, layouts: &[Layout]) -> Result<Store, DaemonError> {
        let path = &config.ring.device;
        let failed = |reason| DaemonError::Ring { device: path.clone(), reason };
        let holder = Arc::new(RingHolder::new(path.clone()));
        let device = ReturningDevice::open(path, holder.clone());
        let device = Arc::new(device.map_err(|error| match error.is_absent() {
            true => DaemonError::NoRing(config.no_ring(error)),
            false => DaemonError::Device(error),
        })?);
        let (superblock, _) = ring::read_superblock(&*device).map_err(failed)?;
        if device.is_writable() {
            refuse_too_few_blocks(config, &superblock)?;
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let catalogue = Arc::new(RwLock::new(Catalogue::new()));
        let shown = views::shown(config, layouts);
        let opened = Arc::new(OnceLock::new());
        let (ticks, _) = watch::channel(0);
        let keeper = TreeKeeper {
            catalogue: catalogue.clone(),
            shown: shown.clone(),
            archive: opened.clone(),
            ticks: ticks.clone(),
        };
        let settings =
            ring::Settings { flush_interval: config.ring.flush, wipe: config.purge.wipe };
        let updater =
            CatalogueUpdater::new(catalogue.clone(), superblock.ring_number, Box::new(keeper))
                .naming_in(cut_zone(config, layouts));
        let below: Arc<dyn Device> = device.clone();
        let (ring, writer, opening) =
            Ring::open_or_wait(below, clock.clone(), &settings, Box::new(updater))
                .map_err(failed)?;
        opening::log_opening(path, &opening, !device.is_writable());
        holder.opened(&ring, opening.session);
        let index =
            Arc::new(Index::open(&config.ring.index, superblock.ring_uuid, opening.session));
        let archive = Arc::new(Archive::new(ring, catalogue.clone(), index.clone()));
        // Set once, here.
        let _ = opened.set(archive.clone());
        let live = Live::default();
        Ok(Store {
            path: path.clone(),
            clock,
            device,
            catalogue,
            shown,
            archive,
            index,
            writer,
            opening,
            ticks,
            live,
        })
    }

    /// Flushes the ring and closes it; then the index.
    fn close(self) -> Result<(), DaemonError> {
        let writer = self.writer.clone();
        let closed = within(CLOSE_MAX, "closing", move || writer.close());
        let reason = match closed {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it does not answer, and what it has not flushed is lost".to_owned()),
        };
        let device = self.path.clone();
        let Store { archive, index, .. } = self;
        drop(archive);
        match Arc::try_unwrap(index) {
            Ok(index) => index.close(),
            // A request that the disk does not answer still holds it: it is a cache.
            Err(_) => log::debug!("the index is left as it is"),
        }
        reason.map_or(Ok(()), |reason| Err(DaemonError::NotClosed { device, reason }))
    }
}

/// Whether a ring has blocks for all cameras.
///
/// # Errors
/// [`DaemonError::TooFewBlocks`].
pub fn refuse_too_few_blocks(config: &Config, superblock: &Superblock) -> Result<(), DaemonError> {
    let blocks = superblock.geometry.block_count;
    let streams = config.cameras.iter().filter(|camera| camera.enabled).count();
    if blocks as usize >= BLOCKS_PER_STREAM_MIN * streams {
        return Ok(());
    }
    Err(DaemonError::TooFewBlocks { device: config.ring.device.clone(), blocks, streams })
}

fn start(
    config: &Config,
    layouts: &[Layout],
    sessions: Vec<Camera>,
    (store, logged): (&Store, &'static Logged),
    steps: &mut Steps,
) -> Result<Running, DaemonError> {
    refuse_mixed_up(config, &config.cameras, &locked(&store.catalogue), store.archive.number())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CAMERA_THREADS)
        .thread_name("camera")
        .enable_all()
        .build()
        .map_err(|source| DaemonError::System { what: "threads for cameras", source })?;
    let reporter = Arc::new(Reporter::new(config, store, logged));
    let (told, ticks) = (reporter.clone(), store.ticks.clone());
    let library = Arc::new(RingLibrary {
        archive: store.archive.clone(),
        device: store.device.clone(),
        writer: Some(store.writer.clone()),
        clock: store.clock.clone(),
        grace: Arc::new(Grace::new(config.purge.grace)),
        keep_max: reporter.keep_max.clone(),
        told: Box::new(move |what| Some(told.told(what))),
        ask_to_hand_over: Box::new(move || listener::tick(&ticks)),
        complaints: Arc::default(),
        deeds: Arc::default(),
        live: Some(store.live.clone()),
    });
    let views = Views::mount(config, store, library, &reporter.views)?;
    steps.done("the tree is mounted");
    // Behind the mount: a start that fails at it leaves no camera on the ring.
    let is_writable = store.device.is_writable();
    let registered = match is_writable {
        true => streams::register_all(config, sessions, &wanted::Switches::default(), store),
        false => Vec::new(),
    };
    let recording = is_writable
        .then(|| Recording::new(config, cut_zone(config, layouts), store, runtime.handle()));
    let parts = match &recording {
        Some(_) => recording::begin(config, registered, store)?,
        None => Parts::default(),
    };
    reporter.begin(parts);
    if let Some(recording) = &recording {
        let started = wanted::look(config, (&reporter, recording), store);
        steps.done(&Counted(started.len() as u64, "camera").to_string());
    }
    let (asked, asks) = mpsc::channel();
    let socket = &config.control.socket;
    let control = Control::listen(socket, runtime.handle(), asked).inspect_err(|error| {
        let socket = socket.display();
        log::warn!("{socket}: nobody can ask for anything, as `reelfs record` does: {error}");
    });
    let (writer, control, warned) = (store.writer.clone(), control.ok(), Vec::new());
    Ok(Running { reporter, views, recording, runtime, writer, asks, control, warned })
}

/// The zone on whose clock clips are cut: that of the names in the first view.
fn cut_zone(config: &Config, layouts: &[Layout]) -> Zone {
    layouts.first().map_or(Zone::UTC, |layout| layout.zone(&config.zone))
}

fn locked<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
