//! Units become pictures: what belongs to one, and whether all of it is there. Pure.
//!
//! Packets of one RTP time are one picture (RFC 6184, 5.1). A marker says that it is complete, but
//! cameras set it on each slice, on each packet, or never: so it is believed once it was right a
//! few times, and no more once it was wrong. Where a sequence has no fields, a slice that begins a
//! picture is another picture, whatever the stamps say.
//!
//! Nobody knows what was in a packet that is lost. Before the first packet of a picture it may have
//! been the end of the one before: that has its marker, or is torn, or the one packet that is
//! missing is known by what follows to be of the picture behind. It may have been the beginning of
//! that: then what follows begins amid it. Or it was no slice: then the picture is whole, and the
//! loss is told with it all the same, as sets may have been in it, or another picture.

use std::collections::VecDeque;

use super::odd::{Odd, PICTURE_BYTES_MAX};
use super::open_picture::{Access, Open};
use super::rtp::Packet;
use super::source::Place;
use super::units::{Kind, Syntax, Wrapping, without_start_code};
use crate::clock::Reading;

/// After so many markers that were right in a row the next one is believed.
const MARKERS_RIGHT: u32 = 2;

/// A picture that is complete.
pub(super) struct Picture {
    /// RTP time, in ticks.
    pub(super) time: i64,
    /// When its last packet came.
    pub(super) received: Reading,
    /// Its units, each with a length of four bytes before it, without parameter sets.
    pub(super) data: Vec<u8>,
    /// Parameter sets that came with it.
    pub(super) sets: Vec<Vec<u8>>,
    /// How decoding can begin with it.
    pub(super) access: Access,
    /// Packets that are missing before it.
    pub(super) lost: u32,
    /// Numbers that were left out before it.
    pub(super) skipped: u32,
    /// Something was left out before it, or within, that may have been a picture.
    pub(super) is_doubtful: bool,
    /// Where its first slice is.
    pub(super) slice: usize,
}

/// Whether a marker says that a picture is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Markers {
    /// So many were right in a row.
    Right(u32),
    Wrong,
}

/// Puts pictures together.
pub(super) struct Assembler {
    syntax: &'static Syntax,
    /// A picture may begin twice: it may be two fields.
    has_fields: bool,
    markers: Markers,
    /// Slices have one each: it is no end.
    has_slice_markers: bool,
    /// The last picture of which nothing is missing was two fields.
    is_of_fields: bool,
    /// Time of the picture that a marker ended last.
    ended: Option<i64>,
    open: Option<Open>,
    complete: VecDeque<Picture>,
    /// Packets that were missing in pictures that were given up.
    lost: u32,
    /// One was given up.
    is_missing: bool,
}

impl Assembler {
    pub(super) fn new(syntax: &'static Syntax) -> Assembler {
        Assembler {
            syntax,
            has_fields: false,
            markers: Markers::Right(0),
            has_slice_markers: false,
            is_of_fields: false,
            ended: None,
            open: None,
            complete: VecDeque::new(),
            lost: 0,
            is_missing: false,
        }
    }

    /// Says whether pictures may be two fields.
    pub(super) fn set_fields(&mut self, has_fields: bool) {
        self.has_fields = has_fields;
    }

    /// The next picture that is complete.
    pub(super) fn next(&mut self) -> Option<Picture> {
        self.complete.pop_front()
    }

    /// Whether a picture waits for the next packet although a marker, which was not wrong so far,
    /// says that it is complete.
    pub(super) fn waits(&self) -> bool {
        let is_complete = |open: &Open| open.has_marker && open.slices > 0;
        self.markers != Markers::Wrong && self.open.as_ref().is_some_and(is_complete)
    }

    /// Nothing more comes, or not soon: what waits is taken as complete, unless a marker is missing
    /// that would have been believed.
    pub(super) fn flush(&mut self) {
        let are_believed = self.are_markers_believed();
        let Some(open) = self.open.as_mut().filter(|open| open.slices > 0) else { return };
        open.is_torn |= are_believed && !open.has_marker;
        self.end();
    }

    fn are_markers_believed(&self) -> bool {
        matches!(self.markers, Markers::Right(MARKERS_RIGHT..))
    }

