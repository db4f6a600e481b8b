//! A file whose samples lie in segments, each with what it needs in front of it.

use std::ops::Range;

use super::part::{Data, PartData};
use super::segments::{
    Boundary, Gathered, Listed, Measure, Placed, Segmenter, parts_with, samples_between,
};
use super::{Compilation, TRACKS};
use crate::mp4::{Chunk, Mp4Error};

/// A kind of file of segments.
pub(super) trait Container: Measure + Send + Sync {
    /// What is in front of all segments.
    ///
    /// # Errors
    /// [`Mp4Error::TooLarge`] where it can't hold them.
    fn header(&self, compilation: &Compilation, counted: &Counted) -> Result<Vec<u8>, Mp4Error>;

    /// The segment between two boundaries, counted from 0, with its samples.
    fn write(
        &self,
        compilation: &Compilation,
        segment: &[Boundary; 2],
        number: usize,
        samples: [Vec<Placed>; TRACKS],
        to: &mut PartData,
    );
}

/// A file whose samples lie in segments.
pub struct SegmentedFile {
    compilation: Compilation,
    container: Box<dyn Container>,
    header: Vec<u8>,
    boundaries: Vec<Boundary>,
}

/// A segment as whoever plays the file sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which bytes of the file it is.
    pub bytes: Range<u64>,
    /// When its pictures are shown, in nanoseconds since the beginning of the file.
    pub shown_nanos: Range<i64>,
}

/// A stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentedPiece<'a> {
    /// These bytes.
    Made(&'a [u8]),
    /// Some bytes of a segment, counted from 0, which has to be
    /// [made](SegmentedFile::finish).
    Segment(usize, Range<u64>),
}

impl SegmentedFile {
    /// Length of the file, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let segments = self.boundaries.last().map_or(0, |end| end.offset);
        self.header_bytes() + segments
    }

    /// Length of what is in front of all segments, in bytes.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        self.header.len() as u64
    }

    /// Memory that it takes, in bytes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let boundaries = self.boundaries.len() * size_of::<Boundary>();
        self.compilation.memory() + self.header.len() + boundaries
    }

    /// Its segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + Clone {
        let header = self.header_bytes();
        self.boundaries.windows(2).map(move |pair| Segment {
            bytes: header + pair[0].offset..header + pair[1].offset,
            shown_nanos: pair[0].shown_nanos..pair[1].shown_nanos,
        })
    }

    /// What the bytes `range` of the file consist of, in order and without a gap. What lies behind
    /// the end of the file is left out.
    #[must_use]
    pub fn pieces(&self, range: Range<u64>) -> Vec<SegmentedPiece<'_>> {
        let header = self.header_bytes();
        let mut pieces = Vec::new();
        let made = range.start.min(header) as usize..range.end.min(header) as usize;
        if made.start < made.end {
            pieces.push(SegmentedPiece::Made(&self.header[made]));
        }
        let wanted = range.start.max(header) - header..range.end.max(header) - header;
        let first = self.boundaries.partition_point(|begin| begin.offset <= wanted.start);
        let first = first.saturating_sub(1);
        for (number, pair) in (first..).zip(self.boundaries[first..].windows(2)) {
            let own = wanted.start.max(pair[0].offset)..wanted.end.min(pair[1].offset);
            if wanted.end <= pair[0].offset {
                break;
            }
            if own.start < own.end {
                let own = own.start - pair[0].offset..own.end - pair[0].offset;
                pieces.push(SegmentedPiece::Segment(number, own));
            }
        }
        pieces
    }

    /// Which samples of each track a segment has, counted in the file.
    fn samples_of(&self, segment: usize) -> [Range<u64>; TRACKS] {
        match self.boundaries.get(segment..=segment + 1) {
            Some([begin, end]) => samples_between(begin, end),
            _ => Default::default(),
        }
    }

    /// The parts that have something of a segment, or say when it ends.
    #[must_use]
    pub fn parts_of(&self, segment: usize) -> Vec<usize> {
        parts_with(&self.samples_of(segment), &self.compilation.parts)
    }

    /// Which of the clips a part is made of; none for one that is made.
    #[must_use]
    pub fn clip_of(&self, part: usize) -> Option<usize> {
        self.compilation.clip_of(part)
    }

    /// What a segment has of a part, from the chunks of its clip where it has one.
    ///
    /// # Errors
    /// [`Mp4Error::Table`] where a table can't be read.
    pub fn gather<'a>(
        &self,
        segment: usize,
        part: usize,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<Gathered, Mp4Error> {
        Gathered::of(&self.compilation, &self.samples_of(segment), part, chunks)
    }

    /// The bytes of a segment, of what its [parts](SegmentedFile::parts_of) have of it.
    ///
    /// # Errors
    /// [`Mp4Error::Disagrees`] where it is not as long as was counted.
    pub fn finish(&self, segment: usize, parts: Vec<Gathered>) -> Result<PartData, Mp4Error> {
        let samples = Gathered::finish(&self.compilation, &self.samples_of(segment), parts)?;
        let mut data = PartData::default();
        let mut planned = 0;
        if let Some([begin, end]) = self.boundaries.get(segment..=segment + 1) {
            self.container.write(&self.compilation, &[*begin, *end], segment, samples, &mut data);
            planned = end.offset - begin.offset;
        }
        if data.length() == planned {
            return Ok(data);
        }
        Err(Mp4Error::Disagrees {
            place: format!("segment {segment}"),
            what: "length",
            found: data.length().to_string(),
            expected: planned.to_string(),
        })
    }
}

/// Finds the segments of a file that is to be of a kind.
pub struct Segmenting {
    compilation: Compilation,
    container: Box<dyn Container>,
}

impl Segmenting {
    pub(super) fn new(compilation: Compilation, container: Box<dyn Container>) -> Segmenting {
        Segmenting { compilation, container }
    }

    /// How many parts there are, all of which have to be counted.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.compilation.parts.len()
    }

    /// Which of the clips a part is made of; none for one that is made.
    #[must_use]
    pub fn clip_of(&self, part: usize) -> Option<usize> {
        self.compilation.clip_of(part)
    }

    /// The samples of a part, from the chunks of its clip where it has one.
    ///
    /// # Errors
    /// [`Mp4Error::Table`] where a table can't be read.
    pub fn list<'a>(
        &self,
        part: usize,
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<Listed, Mp4Error> {
        Listed::of(&self.compilation, part, chunks)
    }

    /// Counts, part by part; `jumps` says when the time on the wall does not go on, in nanoseconds
    /// since the beginning of the file, in order.
    #[must_use]
    pub fn segmenter(&self, jumps: impl IntoIterator<Item = i64>) -> Segmenter<'_> {
        Segmenter::new(&self.compilation, &*self.container, jumps)
    }

    /// The file, of what was counted.
    ///
    /// # Errors
    /// [`Mp4Error::TooLarge`] where it can't hold that.
    pub fn finish(self, counted: Counted) -> Result<SegmentedFile, Mp4Error> {
        let Segmenting { compilation, container } = self;
        let header = container.header(&compilation, &counted)?;
        Ok(SegmentedFile { compilation, container, header, boundaries: counted.boundaries })
    }
}

/// What was counted.
pub struct Counted {
    /// Where each segment begins, and where the last one ends.
    pub(super) boundaries: Vec<Boundary>,
    /// Length of the largest sample, in bytes.
    pub(super) sample_bytes_max: u32,
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Data {
        let length = bytes.len();
        Data::Made(bytes.into(), 0..length)
    }
}
