//! The library of a ring: answered by archive, catalogue and writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::keeping::state_refused;
use super::{Attribute, Bytes, Changes, Deed, Deeds, DoneTo, KeepMax, states};
use super::{Footage, LibraryError, OpenFile, Snapshot, Told};
use crate::archive::{
    Archive, ArchiveError, ClipFile, OpenedRange, RangeContent, Whose, attributes, range_attributes,
};
use crate::clock::{Clock, Throttles, since_boot};
use crate::device::Device;
use crate::live::Live;
use crate::named::{Form, Gaps, Named};
use crate::ring::{ReadError, Refusal, StateRequest, Usage, Writer};
use crate::units::{ByteCount, ClipId, ClipKey, RingNumber, WallTime};
use crate::zone::Zone;

/// Recorders hand over what they hold within this time; `fsync` waits for it.
const HAND_OVER: Duration = Duration::from_millis(50);
/// Between two lines in the log about the same clip.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// The footage of a ring that is open.
pub struct RingLibrary {
    /// Clips as files.
    pub archive: Arc<Archive>,
    /// Whether the ring's device is there.
    pub device: Arc<dyn Device>,
    /// What states are set through; `None` where the ring is only read.
    pub writer: Option<Writer>,
    /// The time that deadlines count from.
    pub clock: Arc<dyn Clock>,
    /// From a removal to the purge.
    pub grace: Arc<Grace>,
    /// How much may be kept.
    pub keep_max: Arc<KeepMax>,
    /// What the daemon says of itself; `None` where nobody says it.
    pub told: Box<dyn Fn(Told) -> Option<Vec<u8>> + Send + Sync>,
    /// Asks whoever records to hand over what it holds; does not wait.
    pub ask_to_hand_over: Box<dyn Fn() + Send + Sync>,
    /// What the log has spoken of lately.
    pub complaints: Arc<Complaints>,
    /// What is done to clips on request, for the log.
    pub deeds: Arc<Deeds>,
    /// What cameras send at this moment; `None` where they send to somebody else.
    pub live: Option<Live>,
}

/// From a removal to the purge. It may change at any time, for removals to come.
#[derive(Debug)]
pub struct Grace {
    nanos: AtomicU64,
}

impl Grace {
    /// So long; 584 years at most.
    #[must_use]
    pub fn new(grace: Duration) -> Grace {
        let own = Grace { nanos: AtomicU64::new(0) };
        own.set(grace);
        own
    }

    /// What holds now.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// What holds from now on.
    pub fn set(&self, grace: Duration) {
        let nanos = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.store(nanos, Ordering::Relaxed);
    }
}

/// Clips that the log has spoken of lately: the kernel asks for a damaged page again and again.
pub struct Complaints(Throttles<ClipId>);

impl Default for Complaints {
    fn default() -> Complaints {
        Complaints(Throttles::every(COMPLAINT_INTERVAL))
    }
}

impl Complaints {
    fn log(&self, clip: ClipId, error: &LibraryError) {
        let is_fault = !matches!(error, LibraryError::Gone | LibraryError::Closed);
        if is_fault && self.0.take(&clip, since_boot()) {
            log::error!("a reader gets EIO: {error}");
        }
    }
}

/// A clip that somebody has open.
struct Opened {
    clip: ClipId,
    file: Arc<ClipFile>,
    complaints: Arc<Complaints>,
}

impl OpenFile for Opened {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn start(&self) -> Option<WallTime> {
        Some(self.file.start())
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, LibraryError> {
        self.file.read(offset, length).map_err(|error| {
            let error = library_error(&error);
            self.complaints.log(self.clip, &error);
            error
        })
    }
}

/// A range that somebody has open.
struct OpenedFile {
    ring: RingNumber,
    file: RangeContent,
    tells_holes: bool,
    complaints: Arc<Complaints>,
}

impl OpenFile for OpenedFile {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn tells_holes(&self) -> bool {
        self.tells_holes
    }

    fn holds(&self, clip: ClipKey) -> bool {
        clip.ring() == self.ring && self.file.holds(clip.clip())
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes<'_>, LibraryError> {
        self.file.read(offset, length).map_err(|error| {
            let told = library_error(&error);
            self.complaints.log(error.clip().unwrap_or_default(), &told);
            told
        })
    }
}

impl RingLibrary {
    /// Nothing can be made durable on a device that is gone, and nobody knows for how long.
    pub(super) fn check_present(&self) -> Result<(), LibraryError> {
        match self.device.is_present() {
            true => Ok(()),
            false => Err(LibraryError::Device("the device is gone".to_owned())),
        }
    }

