//! Frames whose pictures are NAL units: with the parameter sets that decode them, and none twice.
//! Pure.
//!
//! What codecs do apart is a [`NalCodec`]: another one is another row of functions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::coding::{Coded, Depacketizer, Heard, ReorderDepth};
use super::leading::Leading;
use super::odd::Odd;
use super::open_picture::Access;
use super::parameters::Parameters;
use super::picture::{Assembler, Picture};
use super::rtp::Packet;
use super::sdp::Format;
use super::sets::{Sets, with_front};
use super::source::Place;
use super::track::VideoFacts;
use super::units::Syntax;
use crate::clock::Reading;
use crate::segment::ParameterSet;

/// What a codec of NAL units does its own way.
pub(super) struct NalCodec {
    /// What its units look like.
    pub(super) syntax: &'static Syntax,
    /// Parameter sets that a description tells.
    pub(super) told_sets: fn(&Format) -> Vec<Vec<u8>>,
    /// What makes plain payloads of those of a stream that is described like this; `None` where
    /// they are.
    pub(super) plain: fn(&Format) -> Option<Plain>,
    /// What decodes the picture that a unit belongs to; `None` where the sets do not say.
    pub(super) decoding: fn(&Sets, &[u8]) -> Option<Decoding>,
}

impl NalCodec {
    /// What decodes the picture that a unit belongs to.
    pub(super) fn decoding_of(&self, sets: &Sets, slice: &[u8]) -> Option<Decoding> {
        // What strangers send is read by libraries here: a panic in them is no picture, and not
        // the end of the recorder.
        let read = || (self.decoding)(sets, slice);
        catch_unwind(AssertUnwindSafe(read)).ok()?
    }
}

/// Makes a payload of one that has more in it.
pub(super) type Plain = fn(&[u8]) -> Vec<u8>;

/// What the parameter sets of a picture say.
pub(super) struct Decoding {
    pub(super) set: ParameterSet,
    pub(super) reorder_depth: ReorderDepth,
    /// They say what colours mean, as far as that is looked at.
    pub(super) has_colour: bool,
    /// A picture may be two fields, each of which begins like a picture.
    pub(super) has_fields: bool,
    /// RFC 6381 name of the codec.
    pub(super) codec: String,
    /// Pictures a second.
    pub(super) frame_rate: Option<f64>,
}

/// The pictures of one track.
pub(super) struct Pictures {
    codec: &'static NalCodec,
    plain: Option<Plain>,
    assembler: Assembler,
    sets: Sets,
    /// The sets are not those that `parameters` were made from.
    has_new_sets: bool,
    /// What was given with a frame last.
    parameters: Option<Arc<Parameters>>,
    facts: VideoFacts,
    lost_packets: u32,
    /// The last picture: some servers send it twice.
    last: Option<Seen>,
    leading: Leading,
    /// Ticks between the last two.
    step: Option<i64>,
    heard: Heard,
}

/// What a picture is known again by: its time, its length, and how it begins.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    time: i64,
    length: usize,
    beginning: Vec<u8>,
}

/// So much of a picture, in bytes: another slice of the same picture begins with another place.
const BEGINNING_BYTES: usize = 256;

impl Seen {
    fn of(picture: &Picture) -> Seen {
        let beginning = picture.data[..picture.data.len().min(BEGINNING_BYTES)].to_vec();
        Seen { time: picture.time, length: picture.data.len(), beginning }
    }
}

impl Pictures {
    /// None yet, of a stream that is described like this.
    pub(super) fn new(codec: &'static NalCodec, format: &Format) -> Pictures {
        let mut sets = Sets::default();
        for set in (codec.told_sets)(format) {
            sets.take(codec.syntax, &set);
        }
        Pictures {
            codec,
            plain: (codec.plain)(format),
            assembler: Assembler::new(codec.syntax),
            sets,
            has_new_sets: true,
            parameters: None,
            facts: VideoFacts::default(),
            lost_packets: 0,
            last: None,
            leading: Leading::default(),
            step: None,
            heard: Heard::default(),
        }
    }

    /// Whether what was left out before a picture may have been another one: there is room for it.
    fn lacks(&mut self, picture: &Picture) -> bool {
        let step = self.last.as_ref().map(|last| picture.time.saturating_sub(last.time));
        let usual = std::mem::replace(&mut self.step, step);
        let is_far = step.zip(usual).is_some_and(|(step, usual)| step > usual + usual / 2);
        picture.is_doubtful && is_far
    }

