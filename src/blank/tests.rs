//! What is made is decoded by a program that was not written here, and looked at.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::flac::Shape;
use crate::segment::{AudioParameters, Look, VideoParameters};

fn video(codec: Codec, configuration: &[u8], (width, height): (u16, u16)) -> ParameterSet {
    let video = VideoParameters { width, height, pixel_aspect: (1, 1), look: Look::PLAIN };
    ParameterSet { codec, configuration: configuration.to_vec(), video: Some(video), audio: None }
}

fn sound(codec: Codec, sample_rate: u32, channels: u16) -> ParameterSet {
    let audio = AudioParameters { sample_rate, channels };
    ParameterSet { codec, configuration: Vec::new(), video: None, audio: Some(audio) }
}

/// What ffmpeg makes of `input`; it may not complain.
fn decoded(input: &[u8], arguments: &str) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut stdin = ffmpeg.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = ffmpeg.wait_with_output().expect("ffmpeg ends");
    writer.join().expect("no panic").expect("ffmpeg reads all");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    output.stdout
}

/// Luma and chroma of each picture are in the middle of their ranges.
fn assert_grey(values: &[u8], (width, height): (u16, u16), count: usize) {
    let picture = usize::from(width) * usize::from(height) * 3 / 2;
    assert_eq!(values.len(), picture * count);
    let other = values.iter().position(|value| *value != 128);
    let told = other.map(|at| (at, values[at]));
    assert_eq!(told, None, "not grey: {width}×{height}");
}

/// Lengths in front of NAL units become start codes.
fn with_start_codes(samples: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for mut rest in samples.iter().map(Vec::as_slice) {
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let (unit, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(unit);
            rest = behind;
        }
    }
    stream
}

const SIZES: [(u16, u16); 5] = [(16, 16), (34, 18), (640, 360), (1920, 1080), (2592, 1944)];

#[test]
fn h264_is_grey_in_every_profile_and_size() {
    for configuration in [[1, 66, 0xc0, 40, 0xff], [1, 77, 0, 51, 0xff], [1, 100, 0, 51, 0xff]] {
        for size in SIZES {
            let set = video(Codec::H264, &configuration, size);
            let made = pictures(&set, 60).expect("H.264 is made");
            assert!(made[1..].iter().all(|sample| sample.len() < 20), "skipped pictures are small");
            let stream = with_start_codes(&made);
            let pixels = decoded(&stream, "-f h264 -i - -f rawvideo -pix_fmt yuv420p -");
            assert_grey(&pixels, size, 60);
        }
    }
}

#[test]
fn h265_is_grey_in_every_depth_and_size() {
    // Main, and Main 10 with its two bits more.
    for (profile, compatibility, more_bits) in [(1, 0x60, 0), (2, 0x20, 2)] {
        let mut configuration = vec![1, profile, compatibility, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 153];
        configuration.extend([0xf0, 0, 0xfc, 0xfd, 0xf8 | more_bits, 0xf8 | more_bits, 0, 0, 0x0f]);
        for size in SIZES {
            let made = pictures(&video(Codec::H265, &configuration, size), 60);
            let made = made.expect("H.265 is made");
            let largest = made[1..].iter().map(Vec::len).max();
            assert!(largest < Some(64), "skipped pictures are small: {largest:?}");
            let stream = with_start_codes(&made);
            let pixels = decoded(&stream, "-f hevc -i - -f rawvideo -pix_fmt yuv420p -");
            assert_grey(&pixels, size, 60);
        }
    }
}

#[test]
fn jpeg_is_grey_in_every_size() {
    for size in SIZES {
        let set = video(Codec::Jpeg, &[], size);
        let stream = pictures(&set, 3).expect("JPEG is made").concat();
        let pixels = decoded(&stream, "-f mjpeg -i - -f rawvideo -pix_fmt yuvj420p -");
        assert_grey(&pixels, size, 3);
    }
}

#[test]
fn what_can_not_be_made_is_not() {
    assert_eq!(pictures(&video(Codec::H265, &[0xfe; 30], (640, 360)), 2), None, "4:2:2");
    assert_eq!(pictures(&video(Codec::H265, &[1; 20], (640, 360)), 2), None, "cut short");
    assert_eq!(pictures(&video(Codec::TimedText, &[], (640, 360)), 2), None);
    assert_eq!(pictures(&video(Codec::H264, &[1, 66], (640, 360)), 2), None, "no configuration");
    assert_eq!(pictures(&video(Codec::H264, &[1, 66, 0, 40, 0xff], (0, 0)), 2), None);
    let short = video(Codec::H264, &[1, 66, 0, 40, 0xfc], (1920, 1080));
    assert_eq!(pictures(&short, 1), None, "its length does not fit a byte");
    assert_eq!(silence(&sound(Codec::TimedText, 8000, 1), 960), None);
    assert_eq!(silence(&sound(Codec::Aac, 48_000, 6), 1024), None, "six channels");
    assert_eq!(silence(&sound(Codec::Flac, 8000, 1), 0), None, "no length");
}

/// AAC behind headers of ADTS (ISO/IEC 13818-7, 6.2).
fn adts(packet: &[u8], rate_index: u8, channels: u16) -> Vec<u8> {
    let length = packet.len() + 7;
    let channels = channels as u8;
    let mut framed = vec![
        0xff,
        0xf1,
        1 << 6 | rate_index << 2 | channels >> 2,
        channels << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        (length << 5) as u8 | 0x1f,
        0xfc,
    ];
    framed.extend_from_slice(packet);
    framed
}

#[test]
fn silence_is_silent_and_as_long_as_it_says() {
    let pcm = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != 0).count();
    for channels in [1, 2] {
        let (packet, ticks) = silence(&sound(Codec::Aac, 48_000, channels), 1024).expect("AAC");
        let stream = adts(&packet, 3, channels).repeat(20);
        let samples = decoded(&stream, "-f aac -i - -f s16le -");
        assert_eq!((pcm(&samples), ticks), (0, 1024));
        assert_eq!(samples.len(), 20 * 1024 * 2 * usize::from(channels));

        for sample_bits in [16, 24] {
            let shape = Shape { sample_rate: 16_000, channels };
            let mut set = sound(Codec::Flac, 16_000, channels);
            set.configuration = shape.configuration();
            // Five bits that begin in one byte and end in the next one.
            let told = sample_bits - 1;
            set.configuration[16] = set.configuration[16] & 0xfe | told >> 4;
            set.configuration[17] = set.configuration[17] & 0x0f | told << 4;
            let (packet, ticks) = silence(&set, 320).expect("FLAC");
            let stream = [b"fLaC".to_vec(), set.configuration, packet].concat();
            let samples = decoded(&stream, "-f flac -i - -f s16le -");
            assert_eq!((pcm(&samples), ticks), (0, 320));
            assert_eq!(samples.len(), 320 * 2 * usize::from(channels));
        }

        let (packet, ticks) = silence(&sound(Codec::Opus, 48_000, channels), 960).expect("Opus");
        assert_eq!((packet.len(), ticks), (3, 960));
    }
}
