//! Why clips end.

#![warn(clippy::indexing_slicing)]

use std::fmt;

/// Why a clip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The next clip goes on where this one ends.
    Boundary,
    /// The camera's connection was lost, or recording was stopped for it.
    Disconnected,
    /// Samples were lost on the way, or dropped because they could not be stored.
    Loss,
    /// The camera's time made a jump or stood still.
    TimeJump,
    /// Codec or picture size changed.
    ParametersChanged,
    /// The daemon was stopped.
    Stopped,
    /// The daemon or the machine died: found and closed at the next start.
    Recovered,
    /// The ring needed the space of a growing clip.
    Evicted,
    /// The device refused a write.
    DeviceError,
    /// A reason that a later program gave, under a number that this one does not know.
    Unknown(u8),
}

impl EndReason {
    const ALL: [EndReason; 9] = [
        EndReason::Boundary,
        EndReason::Disconnected,
        EndReason::Loss,
        EndReason::TimeJump,
        EndReason::ParametersChanged,
        EndReason::Stopped,
        EndReason::Recovered,
        EndReason::Evicted,
        EndReason::DeviceError,
    ];

    /// The number that stands for this reason on the ring.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            EndReason::Unknown(code) => code,
            known => Self::ALL.iter().position(|reason| *reason == known).unwrap_or(0) as u8,
        }
    }

    /// The reason behind a number.
    #[must_use]
    pub fn from_code(code: u8) -> EndReason {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(EndReason::Unknown(code))
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndReason::Boundary => "boundary",
            EndReason::Disconnected => "disconnected",
            EndReason::Loss => "loss",
            EndReason::TimeJump => "time jump",
            EndReason::ParametersChanged => "parameters changed",
            EndReason::Stopped => "stopped",
            EndReason::Recovered => "recovered",
            EndReason::Evicted => "evicted",
            EndReason::DeviceError => "device error",
            EndReason::Unknown(code) => return write!(f, "unknown ({code})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_reason_has_a_code_of_its_own() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::from_code(reason.code()), reason);
        }
        let next = EndReason::ALL.len() as u8;
        assert_eq!(EndReason::from_code(next), EndReason::Unknown(next));
    }
}
