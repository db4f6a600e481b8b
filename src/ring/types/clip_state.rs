//! The states of a closed clip, and what each request makes of them: one pure function, which
//! everything that decides about clips calls.

use std::fmt;

use crate::units::WallTime;

/// Why a clip is leaving, or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody removed it.
    Deleted,
    /// It was older than its stream's `retain`.
    Expired,
    /// The ring needed its space.
    Evicted,
    /// Nothing that was said of it was worth keeping.
    Quiet,
    /// Its camera had more than it may.
    Quota,
    /// What a later program said, under a number that this one does not know.
    Unknown(u8),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Deleted => "deleted",
            Reason::Expired => "expired",
            Reason::Evicted => "evicted",
            Reason::Quiet => "quiet",
            Reason::Quota => "quota",
            Reason::Unknown(code) => return write!(f, "unknown ({code})"),
        })
    }
}

/// A state that a later program gave a clip: kept as it was written, and left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownState {
    /// The number that stands for it.
    pub code: u8,
    length: u8,
    bytes: [u8; UnknownState::BYTES_MAX],
}

impl UnknownState {
    /// So much may stand behind the number of a state that is not known, in bytes: a time, a
    /// reason, and as much again.
    pub const BYTES_MAX: usize = 24;

    /// A state with what stands behind its number; `None` where that is too long.
    #[must_use]
    pub fn new(code: u8, behind: &[u8]) -> Option<UnknownState> {
        let mut bytes = [0; UnknownState::BYTES_MAX];
        bytes.get_mut(..behind.len())?.copy_from_slice(behind);
        Some(UnknownState { code, length: behind.len() as u8, bytes })
    }

    /// What stands behind its number.
    #[must_use]
    pub fn behind(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// State of a closed clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipState {
    /// There, and given up when the ring needs the space.
    Closed,
    /// Protected until the given time.
    Kept {
        /// When the protection ends; `None`: when somebody ends it.
        until: Option<WallTime>,
    },
    /// Removed, and restorable until the given time. Only a closed clip gets here, so that this
    /// is what a restore returns to.
    Expiring {
        /// When it is purged.
        until: WallTime,
        /// Why.
        reason: Reason,
    },
    /// Nobody can vouch for the clip: facts are lost, and it may have been deleted. It can be
    /// restored, is not shown as if nothing had happened, and stays until its space is needed or
    /// it is older than its stream's `retain`.
    Found,
    /// Being freed: it can't be read, listed or restored any more.
    Purging {
        /// Why.
        reason: Reason,
    },
    /// What a later program made of it. It may have been removed, so it is shown in the trash; and
    /// it may be protected, so it stays there.
    Unknown(UnknownState),
}

/// What is asked of a closed clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateRequest {
    /// Somebody removes it; restorable until the given time.
    Remove {
        /// When it is to be purged.
        until: WallTime,
    },
    /// Nothing asks for it to be kept; restorable until the given time.
    Retire {
        /// When it is to be purged.
        until: WallTime,
    },
    /// Somebody wants it back, or what was said of it since does.
    Restore,
    /// Somebody protects it, or changes how long it is protected.
    Keep {
        /// When the protection ends; `None`: when somebody ends it.
        until: Option<WallTime>,
    },
    /// Its protection ends.
    Release,
    /// Somebody gives it up for good, out of the trash, before its deadline.
    Purge,
    /// Its time is over: its stream's `retain`, or that in which it could be restored.
    Expire,
    /// Facts are lost, and what was said of it last may not be the last that was said.
    Find,
}

/// Why a clip's state stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is protected, and can't leave before the protection is taken back.
    #[error("the clip is kept")]
    Kept,
    /// It was removed, and has to be restored before it can be protected.
    #[error("the clip is removed")]
    Removed,
    /// Nobody removed it, or it was restored meanwhile.
    #[error("the clip is not removed")]
    NotRemoved,
    /// It is being freed, and nothing brings it back.
    #[error("the clip is being purged")]
    Purging,
    /// A later program has given it a state that this one does not know.
    #[error("the clip has a state that only a later version of reelfs knows")]
    Unknown,
}

impl ClipState {
    /// The state that `request` leads to; the same one where nothing has to be done.
    ///
    /// # Errors
    /// Where the clip does not allow it; its state stays.
    pub fn after(self, request: StateRequest) -> Result<ClipState, Refusal> {
        match request {
            StateRequest::Remove { until } => self.removed(until, Reason::Deleted),
            StateRequest::Retire { until } => self.removed(until, Reason::Quiet),
            StateRequest::Restore => self.restored(),
            StateRequest::Keep { until } => self.kept(until),
            StateRequest::Release => self.released(),
            StateRequest::Purge => self.purged(),
            StateRequest::Expire => self.expired(),
            StateRequest::Find => Ok(self.found()),
        }
    }

