//! Which cameras are recorded at the moment: as their settings say, or as somebody has switched
//! them by hand.
//!
//! What is off is off on purpose: it is told as such, in status and ledger, and is nobody's fault.
//! A switch is in the ring, with the stream that it is of: neither a restart nor a power cut turns
//! a camera on that somebody has turned off.

use std::collections::BTreeMap;
use std::time::Duration;

use super::recording::{Placed, Recorded, Recording};
use super::reporter::Reporter;
use super::{Store, locked};
use crate::clock::{Reading, within};
use crate::config::{self, CameraConfig, Config};
use crate::control::{RecordAsk, To};
use crate::segment::{Observation, ObservationKind, StreamFact, Switch};
use crate::units::{BootTime, StreamKey, StreamNumber, WallTime};
use crate::view::utc_second;
use crate::zone::Zone;

/// A disk that has to spin up takes a switch within this.
const KEEP_MAX: Duration = Duration::from_secs(15);

/// A stream that is not recorded, on purpose.
#[derive(Clone, Debug)]
pub(super) struct Off {
    stream: StreamNumber,
    since: WallTime,
    /// Whose wish that is.
    pub why: String,
}

impl Off {
    /// For people.
    pub(super) fn words(&self) -> String {
        format!("{}, since {}", self.why, utc_second(self.since))
    }

    /// The same, as it is now, since it began.
    pub(super) fn goes_on(&self, now: &Off) -> Off {
        Off { since: self.since, ..now.clone() }
    }

    fn observe(&self, until: WallTime, store: &Store) {
        let (from, to) = (self.since, until.max(self.since));
        let text = self.why.clone();
        let observation = Observation { from, to, kind: ObservationKind::Off, number: 0, text };
        store.writer.observe(self.stream, from, to, observation.encode());
    }
}

/// What was switched by hand since the start, and when its time is over, in time of the boot clock:
/// the ring may not have heard of it yet, and the other clock may be set.
#[derive(Clone, Default)]
pub(super) struct Switches(BTreeMap<StreamNumber, (Option<Switch>, Option<BootTime>)>);

impl Switches {
    pub(super) fn set(
        &mut self,
        stream: StreamNumber,
        switch: Option<Switch>,
        until: Option<BootTime>,
    ) {
        self.0.insert(stream, (switch, until));
    }

    /// What was said of a stream last, of which the ring says what is `kept`.
    pub(super) fn said(&self, stream: StreamNumber, kept: Option<Switch>) -> Option<Switch> {
        self.0.get(&stream).map_or(kept, |(switch, _)| *switch)
    }

    /// The same, where its time is not over. What has run out stays in the ring, without effect: a
    /// clock that is wrong must not undo what somebody has switched.
    fn in_force(
        &self,
        stream: StreamNumber,
        kept: Option<Switch>,
        now: &Reading,
    ) -> Option<Switch> {
        match self.0.get(&stream) {
            Some((switch, until)) => switch.filter(|_| until.is_none_or(|until| now.boot < until)),
            None => kept.filter(|switch| switch.until.is_none_or(|until| now.wall < until)),
        }
    }
}

/// Why a stream is not recorded now that is configured; `None` where it is.
fn why_off(
    settings: &CameraConfig,
    switch: Option<Switch>,
    now: WallTime,
    zone: &Zone,
) -> Option<String> {
    if let Some(Switch { is_on, until }) = switch {
        let until = until.map_or(String::new(), |until| format!(" until {}", utc_second(until)));
        return (!is_on).then(|| format!("switched off by hand{until}"));
    }
    let is_on = settings.recorded.is_on(zone.minute_of_week(now));
    (!is_on).then(|| match &settings.recorded {
        config::Recorded::Hours(hours) => format!("recorded {hours} only"),
        config::Recorded::Always | config::Recorded::Off => "record is \"off\"".to_owned(),
    })
}

