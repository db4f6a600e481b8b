//! What grew when the power went, and what of it no fact speaks of yet.

use super::Checker;
use super::finding::{Cost, Finding, Loss, Place};
use super::names::span_of_table;
use super::report::named;
use crate::ring::{LeftBehind, LostPlace, Rescued, RingError};
use crate::segment::Growth;
use crate::units::{ClipId, Counted};
use crate::view::utc_timestamp;

/// A sample table, and the clip that it is of.
type Beside = Option<(ClipId, Vec<u8>)>;

/// What is lost between two chunks.
fn loss_between(camera: String, beside: &[Beside; 2]) -> Loss {
    let span = |chunk: &Beside| chunk.as_ref().and_then(|(_, table)| span_of_table(table));
    let clip = beside.iter().flatten().next().map(|(clip, _)| clip.to_string());
    let [before, behind] = beside;
    let from = span(before).map(|span| utc_timestamp(span.1));
    let to = span(behind).map(|span| utc_timestamp(span.0));
    Loss { camera, clip, clip_start: None, from, to }
}

/// The cameras and clips of which a rescue has not found all, in order, each once: what
/// [`Report::losses`](super::Report::losses) says of a check.
#[must_use]
pub fn rescue_losses(rescued: &Rescued) -> Vec<String> {
    let losses = rescued.lost.iter().map(|lost| {
        let unknown = || format!("stream-{}", lost.stream);
        let camera = rescued.names.get(&lost.stream).cloned().unwrap_or_else(unknown);
        loss_between(camera, &lost.beside)
    });
    named(losses.collect::<Vec<_>>().iter())
}

impl Checker<'_> {
    /// What a crash leaves is no damage: it is said what the next opening for writing does. What
    /// that will not find any more is lost.
    pub(super) fn check_what_grows(&mut self) -> Result<(), RingError> {
        if self.inspection.is_clean() || self.options.live {
            return Ok(());
        }
        self.report.is_unclean = true;
        self.note("the last session did not end in order: the next `run` closes what grows".into());
        let growing = self.inspection.clips().filter(|(_, record)| record.state.is_none());
        let lines = growing.map(|(clip, record)| {
            let growth = Growth::decode(&record.fact).ok();
            let from = growth.as_ref().map(|growth| growth.start);
            let camera = self.names.camera(record.stream, from);
            let span = growth.map_or_else(String::new, |growth| {
                let [from, to] = [growth.start, growth.end()].map(utc_timestamp);
                format!(" from {from} to {to}")
            });
            format!("clip {clip} of {camera} grows{span}, and goes on behind that")
        });
        for line in lines.collect::<Vec<String>>() {
            self.note(line);
        }
        let behind = self.inspection.behind().map_err(|source| RingError::Device {
            what: "reading what the last session left".into(),
            source,
        })?;
        for left in &behind {
            self.check_left(left);
        }
        Ok(())
    }

    fn check_left(&mut self, left: &LeftBehind) {
        let (camera, block) = (self.names.camera(left.stream, None), left.block);
        let chunks = left.media_chunks() as u64;
        self.report.chunks += chunks;
        if chunks > 0 {
            let chunks = Counted(chunks, "chunk");
            self.note(format!("to be taken over: {chunks} of {camera} in block {block}"));
        }
        for lost in &left.lost {
            self.tell_lost(left, lost, camera.clone());
        }
        let extents = left.extents().into_iter();
        self.behind.extend(extents.map(|(clip, extent)| (clip, left.stream, extent)));
    }

    fn tell_lost(&mut self, left: &LeftBehind, lost: &LostPlace, camera: String) {
        let is_header = lost.chunks == 0;
        if is_header && self.inspection.block(left.block).is_err() {
            // Told with the blocks.
            return;
        }
        let geometry = &self.inspection.superblock.geometry;
        let part = if is_header { "block" } else { "chunk" };
        let place = Place::block(part, geometry, left.block, lost.pages.start);
        let place = Place { life: Some(left.life.0), ..place };
        let beside = left.beside(lost);
        let clip = beside.iter().flatten().next().map(|(clip, _)| *clip);
        let loss = loss_between(camera, &beside);
        let (expected, cost) = match is_header {
            true => (format!("the header of life {}", left.life), Cost::Nothing),
            false => {
                let chunks = Counted(lost.chunks, "chunk");
                self.report.left_out.push(loss.clone());
                (format!("{chunks} that a flush had covered"), Cost::Footage(loss))
            }
        };
        self.tell(Finding {
            place: clip.map_or(place.clone(), |clip| place.with_clip(clip)),
            found: lost.why.clone(),
            expected,
            cost,
        });
    }
}
