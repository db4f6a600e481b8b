//! The interface to footage, without any mount over it: what a door reads, changes and is refused.

#[path = "../examples/list_clips.rs"]
#[expect(dead_code, reason = "its main is for a command line")]
mod list_clips;
mod support;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reelfs::archive::{Archive, CatalogueUpdater, Listener};
use reelfs::catalogue::{Catalogue, Change};
use reelfs::device::{Device, DeviceHolder, ReturningDevice};
use reelfs::index::Index;
use reelfs::library::{
    Changes, Complaints, Deed, Footage, Grace, KeepMax, LibraryError, RingLibrary,
};
use reelfs::live::Live;
use reelfs::ring::{ClipState, Refusal, Ring, Settings, StateRequest, Writer};
use reelfs::units::{ClipKey, RingNumber, WallTime};
use support::memory::Still;

const START: i64 = 1_795_267_800_000_000_000;
const GRACE: Duration = Duration::from_secs(3600);

struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

impl DeviceHolder for Nobody {
    fn disowned(&self, _: &str) {}

    fn recognise(&self, _: &dyn Device) -> Result<(), String> {
        Err("it never left".into())
    }
    fn vanished(&self, error: &std::io::Error) {
        panic!("the file is gone: {error}");
    }
    fn stays_away(&self, _: &str) {}
    fn returned(&self, _: Duration) {}
    fn stalls(&self, _: Duration) {}
    fn answers(&self, _: Duration) {}
}

/// The ring with one clip that stays in `tests/data`.
fn write_ring(path: &Path) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ring-v1.runs");
    let runs = std::fs::read(golden).expect("the image");
    std::fs::write(path, support::runs::bytes(&runs, 14 << 20)).expect("there is room");
}

struct Open {
    library: RingLibrary,
    catalogue: Arc<RwLock<Catalogue>>,
    clip: ClipKey,
    _directory: tempfile::TempDir,
}

fn open() -> Open {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ring");
    write_ring(&path);
    let device = Arc::new(ReturningDevice::open(&path, Arc::new(Nobody)).expect("a file"));
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    let updater = CatalogueUpdater::new(catalogue.clone(), RingNumber::default(), Box::new(Nobody));
    let settings = Settings { flush_interval: Duration::from_secs(3600), wipe: false };
    let clock = Arc::new(Still::at(START));
    let (ring, writer, opening) =
        Ring::open(device.clone(), clock.clone(), &settings, Box::new(updater)).expect("a ring");
    let uuid = ring.superblock().ring_uuid;
    let index = Index::open(&directory.path().join("index"), uuid, opening.session);
    let archive = Arc::new(Archive::new(ring, catalogue.clone(), Arc::new(index)));
    let library = RingLibrary {
        archive,
        device,
        writer: Some(writer),
        clock,
        grace: Arc::new(Grace::new(GRACE)),
        keep_max: Arc::new(KeepMax::new(30)),
        told: Box::new(|_| Some(b"{}".to_vec())),
        ask_to_hand_over: Box::new(|| ()),
        complaints: Arc::new(Complaints::default()),
        deeds: Arc::default(),
        live: Some(Live::default()),
    };
    let clip = {
        let catalogue = catalogue.read().unwrap_or_else(PoisonError::into_inner);
        catalogue.clips().next().expect("a clip").key
    };
    Open { library, catalogue, clip, _directory: directory }
}

impl Open {
    fn writer(&self) -> &Writer {
        self.library.writer.as_ref().expect("it is open to be written")
    }

    /// As soon as the ring has done all that it was asked for.
    fn state(&self) -> Option<ClipState> {
        self.library.sync().expect("a flush");
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        catalogue.clip(self.clip).map(|clip| clip.state)
    }

    fn expires(&self) -> Option<String> {
        let attributes = self.library.attributes(self.clip).expect("it is there");
        attributes.into_iter().find(|(name, _)| *name == "user.reelfs.expires").map(|(_, at)| at)
    }
}

#[test]
fn a_clip_is_read_removed_and_restored_without_a_mount() {
    let open = open();
    let file = open.library.open_clip(open.clip).expect("it opens");
    let bytes = file.read(0, file.size() as u32).expect("it can be read").to_vec();
    assert_eq!(&bytes[4..8], b"ftyp");

    open.library.remove(open.clip).expect("it is closed");
    let until = WallTime(START).plus(GRACE);
    assert!(matches!(open.state(), Some(ClipState::Expiring { until: at, .. }) if at == until));
    assert!(open.expires().is_some());
    let again = open.library.open_clip(open.clip).expect("it can be restored, and read");
    assert_eq!(again.read(0, again.size() as u32).expect("it can be read").to_vec(), bytes);

    open.library.restore(open.clip).expect("it is expiring");
    assert_eq!((open.state(), open.expires()), (Some(ClipState::Closed), None));

    let restored = Err(LibraryError::Refused(Refusal::NotRemoved));
    assert_eq!(open.library.purge(open.clip), restored, "who emptied the trash came too late");
    open.library.remove(open.clip).expect("it is closed");
    open.library.purge(open.clip).expect("it is expiring");
    assert_eq!(open.library.remove(open.clip), Err(LibraryError::Gone));
    assert_eq!(open.library.restore(open.clip), Err(LibraryError::Gone));
    open.library.purge(open.clip).expect("it is as was asked");
    open.state();
    assert!(matches!(open.library.open_clip(open.clip), Err(LibraryError::Gone)));
    let all = open.library.deeds.take_all();
    let told: Vec<_> = all.iter().map(|it| (it.deed, it.clips, it.first.until)).collect();
    let wanted = [(Deed::Removed, 2, Some(until)), (Deed::Restored, 1, None)];
    assert_eq!(told[..2], wanted, "and nothing that was refused");
    assert_eq!(all[0].bytes.0, 2 * all[0].first.bytes.0);
    open.writer().close().expect("it closes");
}

#[test]
fn a_kept_clip_is_neither_removed_nor_purged_and_a_restore_leaves_it_kept() {
    let open = open();
    let kept = ClipState::Kept { until: None };
    let keep = open.writer().change_state(open.clip.clip(), StateRequest::Keep { until: None });
    assert_eq!(keep, Ok(kept));
    let refused = Err(LibraryError::Refused(Refusal::Kept));
    assert_eq!(open.library.remove(open.clip), refused, "also before the ring has come to it");
    assert_eq!(open.library.purge(open.clip), refused);
    open.library.restore(open.clip).expect("it is there");
    assert_eq!(open.state(), Some(kept));
    let release = open.writer().change_state(open.clip.clip(), StateRequest::Release);
    assert_eq!(release, Ok(ClipState::Closed));
    open.library.remove(open.clip).expect("nobody keeps it any more");
    open.writer().close().expect("it closes");
}

#[test]
fn the_example_lists_the_clips_of_a_ring_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ring");
    write_ring(&path);
    let before = std::fs::read(&path).expect("it is there");
    let mut out = Vec::new();
    list_clips::list(&path, &mut out).expect("a ring");
    let out = String::from_utf8(out).expect("text");
    let words: Vec<&str> = out.split(' ').collect();
    assert_eq!((words.get(1), out.lines().count()), (Some(&"front-door"), 1), "{out}");
    assert!(out.ends_with("frames, Closed\n"), "{out}");
    assert!(std::fs::read(&path).expect("it is there") == before);
}
