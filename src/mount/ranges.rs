//! `.range`: files that are made by being named, in a directory for each camera.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use fuser::{Errno, Generation};

use super::attributes::{Described, NO_TTL, Ownership};
use super::directory::{AddLine, Directory, Found, Line, log_failure};
use super::errno;
use super::handles::{Content, Handle};
use super::lock;
use super::made::MadeFiles;
use crate::library::{Attribute, Library};
use crate::named::Named;
use crate::shown::Shown;
use crate::units::{ClipKey, WallTime};
use crate::view::{Inode, Node, NodeKind, RANGE_LOG_NAME, ROOT, ranges_name, utc_timestamp};

/// What the log of a camera's ranges remembers.
const LINES_MAX: usize = 100;

/// See the [module](self).
pub(super) struct Ranges {
    pub(super) shown: Arc<Shown>,
    pub(super) library: Arc<dyn Library>,
    pub(super) owner: Ownership,
    pub(super) made: Arc<MadeFiles>,
    pub(super) refused: Arc<Refused>,
}

/// Names that nothing could be made of, and why: newest last, by camera.
#[derive(Default)]
pub(super) struct Refused(Mutex<HashMap<String, VecDeque<(WallTime, String)>>>);

impl Refused {
    fn add(&self, camera: &str, time: WallTime, line: String) {
        let mut all = lock(&self.0);
        let lines = all.entry(camera.to_owned()).or_default();
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back((time, line));
    }

    /// What is said of a camera, and when it was said last.
    fn text(&self, camera: &str) -> (WallTime, String) {
        let all = lock(&self.0);
        let lines = || all.get(camera).into_iter().flatten();
        let last = lines().next_back().map(|(time, _)| *time).unwrap_or_default();
        (last, lines().map(|(_, line)| line.as_str()).collect())
    }
}

impl Ranges {
    /// The camera whose directory, or whose log, an inode is.
    pub(super) fn camera_of(&self, inode: Inode) -> Option<String> {
        let cameras = self.library.cameras();
        let is_it = |camera: &String| {
            let name = ranges_name(camera);
            Inode::ranges_of(&name) == inode || Inode::range_log_of(&name) == inode
        };
        cameras.into_iter().find(is_it)
    }

    /// A directory with the time of the root.
    fn directory(&self, inode: Inode, subdirectories: u32) -> Described {
        let root = self.shown.tree().node(ROOT);
        let modified = root.map(|root| root.modified).unwrap_or_default();
        let kind = NodeKind::Directory { subdirectories };
        self.owner.node(&Node { inode: inode.word(), generation: 0, modified, kind })
    }

    fn log(&self, inode: Inode, (time, content): &(WallTime, String)) -> Described {
        let attributes = self.owner.file(inode.word(), content.len() as u64, *time, *time);
        let generation = Generation(0);
        Described { attributes, generation, attribute_ttl: NO_TTL, entry_ttl: NO_TTL }
    }

    fn look_up_range(
        &self,
        parent: Inode,
        camera: String,
        name: &str,
    ) -> Result<Found<Described>, Errno> {
        if name.starts_with('.') {
            // What shells and file managers look for everywhere.
            return Err(Errno::ENOENT);
        }
        let now = self.library.now();
        let refused = Arc::clone(&self.refused);
        let line = format!("{} {name}: ", utc_timestamp(now));
        let zone = self.shown.tree().zone();
        let named = Named::parse(name, &zone, now).map_err(|error| {
            refused.add(&camera, now, format!("{line}{error}\n"));
            Errno::ENOENT
        })?;
        let key = format!("{}/{name}", ranges_name(&camera));
        if let Some(fresh) = self.made.fresh(&key) {
            return Ok(Found::Here(fresh.described(self.owner)));
        }
        let shown = Arc::clone(&self.shown);
        let (library, owner, made) =
            (Arc::clone(&self.library), self.owner, Arc::clone(&self.made));
        Ok(Found::OnDisk(Box::new(move || {
            match library.range(&camera, &named, &zone, &|clip| is_listed(&shown, clip)) {
                Ok(range) => Ok(Box::new(move || made.keep(&key, parent, range).described(owner))),
                Err(error) => {
                    refused.add(&camera, now, format!("{line}{error}\n"));
                    log_failure("range", &key, &error);
                    Err(errno::of_lookup(&error))
                }
            }
        })))
    }
}

