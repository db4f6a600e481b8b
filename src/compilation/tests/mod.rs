//! Files of random clips, read by a library that was not written here, against what was recorded.

mod clock;
mod segments;

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::mp4::{OUTPUT_VERSION, Piece, entry_facts};
use crate::segment::{
    Anchor, AudioParameters, ChunkTable, ClockQuality, Codec, EndReason, Growth, Look, NameForm,
    ParameterSet, Sample, SampleFlags, TrackKind, TrackNumber, TrackTable, VideoParameters,
};
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks};

const TIMESCALE: u32 = 90_000;
const RATE: u32 = 8000;
/// Ticks of a picture, and of a packet of sound.
const PICTURE: u32 = 3600;
const PACKET: u32 = 160;
/// When the first clip begins.
const BEGIN: WallTime = WallTime(1_795_267_845_000_000_000);

/// A clip as the ring would hand it over.
#[derive(Debug)]
struct Recorded {
    fact: ClipFact,
    sets: Vec<Vec<u8>>,
    chunks: Vec<(Vec<u8>, Vec<u8>)>,
    /// When each picture is shown, in the order of decoding, and its bytes.
    pictures: Vec<(WallTime, Vec<u8>)>,
    /// The same of packets of sound.
    packets: Vec<(WallTime, Vec<u8>)>,
}

fn video_set(more: u8) -> ParameterSet {
    // One sequence and one picture set, as an AVCDecoderConfigurationRecord has them.
    let configuration =
        vec![1, 66, 0xc0, 31, 0xff, 0xe1, 0, 3, 0x67, 66, more, 1, 0, 2, 0x68, 0xce];
    let video = VideoParameters { width: 64, height: 48, pixel_aspect: (1, 1), look: Look::PLAIN };
    ParameterSet { codec: Codec::H264, configuration, video: Some(video), audio: None }
}

fn sound_set() -> ParameterSet {
    let configuration = crate::flac::Shape { sample_rate: RATE, channels: 1 }.configuration();
    let audio = AudioParameters { sample_rate: RATE, channels: 1 };
    ParameterSet { codec: Codec::Flac, configuration, video: None, audio: Some(audio) }
}

/// How a clip is recorded.
#[derive(Clone, Debug)]
struct Recipe {
    /// From the end of the one before, in nanoseconds.
    gap: i64,
    groups: Vec<usize>,
    is_reordered: bool,
    has_sound: bool,
    is_imported: bool,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let gap = prop_oneof![3 => Just(0), 1 => 0..90_000_000_i64, 2 => 0..200 * NANOS_PER_SECOND];
    let groups = prop::collection::vec(1_usize..12, 1..6);
    (gap, groups, any::<[bool; 3]>()).prop_map(|(gap, groups, [reordered, sound, imported])| {
        Recipe { gap, groups, is_reordered: reordered, has_sound: sound, is_imported: imported }
    })
}

/// Decode order and lag of a group, in pictures: by how much each is shown later than decoded.
fn offsets(length: usize, is_reordered: bool) -> Vec<i32> {
    if !is_reordered {
        return vec![0; length];
    }
    // Two pictures that others refer to are two apart; the one between comes behind the second.
    let shown = |at: usize| match at {
        0 => 0,
        _ if at + 1 == length && at % 2 == 1 => at,
        _ if at % 2 == 1 => at + 1,
        _ => at - 1,
    };
    (0..length).map(|at| shown(at) as i32 - at as i32 + 1).collect()
}

/// A clip of which some groups are recorded.
#[derive(Default)]
struct Growing {
    number: u8,
    start: WallTime,
    pictures: Vec<(WallTime, Vec<u8>)>,
    packets: Vec<(WallTime, Vec<u8>)>,
}