    /// A picture as the recorder wants it; `None` where it came before, or nobody could decode it.
    fn coded(&mut self, picture: Picture) -> Option<Coded> {
        self.lost_packets = self.lost_packets.saturating_add(picture.lost);
        let seen = Seen::of(&picture);
        if self.last.as_ref() == Some(&seen) {
            return None;
        }
        let lacks = self.lacks(&picture);
        if lacks {
            self.lost_packets = self.lost_packets.max(picture.skipped).max(1);
        }
        self.last = Some(seen);
        let is_key = matches!(picture.access, Access::Key | Access::OpenKey);
        let is_entry = is_key || picture.access == Access::Recovery;
        let is_leading = self.leading.take(picture.access, picture.time);
        let mut changed = Vec::new();
        for set in &picture.sets {
            if self.sets.take(self.codec.syntax, set) {
                changed.push(set.clone());
            }
        }
        self.has_new_sets |= !changed.is_empty();
        let mut parameters = None;
        if self.has_new_sets && (is_entry || self.parameters.is_none()) {
            parameters = self.new_parameters(&picture)?;
        }
        let front = match is_entry {
            true => self.sets.in_front(&picture.sets),
            false => Sets::joined(&changed),
        };
        let data = match front.is_empty() {
            true => picture.data,
            false => with_front(self.codec.syntax, &front, &picture.data),
        };
        Some(Coded {
            time: picture.time,
            is_key,
            parameters,
            is_recovery: picture.access == Access::Recovery,
            is_leading,
            duration: None,
            lost_packets: std::mem::take(&mut self.lost_packets),
            received: picture.received,
            data,
        })
    }

    /// What decodes a picture, where it is news; `None` where nothing does.
    fn new_parameters(&mut self, picture: &Picture) -> Option<Option<Arc<Parameters>>> {
        let slice = picture.data.get(picture.slice + 4..)?;
        let decoding = self.codec.decoding_of(&self.sets, slice)?;
        self.has_new_sets = false;
        self.assembler.set_fields(decoding.has_fields);
        let size = decoding.set.video.map_or((0, 0), |video| (video.width, video.height));
        self.facts.codec = decoding.codec;
        self.facts.picture = (u32::from(size.0), u32::from(size.1));
        self.facts.frame_rate = decoding.frame_rate.or(self.facts.frame_rate);
        let encoded = decoding.set.encode();
        if self.parameters.as_ref().is_some_and(|known| *known.encoded == *encoded) {
            return Some(None);
        }
        let new = Parameters::new(&decoding.set, encoded.into(), decoding.reorder_depth);
        let new = Arc::new(new);
        self.parameters = Some(Arc::clone(&new));
        Some(Some(new))
    }
}