impl Directory for Ranges {
    fn look_up(&self, parent: Inode, name: &str) -> Result<Found<Described>, Errno> {
        if parent == Inode::Ranges {
            let cameras = self.library.cameras();
            let found = cameras.iter().any(|camera| ranges_name(camera) == name);
            let inode = found.then(|| Inode::ranges_of(name)).ok_or(Errno::ENOENT)?;
            return Ok(Found::Here(self.directory(inode, 0)));
        }
        let camera = self.camera_of(parent).ok_or(Errno::ESTALE)?;
        if name == RANGE_LOG_NAME {
            let inode = Inode::range_log_of(&ranges_name(&camera));
            return Ok(Found::Here(self.log(inode, &self.refused.text(&camera))));
        }
        self.look_up_range(parent, camera, name)
    }

    /// The cameras; of their ranges there is no end.
    fn list(&self, inode: Inode, after: u64, add: &mut AddLine<'_>) -> Result<(), Errno> {
        let mut lines: Vec<(u64, String, Described)> = Vec::new();
        if inode == Inode::Ranges {
            let names = self.library.cameras().into_iter().map(|camera| ranges_name(&camera));
            lines.extend(names.map(|name| {
                let inode = Inode::ranges_of(&name);
                (inode.cookie(), name, self.directory(inode, 0))
            }));
        } else if let Some(camera) = self.camera_of(inode) {
            let inode = Inode::range_log_of(&ranges_name(&camera));
            let described = self.log(inode, &self.refused.text(&camera));
            lines.push((inode.cookie(), RANGE_LOG_NAME.to_owned(), described));
        }
        lines.sort_by_key(|(cookie, ..)| *cookie);
        lines.dedup_by_key(|(cookie, ..)| *cookie);
        for (cookie, name, described) in lines.iter().filter(|(cookie, ..)| *cookie > after) {
            if add(&Line { cookie: *cookie, name, described: *described }) {
                break;
            }
        }
        Ok(())
    }

    fn describe(&self, inode: Inode) -> Result<Described, Errno> {
        match inode {
            Inode::Ranges => {
                let count = u32::try_from(self.library.cameras().len()).unwrap_or(u32::MAX);
                Ok(self.directory(inode, count))
            }
            Inode::Range(_) => {
                let numbered = self.made.get(inode).ok_or(Errno::ESTALE)?;
                Ok(numbered.described(self.owner))
            }
            _ => {
                let camera = self.camera_of(inode).ok_or(Errno::ESTALE)?;
                Ok(match inode {
                    Inode::RangeLog(_) => self.log(inode, &self.refused.text(&camera)),
                    _ => self.directory(inode, 0),
                })
            }
        }
    }

    fn look_up_again(&self, inode: Inode) -> Result<Found<Described>, Errno> {
        let again = self.made.look_up(inode).map(|numbered| numbered.described(self.owner));
        again.map_or_else(|| self.describe(inode), Ok).map(Found::Here)
    }

    fn parent(&self, inode: Inode) -> Result<u64, Errno> {
        match inode {
            Inode::Ranges => Ok(ROOT),
            Inode::Range(_) => self.made.get(inode).map(|made| made.parent).ok_or(Errno::ESTALE),
            Inode::RangeLog(_) => {
                let camera = self.camera_of(inode).ok_or(Errno::ESTALE)?;
                Ok(Inode::ranges_of(&ranges_name(&camera)).word())
            }
            _ => self.camera_of(inode).map(|_| Inode::Ranges.word()).ok_or(Errno::ESTALE),
        }
    }

    fn open(&self, inode: Inode) -> Result<Found<Handle>, Errno> {
        match inode {
            Inode::Range(_) => {
                let numbered = self.made.get(inode).ok_or(Errno::ESTALE)?;
                Ok(Found::Here(numbered.handle(self.owner)))
            }
            Inode::RangeLog(_) => {
                let camera = self.camera_of(inode).ok_or(Errno::ESTALE)?;
                let text = self.refused.text(&camera);
                let attributes = self.log(inode, &text).attributes;
                let content = Content::Made(text.1.into_bytes());
                Ok(Found::Here(Handle { attributes, content }))
            }
            _ => Err(Errno::EISDIR),
        }
    }

    fn extended(&self, inode: Inode) -> Vec<Attribute> {
        let numbered = self.made.get(inode);
        numbered.map(|numbered| numbered.snapshot.attributes.clone()).unwrap_or_default()
    }

    fn clips(&self, inode: Inode) -> Result<Vec<ClipKey>, Errno> {
        let made = self.made.get(inode);
        made.map(|made| made.snapshot.clips.clone()).ok_or(Errno::EPERM)
    }

    fn unlink(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn rmdir(&self, _parent: Inode, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
}

/// Whether a clip is shown among the files; `None` where it is not shown at all.
fn is_listed(shown: &Shown, clip: ClipKey) -> Option<bool> {
    let tree = shown.tree();
    tree.place(clip).map(|place| !tree.is_trash(place.parent))
}
