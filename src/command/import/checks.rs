//! What is refused before anything is written.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::opened::Opened;
use super::stored::InRing;
use super::{Job, Planned};
use crate::catalogue::Clip;
use crate::cli::quantity::{duration_text, size_text};
use crate::command::CommandError;
use crate::config::Config;
use crate::import::{Footage, Known, Placed};
use crate::ring::QUEUE_BYTES_MAX;
use crate::units::{ByteCount, ClipId, NANOS_PER_SECOND, StreamKey, WallTime};
use crate::view::utc_timestamp;

/// Room that a block's and a chunk's headers are left, in bytes.
const HEADER_ROOM_BYTES: u64 = 128 << 10;
/// Footage may reach so far into what is there, in nanoseconds: times are rounded.
const OVERLAP_NANOS_MAX: i64 = NANOS_PER_SECOND / 2;
/// A ring takes so many bytes for a thousand of samples, tables and headers included.
const PER_MILLE: u64 = 1010;
/// The ring reserves blocks for two batches, each of which begins and ends amid one, and one more.
const BLOCKS_AHEAD: u64 = 5;

/// What is to be done.
#[derive(Default)]
pub(super) struct Plan {
    /// Files that are in the ring already.
    pub(super) passed: Vec<Placed>,
    /// The clips that have what is there of any.
    pub(super) known_clips: BTreeSet<ClipId>,
    /// The others.
    pub(super) files: Vec<Wanted>,
    /// Why files are left out that were found in folders.
    pub(super) left_out: Vec<String>,
}

/// A file that is taken.
pub(super) struct Wanted {
    pub(super) file: Placed,
    /// What of it the ring has.
    pub(super) known: Known,
}

impl Plan {
    /// What files take of the ring.
    pub(super) fn bytes(&self) -> ByteCount {
        let left = |wanted: &Wanted| {
            let survey = &wanted.file.survey;
            let known = (wanted.known.samples as u64).min(survey.pictures);
            let part = 1.0 - known as f64 / survey.pictures.max(1) as f64;
            (survey.byte_count as f64 * part) as u64
        };
        let bytes: u64 = self.files.iter().map(left).sum();
        ByteCount(bytes / 1000 * PER_MILLE)
    }

    /// The blocks of so many bytes that those may lie in: one is left where a sample has no room.
    fn blocks(&self, block: u64) -> u64 {
        match self.files.is_empty() {
            true => 0,
            false => {
                let left = self.largest_sample().min(block / 2);
                self.bytes().0.div_ceil((block - left).max(1))
            }
        }
    }

    /// The length of the largest sample, in bytes.
    pub(super) fn largest_sample(&self) -> u64 {
        let samples = self.files.iter().map(|wanted| wanted.file.survey.largest_sample);
        samples.max().unwrap_or(0)
    }
}

/// What makes room.
#[derive(Default)]
pub(super) struct Room {
    /// Clips, the oldest first.
    pub(super) pushed_out: Vec<Clip>,
    /// What is missing where all go that may.
    pub(super) missing: ByteCount,
}

/// All files that are taken, with what they are taken for.
pub(super) fn wanted<'a>(
    planned: &'a [Planned<'_>],
) -> impl Iterator<Item = (&'a Job<'a>, &'a Wanted)> {
    planned.iter().flat_map(|(job, plan)| plan.files.iter().map(move |wanted| (job, wanted)))
}

