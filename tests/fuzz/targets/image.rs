//! A small ring in memory, made by real code, and everything that is done with one.

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use reelfs::archive::{Archive, CatalogueUpdater, ClipFile, Listener, Whose, attributes};
use reelfs::catalogue::{Catalogue, Change};
use reelfs::check;
use reelfs::clock::{Clock, Reading};
use reelfs::device::Device;
use reelfs::index::Index;
use reelfs::ring::{
    FormatOptions, Inspection, Opening, Ring, RingError, Settings, StateRequest, Superblock,
    Writer, format,
};
use reelfs::segment::{Observation, ObservationKind, StreamFact, StreamName};
use reelfs::units::{
    BlockNumber, BootTime, ClipId, ClipKey, RingNumber, SessionNumber, StreamNumber, WallTime,
};
use reelfs::{mp4, ring};

use super::disk::{Disk, Image};
use super::footage::{START, chunk};
use super::seal::{PAGE, UUID};

/// Eleven blocks of the smallest kind.
const LENGTH: u64 = 14 << 20;

/// What is read of one file, in bytes: a forged table may let one chunk stand in it many times.
const READ_BYTES_MAX: u64 = 2 << 20;

/// What is read at once, in bytes: as the kernel asks.
const READ_BYTES: u32 = 128 << 10;

/// Clips that are opened of a ring.
const CLIPS_OPENED_MAX: usize = 32;

struct Still;

impl Clock for Still {
    fn read(&self) -> Reading {
        let boot = BootTime(1);
        Reading { wall: WallTime(START), boot, boot_id: [7; 16], synchronised: true }
    }
}

struct Deaf;

impl Listener for Deaf {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

/// A ring that is open.
struct Open {
    archive: Archive,
    writer: Writer,
    catalogue: Arc<RwLock<Catalogue>>,
    opening: Opening,
}

/// There is no index here: the ring has to answer everything.
fn no_index() -> Arc<Index> {
    static INDEX: OnceLock<Arc<Index>> = OnceLock::new();
    let open = || Arc::new(Index::open(Path::new("/dev/null/none"), UUID, SessionNumber(1)));
    INDEX.get_or_init(open).clone()
}

impl Open {
    fn new(disk: &Arc<Disk>) -> Result<Open, RingError> {
        let catalogue = Arc::new(RwLock::new(Catalogue::new()));
        let updater = CatalogueUpdater::new(catalogue.clone(), RingNumber(0), Box::new(Deaf));
        // Flushes happen when somebody waits for one.
        let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: true };
        let device: Arc<dyn Device> = disk.clone();
        let (ring, writer, opening) =
            Ring::open(device, Arc::new(Still), &settings, Box::new(updater))?;
        let archive = Archive::new(ring, catalogue.clone(), no_index());
        Ok(Open { archive, writer, catalogue, opening })
    }

    fn catalogue(&self) -> std::sync::RwLockReadGuard<'_, Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn clips(&self) -> Vec<ClipId> {
        self.catalogue().clips().map(|clip| clip.id()).collect()
    }

    /// Reads every clip, closed and growing, as the mount does.
    fn read_all(&self) {
        for clip in self.clips().into_iter().take(CLIPS_OPENED_MAX) {
            let fact = ClipKey::new(RingNumber(0), clip)
                .and_then(|key| self.catalogue().clip(key).map(|found| found.fact.clone()));
            let Some(fact) = fact else { continue };
            let camera = "front-door".to_owned();
            let whose = Whose { camera, stream: None, ring: UUID };
            black_box(attributes(&whose, clip, &fact));
            let size = mp4::size(&fact);
            if let Ok(file) = self.archive.open_clip(clip) {
                assert_eq!(size, Ok(file.size()), "what stat says and what is opened");
                read_file(&file);
            }
        }
        let names: Vec<String> =
            self.catalogue().streams().map(|(_, fact)| fact.name().to_owned()).collect();
        for name in names.iter().take(CLIPS_OPENED_MAX) {
            if let Ok(Some(growing)) = self.archive.open_growing(name) {
                read_file(&growing.file);
            }
        }
    }

    /// Records a clip into what is there, hides one, keeps one and wipes one.
    fn write_some(&self) {
        for stream in [1, 2].map(StreamNumber) {
            let clip = self.writer.new_clip();
            for number in 0..2 {
                // It is refused where the ring has no room.
                let _ = self.writer.append(chunk(clip, stream, number));
            }
            self.writer.end_clip(clip, 0, None);
        }
        let mut clips = self.clips().into_iter();
        let remove = StateRequest::Remove { until: WallTime(START) };
        for request in [StateRequest::Keep { until: None }, remove] {
            if let Some(clip) = clips.next() {
                let _ = self.writer.change_state(clip, request);
            }
        }
        if let Some(clip) = clips.next() {
            let _ = self.writer.change_state(clip, StateRequest::Expire);
            let _ = self.writer.free(clip, true);
        }
        let _ = self.writer.sync();
    }
}

fn read_file(file: &ClipFile) {
    let mut offset = 0;
    while offset < file.size().min(READ_BYTES_MAX) {
        if let Ok(bytes) = file.read(offset, READ_BYTES) {
            let expected = u64::from(READ_BYTES).min(file.size() - offset);
            assert_eq!(bytes.len() as u64, expected, "bytes that come from {offset} on");
        }
        offset += u64::from(READ_BYTES);
    }
}

