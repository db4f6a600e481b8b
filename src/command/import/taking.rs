//! Files become clips, as a camera's frames do.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;

use super::Job;
use super::checks::{Plan, Wanted};
use super::opened::Opened;
use crate::camera::Frame;
use crate::cli::quantity::size_text;
use crate::clock::Reading;
use crate::command::CommandError;
use crate::command::contents::of_ring;
use crate::command::progress::progress_bar;
use crate::config::Config;
use crate::import::{Footage, Frames};
use crate::library::KeepMax;
use crate::recorder::{Action, Chunk, Cutter, CutterSettings, Drops, HandOut};
use crate::ring::{NewChunk, QUEUE_BYTES_MAX, QUEUE_CHUNKS_MAX, Refused, RingError, Writer};
use crate::segment::{ClockQuality, EndReason, TrackNumber};
use crate::units::{ByteCount, ClipId, Counted, NANOS_PER_SECOND, StreamNumber, WallTime};
use crate::view::{clip_boundary_after, utc_timestamp};

/// A chunk's samples at most, in bytes; smaller where a block is.
const CHUNK_BYTES_MAX: u64 = 8 << 20;
/// A chunk is cut with the next group behind half of this.
const CHUNK_LENGTH: Duration = Duration::from_secs(2);
/// The same amid a group behind so many nanoseconds.
const CHUNK_NANOS_MAX: i64 = 4 * NANOS_PER_SECOND;
/// Pictures that others need are put so little before the first one that is shown, in nanoseconds,
/// and are no clip of their own where that is at a boundary.
const AHEAD_NANOS: i64 = NANOS_PER_SECOND / 100;
/// The queue is emptied when this part of it is filled: the writer works on one half while the
/// files are read into the other.
const BATCH_PART: usize = 2;

/// Files that lie one behind another: their frames are those of one session.
struct Run {
    origin: WallTime,
    timescale: u32,
    /// Where the last file ends.
    end: WallTime,
    /// The clocks at its last frame.
    last: Option<Reading>,
}

/// Takes footage of one stream.
struct Taking<'a> {
    writer: &'a Writer,
    /// Where the ring is.
    device: &'a Path,
    stream: StreamNumber,
    now: Reading,
    settings: CutterSettings,
    cutter: Cutter,
    drops: Drops,
    run: Option<Run>,
    clip: Option<ClipId>,
    /// All clips so far.
    begun: Vec<ClipId>,
    /// When the last chunk was cut.
    cut_at: WallTime,
    batch_bytes: usize,
    batch_chunks: usize,
}

/// What became of a file.
#[derive(Default)]
struct Taken {
    frames: u64,
    bytes: u64,
    has_sound: bool,
    undecoded: u64,
    unheard: u64,
}

