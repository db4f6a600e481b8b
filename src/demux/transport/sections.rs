//! Tables of programmes and of their streams (ISO/IEC 13818-1, 2.4.4).

use super::packets::Packet;
use crate::demux::cursor::Cursor;
use crate::demux::{Coding, Entry, Kind};

/// A section at most, in bytes (ISO/IEC 13818-1, 2.4.4.4).
const SECTION_BYTES_MAX: usize = 1024;
/// Identifiers of tables (ISO/IEC 13818-1, table 2-31).
const PROGRAMMES: u8 = 0;
const STREAMS: u8 = 2;
/// Fields in front of what a section says, behind its length, and the checksum behind, in bytes.
const FIELDS_BYTES: usize = 5;
const CHECKSUM_BYTES: usize = 4;
/// Descriptors (ISO/IEC 13818-1, 2.6).
const REGISTRATION: u8 = 5;
const EXTENSION: u8 = 0x7f;
const AC_3: u8 = 0x6a;
/// Of Opus, within an extension (ETSI TS 101 154 and opus-codec.org, "Opus in MPEG-TS").
const OPUS_CHANNELS: u8 = 0x80;

/// A section while its packets come.
#[derive(Default)]
pub(super) struct Section(Vec<u8>);

impl Section {
    /// Takes a packet of a table. Answers the sections that are complete: the identifier of the
    /// table, and what it says.
    pub(super) fn push(&mut self, packet: &Packet<'_>) -> Vec<Body> {
        let Some(payload) = packet.payload else { return Vec::new() };
        let mut bodies = Vec::new();
        let mut at = Cursor(payload);
        if packet.is_start {
            // What is before the first one that begins here is of the one before.
            let before = at.u8().and_then(|before| at.take(before.into())).unwrap_or_default();
            if !self.0.is_empty() {
                self.0.extend_from_slice(before);
                bodies.extend(self.next());
            }
            self.0.clear();
        } else if self.0.is_empty() {
            return bodies;
        }
        self.0.extend_from_slice(at.0);
        bodies.extend(std::iter::from_fn(|| self.next()));
        bodies
    }

    fn next(&mut self) -> Option<Body> {
        loop {
            let mut at = Cursor(&self.0);
            let (table, length) = (at.u8()?, usize::from(at.u16()? & 0xfff));
            if table == 0xff || length > SECTION_BYTES_MAX {
                self.0.clear();
                return None;
            }
            let body = at.take(length)?;
            let whole = self.0.get(..3 + length)?;
            let checksum = crc::Crc::<u32>::new(&crc::CRC_32_MPEG_2).checksum(whole);
            let said = body.get(FIELDS_BYTES..length.saturating_sub(CHECKSUM_BYTES));
            let body = said.filter(|_| checksum == 0).map(<[u8]>::to_vec);
            self.0.drain(..3 + length);
            if let Some(said) = body {
                return Some(Body { table, said });
            }
        }
    }
}

/// What a section says, and of which table it is.
pub(super) struct Body {
    table: u8,
    said: Vec<u8>,
}

/// Where the streams of the first programme are listed.
pub(super) fn first_map(body: &Body) -> Option<u16> {
    let mut at = Cursor(if body.table == PROGRAMMES { &body.said } else { &[] });
    loop {
        let (programme, pid) = (at.u16()?, at.u16()? & 0x1fff);
        // 0 is none, but where the network is described.
        if programme > 0 {
            return Some(pid);
        }
    }
}

/// A stream of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) pid: u16,
    pub(super) kind: Kind,
    pub(super) coding: Coding,
    /// Channels, of Opus.
    pub(super) channels: u8,
}

/// The streams of a programme.
pub(super) fn streams(body: &Body) -> Vec<Stream> {
    let mut at = Cursor(&body.said);
    let skipped = at.skip(2).and_then(|()| at.u16());
    let skipped = skipped.and_then(|length| at.skip(usize::from(length & 0xfff)));
    if body.table != STREAMS || skipped.is_none() {
        return Vec::new();
    }
    std::iter::from_fn(|| {
        let (kind, pid) = (at.u8()?, at.u16()? & 0x1fff);
        let length = usize::from(at.u16()? & 0xfff);
        Some(stream(kind, pid, at.take(length)?))
    })
    .collect()
}

