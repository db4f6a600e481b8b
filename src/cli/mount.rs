//! Words of `reelfs mount`, as people and mount(8) say them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::config;
use crate::view::{Layout, Selection};
use crate::zone::Zone;

/// `reelfs mount`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Nothing is written to the ring, and no configuration is read. A daemon may record into it \
meanwhile: new clips are there within a second or two of their end, and what is removed goes as \
soon. Where none does, what was being recorded when the last one ended, or the power went, is \
there as clips, too. It serves in the background until it is unmounted, and has returned when the \
tree is there.

Options (-o, as often as wanted, or in one word with commas): zone=NAME, of names and days, by \
default the system's; layout=PATTERN, cameras=NAME:NAME, uid=N, gid=N, umask=OCTAL, allow_other \
and list_special, as in a view of reelfs.toml(5); ro. What mount(8) adds for itself is accepted \
and says nothing: nosuid, nodev, noexec and their like, also rw: it is read-only in any case.

Exit status: 0 mounted (or, with --foreground, unmounted again), 1 not, 2 wrong usage.

Example: reelfs mount /dev/sdb1 /mnt
Example: reelfs mount -o allow_other,zone=Europe/Berlin ring.img /mnt
Example: umount /mnt")]
pub struct MountArguments {
    /// The block device or file
    pub ring: PathBuf,
    /// Where to mount it: an empty directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// How
    #[arg(short = 'o', value_name = "OPTIONS", value_parser = MountOptions::parse)]
    options: Vec<MountOptions>,
    /// Serve until it is unmounted, or a signal comes, rather than in the background; for a service
    #[arg(short = 'f', long)]
    pub foreground: bool,
    /// Serve for the process that waits for a line.
    #[arg(long, hide = true)]
    pub tell: bool,
}

/// What `-o` says; later ones count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MountOptions {
    /// The zone of names and days; `None`: the system's.
    pub zone: Option<Zone>,
    /// How clips are named; `None`: by days.
    pub layout: Option<Layout>,
    /// Whether other users may look.
    pub allow_other: bool,
    /// Whether the root lists what is otherwise found by its name alone.
    pub list_special: bool,
    /// The cameras that are shown; `None`: all.
    pub cameras: Option<Selection>,
    /// The user whom everything belongs to; `None`: who mounts.
    pub uid: Option<u32>,
    /// The group that everything belongs to; `None`: that of who mounts.
    pub gid: Option<u32>,
    /// Permissions that nobody has; `None`: the usual ones.
    pub umask: Option<u16>,
}

/// What mount(8) says to every file system, and what it keeps for itself.
const OF_MOUNT: [&str; 27] = [
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "relatime",
    "norelatime",
    "strictatime",
    "diratime",
    "nodiratime",
    "sync",
    "async",
    "dirsync",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "defaults",
    "nofail",
    "_netdev",
];

impl MountOptions {
    /// Reads a list with commas.
    ///
    /// # Errors
    /// Which of them is not known, or what is wrong with it.
    fn parse(text: &str) -> Result<MountOptions, String> {
        let mut options = MountOptions::default();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            options.add(option)?;
        }
        Ok(options)
    }

    fn add(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match (name, value) {
            ("zone", Some(zone)) => self.zone = Some(config::parse_zone(zone)?),
            ("layout", Some(pattern)) => {
                let layout = Layout::parse(pattern);
                self.layout = Some(layout.map_err(|why| format!("layout: {why}"))?);
            }
            ("cameras", Some(names)) => {
                let names: Vec<String> = names.split(':').map(str::to_owned).collect();
                if names.iter().any(String::is_empty) {
                    return Err(format!("{option}: one of the names is empty"));
                }
                self.cameras = Some(Selection::of(names));
            }
            ("uid", Some(id)) => self.uid = Some(number(option, id)?),
            ("gid", Some(id)) => self.gid = Some(number(option, id)?),
            ("umask", Some(bits)) => self.umask = Some(config::parse_umask(bits)?),
            ("allow_other", None) => self.allow_other = true,
            ("list_special", None) => self.list_special = true,
            ("zone" | "layout" | "cameras" | "uid" | "gid" | "umask", None) => {
                return Err(format!("{name} needs a value: {name}=..."));
            }
            ("comment", _) => {}
            (name, _) if name.starts_with("x-") => {}
            (name, None) if OF_MOUNT.contains(&name) => {}
            _ => return Err(format!("there is no option {option}")),
        }
        Ok(())
    }

    fn and(self, later: MountOptions) -> MountOptions {
        MountOptions {
            zone: later.zone.or(self.zone),
            layout: later.layout.or(self.layout),
            allow_other: self.allow_other || later.allow_other,
            list_special: self.list_special || later.list_special,
            cameras: later.cameras.or(self.cameras),
            uid: later.uid.or(self.uid),
            gid: later.gid.or(self.gid),
            umask: later.umask.or(self.umask),
        }
    }
}

fn number(option: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{option}: {text} is no number"))
}

impl MountArguments {
    /// All that `-o` says.
    #[must_use]
    pub fn options(&self) -> MountOptions {
        self.options.iter().cloned().fold(MountOptions::default(), MountOptions::and)
    }
}

/// A command line as mount(8) has it for the type `fuse.reelfs`: the program alone, or under the
/// name of a helper of mount(8), and then device, directory and options. Others are as they are.
pub(super) fn spelled_out(mut words: Vec<OsString>) -> Vec<OsString> {
    let called = words.first().and_then(|name| Path::new(name).file_name().map(OsStr::to_owned));
    let by_helper = called.is_some_and(|name| name == "mount.fuse.reelfs");
    let by_device = words.get(1).is_some_and(|word| Path::new(word).is_absolute());
    if by_helper || by_device {
        words.insert(1, "mount".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_mount_say_nothing_and_unknown_ones_are_named() {
        let options = MountOptions::parse("rw,nosuid,x-systemd.automount,allow_other,_netdev");
        assert_eq!(options, Ok(MountOptions { allow_other: true, ..MountOptions::default() }));
        let berlin = MountOptions::parse("zone=Europe/Berlin").expect("a zone");
        assert!(berlin.zone.is_some());
        let both = MountOptions::parse("list_special").expect("an option").and(berlin);
        assert!(both.zone.is_some() && both.list_special && !both.allow_other);
        for (wrong, named) in [
            ("allow_others", "allow_others"),
            ("zone=Nowhere", "Nowhere"),
            ("layout", "layout"),
            ("uid=me", "uid=me"),
            ("cameras=a::b", "cameras=a::b"),
            ("umask=9", "umask"),
        ] {
            let why = MountOptions::parse(wrong).expect_err("wrong");
            assert!(why.contains(named), "{wrong}: {why}");
        }
        assert!(MountOptions::parse("layout=%q").is_err());
    }

    #[test]
    fn a_command_line_of_mount_is_understood() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for line in ["reelfs /dev/sdb1 /mnt -o ro", "/sbin/mount.fuse.reelfs ring.img /mnt -o ro"] {
            let spelled = spelled_out(words(line));
            assert_eq!(spelled[1], "mount", "{line}");
            assert_eq!(spelled.len(), 6, "{line}");
        }
        let other = words("reelfs inspect /dev/sdb1 ring");
        assert_eq!(spelled_out(other.clone()), other);
    }
}
