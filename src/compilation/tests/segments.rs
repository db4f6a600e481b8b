//! The same, as files of segments.

use super::*;
use crate::units::NANOS_PER_SECOND;

/// A file of segments, and what its ranges are.
struct Fragmented {
    file: SegmentedFile,
    ranges: Vec<(Range<WallTime>, WallTime, i64)>,
    length_nanos: i64,
}

fn fragmented(
    clips: &[Recorded],
    sets: &[ClipSets],
    ranges: &[Range<WallTime>],
) -> Option<Fragmented> {
    segmented(clips, laid(clips, sets, ranges, true)?, Compilation::fragments)
}

fn segmented(
    clips: &[Recorded],
    laid: Laid,
    container: impl Fn(Compilation) -> Segmenting,
) -> Option<Fragmented> {
    let Laid { compilation, ranges, length_nanos } = laid;
    let segmenting = container(compilation);
    let jumps = ranges.iter().skip(1).map(|(_, _, nanos)| *nanos);
    let mut segmenter = segmenting.segmenter(jumps);
    for part in 0..segmenting.parts() {
        let chunks = chunks_of(clips, segmenting.clip_of(part));
        segmenter.add(&segmenting.list(part, chunks).expect("whole tables"));
    }
    let counted = segmenter.finish();
    let file = segmenting.finish(counted).expect("it is small");
    Some(Fragmented { file, ranges, length_nanos })
}

fn chunks_of(clips: &[Recorded], clip: Option<usize>) -> impl Iterator<Item = Chunk<'_>> {
    clip.map(|clip| &clips[clip]).into_iter().flat_map(Recorded::chunks)
}

fn read_segments(clips: &[Recorded], file: &SegmentedFile, range: Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in file.pieces(range.start..range.end.min(file.size())) {
        let (number, wanted) = match piece {
            SegmentedPiece::Made(made) => {
                bytes.extend_from_slice(made);
                continue;
            }
            SegmentedPiece::Segment(number, wanted) => (number, wanted),
        };
        let gather = |part: usize| {
            let chunks = chunks_of(clips, file.clip_of(part));
            file.gather(number, part, chunks).expect("whole tables")
        };
        let parts = file.parts_of(number).into_iter().map(gather).collect();
        append(&mut bytes, clips, &file.finish(number, parts).expect("as counted"), &wanted);
    }
    bytes
}

/// Samples of a fragmented file, their times since its first picture is shown.
fn found(bytes: &[u8]) -> [Vec<Found>; TRACKS] {
    let file = re_mp4::Mp4::read_bytes(bytes).expect("an mp4");
    let mut all = [Vec::new(), Vec::new()];
    for track in file.tracks().values() {
        let timescale = track.timescale as u32;
        let runs = file.moofs.iter().flat_map(|moof| &moof.trafs);
        let runs = runs.filter(|traf| traf.tfhd.track_id == track.track_id);
        let begins = runs.filter_map(|traf| traf.tfdt.as_ref());
        let begins: Vec<i64> =
            begins.map(|begin| begin.base_media_decode_time.cast_signed()).collect();
        // The library lets each track begin at a time of its own.
        let first = track.samples.first().map_or(0, |first| first.decode_timestamp);
        let base = begins.first().map_or(0, |begin| begin - first);
        let decoded = |begin: &i64| {
            track.samples.iter().any(|sample| sample.decode_timestamp + base == *begin)
        };
        assert!(begins.iter().all(decoded), "durations and times of fragments agree");
        // It reads composition offsets without their sign.
        let offset = |sample: &re_mp4::Sample| {
            (sample.composition_timestamp - sample.decode_timestamp) as u32 as i32
        };
        let shown =
            |sample: &re_mp4::Sample| sample.decode_timestamp + base + i64::from(offset(sample));
        let samples = track.samples.iter().map(|sample| Found {
            shown: Ticks(shown(sample)).to_nanos(timescale),
            decoded: sample.decode_timestamp + base,
            is_sync: sample.is_sync,
            bytes: bytes[sample.offset as usize..(sample.offset + sample.size) as usize].to_vec(),
        });
        all[usize::from(track.track_id != 1)] = samples.collect();
    }
    let zero = all[0].iter().map(|it: &Found| it.shown).min().unwrap_or(0);
    all.iter_mut().flatten().for_each(|it| it.shown -= zero);
    all
}

