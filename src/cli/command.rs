//! The commands and their arguments: the one definition of help, completions and manual page.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::clips::{ClipsArguments, KeepArguments};
use super::discover::DiscoverArguments;
use super::event::EventCommand;
use super::expire::ExpireArguments;
use super::import::ImportArguments;
use super::moment::Moment;
use super::mount::{MountArguments, spelled_out};
use super::probe::ProbeArguments;
use super::quantity;
use super::record::RecordArguments;
use super::status::StatusArguments;
use crate::config::Config;
use crate::units::{BlockNumber, ByteCount};

const AFTER_HELP: &str = "\
Sizes are bytes, or take K, M, G or T: 4M are 4 x 1024 x 1024 bytes.

Times are in the zone of the configuration, for a command that reads one, or else of the system: \
2026-11-21T13:05:00 or \"2026-11-21 13:05\", with Z or +01:00 behind it for another zone; 13:05, \
today, yesterday, \"yesterday 13:05\"; -10m for ten minutes ago (ms, s, m, h, d, w).

Exit status: 0 done, 1 failed, 2 wrong usage or configuration; check and \
status have their own.";

/// Records RTSP cameras into a ring on a block device, and mounts it as a tree of mp4 files
#[derive(Debug, Parser)]
#[command(name = "reelfs", version, about, after_help = AFTER_HELP, max_term_width = 100)]
#[command(disable_help_subcommand = true, subcommand_required = true)]
#[command(subcommand_value_name = "COMMAND")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a block device or a file into an empty ring
    Format(FormatArguments),
    /// Record every camera and serve the mount, in the foreground
    Run(RunArguments),
    /// Mount a ring that is only read: a disk from another machine, or beside its daemon
    Mount(MountArguments),
    /// Show cameras and ring: from the daemon, or from the ring where none runs
    Status(StatusArguments),
    /// Show what is in a ring; changes nothing, and may be used while the daemon runs
    Inspect(InspectArguments),
    /// Compare everything that a ring says of itself, and put right what can be
    Check(CheckArguments),
    /// Put existing files into the ring as a camera's footage
    Import(ImportArguments),
    /// Search the network for cameras, and print sections of the configuration for them
    Discover(DiscoverArguments),
    /// Listen to a camera for a while: what its stream is, and which settings suit it
    Probe(ProbeArguments),
    /// Switch cameras on and off while the daemon runs
    Record(RecordArguments),
    /// Protect clips from removal, age and the ring's need for space
    Keep(KeepArguments),
    /// Take the protection of clips back
    #[command(after_help = "\
As setfattr -x user.reelfs.keep does it.

Example: reelfs unkeep .kept/2026-11-21")]
    Unkeep(ClipsArguments),
    /// Remove clips into the trash; in the trash, for good
    #[command(after_help = "\
As rm -r does it: a removed clip can be restored for as long as purge.grace says, and one in \
.trash goes for good. Kept ones stay, and the exit status is 1 then.

Example: reelfs rm --camera yard --from \"yesterday 13:05\" --to \"yesterday 13:20\" --dry-run")]
    Rm(ClipsArguments),
    /// Bring removed clips back from the trash
    #[command(after_help = "\
As mv out of .trash does it.

Example: reelfs restore .trash/2026-11-21/yard
Example: reelfs restore --camera yard --from yesterday --to today")]
    Restore(ClipsArguments),
    /// Show what is due to go, or have it go
    Expire(ExpireArguments),
    /// Tell of events, list them, keep what they are about
    #[command(subcommand, subcommand_value_name = "WHAT", disable_help_subcommand = true)]
    Event(EventCommand),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Make the calls in a mount that its daemon asks for
    #[command(hide = true)]
    Announce {
        /// Where it is mounted.
        mount: PathBuf,
    },
    /// Write the manual pages that are made from definitions
    #[command(hide = true)]
    Man {
        /// Directory to write them to.
        directory: PathBuf,
    },
}

