//! The payload of one stream: what its packets carry (ISO/IEC 13818-1, 2.4.3.6 and 2.4.3.7).

use std::collections::VecDeque;

use super::Unit;
use super::packets::Packet;
use super::pictures::Pictures;
use super::sections::Stream;
use super::sound::{Sound, is_adts};
use super::stamps::{Own, Stamp, Stamped, Stamps};
use crate::demux::cursor::Cursor;
use crate::demux::{Coding, Kind};

/// A packet, and where it is, in bytes from the beginning.
pub(super) struct Read<'a> {
    pub(super) at: u64,
    pub(super) packet: &'a Packet<'a>,
}

/// One stream.
pub(super) struct Lane {
    pub(super) stream: Stream,
    counter: Counter,
    own: Own,
    content: Content,
    /// Nobody can read it.
    pub(super) is_scrambled: bool,
    /// It is called data, and is AAC behind headers.
    pub(super) is_hidden_sound: bool,
    /// Another stream may go on here: what begins next need not follow what was before.
    may_join: bool,
}

enum Content {
    Pictures(Pictures),
    Sound(Sound),
    /// Nothing that is recorded.
    Other,
}

impl Lane {
    pub(super) fn new(stream: Stream) -> Lane {
        let content = match (stream.kind, &stream.coding) {
            (Kind::Video, Coding::H264 | Coding::H265) => {
                Content::Pictures(Pictures::new(stream.entry()))
            }
            (Kind::Sound, Coding::Aac | Coding::Opus) => Content::Sound(Sound::new(&stream)),
            _ => Content::Other,
        };
        let (counter, own) = (Counter::default(), Own::default());
        let (is_scrambled, is_hidden_sound, may_join) = (false, false, false);
        Lane { stream, counter, own, content, is_scrambled, is_hidden_sound, may_join }
    }

    /// Whether there are pictures in it that are taken apart.
    pub(super) fn has_pictures(&self) -> bool {
        matches!(self.content, Content::Pictures(_))
    }

    /// Takes a packet of the stream, whose number is that of its samples.
    pub(super) fn push(
        &mut self,
        number: usize,
        read: &Read<'_>,
        stamps: &mut Stamps,
        units: &mut VecDeque<Unit>,
    ) {
        self.is_scrambled |= read.packet.is_scrambled;
        let step = self.counter.take(read.packet);
        let shift = self.own.shift;
        let found = body(read.packet).filter(|_| step != Step::Passed);
        let stamp = found.and_then(|(stamp, _)| stamp);
        let stamp = stamp.map(|stamp| stamps.place(&mut self.own, stamp));
        // Another stream counts from zero.
        let may_join = read.packet.is_start && std::mem::take(&mut self.may_join);
        let joins = may_join && read.packet.counter == 0;
        if step == Step::Behind && !joins && self.own.shift == shift {
            self.lose();
        }
        let Some((_, body)) = found else { return };
        let part = Part { at: read.at, body, stamp, is_entry: read.packet.is_entry };
        match &mut self.content {
            Content::Pictures(pictures) => pictures.push(&part, number, units),
            Content::Sound(sound) => sound.push(&part, number, units),
            Content::Other => {
                let is_data = self.stream.kind == Kind::Other;
                self.is_hidden_sound |= is_data && part.stamp.is_some() && is_adts(part.body);
            }
        }
    }

    /// The table of programmes begins anew: what begins next may be of another stream.
    pub(super) fn may_join(&mut self) {
        self.may_join = true;
    }

    /// Packets are missing: what is open will not be complete.
    pub(super) fn lose(&mut self) {
        match &mut self.content {
            Content::Pictures(pictures) => pictures.lose(),
            Content::Sound(sound) => sound.lose(),
            Content::Other => {}
        }
    }

    /// Samples that a packet is missing of, of pictures; how often that was, of sound.
    pub(super) fn torn(&self) -> u64 {
        match &self.content {
            Content::Pictures(pictures) => pictures.torn,
            Content::Sound(sound) => sound.torn,
            Content::Other => 0,
        }
    }

    /// Frames of sound that hold several packets.
    pub(super) fn unparted(&self) -> u64 {
        match &self.content {
            Content::Sound(sound) => sound.unparted,
            _ => 0,
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, number: usize, units: &mut VecDeque<Unit>) {
        if let Content::Pictures(pictures) = &mut self.content {
            pictures.finish(None, number, units);
        }
    }
}

/// A piece of the payload of a stream.
pub(super) struct Part<'a> {
    /// Where its packet is, in bytes from the beginning.
    pub(super) at: u64,
    pub(super) body: &'a [u8],
    /// When what begins with it is shown, where that is told.
    pub(super) stamp: Option<Stamped>,
    pub(super) is_entry: bool,
}

/// What a packet is to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It has nothing, or what that had.
    Passed,
    Next,
    /// Others between them are missing.
    Behind,
}

/// Counts the packets of a stream (ISO/IEC 13818-1, 2.4.3.3).
#[derive(Default)]
pub(super) struct Counter(Option<u8>);

impl Counter {
    pub(super) fn take(&mut self, packet: &Packet<'_>) -> Step {
        if packet.payload.is_none() || packet.is_scrambled {
            return Step::Passed;
        }
        let last = self.0.replace(packet.counter);
        match last {
            _ if packet.is_discontinuous => Step::Next,
            Some(last) if last == packet.counter => Step::Passed,
            Some(last) if (last + 1) & 0xf != packet.counter => Step::Behind,
            _ => Step::Next,
        }
    }
}

