//! NAL units, as H.264 and H.265 have them.

use crate::bits::BitWriter;

/// Exp-Golomb (ITU-T H.264 and H.265, 9.1 and 9.2); a zero looks the same with a sign.
pub(super) fn unsigned(bits: &mut BitWriter, value: u32) {
    let coded = u64::from(value) + 1;
    let length = coded.ilog2();
    bits.put(0, length);
    bits.put(coded, length + 1);
}

/// The bit that ends a payload.
pub(super) fn end_payload(mut bits: BitWriter) -> BitWriter {
    bits.put(1, 1);
    bits
}

/// Adds a NAL unit with its length in front, in so many bytes; `None` where that does not fit.
pub(super) fn add_unit(
    sample: &mut Vec<u8>,
    prefix: usize,
    header: &[u8],
    mut payload: BitWriter,
) -> Option<()> {
    let mut unit = header.to_vec();
    let mut zeros = 0;
    for byte in payload.finish() {
        // What would look like the beginning of another unit is broken up (7.4.1, 7.4.2).
        if zeros == 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        unit.push(byte);
    }
    let length = (unit.len() as u64).to_be_bytes();
    let (zeros, length) = length.split_at_checked(8 - prefix)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    sample.extend_from_slice(length);
    sample.append(&mut unit);
    Some(())
}
