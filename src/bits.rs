//! Numbers of any number of bits, the first one in the highest. Pure.

/// Appends them.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Of less than four bytes, in its lowest bits.
    open: u64,
    open_bits: u32,
}

impl BitWriter {
    /// Behind whole bytes.
    pub fn behind(bytes: Vec<u8>) -> BitWriter {
        BitWriter { bytes, ..BitWriter::default() }
    }

    /// The lowest bits of a number, up to 32 of them.
    pub fn put(&mut self, number: u64, bits: u32) {
        self.open = self.open << bits | number & ((1 << bits) - 1);
        self.open_bits += bits;
        if self.open_bits >= 32 {
            self.open_bits -= 32;
            let whole = (self.open >> self.open_bits) as u32;
            self.bytes.extend_from_slice(&whole.to_be_bytes());
        }
    }

    /// The same with a sign (two's complement).
    pub fn put_signed(&mut self, number: i32, bits: u32) {
        self.put(u64::from(number.cast_unsigned()), bits);
    }

    /// So many zeros, and a one.
    pub fn put_unary(&mut self, mut zeros: u32) {
        while zeros >= 31 {
            self.put(0, 31);
            zeros -= 31;
        }
        self.put(1, zeros + 1);
    }

    /// What is above that many bits of a number as zeros and a one, and then those bits.
    pub fn put_rice(&mut self, number: u32, parameter: u32) {
        let (zeros, low) = (number >> parameter, number & ((1 << parameter) - 1));
        if zeros + 1 + parameter <= 32 {
            return self.put(u64::from(1 << parameter | low), zeros + 1 + parameter);
        }
        self.put_unary(zeros);
        self.put(u64::from(low), parameter);
    }

    /// All of them, with zeros up to a whole byte.
    pub fn finish(&mut self) -> Vec<u8> {
        while self.open_bits > 0 {
            let missing = 8_u32.saturating_sub(self.open_bits);
            (self.open, self.open_bits) = (self.open << missing, self.open_bits + missing - 8);
            self.bytes.push((self.open >> self.open_bits) as u8);
        }
        std::mem::take(&mut self.bytes)
    }
}

/// Reads them.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Reads from the first one on.
    pub fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// A number of up to 32 bits; `None` where there are fewer.
    pub fn take(&mut self, bits: u32) -> Option<u32> {
        let mut number = 0_u64;
        for _ in 0..bits {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        u32::try_from(number).ok()
    }

    /// Bits that were read.
    pub fn position(&self) -> usize {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zeros_end_with_a_one() {
        let mut bits = BitWriter::default();
        bits.put_unary(3);
        bits.put_unary(70);
        let bytes = bits.finish();
        let mut reader = BitReader::new(&bytes);
        assert_eq!((reader.take(4), reader.take(32), reader.take(32)), (Some(1), Some(0), Some(0)));
        assert_eq!((reader.take(7), reader.position()), (Some(1), 75));
        assert_eq!(reader.take(6), None, "beyond the end");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in prop::collection::vec((any::<u32>(), 1_u32..33), 0..40),
        ) {
            let numbers: Vec<(u32, u32)> =
                numbers.into_iter().map(|(it, bits)| (it >> (32 - bits), bits)).collect();
            let mut bits = BitWriter::default();
            for (number, count) in &numbers {
                bits.put(u64::from(*number), *count);
            }
            let bytes = bits.finish();
            let mut reader = BitReader::new(&bytes);
            for (number, count) in numbers {
                prop_assert_eq!(reader.take(count), Some(number));
            }
        }
    }
}
