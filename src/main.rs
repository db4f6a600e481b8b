//! `reelfs`: words in, one command carried out, an exit status.
//!
//! 0: done. 1: failed. 2: wrong usage or configuration. `check` and `status` have their own: see
//! their help.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Stdout, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use env_logger::Env;
use env_logger::fmt::Formatter;
use env_logger::fmt::style::AnsiColor;
use log::Record;
use reelfs::cli::moment::{Moment, MomentError, time_text};
use reelfs::cli::{
    CheckArguments, Cli, ClipsArguments, Command, DiscoverArguments, EventCommand, ExpireArguments,
    FormatArguments, ImportArguments, InspectArguments, LoginArguments, MountArguments,
    ProbeArguments, RecordArguments, Recording, RunArguments, StartArgument, StatusArguments,
    Subject, pages, parse,
};
use reelfs::clock::{Clock, SystemClock};
use reelfs::command::{
    self, CHECK_FAILED, CheckRequest, ClipsRequest, CommandError, DiscoverRequest, FormatRequest,
    ImportRequest, InspectRequest, LoginRequest, NO_ANSWER, Naming, PlanRequest, ProbeRequest,
    RecordRequest, Selection, StatusRequest,
};
use reelfs::config::{Config, ConfigError, parse_zone, system_zone};
use reelfs::control::{ExpireAsk, RecordAsk, Span, To, Verb};
use reelfs::daemon::{self, DaemonError, ReaderSettings};
use reelfs::import::{Beginning, NamePattern};
use reelfs::logged::Logged;
use reelfs::mount::{self, GONE_READERS_LOG, Owner};
use reelfs::units::WallTime;
use reelfs::view::{Layout, utc_timestamp};
use reelfs::zone::Zone;

/// What is logged, for whoever reads it in the mount.
static LOGGED: Logged = Logged::new();
/// Spaces before the further lines of a message.
const INDENT: &str = "\n    ";

/// The command could not be carried out.
const FAILED: u8 = 1;
/// The words or the configuration are wrong.
const WRONG_USAGE: u8 = 2;

/// What is said of a command that did not succeed.
struct Failure {
    status: u8,
    reason: String,
}

impl Failure {
    fn new(is_wrong_usage: bool, reason: &impl Display) -> Failure {
        let status = if is_wrong_usage { WRONG_USAGE } else { FAILED };
        Failure { status, reason: reason.to_string() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(true, &error)
    }
}

impl From<MomentError> for Failure {
    fn from(error: MomentError) -> Failure {
        Failure::new(true, &error)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Failure {
        Failure::new(error.is_wrong_usage(), &error)
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Failure {
        Failure::new(error.is_configuration(), &error)
    }
}

fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        // For whoever asks `check`, 2 means that footage is lost.
        Err(error) if error.use_stderr() && std::env::args().nth(1).as_deref() == Some("check") => {
            // There is nobody to tell where standard error is closed.
            let _ = error.print();
            return ExitCode::from(CHECK_FAILED);
        }
        Err(error) => error.exit(),
    };
    let filter = format!("info,{GONE_READERS_LOG}=off");
    let mut logger = env_logger::Builder::from_env(Env::default().default_filter_or(filter));
    logger.format(write_line).init();
    match carry_out(cli, &mut stdout()) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            eprintln!("reelfs: {}", failure.reason);
            ExitCode::from(failure.status)
        }
    }
}

/// Writes a line as env_logger does by itself, and keeps the same one.
fn write_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level, target) = (out.timestamp(), record.level(), record.target());
    let message = record.args().to_string().replace('\n', INDENT);
    LOGGED.add(level, target, &format!("[{time} {level:<5} {target}] {message}"));
    let style = out.default_level_style(level);
    let subtle = if style.is_plain() { style } else { AnsiColor::BrightBlack.on_default() };
    let (open, close) = (format_args!("{subtle}[{subtle:#}"), format_args!("{subtle}]{subtle:#}"));
    writeln!(out, "{open}{time} {style}{level:<5}{style:#} {target}{close} {message}")
}

/// Answers the exit status.
fn carry_out(cli: Cli, out: &mut Stdout) -> Result<u8, Failure> {
    let done = match cli.command {
        Command::Format(arguments) => format(arguments, out),
        Command::Run(arguments) => run(&arguments, out),
        Command::Mount(arguments) => return mount(&arguments),
        Command::Status(arguments) => return status(&arguments, out),
        Command::Inspect(arguments) => inspect(&arguments, out),
        Command::Check(arguments) => return check(arguments, out),
        Command::Import(arguments) => import(arguments, out),
        Command::Discover(arguments) => discover(arguments, out),
        Command::Probe(arguments) => probe(arguments, out),
        Command::Record(arguments) => record(arguments, out),
        Command::Keep(arguments) => clips(Verb::Keep, Some(arguments.until), arguments.clips, out),
        Command::Unkeep(arguments) => clips(Verb::Unkeep, None, arguments, out),
        Command::Rm(arguments) => clips(Verb::Rm, None, arguments, out),
        Command::Restore(arguments) => clips(Verb::Restore, None, arguments, out),
        Command::Event(what) => event(&what, out),
        Command::Expire(arguments) => expire(arguments, out),
        Command::Completions(arguments) => {
            pages::write_completions(arguments.shell, out);
            Ok(())
        }
        Command::Announce { mount } => {
            mount::announce(&mount).map_err(|error| Failure::new(false, &error))
        }
        Command::Man { directory } => pages::write_manuals(&directory)
            .map_err(|error| Failure::new(false, &format!("{}: {error}", directory.display()))),
    };
    done.map(|()| 0)
}

