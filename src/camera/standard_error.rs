//! What a program writes to its standard error: logged line by line, as far as a person would read
//! it.

use std::sync::{Arc, Mutex, PoisonError};

use log::Level;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::one_line;
use super::voice::Voice;
use crate::clock::Deadline;

/// A line at most, in bytes: the rest is left out.
const LINE_BYTES_MAX: usize = 1 << 10;

/// What a program writes to its standard error.
pub(super) struct Errors {
    last: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Errors {
    /// Reads it to its end, and logs it line by line.
    pub(super) fn read(
        mut errors: impl AsyncRead + Unpin + Send + 'static,
        voice: Voice,
    ) -> Errors {
        let last = Arc::new(Mutex::new(String::new()));
        let told = Arc::clone(&last);
        let task = tokio::spawn(async move {
            let mut lines = Lines::default();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut buffer).await {
                for line in lines.push(buffer.get(..count).unwrap_or_default()) {
                    voice.say(Level::Info, &line);
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = line;
                }
            }
        });
        Errors { last, task }
    }

    /// The last line; waits for one that is on its way, up to some time.
    pub(super) async fn last(&mut self, until: Deadline) -> String {
        if !self.task.is_finished() {
            let _ = timeout(until.left(), &mut self.task).await;
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lines among bytes that come piece by piece. What overwrites a line, as a progress does, is one.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    let line = one_line(&String::from_utf8_lossy(&self.0));
                    lines.extend((!line.is_empty()).then_some(line));
                    self.0.clear();
                }
                byte if self.0.len() < LINE_BYTES_MAX => self.0.push(*byte),
                _ => {}
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_show_no_password() {
        let mut lines = Lines::default();
        assert!(lines.push(b"rtsp://viewer:geh").is_empty());
        let said = lines.push(b"eim@h/: refused\r\n\nframe=1\rframe=2\r");
        assert_eq!(said, ["rtsp://viewer@h/: refused", "frame=1", "frame=2"]);
        lines.push(&[b'x'; 100_000]);
        assert_eq!(lines.0.len(), LINE_BYTES_MAX);
        assert!(lines.push(b"\n")[0].len() < 200);
    }
}
