//! What is known of a clip that still grows: sums so far.
//!
//! The ledger keeps them for each block that the clip has filled, so that a restart after a
//! crash reads the last block of a stream and not all of them.

use super::clip::{
    ClipFact, TrackTotals, VERSION_MAX, decode_flaws, decode_totals, encode_flaws, encode_totals,
    version_of,
};
use super::end_reason::EndReason;
use super::name::NameForm;
use super::pause::Pauses;
use super::table::{ChunkTable, ClockQuality, TrackKind, TrackNumber, TrackTable};
use crate::units::WallTime;
use crate::wire::{Decoder, Encoder, Malformed};

/// A parameter set that the clip has used, told from others by the beginning of its BLAKE3.
pub type ParameterMark = [u8; 16];

/// Sums over the chunks of a clip so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Wall-clock time of the clip's tick 0.
    pub start: WallTime,
    /// How well the wall clock was known.
    pub quality: ClockQuality,
    /// Chain of the digests of the chunks; see [`ClipFact::digest`](super::ClipFact::digest).
    pub digest: [u8; 32],
    /// Chunks so far.
    pub chunks: u32,
    /// RFC 6381 name of the video's codec; empty where there is no video.
    pub codec: String,
    /// Width and height of the first picture, in pixels.
    pub picture: (u16, u16),
    /// Sums by track, in the order of their numbers.
    pub tracks: Vec<TrackTotals>,
    /// Which parameter sets have been counted as sample entries.
    pub entries: Vec<(TrackNumber, ParameterMark)>,
    /// When nothing came of the video, and nothing was lost.
    pub pauses: Pauses,
}

/// A parameter set of a chunk as it counts for the sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFacts {
    /// Tells the set from others.
    pub mark: ParameterMark,
    /// Length of the sample entry that it becomes, in bytes.
    pub sample_entry_bytes: u32,
    /// RFC 6381 name of the codec.
    pub codec: String,
    /// Picture size, in pixels; 0 where there is none.
    pub picture: (u16, u16),
}

impl Growth {
    /// A clip that begins with the chunk that `table` describes; nothing is added yet.
    #[must_use]
    pub fn new(table: &ChunkTable) -> Growth {
        Growth {
            start: table.anchor.wall,
            quality: table.anchor.quality,
            digest: [0; 32],
            chunks: 0,
            codec: String::new(),
            picture: (0, 0),
            tracks: Vec::new(),
            entries: Vec::new(),
            pauses: Pauses::default(),
        }
    }

    /// Adds a chunk: its table, its digest, and for each of its parameter sets what they count for.
    pub fn add(&mut self, table: &ChunkTable, digest: &[u8; 32], entries: &[EntryFacts]) {
        let mut chain = blake3::Hasher::new();
        chain.update(&self.digest);
        chain.update(digest);
        self.digest = *chain.finalize().as_bytes();
        self.chunks = self.chunks.saturating_add(1);
        for track in &table.tracks {
            let index = match self.tracks.binary_search_by_key(&track.track, |known| known.track) {
                Ok(index) => index,
                Err(index) => {
                    self.tracks.insert(index, TrackTotals::new(track));
                    index
                }
            };
            self.count_pauses(index, track);
            self.tracks[index].add(track);
            if let Some(entry) = entries.get(usize::from(track.parameters)) {
                self.count_entry(index, entry);
            }
        }
    }

    /// Those of the first video: where it pauses, the picture stands.
    fn count_pauses(&mut self, index: usize, table: &TrackTable) {
        let leading = self.tracks.iter().position(|track| track.kind == TrackKind::Video);
        if leading == Some(index) {
            let known = &self.tracks[index];
            self.pauses.add_chunk(table, (known.samples > 0).then_some(known.end));
        }
    }

    fn count_entry(&mut self, index: usize, entry: &EntryFacts) {
        let totals = &mut self.tracks[index];
        let used = (totals.track, entry.mark);
        if self.entries.contains(&used) {
            return;
        }
        self.entries.push(used);
        totals.sample_entries = totals.sample_entries.saturating_add(1);
        totals.sample_entry_bytes =
            totals.sample_entry_bytes.saturating_add(entry.sample_entry_bytes);
        if self.codec.is_empty() && entry.picture != (0, 0) {
            self.codec.clone_from(&entry.codec);
            self.picture = entry.picture;
        }
    }

    /// Wall-clock time when the last picture's turn is over; of the longest track where there is
    /// no video. Audio may go on for part of a packet: the next clip begins where the pictures end.
    #[must_use]
    pub fn end(&self) -> WallTime {
        let has_video = self.tracks.iter().any(|track| track.kind == TrackKind::Video);
        let counted =
            self.tracks.iter().filter(|track| !has_video || track.kind == TrackKind::Video);
        let ends = counted.map(|track| self.start.plus_nanos(track.end.to_nanos(track.timescale)));
        ends.max().unwrap_or(self.start)
    }

