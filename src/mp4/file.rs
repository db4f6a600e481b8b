//! A clip as a file: which bytes are made, which are samples.

use std::ops::Range;

use super::layout::Layout;
use super::tables::TrackTables;
use super::{Mp4Error, entry, moov};
use crate::segment::{ChunkTable, ClipFact, ParameterSet};

/// A chunk of the clip, as the assembly needs it.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Its encoded sample table.
    pub table: &'a [u8],
    /// Its parameter sets, as indices into those of the clip; `TrackTable::parameters` counts
    /// them.
    pub parameters: &'a [u16],
    /// Length of its samples, in bytes.
    pub data_length: u32,
}

/// A stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These bytes.
    Made(&'a [u8]),
    /// Samples.
    Media {
        /// Of which chunk of the clip, counted from 0.
        chunk: usize,
        /// Which of them, in bytes from the first sample of the chunk; never empty.
        range: Range<u32>,
    },
}

impl Piece<'_> {
    /// Length of the stretch, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Piece::Made(bytes) => bytes.len() as u64,
            Piece::Media { range, .. } => u64::from(range.end - range.start),
        }
    }
}

/// The file of one clip. Holds what is made (about six bytes a sample) and a number for each
/// chunk.
#[derive(Clone, Debug)]
pub struct Movie {
    header: Vec<u8>,
    /// Where each chunk's samples begin in the file, in bytes, and where the last one's end.
    offsets: Vec<u64>,
}

impl Movie {
    /// Makes everything in front of the samples. `parameters` are the encoded parameter sets of
    /// the clip, `chunks` all its chunks in order.
    ///
    /// # Errors
    /// [`Mp4Error`]: a version that is not known, a table or parameter set that can't be read, or
    /// chunks that do not hold what `fact` promises.
    pub fn new<'a, P: AsRef<[u8]>>(
        fact: &ClipFact,
        parameters: &[P],
        chunks: impl IntoIterator<Item = Chunk<'a>>,
    ) -> Result<Movie, Mp4Error> {
        let layout = Layout::new(fact)?;
        let parameters = decode_parameters(parameters)?;
        let mut tables: Vec<_> = fact.tracks.iter().map(TrackTables::new).collect();
        check_numbers(fact)?;
        let mut offset = layout.header_length;
        let mut offsets = vec![offset];
        for (number, chunk) in chunks.into_iter().enumerate() {
            add_chunk(&mut tables, &parameters, number, &chunk, offset)?;
            offset = offset.saturating_add(u64::from(chunk.data_length));
            offsets.push(offset);
        }
        for track in &mut tables {
            track.finish()?;
        }
        let header = moov::header(fact, &layout, &tables, &parameters)?;
        if offset != layout.size() {
            return Err(Mp4Error::Disagrees {
                place: "the clip".to_owned(),
                what: "length of its file",
                found: offset.to_string(),
                expected: layout.size().to_string(),
            });
        }
        Ok(Movie { header, offsets })
    }

    /// Length of the file, in bytes; what [`size`](super::size) says of the same fact.
    #[must_use]
    pub fn header_length(&self) -> usize {
        self.header.len()
    }

    /// Size of the file, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// What the bytes `range` of the file consist of, in order and without a gap. What lies
    /// behind the end of the file is left out.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece<'_>> {
        let end = range.end.min(self.size());
        let header_length = self.header.len() as u64;
        let made = range.start.min(header_length)..end.min(header_length);
        let made = (made.start < made.end)
            .then(|| Piece::Made(&self.header[made.start as usize..made.end as usize]));
        let mut at = range.start.max(header_length);
        // The last chunk that begins at or before `at`: those of no length before it are passed.
        let mut chunk = self.offsets.partition_point(|offset| *offset <= at).saturating_sub(1);
        let media = std::iter::from_fn(move || {
            while at < end {
                let (begin, behind) = (self.offsets[chunk], self.offsets[chunk + 1]);
                let wanted = (at - begin) as u32..(behind.min(end) - begin) as u32;
                let piece = Piece::Media { chunk, range: wanted.clone() };
                chunk += 1;
                at = behind;
                if !wanted.is_empty() {
                    return Some(piece);
                }
            }
            None
        });
        made.into_iter().chain(media)
    }
}

fn decode_parameters<P: AsRef<[u8]>>(encoded: &[P]) -> Result<Vec<ParameterSet>, Mp4Error> {
    let decoded = encoded.iter().enumerate().map(|(number, set)| {
        entry::decode(set.as_ref()).map_err(|reason| Mp4Error::Parameters { number, reason })
    });
    decoded.collect()
}

/// Tracks are found by their numbers, which have to grow.
fn check_numbers(fact: &ClipFact) -> Result<(), Mp4Error> {
    match fact.tracks.windows(2).find(|pair| pair[0].track >= pair[1].track) {
        None => Ok(()),
        Some(pair) => Err(Mp4Error::Disagrees {
            place: "the clip".to_owned(),
            what: "number of a track",
            found: pair[1].track.0.to_string(),
            expected: format!("more than {}", pair[0].track.0),
        }),
    }
}

fn add_chunk(
    tables: &mut [TrackTables<'_>],
    parameters: &[ParameterSet],
    number: usize,
    chunk: &Chunk<'_>,
    offset: u64,
) -> Result<(), Mp4Error> {
    let disagrees = |what, found: String, expected: String| Mp4Error::Disagrees {
        place: format!("chunk {number}"),
        what,
        found,
        expected,
    };
    let table = ChunkTable::decode(chunk.table)
        .map_err(|reason| Mp4Error::Table { chunk: number, reason })?;
    let length = table.byte_count();
    if length != u64::from(chunk.data_length) {
        let what = "length of its samples";
        return Err(disagrees(what, length.to_string(), chunk.data_length.to_string()));
    }
    let mut offset = offset;
    for track in &table.tracks {
        let index = tables.binary_search_by_key(&track.track, |known| known.promised.track);
        let Ok(index) = index else {
            let expected = "one that the fact knows".to_owned();
            return Err(disagrees("track", track.track.0.to_string(), expected));
        };
        let set = chunk.parameters.get(usize::from(track.parameters)).copied();
        let decoded = set.and_then(|set| parameters.get(usize::from(set)));
        let (Some(set), Some(decoded)) = (set, decoded) else {
            let what = "index of a parameter set";
            let found = set.map_or_else(|| track.parameters.to_string(), |set| set.to_string());
            return Err(disagrees(what, found, "that of one of the clip".to_owned()));
        };
        if decoded.codec.track_kind() != track.kind {
            let expected = format!("{:?}", decoded.codec.track_kind());
            return Err(disagrees("kind of its samples", format!("{:?}", track.kind), expected));
        }
        tables[index].add(track, offset, set)?;
        offset = offset.saturating_add(track.byte_count());
    }
    Ok(())
}
