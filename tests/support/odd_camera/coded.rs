//! Pictures of other codecs than that of the footage, as payloads of packets, without marks.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::footage::{GROUP, units};
use super::packet::{PAYLOAD_BYTES_MAX, Packet};
use super::{CLOCK_RATE, Oddity, RATE};

/// Four seconds of a test picture, which are sent again and again.
pub struct Coded {
    /// As a description names the codec.
    encoding: &'static str,
    /// Payloads, by picture.
    pictures: Vec<Vec<Vec<u8>>>,
}

impl Coded {
    /// H.265 in groups as long as those of the footage, of two slices each, with a delimiter
    /// before them (RFC 7798).
    pub fn h265() -> Coded {
        let options = format!(
            "keyint={GROUP}:min-keyint={GROUP}:open-gop=0:bframes=0:scenecut=0:slices=2:aud=1:\
             repeat-headers=1:log-level=error"
        );
        let bytes = encoded(&["-c:v", "libx265", "-x265-params", &options, "-f", "hevc"]);
        let mut pictures: Vec<Vec<Vec<u8>>> = Vec::new();
        for unit in units(&bytes) {
            if unit[0] >> 1 == 35 {
                pictures.push(vec![]);
            }
            let picture = pictures.last_mut().expect("a delimiter");
            picture.extend(fragments(&unit));
        }
        Coded { encoding: "H265", pictures }
    }

    /// JPEG, with tables in each picture (RFC 2435, 3.1 and 4.2).
    pub fn jpeg() -> Coded {
        let coding = ["-c:v", "mjpeg", "-huffman", "default", "-q:v", "6", "-pix_fmt", "yuvj420p"];
        let bytes = encoded(&[&coding[..], &["-f", "mjpeg"]].concat());
        let starts: Vec<usize> =
            (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&[0xff, 0xd8, 0xff])).collect();
        let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
        let pictures = starts.iter().zip(ends).map(|(start, end)| pieces(&bytes[*start..end]));
        Coded { encoding: "JPEG", pictures: pictures.collect() }
    }

    /// A camera that sends these pictures, at its rate.
    pub fn sent_by(self, oddity: Oddity) -> Oddity {
        let lines = format!("a=rtpmap:96 {}/{CLOCK_RATE}", self.encoding);
        let description = move |text: String| {
            let told = text.lines().filter(|line| !line.starts_with("a=fmtp"));
            let told = told.map(|line| if line.starts_with("a=rtpmap") { &lines } else { line });
            told.flat_map(|line| [line, "\r\n"]).collect()
        };
        let (pictures, sequence) = (Arc::new(self.pictures), AtomicU16::new(65_500));
        let change = oddity.packets;
        let packets = move |frame: u64, plain: Vec<Packet>| {
            let payloads = &pictures[frame as usize % pictures.len()];
            let packets = payloads.iter().enumerate().map(|(at, payload)| Packet {
                marker: at + 1 == payloads.len(),
                sequence: sequence.fetch_add(1, Ordering::SeqCst),
                payload: payload.clone(),
                ..plain[0].clone()
            });
            change(frame, packets.collect())
        };
        Oddity { description: Box::new(description), packets: Box::new(packets), ..oddity }
    }
}

fn encoded(coding: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file: &Path = &folder.path().join("pictures");
    let source = format!("testsrc2=size=320x240:rate={RATE}");
    let words = ["-v", "error", "-f", "lavfi", "-i", &source, "-t", "4", "-pix_fmt", "yuv420p"];
    let mut command = Command::new("ffmpeg");
    assert!(command.args(words).args(coding).arg(file).status().expect("ffmpeg").success());
    std::fs::read(file).expect("pictures")
}

/// RFC 7798, 4.4.3.
fn fragments(unit: &[u8]) -> Vec<Vec<u8>> {
    if unit.len() <= PAYLOAD_BYTES_MAX {
        return vec![unit.to_vec()];
    }
    let pieces: Vec<&[u8]> = unit[2..].chunks(PAYLOAD_BYTES_MAX).collect();
    let count = pieces.len();
    let fragment = |(at, piece): (usize, &&[u8])| {
        let ends = u8::from(at == 0) << 7 | u8::from(at + 1 == count) << 6;
        [&[unit[0] & 0x81 | 49 << 1, unit[1], ends | unit[0] >> 1 & 63], *piece].concat()
    };
    pieces.iter().enumerate().map(fragment).collect()
}

/// The scan of a picture, up to its end, in pieces.
fn pieces(picture: &[u8]) -> Vec<Vec<u8>> {
    let (mut tables, mut at) = (Vec::new(), 2);
    while picture[at + 1] != 0xda {
        let length = usize::from(u16::from_be_bytes([picture[at + 2], picture[at + 3]]));
        if picture[at + 1] == 0xdb {
            // Each has 64 numbers behind what it is.
            tables.extend(picture[at + 4..at + 2 + length].chunks(65).flat_map(|it| &it[1..]));
        }
        at += 2 + length;
    }
    if tables.len() == 64 {
        tables.extend_from_within(..);
    }
    let scan = &picture[at + 2 + usize::from(picture[at + 3])..];
    let end = scan.windows(2).position(|two| two == [0xff, 0xd9]).expect("an end");
    let piece = |(number, piece): (usize, &[u8])| {
        let offset = (number * PAYLOAD_BYTES_MAX) as u32;
        let mut payload = offset.to_be_bytes().to_vec();
        payload.extend([1, 255, 320_u16.div_ceil(8) as u8, 240_u16.div_ceil(8) as u8]);
        if number == 0 {
            payload.extend([0, 0, 0, tables.len() as u8]);
            payload.extend(&tables);
        }
        [&payload, piece].concat()
    };
    scan[..end].chunks(PAYLOAD_BYTES_MAX).enumerate().map(piece).collect()
}