    /// What the clip came to: its chunks are closed under that version of the assembly.
    #[must_use]
    pub fn closed(self, output_version: u16, name_form: NameForm, reason: EndReason) -> ClipFact {
        ClipFact {
            start: self.start,
            end: self.end(),
            output_version,
            name_form,
            end_reason: reason,
            quality: self.quality,
            digest: self.digest,
            codec: self.codec,
            picture: self.picture,
            tracks: self.tracks,
            pauses: self.pauses,
        }
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(version_of(&self.tracks, &self.pauses));
        to.i64(self.start.0);
        to.byte(self.quality.code());
        to.raw(&self.digest);
        to.u32(self.chunks);
        to.text(&self.codec);
        to.u32(u32::from(self.picture.0));
        to.u32(u32::from(self.picture.1));
        encode_totals(&mut to, &self.tracks);
        to.u64(self.entries.len() as u64);
        for (track, mark) in &self.entries {
            to.byte(track.0);
            to.raw(mark);
        }
        encode_flaws(&mut to, &self.tracks, &self.pauses);
        to.finish()
    }

    /// Reads what [`Growth::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<Growth, Malformed> {
        let (mut from, version) = Decoder::of_versions(bytes, VERSION_MAX, "growth")?;
        let start = WallTime(from.i64("clip start")?);
        let quality = ClockQuality::decode(&mut from)?;
        let digest = from.array("digest")?;
        let chunks = from.u32("chunk count")?;
        let codec = from.text("codec name")?;
        let picture = (from.u16("picture width")?, from.u16("picture height")?);
        let mut tracks = decode_totals(&mut from)?;
        let count = from.count(17, "sample entries")?;
        let entries = (0..count)
            .map(|_| Ok((TrackNumber(from.byte("track")?), from.array("parameter mark")?)))
            .collect::<Result<_, Malformed>>()?;
        let pauses = decode_flaws(&mut from, version, &mut tracks)?;
        from.finish("growth")?;
        Ok(Growth { start, quality, digest, chunks, codec, picture, tracks, entries, pauses })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::clip::tests::totals;
    use super::super::pause::tests::pauses;
    use super::super::table::tests::table;
    use super::*;

    fn entries() -> Vec<EntryFacts> {
        let entry = |mark, picture| EntryFacts {
            mark: [mark; 16],
            sample_entry_bytes: 100,
            codec: format!("codec-{mark}"),
            picture,
        };
        vec![entry(1, (0, 0)), entry(2, (640, 480)), entry(3, (320, 240))]
    }

    proptest! {
        #[test]
        fn growth_comes_back(
            times in any::<(i64, [u8; 32], u32)>(),
            codec in ".{0,20}",
            picture in any::<(u16, u16)>(),
            tracks in prop::collection::vec(totals(), 0..4),
            entries in prop::collection::vec(any::<(u8, ParameterMark)>(), 0..4),
            pauses in prop_oneof![1 => Just(Pauses::default()), 1 => pauses()],
        ) {
            let growth = Growth {
                start: WallTime(times.0),
                quality: ClockQuality::Given,
                digest: times.1,
                chunks: times.2,
                codec,
                picture,
                tracks,
                entries: entries.into_iter().map(|(n, mark)| (TrackNumber(n), mark)).collect(),
                pauses,
            };
            let bytes = growth.encode();
            let _ = growth.end();
            prop_assert_eq!(Growth::decode(&bytes), Ok(growth));
            for length in 0..bytes.len() {
                prop_assert!(Growth::decode(&bytes[..length]).is_err());
            }
        }

        #[test]
        fn arbitrary_bytes_are_a_value_or_a_reason(
            bytes in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = Growth::decode(&bytes);
        }

        /// What a restart does between two chunks changes nothing.
        #[test]
        fn sums_resumed_from_their_encoding_go_on_as_if_nothing_had_happened(
            tables in prop::collection::vec(table(), 1..6),
            restart in any::<prop::sample::Index>(),
        ) {
            let mut growth = Growth::new(&tables[0]);
            let mut resumed = growth.clone();
            for (number, table) in tables.iter().enumerate() {
                if number == restart.index(tables.len()) {
                    resumed = Growth::decode(&resumed.encode()).expect("an encoding");
                }
                growth.add(table, &[number as u8; 32], &entries());
                resumed.add(table, &[number as u8; 32], &entries());
            }
            prop_assert_eq!(&growth, &resumed);
            prop_assert_eq!(growth.chunks as usize, tables.len());
            let samples = |totals: &TrackTotals| totals.samples;
            let counted: u64 = growth.tracks.iter().map(samples).sum();
            let tracks = tables.iter().flat_map(|table| &table.tracks);
            prop_assert_eq!(counted, tracks.map(|track| track.samples.len() as u64).sum::<u64>());
            prop_assert!(growth.tracks.is_sorted_by_key(|totals| totals.track));
            let entries: u32 = growth.tracks.iter().map(|t| u32::from(t.sample_entries)).sum();
            prop_assert_eq!(entries as usize, growth.entries.len());
        }
    }
}
