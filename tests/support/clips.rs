//! Mounted clips, as the tools see them that people use.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::daemon::{run_tool, text, try_tool};

/// What must never change about a closed clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Inode.
    pub inode: u64,
    /// As `stat` says it, in bytes.
    pub size: u64,
    /// When the footage ends, in s since 1970.
    pub modified: i64,
    /// Of all bytes that can be read.
    pub digest: String,
}

impl Identity {
    fn of(metadata: &std::fs::Metadata, bytes: &[u8]) -> Identity {
        let digest = blake3::hash(bytes).to_string();
        let (inode, size, modified) = (metadata.ino(), metadata.size(), metadata.mtime());
        Identity { inode, size, modified, digest }
    }
}

/// All closed clips below a mount by their path in it, in the order of their names.
pub fn closed_clips(mount: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![mount.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let below = path.strip_prefix(mount).expect("it is below").to_owned();
            if below == Path::new("now") {
                continue;
            } else if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(text(&below).to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Closed clips of one camera, in the layout that is the default.
pub fn clips_of(mount: &Path, camera: &str) -> Vec<String> {
    let part = format!("/{camera}/");
    closed_clips(mount).into_iter().filter(|clip| clip.contains(&part)).collect()
}

/// Every closed clip with what must never change about it.
///
/// # Panics
/// Where `stat` and the bytes that can be read disagree.
pub fn identities(mount: &Path) -> BTreeMap<String, Identity> {
    let identity = |clip: String| {
        let path = mount.join(&clip);
        let metadata = std::fs::metadata(&path).expect("a clip");
        let bytes = std::fs::read(&path).expect("its bytes");
        assert_eq!(metadata.len(), bytes.len() as u64, "{clip}: stat against bytes read");
        (clip, Identity::of(&metadata, &bytes))
    };
    closed_clips(mount).into_iter().map(identity).collect()
}

/// Every closed clip that is still there when it is looked at: a full ring gives up the oldest.
///
/// # Panics
/// Where one can't be read, and is there.
pub fn identities_left(mount: &Path) -> BTreeMap<String, Identity> {
    let identity = |clip: String| {
        let path = mount.join(&clip);
        let looked_at =
            std::fs::metadata(&path).and_then(|metadata| Ok((metadata, std::fs::read(&path)?)));
        match looked_at {
            Ok((metadata, bytes)) => Some((clip, Identity::of(&metadata, &bytes))),
            Err(error) => {
                assert!(!path.exists(), "{}: {error}", path.display());
                None
            }
        }
    };
    closed_clips(mount).into_iter().filter_map(identity).collect()
}

/// An extended attribute of a clip: `user.reelfs.` and this name.
pub fn attribute(clip: &Path, name: &str) -> String {
    let name = format!("user.reelfs.{name}");
    run_tool("getfattr", &["--absolute-names", "--only-values", "-n", &name, text(clip)])
}

/// A time of an extended attribute, in ns since 1970.
pub fn attribute_time(clip: &Path, name: &str) -> i64 {
    let value = attribute(clip, name);
    let time = chrono::DateTime::parse_from_rfc3339(&value).expect("a time in UTC");
    time.timestamp_nanos_opt().expect("a time of this age")
}

/// A frame of the test cameras in a clip, see `framecheck.py`.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Presentation time in the file, in ns.
    pub time: i64,
    /// Of its camera, in the order of decoding.
    pub number: u64,
    /// The sender's clock, in ns since 1970.
    pub sent: i64,
    /// Whether a key frame.
    pub key: bool,
    /// Of its bytes without parameter sets, as the camera has them.
    pub md5: String,
    /// Of all its bytes.
    pub whole: String,
}

/// All frames of clips, in the order of decoding: taken apart by `framecheck.py`, which knows
/// nothing of this program.
pub fn frames(clips: &[PathBuf]) -> Vec<Frame> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/framecheck.py");
    let mut words = vec![script];
    words.extend(clips.iter().map(|clip| text(clip)));
    let lines = run_tool("/usr/bin/python3", &words);
    let frame = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let seconds = value["t"].as_f64().expect("a time");
        Frame {
            time: (seconds * 1e9).round() as i64,
            number: value["frame"].as_u64().expect("a marked frame"),
            sent: value["sent"].as_i64().expect("a marked frame"),
            key: value["key"].as_bool().expect("a mark"),
            md5: value["md5"].as_str().expect("a digest").to_owned(),
            whole: value["whole"].as_str().expect("a digest").to_owned(),
        }
    };
    lines.lines().map(frame).collect()
}

