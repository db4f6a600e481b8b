//! The ledger's facts in their order, each in a line.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clips::state_of;
use super::row::{Row, hexadecimal, words};
use super::selection::{Selection, Span};
use super::streams::{Streams, Wanted};
use crate::cli::quantity::duration_text;
use crate::cli::table::Align;
use crate::ring::{ClipState, Extent, Fact, Inspection};
use crate::segment::{ClipFact, EventFact, Malformed, Observation, Redating, StreamFact};
use crate::units::{ClipId, EventId, StreamNumber, WallTime};
use crate::view::utc_timestamp;

/// One fact.
#[derive(Serialize)]
pub(super) struct FactRow {
    number: usize,
    fact: &'static str,
    stream: Option<u32>,
    camera: Option<String>,
    clip: Option<String>,
    block: Option<u32>,
    from: Option<String>,
    to: Option<String>,
    text: String,
    #[serde(skip)]
    span: Option<Span>,
}

/// What a fact speaks of, and in which words.
#[derive(Default)]
struct Said {
    fact: &'static str,
    stream: Option<StreamNumber>,
    clip: Option<ClipId>,
    block: Option<u32>,
    span: Option<Span>,
    text: String,
}

/// Rows of the selected facts.
pub(super) fn rows(
    inspection: &Inspection<'_>,
    streams: &Streams,
    wanted: &Wanted,
    selection: &Selection,
) -> Vec<FactRow> {
    let mut owners: BTreeMap<ClipId, StreamNumber> = BTreeMap::new();
    let mut said = Vec::with_capacity(inspection.facts.len());
    for (number, fact) in inspection.facts.iter().enumerate() {
        let mut what = say(fact).unwrap_or_else(|error| malformed(fact, &error));
        // States and ends name the clip alone: whose it was, the facts before them have said.
        if let Some(clip) = what.clip {
            match what.stream {
                Some(stream) => _ = owners.insert(clip, stream),
                None => what.stream = owners.get(&clip).copied(),
            }
        }
        let asked = what.stream.map_or(wanted.is_everything(), |stream| wanted.has(stream));
        if asked {
            said.push((number, what));
        }
    }
    let selected = selection.of(said, |(_, said)| said.span, None);
    selected.into_iter().map(|(number, said)| row(number, said, streams)).collect()
}

fn row(number: usize, said: Said, streams: &Streams) -> FactRow {
    let camera = said.stream.map(|stream| match said.span {
        Some((from, _)) => streams.name_at(stream, from),
        None => streams.name(stream),
    });
    FactRow {
        number,
        fact: said.fact,
        stream: said.stream.map(|stream| stream.0),
        camera,
        clip: said.clip.map(|clip| clip.to_string()),
        block: said.block,
        from: said.span.map(|(from, _)| utc_timestamp(from)),
        to: said.span.map(|(_, to)| utc_timestamp(to)),
        text: said.text,
        span: said.span,
    }
}

fn moment(time: WallTime) -> Option<Span> {
    Some((time, time))
}

fn say(fact: &Fact) -> Result<Said, Malformed> {
    Ok(match fact {
        Fact::Session { number, clock } => Said {
            span: moment(clock.wall),
            text: format!("{number} in boot {}", hexadecimal(&clock.boot_id)),
            ..named("session")
        },
        Fact::Clean => Said { text: "the session ended in order".to_owned(), ..named("clean") },
        Fact::Clock { clock } => Said {
            span: moment(clock.wall),
            text: "the time was trusted".to_owned(),
            ..named("clock")
        },
        Fact::Stream { stream, fact } => {
            let text = stream_text(&StreamFact::decode(fact)?);
            Said { stream: Some(*stream), text, ..named("stream") }
        }
        Fact::Reserved { block, life } => {
            Said { block: Some(block.0), text: format!("for life {life}"), ..named("reserved") }
        }
        Fact::Fill { stream, block, life, end_page, next_chunk, .. } => Said {
            stream: Some(*stream),
            block: Some(block.0),
            text: format!("life {life} goes on at page {end_page} with chunk {next_chunk}"),
            ..named("fill")
        },
        Fact::Extent { .. }
        | Fact::Clip { .. }
        | Fact::TableCopy { .. }
        | Fact::State { .. }
        | Fact::Redated { .. }
        | Fact::Gone { .. } => say_of_clip(fact)?,
        Fact::Observation { stream, from, to, fact } => {
            let seen = Observation::decode(fact)?;
            Said {
                stream: Some(*stream),
                span: Some((*from, *to)),
                text: format!("{} ({}) {}", words(seen.kind), seen.number, seen.text),
                ..named("observation")
            }
        }
        Fact::Event { stream, event, start, fact } => say_of_event(*stream, *event, *start, fact)?,
        Fact::Bad { block } => Said {
            block: Some(block.0),
            text: "the device refused a write, or a read".to_owned(),
            ..named("bad block")
        },
        Fact::Left { stream } => {
            let text = "does not go on in its block".to_owned();
            Said { stream: Some(*stream), text, ..named("left") }
        }
        Fact::Unknown { kind, body } => Said {
            text: format!("of kind {kind}, {} bytes: {}", body.len(), hexadecimal(body)),
            ..named("unknown")
        },
        Fact::Timed { .. } | Fact::CheckpointEnd => say_of_clip(fact)?,
    })
}

fn say_of_event(
    stream: StreamNumber,
    event: EventId,
    start: WallTime,
    fact: &[u8],
) -> Result<Said, Malformed> {
    let (span, text) = match fact {
        [] => (moment(start), format!("{event} withdrawn")),
        fact => {
            let said = EventFact::decode(fact)?;
            let EventFact { class, label, source, id, end, .. } = &said;
            let going = if end.is_none() { ", goes on" } else { "" };
            let text = format!("{class} {label}{going}, as {id} of {source}");
            (Some((said.start, end.unwrap_or(said.heard).max(said.start))), text)
        }
    };
    Ok(Said { stream: Some(stream), span, text, ..named("event") })
}

