//! What the cameras film: 20 s of a test picture, without B-frames, as NAL units.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::RATE;

/// Frames from one key frame to the next.
pub const GROUP: u64 = 25;
/// Frames of all footage.
const FRAMES: u64 = 20 * RATE;

/// The NAL units of a frame.
pub type Units = Vec<Vec<u8>>;

/// Its frames, each with the parameter sets before it.
pub struct Footage {
    frames: Vec<Units>,
}

impl Footage {
    /// A frame, from the beginning again where there is no more, with a mark before its slices.
    pub fn frame(&self, index: u64, number: u64, taken: SystemTime) -> Units {
        let units = &self.frames[(index % FRAMES) as usize];
        let (sets, slices) = units.split_at(units.iter().take_while(|unit| is_set(unit)).count());
        [sets, &[mark(number, taken)], slices].concat()
    }

    /// The sets ahead of the first frame.
    pub fn sets(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.frames[0].iter().filter(|unit| is_set(unit))
    }
}

/// One slice each.
pub fn plain() -> &'static Footage {
    static FOOTAGE: OnceLock<Footage> = OnceLock::new();
    FOOTAGE.get_or_init(|| Footage { frames: encoded("slices=1") })
}

/// Four slices each.
pub fn sliced() -> &'static Footage {
    static FOOTAGE: OnceLock<Footage> = OnceLock::new();
    FOOTAGE.get_or_init(|| Footage { frames: encoded("slices=4") })
}

/// Five groups a second.
pub fn of_short_groups() -> &'static Footage {
    static FOOTAGE: OnceLock<Footage> = OnceLock::new();
    FOOTAGE.get_or_init(|| Footage { frames: encoded("slices=1:keyint=5:min-keyint=1") })
}

/// Key frames use one PPS, the others another, as NVENC does.
pub fn of_two_picture_sets() -> &'static Footage {
    static FOOTAGE: OnceLock<Footage> = OnceLock::new();
    FOOTAGE.get_or_init(|| {
        // Of one quantiser, so that both come to the same pictures.
        let ones = encoded("slices=1:qp=30:sps-id=1");
        let second = of_sequence_set_0(&ones[0][1]);
        let mut frames = encoded("slices=1:qp=30");
        for (frame, one) in frames.iter_mut().zip(ones) {
            match frame.len() {
                3 => frame.insert(2, second.clone()),
                _ => *frame = one,
            }
        }
        Footage { frames }
    })
}

/// One group uses an SPS and a PPS, the next one others.
pub fn of_two_sequence_sets() -> &'static Footage {
    static FOOTAGE: OnceLock<Footage> = OnceLock::new();
    FOOTAGE.get_or_init(|| {
        let (zeros, ones) = (encoded("slices=1"), encoded("slices=1:sps-id=1"));
        let frames = (0..).zip(zeros.into_iter().zip(ones));
        let chosen = |(number, (zero, one)): (u64, _)| {
            if (number / GROUP).is_multiple_of(2) { zero } else { one }
        };
        Footage { frames: frames.map(chosen).collect() }
    })
}

/// A sequence or picture parameter set.
pub fn is_set(unit: &[u8]) -> bool {
    matches!(unit.first().map(|header| header & 31), Some(7 | 8))
}

/// A slice, that of a key frame or another.
pub fn is_slice(unit: &[u8]) -> bool {
    matches!(unit.first().map(|header| header & 31), Some(1 | 5))
}

/// Whether a frame is one that decoding can begin with.
pub fn is_key(units: &Units) -> bool {
    units.iter().any(|unit| unit.first().is_some_and(|header| header & 31 == 5))
}

