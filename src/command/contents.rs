//! A ring that is looked at, with what its facts mean.

use std::path::Path;

use super::CommandError;
use crate::catalogue::Catalogue;
use crate::ring::{Inspection, News, RingError};
use crate::segment::Growth;

/// The catalogue of a ring that is not open, growing clips included. What can't be understood is
/// logged and left out.
pub(super) fn catalogue_of(inspection: &Inspection<'_>) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (stream, fact) in inspection.streams() {
        tell(&mut catalogue, &News::StreamSet { stream, fact: fact.into() });
    }
    for (clip, record) in inspection.clips() {
        let stream = record.stream;
        let Some(state) = record.state else {
            match Growth::decode(&record.fact) {
                Ok(growth) => catalogue.resume(clip, stream, growth),
                Err(error) => log::warn!("clip {clip}: {error}"),
            }
            continue;
        };
        let (fact, used) = (record.fact.clone(), record.used());
        tell(&mut catalogue, &News::ClipClosed { clip, stream, fact, used });
        tell(&mut catalogue, &News::StateSet { clip, state });
    }
    catalogue
}

fn tell(catalogue: &mut Catalogue, news: &News) {
    if let Err(error) = catalogue.apply(news) {
        log::warn!("a fact that can't be understood: {error}");
    }
}

/// The error of a ring, with the path of its device.
pub(super) fn of_ring(path: &Path) -> impl Fn(RingError) -> CommandError {
    let path = path.to_owned();
    move |reason| CommandError::Ring { path: path.clone(), reason }
}
