//! Mounting and unmounting.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::{BackgroundSession, Config, InitFlags, KernelConfig, MountOption, Session, SessionACL};
use nix::mount::MsFlags;

use super::announcing::Announcer;
use super::attributes::Ownership;
use super::disk_queue::{DiskQueue, PATIENCE, THREADS};
use super::filesystem::Requests;
use super::lock;
use super::notifier::Notifier;
use super::operations::RequestCounts;
use super::place::{self, FILE_SYSTEM_TYPE, Lost, MountError, MountLine};
use super::served::{Manner, Served};
use super::waiting::WaitingRoom;
use crate::library::{Library, Watcher};
use crate::shown::Shown;

/// How far the kernel reads ahead, in KiB. FUSE caps it at 128 when it is mounted, which halves
/// the throughput; 16 MiB was slower again.
const READ_AHEAD_KIB: u32 = 2048;

/// How long the requests under way may take to end once nothing is mounted any more.
const END_MAX: Duration = Duration::from_secs(5);

/// What the kernel is asked for, one by one: asking for one that it lacks would lose all.
const CAPABILITIES: [InitFlags; 5] = [
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
    InitFlags::FUSE_EXPORT_SUPPORT,
];

/// The same of a mount that root makes by itself: a container may have it with ids of its own
/// (mount_setattr(2), MOUNT_ATTR_IDMAP; Linux 6.12). Requests then come without an id, and where
/// fuser is to look at those it refuses all.
const OF_DIRECT_MOUNTS: InitFlags = InitFlags::FUSE_ALLOW_IDMAP;

/// Requests for read-ahead that the kernel may have under way.
const BACKGROUND_MAX: u16 = 64;

/// How to mount.
#[derive(Clone)]
pub struct Options {
    /// Whether other users than the daemon's may look. Needs `user_allow_other` in
    /// `/etc/fuse.conf` where the daemon is not root.
    pub allow_other: bool,
    /// What `df` and `mount` show as the source: the ring's label.
    pub source_name: String,
    /// Whether the root lists what is otherwise found by its name alone.
    pub list_special: bool,
    /// Whether nothing can be changed through it.
    pub read_only: bool,
    /// Whom everything in it belongs to.
    pub owner: Owner,
    /// Where its requests are counted, which outlives it.
    pub counts: RequestCounts,
    /// The program that is run, with `announce` and the mount point behind it, to tell programs
    /// that watch directories of changes (see [`super::announce`]); `None`: nobody is told.
    pub announced_by: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            allow_other: false,
            source_name: "reelfs".to_owned(),
            list_special: false,
            read_only: false,
            owner: Owner::default(),
            counts: RequestCounts::default(),
            announced_by: None,
        }
    }
}

/// Whom everything belongs to, and what nobody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User; `None`: who mounts.
    pub uid: Option<u32>,
    /// Group; `None`: that of who mounts.
    pub gid: Option<u32>,
    /// Permissions that nobody has: 0 to 0o777.
    pub umask: u16,
}

impl Default for Owner {
    fn default() -> Owner {
        Owner { uid: None, gid: None, umask: 0o022 }
    }
}

/// A tree that is mounted. Unmounted when dropped.
pub struct Mounted {
    path: PathBuf,
    /// What the kernel says of it; `None` where it says nothing.
    line: Option<MountLine>,
    notifier: Notifier,
    announcer: Option<Arc<Announcer>>,
    /// `None` once it has been unmounted.
    session: Option<BackgroundSession>,
    /// Whether this process has mounted it itself, not through fusermount3.
    direct: bool,
    /// Behind a lock so that a mount may be shared between threads.
    ended: Mutex<Receiver<()>>,
}

/// Mounts what is shown at `path`, with the bytes from `library`. From then on the kernel is told
/// of each change.
///
/// # Errors
/// Where `path` is missing, no directory, not empty, or taken by a mount that is alive; and where
/// the kernel, or fusermount3 for who is not root, refuses.
pub fn mount(
    path: &Path,
    options: &Options,
    shown: Arc<Shown>,
    library: Arc<dyn Library>,
) -> Result<Mounted, MountError> {
    let absolute = place::prepare(path)?;
    let failed = |what| move |error| MountError::system(path, what, error);
    let Owner { uid, gid, umask } = options.owner;
    let owner = Ownership {
        uid: uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw()),
        gid: gid.unwrap_or_else(|| nix::unistd::getegid().as_raw()),
        umask,
    };
    let manner = Manner {
        owner,
        list_special: options.list_special,
        is_read_only: options.read_only,
        counts: options.counts.clone(),
    };
    let notifier = Notifier::default();
    let disk = DiskQueue::new(PATIENCE).map_err(failed("start a thread"))?;
    let live = library.live().unwrap_or_default();
    let waiting = WaitingRoom::new(live).map_err(failed("start a thread"))?;
    let counted = options.announced_by.as_ref().map(|_| options.counts.announced());
    let announcer = counted.map(|counts| Arc::new(Announcer::new(&notifier, counts)));
    let tellers = (notifier.clone(), announcer.clone());
    let served = Served::new(shown.clone(), library, manner, (disk, waiting), tellers);
    let (ended_sender, ended) = channel();
    let direct = nix::unistd::geteuid().is_root();
    let requests = Requests { served: Arc::new(served), ended: ended_sender, direct };
    let session = if direct {
        mount_directly(&absolute, options, requests)
    } else {
        // fuser needs the device, too, and does not say so when it may not open it.
        place::open_device().and_then(|_| Session::new(requests, &absolute, &config(options)))
    };
    let session = session.map_err(failed("mount"))?;
    let kernel = session.notifier();
    // Before the first request is served: what the kernel knows, it has to hear of.
    shown.watched_by(&watchers(&notifier, announcer.as_ref()));
    let session = session.spawn().map_err(|error| {
        notifier.stop();
        let _ = direct.then(|| place::unmount(&absolute));
        MountError::system(path, "start a thread", error)
    })?;
    let mounted = Mounted {
        line: place::mounted_at(&absolute).ok().flatten(),
        path: absolute,
        notifier: notifier.clone(),
        announcer: announcer.clone(),
        session: Some(session),
        direct,
        ended: Mutex::new(ended),
    };
    notifier.start(kernel).map_err(failed("start a thread"))?;
    if let (Some(announcer), Some(program)) = (announcer, &options.announced_by) {
        let caller = (program.clone(), mounted.path.clone());
        let started = announcer.start(caller, shown, notifier);
        started.map_err(failed("start a thread"))?;
    }
    widen_read_ahead(&mounted.path);
    Ok(mounted)
}

