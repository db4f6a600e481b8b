//! Whatever is lost on the way, pictures that arrived whole are frames, and torn ones are none;
//! what is missing is told with the frame behind it.

use proptest::prelude::*;

use super::*;
use crate::camera::sets::push_unit;
use crate::camera::{h264, h265};

/// How a camera sends its pictures.
#[derive(Clone, Copy, Debug)]
struct Form {
    codec: &'static Codec,
    /// Of a picture; 1 where the codec has none.
    slices: usize,
    /// Packets of a slice.
    pieces: usize,
    markers: Markers,
    /// They are shown in another order than they are decoded in.
    is_reordered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Markers {
    Right,
    /// One on each slice, or on each packet of a codec that has none.
    OnEach,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tcp,
    Udp,
}

#[derive(Debug)]
struct Codec {
    /// As a description names it.
    name: &'static str,
    /// Bytes of the header of a unit.
    header: usize,
    /// A delimiter and a message, before the slices of each picture, and what stands between them
    /// before those of a key picture.
    ahead: &'static [&'static [u8]],
    sets: &'static [&'static [u8]],
    /// Beginnings of slices: the first of a key picture and of another one, and those behind it.
    first: [&'static [u8]; 2],
    behind: [&'static [u8]; 2],
    /// The header of a fragment of a unit.
    fragment: fn(&[u8], u8) -> Vec<u8>,
}

static H264: Codec = Codec {
    name: "H264",
    header: 1,
    ahead: &[&[9, 0xf0], &[6, 5, 4, 0xaa, 0xbb, 0xcc, 0xdd, 0x80]],
    sets: &[&h264::tests::SPS_UNIT, &h264::tests::PPS_UNIT],
    first: [&[0x65, 0x88], &[0x41, 0x9a]],
    behind: [&[0x65, 0x48], &[0x41, 0x4a]],
    fragment: |unit, ends| vec![unit[0] & 0xe0 | 28, ends | unit[0] & 0x1f],
};
static H265: Codec = Codec {
    name: "H265",
    header: 2,
    ahead: &[&[0x46, 1, 0x50], &[0x4e, 1, 5, 4, 0xaa, 0xbb, 0xcc, 0xdd, 0x80]],
    sets: &[&h265::tests::SPS_UNIT, &h265::tests::PPS_UNIT],
    first: [&[0x28, 1, 0xaf], &[0x02, 1, 0xd0]],
    behind: [&[0x28, 1, 0x2f], &[0x02, 1, 0x50]],
    fragment: |unit, ends| vec![0x62, unit[1], ends | unit[0] >> 1],
};
/// Pictures are pieces of what is no unit.
static JPEG: Codec = Codec {
    name: "JPEG",
    header: 0,
    ahead: &[],
    sets: &[],
    first: [&[], &[]],
    behind: [&[], &[]],
    fragment: |_, _| Vec::new(),
};

/// Pictures that nothing is lost of: the camera is known by then.
const BEFORE: usize = 12;
const PICTURES: usize = 34;
const GROUP: usize = 8;
const STEP: u32 = 3600;
/// Numbers begin anew amid them.
const FIRST_NUMBER: u16 = 65_500;

/// One packet.
struct Sent {
    payload: Vec<u8>,
    marker: bool,
    /// Without it the picture is torn.
    is_needed: bool,
}

struct Picture {
    time: u32,
    sent: Vec<Sent>,
    /// Its slices as a frame holds them.
    slices: Vec<u8>,
}

impl Form {
    fn pictures(&self) -> Vec<Picture> {
        (0..PICTURES).map(|number| self.picture(number)).collect()
    }

    fn picture(&self, number: usize) -> Picture {
        // A picture of a later time is decoded before the two that are shown before it.
        let shown = if self.is_reordered { [0, 3, 1, 2][number % 4] } else { number % 4 };
        let time = (number - number % 4 + shown) as u32 * STEP;
        let (mut sent, slices) = match self.codec.first[0].is_empty() {
            true => (self.of_scan(number), Vec::new()),
            false => self.of_units(number),
        };
        let last = sent.len() - 1;
        sent[last].marker = self.markers != Markers::None;
        Picture { time, sent, slices }
    }

    fn of_units(&self, number: usize) -> (Vec<Sent>, Vec<u8>) {
        let (codec, is_key) = (self.codec, number.is_multiple_of(GROUP));
        let kind = usize::from(!is_key);
        let sets = if is_key { codec.sets } else { &[] };
        let [delimiter, message] = codec.ahead else { panic!("a delimiter and a message") };
        let ahead = [delimiter].into_iter().chain(sets).map(|unit| unit.to_vec());
        let ahead = ahead.chain(self.fragments(message));
        let unneeded = |payload| Sent { payload, marker: false, is_needed: false };
        let mut sent: Vec<Sent> = ahead.map(unneeded).collect();
        let mut slices = Vec::new();
        for slice in 0..self.slices {
            let head = if slice == 0 { codec.first } else { codec.behind }[kind];
            let body = (0..40 + number + slice).map(|at| 1 + (at * 7 % 255) as u8);
            let unit: Vec<u8> = head.iter().copied().chain(body).collect();
            push_unit(&mut slices, &unit);
            let payloads = self.fragments(&unit);
            let count = payloads.len();
            for (at, payload) in payloads.into_iter().enumerate() {
                let marker = self.markers == Markers::OnEach && at + 1 == count;
                sent.push(Sent { payload, marker, is_needed: true });
            }
        }
        (sent, slices)
    }

    fn fragments(&self, unit: &[u8]) -> Vec<Vec<u8>> {
        if self.pieces == 1 {
            return vec![unit.to_vec()];
        }
        let body = &unit[self.codec.header..];
        let pieces: Vec<&[u8]> = body.chunks(body.len().div_ceil(self.pieces)).collect();
        let count = pieces.len();
        let fragment = |(at, piece): (usize, &&[u8])| {
            let ends = u8::from(at == 0) << 7 | u8::from(at + 1 == count) << 6;
            [(self.codec.fragment)(unit, ends), piece.to_vec()].concat()
        };
        pieces.iter().enumerate().map(fragment).collect()
    }

    /// RFC 2435, 3.1: each piece says where it is.
    fn of_scan(&self, number: usize) -> Vec<Sent> {
        let scan: Vec<u8> = (0..60 + number).map(|at| ((at + number) * 7 % 251) as u8).collect();
        let length = scan.len().div_ceil(self.slices * self.pieces);
        let piece = |(at, piece): (usize, &[u8])| {
            let head = [0, 0, 0, (at * length) as u8, 1, 60, 80, 45];
            let marker = self.markers == Markers::OnEach;
            Sent { payload: [&head, piece].concat(), marker, is_needed: true }
        };
        scan.chunks(length).enumerate().map(piece).collect()
    }

    fn track(&self, way: Way) -> Track {
        let name = self.codec.name;
        let text = format!("m=video 0 RTP/AVP 96\na=rtpmap:96 {name}/90000\n");
        let mut track = offered(&text).expect("it is recorded").remove(0);
        if way == Way::Udp {
            track.source.may_lose_packets();
        }
        track
    }

    /// The frames that come of what is not lost.
    fn received(
        &self,
        way: Way,
        pictures: &[Picture],
        is_lost: impl Fn(usize, usize) -> bool,
    ) -> Vec<Frame> {
        let (mut track, mut frames) = (self.track(way), VecDeque::new());
        let sent = pictures.iter().enumerate().flat_map(|(number, picture)| {
            picture.sent.iter().enumerate().map(move |(at, sent)| (number, at, picture.time, sent))
        });
        for (count, (number, at, time, sent)) in sent.enumerate() {
            if is_lost(number, at) {
                continue;
            }
            let mut bytes = vec![0x80, u8::from(sent.marker) << 7 | 96];
            bytes.extend(FIRST_NUMBER.wrapping_add(count as u16).to_be_bytes());
            bytes.extend(time.to_be_bytes());
            bytes.extend([0, 0, 0, 1]);
            bytes.extend(&sent.payload);
            let nanos = count as i64 * 1_000_000;
            let (wall, boot) = (WallTime(nanos), BootTime(nanos));
            let now = Reading { wall, boot, boot_id: [0; 16], synchronised: true };
            // A rest whose beginning is lost is odd.
            let _ = track.take(&bytes, &now, &mut frames);
        }
        track.flush(&mut frames);
        frames.into()
    }
}

/// What is to come of pictures, some packets of which are lost.
struct Wanted {
    /// Numbers of those that are whole.
    whole: Vec<usize>,
    /// Packets that are lost before each of those, behind the one before, or within.
    lost: Vec<u32>,
}

fn wanted(pictures: &[Picture], is_lost: impl Fn(usize, usize) -> bool) -> Wanted {
    let mut wanted = Wanted { whole: Vec::new(), lost: Vec::new() };
    let mut lost = 0;
    for (number, picture) in pictures.iter().enumerate() {
        let gone = (0..picture.sent.len()).filter(|at| is_lost(number, *at));
        let needed = |at: &usize| picture.sent[*at].is_needed;
        lost += gone.clone().count() as u32;
        if !gone.clone().any(|at| needed(&at)) {
            wanted.whole.push(number);
            wanted.lost.push(std::mem::take(&mut lost));
        }
    }
    wanted
}

/// Numbers of the pictures that frames are; their bytes are those of the picture.
fn numbers(
    pictures: &[Picture],
    whole: &[Frame],
    frames: &[Frame],
    is_lost: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let number = |frame: &Frame| {
        let number = pictures.iter().position(|picture| i64::from(picture.time) == frame.pts);
        let number = number.expect("a picture that was sent");
        let is_complete = !(0..pictures[number].sent.len()).any(|at| is_lost(number, at));
        assert!(frame.data.ends_with(&pictures[number].slices), "{number} is torn");
        assert!(!is_complete || frame.data == whole[number].data, "{number} has other bytes");
        number
    };
    frames.iter().map(number).collect()
}

/// One thing that is lost: told a picture and the place of a packet in it.
struct Loss {
    name: &'static str,
    is_lost: fn(&[Picture], usize, usize) -> bool,
    /// Pictures that are torn or missing, of units and of pieces.
    missing: [&'static [usize]; 2],
}

/// The place of the first packet of the picture itself.
fn first_needed(picture: &Picture) -> usize {
    picture.sent.iter().position(|sent| sent.is_needed).expect("there is one")
}

fn is_last(pictures: &[Picture], number: usize, at: usize) -> bool {
    at + 1 == pictures[number].sent.len()
}

/// The first picture of a group is number 16.
const LOSSES: [Loss; 14] = [
    Loss { name: "nothing", is_lost: |_, _, _| false, missing: [&[], &[]] },
    Loss {
        name: "the first packet",
        is_lost: |_, number, at| number == 18 && at == 0,
        missing: [&[], &[18]],
    },
    Loss {
        name: "all that is no slice",
        is_lost: |pictures, number, at| number == 18 && !pictures[18].sent[at].is_needed,
        missing: [&[], &[]],
    },
    Loss {
        name: "the beginning of a slice",
        is_lost: |pictures, number, at| number == 18 && at == first_needed(&pictures[18]),
        missing: [&[18], &[18]],
    },
    Loss {
        name: "the first packets up to that",
        is_lost: |pictures, number, at| number == 18 && at <= first_needed(&pictures[18]),
        missing: [&[18], &[18]],
    },
    Loss {
        name: "one amid it",
        is_lost: |pictures, number, at| number == 18 && at + 2 == pictures[18].sent.len(),
        missing: [&[18], &[18]],
    },
    Loss {
        name: "the last packet",
        is_lost: |pictures, number, at| number == 18 && is_last(pictures, number, at),
        missing: [&[18], &[18]],
    },
    Loss {
        name: "the last packet and the first behind it",
        is_lost: |pictures, number, at| match number {
            18 => is_last(pictures, number, at),
            _ => number == 19 && at == 0,
        },
        missing: [&[18], &[18, 19]],
    },
    Loss {
        name: "the end of one and the beginning of the next",
        is_lost: |pictures, number, at| match number {
            18 => is_last(pictures, number, at),
            _ => number == 19 && at <= first_needed(&pictures[19]),
        },
        missing: [&[18, 19], &[18, 19]],
    },
    Loss { name: "a picture", is_lost: |_, number, _| number == 18, missing: [&[18], &[18]] },
    Loss {
        name: "three pictures and the beginning of the next",
        is_lost: |_, number, at| (18..21).contains(&number) || number == 21 && at == 0,
        missing: [&[18, 19, 20], &[18, 19, 20, 21]],
    },
    Loss {
        name: "the sets before a key picture",
        is_lost: |pictures, number, at| number == 16 && !pictures[16].sent[at].is_needed && at > 0,
        missing: [&[], &[]],
    },
    Loss {
        name: "the beginning of a key picture",
        is_lost: |pictures, number, at| number == 16 && at <= first_needed(&pictures[16]),
        missing: [&[16], &[16]],
    },
    Loss {
        name: "the last of a group",
        is_lost: |_, number, _| number == 15,
        missing: [&[15], &[15]],
    },
];

#[test]
fn each_kind_of_loss_costs_the_pictures_that_it_tears_and_is_told() {
    for codec in [&H264, &H265, &JPEG] {
        for (slices, pieces) in [(1, 1), (1, 3), (3, 1), (3, 3)] {
            let is_of_pieces = codec.sets.is_empty();
            // Of a single packet nothing can be lost but all of it.
            if is_of_pieces && slices * pieces == 1 {
                continue;
            }
            for (way, is_reordered) in
                [(Way::Tcp, false), (Way::Udp, false), (Way::Tcp, true), (Way::Udp, true)]
            {
                let form = Form { codec, slices, pieces, markers: Markers::Right, is_reordered };
                check_losses(&form, way, is_of_pieces);
            }
        }
    }
}

fn check_losses(form: &Form, way: Way, is_of_pieces: bool) {
    let pictures = form.pictures();
    let whole = form.received(way, &pictures, |_, _| false);
    assert_eq!(whole.len(), PICTURES, "{form:?} over {way:?}");
    for loss in &LOSSES {
        let name = format!("{}: {form:?} over {way:?}", loss.name);
        let is_lost = |number, at| (loss.is_lost)(&pictures, number, at);
        // Amid a slice of one packet is none.
        let is_amid = loss.name == "one amid it" && form.slices * form.pieces == 1;
        let missing: &[usize] = if is_amid { &[] } else { loss.missing[usize::from(is_of_pieces)] };
        let kept: Vec<usize> = (0..PICTURES).filter(|it| !missing.contains(it)).collect();
        let wanted = wanted(&pictures, is_lost);
        assert_eq!(wanted.whole, kept, "{name}");
        let frames = form.received(way, &pictures, is_lost);
        assert_eq!(numbers(&pictures, &whole, &frames, is_lost), kept, "{name}");
        let told: Vec<u32> = frames.iter().map(|frame| frame.lost_packets).collect();
        assert_eq!(told, wanted.lost, "{name}");
    }
}

fn forms() -> impl Strategy<Value = Form> {
    let codec = prop::sample::select(vec![0, 1, 2]);
    let markers = prop::sample::select(vec![Markers::Right, Markers::OnEach, Markers::None]);
    (codec, 1_usize..5, 1_usize..4, markers, any::<bool>()).prop_map(
        |(codec, slices, pieces, markers, is_reordered)| Form {
            codec: [&H264, &H265, &JPEG][codec],
            slices,
            pieces,
            markers,
            is_reordered,
        },
    )
}

proptest! {
    #[test]
    fn of_pictures_with_markers_those_that_arrive_whole_are_frames_and_all_losses_are_told(
        form in forms(),
        is_udp: bool,
        percent in 1_u32..30,
        seed: u64,
        end in 0_usize..60,
    ) {
        let way = if is_udp { Way::Udp } else { Way::Tcp };
        let form = Form { markers: Markers::Right, ..form };
        let pictures = form.pictures();
        let whole = form.received(way, &pictures, |_, _| false);
        // It ends anywhere in its last pictures.
        let counts = pictures.iter().map(|picture| picture.sent.len());
        let places = counts.enumerate();
        let places = places.flat_map(|(number, count)| (0..count).map(move |at| (number, at)));
        let places: Vec<(usize, usize)> = places.collect();
        let end = places[places.len() - 1 - end.min(places.len() / 4)];
        let lost = losses(&pictures, percent, seed);
        let is_lost = |number: usize, at: usize| lost[number][at] || (number, at) > end;
        let frames = form.received(way, &pictures, is_lost);
        let wanted = wanted(&pictures, is_lost);
        prop_assert_eq!(numbers(&pictures, &whole, &frames, is_lost), wanted.whole);
        let told: Vec<u32> = frames.iter().map(|frame| frame.lost_packets).collect();
        prop_assert_eq!(told, wanted.lost);
    }

    #[test]
    fn whatever_markers_say_no_torn_picture_is_a_frame_and_one_beside_no_loss_is(
        form in forms(),
        is_udp: bool,
        percent in 1_u32..30,
        seed: u64,
    ) {
        let way = if is_udp { Way::Udp } else { Way::Tcp };
        let pictures = form.pictures();
        let whole = form.received(way, &pictures, |_, _| false);
        let lost = losses(&pictures, percent, seed);
        let is_lost = |number: usize, at: usize| lost[number][at];
        let wanted = wanted(&pictures, is_lost);
        let frames = form.received(way, &pictures, is_lost);
        let got = numbers(&pictures, &whole, &frames, is_lost);
        prop_assert!(got.iter().all(|number| wanted.whole.contains(number)), "{got:?}");
        // What is missing behind it may have been its end.
        let ends_surely = |number: &usize| {
            lost.get(number + 1).is_none_or(|next| !next[0])
        };
        for number in wanted.whole.iter().filter(|it| ends_surely(it)) {
            prop_assert!(got.contains(number), "{number} is not in {got:?}");
        }
        // What is torn or missing is told with the next one.
        let mut last = None;
        for (frame, number) in frames.iter().zip(&got) {
            let before = last.replace(*number).map_or(0, |last: usize| last + 1);
            prop_assert!(*number == before || frame.lost_packets > 0, "{number} behind {before}");
        }
    }
}

/// Which packets are lost, by picture and place: so many of a hundred, and none of the first and of
/// the last picture, of which only a marker says that it is complete.
fn losses(pictures: &[Picture], percent: u32, seed: u64) -> Vec<Vec<bool>> {
    let mut state = seed | 1;
    let mut is_lost = |number: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (BEFORE..PICTURES - 1).contains(&number) && (state >> 32) % 100 < u64::from(percent)
    };
    let of_picture = |(number, picture): (usize, &Picture)| {
        picture.sent.iter().map(|_| is_lost(number)).collect()
    };
    pictures.iter().enumerate().map(of_picture).collect()
}
