//! Whoever has opened a device that may vanish, and what it is told.

use std::io;
use std::time::Duration;

use super::Device;

/// Whoever has opened a device that may vanish: knows it again, and is told what happens to it.
/// Called from threads of the device's own and from those that use it.
pub trait DeviceHolder: Send + Sync {
    /// Whether this is the device that vanished, and as it was left; only to be read.
    ///
    /// # Errors
    /// Why not, in words for a log.
    fn recognise(&self, device: &dyn Device) -> Result<(), String>;

    /// It is not the holder's any more: see
    /// [`ReturningDevice::disown`](super::ReturningDevice::disown).
    fn disowned(&self, reason: &str);

    /// It is gone. Told once, with what was met first.
    fn vanished(&self, error: &io::Error);

    /// Something is at its path, and it is not to be used. Told when the reason changes.
    fn stays_away(&self, reason: &str);

    /// It is back, and used again.
    fn returned(&self, away: Duration);

    /// It has not answered a request for a while, and still may.
    fn stalls(&self, waited: Duration);

    /// It answers again.
    fn answers(&self, waited: Duration);
}

/// How a device is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// For how long it has been gone.
    pub gone: Option<Duration>,
    /// Why what is at its path is not used, where something is.
    pub refused: Option<String>,
    /// For how long it has not answered its oldest request, where that is a stall.
    pub stalled: Option<Duration>,
    /// Reads that it has refused, whoever asked.
    pub read_errors: u64,
}
