//! JPEG pictures (RFC 2435): their packets carry the coded picture and the few numbers that its
//! header is made of. Pure.
//!
//! Each packet says where in its picture it belongs: so it is known of each whether all of it is
//! there, whatever numbers and markers say. The library's own depacketizer can't be used: it keeps
//! no tables between pictures, takes those of 16 bits for others, and needs markers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::coding::{Coded, Coding, Depacketizer, Heard, ReorderDepth};
use super::jpeg_header::{Head, Tables, of_quality};
use super::odd::{Odd, PICTURE_BYTES_MAX};
use super::parameters::Parameters;
use super::rtp::Packet;
use super::sdp::Format;
use super::source::Place;
use super::track::VideoFacts;
use crate::clock::Reading;
use crate::segment::{Codec, Look, ParameterSet, TrackKind, VideoParameters};

/// Described as RFC 3551, 5.2 has it.
pub(super) const CODING: Coding = Coding {
    described: ("video", "jpeg"),
    kind: TrackKind::Video,
    clock_rate: Some(90_000),
    name: "MJPEG",
    depacketizer: |format| Ok(Box::new(Pictures::new(format))),
};

/// The end of a picture (ITU-T T.81, B.1.1.3), which nothing within it looks like.
const END: [u8; 2] = [0xff, 0xd9];
/// RFC 2435, 3.1.3 and 4.1.
const RESTARTS: std::ops::RangeInclusive<u8> = 64..=127;
/// From here on tables are sent (4.2); with the last of them in every picture.
const TABLES_FIRST: u8 = 128;
const TABLES_EVERY: u8 = 255;

/// After so many markers that were right in a row the next one is believed.
const MARKERS_RIGHT: u32 = 2;

/// The pictures of one track.
struct Pictures {
    /// Width and height, where the description says them: RFC 2435 knows none over 2040.
    described: Option<(u16, u16)>,
    /// Those of each quality that is sent.
    tables: BTreeMap<u8, Tables>,
    open: Option<Open>,
    /// So many markers in a row were right; `None` where one was wrong, and only what a picture
    /// says itself counts.
    right_markers: Option<u32>,
    /// The last picture ended as it ends in a file: one that waits has not come to its end.
    has_ends: bool,
    /// Time of the last picture.
    ended: Option<i64>,
    last: Option<Seen>,
    complete: VecDeque<Coded>,
    parameters: Option<Arc<Parameters>>,
    facts: VideoFacts,
    /// Packets that were missing, and whether a picture was given up, since the last one.
    lost: u32,
    is_missing: bool,
    heard: Heard,
}

/// A picture while its packets come.
struct Open {
    time: i64,
    received: Reading,
    head: Head,
    tables: Tables,
    scan: Vec<u8>,
    /// Something of it is missing.
    is_torn: bool,
    has_marker: bool,
}

/// What a picture is known again by: its time, its length, and how it ends. Some servers send it
/// twice.
#[derive(PartialEq, Eq)]
struct Seen {
    time: i64,
    length: usize,
    end: Vec<u8>,
}

/// So much of a picture, in bytes.
const SEEN_BYTES: usize = 256;

/// A packet's payload, taken apart (RFC 2435, 3.1).
struct Piece<'a> {
    offset: usize,
    quality: u8,
    head: Head,
    /// Of the first piece.
    tables: Option<SentTables<'a>>,
    scan: &'a [u8],
}

/// RFC 2435, 3.1.8.
struct SentTables<'a> {
    precision: u8,
    bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    fn parse(payload: &'a [u8]) -> Option<Piece<'a>> {
        let (main, mut rest) = payload.split_first_chunk::<8>()?;
        let [_, high, middle, low, kind, quality, width, height] = *main;
        let mut restart = 0;
        if RESTARTS.contains(&kind) {
            let (marker, behind) = rest.split_first_chunk::<4>()?;
            restart = u16::from_be_bytes([marker[0], marker[1]]);
            rest = behind;
        }
        let offset = u32::from_be_bytes([0, high, middle, low]) as usize;
        let mut tables = None;
        if offset == 0 && quality >= TABLES_FIRST {
            let (head, behind) = rest.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (bytes, behind) = behind.split_at_checked(length)?;
            tables = Some(SentTables { precision: head[1], bytes });
            rest = behind;
        }
        let size = (u16::from(width) * 8, u16::from(height) * 8);
        Some(Piece { offset, quality, head: Head { kind, size, restart }, tables, scan: rest })
    }
}