/// Elements of EBML: what each is, where its content begins, and that.
fn elements(bytes: &[u8], at: usize) -> Vec<(u32, usize, &[u8])> {
    let mut all = Vec::new();
    let mut next = at;
    while next < at + bytes.len() {
        let rest = &bytes[next - at..];
        let id_bytes = rest[0].leading_zeros() as usize + 1;
        let id = rest[..id_bytes].iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let rest = &rest[id_bytes..];
        let size_bytes = rest[0].leading_zeros() as usize + 1;
        let size = rest[..size_bytes].iter().fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
        let size = (size & !(1 << (7 * size_bytes))) as usize;
        let begin = next + id_bytes + size_bytes;
        all.push((id, begin, &bytes[begin - at..begin - at + size]));
        next = begin + size;
    }
    all
}

/// Samples of a Matroska file, their times since its beginning, in the order of its blocks; each
/// place that its cues tell is that of a cluster.
fn found_in_clusters(bytes: &[u8]) -> [Vec<Found>; TRACKS] {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
    let [(_, _, _), (_, behind, segment)] = elements(bytes, 0)[..] else { panic!("two elements") };
    let mut all: [Vec<Found>; TRACKS] = Default::default();
    let (mut places, mut clusters) = (Vec::new(), Vec::new());
    for (id, begin, content) in elements(segment, behind) {
        if id == 0x1C53_BB6B {
            for (_, begin, point) in elements(content, begin) {
                let (_, begin, track) = elements(point, begin)[1];
                places.push(number(elements(track, begin)[1].2) as usize);
            }
        }
        if id != 0x1F43_B675 {
            continue;
        }
        clusters.push(begin - 4 - 8 - behind);
        let parts = elements(content, begin);
        let timestamp = number(parts[0].2);
        assert!(parts.len() > 1, "a cluster has blocks");
        for (id, _, block) in &parts[1..] {
            assert_eq!(*id, 0xA3);
            let relative = i64::from(i16::from_be_bytes([block[1], block[2]]));
            assert!((-1000..=22_000).contains(&relative), "{relative}");
            let own = &mut all[usize::from(block[0] & 0x7f) - 1];
            own.push(Found {
                shown: (timestamp + relative) * 1_000_000,
                decoded: own.len() as i64,
                is_sync: block[3] & 0x80 != 0,
                bytes: block[4..].to_vec(),
            });
        }
    }
    assert!(places.iter().all(|place| clusters.contains(place)), "{places:?} {clusters:?}");
    all
}

/// Every picture of the ranges, and every packet of sound, is there when it was.
fn check_samples(
    clips: &[Recorded],
    file: &Fragmented,
    found: impl Fn(&[u8]) -> [Vec<Found>; TRACKS],
    limits: [i64; TRACKS],
) -> Result<(), TestCaseError> {
    let whole = read_segments(clips, &file.file, 0..u64::MAX);
    prop_assert_eq!(whole.len() as u64, file.file.size());
    let [pictures, packets] = found(&whole);
    for (is_sound, found) in [(false, &pictures), (true, &packets)] {
        let mut missing = 0;
        for (range, start, nanos) in &file.ranges {
            let all = clips.iter().flat_map(|clip| match is_sound {
                true => &clip.packets,
                false => &clip.pictures,
            });
            for (time, bytes) in all.filter(|(time, _)| (*start..range.end).contains(time)) {
                let expected = nanos + time.nanos_since(*start);
                let mut own = found.iter().filter(|it| name(&it.bytes) == name(bytes));
                let limit = limits[usize::from(is_sound)];
                let is_there = own.any(|it| (it.shown - expected).abs() <= limit);
                prop_assert!(is_there || is_sound, "{:?} is not at {}", name(bytes), expected);
                missing += usize::from(!is_there);
            }
        }
        prop_assert!(missing <= 1 || file.ranges.len() > 1, "{} packets missing", missing);
    }
    let decoded: Vec<i64> = pictures.iter().map(|it| it.decoded).collect();
    prop_assert!(decoded.is_sorted_by(|a, b| a < b), "decode times go on: {:?}", decoded);
    Ok(())
}