/// What all of them take of the ring.
pub(super) fn bytes(planned: &[Planned<'_>]) -> ByteCount {
    ByteCount(planned.iter().map(|(_, plan)| plan.bytes().0).sum())
}

/// Refuses footage that is too old, of the future, or over one another.
pub(super) fn refuse_by_time(
    config: &Config,
    job: &Job<'_>,
    files: &[Placed],
    now: WallTime,
) -> Result<(), CommandError> {
    if job.request.keep.is_none() {
        refuse_expired(files, config.retain_of(&job.camera), now)?;
    }
    if job.request.force {
        return Ok(());
    }
    if let Some(file) = files.iter().find(|file| file.is_future(now)) {
        return Err(CommandError::Failed(format!(
            "{}: its footage would end at {}, which is in the future ({}); --force takes it \
             regardless",
            file.survey.path.display(),
            utc_timestamp(file.end),
            file.known
        )));
    }
    for pair in files.windows(2) {
        if let [before, file] = pair
            && before.end.nanos_since(file.start) > OVERLAP_NANOS_MAX
        {
            return Err(overlap(file, &before.survey.path.display().to_string()));
        }
    }
    Ok(())
}

fn refuse_expired(
    files: &[Placed],
    retain: Option<Duration>,
    now: WallTime,
) -> Result<(), CommandError> {
    let Some(retain) = retain else { return Ok(()) };
    let oldest_kept = now.minus(retain);
    let Some(file) = files.iter().find(|file| file.end < oldest_kept) else { return Ok(()) };
    Err(CommandError::Failed(format!(
        "{}: its footage ends at {}, and the camera's retain is {}: it would expire at once; \
         --keep 30d keeps it for 30 days",
        file.survey.path.display(),
        utc_timestamp(file.end),
        duration_text(retain)
    )))
}

fn overlap(file: &Placed, what: &str) -> CommandError {
    let (path, start) = (file.survey.path.display(), utc_timestamp(file.start));
    let end = utc_timestamp(file.end);
    CommandError::Failed(format!(
        "{path}: its footage from {start} to {end} ({}) overlaps {what}; --force takes it \
         regardless",
        file.known
    ))
}

impl Opened {
    /// The largest sample that a block has room for, in bytes.
    pub(super) fn sample_bytes_max(&self) -> u64 {
        let block_length = self.ring.superblock().geometry.block_length;
        block_length.0.saturating_sub(HEADER_ROOM_BYTES)
    }

    /// What has to be taken, and what is there.
    pub(super) fn plan(
        &self,
        config: &Config,
        job: &Job<'_>,
        files: Vec<Placed>,
    ) -> Result<Plan, CommandError> {
        let stream = self.known_stream(&job.camera);
        let mut plan = Plan::default();
        for file in files {
            match self.too_large(&file) {
                Some(why) if job.found.contains(&file.survey.path) => {
                    plan.left_out.push(why);
                    continue;
                }
                Some(why) => return Err(CommandError::Failed(why)),
                None => {}
            }
            let known = match stream {
                Some(stream) => {
                    let in_ring = InRing::read(self, config, stream, &file)?;
                    let known = self.known_samples(&in_ring, stream, &file, job.request.force)?;
                    if known.is_none_or(|known| known.samples > 0) {
                        plan.known_clips.extend(&in_ring.clips);
                    }
                    known
                }
                None => Some(Known::default()),
            };
            match known {
                Some(known) => plan.files.push(Wanted { file, known }),
                None => plan.passed.push(file),
            }
        }
        Ok(plan)
    }

    /// Why a file can't be taken: a sample of it has no room.
    fn too_large(&self, file: &Placed) -> Option<String> {
        let (length, most) = (file.survey.largest_sample, self.sample_bytes_max());
        let path = file.survey.path.display();
        (length > most).then(|| {
            format!(
                "{path}: a frame of {length} bytes does not fit a block of the ring, {most} bytes \
                 do"
            )
        })
    }

    /// What of a file is in the ring, from its beginning on; `None` where all is.
    ///
    /// # Errors
    /// Where other footage is in its place, unless that is wanted.
    fn known_samples(
        &self,
        in_ring: &InRing,
        stream: StreamKey,
        file: &Placed,
        force: bool,
    ) -> Result<Option<Known>, CommandError> {
        if in_ring.is_empty() {
            return Ok(Some(Known::default()));
        }
        let mut footage = Footage::open(&file.survey.path)?;
        match in_ring.known(&footage)? {
            Some(known) => Ok(footage.begin_behind(known).map(|_| known)),
            None if force => Ok(Some(Known::default())),
            None => self.refuse_overlap(stream, file).map(|()| Some(Known::default())),
        }
    }

    fn refuse_overlap(&self, stream: StreamKey, file: &Placed) -> Result<(), CommandError> {
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let inner =
            file.start.plus_nanos(OVERLAP_NANOS_MAX)..file.end.plus_nanos(-OVERLAP_NANOS_MAX);
        let mut clips = catalogue.clips_overlapping(stream, inner);
        let Some(clip) = clips.find(|clip| clip.listed()) else { return Ok(()) };
        let (start, end) = (utc_timestamp(clip.fact.start), utc_timestamp(clip.fact.end));
        Err(overlap(file, &format!("the camera's clip from {start} to {end}")))
    }

    /// What makes room for all of it.
    pub(super) fn room(&self, planned: &[Planned<'_>]) -> Room {
        let (geometry, usage) = (self.ring.superblock().geometry, self.ring.usage());
        let block = geometry.block_length.0;
        let blocks: u64 = planned.iter().map(|(_, plan)| plan.blocks(block)).sum();
        if blocks == 0 {
            return Room::default();
        }
        // While it writes, the ring has room made for what comes next.
        let most = u64::from(geometry.block_count / 4).max(1);
        let ahead = (QUEUE_BYTES_MAX as u64 / block + BLOCKS_AHEAD).min(most);
        let needed = (blocks + ahead) * block;
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let (mut clips, kept): (Vec<&Clip>, Vec<&Clip>) =
            catalogue.clips().partition(|clip| clip.state.is_evictable());
        clips.sort_by_key(|clip| clip.key);
        let kept: u64 = kept.iter().map(|clip| clip.used.bytes.0).sum();
        let mut missing = needed.saturating_sub(usage.free.0);
        let is_pushed_out = |clip: &&&Clip| {
            let is_short = missing > 0;
            missing = missing.saturating_sub(clip.used.bytes.0);
            is_short
        };
        Room {
            pushed_out: clips
                .iter()
                .take_while(is_pushed_out)
                .map(|clip| (*clip).clone())
                .collect(),
            missing: ByteCount((needed + kept).saturating_sub(usage.size.0)),
        }
    }

    /// Refuses what has no room, or would take it from what is newer, or still asked for.
    pub(super) fn refuse_by_room(
        &self,
        config: &Config,
        planned: &[Planned<'_>],
    ) -> Result<(), CommandError> {
        let starts = wanted(planned).map(|(_, wanted)| wanted.file.start);
        let Some(oldest) = starts.min() else { return Ok(()) };
        let (bytes, usage) = (bytes(planned), self.ring.usage());
        let device = config.ring.device.display();
        let needed = size_text(bytes);
        let Room { pushed_out, missing } = self.room(planned);
        if missing.0 > 0 {
            let had = size_text(ByteCount(bytes.0.saturating_sub(missing.0)));
            let size = size_text(usage.size);
            return Err(CommandError::Failed(format!(
                "{device}: {needed} do not fit a ring of {size}, which has room for {had}: their \
                 end would push out their beginning; --force takes them regardless"
            )));
        }
        let is_wanted = |clip: &&Clip| {
            let camera = self.camera_of(clip);
            let retain = config.retain_of(&camera);
            clip.fact.end > oldest
                || retain.is_some_and(|retain| clip.fact.end > self.now.wall.minus(retain))
        };
        let wanted = pushed_out.iter().filter(|clip| clip.listed()).filter(is_wanted);
        let Some(newest) = wanted.max_by_key(|clip| clip.fact.end) else { return Ok(()) };
        let free = size_text(usage.free);
        Err(CommandError::Failed(format!(
            "{device}: {needed} are needed, {free} are free: clips would make room that are newer, \
             or that their cameras are to retain, up to {}; --force has them do so",
            utc_timestamp(newest.fact.end)
        )))
    }

    fn camera_of(&self, clip: &Clip) -> String {
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        catalogue.camera_of(clip)
    }
}
