//! A stretch of a stream that is not recorded: from what broke it to the next key frame.

use std::time::Duration;

use crate::recorder::drops::DropReason;
use crate::recorder::outage::span;
use crate::segment::{Observation, ObservationKind};
use crate::units::WallTime;

/// What is left out, while it is.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) reason: DropReason,
    /// Packets, milliseconds or bytes, as the reason has it.
    pub(super) number: i64,
    /// Frames received and dropped.
    pub(super) frames: u64,
    from: WallTime,
}

impl Gap {
    pub(super) fn new(reason: DropReason, number: i64, from: WallTime) -> Gap {
        Gap { reason, number, frames: 0, from }
    }

    /// What is remembered of it when it is over; nothing where nothing is amiss.
    pub(super) fn observation(&self, to: WallTime) -> Option<Observation> {
        let frames = i64::try_from(self.frames).unwrap_or(i64::MAX);
        let (kind, number) = match self.reason {
            DropReason::BeforeKeyFrame => return None,
            DropReason::Loss => (ObservationKind::Lost, self.number),
            DropReason::TimeJump | DropReason::ClockSet => (ObservationKind::TimeJump, self.number),
            _ => (ObservationKind::Dropped, frames),
        };
        // A change between two groups costs no frame and is told by the clips themselves.
        if self.reason == DropReason::ParametersChanged && frames == 0 {
            return None;
        }
        let what = match self.reason {
            DropReason::Loss => format!("{number} packets lost on the way"),
            DropReason::TimeJump => format!("the camera's time jumped by {number} ms"),
            DropReason::ClockSet => {
                let length = span(Duration::from_millis(number.unsigned_abs()));
                let way = if number < 0 { "back" } else { "forward" };
                format!("the clock of this machine was set {way} by {length}")
            }
            DropReason::TooLarge => format!("a frame of {} bytes is too large", self.number),
            other => other.words().to_string(),
        };
        let text = format!("{what}; {frames} frames dropped");
        Some(Observation { from: self.from, to: to.max(self.from), kind, number, text })
    }
}
