//! Context-adaptive binary arithmetic coding, the writing half (ITU-T H.265, 9.3.4; the engine is
//! that of H.264, 9.3.4).

use crate::bits::BitWriter;

/// Ranges of the less probable symbol, by state and quarter of the range (table 9-52).
const RANGES: [[u8; 4]; 64] = [
    [128, 176, 208, 240],
    [128, 167, 197, 227],
    [128, 158, 187, 216],
    [123, 150, 178, 205],
    [116, 142, 169, 195],
    [111, 135, 160, 185],
    [105, 128, 152, 175],
    [100, 122, 144, 166],
    [95, 116, 137, 158],
    [90, 110, 130, 150],
    [85, 104, 123, 142],
    [81, 99, 117, 135],
    [77, 94, 111, 128],
    [73, 89, 105, 122],
    [69, 85, 100, 116],
    [66, 80, 95, 110],
    [62, 76, 90, 104],
    [59, 72, 86, 99],
    [56, 69, 81, 94],
    [53, 65, 77, 89],
    [51, 62, 73, 85],
    [48, 59, 69, 80],
    [46, 56, 66, 76],
    [43, 53, 63, 72],
    [41, 50, 59, 69],
    [39, 48, 56, 65],
    [37, 45, 54, 62],
    [35, 43, 51, 59],
    [33, 41, 48, 56],
    [32, 39, 46, 53],
    [30, 37, 43, 50],
    [29, 35, 41, 48],
    [27, 33, 39, 45],
    [26, 31, 37, 43],
    [24, 30, 35, 41],
    [23, 28, 33, 39],
    [22, 27, 32, 37],
    [21, 26, 30, 35],
    [20, 24, 29, 33],
    [19, 23, 27, 31],
    [18, 22, 26, 30],
    [17, 21, 25, 28],
    [16, 20, 23, 27],
    [15, 19, 22, 25],
    [14, 18, 21, 24],
    [14, 17, 20, 23],
    [13, 16, 19, 22],
    [12, 15, 18, 21],
    [12, 14, 17, 20],
    [11, 14, 16, 19],
    [11, 13, 15, 18],
    [10, 12, 15, 17],
    [10, 12, 14, 16],
    [9, 11, 13, 15],
    [9, 11, 12, 14],
    [8, 10, 12, 14],
    [8, 9, 11, 13],
    [7, 9, 11, 12],
    [7, 9, 10, 12],
    [7, 8, 10, 11],
    [6, 8, 9, 11],
    [6, 7, 9, 10],
    [6, 7, 8, 9],
    [2, 2, 2, 2],
];

/// The state behind a less probable symbol, by the state before (table 9-53).
const BEHIND_LESS_PROBABLE: [u8; 64] = [
    0, 0, 1, 2, 2, 4, 4, 5, 6, 7, 8, 9, 9, 11, 11, 12, 13, 13, 15, 15, 16, 16, 18, 18, 19, 19, 21,
    21, 22, 22, 23, 24, 24, 25, 26, 26, 27, 27, 28, 29, 29, 30, 30, 30, 31, 32, 32, 33, 33, 33, 34,
    34, 35, 35, 35, 36, 36, 36, 37, 37, 37, 38, 38, 63,
];
/// No symbol is more probable than in this state.
const STATE_MAX: u8 = 62;

/// How probable a symbol is.
#[derive(Clone, Copy)]
pub(super) struct Context {
    state: u8,
    more_probable: bool,
}

impl Context {
    /// As a slice begins with it that has this quantizer (9.3.2.2).
    pub(super) fn new(initial: u8, quantizer: i32) -> Context {
        let (slope, offset) =
            (i32::from(initial >> 4) * 5 - 45, (i32::from(initial & 15) << 3) - 16);
        let state = ((slope * quantizer.clamp(0, 51)) >> 4) + offset;
        let state = state.clamp(1, 126);
        let more_probable = state > 63;
        let distance = if more_probable { state - 64 } else { 63 - state };
        Context { state: distance as u8, more_probable }
    }
}

/// Writes symbols behind what has been written.
pub(super) struct Coder {
    bits: BitWriter,
    low: u32,
    range: u32,
    /// Bits that are known but for a carry.
    outstanding: u32,
    is_first: bool,
}

impl Coder {
    pub(super) fn behind(bits: BitWriter) -> Coder {
        Coder { bits, low: 0, range: 510, outstanding: 0, is_first: true }
    }

    /// A symbol, as probable as its context says.
    pub(super) fn put(&mut self, context: &mut Context, symbol: bool) {
        let quarter = (self.range >> 6 & 3) as usize;
        let less_probable = u32::from(RANGES[usize::from(context.state)][quarter]);
        self.range -= less_probable;
        if symbol == context.more_probable {
            context.state = (context.state + 1).min(STATE_MAX);
        } else {
            self.low += self.range;
            self.range = less_probable;
            context.more_probable ^= context.state == 0;
            context.state = BEHIND_LESS_PROBABLE[usize::from(context.state)];
        }
        self.renormalize();
    }

    /// A symbol that is as probable as the other.
    pub(super) fn put_even(&mut self, symbol: bool) {
        self.low <<= 1;
        if symbol {
            self.low += self.range;
        }
        if self.low >= 1024 {
            self.put_bit(true);
            self.low -= 1024;
        } else if self.low < 512 {
            self.put_bit(false);
        } else {
            self.low -= 512;
            self.outstanding += 1;
        }
    }

    /// Whether the slice ends here.
    pub(super) fn put_end(&mut self, is_end: bool) {
        self.range -= 2;
        if is_end {
            self.low += self.range;
            self.range = 2;
        }
        self.renormalize();
    }

    /// What is left behind the end, and the bit that ends the payload.
    pub(super) fn finish(mut self) -> BitWriter {
        self.put_bit(self.low >> 9 & 1 == 1);
        self.bits.put(u64::from(self.low >> 7 & 3 | 1), 2);
        self.bits
    }

    fn renormalize(&mut self) {
        while self.range < 256 {
            if self.low < 256 {
                self.put_bit(false);
            } else if self.low >= 512 {
                self.low -= 512;
                self.put_bit(true);
            } else {
                self.low -= 256;
                self.outstanding += 1;
            }
            self.range <<= 1;
            self.low <<= 1;
        }
    }

    fn put_bit(&mut self, bit: bool) {
        // The first one is always zero, and not written.
        if !std::mem::take(&mut self.is_first) {
            self.bits.put(u64::from(bit), 1);
        }
        for _ in 0..std::mem::take(&mut self.outstanding) {
            self.bits.put(u64::from(!bit), 1);
        }
    }
}
