//! Clips of every codec and shape, shown to real players: which pictures they show, and where
//! the sound is beside them. Chromium and Firefox play; ffmpeg decodes, remuxes and joins.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/made.rs"]
mod made;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use browser::Played;
use clips::attribute;
use daemon::{Site, text, try_tool};
use made::{Coded, Track, beeps, box_body, encode, numbered, packets, write_clips};
use reelfs::segment::{Codec, Look, ParameterSet, VideoParameters};

/// Length of each clip, in s; in the middle the camera's settings change.
const SECONDS: usize = 4;
/// Pictures a second. Each has its number in it.
const RATE: usize = 25;
const PICTURES: usize = SECONDS * RATE;
/// When each clip is there once more, in s behind its beginning.
const AGAIN: usize = 7;

/// The parameter sets of a decoder configuration, each with its length in front of it, as samples
/// have them.
fn sets_of(codec: Codec, configuration: &[u8]) -> Vec<u8> {
    let number =
        |at: usize| usize::from(configuration[at]) << 8 | usize::from(configuration[at + 1]);
    let mut sets = Vec::new();
    let mut take = |at: &mut usize, count: usize| {
        for _ in 0..count {
            let length = number(*at);
            sets.extend((length as u32).to_be_bytes());
            sets.extend(&configuration[*at + 2..*at + 2 + length]);
            *at += 2 + length;
        }
    };
    if codec == Codec::H264 {
        let mut at = 6;
        take(&mut at, usize::from(configuration[5] & 31));
        let count = usize::from(configuration[at]);
        take(&mut (at + 1), count);
    } else {
        let mut at = 23;
        for _ in 0..configuration[22] {
            let count = number(at + 1);
            at += 3;
            take(&mut at, count);
        }
    }
    sets
}

/// One sample entry for all, and each key frame with its own parameter sets in front of it, as a
/// camera's frames are recorded.
fn video(site: &Site, codec: Codec, encoders: [&[&str]; 2]) -> Track {
    let mut track = Track { sets: Vec::new(), timescale: 90_000, delay: 0, samples: Vec::new() };
    for (half, encoder) in encoders.iter().enumerate() {
        let input = numbered(half * PICTURES / 2, (SECONDS / 2, RATE), (320, 176), 8);
        let scale = ["-video_track_timescale", "90000"];
        let words = [&["-f", "lavfi", "-i", &input], *encoder, &scale[..]].concat();
        let file = encode(site, &format!("half{half}.mov"), &words);
        let (configuration, in_band) = match codec {
            Codec::Jpeg => (Vec::new(), Vec::new()),
            _ => {
                let name = if codec == Codec::H264 { b"avcC" } else { b"hvcC" };
                let configuration = box_body(&file, name);
                let sets = sets_of(codec, &configuration);
                (configuration, sets)
            }
        };
        let video = Some(VideoParameters {
            width: 320,
            height: 176,
            pixel_aspect: (1, 1),
            look: Look::PLAIN,
        });
        let set = ParameterSet { codec, configuration, video, audio: None };
        track.sets.resize(SECONDS, set);
        for (_, coded) in packets(&file) {
            let data = match coded.sync {
                true => [&in_band[..], &coded.data].concat(),
                false => coded.data,
            };
            let duration = 90_000 / RATE as u32;
            track.samples.push(Coded { duration, offset: 0, data, ..coded });
        }
    }
    assert_eq!(track.samples.len(), PICTURES);
    track
}

/// Numbers of the pictures that ffmpeg decodes, without a word of complaint.
fn decoded(file: &Path) -> Vec<usize> {
    let words =
        ["-v", "error", "-xerror", "-i", text(file), "-map", "0:v", "-vsync", "passthrough"];
    let output = Command::new("ffmpeg")
        .args(words)
        .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .output()
        .expect("ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", file.display());
    let number = |picture: &[u8]| {
        if picture.iter().all(|pixel| pixel.abs_diff(128) < 4) {
            return GREY;
        }
        (0..8)
            .fold(0, |value, bit| value * 2 + usize::from(picture[16 * 320 + bit * 32 + 16] > 128))
    };
    output.stdout.chunks_exact(320 * 176).map(number).collect()
}

/// Instead of the number of a picture in which there is nothing.
const GREY: usize = usize::MAX;

/// Where ffmpeg hears beeps, in s since the file's beginning.
fn heard(file: &Path) -> Vec<f64> {
    const HERTZ: usize = 8000;
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i", text(file), "-af", "aresample=8000:async=1:first_pts=0"])
        .args(["-ac", "1", "-f", "s16le", "-"])
        .output()
        .expect("ffmpeg");
    let samples = output.stdout.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
    let (mut beeps, mut loud) = (Vec::new(), None::<usize>);
    for (at, _) in samples.enumerate().filter(|(_, sample)| sample.unsigned_abs() > 6000) {
        if loud.is_none_or(|loud| at - loud > HERTZ / 2) {
            beeps.push(at as f64 / HERTZ as f64);
        }
        loud = Some(at);
    }
    beeps
}

