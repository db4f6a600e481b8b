//! A grey picture in JPEG. Clauses are those of ITU-T T.81.
//!
//! All coefficients are zero, so that one code of one bit is enough for each of the tables.

use crate::bits::BitWriter;

/// Width and height of what is coded together, in pixels: chroma has half of both.
const UNIT: u32 = 16;
/// Blocks of 8×8 in it: four of luma, one of each chroma.
const BLOCKS: u32 = 6;

/// A picture of that size.
pub(super) fn picture(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    // B.2.4.1: one table of quantizers, each 1.
    segment(&mut bytes, 0xdb, &[&[0][..], &[1; 64]].concat());
    let [high, low] = height.to_be_bytes();
    let [wide, narrow] = width.to_be_bytes();
    // B.2.2: baseline, eight bits, and three components with what they are sampled by.
    let components = [1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
    segment(&mut bytes, 0xc0, &[&[8, high, low, wide, narrow, 3][..], &components].concat());
    // B.2.4.2: of DC and of AC, one code of one bit that stands for a zero.
    for class in [0x00, 0x10] {
        let mut lengths = [0; 16];
        lengths[0] = 1;
        segment(&mut bytes, 0xc4, &[&[class][..], &lengths, &[0]].concat());
    }
    // B.2.3: all components by those tables, all coefficients.
    segment(&mut bytes, 0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    let units = u32::from(width).div_ceil(UNIT) * u32::from(height).div_ceil(UNIT);
    let mut bits = BitWriter::behind(bytes);
    for _ in 0..units {
        // Each block has no difference in DC, and ends at once.
        bits.put(0, 2 * BLOCKS);
    }
    // Padded with ones (F.1.2.3).
    let open = units * 2 * BLOCKS % 8;
    bits.put(0xff, (8 - open) % 8);
    let mut bytes = bits.finish();
    bytes.extend_from_slice(&[0xff, 0xd9]);
    bytes
}

/// A marker, the length of what follows, and that (B.1.1.4).
fn segment(to: &mut Vec<u8>, marker: u8, body: &[u8]) {
    to.extend_from_slice(&[0xff, marker]);
    to.extend_from_slice(&(body.len() as u16 + 2).to_be_bytes());
    to.extend_from_slice(body);
}