/// `reelfs format`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: reelfs format --label yard /dev/disk/by-id/ata-EXAMPLE
Example: reelfs format --size 2T --plan --camera 4M --camera 500K ring.img")]
pub struct FormatArguments {
    /// The block device, or the file to be created
    pub path: PathBuf,
    /// Size of a file; a device is used as a whole
    #[arg(long, value_name = "BYTES", value_parser = quantity::parse_size)]
    pub size: Option<ByteCount>,
    /// Size of a block, a power of two from 1M to 256M; by default at least 4M, so that there are
    /// about a million blocks at most
    #[arg(long, value_name = "BYTES", value_parser = quantity::parse_size)]
    pub block_size: Option<ByteCount>,
    /// Name of the ring, for people
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// UUID of the set of rings that it is to belong to, as reelfs inspect ring shows it; by
    /// default it is the first of a new one
    #[arg(long, value_name = "UUID")]
    pub pool: Option<uuid::Uuid>,
    /// Do not reserve the space of a file: recording fails when its file system is full
    #[arg(long)]
    pub sparse: bool,
    /// Do not write the partition table that tells other programs that a whole disk is taken; see
    /// reelfs(7). Files and partitions never get one
    #[arg(long)]
    pub no_label: bool,
    /// Overwrite a file system, partition table or ring that is found there
    #[arg(long)]
    pub force: bool,
    /// Print how many hours the ring will hold and what part is overhead, and change nothing
    #[arg(long, requires = "cameras")]
    pub plan: bool,
    /// A camera to plan for, by its bits per second, in powers of 1000: 500K, 4M; once for each
    #[arg(long = "camera", value_name = "RATE", value_parser = quantity::parse_bit_rate)]
    #[arg(requires = "plan")]
    pub cameras: Vec<u64>,
}

/// `reelfs run`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
SIGTERM and SIGINT stop it; SIGHUP has it read its settings again, as it does when their file \
changes; SIGUSR1 says that the clock is right, see reelfs(7). It logs to standard error; \
RUST_LOG says what: RUST_LOG=info, or by room RUST_LOG=info,reelfs::camera=debug.

Example: reelfs run --config /etc/reelfs/reelfs.toml")]
pub struct RunArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Look at configuration, ring and mount point, reach every camera, and record nothing
    #[arg(long)]
    pub check: bool,
}

/// `--config`.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgument {
    /// The configuration; by default reelfs.toml in the current directory, or else
    /// /etc/reelfs/reelfs.toml
    #[arg(long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ConfigArgument {
    /// The file that is meant.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(Config::default_path)
    }
}

/// What `inspect` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Superblocks, geometry, how full
    Ring,
    /// Streams with their names
    Streams,
    /// Clips: state, times, sizes, extents, digest
    Clips,
    /// Blocks: owner, sequence, state, times
    Blocks,
    /// Chunks and samples of the blocks N, with checksum verdicts; * marks key frames, r recovery
    /// points, d damaged frames, p those behind a pause
    Block,
    /// Facts of the ledger, in order
    Ledger,
    /// Timed records of a camera (metadata), a line each: its time, then its text
    Records,
}

/// What `inspect` shows, with what it needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Superblocks, geometry, how full.
    Ring,
    /// Streams with their names.
    Streams,
    /// Clips.
    Clips,
    /// Blocks.
    Blocks,
    /// Chunks and samples of these blocks; at least one.
    Block(Vec<BlockNumber>),
    /// Facts of the ledger, in order.
    Ledger,
    /// Timed records, in order.
    Records,
}

/// `reelfs inspect`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: reelfs inspect /dev/sdb1 clips --camera yard --from \"yesterday 22:00\" --to today
Example: reelfs inspect /dev/sdb1 blocks --at 13:05 -n 3
Example: reelfs inspect /dev/sdb1 block 17 18
Example: reelfs inspect /dev/sdb1 records --camera yard --from -1h --json")]
pub struct InspectArguments {
    /// The block device or file
    pub path: PathBuf,
    /// What to show
    #[arg(value_enum)]
    what: What,
    /// Numbers of blocks
    #[arg(value_name = "N")]
    numbers: Vec<u32>,
    /// Only of this camera
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// Only what ends after this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Only what begins before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// Only the clip or block at this time and its neighbours, see -n
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["from", "to", "limit", "offset"])]
    pub at: Option<Moment>,
    /// How many neighbours on each side of --at
    #[arg(short = 'n', value_name = "N", requires = "at", default_value_t = 1)]
    pub neighbours: usize,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Leave out so many first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: usize,
    /// Newest first; otherwise oldest first
    #[arg(long)]
    pub newest: bool,
    /// Print JSON: an array with an object a line
    #[arg(long)]
    pub json: bool,
}

