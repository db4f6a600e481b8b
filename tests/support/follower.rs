//! One who only reads a ring, beside who writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};

use reelfs::device::{AlignedBuffer, Device};
use reelfs::ring::{ClipState, Interpreter, Ring, RingError};
use reelfs::units::{ByteCount, ClipId, DeviceOffset};

use super::support::disk::{Disk, Image};
use super::support::memory::{Memory, Still, Told};

/// The disk as it is at this moment: another one after each start. It is never written to.
struct Present(Mutex<Arc<Disk>>);

impl Present {
    fn disk(&self) -> Arc<Disk> {
        self.0.lock().expect("nobody died").clone()
    }
}

impl Device for Present {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.disk().read_at(offset, buffer)
    }

    fn write_at(&self, offset: DeviceOffset, _: &AlignedBuffer) -> io::Result<()> {
        panic!("who only reads writes at {offset}");
    }

    fn flush(&self) -> io::Result<()> {
        panic!("who only reads flushes");
    }

    fn length(&self) -> ByteCount {
        self.disk().length()
    }
}

pub struct Follower {
    present: Arc<Present>,
    ring: Arc<Ring>,
    follower: reelfs::ring::Follower,
    memory: Memory,
}

/// What a ring has, as somebody was told.
pub struct Known(Told);

impl Known {
    /// But for what somebody has given up since.
    pub fn without(mut self, gone: &BTreeSet<ClipId>) -> Known {
        self.0.closed.retain(|clip, _| !gone.contains(clip));
        self.0.states.retain(|clip, _| !gone.contains(clip));
        self
    }

    /// Clips, their states and streams: the same as somebody else was told.
    pub fn compare(&self, told: &Told) {
        let (own, other): (BTreeSet<_>, BTreeSet<_>) =
            (self.0.closed.iter().collect(), told.closed.iter().collect());
        let differing: Vec<_> = own.symmetric_difference(&other).collect();
        assert!(differing.is_empty(), "clips, to who only reads: {differing:?}");
        assert_eq!(states(&self.0), states(told), "states, to who only reads");
        assert_eq!(self.0.redated, told.redated, "clips redated, to who only reads");
        assert_eq!(self.0.events, told.events, "events, to who only reads");
        // One that no flush had covered before the power went is not forgotten.
        let streams = &self.0.streams;
        for (stream, fact) in &told.streams {
            assert_eq!(streams.get(stream), Some(fact), "stream {stream}, to who only reads");
        }
    }
}

/// Of clips that are something else than closed.
fn states(told: &Told) -> BTreeMap<ClipId, ClipState> {
    let marked = told.states.iter().filter(|(_, state)| **state != ClipState::Closed);
    marked.map(|(clip, state)| (*clip, *state)).collect()
}

impl Follower {
    /// Begins while another one writes.
    pub fn begin(disk: &Arc<Disk>) -> Follower {
        let present = Arc::new(Present(Mutex::new(disk.clone())));
        let (memory, clock) = (Memory::default(), Arc::new(Still::at(2_000)));
        let scratch = || -> Box<dyn Interpreter> { Box::<Memory>::default() };
        let interpreters = (Box::new(memory.clone()) as _, Box::new(scratch) as _);
        let opened = Ring::follow(present.clone(), clock, interpreters, true);
        let (ring, follower) = opened.expect("a healthy disk");
        Follower { present, ring, follower, memory }
    }

    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    pub fn look(&mut self, is_written_to: bool) -> Result<(), RingError> {
        self.follower.look(is_written_to)
    }

    pub fn compare(&self, told: &Told) {
        self.known().compare(told);
    }

    /// What there is on a disk that nobody writes to.
    pub fn look_at(&mut self, image: &Image) -> Known {
        self.go_on(&Disk::from_image(image.clone()));
        self.look(false).expect("a healthy disk");
        self.known()
    }

    /// Somebody writes, to this disk.
    pub fn go_on(&mut self, disk: &Arc<Disk>) {
        *self.present.0.lock().expect("nobody died") = disk.clone();
    }

    fn known(&self) -> Known {
        Known(self.memory.0.lock().expect("nobody died").clone())
    }
}
