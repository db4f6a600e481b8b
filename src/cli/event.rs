//! Words of `reelfs event`.

use clap::{Args, Subcommand, ValueEnum};

use super::command::ConfigArgument;
use super::moment::Moment;

/// `reelfs event`.
#[derive(Clone, Debug, Subcommand)]
pub enum EventCommand {
    /// Tell of an event of a camera
    #[command(after_help = "\
What an event claims stays as long as [retain] says of its class: see EVENTS in reelfs(7). One \
that is added by hand is manual, begins now, and goes on until `reelfs event end` ends it, unless \
--for or --to says how long it lasts. An id that is known means the same event: what is said of it \
now holds.

Example: reelfs event add front-door parcel --for 30s
Example: reelfs event add yard person --class alert --from 13:05 --to 13:07")]
    Add(EventAddArguments),
    /// End events that go on
    #[command(after_help = "\
Example: reelfs event end front-door")]
    End(EventEndArguments),
    /// List events
    #[command(after_help = "\
The oldest come first. FOOTAGE is what the clips take that an event touches, and none where \
nothing is left of it.

Example: reelfs event list --camera front-door --from yesterday --label person
Example: reelfs event list --newest --limit 1 --json")]
    List(EventListArguments),
    /// Forget an event: it claims nothing any more
    #[command(after_help = "\
Its footage stays as long as something else claims it, or keeps it.

Example: reelfs event rm 3f2a8c1d90be")]
    Rm(EventNamed),
    /// Keep the footage of an event
    #[command(after_help = "\
As reelfs keep does it with every clip that the event touches, with the time before and behind it.

Example: reelfs event keep 3f2a8c1d90be --until 90d")]
    Keep(EventKeepArguments),
}

/// How much an event is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Worth {
    /// Somebody said so
    Manual,
    /// Something was detected
    Detection,
    /// Somebody should look at it
    Alert,
}

impl Worth {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Worth::Manual => "manual",
            Worth::Detection => "detection",
            Worth::Alert => "alert",
        }
    }
}

/// `reelfs event add`.
#[derive(Args, Clone, Debug)]
pub struct EventAddArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Name of a camera, with all its streams, or of a single stream such as yard.sub
    #[arg(value_name = "CAMERA")]
    pub camera: String,
    /// What it is
    #[arg(value_name = "LABEL", default_value = "event")]
    pub label: String,
    /// What it is worth
    #[arg(long, value_enum, value_name = "CLASS", default_value = "manual")]
    pub class: Worth,
    /// When it began; by default now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// When it was over; by default it goes on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "length")]
    pub to: Option<Moment>,
    /// How long it lasts, 1s to 24h
    #[arg(long = "for", value_name = "TIME")]
    pub length: Option<String>,
    /// What to call it; by default a new id
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Who says it
    #[arg(long, value_name = "NAME", default_value = "cli")]
    pub source: String,
    /// Where in the picture; several times for several
    #[arg(long = "zone", value_name = "NAME")]
    pub zones: Vec<String>,
    /// How sure it is, 0 to 1
    #[arg(long, value_name = "NUMBER")]
    pub score: Option<f64>,
    /// Whatever else is to be said
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
}

/// `reelfs event end`.
#[derive(Args, Clone, Debug)]
pub struct EventEndArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Name of a camera, or of a single stream
    #[arg(value_name = "CAMERA")]
    pub camera: String,
    /// Which event; by default all that go on
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Of which source; by default of any
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Since when it is over; by default now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Moment>,
}

/// `reelfs event list`.
#[derive(Args, Clone, Debug)]
pub struct EventListArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Of this camera, or stream; by default of all
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// Of this label
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,
    /// Of this class
    #[arg(long, value_enum, value_name = "CLASS")]
    pub class: Option<Worth>,
    /// Of this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Those that were not over at this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Those that began before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// The newest first
    #[arg(long)]
    pub newest: bool,
    /// No more than so many, 10000 at most
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Without so many of the first
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub offset: usize,
    /// JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// An event, by its name.
#[derive(Args, Clone, Debug)]
pub struct EventNamed {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// What it is called, as `reelfs event list` shows it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Of this camera, or stream; by default of any
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// Of this source; by default of any
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// `reelfs event keep`.
#[derive(Args, Clone, Debug)]
pub struct EventKeepArguments {
    /// Which.
    #[command(flatten)]
    pub event: EventNamed,
    /// Until when: forever, a day (up to its end), a time, or a length from now on such as 90d
    #[arg(long, value_name = "TIME", default_value = "forever")]
    pub until: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}