    /// Nothing can be changed where nobody writes.
    pub(super) fn writer(&self) -> Result<&Writer, LibraryError> {
        self.writer.as_ref().ok_or(LibraryError::Unwritable)
    }

    /// A file that was made, as it is shown.
    fn opened(
        &self,
        form: Form,
        opened: Result<OpenedRange, ArchiveError>,
    ) -> Result<Snapshot, LibraryError> {
        let opened = opened.map_err(|error| library_error(&error))?;
        let stream = {
            let catalogue = self.archive.catalogue();
            let known = catalogue.stream_of(self.archive.number(), &opened.camera);
            known.map(|(_, fact)| fact.uuid)
        };
        let attributes = range_attributes(&opened, stream);
        let OpenedRange { content: file, start, end, identity, clips, .. } = opened;
        let clips = clips.into_iter().filter_map(|clip| self.key_of(clip)).collect();
        let (memory, complaints) = (file.memory(), self.complaints.clone());
        let (ring, tells_holes) = (self.archive.number(), form.gaps == Gaps::Refused);
        let file = Arc::new(OpenedFile { ring, file, tells_holes, complaints });
        Ok(Snapshot { file, start, end, attributes, clips, identity: Some(identity), memory })
    }

    /// What the ring calls a clip; one of another ring is none of this library's.
    pub(super) fn own(&self, clip: ClipKey) -> Result<ClipId, LibraryError> {
        let is_own = clip.ring() == self.archive.number();
        is_own.then(|| clip.clip()).ok_or(LibraryError::Gone)
    }

    fn key_of(&self, clip: ClipId) -> Option<ClipKey> {
        ClipKey::new(self.archive.number(), clip)
    }

    /// Sets a state that somebody asks for, and remembers it for the log.
    pub(super) fn carry_out(
        &self,
        clip: ClipKey,
        (deed, request): (Deed, StateRequest),
        until: Option<WallTime>,
    ) -> Result<(), LibraryError> {
        // Before it: a clip that is given up may be gone a moment later.
        let done_to = self.done_to(clip, until);
        self.change_state(clip, request).inspect_err(|error| {
            if *error == LibraryError::Refused(Refusal::Kept) {
                self.tell(clip, Deed::NotRemoved, None);
            }
        })?;
        if let Some(done_to) = done_to {
            self.deeds.gather(deed, done_to, self.clock.boot());
        }
        Ok(())
    }

    pub(super) fn done_to(&self, clip: ClipKey, until: Option<WallTime>) -> Option<DoneTo> {
        let catalogue = self.archive.catalogue();
        let clip = catalogue.clip(clip)?;
        let (camera, start) = (catalogue.camera_of(clip), clip.fact.start);
        Some(DoneTo { camera, start, bytes: clip.used.bytes, until })
    }

    pub(super) fn change_state(
        &self,
        clip: ClipKey,
        request: StateRequest,
    ) -> Result<(), LibraryError> {
        self.check_present()?;
        let changed = self.writer()?.change_state(self.own(clip)?, request);
        changed.map(drop).map_err(state_refused)
    }
}

impl Footage for RingLibrary {
    fn open_clip(&self, clip: ClipKey) -> Result<Arc<dyn OpenFile>, LibraryError> {
        let clip = self.own(clip)?;
        let file = self.archive.open_clip(clip).map_err(|error| {
            let error = library_error(&error);
            self.complaints.log(clip, &error);
            error
        })?;
        Ok(Arc::new(Opened { clip, file, complaints: self.complaints.clone() }))
    }

    fn snapshot(&self, camera: &str) -> Result<Option<Snapshot>, LibraryError> {
        let growing = self.archive.open_growing(camera).map_err(|error| library_error(&error))?;
        Ok(growing.map(|growing| Snapshot {
            identity: None,
            clips: self.key_of(growing.file.clip()).into_iter().collect(),
            memory: growing.file.memory(),
            file: Arc::new(Opened {
                clip: growing.file.clip(),
                file: growing.file,
                complaints: self.complaints.clone(),
            }),
            start: growing.start,
            end: growing.end,
            attributes: growing.attributes,
        }))
    }

