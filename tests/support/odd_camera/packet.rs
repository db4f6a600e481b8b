//! NAL units into packets (RFC 6184), and packets into bytes.

/// Bytes of a packet's payload at most.
pub const PAYLOAD_BYTES_MAX: usize = 1400;

/// One packet, before it is put into bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    pub channel: u8,
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub time: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

impl Packet {
    /// As it is sent (RFC 3550, 5.1).
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x80, u8::from(self.marker) << 7 | self.payload_type];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.time.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// Whether it ends a NAL unit: it is one, or is its last fragment.
    pub fn ends_unit(&self) -> bool {
        match self.payload[..] {
            [header, fragment, ..] if header & 31 == 28 => fragment & 0x40 != 0,
            _ => true,
        }
    }

    /// Type of the NAL unit that it is, or is a fragment of.
    pub fn unit_type(&self) -> u8 {
        match self.payload[..] {
            [header, fragment, ..] if header & 31 == 28 => fragment & 31,
            [header, ..] => header & 31,
            [] => 0,
        }
    }
}

/// A report of its sender (RFC 3550, 6.4.1): a moment by its own clock and in RTP time.
pub fn report(ssrc: u32, ntp: u64, time: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend(ntp.to_be_bytes());
    bytes.extend(time.to_be_bytes());
    // What it counts is of no interest.
    bytes.extend([0; 8]);
    bytes
}

/// Interleaved (RFC 2326, 10.12).
pub fn framed(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short packet");
    [&[b'$', channel][..], &length.to_be_bytes(), bytes].concat()
}

/// What a session counts on.
pub struct Sender {
    pub sequence: u16,
    pub ssrc: u32,
}

impl Sender {
    pub fn packets(&mut self, units: &[Vec<u8>], time: u32) -> Vec<Packet> {
        let mut payloads = Vec::new();
        for unit in units {
            // One fragment would be no fragment (RFC 6184, 5.8).
            if unit.len() <= PAYLOAD_BYTES_MAX + 1 {
                payloads.push(unit.clone());
                continue;
            }
            let pieces: Vec<&[u8]> = unit[1..].chunks(PAYLOAD_BYTES_MAX).collect();
            for (index, piece) in pieces.iter().enumerate() {
                let start = u8::from(index == 0) << 7;
                let end = u8::from(index + 1 == pieces.len()) << 6;
                let head = [unit[0] & 0xE0 | 28, start | end | unit[0] & 31];
                payloads.push([&head[..], piece].concat());
            }
        }
        let count = payloads.len();
        let packet = |(index, payload)| {
            let sequence = self.sequence.wrapping_add(index as u16);
            let (marker, ssrc) = (index + 1 == count, self.ssrc);
            Packet { channel: 0, marker, payload_type: 96, sequence, time, ssrc, payload }
        };
        let packets = payloads.into_iter().enumerate().map(packet).collect();
        self.sequence = self.sequence.wrapping_add(count as u16);
        packets
    }
}