    /// Who removes a clip twice gives it no more time.
    fn removed(self, until: WallTime, reason: Reason) -> Result<ClipState, Refusal> {
        match self {
            ClipState::Closed => Ok(ClipState::Expiring { until, reason }),
            ClipState::Kept { .. } => Err(Refusal::Kept),
            ClipState::Expiring { .. } | ClipState::Found => Ok(self),
            ClipState::Purging { .. } => Err(Refusal::Purging),
            ClipState::Unknown(_) => Err(Refusal::Unknown),
        }
    }

    fn restored(self) -> Result<ClipState, Refusal> {
        match self {
            ClipState::Closed | ClipState::Kept { .. } => Ok(self),
            ClipState::Expiring { .. } | ClipState::Found => Ok(ClipState::Closed),
            ClipState::Purging { .. } => Err(Refusal::Purging),
            ClipState::Unknown(_) => Err(Refusal::Unknown),
        }
    }

    fn kept(self, until: Option<WallTime>) -> Result<ClipState, Refusal> {
        match self {
            ClipState::Closed | ClipState::Kept { .. } => Ok(ClipState::Kept { until }),
            ClipState::Expiring { .. } | ClipState::Found => Err(Refusal::Removed),
            ClipState::Purging { .. } => Err(Refusal::Purging),
            ClipState::Unknown(_) => Err(Refusal::Unknown),
        }
    }

    fn released(self) -> Result<ClipState, Refusal> {
        match self {
            ClipState::Kept { .. } => Ok(ClipState::Closed),
            ClipState::Closed | ClipState::Expiring { .. } | ClipState::Found => Ok(self),
            ClipState::Purging { .. } => Err(Refusal::Purging),
            ClipState::Unknown(_) => Err(Refusal::Unknown),
        }
    }

    /// Who empties the trash does not mean what somebody else takes out of it.
    fn purged(self) -> Result<ClipState, Refusal> {
        match self {
            ClipState::Closed => Err(Refusal::NotRemoved),
            ClipState::Kept { .. } => Err(Refusal::Kept),
            ClipState::Expiring { reason, .. } => Ok(ClipState::Purging { reason }),
            ClipState::Found => Ok(ClipState::Purging { reason: Reason::Deleted }),
            ClipState::Purging { .. } => Ok(self),
            ClipState::Unknown(_) => Err(Refusal::Unknown),
        }
    }

    /// A removed clip leaves for the reason that it was removed for.
    fn expired(self) -> Result<ClipState, Refusal> {
        match self {
            ClipState::Closed | ClipState::Found => {
                Ok(ClipState::Purging { reason: Reason::Expired })
            }
            ClipState::Kept { .. } => Err(Refusal::Kept),
            ClipState::Expiring { reason, .. } => Ok(ClipState::Purging { reason }),
            ClipState::Purging { .. } => Ok(self),
            ClipState::Unknown(_) => Err(Refusal::Unknown),
        }
    }

    /// A kept clip had to be released before it could be deleted, and what is leaving was not
    /// restored by facts that are lost: both stand.
    fn found(self) -> ClipState {
        match self {
            ClipState::Closed | ClipState::Found => ClipState::Found,
            ClipState::Kept { .. }
            | ClipState::Expiring { .. }
            | ClipState::Purging { .. }
            | ClipState::Unknown(_) => self,
        }
    }

    /// Whether it is shown among the files.
    #[must_use]
    pub fn is_listed(self) -> bool {
        matches!(self, ClipState::Closed | ClipState::Kept { .. })
    }

    /// Whether it is protected.
    #[must_use]
    pub fn is_kept(self) -> bool {
        matches!(self, ClipState::Kept { .. })
    }

    /// Whether it is in the trash: removed, and restorable.
    #[must_use]
    pub fn is_in_trash(self) -> bool {
        matches!(self, ClipState::Expiring { .. } | ClipState::Found | ClipState::Unknown(_))
    }

    /// Whether it is being freed.
    #[must_use]
    pub fn is_purging(self) -> bool {
        matches!(self, ClipState::Purging { .. })
    }

    /// Whether the ring may give it up for its space.
    #[must_use]
    pub fn is_evictable(self) -> bool {
        let is_known = !matches!(self, ClipState::Unknown(_));
        is_known && (self == ClipState::Closed || self.is_in_trash())
    }

