//! `reelfs mount`: a ring that is only read, mounted. A daemon may record into it meanwhile, also
//! one that begins or ends later; nothing is asked of it, and nothing is written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use super::listener::TreeKeeper;
use super::running::Signals;
use super::{DaemonError, limits};
use crate::archive::{Archive, CatalogueUpdater, Listener};
use crate::catalogue::{Catalogue, Change};
use crate::clock::{Clock, Stopwatch, SystemClock, Throttle, since_boot};
use crate::device::{Access, Device, FileDevice};
use crate::index::Index;
use crate::library::{Grace, KeepMax, Library, RingLibrary, SelectedLibrary, Told};
use crate::logged::Logged;
use crate::mount::{self, Lost, MountError, Mounted, Owner, RequestCounts};
use crate::ring::{self, Follower, Interpreter, Ring};
use crate::shown::Shown;
use crate::units::Counted;
use crate::view::{Layout, Selection, Tree};
use crate::zone::Zone;

/// How often it is looked at what the ring goes on to say: a read or two, which a spinning disk
/// that records hardly notices, and well below what somebody who waits for a clip does.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often signals and the mount are looked at.
const STEP: Duration = Duration::from_millis(100);
/// Between two lines in the log about a device that does not answer.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// What is mounted, and how.
#[derive(Clone, Debug)]
pub struct ReaderSettings {
    /// The block device or file: an absolute path.
    pub ring: PathBuf,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The zone of names and days.
    pub zone: Zone,
    /// How clips are named.
    pub layout: Layout,
    /// Whether other users than the one who mounts may look.
    pub allow_other: bool,
    /// Whether the root lists what is otherwise found by its name alone.
    pub list_special: bool,
    /// The cameras that are shown.
    pub cameras: Selection,
    /// Whom everything belongs to.
    pub owner: Owner,
}

/// Nobody listens to what is closed in memory.
struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

/// Mounts a ring that is only read, calls `ready` when it is there, and serves it until a signal
/// comes or it is unmounted. What it logs, it finds in `logged`.
///
/// # Errors
/// Why it could not be mounted.
pub fn read(
    settings: &ReaderSettings,
    logged: &'static Logged,
    ready: impl FnOnce(),
) -> Result<(), DaemonError> {
    limits::check(1)?;
    let signals = Signals::catch()?;
    mount::prepare(&settings.mount)?;
    let mut reader = Reader::open(settings)?;
    let mounted = reader.mount(settings, logged)?;
    let clips = reader.archive.catalogue().clip_count() as u64;
    log::info!("{}: {}", settings.mount.display(), Counted(clips, "clip"));
    ready();
    reader.serve(&signals, &mounted);
    match mounted.lost() {
        None => Ok(mounted.unmount()?),
        Some(Lost::Unmounted) => Ok(()),
        Some(how) => Err(MountError::Lost { path: settings.mount.clone(), how }.into()),
    }
}

/// A ring that is read, and what is shown of it.
struct Reader {
    path: PathBuf,
    device: Arc<FileDevice>,
    clock: Arc<dyn Clock>,
    shown: Arc<Shown>,
    archive: Arc<Archive>,
    follower: Follower,
    complaints: Throttle,
}

impl Reader {
    fn open(settings: &ReaderSettings) -> Result<Reader, DaemonError> {
        let path = settings.ring.clone();
        let failed = |reason| DaemonError::Ring { device: path.clone(), reason };
        let device = Arc::new(FileDevice::open(&path, Access::ReadOnly)?);
        let (superblock, _) = ring::read_superblock(&*device).map_err(failed)?;
        let (number, zone) = (superblock.ring_number, settings.layout.zone(&settings.zone));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let catalogue = Arc::new(RwLock::new(Catalogue::new()));
        let tree = Tree::new(settings.layout.clone(), settings.zone.clone());
        let shown = Arc::new(Shown::of(tree, settings.cameras.clone()));
        let opened = Arc::new(OnceLock::new());
        let keeper = TreeKeeper {
            catalogue: catalogue.clone(),
            shown: vec![shown.clone()],
            archive: opened.clone(),
            // Nobody records here.
            ticks: watch::channel(0).0,
        };
        let updater = move |catalogue, listener: Box<dyn Listener>, zone: &Zone| {
            CatalogueUpdater::new(catalogue, number, listener).naming_in(zone.clone())
        };
        let own = updater(catalogue.clone(), Box::new(keeper), &zone);
        let scratch = move || -> Box<dyn Interpreter> {
            Box::new(updater(Arc::default(), Box::new(Nobody), &zone))
        };
        let below: Arc<dyn Device> = device.clone();
        let interpreters = (Box::new(own) as _, Box::new(scratch) as _);
        let is_written_to = device.is_written_to();
        let (ring, follower) =
            Ring::follow(below, clock.clone(), interpreters, is_written_to).map_err(failed)?;
        if is_written_to {
            log::info!("{}: another program records into it", path.display());
        }
        let archive = Arc::new(Archive::new(ring, catalogue, Arc::new(Index::none())));
        // Set once, here.
        let _ = opened.set(archive.clone());
        let complaints = Throttle::every(COMPLAINT_INTERVAL);
        Ok(Reader { path, device, clock, shown, archive, follower, complaints })
    }

    fn mount(
        &self,
        settings: &ReaderSettings,
        logged: &'static Logged,
    ) -> Result<Mounted, DaemonError> {
        let library = Arc::new(RingLibrary {
            archive: self.archive.clone(),
            device: self.device.clone(),
            writer: None,
            clock: self.clock.clone(),
            grace: Arc::new(Grace::new(Duration::ZERO)),
            keep_max: Arc::new(KeepMax::new(0)),
            told: Box::new(move |what| match what {
                Told::Log => Some(logged.text().into_bytes()),
                Told::Status | Told::Metrics => None,
            }),
            ask_to_hand_over: Box::new(|| ()),
            complaints: Arc::default(),
            deeds: Arc::default(),
            live: None,
        });
        let options = mount::Options {
            allow_other: settings.allow_other,
            source_name: source_name(&settings.ring),
            list_special: settings.list_special,
            read_only: true,
            owner: settings.owner,
            counts: RequestCounts::default(),
            announced_by: None,
        };
        let library: Arc<dyn Library> = match settings.cameras.is_all() {
            true => library,
            false => Arc::new(SelectedLibrary::new(library, settings.cameras.clone())),
        };
        Ok(mount::mount(&settings.mount, &options, self.shown.clone(), library)?)
    }

    /// Until a signal comes, or somebody unmounts it.
    fn serve(&mut self, signals: &Signals, mounted: &Mounted) {
        let mut looked = Stopwatch::start();
        while !signals.stop_asked() && mounted.is_alive() {
            std::thread::sleep(STEP);
            if looked.elapsed() >= LOOK_INTERVAL {
                looked = Stopwatch::start();
                self.look();
            }
        }
    }

    fn look(&mut self) {
        let is_written_to = self.device.is_written_to();
        if let Err(error) = self.follower.look(is_written_to)
            && self.complaints.take(since_boot())
        {
            let path = self.path.display();
            log::error!("{path}: what it goes on to say can't be read: {error}");
        }
        self.shown.drop_empty(self.clock.read().boot);
    }
}

/// Nothing of where it was begun is held on to any more: no terminal, no directory.
pub fn leave_session() {
    // Who leads a group already is in nobody's way.
    let _ = nix::unistd::setsid();
    let _ = nix::unistd::chdir("/");
}

/// As mount(8) shows it.
fn source_name(ring: &Path) -> String {
    ring.display().to_string()
}
