//! Frames that are kept although something before them was lost: from the loss to where decoding is
//! right again. Pure.

use crate::camera::Frame;
use crate::segment::{Observation, ObservationKind};
use crate::units::WallTime;

/// What is damaged, while it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage {
    from: WallTime,
    packets: u64,
    /// Frames that were kept.
    pub(super) frames: u64,
    /// Points of recovery since the last loss: behind one, decoding is right some frames later, and
    /// surely so behind the next.
    recoveries: u32,
}

impl Damage {
    pub(super) fn new(from: WallTime) -> Damage {
        Damage { from, packets: 0, frames: 0, recoveries: 0 }
    }

    /// So many packets are missing.
    pub(super) fn lose(&mut self, packets: u32) {
        self.packets = self.packets.saturating_add(u64::from(packets));
        self.recoveries = 0;
    }

    /// Whether all is right from this frame on, with which a group begins.
    pub(super) fn ends_with(&mut self, frame: &Frame) -> bool {
        self.recoveries += 1;
        frame.is_key || self.recoveries > 1
    }

    /// What is remembered of it when it is over.
    pub(super) fn observation(&self, to: WallTime) -> Observation {
        let Damage { from, packets, frames, .. } = *self;
        let text = format!("{packets} packets lost on the way; {frames} frames behind are damaged");
        let (kind, number) = match frames {
            // The loss cost its own frame, and a group began behind it.
            0 => (ObservationKind::Lost, packets),
            _ => (ObservationKind::Damaged, frames),
        };
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        Observation { from, to: to.max(from), kind, number, text }
    }
}
