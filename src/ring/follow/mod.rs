//! A ring that is only read, as it goes on: another process records into it, or nobody does.
//!
//! Nothing is written, and nothing is asked of whoever writes. The ledger's log is read on from
//! where it was left; where it does not go on there, because a checkpoint has
//! taken its place or a flush has failed, the whole ledger is read, and what differs is told.
//!
//! What grew when nobody writes any more is closed as a start of the daemon would close it, in
//! memory alone: the minute before the power went is there on a disk from another machine, too.
//! While somebody writes, it is theirs: it is shown when they have closed it.

mod difference;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::error::RingError;
use super::fact::Fact;
use super::found::{read_ledger, read_superblock};
use super::ledger::{Log, More};
use super::read::Ring;
use super::recovery::{self, Unwritable};
use super::space::Space;
use super::state::Shared;
use super::superblock::Superblock;
use super::types::{Interpreter, Settings};
use crate::clock::Clock;
use crate::device::{Device, OnlyRead};
use crate::units::{Counted, SessionNumber};

/// A log that has said nothing when it was looked at so often in a row may go on elsewhere.
const QUIET_LOOKS: u32 = 3;

/// Why nothing can be written through a ring that is followed.
const ONLY_READ: &str = "the ring is only read";

/// Makes an interpreter that nobody listens to, for what is closed in memory.
pub type Scratch = Box<dyn Fn() -> Box<dyn Interpreter> + Send>;

/// Keeps a [`Ring`] in step with its device.
pub struct Follower {
    device: Arc<dyn Device>,
    clock: Arc<dyn Clock>,
    superblock: Superblock,
    shared: Arc<RwLock<Shared>>,
    interpreter: Box<dyn Interpreter>,
    scratch: Scratch,
    /// `None` where the whole ledger is to be read.
    log: Option<Log>,
    /// Whether somebody wrote when it was last looked at.
    is_written_to: bool,
    /// The last session of which it is known that nobody goes on with it.
    over: Option<SessionNumber>,
    /// Clips were closed in memory: the ledger does not know.
    has_closed: bool,
    /// Looks in a row that have found nothing.
    quiet_looks: u32,
}

impl Ring {
    /// Opens a ring to be read, and tells `interpreter` everything that the device vouches for, and
    /// what it goes on to say with each [`Follower::look`]. Whether another process writes is for
    /// the caller to know. Writes nothing.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn follow(
        device: Arc<dyn Device>,
        clock: Arc<dyn Clock>,
        (interpreter, scratch): (Box<dyn Interpreter>, Scratch),
        is_written_to: bool,
    ) -> Result<(Arc<Ring>, Follower), RingError> {
        let device: Arc<dyn Device> = Arc::new(OnlyRead(device));
        let (superblock, _) = read_superblock(&*device)?;
        let mut shared = Shared::new(Space::new(&superblock.geometry));
        shared.ro_compat = superblock.ro_compat;
        shared.unwritable = Some(ONLY_READ.to_owned());
        let shared = Arc::new(RwLock::new(shared));
        let ring = Ring::new(device.clone(), superblock.clone(), shared.clone());
        let mut follower = Follower {
            device,
            clock,
            superblock,
            shared,
            interpreter,
            scratch,
            log: None,
            is_written_to,
            over: None,
            has_closed: false,
            quiet_looks: 0,
        };
        follower.learn()?;
        Ok((Arc::new(ring), follower))
    }
}

impl Follower {
    /// Takes in what has come since the last time: one read where nothing has, or four in the end.
    /// What was known stays where that fails.
    ///
    /// # Errors
    /// See [`RingError`]; [`RingError::Overwritten`] where it is another ring by now.
    pub fn look(&mut self, is_written_to: bool) -> Result<(), RingError> {
        let more = self.read_on()?;
        let has_ended = self.is_written_to && !is_written_to;
        self.is_written_to = is_written_to;
        match more {
            More::Facts(facts) if !self.has_closed => {
                facts.iter().for_each(|fact| self.take_in(fact));
            }
            More::Facts(_) | More::Anew => return self.learn(),
            More::Nothing => {}
        }
        // What it wrote last has been read before what it left behind is looked for.
        if has_ended { self.learn() } else { Ok(()) }
    }

    fn read_on(&mut self) -> Result<More, RingError> {
        let Some(log) = &mut self.log else { return Ok(More::Anew) };
        let more = log.read(&*self.device).map_err(RingError::device("reading the ledger"))?;
        if !matches!(more, More::Nothing) {
            self.quiet_looks = 0;
            return Ok(more);
        }
        self.quiet_looks = self.quiet_looks.saturating_add(1);
        let is_quiet = self.quiet_looks > QUIET_LOOKS;
        Ok(if is_quiet && log.goes_on_elsewhere(&*self.device) { More::Anew } else { more })
    }

    fn take_in(&mut self, fact: &Fact) {
        let mut state = Shared::write(&self.shared);
        let known = match fact {
            Fact::Clip { clip, .. } => state.space.state_of(*clip).is_some(),
            _ => false,
        };
        if let Err(contradiction) = state.space.apply(fact) {
            log::warn!("ledger: {contradiction}");
            return;
        }
        let news = difference::told_by(fact, &state.space, known);
        drop(state);
        if let Some(news) = news {
            self.interpreter.news(&news);
        }
    }

    /// Reads the whole ledger, and tells what differs from what was known.
    fn learn(&mut self) -> Result<(), RingError> {
        // Read again next time, where this fails.
        self.log = None;
        let (found, _) = read_superblock(&*self.device)?;
        if found.ring_uuid != self.superblock.ring_uuid {
            return Err(RingError::Overwritten { by: Some(found.ring_uuid) });
        }
        let (space, replay) = read_ledger(&*self.device, &self.superblock)?;
        if !self.is_written_to {
            self.over = Some(space.session());
        }
        // A writer that has begun says itself, before anything else, what became of what grew.
        let nobody_goes_on = self.over == Some(space.session());
        let closed = match nobody_goes_on && !space.is_clean() {
            true => self.closed_in_memory(),
            false => None,
        };
        self.has_closed = closed.is_some();
        let space = closed.unwrap_or(space);
        let news = {
            let mut state = Shared::write(&self.shared);
            let news = difference::difference(&state.space, &space);
            state.space = space;
            state.ledger_epoch = replay.epoch;
            news
        };
        for news in &news {
            self.interpreter.news(news);
        }
        self.log = Some(replay.into_log());
        self.quiet_looks = 0;
        Ok(())
    }

    /// The facts in force behind a start of the daemon, where one could start.
    fn closed_in_memory(&self) -> Option<Space> {
        let (device, clock, interpreter) =
            (self.device.clone(), self.clock.clone(), (self.scratch)());
        let settings = Settings { flush_interval: Duration::ZERO, wipe: false };
        let opened = recovery::open(device, clock, &settings, interpreter, Unwritable::Wait);
        let (core, opening) = opened
            .inspect_err(|error| {
                log::warn!("what was being recorded last can't be shown: {error}");
            })
            .ok()?;
        let ring = &self.superblock.geometry;
        let space = std::mem::replace(&mut core.state_mut().space, Space::new(ring));
        log::info!("closed in memory: {}", Counted(opening.clips_recovered as u64, "clip"));
        Some(space)
    }
}
