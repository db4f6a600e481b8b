//! What the fuzzer made up, taken apart: numbers and bytes, and zeros behind its end.

/// The rest of an input.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Up to `length` bytes: as many as there are.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes behind their length in two bytes: what [`Output::part`] wrote.
    pub fn part(&mut self) -> &'a [u8] {
        let length = usize::from(self.u16());
        self.take(length)
    }
}

/// Puts a seed together, as [`Input`] takes it apart.
#[derive(Default)]
pub struct Output(pub Vec<u8>);

impl Output {
    pub fn bytes(mut self, bytes: &[u8]) -> Output {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn part(self, bytes: &[u8]) -> Output {
        self.bytes(&(bytes.len() as u16).to_le_bytes()).bytes(bytes)
    }
}
