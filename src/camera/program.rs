//! A program that writes a transport stream to its standard output, in place of a camera.
//!
//! It is run without a shell, in a process group of its own, with nothing to read; what it writes
//! to its standard error is logged, as far as a person would read it. It is ended with its group:
//! asked to first, where there is time for that.

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::connect::{Received, SessionFacts};
use super::error::{CameraError, one_line};
use super::patience::{Pace, Patience};
use super::standard_error::Errors;
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
/// So many frames are read before that at most.
const FRAMES_AHEAD_MAX: usize = 256;
/// Bytes of no packet before the first one: what goes on like this is no transport stream.
const STRAY_BYTES_MAX: u64 = 1 << 20;
/// What is read at a time, in bytes: a pipe holds as much.
const READ_BYTES: usize = 64 << 10;
/// A program that was asked to end is waited for so long, and one that has closed its output.
const END_WAIT: Duration = Duration::from_secs(1);
/// Behind its end what is left in the pipe is there at once, and read for so long at most.
const REST_WAIT: Duration = Duration::from_millis(200);
const REST_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// It has ended, and how.
    left: Option<Left>,
    /// When nothing more is waited for, once its output is over.
    end_by: Option<Deadline>,
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

/// A program that has ended.
struct Left {
    /// `None` where the system does not say.
    status: Option<ExitStatus>,
    /// Up to when what it has left in the pipe is read.
    rest_by: Deadline,
}

impl Left {
    fn new(status: Option<ExitStatus>) -> Left {
        Left { status, rest_by: Deadline::after(REST_TIMEOUT) }
    }
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
        while !run.transported.is_known() {
            run.read(deadline.left()).await?;
            if deadline.is_over() && !run.transported.is_known() {
                return Err(timed_out("waiting for MPEG-TS", START_TIMEOUT));
            }
        }
        if !run.transported.has_video() {
            let offered = run.transported.streams().join(", ");
            return Err(CameraError::NoVideo { wanted: "H.264 or H.265".to_owned(), offered });
        }
        let deadline = Deadline::after(PICTURE_WAIT);
        let waits = |run: &Run| {
            let transported = &run.transported;
            let is_first = !transported.has_begun && transported.frames.len() < FRAMES_AHEAD_MAX;
            is_first && run.over.is_none()
        };
        while waits(&run) && !deadline.is_over() {
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
            left: None,
            end_by: None,
            group,
            output,
            // What it says keeps nothing back that is said of it.
            errors: Errors::read(errors, Voice::of(&program.name)),
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
        let wait = match &self.left {
            Some(left) => wait.min(REST_WAIT).min(left.rest_by.left()),
            None => wait,
        };
        let is_over = self.left.as_ref().is_some_and(|left| left.rest_by.is_over());
        let read = tokio::select! {
            biased;
            read = self.output.read(&mut self.buffer), if !is_over => Some(read),
            // Another one that it has started may keep its output open.
            status = self.child.wait(), if self.left.is_none() => {
                self.left = Some(Left::new(status.ok()));
                return Ok(false);
            }
            () = sleep(wait) => None,
        };
        let now = self.clock.read();
        match read {
            None if self.left.is_none() => Ok(false),
            None | Some(Ok(0) | Err(_)) => {
                self.transported.finish(&now);
                Err(self.ended().await)
            }
            Some(Ok(count)) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                self.transported.push(bytes, &now);
                let is_known = self.transported.is_known();
                if !is_known && self.transported.strays() > STRAY_BYTES_MAX {
                    let path = self.program.address();
                    let why = format!("{path} writes no MPEG-TS to its standard output");
                    return Err(CameraError::Program { why });
                }
                Ok(true)
            }
        }
    }

    /// Why nothing more comes. Cancelled and begun again, it goes on.
    async fn ended(&mut self) -> CameraError {
        let end_by = *self.end_by.get_or_insert_with(|| Deadline::after(END_WAIT));
        if self.left.is_none() {
            let status = timeout(end_by.left(), self.child.wait()).await;
            self.left = status.ok().map(|status| Left::new(status.ok()));
        }
        self.end_group(Signal::SIGKILL);
        let path = self.program.address();
        let status = self.left.as_ref().and_then(|left| left.status);
        let how = status.map_or("closed its standard output".to_owned(), how_ended);
        // What it said last is read by then, or soon.
        let said = self.errors.last(end_by).await;
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
