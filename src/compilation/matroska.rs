//! Matroska (RFC 9559): a cluster for each segment, or several where that is long.
//!
//! All integers take eight bytes, and the size of a block four, so that the length of the file is a
//! sum. Times are in milliseconds, as everybody's are; a block is at most [`CLUSTER_NANOS`] and as
//! much as pictures are reordered behind the beginning of its cluster, because sixteen bits say how
//! far. The file begins with a key frame: there are no edits.

use std::ops::Range;

use super::ebml::EbmlWriter;
use super::part::PartData;
use super::segmented::{Container, Counted, Segmenting};
use super::segments::{Boundary, Measure, Placed};
use super::{Compilation, SOUND, TRACKS, VIDEO};
use crate::matroska::{EPOCH_NANOS, id};
use crate::mp4::{Mp4Error, entry};
use crate::segment::{Codec, ParameterSet, Sample};
use crate::units::{NANOS_PER_SECOND, WallTime};

const NANOS_PER_MILLISECOND: i64 = 1_000_000;
/// How long a cluster is at most.
pub(super) const CLUSTER_NANOS: i64 = 20 * NANOS_PER_SECOND;
/// `Cluster` with its size and `Timestamp`.
const CLUSTER_BYTES: u64 = 4 + 8 + 1 + 1 + 8;
/// `SimpleBlock` with its size, the number of its track, its time and its flags.
const BLOCK_BYTES: u64 = 1 + 4 + 1 + 2 + 1;
/// What a block of a size of four bytes can hold (RFC 8794, 4.1).
const BLOCK_BYTES_MAX: u64 = (1 << 28) - 2;
/// What a decoder of Opus has to be fed before it is right, in nanoseconds (RFC 7845, 4.6).
const OPUS_ROLL_NANOS: u64 = 80_000_000;
/// Samples a second of Opus, whatever goes in (RFC 7845, 5.1).
const OPUS_RATE: u64 = 48_000;

/// See the [module](self).
struct Matroska {
    /// By how much all is shown later than the file begins, so that no sound is before that; in
    /// nanoseconds.
    delay_nanos: i64,
}

impl Compilation {
    /// The parts as Matroska.
    #[must_use]
    pub fn matroska(self) -> Segmenting {
        let delay_nanos = self.early_nanos(SOUND);
        Segmenting::new(self, Box::new(Matroska { delay_nanos }))
    }
}

/// How many clusters a segment of some length has.
fn clusters(length_nanos: i64) -> i64 {
    (length_nanos.saturating_add(CLUSTER_NANOS - 1) / CLUSTER_NANOS).max(1)
}

impl Measure for Matroska {
    fn sample_bytes(&self, _track: usize, sample: &Sample) -> u64 {
        BLOCK_BYTES + u64::from(sample.size)
    }

    fn segment_bytes(&self, _counts: [u64; TRACKS], shown_nanos: Range<i64>) -> u64 {
        clusters(shown_nanos.end - shown_nanos.start).unsigned_abs() * CLUSTER_BYTES
    }
}

impl Container for Matroska {
    fn header(&self, compilation: &Compilation, counted: &Counted) -> Result<Vec<u8>, Mp4Error> {
        let boundaries = &counted.boundaries;
        let (found, limit) = (u64::from(counted.sample_bytes_max), BLOCK_BYTES_MAX);
        if found > limit {
            return Err(Mp4Error::TooLarge {
                what: "bytes of a sample",
                found: found.into(),
                limit,
            });
        }
        let segments = boundaries.last().map_or(0, |end| end.offset);
        let mut info = EbmlWriter::default();
        let length = compilation.total_nanos.saturating_add(self.delay_nanos);
        let start = compilation.start.plus_nanos(-self.delay_nanos);
        self::info(&mut info, start, Some(length));
        let mut tracks = EbmlWriter::default();
        tracks.master(id::TRACKS, |to| {
            compilation.tracks().for_each(|track| track_entry(to, track.number, track.set));
        });
        let head = seek_head([0; 3]).length();
        let places = [head, head + info.length(), head + info.length() + tracks.length()];
        // Places of clusters take as many bytes wherever those are.
        let behind = places[2] + self.cues(boundaries, 0).length();
        let cues = self.cues(boundaries, behind);
        let mut to = EbmlWriter::default();
        file_type(&mut to);
        to.begin(id::SEGMENT, behind + segments);
        for element in [seek_head(places), info, tracks, cues] {
            to.raw(&element.finish());
        }
        Ok(to.finish())
    }

