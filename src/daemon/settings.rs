//! Settings that change while the daemon runs: on SIGHUP, and when their file does.
//!
//! They are looked at as at a start before anything is touched; where anything is wrong with them,
//! all of them are refused, and the former ones stay in force. A camera whose session would be the
//! same goes on without noticing.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::clips::{Begun, Closing};
use super::events::Events;
use super::recording::{Recorded, Recording, purge_settings};
use super::reporter::Reporter;
use super::running::Running;
use super::{
    DaemonError, Store, checked, clips, expire, locked, refuse_mixed_up, refuse_too_few_blocks,
    streams, wanted,
};
use crate::camera::Camera;
use crate::clock::Stopwatch;
use crate::config::{Config, FILE_BYTES_MAX};
use crate::control::{Answer, Ask, Asked};
use crate::device::Device;

/// A file is read when nothing has happened to it for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(500);

/// Within this the ring knows what was said of an event; where it does not, the next pass of the
/// purge comes to it.
const SAID: Duration = Duration::from_millis(300);

/// See the [module](self).
pub(super) struct Settings {
    /// Those in force.
    config: Config,
    /// Of the file as it was when it was last read.
    digest: Option<blake3::Hash>,
    watch: Option<Watch>,
    /// What waits for clips to end.
    closing: Vec<(Asked, Closing)>,
    /// Since something was said that footage in the trash may come back for.
    brought_back: Option<Stopwatch>,
}

/// A file that is looked at.
struct Watch {
    touched: Arc<AtomicBool>,
    /// Since it was touched last.
    quiet: Option<Stopwatch>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    fn new(file: &Path) -> notify::Result<Watch> {
        let file = std::path::absolute(file)?;
        let touched = Arc::new(AtomicBool::new(false));
        let (told, name) = (touched.clone(), file.file_name().map(OsStr::to_owned));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let concerns = event.is_ok_and(|event| concerns(&event, name.as_deref()));
            told.fetch_or(concerns, Ordering::Relaxed);
        })?;
        // Who replaces a file leaves another one in its directory.
        let directory = file.parent().unwrap_or(Path::new("/"));
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(Watch { touched, quiet: None, _watcher: watcher })
    }

    /// Whether it was touched, and has been left alone since.
    fn has_settled(&mut self) -> bool {
        if self.touched.swap(false, Ordering::Relaxed) {
            self.quiet = Some(Stopwatch::start());
        }
        self.quiet.take_if(|quiet| quiet.elapsed() >= QUIET).is_some()
    }
}

/// Whether something may have happened to the file of that name: to itself, or to what its name
/// leads to, another link for one. The ring may lie beside it, and is written all the time.
fn concerns(event: &Event, name: Option<&OsStr>) -> bool {
    let is_it = |path: &PathBuf| path.file_name() == name;
    match event.kind {
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => {
            event.paths.iter().any(is_it)
        }
        _ => true,
    }
}

impl Settings {
    /// Those that are in force at the start.
    pub(super) fn new(config: Config) -> Settings {
        let watch = Watch::new(config.file());
        if let Err(error) = &watch {
            let file = config.file().display();
            log::warn!("{file}: changes are taken on SIGHUP alone: it can't be watched: {error}");
        }
        let digest = digest(config.file());
        Settings { config, digest, watch: watch.ok(), closing: Vec::new(), brought_back: None }
    }

    /// Records what is wanted by now of the cameras in force.
    pub(super) fn look_at_hours(&self, running: &Running, store: &Store) {
        if let Some(recording) = &running.recording {
            look_at_hours(&self.config, (&running.reporter, recording), store);
        }
    }

    /// Does what somebody asks for, at once, and answers when it is on the disk.
    pub(super) fn answer(&mut self, asked: Asked, running: &Running, store: &Store) {
        if asked.is_given_up() {
            return;
        }
        let own = self.config.absolute_file();
        let mut sync = true;
        let answer = match &asked.ask {
            ask if ask.config().is_some_and(|meant| *meant != own) => {
                Err(format!("the daemon that listens here is another one, of {}", own.display()))
                    .into()
            }
            Ask::Record(_) | Ask::Events(_) | Ask::Expire(_) if running.recording.is_none() => {
                Err("nothing is recorded: the ring can't be written".to_owned()).into()
            }
            Ask::Record(ask) => {
                let done = wanted::switch(ask, &running.reporter, store);
                self.look_at_hours(running, store);
                done.into()
            }
            Ask::Expire(ask) => {
                sync = false;
                expire::carry_out(ask, &running.reporter, store)
            }
            Ask::Events(ask) => {
                let done = Events::new(&self.config, &running.reporter, store).carry_out(ask);
                sync = done.sync;
                if done.brings_back {
                    self.brought_back = Some(Stopwatch::start());
                }
                done.answer
            }
            Ask::Clips(ask) => {
                match clips::carry_out(ask, &running.reporter, &running.views, store) {
                    Begun::Answered(answer) => answer,
                    Begun::Closing(closing) => return self.closing.push((asked, closing)),
                }
            }
        };
        match sync {
            true => answer_durably(asked, answer, store),
            false => asked.answer(answer),
        }
    }

