//! How a stream is doing, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::drops::Drops;
use crate::camera::{Failure, SessionFacts};
use crate::segment::ObservationKind;
use crate::units::{BootTime, WallTime};

/// What a recorder is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// A connection is being opened.
    #[default]
    Connecting,
    /// The camera sends, and nothing has come yet that decoding can begin with.
    AwaitingKeyFrame {
        /// What came instead, once that is worth a word.
        why: Option<String>,
    },
    /// Frames come in and are handed to the ring.
    Recording,
    /// The camera can't be recorded; it is tried again at the given time.
    Waiting {
        /// What went wrong last, in one line.
        error: String,
        /// What that says of the next attempt.
        kind: Failure,
        /// When it is tried again.
        retry: BootTime,
    },
    /// Nothing more is recorded: stopped, or the ring is closed.
    Stopped,
}

/// How a stream is doing. Counts are since the recorder was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStatus {
    /// What the recorder is doing.
    pub state: State,
    /// Frames handed to the ring.
    pub frames: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// Frames received and not recorded, by reason.
    pub dropped: Drops,
    /// Frames recorded that follow a lost one, and may look like it.
    pub damaged: u64,
    /// Times without footage, or with damaged footage, by what they were.
    pub gaps: Gaps,
    /// Packets that the network or the camera lost.
    pub lost_packets: u64,
    /// Times that recording began again.
    pub reconnects: u64,
    /// Attempts in a row that failed.
    pub tries: u64,
    /// When the first of those did.
    pub failing_since: Option<WallTime>,
    /// Over what the packets came last: "TCP" or "UDP"; empty before the first session.
    pub transport: &'static str,
    /// What the camera says that it is; empty where it says nothing.
    pub server: String,
    /// What its sound is and how it is stored; empty where there is none.
    pub sound: String,
    /// Whether sender reports tell when its frames were captured; their arrival does otherwise.
    pub has_sender_reports: bool,
    /// When the last frame that is recorded was received.
    pub last_frame: Option<BootTime>,
}

/// Numbers of times without footage, or with damaged footage, by what they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(BTreeMap<&'static str, u64>);

impl Gaps {
    /// Counts one, but not what was wanted.
    pub(super) fn add(&mut self, kind: ObservationKind) {
        let what = match kind {
            ObservationKind::Dropped => "dropped",
            ObservationKind::Lost => "lost",
            ObservationKind::Disconnected => "disconnected",
            ObservationKind::TimeJump => "time jump",
            ObservationKind::Pause => "pause",
            ObservationKind::Damaged => "damaged",
            ObservationKind::Off | ObservationKind::Unknown(_) => return,
        };
        *self.0.entry(what).or_default() += 1;
    }

    /// How many there were of each kind that there was.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

impl StreamStatus {
    /// A session has begun.
    pub(super) fn session(&mut self, facts: SessionFacts) {
        self.state = State::AwaitingKeyFrame { why: None };
        self.transport = facts.transport;
        self.server = facts.server;
        self.sound = facts.sound.map(|sound| sound.to_string()).unwrap_or_default();
        self.has_sender_reports = facts.has_sender_reports;
    }
}

/// A status that one task writes and others read; each holds the lock for a copy.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<StreamStatus>>);

impl Shared {
    pub(super) fn read(&self) -> StreamStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut StreamStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
