//! sled, opened, used and flushed the way that version 0.34 wants it.
//!
//! Its `flush` does not reach the disk on Linux: `sync_file_range` leaves the drive's cache and
//! the file's metadata alone. So the files and directories that it creates are synced once, and
//! its `db` file after each flush. What it panics over when its files are damaged is caught.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::IndexIdentity;
use super::place;
use super::record::{self, Damaged};
use crate::units::ClipId;

/// Cache of sled, in bytes; it takes several times as much, and the kernel caches its file.
const CACHE_BYTES: u64 = 4 << 20;

/// Why the index can't be used as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Sled(#[from] sled::Error),
    #[error("{what}: {source}")]
    Files { what: String, source: io::Error },
    #[error("{path} {what}")]
    Strange { path: String, what: &'static str },
    #[error("{0}")]
    Record(#[from] Damaged),
    #[error("it has records, and none that says whose they are")]
    NoIdentity,
    #[error("it belongs to another ring, or to a later state of this one")]
    Foreign,
    #[error("sled panicked: {0}")]
    Panicked(String),
}

impl Trouble {
    /// Whether somebody else has sled's file open: the one error that says nothing about what is
    /// in it. sled has no kind for it, only words.
    pub(super) fn locked(&self) -> bool {
        matches!(self, Trouble::Sled(sled::Error::Io(error))
            if error.to_string().starts_with("could not acquire lock"))
    }
}

/// An open index.
pub(super) struct Store {
    database: sled::Db,
    /// An own handle of sled's file, to sync it with.
    file: File,
}

impl Store {
    /// Opens or creates what is at `path`, which must belong to `identity`'s ring.
    pub(super) fn open(path: &Path, identity: &IndexIdentity) -> Result<Store, Trouble> {
        guarded(|| {
            place::refuse_links(path)?;
            let config = sled::Config::new();
            let config = config.path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
            let database = config.open()?;
            let file_path = path.join("db");
            let file = File::open(&file_path).map_err(|source| files(&file_path, source))?;
            let store = Store { database, file };
            store.claim(identity)?;
            store.flush()?;
            sync_files(path)?;
            Ok(store)
        })
    }

    /// Opens a copy of an index, whoever's it is, and answers whose.
    pub(super) fn look_at(path: &Path) -> Result<(Store, IndexIdentity), Trouble> {
        guarded(|| {
            let config = sled::Config::new();
            let config = config.path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
            let database = config.open()?;
            let file_path = path.join("db");
            let file = File::open(&file_path).map_err(|source| files(&file_path, source))?;
            let identity = database.get(record::IDENTITY_KEY)?.ok_or(Trouble::NoIdentity)?;
            let identity = record::decode_identity(&identity)?;
            Ok((Store { database, file }, identity))
        })
    }

    /// Checks whose index this is, and writes down that it is `identity`'s.
    fn claim(&self, identity: &IndexIdentity) -> Result<(), Trouble> {
        match self.database.get(record::IDENTITY_KEY)? {
            None if self.database.is_empty() => {}
            None => return Err(Trouble::NoIdentity),
            Some(value) => {
                let known = record::decode_identity(&value)?;
                if known.ring != identity.ring || known.session > identity.session {
                    return Err(Trouble::Foreign);
                }
            }
        }
        self.database.insert(record::IDENTITY_KEY, record::encode_identity(identity))?;
        Ok(())
    }

    /// The contents that were put for a clip.
    pub(super) fn contents(&self, clip: ClipId) -> Result<Option<Vec<u8>>, Trouble> {
        guarded(|| record::join(clip, |key| Ok(self.database.get(key)?)))
    }

    /// Keeps contents in the place of what was there: all of it or, after a crash, nothing.
    pub(super) fn put(&self, clip: ClipId, contents: &[u8]) -> Result<(), Trouble> {
        guarded(|| {
            let mut batch = sled::Batch::default();
            let records = record::split(clip, contents);
            for key in self.keys(clip, records.len() as u16) {
                batch.remove(key?);
            }
            records.iter().for_each(|(key, value)| batch.insert(&key[..], &value[..]));
            Ok(self.database.apply_batch(batch)?)
        })
    }

    /// Removes the contents of a clip.
    pub(super) fn forget(&self, clip: ClipId) -> Result<(), Trouble> {
        guarded(|| {
            let mut batch = sled::Batch::default();
            for key in self.keys(clip, 0) {
                batch.remove(key?);
            }
            Ok(self.database.apply_batch(batch)?)
        })
    }

    fn keys(&self, clip: ClipId, from: u16) -> impl Iterator<Item = sled::Result<sled::IVec>> {
        self.database.range(record::key(clip, from)..=record::key(clip, u16::MAX)).keys()
    }

    /// Makes everything that was put durable.
    pub(super) fn flush(&self) -> Result<(), Trouble> {
        guarded(|| {
            self.database.flush()?;
            self.file
                .sync_data()
                .map_err(|source| Trouble::Files { what: "syncing the index".into(), source })
        })
    }

    /// Size of its files, in bytes.
    pub(super) fn byte_count(&self) -> Result<u64, Trouble> {
        guarded(|| Ok(self.database.size_on_disk()?))
    }

    /// Lets go of its files. sled writes when it is dropped, and may panic over it.
    pub(super) fn close(self) {
        let Store { database, file } = self;
        let dropped = guarded(move || {
            drop((database, file));
            Ok(())
        });
        if let Err(trouble) = dropped {
            log::debug!("closing the index: {trouble}");
        }
    }
}

fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Trouble::Panicked(text.unwrap_or_else(|| "without a message".into())))
    })
}

pub(super) fn files(path: &Path, source: io::Error) -> Trouble {
    Trouble::Files { what: path.display().to_string(), source }
}

/// Makes durable that sled's files exist: without this a power cut may take all of them.
fn sync_files(path: &Path) -> Result<(), Trouble> {
    let inside = ["conf", "db", "blobs"].map(|name| path.join(name));
    let parent = path.parent().map(Path::to_path_buf);
    let all: Vec<PathBuf> = inside.into_iter().chain([path.to_path_buf()]).chain(parent).collect();
    for path in all {
        match File::open(&path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(files(&path, error));
            }
            _ => {}
        }
    }
    Ok(())
}