    /// Takes the next packet.
    ///
    /// # Errors
    /// If nothing can be made of it; what there is goes on.
    pub(super) fn push(
        &mut self,
        packet: &Packet<'_>,
        place: Place,
        received: &Reading,
    ) -> Result<(), Odd> {
        self.miss(place, packet.payload);
        let is_rest = self.is_rest(packet.payload, place.time);
        if self.ends_before(packet.payload, place.time) {
            self.end();
        }
        let are_believed = self.are_markers_believed();
        let capacity = packet.payload.len() * 2;
        let open = self.open.get_or_insert_with(|| Open::new(place.time, *received, capacity));
        // Of what came ahead with another time.
        open.time = place.time;
        open.received = *received;
        open.lost = open.lost.saturating_add(place.lost);
        open.skipped = open.skipped.saturating_add(place.skipped);
        open.is_doubtful |= place.lost > 0 || place.is_anew;
        open.is_torn |= is_rest;
        let taken = self.take(without_start_code(packet.payload));
        let Some(open) = &mut self.open else { return taken };
        if taken.is_err() {
            open.is_doubtful = true;
        }
        if packet.marker && open.fragment.is_none() {
            open.has_marker = true;
            if are_believed && open.slices > 0 {
                self.ended = Some(place.time);
                self.end();
            }
        }
        taken
    }

    /// Whether a marker was believed that was wrong: more of that picture comes.
    fn is_rest(&mut self, payload: &[u8], time: i64) -> bool {
        if self.open.is_some() || self.ended.take() != Some(time) {
            return false;
        }
        let kind = self.syntax.first_kind(payload);
        let is_rest = matches!(kind, Some(Kind::Slice { is_first: false, .. }));
        if is_rest || kind == Some(Kind::Trailer) {
            self.markers = Markers::Wrong;
        }
        self.has_slice_markers |= is_rest;
        is_rest
    }

    /// Something is missing before a packet.
    fn miss(&mut self, place: Place, payload: &[u8]) {
        let Some(open) = &mut self.open else { return };
        let is_missing = place.lost > 0;
        if open.slices == 0 && open.time != place.time && (is_missing || place.is_anew) {
            // What is left of a picture whose slices are missing is not part of the next.
            open.data.clear();
        }
        if open.fragment.is_some() && (is_missing || place.is_anew) {
            open.lose_fragment();
        }
        let is_cut_short = match open.time == place.time {
            true => is_missing,
            // Its end may be missing, where another begins.
            false => {
                let is_its_own = place.lost == 1 && self.syntax.begins_amid(payload);
                let may_be_endless = place.is_anew && self.markers != Markers::Wrong;
                let has_end = open.has_marker && !self.has_slice_markers;
                !has_end && (is_missing && !is_its_own || may_be_endless)
            }
        };
        open.is_torn |= open.slices > 0 && is_cut_short;
    }

    /// Whether the picture so far is complete, seen from what comes.
    fn ends_before(&mut self, payload: &[u8], time: i64) -> bool {
        let Some(open) = &self.open else { return false };
        if open.slices == 0 {
            // What is left of a torn one is not part of the next.
            return open.is_torn && open.time != time;
        }
        if open.time != time {
            if let (true, Markers::Right(times)) = (open.has_marker, self.markers) {
                self.markers = Markers::Right(times.saturating_add(1));
            }
            return true;
        }
        match self.syntax.first_kind(payload) {
            None => false,
            Some(Kind::Slice { is_first: true, .. }) if !self.has_fields => true,
            Some(Kind::Slice { is_first: true, .. }) if open.first_slices > 1 => true,
            Some(kind @ (Kind::Slice { .. } | Kind::Trailer)) => {
                if open.has_marker {
                    self.markers = Markers::Wrong;
                    self.has_slice_markers |= kind != Kind::Trailer;
                }
                false
            }
            Some(_) => open.has_marker && self.markers != Markers::Wrong,
        }
    }

    /// Takes a payload, behind a start code.
    fn take(&mut self, payload: &[u8]) -> Result<(), Odd> {
        let Some(open) = &mut self.open else { return Ok(()) };
        // Some cameras send such to say that they are there.
        let Some(first) = payload.first() else { return Ok(()) };
        if open.is_torn {
            // It is given up: only where it ends is still of interest.
            if let Some(kind) = self.syntax.first_kind(payload) {
                open.note(kind, 0);
            }
            return Ok(());
        }
        if open.data.len() + payload.len() + 4 > PICTURE_BYTES_MAX {
            open.lose_fragment();
            (open.is_torn, open.data) = (true, Vec::new());
            return Err(Odd::TooLarge);
        }
        let wrapping = (self.syntax.wrapping)(payload);
        if open.fragment.is_some() {
            let goes_on = matches!(wrapping, Wrapping::Fragment(piece) if !piece.is_first);
            if !goes_on {
                open.lose_fragment();
                if wrapping != Wrapping::Unknown {
                    open.add(self.syntax, payload, wrapping)?;
                    return Err(Odd::NoEnd);
                }
            }
        }
        match wrapping {
            Wrapping::Unknown => Err(Odd::Unknown(*first)),
            wrapping => open.add(self.syntax, payload, wrapping),
        }
    }

