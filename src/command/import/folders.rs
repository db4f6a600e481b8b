//! Which files there are, and whose footage each is: those that were given, and those in folders
//! whose names are like the pattern.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{ImportRequest, camera_of};
use crate::command::CommandError;
use crate::command::progress::progress_bar;
use crate::config::Config;
use crate::import::Named;
use crate::units::Counted;

/// A file to import.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) path: PathBuf,
    /// When it begins, as its name says.
    pub(super) named: Option<Named>,
    /// It was found in a folder: that it can't be taken keeps no other out.
    pub(super) is_found: bool,
}

/// The files of each camera.
pub(super) type Batches = BTreeMap<String, Vec<Given>>;

/// What is gathered on the way through folders.
struct Gathering<'a> {
    request: &'a ImportRequest,
    batches: Batches,
    seen: HashSet<(u64, u64)>,
    /// How many files are named in another way, and the first of them.
    others: u64,
    first_other: Option<PathBuf>,
    /// What there is to say, and whether a file is left out.
    said: Vec<(String, bool)>,
}

/// All files, by camera. Answers how many are left out, too, which is said.
pub(super) fn batches(
    config: &Config,
    request: &ImportRequest,
    out: &mut dyn Write,
) -> Result<(Batches, u64), CommandError> {
    let mut gathering = Gathering {
        request,
        batches: Batches::new(),
        seen: HashSet::new(),
        others: 0,
        first_other: None,
        said: Vec::new(),
    };
    let bar = progress_bar(0, "{spinner} {pos} files found");
    for path in &request.files {
        let at = bar.position();
        if path.is_dir() {
            gathering.folder(path, &mut |count| bar.set_position(at + count))?;
        } else {
            gathering.file(path, path, false)?;
        }
    }
    bar.finish_and_clear();
    for (said, _) in &gathering.said {
        writeln!(out, "{said}")?;
    }
    let left_out = gathering.said.iter().filter(|(_, is_left_out)| *is_left_out).count() as u64;
    if let Some(first) = &gathering.first_other {
        let others = Counted(gathering.others, "file");
        writeln!(out, "{others} not named like the pattern, as {}", first.display())?;
    }
    if gathering.batches.is_empty() {
        return Err(CommandError::Usage("no file to import".to_owned()));
    }
    for camera in gathering.batches.keys() {
        camera_of(config, camera)?;
    }
    Ok((gathering.batches, left_out))
}

impl Gathering<'_> {
    /// The files in a folder and in those below it, in the order of their names.
    fn folder(&mut self, root: &Path, count: &mut dyn FnMut(u64)) -> Result<(), CommandError> {
        if self.request.naming.is_none() {
            return Err(CommandError::Usage(format!(
                "{} is a folder: --name-pattern says what its files are",
                root.display()
            )));
        }
        let mut found = 0;
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let failed =
                |source| CommandError::System { what: folder.display().to_string(), source };
            let entries = match fs::read_dir(&folder) {
                Err(error) if folder != root => {
                    self.said.push((format!("{}: {error}: left out", folder.display()), true));
                    continue;
                }
                read => read.map_err(failed)?,
            };
            let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in &entries {
                let path = entry.path();
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    found += 1;
                    count(found);
                    let below = path.strip_prefix(root).unwrap_or(&path);
                    self.file(&path, below, true)?;
                }
            }
        }
        Ok(())
    }

    /// A file, whose name is below some folder.
    fn file(&mut self, path: &Path, name: &Path, is_found: bool) -> Result<(), CommandError> {
        let read = match &self.request.naming {
            None => Ok(None),
            Some(naming) => naming.pattern.read(name, &naming.zone),
        };
        let (camera, named) = match read {
            Ok(Some(read)) => (read.camera, Some(read.named)),
            Ok(None) if self.request.naming.is_none() => (None, None),
            Ok(None) if is_found => {
                self.others += 1;
                self.first_other.get_or_insert_with(|| path.to_owned());
                return Ok(());
            }
            Ok(None) => {
                let path = path.display();
                return Err(CommandError::Usage(format!("{path}: not named like the pattern")));
            }
            Err(why) if is_found => {
                self.said.push((format!("{}: {why}: left out", path.display()), true));
                return Ok(());
            }
            Err(why) => return Err(CommandError::Usage(format!("{}: {why}", path.display()))),
        };
        let wanted = self.request.camera.as_ref();
        let camera = match (camera, wanted) {
            // Of a folder of many cameras one is wanted.
            (Some(camera), Some(wanted)) if camera != *wanted => return Ok(()),
            (Some(camera), _) => camera,
            (None, Some(wanted)) => wanted.clone(),
            (None, None) => {
                let reason = "whose footage is it? --camera says it, or {camera} in the pattern";
                return Err(CommandError::Usage(reason.to_owned()));
            }
        };
        let known = fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        if known.is_ok_and(|known| !self.seen.insert(known)) {
            self.said.push((format!("{}: given twice, and taken once", path.display()), false));
            return Ok(());
        }
        let given = Given { path: path.to_owned(), named, is_found };
        self.batches.entry(camera).or_default().push(given);
        Ok(())
    }
}
