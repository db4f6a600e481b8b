//! The format has places for more than is recorded today: two H.265 parameter sets in one clip,
//! negative composition offsets, AAC and Opus with their delays, timed records. A ring that holds
//! them all is mounted, and two demuxers agree with what was put in.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/made.rs"]
mod made;

use std::fs;
use std::path::Path;

use clips::{attribute, mkvmerge_tracks_but};
use daemon::{Site, run_tool, text};
use made::{Coded, Track, box_body, encode, packets, write_ring};
use reelfs::segment::{AudioParameters, Codec, Look, ParameterSet, VideoParameters};
use serde_json::Value;

/// Length of the footage, in s; a chunk for each, a parameter set of its own for each half.
const SECONDS: usize = 4;

/// Ten frames a second with B-frames; the halves come from two encoders with other settings.
fn video(site: &Site) -> Track {
    const FRAME: u32 = 9000;
    let mut track = Track { sets: Vec::new(), timescale: 90_000, delay: 0, samples: Vec::new() };
    for (half, settings) in ["ref=3:sao=1", "ref=1:sao=0:ctu=32"].iter().enumerate() {
        let settings = format!("log-level=none:keyint=10:open-gop=0:bframes=2:{settings}");
        let input = format!("testsrc2=size=320x240:rate=10:duration={}", SECONDS / 2);
        let words = ["-f", "lavfi", "-i", &input, "-c:v", "libx265", "-preset", "ultrafast"];
        let more = ["-pix_fmt", "yuv420p", "-x265-params", &settings, "-tag:v", "hvc1"];
        let scale = ["-video_track_timescale", "90000"];
        let words = [&words[..], &more, &scale].concat();
        let file = encode(site, &format!("video{half}.mp4"), &words);
        let set = ParameterSet {
            codec: Codec::H265,
            configuration: box_body(&file, b"hvcC"),
            video: Some(VideoParameters {
                width: 320,
                height: 240,
                pixel_aspect: (1, 1),
                look: Look::PLAIN,
            }),
            audio: None,
        };
        track.sets.extend(std::iter::repeat_n(set, SECONDS / 2));
        let packets = packets(&file);
        let first = packets.iter().map(|(pts, _)| *pts).min().expect("packets");
        for (number, (pts, coded)) in packets.into_iter().enumerate() {
            // Decoding is not put ahead of presentation: pictures that are shown before others
            // that they depend on get a negative offset.
            let offset = (pts - first) as i32 - number as i32 * FRAME as i32;
            track.samples.push(Coded { duration: FRAME, offset, ..coded });
        }
    }
    assert_ne!(track.sets[0], track.sets[SECONDS - 1], "two parameter sets");
    assert!(track.samples.iter().any(|sample| sample.offset < 0), "negative offsets");
    track
}

fn audio(site: &Site, codec: Codec) -> Track {
    let (name, encoder, rate, packet, delay) = match codec {
        Codec::Aac => ("aac.mp4", "aac", 44_100, 1024, 1024),
        _ => ("opus.mp4", "libopus", 48_000, 960, 312),
    };
    let input = format!("sine=frequency=440:sample_rate={rate}:duration={SECONDS}");
    let file = encode(site, name, &["-f", "lavfi", "-i", &input, "-c:a", encoder]);
    let configuration = match codec {
        // AAC-LC, 44.1 kHz, mono (ISO/IEC 14496-3, 1.6.2.1).
        Codec::Aac => vec![0x12, 0x08],
        _ => box_body(&file, b"dOps"),
    };
    let audio = Some(AudioParameters { sample_rate: rate, channels: 1 });
    let set = ParameterSet { codec, configuration, video: None, audio };
    let packets = packets(&file).into_iter();
    let samples = packets.map(|(_, coded)| Coded { duration: packet, sync: true, ..coded });
    Track { sets: vec![set; SECONDS], timescale: rate, delay, samples: samples.collect() }
}

/// Two records a second.
fn records() -> Track {
    let configuration = b"application/json".to_vec();
    let set = ParameterSet { codec: Codec::TimedText, configuration, video: None, audio: None };
    let record = |number: usize| {
        let data = format!("{{\"motion\": {number}}}").into_bytes();
        Coded { duration: 500, offset: 0, sync: true, data }
    };
    let samples = (0..2 * SECONDS).map(record).collect();
    Track { sets: vec![set; SECONDS], timescale: 1000, delay: 0, samples }
}

