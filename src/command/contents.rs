//! A ring that is looked at, with what its facts mean.

use std::path::Path;

use super::CommandError;
use crate::catalogue::{Catalogue, clip_key};
use crate::config::Config;
use crate::device::{Access, FileDevice};
use crate::ring::{Inspection, News, RingError};
use crate::segment::Growth;
use crate::units::{RingNumber, StreamKey};

/// The catalogue of a ring that is not open, growing clips included. What can't be understood is
/// logged and left out.
pub(super) fn catalogue_of(inspection: &Inspection<'_>) -> Catalogue {
    let mut catalogue = Catalogue::new();
    let ring = inspection.superblock.ring_number;
    for (stream, fact) in inspection.streams() {
        tell(&mut catalogue, ring, &News::StreamSet { stream, fact: fact.into() });
    }
    for (stream, event, fact) in inspection.events() {
        tell(&mut catalogue, ring, &News::EventSet { stream, event, fact: fact.clone() });
    }
    for (clip, record) in inspection.clips() {
        let stream = record.stream;
        let Some(state) = record.state else {
            let sums =
                clip_key(ring, clip).and_then(|key| Ok((key, Growth::decode(&record.fact)?)));
            match sums {
                Ok((key, growth)) => catalogue.resume(key, StreamKey { ring, stream }, growth),
                Err(error) => log::warn!("clip {clip}: {error}"),
            }
            continue;
        };
        let (fact, redating) = (record.fact.clone(), record.redating.clone());
        let used = record.used();
        tell(&mut catalogue, ring, &News::ClipClosed { clip, stream, fact, used, redating });
        tell(&mut catalogue, ring, &News::StateSet { clip, state });
    }
    catalogue
}

fn tell(catalogue: &mut Catalogue, ring: RingNumber, news: &News) {
    if let Err(error) = catalogue.apply(ring, news) {
        log::warn!("a fact that can't be understood: {error}");
    }
}

/// The device of the configuration's ring, to be looked at.
///
/// # Errors
/// It can't be opened, or there is none.
pub(super) fn device_of(config: &Config) -> Result<FileDevice, CommandError> {
    FileDevice::open(&config.ring.device, Access::ReadOnly).map_err(|error| {
        match error.is_absent() {
            true => CommandError::Failed(config.no_ring(error).to_string()),
            false => CommandError::Device(error),
        }
    })
}

/// The error of a ring, with the path of its device.
pub(super) fn of_ring(path: &Path) -> impl Fn(RingError) -> CommandError {
    let path = path.to_owned();
    move |reason| CommandError::Ring { path: path.clone(), reason }
}
