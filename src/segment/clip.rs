//! What the ledger says of a clip: everything that listing, `stat` and the attributes need.

#![warn(clippy::indexing_slicing)]

use super::end_reason::EndReason;
use super::name::NameForm;
use super::pause::Pauses;
use super::table::{ClockQuality, TrackKind, TrackNumber, TrackTable};
use crate::units::{Ticks, WallTime};
use crate::wire::{Decoder, Encoder, Malformed};

/// The encoding of a clip without damage and without a pause.
const VERSION_WHOLE: u8 = 1;
/// The encoding of all others, which says more behind the same.
const VERSION_FLAWED: u8 = 2;
pub(super) const VERSION_MAX: u8 = VERSION_FLAWED;

/// Sums over the samples of one track of a clip: what the size of its tables depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackTotals {
    /// Which track.
    pub track: TrackNumber,
    /// What its samples are.
    pub kind: TrackKind,
    /// Ticks a second.
    pub timescale: u32,
    /// Priming that a player drops, in ticks.
    pub codec_delay: u32,
    /// Number of samples.
    pub samples: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// Chunks that hold at least one sample of the track.
    pub chunks: u32,
    /// Runs of equal duration, counted in each chunk on its own: its last sample is always a run
    /// of its own, since the next chunk settles its duration.
    pub duration_runs: u32,
    /// Runs of equal composition offset, counted in each chunk on its own.
    pub offset_runs: u32,
    /// Number of sync samples.
    pub sync_samples: u64,
    /// Number of samples that are marked as damaged.
    pub damaged: u64,
    /// Whether any composition offset is not zero.
    pub reordered: bool,
    /// Decode time of the first sample, in ticks since the clip's tick 0.
    pub start: Ticks,
    /// Decode time behind the last sample, in ticks since the clip's tick 0.
    pub end: Ticks,
    /// Composition offset of the first sample, in ticks.
    pub first_offset: i32,
    /// Sample entries of the track.
    pub sample_entries: u16,
    /// Length of all of them as mp4 boxes, in bytes.
    pub sample_entry_bytes: u32,
}

impl TrackTotals {
    /// Nothing yet, of the track that `table` describes.
    #[must_use]
    pub fn new(table: &TrackTable) -> TrackTotals {
        TrackTotals {
            track: table.track,
            kind: table.kind,
            timescale: table.timescale,
            codec_delay: table.codec_delay,
            samples: 0,
            bytes: 0,
            chunks: 0,
            duration_runs: 0,
            offset_runs: 0,
            sync_samples: 0,
            damaged: 0,
            reordered: false,
            start: table.start,
            end: table.start,
            first_offset: table.samples.first().map_or(0, |first| first.composition_offset),
            sample_entries: 0,
            sample_entry_bytes: 0,
        }
    }

    /// Adds the samples of one more chunk of the track.
    pub fn add(&mut self, table: &TrackTable) {
        // The sums may have been read from a disk: whatever they are, adding must not overflow.
        let offset_runs = runs(table.samples.iter().map(|sample| sample.composition_offset));
        let sync_samples = table.samples.iter().filter(|sample| sample.flags.sync).count() as u64;
        let damaged = table.samples.iter().filter(|sample| sample.flags.damaged).count() as u64;
        self.samples = self.samples.saturating_add(table.samples.len() as u64);
        self.bytes = self.bytes.saturating_add(table.byte_count());
        self.chunks = self.chunks.saturating_add(1);
        self.duration_runs = self.duration_runs.saturating_add(duration_runs(table));
        self.offset_runs = self.offset_runs.saturating_add(offset_runs);
        self.sync_samples = self.sync_samples.saturating_add(sync_samples);
        self.damaged = self.damaged.saturating_add(damaged);
        self.reordered |= table.samples.iter().any(|sample| sample.composition_offset != 0);
        self.end = table.expected_end();
    }
}

fn duration_runs(table: &TrackTable) -> u32 {
    let but_last = table.samples.split_last().map_or(&[][..], |(_, rest)| rest);
    runs(but_last.iter().map(|sample| sample.duration)) + 1
}

fn runs<T: PartialEq>(values: impl Iterator<Item = T>) -> u32 {
    let mut count = 0;
    let mut previous = None;
    for value in values {
        if previous.as_ref() != Some(&value) {
            count += 1;
            previous = Some(value);
        }
    }
    count
}