impl Pictures {
    fn new(format: &Format) -> Pictures {
        Pictures {
            described: format.picture,
            tables: BTreeMap::new(),
            open: None,
            right_markers: Some(0),
            has_ends: false,
            ended: None,
            last: None,
            complete: VecDeque::new(),
            parameters: None,
            facts: VideoFacts::default(),
            lost: 0,
            is_missing: false,
            heard: Heard::default(),
        }
    }

    /// The size of pictures, in pixels: packets tell it in steps of eight, and up to 2040.
    fn size(&self, told: (u16, u16)) -> Result<(u16, u16), Odd> {
        let means = |(width, height): &(u16, u16)| {
            let fits = |told: u16, size: u16| told == 0 || told == size.next_multiple_of(8);
            fits(told.0, *width) && fits(told.1, *height)
        };
        match self.described.filter(means) {
            Some(size) => Ok(size),
            None if told.0 > 0 && told.1 > 0 => Ok(told),
            None => Err(Odd::NoSize),
        }
    }

    /// The tables of a picture.
    fn tables(&mut self, piece: &Piece<'_>) -> Result<Tables, Odd> {
        let Some(sent) = &piece.tables else {
            return of_quality(piece.quality).ok_or(Odd::Unknown(piece.quality));
        };
        if sent.bytes.is_empty() {
            let known = self.tables.get(&piece.quality);
            return known.cloned().ok_or(Odd::NoTables);
        }
        let tables = Tables::read(sent.precision, sent.bytes).ok_or(Odd::NoTables)?;
        if piece.quality != TABLES_EVERY {
            self.tables.insert(piece.quality, tables.clone());
        }
        Ok(tables)
    }

    /// A picture begins.
    fn begin(&mut self, piece: &Piece<'_>, time: i64, received: &Reading) -> Result<(), Odd> {
        let size = self.size(piece.head.size)?;
        let tables = self.tables(piece)?;
        if piece.head.sampling().is_none() {
            return Err(Odd::Unknown(piece.head.kind));
        }
        self.open = Some(Open {
            time,
            received: *received,
            head: Head { size, ..piece.head },
            tables,
            scan: Vec::with_capacity(piece.scan.len() * 2),
            is_torn: false,
            has_marker: false,
        });
        Ok(())
    }

    /// Adds a piece to the picture that is open.
    fn add(&mut self, piece: &Piece<'_>, marker: bool, received: &Reading) -> Result<(), Odd> {
        let are_believed = self.are_markers_believed();
        let Some(open) = &mut self.open else { return Ok(()) };
        open.received = *received;
        open.is_torn |= piece.offset > open.scan.len();
        // What came before comes again.
        if piece.offset < open.scan.len() || open.is_torn {
            return Ok(());
        }
        if open.has_marker {
            self.right_markers = None;
        }
        open.has_marker = marker && self.right_markers.is_some();
        if open.scan.len() + piece.scan.len() > PICTURE_BYTES_MAX {
            (open.is_torn, open.scan) = (true, Vec::new());
            return Err(Odd::TooLarge);
        }
        open.scan.extend_from_slice(piece.scan);
        if open.scan.ends_with(&END) || (open.has_marker && are_believed) {
            self.end();
        }
        Ok(())
    }

    fn are_markers_believed(&self) -> bool {
        self.right_markers.is_some_and(|count| count >= MARKERS_RIGHT)
    }

