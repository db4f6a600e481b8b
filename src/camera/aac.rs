//! AAC as it comes (RFC 3640): access units, several of them in a packet, or one in several. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::coding::{Coded, Coding, Depacketizer, Heard};
use super::odd::Odd;
use super::rtp::Packet;
use super::sdp::Format;
use super::sound::{Complete, Packets, Sound};
use super::source::Place;
use super::track::SoundFacts;
use crate::audio::AAC_RATES;
use crate::bits::BitReader;
use crate::clock::Reading;
use crate::segment::{AudioParameters, Codec, ParameterSet, TrackKind};

/// Described as RFC 3640, 4.1 has it.
pub(super) const CODING: Coding = Coding {
    described: ("audio", "mpeg4-generic"),
    kind: TrackKind::Audio,
    clock_rate: None,
    name: "AAC",
    depacketizer: |format| AccessUnits::boxed(format),
};

/// An access unit at most, in bytes: 6144 bits for each of eight channels (ISO/IEC 14496-3, 4.5.3),
/// with as much to spare.
const UNIT_BYTES_MAX: usize = 12 << 10;
/// A rate beside those.
const RATE_IN_FULL: u32 = 15;
/// Object types (ISO/IEC 14496-3, table 1.17): the two that say that another one follows, and those
/// that are told by a number beyond 31.
const SBR: u32 = 5;
const PARAMETRIC_STEREO: u32 = 29;
const ESCAPE: u32 = 31;
/// What nearly all cameras send.
const LOW_COMPLEXITY: u32 = 2;
/// Units of it without any sound, by number of channels.
const SILENCE: [(u16, &[u8]); 2] = [
    (1, &[0x00, 0xc8, 0x00, 0x80, 0x23, 0x80]),
    (2, &[0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80]),
];
/// Those whose units are units of AAC, with the samples of one, and of a short one.
const TYPES: [(u32, [u32; 2]); 7] = [
    (1, [1024, 960]),
    (2, [1024, 960]),
    (3, [1024, 960]),
    (4, [1024, 960]),
    (17, [1024, 960]),
    (23, [512, 480]),
    (39, [512, 480]),
];
/// Channels by configuration (ISO/IEC 14496-3, table 1.19); where the first unit tells them, they
/// are taken as two.
const CHANNELS: [u16; 8] = [2, 1, 2, 3, 4, 5, 6, 8];

/// What an AudioSpecificConfig says (ISO/IEC 14496-3, 1.6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Configuration {
    /// Samples a second that are decoded.
    rate: u32,
    channels: u16,
    /// Samples of a unit, and of how many a second they are, before the decoder adds some.
    unit: (u32, u32),
    /// A unit without any sound, where one is known.
    silence: Option<&'static [u8]>,
}

/// Bits of what a packet says of its units (RFC 3640, 3.2.1), as a description tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lengths {
    size: u32,
    index: u32,
    index_delta: u32,
    composition: u32,
    decoding: u32,
    /// Whether a bit marks units that decoding can begin with.
    random_access: u32,
    state: u32,
    auxiliary: u32,
}

/// The units of one track.
struct AccessUnits {
    configuration: Configuration,
    lengths: Lengths,
    /// Ticks of a unit.
    duration: u32,
    /// One of which more has to come.
    open: Option<Open>,
    complete: Complete,
}

/// The beginning of a unit.
struct Open {
    time: i64,
    size: usize,
    data: Vec<u8>,
}

