//! Opening a ring: superblock, ledger, and what a crash left in blocks that no fact speaks of yet.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::chunk::ChunkKind;
use super::core::{Core, Parts};
use super::fact::Fact;
use super::ledger::{Findings, Ledger, LedgerError, Replay};
use super::space::Space;
use super::superblock::{NotASuperblock, SUPERBLOCK_AREA, Superblock};
use super::types::{ClipState, ClockFact, DurableChunk, Ending, Extent, Interpreter, News};
use super::walk::{self, ChunkAt, Walk};
use super::{RingError, Sequences, Settings};
use crate::clock::Clock;
use crate::device::{self, AlignedBuffer, Device};
use crate::units::{
    BlockNumber, ClipId, DeviceOffset, PAGE_BYTES, Sequence, SessionNumber, StreamNumber,
};

/// What opening a ring met and took; for the log.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// What the ledger said of itself.
    pub findings: Findings,
    /// The first superblock was damaged, and its copy served.
    pub superblock_from_copy: bool,
    /// The last session ended in order.
    pub was_clean: bool,
    /// Growing clips that were found and closed.
    pub clips_recovered: usize,
    /// Chunks in them that no fact spoke of.
    pub chunks_recovered: usize,
    /// The last time that was trusted, if any ever was.
    pub known_clock: Option<ClockFact>,
    /// The number of this session.
    pub session: SessionNumber,
}

/// Reads the superblock, or its copy where the first is damaged; tells which.
///
/// # Errors
/// The device failed, it is no ring, or one that this program can't use.
pub fn read_superblock(device: &dyn Device) -> Result<(Superblock, bool), RingError> {
    if device.length().0 < 2 * SUPERBLOCK_AREA.0 {
        return Err(RingError::TooShort { length: device.length() });
    }
    let copy = DeviceOffset(device.length().0 - PAGE_BYTES);
    let first = superblock_at(device, DeviceOffset(0))?;
    let second = match &first {
        Ok(_) => None,
        Err(NotASuperblock::Newer { .. } | NotASuperblock::UnknownFeatures { .. }) => None,
        Err(_) => superblock_at(device, copy)?.ok(),
    };
    let from_copy = second.is_some();
    let superblock = match (first, second) {
        (Ok(superblock), _) | (Err(_), Some(superblock)) => superblock,
        (Err(reason), None) => return Err(RingError::NoSuperblock(reason)),
    };
    if device.length() < superblock.geometry.length {
        return Err(RingError::Truncated {
            length: device.length(),
            expected: superblock.geometry.length,
        });
    }
    Ok((superblock, from_copy))
}

type Decoded = Result<Superblock, NotASuperblock>;

fn superblock_at(device: &dyn Device, offset: DeviceOffset) -> Result<Decoded, RingError> {
    match device::read(device, offset, PAGE_BYTES as usize) {
        Ok(page) => Ok(Superblock::decode(&page)),
        // The copy may still be readable.
        Err(source) if offset.0 == 0 => {
            log::error!("superblock: {source}");
            Ok(Err(NotASuperblock::Foreign))
        }
        Err(source) => Err(RingError::Device { what: "reading the superblock".into(), source }),
    }
}

/// Replays the ledger into the facts in force.
///
/// # Errors
/// Neither area can be used.
pub fn read_ledger(
    device: &dyn Device,
    superblock: &Superblock,
) -> Result<(Space, Replay), RingError> {
    let geometry = &superblock.geometry;
    let mut replay = Ledger::replay(device, superblock).map_err(|error| match error {
        LedgerError::Device { area, source } => {
            RingError::Device { what: format!("reading ledger area {area}"), source }
        }
        LedgerError::Lost => RingError::LedgerLost,
    })?;
    let mut space = Space::new(geometry.block_count, geometry.block_pages());
    for fact in &replay.facts {
        if let Err(contradiction) = space.apply(fact) {
            log::warn!("ledger: {contradiction}");
            replay.findings.unreadable_facts += 1;
        }
    }
    Ok((space, replay))
}

