//! Words: the commands, their arguments and help, and how figures are printed.
//!
//! [`Cli`] is the one definition of the command line: help, completions and the manual page
//! `reelfs.1` are made from it ([`pages`]). What the commands do is not known here.

pub mod clips;
pub mod command;
pub mod discover;
pub mod event;
pub mod expire;
pub mod import;
pub mod login;
pub mod moment;
pub mod mount;
pub mod pages;
pub mod plan;
pub mod probe;
pub mod quantity;
pub mod record;
pub mod status;
pub mod table;

pub use clips::{ClipsArguments, KeepArguments};
pub use command::{
    CheckArguments, Cli, Command, CompletionsArguments, FormatArguments, InspectArguments,
    RunArguments, Subject, parse,
};
pub use discover::DiscoverArguments;
pub use event::{
    EventAddArguments, EventCommand, EventEndArguments, EventKeepArguments, EventListArguments,
    EventNamed, Worth,
};
pub use expire::ExpireArguments;
pub use import::{ImportArguments, StartArgument};
pub use login::LoginArguments;
pub use moment::Moment;
pub use mount::{MountArguments, MountOptions};
pub use probe::ProbeArguments;
pub use record::{RecordArguments, Recording};
pub use status::StatusArguments;