/// What a packet has of its stream, and when what begins with it is shown, where that is told;
/// `None` where it is of no sample.
pub(super) fn body<'a>(packet: &Packet<'a>) -> Option<(Option<Stamp>, &'a [u8])> {
    let payload = packet.payload?;
    if !packet.is_start {
        return Some((None, payload));
    }
    let mut at = Cursor(payload);
    if at.array::<3>()? != [0, 0, 1] {
        return None;
    }
    let number = at.u8()?;
    at.skip(2)?;
    // Padding, directories and the like have no such header.
    let is_sample = matches!(number, 0xbd | 0xc0..=0xef | 0xfa..=0xfe);
    if !is_sample || at.u8()? & 0xc0 != 0x80 {
        return None;
    }
    let flags = at.u8()?;
    let length = at.u8()?;
    let mut fields = Cursor(at.take(usize::from(length))?);
    let pts = (flags & 0x80 != 0).then(|| stamp(&mut fields)).flatten();
    let dts = (flags & 0xc0 == 0xc0).then(|| stamp(&mut fields)).flatten();
    Some((pts.map(|pts| Stamp { pts, dts: dts.unwrap_or(pts) }), at.0))
}

/// 33 bits in five bytes, with a one behind each piece of them.
fn stamp(at: &mut Cursor<'_>) -> Option<i64> {
    let (high, middle, low) = (at.u8()?, at.u16()?, at.u16()?);
    let pieces =
        [(i64::from(high) >> 1 & 7, 30), (i64::from(middle) >> 1, 15), (i64::from(low) >> 1, 0)];
    Some(pieces.iter().fold(0, |sum, (piece, bits)| sum | piece << bits))
}

/// Payload of a stream, with where it came from.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) bytes: Vec<u8>,
    /// Bytes before those.
    passed: usize,
    /// Behind how many bytes what a packet has begins, and where that is.
    marks: VecDeque<(usize, u64)>,
}

impl Gathered {
    pub(super) fn add(&mut self, part: &Part<'_>) {
        if part.body.is_empty() {
            return;
        }
        self.marks.push_back((self.passed + self.bytes.len(), part.at));
        self.bytes.extend_from_slice(part.body);
    }

    /// Where the packet of a byte is, and how much of its payload is before that.
    pub(super) fn place(&self, byte: usize) -> (u64, u8) {
        let byte = self.passed + byte;
        let behind = self.marks.partition_point(|(begins, _)| *begins <= byte);
        let mark = behind.checked_sub(1).and_then(|mark| self.marks.get(mark));
        // A packet has less than 188 bytes.
        mark.map_or((0, 0), |(begins, at)| (*at, (byte - begins) as u8))
    }

    /// Leaves the first so many bytes out.
    pub(super) fn pass(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.passed += count;
        while self.marks.get(1).is_some_and(|(begins, _)| *begins <= self.passed) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets;
    use super::*;

    fn packet(payload: &[u8]) -> Packet<'_> {
        packets::tests::packet(payload, true)
    }

    #[test]
    fn stamps_are_read() {
        // Those that ISO/IEC 13818-1 shows bit by bit: the highest number, and another one.
        let payload =
            [0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 11, 0x3f, 255, 255, 255, 255, 0x11, 0, 5, 0, 3, 9, 7];
        let packet = packet(&payload);
        let (stamp, body) = body(&packet).expect("a header");
        let dts = 2 << 15 | 1;
        assert_eq!((stamp, body), (Some(Stamp { pts: (1 << 33) - 1, dts }), &[7][..]));
    }

    #[test]
    fn what_is_no_sample_is_passed() {
        for payload in [&[0, 0, 1, 0xbe, 0, 4, 0xff, 0xff, 0xff, 0xff][..], &[0, 0, 2, 0xe0], &[]] {
            assert!(body(&packet(payload)).is_none(), "{payload:?}");
        }
    }

    #[test]
    fn packets_that_are_missing_are_noticed_and_those_that_come_twice_passed() {
        let mut counter = Counter::default();
        let steps = [14, 15, 15, 0, 2]
            .map(|number| counter.take(&Packet { counter: number, ..packet(&[1]) }));
        assert_eq!(steps, [Step::Next, Step::Next, Step::Passed, Step::Next, Step::Behind]);
        let anew = Packet { counter: 9, is_discontinuous: true, ..packet(&[1]) };
        assert_eq!(counter.take(&anew), Step::Next);
    }

    #[test]
    fn a_byte_is_known_by_its_packet() {
        let mut gathered = Gathered::default();
        for (at, body) in [(0, &[1, 2, 3][..]), (376, &[4, 5]), (752, &[6, 7])] {
            gathered.add(&Part { at, body, stamp: None, is_entry: false });
        }
        assert_eq!(
            [0, 2, 3, 4, 6].map(|byte| gathered.place(byte)),
            [(0, 0), (0, 2), (376, 0), (376, 1), (752, 1)]
        );
        gathered.pass(4);
        assert_eq!(gathered.bytes, [5, 6, 7]);
        assert_eq!([0, 1].map(|byte| gathered.place(byte)), [(376, 1), (752, 0)]);
    }
}