impl Growing {
    fn group(&mut self, length: usize, is_reordered: bool, data: &mut Vec<u8>) -> TrackTable {
        let lag = i64::from(is_reordered) * i64::from(PICTURE);
        let begin = self.pictures.len() as u32;
        let mut samples = Vec::new();
        for (at, offset) in offsets(length, is_reordered).into_iter().enumerate() {
            let count = begin + at as u32;
            let size = 6 + (at * 7 + usize::from(self.number)) % 40;
            let name = [&[0xAA, self.number], &count.to_be_bytes()[..]].concat();
            let bytes: Vec<u8> = name.into_iter().cycle().take(size).collect();
            let composition_offset = offset * PICTURE as i32;
            let shown = i64::from(count * PICTURE) + i64::from(composition_offset) - lag;
            let shown = self.start.plus_nanos(Ticks(shown).to_nanos(TIMESCALE));
            let flags = SampleFlags { sync: at == 0, ..SampleFlags::default() };
            let size = bytes.len() as u32;
            samples.push(Sample { duration: PICTURE, size, composition_offset, flags });
            data.extend(&bytes);
            self.pictures.push((shown, bytes));
        }
        table(TrackKind::Video, i64::from(begin * PICTURE), samples)
    }

    /// As much sound as there are pictures.
    fn sound(&mut self, data: &mut Vec<u8>) -> Option<TrackTable> {
        let begin = self.packets.len() as u32;
        let length = self.pictures.len() as u32 * PICTURE;
        let end = (u64::from(length) * u64::from(RATE) / u64::from(TIMESCALE)) as u32 / PACKET;
        let packets = (begin..end).map(|count| {
            let bytes = [&[0xBB, self.number], &count.to_be_bytes()[..]].concat();
            let at = Ticks(i64::from(count * PACKET)).to_nanos(RATE);
            let flags = SampleFlags { sync: true, ..SampleFlags::default() };
            let size = bytes.len() as u32;
            data.extend(&bytes);
            self.packets.push((self.start.plus_nanos(at), bytes));
            Sample { duration: PACKET, size, composition_offset: 0, flags }
        });
        let samples: Vec<Sample> = packets.collect();
        let start = i64::from(begin * PACKET);
        (!samples.is_empty()).then(|| table(TrackKind::Audio, start, samples))
    }
}

fn table(kind: TrackKind, start: i64, samples: Vec<Sample>) -> TrackTable {
    let track = u8::from(kind == TrackKind::Audio);
    let timescale = if kind == TrackKind::Audio { RATE } else { TIMESCALE };
    TrackTable {
        track: TrackNumber(track),
        kind,
        timescale,
        parameters: track,
        codec_delay: 0,
        start: Ticks(start),
        samples,
    }
}

impl Recorded {
    fn new(number: u8, start: WallTime, recipe: &Recipe) -> Recorded {
        let sets = vec![video_set(number).encode(), sound_set().encode()];
        let entries: Vec<_> = sets.iter().map(|set| entry_facts(set).expect("a set")).collect();
        let quality = match recipe.is_imported {
            true => ClockQuality::Given,
            false => ClockQuality::Synchronised,
        };
        let anchor =
            Anchor { wall: start, boot: BootTime(1), boot_id: [7; 16], camera: None, quality };
        let mut clip = Growing { number, start, ..Growing::default() };
        let (mut growth, mut chunks): (Option<Growth>, _) = (None, Vec::new());
        for length in &recipe.groups {
            let mut data = Vec::new();
            let mut tracks = vec![clip.group(*length, recipe.is_reordered, &mut data)];
            tracks.extend(recipe.has_sound.then(|| clip.sound(&mut data)).flatten());
            let table = ChunkTable { anchor, tracks };
            growth.get_or_insert_with(|| Growth::new(&table)).add(&table, &[0; 32], &entries);
            chunks.push((table.encode(), data));
        }
        let Growing { pictures, packets, .. } = clip;
        let growth = growth.expect("a chunk");
        let fact = growth.closed(OUTPUT_VERSION, NameForm::Seconds, EndReason::Boundary);
        Recorded { fact, sets, chunks, pictures, packets }
    }

    fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> + Clone {
        self.chunks.iter().map(|(table, data)| Chunk {
            table,
            parameters: &[0, 1],
            data_length: data.len() as u32,
        })
    }

    fn clip_sets(&self) -> ClipSets {
        ClipSets::new(&self.fact, &self.sets, self.chunks()).expect("a whole clip")
    }
}

fn recorded(recipes: &[Recipe]) -> Vec<Recorded> {
    let mut at = BEGIN;
    let mut clips = Vec::new();
    for (number, recipe) in recipes.iter().enumerate() {
        let gap = if number == 0 { 0 } else { recipe.gap };
        let clip = Recorded::new(number as u8, at.plus_nanos(gap), recipe);
        at = clip.fact.end;
        clips.push(clip);
    }
    clips
}

