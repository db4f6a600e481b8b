//! The sample table of a chunk: which samples it holds, of which tracks, at which times.

#![warn(clippy::indexing_slicing)]

use crate::units::{BootTime, Ticks, WallTime};
use crate::wire::{Decoder, Encoder, Malformed};

/// The encoding of a table in which no sample is marked as resumed: three marks a sample.
const VERSION_OF_THREE_MARKS: u8 = 1;
/// The encoding of all others: four marks a sample.
const VERSION_OF_FOUR_MARKS: u8 = 2;

/// Tracks of one clip at most; a camera has one video, one audio and a few metadata tracks.
const TRACKS_MAX: usize = 16;

/// A track within its stream: 0 is the video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackNumber(pub u8);

/// What a track's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// Coded pictures.
    Video,
    /// Packets of audio.
    Audio,
    /// Timed records (metadata).
    Timed,
    /// What a later program records, under a number that this one does not know.
    Unknown(u8),
}

impl TrackKind {
    pub(super) fn code(self) -> u8 {
        match self {
            TrackKind::Video => 0,
            TrackKind::Audio => 1,
            TrackKind::Timed => 2,
            TrackKind::Unknown(code) => code,
        }
    }

    fn from_code(code: u8) -> TrackKind {
        match code {
            0 => TrackKind::Video,
            1 => TrackKind::Audio,
            2 => TrackKind::Timed,
            other => TrackKind::Unknown(other),
        }
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<TrackKind, Malformed> {
        from.byte("track kind").map(TrackKind::from_code)
    }
}

/// How well the wall clock was known when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockQuality {
    /// The kernel did not say that the clock is synchronised.
    #[default]
    Unsynchronised,
    /// The kernel said that the clock is synchronised (`adjtimex`, no `STA_UNSYNC`).
    Synchronised,
    /// The time was given by a person or a file, as at an import.
    Given,
    /// What a later program says of it, under a number that this one does not know.
    Unknown(u8),
}

impl ClockQuality {
    pub(super) fn code(self) -> u8 {
        match self {
            ClockQuality::Unsynchronised => 0,
            ClockQuality::Synchronised => 1,
            ClockQuality::Given => 2,
            ClockQuality::Unknown(code) => code,
        }
    }

    fn from_code(code: u8) -> ClockQuality {
        match code {
            0 => ClockQuality::Unsynchronised,
            1 => ClockQuality::Synchronised,
            2 => ClockQuality::Given,
            other => ClockQuality::Unknown(other),
        }
    }

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClockQuality::Unsynchronised => "not synchronised",
            ClockQuality::Synchronised => "synchronised",
            ClockQuality::Given => "given",
            ClockQuality::Unknown(_) => "unknown",
        }
    }

    /// Whether a clock was read, rather than a person or a file asked; of what is not known nobody
    /// can say so.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, ClockQuality::Unsynchronised | ClockQuality::Synchronised)
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<ClockQuality, Malformed> {
        from.byte("clock quality").map(ClockQuality::from_code)
    }
}

/// Ties media time to the clocks outside: all of it belongs to tick 0 of the clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Wall-clock time of the clip's tick 0.
    pub wall: WallTime,
    /// `CLOCK_BOOTTIME` at the moment when this chunk was cut.
    pub boot: BootTime,
    /// The kernel's boot id: which boot `boot` counts from.
    pub boot_id: [u8; 16],
    /// The camera's own clock (RTCP sender report) at tick 0, where it told one.
    pub camera: Option<WallTime>,
    /// How well `wall` was known.
    pub quality: ClockQuality,
}

/// What is known of a sample beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleFlags {
    /// A sync sample (key frame): decoding can begin here. Every audio packet is one.
    pub sync: bool,
    /// A recovery point: decoding from here is right some frames later.
    pub recovery: bool,
    /// Something was lost before or in this sample.
    pub damaged: bool,
    /// Nothing came before this sample for longer than usual, and nothing was lost: the sample
    /// before it lasts until it. It stands behind the pause because the sample in front of it may
    /// be on the disk before anybody knows of one.
    pub resumed: bool,
}