    /// Has the purge look at what may have to come back, once the ring knows what was said.
    pub(super) fn bring_back(&mut self, running: &Running) {
        if self.brought_back.take_if(|since| since.elapsed() >= SAID).is_some() {
            running.reporter.hurry_purge();
        }
    }

    /// Goes on with what waited for clips to end.
    pub(super) fn answer_closed(&mut self, running: &Running, store: &Store) {
        for (asked, mut closing) in std::mem::take(&mut self.closing) {
            let Ask::Clips(ask) = &asked.ask else { continue };
            match closing.go_on(ask, &running.views, store) {
                Some(answer) => answer_durably(asked, answer, store),
                None if asked.is_given_up() => {}
                None => self.closing.push((asked, closing)),
            }
        }
    }

    /// Takes what has changed, where the file has or somebody `asked`.
    pub(super) fn look(&mut self, asked: bool, running: &Running, store: &Store) {
        let has_settled = self.watch.as_mut().is_some_and(Watch::has_settled);
        if !asked && !has_settled {
            return;
        }
        let digest = digest(self.config.file());
        if !asked && digest == self.digest {
            return;
        }
        self.digest = digest;
        if let Err(error) = self.take(running, store) {
            log::error!("the settings are not taken, the former ones stay in force: {error}");
            running.reporter.refused(error.to_string());
        }
    }

    fn take(&mut self, running: &Running, store: &Store) -> Result<(), DaemonError> {
        let read = Config::load(self.config.file())?;
        // All of it, also what takes effect at the next start.
        let (_, sessions) = checked(&read)?;
        let (config, at_restart) = self.config.changed_to(read);
        if store.device.is_writable() {
            refuse_too_few_blocks(&config, store.archive.ring().superblock())?;
        }
        let ring = store.archive.number();
        refuse_mixed_up(&config, &config.cameras, &locked(&store.catalogue), ring)?;
        config.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let file = config.file().display();
        for key in &at_restart {
            log::warn!("{file}: {key} has changed, which takes effect at the next start");
        }
        running.views.library.grace.set(config.purge.grace);
        running.views.library.keep_max.set(config.ring.keep_max);
        if let Some(recording) = &running.recording {
            change_cameras(&config, sessions, (&running.reporter, recording), store);
        }
        running.reporter.in_force(&config, at_restart);
        log::info!("{file}: in force");
        self.config = config;
        Ok(())
    }
}

/// Records the cameras of a configuration, and no others.
fn change_cameras(
    config: &Config,
    sessions: Vec<Camera>,
    (reporter, recording): (&Reporter, &Recording),
    store: &Store,
) {
    let leaving = reporter.take_recorders(|recorded| {
        let settings = config.cameras.iter().find(|it| recorded.settings.has_session_of(it));
        settings.inspect(|settings| recorded.take(config, settings)).is_some()
    });
    for recorded in &leaving {
        let name = recorded.name();
        match config.cameras.iter().find(|camera| camera.name.as_str() == name) {
            Some(camera) if camera.enabled => {
                log::info!("{name}: its settings have changed: another session is begun");
            }
            Some(_) => log::info!("{name}: disabled: it is not recorded from now on"),
            // Told where its stream is.
            None => {}
        }
    }
    Recorded::stop_all(leaving);
    let cameras = streams::register_all(config, sessions, &reporter.switches(), store);
    streams::wait_known(&cameras, store);
    reporter.set_purge(purge_settings(config, store, &cameras));
    reporter.set_cameras(cameras);
    look_at_hours(config, (reporter, recording), store);
}

/// Gives an answer, where something was done once it is on the disk.
fn answer_durably(asked: Asked, answer: Answer, store: &Store) {
    asked.answer(match answer.done.is_empty() {
        true => answer,
        false => {
            let kept = wanted::keep(store).err();
            Answer { error: answer.error.or(kept), ..answer }
        }
    });
}

/// Records those that are wanted by now, and says which are new.
fn look_at_hours(config: &Config, parts: (&Reporter, &Recording), store: &Store) {
    for name in wanted::look(config, parts, store) {
        log::info!("{name}: is recorded from now on");
    }
}

/// Of what a file holds that may be a configuration; none where it can't be read.
fn digest(file: &Path) -> Option<blake3::Hash> {
    let mut bytes = Vec::new();
    let file = File::open(file).ok()?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    Some(blake3::hash(&bytes))
}
