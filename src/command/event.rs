//! `reelfs event`: what is said of cameras by hand, and what is known of it.

use std::io::Write;

use super::record::asked;
use super::{ClipsRequest, CommandError, clips, unless_closed};
use crate::cli::moment::{Moment, time_text};
use crate::cli::quantity::{duration_text, size_text};
use crate::cli::table::{Align, Table};
use crate::cli::{
    EventAddArguments, EventCommand, EventEndArguments, EventKeepArguments, EventListArguments,
    EventNamed,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{
    Answer, Ask, EndAsk, EventAsk, EventRow, EventsAsk, EventsWanted, Span, Time, Verb,
};
use crate::named::parse_rfc3339;
use crate::units::{ByteCount, WallTime, length_of};
use crate::view::utc_timestamp;

/// Tells the daemon of events, or prints what it knows of them.
///
/// # Errors
/// Nobody listens; there is no such camera or event; or a time is none.
pub fn event(
    asked_for: &EventCommand,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let now = clock.read().wall;
    match asked_for {
        EventCommand::Add(arguments) => add(arguments, now, out),
        EventCommand::End(arguments) => end(arguments, now, out),
        EventCommand::List(arguments) => list(arguments, now, out),
        EventCommand::Rm(named) => {
            let config = load(named)?;
            let answer = ask(&config, EventsAsk::Remove(wanted(named, &config)))?;
            print_done(&answer, out)
        }
        EventCommand::Keep(arguments) => keep(arguments, out),
    }
}

fn load(named: &EventNamed) -> Result<Config, CommandError> {
    Ok(Config::load(&named.config.path())?)
}

fn add(
    arguments: &EventAddArguments,
    now: WallTime,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let config = Config::load(&arguments.config.path())?;
    let EventAddArguments { camera, label, class, id, source, zones, score, text, .. } =
        arguments.clone();
    let answer = ask(
        &config,
        EventsAsk::Add(EventAsk {
            camera,
            id,
            source: Some(source),
            class: Some(class.name().to_owned()),
            label: Some(label),
            start: time(arguments.from, &config, now)?,
            end: time(arguments.to, &config, now)?,
            length: arguments.length.clone(),
            time: None,
            zones: (!zones.is_empty()).then_some(zones),
            score,
            text,
            sync: true,
            config: Some(config.absolute_file()),
        }),
    )?;
    print_done(&answer, out)
}

fn end(
    arguments: &EventEndArguments,
    now: WallTime,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let config = Config::load(&arguments.config.path())?;
    let EventEndArguments { camera, id, source, .. } = arguments.clone();
    let end = time(arguments.to, &config, now)?;
    let own = Some(config.absolute_file());
    let end = EndAsk { camera, id, source, end, sync: true, config: own };
    print_done(&ask(&config, EventsAsk::End(end))?, out)
}

fn list(
    arguments: &EventListArguments,
    now: WallTime,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let config = Config::load(&arguments.config.path())?;
    let EventListArguments { camera, label, source, newest, limit, offset, .. } = arguments.clone();
    let wanted = EventsWanted {
        camera,
        id: None,
        source,
        label,
        class: arguments.class.map(|class| class.name().to_owned()),
        from: time(arguments.from, &config, now)?,
        to: time(arguments.to, &config, now)?,
        newest,
        limit,
        offset,
        config: Some(config.absolute_file()),
    };
    let answer = ask(&config, EventsAsk::List(wanted))?;
    unless_closed(match arguments.json {
        true => print_json(&answer.events, out),
        false => print_table(&answer.events, &config, out),
    })
}

fn print_json(events: &[EventRow], out: &mut dyn Write) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(events).map_err(std::io::Error::from)?;
    Ok(writeln!(out, "{json}")?)
}

fn print_table(
    events: &[EventRow],
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let mut table = Table::new(&[
        ("START", Align::Left),
        ("CAMERA", Align::Left),
        ("LABEL", Align::Left),
        ("CLASS", Align::Left),
        ("LENGTH", Align::Right),
        ("FOOTAGE", Align::Right),
        ("ID", Align::Left),
    ]);
    for event in events {
        let start = parse_rfc3339(&event.start);
        let end = event.end.as_deref().and_then(parse_rfc3339);
        let length = match (start, end) {
            (Some(start), Some(end)) => {
                // Nobody reads parts of a second in a list.
                let seconds = length_of(end.nanos_since(start)).as_secs();
                duration_text(std::time::Duration::from_secs(seconds))
            }
            _ => "goes on".to_owned(),
        };
        let footage = match event.footage.as_str() {
            "none" => "none".to_owned(),
            _ => size_text(ByteCount(event.bytes)),
        };
        table.push([
            start.map_or_else(|| event.start.clone(), |start| time_text(start, &config.zone)),
            event.camera.clone(),
            event.label.clone(),
            event.class.clone(),
            length,
            footage,
            event.id.clone(),
        ]);
    }
    if !table.is_empty() {
        write!(out, "{table}")?;
    }
    Ok(())
}

/// As `reelfs keep` does it, of the time that an event claims.
fn keep(arguments: &EventKeepArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&arguments.event)?;
    let answer = ask(&config, EventsAsk::List(wanted(&arguments.event, &config)))?;
    if answer.events.is_empty() {
        let id = &arguments.event.id;
        return Err(CommandError::Failed(format!("there is no event {id:?}")));
    }
    for event in &answer.events {
        let wrong = || CommandError::Failed(format!("{}: its times can't be read", event.id));
        let start = parse_rfc3339(&event.start).ok_or_else(wrong)?;
        let end = event.end.as_deref().unwrap_or(&event.updated);
        let end = parse_rfc3339(end).ok_or_else(wrong)?.max(start);
        let nanos = |seconds: f64| (seconds * 1e9) as i64;
        let from = start.plus_nanos(-nanos(event.pre_seconds));
        let to = end.plus_nanos(nanos(event.post_seconds).max(1));
        let span = Span {
            camera: event.camera.clone(),
            from: Some(utc_timestamp(from)),
            to: Some(utc_timestamp(to)),
        };
        let request = ClipsRequest {
            verb: Verb::Keep,
            until: Some(arguments.until.clone()),
            paths: Vec::new(),
            span: Some(span),
            dry_run: arguments.dry_run,
        };
        clips(&config, &request, out)?;
    }
    Ok(())
}

fn wanted(named: &EventNamed, config: &Config) -> EventsWanted {
    EventsWanted {
        camera: named.camera.clone(),
        id: Some(named.id.clone()),
        source: named.source.clone(),
        config: Some(config.absolute_file()),
        ..EventsWanted::default()
    }
}

fn time(
    moment: Option<Moment>,
    config: &Config,
    now: WallTime,
) -> Result<Option<Time>, CommandError> {
    let time = moment.map(|moment| moment.resolve(&config.zone, now)).transpose();
    let time = time.map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(time.map(|time| Time::Text(utc_timestamp(time))))
}

fn ask(config: &Config, what: EventsAsk) -> Result<Answer, CommandError> {
    let answer = asked(&config.control.socket, &Ask::Events(what))?;
    match answer.error {
        Some(why) => Err(CommandError::Failed(why)),
        None => Ok(answer),
    }
}

fn print_done(answer: &Answer, out: &mut dyn Write) -> Result<(), CommandError> {
    unless_closed(answer.done.iter().try_for_each(|line| Ok(writeln!(out, "{line}")?)))
}
