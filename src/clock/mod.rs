//! The only door to time: wall clock, boot clock, and how far the wall clock can be trusted.

mod elapsed;
mod fastest_way;
mod guard;
mod system;

pub use elapsed::{Deadline, Stopwatch, Throttle, Throttles, within};
pub use fastest_way::FastestWay;
pub use guard::{CONFIRMATION_NANOS, EARLIEST, FORWARD_STEP_NANOS_MAX};
pub use guard::{ClockGuard, Doubt, KnownTime, Verdict};
pub use system::{SystemClock, since_boot, system_offset_seconds};

use crate::units::{BootTime, WallTime};

/// One reading of all clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// `CLOCK_REALTIME`.
    pub wall: WallTime,
    /// `CLOCK_BOOTTIME`.
    pub boot: BootTime,
    /// The kernel's random id of this boot: what `boot` counts from. Zeros where it is unknown.
    pub boot_id: [u8; 16],
    /// Whether the kernel says that the wall clock is synchronised (`adjtimex`, `STA_UNSYNC`).
    pub synchronised: bool,
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// All clocks, read as close to one another as can be.
    fn read(&self) -> Reading;

    /// The boot clock alone: what the passing of time is measured with.
    fn boot(&self) -> BootTime {
        self.read().boot
    }
}
