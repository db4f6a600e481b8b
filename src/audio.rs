//! What packets of sound say of themselves, whatever they came in. Pure.

/// Samples a second of AAC by index (ISO/IEC 14496-3, table 1.18).
pub(crate) const AAC_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];

/// Samples a second of Opus, whatever was sampled (RFC 7587, 4.1), and of its decoder.
pub(crate) const OPUS_RATE: u32 = 48_000;
/// Samples of a packet of Opus at most: 120 ms (RFC 6716, 3.2.5).
const OPUS_SAMPLES_MAX: u32 = OPUS_RATE * 120 / 1000;

/// Samples of a packet of Opus (RFC 6716, 3.1 and 3.2); `None` where it is none.
pub(crate) fn opus_samples(packet: &[u8]) -> Option<u32> {
    let first = *packet.first()?;
    let frame = match first >> 3 {
        mode @ 0..12 => [480, 960, 1920, 2880][usize::from(mode & 3)],
        mode @ 12..16 => [480, 960][usize::from(mode & 1)],
        mode => [120, 240, 480, 960][usize::from(mode & 3)],
    };
    let count = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(count * frame).filter(|samples| (1..=OPUS_SAMPLES_MAX).contains(samples))
}

/// Samples of a frame of FLAC (RFC 9639, 9.1.1 to 9.1.6); `None` where it is none.
pub(crate) fn flac_samples(frame: &[u8]) -> Option<u32> {
    let [first, second, sizes, _, number, ..] = *frame.first_chunk::<5>()?;
    if first != 0xff || second & 0xfe != 0xf8 {
        return None;
    }
    // Behind the number of the frame, which has as many bytes as its first one says.
    let behind = 4 + (number.leading_ones().max(1)) as usize;
    let byte = |at: usize| frame.get(behind + at).map(|byte| u32::from(*byte));
    match u32::from(sizes >> 4) {
        0 => None,
        1 => Some(192),
        size @ 2..=5 => Some(576 << (size - 2)),
        6 => Some(byte(0)? + 1),
        7 => Some((byte(0)? << 8 | byte(1)?) + 1),
        size => Some(256 << (size - 8)),
    }
}

/// The body of a `dOps` box (Encapsulation of Opus in ISO BMFF, 4.3.2) for one channel or two.
/// Nothing is skipped at the beginning: packets are those of a stream that runs already.
pub(crate) fn opus_configuration(channels: u8) -> Vec<u8> {
    let (version, skipped, gain, family) = (0, 0_u16, 0_i16, 0);
    let mut body = vec![version, channels];
    body.extend(skipped.to_be_bytes());
    body.extend(OPUS_RATE.to_be_bytes());
    body.extend(gain.to_be_bytes());
    body.push(family);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_opus_says_how_long_it_is() {
        let millis = |bytes: &[u8]| opus_samples(bytes).map(|samples| samples / 48);
        assert_eq!(millis(&[0x78]), Some(20));
        assert_eq!(millis(&[0xfc]), Some(20), "CELT");
        assert_eq!(opus_samples(&[0xe0]), Some(120), "a quarter of that of ten milliseconds");
        assert_eq!(millis(&[0x79]), Some(40));
        assert_eq!(millis(&[0x7b, 3]), Some(60));
        assert_eq!(millis(&[0x18]), Some(60), "SILK");
        assert_eq!((millis(&[]), millis(&[0x7b]), millis(&[0x7b, 0])), (None, None, None));
        assert_eq!(millis(&[0x1b, 3]), None, "over the limit");
    }

    #[test]
    fn a_frame_of_flac_says_how_long_it_is() {
        let frame = |size: u8, number: &[u8], more: &[u8]| {
            let head = [0xff, 0xf8, size << 4 | 9, 0x18];
            flac_samples(&[&head, number, more].concat())
        };
        assert_eq!(frame(1, &[0], &[]), Some(192));
        assert_eq!((frame(5, &[0], &[]), frame(12, &[0], &[])), (Some(4608), Some(4096)));
        assert_eq!(frame(6, &[0xc2, 0x80], &[99]), Some(100));
        assert_eq!(frame(7, &[0x7f], &[3, 255]), Some(1024));
        assert_eq!((frame(0, &[0], &[]), frame(7, &[0xc2, 0x80], &[3])), (None, None));
        assert_eq!(flac_samples(&[0xff, 0xf1, 0, 0, 0, 0]), None);
    }
}