/// A file, and of each range that is in it when its first picture was shown, and when in the file.
struct Made {
    compilation: MovieFile,
    ranges: Vec<(Range<WallTime>, WallTime, i64)>,
    /// Only one was asked for.
    is_one: bool,
    length_nanos: i64,
}

/// Parts, and the same of them.
struct Laid {
    compilation: Compilation,
    ranges: Vec<(Range<WallTime>, WallTime, i64)>,
    length_nanos: i64,
}

/// The file of some ranges, its gaps blank; `None` where nothing is in it.
fn made(clips: &[Recorded], sets: &[ClipSets], ranges: &[Range<WallTime>]) -> Option<Made> {
    let Laid { compilation, ranges: own, length_nanos } = laid(clips, sets, ranges, false)?;
    let compilation = MovieFile::new(compilation, 1, None).expect("it is small");
    Some(Made { compilation, ranges: own, is_one: ranges.len() == 1, length_nanos })
}

/// The parts of some ranges, which begin with key frames where they are to be `segmented`.
fn laid(
    clips: &[Recorded],
    sets: &[ClipSets],
    ranges: &[Range<WallTime>],
    segmented: bool,
) -> Option<Laid> {
    let in_range = |clip: &Recorded, range: &Range<WallTime>| {
        clip.fact.start < range.end && range.start < clip.fact.end
    };
    let is_used = |clip: &Recorded| ranges.iter().any(|range| in_range(clip, range));
    let used = clips.iter().zip(sets).filter(|(clip, _)| is_used(clip));
    let common = Common::new(used.map(|(clip, sets)| (&clip.fact, sets))).ok()?;
    let mut pieces: Vec<(usize, usize, Option<Arc<Cut>>)> = Vec::new();
    for (at, range) in ranges.iter().enumerate() {
        for (number, clip) in clips.iter().enumerate().filter(|(_, clip)| in_range(clip, range)) {
            let times = clip.fact.start.max(range.start)..clip.fact.end.min(range.end);
            let is_first = pieces.iter().all(|(own, ..)| *own != at);
            let wanted = Wanted {
                times: times.clone(),
                ends_file: at + 1 == ranges.len() && times.end == range.end,
                from_key_frame: segmented && is_first,
            };
            let cut = || Cut::new(&common, &clip.fact, clip.chunks(), &wanted);
            if times == (clip.fact.start..clip.fact.end) {
                pieces.push((at, number, None));
            } else if let Some(cut) = cut().expect("whole tables") {
                pieces.push((at, number, Some(Arc::new(cut))));
            }
        }
    }
    let mut ingredients = Vec::new();
    let mut until: Option<(usize, WallTime)> = None;
    let (mut own, mut nanos) = (Vec::new(), 0);
    for (at, number, cut) in &pieces {
        let fact = &clips[*number].fact;
        let begin = cut.as_ref().map_or(fact.start, |cut| cut.start(fact));
        let end = cut.as_ref().map_or(fact.end, |cut| cut.end(fact));
        match until.filter(|(last, _)| last == at) {
            None => own.push((ranges[*at].clone(), begin, nanos)),
            Some((_, until)) => {
                let gap = begin.nanos_since(until);
                let is_gap = gap > 100_000_000;
                let step = if is_gap { Ingredient::Blank(gap) } else { Ingredient::Held(gap) };
                ingredients.push(step);
                nanos += gap;
            }
        }
        nanos += end.nanos_since(begin);
        until = Some((*at, end));
        let (sets, cut) = (&sets[*number], cut.as_ref());
        ingredients.push(Ingredient::Clip { clip: *number, fact, sets, cut });
    }
    let (_, start, _) = own.first()?;
    let grey = if segmented { GreyGroup::Short } else { GreyGroup::Long };
    let compilation = Compilation::new(common, *start, &ingredients, grey).expect("it is small");
    Some(Laid { compilation, ranges: own, length_nanos: nanos })
}

