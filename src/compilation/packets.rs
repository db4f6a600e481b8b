//! Samples as packets of MPEG-TS (ISO/IEC 13818-1, 2.4.3).

use super::part::{Data, PartPiece};
use super::transport::PACKET_BYTES;

/// What a packet holds beside its header.
const PAYLOAD_BYTES: usize = PACKET_BYTES - 4;
/// The adaptation field that says that decoding can begin here.
const ENTRY_BYTES: usize = 2;
/// A unit of a sample has its length in front of it, in so many bytes; a start code takes as many.
const LENGTH_BYTES: usize = 4;
const START_CODE: [u8; LENGTH_BYTES] = [0, 0, 0, 1];

/// A packet that says nothing (2.4.3.3).
pub(super) const NULL_PACKET: [u8; PACKET_BYTES] = {
    let mut packet = [0xff; PACKET_BYTES];
    (packet[0], packet[1], packet[2], packet[3]) = (0x47, 0x1f, 0xff, 0x10);
    packet
};

/// How many packets so many bytes take, which are the first of a PES packet; `is_entry` where
/// decoding can begin with them.
pub(super) fn packets_of(bytes: usize, is_entry: bool) -> u64 {
    let field = if is_entry { ENTRY_BYTES } else { 0 };
    (bytes + field).div_ceil(PAYLOAD_BYTES) as u64
}

/// What stands in front of a sample: the header of its PES packet (2.4.3.6), and more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    stream_id: u8,
    /// Whether there is a time stamp of decoding, too.
    is_reordered: bool,
    stamps: Vec<u8>,
    more: Vec<u8>,
    /// As much as follows, where that is to be said.
    packet_length: u16,
}

impl Prefix {
    const HEADER_BYTES: usize = 9;
    const STAMP_BYTES: usize = 5;

    pub(super) fn pictures(is_reordered: bool) -> Prefix {
        Prefix { stream_id: 0xE0, is_reordered, stamps: vec![], more: vec![], packet_length: 0 }
    }

    pub(super) fn sound(stream_id: u8) -> Prefix {
        Prefix { stream_id, ..Prefix::pictures(false) }
    }

    /// With some bytes behind the header.
    pub(super) fn with(mut self, more: &[u8]) -> Prefix {
        self.more.extend_from_slice(more);
        self
    }

    /// With time stamps of presentation and of decoding, in front of so many bytes.
    pub(super) fn stamped(mut self, shown: u64, decoded: u64, size: u32) -> Prefix {
        let stamp = |mark: u8, stamp: u64| {
            let bits = |shift: u32| (stamp >> shift) as u8;
            [mark << 4 | bits(29) & 0xE | 1, bits(22), bits(14) | 1, bits(7), bits(0) << 1 | 1]
        };
        self.stamps = match self.is_reordered {
            true => [stamp(3, shown), stamp(1, decoded)].concat(),
            false => stamp(2, shown).to_vec(),
        };
        if self.stream_id != 0xE0 {
            let behind = self.length() - 6 + size as usize;
            // Zero says nothing, and is for pictures alone; no packet of sound is as long.
            self.packet_length = u16::try_from(behind).unwrap_or(0);
        }
        self
    }

    /// In bytes.
    pub(super) fn length(&self) -> usize {
        let stamps = if self.is_reordered { 2 } else { 1 };
        Prefix::HEADER_BYTES + stamps * Prefix::STAMP_BYTES + self.more.len()
    }

    fn bytes(&self) -> Vec<u8> {
        let [high, low] = self.packet_length.to_be_bytes();
        let flags = if self.is_reordered { 0xC0 } else { 0x80 };
        // What follows is aligned: a picture, or a packet of sound, begins with it.
        let header = [0, 0, 1, self.stream_id, high, low, 0x84, flags, self.stamps.len() as u8];
        [&header[..], &self.stamps, &self.more].concat()
    }
}

