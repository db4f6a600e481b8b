//! What the test cameras put into every frame (see `cameras.py`), read out of recorded samples.

/// The mark of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the camera, from 1.
    pub camera: u16,
    /// Number of the frame, in the order of decoding.
    pub frame: u64,
    /// The sender's wall clock, in ns since 1970.
    pub sent: i64,
}

const UUID: &[u8; 16] = b"reelfs-test-cam!";

/// The mark of a sample: NAL units, each with a length of four bytes.
pub fn stamp(mut sample: &[u8]) -> Option<Stamp> {
    while let Some((length, rest)) = sample.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if let Some(stamp) = unit_stamp(unit) {
            return Some(stamp);
        }
        sample = rest;
    }
    None
}

fn unit_stamp(unit: &[u8]) -> Option<Stamp> {
    /// Headers of H.264 and H.265.
    const SEI: [&[u8]; 2] = [&[6], &[0x4E, 1]];
    const USER_DATA: u8 = 5;
    const LENGTH: u8 = 16 + 2 + 8 + 8;
    let plain = without_emulation_prevention(unit);
    let body = SEI.into_iter().find_map(|header| plain.strip_prefix(header))?;
    let body = body.strip_prefix(&[USER_DATA, LENGTH])?.strip_prefix(UUID)?;
    let (camera, body) = body.split_first_chunk::<2>()?;
    let (frame, body) = body.split_first_chunk::<8>()?;
    let (sent, _) = body.split_first_chunk::<8>()?;
    Some(Stamp {
        camera: u16::from_be_bytes(*camera),
        frame: u64::from_be_bytes(*frame),
        sent: i64::from_be_bytes(*sent),
    })
}

/// ITU-T H.264, 7.4.1.1. Only the beginning matters here.
fn without_emulation_prevention(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(64);
    let mut zeros = 0;
    for &byte in unit.iter().take(64) {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}