fn read(clips: &[Recorded], file: &MovieFile, range: Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in file.pieces(range) {
        let part = match &piece {
            FilePiece::Made(made) => {
                bytes.extend_from_slice(made);
                continue;
            }
            FilePiece::Table(part, _) | FilePiece::Data(part, _) => *part,
        };
        let clip = file.clip_of(part).map(|clip| &clips[clip]);
        let chunks = clip.into_iter().flat_map(Recorded::chunks);
        let (tables, data) = file.load(part, chunks).expect("what was planned");
        let wanted = match &piece {
            FilePiece::Table(_, wanted) => {
                bytes.extend_from_slice(&tables.bytes(wanted));
                continue;
            }
            FilePiece::Data(_, wanted) => wanted,
            FilePiece::Made(_) => continue,
        };
        append(&mut bytes, clips, &data, wanted);
    }
    bytes
}

fn append(bytes: &mut Vec<u8>, clips: &[Recorded], data: &PartData, wanted: &Range<u64>) {
    for piece in data.pieces(wanted) {
        match piece {
            PartPiece::Made(made) => bytes.extend_from_slice(made),
            PartPiece::Media(place) => bytes.extend_from_slice(media(clips, &place)),
            PartPiece::Packed(packed, range) => {
                let pieces = packed.sample().map(|piece| match piece {
                    PartPiece::Made(made) => made,
                    PartPiece::Media(place) => media(clips, &place),
                    PartPiece::Packed(..) => panic!("packets of packets"),
                });
                let sample: Vec<u8> = pieces.flatten().copied().collect();
                bytes.extend_from_slice(&packed.pack(&sample)[range]);
            }
        }
    }
}

fn media<'a>(clips: &'a [Recorded], Place { clip, chunk, range }: &Place) -> &'a [u8] {
    &clips[*clip].chunks[*chunk].1[range.start as usize..range.end as usize]
}

/// A sample as a demuxer finds it: when it is shown, in nanoseconds since the beginning of the
/// presentation, when decoded in ticks, whether it is a sync sample, and its bytes.
#[derive(Debug)]
struct Found {
    shown: i64,
    decoded: i64,
    is_sync: bool,
    bytes: Vec<u8>,
}

fn demuxed(bytes: &[u8]) -> [Vec<Found>; TRACKS] {
    let [pictures, sound, _] = all_tracks(bytes);
    [pictures, sound]
}

/// Pictures, sound, and the clock.
fn all_tracks(bytes: &[u8]) -> [Vec<Found>; TRACKS + 1] {
    let file = re_mp4::Mp4::read_bytes(bytes).expect("an mp4");
    let mut all: [Vec<Found>; TRACKS + 1] = Default::default();
    for track in file.tracks().values() {
        let list = file.moov.traks.iter().find(|trak| trak.tkhd.track_id == track.track_id);
        let edits = list.and_then(|trak| trak.edts.as_ref()).and_then(|it| it.elst.as_ref());
        let edits = &edits.expect("an edit list").entries;
        let (delay, edit) = match edits.as_slice() {
            [edit] => (0, edit),
            [empty, edit] => (empty.segment_duration as i64, edit),
            others => panic!("{} edits", others.len()),
        };
        let second = i64::from(file.moov.mvhd.timescale);
        let delay = delay * NANOS_PER_SECOND / second;
        let timescale = track.timescale as u32;
        let kind = track.track_id as usize - 1;
        // Moved, so that the first picture is presented at 0.
        let base = track.samples.first().map_or(0, |first| first.decode_timestamp);
        all[kind] = track
            .samples
            .iter()
            .map(|sample| {
                let ticks = Ticks(sample.composition_timestamp - base - edit.media_time as i64);
                let range = sample.offset as usize..(sample.offset + sample.size) as usize;
                Found {
                    shown: ticks.to_nanos(timescale) + delay,
                    decoded: sample.decode_timestamp - base,
                    is_sync: sample.is_sync,
                    bytes: bytes[range].to_vec(),
                }
            })
            .collect();
    }
    all
}

/// The name of what was recorded: behind sets that were put in front of it.
fn name(found: &[u8]) -> Option<Vec<u8>> {
    let sets = 4 + 3 + 4 + 2;
    let begins = |bytes: &[u8]| matches!(bytes.first(), Some(0xAA | 0xBB));
    let own = if begins(found) { found } else { found.get(sets..)? };
    begins(own).then(|| own[..6].to_vec())
}

const TICK: i64 = 12_000;