    /// The picture is over: it is complete, or given up.
    fn end(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.is_torn {
            self.is_missing = true;
            return;
        }
        self.ended = Some(open.time);
        self.has_ends = open.scan.ends_with(&END);
        self.heard.frames += 1;
        self.heard.key_frames += 1;
        let Open { time, received, head, tables, scan, .. } = open;
        let mut data = head.written(&tables);
        let end = scan[scan.len().saturating_sub(SEEN_BYTES)..].to_vec();
        let seen = Seen { time, length: data.len() + scan.len(), end };
        if self.last.as_ref() == Some(&seen) {
            return;
        }
        self.last = Some(seen);
        data.extend_from_slice(&scan);
        if !data.ends_with(&END) {
            data.extend(END);
        }
        let lost = std::mem::take(&mut self.lost);
        let is_missing = std::mem::take(&mut self.is_missing);
        let parameters = self.new_parameters(head.size);
        self.complete.push_back(Coded {
            time,
            data,
            is_key: true,
            is_recovery: false,
            is_leading: false,
            duration: None,
            parameters,
            lost_packets: if is_missing { lost.max(1) } else { lost },
            received,
        });
    }

    /// What decodes pictures, where it is news.
    fn new_parameters(&mut self, (width, height): (u16, u16)) -> Option<Arc<Parameters>> {
        let size = (u32::from(width), u32::from(height));
        if self.facts.picture == size {
            return None;
        }
        let set = ParameterSet {
            codec: Codec::Jpeg,
            configuration: Vec::new(),
            video: Some(VideoParameters { width, height, pixel_aspect: (1, 1), look: Look::PLAIN }),
            audio: None,
        };
        // ISO/IEC 14496-1, table 5.
        self.facts.codec = "jpeg".to_owned();
        self.facts.picture = size;
        let encoded = set.encode().into();
        let new = Arc::new(Parameters::new(&set, encoded, ReorderDepth::Known(0)));
        self.parameters = Some(Arc::clone(&new));
        Some(new)
    }
}

