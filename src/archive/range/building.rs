//! A file as it is put together: what stands in it, and what does not.

use std::ops::Range;

use super::plan::{Assembled, Piece, Step};
use crate::archive::ArchiveError;
use crate::captions::Section;
use crate::units::WallTime;
use crate::view::utc_timestamp;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Building {
    pub steps: Vec<Step>,
    /// When nothing was recorded.
    pub gaps: Vec<Range<WallTime>>,
    /// Footage that can't be in it, and why.
    pub omitted: Vec<(Range<WallTime>, &'static str)>,
    /// When it begins; `None` where nothing is in it yet.
    pub start: Option<WallTime>,
    pub end: WallTime,
}

impl Building {
    pub(super) fn add(&mut self, assembled: Assembled) {
        self.start = self.start.or(assembled.shown.as_ref().map(|shown| shown.start));
        self.end = assembled.shown.map_or(self.end, |shown| self.end.max(shown.end));
        self.steps.extend(assembled.steps);
        self.gaps.extend(assembled.gaps);
    }

    /// Adds a piece that is all there is.
    pub(super) fn add_still(&mut self, piece: Piece) {
        (self.start, self.end) = (Some(piece.shown.start), piece.shown.end);
        self.steps.push(Step::Clip(piece));
    }

    /// What is known to be missing, as the reason why there is no file.
    pub(super) fn refuse_holes(&self) -> Result<(), ArchiveError> {
        let gaps = self.gaps.iter().map(|gap| (gap, "nothing was recorded"));
        let omitted = self.omitted.iter().map(|(times, why)| (times, *why));
        match gaps.chain(omitted).next() {
            None => Ok(()),
            Some((times, why)) => {
                let (from, to) = (utc_timestamp(times.start), utc_timestamp(times.end));
                Err(ArchiveError::NoFootage(format!("{why} from {from} to {to}")))
            }
        }
    }

    /// How long the file is, in nanoseconds.
    pub(super) fn length_nanos(&self) -> i64 {
        self.steps.iter().map(Step::length_nanos).sum()
    }

    /// Which times of the file are which on the wall; it begins at `start`.
    pub(super) fn sections(&self, start: WallTime) -> Vec<Section> {
        let mut sections: Vec<Section> = Vec::new();
        let (mut at, mut wall) = (0, start);
        for step in &self.steps {
            let begin = match step {
                Step::Clip(piece) => piece.shown.start,
                Step::Blank(_) | Step::Held(_) => wall,
            };
            let end = at + step.length_nanos();
            match sections.last_mut() {
                Some(last) if begin == wall => last.shown.end = end,
                _ => sections.push(Section { shown: at..end, wall: begin }),
            }
            wall = begin.plus_nanos(end - at);
            at = end;
        }
        sections
    }
}