fn check(clips: &[Recorded], file: &Made) -> Result<(), TestCaseError> {
    let whole = read(clips, &file.compilation, 0..u64::MAX);
    prop_assert_eq!(whole.len() as u64, file.compilation.size());
    let [pictures, packets] = demuxed(&whole);
    let of = |clip: &Recorded, is_sound: bool| match is_sound {
        true => clip.packets.clone(),
        false => clip.pictures.clone(),
    };
    for (is_sound, found) in [(false, &pictures), (true, &packets)] {
        let mut wanted: Vec<(i64, Vec<u8>)> = Vec::new();
        for (range, start, nanos) in &file.ranges {
            let all = clips.iter().flat_map(|clip| of(clip, is_sound));
            let own = all.filter(|(time, _)| range.contains(time) && time >= start);
            wanted.extend(
                own.map(|(time, bytes)| (nanos + time.nanos_since(*start), bytes[..6].to_vec())),
            );
        }
        let limit = if is_sound { 130_000 } else { TICK };
        let mut missing = 0;
        for (expected, own_name) in &wanted {
            let mut own = found.iter().filter(|it| name(&it.bytes).as_ref() == Some(own_name));
            let is_there = own.any(|it| (it.shown - expected).abs() <= limit);
            prop_assert!(is_there || is_sound, "{:?} is not at {}", own_name, expected);
            missing += usize::from(!is_there);
        }
        if is_sound {
            // Where one range ends and another begins, less than a packet may be moved.
            prop_assert!(missing <= 1 || !file.is_one, "{} packets missing", missing);
            continue;
        }
        let decoded: Vec<i64> = found.iter().map(|it| it.decoded).collect();
        let goes_on = decoded.is_sorted_by(|a, b| a < b);
        prop_assert!(goes_on, "decode times go on: {:?}, {:?}", decoded, file.ranges);
        let mut times: Vec<i64> = found.iter().map(|it| it.shown).collect();
        times.sort_unstable();
        prop_assert!(times.is_sorted_by(|a, b| a < b), "each is shown at a time of its own");
        // What nobody asked for is hidden by the edit.
        let length = file.length_nanos;
        let seen = times.iter().filter(|time| (0..length - TICK).contains(*time)).count();
        let grey = found.iter().filter(|it| name(&it.bytes).is_none()).count();
        prop_assert!(!file.is_one || seen == wanted.len() + grey, "{} are seen", seen);
    }
    if file.is_one {
        check_silence(&packets)?;
    }
    // Of each clip, a stretch that begins with a key frame, in the order of decoding.
    let mut last: Option<Vec<u8>> = None;
    for it in &pictures {
        let own = name(&it.bytes);
        let goes_on = last.as_ref().zip(own.as_ref()).is_some_and(|(last, own)| {
            last[1] == own[1] && u32::from(last[5]) + 1 == u32::from(own[5])
        });
        prop_assert!(goes_on || it.is_sync || own.is_none(), "{:?} can't be decoded", own);
        last = own;
    }
    Ok(())
}

/// Reads of all pieces between some cuts are what a read of all is.
fn check_reads(
    size: u64,
    cuts: &[Index],
    read: impl Fn(Range<u64>) -> Vec<u8>,
) -> Result<(), TestCaseError> {
    let whole = read(0..u64::MAX);
    let mut bounds: Vec<u64> = cuts.iter().map(|cut| cut.index(whole.len() + 1) as u64).collect();
    bounds.extend([0, size]);
    bounds.sort_unstable();
    let pieces = bounds.windows(2).map(|pair| read(pair[0]..pair[1]));
    prop_assert_eq!(pieces.flatten().collect::<Vec<u8>>(), whole);
    Ok(())
}