impl Depacketizer for Pictures {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        match self.plain {
            None => self.assembler.push(packet, place, received),
            Some(plain) => {
                let payload = plain(packet.payload);
                let packet = Packet { payload: &payload, ..*packet };
                self.assembler.push(&packet, place, received)
            }
        }
    }

    fn next(&mut self) -> Option<Coded> {
        loop {
            let picture = self.assembler.next()?;
            self.heard.frames += 1;
            let begins = matches!(picture.access, Access::Key | Access::OpenKey | Access::Recovery);
            self.heard.key_frames += u64::from(begins);
            if let Some(coded) = self.coded(picture) {
                return Some(coded);
            }
        }
    }

    fn waits(&self) -> bool {
        self.assembler.waits()
    }

    fn flush(&mut self) {
        self.assembler.flush();
    }

    fn heard(&self) -> Heard {
        self.heard
    }

    fn has_parameters(&self) -> bool {
        self.parameters.is_some()
    }

    fn video_facts(&self) -> VideoFacts {
        self.facts.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::camera::{h264, h265};
    use crate::units::{BootTime, WallTime};

    /// How units of a codec become payloads.
    #[derive(Clone, Copy, Debug)]
    struct Form {
        codec: fn() -> &'static NalCodec,
        /// Of units, and of an aggregate.
        header: usize,
        aggregate: &'static [u8],
        /// A first, a middle and a last unit of a picture, and sets that stand before key pictures.
        delimiter: &'static [u8],
        key: &'static [u8],
        other: &'static [u8],
        behind: &'static [u8],
        sets: &'static [&'static [u8]],
        /// Payloads have decoding order numbers.
        is_numbered: bool,
    }

    const H264: Form = Form {
        codec: || &h264::CODEC,
        header: 1,
        aggregate: &[0x78],
        delimiter: &[9, 0xf0],
        key: &[0x65, 0x88],
        other: &[0x41, 0x9a],
        behind: &[0x41, 0x40],
        sets: &[&h264::tests::SPS_UNIT, &h264::tests::PPS_UNIT],
        is_numbered: false,
    };
    const H265: Form = Form {
        codec: || &h265::CODEC,
        header: 2,
        aggregate: &[0x60, 1],
        delimiter: &[0x46, 1, 0x50],
        key: &[0x28, 1, 0xaf],
        other: &[0x02, 1, 0xd0],
        behind: &[0x50, 1, 0x84],
        sets: &[&h265::tests::SPS_UNIT, &h265::tests::PPS_UNIT],
        is_numbered: false,
    };
    const NUMBERED: Form = Form { is_numbered: true, ..H265 };

    /// What becomes of the next units.
    #[derive(Clone, Copy, Debug)]
    enum Cut {
        Single,
        /// So many in one payload.
        Aggregate(usize),
        /// The same with start codes between them, which no standard knows.
        Stream(usize),
        /// Pieces of so many bytes.
        Fragments(usize),
    }

    fn cuts() -> impl Strategy<Value = Vec<Cut>> {
        let cut = prop_oneof![
            Just(Cut::Single),
            (1_usize..4).prop_map(Cut::Aggregate),
            (1_usize..4).prop_map(Cut::Stream),
            (1_usize..40).prop_map(Cut::Fragments),
        ];
        prop::collection::vec(cut, 1..30)
    }

    impl Form {
        /// Units of ten pictures.
        fn pictures(&self) -> Vec<Vec<Vec<u8>>> {
            let unit = |head: &[u8], length: usize| {
                let bytes = (0..length).map(|at| 1 + (at * 7 % 255) as u8);
                head.iter().copied().chain(bytes).collect::<Vec<u8>>()
            };
            let picture = |number: usize| {
                let is_key = number.is_multiple_of(5);
                let mut units = vec![self.delimiter.to_vec()];
                if is_key {
                    units.extend(self.sets.iter().map(|set| set.to_vec()));
                }
                units.push(unit(if is_key { self.key } else { self.other }, 30 + 11 * number));
                if !is_key {
                    units.push(unit(self.behind, 20));
                }
                units
            };
            (0..10).map(picture).collect()
        }

        fn payloads(
            &self,
            units: &[Vec<u8>],
            cuts: &mut impl Iterator<Item = Cut>,
        ) -> Vec<Vec<u8>> {
            let mut payloads = Vec::new();
            let mut rest = units;
            while let [first, ..] = rest {
                let cut = cuts.next().expect("it goes round");
                let count = match cut {
                    Cut::Aggregate(count) | Cut::Stream(count) => count.min(rest.len()),
                    Cut::Single | Cut::Fragments(_) => 1,
                };
                let (taken, behind) = rest.split_at(count);
                match cut {
                    Cut::Single => payloads.push(self.numbered(first)),
                    Cut::Aggregate(_) => payloads.push(self.aggregate(taken)),
                    Cut::Stream(_) => payloads.push(self.numbered(&taken.join(&[0, 0, 0, 1][..]))),
                    Cut::Fragments(length) => payloads.extend(self.fragments(first, length)),
                }
                rest = behind;
            }
            payloads
        }

        fn numbered(&self, unit: &[u8]) -> Vec<u8> {
            let (header, body) = unit.split_at(self.header);
            let number: &[u8] = if self.is_numbered { &[0x12, 0x34] } else { &[] };
            [header, number, body].concat()
        }

        fn aggregate(&self, units: &[Vec<u8>]) -> Vec<u8> {
            let mut payload = self.aggregate.to_vec();
            for (at, unit) in units.iter().enumerate() {
                let number: &[u8] = if at == 0 { &[0x12, 0x34] } else { &[1] };
                payload.extend_from_slice(if self.is_numbered { number } else { &[] });
                payload.extend((unit.len() as u16).to_be_bytes());
                payload.extend(unit);
            }
            payload
        }

        fn fragments(&self, unit: &[u8], length: usize) -> Vec<Vec<u8>> {
            let (header, body) = unit.split_at(self.header);
            let pieces = body.chunks(length).collect::<Vec<_>>();
            let count = pieces.len();
            let fragment = |(at, piece): (usize, &[u8])| {
                let ends = u8::from(at == 0) << 7 | u8::from(at + 1 == count) << 6;
                let mut payload = match *header {
                    [first] => vec![first & 0xe0 | 28, ends | first & 0x1f],
                    [first, second] => vec![0x62, second, ends | first >> 1],
                    _ => unreachable!("no codec has more"),
                };
                if self.is_numbered && at == 0 {
                    payload.extend([0x12, 0x34]);
                }
                [payload, piece.to_vec()].concat()
            };
            pieces.into_iter().enumerate().map(fragment).collect()
        }

        /// Time, key or not, and bytes of each frame.
        fn frames(&self, cuts: &[Cut], has_markers: bool) -> Vec<(i64, bool, Vec<u8>)> {
            let parameters = if self.is_numbered { "sprop-max-don-diff=1" } else { "" };
            let format = Format { parameters: parameters.to_owned(), ..Format::default() };
            let mut pictures = Pictures::new((self.codec)(), &format);
            let mut cuts = cuts.iter().copied().cycle();
            let (wall, boot) = (WallTime(0), BootTime(0));
            let received = Reading { wall, boot, boot_id: [0; 16], synchronised: true };
            let mut frames = Vec::new();
            for (units, time) in self.pictures().iter().zip((0..).step_by(3600)) {
                let payloads = self.payloads(units, &mut cuts);
                for (at, payload) in payloads.iter().enumerate() {
                    let marker = has_markers && at + 1 == payloads.len();
                    let (payload_type, sequence, timestamp, ssrc) = (96, 0, 0, 0);
                    let packet =
                        Packet { marker, payload_type, sequence, timestamp, ssrc, payload };
                    let place = Place { time, ..Place::default() };
                    pictures.push(&packet, place, &received).expect("a payload");
                    frames.extend(std::iter::from_fn(|| pictures.next()));
                }
            }
            pictures.flush();
            frames.extend(std::iter::from_fn(|| pictures.next()));
            assert_eq!(frames.iter().filter(|frame| frame.parameters.is_some()).count(), 1);
            frames.into_iter().map(|frame| (frame.time, frame.is_key, frame.data)).collect()
        }
    }

    #[test]
    fn key_frames_have_all_sets_behind_their_delimiter() {
        for form in [H264, H265, NUMBERED] {
            let frames = form.frames(&[Cut::Single], true);
            let times: Vec<i64> = frames.iter().map(|frame| frame.0).collect();
            assert_eq!(times, (0..10).map(|frame| frame * 3600).collect::<Vec<i64>>());
            for ((_, is_key, data), units) in frames.iter().zip(form.pictures()) {
                assert_eq!(*is_key, units.iter().any(|unit| unit == form.sets[0]));
                assert_eq!(*data, Sets::joined(&units));
            }
        }
    }

    proptest! {
        #[test]
        fn any_cutting_into_packets_gives_the_same_frames(
            cuts in cuts(),
            has_markers: bool,
            form in prop::sample::select(vec![H264, H265, NUMBERED]),
        ) {
            let wanted = form.frames(&[Cut::Single], true);
            prop_assert_eq!(wanted, form.frames(&cuts, has_markers));
        }

        #[test]
        fn any_payloads_are_frames_or_reasons(
            payloads in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..60), any::<bool>(), 0_i64..4), 1..60,
            ),
            form in prop::sample::select(vec![H264, H265, NUMBERED]),
        ) {
            let parameters = if form.is_numbered { "sprop-max-don-diff=1" } else { "" };
            let format = Format { parameters: parameters.to_owned(), ..Format::default() };
            let mut pictures = Pictures::new((form.codec)(), &format);
            let (wall, boot) = (WallTime(0), BootTime(0));
            let received = Reading { wall, boot, boot_id: [0; 16], synchronised: true };
            let mut bytes = 0;
            for (payload, marker, time) in &payloads {
                bytes += payload.len();
                let (marker, time) = (*marker, *time);
                let (payload_type, sequence, timestamp, ssrc) = (96, 0, 0, 0);
                let packet = Packet { marker, payload_type, sequence, timestamp, ssrc, payload };
                let place = Place { time, ..Place::default() };
                let _ = pictures.push(&packet, place, &received);
                while let Some(frame) = pictures.next() {
                    prop_assert!(frame.data.len() <= 8 * bytes);
                }
            }
        }
    }
}
