//! MPEG-TS (ISO/IEC 13818-1): packets of 188 bytes, a programme with pictures and sound.
//!
//! How many packets a sample takes is known from its length. What else there is comes at times of
//! the file that depend on nothing: the clock every [`PCR_NANOS`], the tables every fifth time.
//! Samples come when they are decoded, [`DELAY_NANOS`] before their time stamps, which run over
//! every 26 hours. There are no edits: the file begins with a key frame.
//!
//! Of pictures H.264 and H.265 have a place in it, of sound AAC and Opus.

use std::ops::Range;

use super::packets::{Adts, Packed, Prefix, packets_of};
use super::part::{Data, PartData};
use super::segmented::{Container, Counted, Segmenting};
use super::segments::{Boundary, Measure, Placed};
use super::{Common, Compilation, SOUND, TRACKS, VIDEO};
use crate::mp4::{Mp4Error, entry};
use crate::segment::{Codec, ParameterSet, Sample};
use crate::units::NANOS_PER_SECOND;

/// Length of a packet.
pub(super) const PACKET_BYTES: usize = 188;
/// Time between two clock references: at most 100 ms (2.7.2).
pub(super) const PCR_NANOS: i64 = 80_000_000;
/// So many of them from table to table: 400 ms; receivers wait for half a second.
pub(super) const TABLES_EVERY: i64 = 5;
/// How long a sample is there before it is decoded, in nanoseconds.
const DELAY_NANOS: i64 = 700_000_000;
/// Ticks a second of time stamps, and how they are counted (2.4.3.6).
const STAMPS: i128 = 90_000;
const STAMP_BITS: u32 = 33;
/// Ticks of the reference clock in one of a time stamp (2.4.3.4).
const CLOCK_EXTENSION: i128 = 300;

const TABLE_PID: u16 = 0;
const MAP_PID: u16 = 0x1000;
const PIDS: [u16; TRACKS] = [0x100, 0x101];
const PROGRAMME: u16 = 1;

/// See the [module](self).
pub(super) struct Transport {
    pictures: Codec,
    /// Sound that has a place in it.
    sound: Option<Sound>,
    /// The sections that say what is in it.
    tables: [Vec<u8>; 2],
}

/// How sound is put into packets.
#[derive(Clone, Copy)]
enum Sound {
    Aac(Adts),
    Opus(u8),
}

impl Sound {
    /// `None` where it has no place.
    fn new(set: &ParameterSet) -> Option<Sound> {
        match set.codec {
            Codec::Aac => Adts::new(&set.configuration).map(Sound::Aac),
            Codec::Opus => {
                let channels = set.audio?.channels;
                u8::try_from(channels).ok().filter(|channels| *channels <= 2).map(Sound::Opus)
            }
            _ => None,
        }
    }
}

/// Whether MPEG-TS has a place for such pictures: their units have lengths of four bytes, which
/// start codes take the place of.
pub(super) fn fits(pictures: &ParameterSet) -> bool {
    matches!(pictures.codec, Codec::H264 | Codec::H265) && entry::length_size(pictures) == Some(4)
}

impl Common {
    /// Whether MPEG-TS has a place for the pictures.
    #[must_use]
    pub fn fits_transport(&self) -> bool {
        fits(self.video())
    }

    /// The same without the sound that MPEG-TS has no place for.
    #[must_use]
    pub fn of_transport(self) -> Common {
        if self.sound().is_some_and(|sound| Sound::new(sound).is_some()) {
            return self;
        }
        self.without_sound()
    }
}

impl Compilation {
    /// The parts as MPEG-TS, which [`Common::fits_transport`] says yes to.
    #[must_use]
    pub fn transport(self) -> Segmenting {
        let transport = Transport::new(self.common.video(), self.common.sound());
        Segmenting::new(self, Box::new(transport))
    }
}

impl Transport {
    /// Of pictures that [fit](fits), and the sound that does.
    pub(super) fn new(pictures: &ParameterSet, sound: Option<&ParameterSet>) -> Transport {
        let (pictures, sound) = (pictures.codec, sound.and_then(Sound::new));
        Transport { pictures, sound, tables: [association(), map(pictures, sound)] }
    }

    /// Whether it has a place for the sound.
    pub(super) fn has_sound(&self) -> bool {
        self.sound.is_some()
    }

    /// What stands in front of a sample.
    fn prefix(&self, track: usize, size: u32, is_reordered: bool) -> Prefix {
        let mut prefix = match (track, self.sound) {
            (SOUND, Some(Sound::Aac(adts))) => Prefix::sound(0xC0).with(&adts.header(size)),
            (SOUND, _) => Prefix::sound(0xBD).with(&opus_control(size)),
            _ => Prefix::pictures(is_reordered),
        };
        if track == VIDEO {
            prefix = prefix.with(delimiter(self.pictures));
        }
        prefix
    }
}

