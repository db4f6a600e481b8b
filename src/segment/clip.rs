//! What the ledger says of a clip: everything that listing, `stat` and the attributes need.

use super::table::{ClockQuality, TrackKind, TrackNumber, TrackTable};
use crate::units::{Ticks, WallTime};
use crate::wire::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

/// How a clip's name tells it from its neighbours. Settled when the clip closes, never after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// To the second: the usual one.
    Seconds,
    /// With milliseconds: another clip of the stream began in the same second.
    Milliseconds,
    /// With milliseconds and a number: more began in the same millisecond. At least 2.
    Numbered(u32),
}

/// Why a clip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The next clip goes on where this one ends.
    Boundary,
    /// The camera's connection was lost, or recording was stopped for it.
    Disconnected,
    /// Samples were lost on the way, or dropped because they could not be stored.
    Loss,
    /// The camera's time made a jump or stood still.
    TimeJump,
    /// Codec or picture size changed.
    ParametersChanged,
    /// The daemon was stopped.
    Stopped,
    /// The daemon or the machine died: found and closed at the next start.
    Recovered,
    /// The ring needed the space of a growing clip.
    Evicted,
    /// The device refused a write.
    DeviceError,
}

impl EndReason {
    const ALL: [EndReason; 9] = [
        EndReason::Boundary,
        EndReason::Disconnected,
        EndReason::Loss,
        EndReason::TimeJump,
        EndReason::ParametersChanged,
        EndReason::Stopped,
        EndReason::Recovered,
        EndReason::Evicted,
        EndReason::DeviceError,
    ];

    /// The number that stands for this reason on the ring; below 16.
    #[must_use]
    pub fn code(self) -> u8 {
        Self::ALL.iter().position(|reason| *reason == self).unwrap_or(0) as u8
    }

    /// The reason behind a number; `None` where there is none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<EndReason> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

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
        self.samples += table.samples.len() as u64;
        self.bytes += table.byte_count();
        self.chunks += 1;
        self.duration_runs += duration_runs(table);
        self.offset_runs += runs(table.samples.iter().map(|sample| sample.composition_offset));
        self.sync_samples += table.samples.iter().filter(|sample| sample.flags.sync).count() as u64;
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
}

impl ClipFact {
    /// Frames of the video track, or samples of the first track where there is no video.
    #[must_use]
    pub fn frames(&self) -> u64 {
        let video = self.tracks.iter().find(|track| track.kind == TrackKind::Video);
        video.or(self.tracks.first()).map_or(0, |track| track.samples)
    }

    /// Length of all samples, in bytes.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.tracks.iter().map(|track| track.bytes).sum()
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(VERSION);
        to.i64(self.start.0);
        to.i64(self.end.nanos_since(self.start));
        to.u32(u32::from(self.output_version));
        to.u32(match self.name_form {
            NameForm::Seconds => 0,
            NameForm::Milliseconds => 1,
            NameForm::Numbered(number) => number.max(2),
        });
        to.byte(self.end_reason.code());
        to.byte(self.quality.code());
        to.raw(&self.digest);
        to.text(&self.codec);
        to.u32(u32::from(self.picture.0));
        to.u32(u32::from(self.picture.1));
        encode_totals(&mut to, &self.tracks);
        to.finish()
    }

    /// Reads what [`ClipFact::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<ClipFact, Malformed> {
        let mut from = Decoder::new(bytes, VERSION, "clip fact")?;
        let start = WallTime(from.i64("clip start")?);
        let end = start.plus_nanos(from.i64("clip length")?);
        let output_version = from.u16("output version")?;
        let name_form = match from.u32("name form")? {
            0 => NameForm::Seconds,
            1 => NameForm::Milliseconds,
            number => NameForm::Numbered(number),
        };
        let code = from.byte("end reason")?;
        let end_reason = EndReason::from_code(code)
            .ok_or_else(|| from.wrong("end reason", format!("{code}")))?;
        let quality = ClockQuality::decode(&mut from)?;
        let digest = from.array("digest")?;
        let codec = from.text("codec name")?;
        let picture = (from.u16("picture width")?, from.u16("picture height")?);
        let tracks = decode_totals(&mut from)?;
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
        })
    }
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
    (0..count)
        .map(|_| {
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
        })
        .collect()
}
