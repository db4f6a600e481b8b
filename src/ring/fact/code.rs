//! How facts are written: one byte of version, numbers as varints.

#![warn(clippy::indexing_slicing)]

use std::sync::Arc;

use super::{Fact, VERSION};
use crate::ring::types::{ClipState, ClockFact, Extent, Reason, Timing, UnknownState};
use crate::units::{
    BlockNumber, BootTime, ClipId, EventId, Sequence, SessionNumber, StreamNumber, WallTime,
};
use crate::wire::{Decoder, Encoder, Malformed};

/// Table extents of a clip: a table lies in two blocks where it does not fit the first.
const TABLE_EXTENTS_MAX: usize = 8;

const SESSION: u8 = 1;
const CLEAN: u8 = 2;
const STREAM: u8 = 3;
const RESERVED: u8 = 4;
const FILL: u8 = 5;
const EXTENT: u8 = 6;
const CLIP: u8 = 7;
const STATE: u8 = 8;
const GONE: u8 = 9;
const OBSERVATION: u8 = 10;
const BAD: u8 = 11;
const LEFT: u8 = 12;
const CLOCK: u8 = 13;
pub(super) const CHECKPOINT_END: u8 = 14;
const TABLE_COPY: u8 = 15;
const TIMED: u8 = 16;
const REDATED: u8 = 17;
/// Behind [`LATER_FACTS`](crate::ring::LATER_FACTS), as are the others from 18 to 31, which are for
/// programs to come.
const EVENT: u8 = 19;

/// Whether this program knows what a record of that kind says.
pub(super) const fn is_known(kind: u8) -> bool {
    matches!(kind, SESSION..=REDATED | EVENT)
}

/// Kind and body of a record.
pub(super) fn encode(fact: &Fact) -> (u8, Vec<u8>) {
    if let Fact::Unknown { kind, body } = fact {
        return (*kind, body.to_vec());
    }
    let mut to = Encoder::new(VERSION);
    let kind = encode_fact(fact, &mut to);
    (kind, to.finish())
}

fn encode_fact(fact: &Fact, to: &mut Encoder) -> u8 {
    match fact {
        Fact::Session { number, clock } => {
            to.u32(number.0);
            encode_clock(to, clock);
            SESSION
        }
        Fact::Clean => CLEAN,
        Fact::Stream { stream, fact } => {
            to.u32(stream.0);
            to.bytes(fact);
            STREAM
        }
        Fact::Reserved { block, life } => {
            to.u32(block.0);
            to.u64(life.0);
            RESERVED
        }
        Fact::Fill { stream, block, life, end_page, next_chunk, seal } => {
            to.u32(stream.0);
            to.u32(block.0);
            to.u64(life.0);
            for number in [end_page, next_chunk, seal] {
                to.u32(*number);
            }
            FILL
        }
        Fact::Observation { stream, from, to: until, fact } => {
            to.u32(stream.0);
            to.i64(from.0);
            to.i64(until.0);
            to.bytes(fact);
            OBSERVATION
        }
        Fact::Event { stream, event, start, fact } => {
            to.u32(stream.0);
            to.raw(&event.0);
            to.i64(start.0);
            to.bytes(fact);
            EVENT
        }
        Fact::Bad { block } => {
            to.u32(block.0);
            BAD
        }
        Fact::Left { stream } => {
            to.u32(stream.0);
            LEFT
        }
        Fact::Clock { clock } => {
            encode_clock(to, clock);
            CLOCK
        }
        Fact::CheckpointEnd | Fact::Unknown { .. } => CHECKPOINT_END,
        Fact::Extent { .. }
        | Fact::Clip { .. }
        | Fact::TableCopy { .. }
        | Fact::State { .. }
        | Fact::Timed { .. }
        | Fact::Redated { .. }
        | Fact::Gone { .. } => encode_clip_fact(fact, to),
    }
}

