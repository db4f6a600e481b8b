//! The packets of one track among all that come on its channel: whose they are, what is missing
//! between them, and their time. Pure.
//!
//! A source that counts anew, or another one in its place, is the camera's affair and goes on. Two
//! sources at a time are not: the one that came later is it, until nothing more comes from it.

use std::collections::VecDeque;

use super::rtp::Packet;
use crate::clock::FastestWay;
use crate::units::{BootTime, NANOS_PER_SECOND, Ticks};

/// So far ahead a number counts as numbers that are missing; farther, the camera counts anew.
const LOST_MAX: u16 = 3000;
/// Where numbers are left out at so many of the last [`u32::BITS`] steps from one time to the next,
/// that is how the camera counts: it counts other things, too.
const JUMPS_USUAL: u32 = 24;
/// Of one that counts one by one, so far behind and of no later time a packet comes late: what is
/// left of its picture was given up, and the one that is open goes on.
const LATE_MAX: u16 = 32;
/// A source that was given up is taken again when nothing came from the other for so long.
const SILENCE_NANOS: i64 = 2 * NANOS_PER_SECOND;
/// Sources that were given up and are remembered.
const FORMER_MAX: usize = 8;
/// So many packets make a source: one of fewer was passing by, and a former one that sends so many
/// in a row is back.
const ESTABLISHED_COUNT: u32 = 3;
/// So many packets of another payload type than was described, and none of that, are meant.
const STRANGERS_MAX: u32 = 32;
/// One of so many packets that comes again is left out.
const RECENT_MAX: usize = 8;
/// So much of either end of a payload tells it from others.
const PRINT_BYTES: usize = 32;
/// Times of another source that are off by less from what has passed go on from those before.
const STEP_ERROR_NANOS: i64 = NANOS_PER_SECOND / 2;

/// Where a packet stands among the others of its track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// RTP time, unwrapped.
    pub(super) time: i64,
    /// So many are missing before it.
    pub(super) lost: u32,
    /// The camera counts anew: something may be missing before it.
    pub(super) is_anew: bool,
    /// So many numbers were left out, where that is not known to be a loss.
    pub(super) skipped: u32,
}

/// What a track has heard so far.
pub(super) struct Source {
    /// As the description has it.
    payload_type: u8,
    other_type: Option<u8>,
    /// Ticks a second.
    timescale: u32,
    /// Packets may be lost on the way: over UDP.
    is_lossy: bool,
    /// Steps from one time to the next, a bit each: whether numbers were left out there. As long as
    /// nothing is known, they were.
    jumps: u32,
    /// Packets of other payload types, while none of that one came.
    strangers: Option<u32>,
    last: Option<Last>,
    /// The last packets, the newest last: one that comes again is none of them.
    recent: VecDeque<Print>,
    way: Option<FastestWay>,
    former: Vec<u32>,
    /// Packets of a former source in a row.
    returning: u32,
    /// Packets that belong to nothing that is recorded.
    pub(super) foreign: u64,
}

/// The last packet.
struct Last {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    time: i64,
    received: BootTime,
    /// Packets of this source.
    count: u32,
}

/// What one of the last packets is known by: all that it says of itself, and how its payload begins
/// and ends, which no two parts of coded pictures have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Print {
    number: (u32, u16, u32),
    length: usize,
    begin: [u8; PRINT_BYTES],
    end: [u8; PRINT_BYTES],
}

impl Print {
    fn of(packet: &Packet<'_>) -> Print {
        let payload = packet.payload;
        let (mut begin, mut end) = ([0; PRINT_BYTES], [0; PRINT_BYTES]);
        let count = payload.len().min(PRINT_BYTES);
        begin[..count].copy_from_slice(&payload[..count]);
        end[..count].copy_from_slice(&payload[payload.len() - count..]);
        let number = (packet.ssrc, packet.sequence, packet.timestamp);
        Print { number, length: payload.len(), begin, end }
    }
}

impl Source {
    pub(super) fn new(payload_type: u8, other_type: Option<u8>, timescale: u32) -> Source {
        Source {
            payload_type,
            other_type,
            timescale,
            is_lossy: false,
            jumps: u32::MAX,
            strangers: Some(0),
            last: None,
            recent: VecDeque::new(),
            way: None,
            former: Vec::new(),
            returning: 0,
            foreign: 0,
        }
    }