/// Starts and stops recorders as it is wanted by now. Answers the names of those that were started.
pub(super) fn look(
    config: &Config,
    (reporter, recording): (&Reporter, &Recording),
    store: &Store,
) -> Vec<String> {
    let (reading, switches) = (store.clock.read(), reporter.switches());
    let now = reading.wall;
    let wanted: Vec<(Placed, Option<String>)> = reporter
        .cameras()
        .into_iter()
        .filter(|camera| camera.settings.enabled)
        .map(|camera| {
            let kept = fact_of(&camera, store).map_or(camera.switch, |fact| fact.switch);
            let switch = switches.in_force(camera.stream, kept, &reading);
            let why = why_off(&camera.settings, switch, now, &config.zone);
            (camera, why)
        })
        .collect();
    let is_on = |name: &str| wanted.iter().any(|(it, why)| it.name() == name && why.is_none());
    Recorded::stop_all(reporter.take_recorders(|recorded| is_on(recorded.name())));
    let off = wanted.iter().filter_map(|(camera, why)| {
        let why = why.clone()?;
        Some((camera.name().to_owned(), Off { stream: camera.stream, since: now, why }))
    });
    reporter.change_off(off.collect(), |change| tell(change, now, store));
    let running = reporter.recorded();
    let due = wanted.iter().filter(|(it, why)| why.is_none() && !running.contains(it.name()));
    let started: Vec<Recorded> =
        due.map(|(camera, _)| recording.start(config, camera.clone())).collect();
    let names = started.iter().map(|recorded| recorded.name().to_owned()).collect();
    reporter.add_recorders(started);
    names
}

/// What has become of a stream that is, or was, off.
pub(super) enum Change<'c> {
    /// It is off from now on.
    Begins(&'c str, &'c Off),
    /// It is off no more: recorded again, or not configured.
    Ends(&'c Off),
}

fn tell(change: Change<'_>, now: WallTime, store: &Store) {
    match change {
        Change::Begins(name, off) => {
            log::info!("{name}: off from now on: {}", off.why);
            off.observe(now, store);
        }
        Change::Ends(off) => off.observe(now, store),
    }
}

/// Everything is stopped: what was off was off until now.
pub(super) fn end(off: &BTreeMap<String, Off>, store: &Store) {
    let now = store.clock.read().wall;
    off.values().for_each(|off| off.observe(now, store));
}

fn fact_of(camera: &Placed, store: &Store) -> Option<StreamFact> {
    let stream = StreamKey { ring: store.archive.number(), stream: camera.stream };
    locked(&store.catalogue).stream(stream).cloned()
}

/// Switches what somebody asks for: a camera with all its streams, or a stream by its own name.
/// What comes of it is seen to by [`look`].
pub(super) fn switch(
    ask: &RecordAsk,
    reporter: &Reporter,
    store: &Store,
) -> Result<Vec<String>, String> {
    let length = ask.length()?;
    let cameras = reporter.cameras();
    let chosen = chosen(&ask.cameras, &cameras)?;
    // All of them, or none.
    let facts = chosen.iter().map(|camera| {
        let unknown = || format!("{}: the ring does not know it yet", camera.name());
        fact_of(camera, store).ok_or_else(unknown)
    });
    let facts: Vec<StreamFact> = facts.collect::<Result<_, String>>()?;
    let now = store.clock.read();
    let set = chosen.into_iter().zip(facts).map(|(camera, fact)| {
        let name = camera.name();
        let is_on = ask.record == To::On;
        // What is always on needs no switch.
        let is_needless = is_on && camera.settings.recorded == config::Recorded::Always;
        let until = length.map(|length| now.wall.plus(length));
        let is_switched = ask.record != To::Auto && !is_needless;
        let switch = is_switched.then_some(Switch { is_on, until });
        reporter.set_switch(camera.stream, switch, length.map(|length| now.boot.plus(length)));
        if fact.switch != switch {
            store.writer.set_stream(camera.stream, StreamFact { switch, ..fact }.encode());
        }
        let how = match ask.record {
            To::On => "on",
            To::Off => "off",
            To::Auto => "as its settings say",
        };
        let until =
            switch.and(until).map_or(String::new(), |it| format!(" until {}", utc_second(it)));
        log::info!("{name}: recording is switched by hand: {how}{until}");
        format!("{name}: {how}{until}")
    });
    Ok(set.collect())
}

