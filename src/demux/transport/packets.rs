//! Packets among bytes (ISO/IEC 13818-1, 2.4.3.2 to 2.4.3.5).

use crate::demux::cursor::Cursor;

/// Length of a packet.
pub(super) const PACKET_BYTES: usize = 188;
/// What each begins with.
const SYNC: u8 = 0x47;
/// From packet to packet: as they are, with the time of arrival before each (as AVCHD and
/// Blu-ray have it), or with codes behind each that mend errors.
const STRIDES: [usize; 3] = [PACKET_BYTES, 192, 204];
/// So many in a row are packets.
const CERTAIN_COUNT: usize = 5;

/// Where packets begin in bytes that come piece by piece.
#[derive(Default)]
pub(super) struct Packets {
    bytes: Vec<u8>,
    /// Where the next one begins in those, or is looked for.
    at: usize,
    /// Bytes before those.
    passed: u64,
    /// From packet to packet; `None` as long as none was found.
    stride: Option<usize>,
    /// One begins where the last one said.
    is_found: bool,
    strays: u64,
    is_over: bool,
}

impl Packets {
    /// Those of a stream of which a packet begins with the next byte.
    pub(super) fn from(at: u64, stride: usize) -> Packets {
        Packets { passed: at, stride: Some(stride), is_found: true, ..Packets::default() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let done = self.at.min(self.bytes.len());
        self.bytes.drain(..done);
        self.passed += done as u64;
        self.at -= done;
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
    }

    /// Of what stream the packet is of which only the beginning is there, where it is of something
    /// that begins before it.
    pub(super) fn cut_off(&self) -> Option<u16> {
        let mut cut = Cursor(self.bytes.get(self.at..)?);
        let (sync, word) = (cut.u8()?, cut.u16()?);
        (sync == SYNC && word & 0x4000 == 0).then_some(word & 0x1fff)
    }

    /// Bytes so far that are of no packet.
    pub(super) fn strays(&self) -> u64 {
        self.strays
    }

    pub(super) fn stride(&self) -> Option<usize> {
        self.stride
    }

    /// The next packet, and where it begins.
    pub(super) fn next(&mut self) -> Option<(u64, [u8; PACKET_BYTES])> {
        loop {
            let there = self.bytes.get(self.at..)?;
            let Some(stride) = self.stride.filter(|_| self.is_found) else {
                self.stride = Some(self.find()?);
                self.is_found = true;
                continue;
            };
            match there.first_chunk::<PACKET_BYTES>() {
                Some(packet) if packet.first() == Some(&SYNC) => {
                    let at = self.passed + self.at as u64;
                    self.at += stride;
                    return Some((at, *packet));
                }
                Some(_) => self.is_found = false,
                None => return None,
            }
        }
    }

    /// Looks for packets, which have the same from one to the next as those before, and passes
    /// what is none.
    fn find(&mut self) -> Option<usize> {
        while let Some(there) = self.bytes.get(self.at..) {
            let Some(next) = memchr::memchr(SYNC, there) else {
                self.pass(there.len());
                return None;
            };
            self.pass(next);
            let there = self.bytes.get(self.at..)?;
            let longest = STRIDES.iter().max().copied().unwrap_or(0);
            if there.len() <= (CERTAIN_COUNT - 1) * longest && !self.is_over {
                return None;
            }
            if let Some(stride) =
                stride_of(there).filter(|it| self.stride.is_none_or(|one| one == *it))
            {
                return Some(stride);
            }
            self.pass(1);
        }
        None
    }

    fn pass(&mut self, bytes: usize) {
        self.at += bytes;
        self.strays += bytes as u64;
    }
}

/// From packet to packet of bytes that begin with one, and go on so as far as that is certain, or
/// to the end of them; `None` where they are no packets.
pub(super) fn stride_of(bytes: &[u8]) -> Option<usize> {
    let is_whole = bytes.len() >= PACKET_BYTES;
    let is_one = |stride: &usize| {
        bytes.iter().step_by(*stride).take(CERTAIN_COUNT).all(|byte| *byte == SYNC)
    };
    STRIDES.into_iter().find(is_one).filter(|_| is_whole)
}

/// A packet.
pub(super) struct Packet<'a> {
    pub(super) pid: u16,
    /// Something begins in it.
    pub(super) is_start: bool,
    pub(super) counter: u8,
    /// Counters, and times, need not follow those before.
    pub(super) is_discontinuous: bool,
    /// Decoding can begin with what begins in it.
    pub(super) is_entry: bool,
    /// Nobody can read its payload.
    pub(super) is_scrambled: bool,
    /// `None` where it has none, and is not counted.
    pub(super) payload: Option<&'a [u8]>,
}