/// Those about clips; any other is the end of a checkpoint.
fn encode_clip_fact(fact: &Fact, to: &mut Encoder) -> u8 {
    match fact {
        Fact::Extent { clip, stream, ordinal, extent, growth } => {
            to.u64(clip.number());
            to.u32(stream.0);
            to.u32(*ordinal);
            encode_extent(to, extent);
            to.bytes(growth);
            EXTENT
        }
        Fact::Clip { clip, stream, extents, table, fact } => {
            to.u64(clip.number());
            to.u32(stream.0);
            to.u32(*extents);
            encode_table(to, table);
            to.bytes(fact);
            CLIP
        }
        Fact::TableCopy { clip, table } => {
            to.u64(clip.number());
            encode_table(to, table);
            TABLE_COPY
        }
        Fact::State { clip, state } => {
            to.u64(clip.number());
            encode_state(to, state);
            STATE
        }
        Fact::Gone { clip, reason } => {
            to.u64(clip.number());
            to.byte(reason_code(*reason));
            GONE
        }
        Fact::Timed { stream, clip, timing } => {
            to.u32(stream.0);
            to.u64(clip.number());
            to.byte(u8::from(timing.synchronised));
            encode_clock(to, &timing.clock);
            TIMED
        }
        Fact::Redated { clip, redating } => {
            to.u64(clip.number());
            to.bytes(redating);
            REDATED
        }
        _ => CHECKPOINT_END,
    }
}

pub(super) fn decode_body(kind: u8, from: &mut Decoder<'_>) -> Result<Fact, Malformed> {
    Ok(match kind {
        SESSION => Fact::Session {
            number: SessionNumber(from.u32("session")?),
            clock: decode_clock(from)?,
        },
        CLEAN => Fact::Clean,
        STREAM => Fact::Stream { stream: stream(from)?, fact: opaque(from, "stream fact")? },
        RESERVED => Fact::Reserved { block: block(from)?, life: life(from)? },
        FILL => Fact::Fill {
            stream: stream(from)?,
            block: block(from)?,
            life: life(from)?,
            end_page: from.u32("end page")?,
            next_chunk: from.u32("next chunk")?,
            seal: from.u32("seal")?,
        },
        EXTENT => Fact::Extent {
            clip: clip(from)?,
            stream: stream(from)?,
            ordinal: from.u32("extent ordinal")?,
            extent: decode_extent(from)?,
            growth: opaque(from, "growth")?,
        },
        CLIP => Fact::Clip {
            clip: clip(from)?,
            stream: stream(from)?,
            extents: from.u32("extent count")?,
            table: decode_table(from)?,
            fact: opaque(from, "clip fact")?,
        },
        TABLE_COPY => Fact::TableCopy { clip: clip(from)?, table: decode_table(from)? },
        STATE => Fact::State { clip: clip(from)?, state: decode_state(from)? },
        GONE => Fact::Gone { clip: clip(from)?, reason: decode_reason(from)? },
        OBSERVATION => Fact::Observation {
            stream: stream(from)?,
            from: WallTime(from.i64("beginning")?),
            to: WallTime(from.i64("end")?),
            fact: opaque(from, "observation")?,
        },
        EVENT => Fact::Event {
            stream: stream(from)?,
            event: EventId(from.array("event")?),
            start: WallTime(from.i64("beginning")?),
            fact: opaque(from, "event fact")?,
        },
        BAD => Fact::Bad { block: block(from)? },
        LEFT => Fact::Left { stream: stream(from)? },
        CLOCK => Fact::Clock { clock: decode_clock(from)? },
        TIMED => Fact::Timed {
            stream: stream(from)?,
            clip: clip(from)?,
            timing: Timing {
                synchronised: from.byte("synchronised")? != 0,
                clock: decode_clock(from)?,
            },
        },
        REDATED => Fact::Redated { clip: clip(from)?, redating: opaque(from, "redating")? },
        _ => Fact::CheckpointEnd,
    })
}

fn encode_clock(to: &mut Encoder, clock: &ClockFact) {
    to.i64(clock.wall.0);
    to.i64(clock.boot.0);
    to.raw(&clock.boot_id);
}

fn decode_clock(from: &mut Decoder<'_>) -> Result<ClockFact, Malformed> {
    Ok(ClockFact {
        wall: WallTime(from.i64("wall time")?),
        boot: BootTime(from.i64("boot time")?),
        boot_id: from.array("boot id")?,
    })
}

fn stream(from: &mut Decoder<'_>) -> Result<StreamNumber, Malformed> {
    from.u32("stream").map(StreamNumber)
}

fn block(from: &mut Decoder<'_>) -> Result<BlockNumber, Malformed> {
    from.u32("block").map(BlockNumber)
}

fn life(from: &mut Decoder<'_>) -> Result<Sequence, Malformed> {
    from.u64("life of a block").map(Sequence)
}