impl Opened {
    /// Takes what was planned. Answers of how many files something is left out, and which clips
    /// have begun.
    pub(super) fn take_all(
        &self,
        config: &Config,
        job: &Job<'_>,
        plan: &Plan,
        begun: &mut Vec<ClipId>,
        out: &mut dyn Write,
    ) -> Result<u64, CommandError> {
        // What an import before this one had taken is kept, too.
        self.keep(config, job, plan.known_clips.iter().copied())?;
        if plan.files.is_empty() {
            return Ok(0);
        }
        let stream = self.stream(config, job)?;
        let (clip, zone) = (config.clip_of(&job.camera), config.zone.clone());
        let chunk_bytes_max =
            self.sample_bytes_max().min(CHUNK_BYTES_MAX.max(plan.largest_sample()));
        let settings = CutterSettings {
            flush_interval: CHUNK_LENGTH,
            chunk_bytes_max: chunk_bytes_max as usize,
            boundary: Arc::new(move |start: WallTime| {
                clip_boundary_after(&zone, clip, start.plus_nanos(AHEAD_NANOS))
            }),
            keeps_damaged: true,
        };
        let bytes = plan.files.iter().map(|wanted| wanted.file.survey.byte_count).sum();
        let template = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left";
        let bar = progress_bar(bytes, template);
        let mut taking = Taking::new(self, &config.ring.device, stream, settings);
        let mut left_out = 0;
        let mut outcome = Ok(());
        for wanted in &plan.files {
            let taken = match taking.take(wanted, &bar) {
                Ok(taken) => taken,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            let remarks = remarks(wanted, &taken);
            left_out += u64::from(remarks.iter().any(|(_, is_loss)| *is_loss));
            let line = line(job, wanted, &taken);
            bar.suspend(|| -> std::io::Result<()> {
                writeln!(out, "{line}")?;
                remarks.iter().try_for_each(|(text, _)| writeln!(out, "  {text}"))
            })?;
        }
        // Also after an error: the clip that grows ends behind what was taken of it.
        let ended = taking.end_run();
        bar.finish_and_clear();
        left_out = left_out.max(u64::from(taking.tell_drops(out)?));
        begun.extend(&taking.begun);
        outcome.and(ended)?;
        writeln!(
            out,
            "{} in {}",
            Counted(plan.files.len() as u64, "file"),
            Counted(begun.len() as u64, "clip")
        )?;
        self.keep(config, job, taking.begun)?;
        Ok(left_out)
    }

    /// Protects what was taken, where somebody wants that.
    fn keep(
        &self,
        config: &Config,
        job: &Job<'_>,
        clips: impl IntoIterator<Item = ClipId>,
    ) -> Result<(), CommandError> {
        let Some(keep) = job.request.keep else { return Ok(()) };
        let device = &config.ring.device;
        // Only what is closed durably can be kept.
        self.writer.sync().map_err(of_ring(device))?;
        let until = Some(self.now.wall.plus(keep));
        let clips: Vec<ClipId> = clips.into_iter().collect();
        let size = self.ring.usage().size;
        let kept = match clips.is_empty() {
            true => Ok(clips),
            false => self.writer.keep(&clips, until, KeepMax::new(config.ring.keep_max).of(size)),
        };
        kept.map_err(|error| {
            let device = device.display();
            CommandError::Failed(format!("{device}: it is imported, and not kept: {error}"))
        })?;
        self.writer.sync().map_err(of_ring(device))
    }
}

fn line(job: &Job<'_>, wanted: &Wanted, taken: &Taken) -> String {
    let file = &wanted.file;
    let sound = if taken.has_sound { " with sound" } else { "" };
    let rest = if wanted.known.samples > 0 { "the rest, " } else { "" };
    format!(
        "{}: {} from {} ({}): {rest}{}{sound}, {}",
        file.survey.path.display(),
        job.camera,
        utc_timestamp(file.start),
        file.known,
        Counted(taken.frames, "frame"),
        size_text(ByteCount(taken.bytes))
    )
}

/// What there is to say of a file, and whether something is missing.
fn remarks(wanted: &Wanted, taken: &Taken) -> Vec<(String, bool)> {
    let remarks = wanted.file.survey.remarks.iter();
    let mut remarks: Vec<(String, bool)> =
        remarks.map(|remark| (remark.to_string(), remark.is_loss())).collect();
    if taken.undecoded > 0 {
        let frames = Counted(taken.undecoded, "frame");
        remarks.push((format!("{frames} that nothing decodes"), true));
    }
    if taken.unheard > 0 {
        let packets = Counted(taken.unheard, "packet");
        remarks.push((format!("{packets} of sound that nothing decodes"), true));
    }
    remarks
}

impl<'a> Taking<'a> {
    fn new(
        opened: &'a Opened,
        device: &'a Path,
        stream: StreamNumber,
        settings: CutterSettings,
    ) -> Taking<'a> {
        Taking {
            writer: &opened.writer,
            device,
            stream,
            now: opened.now,
            cutter: Cutter::new(settings.clone()),
            settings,
            drops: Drops::default(),
            run: None,
            clip: None,
            begun: Vec::new(),
            cut_at: WallTime(0),
            batch_bytes: 0,
            batch_chunks: 0,
        }
    }

    /// Takes a file, or the rest of one.
    fn take(&mut self, wanted: &Wanted, bar: &ProgressBar) -> Result<Taken, CommandError> {
        let mut footage = Footage::open(&wanted.file.survey.path)?;
        let later = match wanted.known.samples {
            0 => Some(0),
            _ => footage.begin_behind(wanted.known),
        };
        let Some(later) = later else { return Ok(Taken::default()) };
        let start = wanted.file.start.plus_nanos(later);
        let timescale = footage.timescale();
        let goes_on =
            self.run.as_ref().is_some_and(|run| run.end == start && run.timescale == timescale);
        if !goes_on {
            self.end_run()?;
        }
        let end = wanted.file.end;
        let run = self.run.get_or_insert(Run { origin: start, timescale, end, last: None });
        run.end = end;
        let origin = run.origin;
        if !goes_on {
            self.cut_at = origin;
            self.cutter.expect(footage.step_nanos());
        }
        let mut frames = Frames::new(&footage, start, origin)?;
        let mut taken = Taken::default();
        for frame in &mut frames {
            let frame = frame?;
            taken.bytes += frame.data.len() as u64;
            match frame.track {
                TrackNumber(0) => taken.frames += 1,
                _ => taken.has_sound = true,
            }
            bar.inc(frame.data.len() as u64);
            self.push(frame)?;
        }
        (taken.undecoded, taken.unheard) = (frames.undecoded(), frames.unheard());
        Ok(taken)
    }

