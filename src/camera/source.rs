//! The packets of one track among all that come on its channel: whose they are, what is missing
//! between them, and their time. Pure.
//!
//! A source that counts anew, or another one in its place, is the camera's affair and goes on. Two
//! sources at a time are not: the one that came later is it, until nothing more comes from it.

use super::picture::Place;
use super::rtp::Packet;
use crate::units::BootTime;

/// So far ahead a number counts as numbers that are missing; farther, the camera counts anew.
const LOST_MAX: u16 = 3000;
/// A source that was given up is taken again when nothing came from the other for so long.
const SILENCE_NANOS: i64 = 2_000_000_000;
/// Sources that were given up and are remembered.
const FORMER_MAX: usize = 8;
/// So many packets of another payload type than was described, and none of that, are meant.
const STRANGERS_MAX: u32 = 32;

/// What a track has heard so far.
pub(super) struct Source {
    /// As the description has it.
    payload_type: u8,
    /// Packets of other payload types, while none of that one came.
    strangers: Option<u32>,
    last: Option<Last>,
    former: Vec<u32>,
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
}

impl Source {
    pub(super) fn new(payload_type: u8) -> Source {
        Source { payload_type, strangers: Some(0), last: None, former: Vec::new(), foreign: 0 }
    }

    /// The place of a packet; `None` where it is not of this track.
    pub(super) fn place(&mut self, packet: &Packet<'_>, received: BootTime) -> Option<Place> {
        let is_ours = self.is_type(packet) && self.is_source(packet.ssrc, received);
        if !is_ours {
            self.foreign += 1;
            return None;
        }
        let Some(last) = &mut self.last else {
            let time = i64::from(packet.timestamp);
            self.last = Some(Last {
                ssrc: packet.ssrc,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                time,
                received,
            });
            return Some(Place { time, ..Place::default() });
        };
        let step = packet.timestamp.wrapping_sub(last.timestamp).cast_signed();
        last.time = last.time.saturating_add(i64::from(step));
        let ahead = packet.sequence.wrapping_sub(last.sequence.wrapping_add(1));
        let is_same = packet.ssrc == last.ssrc;
        last.ssrc = packet.ssrc;
        (last.sequence, last.timestamp) = (packet.sequence, packet.timestamp);
        last.received = received;
        let is_missing = is_same && ahead <= LOST_MAX;
        Some(Place {
            time: last.time,
            lost: if is_missing { u32::from(ahead) } else { 0 },
            is_anew: !is_missing,
        })
    }

    /// The source that is heard said that it leaves: another one may take its place, or itself.
    pub(super) fn left(&mut self) {
        self.former.clear();
    }

    fn is_type(&mut self, packet: &Packet<'_>) -> bool {
        if packet.payload_type == self.payload_type {
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
        if self.former.contains(&ssrc) && silence < SILENCE_NANOS {
            return false;
        }
        self.former.retain(|former| *former != ssrc);
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
        let mut source = Source::new(96);
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
        let mut source = Source::new(96);
        source.place(&packet(1, 100, 0), at(0));
        for sequence in [0, 30_000, 29_999, 29_999] {
            let place = source.place(&packet(1, sequence, 0), at(0)).unwrap();
            assert_eq!((place.lost, place.is_anew), (0, true), "{sequence}");
        }
    }

    #[test]
    fn another_source_takes_the_place_of_the_one_before() {
        let mut source = Source::new(96);
        source.place(&packet(1, 100, 0), at(0));
        let place = source.place(&packet(2, 7, 0), at(0)).unwrap();
        assert_eq!((place.lost, place.is_anew), (0, true));
        assert_eq!(source.place(&packet(1, 101, 0), at(0)), None, "the former is not heard");
        assert!(source.place(&packet(2, 8, 0), at(1)).is_some());
        assert!(source.place(&packet(1, 102, 0), at(4)).is_some(), "the other is silent");
        source.left();
        assert!(source.place(&packet(2, 9, 0), at(4)).is_some());
        assert_eq!(source.foreign, 1);
    }

    #[test]
    fn other_payload_types_are_left_out_unless_there_is_nothing_else() {
        let other = Packet { payload_type: 97, ssrc: 9, ..packet(1, 5, 0) };
        let mut source = Source::new(96);
        assert_eq!(source.place(&other, at(0)), None);
        source.place(&packet(1, 1, 0), at(0));
        for _ in 0..2 * STRANGERS_MAX {
            assert_eq!(source.place(&other, at(0)), None);
        }
        let mut source = Source::new(96);
        let taken =
            (0..2 * STRANGERS_MAX).filter(|_| source.place(&other, at(0)).is_some()).count();
        assert_eq!(taken, STRANGERS_MAX as usize);
    }
}
