//! Cameras of the configuration and streams of the ring.

use super::{Store, locked};
use crate::archive::{register, retire};
use crate::config::Config;
use crate::units::StreamNumber;

/// Gives each camera its stream, tells the ring what changed, and notes which streams have left
/// the configuration. Names and streams in the order of the configuration.
pub(super) fn register_all(config: &Config, store: &Store) -> Vec<(String, StreamNumber)> {
    let now = store.clock.read().wall;
    let names: Vec<&str> = config.cameras.iter().map(|camera| camera.name.as_str()).collect();
    let ring = store.archive.number();
    for (stream, fact) in retire(&locked(&store.catalogue), ring, &names, now) {
        log::info!("{}: not in the configuration any more; its footage stays", fact.name());
        store.writer.set_stream(stream, fact.encode());
    }
    let registered = names.iter().map(|name| {
        let uuid = *uuid::Uuid::new_v4().as_bytes();
        let retain = config.retain_of(name);
        let registration = register(&locked(&store.catalogue), ring, name, retain, now, uuid);
        let stream = registration.stream.unwrap_or_else(|| store.writer.new_stream());
        if registration.changed {
            store.writer.set_stream(stream, registration.fact.encode());
        }
        ((*name).to_owned(), stream)
    });
    registered.collect()
}