impl Packet<'_> {
    /// `None` where it is damaged on the way.
    pub(super) fn parse(bytes: &[u8; PACKET_BYTES]) -> Option<Packet<'_>> {
        let mut at = Cursor(bytes);
        at.skip(1)?;
        let (word, flags) = (at.u16()?, at.u8()?);
        if word & 0x8000 != 0 {
            return None;
        }
        let mut adaptation = 0;
        if flags & 0x20 != 0 {
            let length = at.u8()?;
            adaptation = at.take(usize::from(length))?.first().copied().unwrap_or(0);
        }
        Some(Packet {
            pid: word & 0x1fff,
            is_start: word & 0x4000 != 0,
            counter: flags & 0xf,
            is_discontinuous: adaptation & 0x80 != 0,
            is_entry: adaptation & 0x40 != 0,
            is_scrambled: flags & 0xc0 != 0,
            payload: (flags & 0x10 != 0).then_some(at.0),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet that something begins in, or not.
    pub(in super::super) fn packet(payload: &[u8], is_start: bool) -> Packet<'_> {
        Packet {
            pid: 0x100,
            is_start,
            counter: 0,
            is_discontinuous: false,
            is_entry: false,
            is_scrambled: false,
            payload: Some(payload),
        }
    }

    /// Packets of so many bytes from one to the next, which carry their number.
    fn stream(stride: usize, count: usize) -> Vec<u8> {
        let mut bytes = vec![0x11; stride * count];
        for number in 0..count {
            bytes[stride * number..][..5].copy_from_slice(&[SYNC, 1, 0, 0x10, number as u8]);
        }
        bytes
    }

    fn numbers(bytes: &[u8], piece: usize) -> (Vec<u8>, u64) {
        let mut packets = Packets::default();
        let mut numbers = Vec::new();
        for piece in bytes.chunks(piece) {
            packets.push(piece);
            numbers.extend(std::iter::from_fn(|| packets.next()).map(|(_, packet)| packet[4]));
        }
        packets.finish();
        numbers.extend(std::iter::from_fn(|| packets.next()).map(|(_, packet)| packet[4]));
        (numbers, packets.strays())
    }

    proptest! {
        #[test]
        fn packets_are_found_however_they_come(
            stride in prop::sample::select(&STRIDES[..]),
            before in prop::collection::vec(0_u8..0x47, 0..300),
            piece in 1_usize..700,
        ) {
            let bytes = [&before[..], &stream(stride, 12)].concat();
            let (found, strays) = numbers(&bytes, piece);
            prop_assert_eq!(found, (0..12).collect::<Vec<u8>>());
            prop_assert_eq!(strays, before.len() as u64);
        }
    }

    #[test]
    fn what_is_no_packet_costs_itself() {
        let mut bytes = stream(PACKET_BYTES, 20);
        bytes.splice(188 * 6..188 * 6, [9; 77]);
        bytes[188 * 12 + 77] = 0;
        let left = (0..20).filter(|number| *number != 12).collect::<Vec<u8>>();
        assert_eq!(numbers(&bytes, 1000), (left, 77 + 188));
    }

    #[test]
    fn a_packet_that_is_cut_off_is_known_by_what_is_there() {
        let mut packets = Packets::default();
        packets.push(&stream(PACKET_BYTES, 7)[..188 * 6 + 100]);
        packets.finish();
        assert_eq!(std::iter::from_fn(|| packets.next()).count(), 6);
        assert_eq!(packets.cut_off(), Some(0x100));
        packets.push(&stream(PACKET_BYTES, 7)[100..188]);
        assert_eq!(std::iter::from_fn(|| packets.next()).count(), 1);
        assert_eq!(packets.cut_off(), None);
    }

    #[test]
    fn fields_before_the_payload_are_read_and_left_out() {
        let mut bytes = [0; PACKET_BYTES];
        bytes[..6].copy_from_slice(&[SYNC, 0x41, 2, 0x35, 180, 0xc0]);
        let packet = Packet::parse(&bytes).expect("a packet");
        assert_eq!(
            (packet.pid, packet.counter, packet.payload.map(<[u8]>::len)),
            (0x102, 5, Some(3))
        );
        assert!(packet.is_start && packet.is_discontinuous && packet.is_entry);
        bytes[4] = 184;
        assert!(Packet::parse(&bytes).is_none(), "it is longer than the packet");
        bytes[1] |= 0x80;
        assert!(Packet::parse(&bytes).is_none(), "it is damaged");
    }
}