fn format(arguments: FormatArguments, out: &mut Stdout) -> Result<(), Failure> {
    let FormatArguments {
        path,
        size,
        block_size,
        label,
        pool,
        sparse,
        no_label,
        force,
        plan,
        cameras,
    } = arguments;
    if plan {
        let request = PlanRequest { path, size, block_size, bit_rates: cameras };
        return Ok(command::plan(&request, out)?);
    }
    let disk_label = !no_label;
    let request = FormatRequest { path, size, block_size, label, pool, sparse, disk_label, force };
    Ok(command::format(&request, &SystemClock::new(), out)?)
}

fn run(arguments: &RunArguments, out: &mut Stdout) -> Result<(), Failure> {
    let config = Config::load(&arguments.config.path())?;
    if arguments.check {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        return Ok(command::ready(&config, &clock, out)?);
    }
    Ok(daemon::run(&config, &LOGGED)?)
}

/// In the background: by this program once more, with the same words.
fn mount(arguments: &MountArguments) -> Result<u8, Failure> {
    if !arguments.foreground {
        let program = std::env::current_exe()
            .map_err(|error| Failure::new(false, &format!("the program's own file: {error}")))?;
        let mut words: Vec<_> = std::env::args_os().skip(1).collect();
        if words.first().is_none_or(|word| word != "mount") {
            words.insert(0, "mount".into());
        }
        words.extend(["--foreground", "--tell"].map(OsString::from));
        let ended = command::in_background(&program, &words)?;
        return Ok(ended.map_or(0, |status| status.code().map_or(FAILED, |code| code as u8)));
    }
    let options = arguments.options();
    let zone = options.zone.unwrap_or_else(|| {
        let (zone, warning) = system_zone();
        warning.iter().for_each(|warning| log::warn!("{warning}"));
        zone
    });
    let absolute = |path: &Path| {
        let failed = |error| Failure::new(false, &format!("{}: {error}", path.display()));
        std::path::absolute(path).map_err(failed)
    };
    let layout = options.layout.map_or_else(|| Layout::parse("default"), Ok);
    let settings = ReaderSettings {
        ring: absolute(&arguments.ring)?,
        mount: absolute(&arguments.directory)?,
        zone,
        layout: layout.map_err(|why| Failure::new(true, &why))?,
        allow_other: options.allow_other,
        list_special: options.list_special,
        cameras: options.cameras.unwrap_or_default(),
        owner: Owner {
            uid: options.uid,
            gid: options.gid,
            umask: options.umask.unwrap_or(Owner::default().umask),
        },
    };
    let tells = arguments.tell;
    daemon::read(&settings, &LOGGED, || {
        if tells {
            daemon::leave_session();
            // Whoever waited for it may have been killed.
            let _ = writeln!(stdout(), "{}", command::READY);
        }
    })?;
    Ok(0)
}

fn status(arguments: &StatusArguments, out: &mut Stdout) -> Result<u8, Failure> {
    let config = Config::load(&arguments.config.path())?;
    let request = StatusRequest { json: arguments.json, check: arguments.check };
    command::status(&config, &request, &SystemClock::new(), out)
        .map_err(|error| Failure { status: NO_ANSWER, reason: error.to_string() })
}

fn inspect(arguments: &InspectArguments, out: &mut Stdout) -> Result<(), Failure> {
    let (zone, warning) = system_zone();
    if let Some(warning) = warning {
        log::warn!("{warning}");
    }
    let now = SystemClock::new().read().wall;
    let time = |moment: Option<Moment>| -> Result<Option<WallTime>, MomentError> {
        moment.map(|moment| moment.resolve(&zone, now)).transpose()
    };
    let subject = match arguments.subject().map_err(|reason| Failure::new(true, &reason))? {
        Subject::Ring => command::Subject::Ring,
        Subject::Streams => command::Subject::Streams,
        Subject::Clips => command::Subject::Clips,
        Subject::Blocks => command::Subject::Blocks,
        Subject::Block(numbers) => command::Subject::Block(numbers),
        Subject::Ledger => command::Subject::Ledger,
        Subject::Records => command::Subject::Records,
    };
    let selection = Selection {
        camera: arguments.camera.clone(),
        from: time(arguments.from)?,
        to: time(arguments.to)?,
        at: time(arguments.at)?.map(|at| (at, arguments.neighbours)),
        limit: arguments.limit,
        offset: arguments.offset,
        newest: arguments.newest,
    };
    let request = InspectRequest {
        path: arguments.path.clone(),
        subject,
        selection,
        json: arguments.json,
        time_text: &|time| time_text(time, &zone),
    };
    Ok(command::inspect(&request, out)?)
}

