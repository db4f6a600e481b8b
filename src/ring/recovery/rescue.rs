//! A ledger anew, from the blocks alone: when both areas are gone.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::adopt::{Standing, adopt};
use super::opening::Opening;
use crate::clock::Clock;
use crate::device::Device;
use crate::ring::blocks::BlockReader;
use crate::ring::core::{Core, Parts};
use crate::ring::error::RingError;
use crate::ring::fact::Fact;
use crate::ring::found::{LostChunks, Scope, read_superblock, sweep};
use crate::ring::ledger::Ledger;
use crate::ring::sequences::Sequences;
use crate::ring::space::Space;
use crate::ring::types::{ClockFact, Interpreter, Reason};
use crate::units::{BlockNumber, Sequence, SessionNumber, StreamNumber};

/// What the blocks gave back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Blocks that were looked through.
    pub blocks_read: u32,
    /// Blocks whose header can't be read: chunks in them are taken all the same.
    pub blocks_unreadable: u32,
    /// Streams that blocks speak of.
    pub streams_found: usize,
    /// Clips, with what is left of them.
    pub clips_found: usize,
    /// Chunks in them.
    pub chunks_found: usize,
    /// Names of the streams.
    pub names: BTreeMap<StreamNumber, String>,
    /// Chunks that lay before others and can't be read.
    pub lost: Vec<LostChunks>,
}

/// Writes a new ledger from what the blocks say. Nobody can vouch for any clip: all are *found*,
/// to be restored one by one. What was kept, deleted, redated or observed is not known any more.
///
/// `progress` hears the number of each block before it is read. A power cut on the way leaves a
/// ring without a ledger, which can be rescued again.
///
/// # Errors
/// No superblock can be used, or the device failed.
pub(in crate::ring) fn rescue(
    device: Arc<dyn Device>,
    clock: Arc<dyn Clock>,
    interpreter: Box<dyn Interpreter>,
    progress: &mut dyn FnMut(BlockNumber, u32),
) -> Result<Rescued, RingError> {
    device.flush().map_err(RingError::device("first flush"))?;
    let (superblock, _) = read_superblock(&*device)?;
    if let Some(features) = superblock.unknown_ro_compat() {
        return Err(RingError::ReadOnly { features });
    }
    let count = superblock.geometry.block_count;
    let scope = Scope { since_epoch: 0, used_part_only: false };
    let blocks = (0..count).map(BlockNumber);
    let found = sweep(BlockReader::new(&*device, &superblock), blocks, scope, &mut |block| {
        progress(block, count);
    });
    if found.pieces.is_empty() {
        return Err(RingError::NothingToRescue);
    }
    let session = SessionNumber(found.session_max.0.saturating_add(1));
    if session > Sequence::SESSION_MAX {
        return Err(RingError::SessionsExhausted);
    }
    let next_stream = found.streams.keys().max().map_or(1, |last| last.0.saturating_add(1));
    let mut core = Core::new(Parts {
        device,
        clock,
        interpreter,
        sequences: Arc::new(Sequences::new(session, next_stream)),
        ledger: Ledger::blank(&superblock),
        epoch: found.epoch_max + 1,
        space: Space::new(&superblock.geometry),
        wipe: false,
        superblock,
    });
    let clock = ClockFact::from(&core.clock.read());
    core.record(Fact::Session { number: session, clock });
    let mut rescued = Rescued {
        blocks_read: found.blocks_read,
        blocks_unreadable: found.blocks_unreadable,
        streams_found: found.streams.len(),
        names: found.streams.iter().map(|(stream, of)| (*stream, of.name.clone())).collect(),
        lost: found.lost,
        ..Rescued::default()
    };
    for (stream, found) in &found.streams {
        let fact = core.interpreter.stream_found(*stream, found);
        core.set_stream(*stream, fact.into());
    }
    let mut opening = Opening::default();
    adopt(&mut core, (found.pieces, found.epoch_max), &|_| Standing::Rescued, &mut opening);
    rescued.clips_found = opening.clips_found.len();
    rescued.chunks_found = opening.chunks_recovered;
    write_ledger(&mut core).map_err(RingError::device("writing the ledger"))?;
    Ok(rescued)
}

fn write_ledger(core: &mut Core) -> io::Result<()> {
    while core.state().space.fact_bytes() > core.facts.facts_bytes_max() {
        let Some(oldest) = core.state().space.oldest_evictable() else { break };
        log::warn!("rescue: clip {oldest} does not fit the ledger");
        core.forget(oldest, Reason::Evicted);
    }
    core.record(Fact::Clean);
    let mut facts = core.state().space.facts();
    facts.push(Fact::CheckpointEnd);
    let mut ledger = Ledger::create(&*core.device, &core.superblock, core.facts.epoch(), &facts)?;
    core.device.flush()?;
    ledger.flushed();
    // A page of the next epoch: without one, those behind a page that rots would look torn.
    ledger.append(&*core.device, core.facts.epoch() + 1, &[Fact::Clean])?;
    core.device.flush()
}
