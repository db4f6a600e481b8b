//! When what accompanies the pictures was captured, by the clock of the camera. Pure.
//!
//! Where a camera tells the times of pictures and of sound by one clock, the time between the two
//! is known. Of some cameras it is not, although they tell: what they say of one track is made up,
//! or its stamps were set anew and the reports say nothing of it. Such times are far from those at
//! which the frames came at best, and count as none.

use crate::camera::Frame;
use crate::clock::{FastestWay, Reading};
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks};

/// What the camera tells is off from the fastest arrival by less than this, in nanoseconds: the one
/// says nothing of how long the other is on its way.
const APART_NANOS_MAX: i64 = 2 * NANOS_PER_SECOND;

/// How the frames of a track come.
#[derive(Default)]
pub(super) struct Tie {
    way: Option<FastestWay>,
}

impl Tie {
    /// The clocks when a frame was captured, as the camera tells; `None` where it does not, or
    /// wrongly. `tie` is by how much the clock that nobody sets is ahead of the camera's, in
    /// nanoseconds.
    pub(super) fn told(&mut self, frame: &Frame, tie: Option<i64>) -> Option<Reading> {
        let (received, lead) = (frame.received.boot, frame.lead_nanos());
        let way = self.way.get_or_insert(FastestWay::new(lead, received));
        way.note(lead, received);
        let told = BootTime(frame.captured?.0.saturating_add(tie?));
        let by_arrival = Ticks(frame.pts).to_nanos(frame.timescale).saturating_add(way.lead());
        let apart = told.0.saturating_sub(by_arrival).saturating_abs();
        (apart < APART_NANOS_MAX).then(|| {
            let later = told.0.saturating_sub(received.0);
            let wall = frame.received.wall.plus_nanos(later);
            Reading { wall, boot: told, ..frame.received }
        })
    }
}