/// Each segment begins with a key frame, says when it is shown, and has the sound of its time.
fn check_segments(clips: &[Recorded], file: &Fragmented) -> Result<(), TestCaseError> {
    let segments: Vec<Segment> = file.file.segments().collect();
    let head = read_segments(clips, &file.file, 0..file.file.header_bytes());
    let whole = read_segments(clips, &file.file, 0..u64::MAX);
    let zero = found(&whole)[0].iter().map(|it| it.decoded).min();
    prop_assert_eq!(zero, Some(0), "nothing is decoded before the file begins");
    let (mut at, mut until) = (file.file.header_bytes(), 0);
    for (number, segment) in segments.iter().enumerate() {
        prop_assert_eq!(segment.bytes.start, at);
        prop_assert_eq!(segment.shown_nanos.start, until);
        at = segment.bytes.end;
        until = segment.shown_nanos.end;
        let own = &whole[segment.bytes.start as usize..segment.bytes.end as usize];
        let [pictures, packets] = found(&[&head[..], own].concat());
        prop_assert!(pictures[0].is_sync, "segment {} can be decoded alone", number);
        let length = segment.shown_nanos.end - segment.shown_nanos.start;
        let last = pictures.iter().map(|it| it.shown).max().unwrap_or(0);
        prop_assert!(last < length + TICK, "{} is shown behind {}", last, length);
        for packet in packets.iter().map(|packet| packet.shown) {
            let begun = number == 0 || packet >= -TICK * 10;
            let ended = number + 1 == segments.len() || packet <= length + TICK * 10;
            prop_assert!(begun && ended, "sound of {} in {} of {}", packet, number, length);
        }
        let is_jump = file.ranges.iter().any(|(_, _, nanos)| (nanos - until).abs() < TICK);
        let is_last = number + 1 == segments.len();
        prop_assert!(length <= 10 * NANOS_PER_SECOND, "{} is long", length);
        prop_assert!(is_jump || is_last || length >= 4 * NANOS_PER_SECOND, "{} is short", length);
    }
    prop_assert_eq!((at, until), (file.file.size(), file.length_nanos));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn segments_have_all_that_is_named_and_each_is_whole(
        recipes in prop::collection::vec(recipe(), 1..6),
        bounds in prop::collection::vec(any::<(Index, Index)>(), 1..4),
    ) {
        let clips = recorded(&recipes);
        let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
        let length = clips[clips.len() - 1].fact.end.nanos_since(BEGIN) as usize;
        let at = |index: &Index| BEGIN.plus_nanos(index.index(length) as i64);
        let ranges = bounds.iter().map(|(a, b)| at(a).min(at(b))..at(a).max(at(b)));
        let ranges: Vec<Range<WallTime>> = ranges.collect();
        if let Some(file) = fragmented(&clips, &sets, &ranges) {
            check_samples(&clips, &file, found, [TICK, 130_000])?;
            check_segments(&clips, &file)?;
        }
        if let Some(laid) = laid(&clips, &sets, &ranges, true) {
            let file = segmented(&clips, laid, Compilation::matroska).expect("a file");
            check_samples(&clips, &file, found_in_clusters, [520_000, 630_000])?;
        }
    }

    #[test]
    fn segments_are_read_in_any_pieces(
        recipes in prop::collection::vec(recipe(), 1..4),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let clips = recorded(&recipes);
        let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
        let range = BEGIN..clips[clips.len() - 1].fact.end;
        let file = fragmented(&clips, &sets, &[range]).expect("all of it").file;
        check_reads(file.size(), &cuts, |range| read_segments(&clips, &file, range))?;
    }
}

/// A picture that lasts for minutes, and silence beside it.
#[test]
fn clusters_are_short_however_long_a_picture_lasts() {
    for has_sound in [false, true] {
        let recipe =
            Recipe { gap: 0, groups: vec![5], is_reordered: false, has_sound, is_imported: false };
        let clips = recorded(&[recipe.clone(), recipe]);
        let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
        let both = || clips.iter().map(|clip| &clip.fact).zip(&sets);
        let common = Common::new(both()).expect("pictures");
        let clip = |clip: usize| Ingredient::Clip {
            clip,
            fact: &clips[clip].fact,
            sets: &sets[clip],
            cut: None,
        };
        let parts = [clip(0), Ingredient::Held(100 * NANOS_PER_SECOND), clip(1)];
        let compilation =
            Compilation::new(common, BEGIN, &parts, GreyGroup::Short).expect("it is small");
        let laid = Laid { compilation, ranges: Vec::new(), length_nanos: 0 };
        let file = segmented(&clips, laid, Compilation::matroska).expect("a file").file;
        let [pictures, packets] = found_in_clusters(&read_segments(&clips, &file, 0..u64::MAX));
        assert_eq!(pictures.len(), 10);
        assert_eq!(pictures[5].shown, 100_200_000_000);
        assert!(packets.is_sorted_by_key(|packet| packet.shown));
        assert_eq!(packets.len() > 500, has_sound, "silence");
    }
}