fn clip(from: &mut Decoder<'_>) -> Result<ClipId, Malformed> {
    from.u64("clip").map(|number| ClipId(Sequence(number)))
}

fn opaque(from: &mut Decoder<'_>, what: &'static str) -> Result<Arc<[u8]>, Malformed> {
    from.bytes(what).map(Arc::from)
}

fn encode_extent(to: &mut Encoder, extent: &Extent) {
    to.u32(extent.block.0);
    to.u64(extent.life.0);
    to.u32(extent.first_page);
    to.u32(extent.end_page - extent.first_page);
    to.u32(extent.first_chunk);
    to.u32(extent.chunks);
    to.u32(extent.clip_chunks);
    to.u32(extent.seal);
}

fn encode_table(to: &mut Encoder, table: &[Extent]) {
    to.u64(table.len() as u64);
    for extent in table {
        encode_extent(to, extent);
    }
}

fn decode_table(from: &mut Decoder<'_>) -> Result<Vec<Extent>, Malformed> {
    let count = from.count(7, "table extents")?;
    if count > TABLE_EXTENTS_MAX {
        return Err(from.wrong("table extents", format!("{count} of them")));
    }
    (0..count).map(|_| decode_extent(from)).collect()
}

fn decode_extent(from: &mut Decoder<'_>) -> Result<Extent, Malformed> {
    let (block, life) = (block(from)?, life(from)?);
    let first_page = from.u32("first page")?;
    let pages = from.u32("pages")?;
    let end_page = first_page
        .checked_add(pages)
        .ok_or_else(|| from.wrong("pages", format!("{pages} from {first_page} on")))?;
    Ok(Extent {
        block,
        life,
        first_page,
        end_page,
        first_chunk: from.u32("first chunk")?,
        chunks: from.u32("chunk count")?,
        clip_chunks: from.u32("chunks of the clip")?,
        seal: from.u32("seal")?,
    })
}

fn reason_code(reason: Reason) -> u8 {
    match reason {
        Reason::Deleted => 0,
        Reason::Expired => 1,
        Reason::Evicted => 2,
        Reason::Quiet => 3,
        Reason::Quota => 4,
        Reason::Unknown(code) => code,
    }
}

fn decode_reason(from: &mut Decoder<'_>) -> Result<Reason, Malformed> {
    Ok(match from.byte("reason")? {
        0 => Reason::Deleted,
        1 => Reason::Expired,
        2 => Reason::Evicted,
        3 => Reason::Quiet,
        4 => Reason::Quota,
        other => Reason::Unknown(other),
    })
}

fn encode_state(to: &mut Encoder, state: &ClipState) {
    match state {
        ClipState::Closed => to.byte(0),
        ClipState::Kept { until: None } => to.byte(1),
        ClipState::Kept { until: Some(until) } => {
            to.byte(2);
            to.i64(until.0);
        }
        ClipState::Expiring { until, reason } => {
            to.byte(3);
            to.i64(until.0);
            to.byte(reason_code(*reason));
        }
        ClipState::Purging { reason } => {
            to.byte(4);
            to.byte(reason_code(*reason));
        }
        ClipState::Found => to.byte(5),
        ClipState::Unknown(state) => {
            to.byte(state.code);
            to.raw(state.behind());
        }
    }
}

fn decode_state(from: &mut Decoder<'_>) -> Result<ClipState, Malformed> {
    match from.byte("clip state")? {
        0 => Ok(ClipState::Closed),
        1 => Ok(ClipState::Kept { until: None }),
        2 => Ok(ClipState::Kept { until: Some(WallTime(from.i64("kept until")?)) }),
        3 => {
            let until = WallTime(from.i64("expiring until")?);
            let reason = decode_reason(from)?;
            // The end of time is how found clips were written before they had a code.
            let is_found = until == WallTime(i64::MAX) && reason == Reason::Deleted;
            Ok(if is_found { ClipState::Found } else { ClipState::Expiring { until, reason } })
        }
        4 => Ok(ClipState::Purging { reason: decode_reason(from)? }),
        5 => Ok(ClipState::Found),
        code => {
            let behind = from.rest();
            let length = behind.len();
            let state = UnknownState::new(code, behind).map(ClipState::Unknown);
            state.ok_or_else(|| from.wrong("clip state", format!("{code} with {length} bytes")))
        }
    }
}
