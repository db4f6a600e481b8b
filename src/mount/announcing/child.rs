//! The process that makes the calls, as the daemon sees it: started, asked, and ended.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::Duration;

use crate::clock::Stopwatch;

/// Between two starts, so that one that can't run costs nothing.
const START_INTERVAL: Duration = Duration::from_secs(1);

/// The hidden command that it is started with.
const COMMAND: &str = "announce";

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Not yet.
    Late,
    /// The process has ended.
    Ended,
}

/// See the [module](self).
pub(super) struct Child {
    program: PathBuf,
    mount: PathBuf,
    /// Called when one has ended, before its number can be another's.
    on_end: Arc<dyn Fn() + Send + Sync>,
    started: Option<Stopwatch>,
    running: Option<Running>,
}

/// Ends when this is dropped and it finds no more words: one that is stuck in the mount, when that
/// is unmounted. Nobody waits for it but the thread that hears its answers.
struct Running {
    words: ChildStdin,
    answers: Receiver<i32>,
    /// Whether the answer to the call before is still to come.
    is_late: bool,
}

impl Child {
    /// Not started yet.
    pub(super) fn new(
        program: PathBuf,
        mount: PathBuf,
        on_end: Arc<dyn Fn() + Send + Sync>,
    ) -> Child {
        Child { program, mount, on_end, started: None, running: None }
    }

    /// Whether it runs, as far as is known.
    pub(super) fn is_running(&mut self) -> bool {
        if self.running.take_if(|running| running.has_ended()).is_some() {
            log::warn!("the process that tells of changes of the tree has ended");
        }
        self.running.is_some()
    }

    /// For how long it is not to be started yet.
    pub(super) fn pause(&self) -> Duration {
        let since = self.started.map(Stopwatch::elapsed);
        since.map_or(Duration::ZERO, |since| START_INTERVAL.saturating_sub(since))
    }

    /// Starts it. It inherits nothing but the ends of two pipes, has its own group, so that a
    /// terminal's signals are not for it, and ends when the first of the pipes does.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(&mut self) -> io::Result<()> {
        self.started = Some(Stopwatch::start());
        let mut command = Command::new(&self.program);
        command.arg0("reelfs").arg(COMMAND).arg(&self.mount).current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let (Some(words), Some(said)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("no pipe"));
        };
        let (sender, answers) = channel();
        let on_end = Arc::clone(&self.on_end);
        let listen = move || {
            let mut said = said;
            while let Some(answer) = next_answer(&mut said) {
                // Whoever asked may have given it up.
                let _ = sender.send(answer);
            }
            on_end();
            drop(sender);
            let _ = process.wait();
        };
        std::thread::Builder::new().name("announce-answers".to_owned()).spawn(listen)?;
        self.running = Some(Running { words, answers, is_late: false });
        Ok(())
    }

    /// Has it make a call, and answers how that ended: 0, or an errno.
    pub(super) fn ask(&mut self, words: [&str; 4], limit: Duration) -> Result<i32, NoAnswer> {
        let answered = self.running.as_mut().ok_or(NoAnswer::Ended)?.ask(words, limit);
        if answered == Err(NoAnswer::Ended) {
            self.running = None;
            log::warn!("the process that tells of changes of the tree has ended");
        }
        answered
    }
}

impl Running {
    fn has_ended(&mut self) -> bool {
        match self.answers.try_recv() {
            Ok(_) => self.is_late = false,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return true,
        }
        false
    }

    fn ask(&mut self, words: [&str; 4], limit: Duration) -> Result<i32, NoAnswer> {
        if self.is_late {
            self.answer(limit)?;
        }
        let mut message = words.join("\0");
        message.push('\0');
        self.words.write_all(message.as_bytes()).map_err(|_| NoAnswer::Ended)?;
        self.answer(limit)
    }

    fn answer(&mut self, limit: Duration) -> Result<i32, NoAnswer> {
        let answer = self.answers.recv_timeout(limit);
        self.is_late = answer == Err(RecvTimeoutError::Timeout);
        answer.map_err(|error| match error {
            RecvTimeoutError::Timeout => NoAnswer::Late,
            RecvTimeoutError::Disconnected => NoAnswer::Ended,
        })
    }
}

/// The next one; `None` when there is none any more.
fn next_answer(said: &mut ChildStdout) -> Option<i32> {
    let mut answer = [0; 4];
    said.read_exact(&mut answer).ok()?;
    Some(i32::from_le_bytes(answer))
}
