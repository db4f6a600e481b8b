//! Sound that is sent as samples (RFC 3551, 4.5): G.711 in both forms and L16. Players of mp4 know
//! none of them, so it is stored as FLAC: the samples are what the camera sent, bit by bit. A
//! packet is a frame of samples; they are coded where it is known which of them a clip has. Pure.

use super::coding::{Coded, Coding, Depacketizer, Heard};
use super::odd::Odd;
use super::rtp::Packet;
use super::sdp::Format;
use super::sound::{Complete, Pcm, Sound};
use super::source::Place;
use super::track::SoundFacts;
use crate::clock::Reading;
use crate::demux::PcmForm;
use crate::flac::{SAMPLE_RATE_MAX, Shape};
use crate::segment::{AudioParameters, Codec, ParameterSet, TrackKind};

/// RFC 3551, 4.5.14.
pub(super) const PCMU: Coding = Coding {
    described: ("audio", "pcmu"),
    kind: TrackKind::Audio,
    clock_rate: None,
    name: "G.711 µ-law",
    depacketizer: |format| {
        Samples::boxed(format, "G.711 µ-law", 1, |bytes| looked_up(&ULAW, bytes))
    },
};

/// The same.
pub(super) const PCMA: Coding = Coding {
    described: ("audio", "pcma"),
    kind: TrackKind::Audio,
    clock_rate: None,
    name: "G.711 A-law",
    depacketizer: |format| {
        Samples::boxed(format, "G.711 A-law", 1, |bytes| looked_up(&ALAW, bytes))
    },
};

/// RFC 3551, 4.5.11.
pub(super) const L16: Coding = Coding {
    described: ("audio", "l16"),
    kind: TrackKind::Audio,
    clock_rate: None,
    name: "L16",
    depacketizer: |format| Samples::boxed(format, "L16", 2, swapped),
};

/// Ticks a second of G.711 where a description does not say.
const SAMPLE_RATE: u32 = 8000;
const CHANNELS_MAX: u16 = 2;

/// The samples of one track.
struct Samples {
    name: &'static str,
    shape: Shape,
    /// Bytes of one sample, as it is sent.
    width: usize,
    /// Makes samples of them, the low byte first.
    decode: fn(&[u8]) -> Vec<u8>,
    complete: Complete,
}

impl Samples {
    fn boxed(
        format: &Format,
        name: &'static str,
        width: usize,
        decode: fn(&[u8]) -> Vec<u8>,
    ) -> Result<Box<dyn Depacketizer>, String> {
        let sample_rate = format.clock_rate.unwrap_or(SAMPLE_RATE);
        let channels = format.channels.unwrap_or(1);
        let shape = shape(sample_rate, channels)?;
        let set = set(shape);
        let complete =
            Complete::new(&set, Some(Sound::Pcm(Pcm::new(shape.sample_rate, shape.channels))));
        Ok(Box::new(Samples { name, shape, width, decode, complete }))
    }
}

/// The shape of samples, where they are recorded.
///
/// # Errors
/// If there are more of them than that.
pub(super) fn shape(sample_rate: u32, channels: u16) -> Result<Shape, String> {
    if !(1..=SAMPLE_RATE_MAX).contains(&sample_rate) {
        let most = SAMPLE_RATE_MAX;
        return Err(format!("{sample_rate} samples a second, {most} are recorded"));
    }
    if !(1..=CHANNELS_MAX).contains(&channels) {
        return Err(format!("{channels} channels, {CHANNELS_MAX} are recorded"));
    }
    Ok(Shape { sample_rate, channels })
}

/// What decodes samples when they are coded.
pub(super) fn set(shape: Shape) -> ParameterSet {
    let Shape { sample_rate, channels } = shape;
    ParameterSet {
        codec: Codec::Flac,
        configuration: shape.configuration(),
        video: None,
        audio: Some(AudioParameters { sample_rate, channels }),
    }
}

/// Samples of 16 bits, the low byte first, of others.
pub(super) fn decoded(form: PcmForm, bytes: &[u8]) -> Vec<u8> {
    match form {
        PcmForm::LittleEndian => bytes.to_vec(),
        PcmForm::BigEndian => swapped(bytes),
        PcmForm::MuLaw => looked_up(&ULAW, bytes),
        PcmForm::ALaw => looked_up(&ALAW, bytes),
    }
}

/// Samples of 16 bits with their bytes in the other order.
fn swapped(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks_exact(2).flat_map(|two| [two[1], two[0]]).collect()
}

impl Depacketizer for Samples {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        self.complete.lose(place.lost);
        let group = self.width * usize::from(self.shape.channels);
        let count = packet.payload.len() / group;
        let (whole, rest) = packet.payload.split_at(count * group);
        if count > 0 {
            let data = (self.decode)(whole);
            self.complete.push(place.time, Some(count as u32), data, received);
        }
        if rest.is_empty() { Ok(()) } else { Err(Odd::HalfSample) }
    }

    fn next(&mut self) -> Option<Coded> {
        self.complete.next()
    }

    fn heard(&self) -> Heard {
        self.complete.heard()
    }

    fn sound_facts(&self) -> Option<SoundFacts> {
        let Shape { sample_rate, channels } = self.shape;
        Some(SoundFacts { coding: self.name, stored_as: Some("FLAC"), sample_rate, channels })
    }
}

/// The samples of bytes, each of which means one.
fn looked_up(table: &[i16; 256], bytes: &[u8]) -> Vec<u8> {
    let mut samples = vec![0; 2 * bytes.len()];
    for (sample, byte) in samples.chunks_exact_mut(2).zip(bytes) {
        sample.copy_from_slice(&table[usize::from(*byte)].to_le_bytes());
    }
    samples
}

