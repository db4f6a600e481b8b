//! A camera with three clips that were imported, and ranges of its time.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::clips::footage;
use crate::daemon::{Site, run_tool, text};

/// The camera.
pub const YARD: &str = "yard";
/// Pictures a second of what is imported.
pub const RATE: usize = 10;

/// Clips of 4, 3 and 5 seconds: the second follows the first at once, the third 20 s later. Each
/// has its own settings, and the last another size.
pub fn site() -> Site {
    let mut site = Site::new("64M");
    site.view = "clip = \"10m\"\nzone = \"Europe/Berlin\"\n".to_owned();
    site.add_camera(YARD, "rtsp://127.0.0.1:1/", "retain = \"4000d\"\n");
    let plain = ["-bf", "0", "-g", "50"];
    let reordered = ["-bf", "2", "-g", "50", "-profile:v", "main"];
    let small = ["-bf", "0", "-g", "10", "-s", "160x120", "-profile:v", "baseline"];
    let clips: [(&str, u32, &[&str]); 3] = [
        ("2026-03-28 12:00:00", 4, &plain),
        ("2026-03-28 12:00:04", 3, &reordered),
        ("2026-03-28 12:00:27", 5, &small),
    ];
    for (number, (start, seconds, more)) in clips.into_iter().enumerate() {
        let file = footage(&site.path(""), &format!("{number}.mp4"), seconds, more);
        site.import_with(YARD, start, &file, &["--force"]);
    }
    site
}

/// A range of it.
pub fn named(site: &Site, name: &str) -> PathBuf {
    site.mount().join(format!(".range/{YARD}/{name}"))
}

/// A clip of it.
pub fn clip(site: &Site, name: &str) -> PathBuf {
    site.mount().join(format!("2026-03-28/{YARD}/{name}.mp4"))
}

/// Of all bytes of a file.
pub fn digest(path: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).expect("a file")).expect("its bytes");
    hasher.finalize().to_string()
}

/// Presentation times of the pictures, in s, as ffmpeg's demuxer tells them; what it is told not to
/// show is left out.
pub fn times(path: &Path) -> Vec<f64> {
    let words = ["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,flags"];
    let lines = run_tool("ffprobe", &[&words[..], &["-of", "csv=p=0", text(path)]].concat());
    let mut times: Vec<f64> = lines
        .lines()
        .filter_map(|line| line.split_once(','))
        .filter(|(_, flags)| !flags.contains('D'))
        .map(|(time, _)| time.parse().expect("a time"))
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// A range reads the same whatever the pieces.
pub fn assert_reads_in_pieces(path: &Path) {
    let whole = fs::read(path).expect("its bytes");
    let file = File::open(path).expect("a file");
    assert_eq!(file.metadata().expect("its size").len(), whole.len() as u64);
    for (at, length) in (0..whole.len()).step_by(7919).zip((1..9000).step_by(271).cycle()) {
        let mut piece = vec![0; length.min(whole.len() - at)];
        file.read_exact_at(&mut piece, at as u64).expect("a piece");
        assert!(piece == whole[at..at + piece.len()], "{length} bytes at {at}");
    }
}

/// Pictures of so many seconds of the first clips, 20 s of grey, and two seconds of the third clip,
/// each at its time.
pub fn assert_times(told: &[f64], before_seconds: usize) {
    const GAP: usize = 20;
    let behind = before_seconds * RATE + GAP;
    assert_eq!(told.len(), behind + 2 * RATE);
    for (number, time) in told.iter().enumerate() {
        let before = before_seconds * RATE;
        let expected = match number {
            _ if number < before => number as f64 / RATE as f64,
            _ if number < behind => (before_seconds + number - before) as f64,
            _ => (before_seconds + GAP) as f64 + (number - behind) as f64 / RATE as f64,
        };
        assert!((time - expected).abs() < 0.002, "picture {number} at {time}, not {expected}");
    }
}