/// Those about clips; any other is the end of a checkpoint.
fn say_of_clip(fact: &Fact) -> Result<Said, Malformed> {
    Ok(match fact {
        Fact::Extent { clip, stream, ordinal, extent, .. } => Said {
            stream: Some(*stream),
            clip: Some(*clip),
            block: Some(extent.block.0),
            text: format!("{ordinal}: {}", extent_text(extent)),
            ..named("extent")
        },
        Fact::Clip { clip, stream, extents, table, fact } => {
            let fact = ClipFact::decode(fact)?;
            let (stream, clip) = (Some(*stream), Some(*clip));
            let (span, text) = (Some((fact.start, fact.end)), clip_text(&fact, *extents, table));
            Said { stream, clip, span, text, ..named("clip") }
        }
        Fact::TableCopy { clip, table } => {
            let text = format!("its table once more, in {} pieces", table.len());
            Said { clip: Some(*clip), text, ..named("table copy") }
        }
        Fact::State { clip, state } => {
            Said { clip: Some(*clip), text: state_text(*state), ..named("state") }
        }
        Fact::Timed { stream, clip, timing } => {
            let how = if timing.synchronised { "synchronised" } else { "not synchronised" };
            Said {
                stream: Some(*stream),
                clip: Some(*clip),
                span: moment(timing.clock.wall),
                text: format!("{how}, in boot {}", hexadecimal(&timing.clock.boot_id)),
                ..named("timed")
            }
        }
        Fact::Redated { clip, redating } => {
            let shift_nanos = Redating::decode(redating)?.shift_nanos;
            let length = std::time::Duration::from_nanos(shift_nanos.unsigned_abs());
            let way = if shift_nanos < 0 { "earlier" } else { "later" };
            let text = format!("{} {way} than the clock said", duration_text(length));
            Said { clip: Some(*clip), text, ..named("redated") }
        }
        Fact::Gone { clip, reason } => {
            Said { clip: Some(*clip), text: words(reason), ..named("gone") }
        }
        _ => {
            let text = "all facts before were in force".to_owned();
            Said { text, ..named("checkpoint") }
        }
    })
}

fn named(fact: &'static str) -> Said {
    Said { fact, ..Said::default() }
}

/// A fact that the ring could read, and nobody can understand.
fn malformed(fact: &Fact, error: &Malformed) -> Said {
    let (name, stream, clip) = match fact {
        Fact::Stream { stream, .. } => ("stream", Some(*stream), None),
        Fact::Clip { clip, stream, .. } => ("clip", Some(*stream), Some(*clip)),
        Fact::Redated { clip, .. } => ("redated", None, Some(*clip)),
        Fact::Observation { stream, .. } => ("observation", Some(*stream), None),
        Fact::Event { stream, .. } => ("event", Some(*stream), None),
        _ => ("fact", None, None),
    };
    Said { stream, clip, text: error.to_string(), ..named(name) }
}

fn stream_text(fact: &StreamFact) -> String {
    let names: Vec<&str> = fact.names.iter().map(|name| name.name.as_str()).collect();
    let mut text = format!("{} UUID {}", names.join(", now "), uuid::Uuid::from_bytes(fact.uuid));
    if let Some(nanos) = fact.retain_nanos.and_then(|nanos| u64::try_from(nanos).ok()) {
        text += &format!(", retain {}", duration_text(std::time::Duration::from_nanos(nanos)));
    }
    if let Some(removed) = fact.removed {
        text += &format!(", left the configuration {}", utc_timestamp(removed));
    }
    text
}

fn state_text(state: ClipState) -> String {
    let (name, reason, until) = state_of(Some(state));
    let until = until.map(|until| format!("until {}", utc_timestamp(until)));
    let words: Vec<String> = [Some(name.to_owned()), reason, until].into_iter().flatten().collect();
    words.join(", ")
}

fn clip_text(fact: &ClipFact, extents: u32, table: &[Extent]) -> String {
    let length = fact.end.nanos_since(fact.start).max(0).unsigned_abs();
    let table: Vec<String> = table.iter().map(extent_text).collect();
    let damaged = match fact.damaged() {
        0 => String::new(),
        damaged => format!(" ({damaged} damaged)"),
    };
    format!(
        "{}, {} frames{damaged}, {} bytes, ended: {}, {extents} extents, table {}",
        duration_text(std::time::Duration::from_nanos(length)),
        fact.frames(),
        fact.byte_count(),
        words(fact.end_reason),
        if table.is_empty() { "none".to_owned() } else { table.join(" ") }
    )
}

fn extent_text(extent: &Extent) -> String {
    let Extent { block, life, first_page, end_page, chunks, .. } = extent;
    format!("block {block} life {life} pages {first_page}-{end_page}, {chunks} chunks")
}

impl Row for FactRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("number", Align::Right),
        ("fact", Align::Left),
        ("camera", Align::Left),
        ("clip", Align::Right),
        ("block", Align::Right),
        ("time", Align::Left),
        ("says", Align::Left),
    ];

    fn cells(&self, time_text: &dyn Fn(WallTime) -> String) -> Vec<String> {
        vec![
            self.number.to_string(),
            self.fact.to_owned(),
            self.camera.clone().unwrap_or_default(),
            self.clip.clone().unwrap_or_default(),
            self.block.map(|block| block.to_string()).unwrap_or_default(),
            self.span.map(|(from, _)| time_text(from)).unwrap_or_default(),
            self.text.clone(),
        ]
    }
}