    fn write(
        &self,
        compilation: &Compilation,
        segment: &[Boundary; 2],
        _number: usize,
        samples: [Vec<Placed>; TRACKS],
        to: &mut PartData,
    ) {
        let begin = segment[0].shown_nanos;
        let count = clusters(segment[1].shown_nanos - begin);
        let mut all: Vec<Block> = Vec::new();
        for (track, samples) in samples.into_iter().enumerate() {
            all.extend(samples.into_iter().map(|sample| {
                let decoded = compilation.nanos(track, sample.decoded);
                let offset = sample.composition_offset;
                let shown = compilation.shown_nanos(track, sample.decoded, offset);
                let cluster = ((decoded - begin) / CLUSTER_NANOS).clamp(0, count - 1);
                Block { cluster, decoded, shown: shown + self.delay_nanos, track, sample }
            }));
        }
        // Of one time the picture is first.
        all.sort_by_key(|block| (block.cluster, block.decoded, block.track));
        let mut blocks = all.into_iter().peekable();
        for cluster in 0..count {
            let mut own = Vec::new();
            while let Some(block) = blocks.next_if(|block| block.cluster == cluster) {
                own.push(block);
            }
            let timestamp = milliseconds(begin + cluster * CLUSTER_NANOS + self.delay_nanos);
            write_cluster(timestamp.max(0), own, to);
        }
    }
}

/// A sample in its cluster; times in nanoseconds.
struct Block {
    cluster: i64,
    decoded: i64,
    shown: i64,
    track: usize,
    sample: Placed,
}

fn write_cluster(timestamp: i64, blocks: Vec<Block>, to: &mut PartData) {
    let mut head = EbmlWriter::default();
    if blocks.is_empty() {
        // A cluster has blocks.
        head.void(CLUSTER_BYTES);
        return to.add(head.finish().into());
    }
    let bytes = |block: &Block| BLOCK_BYTES + u64::from(block.sample.size);
    let blocks_bytes: u64 = blocks.iter().map(bytes).sum();
    head.begin(id::CLUSTER, blocks_bytes + CLUSTER_BYTES - 4 - 8);
    head.integer(id::TIMESTAMP, timestamp.unsigned_abs());
    to.add(head.finish().into());
    for block in blocks {
        let relative = milliseconds(block.shown) - timestamp;
        let head = block_head(block.track, block.sample.size, relative, block.sample.is_sync);
        to.add(head.into());
        block.sample.data.into_iter().for_each(|data| to.add(data));
    }
}

pub(super) fn milliseconds(nanos: i64) -> i64 {
    (nanos + NANOS_PER_MILLISECOND / 2).div_euclid(NANOS_PER_MILLISECOND)
}

/// Where elements are, from the first behind the segment's size on.
fn seek_head([info, tracks, cues]: [u64; 3]) -> EbmlWriter {
    let mut to = EbmlWriter::default();
    to.master(id::SEEK_HEAD, |to| {
        for (id, place) in [(id::INFO, info), (id::TRACKS, tracks), (id::CUES, cues)] {
            to.master(id::SEEK, |to| {
                to.bytes(id::SEEK_ID, &id.to_be_bytes());
                to.integer(id::SEEK_POSITION, place);
            });
        }
    });
    to
}

impl Matroska {
    /// When and where each segment begins, the first of them at `behind`.
    fn cues(&self, boundaries: &[Boundary], behind: u64) -> EbmlWriter {
        let mut to = EbmlWriter::default();
        let begins = boundaries.split_last().map_or(&[][..], |(_, begins)| begins);
        to.master(id::CUES, |to| {
            for begin in begins {
                let time = milliseconds(begin.shown_nanos + self.delay_nanos).max(0);
                to.master(id::CUE_POINT, |to| {
                    to.integer(id::CUE_TIME, time.unsigned_abs());
                    to.master(id::CUE_TRACK_POSITIONS, |to| {
                        to.integer(id::CUE_TRACK, VIDEO as u64 + 1);
                        to.integer(id::CUE_CLUSTER_POSITION, behind + begin.offset);
                    });
                });
            }
        });
        to
    }
}

/// What kind of file it is (RFC 8794, 11.2).
pub(super) fn file_type(to: &mut EbmlWriter) {
    to.master(id::EBML, |to| {
        to.bytes(id::DOC_TYPE, b"matroska");
        to.integer(id::DOC_TYPE_VERSION, 4);
        to.integer(id::DOC_TYPE_READ_VERSION, 2);
    });
}

