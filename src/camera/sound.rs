//! What the depacketizers of sound and records have in common: frames that decode without any
//! other, under parameters that a description tells. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::coding::{Coded, Heard, ReorderDepth};
use super::parameters::Parameters;
use crate::clock::Reading;
use crate::segment::ParameterSet;

/// Frames that are complete.
pub(super) struct Complete {
    frames: VecDeque<Coded>,
    /// Given with the first one.
    parameters: Option<Arc<Parameters>>,
    count: u64,
    lost_packets: u32,
}

impl Complete {
    /// None yet, under these parameters.
    pub(super) fn new(set: &ParameterSet) -> Complete {
        let parameters = Parameters::new(set, set.encode().into(), ReorderDepth::Known(0));
        let parameters = Some(Arc::new(parameters));
        Complete { frames: VecDeque::new(), parameters, count: 0, lost_packets: 0 }
    }

    /// So many packets were lost before the next frame.
    pub(super) fn lose(&mut self, packets: u32) {
        self.lost_packets = self.lost_packets.saturating_add(packets);
    }

    /// A frame of that time and length, in ticks.
    pub(super) fn push(
        &mut self,
        time: i64,
        duration: Option<u32>,
        data: Vec<u8>,
        received: &Reading,
    ) {
        self.count += 1;
        self.frames.push_back(Coded {
            time,
            data,
            is_key: true,
            is_recovery: false,
            is_leading: false,
            duration,
            parameters: self.parameters.take(),
            lost_packets: std::mem::take(&mut self.lost_packets),
            received: *received,
        });
    }

    pub(super) fn next(&mut self) -> Option<Coded> {
        self.frames.pop_front()
    }

    pub(super) fn heard(&self) -> Heard {
        Heard { frames: self.count, key_frames: self.count }
    }
}