/// Who plays packet behind packet, whatever their times, is off by less than a packet behind each
/// gap, however many there were.
fn check_silence(packets: &[Found]) -> Result<(), TestCaseError> {
    let nanos = i64::from(PACKET) * NANOS_PER_SECOND / i64::from(RATE);
    let Some(first) = packets.first() else { return Ok(()) };
    let mut silent = 0;
    for (number, packet) in (0..).zip(packets) {
        let is_silent = name(&packet.bytes).is_none();
        if !is_silent && silent >= 10 {
            let off = first.shown + number * nanos - packet.shown;
            prop_assert!(off.abs() < nanos + 260_000, "{} ns off behind a gap", off);
        }
        silent = if is_silent { silent + 1 } else { 0 };
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn what_is_named_is_shown_when_it_was_and_nothing_else(
        recipes in prop::collection::vec(recipe(), 1..5),
        bounds: [Index; 2],
        is_all: [bool; 2],
    ) {
        let clips = recorded(&recipes);
        let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
        let end = clips[clips.len() - 1].fact.end;
        let length = end.nanos_since(BEGIN) as usize;
        let [a, b] = bounds.map(|index| BEGIN.plus_nanos(index.index(length) as i64));
        let from = if is_all[0] { BEGIN } else { a.min(b) };
        let to = if is_all[1] { end } else { a.max(b) };
        if let Some(file) = made(&clips, &sets, &[from..to]) {
            check(&clips, &file)?;
        }
    }

    #[test]
    fn several_ranges_follow_one_another(
        recipes in prop::collection::vec(recipe(), 1..4),
        bounds in prop::collection::vec(any::<(Index, Index)>(), 2..5),
    ) {
        let clips = recorded(&recipes);
        let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
        let length = clips[clips.len() - 1].fact.end.nanos_since(BEGIN) as usize;
        let at = |index: &Index| BEGIN.plus_nanos(index.index(length) as i64);
        let ranges = bounds.iter().map(|(a, b)| at(a).min(at(b))..at(a).max(at(b)));
        let ranges: Vec<Range<WallTime>> = ranges.collect();
        if let Some(file) = made(&clips, &sets, &ranges) {
            check(&clips, &file)?;
        }
    }

    #[test]
    fn reads_of_any_stretch_are_the_same_bytes(
        recipes in prop::collection::vec(recipe(), 1..4),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let clips = recorded(&recipes);
        let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
        let range = BEGIN..clips[clips.len() - 1].fact.end;
        let file = made(&clips, &sets, &[range]).expect("all of it").compilation;
        check_reads(file.size(), &cuts, |range| read(&clips, &file, range))?;
    }
}

#[test]
fn a_whole_clip_has_the_data_of_its_own_file() {
    let recipe = Recipe {
        gap: 0,
        groups: vec![10, 5],
        is_reordered: true,
        has_sound: true,
        is_imported: false,
    };
    let clips = recorded(std::slice::from_ref(&recipe));
    let sets = [clips[0].clip_sets()];
    let file = made(&clips, &sets, &[BEGIN..clips[0].fact.end]).expect("all of it").compilation;
    let movie = crate::mp4::Movie::new(&clips[0].fact, &clips[0].sets, clips[0].chunks());
    let movie = movie.expect("a whole clip");
    assert_eq!(file.size(), movie.size(), "as many boxes and bytes");
    let own = read(&clips, &file, 0..u64::MAX);
    let mut expected = Vec::new();
    for piece in movie.pieces(0..u64::MAX) {
        match piece {
            Piece::Made(bytes) => expected.extend_from_slice(bytes),
            Piece::Media { chunk, range } => {
                let range = range.start as usize..range.end as usize;
                expected.extend_from_slice(&clips[0].chunks[chunk].1[range]);
            }
        }
    }
    assert!(own == expected, "a file of one clip is that clip's file");
}

#[test]
fn what_does_not_fit_is_not_taken() {
    let recipe = |sound| Recipe {
        gap: 0,
        groups: vec![5],
        is_reordered: false,
        has_sound: sound,
        is_imported: false,
    };
    let clips = recorded(&[recipe(true), recipe(true)]);
    let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
    let of = |clip: usize| (&clips[clip].fact, &sets[clip]);
    let common = Common::new([of(0), of(1)].into_iter()).expect("pictures");
    assert!(common.takes(&clips[1].fact, &sets[1]) && common.takes_sound(&clips[1].fact, &sets[1]));
    let other = |codec| {
        let video = ParameterSet { codec, ..(*sets[1].video).clone() };
        ClipSets { video: Arc::new(video), sound: sets[1].sound.clone() }
    };
    assert!(!common.takes(&clips[1].fact, &other(Codec::H265)));
    let mute = ClipSets { sound: None, ..sets[1].clone() };
    assert!(!common.takes_sound(&clips[1].fact, &mute));
    assert!(matches!(Common::new(std::iter::empty()), Err(Mp4Error::NoPictures)));
}
