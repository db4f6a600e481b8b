//! Whether something is on a device that must not be overwritten by mistake.

use std::io;
use std::path::Path;
use std::process::{Command, Output};

use crate::command::CommandError;
use crate::device::Device;
use crate::ring::{NotASuperblock, RingError, read_superblock};
use crate::view::utc_timestamp;

/// Where util-linux puts it, for users whose `PATH` has no `sbin`.
const BLKID_PATHS: [&str; 3] = ["blkid", "/usr/sbin/blkid", "/sbin/blkid"];

/// blkid(8): nothing was found.
const NOTHING_FOUND: i32 = 2;
/// blkid(8): several signatures contradict one another.
const AMBIVALENT: i32 = 8;

/// Refuses a device that has a ring, or what `blkid` knows to be in use: a file system, a member of
/// a RAID or of a volume group, swap, a partition table.
///
/// # Errors
/// What was found, or why that can't be told.
pub(super) fn refuse_occupied(path: &Path, device: &dyn Device) -> Result<(), CommandError> {
    let failed = |reason| CommandError::NotProbed { path: path.to_owned(), reason };
    let found = match ring_on(device).map_err(failed)? {
        Some(ring) => Some(ring),
        None => signature_on(path).map_err(failed)?,
    };
    match found {
        Some(found) => Err(CommandError::Occupied { path: path.to_owned(), found }),
        None => Ok(()),
    }
}

/// The ring that is on a device, whole or not.
fn ring_on(device: &dyn Device) -> Result<Option<String>, String> {
    Ok(match read_superblock(device) {
        Ok((superblock, _)) => {
            let uuid = uuid::Uuid::from_bytes(superblock.ring_uuid);
            let label = match superblock.label.as_str() {
                "" => "without a label".to_owned(),
                label => format!("{label:?}"),
            };
            let created = utc_timestamp(superblock.created);
            Some(format!("holds a reelfs ring {label}, UUID {uuid}, made {created}"))
        }
        Err(RingError::NoSuperblock(NotASuperblock::Foreign) | RingError::TooShort { .. }) => None,
        Err(error @ RingError::Device { .. }) => return Err(error.to_string()),
        Err(reason) => Some(format!("holds a reelfs ring that can't be used ({reason})")),
    })
}

/// What `blkid` finds; `None` where it finds nothing.
fn signature_on(path: &Path) -> Result<Option<String>, String> {
    let output = run_blkid(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "blkid (util-linux) is not installed".to_owned(),
        _ => format!("blkid does not run: {error}"),
    })?;
    match output.status.code() {
        Some(0) => Ok(description(&String::from_utf8_lossy(&output.stdout))),
        Some(NOTHING_FOUND) => Ok(None),
        Some(AMBIVALENT) => Ok(Some("holds several signatures (see wipefs)".to_owned())),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("blkid failed ({}): {}", output.status, said.trim()))
        }
    }
}

fn run_blkid(path: &Path) -> io::Result<Output> {
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for program in BLKID_PATHS {
        outcome = Command::new(program).args(["-p", "-o", "export"]).arg("--").arg(path).output();
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    outcome
}

/// The lines `NAME=value` of `blkid -o export` in words. Of a partition it has some also where it
/// is empty: what the table that it is in says of it.
fn description(export: &str) -> Option<String> {
    let value = |wanted: &str| {
        export.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name == wanted).then(|| value.replace('\\', ""))
        })
    };
    let mut text = match (value("TYPE"), value("PTTYPE")) {
        (Some(kind), _) => match value("USAGE") {
            Some(usage) => format!("holds {kind} ({usage})"),
            None => format!("holds {kind}"),
        },
        (None, Some(table)) => format!("holds a partition table ({table})"),
        (None, None) => format!("holds something for use as {}", value("USAGE")?),
    };
    for (what, name) in [("label", "LABEL"), ("UUID", "UUID"), ("UUID", "PTUUID")] {
        if let Some(found) = value(name) {
            text += &format!(", {what} {found}");
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blkid_exports_is_said_in_words() {
        let file_system = "DEVNAME=/dev/sdb1\nLABEL=my\\ data\nUUID=12-34\n\
                           VERSION=1.0\nTYPE=ext4\nUSAGE=filesystem\n";
        let said = |export| description(export).unwrap_or_default();
        assert_eq!(said(file_system), "holds ext4 (filesystem), label my data, UUID 12-34");
        let table = "DEVNAME=/dev/sdb\nPTUUID=ab\nPTTYPE=gpt\n";
        assert_eq!(said(table), "holds a partition table (gpt), UUID ab");
    }

    #[test]
    fn an_empty_partition_is_empty() {
        let table = "DEVNAME=/dev/sdb1\nPART_ENTRY_SCHEME=gpt\nPART_ENTRY_NAME=ring\n\
                     PART_ENTRY_TYPE=0fc63daf-8483-4772-8e79-3d69d8477de4\n";
        assert_eq!(description(table), None);
        assert_eq!(description(""), None);
    }
}