/// What the ledger says of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipFact {
    /// Wall-clock time of the clip's tick 0: when the first picture was captured.
    pub start: WallTime,
    /// Wall-clock time when the last picture's turn is over.
    pub end: WallTime,
    /// The version of the mp4 assembly whose bytes this clip keeps for ever.
    pub output_version: u16,
    /// How its name tells it from its neighbours.
    pub name_form: NameForm,
    /// Why it ended.
    pub end_reason: EndReason,
    /// How well the wall clock was known.
    pub quality: ClockQuality,
    /// Chain of the digests of its chunks: begins with zeros, then BLAKE3 of the chain so far and
    /// the next chunk's digest.
    pub digest: [u8; 32],
    /// RFC 6381 name of the video's codec (`avc1.640028`); empty where there is no video.
    pub codec: String,
    /// Width and height of the first picture, in pixels; 0 where there is no video.
    pub picture: (u16, u16),
    /// In the order of their numbers; at least one.
    pub tracks: Vec<TrackTotals>,
    /// When nothing came of the video, and nothing was lost.
    pub pauses: Pauses,
}

impl ClipFact {
    /// Frames of the video track, or samples of the first track where there is no video.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.leading().map_or(0, |track| track.samples)
    }

    /// How many of the frames that [`ClipFact::frames`] counts are key frames.
    #[must_use]
    pub fn key_frames(&self) -> u64 {
        self.leading().map_or(0, |track| track.sync_samples)
    }

    /// How many of the frames that [`ClipFact::frames`] counts are marked as damaged.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.leading().map_or(0, |track| track.damaged)
    }

    /// Timed records, of all tracks that hold such; saturates.
    #[must_use]
    pub fn records(&self) -> u64 {
        let timed = self.tracks.iter().filter(|track| track.kind == TrackKind::Timed);
        timed.fold(0, |sum, track| sum.saturating_add(track.samples))
    }

    fn leading(&self) -> Option<&TrackTotals> {
        let video = self.tracks.iter().find(|track| track.kind == TrackKind::Video);
        video.or(self.tracks.first())
    }

    /// Length of all samples, in bytes; saturates.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.tracks.iter().fold(0, |sum, track| sum.saturating_add(track.bytes))
    }

    /// The one encoding. Of a clip without damage and pauses it is what it was before there were
    /// words for either.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(version_of(&self.tracks, &self.pauses));
        to.i64(self.start.0);
        to.i64(self.end.nanos_since(self.start).max(0));
        to.u32(u32::from(self.output_version));
        to.u32(self.name_form.code());
        to.byte(self.end_reason.code());
        to.byte(self.quality.code());
        to.raw(&self.digest);
        to.text(&self.codec);
        to.u32(u32::from(self.picture.0));
        to.u32(u32::from(self.picture.1));
        encode_totals(&mut to, &self.tracks);
        encode_flaws(&mut to, &self.tracks, &self.pauses);
        to.finish()
    }

    /// Reads what [`ClipFact::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<ClipFact, Malformed> {
        let (mut from, version) = Decoder::of_versions(bytes, VERSION_MAX, "clip fact")?;
        let start = WallTime(from.i64("clip start")?);
        let end = match from.i64("clip length")? {
            // A clip that ends before it begins would expire before its time.
            negative @ i64::MIN..0 => return Err(from.wrong("clip length", format!("{negative}"))),
            length => start.plus_nanos(length),
        };
        let output_version = from.u16("output version")?;
        let name_form = NameForm::from_code(from.u32("name form")?);
        let end_reason = EndReason::from_code(from.byte("end reason")?);
        let quality = ClockQuality::decode(&mut from)?;
        let digest = from.array("digest")?;
        let codec = from.text("codec name")?;
        let picture = (from.u16("picture width")?, from.u16("picture height")?);
        let mut tracks = decode_totals(&mut from)?;
        let pauses = decode_flaws(&mut from, version, &mut tracks)?;
        from.finish("clip fact")?;
        Ok(ClipFact {
            start,
            end,
            output_version,
            name_form,
            end_reason,
            quality,
            digest,
            codec,
            picture,
            tracks,
            pauses,
        })
    }
}

