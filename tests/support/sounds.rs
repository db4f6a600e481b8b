//! The sound of files, as ffmpeg reads it.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::Path;
use std::process::Command;

use crate::daemon::{run_tool, text};

/// Samples of 16 bits, as ffmpeg decodes them.
pub fn samples(format: &[&str], file: &Path) -> Vec<i16> {
    let bytes = read(format, file, &["-f", "s16le", "-c:a", "pcm_s16le"]);
    bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()
}

/// Beginning and length of a stream, in seconds, where there is one.
pub fn extent(file: &Path, stream: &str) -> Option<(f64, f64)> {
    let words = ["-v", "error", "-select_streams", stream, "-of", "csv=p=0"];
    let asked = ["-show_entries", "stream=start_time,duration"];
    let told = run_tool("ffprobe", &[&words[..], &asked, &[text(file)]].concat());
    let numbers: Vec<f64> = told.trim().split(',').filter_map(|it| it.parse().ok()).collect();
    numbers.first_chunk::<2>().map(|[begin, length]| (*begin, *length))
}

/// The bytes of all packets of sound, one behind another, as they are in the file.
pub fn packets(file: &Path) -> Vec<u8> {
    read(&[], file, &["-c:a", "copy", "-f", "data"])
}

fn read(format: &[&str], file: &Path, wanted: &[&str]) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error"]).args(format).arg("-i").arg(file);
    let out = command.args(["-map", "0:a"]).args(wanted).arg("-").output();
    let out = out.expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.is_empty(), "{file:?}: {said}");
    out.stdout
}
