//! Footage that lies in the future: the clock is behind, or was ahead before. Said until it is
//! over, as clips overlap meanwhile.

use super::passes::Passes;
use super::{Reclaimer, account};
use crate::clock::Reading;
use crate::dating::newest_ahead;
use crate::view::utc_timestamp;

impl<C: Reclaimer> Passes<C> {
    /// Looks whether the newest footage lies in the future; says in the log when that begins and
    /// when it is over.
    pub(super) fn watch_ahead(&self, reading: &Reading) {
        let found = {
            let catalogue = self.catalogue();
            newest_ahead(&catalogue, reading.wall)
                .map(|clip| (clip.fact.end, catalogue.camera_of(clip)))
        };
        let ahead = found.as_ref().map(|(end, _)| *end);
        let before = std::mem::replace(&mut self.shared.state().counters.newest_ahead, ahead);
        match (found, before) {
            (Some((end, camera)), None) => log::warn!(
                "the newest footage of {camera} is from {}, {} later than the clock shows: it is \
                 behind, or was ahead when that was recorded; clips overlap until it is right",
                utc_timestamp(end),
                account::length(end.nanos_since(reading.wall)),
            ),
            (None, Some(_)) => log::info!("no footage is later than the clock shows any more"),
            _ => {}
        }
    }
}
