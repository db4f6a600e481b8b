//! A program that writes a transport stream to its standard output, in place of a camera.
//!
//! It is run without a shell, in a process group of its own, with nothing to read; what it writes
//! to its standard error is logged, as far as a person would read it. It is ended with its group:
//! asked to first, where there is time for that.

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use log::Level;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connect::{Received, SessionFacts};
use super::error::{CameraError, one_line};
use super::patience::{Pace, Patience};
use super::timers::BEGINNING_TIMEOUT;
use super::transported::Transported;
use super::voice::Voice;
use crate::clock::{Clock, Deadline};

/// How it comes, as [`SessionFacts::transport`] has it.
pub const A_PIPE: &str = "a pipe";

/// A program says which streams there are within so long: it may have to find them first.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Then its first picture is waited for so long before it is told what pictures there are.
const PICTURE_WAIT: Duration = Duration::from_secs(5);
/// Bytes of no packet before the first one: what goes on like this is no transport stream.
const STRAY_BYTES_MAX: u64 = 1 << 20;
/// What is read at a time, in bytes: a pipe holds as much.
const READ_BYTES: usize = 64 << 10;
/// A program that was asked to end is waited for so long, and one that has closed its output.
const END_WAIT: Duration = Duration::from_secs(1);
/// Behind its end what is left in the pipe is there at once.
const REST_WAIT: Duration = Duration::from_millis(200);
/// A line of its standard error at most, in bytes: the rest is left out.
const LINE_BYTES_MAX: usize = 1 << 10;

/// A program, and what it is told.
#[derive(Clone)]
pub struct Program {
    name: String,
    voice: Voice,
    has_sound: bool,
    /// The program, and its arguments.
    command: Arc<[String]>,
}

impl Program {
    /// Of a camera of that name. The command has the program first, looked up in PATH where it
    /// has no slash, and is not empty.
    #[must_use]
    pub fn new(name: &str, command: Vec<String>) -> Program {
        let voice = Voice::of(name);
        Program { name: name.to_owned(), voice, has_sound: true, command: command.into() }
    }

    /// The same, whose sound is recorded or not.
    #[must_use]
    pub fn with_audio(mut self, audio: bool) -> Program {
        self.has_sound = audio;
        self
    }

    /// The name that log lines carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is logged of it.
    #[must_use]
    pub fn voice(&self) -> &Voice {
        &self.voice
    }

    /// The program without its arguments, in which passwords may stand.
    #[must_use]
    pub fn address(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}

impl fmt::Debug for Program {
    /// Without its arguments: values end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Program");
        shown.field("name", &self.name).field("address", &self.address()).finish_non_exhaustive()
    }
}

/// A program that runs.
pub(super) struct Run {
    program: Program,
    child: Child,
    /// How it has ended.
    status: Option<ExitStatus>,
    /// That of the child; `None` once all of it is ended.
    group: Option<Pid>,
    output: ChildStdout,
    errors: Errors,
    transported: Transported,
    patience: Patience,
    picture: Deadline,
    /// When it is told that there is nothing to begin with.
    beginning: Option<Deadline>,
    buffer: Box<[u8]>,
    clock: Arc<dyn Clock>,
    /// What ended it, once all frames are handed on.
    over: Option<CameraError>,
}

impl Run {
    /// Runs a program, and waits until it says what it has.
    ///
    /// # Errors
    /// It can't be run, ends, or writes nothing that is recorded.
    pub(super) async fn start(
        program: &Program,
        clock: Arc<dyn Clock>,
    ) -> Result<Run, CameraError> {
        let mut run = Run::spawn(program, clock)?;
        let deadline = Deadline::after(START_TIMEOUT);
        while run.transported.streams().is_empty() {
            if !run.read(deadline.left()).await? && deadline.is_over() {
                return Err(timed_out("waiting for MPEG-TS", START_TIMEOUT));
            }
        }
        if !run.transported.has_video() {
            let offered = run.transported.streams().join(", ");
            return Err(CameraError::NoVideo { wanted: "H.264 or H.265".to_owned(), offered });
        }
        let deadline = Deadline::after(PICTURE_WAIT);
        while !run.transported.has_begun && !deadline.is_over() && run.over.is_none() {
            // What came before it ended is handed on.
            run.over = run.read(deadline.left()).await.err();
        }
        if let Some(why) = run.transported.take_refusal() {
            program.voice.say(Level::Warn, &format!("its sound is not recorded: {why}"));
        }
        run.picture = Deadline::after(run.patience.timeout_if_alive());
        Ok(run)
    }