fn formatted() -> Arc<Disk> {
    let disk = Disk::blank(LENGTH);
    let options = FormatOptions {
        block_length: Some(1 << 20),
        label: "fuzz".into(),
        ring_uuid: UUID,
        node_uuid: [2; 16],
        pool_uuid: None,
        now: Still.read(),
        disk_label: None,
    };
    format(&*disk, &options).expect("a ring");
    disk
}

fn record(open: &Open, stream: u32, chunks: i64) -> ClipId {
    let clip = open.writer.new_clip();
    for number in 0..chunks {
        open.writer.append(chunk(clip, StreamNumber(stream), number)).expect("room");
    }
    clip
}

/// Two streams with clips in every state, one of them with a table of its own, and one that was
/// growing when the power went.
fn made() -> Image {
    let disk = formatted();
    let open = Open::new(&disk).expect("a ring");
    for (stream, name) in [(1, "front-door"), (2, "yard")] {
        let name = StreamName { name: name.to_owned(), since: WallTime(START) };
        let uuid = [stream as u8; 16];
        let fact = StreamFact {
            uuid,
            names: vec![name],
            retain_nanos: Some(1),
            removed: None,
            switch: None,
        };
        open.writer.set_stream(StreamNumber(stream), fact.encode());
    }
    let clips: Vec<ClipId> = [(1, 3), (1, 14), (2, 2), (2, 1)]
        .map(|(stream, chunks)| {
            let clip = record(&open, stream, chunks);
            open.writer.end_clip(clip, 0, Some(chunks * 160_000_000));
            clip
        })
        .into();
    open.writer.sync().expect("a flush");
    let keep = StateRequest::Keep { until: Some(WallTime(START)) };
    open.writer.change_state(clips[2], keep).expect("a closed clip");
    let remove = StateRequest::Remove { until: WallTime(START + 1) };
    open.writer.change_state(clips[3], remove).expect("a closed clip");
    let (from, to) = (WallTime(START), WallTime(START + 5));
    let kind = ObservationKind::Lost;
    let observation = Observation { from, to, kind, number: 3, text: "on the way".into() };
    open.writer.observe(StreamNumber(2), from, to, observation.encode());
    record(&open, 1, 2);
    record(&open, 2, 2);
    // Chunks of these no fact speaks of: the next start has to find them.
    open.writer.sync().expect("a flush");
    let mut image = disk.image();
    let geometry = open.archive.ring().superblock().geometry;
    (0..2).for_each(|area| {
        scratch(&mut image, geometry.ledger_start(area).0, geometry.ledger_area.0);
    });
    image
}

/// Puts a byte where pages are blank: one that is blank to its end is looked at byte by byte, and
/// with instrumentation that would take most of the time. It means the same to whoever reads it.
pub fn scratch(image: &mut Image, start: u64, length: u64) {
    for at in (start..start + length).step_by(PAGE) {
        let mut page = vec![0; PAGE];
        image.read(at, &mut page);
        if page.iter().all(|byte| *byte == 0) {
            image.write(at, &[0xff]);
        }
    }
}

/// The ring that inputs change.
pub fn base() -> Image {
    static BASE: OnceLock<Image> = OnceLock::new();
    BASE.get_or_init(made).clone()
}

/// What the superblock of [`base`] says.
pub fn superblock() -> &'static Superblock {
    static SUPERBLOCK: OnceLock<Superblock> = OnceLock::new();
    SUPERBLOCK.get_or_init(|| {
        let disk = Disk::from_image(base());
        ring::read_superblock(&*disk).expect("a superblock").0
    })
}

/// Opens and asks everything that is asked of a ring: nothing may panic, hang or fill the memory,
/// and what one run has put in order the next one opens.
pub fn exercise(image: Image) {
    let disk = Disk::from_image(image);
    inspect(&*disk);
    let Ok(open) = Open::new(&disk) else { return };
    open.read_all();
    open.write_some();
    open.read_all();
    let session = open.opening.session;
    let closed = open.writer.close();
    drop(open);
    assert!(!matches!(closed, Err(RingError::Closed)), "the writer died");
    if closed.is_err() {
        return;
    }
    match Open::new(&disk) {
        Ok(again) => {
            assert!(again.opening.session > session, "sessions count up");
            again.read_all();
            if again.writer.close().is_ok() {
                drop(again);
                restore(&*disk);
            }
        }
        Err(RingError::SessionsExhausted) => {}
        Err(error) => panic!("closed in order, and does not open: {error}"),
    }
}

fn restore(device: &dyn Device) {
    check::restore(device).expect("closed in order");
    assert_eq!(check::restore(device).map(|again| again.headers).ok(), Some(0), "once is enough");
}

fn inspect(device: &dyn Device) {
    let Ok(inspection) = Inspection::open(device) else { return };
    black_box(inspection.clips().map(|(_, record)| record.used().bytes.0).max());
    inspection.streams().for_each(|(_, fact)| drop(StreamFact::decode(fact)));
    inspection.observations().for_each(|(.., fact)| drop(Observation::decode(fact)));
    black_box(inspection.usage());
    black_box((inspection.is_clean(), inspection.session()));
    let blocks = inspection.superblock.geometry.block_count.min(LENGTH as u32 >> 20);
    for block in (0..blocks).map(BlockNumber) {
        let _ = inspection.block(block);
        if let Ok(chunks) = inspection.chunks(block) {
            assert!(chunks.iter().all(|chunk| chunk.page > 0));
        }
    }
}

/// Chunks that the next start finds behind the ledger.
#[cfg(test)]
pub fn chunks_found(image: Image) -> usize {
    let open = Open::new(&Disk::from_image(image)).expect("a ring");
    let _ = open.writer.close();
    open.opening.chunks_recovered
}
