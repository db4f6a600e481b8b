//! Opening a ring: superblock, ledger, and what a crash left behind.

use std::io;
use std::sync::Arc;

use super::adopt::{self, Standing};
use super::doubt::Doubt;
use super::opening::Opening;
use crate::clock::{Clock, Stopwatch};
use crate::device::Device;
use crate::ring::blocks::BlockReader;
use crate::ring::core::{Core, Parts};
use crate::ring::error::RingError;
use crate::ring::fact::Fact;
use crate::ring::found::{Sweep, left_behind, read_ledger, read_superblock, repair_superblocks};
use crate::ring::geometry::places_text;
use crate::ring::ledger::Ledger;
use crate::ring::sequences::Sequences;
use crate::ring::space::Space;
use crate::ring::superblock::Superblock;
use crate::ring::types::{ClipState, ClockFact, Interpreter, News, Settings};
use crate::units::{Sequence, SessionNumber};

/// What a ring says of itself before anything is written to it.
struct Known {
    space: Space,
    ledger: Ledger,
    epoch: u64,
    /// Facts are lost for good.
    doubt: Option<Doubt>,
    /// What blocks say that no fact speaks of.
    swept: Sweep,
}

/// Reads the ledger, and what a crash or a loss of facts makes worth looking at besides.
fn learn(
    device: &dyn Device,
    superblock: &Superblock,
    opening: &mut Opening,
) -> Result<Known, RingError> {
    let started = Stopwatch::start();
    let (mut space, replay) = read_ledger(device, superblock)?;
    log::info!(
        "ledger: {} facts from {} pages in {:.3} s",
        replay.facts.len(),
        replay.findings.pages_read,
        started.elapsed().as_secs_f64()
    );
    opening.findings = replay.findings.clone();
    opening.was_clean = space.is_clean();
    opening.known_clock = space.known_clock();
    let doubt = Doubt::of(&replay);
    let reader = BlockReader::new(device, superblock);
    if let Some(doubt) = &doubt {
        doubt.settle(reader, &mut space);
    }
    let swept = match &doubt {
        Some(doubt) => doubt.look_through(reader, &space),
        None if space.is_clean() => Sweep::default(),
        None => {
            let left = left_behind(reader, &space, replay.epoch);
            Sweep::of(left.map_err(RingError::device("reading what the last session left"))?)
        }
    };
    opening.chunks_lost = swept.chunks_lost();
    let last = space.session().max(swept.session_max);
    opening.session = SessionNumber(last.0.saturating_add(1));
    if opening.session > Sequence::SESSION_MAX {
        return Err(RingError::SessionsExhausted);
    }
    let epoch = replay.epoch.max(swept.epoch_max);
    Ok(Known { space, ledger: replay.ledger, epoch, doubt, swept })
}

/// What becomes of a ring on a device that takes no write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::ring) enum Unwritable {
    /// It is not opened.
    Refuse,
    /// It is opened to be read; recording waits until something can be written.
    Wait,
}

/// Opens a ring for writing: everything that the device can vouch for is known to `interpreter`
/// when this returns, and the new session is durable, or waits for that.
///
/// # Errors
/// See [`RingError`].
pub(in crate::ring) fn open(
    device: Arc<dyn Device>,
    clock: Arc<dyn Clock>,
    settings: &Settings,
    interpreter: Box<dyn Interpreter>,
    unwritable: Unwritable,
) -> Result<(Core, Opening), RingError> {
    // What a crash left in the drive's cache must not become durable behind our back.
    device.flush().map_err(|source| RingError::Device { what: "first flush".into(), source })?;
    let (superblock, from_copy) = read_superblock(&*device)?;
    if let Some(features) = superblock.unknown_ro_compat() {
        return Err(RingError::ReadOnly { features });
    }
    let mut opening = Opening { superblock_from_copy: from_copy, ..Opening::default() };
    let known = learn(&*device, &superblock, &mut opening)?;
    let Known { space, ledger, epoch, doubt, swept } = known;
    let (bytes, bytes_max) = (space.carried_bytes(), superblock.geometry.carried_bytes_max());
    if bytes > bytes_max {
        return Err(RingError::TooMuchUnknown { bytes, bytes_max });
    }
    let streams = space.last_stream().into_iter().chain(swept.streams.keys().copied());
    let next_stream = streams.max().map_or(1, |last| last.0.saturating_add(1));
    let mut core = Core::new(Parts {
        device,
        clock,
        superblock,
        interpreter,
        sequences: Arc::new(Sequences::new(opening.session, next_stream)),
        ledger,
        epoch,
        space,
        wipe: settings.wipe,
    });
    if core.device.is_writable() {
        mend_superblocks(&core);
    }
    tell_what_is_known(&mut core);
    for (stream, found) in &swept.streams {
        let known = core.state().space.streams().any(|(known, _)| known == *stream);
        if !known {
            let fact = core.interpreter.stream_found(*stream, found);
            core.set_stream(*stream, fact.into());
        }
    }
    let standing = |clip| doubt.as_ref().map_or(Standing::Growing, |doubt| doubt.standing(clip));
    adopt::adopt(&mut core, (swept.pieces, epoch), &standing, &mut opening);
    let begun = begin_session(&mut core, &opening);
    core.adopt_open_blocks();
    match begun {
        Ok(()) => {
            if !opening.findings.is_clean() {
                core.begin_checkpoint();
            }
            core.settle().map_err(RingError::device("closing clips"))?;
        }
        Err(error) if unwritable == Unwritable::Wait => {
            core.wait_until_writable(&error, !opening.findings.is_clean());
            opening.unwritable = Some(error.to_string());
        }
        Err(error) => return Err(RingError::device("beginning a session")(error)),
    }
    for &(clip, state) in &opening.clips_found {
        core.interpreter.news(&News::StateSet { clip, state });
    }
    Ok((core, opening))
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
    let clock = ClockFact::from(&core.clock.read());
    core.record(Fact::Session { number: opening.session, clock });
    core.flush_facts()
}

fn mend_superblocks(core: &Core) {
    match repair_superblocks(&*core.device) {
        Ok(places) if places.is_empty() => {}
        Ok(places) => log::warn!(
            "superblock: missing or damaged at {}: written again from another; where no earlier \
             version of reelfs made this ring, some other program has written onto the device",
            places_text(&places)
        ),
        // Another one serves.
        Err(error) => log::error!("superblock: {error}"),
    }
}

/// Streams first, then clips in their order, then their states.
fn tell_what_is_known(core: &mut Core) {
    let mut news = Vec::new();
    {
        let state = core.state();
        for (stream, fact) in state.space.streams() {
            news.push(News::StreamSet { stream, fact: fact.clone() });
        }
        for (stream, clip, timing) in state.space.timings().iter() {
            news.push(News::StreamTimed { stream, clip, timing });
        }
        for (stream, event, _, fact) in state.space.events().iter() {
            news.push(News::EventSet { stream, event, fact: fact.clone() });
        }
        for (clip, record) in state.space.clips() {
            let Some(clip_state) = record.state else { continue };
            news.push(News::ClipClosed {
                clip,
                stream: record.stream,
                fact: record.fact.clone(),
                used: record.used(),
                redating: record.redating.clone(),
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