impl Mounted {
    /// Where changes to the tree are to be told, so that the kernel's caches follow.
    #[must_use]
    pub fn notifier(&self) -> Notifier {
        self.notifier.clone()
    }

    /// The absolute path of the mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether requests are still served; false once somebody else has unmounted it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.guard.is_finished())
    }

    /// Why nobody is served any more; `None` while it is [alive](Mounted::is_alive).
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        (!self.is_alive()).then(|| if self.is_in_place() { Lost::CutOff } else { Lost::Unmounted })
    }

    /// Whether what is mounted there is this, and not what somebody else has mounted since.
    fn is_in_place(&self) -> bool {
        let found = place::mounted_at(&self.path).ok().flatten();
        found.is_some() && found == self.line
    }

    /// Unmounts, and waits a few seconds for the requests under way. Whoever still has a file
    /// open gets an error for it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn unmount(mut self) -> Result<(), MountError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), MountError> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        self.announcer.iter().for_each(|announcer| announcer.stop());
        self.notifier.stop();
        let is_ours = self.direct && (self.line.is_none() || self.is_in_place());
        let unmounted = if is_ours { place::unmount(&self.path) } else { Ok(()) };
        // fuser unmounts what it has mounted itself, through fusermount3.
        drop(session);
        if unmounted.is_ok() && lock(&self.ended).recv_timeout(END_MAX).is_err() {
            log::warn!("{}: a request has not ended after {END_MAX:?}", self.path.display());
        }
        unmounted.map_err(|error| MountError::system(&self.path, "unmount", error))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::error!("{error}");
        }
    }
}

/// The kernel's caches hear of a change before other programs do, which then ask.
fn watchers(notifier: &Notifier, announcer: Option<&Arc<Announcer>>) -> Vec<Arc<dyn Watcher>> {
    let mut watchers: Vec<Arc<dyn Watcher>> = vec![Arc::new(notifier.clone())];
    if let Some(announcer) = announcer {
        watchers.push(announcer.clone());
    }
    watchers
}

fn config(options: &Options) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(options.source_name.clone()),
        MountOption::Subtype("reelfs".to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoExec,
        MountOption::NoAtime,
    ];
    if options.read_only {
        config.mount_options.push(MountOption::RO);
    }
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    config
}

/// Mounts without fuser's help: its own way of it forgets the subtype, by which the next run knows
/// a dead mount for its own, and takes a mount for there when it is gone.
fn mount_directly(
    path: &Path,
    options: &Options,
    requests: Requests,
) -> io::Result<Session<Requests>> {
    let config = config(options);
    let device = place::open_device()?;
    let mut data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions",
        device.as_raw_fd(),
        nix::unistd::getuid(),
        nix::unistd::getgid()
    );
    if options.allow_other {
        data.push_str(",allow_other");
    }
    let mut flags =
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME;
    flags.set(MsFlags::MS_RDONLY, options.read_only);
    let source_name = Some(options.source_name.as_str());
    nix::mount::mount(source_name, path, Some(FILE_SYSTEM_TYPE), flags, Some(data.as_str()))?;
    // Who may enter, the kernel looks at alone.
    Session::from_fd(requests, device.into(), SessionACL::All, config).inspect_err(|_| {
        if let Err(error) = place::unmount(path) {
            log::error!("unmount {}: {error}", path.display());
        }
    })
}

/// Says how the kernel is to talk to this mount, as far as it can.
pub(super) fn ask_kernel(config: &mut KernelConfig, direct: bool) {
    let of_direct = direct.then_some(OF_DIRECT_MOUNTS);
    for capability in CAPABILITIES.into_iter().chain(of_direct) {
        if config.add_capabilities(capability).is_err() {
            log::info!("this kernel has no {capability:?}");
        }
    }
    if let Err(nearest) = config.set_max_background(BACKGROUND_MAX) {
        log::info!("max_background stays below {BACKGROUND_MAX}, at {nearest}");
    }
}

/// Who may not is told who may.
fn widen_read_ahead(path: &Path) {
    if let Err(error) = set_read_ahead(path) {
        let path = path.display();
        log::warn!(
            "{path}: the kernel reads ahead little, and long reads take up to twice their time: \
             {error}; root may: echo {READ_AHEAD_KIB} > \
             /sys/class/bdi/$(mountpoint -d {path})/read_ahead_kb"
        );
    }
}

/// The mount has to be served already: this asks it for its device number.
fn set_read_ahead(path: &Path) -> io::Result<()> {
    let device = fs::metadata(path)?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    fs::write(&setting, READ_AHEAD_KIB.to_string())
        .map_err(|error| io::Error::new(error.kind(), format!("{setting}: {error}")))
}
