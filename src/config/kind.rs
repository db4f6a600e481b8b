//! What a key of the configuration is: its section, what it may say, and what holds without it.

use std::time::Duration;

/// A section of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct SectionKind {
    /// As in `[name]`.
    pub name: &'static str,
    /// How often it may be there.
    pub repeats: Repeats,
    /// What its keys are about; a sentence of the manual.
    pub text: &'static str,
}

/// How often a section may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Once, as `[name]`.
    Never,
    /// As `[name]`, or one for each thing, as `[[name]]`.
    AtWill,
    /// One for each thing, as `[[name]]`.
    Always,
}

/// What a key may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// A path; a relative one counts from the directory of the file that it stands in.
    Path,
    /// A list of texts.
    Words,
    /// Addresses, or sections of keys, by name.
    Streams,
    /// True or false.
    Boolean,
    /// A whole number from nothing on.
    Number {
        /// The largest.
        most: u32,
    },
    /// Bits of permissions, a text of three or four octal digits such as `027`.
    Permissions,
    /// A length of time, both ends of the range allowed.
    Duration {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// A share of something, a text such as `30%`, from nothing on.
    Share {
        /// The largest, in percent.
        most: u8,
    },
    /// A size in bytes, a text such as `500G`, in powers of 1024.
    Size {
        /// The smallest.
        least: u64,
    },
    /// As [`Kind::Share`], or [`OFF`].
    ShareOrOff {
        /// The largest, in percent.
        most: u8,
    },
    /// As [`Kind::Duration`], or a section of keys.
    DurationOrSection {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// As [`Kind::Duration`], or [`OFF`].
    DurationOrOff {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
}

/// What a key says that is not to happen at all.
pub const OFF: &str = "off";

/// What holds where a key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The file is refused.
    Missing,
    /// This value, written as in the file (a text without its quotes).
    Default(&'static str),
    /// What the words say.
    Means(&'static str),
}

/// A key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// The section that it belongs to.
    pub section: &'static SectionKind,
    /// Its name.
    pub name: &'static str,
    /// What it may say.
    pub kind: Kind,
    /// What holds where it is not there.
    pub absent: Absent,
    /// An example for the manual, as in the file.
    pub example: &'static str,
    /// What it does; sentences of the manual.
    pub text: &'static str,
}

impl Key {
    /// `section.name`, as messages call it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}.{}", self.section.name, self.name)
    }
}