/// One sample: a coded frame, an audio packet, a timed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Decode time to the next sample of the track, in ticks. For the last sample of a chunk it
    /// is what was expected when the chunk was cut: the next chunk's `start`, or the clip's end,
    /// settles it.
    pub duration: u32,
    /// Length, in bytes. The samples of a track lie one after another.
    pub size: u32,
    /// Composition time minus decode time, in ticks.
    pub composition_offset: i32,
    /// Key frame and damage marks.
    pub flags: SampleFlags,
}

/// The samples that one chunk holds of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackTable {
    /// Which track.
    pub track: TrackNumber,
    /// What its samples are; the same in all chunks of a clip.
    pub kind: TrackKind,
    /// Ticks a second; the same in all chunks of a clip.
    pub timescale: u32,
    /// Which of the chunk's parameter sets decodes them (index into the chunk's list).
    pub parameters: u8,
    /// Samples' worth of priming that a player drops at the beginning of the clip, in ticks
    /// (AAC encoder delay, Opus pre-skip).
    pub codec_delay: u32,
    /// Decode time of the first sample, in ticks since the clip's tick 0.
    pub start: Ticks,
    /// In decode order; never empty.
    pub samples: Vec<Sample>,
}

impl TrackTable {
    /// Length of the track's samples in this chunk, in bytes.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.size)).sum()
    }

    /// Expected decode time of the sample behind the last one, in ticks since the clip's tick 0.
    #[must_use]
    pub fn expected_end(&self) -> Ticks {
        let length: i64 = self.samples.iter().map(|sample| i64::from(sample.duration)).sum();
        Ticks(self.start.0.saturating_add(length))
    }
}

/// The sample table of a chunk. Its tracks' bytes follow one another in the order of `tracks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkTable {
    /// Clocks at the beginning of the clip.
    pub anchor: Anchor,
    /// At least one, each track once.
    pub tracks: Vec<TrackTable>,
}

impl ChunkTable {
    /// Length of all samples, in bytes: the chunk's data.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.tracks.iter().map(TrackTable::byte_count).sum()
    }

    /// The one encoding. Durations and composition offsets are coded as differences to the
    /// sample before, so that a steady camera costs about five bytes a sample. A table without a
    /// pause is as it was before there was a mark for one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let version = match self.has_a_pause() {
            true => VERSION_OF_FOUR_MARKS,
            false => VERSION_OF_THREE_MARKS,
        };
        let mut to = Encoder::new(version);
        encode_anchor(&mut to, &self.anchor);
        to.u64(self.tracks.len() as u64);
        for track in &self.tracks {
            encode_track(&mut to, track, flag_bits(version));
        }
        to.finish()
    }

    /// Whether any sample is damaged, or follows a pause: the clip's fact will say so.
    #[must_use]
    pub fn is_flawed(&self) -> bool {
        let mut samples = self.tracks.iter().flat_map(|track| &track.samples);
        samples.any(|sample| sample.flags.damaged || sample.flags.resumed)
    }

    fn has_a_pause(&self) -> bool {
        self.tracks.iter().flat_map(|track| &track.samples).any(|sample| sample.flags.resumed)
    }

    /// Reads what [`ChunkTable::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<ChunkTable, Malformed> {
        let (mut from, version) =
            Decoder::of_versions(bytes, VERSION_OF_FOUR_MARKS, "chunk table")?;
        let anchor = decode_anchor(&mut from)?;
        let count = from.count(8, "tracks")?;
        if count == 0 || count > TRACKS_MAX {
            return Err(from.wrong("tracks", format!("{count}, expected 1 to {TRACKS_MAX}")));
        }
        let mut tracks: Vec<TrackTable> = Vec::with_capacity(count);
        for _ in 0..count {
            let track = decode_track(&mut from, flag_bits(version))?;
            if tracks.iter().any(|other| other.track == track.track) {
                return Err(from.wrong("tracks", format!("track {} twice", track.track.0)));
            }
            tracks.push(track);
        }
        from.finish("chunk table")?;
        Ok(ChunkTable { anchor, tracks })
    }
}

fn encode_anchor(to: &mut Encoder, anchor: &Anchor) {
    to.i64(anchor.wall.0);
    to.i64(anchor.boot.0);
    to.raw(&anchor.boot_id);
    to.byte(anchor.quality.code());
    to.byte(u8::from(anchor.camera.is_some()));
    if let Some(camera) = anchor.camera {
        to.i64(camera.0);
    }
}