/// What ffprobe finds of each track: its tag, and of each packet the time and a digest.
fn probe(file: &Path) -> Vec<(String, Vec<(i64, String)>)> {
    let entries = "stream=codec_tag_string:packet=stream_index,pts,data_hash";
    let words = ["-v", "error", "-show_data_hash", "md5", "-show_entries", entries, "-of", "json"];
    let probed = run_tool("ffprobe", &[&words[..], &[text(file)]].concat());
    let probed: Value = serde_json::from_str(&probed).expect("JSON");
    let tag = |stream: &Value| stream["codec_tag_string"].as_str().expect("a tag").to_owned();
    let streams = probed["streams"].as_array().expect("streams");
    let mut found: Vec<_> = streams.iter().map(|stream| (tag(stream), Vec::new())).collect();
    for packet in probed["packets"].as_array().expect("packets") {
        let index = packet["stream_index"].as_u64().expect("a number") as usize;
        let digest = packet["data_hash"].as_str().expect("a digest").to_lowercase();
        found[index].1.push((packet["pts"].as_i64().expect("a time"), digest));
    }
    found
}

fn md5(site: &Site, data: &[u8]) -> String {
    let file = site.path("sample");
    fs::write(&file, data).expect("a file");
    let said = run_tool("md5sum", &[text(&file)]);
    format!("md5:{}", said.split(' ').next().expect("a digest"))
}

#[test]
fn every_kind_of_track_comes_back_as_it_was_put_in() {
    let mut site = Site::new("16M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let tracks = [video(&site), audio(&site, Codec::Aac), audio(&site, Codec::Opus), records()];
    write_ring(&site, &[("yard", &tracks)]);
    let daemon = site.run();
    let clip = site.mount().join("2026-07-01/yard/12-00-00.mp4");
    assert!(attribute(&clip, "codec").starts_with("hvc1."), "{}", attribute(&clip, "codec"));
    assert_eq!(attribute(&clip, "duration"), format!("{SECONDS}.000000000"));
    let size = fs::metadata(&clip).expect("a clip").len();
    assert_eq!(fs::read(&clip).expect("its bytes").len() as u64, size);
    clips::assert_plays(&clip);

    let probed = probe(&clip);
    let tags: Vec<&str> = probed.iter().map(|(tag, _)| tag.as_str()).collect();
    assert_eq!(tags, ["hvc1", "mp4a", "Opus"], "records are not in the file");
    for ((tag, packets), track) in probed.iter().zip(&tracks) {
        let times: Vec<i64> = packets.iter().map(|(time, _)| *time).collect();
        // Sound that goes on behind the last picture is on the ring, and not presented.
        let end = SECONDS as i64 * i64::from(track.timescale);
        let shown = track.shown();
        let inside = shown.iter().filter(|time| **time < end).count();
        assert_eq!(times, shown[..inside], "{tag}");
        for ((_, digest), sample) in packets.iter().zip(&track.samples) {
            assert_eq!(*digest, md5(&site, &sample.data), "{tag}");
        }
    }

    let judged = mkvmerge_tracks_but(&clip, Some("has more than one FourCC"));
    let codecs: Vec<&str> = judged.iter().map(|track| track.codec.as_str()).collect();
    assert_eq!(codecs, ["V_MPEGH/ISO/HEVC", "A_AAC", "A_OPUS"]);
    // Matroska knows no time before zero: the whole is moved by the longest priming.
    let millis = |ticks: i64, track: &Track| ticks as f64 * 1000.0 / f64::from(track.timescale);
    let earliest = tracks.iter().map(|track| millis(track.start(), track));
    let earliest = earliest.fold(0.0, f64::min);
    for (judged, track) in judged.iter().zip(&tracks) {
        let mut shown = track.shown();
        shown.sort_unstable();
        assert_eq!(judged.times.len(), shown.len(), "{}", judged.codec);
        // mkvmerge 74 dates the Opus packets of a chunk alike, those of ffmpeg's files, too.
        let dated = if judged.codec == "A_OPUS" { 1 } else { shown.len() };
        for (time, ours) in judged.times.iter().zip(shown).take(dated) {
            let ours = millis(ours, track) - earliest;
            assert!((time - ours).abs() <= 1.5, "{}: {time} ms, not {ours} ms", judged.codec);
        }
    }
    daemon.stop();
}