    /// Packets come over a way on which some are lost.
    pub(super) fn may_lose_packets(&mut self) {
        self.is_lossy = true;
    }

    /// The place of a packet; `None` where it is not of this track, has come already or comes late.
    pub(super) fn place(&mut self, packet: &Packet<'_>, received: BootTime) -> Option<Place> {
        let is_ours = self.is_type(packet) && self.is_source(packet.ssrc, received);
        if !is_ours {
            self.foreign += 1;
            return None;
        }
        if self.has_come(packet) || self.is_late(packet) {
            return None;
        }
        let count = match &self.last {
            Some(last) if last.ssrc == packet.ssrc => last.count.saturating_add(1),
            _ if self.former.contains(&packet.ssrc) => ESTABLISHED_COUNT,
            _ => 1,
        };
        self.former.retain(|former| *former != packet.ssrc);
        self.returning = 0;
        let place = match &self.last {
            None => Place { time: i64::from(packet.timestamp), ..Place::default() },
            Some(last) => self.behind(last, packet, received),
        };
        let is_step = |last: &Last| last.ssrc == packet.ssrc && last.time != place.time;
        if self.last.as_ref().is_some_and(is_step) {
            self.jumps = self.jumps << 1 | u32::from(place.lost > 0 || place.is_anew);
        }
        self.last = Some(Last {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            time: place.time,
            received,
            count,
        });
        let lead = received.0.saturating_sub(Ticks(place.time).to_nanos(self.timescale));
        self.way.get_or_insert(FastestWay::new(lead, received)).note(lead, received);
        Some(place)
    }

    fn is_late(&self, packet: &Packet<'_>) -> bool {
        let last = self.last.as_ref().filter(|last| last.ssrc == packet.ssrc);
        last.is_some_and(|last| {
            let behind = last.sequence.wrapping_sub(packet.sequence);
            let step = packet.timestamp.wrapping_sub(last.timestamp).cast_signed();
            self.counts() && step <= 0 && (1..=LATE_MAX).contains(&behind)
        })
    }

    /// Whether the camera counts its packets one by one.
    fn counts(&self) -> bool {
        self.jumps.count_ones() < JUMPS_USUAL
    }