fn decode_anchor(from: &mut Decoder<'_>) -> Result<Anchor, Malformed> {
    Ok(Anchor {
        wall: WallTime(from.i64("anchor wall time")?),
        boot: BootTime(from.i64("anchor boot time")?),
        boot_id: from.array("boot id")?,
        quality: ClockQuality::decode(from)?,
        camera: match from.byte("camera clock mark")? {
            0 => None,
            1 => Some(WallTime(from.i64("camera clock")?)),
            other => return Err(from.wrong("camera clock mark", format!("{other}, not 0 or 1"))),
        },
    })
}

const SYNC: u64 = 1;
const RECOVERY: u64 = 2;
const DAMAGED: u64 = 4;
const RESUMED: u64 = 8;

/// How many marks stand below a sample's size.
fn flag_bits(version: u8) -> u32 {
    if version == VERSION_OF_THREE_MARKS { 3 } else { 4 }
}

fn encode_track(to: &mut Encoder, track: &TrackTable, flag_bits: u32) {
    to.byte(track.track.0);
    to.byte(track.kind.code());
    to.u32(track.timescale);
    to.byte(track.parameters);
    to.u32(track.codec_delay);
    to.i64(track.start.0);
    to.u64(track.samples.len() as u64);
    let (mut duration, mut offset) = (0_i64, 0_i64);
    for sample in &track.samples {
        let flags = (u64::from(sample.flags.sync) * SYNC)
            | (u64::from(sample.flags.recovery) * RECOVERY)
            | (u64::from(sample.flags.damaged) * DAMAGED)
            | (u64::from(sample.flags.resumed) * RESUMED);
        to.u64(u64::from(sample.size) << flag_bits | flags);
        to.i64(i64::from(sample.duration) - duration);
        to.i64(i64::from(sample.composition_offset) - offset);
        (duration, offset) = (i64::from(sample.duration), i64::from(sample.composition_offset));
    }
}

