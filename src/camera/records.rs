//! Records that cameras send beside their pictures: ONVIF metadata (ONVIF Streaming, 5.2.1), which
//! tell of motion and of what analytics saw. Each becomes a frame as text, whether it came
//! compressed or not: who reads it later should need nothing but its type. Pure.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::coding::{Coded, Coding, Depacketizer, Heard};
use super::odd::Odd;
use super::rtp::Packet;
use super::sdp::Format;
use super::sound::Complete;
use super::source::Place;
use crate::clock::Reading;
use crate::segment::{Codec, ParameterSet, TrackKind};
use crate::units::{BootTime, NANOS_PER_SECOND};

/// Plain text (ONVIF Streaming, 5.2.1.1).
pub(super) const TEXT: Coding = Coding {
    described: ("application", "vnd.onvif.metadata"),
    kind: TrackKind::Timed,
    clock_rate: None,
    name: "ONVIF metadata",
    depacketizer: |_: &Format| Ok(Box::new(Records::new(false))),
};

/// The same, compressed.
pub(super) const GZIP: Coding = Coding {
    described: ("application", "vnd.onvif.metadata.gzip"),
    kind: TrackKind::Timed,
    clock_rate: None,
    name: "ONVIF metadata",
    depacketizer: |_: &Format| Ok(Box::new(Records::new(true))),
};

/// What a record is.
const TYPE: &str = "application/vnd.onvif.metadata";
/// How it begins, but for a declaration, with a name space (ONVIF Streaming, 5.2.1.1).
const ROOT: &[u8] = b"MetadataStream";
/// RFC 1952, 2.3.1.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// A record at most, in bytes, and all of them in a second.
pub(super) const RECORD_BYTES_MAX: usize = 256 << 10;
const WINDOW_NANOS: i64 = NANOS_PER_SECOND;

/// The records of one track.
struct Records {
    is_compressed: bool,
    /// The beginning of one: its time and its bytes.
    open: Option<(i64, Vec<u8>)>,
    /// A part of the one that comes is missing: up to its end it is left out.
    is_broken: bool,
    received: Option<Reading>,
    /// Bytes since that moment.
    window: (BootTime, usize),
    complete: Complete,
}

impl Records {
    fn new(is_compressed: bool) -> Records {
        let set = ParameterSet {
            codec: Codec::TimedText,
            configuration: TYPE.as_bytes().to_vec(),
            video: None,
            audio: None,
        };
        Records {
            is_compressed,
            open: None,
            is_broken: false,
            received: None,
            window: (BootTime(0), 0),
            complete: Complete::new(&set, None),
        }
    }

    /// Whether a record surely begins with such bytes.
    fn begins_with(&self, payload: &[u8]) -> bool {
        if self.is_compressed {
            return payload.starts_with(&GZIP_MAGIC);
        }
        let is_root = |tag: &[u8]| {
            let name = tag.split(|byte| matches!(byte, b'>' | b'/' | b' ')).next();
            tag.starts_with(b"?xml") || name.is_some_and(|name| name.ends_with(ROOT))
        };
        payload.trim_ascii_start().strip_prefix(b"<").is_some_and(is_root)
    }

    /// The record that is open has come to its end.
    fn close(&mut self) -> Result<(), Odd> {
        let (Some((time, data)), Some(received)) = (self.open.take(), self.received) else {
            return Ok(());
        };
        let text = if self.is_compressed { expanded(&data)? } else { data };
        let (since, bytes) = &mut self.window;
        if received.boot.0.saturating_sub(since.0) >= WINDOW_NANOS {
            (*since, *bytes) = (received.boot, 0);
        }
        *bytes += text.len();
        if *bytes > RECORD_BYTES_MAX {
            return Err(Odd::ManyRecords);
        }
        self.complete.push(time, None, text, &received);
        Ok(())
    }
}

/// A compressed record as text, where that is no more than a record may be.
fn expanded(data: &[u8]) -> Result<Vec<u8>, Odd> {
    let mut text = Vec::new();
    let mut reader = MultiGzDecoder::new(data).take(RECORD_BYTES_MAX as u64 + 1);
    reader.read_to_end(&mut text).map_err(|_| Odd::NotCompressed)?;
    if text.len() > RECORD_BYTES_MAX { Err(Odd::LargeRecord) } else { Ok(text) }
}