/// What becomes of the clips when they are remuxed, and joined with themselves.
fn assert_joins(site: &Site, clip: &Path, kinds: &[&str]) {
    let list = site.path("list");
    let line = format!("file '{}'\n", text(clip));
    fs::write(&list, line.repeat(2)).expect("a list");
    let once: Vec<usize> = (0..PICTURES).collect();
    for kind in kinds {
        let to = site.path(&format!("copy.{kind}"));
        let copy = ["-c", "copy", text(&to)];
        try_tool("ffmpeg", &[&["-v", "error", "-y", "-i", text(clip)], &copy[..]].concat());
        assert_eq!(decoded(&to), once, "{kind} of {}", clip.display());
        let joined = ["-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", text(&list)];
        try_tool("ffmpeg", &[&joined[..], &copy].concat());
        assert_eq!(decoded(&to), once.repeat(2), "joined {kind} of {}", clip.display());
    }
}

/// Every picture that was shown is the one of its time, there are many of them, and each beep is
/// heard beside its picture.
fn assert_played(what: &str, played: &Played, beeps: usize) {
    /// A browser on a machine that has other work skips pictures.
    const ENOUGH: usize = PICTURES / 2;
    /// What a browser's own way to the sound card takes, and what a busy machine adds, in s.
    const ASIDE: f64 = 0.12;
    assert_eq!(played.how, "ended", "{what}");
    for (number, media_time, _) in &played.shown {
        let off = *number as f64 - media_time * RATE as f64;
        assert!(off.abs() < 1.5, "{what}: picture {number} at {media_time}");
    }
    let after = played.shown.iter().filter(|(number, ..)| *number >= PICTURES as u64 / 2).count();
    assert!(played.shown.len() >= ENOUGH && after >= ENOUGH / 2, "{what}: {played:?}");
    assert_eq!(played.heard.len(), beeps, "{what}: {:?}", played.heard);
    // When the picture of a time was shown, by those that were shown around it.
    let begin = |(number, _, wall): &(u64, f64, f64)| wall - *number as f64 / RATE as f64;
    let mut begins: Vec<f64> = played.shown.iter().map(begin).collect();
    begins.sort_by(f64::total_cmp);
    let begin = begins[begins.len() / 2];
    let mut aside: Vec<f64> =
        (1..).zip(&played.heard).map(|(second, heard)| heard - begin - f64::from(second)).collect();
    aside.sort_by(f64::total_cmp);
    if let Some(median) = aside.get(aside.len() / 2) {
        assert!(median.abs() < ASIDE, "{what}: heard {aside:?} s beside the pictures");
    }
}

/// The first picture of [`named_range`].
const FIRST: usize = 38;

/// The last 62 pictures of one clip, a gap of three seconds, and 63 pictures of the next one.
fn named_range(site: &Site, name: &str, form: &str) -> PathBuf {
    let name = format!(".range/{name}/2026-07-01T12-00-01.52--12-00-09.52.{form}");
    site.mount().join(name)
}

/// A browser shows each picture of the range at its time, and nothing in the gap.
fn assert_range_played(browser: &str, played: &Played) {
    let gap = (PICTURES - FIRST) as f64 / RATE as f64..(AGAIN * RATE - FIRST) as f64 / RATE as f64;
    assert_eq!(played.how, "ended", "{browser}");
    let (mut grey, mut behind) = (0, 0);
    for (number, time, _) in &played.shown {
        let expected = match time {
            // Some show the first picture that they decode, whatever else they are told.
            time if *time < 0.01 => continue,
            // A page may be told of a picture a moment before it can look at it.
            time if [gap.start, gap.end].iter().any(|edge| (time - edge).abs() < 0.06) => continue,
            time if *time < gap.start - 0.001 => FIRST as f64 + time * RATE as f64,
            time if *time < gap.end - 0.001 => {
                // What has no number has the highest one, or none.
                assert!([0, 255].contains(number), "{browser}: {number} in the gap, at {time}");
                grey += 1;
                continue;
            }
            time => {
                behind += 1;
                (time - gap.end) * RATE as f64
            }
        };
        let off = (*number as f64 - expected).abs();
        assert!(off < 1.5, "{browser}: picture {number} at {time}, not {expected}");
    }
    assert!(grey >= 2 && behind > 30, "{browser}: {played:?}");
    assert_eq!(played.heard.len(), 4, "{browser}: {:?}", played.heard);
}

