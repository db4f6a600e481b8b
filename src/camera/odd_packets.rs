//! Packets that can't be understood: counted, told now and then, and no reason to end a session.

use std::time::Duration;

use super::error::CameraError;
use crate::clock::{Throttle, since_boot};

/// So many errors with nothing between them end a session: more than a large picture has packets,
/// each of which is odd where its beginning was.
const IN_A_ROW_MAX: u32 = 8192;
/// Between two lines of the log.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// Those of one session.
pub(super) struct OddPackets {
    camera: String,
    /// The latest, where nothing has come since.
    pub last: Option<CameraError>,
    in_a_row: u32,
    untold: u64,
    lines: Throttle,
}

impl OddPackets {
    pub fn new(camera: &str) -> OddPackets {
        OddPackets {
            camera: camera.to_owned(),
            last: None,
            in_a_row: 0,
            untold: 0,
            lines: Throttle::every(LINE_INTERVAL),
        }
    }

    /// Takes note of one.
    ///
    /// # Errors
    /// The same error, where nothing else comes any more.
    pub fn take(&mut self, error: CameraError) -> Result<(), CameraError> {
        self.in_a_row = if self.last.is_some() { self.in_a_row + 1 } else { 1 };
        self.untold += 1;
        if self.in_a_row >= IN_A_ROW_MAX {
            return Err(error);
        }
        if self.lines.take(since_boot()) {
            let more = match std::mem::take(&mut self.untold) - 1 {
                0 => String::new(),
                more => format!(" ({more} more before it)"),
            };
            log::warn!("{}: a packet is left out{more}: {error}", self.camera);
        }
        self.last = Some(error);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_with_nothing_between_them_end_a_session_and_others_do_not() {
        let mut odd = OddPackets::new("door");
        for _ in 0..3 * IN_A_ROW_MAX {
            assert_eq!(odd.take(CameraError::Ended), Ok(()));
            odd.last = None;
        }
        for _ in 1..IN_A_ROW_MAX {
            assert_eq!(odd.take(CameraError::Ended), Ok(()));
        }
        assert_eq!(odd.take(CameraError::Ended), Err(CameraError::Ended));
    }
}
