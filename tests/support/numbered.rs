//! Footage whose pictures carry the number of their time: ten a second, sixteen squares along the
//! top, black or white, the greatest bit first.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::daemon::text;

/// Pictures a second.
pub const RATE: usize = 10;
/// Instead of the number of a picture that is grey all over.
pub const GREY: i64 = -1;

/// What programs are told to make of a picture, so that [`numbers`] can read it: four columns for
/// each square, and two rows, of which the first is squares.
pub const COLUMNS: usize = 64;
pub const ROWS: usize = 2;

/// The pictures of some seconds, coded as `encoder` says.
pub fn encode(file: &Path, seconds: Range<usize>, [width, height]: [usize; 2], encoder: &[&str]) {
    let size = format!("{width}x{height}");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", &size]);
    command.args(["-r", &RATE.to_string(), "-i", "-", "-c:v", "libx264"]);
    command.args(["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1"]);
    command.args(["-video_track_timescale", "90000"]).args(encoder).arg(file);
    let mut ffmpeg = command.stdin(Stdio::piped()).spawn().expect("ffmpeg");
    let mut pictures = BufWriter::new(ffmpeg.stdin.take().expect("a pipe"));
    for number in seconds.start * RATE..seconds.end * RATE {
        let square = |column| if number >> (15 - column * 16 / width) & 1 == 1 { 235 } else { 16 };
        let squares = (0..width).map(square).collect::<Vec<u8>>().repeat(height / 2);
        pictures.write_all(&squares).expect("it takes them");
        pictures.write_all(&vec![60; width * height - squares.len()]).expect("it takes them");
    }
    drop(pictures);
    assert!(ffmpeg.wait().expect("it ends").success(), "{}", text(file));
}

/// The numbers of pictures of one byte a pixel, [`COLUMNS`] and [`ROWS`] large.
pub fn numbers(pictures: &[u8]) -> Vec<i64> {
    let number = |picture: &[u8]| {
        let lights: Vec<u8> = (0..16).map(|square| picture[square * 4 + 2]).collect();
        if lights.iter().all(|light| (96..160).contains(light)) {
            return GREY;
        }
        let is_clear = lights.iter().all(|light| !(64..192).contains(light));
        assert!(is_clear, "neither squares nor grey: {lights:?}");
        lights.iter().fold(0, |value, light| value * 2 + i64::from(*light > 128))
    };
    assert_eq!(pictures.len() % (COLUMNS * ROWS), 0, "whole pictures");
    pictures.chunks_exact(COLUMNS * ROWS).map(number).collect()
}

/// The same for who reads of a failure: the first and the last number of each run.
pub fn runs(pictures: &[u8]) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers(pictures) {
        match runs.last_mut() {
            Some((_, last)) if number == *last + 1 || (number, *last) == (GREY, GREY) => {
                *last = number;
            }
            _ => runs.push((number, number)),
        }
    }
    runs
}