/// What a type of stream is (ISO/IEC 13818-1, table 2-34), with what describes it.
fn stream(number: u8, pid: u16, descriptors: &[u8]) -> Stream {
    let described = |tag: u8| all(descriptors).find(|(found, _)| *found == tag);
    let registered = described(REGISTRATION).and_then(|(_, body)| body.get(..4));
    let other = |name: &str| Coding::Other(name.to_owned());
    let (kind, coding) = match (number, registered) {
        (0x1b, _) => (Kind::Video, Coding::H264),
        (0x24, _) | (0x06, Some(b"HEVC")) => (Kind::Video, Coding::H265),
        (0x01 | 0x02, _) => (Kind::Video, other("MPEG-2 Video")),
        (0x10, _) => (Kind::Video, other("MPEG-4 Visual")),
        (0x33, _) => (Kind::Video, other("H.266")),
        (0x0f, _) => (Kind::Sound, Coding::Aac),
        (0x11, _) => (Kind::Sound, other("AAC in LATM")),
        (0x03 | 0x04, _) => (Kind::Sound, other("MPEG audio")),
        (0x06, Some(b"Opus")) => (Kind::Sound, Coding::Opus),
        (0x81, _) => (Kind::Sound, other("AC-3")),
        (0x06, _) if described(AC_3).is_some() => (Kind::Sound, other("AC-3")),
        (number, _) => (Kind::Other, Coding::Other(format!("data of type 0x{number:02x}"))),
    };
    let channels = described(EXTENSION).and_then(|(_, body)| match body {
        [OPUS_CHANNELS, channels, ..] => Some(*channels),
        _ => None,
    });
    let channels = channels.unwrap_or(2);
    let coding = match coding {
        // More of them have a table of their own.
        Coding::Opus if !(1..=2).contains(&channels) => {
            Coding::Other("Opus of more channels".to_owned())
        }
        coding => coding,
    };
    Stream { pid, kind, coding, channels }
}

/// Descriptors, up to one that is cut off.
fn all(descriptors: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = Cursor(descriptors);
    std::iter::from_fn(move || {
        let (tag, length) = (at.u8()?, at.u8()?);
        Some((tag, at.take(usize::from(length))?))
    })
}

impl Stream {
    /// What decodes it, as far as that is known without its samples.
    pub(super) fn entry(&self) -> Entry {
        Entry::of(self.coding.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::tests::packet;
    use super::*;

    /// A section with its checksum.
    fn section(table: u8, said: &[u8]) -> Vec<u8> {
        let length = (FIELDS_BYTES + said.len() + CHECKSUM_BYTES) as u16;
        let mut bytes = vec![table];
        bytes.extend((0xb000 | length).to_be_bytes());
        bytes.extend([0, 1, 0xc1, 0, 0]);
        bytes.extend(said);
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_MPEG_2).checksum(&bytes);
        bytes.extend(checksum.to_be_bytes());
        bytes
    }

    fn pushed(section: &mut Section, payload: &[u8], is_start: bool) -> Vec<Body> {
        section.push(&packet(payload, is_start))
    }

    #[test]
    fn a_section_may_lie_in_several_packets_and_is_checked() {
        let table = section(PROGRAMMES, &[0, 0, 0xe0, 0x10, 0, 1, 0xf0, 0]);
        let mut sections = Section::default();
        let (first, second) = table.split_at(9);
        assert!(pushed(&mut sections, second, false).is_empty(), "its beginning is missing");
        assert!(pushed(&mut sections, &[&[1, 7], first].concat(), true).is_empty());
        let bodies = pushed(&mut sections, &[second, &[0xff; 9]].concat(), false);
        assert_eq!(bodies.iter().map(first_map).collect::<Vec<_>>(), [Some(0x1000)]);
        let mut damaged = [&[0], &table[..]].concat();
        damaged[9] ^= 1;
        assert!(pushed(&mut sections, &damaged, true).is_empty());
    }

    #[test]
    fn streams_are_known_by_type_and_description() {
        let opus = [&b"\x05\x04Opus"[..], &[0x7f, 2, 0x80, 1]].concat();
        let mut said = vec![0xe1, 0, 0xf0, 2, 9, 0];
        for (kind, pid, described) in
            [(0x1b, 1, &[][..]), (0x24, 2, &[]), (0x0f, 3, &[]), (6, 4, &opus), (0x15, 5, &[])]
        {
            said.extend([kind, 0xe1, pid, 0xf0, described.len() as u8]);
            said.extend(described);
        }
        let streams = streams(&Body { table: STREAMS, said });
        let told: Vec<_> = streams.iter().map(|it| (it.pid, it.kind, it.coding.clone())).collect();
        let wanted = [
            (0x101, Kind::Video, Coding::H264),
            (0x102, Kind::Video, Coding::H265),
            (0x103, Kind::Sound, Coding::Aac),
            (0x104, Kind::Sound, Coding::Opus),
            (0x105, Kind::Other, Coding::Other("data of type 0x15".to_owned())),
        ];
        assert_eq!(told, wanted);
        assert_eq!(streams.iter().map(|it| it.channels).collect::<Vec<_>>(), [2, 2, 2, 1, 2]);
    }
}
