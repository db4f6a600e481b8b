//! What lies where the index wants its own files: what somebody else has put there is neither
//! followed nor written to.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::store::{Trouble, files};

/// Refuses whatever sled would go through or write into where it wants its files: a link leads to
/// somebody else's. Looks at sled's directory, and at what is in it and in those below it: sled has
/// no more.
pub(super) fn refuse_links(sled: &Path) -> Result<(), Trouble> {
    match fs::symlink_metadata(sled) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => refuse(sled, found.map_err(|error| files(sled, error))?.file_type())?,
    }
    for (inside, kind) in entries(sled)? {
        if kind.is_dir() {
            entries(&inside)?;
        }
    }
    Ok(())
}

/// What is in a directory, if it is one: files and directories only.
fn entries(path: &Path) -> Result<Vec<(PathBuf, FileType)>, Trouble> {
    let failed = |error| files(path, error);
    let listed = match fs::read_dir(path) {
        // A file; sled says what is wrong with it.
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Vec::new()),
        listed => listed.map_err(failed)?,
    };
    let checked = listed.map(|entry| {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        refuse(&entry.path(), kind)?;
        Ok((entry.path(), kind))
    });
    checked.collect()
}

fn refuse(path: &Path, kind: FileType) -> Result<(), Trouble> {
    match kind.is_dir() || kind.is_file() {
        true => Ok(()),
        false => Err(strange(path, kind)),
    }
}

fn strange(path: &Path, kind: FileType) -> Trouble {
    let what = match kind.is_symlink() {
        true => "is a symbolic link, which is not followed",
        false => "is neither a file nor a directory",
    };
    Trouble::Strange { path: path.display().to_string(), what }
}

/// Opens a file that is there for its lock alone; where `make` says so it is made if it is not
/// there. What is in it is left as it is.
pub(super) fn open_lock(path: &Path, make: bool) -> Result<File, Trouble> {
    // A pipe would be waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened =
        OpenOptions::new().read(true).write(make).create(make).custom_flags(flags).open(path);
    let kind = |error| match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => strange(path, found.file_type()),
        _ => files(path, error),
    };
    let file = opened.map_err(kind)?;
    let found = file.metadata().map_err(|error| files(path, error))?;
    refuse(path, found.file_type())?;
    Ok(file)
}

/// Removes a file, a link or a directory with all that is in it, if it is there; follows no link.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_named_wherever_sled_would_follow_it_and_a_pipe_is_not_waited_for() {
        let home = tempfile::tempdir().expect("a directory");
        let sled = home.path().join("sled");
        assert!(refuse_links(&sled).is_ok(), "nothing is there yet");
        fs::create_dir_all(sled.join("blobs")).expect("a directory");
        fs::write(sled.join("db"), "x").expect("a file");
        assert!(refuse_links(&sled).is_ok());
        for name in ["sled/conf", "sled/blobs/7", "sled/snap.1"] {
            let path = home.path().join(name);
            symlink("/nowhere", &path).expect("a link");
            let said = refuse_links(&sled).expect_err("a link").to_string();
            assert_eq!(
                said,
                format!("{} is a symbolic link, which is not followed", path.display())
            );
            remove_if_there(&path).expect("it goes");
        }
        let lock = home.path().join("lock");
        nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let said = open_lock(&lock, true).expect_err("a pipe").to_string();
        assert_eq!(said, format!("{} is neither a file nor a directory", lock.display()));
    }
}
