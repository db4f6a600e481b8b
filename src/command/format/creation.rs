//! The file that is to become a ring: made with all of its space, while somebody is told how far
//! it has come.

use std::fs;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::cli::quantity::size_text;
use crate::clock::{Stopwatch, Throttle, since_boot};
use crate::command::CommandError;
use crate::command::progress::progress_bar;
use crate::device::FileDevice;
use crate::units::ByteCount;

/// What takes longer than this shows how far it is.
const PROGRESS_AFTER: Duration = Duration::from_secs(2);
/// Between two looks at how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The length that a file was to have whose making was interrupted.
pub(super) fn begun(path: &Path) -> Result<Option<ByteCount>, CommandError> {
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    FileDevice::length_begun(path)
        .map_err(|source| CommandError::System { what: path.display().to_string(), source })
}

/// Creates the file, or goes on with it; shows how far it is where that takes long.
pub(super) fn create(path: &Path, length: ByteCount, sparse: bool) -> Result<(), CommandError> {
    let (done, wait) = sync_channel(1);
    let created = std::thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever waits for it does so until the end.
            let _ = done.send(FileDevice::create(path, length, sparse));
        });
        let began = Stopwatch::start();
        let mut shown = None;
        loop {
            match wait.recv_timeout(PROGRESS_INTERVAL) {
                Ok(created) => return created,
                Err(RecvTimeoutError::Timeout) if began.elapsed() < PROGRESS_AFTER => {}
                Err(RecvTimeoutError::Timeout) => {
                    let shown = shown.get_or_insert_with(|| Shown::begin(length));
                    shown.show(allocated(path));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(ErrorKind::Other.into()),
            }
        }
    });
    created.map_err(|source| CommandError::System {
        what: format!("creating {} with {length} bytes", path.display()),
        source,
    })
}

/// A bar on a terminal, a line now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    length: ByteCount,
    lines: Option<Throttle>,
}

impl Shown {
    fn begin(length: ByteCount) -> Shown {
        let template = "allocating {wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left";
        let bar = progress_bar(length.0, template);
        let is_terminal = std::io::stderr().is_terminal();
        Shown { bar, length, lines: (!is_terminal).then(|| Throttle::every(LINE_INTERVAL)) }
    }

    fn show(&mut self, done: u64) {
        let Some(lines) = &mut self.lines else { return self.bar.set_position(done) };
        if lines.take(since_boot()) {
            let percent = done.saturating_mul(100) / self.length.0.max(1);
            eprintln!("allocating: {} % of {}", percent.min(100), size_text(self.length));
        }
    }
}

/// Space that a file takes, in bytes (stat(2), `st_blocks` counts 512 bytes), or how far it has
/// been written where it has no space of its own before.
fn allocated(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.blocks().saturating_mul(512).max(file.len()))
}
