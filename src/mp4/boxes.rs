//! Writes boxes: big-endian fields, and lengths that are known when a box ends.

/// Length of a box header with a 32-bit length, in bytes (ISO/IEC 14496-12, 4.2).
pub(crate) const HEADER_BYTES: u64 = 8;
/// Length of a box header with version and flags, in bytes (ISO/IEC 14496-12, 4.2).
pub(crate) const FULL_HEADER_BYTES: u64 = HEADER_BYTES + 4;
/// Length of a box header with a 64-bit length, in bytes (ISO/IEC 14496-12, 4.2).
pub(crate) const LARGE_HEADER_BYTES: u64 = HEADER_BYTES + 8;

/// A stretch that is made when it is read, amid bytes that have been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    /// So many written bytes are in front of it.
    pub behind: usize,
    /// In bytes.
    pub length: u64,
}

/// Appends boxes to a buffer. Whoever writes has made sure that no box exceeds 2³²−1 bytes.
#[derive(Default)]
pub(crate) struct BoxWriter {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    hole_bytes: u64,
}

impl BoxWriter {
    /// A buffer that holds `capacity` bytes before it has to grow.
    pub(crate) fn with_capacity(capacity: usize) -> BoxWriter {
        BoxWriter { bytes: Vec::with_capacity(capacity), ..BoxWriter::default() }
    }

    /// Leaves out `length` bytes, which count into the boxes around them.
    pub(crate) fn hole(&mut self, length: u64) {
        self.holes.push(Hole { behind: self.bytes.len(), length });
        self.hole_bytes += length;
    }

    /// A box around what `body` writes.
    pub(crate) fn plain(&mut self, kind: &[u8; 4], body: impl FnOnce(&mut BoxWriter)) {
        let (start, holes) = (self.bytes.len(), self.hole_bytes);
        self.u32(0);
        self.raw(kind);
        body(self);
        let written = (self.bytes.len() - start) as u64;
        let length = (written + self.hole_bytes - holes) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A box with version and flags around what `body` writes.
    pub(crate) fn full(
        &mut self,
        kind: &[u8; 4],
        version: u8,
        flags: u32,
        body: impl FnOnce(&mut BoxWriter),
    ) {
        self.plain(kind, |to| {
            to.u32(u32::from(version) << 24 | flags);
            body(to);
        });
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    /// The text up to its first NUL, and the NUL that ends it.
    pub(crate) fn terminated(&mut self, text: &[u8]) {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        self.raw(&text[..end]);
        self.u8(0);
    }

    /// What was written, with no hole in it.
    pub(crate) fn finish(self) -> Vec<u8> {
        debug_assert!(self.holes.is_empty(), "what is left out is not in the bytes");
        self.bytes
    }

    /// What was written, and what was left out, in order.
    pub(crate) fn finish_with_holes(self) -> (Vec<u8>, Vec<Hole>) {
        (self.bytes, self.holes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_knows_its_length_and_that_of_the_boxes_in_it() {
        let mut to = BoxWriter::default();
        to.plain(b"moov", |to| to.full(b"free", 1, 2, |to| to.u16(7)));
        let expected =
            [&[0, 0, 0, 22][..], b"moov", &[0, 0, 0, 14], b"free", &[1, 0, 0, 2], &[0, 7]];
        assert_eq!(to.finish(), expected.concat());
    }

    #[test]
    fn what_is_left_out_counts_into_the_boxes_around_it_alone() {
        let mut to = BoxWriter::default();
        to.plain(b"moov", |to| {
            to.plain(b"free", |to| to.hole(5));
            to.plain(b"skip", |to| to.u8(7));
        });
        let (bytes, holes) = to.finish_with_holes();
        let free = [&[0, 0, 0, 13][..], b"free"].concat();
        let skip = [&[0, 0, 0, 9][..], b"skip", &[7]].concat();
        assert_eq!(bytes, [&[0, 0, 0, 30][..], b"moov", &free, &skip].concat());
        assert_eq!(holes, [Hole { behind: 16, length: 5 }]);
    }

    #[test]
    fn a_nul_in_a_text_ends_it() {
        let mut to = BoxWriter::default();
        to.terminated(b"text\0plain");
        assert_eq!(to.finish(), b"text\0");
    }
}
