//! Opening a ring: superblock, ledger, and what a crash left behind.

mod adopt;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::core::{Core, Parts};
use super::fact::Fact;
use super::ledger::{Findings, Ledger, LedgerError, Replay};
use super::space::Space;
use super::superblock::{Geometry, NotASuperblock, SUPERBLOCK_AREA, Superblock};
use super::types::{ClipState, ClockFact, Interpreter, News};
use super::{RingError, Sequences, Settings};
use crate::clock::Clock;
use crate::device::{self, Device};
use crate::units::{ClipId, DeviceOffset, PAGE_BYTES, Sequence, SessionNumber};

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
    /// Clips among them of which later facts have rotted: what their blocks say is expiring.
    pub clips_found: Vec<ClipId>,
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
    let (mut space, contradictions) = applied(geometry, &replay.facts);
    replay.findings.unreadable_facts += contradictions;
    if !replay.older.is_empty() {
        let (older, _) = applied(geometry, &replay.older);
        replay.findings.clips_restored = space.restore(&older, &replay.facts) as u32;
    }
    Ok((space, replay))
}

fn applied(geometry: &Geometry, facts: &[Fact]) -> (Space, u32) {
    let mut space = Space::new(geometry);
    let mut contradictions = 0;
    for fact in facts {
        if let Err(contradiction) = space.apply(fact) {
            log::warn!("ledger: {contradiction}");
            contradictions += 1;
        }
    }
    (space, contradictions)
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
    if superblock.ro_compat != 0 {
        return Err(RingError::ReadOnly { features: superblock.ro_compat });
    }
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
        session: SessionNumber(space.session().0.saturating_add(1)),
        ..Opening::default()
    };
    if opening.session > Sequence::SESSION_MAX {
        return Err(RingError::SessionsExhausted);
    }
    let (found, epoch) = if space.is_clean() {
        (Vec::new(), replay.epoch)
    } else {
        adopt::find(&*device, &superblock, &space, replay.epoch)
    };
    let next_stream = space.last_stream().map_or(1, |last| last.0 + 1);
    let mut core = Core::new(Parts {
        device,
        clock,
        superblock,
        interpreter,
        sequences: Arc::new(Sequences::new(opening.session, next_stream)),
        ledger: replay.ledger,
        epoch,
        space,
        wipe: settings.wipe,
    });
    if opening.superblock_from_copy {
        repair_superblock(&mut core).map_err(failed("repairing the superblock"))?;
    }
    tell_what_is_known(&mut core);
    adopt::adopt(&mut core, found, &mut opening);
    begin_session(&mut core, &opening).map_err(failed("beginning a session"))?;
    core.adopt_open_blocks();
    if !opening.findings.is_clean() {
        core.begin_checkpoint();
    }
    core.settle().map_err(failed("closing clips"))?;
    for &clip in &opening.clips_found {
        core.interpreter.news(&News::StateSet { clip, state: adopt::FOUND });
    }
    Ok((core, opening))
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> RingError {
    let what = what.to_owned();
    move |source| RingError::Device { what, source }
}

/// As it stands in the copy: a later program may have written records that this one does not know.
fn repair_superblock(core: &mut Core) -> io::Result<()> {
    log::warn!("superblock: repaired from its copy");
    let copy = core.superblock.geometry.superblock_copy();
    let page = device::read(&*core.device, copy, PAGE_BYTES as usize)?;
    core.write(DeviceOffset(0), &page)
}

/// Makes durable what was found, and behind it that the session has begun. In this order, with
/// one flush, and in the epoch of what was found: a second power cut finds either the new session
/// with all of that, or the old session with the same blocks to look into again.
fn begin_session(core: &mut Core, opening: &Opening) -> io::Result<()> {
    core.state_mut().space.drop_reservations();
    let idle = core.state().space.idle_streams();
    for stream in idle {
        core.record(Fact::Left { stream });
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