/// What holds for the whole file, which begins then and is so long, where that is known.
pub(super) fn info(to: &mut EbmlWriter, WallTime(start): WallTime, length_nanos: Option<i64>) {
    to.master(id::INFO, |to| {
        to.integer(id::TIMESTAMP_SCALE, NANOS_PER_MILLISECOND.unsigned_abs());
        if let Some(length) = length_nanos {
            to.float(id::DURATION, length as f64 / NANOS_PER_MILLISECOND as f64);
        }
        to.integer(id::DATE, start.saturating_sub(EPOCH_NANOS).cast_unsigned());
        to.bytes(id::MUXING_APP, b"reelfs");
        to.bytes(id::WRITING_APP, b"reelfs");
    });
}

/// What stands in front of a sample of so many bytes, which is shown so many milliseconds behind
/// the beginning of its cluster.
pub(super) fn block_head(track: usize, size: u32, relative: i64, is_sync: bool) -> Vec<u8> {
    let mut head = Vec::with_capacity(BLOCK_BYTES as usize);
    head.push(id::SIMPLE_BLOCK as u8);
    let size = BLOCK_BYTES - 1 - 4 + u64::from(size);
    head.extend((size as u32 | 1 << 28).to_be_bytes());
    head.push(0x80 | (track as u8 + 1));
    let relative = relative.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    head.extend(relative.to_be_bytes());
    head.push(if is_sync { 0x80 } else { 0 });
    head
}

/// A track (RFC 9559, 5.1.4).
pub(super) fn track_entry(to: &mut EbmlWriter, track: usize, set: &ParameterSet) {
    let number = track as u64 + 1;
    to.master(id::TRACK_ENTRY, |to| {
        to.integer(id::TRACK_NUMBER, number);
        to.integer(id::TRACK_UID, number);
        to.integer(id::TRACK_TYPE, number);
        to.integer(id::FLAG_LACING, 0);
        to.bytes(id::LANGUAGE, b"und");
        let (codec, private) = codec(set);
        to.bytes(id::CODEC, codec.as_bytes());
        if !private.is_empty() {
            to.bytes(id::CODEC_PRIVATE, &private);
        }
        if set.codec == Codec::Opus {
            let skipped = set.configuration.get(2..4).unwrap_or_default();
            let skipped = skipped.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let second = NANOS_PER_SECOND.unsigned_abs();
            to.integer(id::CODEC_DELAY, skipped * second / OPUS_RATE);
            to.integer(id::SEEK_PRE_ROLL, OPUS_ROLL_NANOS);
        }
        if let Some(video) = &set.video {
            let (horizontal, vertical) = entry::pixel_aspect(video);
            let (width, height) = (u64::from(video.width), u64::from(video.height));
            to.master(id::VIDEO, |to| {
                to.integer(id::PIXEL_WIDTH, width);
                to.integer(id::PIXEL_HEIGHT, height);
                to.integer(id::DISPLAY_WIDTH, width * u64::from(horizontal) / u64::from(vertical));
                to.integer(id::DISPLAY_HEIGHT, height);
            });
        }
        if let Some(audio) = &set.audio {
            to.master(id::AUDIO, |to| {
                to.float(id::SAMPLING_FREQUENCY, f64::from(audio.sample_rate));
                to.integer(id::CHANNELS, audio.channels.into());
            });
        }
    });
}

/// The name of a codec, and what its decoder has to know first (RFC 9559 and the registry of
/// codecs, draft-ietf-cellar-codec).
fn codec(set: &ParameterSet) -> (&'static str, Vec<u8>) {
    let own = || set.configuration.clone();
    match set.codec {
        Codec::H264 => ("V_MPEG4/ISO/AVC", own()),
        Codec::H265 => ("V_MPEGH/ISO/HEVC", own()),
        Codec::Jpeg => ("V_MJPEG", Vec::new()),
        Codec::Aac => ("A_AAC", own()),
        Codec::Flac => ("A_FLAC", [b"fLaC", set.configuration.as_slice()].concat()),
        Codec::Opus => ("A_OPUS", opus_head(&set.configuration)),
        Codec::TimedText | Codec::Unknown(_) => ("S_TEXT/UTF8", Vec::new()),
    }
}

/// The identification header (RFC 7845, 5.1) of what mp4 says in another order of bytes.
fn opus_head(specific: &[u8]) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    let swapped = |range: Range<usize>| specific.get(range).unwrap_or_default().iter().rev();
    head.extend(swapped(1..2));
    head.extend(swapped(2..4));
    head.extend(swapped(4..8));
    head.extend(swapped(8..10));
    head.extend(specific.get(10..).unwrap_or_default());
    head
}
