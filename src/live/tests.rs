//! Who watches, and what comes: without a camera or a mount.

use std::sync::Arc;

use super::{Feed, Live, LiveSample, NotYet, Taken, Viewer};
use crate::clock::Reading;
use crate::compilation::{EndlessForm, EndlessTracks};
use crate::segment::{AudioParameters, Codec, Look, ParameterSet, VideoParameters};
use crate::units::{BootTime, NANOS_PER_SECOND, WallTime};

/// From picture to picture.
const STEP: i64 = NANOS_PER_SECOND / 25;
/// Pictures of a group.
const GROUP: i64 = 25;

fn tracks(width: u16) -> Arc<EndlessTracks> {
    let (height, pixel_aspect, look) = (480, (1, 1), Look::PLAIN);
    let video = Some(VideoParameters { width, height, pixel_aspect, look });
    let configuration = vec![1, 0x4D, 0x40, 0x1E, 0xFF, 0xE0, 0];
    let set = ParameterSet { codec: Codec::H264, configuration, video, audio: None };
    Arc::new(EndlessTracks { video: Arc::new(set), sound: None })
}

fn reading(nanos: i64) -> Reading {
    let wall = WallTime(1_800_000_000 * NANOS_PER_SECOND);
    Reading { wall, boot: BootTime(nanos), boot_id: [7; 16], synchronised: true }
}

fn at(nanos: i64) -> (WallTime, BootTime) {
    let Reading { wall, boot, .. } = reading(nanos);
    (wall, boot)
}

/// The picture of that number: its bytes say which it is.
fn picture(number: i64, width: u16) -> LiveSample {
    LiveSample {
        is_sound: false,
        decoded_nanos: number * STEP,
        shown_nanos: number * STEP,
        length_nanos: STEP,
        is_sync: number % GROUP == 0,
        data: format!("<{number:06}>").as_bytes().into(),
        tracks: tracks(width),
    }
}

/// Pictures come, each a hundredth of a second after its time.
fn push(feed: &Feed, numbers: impl IntoIterator<Item = i64>) {
    for number in numbers {
        feed.push(picture(number, 640), &reading(number * STEP + NANOS_PER_SECOND / 100));
    }
}

fn watch(live: &Live) -> Viewer {
    live.watch("yard", EndlessForm::Movie, at(0)).unwrap_or_else(|why| panic!("{why:?}"))
}

/// All that there is to read.
fn read(viewer: &mut Viewer) -> Vec<u8> {
    let mut all = Vec::new();
    while let Taken::Bytes(bytes) = viewer.take(100) {
        all.extend(bytes);
    }
    all
}

/// The numbers of the pictures in some bytes.
fn numbers(bytes: &[u8]) -> Vec<i64> {
    let found = bytes.windows(8).filter(|it| it[0] == b'<' && it[7] == b'>');
    found.filter_map(|it| std::str::from_utf8(&it[1..7]).ok()?.parse().ok()).collect()
}

/// When each fragment is decoded, in ticks.
fn times(bytes: &[u8]) -> Vec<u64> {
    let found = bytes.windows(16).filter(|it| it.starts_with(b"tfdt"));
    found.map(|it| it[8..16].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))).collect()
}

#[test]
fn a_file_begins_with_the_newest_key_frame_and_goes_on_with_what_comes() {
    let live = Live::default();
    let feed = live.feed("yard");
    let not_yet = live.watch("yard", EndlessForm::Movie, at(0)).err();
    assert_eq!(not_yet, Some(NotYet::Waiting("no key frame has come")));
    let unknown = live.watch("attic", EndlessForm::Movie, at(0)).err();
    assert_eq!(unknown, Some(NotYet::Never("it is not recorded".to_owned())));
    push(&feed, 3..60);
    let mut viewer = watch(&live);
    let first = read(&mut viewer);
    assert_eq!(&first[4..8], b"ftyp");
    assert_eq!(numbers(&first), (50..60).collect::<Vec<i64>>());
    assert_eq!(times(&first), (0..10).map(|number| number * 3600).collect::<Vec<u64>>());
    assert_eq!(viewer.take(10), Taken::Nothing);
    viewer.pass();
    viewer.pass();
    assert_eq!(viewer.take(100), Taken::Bytes(b"\0\0\0\x08free".to_vec()));
    push(&feed, 60..62);
    assert_eq!(numbers(&read(&mut viewer)), [60, 61]);
    drop(feed);
    assert_eq!(viewer.take(10), Taken::Over);
}