impl Depacketizer for Records {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        let mut taken = Ok(());
        if place.lost > 0 || place.is_anew {
            // Which of two records something is missing of, nobody knows, unless the second begins.
            let may_be_torn = self.open.take().is_some() || place.lost > 0;
            self.is_broken = may_be_torn && !self.begins_with(packet.payload);
            self.complete.lose(place.lost);
        } else if self.open.as_ref().is_some_and(|(time, _)| *time != place.time) {
            // The mark at its end was forgotten.
            taken = self.close();
        }
        self.received = Some(*received);
        if self.is_broken {
            self.is_broken = !packet.marker;
            return taken;
        }
        let (_, data) = self.open.get_or_insert_with(|| (place.time, Vec::new()));
        if data.len() + packet.payload.len() > RECORD_BYTES_MAX {
            (self.open, self.is_broken) = (None, !packet.marker);
            return Err(Odd::LargeRecord);
        }
        data.extend_from_slice(packet.payload);
        if packet.marker {
            taken = taken.and(self.close());
        }
        taken
    }

    fn next(&mut self) -> Option<Coded> {
        self.complete.next()
    }

    fn waits(&self) -> bool {
        self.open.is_some()
    }

    fn flush(&mut self) {
        // What is no record is told where it comes.
        let _ = self.close();
    }

    fn heard(&self) -> Heard {
        self.complete.heard()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::units::WallTime;

    fn at(second: i64) -> Reading {
        let boot = BootTime(second * NANOS_PER_SECOND);
        Reading { wall: WallTime(0), boot, boot_id: [0; 16], synchronised: true }
    }

    fn push(
        records: &mut Records,
        (time, lost, marker): (i64, u32, bool),
        payload: &[u8],
        second: i64,
    ) -> Result<(), Odd> {
        let packet =
            Packet { marker, payload_type: 98, sequence: 0, timestamp: 0, ssrc: 1, payload };
        records.push(&packet, Place { time, lost, ..Place::default() }, &at(second))
    }

    fn told(records: &mut Records) -> Vec<(i64, String)> {
        let frames = std::iter::from_fn(|| records.next());
        frames.map(|it| (it.time, String::from_utf8_lossy(&it.data).into_owned())).collect()
    }

    fn zipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("it is written to memory");
        encoder.finish().expect("the same")
    }

    #[test]
    fn packets_up_to_the_mark_are_a_record() {
        let mut records = Records::new(false);
        for (place, payload) in [
            ((5, 0, false), "<a>"),
            ((5, 0, true), "</a>"),
            ((9, 0, true), "<b/>"),
            ((12, 0, false), "<c/>"),
            ((13, 0, true), "<d/>"),
        ] {
            push(&mut records, place, payload.as_bytes(), 0).unwrap();
        }
        let text = |text: &str| text.to_owned();
        let wanted =
            [(5, text("<a></a>")), (9, text("<b/>")), (12, text("<c/>")), (13, text("<d/>"))];
        assert_eq!(told(&mut records), wanted);
    }

    #[test]
    fn a_record_of_which_something_is_lost_is_left_out() {
        let mut records = Records::new(false);
        for (place, payload) in [
            ((5, 0, false), "<a>"),
            ((5, 1, false), "more"),
            ((5, 0, true), "</a>"),
            ((9, 0, true), "<b/>"),
        ] {
            push(&mut records, place, payload.as_bytes(), 0).unwrap();
        }
        assert_eq!(told(&mut records), [(9, "<b/>".to_owned())]);
    }

    #[test]
    fn a_record_whose_beginning_is_there_behind_a_loss_is_whole() {
        const WHOLE: [&str; 3] =
            ["<tt:MetadataStream a=\"\"/>", "<MetadataStream/>", "<?xml?><x/>"];
        let mut records = Records::new(false);
        for (time, payload) in (0..).zip(WHOLE) {
            push(&mut records, (time, 1, true), payload.as_bytes(), 0).unwrap();
        }
        push(&mut records, (4, 1, true), b"</tt:MetadataStream>", 0).unwrap();
        // One that is open is cut short by the next.
        push(&mut records, (5, 0, false), b"<a>", 0).unwrap();
        push(&mut records, (6, 1, false), b"<?xml?>", 0).unwrap();
        push(&mut records, (6, 0, true), b"<b/>", 0).unwrap();
        let texts = told(&mut records).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts, [&WHOLE[..], &["<?xml?><b/>"]].concat());
        let mut records = Records::new(true);
        push(&mut records, (0, 1, true), &zipped(b"<a/>"), 0).unwrap();
        assert_eq!(told(&mut records), [(0, "<a/>".to_owned())]);
    }

    #[test]
    fn what_is_compressed_becomes_text() {
        let mut records = Records::new(true);
        let zip = zipped(b"<tt:MetadataStream/>");
        push(&mut records, (0, 0, false), &zip[..9], 0).unwrap();
        push(&mut records, (0, 0, true), &zip[9..], 0).unwrap();
        assert_eq!(told(&mut records), [(0, "<tt:MetadataStream/>".to_owned())]);
        assert_eq!(push(&mut records, (1, 0, true), b"<a/>", 0), Err(Odd::NotCompressed));
        let bomb = zipped(&vec![b'x'; 8 << 20]);
        assert!(bomb.len() < RECORD_BYTES_MAX);
        assert_eq!(push(&mut records, (2, 0, true), &bomb, 0), Err(Odd::LargeRecord));
        assert_eq!(told(&mut records), []);
    }

    #[test]
    fn more_than_the_limit_in_a_second_is_left_out() {
        let mut records = Records::new(false);
        let half = vec![b'x'; RECORD_BYTES_MAX / 2];
        let taken = |records: &mut Records, second| push(records, (0, 0, true), &half, second);
        assert_eq!((taken(&mut records, 5), taken(&mut records, 5)), (Ok(()), Ok(())));
        assert_eq!(taken(&mut records, 5), Err(Odd::ManyRecords));
        assert_eq!(taken(&mut records, 6), Ok(()));
        let large = vec![b'x'; RECORD_BYTES_MAX + 1];
        assert_eq!(push(&mut records, (0, 0, false), &large, 9), Err(Odd::LargeRecord));
        assert_eq!(push(&mut records, (0, 0, true), b"its end", 9), Ok(()));
        assert_eq!(told(&mut records).len(), 3);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_bounded(
            is_compressed in any::<bool>(),
            packets in prop::collection::vec(
                (any::<(i64, bool)>(), 0_u32..2, prop::collection::vec(any::<u8>(), 0..50)), 0..40),
        ) {
            let mut records = Records::new(is_compressed);
            for ((time, marker), lost, payload) in packets {
                let _ = push(&mut records, (time, lost, marker), &payload, 0);
            }
            let bytes: usize = told(&mut records).iter().map(|(_, text)| text.len()).sum();
            prop_assert!(bytes <= 3 * RECORD_BYTES_MAX);
        }
    }
}