fn encoded(options: &str) -> Vec<Units> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("footage.h264");
    encode(&file, options);
    let bytes = std::fs::read(file).expect("the footage");
    let mut frames: Vec<Units> = Vec::new();
    let mut ahead = Vec::new();
    for unit in units(&bytes) {
        if is_set(&unit) {
            ahead.push(unit);
        } else if is_slice(&unit) {
            // That of the first macroblock (ITU-T H.264, 7.3.3).
            if unit[1] & 0x80 != 0 {
                frames.push(std::mem::take(&mut ahead));
            }
            frames.last_mut().expect("a first slice").push(unit);
        }
    }
    assert_eq!(frames.len() as u64, FRAMES);
    frames
}

fn encode(file: &Path, options: &str) {
    let group = GROUP.to_string();
    let source = format!("testsrc2=size=320x240:rate={RATE}");
    let words = ["-v", "error", "-f", "lavfi", "-i", &source, "-t", "20", "-c:v", "libx264"];
    let coding = ["-profile:v", "main", "-pix_fmt", "yuv420p", "-g", &group, "-bf", "0"];
    let options = format!("scenecut=0:sliced-threads=0:repeat-headers=1:{options}");
    let mut command = Command::new("ffmpeg");
    command.args(words).args(coding).args(["-x264-params", &options, "-f", "h264"]).arg(file);
    assert!(command.status().expect("ffmpeg is installed").success());
}

/// Between start codes (ITU-T H.264, annex B).
pub fn units(bytes: &[u8]) -> Units {
    let starts: Vec<usize> = (0..bytes.len().saturating_sub(2))
        .filter(|at| bytes[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &bytes[start + 3..end];
        let trailing = unit.iter().rev().take_while(|byte| **byte == 0).count();
        unit[..unit.len() - trailing].to_vec()
    };
    starts.iter().zip(ends).map(unit).collect()
}

/// A PPS of the number 1 for the SPS of the number 1, for that of the number 0: both are the first
/// fields, three bits each, and 0 is one bit that is set (ITU-T H.264, 7.3.2.2, 9.1).
fn of_sequence_set_0(unit: &[u8]) -> Vec<u8> {
    let bits = bits(unit);
    assert_eq!(bits[..6], [0, 1, 0, 0, 1, 0]);
    unit_of(unit[0], &[&bits[..3], &[1], &bits[6..]].concat())
}

/// The PPS of the number 0 with another number.
pub fn with_number(unit: &[u8], number: u8) -> Vec<u8> {
    let bits = bits(unit);
    assert_eq!(bits[0], 1);
    // As many zeros as there are bits behind the first one that is set.
    let code = u32::from(number) + 1;
    let length = code.ilog2();
    let written = (0..=2 * length).map(|at| (code >> (2 * length - at) & 1) as u8);
    unit_of(unit[0], &written.chain(bits[1..].iter().copied()).collect::<Vec<u8>>())
}

fn bits(unit: &[u8]) -> Vec<u8> {
    (0..8 * (unit.len() - 1)).map(|at| unit[1 + at / 8] >> (7 - at % 8) & 1).collect()
}

fn unit_of(header: u8, bits: &[u8]) -> Vec<u8> {
    let bytes = bits
        .chunks(8)
        .map(|byte| (0..8).fold(0, |sum, at| sum << 1 | byte.get(at).copied().unwrap_or_default()));
    let mut unit: Vec<u8> = [header].into_iter().chain(bytes).collect();
    while unit.last() == Some(&0) {
        unit.pop();
    }
    unit
}

/// The mark that `frames.rs` reads, as supplemental enhancement information.
fn mark(frame: u64, taken: SystemTime) -> Vec<u8> {
    let taken = taken.duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let mut body = b"reelfs-test-cam!".to_vec();
    body.extend(1_u16.to_be_bytes());
    body.extend(frame.to_be_bytes());
    body.extend(taken.to_be_bytes());
    let mut unit = vec![6, 5, body.len() as u8];
    for byte in body {
        if byte <= 3 && unit.ends_with(&[0, 0]) {
            unit.push(3);
        }
        unit.push(byte);
    }
    unit.push(0x80);
    unit
}