/// A range that begins within one clip and ends within the next, with a gap in between, is exact to
/// the picture, and its sound is beside it.
fn assert_range(site: &Site, name: &str) {
    let named = |form| named_range(site, name, form);
    let pictures = |first: usize, gap: &[usize]| {
        let (before, behind): (Vec<usize>, Vec<usize>) =
            ((first..PICTURES).collect(), (0..=62).collect());
        [&before[..], gap, &behind].concat()
    };
    // Some begin with the key frame before what is wanted. JPEG has nothing else.
    let key = if name == "jpeg" { FIRST } else { FIRST - FIRST % RATE };
    let gap = &[GREY; AGAIN - SECONDS][..];
    let forms: [(&str, usize, &[usize]); 6] = [
        ("mp4", FIRST, gap),
        ("held.mp4", FIRST, &[]),
        ("joined.mp4", FIRST, &[]),
        ("frag.mp4", key, gap),
        ("mkv", key, gap),
        ("ts", key, gap),
    ];
    for (form, first, gap) in forms {
        let file = named(form);
        if (form, name) == ("ts", "jpeg") {
            assert!(!file.exists(), "MPEG-TS has no place for it");
            continue;
        }
        assert_eq!(decoded(&file), pictures(first, gap), "{name}, {form}");
        if form == "ts" && ["telephone", "hevc"].contains(&name) {
            let omitted = attribute(&file, "omitted");
            assert_eq!(
                omitted.matches("MPEG-TS has no place for this sound").count(),
                2,
                "{omitted}"
            );
            continue;
        }
        if name == "jpeg" {
            continue;
        }
        let before = if form == "joined.mp4" { SECONDS } else { AGAIN } as f64;
        let begin = first as f64 / RATE as f64;
        let expected = [2.0, 3.0, before + 1.0, before + 2.0].map(|second| second - begin);
        // That of the first picture may be cut.
        let beeps: Vec<f64> = heard(&file).into_iter().filter(|beep| *beep > 0.2).collect();
        let off = beeps.iter().zip(expected).map(|(beep, expected)| (beep - expected).abs());
        let worst = off.fold(0.0, f64::max);
        assert!(beeps.len() == 4 && worst < 0.04, "{name}, {form}: {beeps:?}");
    }
    assert_eq!(attribute(&named("mp4"), "gaps"), "2026-07-01T12:00:04.000000000Z 3.000");
}

#[test]
fn every_player_shows_every_picture_and_is_heard_beside_it() {
    let mut site = Site::new("32M");
    let names = ["changes", "telephone", "hevc", "jpeg", "opus"];
    for name in names {
        site.add_camera(name, "rtsp://127.0.0.1:1/", "");
    }
    let plain = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "0"];
    let other = [&plain[..], &["-profile:v", "baseline", "-refs", "1"]].concat();
    let hevc = |settings| {
        let encoder = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
        let settings = ["-bf", "0", "-tag:v", "hvc1", "-x265-params", settings];
        [&encoder[..], &settings].concat()
    };
    let main = hevc("log-level=none:keyint=25:open-gop=0:bframes=0:ref=3:sao=1");
    let changed = hevc("log-level=none:keyint=25:open-gop=0:bframes=0:ref=1:sao=0:ctu=32");
    let jpeg: &[&str] = &["-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p"];
    let (aac, flac) = (|| beeps(&site, Codec::Aac, SECONDS), || beeps(&site, Codec::Flac, SECONDS));
    let opus = beeps(&site, Codec::Opus, SECONDS);
    write_clips(
        &site,
        &[
            (names[0], &[video(&site, Codec::H264, [&plain, &other]), aac()]),
            (names[1], &[video(&site, Codec::H264, [&plain, &plain]), flac()]),
            (names[2], &[video(&site, Codec::H265, [&main, &changed]), flac()]),
            (names[3], &[video(&site, Codec::Jpeg, [jpeg, jpeg])]),
            (names[4], &[video(&site, Codec::H264, [&plain, &plain]), opus]),
        ],
        &[0, AGAIN as i64],
    );
    let daemon = site.run();
    let clip = |name: &&str| site.mount().join(format!("2026-07-01/{name}/12-00-00.mp4"));
    let clips: Vec<PathBuf> = names.iter().map(clip).collect();

    for (name, clip) in names.iter().zip(&clips) {
        assert_eq!(decoded(clip), (0..PICTURES).collect::<Vec<_>>(), "{name}");
        let beeps = if *name == "jpeg" { Vec::new() } else { heard(clip) };
        let beside =
            (1..).zip(&beeps).all(|(second, beep)| (beep - f64::from(second)).abs() < 0.04);
        assert!(beside && beeps.len() == if *name == "jpeg" { 0 } else { 3 }, "{name}: {beeps:?}");
    }
    assert_joins(&site, &clips[0], &["ts", "mkv", "mp4"]);
    assert_joins(&site, &clips[1], &["mkv"]);
    // ffmpeg 5.1 puts the sets of the sample entry behind those in band on the way to `ts`.
    assert_joins(&site, &clips[2], &["mkv"]);
    assert_joins(&site, &clips[3], &["mkv"]);

    for name in names {
        assert_range(&site, name);
    }

    let folder = site.path("browsers");
    fs::create_dir_all(&folder).expect("a folder");
    let _card = browser::sound_card(&folder);
    // Chromium on Debian knows no H.265, and no browser JPEG in mp4.
    for (browser, known) in [("chromium", 2), ("firefox-esr", 3)] {
        let played = browser::play(browser, &folder, &clips[..known]);
        for (name, played) in names.iter().zip(&played) {
            assert_played(&format!("{browser}, {name}"), played, 3);
        }
        // Of the last codec that it knows.
        let range = named_range(&site, if known == 3 { names[2] } else { names[0] }, "mp4");
        let played = browser::play(browser, &folder, &[range]);
        assert_range_played(browser, &played[0]);
    }
    daemon.stop();
}