    /// Whether it is one of the last packets once more. That of a camera that gives the same number
    /// to all has something else in it.
    fn has_come(&mut self, packet: &Packet<'_>) -> bool {
        let print = Print::of(packet);
        if self.recent.contains(&print) {
            return true;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(print);
        false
    }

    /// Behind the last packet.
    fn behind(&self, last: &Last, packet: &Packet<'_>, received: BootTime) -> Place {
        let step = i64::from(packet.timestamp.wrapping_sub(last.timestamp).cast_signed());
        let ahead = packet.sequence.wrapping_sub(last.sequence.wrapping_add(1));
        if packet.ssrc != last.ssrc {
            let time = self.taken_over(last, step, received);
            return Place { time, is_anew: true, ..Place::default() };
        }
        // Where nothing is lost on the way, a camera that jumps between most pictures may have left
        // some out, or not: the pictures tell. Within one, something is missing, and so it is where
        // the camera counts one by one: it, or what hands its packets on, left some out.
        let missing = if ahead <= LOST_MAX { u32::from(ahead) } else { 0 };
        let is_known = missing > 0 && (self.is_lossy || self.counts() || step == 0);
        Place {
            time: last.time.saturating_add(step),
            lost: if is_known { missing } else { 0 },
            is_anew: ahead != 0 && !is_known,
            skipped: if is_known { 0 } else { missing },
        }
    }

    /// The time of a packet of another source: it goes on as the last one did, or is what the
    /// fastest way would have made of its arrival.
    fn taken_over(&self, last: &Last, step: i64, received: BootTime) -> i64 {
        let passed = received.0.saturating_sub(last.received.0);
        let off = Ticks(step).to_nanos(self.timescale).saturating_sub(passed);
        if off.saturating_abs() < STEP_ERROR_NANOS {
            return last.time.saturating_add(step);
        }
        let lead = self.way.map_or(0, |way| way.lead());
        let arrived = Ticks::from_nanos(received.0.saturating_sub(lead), self.timescale);
        arrived.0.max(last.time.saturating_add(1))
    }

    /// The unwrapped time of a moment near the last packet; `None` where that is of another source.
    pub(super) fn time_of(&self, ssrc: u32, timestamp: u32) -> Option<i64> {
        let last = self.last.as_ref().filter(|last| last.ssrc == ssrc)?;
        let step = i64::from(timestamp.wrapping_sub(last.timestamp).cast_signed());
        Some(last.time.saturating_add(step))
    }

    /// Whether packets of that type are of this track, as far as its description says.
    pub(super) fn is_described(&self, payload_type: u8) -> bool {
        payload_type == self.payload_type || Some(payload_type) == self.other_type
    }

    /// The source that is heard said that it leaves: another one may take its place, or itself.
    pub(super) fn left(&mut self) {
        self.former.clear();
    }

    fn is_type(&mut self, packet: &Packet<'_>) -> bool {
        if self.is_described(packet.payload_type) {
            self.strangers = None;
            return true;
        }
        let Some(strangers) = &mut self.strangers else { return false };
        *strangers += 1;
        if *strangers > STRANGERS_MAX {
            (self.payload_type, self.strangers) = (packet.payload_type, None);
        }
        self.strangers.is_none()
    }

    fn is_source(&mut self, ssrc: u32, received: BootTime) -> bool {
        let Some(last) = self.last.as_ref().filter(|last| last.ssrc != ssrc) else { return true };
        let silence = received.0.saturating_sub(last.received.0);
        let is_passing = last.count < ESTABLISHED_COUNT;
        if self.former.contains(&ssrc) && silence < SILENCE_NANOS && !is_passing {
            self.returning += 1;
            if self.returning < ESTABLISHED_COUNT {
                return false;
            }
        }
        self.former.push(last.ssrc);
        if self.former.len() > FORMER_MAX {
            self.former.remove(0);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Packet<'static> {
        Packet { marker: false, payload_type: 96, sequence, timestamp, ssrc, payload: &[] }
    }

    fn at(second: i64) -> BootTime {
        BootTime(second * 1_000_000_000)
    }

    #[test]
    fn numbers_and_times_go_on_behind_their_ends() {
        let mut source = Source::new(96, None, 90_000);
        source.may_lose_packets();
        let first = source.place(&packet(1, 65_534, u32::MAX - 50), at(0)).unwrap();
        assert_eq!((first.time, first.lost), (i64::from(u32::MAX - 50), 0));
        let second = source.place(&packet(1, 65_535, 49), at(0)).unwrap();
        assert_eq!((second.time - first.time, second.lost), (100, 0));
        let behind = source.place(&packet(1, 2, 149), at(0)).unwrap();
        assert_eq!((behind.time - first.time, behind.lost, behind.is_anew), (200, 2, false));
        let back = source.place(&packet(1, 3, 99), at(0)).unwrap();
        assert_eq!(back.time - first.time, 150, "the order of decoding may be another");
    }

    #[test]
    fn a_source_that_counts_anew_goes_on() {
        let mut source = Source::new(96, None, 90_000);
        source.place(&packet(1, 100, 0), at(0));
        for (sequence, part) in [(0, 0), (30_000, 0), (29_999, 0), (29_999, 1)] {
            let packet = Packet { payload: &[part], ..packet(1, sequence, 0) };
            let place = source.place(&packet, at(0)).unwrap();
            assert_eq!(source.place(&packet, at(0)), None, "{sequence}: the same once more");
            assert_eq!((place.lost, place.is_anew), (0, true), "{sequence}");
        }
    }

    #[test]
    fn numbers_that_are_left_out_where_nothing_is_lost_are_missing_within_a_picture_only() {
        let mut source = Source::new(96, None, 90_000);
        source.place(&packet(1, 1, 0), at(0));
        let within = source.place(&packet(1, 4, 0), at(0)).unwrap();
        assert_eq!((within.lost, within.is_anew), (2, false));
        let between = source.place(&packet(1, 7, 3600), at(0)).unwrap();
        assert_eq!((between.lost, between.is_anew, between.skipped), (0, true, 2));
    }

    #[test]
    fn what_comes_late_of_one_who_counts_one_by_one_is_left_out() {
        let mut source = Source::new(96, None, 90_000);
        let mut place = |sequence: u16, picture: u32| {
            let place = source.place(&packet(1, sequence, 3600 * picture), at(0));
            place.map(|place| place.lost)
        };
        assert_eq!((place(5, 0), place(4, 0)), (Some(0), Some(0)), "nothing is known");
        for picture in 1..14_u16 {
            assert_eq!(place(4 + picture, u32::from(picture)), Some(0));
        }
        assert_eq!((place(20, 14), place(18, 13)), (Some(2), None));
        assert_eq!((place(21, 14), place(19, 13)), (Some(0), None));
        assert_eq!((place(60, 15), place(61, 16)), (Some(38), Some(0)));
        assert!(place(22, 14).is_some(), "it counts anew");
    }

    #[test]
    fn numbers_that_one_who_counts_one_by_one_leaves_out_are_missing() {
        let mut source = Source::new(96, None, 90_000);
        let mut place = |sequence: u16, picture: u32| {
            let place = source.place(&packet(1, sequence, 3600 * picture), at(0)).unwrap();
            (place.lost, place.skipped)
        };
        for picture in 0..10_u16 {
            assert_eq!(place(picture, u32::from(picture)), (0, 0));
        }
        assert_eq!(place(12, 10), (2, 0), "packets are missing");
        let jumping = (11..50).map(|picture| place(12 + 3 * (picture as u16 - 10), picture));
        let told: Vec<(u32, u32)> = jumping.collect();
        assert_eq!((told[0], told[38]), ((2, 0), (0, 2)), "it is how it counts");
    }

    #[test]
    fn times_of_another_source_go_on() {
        let mut source = Source::new(96, None, 90_000);
        let nanos = |tick: u32| i64::from(tick) * 1_000_000_000 / 90_000;
        // Each 20 ms later than the fastest one, by turns.
        let arrival = |tick: u32| BootTime(nanos(tick) + i64::from(tick / 3600 % 2) * 20_000_000);
        for frame in 0..10_u32 {
            source.place(&packet(1, frame as u16, 3600 * frame), arrival(3600 * frame));
        }
        let same = source.place(&packet(2, 500, 36_000), arrival(36_000)).unwrap();
        assert_eq!(same.time, 36_000, "its clock is the same");
        let other = source.place(&packet(3, 9, 7_000_000), arrival(39_600)).unwrap();
        let late = 20 * 90;
        assert_eq!(other.time, 39_600 + late, "as late as it arrived");
        let next = source.place(&packet(3, 10, 7_003_600), arrival(43_200)).unwrap();
        assert_eq!(next.time, 43_200 + late);
    }

    #[test]
    fn another_source_takes_the_place_of_the_one_before() {
        let mut source = Source::new(96, None, 90_000);
        source.place(&packet(1, 100, 0), at(0));
        for number in 7..10 {
            let place = source.place(&packet(2, number, 0), at(0)).unwrap();
            assert_eq!((place.lost, place.is_anew), (0, number == 7));
        }
        assert_eq!(source.place(&packet(1, 101, 0), at(0)), None, "the former is not heard");
        assert!(source.place(&packet(2, 10, 0), at(1)).is_some());
        assert!(source.place(&packet(1, 102, 0), at(4)).is_some(), "the other is silent");
        assert_eq!(source.foreign, 1);
    }

    #[test]
    fn a_source_that_passes_by_costs_nothing_and_one_that_is_back_is_heard() {
        let mut source = Source::new(96, None, 90_000);
        let mut heard = |ssrc, sequence| source.place(&packet(ssrc, sequence, 0), at(0)).is_some();
        assert!((0..5).all(|number| heard(1, number)));
        assert!(heard(2, 50) && heard(1, 5) && heard(1, 6));
        assert!((7..20).all(|number| heard(1, number)));
        assert!(!heard(2, 51) && !heard(2, 52) && heard(2, 53), "three in a row");
        assert!((54..60).all(|number| heard(2, number)));
    }

    #[test]
    fn other_payload_types_are_left_out_unless_there_is_nothing_else() {
        let other = Packet { payload_type: 97, ssrc: 9, ..packet(1, 5, 0) };
        let mut source = Source::new(96, None, 90_000);
        assert_eq!(source.place(&other, at(0)), None);
        source.place(&packet(1, 1, 0), at(0));
        for _ in 0..2 * STRANGERS_MAX {
            assert_eq!(source.place(&other, at(0)), None);
        }
        let mut source = Source::new(96, None, 90_000);
        let others =
            (0..2 * STRANGERS_MAX as u16).map(|number| Packet { sequence: number, ..other });
        let taken = others.filter(|other| source.place(other, at(0)).is_some()).count();
        assert_eq!(taken, STRANGERS_MAX as usize);
    }
}
