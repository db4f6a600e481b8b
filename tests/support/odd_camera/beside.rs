//! What a camera sends beside its pictures: sound and records, all known beforehand.

use super::RATE;
use super::packet::Packet;

/// Makes the packets that go with a frame of the pictures, told its number; whose channel they come
/// over is not theirs to say.
pub type Packets = Box<dyn Fn(u64) -> Vec<Packet> + Send + Sync>;

/// One medium.
pub struct Medium {
    /// Its lines of the description, but for that of its address.
    pub lines: String,
    /// The status that its SETUP is answered with.
    pub refuses: Option<&'static str>,
    /// Ticks of RTP time in a second, and RTP time of the first frame.
    pub clock: (u32, u32),
    /// Whether it says what its clock shows, where its camera does that at all.
    pub reports: bool,
    pub packets: Packets,
}

/// Milliseconds of a packet of sound.
const PACKET_MILLIS: u64 = 20;
/// Packets for each frame.
const PACKETS: u64 = 1000 / RATE / PACKET_MILLIS;
/// RTP time of the first packet.
const FIRST: u32 = 0xffff_f000;
pub const SOUND_SSRC: u32 = 0x5050_5050;
const PAYLOAD_TYPE: u8 = 97;

/// The byte at a place of what is sent: noise, silence and a ramp by turns.
pub fn byte(place: u64) -> u8 {
    match place / 3000 % 3 {
        0 => (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8,
        1 => 0xff,
        _ => (place / 7 % 100) as u8 + 0x90,
    }
}

fn packet(sequence: u64, time: u32, payload: Vec<u8>) -> Packet {
    let (marker, payload_type, ssrc) = (false, PAYLOAD_TYPE, SOUND_SSRC);
    let sequence = (sequence as u16).wrapping_add(65_000);
    Packet { channel: 0, marker, payload_type, sequence, time, ssrc, payload }
}

/// Samples as they are, of so many bytes for all channels: those of [`byte`].
pub fn samples(map: &str, rate: u32, width: u64) -> Medium {
    let length = u64::from(rate) * PACKET_MILLIS / 1000;
    let packets = move |frame: u64| {
        let numbers = frame * PACKETS..(frame + 1) * PACKETS;
        let packets = numbers.map(|number| {
            let bytes = number * length * width..(number + 1) * length * width;
            let time = FIRST.wrapping_add((number * length) as u32);
            packet(number, time, bytes.map(byte).collect())
        });
        packets.collect()
    };
    Medium {
        lines: format!("m=audio 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} {map}\r\n"),
        refuses: None,
        clock: (rate, FIRST),
        reports: true,
        packets: Box::new(packets),
    }
}

/// Samples of a unit of AAC, and of how many a second.
pub const UNIT: u64 = 1024;
pub const UNIT_RATE: u64 = 16_000;

/// A unit of AAC: nothing is decoded here, and its bytes are known.
pub fn unit(number: u64) -> Vec<u8> {
    let length = 60 + number % 300;
    // A file's header begins with ones.
    std::iter::once(0x21).chain((number * 1000..number * 1000 + length).map(byte)).collect()
}

/// AAC (RFC 3640): units by twos in a packet, and each eighth one in several.
pub fn aac() -> Medium {
    let step = UNIT_RATE / RATE;
    let packets = move |frame: u64| {
        // Those that begin with this frame.
        let first = (frame * step).div_ceil(UNIT);
        let behind = ((frame + 1) * step).div_ceil(UNIT);
        let packets = (first..behind).flat_map(unit_packets);
        packets.collect()
    };
    let modes = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408";
    Medium {
        lines: format!(
            "m=audio 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} mpeg4-generic/16000/1\r\n\
             a=fmtp:{PAYLOAD_TYPE} streamtype=5;profile-level-id=1;{modes}\r\n"
        ),
        refuses: None,
        clock: (UNIT_RATE as u32, FIRST),
        reports: true,
        packets: Box::new(packets),
    }
}

/// The packets that are due with a unit: of two units, with the second of them.
fn unit_packets(number: u64) -> Vec<Packet> {
    let header = |unit: &[u8]| ((unit.len() as u16) << 3).to_be_bytes();
    let time = |number: u64| FIRST.wrapping_add((number * UNIT) as u32);
    // Eight units are in seven packets.
    let (before, place) = (number / 8 * 7, number % 8);
    let own = unit(number);
    match place {
        0 | 2 | 4 => Vec::new(),
        6 => {
            let payload = [&[0, 16][..], &header(&own), &own].concat();
            vec![packet(before + 3, time(number), payload)]
        }
        7 => {
            let parts = own.chunks(own.len().div_ceil(3)).zip(4..);
            let packets = parts.map(|(part, place)| {
                let payload = [&[0, 16][..], &header(&own), part].concat();
                packet(before + place, time(number), payload)
            });
            packets.collect()
        }
        _ => {
            let other = unit(number - 1);
            let headers = [header(&other), header(&own)].concat();
            let payload = [&[0, 32][..], &headers, &other, &own].concat();
            vec![packet(before + place / 2, time(number - 1), payload)]
        }
    }
}

/// A record of ONVIF metadata.
pub fn record(number: u64) -> String {
    let long = "x".repeat((number % 4 * 1000) as usize);
    format!("<tt:MetadataStream><!-- {number} {long} --></tt:MetadataStream>")
}

/// Bytes of a packet of records.
const PART: usize = 500;

/// Records, one with every fifth frame.
pub fn records() -> Medium {
    let packets = |frame: u64| {
        if !frame.is_multiple_of(5) {
            return Vec::new();
        }
        let number = frame / 5;
        let before: usize = (0..number).map(|it| record(it).len().div_ceil(PART)).sum();
        let text = record(number).into_bytes();
        let count = text.len().div_ceil(PART);
        let time = (frame as u32).wrapping_mul(90_000 / RATE as u32);
        let packets = text.chunks(PART).enumerate().map(|(place, part)| Packet {
            marker: place + 1 == count,
            payload_type: 107,
            ssrc: 0x6060_6060,
            ..packet((before + place) as u64, time, part.to_vec())
        });
        packets.collect()
    };
    let map = "a=rtpmap:107 vnd.onvif.metadata/90000";
    Medium {
        lines: format!("m=application 0 RTP/AVP 107\r\n{map}\r\n"),
        refuses: None,
        clock: (90_000, 0),
        reports: true,
        packets: Box::new(packets),
    }
}