/// The version of an encoding that holds these.
pub(super) fn version_of(tracks: &[TrackTotals], pauses: &Pauses) -> u8 {
    let is_whole = pauses.is_empty() && tracks.iter().all(|track| track.damaged == 0);
    if is_whole { VERSION_WHOLE } else { VERSION_FLAWED }
}

/// Writes what is damaged and when nothing came, where [`version_of`] says that it is to be said.
pub(super) fn encode_flaws(to: &mut Encoder, tracks: &[TrackTotals], pauses: &Pauses) {
    if version_of(tracks, pauses) == VERSION_FLAWED {
        tracks.iter().for_each(|track| to.u64(track.damaged));
        pauses.encode(to);
    }
}

/// Reads what [`encode_flaws`] wrote.
pub(super) fn decode_flaws(
    from: &mut Decoder<'_>,
    version: u8,
    tracks: &mut [TrackTotals],
) -> Result<Pauses, Malformed> {
    if version == VERSION_WHOLE {
        return Ok(Pauses::default());
    }
    for track in tracks {
        track.damaged = from.u64("damaged samples")?;
    }
    Pauses::decode(from)
}

/// Writes a list of totals into a larger encoding.
pub(super) fn encode_totals(to: &mut Encoder, tracks: &[TrackTotals]) {
    to.u64(tracks.len() as u64);
    for track in tracks {
        to.byte(track.track.0);
        to.byte(track.kind.code());
        to.u32(track.timescale);
        to.u32(track.codec_delay);
        to.u64(track.samples);
        to.u64(track.bytes);
        to.u32(track.chunks);
        to.u32(track.duration_runs);
        to.u32(track.offset_runs);
        to.u64(track.sync_samples);
        to.byte(u8::from(track.reordered));
        to.i64(track.start.0);
        to.i64(track.end.0);
        to.i64(i64::from(track.first_offset));
        to.u32(u32::from(track.sample_entries));
        to.u32(track.sample_entry_bytes);
    }
}

/// Reads what [`encode_totals`] wrote.
pub(super) fn decode_totals(from: &mut Decoder<'_>) -> Result<Vec<TrackTotals>, Malformed> {
    let count = from.count(16, "tracks of the clip")?;
    // Of exact size: half a million of these stay in memory, and collecting would round up.
    let mut tracks = Vec::with_capacity(count);
    for _ in 0..count {
        tracks.push(decode_track_totals(from)?);
    }
    Ok(tracks)
}

fn decode_track_totals(from: &mut Decoder<'_>) -> Result<TrackTotals, Malformed> {
    Ok(TrackTotals {
        track: TrackNumber(from.byte("track number")?),
        kind: TrackKind::decode(from)?,
        timescale: match from.u32("timescale")? {
            0 => return Err(from.wrong("timescale", "0")),
            timescale => timescale,
        },
        codec_delay: from.u32("codec delay")?,
        samples: from.u64("sample count")?,
        bytes: from.u64("byte count")?,
        chunks: from.u32("chunk count")?,
        duration_runs: from.u32("duration runs")?,
        offset_runs: from.u32("offset runs")?,
        sync_samples: from.u64("sync samples")?,
        // Behind all totals, where there are any.
        damaged: 0,
        reordered: from.byte("reordering mark")? != 0,
        start: Ticks(from.i64("track start")?),
        end: Ticks(from.i64("track end")?),
        first_offset: {
            let offset = from.i64("first composition offset")?;
            i32::try_from(offset)
                .map_err(|_| from.wrong("first composition offset", format!("{offset}")))?
        },
        sample_entries: from.u16("sample entries")?,
        sample_entry_bytes: from.u32("sample entry bytes")?,
    })
}

