//! `live`: what cameras send at this moment, as files without an end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::{Errno, FileType, Generation};

use super::attributes::{DIRECTORY_TTL, Described, NO_TTL, Ownership};
use super::directory::{AddLine, Directory, Found, Line};
use super::handles::{Content, Handle};
use crate::clock::{Throttles, since_boot};
use crate::compilation::EndlessForm;
use crate::library::Library;
use crate::live::NotYet;
use crate::shown::Shown;
use crate::view::{Inode, LIVE_NAME, Node, NodeKind, ROOT, ranges_name};

/// Between two lines in the log about the same file.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// See the [module](self).
pub(super) struct LiveFiles {
    shown: Arc<Shown>,
    library: Arc<dyn Library>,
    owner: Ownership,
    /// Files that the log has spoken of lately: those who want one try again and again.
    told: Arc<Throttles<String>>,
}

/// A file that is there, whether or not its camera is.
struct Named {
    camera: String,
    form: EndlessForm,
    name: String,
}

impl LiveFiles {
    pub(super) fn new(shown: Arc<Shown>, library: Arc<dyn Library>, owner: Ownership) -> LiveFiles {
        let told = Arc::new(Throttles::every(COMPLAINT_INTERVAL));
        LiveFiles { shown, library, owner, told }
    }

    fn all(&self) -> impl Iterator<Item = Named> {
        let cameras = self.library.live().map(|_| self.library.cameras());
        cameras.into_iter().flatten().flat_map(|camera| {
            EndlessForm::ALL.map(|(suffix, form)| {
                let name = ranges_name(&camera) + suffix;
                Named { camera: camera.clone(), form, name }
            })
        })
    }

    fn find(&self, inode: Inode) -> Result<Named, Errno> {
        self.all().find(|file| Inode::live(&file.name) == inode).ok_or(Errno::ESTALE)
    }

    /// A file of which nobody knows how long it will be.
    fn file(&self, inode: Inode) -> Described {
        let now = self.library.now();
        let attributes = self.owner.file(inode.word(), 0, now, now);
        let (generation, entry_ttl) = (Generation(0), DIRECTORY_TTL);
        Described { attributes, generation, attribute_ttl: NO_TTL, entry_ttl }
    }

    fn directory(&self) -> Described {
        let root = self.shown.tree().node(ROOT);
        let modified = root.map(|root| root.modified).unwrap_or_default();
        let kind = NodeKind::Directory { subdirectories: 0 };
        self.owner.node(&Node { inode: Inode::Live.word(), generation: 0, modified, kind })
    }
}

impl Directory for LiveFiles {
    fn look_up(&self, _parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        let file = self.all().find(|file| file.name == name).ok_or(Errno::ENOENT)?;
        Ok(Found::Here(self.file(Inode::live(&file.name))))
    }

    fn list(&self, _inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        let mut lines: Vec<(Inode, String)> =
            self.all().map(|file| (Inode::live(&file.name), file.name)).collect();
        lines.sort_by_key(|(inode, _)| inode.cookie());
        lines.dedup_by_key(|(inode, _)| inode.cookie());
        for (inode, name) in lines.iter().filter(|(inode, _)| inode.cookie() > after) {
            let described = self.file(*inode);
            debug_assert!(described.attributes.kind == FileType::RegularFile);
            if add(&Line { cookie: inode.cookie(), name, described }) {
                break;
            }
        }
        Ok(())
    }

    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        match inode {
            Inode::Live => Ok(self.directory()),
            _ => self.find(inode).map(|_| self.file(inode)),
        }
    }

    fn parent(&self, inode: Inode) -> Result<u64, Errno> {
        Ok(if inode == Inode::Live { ROOT } else { Inode::Live.word() })
    }

    /// At once where its camera sends; else when it does, or never.
    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno> {
        if inode == Inode::Live {
            return Err(Errno::EISDIR);
        }
        let Named { camera, form, name } = self.find(inode)?;
        let live = self.library.live().ok_or(Errno::ENXIO)?;
        let (attributes, library) = (self.file(inode).attributes, Arc::clone(&self.library));
        let told = Arc::clone(&self.told);
        Ok(Found::Coming(Box::new(move |is_last| {
            match live.watch(&camera, form, (library.now(), since_boot())) {
                Ok(viewer) => {
                    Some(Ok(Handle { attributes, content: Content::Live(Mutex::new(viewer)) }))
                }
                Err(NotYet::Waiting(_)) if !is_last => None,
                Err(why) => {
                    let why = match why {
                        NotYet::Waiting(why) => why.to_owned(),
                        NotYet::Never(why) => why,
                    };
                    if told.take(&name, since_boot()) {
                        log::warn!("{LIVE_NAME}/{name}: {why}");
                    }
                    Some(Err(Errno::EIO))
                }
            }
        })))
    }

    fn unlink(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Only files are in it.
    fn rmdir(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }
}
