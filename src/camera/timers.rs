//! What a session waits for, and until when.

use std::time::Duration;

use super::nap::Nap;
use crate::clock::{Deadline, since_boot};
use crate::units::BootTime;

/// A camera that has sent nothing for so long that decoding can begin with is told of.
pub(super) const BEGINNING_TIMEOUT: Duration = Duration::from_secs(10);

/// No timer is looked at less often.
const TICK_MAX: Duration = Duration::from_secs(1);

/// What decides when something is due.
pub(super) struct Timers {
    pub(super) begun: BootTime,
    /// Pictures and packets so far.
    pub(super) heard: u64,
    pub(super) packets: u64,
    /// When the last picture came.
    pub(super) heard_at: BootTime,
    /// A picture is waited for up to then.
    pub(super) picture: Deadline,
    /// That was over once already, and the socket is looked at for the last time.
    pub(super) looked_last: bool,
    /// The camera has answered since it was asked whether it is there.
    pub(super) has_answered: bool,
    /// That it is waited for longer was said.
    pub(super) is_slow_told: bool,
    /// The source of the pictures has said that it leaves, and none has come since.
    pub(super) has_left: bool,
    /// Whether nothing has begun is looked at then; at most once.
    pub(super) beginning: Option<Deadline>,
    /// Another session should take its place then.
    pub(super) renewal: Option<Deadline>,
    pub(super) quiet: Option<Deadline>,
    pub(super) nap: Nap,
}

impl Timers {
    /// Of a session that begins: a picture is waited for so long, and another session follows after
    /// `renewal`.
    pub(super) fn new(picture: Duration, renewal: Option<Duration>, nap: Nap) -> Timers {
        Timers {
            begun: since_boot(),
            heard: 0,
            packets: 0,
            heard_at: since_boot(),
            picture: Deadline::after(picture),
            looked_last: false,
            has_answered: false,
            is_slow_told: false,
            has_left: false,
            beginning: Some(Deadline::after(BEGINNING_TIMEOUT)),
            renewal: renewal.map(Deadline::after),
            quiet: None,
            nap,
        }
    }

    /// Until the next one.
    pub(super) fn left(&self) -> Duration {
        let deadlines = [Some(self.picture), self.renewal, self.beginning, self.quiet];
        let waits = deadlines.into_iter().flatten().map(Deadline::left);
        waits.min().unwrap_or(TICK_MAX).min(TICK_MAX)
    }
}
