//! Opening a ring: superblock, ledger, and what a crash left in blocks that no fact speaks of yet.

mod adopt;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::core::{Core, Parts};
use super::fact::Fact;
use super::ledger::{Findings, Ledger, LedgerError, Replay};
use super::space::Space;
use super::superblock::{NotASuperblock, SUPERBLOCK_AREA, Superblock};
use super::types::{ClipState, ClockFact, Interpreter, News};
use super::{RingError, Sequences, Settings};
use crate::clock::Clock;
use crate::device::{self, AlignedBuffer, Device};
use crate::units::{DeviceOffset, PAGE_BYTES, Sequence, SessionNumber};

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
        adopt::find_unknown(&*device, &superblock, &space, replay.epoch)
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
    adopt::adopt(&mut core, found, &mut opening);
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