/// µ-law (ITU-T G.711, table 2): what each byte means, in 16 bits.
static ULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = !(byte as u8);
        let step = (((code & 0x0f) as i16) << 3) + 0x84;
        let size = (step << ((code & 0x70) >> 4)) - 0x84;
        table[byte] = if code & 0x80 == 0 { size } else { -size };
        byte += 1;
    }
    table
};

/// A-law (ITU-T G.711, table 1).
static ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = byte as u8 ^ 0x55;
        let (segment, step) = ((code & 0x70) >> 4, ((code & 0x0f) as i16) << 4);
        let size = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
        table[byte] = if code & 0x80 == 0 { -size } else { size };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use claxon::FlacReader;

    use super::*;
    use crate::units::{BootTime, WallTime};

    fn at(millis: i64) -> Reading {
        let boot = BootTime(millis * 1_000_000);
        Reading { wall: WallTime(0), boot, boot_id: [0; 16], synchronised: true }
    }

    fn track(coding: &Coding, rate: u32, channels: u16) -> Box<dyn Depacketizer> {
        let format =
            Format { clock_rate: Some(rate), channels: Some(channels), ..Format::default() };
        (coding.depacketizer)(&format).expect("it is recorded")
    }

    fn packet(payload: &[u8]) -> Packet<'_> {
        Packet { marker: false, payload_type: 0, sequence: 0, timestamp: 0, ssrc: 1, payload }
    }

    fn place(time: i64, lost: u32) -> Place {
        Place { time, lost, ..Place::default() }
    }

    /// Frames as times, lengths and packets that are missing before them; and their samples, which
    /// come back from what they are coded to.
    fn told(track: &mut dyn Depacketizer) -> (Vec<(i64, u32, u32)>, Vec<i16>) {
        let frames: Vec<Coded> = std::iter::from_fn(|| track.next()).collect();
        let parameters = frames[0].parameters.as_ref().expect("the first has some");
        let Some(Sound::Pcm(pcm)) = &parameters.sound else { panic!("no samples") };
        let data: Vec<u8> = frames.iter().flat_map(|frame| frame.data.clone()).collect();
        let set = ParameterSet::decode(&parameters.encoded).expect("a set");
        let mut stream = [b"fLaC", &set.configuration[..]].concat();
        pcm.code(&data, 7).iter().for_each(|(_, frame)| stream.extend(frame));
        let mut reader = FlacReader::new(&stream[..]).expect("a stream");
        let coded: Vec<i16> = reader.samples().map(|it| it.expect("a sample") as i16).collect();
        let samples = data.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
        assert_eq!(coded, samples.collect::<Vec<i16>>());
        let of = |it: &Coded| (it.time, it.duration.expect("a length"), it.lost_packets);
        (frames.iter().map(of).collect(), coded)
    }

    #[test]
    fn packets_become_frames_of_samples() {
        let mut track = track(&PCMU, 8000, 1);
        for number in 0..20 {
            let payload = [number as u8 + 100; 160];
            let lost = u32::from(number == 3);
            track
                .push(&packet(&payload), place(50 + number * 160, lost), &at(number * 20))
                .unwrap();
        }
        track.push(&packet(&[]), place(3250, 0), &at(400)).unwrap();
        let (frames, samples) = told(&mut *track);
        let wanted = (0..20).map(|number| (50 + number * 160, 160, u32::from(number == 3)));
        assert_eq!(frames, wanted.collect::<Vec<_>>());
        let wanted = (0..20_u8).flat_map(|number| [ULAW[usize::from(number) + 100]; 160]);
        assert_eq!(samples, wanted.collect::<Vec<i16>>());
        assert_eq!(track.sound_facts().unwrap().to_string(), "G.711 µ-law 8 kHz as FLAC");
    }

    #[test]
    fn samples_of_two_channels_go_by_turns() {
        let mut track = track(&L16, 44_100, 2);
        let payload: Vec<u8> =
            (0..441_i16).flat_map(|it| [it, -it]).flat_map(i16::to_be_bytes).collect();
        track.push(&packet(&payload), place(0, 0), &at(0)).unwrap();
        let odd = track.push(&packet(&[1, 2, 3]), place(441, 0), &at(10));
        assert_eq!(odd, Err(Odd::HalfSample));
        let (frames, samples) = told(&mut *track);
        assert_eq!(frames, [(0, 441, 0)]);
        assert_eq!(samples, (0..441).flat_map(|it| [it, -it]).collect::<Vec<i16>>());
        assert_eq!(track.sound_facts().unwrap().to_string(), "L16 44.1 kHz stereo as FLAC");
    }

    #[test]
    fn what_cannot_be_stored_is_refused_with_a_reason() {
        let refused = |rate, channels| {
            let format =
                Format { clock_rate: Some(rate), channels: Some(channels), ..Format::default() };
            (L16.depacketizer)(&format).err().expect("a reason")
        };
        assert_eq!(refused(96_000, 1), "96000 samples a second, 65535 are recorded");
        assert_eq!(refused(8000, 6), "6 channels, 2 are recorded");
    }

    #[test]
    fn both_laws_are_those_of_the_standard() {
        let of = |table: &[i16; 256], bytes: [usize; 5]| bytes.map(|byte| table[byte]);
        assert_eq!(of(&ULAW, [0x00, 0x7f, 0x80, 0xff, 0x2a]), [-32_124, 0, 32_124, 0, -5372]);
        assert_eq!(of(&ALAW, [0x00, 0x55, 0x80, 0xd5, 0x2a]), [-5504, -8, 5504, 8, -32_256]);
    }
}
