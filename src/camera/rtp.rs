//! Packets of RTP and RTCP (RFC 3550, 5.1 and 6), as far as frames depend on them. Pure.

/// What an RTP packet says, and its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    pub(super) payload: &'a [u8],
}

/// The fixed header.
const HEADER: usize = 12;
/// Packet types of RTCP (RFC 3550, 12.1).
const RECEIVER_REPORT: u8 = 201;
const BYE: u8 = 203;

impl<'a> Packet<'a> {
    /// `None` where the bytes are no packet.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let (head, rest) = bytes.split_first_chunk::<HEADER>()?;
        let [first, second, ..] = *head;
        if first >> 6 != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(first & 0x0f) * 4..)?;
        if first & 0x10 != 0 {
            let (extension, behind) = payload.split_first_chunk::<4>()?;
            let words = u16::from_be_bytes([extension[2], extension[3]]);
            payload = behind.get(usize::from(words) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        let number =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Some(Packet {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: number(4),
            ssrc: number(8),
            payload,
        })
    }
}

/// Whether bytes are RTCP and not RTP, by their packet type (RFC 5761, 4), or too few for either.
pub(super) fn is_report(bytes: &[u8]) -> bool {
    bytes.len() < HEADER || (192..=223).contains(&bytes[1])
}

/// Whether a compound packet says that its source leaves (RFC 3550, 6.6).
pub(super) fn says_goodbye(mut bytes: &[u8]) -> bool {
    while let Some((head, _)) = bytes.split_first_chunk::<4>() {
        if head[0] >> 6 != 2 {
            return false;
        }
        if head[1] == BYE {
            return true;
        }
        let words = usize::from(u16::from_be_bytes([head[2], head[3]])) + 1;
        bytes = bytes.get(words * 4..).unwrap_or_default();
    }
    false
}

/// A report without blocks (RFC 3550, 6.4.2): it says that somebody is there.
pub(super) fn empty_report(ssrc: u32) -> [u8; 8] {
    let [a, b, c, d] = ssrc.to_be_bytes();
    [0x80, RECEIVER_REPORT, 0, 1, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] = [0x80, 0xe0, 0, 7, 0, 0, 1, 0, 1, 2, 3, 4, 0x65, 0x88];

    #[test]
    fn headers_of_all_kinds_are_taken_off() {
        let plain = Packet::parse(&PLAIN).unwrap();
        let told = (plain.marker, plain.payload_type, plain.sequence, plain.timestamp, plain.ssrc);
        assert_eq!(told, (true, 96, 7, 256, 0x0102_0304));
        let (head, payload) = PLAIN.split_at(HEADER);
        let with = |first: u8, between: &[u8], behind: &[u8]| {
            let bytes = [&[first], &head[1..], between, payload, behind].concat();
            Packet::parse(&bytes).map(|packet| packet.payload.to_vec())
        };
        let whole = Some(payload.to_vec());
        assert_eq!(with(0x81, &[9; 4], &[]), whole, "a contributing source");
        assert_eq!(with(0x90, &[0xab, 0xac, 0, 1, 1, 2, 3, 4], &[]), whole, "an extension");
        assert_eq!(with(0xa0, &[], &[0, 0, 3]), whole, "padding");
        assert_eq!(with(0x90, &[0xab, 0xac, 9, 1], &[]), None);
        assert_eq!(with(0xa0, &[], &[200]), None);
        assert_eq!(with(0x40, &[], &[]), None);
        assert_eq!(Packet::parse(&PLAIN[..11]), None);
        assert_eq!(Packet::parse(&PLAIN[..12]).unwrap().payload, b"");
    }

    #[test]
    fn a_farewell_is_found_behind_other_reports() {
        let report = [&[0x80, 200, 0, 6][..], &[0; 24]].concat();
        let bye = [0x81, 203, 0, 1, 1, 2, 3, 4];
        assert!(says_goodbye(&bye));
        assert!(says_goodbye(&[&report[..], &bye].concat()));
        for bytes in [&b""[..], &[0; 4], &report, &report[..20], &empty_report(1)] {
            assert!(!says_goodbye(bytes));
        }
    }
}
