//! Files, imported into a ring of one camera, and what is in it then.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::copies;
use super::daemon::{Site, run_tool, text};

/// The file is taken, and not all of it.
pub const LEFT_OUT: i32 = 1;
pub const NOWHERE: &str = "rtsp://127.0.0.1:1/";
pub const START: &str = "2026-03-01T12:00:00Z";
/// Times of packets are rounded to ticks, in seconds.
pub const ROUNDED_S: f64 = 0.002;

/// A ring of one camera, and files beside it.
pub struct Bench {
    pub site: Site,
}

/// A packet of a file: when it is shown in seconds, whether decoding can begin with it, a digest of
/// its bytes, and where it ends in the file, where that is known.
#[derive(Clone, Debug)]
pub struct Packet {
    pub at: f64,
    pub is_key: bool,
    pub digest: String,
    pub end: Option<usize>,
}

impl Bench {
    pub fn new(size: &str) -> Bench {
        let mut site = Site::new(size);
        site.add_camera("yard", NOWHERE, "");
        Bench { site }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    /// Has ffmpeg make a file out of words.
    pub fn make(&self, name: &str, words: &str) -> PathBuf {
        let path = self.path(name);
        let words: Vec<&str> = words.split_whitespace().collect();
        // One thread: players in the tests beside this one have to keep up.
        let one = ["-threads", "1", text(&path)];
        run_tool("ffmpeg", &[&["-v", "error", "-y"], &words[..], &one].concat());
        path
    }

    /// Pictures at 25 a second with a key frame each two seconds, and a tone.
    pub fn source(&self, name: &str, seconds: u32, more: &str) -> PathBuf {
        self.make(
            name,
            &format!(
                "-f lavfi -i testsrc2=size=320x240:rate=25:duration={seconds} -f lavfi -i \
                 sine=duration={seconds} -c:v libx264 -preset veryfast -g 50 -pix_fmt yuv420p \
                 -c:a aac {more}"
            ),
        )
    }

    /// A picture of noise of about 80 kB each tenth of a second.
    pub fn noise(&self, name: &str, pictures: u32) -> PathBuf {
        self.make(
            name,
            &format!(
                "-f rawvideo -s 320x240 -pix_fmt yuvj420p -r 10 -i /dev/urandom -frames:v \
                 {pictures} -c:v mjpeg -q:v 1"
            ),
        )
    }

    /// Has GStreamer write a file: what stands between a parser of H.264 and that.
    pub fn launched(&self, name: &str, muxer: &str) -> PathBuf {
        let file = self.path(name);
        let line = format!(
            "-q videotestsrc num-buffers=75 ! video/x-raw,width=320,height=240,framerate=25/1 ! \
             x264enc key-int-max=50 bframes=2 ! h264parse ! {muxer} ! filesink location={}",
            text(&file)
        );
        run_tool("gst-launch-1.0", &line.split_whitespace().collect::<Vec<_>>());
        file
    }

    /// Has GStreamer write so many pictures into files, which `muxer` has to call `s%d.mp4`.
    pub fn launched_parts(&self, muxer: &str, pictures: u32) -> Vec<PathBuf> {
        let muxer = muxer.replace("s%d.mp4", text(&self.path("s%d.mp4")));
        let line = format!(
            "-q videotestsrc num-buffers={pictures} ! video/x-raw,width=320,height=240,\
             framerate=25/1 ! x264enc key-int-max=50 bframes=2 ! h264parse ! {muxer}"
        );
        run_tool("gst-launch-1.0", &line.split_whitespace().collect::<Vec<_>>());
        let named = (0..).map(|number| self.path(&format!("s{number}.mp4")));
        named.take_while(|path| path.exists()).collect()
    }

    /// What ffmpeg leaves that is killed after some seconds.
    pub fn killed(&self, name: &str, more: &str) -> PathBuf {
        let path = self.path(name);
        let line = format!(
            "-v error -y -re -f lavfi -i testsrc2=size=320x240:rate=25 -c:v libx264 -g 25 -threads \
             1 {more} -flush_packets 1 {}",
            text(&path)
        );
        self.killed_program(Command::new("ffmpeg").args(line.split_whitespace()));
        path
    }

    /// Runs a program for some seconds.
    pub fn killed_program(&self, command: &mut Command) {
        let mut writer = command.stdin(Stdio::null()).spawn().expect("it is installed");
        std::thread::sleep(Duration::from_millis(3700));
        writer.kill().and_then(|()| writer.wait()).expect("it is killed");
    }

    pub fn import(&self, words: &[&str], files: &[&Path]) -> Output {
        let config = self.site.config();
        let head = ["import", "--config", text(&config), "--camera", "yard"];
        let files: Vec<&str> = files.iter().map(|file| text(file)).collect();
        self.site.reelfs(&[&head[..], words, &files].concat())
    }

    /// What an import prints that ends with `status`.
    pub fn ended(&self, status: i32, words: &[&str], files: &[&Path]) -> String {
        let output = self.import(words, files);
        let (said, wrong) = (string(&output.stdout), string(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{said}{wrong}");
        assert!(!wrong.contains("panicked"), "{wrong}");
        said
    }

    /// The clips of the ring, as `inspect` tells them.
    pub fn clips(&self) -> Vec<Value> {
        let ring = self.site.ring_path();
        let output = self.site.reelfs(&["inspect", text(&ring), "clips", "--json"]);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Pictures in all clips, those that are not shown, too.
    pub fn frames(&self) -> u64 {
        self.clips().iter().map(|clip| clip["frames"].as_u64().expect("a number")).sum()
    }

    pub fn spans(&self) -> Vec<(f64, f64)> {
        let since = |value: &Value| {
            let told = value.as_str().expect("a time");
            let words = ["-u", "-d", told, "+%s.%N"];
            let at: f64 = run_tool("date", &words).trim().parse().expect("seconds");
            at - 1_772_366_400.0
        };
        self.clips().iter().map(|clip| (since(&clip["start"]), since(&clip["end"]))).collect()
    }

    /// All packets of a kind of all clips, by the time on the wall since `START`.
    pub fn packets(&self, kind: &str) -> Vec<Packet> {
        let copies = copies::of_ring(&self.site.ring_path(), &self.path(""));
        let starts = self.spans().into_iter().map(|(start, _)| start);
        let of_clips = copies.iter().zip(starts).flat_map(|(copy, start)| {
            let packets = packets(copy, kind);
            packets.into_iter().map(move |packet| Packet { at: packet.at + start, ..packet })
        });
        of_clips.collect()
    }

    /// A ring without anything in it again.
    pub fn emptied(&self) {
        let ring = self.site.ring_path();
        let size = fs::metadata(&ring).expect("the ring").len().to_string();
        fs::remove_file(&ring).expect("the ring");
        let words = ["format", "--size", &size, "--block-size", "1M", "--label", "test"];
        assert!(self.site.reelfs(&[&words[..], &[text(&ring)]].concat()).status.success());
    }
}

/// Imports a folder by the names of its files: the exit status, and what is said.
pub fn by_names(
    bench: &Bench,
    pattern: &str,
    more: &[&str],
    folder: &str,
) -> (Option<i32>, String) {
    let (config, folder) = (bench.site.config(), bench.path(folder));
    let words = ["import", "--config", text(&config), "--name-pattern", pattern];
    let output = bench.site.reelfs(&[&words[..], more, &[text(&folder)]].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), string(&said))
}

pub fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The packets of a kind of a file that are shown, in the order of decoding.
pub fn packets(file: &Path, kind: &str) -> Vec<Packet> {
    let words = ["-v", "error", "-select_streams", kind, "-show_data_hash", "md5"];
    let entries = ["-show_entries", "packet=pts_time,size,pos,flags,data_hash", "-of", "csv=p=0"];
    let lines = run_tool("ffprobe", &[&words[..], &entries, &[text(file)]].concat());
    let number = |word: &str| word.parse::<usize>().ok();
    let packets = lines.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        // Of one that is not played from its beginning the digest stands elsewhere.
        let [at, size, place, flags, digest, ..] = fields[..] else { return None };
        if digest.is_empty() {
            return None;
        }
        let packet = Packet {
            at: at.parse().ok()?,
            is_key: flags.starts_with('K'),
            digest: digest.to_owned(),
            end: number(place).zip(number(size)).map(|(place, size)| place + size),
        };
        (!flags.contains('D')).then_some(packet)
    });
    packets.collect()
}

/// The same packets, whose times differ by the same.
pub fn assert_same(name: &str, found: &[Packet], wanted: &[Packet]) {
    let digests = |packets: &[Packet]| -> Vec<String> {
        packets.iter().map(|packet| packet.digest.clone()).collect()
    };
    assert_eq!(found.len(), wanted.len(), "{name}: packets");
    assert!(digests(found) == digests(wanted), "{name}: other bytes");
    let least = |packets: &[Packet]| packets.iter().map(|it| it.at).fold(f64::MAX, f64::min);
    let (zero, origin) = (least(found), least(wanted));
    for (found, wanted) in found.iter().zip(wanted) {
        let (at, told) = (found.at - zero, wanted.at - origin);
        assert!((at - told).abs() < ROUNDED_S, "{name}: {at} and {told}");
        assert_eq!(found.is_key, wanted.is_key, "{name}: at {told}");
    }
}

/// Sound begins with the pictures and ends with them: a packet before, and one or two across the
/// end, belong to no picture.
pub fn assert_same_sound(name: &str, found: &[Packet], wanted: &[Packet]) {
    let digests: Vec<&String> = found.iter().map(|packet| &packet.digest).collect();
    let all: Vec<&String> = wanted.iter().map(|packet| &packet.digest).collect();
    let missing = all.len() - digests.len().min(all.len());
    assert!(missing <= 4, "{name}: {} of {} packets", digests.len(), all.len());
    let is_part = digests.is_empty() || all.windows(digests.len()).any(|part| part == digests);
    assert!(is_part, "{name}: other sound");
}

/// The beginning of a file.
pub fn cut(bench: &Bench, file: &Path, name: &str, bytes: usize) -> PathBuf {
    let whole = fs::read(file).expect("a file");
    let path = bench.path(name);
    fs::write(&path, &whole[..bytes.min(whole.len())]).expect("a part of it");
    path
}