impl Depacketizer for Pictures {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        self.lost = self.lost.saturating_add(place.lost);
        if packet.payload.is_empty() {
            return Ok(());
        }
        let piece = Piece::parse(packet.payload).ok_or(Odd::NoPacket)?;
        if let Some(open) = &mut self.open {
            let is_next = open.time != place.time || (piece.offset == 0 && !open.scan.is_empty());
            if is_next {
                // Its end may be missing, where nothing said that it was one, and what is missing
                // is not the beginning of the next one.
                let is_missing = place.lost > 1 || (place.lost == 1 && piece.offset == 0);
                open.is_torn |= !open.has_marker && (is_missing || place.is_anew);
                if let (true, Some(count)) = (open.has_marker, &mut self.right_markers) {
                    *count = count.saturating_add(1);
                }
                self.end();
            }
        }
        if self.open.is_none() {
            if piece.offset > 0 {
                match self.ended == Some(place.time) {
                    // A marker was believed amid it.
                    true => self.right_markers = None,
                    false => self.is_missing |= self.ended.is_some(),
                }
                return Ok(());
            }
            let begun = self.begin(&piece, place.time, received);
            self.is_missing |= begun.is_err();
            begun?;
        }
        self.add(&piece, packet.marker, received)
    }

    fn next(&mut self) -> Option<Coded> {
        self.complete.pop_front()
    }

    fn waits(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.has_marker && !open.is_torn)
    }

    fn flush(&mut self) {
        let are_believed = self.are_markers_believed();
        if let Some(open) = &mut self.open {
            // Its end has not come.
            open.is_torn |= (are_believed || self.has_ends) && !open.has_marker;
        }
        self.end();
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
    use crate::units::{BootTime, WallTime};

    /// How pictures are sent.
    #[derive(Clone, Copy, Debug)]
    struct Sent {
        kind: u8,
        quality: u8,
        /// In steps of eight pixels.
        size: (u8, u8),
        piece_bytes: usize,
        markers: Markers,
        /// Pictures end as they end in a file.
        has_end: bool,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Markers {
        Right,
        None,
        EachPacket,
    }

    const USUAL: Sent = Sent {
        kind: 1,
        quality: 60,
        size: (80, 45),
        piece_bytes: 30,
        markers: Markers::Right,
        has_end: false,
    };

    struct Bench {
        pictures: Pictures,
        got: Vec<Coded>,
        odd: Vec<Odd>,
        /// Packets since the last one that was sent.
        lost: u32,
    }

    impl Bench {
        fn new(described: Option<(u16, u16)>) -> Bench {
            let format = Format { picture: described, ..Format::default() };
            Bench { pictures: Pictures::new(&format), got: Vec::new(), odd: Vec::new(), lost: 0 }
        }

        fn send(&mut self, place: Place, marker: bool, payload: &[u8]) {
            let (payload_type, sequence, timestamp, ssrc) = (26, 0, 0, 0);
            let packet = Packet { marker, payload_type, sequence, timestamp, ssrc, payload };
            let (wall, boot) = (WallTime(0), BootTime(0));
            let received = Reading { wall, boot, boot_id: [0; 16], synchronised: true };
            self.odd.extend(self.pictures.push(&packet, place, &received).err());
            self.got.extend(std::iter::from_fn(|| self.pictures.next()));
        }

        /// All packets of a picture but the one with the number `lost`.
        fn picture(&mut self, sent: Sent, time: i64, tables: &[u8], lost: Option<usize>) {
            let packets = packets(sent, &scan(time, sent.has_end), tables);
            let count = packets.len();
            for (at, payload) in packets.iter().enumerate() {
                if Some(at) == lost {
                    self.lost += 1;
                    continue;
                }
                let marker = match sent.markers {
                    Markers::Right => at + 1 == count,
                    Markers::None => false,
                    Markers::EachPacket => true,
                };
                let lost = std::mem::take(&mut self.lost);
                self.send(Place { time, lost, ..Place::default() }, marker, payload);
            }
        }

        fn times(&mut self) -> Vec<i64> {
            self.pictures.flush();
            self.got.extend(std::iter::from_fn(|| self.pictures.next()));
            self.got.iter().map(|frame| frame.time).collect()
        }
    }

    #[test]
    fn the_last_picture_of_a_session_is_none_without_its_end() {
        for markers in [Markers::Right, Markers::EachPacket, Markers::None] {
            for has_end in [false, true] {
                let sent = Sent { markers, has_end, ..USUAL };
                let last = packets(sent, &scan(4, has_end), &[]).len() - 1;
                let mut bench = Bench::new(None);
                (0..4).for_each(|time| bench.picture(sent, time, &[], None));
                bench.picture(sent, 4, &[], Some(last));
                // Where nothing marks an end, nobody knows.
                let is_unknown = !has_end && markers != Markers::Right;
                let told = bench.times();
                assert_eq!(told.len(), 4 + usize::from(is_unknown), "{markers:?}, {has_end}");
            }
        }
    }

    /// Something that is no marker, and of each picture its own.
    fn scan(time: i64, has_end: bool) -> Vec<u8> {
        let mut scan: Vec<u8> =
            (0..200 + 10 * time as usize).map(|at| (at * 7 % 251) as u8).collect();
        scan[0] = time as u8;
        if has_end {
            scan.extend(END);
        }
        scan
    }

    fn packets(sent: Sent, scan: &[u8], tables: &[u8]) -> Vec<Vec<u8>> {
        let packet = |(at, piece): (usize, &[u8])| {
            let offset = ((at * sent.piece_bytes) as u32).to_be_bytes();
            let mut payload = vec![0, offset[1], offset[2], offset[3]];
            payload.extend([sent.kind, sent.quality, sent.size.0, sent.size.1]);
            if RESTARTS.contains(&sent.kind) {
                payload.extend([0, 7, 0xff, 0xff]);
            }
            if at == 0 && sent.quality >= TABLES_FIRST {
                payload.extend([0, 0]);
                payload.extend((tables.len() as u16).to_be_bytes());
                payload.extend(tables);
            }
            [payload, piece.to_vec()].concat()
        };
        scan.chunks(sent.piece_bytes).enumerate().map(packet).collect()
    }

    /// What a picture says behind a marker.
    fn segment(data: &[u8], marker: u8) -> Option<&[u8]> {
        let at = data.windows(2).position(|pair| pair == [0xff, marker])?;
        let length = usize::from(u16::from_be_bytes([data[at + 2], data[at + 3]]));
        data.get(at + 4..at + 2 + length)
    }

    #[test]
    fn a_picture_has_the_header_that_its_packets_tell_of() {
        let mut bench = Bench::new(None);
        bench.picture(Sent { kind: 65, ..USUAL }, 0, &[], None);
        bench.picture(Sent { kind: 0, size: (40, 30), ..USUAL }, 1, &[], None);
        assert_eq!(bench.times(), [0, 1]);
        let [first, second] = &bench.got[..] else { panic!("two") };
        let data = &first.data;
        assert!(data.starts_with(&[0xff, 0xd8, 0xff, 0xe0]) && data.ends_with(&END));
        assert!(data[..data.len() - 2].ends_with(&scan(0, false)));
        assert_eq!(segment(data, 0xdd), Some(&[0, 7][..]));
        let frame = [8, 1, 0x68, 2, 0x80, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
        assert_eq!(segment(data, 0xc0), Some(&frame[..]), "360 and 640");
        // Quality 60 makes 16 into 13, and 17 into 14.
        let tables = segment(data, 0xdb).unwrap();
        assert_eq!((tables.len(), tables[1], tables[66]), (130, 13, 14));
        assert_eq!(segment(&second.data, 0xc0).unwrap()[7], 0x21);
        let sizes: Vec<_> = bench.got.iter().map(|it| it.parameters.as_ref().unwrap()).collect();
        assert_eq!(sizes[0].format.picture, Some((640, 360)));
        assert_eq!(sizes[1].format.picture, Some((320, 240)));
        assert!(bench.got.iter().all(|frame| frame.is_key));
    }

    #[test]
    fn tables_that_are_sent_count_until_others_are() {
        let mut bench = Bench::new(None);
        let sent = Sent { quality: 200, ..USUAL };
        let two = [[3; 64], [4; 64]].concat();
        bench.picture(sent, 0, &[], None);
        assert_eq!(bench.odd[0], Odd::NoTables);
        for (time, tables) in [(1, &two[..]), (2, &[]), (3, &[5; 64])] {
            bench.picture(sent, time, tables, None);
        }
        assert_eq!(bench.times(), [1, 2, 3]);
        let first = |frame: &Coded| segment(&frame.data, 0xdb).unwrap()[1];
        assert_eq!(bench.got.iter().map(first).collect::<Vec<_>>(), [3, 3, 5]);
        assert_eq!(bench.got[0].lost_packets, 1, "the one before it was given up");
        let frame = segment(&bench.got[2].data, 0xc0).unwrap();
        assert_eq!((frame[11], frame[14]), (0, 0), "one table for all");
        bench.picture(Sent { quality: 255, ..sent }, 4, &[], None);
        assert_eq!((bench.odd.last(), bench.got.len()), (Some(&Odd::NoTables), 3));
        let wide = Tables::read(1, &[&[0, 9].repeat(64)[..], &[4; 64]].concat()).unwrap();
        let header = Head { kind: 1, size: (8, 8), restart: 0 }.written(&wide);
        assert_eq!(segment(&header, 0xdb).unwrap()[..3], [0x10, 0, 9]);
        assert!(segment(&header, 0xc1).is_some());
    }

    #[test]
    fn a_size_that_packets_cannot_tell_is_that_of_the_description() {
        let vast = Sent { size: (0, 0), ..USUAL };
        let mut bench = Bench::new(Some((3840, 2160)));
        bench.picture(vast, 0, &[], None);
        assert_eq!(bench.times(), [0]);
        assert_eq!(bench.pictures.facts.picture, (3840, 2160));
        let mut bench = Bench::new(Some((634, 357)));
        bench.picture(USUAL, 0, &[], None);
        bench.picture(Sent { size: (40, 30), ..USUAL }, 1, &[], None);
        assert_eq!(bench.times(), [0, 1]);
        let sizes: Vec<_> = bench.got.iter().map(|it| segment(&it.data, 0xc0).unwrap()).collect();
        assert_eq!(sizes[0][1..5], [1, 0x65, 2, 0x7a], "as exact as it is described");
        assert_eq!(sizes[1][1..5], [0, 240, 1, 64], "another one than was described");
        let mut bench = Bench::new(None);
        bench.picture(vast, 0, &[], None);
        assert_eq!((bench.odd[0], bench.got.len()), (Odd::NoSize, 0));
    }

    #[test]
    fn a_lost_packet_costs_the_picture_that_it_was_in() {
        let last = packets(USUAL, &scan(1, false), &[]).len() - 1;
        for markers in [Markers::Right, Markers::EachPacket, Markers::None] {
            for lost in [0, 3, last] {
                let mut bench = Bench::new(None);
                for time in 0..3 {
                    let sent = Sent { markers, ..USUAL };
                    bench.picture(sent, time, &[], (time == 1).then_some(lost));
                }
                assert_eq!(bench.times(), [0, 2], "{lost}, {markers:?}");
                let told = (bench.got[1].lost_packets, bench.odd.len());
                assert_eq!(told, (1, 0), "{lost}, {markers:?}");
            }
        }
    }

    #[test]
    fn a_picture_that_a_session_ends_in_is_none() {
        let mut bench = Bench::new(None);
        for time in 0..4 {
            bench.picture(USUAL, time, &[], None);
        }
        let packets = packets(USUAL, &scan(4, false), &[]);
        bench.send(Place { time: 4, ..Place::default() }, false, &packets[0]);
        assert_eq!(bench.times(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_picture_that_is_sent_twice_is_one() {
        let mut bench = Bench::new(None);
        for time in [0, 0, 1] {
            bench.picture(USUAL, time, &[], None);
        }
        assert_eq!(bench.times(), [0, 1]);
    }

    #[test]
    fn a_picture_over_its_limit_is_left_out_and_the_next_is_there() {
        let mut bench = Bench::new(None);
        let vast = Sent { piece_bytes: 60_000, ..USUAL };
        let packets = packets(vast, &vec![1; PICTURE_BYTES_MAX + 1], &[]);
        for payload in &packets {
            bench.send(Place { time: 1, ..Place::default() }, false, payload);
        }
        bench.picture(USUAL, 2, &[], None);
        assert_eq!((bench.times(), bench.odd), (vec![2], vec![Odd::TooLarge]));
    }

    proptest! {
        #[test]
        fn any_cutting_into_packets_gives_the_same_pictures(
            piece_bytes in 1_usize..400,
            markers in prop::sample::select(vec![
                Markers::Right, Markers::None, Markers::EachPacket,
            ]),
            has_end: bool,
        ) {
            let (mut bench, mut wanted) = (Bench::new(None), Bench::new(None));
            // A picture in one packet tells that markers are right.
            let piece_bytes =
                if markers == Markers::EachPacket { piece_bytes.min(150) } else { piece_bytes };
            for time in 0..6 {
                bench.picture(Sent { piece_bytes, markers, has_end, ..USUAL }, time, &[], None);
                wanted.picture(USUAL, time, &[], None);
            }
            prop_assert_eq!(bench.times(), wanted.times());
            for (frame, wanted) in bench.got.iter().zip(&wanted.got) {
                prop_assert_eq!(&frame.data, &wanted.data);
            }
        }

        #[test]
        fn any_payloads_are_pictures_or_reasons(
            payloads in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), 0_i64..4), 1..60,
            ),
            is_near: bool,
        ) {
            let mut bench = Bench::new(None);
            let mut bytes = 0;
            for (mut payload, marker, time) in payloads {
                // Most of them are of a picture.
                if is_near && payload.len() > 8 {
                    let (offset, kind) = (payload[3], payload[4] & 0x41);
                    payload[1..6].copy_from_slice(&[0, 0, offset, kind, 255]);
                }
                bytes += payload.len();
                bench.send(Place { time, ..Place::default() }, marker, &payload);
            }
            prop_assert!(bench.got.iter().all(|frame| frame.data.len() <= bytes + 1024));
        }
    }
}
