//! The clip that is open: when it began, and whether it should end. Pure.
//!
//! A clip belongs to all tracks of its stream, so it knows wall times only, and no track's ticks.

use std::sync::Arc;

use crate::clock::Reading;
use crate::segment::{Anchor, ClockQuality};
use crate::units::WallTime;

/// The point at which a clip that began at the given time should end: later than that time.
pub type Boundary = Arc<dyn Fn(WallTime) -> WallTime + Send + Sync>;

/// The clip that frames go into.
#[derive(Debug)]
pub(super) struct OpenClip {
    /// When its first frame was captured, once its first chunk is cut.
    start: Option<WallTime>,
    quality: ClockQuality,
}

impl OpenClip {
    /// A clip whose first frame was received then.
    pub(super) fn new(received: &Reading) -> OpenClip {
        let quality = match received.synchronised {
            true => ClockQuality::Synchronised,
            false => ClockQuality::Unsynchronised,
        };
        OpenClip { start: None, quality }
    }

    /// When its first frame was captured, once its first chunk is cut.
    pub(super) fn start(&self) -> Option<WallTime> {
        self.start
    }

    /// Takes a chunk whose first frame was captured at `start`. Answers whether it is the first
    /// one, and what ties its samples to the clocks.
    pub(super) fn chunk(&mut self, start: WallTime, now: &Reading) -> (bool, Anchor) {
        let is_first = self.start.is_none();
        let anchor = Anchor {
            wall: *self.start.get_or_insert(start),
            boot: now.boot,
            boot_id: now.boot_id,
            camera: None,
            quality: self.quality,
        };
        (is_first, anchor)
    }

    /// Its first chunk was refused, or its beginning: it begins anew with what comes.
    pub(super) fn begin_anew(&mut self) {
        self.start = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BootTime;

    fn at(nanos: i64, synchronised: bool) -> Reading {
        Reading { wall: WallTime(nanos), boot: BootTime(nanos), boot_id: [3; 16], synchronised }
    }

    #[test]
    fn all_chunks_of_a_clip_have_the_wall_time_of_the_first_and_clocks_of_their_own() {
        let mut clip = OpenClip::new(&at(7, true));
        assert_eq!(clip.start(), None);
        let (is_first, first) = clip.chunk(WallTime(5), &at(9, true));
        assert!(is_first);
        let (is_first, second) = clip.chunk(WallTime(6), &at(11, false));
        assert!(!is_first);
        assert_eq!((first.wall, second.wall), (WallTime(5), WallTime(5)));
        assert_eq!((first.boot, second.boot), (BootTime(9), BootTime(11)));
        assert_eq!((first.quality, second.quality), (ClockQuality::Synchronised, first.quality));
        clip.begin_anew();
        let (is_first, third) = clip.chunk(WallTime(8), &at(13, true));
        assert!(is_first);
        assert_eq!(third.wall, WallTime(8));
    }
}
