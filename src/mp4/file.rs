//! A clip as a file: which bytes are made, which are samples.

use std::ops::Range;

use super::layout::{Layout, holds, shown};
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
    /// Where each chunk's samples begin in the file, in bytes, and where the last one's end. What
    /// a chunk has behind these is not in the file.
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
        let mut tables: Vec<_> = shown(fact).map(TrackTables::new).collect();
        check_numbers(fact)?;
        let mut offset = layout.header_length;
        let mut offsets = vec![offset];
        for (number, chunk) in chunks.into_iter().enumerate() {
            offset = add_chunk(fact, &mut tables, &parameters, number, &chunk, offset)?;
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

    /// Length of what comes before the samples, in bytes: what an open file takes of memory.
    #[must_use]
    pub fn header_length(&self) -> usize {
        self.header.len()
    }

    /// Length of the file, in bytes; what [`size`](super::size) says of the same fact.
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

/// Adds what a chunk has for the file, which begins at `offset` there; returns where it ends.
fn add_chunk(
    fact: &ClipFact,
    tables: &mut [TrackTables<'_>],
    parameters: &[ParameterSet],
    number: usize,
    chunk: &Chunk<'_>,
    offset: u64,
) -> Result<u64, Mp4Error> {
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
    // What is not in the file lies behind all that is.
    let tracks = table.tracks.iter().rev().skip_while(|track| !holds(fact, track.kind));
    for track in &table.tracks[..tracks.count()] {
        let index = tables.binary_search_by_key(&track.track, |known| known.promised.track);
        let Ok(index) = index else {
            let expected = "one that the fact knows, records last".to_owned();
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
    Ok(offset)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::mp4::{OUTPUT_VERSION, entry_facts, size};
    use crate::segment::{
        Anchor, AudioParameters, ClockQuality, Codec, EndReason, Growth, Look, NameForm, Sample,
        SampleFlags, TrackKind, TrackNumber, TrackTable, VideoParameters,
    };
    use crate::units::{BootTime, Ticks, WallTime};

    /// A clip as the ring would hand it over, all of its parameter sets in every chunk.
    #[derive(Debug)]
    struct Clip {
        fact: ClipFact,
        parameters: Vec<Vec<u8>>,
        chunks: Vec<(Vec<u8>, Vec<u8>)>,
    }

    impl Clip {
        fn new(sets: &[ParameterSet], chunks: Vec<(ChunkTable, Vec<u8>)>) -> Clip {
            Clip::of_version(OUTPUT_VERSION, sets, chunks)
        }

        fn of_version(
            output_version: u16,
            sets: &[ParameterSet],
            chunks: Vec<(ChunkTable, Vec<u8>)>,
        ) -> Clip {
            let parameters: Vec<_> = sets.iter().map(ParameterSet::encode).collect();
            let entries: Vec<_> = parameters
                .iter()
                .map(|set| entry_facts(set).expect("a whole parameter set"))
                .collect();
            let mut growth = Growth::new(&chunks[0].0);
            for (table, data) in &chunks {
                growth.add(table, blake3::hash(data).as_bytes(), &entries);
            }
            let fact = growth.closed(output_version, NameForm::Seconds, EndReason::Boundary);
            let encoded = chunks.into_iter().map(|(table, data)| (table.encode(), data));
            Clip { fact, parameters, chunks: encoded.collect() }
        }

        fn movie(&self) -> Result<Movie, Mp4Error> {
            let indices: Vec<u16> = (0..self.parameters.len() as u16).collect();
            let chunks = self.chunks.iter().map(|(table, data)| Chunk {
                table,
                parameters: &indices,
                data_length: data.len() as u32,
            });
            Movie::new(&self.fact, &self.parameters, chunks)
        }

        fn read(&self, movie: &Movie, range: Range<u64>) -> Vec<u8> {
            let mut bytes = Vec::new();
            for piece in movie.pieces(range) {
                match piece {
                    Piece::Made(made) => bytes.extend_from_slice(made),
                    Piece::Media { chunk, range } => {
                        let range = range.start as usize..range.end as usize;
                        bytes.extend_from_slice(&self.chunks[chunk].1[range]);
                    }
                }
            }
            bytes
        }

        /// Presentation and decode times of a track's samples, in its ticks, as ffprobe tells them.
        fn times(&self, track: TrackNumber) -> Vec<(i64, i64)> {
            let mut times = Vec::new();
            for (table, _) in &self.chunks {
                let table = ChunkTable::decode(table).expect("a whole table");
                for part in table.tracks.iter().filter(|part| part.track == track) {
                    // ffprobe moves decode times, so that none is behind its presentation.
                    let moved = if part.kind == TrackKind::Video { 3600 } else { 0 };
                    let mut decode_time = part.start.0;
                    for sample in &part.samples {
                        let presented = decode_time + i64::from(sample.composition_offset);
                        times.push((presented, decode_time - moved));
                        decode_time += i64::from(sample.duration);
                    }
                }
            }
            times
        }

        fn whole(&self) -> Vec<u8> {
            let movie = self.movie().expect("fact and tables agree");
            self.read(&movie, 0..u64::MAX)
        }
    }

    fn anchor() -> Anchor {
        Anchor {
            wall: WallTime(1_795_267_845_123_456_789),
            boot: BootTime(1),
            boot_id: [7; 16],
            camera: None,
            quality: ClockQuality::Synchronised,
        }
    }

    fn sample(duration: u32, size: u32, composition_offset: i32, sync: bool) -> Sample {
        let flags = SampleFlags { sync, ..SampleFlags::default() };
        Sample { duration, size, composition_offset, flags }
    }

    /// A track table of samples that begin at `start`, with parameter set and track of a number.
    fn table(track: u8, parameters: u8, start: i64, samples: Vec<Sample>) -> TrackTable {
        let (kind, timescale, codec_delay) = match track {
            0 => (TrackKind::Video, 90_000, 0),
            1 => (TrackKind::Audio, 44_100, 2112),
            2 => (TrackKind::Audio, 48_000, 312),
            _ => (TrackKind::Timed, 1000, 0),
        };
        TrackTable {
            track: TrackNumber(track),
            kind,
            timescale,
            parameters,
            codec_delay,
            start: Ticks(start),
            samples,
        }
    }

    fn video_set(codec: Codec, configuration: Vec<u8>) -> ParameterSet {
        let video =
            VideoParameters { width: 720, height: 576, pixel_aspect: (16, 15), look: Look::PLAIN };
        ParameterSet { codec, configuration, video: Some(video), audio: None }
    }

    fn audio_set(codec: Codec, configuration: Vec<u8>, sample_rate: u32) -> ParameterSet {
        let audio = AudioParameters { sample_rate, channels: 2 };
        ParameterSet { codec, configuration, video: None, audio: Some(audio) }
    }

    /// Two of video, AAC, Opus, timed text: in this order the tables below count them.
    fn sets() -> Vec<ParameterSet> {
        // Main profile, level 3.1, lengths of four bytes, no parameter sets; told apart by their
        // average frame rate.
        let hvcc = |rate| {
            let profile = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
            let rest = [0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, rate, 0x0f, 0];
            [&profile[..], &rest].concat()
        };
        let opus_head = [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0];
        vec![
            video_set(Codec::H265, hvcc(1)),
            video_set(Codec::H265, hvcc(2)),
            audio_set(Codec::Aac, vec![0x12, 0x10], 44_100),
            audio_set(Codec::Opus, opus_head.to_vec(), 48_000),
            ParameterSet {
                codec: Codec::TimedText,
                configuration: b"application/json".to_vec(),
                video: None,
                audio: None,
            },
        ]
    }

    fn filled(table: ChunkTable, seed: u8) -> (ChunkTable, Vec<u8>) {
        let length = table.byte_count() as usize;
        let data = (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed));
        let data = data.collect();
        (table, data)
    }

    /// Four chunks: pictures out of order with negative offsets, whose parameter set changes and
    /// flaps back; AAC with its delay, from before the first picture on; Opus that begins later;
    /// records in two chunks only.
    fn synthetic(output_version: u16) -> Clip {
        let chunks = (0..4_i64).map(|number| {
            let video_start = number * 14_400;
            let pictures = vec![
                sample(3600, 400, 0, true),
                sample(3600, 90, 7200, false),
                sample(3600, 30, -3600, false),
                sample(3600, 35, -3600, false),
            ];
            let sound = (0..7).map(|n| sample(1024, 20 + n, 0, true)).collect();
            let mut tracks = vec![
                table(0, u8::from(number == 1 || number == 2), video_start, pictures),
                table(1, 2, number * 7168 - 2112, sound),
            ];
            if number > 0 {
                let packets = (0..8).map(|n| sample(960, 10 + n, 0, true)).collect();
                tracks.push(table(2, 3, number * 7680 - 100, packets));
            }
            if number % 2 == 1 {
                tracks.push(table(3, 4, number * 160, vec![sample(320, 17, 0, true)]));
            }
            filled(ChunkTable { anchor: anchor(), tracks }, number as u8)
        });
        Clip::of_version(output_version, &sets(), chunks.collect())
    }

    #[test]
    fn version_1_of_a_synthetic_clip_keeps_its_bytes() {
        let digest = blake3::hash(&synthetic(1).whole()).to_hex();
        assert_eq!(
            digest.as_str(),
            "781c69c90914cb4ed0793a646e6ccc0247542578f92672493805c09a8a3e898c"
        );
    }

    #[test]
    fn version_2_of_a_synthetic_clip_keeps_its_bytes() {
        let digest = blake3::hash(&synthetic(2).whole()).to_hex();
        assert_eq!(
            digest.as_str(),
            "8512a585859f176f93bdb77587864c941bddb06ce9eb24cd6585bd3a72f123d8"
        );
    }

    /// Fields of a line of ffprobe's `csv=p=0`: stream, pts, dts, duration, size.
    fn probed_times(shown: &str, stream: usize) -> Vec<(i64, i64)> {
        let mut times = Vec::new();
        for line in shown.lines() {
            let mut fields = line.split(',').map(str::parse::<i64>);
            if fields.next() == Some(Ok(stream as i64)) {
                let mut number = || fields.next().expect("a field").expect("a number");
                times.push((number(), number()));
            }
        }
        times
    }

    #[test]
    fn every_tick_is_shown_where_it_was_put() {
        for output_version in 1..=OUTPUT_VERSION {
            let clip = synthetic(output_version);
            let directory = tempfile::tempdir().expect("a directory for the file");
            let path = directory.path().join("clip.mp4");
            std::fs::write(&path, clip.whole()).expect("room for the file");
            // Quiet, because nothing in these samples can be decoded.
            let probe = |entries: &str| {
                let arguments = ["-v", "quiet", "-show_entries", entries, "-of", "csv=p=0"];
                run("ffprobe", &[&arguments[..], &[path_text(&path)]].concat())
            };
            let streams = probe("stream=codec_name,codec_tag_string,time_base");
            let mut expected = vec!["hevc,hvc1,1/90000", "aac,mp4a,1/44100", "opus,Opus,1/48000"];
            if output_version == 1 {
                expected.push("unknown,mett,1/1000");
            }
            assert_eq!(streams.lines().collect::<Vec<_>>(), expected);
            let shown = probe("packet=stream_index,pts,dts");
            for (stream, track) in clip.fact.tracks.iter().enumerate().take(expected.len()) {
                assert_eq!(probed_times(&shown, stream), clip.times(track.track), "{stream}");
            }
        }
    }

    #[test]
    fn video_alone_has_the_same_bytes_in_every_version() {
        let picture = |key| [sample(3600, 400, 0, key), sample(3600, 90, 7200, false)];
        let clip = |output_version| {
            let chunks = (0..3_i64).map(|number| {
                let table = table(0, 0, number * 7200, picture(true).to_vec());
                filled(ChunkTable { anchor: anchor(), tracks: vec![table] }, number as u8)
            });
            Clip::of_version(output_version, &sets(), chunks.collect()).whole()
        };
        assert!(clip(1) == clip(2));
    }

    #[test]
    fn records_are_on_the_ring_and_not_in_the_file() {
        let clip = synthetic(OUTPUT_VERSION);
        let movie = clip.movie().expect("fact and tables agree");
        let mut expected = clip.whole()[..movie.header_length()].to_vec();
        for (table, data) in &clip.chunks {
            let tracks = ChunkTable::decode(table).expect("a whole table").tracks;
            let shown = tracks.iter().filter(|track| track.kind != TrackKind::Timed);
            let shown: u64 = shown.map(TrackTable::byte_count).sum();
            expected.extend_from_slice(&data[..shown as usize]);
        }
        assert!(clip.whole() == expected);
        assert!(expected.len() as u64 == size(&clip.fact).expect("an mp4 holds it"));
        assert!(!expected.windows(4).any(|window| window == b"mett" || window == b"cdsc"));
    }

    #[test]
    fn records_in_front_of_what_is_shown_are_named() {
        let tracks = vec![
            table(3, 4, 0, vec![sample(320, 17, 0, true)]),
            table(0, 0, 0, vec![sample(3600, 400, 0, true)]),
        ];
        let chunk = filled(ChunkTable { anchor: anchor(), tracks }, 0);
        let clip = Clip::new(&sets(), vec![chunk]);
        match clip.movie().map(|movie| movie.size()) {
            Err(Mp4Error::Disagrees { what: "track", found, .. }) => assert_eq!(found, "3"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sound_is_presented_no_longer_than_the_pictures() {
        // 40 ms of pictures, 69.7 ms of sound from 10 ms before the first of them on.
        let tracks = vec![
            table(0, 0, 0, vec![sample(3600, 400, 0, true)]),
            TrackTable { codec_delay: 0, ..table(1, 2, -441, vec![sample(1024, 20, 0, true); 3]) },
        ];
        let chunk = || filled(ChunkTable { anchor: anchor(), tracks: tracks.clone() }, 0);
        let edit = |output_version| {
            let file = Clip::of_version(output_version, &sets(), vec![chunk()]).whole();
            let mut lists = file.windows(4).enumerate().filter(|(_, window)| *window == b"elst");
            let at = lists.next_back().expect("the edit list of the sound").0 + 4 + 4 + 4;
            let field = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().expect("8"));
            // The movie counts in the least ticks in which 1/90000 and 1/44100 s are whole.
            (field(at) / 100, field(at + 8))
        };
        assert_eq!(edit(1), (3 * 1024 - 441, 441));
        assert_eq!(edit(2), (44_100 * 40 / 1000, 441));
    }

    #[test]
    fn frames_of_flac_need_none_before_them() {
        let pictures = vec![sample(3600, 400, 0, true)];
        let sound = vec![sample(1024, 20, 0, true), sample(1024, 21, 0, true)];
        // AAC, Opus and FLAC: the group that their samples are in.
        for (track, set, group) in [(1, 2, 1), (2, 3, 1), (1, 5, 0)] {
            let tracks =
                vec![table(0, 0, 0, pictures.clone()), table(track, set, 0, sound.clone())];
            let mut sets = sets();
            sets.push(audio_set(Codec::Flac, vec![0; 34], 44_100));
            let clip = Clip::new(&sets, vec![filled(ChunkTable { anchor: anchor(), tracks }, 1)]);
            let whole = clip.whole();
            let at = whole.windows(4).position(|four| four == b"sbgp").expect("the box");
            let fields = &whole[at + 4..at + 24];
            let wanted = [&[0; 4][..], b"roll", &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, group]].concat();
            assert_eq!(fields, wanted, "{track} {set}");
        }
    }

    #[test]
    fn a_clip_of_a_newer_version_is_refused() {
        let mut clip = synthetic(OUTPUT_VERSION);
        clip.fact.output_version = OUTPUT_VERSION + 1;
        let unknown = Mp4Error::UnknownVersion(OUTPUT_VERSION + 1);
        assert_eq!(size(&clip.fact), Err(unknown.clone()));
        assert_eq!(clip.movie().map(|movie| movie.size()), Err(unknown));
    }

    #[test]
    fn sums_beyond_the_format_are_refused() {
        let mut clip = synthetic(OUTPUT_VERSION);
        clip.fact.tracks[0].samples = u64::MAX;
        assert!(matches!(size(&clip.fact), Err(Mp4Error::TooLarge { .. })));
        let mut clip = synthetic(OUTPUT_VERSION);
        clip.fact.tracks[0].bytes = u64::MAX;
        clip.fact.tracks[1].bytes = u64::MAX;
        assert!(matches!(size(&clip.fact), Err(Mp4Error::TooLarge { .. })));
        let mut clip = synthetic(OUTPUT_VERSION);
        clip.fact.tracks[0].duration_runs = u32::MAX;
        assert!(matches!(size(&clip.fact), Err(Mp4Error::TooLarge { .. })));
    }

    #[test]
    fn a_fact_that_its_tables_do_not_keep_is_named() {
        type Lie = fn(&mut ClipFact);
        let lies: [(&str, Lie); 11] = [
            ("number of chunks", |fact| fact.tracks[0].chunks += 1),
            ("number of samples", |fact| fact.tracks[1].samples -= 1),
            ("number of bytes", |fact| fact.tracks[0].bytes += 1),
            ("number of duration runs", |fact| fact.tracks[0].duration_runs += 1),
            ("number of offset runs", |fact| fact.tracks[0].offset_runs += 1),
            ("number of sync samples", |fact| fact.tracks[0].sync_samples += 1),
            ("reordering", |fact| fact.tracks[0].reordered = false),
            ("first composition offset", |fact| fact.tracks[0].first_offset = 1),
            ("number of sample entries", |fact| fact.tracks[0].sample_entries = 1),
            ("length of its boxes", |fact| fact.tracks[0].sample_entry_bytes = u32::MAX / 2),
            ("timescale", |fact| fact.tracks[2].timescale = 44_100),
        ];
        for (expected, lie) in lies {
            let mut clip = synthetic(OUTPUT_VERSION);
            lie(&mut clip.fact);
            match clip.movie().map(|movie| movie.size()) {
                Err(Mp4Error::Disagrees { what, .. }) => assert_eq!(what, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_table_or_a_parameter_set_that_is_garbage_is_named() {
        let mut clip = synthetic(OUTPUT_VERSION);
        clip.chunks[2].0.truncate(30);
        assert!(matches!(clip.movie(), Err(Mp4Error::Table { chunk: 2, .. })));
        let mut clip = synthetic(OUTPUT_VERSION);
        clip.parameters[3].truncate(3);
        assert!(matches!(clip.movie(), Err(Mp4Error::Parameters { number: 3, .. })));
        let mut clip = synthetic(OUTPUT_VERSION);
        clip.parameters.truncate(1);
        assert!(matches!(clip.movie(), Err(Mp4Error::Disagrees { .. })));
    }

    /// Any table that a ring may hold: tracks that come and go, gaps, zero lengths, wild times.
    fn any_clip() -> impl Strategy<Value = Clip> {
        let any_sample = (0..4_u32, 0..50_u32, -2..3_i32, any::<bool>()).prop_map(
            |(duration, size, offset, sync)| sample(duration * 1000, size, offset * 1000, sync),
        );
        let any_table = (proptest::collection::vec(any_sample, 1..8), -3000..9000_i64, 0..2_u8);
        let any_chunk = proptest::collection::vec((0..4_u8, any_table), 1..5);
        proptest::collection::vec((any_chunk, any::<u8>()), 1..12).prop_map(|chunks| {
            let mut start = [0_i64; 4];
            let chunks = chunks.into_iter().map(|(tables, seed)| {
                let mut tracks: Vec<TrackTable> = Vec::new();
                for (track, (samples, jitter, second)) in tables {
                    if tracks.iter().all(|known| known.track.0 != track) {
                        let set = if track == 0 { second } else { track + 1 };
                        let begin = start[usize::from(track)] + jitter;
                        let table = table(track, set, begin, samples);
                        start[usize::from(track)] = table.expected_end().0;
                        tracks.push(table);
                    }
                }
                tracks.sort_by_key(|track| track.kind == TrackKind::Timed);
                filled(ChunkTable { anchor: anchor(), tracks }, seed)
            });
            Clip::new(&sets(), chunks.collect())
        })
    }

    /// 4.63 GiB, of which this writes the tables and eight bytes a second, between holes.
    #[test]
    fn a_clip_of_more_than_4_gib_says_where_its_last_samples_are() {
        const CHUNKS: u32 = 593;
        const SAMPLE_BYTES: u32 = 4 << 20;
        let samples = || [true, false].map(|sync| sample(45_000, SAMPLE_BYTES, 0, sync)).to_vec();
        let tables = (0..i64::from(CHUNKS)).map(|number| {
            let tracks = vec![table(0, 0, number * 90_000, samples())];
            (ChunkTable { anchor: anchor(), tracks }, Vec::new())
        });
        let clip = Clip::new(&sets()[..1], tables.collect());
        let data_length = 2 * SAMPLE_BYTES;
        let chunks =
            clip.chunks.iter().map(|(table, _)| Chunk { table, parameters: &[0], data_length });
        let movie = Movie::new(&clip.fact, &clip.parameters, chunks).expect("all agrees");
        let length = size(&clip.fact).expect("an mp4 holds it");
        assert!(length > u64::from(CHUNKS) * u64::from(data_length));
        let (file, mut at) = (tempfile::NamedTempFile::new().expect("a file"), 0);
        for piece in movie.pieces(0..u64::MAX) {
            let number = match &piece {
                Piece::Made(bytes) => bytes.to_vec(),
                Piece::Media { chunk, .. } => chunk.to_be_bytes().to_vec(),
            };
            file.as_file().write_all_at(&number, at).expect("it is written");
            at += piece.length();
        }
        assert_eq!(at, length);
        file.as_file().set_len(length).expect("a hole at the end");
        // A player that seeks to near the end.
        let mut probe = Command::new("ffprobe");
        probe.args(["-v", "quiet", "-read_intervals", "590%", "-of", "csv=p=0"]);
        probe.args(["-show_entries", "packet=dts,pos,flags"]).arg(file.path());
        let output = probe.output().expect("ffprobe");
        let text = String::from_utf8(output.stdout).expect("text");
        let mut keys = 0;
        for line in text.lines().filter(|line| line.contains('K')) {
            let mut fields = line.split(',').map(|field| field.parse::<u64>().unwrap_or(0));
            let (time, place) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
            assert!(place > 1 << 32, "{line}");
            let mut number = [0; 8];
            file.as_file().read_exact_at(&mut number, place).expect("it is there");
            assert_eq!(u64::from_be_bytes(number), time / 90_000, "{line}");
            keys += 1;
        }
        assert_eq!(keys, 3, "the seconds 590 to 592: {text}");
    }

    proptest! {
        #[test]
        fn the_size_of_the_fact_is_the_size_of_the_file(clip in any_clip()) {
            let movie = clip.movie().expect("fact and tables agree");
            prop_assert_eq!(size(&clip.fact), Ok(movie.size()));
            prop_assert_eq!(clip.whole().len() as u64, movie.size());
        }

        #[test]
        fn any_chunking_of_reads_equals_the_whole(
            clip in any_clip(),
            lengths in proptest::collection::vec(1..700_u64, 1..20),
        ) {
            let movie = clip.movie().expect("fact and tables agree");
            let whole = clip.whole();
            let mut joined = Vec::new();
            for length in lengths.iter().cycle() {
                let at = joined.len() as u64;
                let read = clip.read(&movie, at..at + length);
                prop_assert_eq!(read.len() as u64, (*length).min(movie.size() - at));
                if read.is_empty() {
                    break;
                }
                joined.extend_from_slice(&read);
            }
            prop_assert!(joined == whole);
            // A clip of records alone has a file that is shorter than a read.
            let first = lengths[0].min(movie.size());
            let second = lengths[lengths.len() - 1];
            let range = first..(first + second).min(movie.size());
            let part = clip.read(&movie, range.clone());
            let wanted = range.start as usize..(range.end as usize).max(range.start as usize);
            prop_assert_eq!(Some(&part[..]), whole.get(wanted));
        }

        #[test]
        fn pieces_are_as_long_as_the_range_and_never_empty(clip in any_clip(), at in 0..3000_u64) {
            let movie = clip.movie().expect("fact and tables agree");
            let lengths: Vec<_> = movie.pieces(at..u64::MAX).map(|piece| piece.length()).collect();
            prop_assert!(lengths.iter().all(|length| *length > 0));
            prop_assert_eq!(lengths.iter().sum::<u64>(), movie.size().saturating_sub(at));
        }

        #[test]
        fn no_fact_and_no_table_can_make_it_panic(
            clip in any_clip(),
            times in proptest::collection::vec(any::<i64>(), 3),
            numbers in proptest::collection::vec(any::<u32>(), 3),
            garbage in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut clip = clip;
            clip.fact.start = WallTime(times[0]);
            let track = &mut clip.fact.tracks[0];
            (track.start, track.end) = (Ticks(times[1]), Ticks(times[2]));
            (track.timescale, track.codec_delay) = (numbers[0], numbers[1]);
            let _ = clip.movie().map(|movie| movie.size());
            clip.fact.tracks[0].sample_entry_bytes = numbers[2];
            let _ = clip.movie().map(|movie| movie.size());
            clip.chunks[0].0 = garbage.clone();
            let _ = clip.movie().map(|movie| movie.size());
            clip.parameters[0] = garbage;
            let _ = clip.movie().map(|movie| movie.size());
        }
    }

    fn run(program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaint.is_empty(), "{program}: {complaint}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn path_text(path: &Path) -> &str {
        path.to_str().expect("a temporary path is text")
    }

    /// Real pictures in decode order, as ffmpeg encodes them: their lengths and times as ffprobe
    /// tells them, cut into chunks at every key frame.
    fn real_clip(directory: &Path, options: &[&str]) -> (Clip, std::path::PathBuf) {
        let source = directory.join("source.mp4");
        let mut arguments = vec!["-v", "error", "-f", "lavfi", "-i"];
        arguments.extend(["testsrc=s=192x128:r=25:d=4", "-c:v", "libx264", "-g", "25"]);
        arguments.extend(["-pix_fmt", "yuv420p", "-video_track_timescale", "90000"]);
        arguments.extend(options);
        arguments.push(path_text(&source));
        run("ffmpeg", &arguments);
        let bytes = std::fs::read(&source).expect("what ffmpeg wrote");
        let entries = "packet=pts,dts,duration,size,pos,flags";
        let probe = ["-v", "error", "-show_entries", entries, "-of", "compact=p=0"];
        let packets = run("ffprobe", &[&probe[..], &[path_text(&source)]].concat());

        let mut chunks: Vec<(ChunkTable, Vec<u8>)> = Vec::new();
        for line in packets.lines() {
            let field = |name: &str| {
                let mut fields = line.split('|').filter_map(|field| field.split_once('='));
                fields.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
            };
            let number = |name| field(name).parse::<i64>().expect("a number");
            let sync = field("flags").starts_with('K');
            let (size, position) = (number("size"), number("pos") as usize);
            let offset = (number("pts") - number("dts")) as i32;
            if sync {
                let track = table(0, 0, number("dts"), Vec::new());
                chunks.push((ChunkTable { anchor: anchor(), tracks: vec![track] }, Vec::new()));
            }
            let (table, data) = chunks.last_mut().expect("a key frame is first");
            let picture = sample(number("duration") as u32, size as u32, offset, sync);
            table.tracks[0].samples.push(picture);
            data.extend_from_slice(&bytes[position..position + size as usize]);
        }
        let mark = bytes.windows(4).position(|window| window == b"avcC").expect("an avcC box");
        let header = bytes[mark - 4..mark].try_into().expect("four bytes");
        let configuration =
            bytes[mark + 4..mark - 4 + u32::from_be_bytes(header) as usize].to_vec();
        let video =
            VideoParameters { width: 192, height: 128, pixel_aspect: (1, 1), look: Look::PLAIN };
        let set =
            ParameterSet { codec: Codec::H264, configuration, video: Some(video), audio: None };
        (Clip::new(&[set], chunks), source)
    }

    #[test]
    fn real_pictures_come_out_as_they_went_in() {
        let plain = ["-bf", "0"];
        let reordered = ["-bf", "3", "-b_strategy", "0"];
        for options in [&plain[..], &reordered] {
            let directory = tempfile::tempdir().expect("a directory for the files");
            let (clip, source) = real_clip(directory.path(), options);
            let path = directory.path().join("clip.mp4");
            std::fs::write(&path, clip.whole()).expect("room for the file");
            let decode = ["-v", "error", "-xerror", "-i", path_text(&path), "-f", "null", "-"];
            run("ffmpeg", &decode);
            let entries = "packet=pts,dts,duration,size,flags,data_hash:stream=start_time,duration";
            let probe = ["-v", "error", "-show_data_hash", "md5", "-show_entries", entries];
            let probe = |path: &Path| run("ffprobe", &[&probe[..], &[path_text(path)]].concat());
            assert_eq!(probe(&path), probe(&source), "{options:?}");
        }
    }
}