    fn range(
        &self,
        camera: &str,
        named: &Named,
        zone: &Zone,
        is_listed: &dyn Fn(ClipKey) -> Option<bool>,
    ) -> Result<Snapshot, LibraryError> {
        let opened = self.archive.open_range(camera, named, (self.now(), zone), is_listed);
        self.opened(named.form, opened)
    }

    fn clip_as(
        &self,
        clip: ClipKey,
        form: Form,
        zone: &Zone,
        stem: &str,
    ) -> Result<Snapshot, LibraryError> {
        self.own(clip)?;
        self.opened(form, self.archive.open_clip_as(clip, form, zone, stem))
    }

    fn now(&self) -> WallTime {
        self.clock.read().wall
    }

    fn cameras(&self) -> Vec<String> {
        let catalogue = self.archive.catalogue();
        let own = catalogue.streams().filter(|(stream, _)| stream.ring == self.archive.number());
        own.map(|(_, fact)| fact.name().to_owned()).collect()
    }

    fn growing_cameras(&self) -> Vec<String> {
        let catalogue = self.archive.catalogue();
        let own = catalogue.streams().filter(|(stream, _)| stream.ring == self.archive.number());
        let streams = own.filter(|(stream, _)| catalogue.growing_of(*stream).is_some());
        streams.map(|(_, fact)| fact.name().to_owned()).collect()
    }

    fn live(&self) -> Option<Live> {
        self.live.clone()
    }

    fn usage(&self) -> Usage {
        self.archive.ring().usage()
    }

    fn keep_max(&self) -> ByteCount {
        self.keep_max()
    }

    fn attributes(&self, clip: ClipKey) -> Option<Vec<Attribute>> {
        let ring = self.archive.ring().superblock().ring_uuid;
        let catalogue = self.archive.catalogue();
        let clip = catalogue.clip(clip)?;
        let stream = catalogue.stream(clip.stream).map(|stream| stream.uuid);
        let whose = Whose { camera: catalogue.camera_of(clip), stream, ring };
        let mut attributes = attributes(&whose, clip.id(), &clip.fact);
        attributes.push(("user.reelfs.used", clip.used.bytes.0.to_string()));
        attributes.push(("user.reelfs.blocks", clip.used.blocks.to_string()));
        // What was asked for is true at once.
        let asked = self.writer.as_ref().and_then(|writer| writer.state_asked(clip.id()));
        let state = asked.unwrap_or(clip.state);
        attributes.extend(states::attributes(state));
        Some(attributes)
    }

    fn told(&self, what: Told) -> Option<Vec<u8>> {
        (self.told)(what)
    }
}

impl Changes for RingLibrary {
    fn remove(&self, clip: ClipKey) -> Result<(), LibraryError> {
        let until = self.clock.read().wall.plus(self.grace.get());
        self.carry_out(clip, (Deed::Removed, StateRequest::Remove { until }), Some(until))
    }

    fn restore(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.restore_one(clip)
    }

    fn purge(&self, clip: ClipKey) -> Result<(), LibraryError> {
        self.carry_out(clip, (Deed::GivenUp, StateRequest::Purge), None)
    }

    fn keep(
        &self,
        clips: &[ClipKey],
        until: Option<WallTime>,
    ) -> Result<Vec<ClipKey>, LibraryError> {
        self.keep_all(clips, until)
    }

    fn release(&self, clips: &[ClipKey]) -> Result<Vec<ClipKey>, LibraryError> {
        self.release_all(clips)
    }

    fn sync(&self) -> Result<(), LibraryError> {
        self.check_present()?;
        let writer = match &self.writer {
            Some(writer) if self.archive.ring().unwritable().is_none() => writer,
            // Nothing has been taken that would have to be made durable.
            _ => return Ok(()),
        };
        (self.ask_to_hand_over)();
        std::thread::sleep(HAND_OVER);
        writer.sync().map_err(|error| LibraryError::Device(error.to_string()))
    }
}

fn library_error(error: &ArchiveError) -> LibraryError {
    match error {
        ArchiveError::Gone(_) | ArchiveError::Read(ReadError::Gone(_)) => LibraryError::Gone,
        ArchiveError::NoFootage(why) => LibraryError::Nothing(why.clone()),
        ArchiveError::Read(ReadError::Device { .. }) => LibraryError::Device(error.to_string()),
        ArchiveError::Read(ReadError::Damaged(_) | ReadError::Elsewhere(_))
        | ArchiveError::Movie { .. }
        | ArchiveError::Malformed { .. } => LibraryError::Damaged(error.to_string()),
    }
}