/// Opens a ring for writing: everything that the device can vouch for is known to `interpreter`
/// when this returns, and the new session is durable.
///
/// # Errors
/// See [`RingError`].
pub(super) fn open(
    device: Arc<dyn Device>,
    clock: Arc<dyn Clock>,
    settings: &Settings,
    interpreter: Box<dyn Interpreter>,
) -> Result<(Core, Opening), RingError> {
    // What a crash left in the drive's cache must not become durable behind our back.
    device.flush().map_err(|source| RingError::Device { what: "first flush".into(), source })?;
    let (superblock, from_copy) = read_superblock(&*device)?;
    let started = Instant::now();
    let (space, replay) = read_ledger(&*device, &superblock)?;
    log::info!(
        "ledger: {} facts from {} pages in {:.3} s",
        replay.facts.len(),
        replay.findings.pages_read,
        started.elapsed().as_secs_f64()
    );
    let mut opening = Opening {
        findings: replay.findings.clone(),
        superblock_from_copy: from_copy,
        was_clean: space.is_clean(),
        known_clock: space.known_clock(),
        session: SessionNumber(space.session().0 + 1),
        ..Opening::default()
    };
    if opening.session > Sequence::SESSION_MAX {
        return Err(RingError::SessionsExhausted);
    }
    let found = if space.is_clean() {
        Vec::new()
    } else {
        find_unknown(&*device, &superblock, &space, replay.epoch)
    };
    let epoch = found.iter().map(|found| found.epoch_max()).max().unwrap_or(0).max(replay.epoch);
    let next_stream = space.streams().map(|(stream, _)| stream.0).max().map_or(1, |max| max + 1);
    let sequences = Arc::new(Sequences::new(opening.session, next_stream));
    let mut core = Core::new(Parts {
        device,
        clock,
        superblock,
        interpreter,
        sequences,
        ledger: replay.ledger,
        epoch: epoch + 1,
        space,
        wipe: settings.wipe,
    });
    begin_session(&mut core, &opening)
        .map_err(|source| RingError::Device { what: "beginning a session".into(), source })?;
    tell_what_is_known(&mut core);
    adopt(&mut core, found, &mut opening);
    core.state_mut().space.drop_reservations();
    let idle = core.state().space.idle_streams();
    for stream in idle {
        core.record(Fact::Left { stream });
    }
    core.adopt_open_blocks();
    if !opening.findings.is_clean() {
        core.begin_checkpoint();
    }
    core.settle().map_err(|source| RingError::Device { what: "closing clips".into(), source })?;
    Ok((core, opening))
}

fn begin_session(core: &mut Core, opening: &Opening) -> io::Result<()> {
    if opening.superblock_from_copy {
        log::warn!("superblock: repaired from its copy");
        let page = AlignedBuffer::from_bytes(&core.superblock.encode());
        core.write(DeviceOffset(0), &page)?;
    }
    let now = core.clock.read();
    let clock = ClockFact { wall: now.wall, boot: now.boot, boot_id: now.boot_id };
    core.record(Fact::Session { number: opening.session, clock });
    core.flush_facts()
}

/// Streams first, then clips in their order, then their states.
fn tell_what_is_known(core: &mut Core) {
    let mut news = Vec::new();
    {
        let state = core.state();
        for (stream, fact) in state.space.streams() {
            news.push(News::StreamSet { stream, fact: fact.clone() });
        }
        for (clip, record) in state.space.clips() {
            let Some(clip_state) = record.state else { continue };
            news.push(News::ClipClosed {
                clip,
                stream: record.stream,
                fact: record.fact.clone(),
                used: record.used(),
            });
            if clip_state != ClipState::Closed {
                news.push(News::StateSet { clip, state: clip_state });
            }
        }
    }
    for news in news {
        core.interpreter.news(&news);
    }
}

/// Chunks of one life of a block that no fact speaks of.
struct Found {
    block: BlockNumber,
    life: Sequence,
    chunks: Vec<ChunkAt>,
}

impl Found {
    fn epoch_max(&self) -> u64 {
        self.chunks.iter().map(|at| at.header.fixed.epoch).max().unwrap_or(0)
    }
}

/// Walks the blocks that streams were going on in, and those reserved for a next life.
fn find_unknown(
    device: &dyn Device,
    superblock: &Superblock,
    space: &Space,
    ledger_epoch: u64,
) -> Vec<Found> {
    let mut found = Vec::new();
    let open = space.open_blocks().map(|(_, fill)| Walk {
        device,
        superblock,
        block: fill.block,
        life: fill.life,
        page: fill.end_page,
        number: fill.next_chunk,
        predecessor: Some(fill.seal),
    });
    let begun = space.reserved().filter_map(|(block, life)| {
        let header = walk::block_header(device, superblock, block).unwrap_or_else(|error| {
            log::error!("recovery: header of block {block}: {error}");
            None
        });
        let (_, seal) = header.filter(|(header, _)| header.life == life)?;
        let predecessor = Some(seal);
        Some(Walk { device, superblock, block, life, page: 1, number: 0, predecessor })
    });
    for mut walk in open.chain(begun) {
        let (block, life) = (walk.block, walk.life);
        let mut chunks = Vec::new();
        loop {
            match walk.step() {
                // An earlier session's chunks that no fact speaks of were gone before it ended.
                Ok(Some(at)) if at.header.fixed.clip.0.session() == space.session() => {
                    chunks.push(at);
                }
                Ok(_) => break,
                Err(error) => {
                    log::error!("recovery: block {block}: {error}");
                    break;
                }
            }
        }
        if !chunks.is_empty() {
            found.push(Found { block, life, chunks });
        }
    }
    let epoch_max = found.iter().map(Found::epoch_max).max().unwrap_or(0).max(ledger_epoch);
    for found in &mut found {
        cut_torn(device, superblock, found, epoch_max);
    }
    found.sort_by_key(|found| found.life);
    found
}

