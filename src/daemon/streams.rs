//! Cameras of the configuration and streams of the ring.

use std::time::Duration;

use super::recording::Placed;
use super::wanted::Switches;
use super::{Store, locked};
use crate::archive::{mixed_up_with, register, retire};
use crate::camera::Camera;
use crate::catalogue::Catalogue;
use crate::clock::Stopwatch;
use crate::config::{CameraConfig, Config, ConfigError};
use crate::segment::Switch;
use crate::units::{RingNumber, StreamNumber};

/// The ring's writer tells of a stream within microseconds, unless its disk does not answer.
const TOLD_MAX: Duration = Duration::from_secs(5);

/// Refuses cameras whose names differ from those of other footage on a ring in upper and lower case
/// alone.
///
/// # Errors
/// The first of them, by its line.
pub fn refuse_mixed_up(
    config: &Config,
    cameras: &[CameraConfig],
    catalogue: &Catalogue,
    ring: RingNumber,
) -> Result<(), ConfigError> {
    cameras.iter().try_for_each(|camera| {
        match mixed_up_with(catalogue, ring, camera.name.as_str()) {
            Some(why) => Err(config.refuse_camera(camera, why)),
            None => Ok(()),
        }
    })
}

/// Gives each camera its stream, tells the ring what changed, and notes which streams have left
/// the configuration. `sessions` are what the cameras' sessions are begun with, `switches` what was
/// switched by hand since the start; all in the order of the configuration.
pub(super) fn register_all(
    config: &Config,
    sessions: Vec<Camera>,
    switches: &Switches,
    store: &Store,
) -> Vec<Placed> {
    let now = store.clock.read().wall;
    let names: Vec<&str> = config.cameras.iter().map(|camera| camera.name.as_str()).collect();
    let ring = store.archive.number();
    for (stream, mut fact) in retire(&locked(&store.catalogue), ring, &names, now) {
        fact.switch = switches.said(stream, fact.switch);
        log::info!("{}: not in the configuration any more; its footage stays", fact.name());
        store.writer.set_stream(stream, fact.encode());
    }
    let registered = config.cameras.iter().zip(sessions).map(|(settings, session)| {
        let name = settings.name.as_str();
        let uuid = *uuid::Uuid::new_v4().as_bytes();
        let retain = config.retain_of(name);
        let registration = register(&locked(&store.catalogue), ring, name, retain, now, uuid);
        let mut fact = registration.fact;
        let stream = match registration.stream {
            Some(stream) => {
                fact.switch = switches.said(stream, fact.switch);
                stream
            }
            None => {
                fact.switch = inherited(config, settings, switches, store);
                store.writer.new_stream()
            }
        };
        let switch = fact.switch;
        if registration.changed {
            store.writer.set_stream(stream, fact.encode());
        }
        Placed { settings: settings.clone(), session, stream, switch }
    });
    registered.collect()
}

/// The switch of a stream that is new: that of its camera, which somebody has switched off with all
/// that it has.
fn inherited(
    config: &Config,
    new: &CameraConfig,
    switches: &Switches,
    store: &Store,
) -> Option<Switch> {
    let (catalogue, ring) = (locked(&store.catalogue), store.archive.number());
    let others = config.cameras.iter().filter(|other| other.camera == new.camera);
    let said = others.filter_map(|other| {
        let (stream, fact) = catalogue.stream_of(ring, other.name.as_str())?;
        switches.said(stream.stream, fact.switch)
    });
    said.min_by_key(|switch| switch.is_on)
}

/// Waits until the catalogue knows each camera's stream: who registers them once more would give
/// them others.
pub(super) fn wait_known(cameras: &[Placed], store: &Store) {
    let ring = store.archive.number();
    let knows = |name: &str, own: StreamNumber| {
        let catalogue = locked(&store.catalogue);
        catalogue.stream_of(ring, name).is_some_and(|(stream, _)| stream.stream == own)
    };
    let waiting = Stopwatch::start();
    let all = || cameras.iter().all(|it| knows(it.settings.name.as_str(), it.stream));
    while !all() {
        if waiting.elapsed() > TOLD_MAX {
            log::warn!("the ring does not keep up: it has not taken all cameras yet");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