fn decode_track(from: &mut Decoder<'_>, flag_bits: u32) -> Result<TrackTable, Malformed> {
    let track = TrackNumber(from.byte("track number")?);
    let kind = TrackKind::decode(from)?;
    let timescale = from.u32("timescale")?;
    if timescale == 0 {
        return Err(from.wrong("timescale", "0"));
    }
    let parameters = from.byte("parameter index")?;
    let codec_delay = from.u32("codec delay")?;
    let start = Ticks(from.i64("track start")?);
    let count = from.count(3, "samples")?;
    if count == 0 {
        return Err(from.wrong("samples", "none"));
    }
    let mut samples = Vec::with_capacity(count);
    let (mut duration, mut offset) = (0_i64, 0_i64);
    for _ in 0..count {
        let packed = from.u64("sample size")?;
        let flags = packed & ((1 << flag_bits) - 1);
        let size = u32::try_from(packed >> flag_bits)
            .map_err(|_| from.wrong("sample size", "over 2³²−1"))?;
        duration = duration.wrapping_add(from.i64("sample duration")?);
        offset = offset.wrapping_add(from.i64("composition offset")?);
        samples.push(Sample {
            duration: u32::try_from(duration)
                .map_err(|_| from.wrong("sample duration", format!("{duration}")))?,
            size,
            composition_offset: i32::try_from(offset)
                .map_err(|_| from.wrong("composition offset", format!("{offset}")))?,
            flags: SampleFlags {
                sync: flags & SYNC != 0,
                recovery: flags & RECOVERY != 0,
                damaged: flags & DAMAGED != 0,
                resumed: flags & RESUMED != 0,
            },
        });
    }
    Ok(TrackTable { track, kind, timescale, parameters, codec_delay, start, samples })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> impl Strategy<Value = Sample> {
        // Mostly a steady camera, sometimes anything.
        let duration = prop_oneof![4 => Just(3600), 1 => any::<u32>()];
        let offset = prop_oneof![4 => Just(0), 1 => any::<i32>()];
        (duration, any::<u32>(), offset, any::<(bool, bool, bool)>(), 0..8).prop_map(
            |(duration, size, composition_offset, (sync, recovery, damaged), resumed)| Sample {
                duration,
                size,
                composition_offset,
                flags: SampleFlags { sync, recovery, damaged, resumed: resumed == 0 },
            },
        )
    }

    fn track() -> impl Strategy<Value = TrackTable> {
        let kind =
            prop_oneof![Just(TrackKind::Video), Just(TrackKind::Audio), Just(TrackKind::Timed)];
        let numbers = (1..=u32::MAX, 0..4_u8, any::<u32>(), any::<i64>());
        (kind, numbers, prop::collection::vec(sample(), 1..30)).prop_map(
            |(kind, (timescale, parameters, codec_delay, start), samples)| TrackTable {
                track: TrackNumber(0),
                kind,
                timescale,
                parameters,
                codec_delay,
                start: Ticks(start),
                samples,
            },
        )
    }

    pub(in crate::segment) fn table() -> impl Strategy<Value = ChunkTable> {
        let camera = any::<Option<i64>>();
        let anchor = (any::<i64>(), any::<i64>(), any::<[u8; 16]>(), camera, any::<bool>());
        let tracks = prop::collection::vec(track(), 1..4);
        (anchor, tracks, 0..200_u8).prop_map(|(anchor, mut tracks, first)| {
            (first..).zip(&mut tracks).for_each(|(n, track)| track.track = TrackNumber(n));
            let (wall, boot, boot_id, camera, synchronised) = anchor;
            ChunkTable {
                anchor: Anchor {
                    wall: WallTime(wall),
                    boot: BootTime(boot),
                    boot_id,
                    camera: camera.map(WallTime),
                    quality: match synchronised {
                        true => ClockQuality::Synchronised,
                        false => ClockQuality::Unsynchronised,
                    },
                },
                tracks,
            }
        })
    }

    #[test]
    fn a_kind_that_is_not_known_keeps_its_number() {
        for code in 0..=u8::MAX {
            assert_eq!(TrackKind::from_code(code).code(), code);
            assert_eq!(ClockQuality::from_code(code).code(), code);
        }
    }

    #[test]
    fn a_steady_camera_costs_about_five_bytes_a_sample() {
        let flags = SampleFlags::default();
        let steady = Sample { duration: 3600, size: 20_000, composition_offset: 0, flags };
        let one = |samples| ChunkTable {
            anchor: Anchor {
                wall: WallTime(0),
                boot: BootTime(0),
                boot_id: [0; 16],
                camera: None,
                quality: ClockQuality::Synchronised,
            },
            tracks: vec![TrackTable {
                track: TrackNumber(0),
                kind: TrackKind::Video,
                timescale: 90_000,
                parameters: 0,
                codec_delay: 0,
                start: Ticks(0),
                samples,
            }],
        };
        let length = one(vec![steady; 1001]).encode().len() - one(vec![steady]).encode().len();
        assert!(length <= 5100, "{length} bytes for 1000 samples");
    }

    #[test]
    fn a_table_that_forges_its_counts_is_refused_without_allocating() {
        let mut bytes = Encoder::new(VERSION_OF_THREE_MARKS);
        let anchor = Anchor {
            wall: WallTime(0),
            boot: BootTime(0),
            boot_id: [0; 16],
            camera: None,
            quality: ClockQuality::Given,
        };
        encode_anchor(&mut bytes, &anchor);
        bytes.u64(u64::MAX);
        let error = ChunkTable::decode(&bytes.finish()).expect_err("a forged count");
        assert_eq!(error.what, "tracks");
    }

    proptest! {
        #[test]
        fn a_table_comes_back(table in table()) {
            let bytes = table.encode();
            prop_assert_eq!(bytes[0], 1 + u8::from(table.has_a_pause()));
            prop_assert_eq!(ChunkTable::decode(&bytes), Ok(table));
        }

        #[test]
        fn a_table_cut_short_or_garbled_is_a_value_or_a_reason(
            table in table(),
            at in any::<prop::sample::Index>(),
            change in any::<u8>(),
        ) {
            let mut bytes = table.encode();
            let at = at.index(bytes.len());
            prop_assert!(ChunkTable::decode(&bytes[..at]).is_err());
            bytes[at] ^= change;
            if let Ok(table) = ChunkTable::decode(&bytes) {
                let _ = (table.byte_count(), table.tracks[0].expected_end());
            }
        }

        #[test]
        fn arbitrary_bytes_are_a_value_or_a_reason(
            bytes in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = ChunkTable::decode(&bytes);
        }
    }
}