impl Configuration {
    /// Reads it, or says what is wrong with it.
    fn read(bytes: &[u8]) -> Result<Configuration, String> {
        let cut = || "a configuration that is cut off".to_owned();
        let mut bits = BitReader::new(bytes);
        let mut kind = object_type(&mut bits).ok_or_else(cut)?;
        let core = rate(&mut bits).ok_or_else(cut)?;
        let channels = bits.take(4).ok_or_else(cut)?;
        let mut decoded = core;
        if kind == SBR || kind == PARAMETRIC_STEREO {
            decoded = rate(&mut bits).ok_or_else(cut)?;
            kind = object_type(&mut bits).ok_or_else(cut)?;
        }
        let is_short = bits.take(1).ok_or_else(cut)? as usize;
        let known = TYPES.iter().find(|(known, _)| *known == kind);
        let (_, samples) = known.ok_or_else(|| format!("object type {kind} is not recorded"))?;
        let channels = CHANNELS.get(channels as usize).copied();
        let channels = channels.ok_or_else(|| "a configuration of channels unknown".to_owned())?;
        if core == 0 || decoded == 0 {
            return Err("a sampling rate of 0".to_owned());
        }
        let is_plain = kind == LOW_COMPLEXITY && core == decoded && is_short == 0;
        let silence = SILENCE.iter().find(|(known, _)| is_plain && *known == channels);
        let silence = silence.map(|(_, unit)| *unit);
        Ok(Configuration { rate: decoded, channels, unit: (samples[is_short], core), silence })
    }

    /// Its units, at so many ticks a second.
    fn packets(&self, clock: u32) -> Packets {
        let (samples, rate) = self.unit;
        let ticks = u64::from(samples) * u64::from(clock) / u64::from(rate);
        let silence = self.silence.map(Arc::from);
        Packets { ticks: u32::try_from(ticks).unwrap_or(u32::MAX), silence }
    }

    /// What it is, as bytes.
    fn set(&self, bytes: Vec<u8>) -> ParameterSet {
        let audio = AudioParameters { sample_rate: self.rate, channels: self.channels };
        ParameterSet { codec: Codec::Aac, configuration: bytes, video: None, audio: Some(audio) }
    }
}

/// What decodes the units of a track out of a file, at as many ticks as samples a second.
///
/// # Errors
/// Says what is wrong with the configuration.
pub(super) fn stored(configuration: &[u8]) -> Result<(ParameterSet, Packets), String> {
    let read = Configuration::read(configuration)?;
    Ok((read.set(configuration.to_vec()), read.packets(read.rate)))
}

fn object_type(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.take(5)? {
        ESCAPE => Some(32 + bits.take(6)?),
        kind => Some(kind),
    }
}

fn rate(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.take(4)? {
        RATE_IN_FULL => bits.take(24),
        index => AAC_RATES.get(index as usize).copied(),
    }
}

/// Bytes that a description has in hexadecimal.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let bytes = digits?.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect();
    Some(bytes)
}

impl Lengths {
    fn read(format: &Format) -> Result<Lengths, String> {
        let number = |name: &str| -> Result<Option<u32>, String> {
            let Some(text) = format.parameter(name) else { return Ok(None) };
            let number = text.parse().ok().filter(|bits| *bits <= 32);
            number.map(Some).ok_or_else(|| format!("{name}={text}, expected 0 to 32"))
        };
        // What the mode says where the lengths are forgotten (RFC 3640, 3.3.5 and 3.3.6).
        let mode = format.parameter("mode").unwrap_or_default().to_ascii_lowercase();
        let usual = match mode.as_str() {
            "aac-hbr" | "" => (13, 3),
            "aac-lbr" => (6, 2),
            _ => (0, 0),
        };
        let size = number("sizelength")?.unwrap_or(usual.0);
        if size == 0 {
            return Err(format!("mode {mode:?} without sizes"));
        }
        Ok(Lengths {
            size,
            index: number("indexlength")?.unwrap_or(usual.1),
            index_delta: number("indexdeltalength")?.unwrap_or(usual.1),
            composition: number("ctsdeltalength")?.unwrap_or(0),
            decoding: number("dtsdeltalength")?.unwrap_or(0),
            random_access: u32::from(number("randomaccessindication")?.unwrap_or(0) == 1),
            state: number("streamstateindication")?.unwrap_or(0),
            auxiliary: number("auxiliarydatasizelength")?.unwrap_or(0),
        })
    }

