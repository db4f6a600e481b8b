//! Opus as it comes (RFC 7587): a packet is a frame. Pure.

use std::sync::Arc;

use super::coding::{Coded, Coding, Depacketizer, Heard};
use super::odd::Odd;
use super::rtp::Packet;
use super::sdp::Format;
use super::sound::{Complete, Packets, Sound};
use super::source::Place;
use super::track::SoundFacts;
use crate::audio::{OPUS_RATE, opus_configuration, opus_samples};
use crate::clock::Reading;
use crate::segment::{AudioParameters, Codec, ParameterSet, TrackKind};

/// Described as RFC 7587, 7 has it.
pub(super) const CODING: Coding = Coding {
    described: ("audio", "opus"),
    kind: TrackKind::Audio,
    clock_rate: Some(OPUS_RATE),
    name: "Opus",
    depacketizer: |format| Ok(Box::new(OpusPackets::new(format))),
};

/// A packet without any sound, and its ticks: one frame of CELT of the whole band (RFC 6716, 3.1),
/// which says that it is silent (4.3).
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
const SILENCE_TICKS: u32 = OPUS_RATE / 50;

/// The packets of one track.
struct OpusPackets {
    channels: u16,
    complete: Complete,
}

impl OpusPackets {
    fn new(format: &Format) -> OpusPackets {
        // What is decoded for two channels lacks nothing, whatever was coded.
        let channels: u8 = if format.parameter("sprop-stereo") == Some("0") { 1 } else { 2 };
        let (set, packets) = of(opus_configuration(channels), channels.into());
        OpusPackets {
            channels: channels.into(),
            complete: Complete::new(&set, Some(Sound::Packets(packets))),
        }
    }
}

/// What decodes the packets of a track out of a file. `configuration` is the body of a `dOps` box.
///
/// # Errors
/// If it can't be read.
pub(super) fn stored(configuration: &[u8]) -> Result<(ParameterSet, Packets), String> {
    // Version, channels, and what is skipped, sampled and gained, and how channels are mapped.
    let channels = configuration.get(..11).and_then(|fields| fields.get(1).copied());
    let channels = channels.filter(|channels| *channels > 0);
    let channels = channels.ok_or_else(|| "a configuration that is cut off".to_owned())?;
    Ok(of(configuration.to_vec(), u16::from(channels)))
}

fn of(configuration: Vec<u8>, channels: u16) -> (ParameterSet, Packets) {
    let audio = Some(AudioParameters { sample_rate: OPUS_RATE, channels });
    let set = ParameterSet { codec: Codec::Opus, configuration, video: None, audio };
    (set, Packets { ticks: SILENCE_TICKS, silence: Some(Arc::from(SILENCE)) })
}

impl Depacketizer for OpusPackets {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        self.complete.lose(place.lost);
        if packet.payload.is_empty() {
            return Ok(());
        }
        let duration = opus_samples(packet.payload).ok_or(Odd::Unknown(packet.payload[0]))?;
        self.complete.push(place.time, Some(duration), packet.payload.to_vec(), received);
        Ok(())
    }

    fn next(&mut self) -> Option<Coded> {
        self.complete.next()
    }

    fn heard(&self) -> Heard {
        self.complete.heard()
    }

    fn sound_facts(&self) -> Option<SoundFacts> {
        let channels = self.channels;
        Some(SoundFacts { coding: "Opus", stored_as: None, sample_rate: OPUS_RATE, channels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{BootTime, WallTime};

    #[test]
    fn packets_are_frames() {
        let mut track = OpusPackets::new(&Format::default());
        let boot = BootTime(0);
        let now = Reading { wall: WallTime(0), boot, boot_id: [0; 16], synchronised: true };
        for (time, lost) in [(0, 0), (1920, 1)] {
            let payload = &[0x78, 1, 2];
            let (marker, sequence, timestamp, ssrc) = (false, 0, 0, 1);
            let packet = Packet { marker, payload_type: 96, sequence, timestamp, ssrc, payload };
            track.push(&packet, Place { time, lost, ..Place::default() }, &now).unwrap();
        }
        let frames: Vec<Coded> = std::iter::from_fn(|| track.next()).collect();
        let told = frames.iter().map(|it| (it.time, it.duration, it.lost_packets));
        assert_eq!(told.collect::<Vec<_>>(), [(0, Some(960), 0), (1920, Some(960), 1)]);
        let set = ParameterSet::decode(&frames[0].parameters.as_ref().unwrap().encoded).unwrap();
        assert_eq!(set.configuration, [0, 2, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0]);
        assert_eq!(track.sound_facts().unwrap().to_string(), "Opus 48 kHz stereo");
    }
}
