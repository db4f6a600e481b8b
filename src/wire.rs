//! The byte-level vocabulary of all encodings: LEB128 varints, zigzag, length-prefixed bytes.
//!
//! Reading one answers a value or a named reason: no input can panic, or make its reader allocate
//! more than a small multiple of its own length.

/// Why bytes are not the value they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}: {reason}")]
pub struct Malformed {
    /// The field that could not be read.
    pub what: &'static str,
    /// Where it should have been, in bytes from the beginning of the encoding.
    pub at: usize,
    /// What was found instead of what was expected.
    pub reason: String,
}

/// Appends fields to an encoding.
#[derive(Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// An encoding that begins with its version.
    #[must_use]
    pub fn new(version: u8) -> Encoder {
        Encoder(vec![version])
    }

    /// A varint: 7 bits in each byte, the low ones first (LEB128).
    pub fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The same.
    pub fn u32(&mut self, value: u32) {
        self.u64(u64::from(value));
    }

    /// A signed varint: zigzag, so that small numbers of either sign are short.
    pub fn i64(&mut self, value: i64) {
        self.u64(((value << 1) ^ (value >> 63)) as u64);
    }

    /// One byte, as it is.
    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Bytes whose count the decoder knows.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes behind their count.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.raw(bytes);
    }

    /// UTF-8 behind its count of bytes.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// The encoding.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes fields off an encoding, in the order in which they were appended.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder behind the version byte, which must be `version`.
    ///
    /// # Errors
    /// Where it is another, or nothing is there.
    pub fn new(bytes: &'a [u8], version: u8, what: &'static str) -> Result<Decoder<'a>, Malformed> {
        let mut decoder = Decoder { bytes, at: 0 };
        match decoder.byte(what)? {
            found if found == version => Ok(decoder),
            found => Err(decoder.wrong(what, format!("version {found}, expected {version}"))),
        }
    }

    /// A decoder behind the version byte, and the version: one of `1..=version_max`.
    ///
    /// # Errors
    /// Where it is another, or nothing is there.
    pub fn of_versions(
        bytes: &'a [u8],
        version_max: u8,
        what: &'static str,
    ) -> Result<(Decoder<'a>, u8), Malformed> {
        let mut decoder = Decoder { bytes, at: 0 };
        match decoder.byte(what)? {
            found if (1..=version_max).contains(&found) => Ok((decoder, found)),
            found => {
                let reason = format!("version {found}, expected 1 to {version_max}");
                Err(decoder.wrong(what, reason))
            }
        }
    }

    /// An error about the field `what` that ends here.
    pub fn wrong(&self, what: &'static str, reason: impl Into<String>) -> Malformed {
        Malformed { what, at: self.at, reason: reason.into() }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// Where fewer are left.
    pub fn raw(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..length) else {
            return Err(self.wrong(what, format!("{length} bytes wanted, {} left", rest.len())));
        };
        self.at += length;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// Where fewer are left.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        // Both are `N` bytes long.
        array.copy_from_slice(self.raw(N, what)?);
        Ok(array)
    }

    /// The next byte.
    ///
    /// # Errors
    /// Where none is left.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let [byte] = self.array(what)?;
        Ok(byte)
    }

    /// A varint.
    ///
    /// # Errors
    /// Where it does not end, or has more than 64 bits.
    #[inline]
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        // A clip has a hundred thousand of them, and most are short.
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_u64(what),
        }
    }

    fn long_u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        if let Some([low, high]) = self.bytes.get(self.at..self.at + 2)
            && *high < 0x80
        {
            self.at += 2;
            return Ok(u64::from(low & 0x7f) | u64::from(*high) << 7);
        }
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                break;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.wrong(what, "a varint of more than 64 bits"))
    }

    /// A varint of at most 32 bits.
    ///
    /// # Errors
    /// Where it does not end, or has more.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        let value = self.u64(what)?;
        u32::try_from(value).map_err(|_| self.wrong(what, format!("{value} is over 2³²−1")))
    }

    /// A varint of at most 16 bits.
    ///
    /// # Errors
    /// Where it does not end, or has more.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        let value = self.u64(what)?;
        u16::try_from(value).map_err(|_| self.wrong(what, format!("{value} is over 65535")))
    }

    /// A signed varint.
    ///
    /// # Errors
    /// As [`Decoder::u64`].
    #[inline]
    pub fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let value = self.u64(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least `bytes_each` bytes, so that a forged count cannot
    /// make the reader allocate more than the input is long.
    ///
    /// # Errors
    /// Where fewer bytes are left than so many things take.
    pub fn count(&mut self, bytes_each: usize, what: &'static str) -> Result<usize, Malformed> {
        let count = self.u64(what)?;
        let possible = (self.bytes.len() - self.at) / bytes_each.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= possible => Ok(count),
            _ => Err(self.wrong(what, format!("{count} of them, room for {possible}"))),
        }
    }

    /// Bytes behind their count.
    ///
    /// # Errors
    /// Where fewer are left.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.count(1, what)?;
        self.raw(length, what)
    }

    /// UTF-8 behind its count of bytes.
    ///
    /// # Errors
    /// Where fewer bytes are left, or they are not UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<String, Malformed> {
        let bytes = self.bytes(what)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.wrong(what, "not UTF-8"))
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    /// The end: bytes that a newer version appended are an error, as its version byte differs.
    ///
    /// # Errors
    /// Where bytes are left.
    pub fn finish(self, what: &'static str) -> Result<(), Malformed> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(self.wrong(what, format!("{left} bytes left over"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoder(bytes: &[u8]) -> Decoder<'_> {
        Decoder { bytes, at: 0 }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_refused() {
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(decoder(&most).u64("number"), Ok(u64::MAX));
        let mut over = most;
        over[9] = 0x02;
        assert!(decoder(&over).u64("number").is_err());
        over[9] = 0x81;
        assert!(decoder(&over).u64("number").is_err());
    }

    #[test]
    fn another_version_is_named() {
        let error = Decoder::new(&[2], 1, "thing").err().expect("another version");
        assert_eq!(error.reason, "version 2, expected 1");
        let error = Decoder::of_versions(&[0], 2, "thing").err().expect("another version");
        assert_eq!(error.reason, "version 0, expected 1 to 2");
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        assert!(decoder(&[0]).finish("thing").is_err());
        assert!(decoder(&[]).finish("thing").is_ok());
    }

    proptest! {
        #[test]
        fn fields_come_back_in_order(
            numbers in any::<(u64, u32, i64, u8, u16)>(),
            bytes in prop::collection::vec(any::<u8>(), 0..50),
            text in ".{0,50}",
        ) {
            let mut to = Encoder::default();
            to.u64(numbers.0);
            to.u32(numbers.1);
            to.i64(numbers.2);
            to.byte(numbers.3);
            to.u32(u32::from(numbers.4));
            to.bytes(&bytes);
            to.text(&text);
            let encoded = to.finish();
            let mut from = decoder(&encoded);
            prop_assert_eq!(from.u64("u64"), Ok(numbers.0));
            prop_assert_eq!(from.u32("u32"), Ok(numbers.1));
            prop_assert_eq!(from.i64("i64"), Ok(numbers.2));
            prop_assert_eq!(from.byte("byte"), Ok(numbers.3));
            prop_assert_eq!(from.u16("u16"), Ok(numbers.4));
            prop_assert_eq!(from.bytes("bytes"), Ok(&bytes[..]));
            prop_assert_eq!(from.text("text"), Ok(text));
            prop_assert_eq!(from.finish("fields"), Ok(()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            let _ = decoder(&bytes).u64("number");
            let _ = decoder(&bytes).i64("number");
            let _ = decoder(&bytes).u16("number");
            let _ = decoder(&bytes).text("text");
            let _ = decoder(&bytes).array::<8>("array");
            let room = decoder(&bytes).count(4, "count").unwrap_or(0);
            prop_assert!(room <= bytes.len() / 4);
        }
    }
}
