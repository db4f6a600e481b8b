//! Clips of a ring as files, without a mount.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reelfs::archive::{Archive, CatalogueUpdater, Listener};
use reelfs::catalogue::{Catalogue, Change};
use reelfs::clock::SystemClock;
use reelfs::device::{Access, FileDevice};
use reelfs::index::Index;
use reelfs::ring::{Ring, Settings};
use reelfs::units::RingNumber;

struct Nobody;

impl Listener for Nobody {
    fn changed(&mut self, _: &Change) {}
    fn flush_due(&mut self) {}
}

/// Copies all clips of a ring into a folder, in the order in which they were recorded.
pub fn of_ring(ring: &Path, folder: &Path) -> Vec<PathBuf> {
    let device = FileDevice::open(ring, Access::Exclusive).expect("the ring");
    let catalogue = Arc::new(RwLock::new(Catalogue::new()));
    let updater =
        Box::new(CatalogueUpdater::new(catalogue.clone(), RingNumber(0), Box::new(Nobody)));
    let settings = Settings { flush_interval: Duration::from_secs(2), wipe: false };
    let clock = Arc::new(SystemClock::new());
    let (ring, writer, opening) =
        Ring::open(Arc::new(device), clock, &settings, updater).expect("the ring");
    let index = folder.join("index-of-copies");
    let index = Index::open(&index, ring.superblock().ring_uuid, opening.session);
    let archive = Archive::new(ring, catalogue, Arc::new(index));
    let ids: Vec<_> = archive.catalogue().clips().map(|clip| clip.id()).collect();
    let copy = |(number, id): (usize, _)| {
        let file = archive.open_clip(id).expect("a clip");
        let bytes = file.read(0, u32::try_from(file.size()).expect("small")).expect("its bytes");
        let path = folder.join(format!("clip-{number:03}.mp4"));
        fs::write(&path, &**bytes).expect("a copy");
        path
    };
    let copies = ids.into_iter().enumerate().map(copy).collect();
    writer.close().expect("a clean end");
    copies
}
