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
}
