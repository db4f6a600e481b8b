//! What is lost of cameras on the way, whatever their codec, and what is to be stored then.

use std::sync::{Arc, Mutex};

use crate::odd_camera::{GROUP, Packet};
use crate::odd_recordings::Seen;

/// How the packets and samples of a codec are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
    Jpeg,
}

impl Codec {
    /// Bytes of the header of a unit.
    fn header(self) -> usize {
        match self {
            Codec::H264 => 1,
            _ => 2,
        }
    }

    /// Whether a unit with this header is a part of the picture itself.
    fn is_slice(self, header: u8) -> bool {
        match self {
            Codec::H264 => matches!(header & 31, 1 | 5),
            Codec::H265 => header >> 1 & 63 < 32,
            Codec::Jpeg => true,
        }
    }

    /// The header of a unit that a payload begins or goes on with, whether it begins it, and its
    /// bytes behind the header.
    fn piece(self, payload: &[u8]) -> (Vec<u8>, bool, &[u8]) {
        let (header, body) = payload.split_at(self.header());
        match (self, body) {
            (Codec::H264, [ends, body @ ..]) if header[0] & 31 == 28 => {
                (vec![header[0] & 0xe0 | ends & 31], ends & 0x80 != 0, body)
            }
            (Codec::H265, [ends, body @ ..]) if header[0] >> 1 & 63 == 49 => {
                (vec![header[0] & 0x81 | (ends & 63) << 1, header[1]], ends & 0x80 != 0, body)
            }
            _ => (header.to_vec(), true, body),
        }
    }

    /// Whether the picture is torn without a packet.
    fn needs(self, packet: &Packet) -> bool {
        self == Codec::Jpeg || self.is_slice(self.piece(&packet.payload).0[0])
    }

    /// What a sample has of a picture itself: its slices one after another, or its scan.
    fn picture(self, packets: &[Packet]) -> Vec<u8> {
        let mut picture = Vec::new();
        for packet in packets.iter().filter(|packet| self.needs(packet)) {
            if self == Codec::Jpeg {
                // Behind the header, and in the first packet the tables (RFC 2435, 3.1).
                let tables =
                    if picture.is_empty() { 4 + usize::from(packet.payload[11]) } else { 0 };
                picture.extend(&packet.payload[8 + tables..]);
                continue;
            }
            let (header, is_first, body) = self.piece(&packet.payload);
            picture.extend(header.iter().filter(|_| is_first));
            picture.extend(body);
        }
        picture
    }

    /// The same of a sample.
    fn stored(self, sample: &[u8]) -> Vec<u8> {
        if self == Codec::Jpeg {
            let scan = sample.windows(2).position(|two| two == [0xff, 0xda]).expect("a scan");
            let length = usize::from(sample[scan + 3]);
            return sample[scan + 2 + length..sample.len() - 2].to_vec();
        }
        let (mut picture, mut rest) = (Vec::new(), sample);
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let (unit, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
            picture.extend(unit.iter().filter(|_| self.is_slice(unit[0])));
            rest = behind;
        }
        picture
    }
}

/// A frame that was sent.
pub struct Sent {
    picture: Vec<u8>,
    /// Packets of it that are lost on their way, and whether the picture is torn by that.
    lost: u64,
    is_torn: bool,
}

/// Those of a camera, by number.
pub type Account = Arc<Mutex<Vec<Sent>>>;

/// What becomes of the packets of frames where so many of a thousand are lost, whatever they carry,
/// but not in the first group.
pub fn losing(
    codec: Codec,
    per_mille: u64,
    account: &Account,
) -> impl Fn(u64, Vec<Packet>) -> Vec<Packet> + Send + Sync + 'static {
    let (account, state) = (Arc::clone(account), Mutex::new(0x9E37_79B9_7F4A_7C15_u64 ^ per_mille));
    move |frame, packets| {
        let mut state = state.lock().expect("nobody died");
        let mut is_lost = |_: &Packet| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            frame > GROUP && *state % 1000 < per_mille
        };
        let picture = codec.picture(&packets);
        let (lost, kept): (Vec<_>, Vec<_>) = packets.into_iter().partition(&mut is_lost);
        let is_torn = lost.iter().any(|packet| codec.needs(packet));
        let mut account = account.lock().expect("nobody died");
        assert_eq!(account.len() as u64, frame, "one session, from its beginning");
        account.push(Sent { picture, lost: lost.len() as u64, is_torn });
        kept
    }
}

/// Whether the frames that arrived whole are stored, and no others, and those behind a loss are
/// marked up to the next key frame, of a camera of that rate.
pub fn judge_losses(codec: Codec, seen: &Seen, sent: &[Sent], rate: usize) -> Result<(), String> {
    let (mut next, mut is_damaged) = (0, false);
    let mut stored = 0;
    for sample in seen.clips.iter().flat_map(|clip| &clip.samples) {
        let picture = codec.stored(&sample.data);
        let place = sent[next..].iter().position(|sent| sent.picture == picture);
        let place = next + place.ok_or(format!("a frame behind {next} is torn, or twice"))?;
        let before = &sent[next..place];
        if let Some(whole) = before.iter().position(|sent| !sent.is_torn) {
            return Err(format!("frame {} arrived whole and is missing", next + whole));
        }
        if sent[place].is_torn {
            return Err(format!("frame {place} is stored, and was torn"));
        }
        let is_behind_loss = sent[next..=place].iter().any(|sent| sent.lost > 0);
        is_damaged = !sample.sync && (is_damaged || is_behind_loss);
        if sample.damaged != is_damaged {
            return Err(format!("frame {place}: damaged {}", sample.damaged));
        }
        (next, stored) = (place + 1, stored + 1);
    }
    let torn = sent.iter().filter(|sent| sent.is_torn).count();
    let lost: u64 = sent.iter().map(|sent| sent.lost).sum();
    let told = seen.status.lost_packets;
    println!("{stored} of {} stored, {torn} torn, {told} of {lost} packets told", sent.len());
    // What is missing at last is waited for.
    if next + rate / 2 < sent.len() {
        return Err(format!("it ended with {next} of {}", sent.len()));
    }
    // The last ones may not be missed yet.
    match torn > 0 && told <= lost && lost - told <= 20 {
        true => Ok(()),
        false => Err(format!("{torn} torn, {told} of {lost} packets told")),
    }
}