    fn push(&mut self, frame: Frame) -> Result<(), CommandError> {
        let now = frame.received;
        if let Some(run) = &mut self.run {
            run.last = Some(now);
        }
        self.cutter.push(frame);
        self.carry_on(&now)?;
        if now.wall.nanos_since(self.cut_at) < CHUNK_NANOS_MAX {
            return Ok(());
        }
        self.cut_at = now.wall;
        let out = self.cutter.flush_due(&now);
        self.carry_out(out)
    }

    fn carry_on(&mut self, now: &Reading) -> Result<(), CommandError> {
        while let Some(out) = self.cutter.next(now) {
            self.carry_out(out)?;
        }
        Ok(())
    }

    /// What comes does not follow what was taken so far.
    fn end_run(&mut self) -> Result<(), CommandError> {
        let Some(last) = self.run.take().and_then(|run| run.last) else { return Ok(()) };
        self.cutter.hold_no_more();
        self.carry_on(&last)?;
        let out = self.cutter.stop(EndReason::Stopped, &last);
        self.carry_out(out)?;
        // Another run may lie wherever somebody wants it, and knows nothing of this one.
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(self.settings.clone()));
        self.drops.add_all(&cutter.drops());
        Ok(())
    }

    fn carry_out(&mut self, out: HandOut) -> Result<(), CommandError> {
        let mut failed = None;
        let taken = out.offer(|chunk| {
            self.append(chunk).map_err(|error| {
                failed = Some(error);
                Refused::Closed
            })
        });
        let Ok(actions) = taken else {
            return Err(failed.unwrap_or_else(|| of_ring(self.device)(RingError::Closed)));
        };
        for action in actions {
            match action {
                Action::End { reason, length_nanos } => {
                    if let Some(clip) = self.clip.take() {
                        self.writer.end_clip(clip, reason.code(), Some(length_nanos));
                    }
                }
                Action::Observe(seen) => {
                    self.writer.observe(self.stream, seen.from, seen.to, seen.encode());
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, mut chunk: Chunk) -> Result<(), CommandError> {
        self.cut_at = self.run.as_ref().and_then(|run| run.last).map_or(self.cut_at, |it| it.wall);
        if chunk.begins_clip {
            let clip = self.writer.new_clip();
            self.begun.push(clip);
            self.clip = Some(clip);
        }
        let Some(clip) = self.clip else { return Ok(()) };
        // Its times are what somebody says of it, and no clock's.
        let anchor = &mut chunk.table.anchor;
        (anchor.boot, anchor.boot_id) = (self.now.boot, self.now.boot_id);
        anchor.quality = ClockQuality::Given;
        let table = chunk.table.encode();
        let bytes = chunk.data.len() + table.len();
        let full = self.batch_bytes + bytes > QUEUE_BYTES_MAX / BATCH_PART
            || self.batch_chunks >= QUEUE_CHUNKS_MAX / BATCH_PART;
        if full {
            self.writer.sync().map_err(of_ring(self.device))?;
            (self.batch_bytes, self.batch_chunks) = (0, 0);
        }
        self.batch_bytes += bytes;
        self.batch_chunks += 1;
        let (stream, parameters, data) = (self.stream, chunk.parameters, chunk.data);
        let chunk = NewChunk { clip, stream, parameters, table: table.into(), data };
        self.writer.append(chunk).map_err(|refused| match refused {
            Refused::Closed => of_ring(self.device)(RingError::Closed),
            Refused::ClipEnded => CommandError::Failed(
                "the ring is too small for a clip of this footage, or its device failed: \
                 see the log"
                    .to_owned(),
            ),
            other => CommandError::Failed(other.to_string()),
        })
    }

    /// Says what the recorder has left out. Answers whether that is anything.
    fn tell_drops(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        for (reason, frames) in self.drops.reasons() {
            let frames = Counted(frames, "frame");
            writeln!(out, "{frames} left out: {}", reason.words())?;
        }
        Ok(self.drops != Drops::default())
    }
}
