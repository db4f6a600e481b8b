//! Sound that is sent as samples (RFC 3551, 4.5): G.711 in both forms and L16. Players of mp4 know
//! none of them, so it is stored as FLAC: the samples are what the camera sent, bit by bit. Pure.

use super::coding::{Coded, Coding, Depacketizer, Heard};
use super::flac::{BLOCK_MIN, Encoder, SAMPLE_RATE_MAX};
use super::odd::Odd;
use super::rtp::Packet;
use super::sdp::Format;
use super::sound::Complete;
use super::source::Place;
use super::track::SoundFacts;
use crate::clock::Reading;
use crate::segment::{AudioParameters, Codec, ParameterSet, TrackKind};
use crate::units::{NANOS_PER_SECOND, Ticks};

/// RFC 3551, 4.5.14.
pub(super) const PCMU: Coding = Coding {
    described: ("audio", "pcmu"),
    kind: TrackKind::Audio,
    clock_rate: None,
    name: "G.711 µ-law",
    depacketizer: |format| {
        Samples::boxed(format, "G.711 µ-law", 1, |bytes| ULAW[usize::from(bytes[0])])
    },
};

/// The same.
pub(super) const PCMA: Coding = Coding {
    described: ("audio", "pcma"),
    kind: TrackKind::Audio,
    clock_rate: None,
    name: "G.711 A-law",
    depacketizer: |format| {
        Samples::boxed(format, "G.711 A-law", 1, |bytes| ALAW[usize::from(bytes[0])])
    },
};

/// RFC 3551, 4.5.11.
pub(super) const L16: Coding = Coding {
    described: ("audio", "l16"),
    kind: TrackKind::Audio,
    clock_rate: None,
    name: "L16",
    depacketizer: |format| {
        Samples::boxed(format, "L16", 2, |bytes| i16::from_be_bytes([bytes[0], bytes[1]]))
    },
};

/// Ticks a second of G.711 where a description does not say.
const SAMPLE_RATE: u32 = 8000;
const CHANNELS_MAX: u16 = 2;
/// Times of packets that follow one another are off by so much at most: many cameras take them from
/// a clock of milliseconds.
const TIME_ERROR_NANOS_MAX: i64 = NANOS_PER_SECOND / 50;

/// The samples of one track.
struct Samples {
    name: &'static str,
    sample_rate: u32,
    channels: u16,
    /// Bytes of one sample.
    width: usize,
    decode: fn(&[u8]) -> i16,
    encoder: Encoder,
    /// Those that wait for the block to be whole, of all channels by turns.
    waiting: Vec<i16>,
    /// The time of the first of them, in samples: a tick of RTP time is one.
    begin: i64,
    /// When the last of them came.
    received: Option<Reading>,
    complete: Complete,
}

impl Samples {
    fn boxed(
        format: &Format,
        name: &'static str,
        width: usize,
        decode: fn(&[u8]) -> i16,
    ) -> Result<Box<dyn Depacketizer>, String> {
        let sample_rate = format.clock_rate.unwrap_or(SAMPLE_RATE);
        let channels = format.channels.unwrap_or(1);
        if sample_rate > SAMPLE_RATE_MAX {
            let most = SAMPLE_RATE_MAX;
            return Err(format!("{sample_rate} samples a second, {most} are recorded"));
        }
        if channels > CHANNELS_MAX {
            return Err(format!("{channels} channels, {CHANNELS_MAX} are recorded"));
        }
        let encoder = Encoder::new(sample_rate, channels);
        let set = ParameterSet {
            codec: Codec::Flac,
            configuration: encoder.configuration(),
            video: None,
            audio: Some(AudioParameters { sample_rate, channels }),
        };
        Ok(Box::new(Samples {
            name,
            sample_rate,
            channels,
            width,
            decode,
            encoder,
            waiting: Vec::new(),
            begin: 0,
            received: None,
            complete: Complete::new(&set),
        }))
    }

    /// Samples that wait, of each channel.
    fn count(&self) -> usize {
        self.waiting.len() / usize::from(self.channels)
    }

    /// Whether a packet goes on where the last one ended.
    fn follows(&self, place: Place) -> bool {
        let off = place.time.saturating_sub(self.begin.saturating_add(self.count() as i64));
        if place.lost > 0 || place.is_anew {
            return off == 0;
        }
        off.saturating_abs() <= Ticks::from_nanos(TIME_ERROR_NANOS_MAX, self.sample_rate).0
    }

    /// What waits is a block, or the first part of it.
    fn close(&mut self, count: usize) {
        let Some(received) = self.received else { return };
        let block: Vec<i16> = self.waiting.drain(..count * usize::from(self.channels)).collect();
        let frame = self.encoder.frame(&block);
        self.complete.push(self.begin, Some(count as u32), frame, &received);
        self.begin = self.begin.saturating_add(count as i64);
    }
}