impl InspectArguments {
    /// What to show.
    ///
    /// # Errors
    /// A number of a block where none belongs, or none where one does, in words for the user;
    /// [`parse`] has refused both.
    pub fn subject(&self) -> Result<Subject, &'static str> {
        match (self.what, self.numbers.is_empty()) {
            (What::Block, true) => Err("block needs the number of a block, or several"),
            (What::Block, false) => {
                Ok(Subject::Block(self.numbers.iter().copied().map(BlockNumber).collect()))
            }
            (_, false) => Err("only block takes numbers"),
            (What::Ring, true) => Ok(Subject::Ring),
            (What::Streams, true) => Ok(Subject::Streams),
            (What::Clips, true) => Ok(Subject::Clips),
            (What::Blocks, true) => Ok(Subject::Blocks),
            (What::Ledger, true) => Ok(Subject::Ledger),
            (What::Records, true) => Ok(Subject::Records),
        }
    }
}

/// `reelfs check`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Each line of the output says where something is, what was found there, what was expected, and \
what that costs: nothing, cache (speed), facts (a removal may be forgotten), or footage, of which \
camera and from when to when. Nothing is written without --repair or --rescue, and it may run \
beside the daemon; what the daemon holds in memory is then not known to it. What grew when the \
power went is no damage: a note says what the next run takes over.

A rescue knows nothing of deletions, names and marks, nor of times that were put right: everything \
that it finds is in .trash of the mount, restorable with mv. Where it finds nothing, it changes \
nothing.

The object of --json has path, status, findings, findings_count, footage_count, notes, losses, \
repaired, the numbers of clips and chunks that were looked at, and of chunks_tried, and what is to \
be put right. A finding has a place (part, and where they apply offset in bytes, area, block, page \
of 4 KiB, clip, chunk), found, expected, and a cost (kind: nothing, cache, facts, or footage with \
camera, clip, clip_start, from and to, RFC 3339 in UTC). Of a rescue it has path, status, \
superblock_repaired, blocks_read, blocks_unreadable, streams_found, clips_found, chunks_found, \
chunks_lost and losses; of a check that could not be made path, status and error.

Exit status: 0 nothing disagrees, 1 what disagrees costs no footage or has been put right, 2 \
footage is lost (the output says which), 3 the check could not be made.

Example: reelfs check /dev/sdb1 --scrub --index /var/lib/reelfs/index")]
pub struct CheckArguments {
    /// The block device or file
    pub path: PathBuf,
    /// Put right what can be: write superblocks (also where another program has written over some
    /// of them), headers of blocks, parameter sets and clip tables again from what says the same,
    /// close the clips that grew, write the ledger anew where pages are rotten, set the index aside
    #[arg(long)]
    pub repair: bool,
    /// Read every sample, and try all checksums and digests
    #[arg(long)]
    pub scrub: bool,
    /// With --repair, write the partition table that tells other programs that a whole disk is
    /// taken, where an earlier version of reelfs, or format --no-label, did not; see reelfs(7)
    #[arg(long, requires = "repair")]
    pub add_label: bool,
    /// Make the ledger anew from the blocks alone; refused while the ledger is good. Where no
    /// superblock is left either, the headers of the blocks say where the ring's parts are
    #[arg(long, conflicts_with_all = ["repair", "scrub", "index"])]
    pub rescue: bool,
    /// Compare the index in this directory with the ring, too; not while a daemon uses it
    #[arg(long, value_name = "DIR")]
    pub index: Option<PathBuf>,
    /// Print JSON: one object
    #[arg(long)]
    pub json: bool,
}