    fn spawn(program: &Program, clock: Arc<dyn Clock>) -> Result<Run, CameraError> {
        let failed = |why: String| CameraError::Program { why };
        let (path, arguments) = program
            .command
            .split_first()
            .ok_or_else(|| failed("no program is named".to_owned()))?;
        let spawned = Command::new(path)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|error| failed(format!("can't run {path}: {error}")))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let piped = output.zip(errors);
        let (output, errors) = piped.ok_or_else(|| failed(format!("{path} has no pipes")))?;
        Ok(Run {
            program: program.clone(),
            child,
            status: None,
            group,
            output,
            errors: Errors::read(errors, program.voice.clone()),
            transported: Transported::new(program.has_sound),
            patience: Patience::new(None, Pace::default()),
            picture: Deadline::after(START_TIMEOUT),
            beginning: Some(Deadline::after(BEGINNING_TIMEOUT)),
            buffer: vec![0; READ_BYTES].into(),
            clock,
            over: None,
        })
    }

    pub(super) fn facts(&self) -> SessionFacts {
        SessionFacts {
            video: self.transported.video_facts(),
            sound: self.transported.sound_facts(),
            has_sender_reports: false,
            transport: A_PIPE,
            server: one_line(self.program.address()),
            login: "",
        }
    }

    /// What comes next. Cancelling the future loses nothing.
    ///
    /// # Errors
    /// Any error ends the run.
    pub(super) async fn next(&mut self) -> Result<Received, CameraError> {
        loop {
            if let Some(frame) = self.transported.frames.pop_front() {
                if frame.track.0 == 0 {
                    self.patience.note(&frame);
                    self.picture = Deadline::after(self.patience.timeout_if_alive());
                }
                return Ok(Received::Frame(frame));
            }
            if let Some(error) = self.over.take() {
                return Err(error);
            }
            if self.transported.has_begun {
                self.beginning = None;
            } else if self.beginning.take_if(|beginning| beginning.is_over()).is_some() {
                let seen = self.transported.pictures_seen;
                return Ok(Received::NoBeginning(format!("{seen} pictures, and no key frame")));
            }
            let left = self.beginning.as_ref().map_or(Duration::MAX, |deadline| deadline.left());
            let wait = self.picture.left().min(left);
            self.over = self.read(wait).await.err();
            if self.over.is_none() && self.picture.is_over() {
                let waited = self.patience.timeout_if_alive();
                self.over = Some(timed_out("waiting for a picture", waited));
            }
        }
    }

    /// Reads what the program writes, and waits for that for so long. Answers whether there was
    /// something.
    async fn read(&mut self, wait: Duration) -> Result<bool, CameraError> {
        let wait = if self.status.is_some() { wait.min(REST_WAIT) } else { wait };
        let read = tokio::select! {
            biased;
            read = self.output.read(&mut self.buffer) => Some(read),
            // Another one that it has started may keep its output open.
            status = self.child.wait(), if self.status.is_none() => {
                self.status = status.ok();
                return Ok(false);
            }
            () = sleep(wait) => None,
        };
        let now = self.clock.read();
        match read {
            None if self.status.is_none() => Ok(false),
            None | Some(Ok(0) | Err(_)) => {
                self.transported.finish(&now);
                Err(self.ended().await)
            }
            Some(Ok(count)) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                self.transported.push(bytes, &now);
                let is_known = !self.transported.streams().is_empty();
                if !is_known && self.transported.strays() > STRAY_BYTES_MAX {
                    let path = self.program.address();
                    let why = format!("{path} writes no MPEG-TS to its standard output");
                    return Err(CameraError::Program { why });
                }
                Ok(true)
            }
        }
    }

    /// Why nothing more comes.
    async fn ended(&mut self) -> CameraError {
        if self.status.is_none() {
            self.status = timeout(END_WAIT, self.child.wait()).await.ok().and_then(Result::ok);
        }
        self.end_group(Signal::SIGKILL);
        let path = self.program.address();
        let how = self.status.map_or("closed its standard output".to_owned(), how_ended);
        // What it said last is read by then, or soon.
        let said = self.errors.last().await;
        let why = if said.is_empty() { how } else { format!("{how}: {said}") };
        CameraError::Program { why: format!("{path} {why}") }
    }

    /// Sends a signal to all of the group, once it is the last one.
    fn end_group(&mut self, signal: Signal) {
        let group = match signal {
            Signal::SIGKILL => self.group.take(),
            _ => self.group,
        };
        if let Some(group) = group {
            // The only error is that nobody is left.
            let _ = killpg(group, signal);
        }
    }

    /// Asks it to end, and ends it where it does not.
    pub(super) async fn close(mut self) {
        self.end_group(Signal::SIGTERM);
        let ended = timeout(END_WAIT, self.child.wait()).await;
        if ended.is_err() {
            log::debug!("{}: {} did not end", self.program.name, self.program.address());
        }
        self.end_group(Signal::SIGKILL);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end_group(Signal::SIGKILL);
    }
}

fn timed_out(stage: &'static str, waited: Duration) -> CameraError {
    CameraError::TimedOut { stage, waited }
}

fn how_ended(status: ExitStatus) -> String {
    match status.code() {
        Some(0) => "ended".to_owned(),
        _ => format!("ended: {status}"),
    }
}

/// What a program writes to its standard error.
struct Errors {
    last: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Errors {
    /// Reads it to its end, and logs it line by line.
    fn read(mut errors: impl AsyncRead + Unpin + Send + 'static, voice: Voice) -> Errors {
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

    /// The last line; waits a moment for one that is on its way.
    async fn last(&mut self) -> String {
        let _ = timeout(END_WAIT, &mut self.task).await;
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
