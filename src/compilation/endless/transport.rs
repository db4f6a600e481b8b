//! MPEG-TS as it comes (ISO/IEC 13818-1): the tables in front of each key frame, and the clock as
//! often as it has to be.

use super::{Arriving, Endless, EndlessTracks, Put};
use crate::compilation::packets::NULL_PACKET;
use crate::compilation::transport::{PCR_NANOS, TABLES_EVERY, Transport, clock_reference};
use crate::compilation::{TRACKS, VIDEO};
use crate::units::NANOS_PER_SECOND;

/// Clock references of so much time are made up for in front of a sample, in nanoseconds.
const CAUGHT_UP_NANOS: i64 = NANOS_PER_SECOND;

/// See the [module](self).
pub(super) struct Packets {
    transport: Transport,
    /// Packets of each track so far.
    counters: [u64; TRACKS],
    tables: u8,
    /// Clock references since the tables came last.
    clocks: i64,
    /// When the clock was told last.
    clock: Option<i64>,
}

impl Packets {
    pub(super) fn new(tracks: &EndlessTracks) -> Packets {
        let transport = Transport::new(&tracks.video, tracks.sound.as_deref());
        Packets { transport, counters: [0; TRACKS], tables: 0, clocks: 0, clock: None }
    }

    /// What has to stand in front of a sample that is decoded then.
    fn in_front(&mut self, sample: &Arriving<'_>) -> Vec<u8> {
        let mut made = Vec::new();
        let begins_group = sample.is_sync && !sample.is_sound;
        if begins_group || self.clocks >= TABLES_EVERY {
            made = self.transport.tables(self.tables);
            self.tables = self.tables.wrapping_add(1);
            self.clocks = 0;
        }
        let now = sample.decoded_nanos;
        // Pictures may be rarer than the clock; what was a pause stays one.
        let since = self.clock.map_or(now, |clock| clock.saturating_add(PCR_NANOS));
        let mut at = since.max(now.saturating_sub(CAUGHT_UP_NANOS));
        while at <= now {
            // A packet without payload has the number of the last one that has some.
            let last = self.counters[VIDEO].wrapping_sub(1) as u8;
            made.extend(clock_reference(at, last));
            self.clock = Some(at);
            self.clocks += 1;
            at += PCR_NANOS;
        }
        made
    }
}

impl Endless for Packets {
    fn header(&self) -> Vec<u8> {
        Vec::new()
    }

    fn put(&mut self, sample: &Arriving<'_>) -> Put {
        let track = sample.track();
        if sample.is_sound && !self.transport.has_sound() {
            return Put::Whole(Vec::new());
        }
        let mut made = self.in_front(sample);
        // Only whether it is shown later than it is decoded counts of its ticks.
        let placed = sample.placed(1_000_000);
        let times = (sample.shown_nanos, sample.decoded_nanos);
        let packed = self.transport.packed(track, placed, times, self.counters[track] as u8);
        self.counters[track] += packed.packets();
        made.extend(packed.pack(sample.data));
        Put::Whole(made)
    }

    fn nothing(&self) -> Vec<u8> {
        NULL_PACKET.to_vec()
    }
}
