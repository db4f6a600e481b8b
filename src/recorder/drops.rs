//! Why frames are left out, and how many are. Values only.

/// Why frames that were received were not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// A connection begins between key frames; nothing is amiss.
    BeforeKeyFrame,
    /// A picture that they are built on was lost on the way.
    Loss,
    /// The camera's time made a jump in the middle of a group.
    TimeJump,
    /// The clock of this machine was set.
    ClockSet,
    /// Picture size or codec changed in the middle of a group.
    ParametersChanged,
    /// No key frame came for so long that the clip had to end.
    NoKeyFrame,
    /// One of their group is larger than a chunk can be.
    TooLarge,
    /// It is shown before the key frame that its clip begins with, and needs frames from before.
    Leading,
    /// The device did not keep up.
    QueueFull,
    /// The device was gone.
    DeviceAway,
    /// The ring could not be written.
    Unwritable,
    /// The ring had ended the clip.
    ClipEnded,
}

impl DropReason {
    /// All of them, in the order of [`Drops`].
    pub const ALL: [DropReason; 12] = [
        DropReason::BeforeKeyFrame,
        DropReason::Loss,
        DropReason::TimeJump,
        DropReason::ClockSet,
        DropReason::ParametersChanged,
        DropReason::NoKeyFrame,
        DropReason::TooLarge,
        DropReason::Leading,
        DropReason::QueueFull,
        DropReason::DeviceAway,
        DropReason::Unwritable,
        DropReason::ClipEnded,
    ];

    /// A few words for logs, observations and `status`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            DropReason::BeforeKeyFrame => "waiting for the first key frame",
            DropReason::Loss => "packets lost on the way",
            DropReason::TimeJump => "the camera's time jumped",
            DropReason::ClockSet => "the clock of this machine was set",
            DropReason::ParametersChanged => "the picture size changed",
            DropReason::NoKeyFrame => "no key frame for too long",
            DropReason::TooLarge => "a frame larger than a chunk can be",
            DropReason::Leading => "shown before the key frame of their clip",
            DropReason::QueueFull => "the device does not keep up",
            DropReason::DeviceAway => "the device is gone",
            DropReason::Unwritable => "the ring can't be written",
            DropReason::ClipEnded => "the ring ended the clip",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|reason| *reason == self).unwrap_or(0)
    }
}

/// Numbers of frames that were received and not recorded, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// Counts some.
    pub fn add(&mut self, reason: DropReason, frames: u64) {
        self.0[reason.index()] += frames;
    }

    /// Counts those of another.
    pub fn add_all(&mut self, other: &Drops) {
        other.reasons().for_each(|(reason, frames)| self.add(reason, frames));
    }

    /// How many for one reason.
    #[must_use]
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason.index()]
    }

    /// How many for each reason that there was, in the order of [`DropReason::ALL`].
    pub fn reasons(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let all = DropReason::ALL.into_iter().zip(self.0);
        all.filter(|(_, frames)| *frames > 0)
    }

    /// How many that should have been recorded.
    #[must_use]
    pub fn losses(&self) -> u64 {
        let is_usual = |reason| matches!(reason, DropReason::BeforeKeyFrame | DropReason::Leading);
        let counted = |reason: &&DropReason| !is_usual(**reason);
        DropReason::ALL.iter().filter(counted).map(|reason| self.of(*reason)).sum()
    }
}
