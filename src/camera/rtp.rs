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
/// What a source says of its clock (RFC 3550, 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SenderReport {
    pub(super) ssrc: u32,
    /// Seconds since 1900 and their fraction, each of 32 bits.
    pub(super) ntp: u64,
    /// The same moment in RTP time.
    pub(super) timestamp: u32,
}

/// Packet types of RTCP (RFC 3550, 12.1).
const SENDER_REPORT: u8 = 200;
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

/// The number of a packet and its source; `None` where the bytes are too few for one.
pub(super) fn number(bytes: &[u8]) -> Option<(u16, u32)> {
    let head = bytes.first_chunk::<HEADER>()?;
    let source = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    Some((u16::from_be_bytes([head[2], head[3]]), source))
}

/// Whether bytes are RTCP and not RTP, by their packet type (RFC 5761, 4), or too few for either.
pub(super) fn is_report(bytes: &[u8]) -> bool {
    bytes.len() < HEADER || (192..=223).contains(&bytes[1])
}

/// Whether bytes are RTCP by all that their first part says, on a channel that has RTP.
pub(super) fn is_surely_report(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first >> 6 == 2 && (200..=204).contains(second))
}

/// The packets of a compound one, each with its type, up to what is none.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_first_chunk::<4>().filter(|(head, _)| head[0] >> 6 == 2)?;
        let words = usize::from(u16::from_be_bytes([head[2], head[3]])) + 1;
        let (part, rest) = bytes.split_at(bytes.len().min(words * 4));
        bytes = rest;
        Some((head[1], part))
    })
}

/// Whether a compound packet says that its source leaves (RFC 3550, 6.6).
pub(super) fn says_goodbye(bytes: &[u8]) -> bool {
    parts(bytes).any(|(kind, _)| kind == BYE)
}

/// What a compound packet says of clocks.
pub(super) fn sender_reports(bytes: &[u8]) -> impl Iterator<Item = SenderReport> {
    let reports = parts(bytes).filter(|(kind, _)| *kind == SENDER_REPORT);
    reports.filter_map(|(_, part)| {
        let number = |at: usize| {
            let four = part.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(four))
        };
        let ntp = u64::from(number(8)?) << 32 | u64::from(number(12)?);
        Some(SenderReport { ssrc: number(4)?, ntp, timestamp: number(16)? })
    })
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

    #[test]
    fn reports_of_senders_are_read_where_they_are_whole() {
        let mut report = vec![0x80, 200, 0, 6, 1, 2, 3, 4];
        report.extend([0, 0, 0, 5, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9, 0, 0, 0, 9]);
        let told = SenderReport { ssrc: 0x0102_0304, ntp: 5 << 32 | 1 << 31, timestamp: 256 };
        let compound = [&empty_report(7)[..], &report, &report].concat();
        assert_eq!(sender_reports(&compound).collect::<Vec<_>>(), [told, told]);
        assert_eq!(sender_reports(&report[..19]).count(), 0);
        assert_eq!(sender_reports(&report[..20]).count(), 1, "its counts are of no interest");
        assert!(is_surely_report(&report) && !is_surely_report(&PLAIN));
    }
}