impl Depacketizer for Samples {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        if !self.waiting.is_empty() && !self.follows(place) {
            self.flush();
        }
        self.complete.lose(place.lost);
        if self.waiting.is_empty() {
            self.begin = place.time;
        }
        let group = self.width * usize::from(self.channels);
        let whole = packet.payload.len() / group * group;
        let samples = packet.payload[..whole].chunks_exact(self.width);
        self.waiting.extend(samples.map(self.decode));
        self.received = Some(*received);
        let length = self.encoder.block_length();
        while self.count() >= length {
            self.close(length);
        }
        if whole < packet.payload.len() { Err(Odd::HalfSample) } else { Ok(()) }
    }

    fn next(&mut self) -> Option<Coded> {
        self.complete.next()
    }

    fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn flush(&mut self) {
        // Less than two milliseconds is no block.
        if self.count() >= BLOCK_MIN {
            self.close(self.count());
        }
        self.waiting.clear();
    }

    fn heard(&self) -> Heard {
        self.complete.heard()
    }

    fn has_parameters(&self) -> bool {
        true
    }

    fn sound_facts(&self) -> Option<SoundFacts> {
        Some(SoundFacts {
            coding: self.name,
            stored_as: Some("FLAC"),
            sample_rate: self.sample_rate,
            channels: self.channels,
        })
    }
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
    use proptest::prelude::*;

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

    /// Frames as times, lengths and packets that are missing before them; and their samples.
    fn told(track: &mut dyn Depacketizer) -> (Vec<(i64, u32, u32)>, Vec<i16>) {
        track.flush();
        let frames: Vec<Coded> = std::iter::from_fn(|| track.next()).collect();
        let parameters = frames[0].parameters.as_ref().expect("the first has some");
        let set = ParameterSet::decode(&parameters.encoded);
        let mut stream = [b"fLaC", &set.expect("a set").configuration[..]].concat();
        frames.iter().for_each(|frame| stream.extend(&frame.data));
        let mut reader = FlacReader::new(&stream[..]).expect("a stream");
        let samples = reader.samples().map(|sample| sample.expect("a sample") as i16).collect();
        let of =
            |frame: &Coded| (frame.time, frame.duration.expect("a length"), frame.lost_packets);
        (frames.iter().map(of).collect(), samples)
    }

    #[test]
    fn packets_become_frames_of_an_eighth_of_a_second() {
        let mut track = track(&PCMU, 8000, 1);
        for number in 0..20 {
            let payload = [number as u8 + 100; 160];
            track.push(&packet(&payload), place(50 + number * 160, 0), &at(number * 20)).unwrap();
        }
        let (frames, samples) = told(&mut *track);
        assert_eq!(frames, [(50, 1024, 0), (1074, 1024, 0), (2098, 1024, 0), (3122, 128, 0)]);
        let wanted = (0..20_u8).flat_map(|number| [ULAW[usize::from(number) + 100]; 160]);
        assert_eq!(samples, wanted.collect::<Vec<i16>>());
        assert_eq!(track.sound_facts().unwrap().to_string(), "G.711 µ-law 8 kHz as FLAC");
    }

    #[test]
    fn what_is_lost_ends_a_frame_and_what_is_stamped_in_milliseconds_does_not() {
        let mut lossy = track(&PCMA, 8000, 1);
        for (time, lost) in [(0, 0), (163, 0), (318, 0), (640, 1), (800, 0)] {
            lossy.push(&packet(&[1; 160]), place(time, lost), &at(0)).unwrap();
        }
        let (frames, _) = told(&mut *lossy);
        assert_eq!(frames, [(0, 480, 0), (640, 320, 1)]);
        let mut jumping = track(&PCMA, 8000, 1);
        for time in [0, 160, 8000, 8160, 100] {
            jumping.push(&packet(&[1; 160]), place(time, 0), &at(0)).unwrap();
        }
        let (frames, _) = told(&mut *jumping);
        assert_eq!(frames, [(0, 320, 0), (8000, 320, 0), (100, 160, 0)]);
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

    proptest! {
        #[test]
        fn whatever_comes_is_stored_once_and_in_order(
            packets in prop::collection::vec((0_usize..700, -40_i64..400, 0_u32..2), 0..30),
        ) {
            let mut track = track(&PCMU, 8000, 1);
            let (mut time, mut sent) = (0, 0);
            for (length, step, lost) in packets {
                let payload: Vec<u8> = (0..length).map(|it| (it * 7) as u8).collect();
                time += step;
                track.push(&packet(&payload), place(time, lost), &at(time)).unwrap();
                time += length as i64;
                sent += length;
            }
            track.flush();
            let frames: Vec<Coded> = std::iter::from_fn(|| track.next()).collect();
            let lengths = frames.iter().filter_map(|it| it.duration);
            let stored: usize = lengths.map(|it| it as usize).sum();
            prop_assert!(stored <= sent && stored + 31 * BLOCK_MIN >= sent, "{stored} of {sent}");
            prop_assert!(frames.iter().all(|frame| frame.duration.is_some_and(|it| it <= 1024)));
        }
    }
}