#[test]
fn who_is_slow_goes_on_with_the_newest_key_frame_at_its_time() {
    let live = Live::default();
    let feed = live.feed("yard");
    push(&feed, 0..30);
    let mut viewer = watch(&live);
    assert_eq!(numbers(&read(&mut viewer)), (25..30).collect::<Vec<i64>>());
    // Within two groups nothing is missing.
    push(&feed, 30..70);
    assert_eq!(numbers(&read(&mut viewer)), (30..70).collect::<Vec<i64>>());
    push(&feed, 70..205);
    let rest = read(&mut viewer);
    assert_eq!(numbers(&rest), (200..205).collect::<Vec<i64>>());
    assert_eq!(times(&rest)[0], (200 - 25) * 3600);
}

#[test]
fn what_nobody_watches_is_one_group_and_a_bounded_one() {
    let live = Live::default();
    let feed = live.feed("yard");
    let kept = || feed.channel.kept();
    push(&feed, 0..60);
    assert_eq!(kept().0, 10);
    let each = kept().1 / 10;
    assert!(each > size_of::<LiveSample>() + 8, "{each} bytes: what is around it counts, too");
    let viewer = watch(&live);
    push(&feed, 60..160);
    assert_eq!(kept().0, 85, "two groups, and two seconds, for those that are slow");
    drop(viewer);
    assert_eq!(kept().0, 10);
    let large: Arc<[u8]> = vec![0; 1 << 20].into();
    for number in 175..190 {
        let sample = LiveSample { data: large.clone(), ..picture(number, 640) };
        feed.push(sample, &reading(number * STEP));
        assert!(kept().1 <= 9 << 20, "{:?}", kept());
    }
    let why = live.watch("yard", EndlessForm::Movie, at(0)).err();
    let too_long = "its key frames are too far apart: it begins with the next one";
    assert_eq!(why, Some(NotYet::Waiting(too_long)));
    push(&feed, 200..205);
    let mut viewer = watch(&live);
    assert_eq!(numbers(&read(&mut viewer)), (200..205).collect::<Vec<i64>>());

    // Who keeps up goes on, however long the group; and nobody keeps more than so much.
    for number in 205..245 {
        let data = [format!("<{number:06}>").as_bytes(), &large].concat();
        let sample = LiveSample { data: data.into(), is_sync: false, ..picture(number, 640) };
        feed.push(sample, &reading(number * STEP));
        assert_eq!(numbers(&read(&mut viewer)), [number]);
        assert!(kept().1 <= 34 << 20, "{:?}", kept());
    }
    push(&feed, [250]);
    assert_eq!(numbers(&read(&mut viewer)), [250]);
}

#[test]
fn a_camera_that_sends_key_frames_alone_leaves_its_readers_time() {
    let live = Live::default();
    let feed = live.feed("yard");
    let key = |number| LiveSample { is_sync: true, ..picture(number, 640) };
    let push = |numbers: std::ops::Range<i64>| {
        numbers.for_each(|number| feed.push(key(number), &reading(number * STEP)));
    };
    push(0..10);
    let mut viewer = watch(&live);
    assert_eq!(numbers(&read(&mut viewer)), [9]);
    push(10..55);
    assert_eq!(numbers(&read(&mut viewer)), (10..55).collect::<Vec<i64>>());
    push(55..120);
    assert_eq!(numbers(&read(&mut viewer)), [119]);
}

#[test]
fn nobody_begins_while_a_camera_is_away_and_who_watches_loses_nothing() {
    let live = Live::default();
    let feed = live.feed("yard");
    push(&feed, 0..5);
    let mut viewer = watch(&live);
    assert_eq!(numbers(&read(&mut viewer)), (0..5).collect::<Vec<i64>>());
    push(&feed, 5..10);
    feed.pause();
    let why = live.watch("yard", EndlessForm::Movie, at(0)).err();
    assert_eq!(why, Some(NotYet::Waiting("its camera sends nothing")));
    feed.begin(false, &reading(100 * STEP));
    let again = live.watch("yard", EndlessForm::Movie, at(0)).err();
    assert_eq!(again, why, "it has not sent anything yet");
    push(&feed, 125..128);
    let read = numbers(&read(&mut viewer));
    assert_eq!(read, [5, 6, 7, 8, 9, 125, 126, 127], "what had come before is read, too");
    assert!(live.watch("yard", EndlessForm::Movie, at(0)).is_ok());
}

/// Packets of sound, 40 ms each, whose time is their number's; not to be found by one.
fn sound(feed: &Feed, of: &Arc<EndlessTracks>, number: i64) {
    let sample = LiveSample {
        is_sound: true,
        data: b"sound".as_slice().into(),
        tracks: of.clone(),
        is_sync: true,
        ..picture(number, 640)
    };
    feed.push(sample, &reading((number + 1) * STEP));
}