impl Measure for Transport {
    fn sample_bytes(&self, track: usize, sample: &Sample) -> u64 {
        let prefix = self.prefix(track, sample.size, sample.composition_offset != 0);
        let is_entry = track == VIDEO && sample.flags.sync;
        packets_of(prefix.length() + sample.size as usize, is_entry) * PACKET_BYTES as u64
    }

    fn segment_bytes(&self, _counts: [u64; TRACKS], shown_nanos: Range<i64>) -> u64 {
        let clocks = points(&shown_nanos);
        let tables = clocks.clone().filter(|point| has_tables(*point));
        let packets = clocks.count() + 2 * tables.count();
        (packets * PACKET_BYTES) as u64
    }
}

impl Container for Transport {
    fn header(&self, _compilation: &Compilation, _counted: &Counted) -> Result<Vec<u8>, Mp4Error> {
        Ok(Vec::new())
    }

    fn write(
        &self,
        compilation: &Compilation,
        segment: &[Boundary; 2],
        _number: usize,
        samples: [Vec<Placed>; TRACKS],
        to: &mut PartData,
    ) {
        let [begin, end] = segment;
        let mut all: Vec<(i64, usize, Item)> = Vec::new();
        for point in points(&(begin.shown_nanos..end.shown_nanos)) {
            if has_tables(point) {
                all.push((point * PCR_NANOS, 0, Item::Tables((point / TABLES_EVERY) as u8)));
            }
            all.push((point * PCR_NANOS, 1, Item::Clock));
        }
        for (track, samples) in samples.into_iter().enumerate() {
            let decoded = |sample: &Placed| compilation.shown_nanos(track, sample.decoded, 0);
            let items = samples.into_iter().map(|sample| (decoded(&sample), 2 + track, sample));
            all.extend(items.map(|(at, order, sample)| (at, order, Item::Sample(track, sample))));
        }
        all.sort_by_key(|(nanos, order, _)| (*nanos, *order));
        let mut counters = begin.bytes.map(|bytes| bytes / PACKET_BYTES as u64);
        for (nanos, _, item) in all {
            match item {
                Item::Tables(counter) => to.add(self.tables(counter).into()),
                // A packet without payload has the number of the last one that has some.
                Item::Clock => {
                    let last = counters[VIDEO].wrapping_sub(1) as u8;
                    to.add(clock_reference(nanos, last).into());
                }
                Item::Sample(track, sample) => {
                    let offset = sample.composition_offset;
                    let shown = compilation.shown_nanos(track, sample.decoded, offset);
                    let packed = self.packed(track, sample, (shown, nanos), counters[track] as u8);
                    counters[track] += packed.packets();
                    to.add(Data::Packed(packed.into()));
                }
            }
        }
    }
}

/// The how-manieth clock references come in some time of the file.
fn points(shown_nanos: &Range<i64>) -> Range<i64> {
    let until = |nanos: i64| (nanos.max(0) + PCR_NANOS - 1) / PCR_NANOS;
    until(shown_nanos.start)..until(shown_nanos.end)
}

/// Whether tables come with a clock reference.
fn has_tables(point: i64) -> bool {
    point % TABLES_EVERY == 0
}

/// What comes at a time of the file.
enum Item {
    /// With its count.
    Tables(u8),
    Clock,
    /// Of which track.
    Sample(usize, Placed),
}

impl Transport {
    /// The tables, with their count.
    pub(super) fn tables(&self, counter: u8) -> Vec<u8> {
        let [association, map] = &self.tables;
        [section(TABLE_PID, counter, association), section(MAP_PID, counter, map)].concat()
    }

    /// A sample as packets, with when it is shown and decoded in nanoseconds of the file, and the
    /// number of its first packet.
    pub(super) fn packed(
        &self,
        track: usize,
        sample: Placed,
        (shown, decoded): (i64, i64),
        counter: u8,
    ) -> Packed {
        let prefix = self.prefix(track, sample.size, sample.composition_offset != 0);
        Packed {
            pid: PIDS[track],
            counter,
            is_entry: track == VIDEO && sample.is_sync,
            has_units: track == VIDEO,
            prefix: prefix.stamped(stamp(shown), stamp(decoded), sample.size),
            sample_bytes: sample.size as usize,
            data: sample.data,
        }
    }
}

