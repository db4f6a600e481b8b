//! Facts: the records of the ledger. Everything that can change, and everything that listing
//! needs, is said here and nowhere else.

mod code;

use std::sync::Arc;

use super::types::{ClipState, ClockFact, Extent, Reason, Timing};
use crate::units::{BlockNumber, ClipId, EventId, Sequence, SessionNumber, StreamNumber, WallTime};
use crate::wire::{Decoder, Malformed};

/// Version of the encoding of facts.
const VERSION: u8 = 1;

/// A record of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The ring was opened for writing: durable before anything else of the session.
    Session {
        /// Which; one more than the last.
        number: SessionNumber,
        /// When.
        clock: ClockFact,
    },
    /// The session ended in order: nothing lies in a block that no fact speaks of.
    Clean,
    /// All that is known of a stream.
    Stream {
        /// Which.
        stream: StreamNumber,
        /// Opaque here.
        fact: Arc<[u8]>,
    },
    /// A block may begin its next life.
    Reserved {
        /// Which.
        block: BlockNumber,
        /// The life.
        life: Sequence,
    },
    /// How far the block is filled that a stream goes on in.
    Fill {
        /// Whose.
        stream: StreamNumber,
        /// Which.
        block: BlockNumber,
        /// The life.
        life: Sequence,
        /// Page behind the last chunk.
        end_page: u32,
        /// Number of the next chunk.
        next_chunk: u32,
        /// Header checksum of the last chunk, or of the block's header where there is none.
        seal: u32,
    },
    /// A clip has left a block, or has ended in it.
    Extent {
        /// Which clip.
        clip: ClipId,
        /// Whose.
        stream: StreamNumber,
        /// Counts from 0 in the clip.
        ordinal: u32,
        /// Where.
        extent: Extent,
        /// Sums over the clip so far, opaque here; empty once the clip is closed.
        growth: Arc<[u8]>,
    },
    /// A clip is closed. Its extents have been said before.
    Clip {
        /// Which.
        clip: ClipId,
        /// Whose.
        stream: StreamNumber,
        /// How many extents it has.
        extents: u32,
        /// Where its table is; empty where it has none.
        table: Vec<Extent>,
        /// Opaque here.
        fact: Arc<[u8]>,
    },
    /// The table of a closed clip was written once more.
    TableCopy {
        /// Which clip.
        clip: ClipId,
        /// Where.
        table: Vec<Extent>,
    },
    /// A closed clip has got another state.
    State {
        /// Which.
        clip: ClipId,
        /// The state.
        state: ClipState,
    },
    /// A clip is gone: its blocks may be reserved again once nothing else is in them.
    Gone {
        /// Which.
        clip: ClipId,
        /// Why.
        reason: Reason,
    },
    /// Something happened to a stream.
    Observation {
        /// To which.
        stream: StreamNumber,
        /// When it began.
        from: WallTime,
        /// When it was over.
        to: WallTime,
        /// Opaque here.
        fact: Arc<[u8]>,
    },
    /// The device refused a write into this block, or to read something of it: it is not used
    /// again.
    Bad {
        /// Which.
        block: BlockNumber,
    },
    /// A stream does not go on in its block any more.
    Left {
        /// Which stream.
        stream: StreamNumber,
    },
    /// The last wall-clock time that was trusted: what the next session compares its clock with.
    Clock {
        /// The time, on both clocks.
        clock: ClockFact,
    },
    /// From this clip on, the clips of a stream take their times from these clocks.
    Timed {
        /// Whose.
        stream: StreamNumber,
        /// The first of them.
        clip: ClipId,
        /// The clocks.
        timing: Timing,
    },
    /// A closed clip was recorded on a wrong clock: its times are others than its own fact says.
    Redated {
        /// Which.
        clip: ClipId,
        /// Opaque here.
        redating: Arc<[u8]>,
    },
    /// What a source says of a stream: the last that was said of an event holds.
    Event {
        /// Of which stream.
        stream: StreamNumber,
        /// Which event.
        event: EventId,
        /// When it began: where there are too many, the oldest go.
        start: WallTime,
        /// Opaque here; empty where the event is withdrawn.
        fact: Arc<[u8]>,
    },
    /// What a later program said, of a kind that this one does not know: kept as it stands.
    Unknown {
        /// Its kind.
        kind: u8,
        /// The body of its record.
        body: Arc<[u8]>,
    },
    /// The last fact of a checkpoint: what came before it in this area is all there was.
    CheckpointEnd,
}