    /// The sizes of the units of a packet, and what lies behind them; `None` if they are cut off.
    ///
    /// What the headers say of the order is left aside: cameras send units in theirs, and some
    /// count them.
    fn units<'a>(&self, payload: &'a [u8]) -> Option<(VecDeque<usize>, &'a [u8])> {
        let (length, rest) = payload.split_first_chunk::<2>()?;
        let bits = usize::from(u16::from_be_bytes(*length));
        let (headers, mut data) = rest.split_at_checked(bits.div_ceil(8))?;
        let mut headers = BitReader::new(headers);
        let mut sizes = VecDeque::new();
        while headers.position() < bits {
            let size = headers.take(self.size)?;
            headers.take(if sizes.is_empty() { self.index } else { self.index_delta })?;
            for delta in [self.composition, self.decoding] {
                if delta > 0 && headers.take(1)? == 1 {
                    headers.take(delta)?;
                }
            }
            headers.take(self.random_access)?;
            headers.take(self.state)?;
            sizes.push_back(size as usize);
        }
        if self.auxiliary > 0 {
            let mut reader = BitReader::new(data);
            let bits = self.auxiliary as usize + reader.take(self.auxiliary)? as usize;
            data = data.get(bits.div_ceil(8)..)?;
        }
        Some((sizes, data))
    }
}

/// A unit without the header of a file (ISO/IEC 14496-3, 1.A.3.2), which some cameras leave there:
/// the first element of a unit is no end.
fn without_adts(unit: &[u8]) -> &[u8] {
    let [0xff, second, _, a, b, c, _, ..] = unit else { return unit };
    let length = usize::from(a & 3) << 11 | usize::from(*b) << 3 | usize::from(c >> 5);
    let header = if second & 1 == 0 { 9 } else { 7 };
    if second & 0xf6 == 0xf0 && length == unit.len() {
        return unit.get(header..).unwrap_or(unit);
    }
    unit
}

impl AccessUnits {
    fn boxed(format: &Format) -> Result<Box<dyn Depacketizer>, String> {
        let bytes = format.parameter("config").and_then(hexadecimal).unwrap_or_default();
        if bytes.is_empty() {
            return Err("its description has no config".to_owned());
        }
        let configuration = Configuration::read(&bytes)?;
        let clock = format.clock_rate.ok_or_else(|| "its description has no rate".to_owned())?;
        let packets = configuration.packets(clock);
        let (duration, set) = (packets.ticks, configuration.set(bytes));
        Ok(Box::new(AccessUnits {
            configuration,
            lengths: Lengths::read(format)?,
            duration,
            open: None,
            complete: Complete::new(&set, Some(Sound::Packets(packets))),
        }))
    }

    fn whole(&mut self, time: i64, unit: &[u8], received: &Reading) {
        let unit = without_adts(unit).to_vec();
        if !unit.is_empty() {
            self.complete.push(time, Some(self.duration), unit, received);
        }
    }

    /// Takes the next part of a unit that is in several packets. Answers whether it was one.
    fn go_on(&mut self, time: i64, size: usize, part: &[u8], received: &Reading) -> bool {
        let Some(mut open) = self.open.take() else { return false };
        if (open.time, open.size) != (time, size) || open.data.len() + part.len() > size {
            return false;
        }
        open.data.extend_from_slice(part);
        if open.data.len() == size {
            self.whole(time, &open.data, received);
        } else {
            self.open = Some(open);
        }
        true
    }
}

