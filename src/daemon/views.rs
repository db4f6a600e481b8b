//! The views: trees of one archive, each shown in its own way and mounted at its own place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{DaemonError, Store};
use crate::config::{Config, ViewConfig};
use crate::library::{Library, RingLibrary, SelectedLibrary};
use crate::mount::{self, MountError, Mounted, Owner, RequestCounts};
use crate::shown::Shown;
use crate::status::ViewStatus;
use crate::units::BootTime;
use crate::view::{Layout, Selection, Tree};
use crate::zone::Zone;

/// The program that runs, also where another one has been installed in its place since.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What is shown of the catalogue in each view, and nothing yet.
pub(super) fn shown(config: &Config, layouts: &[Layout]) -> Vec<Arc<Shown>> {
    let views = config.views.iter().zip(layouts).map(|(view, layout)| {
        let tree = Tree::new(layout.clone(), view.zone.clone());
        Arc::new(Shown::of(tree, view.cameras.clone()))
    });
    let all: Vec<Arc<Shown>> = views.collect();
    Shown::join(&all);
    all
}

/// Whether every view can be mounted.
///
/// # Errors
/// Which one can't be, and why.
pub(super) fn prepare(config: &Config) -> Result<(), DaemonError> {
    for view in &config.views {
        mount::prepare(&view.mount)?;
    }
    Ok(mount::refuse_nested(&mounts(config))?)
}

/// Where they are mounted.
pub(super) fn mounts(config: &Config) -> Vec<&Path> {
    config.views.iter().map(|view| view.mount.as_path()).collect()
}

/// What it takes to mount a tree, also anew.
pub(super) struct View {
    pub(super) path: PathBuf,
    pub(super) shown: Arc<Shown>,
    /// What it has of the archive.
    pub(super) library: Arc<dyn Library>,
    pub(super) cameras: Selection,
    options: mount::Options,
    /// `None` while somebody has unmounted it.
    mounted: Option<Mounted>,
    /// The same, for who tells of it.
    is_mounted: Arc<AtomicBool>,
}

impl View {
    /// The zone that its names are in.
    pub(super) fn zone(&self) -> Zone {
        self.shown.tree().zone()
    }

    /// Whether nothing can be changed through it.
    pub(super) fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn mount(&mut self) -> Result<(), MountError> {
        let (shown, library) = (self.shown.clone(), self.library.clone());
        self.mounted = Some(mount::mount(&self.path, &self.options, shown, library)?);
        self.is_mounted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Recording goes on without the mount; it is mounted again when nothing is in its place.
    fn keep_mounted(&mut self) {
        if self.mounted.as_ref().is_some_and(Mounted::is_alive) {
            return;
        }
        if let Some(lost) = self.mounted.as_ref().and_then(Mounted::lost) {
            self.mounted = None;
            self.is_mounted.store(false, Ordering::Relaxed);
            log::error!("{}: {lost}", self.path.display());
        }
        match self.mount() {
            Ok(()) => log::info!("{}: mounted again", self.path.display()),
            Err(error) => log::debug!("not mounted again yet: {error}"),
        }
    }
}

/// All of them, one at least.
pub(super) struct Views {
    all: Vec<View>,
    /// The archive that they are of.
    pub(super) library: Arc<RingLibrary>,
}

impl Views {
    /// Mounts them.
    ///
    /// # Errors
    /// Which one can't be mounted, and why; none is then.
    pub(super) fn mount(
        config: &Config,
        store: &Store,
        library: Arc<RingLibrary>,
        told: &Told,
    ) -> Result<Views, DaemonError> {
        let names = config.views.iter().map(|view| view.mount.display().to_string());
        let counts = RequestCounts::of(names);
        let parts = config.views.iter().zip(&store.shown).zip(counts).zip(&told.0);
        let views = parts.map(|(((config, shown), counts), (_, is_mounted))| View {
            path: config.mount.clone(),
            shown: shown.clone(),
            library: match config.cameras.is_all() {
                true => library.clone(),
                false => Arc::new(SelectedLibrary::new(library.clone(), config.cameras.clone())),
            },
            cameras: config.cameras.clone(),
            options: options(config, source_name(store), counts),
            mounted: None,
            is_mounted: is_mounted.clone(),
        });
        let mut all: Vec<View> = views.collect();
        for view in &mut all {
            view.mount()?;
        }
        Ok(Views { all, library })
    }

    /// The one that is mounted there; the first one where nothing is said.
    pub(super) fn at(&self, mount: Option<&Path>) -> Option<&View> {
        match mount {
            Some(mount) => self.all.iter().find(|view| view.path == mount),
            None => self.all.first(),
        }
    }

    /// Where they are mounted, for people.
    pub(super) fn places(&self) -> String {
        let places = self.all.iter().map(|view| view.path.display().to_string());
        places.collect::<Vec<_>>().join(", ")
    }

    /// Mounts those again that somebody has unmounted.
    pub(super) fn keep_mounted(&mut self) {
        self.all.iter_mut().for_each(View::keep_mounted);
    }

    /// Drops directories that have been empty for a while; `now` is boot time.
    pub(super) fn drop_empty(&self, now: BootTime) {
        self.all.iter().for_each(|view| view.shown.drop_empty(now));
    }

    /// Unmounts all.
    pub(super) fn unmount(&mut self) {
        for view in &mut self.all {
            if let Some(Err(error)) = view.mounted.take().map(Mounted::unmount) {
                log::error!("{error}");
            }
        }
    }
}

/// What the status says of the views.
pub(super) struct Told(Vec<(ViewStatus, Arc<AtomicBool>)>);

impl Told {
    pub(super) fn new(config: &Config) -> Told {
        let views = config.views.iter().map(|view| {
            let status = ViewStatus {
                mount: view.mount.display().to_string(),
                layout: view.layout.clone(),
                zone: view.zone.to_string(),
                cameras: view.cameras.words().to_vec(),
                read_only: view.read_only,
                mounted: false,
            };
            (status, Arc::default())
        });
        Told(views.collect())
    }

    /// As they are now.
    pub(super) fn status(&self) -> Vec<ViewStatus> {
        let views = self.0.iter().map(|(status, is_mounted)| {
            let mounted = is_mounted.load(Ordering::Relaxed);
            ViewStatus { mounted, ..status.clone() }
        });
        views.collect()
    }
}

fn options(config: &ViewConfig, source_name: String, counts: RequestCounts) -> mount::Options {
    mount::Options {
        allow_other: config.allow_other,
        source_name,
        list_special: config.list_special,
        read_only: config.read_only,
        owner: Owner { uid: config.uid, gid: config.gid, umask: config.umask },
        counts,
        // The kernel refuses the calls themselves in one that is read-only.
        announced_by: (config.announce && !config.read_only).then(|| PathBuf::from(OWN_PROGRAM)),
    }
}

fn source_name(store: &Store) -> String {
    let label = &store.archive.ring().superblock().label;
    if label.is_empty() { "reelfs".into() } else { label.clone() }
}