    /// Why it is leaving; `None` where it is not.
    #[must_use]
    pub fn reason(self) -> Option<Reason> {
        match self {
            ClipState::Closed | ClipState::Kept { .. } => None,
            ClipState::Expiring { reason, .. } | ClipState::Purging { reason } => Some(reason),
            // It may have been deleted.
            ClipState::Found | ClipState::Unknown(_) => Some(Reason::Deleted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(100);
    const LATER: WallTime = WallTime(200);

    const CLOSED: ClipState = ClipState::Closed;
    const KEPT: ClipState = ClipState::Kept { until: None };
    const KEPT_UNTIL: ClipState = ClipState::Kept { until: Some(NOW) };
    const EXPIRING: ClipState = ClipState::Expiring { until: NOW, reason: Reason::Deleted };
    const FOUND: ClipState = ClipState::Found;
    const DELETED: ClipState = ClipState::Purging { reason: Reason::Deleted };
    const EXPIRED: ClipState = ClipState::Purging { reason: Reason::Expired };

    /// A state that a later program gave is nobody's to change.
    #[test]
    fn a_state_that_is_not_known_stays_and_keeps_its_clip() {
        let state = ClipState::Unknown(UnknownState::new(9, &[1, 2, 3]).expect("short"));
        for (request, _) in TABLE {
            let expected = match request {
                StateRequest::Find => Ok(state),
                _ => Err(Refusal::Unknown),
            };
            assert_eq!(state.after(request), expected, "{request:?}");
        }
        assert!(!state.is_evictable() && !state.is_listed() && !state.is_purging());
        assert_eq!(UnknownState::new(9, &[0; UnknownState::BYTES_MAX + 1]), None);
    }

    const STATES: [ClipState; 7] = [CLOSED, KEPT, KEPT_UNTIL, EXPIRING, FOUND, DELETED, EXPIRED];

    const REMOVED: ClipState = ClipState::Expiring { until: LATER, reason: Reason::Deleted };
    const KEPT_LATER: ClipState = ClipState::Kept { until: Some(LATER) };
    const IS_KEPT: Outcome = Err(Refusal::Kept);
    const IS_REMOVED: Outcome = Err(Refusal::Removed);
    const IS_LISTED: Outcome = Err(Refusal::NotRemoved);
    const IS_PURGING: Outcome = Err(Refusal::Purging);

    type Outcome = Result<ClipState, Refusal>;

    /// What each request comes to, in the order of [`STATES`]: closed, kept, kept until, expiring,
    /// found, and being purged as deleted and as expired.
    #[rustfmt::skip]
    const TABLE: [(StateRequest, [Outcome; 7]); 7] = [
        (StateRequest::Remove { until: LATER },
         [Ok(REMOVED), IS_KEPT, IS_KEPT, Ok(EXPIRING), Ok(FOUND), IS_PURGING, IS_PURGING]),
        (StateRequest::Restore,
         [Ok(CLOSED), Ok(KEPT), Ok(KEPT_UNTIL), Ok(CLOSED), Ok(CLOSED), IS_PURGING, IS_PURGING]),
        (StateRequest::Keep { until: Some(LATER) },
         [Ok(KEPT_LATER), Ok(KEPT_LATER), Ok(KEPT_LATER), IS_REMOVED, IS_REMOVED, IS_PURGING,
          IS_PURGING]),
        (StateRequest::Release,
         [Ok(CLOSED), Ok(CLOSED), Ok(CLOSED), Ok(EXPIRING), Ok(FOUND), IS_PURGING, IS_PURGING]),
        (StateRequest::Purge,
         [IS_LISTED, IS_KEPT, IS_KEPT, Ok(DELETED), Ok(DELETED), Ok(DELETED), Ok(EXPIRED)]),
        (StateRequest::Expire,
         [Ok(EXPIRED), IS_KEPT, IS_KEPT, Ok(DELETED), Ok(EXPIRED), Ok(DELETED), Ok(EXPIRED)]),
        (StateRequest::Find,
         [Ok(FOUND), Ok(KEPT), Ok(KEPT_UNTIL), Ok(EXPIRING), Ok(FOUND), Ok(DELETED), Ok(EXPIRED)]),
    ];

    #[test]
    fn every_request_of_every_state_has_the_outcome_of_the_table() {
        for (request, outcomes) in TABLE {
            assert_eq!(STATES.map(|state| state.after(request)), outcomes, "{request:?}");
        }
    }

    #[test]
    fn a_state_is_in_one_place() {
        for state in STATES {
            let places = [state.is_listed(), state.is_in_trash(), state.is_purging()];
            assert_eq!(places.iter().filter(|is_there| **is_there).count(), 1, "{state:?}");
            assert_eq!(state.reason().is_some(), !state.is_listed(), "{state:?}");
        }
    }

    #[test]
    fn the_ring_takes_no_clip_that_is_kept_or_being_freed() {
        let evictable = STATES.map(ClipState::is_evictable);
        assert_eq!(evictable, [true, false, false, true, true, false, false]);
    }

    /// Whoever goes on asking after the answer changes nothing more.
    #[test]
    fn a_request_that_is_repeated_changes_nothing() {
        let requests = TABLE.map(|(request, _)| request);
        for (state, request) in
            STATES.iter().flat_map(|state| requests.map(|request| (state, request)))
        {
            if let Ok(next) = state.after(request) {
                assert_eq!(next.after(request), Ok(next), "{state:?}, {request:?}");
            }
        }
    }
}