fn check(arguments: CheckArguments, out: &mut Stdout) -> Result<u8, Failure> {
    let CheckArguments { path, repair, scrub, add_label, rescue, index, json } = arguments;
    let request = CheckRequest { path, repair, scrub, add_label, rescue, index, json };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    command::check(&request, &clock, out)
        .map_err(|error| Failure { status: CHECK_FAILED, reason: error.to_string() })
}

fn import(arguments: ImportArguments, out: &mut Stdout) -> Result<(), Failure> {
    let config = Config::load(&arguments.config.path())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let now = clock.read().wall;
    let beginning = match arguments.start {
        None => Beginning::Created,
        Some(StartArgument::File) => Beginning::OwnTimes,
        Some(StartArgument::At(start)) => Beginning::At(start.resolve(&config.zone, now)?),
    };
    let naming = naming(&arguments, &config.zone)?;
    let request = ImportRequest {
        camera: arguments.camera.map(|camera| camera.as_str().to_owned()),
        beginning: if naming.is_some() { Beginning::Named } else { beginning },
        naming,
        force: arguments.force,
        keep: arguments.keep,
        plan: arguments.plan,
        files: arguments.files,
    };
    Ok(command::import(&config, &request, &clock, out)?)
}

/// How the files of an import are named, where somebody says so.
fn naming(arguments: &ImportArguments, zone: &Zone) -> Result<Option<Naming>, Failure> {
    let wrong = |what: &str, why: &str| Failure::new(true, &format!("--name-{what}: {why}"));
    let Some(pattern) = &arguments.name_pattern else { return Ok(None) };
    let pattern = NamePattern::parse(pattern).map_err(|why| wrong("pattern", &why))?;
    let zone = match &arguments.name_zone {
        None => zone.clone(),
        Some(name) => parse_zone(name).map_err(|why| wrong("zone", &why))?,
    };
    Ok(Some(Naming { pattern, zone }))
}

fn login_of(LoginArguments { username, password_file }: LoginArguments) -> LoginRequest {
    LoginRequest { username, password_file }
}

fn discover(arguments: DiscoverArguments, out: &mut Stdout) -> Result<(), Failure> {
    let DiscoverArguments { length, interfaces, login, json } = arguments;
    let request = DiscoverRequest { length, interfaces, login: login_of(login), json };
    Ok(command::discover(&request, out)?)
}

fn record(arguments: RecordArguments, out: &mut Stdout) -> Result<(), Failure> {
    let config = Config::load(&arguments.config.path())?;
    let socket = config.control.socket.clone();
    let record = match arguments.to {
        Recording::On => To::On,
        Recording::Off => To::Off,
        Recording::Auto => To::Auto,
    };
    let ask = RecordAsk {
        cameras: arguments.cameras,
        record,
        config: Some(config.absolute_file()),
        length: arguments.length,
    };
    Ok(command::record(&RecordRequest { socket, ask }, out)?)
}

fn clips(
    verb: Verb,
    until: Option<String>,
    arguments: ClipsArguments,
    out: &mut Stdout,
) -> Result<(), Failure> {
    let ClipsArguments { config, camera, from, to, dry_run, paths } = arguments;
    let config = Config::load(&config.path())?;
    let now = SystemClock::new().read().wall;
    let time = |moment: Option<Moment>| -> Result<Option<String>, MomentError> {
        let time = moment.map(|moment| moment.resolve(&config.zone, now)).transpose()?;
        Ok(time.map(utc_timestamp))
    };
    let (from, to) = (time(from)?, time(to)?);
    if camera.is_some() && from.is_none() && to.is_none() {
        let why = "--camera needs --from or --to: all that a camera has is its directories";
        return Err(Failure::new(true, &why));
    }
    let span = camera.map(|camera| Span { camera, from, to });
    let request = ClipsRequest { verb, until, paths, span, dry_run };
    Ok(command::clips(&config, &request, out)?)
}

fn event(what: &EventCommand, out: &mut Stdout) -> Result<(), Failure> {
    Ok(command::event(what, &SystemClock::new(), out)?)
}

fn expire(arguments: ExpireArguments, out: &mut Stdout) -> Result<(), Failure> {
    let config = Config::load(&arguments.config.path())?;
    let ExpireArguments { dry_run, confirm: camera, .. } = arguments;
    let ask = ExpireAsk { confirm: camera.is_some(), camera, dry_run, config: None };
    Ok(command::expire(&config, ask, out)?)
}

fn probe(arguments: ProbeArguments, out: &mut Stdout) -> Result<(), Failure> {
    let ProbeArguments { config, camera, length, login, transport, .. } = arguments;
    let by_address = camera.contains("://");
    let config = match by_address {
        true => None,
        false => Some(Config::load(&config.path())?),
    };
    let request = ProbeRequest {
        camera,
        config,
        login: login_of(login),
        transport,
        length,
        save: arguments.save,
        json: arguments.json,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Ok(command::probe(&request, &clock, out)?)
}