#[cfg(test)]
impl ClipFact {
    /// Of a clip of which nothing else matters: without tracks.
    pub(crate) fn between(start: WallTime, end: WallTime, quality: ClockQuality) -> ClipFact {
        ClipFact {
            start,
            end,
            output_version: 1,
            name_form: NameForm::Seconds,
            end_reason: EndReason::Boundary,
            quality,
            digest: [0; 32],
            codec: String::new(),
            picture: (0, 0),
            tracks: Vec::new(),
            pauses: Pauses::default(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::name::tests::name_form;
    use super::super::pause::tests::pauses;
    use super::super::table::tests::table;
    use super::*;

    pub(in crate::segment) fn totals() -> impl Strategy<Value = TrackTotals> {
        let counts = any::<(u64, u64, u32, u32, u32, u64)>();
        let ends = any::<(bool, i64, i64, i32, u16, u32)>();
        let damaged = prop_oneof![3 => Just(0), 1 => any::<u64>()];
        let kind = prop_oneof![
            4 => Just(TrackKind::Video),
            4 => Just(TrackKind::Audio),
            1 => (3..=u8::MAX).prop_map(TrackKind::Unknown),
        ];
        (any::<u8>(), kind, 1..=u32::MAX, any::<u32>(), counts, ends, damaged).prop_map(
            |(track, kind, timescale, codec_delay, counts, ends, damaged)| TrackTotals {
                track: TrackNumber(track),
                kind,
                timescale,
                codec_delay,
                samples: counts.0,
                bytes: counts.1,
                chunks: counts.2,
                duration_runs: counts.3,
                offset_runs: counts.4,
                sync_samples: counts.5,
                damaged,
                reordered: ends.0,
                start: Ticks(ends.1),
                end: Ticks(ends.2),
                first_offset: ends.3,
                sample_entries: ends.4,
                sample_entry_bytes: ends.5,
            },
        )
    }

    fn fact() -> impl Strategy<Value = ClipFact> {
        let quality = prop_oneof![
            Just(ClockQuality::Unsynchronised),
            Just(ClockQuality::Synchronised),
            Just(ClockQuality::Given),
            (3..=u8::MAX).prop_map(ClockQuality::Unknown),
        ];
        let times = (i64::MIN / 2..i64::MAX / 2, 0..i64::MAX / 2);
        let rest = (any::<u16>(), any::<u8>(), any::<[u8; 32]>(), any::<(u16, u16)>());
        let tracks = prop::collection::vec(totals(), 0..4);
        let pauses = prop_oneof![1 => Just(Pauses::default()), 1 => pauses()];
        (times, name_form(), quality, ".{0,20}", rest, tracks, pauses).prop_map(
            |((start, length), name_form, quality, codec, rest, tracks, pauses)| ClipFact {
                start: WallTime(start),
                end: WallTime(start + length),
                output_version: rest.0,
                name_form,
                end_reason: EndReason::from_code(rest.1),
                quality,
                digest: rest.2,
                codec,
                picture: rest.3,
                tracks,
                pauses,
            },
        )
    }

    #[test]
    fn a_clip_that_ends_before_it_begins_is_refused() {
        let mut bytes = Encoder::new(VERSION_WHOLE);
        bytes.i64(0);
        bytes.i64(-1);
        let error = ClipFact::decode(&bytes.finish()).expect_err("a negative length");
        assert_eq!((error.what, error.reason.as_str()), ("clip length", "-1"));
    }

    proptest! {
        #[test]
        fn a_clip_fact_comes_back(fact in fact()) {
            let bytes = fact.encode();
            let flawed = fact.tracks.iter().any(|t| t.damaged > 0) || !fact.pauses.is_empty();
            prop_assert_eq!(bytes[0], 1 + u8::from(flawed));
            let decoded = ClipFact::decode(&bytes);
            prop_assert_eq!(decoded.as_ref(), Ok(&fact));
            prop_assert!(decoded.is_ok_and(|fact| fact.tracks.capacity() == fact.tracks.len()));
        }

        #[test]
        fn a_clip_fact_cut_short_or_garbled_is_a_value_or_a_reason(
            fact in fact(),
            at in any::<prop::sample::Index>(),
            change in any::<u8>(),
        ) {
            let mut bytes = fact.encode();
            let at = at.index(bytes.len());
            prop_assert!(ClipFact::decode(&bytes[..at]).is_err());
            bytes[at] ^= change;
            if let Ok(fact) = ClipFact::decode(&bytes) {
                let _ = (fact.byte_count(), fact.frames());
            }
        }

        #[test]
        fn arbitrary_bytes_are_a_value_or_a_reason(
            bytes in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = ClipFact::decode(&bytes);
        }

        /// Sums from a hostile disk may be anything.
        #[test]
        fn adding_to_any_totals_does_not_overflow(totals in totals(), table in table()) {
            let mut totals = totals;
            totals.add(&table.tracks[0]);
            prop_assert_eq!(totals.end, table.tracks[0].expected_end());
        }
    }
}
