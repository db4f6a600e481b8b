//! Looks after the ring's superblocks while it runs: partitioning tools write over them without a
//! word, and nothing else would notice before the next start.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{DaemonError, Store};
use crate::device::{AlignedBuffer, Device, ReturningDevice};
use crate::ring::{Ring, RingError, places_text, tend_superblocks};
use crate::units::{ByteCount, DeviceOffset};

/// How often they are looked at, besides with each pass of the scrub.
const LOOK_INTERVAL: Duration = Duration::from_secs(3600);

/// The thread that looks; it ends when this is dropped, and is not waited for: it may be at a
/// device that hangs.
pub(super) struct Caretaker {
    asks: Sender<()>,
}

impl Caretaker {
    pub(super) fn start(store: &Store) -> Result<Caretaker, DaemonError> {
        let (asks, asked) = channel();
        let device = store.device.clone();
        let ring = store.archive.ring().clone();
        std::thread::Builder::new()
            .name("superblocks".into())
            .spawn(move || look_after(&device, &ring, &asked))
            .map_err(|source| DaemonError::System { what: "looking after superblocks", source })?;
        Ok(Caretaker { asks })
    }

    /// What has them looked at soon.
    pub(super) fn asking(&self) -> Box<dyn Fn() + Send> {
        let asks = self.asks.clone();
        Box::new(move || {
            // Nobody is there any more while the daemon ends.
            let _ = asks.send(());
        })
    }
}

/// The ring's device, but for its flushes: they are the writer's, who has to hear what becomes of
/// what it wrote. A superblock is durable with the next of them.
struct Unflushed<'a>(&'a ReturningDevice);

impl Device for Unflushed<'_> {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: DeviceOffset, bytes: &AlignedBuffer) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn is_present(&self) -> bool {
        self.0.is_present()
    }

    fn length(&self) -> ByteCount {
        self.0.length()
    }
}

fn look_after(device: &Arc<ReturningDevice>, ring: &Ring, asked: &Receiver<()>) {
    while asked.recv_timeout(LOOK_INTERVAL) != Err(RecvTimeoutError::Disconnected) {
        if !device.is_present() {
            continue;
        }
        match tend_superblocks(&Unflushed(device), &ring.superblock_now()) {
            Ok(places) if places.is_empty() => {}
            Ok(places) => log::error!(
                "superblock: some program has written over the ring at {}: written again. Footage \
                 there was lost only if it wrote further; reelfs check tells",
                places_text(&places)
            ),
            Err(reason @ RingError::Overwritten { .. }) => device.disown(&reason.to_string()),
            Err(error) => log::warn!("superblock: {error}"),
        }
    }
}