/// A record as it stands in a page: kind, length, body.
const RECORD_HEADER_BYTES: usize = 3;

impl Fact {
    /// Appends the fact as a record: kind (1 byte), length of the body (2 bytes), body.
    pub fn append_to(&self, records: &mut Vec<u8>) {
        let (kind, body) = code::encode(self);
        records.push(kind);
        records.extend((body.len() as u16).to_le_bytes());
        records.extend(body);
    }

    /// Length of the record, in bytes.
    #[must_use]
    pub fn record_length(&self) -> usize {
        RECORD_HEADER_BYTES + code::encode(self).1.len()
    }

    /// Reads the body of a record. One of a kind that this program does not know, which a
    /// compatible later program may have written, is kept as it is.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Fact, Malformed> {
        if !code::is_known(kind) {
            return Ok(Fact::Unknown { kind, body: body.into() });
        }
        let mut from = Decoder::new(body, VERSION, "fact")?;
        let fact = code::decode_body(kind, &mut from)?;
        from.finish("fact")?;
        Ok(fact)
    }

    /// Whether the last fact of a checkpoint is among the records of a page.
    #[must_use]
    pub fn ends_checkpoint(records: &[u8]) -> bool {
        Fact::records(records).any(|(kind, _)| kind == code::CHECKPOINT_END)
    }

    /// Splits the records of a page. The iterator ends behind the first record that does not fit.
    pub fn records(mut records: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
        std::iter::from_fn(move || {
            let (&kind, rest) = records.split_first()?;
            let length = usize::from(u16::from_le_bytes([*rest.first()?, *rest.get(1)?]));
            let body = rest.get(2..2 + length)?;
            records = &rest[2 + length..];
            Some((kind, body))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::types::UnknownState;
    use crate::units::BootTime;

    fn extent() -> impl Strategy<Value = Extent> {
        (any::<[u32; 5]>(), any::<u64>(), 0_u32..1 << 16, 0_u32..1 << 16).prop_map(
            |([block, first_chunk, chunks, clip_chunks, seal], life, first_page, pages)| Extent {
                block: BlockNumber(block),
                life: Sequence(life),
                first_page,
                end_page: first_page + pages,
                first_chunk,
                chunks,
                clip_chunks,
                seal,
            },
        )
    }

    fn bytes() -> impl Strategy<Value = Arc<[u8]>> {
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Arc::from)
    }

    fn state() -> impl Strategy<Value = ClipState> {
        let named = [Reason::Deleted, Reason::Expired, Reason::Evicted, Reason::Quiet];
        let reasons = [&named[..], &[Reason::Quota, Reason::Unknown(5)]].concat();
        let reason = || proptest::sample::select(reasons.clone());
        let time = || any::<i64>().prop_map(WallTime);
        prop_oneof![
            Just(ClipState::Closed),
            Just(ClipState::Found),
            proptest::option::of(time()).prop_map(|until| ClipState::Kept { until }),
            (time(), reason()).prop_map(|(until, reason)| ClipState::Expiring { until, reason }),
            reason().prop_map(|reason| ClipState::Purging { reason }),
            (6..=u8::MAX, proptest::collection::vec(any::<u8>(), 0..=UnknownState::BYTES_MAX))
                .prop_map(|(code, behind)| {
                    ClipState::Unknown(UnknownState::new(code, &behind).expect("short"))
                }),
        ]
    }

    fn fact() -> impl Strategy<Value = Fact> {
        let clip = || any::<u64>().prop_map(|number| ClipId(Sequence(number)));
        let stream = || any::<u32>().prop_map(StreamNumber);
        let block = || any::<u32>().prop_map(BlockNumber);
        let tables = proptest::collection::vec(extent(), 0..4);
        let clock = || {
            (any::<i64>(), any::<i64>(), any::<[u8; 16]>()).prop_map(|(wall, boot, boot_id)| {
                ClockFact { wall: WallTime(wall), boot: BootTime(boot), boot_id }
            })
        };
        prop_oneof![
            Just(Fact::Clean),
            Just(Fact::CheckpointEnd),
            clock().prop_map(|clock| Fact::Clock { clock }),
            (stream(), clip(), clock(), any::<bool>()).prop_map(
                |(stream, clip, clock, synchronised)| Fact::Timed {
                    stream,
                    clip,
                    timing: Timing { clock, synchronised }
                }
            ),
            (clip(), bytes()).prop_map(|(clip, redating)| Fact::Redated { clip, redating }),
            (stream(), bytes()).prop_map(|(stream, fact)| Fact::Stream { stream, fact }),
            (block(), any::<u64>())
                .prop_map(|(block, life)| Fact::Reserved { block, life: Sequence(life) }),
            (clip(), stream(), any::<u32>(), extent(), bytes()).prop_map(
                |(clip, stream, ordinal, extent, growth)| Fact::Extent {
                    clip,
                    stream,
                    ordinal,
                    extent,
                    growth
                }
            ),
            (clip(), stream(), any::<u32>(), tables, bytes()).prop_map(
                |(clip, stream, extents, table, fact)| Fact::Clip {
                    clip,
                    stream,
                    extents,
                    table,
                    fact
                }
            ),
            (clip(), proptest::collection::vec(extent(), 0..4))
                .prop_map(|(clip, table)| Fact::TableCopy { clip, table }),
            (clip(), state()).prop_map(|(clip, state)| Fact::State { clip, state }),
            (stream(), any::<[i64; 2]>(), bytes()).prop_map(|(stream, [from, to], fact)| {
                Fact::Observation { stream, from: WallTime(from), to: WallTime(to), fact }
            }),
            block().prop_map(|block| Fact::Bad { block }),
            (0..=u8::MAX, bytes())
                .prop_filter("known", |(kind, _)| !code::is_known(*kind))
                .prop_map(|(kind, body)| Fact::Unknown { kind, body }),
            (stream(), any::<[u8; 16]>(), any::<i64>(), bytes()).prop_map(
                |(stream, event, start, fact)| Fact::Event {
                    stream,
                    event: EventId(event),
                    start: WallTime(start),
                    fact
                }
            ),
            stream().prop_map(|stream| Fact::Left { stream }),
        ]
    }

    #[test]
    fn an_event_is_written_as_the_format_has_it() {
        let (event, start) = (EventId([7; 16]), WallTime(300));
        let fact = Fact::Event { stream: StreamNumber(2), event, start, fact: [1, 9].into() };
        let mut record = Vec::new();
        fact.append_to(&mut record);
        let body = [&[1, 2][..], &[7; 16], &[0xd8, 4, 2, 1, 9]].concat();
        assert_eq!(record, [&[19, body.len() as u8, 0][..], &body].concat());
    }

    #[test]
    fn what_was_found_before_that_had_a_code_is_found() {
        let clip = ClipId(Sequence(1 << 40 | 7));
        let (until, reason) = (WallTime(i64::MAX), Reason::Deleted);
        let old = Fact::State { clip, state: ClipState::Expiring { until, reason } };
        let (kind, body) = code::encode(&old);
        let found = Fact::State { clip, state: ClipState::Found };
        assert_eq!(Fact::decode(kind, &body), Ok(found));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(facts in proptest::collection::vec(fact(), 0..8)) {
            let mut records = Vec::new();
            for fact in &facts {
                let before = records.len();
                fact.append_to(&mut records);
                prop_assert_eq!(records.len() - before, fact.record_length());
            }
            let read: Vec<Fact> = Fact::records(&records)
                .map(|(kind, body)| Fact::decode(kind, body).expect("sound"))
                .collect();
            prop_assert_eq!(read, facts);
        }

        #[test]
        fn any_bytes_are_facts_or_named_reasons(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            for (kind, body) in Fact::records(&bytes) {
                let _ = Fact::decode(kind, body);
            }
        }

        #[test]
        fn forged_facts_do_not_break_the_space_they_are_applied_to(
            facts in proptest::collection::vec(fact(), 0..40),
        ) {
            let length = crate::units::ByteCount(16 << 20);
            let geometry = crate::ring::Geometry::plan(length, Some(1 << 20)).expect("a ring");
            let mut space = crate::ring::space::Space::new(&geometry);
            for fact in &facts {
                let _ = space.apply(fact);
            }
            let usage = space.usage();
            prop_assert!(usage.used + usage.free == usage.size);
        }
    }
}
