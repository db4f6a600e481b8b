//! Transport streams (ISO/IEC 13818-1): packets of 188 bytes, of several streams by turns.
//!
//! A [`Transport`] takes bytes as they come, from a file or out of a pipe, and answers the samples
//! of the streams of the first programme: a picture, or a packet of sound each. Bytes that are no
//! packets are passed, a sample of which a packet is missing is left out and counted, and times
//! that run over, or begin anew, go on. What waits to be complete is bounded.
//!
//! A file is read through once to know where its samples lie; each is then read again from there.
//!
//! It is our own: crates that take packets apart leave to others what a recorder needs of them,
//! which is most of it: where in a file each sample lies, packets that are further apart, what is
//! to be done where packets are missing or times begin anew.
//!
//! | part | knows |
//! |---|---|
//! | `packets` | where packets begin among bytes, and what is in front of their payload |
//! | `sections` | which streams there are |
//! | `lane` | the payload of one stream, packet by packet |
//! | `pictures`, `sound` | samples in it |
//! | `stamps` | time stamps |
//! | `files` | the samples of a file |

mod files;
mod lane;
mod packets;
mod pictures;
mod sections;
mod sound;
mod stamps;

use std::collections::{BTreeMap, VecDeque};

pub(crate) use files::Layer;
pub(super) use files::{contents, is_one};
use lane::{Counter, Lane, Read, Step};
use packets::{Packet, Packets};
use sections::{Section, Stream};
use stamps::Stamps;

use super::{Entry, Kind};

/// Ticks a second of all times (ISO/IEC 13818-1, 2.4.3.7).
pub(crate) const STAMPS_PER_SECOND: u32 = 90_000;

/// Where the table of programmes is (ISO/IEC 13818-1, 2.4.3.3).
const TABLE_PID: u16 = 0;
/// Streams of a programme that are looked at.
const LANES_MAX: usize = 32;

/// A sample of a stream, whole.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The number of its stream, as [`Transport::kind`] wants it.
    pub(crate) stream: usize,
    /// What decodes it, where that is news. Of pictures sets within them do.
    pub(crate) entry: Option<Entry>,
    /// When it is shown, in ticks.
    pub(crate) pts: i64,
    /// When it is decoded, in ticks.
    pub(crate) dts: i64,
    /// Of pictures: units behind start codes.
    pub(crate) data: Vec<u8>,
    /// Whether the stream says that decoding can begin here.
    pub(crate) sync: bool,
    /// Packets, and what they were of, are missing before it.
    pub(crate) is_behind_loss: bool,
    /// Times begin anew with it: it was put behind what was before.
    pub(crate) is_anew: bool,
    /// Where the packet of its first byte is, in bytes from the beginning, and how much of the
    /// payload of that is of others.
    place: (u64, u8),
}

/// A transport stream, as it comes.
#[derive(Default)]
pub(crate) struct Transport {
    packets: Packets,
    table: Section,
    table_counter: Counter,
    map: Section,
    map_pid: Option<u16>,
    lanes: Vec<Lane>,
    /// Which lane the packets of an identifier belong to.
    current: BTreeMap<u16, usize>,
    stamps: Stamps,
    /// Bytes of no packet, up to the last one.
    passed: u64,
    /// Samples that are complete.
    units: VecDeque<Unit>,
}

impl Transport {
    /// Takes bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.packets.push(bytes);
        self.read();
    }

    /// Nothing more comes: what is open is as complete as it gets.
    pub(crate) fn finish(&mut self) {
        self.packets.finish();
        self.read();
        let cut = self.packets.cut_off();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if cut == Some(lane.stream.pid) {
                lane.lose();
            }
            lane.finish(number, &mut self.units);
        }
    }

    /// The next sample that is complete.
    pub(crate) fn next(&mut self) -> Option<Unit> {
        self.units.pop_front()
    }

    /// Whether it is known which streams there are.
    pub(crate) fn is_known(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// What the streams are, as people call it; none as long as no table says it.
    pub(crate) fn streams(&self) -> Vec<&str> {
        self.lanes.iter().map(|lane| lane.stream.coding.name()).collect()
    }

    /// Whether there is a stream of pictures that are taken apart.
    pub(crate) fn has_video(&self) -> bool {
        self.lanes.iter().any(Lane::has_pictures)
    }

    /// What a stream is.
    pub(crate) fn kind(&self, stream: usize) -> Kind {
        self.lanes.get(stream).map_or(Kind::Other, |lane| lane.stream.kind)
    }

    /// Bytes so far that are of no packet.
    pub(crate) fn strays(&self) -> u64 {
        self.packets.strays()
    }

    fn read(&mut self) {
        while let Some((at, bytes)) = self.packets.next() {
            let strays = self.packets.strays();
            let passed = strays - std::mem::replace(&mut self.passed, strays);
            // Whole packets that are none were some.
            if passed > 0
                && self.packets.stride().is_some_and(|it| passed.is_multiple_of(it as u64))
            {
                self.lanes.iter_mut().for_each(Lane::lose);
            }
            if let Some(packet) = Packet::parse(&bytes) {
                self.take(at, &packet);
            }
        }
    }

    fn take(&mut self, at: u64, packet: &Packet<'_>) {
        if let Some(number) = self.current.get(&packet.pid).copied() {
            let read = Read { at, packet };
            let Some(lane) = self.lanes.get_mut(number) else { return };
            lane.push(number, &read, &mut self.stamps, &mut self.units);
        } else if packet.pid == TABLE_PID {
            let is_behind = self.table_counter.take(packet) == Step::Behind;
            if is_behind && packet.counter == 0 {
                self.lanes.iter_mut().for_each(Lane::may_join);
            }
            for body in self.table.push(packet) {
                self.map_pid = sections::first_map(&body).or(self.map_pid);
            }
        } else if Some(packet.pid) == self.map_pid {
            for body in self.map.push(packet) {
                sections::streams(&body).into_iter().for_each(|stream| self.add(stream));
            }
        }
    }

    /// A stream of the programme, which may be known.
    fn add(&mut self, stream: Stream) {
        let known = self.lanes.iter().position(|lane| lane.stream == stream);
        let pid = stream.pid;
        let number = match known {
            Some(number) => number,
            None if self.lanes.len() < LANES_MAX => {
                self.lanes.push(Lane::new(stream));
                self.lanes.len() - 1
            }
            None => return,
        };
        // The packets of one identifier are those of what was described last.
        if pid != TABLE_PID {
            self.current.insert(pid, number);
        }
    }
}