impl Depacketizer for AccessUnits {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        if place.lost > 0 || place.is_anew {
            self.open = None;
        }
        self.complete.lose(place.lost);
        if packet.payload.is_empty() {
            return Ok(());
        }
        let (sizes, mut data) = self.lengths.units(packet.payload).ok_or(Odd::BadHeaders)?;
        let count = sizes.len();
        let was_open = self.open.is_some();
        if let (1, Some(&size)) = (count, sizes.front())
            && size > data.len()
        {
            // A unit in several packets has each of them to itself (RFC 3640, 3.2.3.1).
            if size > UNIT_BYTES_MAX {
                self.open = None;
                return Err(Odd::LargeUnit);
            }
            if !self.go_on(place.time, size, data, received) {
                self.open = Some(Open { time: place.time, size, data: data.to_vec() });
            }
            return Ok(());
        }
        let mut time = place.time;
        for size in sizes {
            let Some((unit, rest)) = data.split_at_checked(size) else {
                return Err(Odd::BadHeaders);
            };
            if size > UNIT_BYTES_MAX {
                return Err(Odd::LargeUnit);
            }
            self.whole(time, unit, received);
            data = rest;
            time = time.saturating_add(i64::from(self.duration));
        }
        let is_broken = was_open && self.open.take().is_some();
        if is_broken { Err(Odd::NoEnd) } else { Ok(()) }
    }

    fn next(&mut self) -> Option<Coded> {
        self.complete.next()
    }

    fn heard(&self) -> Heard {
        self.complete.heard()
    }

    fn sound_facts(&self) -> Option<SoundFacts> {
        let Configuration { rate, channels, .. } = self.configuration;
        Some(SoundFacts { coding: "AAC", stored_as: None, sample_rate: rate, channels })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bits::BitWriter;
    use crate::units::{BootTime, WallTime};

    const HBR: &str = "mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3";

    fn now() -> Reading {
        let boot = BootTime(0);
        Reading { wall: WallTime(0), boot, boot_id: [0; 16], synchronised: true }
    }

    fn described(parameters: &str, clock_rate: u32) -> Result<Box<dyn Depacketizer>, String> {
        let clock_rate = Some(clock_rate);
        let parameters = parameters.to_owned();
        AccessUnits::boxed(&Format { parameters, clock_rate, ..Format::default() })
    }

    fn hbr() -> Box<dyn Depacketizer> {
        described(&format!("{HBR};config=1408"), 16_000).expect("it is recorded")
    }

    /// A payload of units, of which the first has that size.
    fn payload(size: usize, units: &[&[u8]]) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.put(units.len() as u64 * 16, 16);
        for (number, unit) in units.iter().enumerate() {
            let size = if number == 0 { size } else { unit.len() };
            bits.put(size as u64, 13);
            bits.put(0, 3);
        }
        [bits.finish(), units.concat()].concat()
    }

    fn push(track: &mut dyn Depacketizer, time: i64, lost: u32, payload: &[u8]) -> Result<(), Odd> {
        let packet =
            Packet { marker: true, payload_type: 97, sequence: 0, timestamp: 0, ssrc: 1, payload };
        track.push(&packet, Place { time, lost, ..Place::default() }, &now())
    }

    fn told(track: &mut dyn Depacketizer) -> Vec<(i64, Option<u32>, Vec<u8>, u32)> {
        let frames = std::iter::from_fn(|| track.next());
        frames.map(|it| (it.time, it.duration, it.data, it.lost_packets)).collect()
    }

    #[test]
    fn configurations_are_read_as_they_are_told() {
        let read = |text| Configuration::read(&hexadecimal(text).expect("digits"));
        let is = |rate, channels, unit, silent_bytes: usize| {
            let read = |it: Configuration| {
                (it.rate, it.channels, it.unit, it.silence.map_or(0, <[u8]>::len))
            };
            move |it: Result<Configuration, String>| {
                assert_eq!(it.map(read), Ok((rate, channels, unit, silent_bytes)));
            }
        };
        is(16_000, 1, (1024, 16_000), 6)(read("1408"));
        is(44_100, 2, (1024, 44_100), 9)(read("1210"));
        // SBR, without and with parametric stereo.
        is(44_100, 1, (1024, 22_050), 0)(read("2b8a0800"));
        is(44_100, 1, (1024, 22_050), 0)(read("eb8a0800"));
        assert_eq!(read("f8f02000").map(|it| it.unit.0), Ok(512), "low delay");
        assert_eq!(read("14"), Err("a configuration that is cut off".to_owned()));
        assert_eq!(read("f95020"), Err("object type 42 is not recorded".to_owned()));
        assert_eq!(hexadecimal("14zz"), None);
    }

    #[test]
    fn a_description_without_what_is_needed_is_refused_with_a_reason() {
        let refused = |parameters: &str| described(parameters, 16_000).err().expect("a reason");
        assert_eq!(refused(HBR), "its description has no config");
        assert_eq!(refused("mode=generic;config=1408"), "mode \"generic\" without sizes");
        assert_eq!(refused("sizelength=99;config=1408"), "sizelength=99, expected 0 to 32");
        let facts = described("config=1408", 16_000).expect("AAC-hbr is usual").sound_facts();
        assert_eq!(facts.expect("sound").to_string(), "AAC 16 kHz");
    }

    #[test]
    fn units_of_a_packet_follow_one_another() {
        let mut track = hbr();
        push(&mut *track, 100, 0, &payload(2, &[&[1, 2], &[3, 4, 5], &[6]])).unwrap();
        push(&mut *track, 3172, 2, &payload(1, &[&[7]])).unwrap();
        let wanted = [
            (100, Some(1024), vec![1, 2], 0),
            (1124, Some(1024), vec![3, 4, 5], 0),
            (2148, Some(1024), vec![6], 0),
            (3172, Some(1024), vec![7], 2),
        ];
        assert_eq!(told(&mut *track), wanted);
        let first = describe_first_parameters();
        assert_eq!((first.codec, &first.configuration[..]), (Codec::Aac, &[0x14, 0x08][..]));
    }

    fn describe_first_parameters() -> ParameterSet {
        let mut track = hbr();
        push(&mut *track, 0, 0, &payload(1, &[&[7]])).unwrap();
        let parameters = track.next().and_then(|frame| frame.parameters).expect("with the first");
        ParameterSet::decode(&parameters.encoded).expect("a set")
    }

    #[test]
    fn a_unit_in_several_packets_is_whole_or_nothing() {
        let mut track = hbr();
        for part in [[1_u8; 4], [2; 4], [3; 4]] {
            push(&mut *track, 0, 0, &payload(12, &[&part])).unwrap();
        }
        let whole = [[1_u8; 4], [2; 4], [3; 4]].concat();
        assert_eq!(told(&mut *track), [(0, Some(1024), whole, 0)]);
        for (lost, part) in [(0, [1_u8; 4]), (1, [3; 4])] {
            push(&mut *track, 1024, lost, &payload(12, &[&part])).unwrap();
        }
        let next = push(&mut *track, 2048, 0, &payload(2, &[&[4, 4]]));
        assert_eq!(next, Err(Odd::NoEnd));
        assert_eq!(told(&mut *track), [(2048, Some(1024), vec![4, 4], 1)]);
    }

    #[test]
    fn a_header_that_belongs_into_files_is_taken_off() {
        let unit = [0xff, 0xf1, 0x60, 0x40, 0x01, 0x3f, 0xfc, 0x21, 0x22];
        assert_eq!(without_adts(&unit), [0x21, 0x22]);
        assert_eq!(without_adts(&unit[..8]), &unit[..8], "of another length");
    }

    #[test]
    fn units_without_a_place_in_their_packet_are_left_out() {
        let mut track = hbr();
        assert_eq!(push(&mut *track, 0, 0, &[0]), Err(Odd::BadHeaders));
        assert_eq!(push(&mut *track, 0, 0, &[0, 200, 1]), Err(Odd::BadHeaders));
        let cut = payload(9, &[&[1; 9], &[2; 9]]);
        assert_eq!(push(&mut *track, 0, 0, &cut[..20]), Err(Odd::BadHeaders));
        assert_eq!(told(&mut *track), [(0, Some(1024), vec![1; 9], 0)], "one was whole");
    }

    proptest! {
        #[test]
        fn no_packets_make_more_than_they_are(
            packets in prop::collection::vec(
                (any::<i64>(), prop::collection::vec(any::<u8>(), 0..60)), 0..20),
            sizes in (1_u32..33, 0_u32..33, 0_u32..33, 0_u32..20),
        ) {
            let (size, index, cts, auxiliary) = sizes;
            let parameters = format!(
                "sizelength={size};indexlength={index};ctsdeltalength={cts};config=1408;\
                 auxiliarydatasizelength={auxiliary};randomaccessindication=1",
            );
            let mut track = described(&parameters, 16_000).expect("it is recorded");
            let sent: usize = packets.iter().map(|(_, payload)| payload.len()).sum();
            for (time, payload) in packets {
                let _ = push(&mut *track, time, 0, &payload);
            }
            let stored: usize = told(&mut *track).iter().map(|it| it.2.len()).sum();
            prop_assert!(stored <= sent);
        }

        #[test]
        fn any_configuration_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..9)) {
            let _ = Configuration::read(&bytes);
        }
    }
}
