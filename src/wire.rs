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
    pub fn new(version: u8) -> Encoder {
        Encoder(vec![version])
    }

    pub fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn u32(&mut self, value: u32) {
        self.u64(u64::from(value));
    }

    pub fn i64(&mut self, value: i64) {
        self.u64(((value << 1) ^ (value >> 63)) as u64);
    }

    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.raw(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

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
    pub fn new(bytes: &'a [u8], version: u8, what: &'static str) -> Result<Decoder<'a>, Malformed> {
        let mut decoder = Decoder { bytes, at: 0 };
        match decoder.byte(what)? {
            found if found == version => Ok(decoder),
            found => Err(decoder.wrong(what, format!("version {found}, expected {version}"))),
        }
    }

    pub fn wrong(&self, what: &'static str, reason: impl Into<String>) -> Malformed {
        Malformed { what, at: self.at, reason: reason.into() }
    }

    pub fn raw(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.at..];
        if rest.len() < length {
            return Err(self.wrong(what, format!("{length} bytes wanted, {} left", rest.len())));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N, what)?);
        Ok(array)
    }

    pub fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        Ok(self.raw(1, what)?[0])
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
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

    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        let value = self.u64(what)?;
        u32::try_from(value).map_err(|_| self.wrong(what, format!("{value} is over 2³²−1")))
    }

    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        let value = self.u64(what)?;
        u16::try_from(value).map_err(|_| self.wrong(what, format!("{value} is over 65535")))
    }

    pub fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let value = self.u64(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least `bytes_each` bytes, so that a forged count cannot
    /// make the reader allocate more than the input is long.
    pub fn count(&mut self, bytes_each: usize, what: &'static str) -> Result<usize, Malformed> {
        let count = self.u64(what)?;
        let possible = (self.bytes.len() - self.at) / bytes_each.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= possible => Ok(count),
            _ => Err(self.wrong(what, format!("{count} of them, room for {possible}"))),
        }
    }

    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.count(1, what)?;
        self.raw(length, what)
    }

    pub fn text(&mut self, what: &'static str) -> Result<String, Malformed> {
        let bytes = self.bytes(what)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.wrong(what, "not UTF-8"))
    }

    /// The end: bytes that a newer version appended are an error, as its version byte differs.
    pub fn finish(self, what: &'static str) -> Result<(), Malformed> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(self.wrong(what, format!("{left} bytes left over"))),
        }
    }
}