/// A time stamp of what is at so many nanoseconds of the file.
fn stamp(nanos: i64) -> u64 {
    let ticks =
        (i128::from(nanos) + i128::from(DELAY_NANOS)) * STAMPS / i128::from(NANOS_PER_SECOND);
    ticks.rem_euclid(1 << STAMP_BITS) as u64
}

/// A packet that says what time it is (2.4.3.4 and 2.4.3.5).
pub(super) fn clock_reference(nanos: i64, counter: u8) -> Vec<u8> {
    let ticks = i128::from(nanos) * STAMPS * CLOCK_EXTENSION / i128::from(NANOS_PER_SECOND);
    let base = (ticks / CLOCK_EXTENSION).rem_euclid(1 << STAMP_BITS) as u64;
    let extension = (ticks % CLOCK_EXTENSION) as u64;
    let [high, low] = PIDS[VIDEO].to_be_bytes();
    // An adaptation field and nothing else, with a clock reference.
    let mut packet = vec![0x47, high, low, 0x20 | counter & 0xf, PACKET_BYTES as u8 - 5, 0x10];
    packet.extend_from_slice(&(base << 15 | 0x3f << 9 | extension).to_be_bytes()[2..]);
    packet.resize(PACKET_BYTES, 0xff);
    packet
}

/// A packet with one section (2.4.4.2).
fn section(pid: u16, counter: u8, section: &[u8]) -> Vec<u8> {
    let [high, low] = pid.to_be_bytes();
    let mut packet = vec![0x47, 0x40 | high, low, 0x10 | counter & 0xf, 0];
    packet.extend_from_slice(section);
    packet.resize(PACKET_BYTES, 0xff);
    packet
}

/// A section with its header and its checksum (2.4.4.3 and 2.4.4.8).
fn checked(table: u8, body: &[u8]) -> Vec<u8> {
    /// The one programme, of version 0, which is in force, in the one section that there is.
    const HEAD: [u8; 5] = [0, PROGRAMME as u8, 0xC1, 0, 0];
    let length = (HEAD.len() + body.len() + 4) as u16;
    let mut section = vec![table];
    section.extend_from_slice(&(0xB000 | length).to_be_bytes());
    section.extend_from_slice(&HEAD);
    section.extend_from_slice(body);
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_MPEG_2).checksum(&section);
    section.extend_from_slice(&checksum.to_be_bytes());
    section
}

/// Where the map of the programme is (2.4.4.3).
fn association() -> Vec<u8> {
    let pid = 0xE000 | MAP_PID;
    checked(0, &[&PROGRAMME.to_be_bytes()[..], &pid.to_be_bytes()].concat())
}

/// What the programme consists of (2.4.4.8).
fn map(pictures: Codec, sound: Option<Sound>) -> Vec<u8> {
    let pid = |track: usize| (0xE000 | PIDS[track]).to_be_bytes();
    // The clock is with the pictures; there are no descriptors of the programme.
    let mut body = [&pid(VIDEO)[..], &[0xF0, 0]].concat();
    body.push(if pictures == Codec::H265 { 0x24 } else { 0x1B });
    body.extend_from_slice(&pid(VIDEO));
    body.extend_from_slice(&[0xF0, 0]);
    match sound {
        None => {}
        Some(Sound::Aac(_)) => {
            body.push(0x0F);
            body.extend_from_slice(&pid(SOUND));
            body.extend_from_slice(&[0xF0, 0]);
        }
        Some(Sound::Opus(channels)) => {
            // Opus in MPEG-TS (opus-codec.org, 2016): its registration, and how many channels.
            let descriptors = [b"\x05\x04Opus".as_slice(), &[0x7F, 2, 0x80, channels]].concat();
            body.push(0x06);
            body.extend_from_slice(&pid(SOUND));
            body.extend_from_slice(&[0xF0, descriptors.len() as u8]);
            body.extend_from_slice(&descriptors);
        }
    }
    checked(2, &body)
}

/// An access unit delimiter: pictures of any kind follow (ISO/IEC 14496-10, 7.3.2.4, and
/// ISO/IEC 23008-2, 7.3.2.5).
fn delimiter(pictures: Codec) -> &'static [u8] {
    match pictures {
        Codec::H265 => &[0, 0, 0, 1, 0x46, 0x01, 0x50],
        _ => &[0, 0, 0, 1, 0x09, 0xF0],
    }
}

/// The control header in front of an access unit of Opus, which says how long that is.
fn opus_control(size: u32) -> Vec<u8> {
    let mut header = vec![0x7F, 0xE0];
    header.resize(2 + size as usize / 255, 255);
    header.push((size % 255) as u8);
    header
}