    /// The picture is over: it is complete, or given up.
    fn end(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        if open.fragment.is_some() {
            open.lose_fragment();
        }
        let lacks_field = self.is_of_fields && open.first_slices < 2;
        if open.is_torn || (open.is_doubtful && (!open.begins_whole || lacks_field)) {
            self.lost = self.lost.saturating_add(open.lost).saturating_add(open.skipped);
            self.is_missing = true;
            return;
        }
        let lost = open.lost.saturating_add(std::mem::take(&mut self.lost));
        let lost = match std::mem::take(&mut self.is_missing) {
            true => lost.max(open.skipped).max(1),
            false => lost,
        };
        if !open.is_doubtful {
            self.is_of_fields = open.first_slices > 1;
        }
        let access = open.access();
        self.complete.push_back(Picture {
            time: open.time,
            received: open.received,
            data: open.data,
            sets: open.sets,
            access,
            lost,
            skipped: open.skipped,
            is_doubtful: open.is_doubtful,
            slice: open.slice,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::h264::SYNTAX;
    use crate::camera::sets::push_unit;
    use crate::units::{BootTime, WallTime};

    const KEY: &[u8] = &[0x65, 0x88, 1, 2, 3, 4];
    const KEY_MORE: &[u8] = &[0x65, 0x40, 5, 6];
    const OTHER: &[u8] = &[0x41, 0x9a, 7];
    const SET: &[u8] = &[0x68, 0xee, 0x3c, 0x80];
    const MESSAGE: &[u8] = &[0x06, 0x01, 0x01, 0x80];

    struct Bench {
        assembler: Assembler,
        sent: i64,
        got: Vec<Picture>,
        odd: Vec<Odd>,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { assembler: Assembler::new(&SYNTAX), sent: 0, got: Vec::new(), odd: Vec::new() }
        }

        /// With markers that are believed from now on.
        fn usual() -> Bench {
            let mut bench = Bench::new();
            for time in -3..0 {
                bench.send(time, true, OTHER);
            }
            bench.got.clear();
            bench
        }

        fn place(&mut self, place: Place, marker: bool, payload: &[u8]) {
            let packet =
                Packet { marker, payload_type: 96, sequence: 0, timestamp: 0, ssrc: 0, payload };
            let received = Reading {
                wall: WallTime(self.sent),
                boot: BootTime(self.sent),
                boot_id: [0; 16],
                synchronised: true,
            };
            self.sent += 1;
            self.odd.extend(self.assembler.push(&packet, place, &received).err());
            self.got.extend(std::iter::from_fn(|| self.assembler.next()));
        }

        fn send(&mut self, time: i64, marker: bool, payload: &[u8]) {
            self.place(Place { time, ..Place::default() }, marker, payload);
        }

        fn times(&mut self) -> Vec<i64> {
            self.assembler.flush();
            self.got.extend(std::iter::from_fn(|| self.assembler.next()));
            self.got.iter().map(|picture| picture.time).collect()
        }
    }

    fn data(units: &[&[u8]]) -> Vec<u8> {
        let mut data = Vec::new();
        for unit in units {
            push_unit(&mut data, unit);
        }
        data
    }

    fn fragments(unit: &[u8], length: usize) -> Vec<Vec<u8>> {
        let pieces: Vec<&[u8]> = unit[1..].chunks(length).collect();
        let count = pieces.len();
        let fragment = |(index, piece): (usize, &[u8])| {
            let ends = u8::from(index == 0) << 7 | u8::from(index + 1 == count) << 6;
            [&[unit[0] & 0xe0 | 28, ends | unit[0] & 0x1f], piece].concat()
        };
        pieces.into_iter().enumerate().map(fragment).collect()
    }

    #[test]
    fn a_picture_is_complete_with_its_marker_once_markers_are_known_to_be_right() {
        let mut bench = Bench::new();
        for time in 0..3 {
            bench.send(time, false, MESSAGE);
            bench.send(time, true, OTHER);
        }
        assert_eq!(bench.got.len(), 3, "the first two with the packet behind them");
        assert_eq!(bench.got[2].data, data(&[MESSAGE, OTHER]));
        assert_eq!(bench.got[1].received.boot, BootTime(3), "told when its last packet came");
    }

    #[test]
    fn markers_on_each_slice_or_packet_part_no_picture() {
        for start in [Bench::new(), Bench::usual()] {
            let mut bench = start;
            for time in 0..4 {
                for payload in fragments(KEY, 2).iter().map(Vec::as_slice).chain([KEY_MORE]) {
                    bench.send(time, true, payload);
                }
            }
            let times = bench.times();
            assert!(times.ends_with(&[1, 2, 3]), "{times:?}");
            assert_eq!(bench.got.last().unwrap().data, data(&[KEY, KEY_MORE]));
        }
    }

    #[test]
    fn without_markers_a_picture_ends_with_the_next() {
        let mut bench = Bench::new();
        for time in 0..3 {
            bench.send(time, false, KEY);
            bench.send(time, false, KEY_MORE);
        }
        assert_eq!(bench.times(), [0, 1, 2]);
        assert_eq!(bench.got[0].received.boot, BootTime(1));
    }

    #[test]
    fn pictures_of_the_same_time_are_pictures() {
        for start in [Bench::new(), Bench::usual()] {
            let mut bench = start;
            for _ in 0..3 {
                bench.send(5, false, MESSAGE);
                bench.send(5, true, OTHER);
            }
            assert_eq!(bench.times(), [5, 5, 5]);
            assert!(bench.got.iter().all(|picture| picture.data == data(&[MESSAGE, OTHER])));
        }
    }

    #[test]
    fn two_fields_are_one_picture() {
        let mut bench = Bench::new();
        bench.assembler.set_fields(true);
        for time in 0..4 {
            bench.send(time, true, OTHER);
            bench.send(time, true, OTHER);
        }
        assert_eq!(bench.times(), [0, 1, 2, 3]);
        assert_eq!(bench.got[3].data, data(&[OTHER, OTHER]));
    }

    #[test]
    fn what_comes_ahead_with_another_time_and_what_comes_behind_the_slices_belongs_to_it() {
        let mut bench = Bench::usual();
        bench.send(1, false, SET);
        bench.send(2, false, KEY);
        bench.send(2, true, MESSAGE);
        bench.send(3, true, OTHER);
        assert_eq!(bench.times(), [2, 3]);
        assert_eq!(bench.got[0].data, data(&[KEY, MESSAGE]));
        assert_eq!(bench.got[0].sets, [SET]);
        assert_eq!((bench.got[0].access, bench.got[1].access), (Access::Key, Access::None));
    }

    #[test]
    fn a_lost_packet_costs_the_picture_that_it_was_in() {
        let lost = |time| Place { time, lost: 2, ..Place::default() };
        let [first, middle, last] = &fragments(KEY, 2)[..] else { panic!("three") };
        type Sent<'a> = (Place, bool, &'a [u8]);
        let cases: [(&str, &[Sent<'_>], &[i64], u32); 4] = [
            (
                "amid",
                &[(Place { time: 1, ..Place::default() }, false, first), (lost(1), true, last)],
                &[2],
                2,
            ),
            (
                "its beginning",
                &[(lost(1), false, middle), (Place { time: 1, ..Place::default() }, true, last)],
                &[2],
                2,
            ),
            (
                "its end",
                &[(Place { time: 1, ..Place::default() }, false, first), (lost(2), true, OTHER)],
                &[2, 2],
                2,
            ),
            ("one before", &[(lost(1), true, OTHER)], &[1, 2], 2),
        ];
        for (what, packets, times, lost) in cases {
            let mut bench = Bench::usual();
            for (place, marker, payload) in packets {
                bench.place(*place, *marker, payload);
            }
            bench.send(2, true, OTHER);
            assert_eq!(bench.times(), times, "{what}");
            assert_eq!(bench.got.iter().map(|picture| picture.lost).sum::<u32>(), lost, "{what}");
        }
    }

    #[test]
    fn a_field_whose_other_one_is_lost_is_no_picture() {
        let mut bench = Bench::usual();
        bench.assembler.set_fields(true);
        let lost = |time| Place { time, lost: 1, ..Place::default() };
        for time in 0..3 {
            bench.send(time, false, OTHER);
            bench.send(time, true, OTHER);
        }
        bench.place(lost(3), true, OTHER);
        bench.send(4, false, OTHER);
        bench.place(lost(5), false, OTHER);
        bench.send(5, true, OTHER);
        assert_eq!(bench.times(), [0, 1, 2, 5]);
        assert_eq!(bench.got[3].lost, 2);
    }

    #[test]
    fn a_message_that_is_torn_costs_no_picture() {
        let long = [MESSAGE, &[0xaa; 20]].concat();
        let pieces = fragments(&long, 8);
        for lost in 0..pieces.len() {
            let mut bench = Bench::usual();
            let kept = (0..pieces.len()).filter(|at| *at != lost);
            let kept = kept.map(|at| (at, pieces[at].as_slice())).chain([(pieces.len(), KEY)]);
            for (at, payload) in kept {
                let place = Place { time: 1, lost: u32::from(at == lost + 1), ..Place::default() };
                bench.place(place, payload == KEY, payload);
            }
            assert_eq!((bench.times(), bench.got[0].lost), (vec![1], 1), "{lost}");
            assert_eq!(bench.got[0].data, data(&[KEY]), "{lost}");
        }
    }

    #[test]
    fn of_slices_with_a_marker_each_the_last_one_may_be_lost() {
        let lost = |time| Place { time, lost: 1, ..Place::default() };
        let mut bench = Bench::new();
        for time in 0..3 {
            bench.send(time, true, KEY);
            bench.send(time, true, KEY_MORE);
        }
        bench.send(3, true, KEY);
        bench.place(lost(4), true, KEY);
        bench.send(4, true, KEY_MORE);
        // What was lost was the beginning of the next one.
        bench.place(lost(5), true, KEY_MORE);
        bench.send(6, true, KEY);
        assert_eq!(bench.times(), [0, 1, 2, 4, 6]);
    }

    #[test]
    fn an_odd_packet_costs_nothing_beside_a_picture_and_the_picture_amid_one() {
        let mut bench = Bench::usual();
        for (time, odd) in
            (0..).zip([&[0x60, 1][..], &[0x7d, 1], &[0xe5, 1], &[0x7c, 0x05, 1], &[]])
        {
            bench.send(time, false, odd);
            bench.send(time, true, KEY);
        }
        assert_eq!(bench.times(), [0, 1, 2, 3, 4]);
        assert_eq!(bench.odd.len(), 4);
        let mut bench = Bench::usual();
        let pieces = fragments(KEY, 3);
        bench.send(1, false, &pieces[0]);
        bench.send(1, false, &[0x7e, 1]);
        bench.send(1, true, &pieces[1]);
        bench.send(2, true, OTHER);
        assert_eq!((bench.times(), bench.got[0].lost), (vec![2], 1));
    }

    #[test]
    fn start_codes_within_a_payload_part_units() {
        let mut bench = Bench::usual();
        let stream = [&[0, 0, 0, 1][..], SET, &[0, 0, 1], KEY, &[0, 0, 0, 1], KEY_MORE].concat();
        bench.send(1, true, &stream);
        let fragments = fragments(&[KEY, &[0, 0, 1], KEY_MORE, &[0]].concat(), 4);
        for (at, fragment) in fragments.iter().enumerate() {
            bench.send(2, at + 1 == fragments.len(), fragment);
        }
        assert_eq!(bench.times(), [1, 2]);
        for picture in &bench.got {
            assert_eq!(picture.data, data(&[KEY, KEY_MORE]));
        }
        assert_eq!(bench.got[0].sets, [SET]);
    }

    #[test]
    fn a_picture_over_its_limit_is_left_out_and_the_next_is_there() {
        let mut bench = Bench::usual();
        let large = [&[0x65, 0x88][..], &vec![0xaa; 60_000]].concat();
        let more = [&[0x65, 0x40][..], &vec![0xaa; 60_000]].concat();
        bench.send(1, false, &large);
        for _ in 0..PICTURE_BYTES_MAX / 60_000 + 10 {
            bench.send(1, false, &more);
        }
        bench.send(2, true, OTHER);
        assert_eq!((bench.times(), bench.got[0].lost), (vec![2], 1));
        assert_eq!(bench.odd, [Odd::TooLarge]);
    }
}