/// A sample as packets, which are made when its bytes are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub(super) pid: u16,
    /// Counts packets of the PID; the lowest four bits stand in them.
    pub(super) counter: u8,
    /// Decoding can begin with it.
    pub(super) is_entry: bool,
    /// It consists of units with their lengths in front of them.
    pub(super) has_units: bool,
    pub(super) prefix: Prefix,
    /// Length of the sample.
    pub(super) sample_bytes: usize,
    /// Where the sample is.
    pub(super) data: Vec<Data>,
}

impl Packed {
    pub(super) fn packets(&self) -> u64 {
        packets_of(self.prefix.length() + self.sample_bytes, self.is_entry)
    }

    /// Length of the packets, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.packets() * PACKET_BYTES as u64
    }

    /// What the sample consists of.
    pub fn sample(&self) -> impl Iterator<Item = PartPiece<'_>> {
        self.data.iter().map(Data::piece)
    }

    /// The packets, of the bytes of the sample. As long as was planned, whatever those are.
    #[must_use]
    pub fn pack(&self, sample: &[u8]) -> Vec<u8> {
        let mut bytes = self.prefix.bytes();
        let begin = bytes.len();
        bytes.extend_from_slice(sample);
        bytes.resize(begin + self.sample_bytes, 0);
        if self.has_units {
            self.start_units(&mut bytes, begin);
        }
        let mut packets = Vec::with_capacity(self.length() as usize);
        let mut left = bytes.as_slice();
        for number in 0..self.packets() {
            let is_first = number == 0;
            let entry = if is_first && self.is_entry { ENTRY_BYTES } else { 0 };
            let count = left.len().min(PAYLOAD_BYTES - entry);
            let (own, rest) = left.split_at(count);
            left = rest;
            let [high, low] = self.pid.to_be_bytes();
            let field = PAYLOAD_BYTES - count;
            let control = if field > 0 { 0x30 } else { 0x10 };
            let counter = self.counter.wrapping_add(number as u8) & 0xf;
            packets.extend([0x47, high | u8::from(is_first) << 6, low, control | counter]);
            if field > 0 {
                packets.push(field as u8 - 1);
            }
            if field > 1 {
                packets.push(if entry > 0 { 0x40 } else { 0 });
                packets.resize(packets.len() + field - 2, 0xff);
            }
            packets.extend_from_slice(own);
        }
        packets
    }

    /// Puts start codes in the place of lengths. A sample that begins with a delimiter of its own
    /// does not need the one in front of it: zeros may stand in front of a unit.
    fn start_units(&self, bytes: &mut [u8], begin: usize) {
        let delimiter = &self.prefix.more;
        let kind = |byte: u8| byte & if delimiter.len() > 6 { 0x7E } else { 0x1F };
        let own = bytes.get(begin + LENGTH_BYTES).map(|byte| kind(*byte));
        if own == delimiter.get(LENGTH_BYTES).map(|byte| kind(*byte)) {
            bytes[begin - delimiter.len()..begin].fill(0);
        }
        let mut at = begin;
        while let Some(length) = bytes.get(at..at + LENGTH_BYTES) {
            let length = length.iter().fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte));
            bytes[at..at + LENGTH_BYTES].copy_from_slice(&START_CODE);
            at = at.saturating_add(LENGTH_BYTES).saturating_add(length);
        }
    }
}

/// What a frame of AAC begins with (ISO/IEC 14496-3, 1.A.3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adts {
    object_type: u8,
    rate_index: u8,
    channels: u8,
}

impl Adts {
    const BYTES: usize = 7;

    /// Of what an AudioSpecificConfig says (1.6.2.1); `None` where a header has no place for it.
    pub(super) fn new(configuration: &[u8]) -> Option<Adts> {
        let [first, second, ..] = *configuration else { return None };
        let bits = u16::from_be_bytes([first, second]);
        let (object_type, rate_index, channels) =
            ((bits >> 11) as u8, (bits >> 7 & 0xf) as u8, (bits >> 3 & 0xf) as u8);
        // Spectral band replication is on top of AAC-LC: decoders find it in the frames.
        let object_type = if [5, 29].contains(&object_type) { 2 } else { object_type };
        let fits = (1..=4).contains(&object_type) && rate_index < 13 && (1..=7).contains(&channels);
        fits.then_some(Adts { object_type, rate_index, channels })
    }