/// The streams that are meant by names of cameras, or by their own: each once, and none that is
/// disabled, but where it is named itself.
fn chosen<'c>(names: &[String], cameras: &'c [Placed]) -> Result<Vec<&'c Placed>, String> {
    let mut chosen: Vec<&Placed> = Vec::new();
    for name in names {
        let is_meant = |it: &&Placed| it.name() == name || it.settings.camera.as_str() == name;
        let meant: Vec<&Placed> = cameras.iter().filter(is_meant).collect();
        if meant.is_empty() {
            let known: Vec<&str> = cameras.iter().map(Placed::name).collect();
            return Err(format!("{name:?} is no camera; there are {}", known.join(", ")));
        }
        let before = chosen.len();
        chosen.extend(meant.into_iter().filter(|it| it.settings.enabled));
        if chosen.len() == before {
            return Err(format!("{name} is disabled: enabled = false in its settings"));
        }
    }
    chosen.sort_by_key(|camera| camera.stream);
    chosen.dedup_by_key(|camera| camera.stream);
    match chosen.is_empty() {
        true => Err("no camera is named".to_owned()),
        false => Ok(chosen),
    }
}

/// Waits until what was asked for is on the disk, and known to all.
///
/// # Errors
/// It is not yet, and why.
pub(super) fn keep(store: &Store) -> Result<(), String> {
    let writer = store.writer.clone();
    let why = match within(KEEP_MAX, "keeping", move || writer.sync()) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    Err(format!("it is done, and not on the disk yet: {}: {why}", store.path.display()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(record: &str) -> CameraConfig {
        let text = format!(
            "[ring]\ndevice = \"r\"\n[view]\nmount = \"m\"\n[[camera]]\nname = \"a\"\n\
             url = \"rtsp://h/\"\nrecord = {record:?}\n"
        );
        Config::parse(Path::new("/r/reelfs.toml"), &text).expect("settings").cameras.remove(0)
    }

    /// So many hours behind the beginning of a Monday.
    fn at(hours: i64) -> WallTime {
        WallTime(1_772_409_600_000_000_000).plus_nanos(hours * 3_600_000_000_000)
    }

    #[test]
    fn settings_say_when_and_a_hand_overrules_them_for_its_time() {
        let utc = Zone::named("UTC").expect("a zone");
        let berlin = Zone::named("Europe/Berlin").expect("a zone");
        let why = |record: &str, switch: Option<Switch>, hours: i64, zone: &Zone| {
            why_off(&settings(record), switch, at(hours), zone)
        };
        assert_eq!(why("always", None, 3, &utc), None);
        assert_eq!(why("off", None, 3, &utc).as_deref(), Some("record is \"off\""));
        let nights = "mon 18:00-07:00";
        assert_eq!(why(nights, None, 18, &utc), None);
        assert_eq!(why(nights, None, 17, &berlin), None, "on the clock of the zone");
        let off = why(nights, None, 17, &utc);
        assert_eq!(off.as_deref(), Some("recorded mon 18:00-07:00 only"));
        let by_hand = |is_on, until: Option<i64>| Some(Switch { is_on, until: until.map(at) });
        assert_eq!(why(nights, by_hand(true, None), 12, &utc), None);
        let off = why("always", by_hand(false, Some(5)), 4, &utc);
        assert_eq!(off.as_deref(), Some("switched off by hand until 2026-03-02T05:00:00Z"));
    }

    #[test]
    fn a_switch_holds_for_its_time_whatever_the_clock_says() {
        let (stream, off) = (StreamNumber(3), Switch { is_on: false, until: Some(at(2)) });
        let now = |hours: i64, boot: i64| Reading {
            wall: at(hours),
            boot: BootTime(boot),
            boot_id: [1; 16],
            synchronised: false,
        };
        let mut switches = Switches::default();
        assert_eq!(switches.in_force(stream, Some(off), &now(1, 0)), Some(off));
        assert_eq!(switches.in_force(stream, Some(off), &now(2, 0)), None, "it has run out");
        switches.set(stream, Some(off), Some(BootTime(100)));
        assert_eq!(switches.in_force(stream, None, &now(90_000, 99)), Some(off), "set ahead");
        assert_eq!(switches.in_force(stream, Some(off), &now(1, 100)), None);
        switches.set(stream, None, None);
        assert_eq!(switches.in_force(stream, Some(off), &now(1, 0)), None, "newer than the ring");
        assert_eq!(
            (switches.said(stream, Some(off)), switches.said(StreamNumber(4), Some(off))),
            (None, Some(off))
        );
    }
}
