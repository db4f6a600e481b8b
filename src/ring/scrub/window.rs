//! Pages of a block through a window that reads ahead, page by page where the device refuses.

use std::ops::Range;

use crate::device::AlignedBuffer;
use crate::ring::blocks::BlockReader;
use crate::units::{BlockNumber, ByteCount, PAGE_BYTES};

/// Asked before each read with its length; `false` ends the work.
pub type Pace<'a> = dyn FnMut(ByteCount) -> bool + 'a;

/// Part of a block in memory.
pub(super) struct Window<'a> {
    reader: BlockReader<'a>,
    block: BlockNumber,
    /// Nothing is read behind this page.
    end_page: u32,
    /// Pages that are read at once.
    stride_pages: u32,
    first_page: u32,
    buffer: AlignedBuffer,
    /// Pages of the buffer that the device refused to read; zeros stand in their place.
    refused: Vec<u32>,
    reason: String,
    pace: &'a mut Pace<'a>,
    pub stopped: bool,
}

impl<'a> Window<'a> {
    pub fn new(
        reader: BlockReader<'a>,
        block: BlockNumber,
        end_page: u32,
        stride: ByteCount,
        pace: &'a mut Pace<'a>,
    ) -> Window<'a> {
        Window {
            reader,
            block,
            end_page: end_page.min(reader.geometry().block_pages()),
            stride_pages: (stride.0 / PAGE_BYTES).max(1) as u32,
            first_page: 0,
            buffer: AlignedBuffer::zeroed(0),
            refused: Vec::new(),
            reason: String::new(),
            pace,
            stopped: false,
        }
    }

    /// Bytes of the block, counted from its beginning. `Err` with what the device said where it
    /// refused one of their pages, or nothing where the work is to end or the block does.
    pub fn bytes(&mut self, range: Range<u64>) -> Result<&[u8], String> {
        let pages = (range.start / PAGE_BYTES) as u32..range.end.div_ceil(PAGE_BYTES) as u32;
        if pages.end > self.end_page || pages.is_empty() {
            return Err("behind the end".into());
        }
        let held =
            self.first_page..self.first_page + (self.buffer.len() as u64 / PAGE_BYTES) as u32;
        if pages.start < held.start || pages.end > held.end {
            self.fill(&pages)?;
        }
        if self.refused.iter().any(|page| pages.contains(page)) {
            return Err(self.reason.clone());
        }
        let base = u64::from(self.first_page) * PAGE_BYTES;
        Ok(&self.buffer[(range.start - base) as usize..(range.end - base) as usize])
    }

    fn fill(&mut self, wanted: &Range<u32>) -> Result<(), String> {
        let ahead = wanted.start.saturating_add(self.stride_pages).min(self.end_page);
        let end = ahead.max(wanted.end);
        let length = u64::from(end - wanted.start) * PAGE_BYTES;
        if self.stopped || !(self.pace)(ByteCount(length)) {
            self.stopped = true;
            return Err(String::new());
        }
        self.refused.clear();
        self.first_page = wanted.start;
        self.buffer = match self.reader.pages(self.block, wanted.start, length as usize) {
            Ok(buffer) => buffer,
            Err(_) => self.page_by_page(wanted.start, length as usize),
        };
        Ok(())
    }

    /// One bad sector must not hide what lies around it.
    fn page_by_page(&mut self, first_page: u32, length: usize) -> AlignedBuffer {
        let mut buffer = AlignedBuffer::zeroed(length);
        for (page, slot) in (first_page..).zip(buffer.chunks_mut(PAGE_BYTES as usize)) {
            match self.reader.pages(self.block, page, slot.len()) {
                Ok(bytes) => slot.copy_from_slice(&bytes),
                Err(error) => {
                    self.refused.push(page);
                    self.reason = error.to_string();
                }
            }
        }
        buffer
    }
}