/// Chunks of the last epoch may have been under way when the power went: the first whose samples
/// are not whole ends the block. Those of earlier epochs were covered by a flush.
fn cut_torn(device: &dyn Device, superblock: &Superblock, found: &mut Found, epoch_max: u64) {
    let whole = found.chunks.iter().take_while(|at| {
        at.header.fixed.epoch < epoch_max
            || matches!(walk::data_of(device, superblock, found.block, at), Ok(Some(_)))
    });
    let whole = whole.count();
    found.chunks.truncate(whole);
}

/// What was found of one clip.
#[derive(Default)]
struct Remains {
    stream: StreamNumber,
    /// The number that the next chunk must have: behind a gap nothing is the clip's.
    next_number: u32,
    /// Extents, each with its media chunks.
    extents: Vec<(Extent, Vec<ChunkAt>)>,
}

/// Closes the clips that were growing: what the facts know of them, and what was found behind it.
fn adopt(core: &mut Core, found: Vec<Found>, opening: &mut Opening) {
    let mut clips: BTreeMap<ClipId, Remains> = BTreeMap::new();
    for (clip, record) in core.state().space.clips() {
        if record.state.is_none() {
            let next_number = record.extents.last().map_or(0, |extent| extent.clip_chunks);
            let remains = Remains { stream: record.stream, next_number, extents: Vec::new() };
            clips.insert(clip, remains);
        }
    }
    for found in found {
        collect(core, found, &mut clips);
    }
    clips.retain(|clip, remains| {
        !remains.extents.is_empty() || core.state().space.clip(*clip).is_some()
    });
    for (clip, remains) in clips {
        opening.clips_recovered += 1;
        opening.chunks_recovered += remains.extents.iter().map(|(_, c)| c.len()).sum::<usize>();
        close_remains(core, clip, &remains);
    }
}

/// Sorts the chunks of a block to their clips. A parameter set stands before the chunk that needs
/// it and belongs to its extent; a table is a cache that is not worth finding.
fn collect(core: &Core, found: Found, clips: &mut BTreeMap<ClipId, Remains>) {
    let (mut page, mut number) = match found.chunks.first() {
        Some(at) => (at.page, at.header.fixed.number_in_block),
        None => return,
    };
    for at in found.chunks {
        let fixed = at.header.fixed.clone();
        let (end_page, end_number) = (at.page + fixed.pages(), fixed.number_in_block + 1);
        let closed = core.state().space.clip(fixed.clip).is_some_and(|r| r.state.is_some());
        if fixed.kind == ChunkKind::Parameters {
            continue;
        }
        let (first_page, first_chunk) = (page, number);
        (page, number) = (end_page, end_number);
        if fixed.kind != ChunkKind::Media || closed {
            continue;
        }
        let remains = clips.entry(fixed.clip).or_default();
        remains.stream = fixed.stream;
        if fixed.number_in_clip != remains.next_number {
            continue;
        }
        remains.next_number += 1;
        let next = Extent {
            block: found.block,
            life: found.life,
            first_page,
            end_page,
            first_chunk,
            chunks: end_number - first_chunk,
            clip_chunks: remains.next_number,
            seal: fixed.checksum,
        };
        match remains.extents.last_mut() {
            Some((extent, chunks))
                if extent.life == next.life && extent.end_page == next.first_page =>
            {
                extent.end_page = next.end_page;
                extent.chunks += next.chunks;
                extent.clip_chunks = next.clip_chunks;
                extent.seal = next.seal;
                chunks.push(at);
            }
            _ => remains.extents.push((next, vec![at])),
        }
    }
}

fn close_remains(core: &mut Core, clip: ClipId, remains: &Remains) {
    let stream = remains.stream;
    let (mut ordinal, growth) = {
        let state = core.state();
        let record = state.space.clip(clip);
        (record.map_or(0, |r| r.extents.len() as u32), record.map(|r| r.fact.clone()))
    };
    if let Some(growth) = growth {
        core.interpreter.resume(clip, stream, &growth);
    }
    for (extent, chunks) in &remains.extents {
        for at in chunks {
            let (device, superblock) = (core.device.clone(), core.superblock.clone());
            let sets = walk::parameters_of(&*device, &superblock, extent.block, &at.header);
            let Ok(Some(sets)) = sets else {
                log::warn!("recovery: clip {clip}: parameter sets are unreadable");
                continue;
            };
            let chunk = DurableChunk {
                stream,
                parameters: &sets,
                table: &at.header.table,
                digest: &at.header.fixed.digest,
            };
            core.interpreter.chunk_durable(clip, &chunk);
        }
        let growth = Arc::from(core.interpreter.growth(clip));
        core.record(Fact::Extent { clip, stream, ordinal, extent: *extent, growth });
        ordinal += 1;
    }
    core.seal(clip, stream, Ending::Recovered, ordinal, Vec::new());
}