/// `reelfs completions`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: reelfs completions bash > /etc/bash_completion.d/reelfs")]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// What is wrong with it, in words for the user, or that help or version was asked for:
/// `clap::Error::exit` prints either to where it belongs and ends with 2 or 0.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let arguments = spelled_out(arguments.into_iter().collect());
    let cli = Cli::try_parse_from(arguments).map_err(with_words)?;
    if let Command::Inspect(inspect) = &cli.command
        && let Err(reason) = inspect.subject()
    {
        let mut definition = Cli::command();
        definition.build();
        let usage = definition.find_subcommand_mut("inspect");
        return Err(match usage {
            Some(inspect) => inspect.error(ErrorKind::WrongNumberOfValues, reason),
            None => definition.error(ErrorKind::WrongNumberOfValues, reason),
        });
    }
    Ok(cli)
}

/// The same error, in words of its own for a command that people look for and that is none.
fn with_words(error: clap::Error) -> clap::Error {
    match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(name))) if name == "export" => {
            Cli::command().error(ErrorKind::InvalidSubcommand, NO_EXPORT)
        }
        _ => error,
    }
}

/// What there is instead.
const NO_EXPORT: &str = "there is no export: recordings are files in the mount, which cp and rsync \
    copy; .range/CAMERA/FROM--TO.mp4 there is any stretch of time, see RANGES in reelfs(7)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_for_an_export_is_told_where_recordings_are() {
        let error = words("reelfs export yard").unwrap_err().to_string();
        assert!(error.contains("recordings are files in the mount"), "{error}");
        assert!(!error.contains("import"), "{error}");
        let other = words("reelfs imprt yard").unwrap_err().to_string();
        assert!(other.contains("import"), "{other}");
    }

    fn words(line: &str) -> Result<Cli, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    fn inspect(line: &str) -> InspectArguments {
        match words(line).unwrap().command {
            Command::Inspect(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_and_rates_take_letters() {
        let line = "reelfs format --size 2G --block-size 4M --plan --camera 4M --camera 500K r";
        let Command::Format(arguments) = words(line).unwrap().command else { panic!() };
        assert_eq!(arguments.size, Some(ByteCount(2 << 30)));
        assert_eq!(arguments.block_size, Some(ByteCount(4 << 20)));
        assert_eq!(arguments.cameras, [4_000_000, 500_000]);
    }

    #[test]
    fn wrong_usage_ends_with_2_and_help_with_0() {
        for wrong in [
            "reelfs",
            "reelfs frobnicate",
            "reelfs format",
            "reelfs format --size 4X ring.img",
            "reelfs format --plan ring.img",
            "reelfs format --camera 4M ring.img",
            "reelfs inspect ring.img",
            "reelfs inspect ring.img block",
            "reelfs inspect ring.img clips 3",
            "reelfs inspect ring.img block three",
            "reelfs inspect ring.img clips -n 3",
            "reelfs inspect ring.img clips --at today --from today",
            "reelfs inspect ring.img clips --from tomorrowish",
            "reelfs check",
            "reelfs check ring.img --rescue --repair",
            "reelfs import --camera yard",
            "reelfs import --camera ya:rd a.mp4",
        ] {
            assert_eq!(words(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
        for right in ["reelfs --help", "reelfs --version", "reelfs inspect --help"] {
            assert_eq!(words(right).unwrap_err().exit_code(), 0, "{right}");
        }
    }

    #[test]
    fn a_block_needs_a_number_and_says_so() {
        let error = words("reelfs inspect ring.img block").unwrap_err().to_string();
        assert!(error.contains("block needs the number of a block"), "{error}");
        assert!(error.contains("Usage: reelfs inspect"), "{error}");
        let blocks = inspect("reelfs inspect ring.img block 17 18").subject();
        assert_eq!(blocks, Ok(Subject::Block(vec![BlockNumber(17), BlockNumber(18)])));
    }

    #[test]
    fn a_time_may_begin_with_a_minus() {
        let arguments = inspect("reelfs inspect ring.img clips --from -10m --newest --limit 5");
        assert!(arguments.from.is_some() && arguments.newest);
        let arguments = inspect("reelfs inspect ring.img blocks --at 13:05 -n 3");
        assert_eq!(arguments.neighbours, 3);
    }

    #[test]
    fn a_command_that_does_not_exist_is_not_shown() {
        let help = Cli::command().render_long_help().to_string();
        assert!(!help.contains("frobnicate") && !help.contains("\n  man"), "{help}");
    }
}
