//! Looking at an index without changing it: a copy is opened, since sled writes when it opens.

use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::place;
use super::store::Store;
use super::{INDEX_BYTES_MAX, IndexIdentity};
use crate::units::{ClipId, SessionNumber};

/// Counts the copies of one process, so that each has a name of its own.
static COPIES: AtomicU32 = AtomicU32::new(0);

/// Why an index was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAudit {
    /// Another process has it open.
    #[error("another process uses it")]
    InUse,
    /// There is none.
    #[error("there is none")]
    Absent,
    /// It can't be opened: damage.
    #[error("{0}")]
    Damaged(String),
    /// It can't be read or copied.
    #[error("{0}")]
    Failed(String),
}

/// A copy of an index, removed when it is dropped.
pub struct Audit {
    store: Option<Store>,
    identity: IndexIdentity,
    copy: PathBuf,
}

impl Audit {
    /// Copies the index in `directory` to the system's directory for temporary files and opens
    /// the copy.
    ///
    /// # Errors
    /// See [`NoAudit`].
    pub fn open(directory: &Path) -> Result<Audit, NoAudit> {
        let from = directory.join("sled");
        match fs::symlink_metadata(&from).map(|found| found.file_type()) {
            Ok(kind) if kind.is_dir() || kind.is_symlink() => {}
            _ => return Err(NoAudit::Absent),
        }
        let sound = place::refuse_links(&from);
        sound.map_err(|trouble| NoAudit::Damaged(trouble.to_string()))?;
        // Taken for moments and only to look: nothing is created.
        let lock = place::open_lock(&directory.join("lock"), false);
        match lock.map(|lock| lock.try_lock_shared()) {
            Ok(Err(TryLockError::WouldBlock)) => return Err(NoAudit::InUse),
            Ok(Err(TryLockError::Error(error))) => return Err(NoAudit::Failed(error.to_string())),
            Ok(Ok(())) | Err(_) => {}
        }
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("reelfs-index-{}-{number}", std::process::id());
        let copy = std::env::temp_dir().join(name);
        let failed = |error: io::Error| NoAudit::Failed(format!("{}: {error}", copy.display()));
        let copied = fs::create_dir(&copy).and_then(|()| copy_files(&from, &copy));
        let mut audit = Audit {
            store: None,
            identity: IndexIdentity { ring: [0; 16], session: SessionNumber(0) },
            copy: copy.clone(),
        };
        copied.map_err(failed)?;
        let opened = Store::look_at(&audit.copy);
        let (store, identity) = opened.map_err(|trouble| NoAudit::Damaged(trouble.to_string()))?;
        (audit.store, audit.identity) = (Some(store), identity);
        Ok(audit)
    }

    /// Why the index is not one of this ring in a session up to `session`, if so.
    #[must_use]
    pub fn foreign(&self, ring_uuid: [u8; 16], session: SessionNumber) -> Option<String> {
        if self.identity.ring != ring_uuid {
            return Some("an index of another ring".into());
        }
        let known = self.identity.session;
        (known > session).then(|| format!("an index of session {known}, later than the ring's"))
    }

    /// What is kept for a clip.
    ///
    /// # Errors
    /// It is damaged.
    pub fn contents(&self, clip: ClipId) -> Result<Option<Vec<u8>>, String> {
        let Some(store) = &self.store else { return Ok(None) };
        store.contents(clip).map_err(|trouble| trouble.to_string())
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
        if let Err(error) = fs::remove_dir_all(&self.copy) {
            log::warn!("{}: {error}", self.copy.display());
        }
    }
}

/// Puts an index aside, under the name that the next one to be put aside replaces: the daemon
/// begins with an empty one.
///
/// # Errors
/// What the file system says.
pub fn set_aside(directory: &Path) -> io::Result<()> {
    let aside = directory.join("sled.discarded");
    place::remove_if_there(&aside)?;
    fs::rename(directory.join("sled"), aside)
}

/// Files only, with those of one directory below it: sled has no more.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    let mut bytes = 0;
    let mut waiting = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = waiting.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
            if kind.is_dir() {
                fs::create_dir(&target)?;
                waiting.push((entry.path(), target));
            } else if kind.is_file() {
                bytes += entry.metadata()?.len();
                if bytes > 2 * INDEX_BYTES_MAX {
                    return Err(io::Error::other("larger than any index"));
                }
                fs::copy(entry.path(), &target)?;
            }
        }
    }
    Ok(())
}
