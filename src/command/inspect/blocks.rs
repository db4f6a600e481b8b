//! Blocks of a ring: whose they are, which life, from when to when.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clips::{self, Known};
use super::row::{Row, words};
use super::selection::{Selection, Span};
use super::streams::{Streams, Wanted};
use crate::cli::quantity::size_text;
use crate::cli::table::Align;
use crate::ring::{BlockSummary, BlockUse, Extent, Inspection, RingError};
use crate::units::{BlockNumber, ByteCount, PAGE_BYTES, Sequence, StreamNumber, WallTime};
use crate::view::utc_timestamp;

/// Blocks shown where nobody says how many: each costs a read, on a spinning disk a seek.
const LIMIT_DEFAULT: usize = 100;

/// A block as the clips in it tell.
pub(super) struct Block {
    number: BlockNumber,
    content: Option<Content>,
}

/// What is in a block.
struct Content {
    life: Sequence,
    stream: StreamNumber,
    span: Option<Span>,
    clips: u32,
    used: ByteCount,
}

impl Block {
    fn span(&self) -> Option<Span> {
        self.content.as_ref()?.span
    }

    fn life(&self) -> Option<Sequence> {
        self.content.as_ref().map(|content| content.life)
    }
}

/// The selected blocks, by number, or by life where time counts. Nothing is read.
pub(super) fn selected(
    inspection: &Inspection<'_>,
    wanted: &Wanted,
    selection: &Selection,
) -> Vec<Block> {
    let mut contents = contents(inspection, wanted);
    let count = inspection.superblock.geometry.block_count;
    let blocks = (0..count).map(|number| {
        let number = BlockNumber(number);
        Block { number, content: contents.remove(&number) }
    });
    let only_used = !wanted.is_everything() || selection.by_time();
    let mut blocks: Vec<Block> =
        blocks.filter(|block| block.content.is_some() || !only_used).collect();
    if selection.newest || selection.at.is_some() {
        blocks.sort_by_key(Block::life);
    }
    selection.of(blocks, Block::span, Some(LIMIT_DEFAULT))
}

/// One block.
pub(super) fn named(inspection: &Inspection<'_>, wanted: &Wanted, number: BlockNumber) -> Block {
    Block { number, content: contents(inspection, wanted).remove(&number) }
}

fn contents(inspection: &Inspection<'_>, wanted: &Wanted) -> BTreeMap<BlockNumber, Content> {
    let mut contents = BTreeMap::new();
    for clip in clips::known(inspection, wanted) {
        let mut chunks_before = 0;
        for extent in &clip.record.extents {
            let span = span_of(&clip, chunks_before, extent);
            chunks_before = extent.clip_chunks;
            add(&mut contents, clip.record.stream, extent, span, 1);
        }
        for extent in clip.record.table.iter().chain(&clip.record.table_copy) {
            add(&mut contents, clip.record.stream, extent, None, 0);
        }
    }
    contents
}

fn add(
    to: &mut BTreeMap<BlockNumber, Content>,
    stream: StreamNumber,
    extent: &Extent,
    span: Option<Span>,
    clips: u32,
) {
    let (life, used) = (extent.life, ByteCount(0));
    let content = to.entry(extent.block).or_insert(Content { life, stream, span, clips: 0, used });
    let pages = extent.end_page.saturating_sub(extent.first_page);
    content.used += ByteCount(u64::from(pages) * PAGE_BYTES);
    content.clips += clips;
    content.span = match (content.span, span) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    };
}

/// From when to when about a part of a clip lasts: its chunks are about equally long.
fn span_of(clip: &Known<'_>, chunks_before: u32, extent: &Extent) -> Option<Span> {
    let (start, end) = clip.span()?;
    let all = clip.record.extents.last().map_or(1, |last| last.clip_chunks.max(1));
    let at = |chunks: u32| {
        let length = i128::from(end.nanos_since(start));
        let part = length * i128::from(chunks.min(all)) / i128::from(all);
        start.plus_nanos(i64::try_from(part).unwrap_or(i64::MAX))
    };
    Some((at(chunks_before), at(extent.clip_chunks)))
}

/// One block, with what its header says.
#[derive(Serialize)]
pub(super) struct BlockRow {
    block: u32,
    state: String,
    life: String,
    stream: Option<u32>,
    camera: Option<String>,
    life_began: Option<String>,
    start: Option<String>,
    end: Option<String>,
    clips: u32,
    holders: u32,
    used_bytes: u64,
    header: String,
    #[serde(skip)]
    times: (Option<WallTime>, Option<WallTime>, Option<WallTime>),
}

/// Reads the header of a block.
///
/// # Errors
/// The device failed.
pub(super) fn row(
    inspection: &Inspection<'_>,
    streams: &Streams,
    block: &Block,
) -> Result<BlockRow, RingError> {
    let summary = inspection.block(block.number)?;
    let content = block.content.as_ref();
    let life = content.map_or(summary.life, |content| content.life);
    let header = summary.header.as_ref().filter(|header| header.life == life);
    let stream = content.map(|content| content.stream).or(header.map(|header| header.stream));
    let (start, end) = block.span().unzip();
    let life_began = header.map(|header| header.start);
    let camera = stream.map(|stream| match start.or(life_began) {
        Some(start) => streams.name_at(stream, start),
        None => streams.name(stream),
    });
    Ok(BlockRow {
        block: block.number.0,
        state: words(used_for(inspection, &summary)),
        life: life.to_string(),
        stream: stream.map(|stream| stream.0),
        camera,
        life_began: life_began.map(utc_timestamp),
        start: start.map(utc_timestamp),
        end: end.map(utc_timestamp),
        clips: content.map_or(0, |content| content.clips),
        holders: summary.holders,
        used_bytes: content.map_or(0, |content| content.used.0),
        header: header_verdict(&summary, life),
        times: (life_began, start, end),
    })
}

/// What the block is in use for. A reservation holds in its own session: the next one lets it go.
fn used_for(inspection: &Inspection<'_>, summary: &BlockSummary) -> BlockUse {
    let held = summary.life.session() == inspection.session() && !inspection.is_clean();
    match summary.used_for {
        BlockUse::Reserved if !held => BlockUse::Free,
        used_for => used_for,
    }
}

fn header_verdict(summary: &BlockSummary, life: Sequence) -> String {
    match &summary.header {
        Some(header) if header.life == life => "ok".to_owned(),
        Some(header) => format!("of life {}", header.life),
        None => "none".to_owned(),
    }
}

impl Row for BlockRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("block", Align::Right),
        ("state", Align::Left),
        ("life", Align::Right),
        ("camera", Align::Left),
        ("life began", Align::Left),
        ("footage from", Align::Left),
        ("to (about)", Align::Left),
        ("clips", Align::Right),
        ("used", Align::Right),
        ("header", Align::Left),
    ];

    fn cells(&self, time_text: &dyn Fn(WallTime) -> String) -> Vec<String> {
        let time = |time: Option<WallTime>| time.map_or_else(|| "-".to_owned(), time_text);
        vec![
            self.block.to_string(),
            self.state.clone(),
            self.life.clone(),
            self.camera.clone().unwrap_or_else(|| "-".to_owned()),
            time(self.times.0),
            time(self.times.1),
            time(self.times.2),
            self.clips.to_string(),
            size_text(ByteCount(self.used_bytes)),
            self.header.clone(),
        ]
    }
}