#[test]
fn pictures_that_jump_in_time_go_on_also_beside_sound_that_does_not() {
    let live = Live::default();
    let feed = live.feed("yard");
    let silent = tracks(640);
    let audio = Some(AudioParameters { sample_rate: 8000, channels: 1 });
    let set = ParameterSet { codec: Codec::Aac, configuration: vec![], video: None, audio };
    let both = Arc::new(EndlessTracks { video: silent.video.clone(), sound: Some(set.into()) });
    let sent = |numbers: std::ops::Range<i64>, jump: i64| {
        for number in numbers {
            sound(&feed, &both, number);
            let own = picture(number, 640);
            let (decoded_nanos, shown_nanos) = (own.decoded_nanos + jump, own.shown_nanos + jump);
            let sample = LiveSample { decoded_nanos, shown_nanos, tracks: both.clone(), ..own };
            feed.push(sample, &reading(number * STEP));
        }
    };
    sent(0..10, 0);
    let mut viewer = watch(&live);
    let first = read(&mut viewer);
    assert_eq!(numbers(&first).len(), 10);
    assert!(times(&first).len() >= 19, "sound from the first picture on");
    sent(10..60, 3600 * NANOS_PER_SECOND);
    let rest = read(&mut viewer);
    assert!(numbers(&rest).ends_with(&[57, 58, 59]), "{:?}", numbers(&rest));
    assert_eq!(numbers(&read(&mut watch(&live))).first(), Some(&50));
}

#[test]
fn a_stray_is_left_out_and_another_line_of_time_goes_on_behind_the_former() {
    let live = Live::default();
    let feed = live.feed("yard");
    push(&feed, 0..5);
    let mut viewer = watch(&live);
    let hour = 3600 * NANOS_PER_SECOND;
    let astray = LiveSample { shown_nanos: hour, ..picture(5, 640) };
    feed.push(astray, &reading(5 * STEP));
    push(&feed, 6..8);
    assert_eq!(numbers(&read(&mut viewer)), [0, 1, 2, 3, 4, 6, 7]);
    // From here on the camera counts from another time on.
    for number in 25..60 {
        let own = picture(number, 640);
        let (decoded_nanos, shown_nanos) = (own.decoded_nanos + hour, own.shown_nanos + hour);
        let sample = LiveSample { decoded_nanos, shown_nanos, ..own };
        feed.push(sample, &reading(number * STEP + NANOS_PER_SECOND / 100));
    }
    let rest = read(&mut viewer);
    assert_eq!(numbers(&rest), (50..60).collect::<Vec<i64>>());
    assert_eq!(times(&rest)[0], 50 * 3600);
    // And a session begins before the last frame of the former one is over.
    feed.begin(false, &reading(60 * STEP));
    push(&feed, 50..53);
    let again = times(&read(&mut viewer));
    assert!(again.windows(2).all(|pair| pair[0] < pair[1]), "{again:?}");
    assert!(again[0] > 59 * 3600, "{again:?}");
}

#[test]
fn pictures_of_another_size_and_another_recorder_end_a_file() {
    let live = Live::default();
    let feed = live.feed("yard");
    push(&feed, 0..5);
    let mut viewer = watch(&live);
    feed.push(picture(25, 320), &reading(25 * STEP));
    assert_eq!(numbers(&read(&mut viewer)), (0..5).collect::<Vec<i64>>());
    assert_eq!(viewer.take(10), Taken::Over);
    let mut viewer = watch(&live);
    assert_eq!(numbers(&read(&mut viewer)), [25]);
    let other = live.feed("yard");
    assert_eq!(viewer.take(10), Taken::Over);
    drop(feed);
    push(&other, 0..2);
    assert_eq!(numbers(&read(&mut watch(&live))), [0, 1], "the former feed took nothing with it");
}

#[test]
fn promised_sound_is_waited_for_but_not_for_ever() {
    let live = Live::default();
    let feed = live.feed("yard");
    feed.begin(true, &reading(0));
    push(&feed, 0..5);
    let watch = |nanos| live.watch("yard", EndlessForm::Movie, at(nanos));
    assert_eq!(watch(5 * STEP).err(), Some(NotYet::Waiting("its sound has not come")));
    assert!(watch(3 * NANOS_PER_SECOND).is_ok());
    feed.note_sound(4 * STEP, &reading(5 * STEP));
    assert!(watch(5 * STEP).is_ok());
}
