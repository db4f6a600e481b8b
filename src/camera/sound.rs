//! What decodes sound, and what depacketizers of sound and records have in common: frames that
//! decode without any other, under parameters that a description tells. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::coding::{Coded, Heard, ReorderDepth};
use super::parameters::Parameters;
use crate::clock::Reading;
use crate::flac::Shape;
use crate::segment::ParameterSet;

/// How the frames of a track of sound become samples of an mp4: a clip's sound begins where its
/// pictures do, and has no hole, which only silence can fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// They are samples, and coded where it is known which of them a clip has.
    Pcm(Pcm),
    /// They stay as they are.
    Packets(Packets),
}

/// Samples of 16 bits, the low byte first, of all channels by turns. Silence is zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcm {
    shape: Shape,
}

/// Packets, each of which decodes on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Ticks of one; of Opus, whose packets may have any length, those of the silent one.
    pub ticks: u32,
    /// One without any sound, where one is known.
    pub silence: Option<Arc<[u8]>>,
}

impl Pcm {
    /// Of so many samples a second, and of one or two channels.
    #[must_use]
    pub fn new(sample_rate: u32, channels: u16) -> Pcm {
        Pcm { shape: Shape { sample_rate, channels } }
    }

    /// What decodes them when they are coded: see [`Codec::Flac`](crate::segment::Codec::Flac).
    #[must_use]
    pub fn configuration(&self) -> Vec<u8> {
        self.shape.configuration()
    }

    /// Samples a second; one is a tick.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.shape.sample_rate
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> u16 {
        self.shape.channels
    }

    /// Bytes of one sample of each channel.
    #[must_use]
    pub fn width(&self) -> usize {
        2 * usize::from(self.shape.channels)
    }

    /// Codes samples into FLAC frames, each with the ticks that it lasts: 128 ms at most. The last
    /// one may be shorter, and those before it whatever that takes: only samples that are fewer
    /// than 16 in all make a frame that short, which a decoder takes at a stream's end (RFC 9639,
    /// 8.2). `first_sample` is the number that frames have of the first one, and free. What is
    /// less than a sample at the end is left out.
    #[must_use]
    pub fn code(&self, pcm: &[u8], first_sample: u64) -> Vec<(u32, Vec<u8>)> {
        let samples = pcm.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
        self.shape.frames(&samples.collect::<Vec<i16>>(), first_sample)
    }
}

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
    pub(super) fn new(set: &ParameterSet, sound: Option<Sound>) -> Complete {
        let parameters = Parameters::new(set, set.encode().into(), ReorderDepth::Known(0));
        let parameters = Some(Arc::new(Parameters { sound, ..parameters }));
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
