//! Writes EBML elements (RFC 8794) of the lengths that were planned.

/// Length of the size of an element that contains others, in bytes.
const SIZE_BYTES: usize = 8;
/// Length of an integer, in bytes: always the same, so that places of elements are known.
const INTEGER_BYTES: usize = 8;

/// Appends elements to a buffer.
#[derive(Default)]
pub(super) struct EbmlWriter(Vec<u8>);

impl EbmlWriter {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The bytes of an ID, its marker included.
    fn id(&mut self, id: u32) {
        let bytes = id.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(3);
        self.raw(&bytes[first..]);
    }

    /// A size of [`SIZE_BYTES`] (RFC 8794, 4).
    fn size(&mut self, size: u64) {
        self.raw(&(size | 1 << (7 * SIZE_BYTES)).to_be_bytes());
    }

    /// The beginning of an element whose content is `size` bytes long, and comes behind it.
    pub(super) fn begin(&mut self, id: u32, size: u64) {
        self.id(id);
        self.size(size);
    }

    /// The beginning of one whose end nobody knows yet (RFC 8794, 6.2).
    pub(super) fn begin_endless(&mut self, id: u32) {
        self.begin(id, u64::MAX >> SIZE_BYTES);
    }

    /// An element that contains what `body` writes.
    pub(super) fn master(&mut self, id: u32, body: impl FnOnce(&mut EbmlWriter)) {
        self.begin(id, 0);
        let begin = self.0.len();
        body(self);
        let size = (self.0.len() - begin) as u64 | 1 << (7 * SIZE_BYTES);
        self.0[begin - SIZE_BYTES..begin].copy_from_slice(&size.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, id: u32, bytes: &[u8]) {
        self.master(id, |to| to.raw(bytes));
    }

    pub(super) fn integer(&mut self, id: u32, value: u64) {
        self.id(id);
        self.raw(&[0x80 | INTEGER_BYTES as u8]);
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn float(&mut self, id: u32, value: f64) {
        self.integer(id, value.to_bits());
    }

    /// Room of so many bytes, at least nine (RFC 8794, 11.3.2).
    pub(super) fn void(&mut self, bytes: u64) {
        let body = bytes.saturating_sub(1 + SIZE_BYTES as u64);
        self.begin(0xEC, body);
        self.0.resize(self.0.len() + body as usize, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_as_long_as_they_say() {
        let mut to = EbmlWriter::default();
        to.master(0x1F43_B675, |to| to.integer(0xE7, 258));
        to.void(9);
        let cluster = [0x1F, 0x43, 0xB6, 0x75, 1, 0, 0, 0, 0, 0, 0, 10];
        let timestamp = [0xE7, 0x88, 0, 0, 0, 0, 0, 0, 1, 2];
        let void = [0xEC, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(to.finish(), [&cluster[..], &timestamp, &void].concat());
    }
}