    /// In front of so many bytes.
    pub(super) fn header(self, size: u32) -> [u8; Adts::BYTES] {
        // No frame of AAC is longer than 13 bits say.
        let length = (size as usize + Adts::BYTES).min(0x1fff) as u32;
        let fixed = 0xFFF1 << 16
            | u32::from(self.object_type - 1) << 14
            | u32::from(self.rate_index) << 10
            | u32::from(self.channels) << 6
            | length >> 11;
        let [a, b, c, d] = fixed.to_be_bytes();
        // Any bit rate, one frame.
        [a, b, c, d, (length >> 3) as u8, (length << 5) as u8 | 0x1f, 0xfc]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(sample: &[u8], is_entry: bool) -> Packed {
        let prefix = Prefix::pictures(false).with(&[0, 0, 0, 1, 9, 0xF0]);
        Packed {
            pid: 0x100,
            counter: 15,
            is_entry,
            has_units: true,
            prefix: prefix.stamped(0x1_2345_6789, 0, sample.len() as u32),
            sample_bytes: sample.len(),
            data: Vec::new(),
        }
    }

    #[test]
    fn any_sample_fills_whole_packets_and_comes_back() {
        for length in 0..600_usize {
            for is_entry in [false, true] {
                let body = length.saturating_sub(4);
                let mut sample = (body as u32).to_be_bytes().to_vec();
                sample.resize(length.max(4), 0x65);
                let packed = packed(&sample, is_entry);
                let packets = packed.pack(&sample);
                assert_eq!(packets.len() as u64, packed.length());
                let mut payload = Vec::new();
                for (number, packet) in packets.chunks(PACKET_BYTES).enumerate() {
                    assert_eq!(packet[0], 0x47);
                    assert_eq!(packet[3] & 0xf, (15 + number as u8) & 0xf);
                    assert_eq!(packet[1] & 0x40 != 0, number == 0);
                    let field = if packet[3] & 0x20 != 0 { 1 + usize::from(packet[4]) } else { 0 };
                    assert_eq!(field > 1 && packet[5] & 0x40 != 0, is_entry && number == 0);
                    payload.extend_from_slice(&packet[4 + field..]);
                }
                assert_eq!(payload[..9], [0, 0, 1, 0xE0, 0, 0, 0x84, 0x80, 5]);
                assert_eq!(payload[9..14], [0x29, 0x8D, 0x15, 0xCF, 0x13], "the time stamp");
                assert_eq!(payload[14..24], [0, 0, 0, 1, 9, 0xF0, 0, 0, 0, 1]);
                assert_eq!(payload[24..], sample[4..]);
            }
        }
    }

    #[test]
    fn a_delimiter_is_there_once_and_bad_lengths_cost_nothing_else() {
        let sample = [0, 0, 0, 2, 9, 0x10, 0, 0, 0, 2, 0x65, 1, 0xff, 0xff, 0xff, 0xff, 7];
        let bytes = packed(&sample, false).pack(&sample);
        let payload = &bytes[PACKET_BYTES - 23..];
        let expected = [&[0; 6][..], &[0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x65, 1, 0, 0, 0, 1, 7]];
        assert_eq!(payload, expected.concat());
    }

    #[test]
    fn a_frame_of_aac_says_what_it_is() {
        let adts = Adts::new(&[0x11, 0x88]).expect("AAC-LC, 48 kHz, mono");
        assert_eq!(adts.header(93), [0xff, 0xf1, 0x4c, 0x40, 0x0c, 0x9f, 0xfc]);
        assert_eq!(Adts::new(&[0x11]), None);
        assert_eq!(Adts::new(&[0x17, 0x80]), None, "a rate of its own");
        let replicated = Adts::new(&[0x2B, 0x11, 0x88, 0]).expect("HE-AAC");
        assert_eq!((replicated.object_type, replicated.rate_index), (2, 6));
    }
}