/// Fails where ffmpeg, decoding all of a clip, has anything to say.
pub fn assert_plays(clip: &Path) {
    let words = ["-v", "error", "-xerror", "-i", text(clip), "-f", "null", "-"];
    let output = try_tool("ffmpeg", &words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", clip.display());
}

/// Digests of the packets of the first track, in the order of decoding, as ffmpeg's demuxer reads
/// them.
pub fn packet_digests(clip: &Path) -> Vec<String> {
    let words = ["-v", "error", "-select_streams", "0", "-show_data_hash", "md5"];
    let words = [&words[..], &["-show_entries", "packet=data_hash", "-of", "csv=p=0"]].concat();
    let lines = run_tool("ffprobe", &[&words[..], &[text(clip)]].concat());
    let digest = |line: &str| line.trim_matches(',').trim_start_matches("MD5:").to_owned();
    lines.lines().map(digest).collect()
}

/// A track as mkvmerge's demuxer, which shares no code with ffmpeg's, reads it.
#[derive(Debug)]
pub struct Track {
    /// Such as `V_MPEG4/ISO/AVC`.
    pub codec: String,
    /// Presentation times of the frames in ms, in the order of presentation.
    pub times: Vec<f64>,
    /// When the last frame's turn is over, in ms.
    pub end: f64,
}

/// The tracks of a file according to mkvmerge.
///
/// # Panics
/// Where mkvmerge has a complaint.
pub fn mkvmerge_tracks(file: &Path) -> Vec<Track> {
    mkvmerge_tracks_but(file, None)
}

/// The same, but for warnings with certain words about what mkvmerge itself can't do.
pub fn mkvmerge_tracks_but(file: &Path, inability: Option<&str>) -> Vec<Track> {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.mkv");
    let output = try_tool("mkvmerge", &["--no-date", "-o", text(&copy), text(file)]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_allowed = |line: &&str| inability.is_some_and(|words| line.contains(words));
    let mut complaints = said.lines().filter(|line| line.starts_with("Warning"));
    assert!(complaints.all(|line| is_allowed(&line)), "{}: {said}", file.display());
    // 1 stands for warnings, 2 for errors.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {said}", file.display());
    let identified = run_tool("mkvmerge", &["-J", text(&copy)]);
    let identified: Value = serde_json::from_str(&identified).expect("JSON");
    let track = |track: &Value| {
        let id = track["id"].as_u64().expect("a number");
        let times = folder.path().join(format!("times.{id}"));
        let wanted = format!("{id}:{}", text(&times));
        run_tool("mkvextract", &[text(&copy), "timestamps_v2", &wanted]);
        let lines = std::fs::read_to_string(&times).expect("its times");
        let number = |line: &str| line.parse().expect("a number");
        let numbers = lines.lines().filter(|line| !line.starts_with('#')).map(number);
        let mut times: Vec<f64> = numbers.collect();
        let end = times.pop().expect("an end");
        let codec = track["properties"]["codec_id"].as_str().expect("a codec").to_owned();
        Track { codec, times, end }
    };
    identified["tracks"].as_array().expect("tracks").iter().map(track).collect()
}

/// An mp4 file with H.264 video: a test picture at ten frames a second, a key frame each second.
pub fn footage(folder: &Path, name: &str, seconds: u32, more: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let source = "testsrc2=size=320x240:rate=10";
    let length = seconds.to_string();
    let words = ["-v", "error", "-y", "-f", "lavfi", "-i", source, "-t", &length];
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10"];
    run_tool("ffmpeg", &[&words[..], &codec, more, &[text(&file)]].concat());
    file
}
