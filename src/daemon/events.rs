//! What somebody says of events, or asks of them: from the socket to the ledger, and back.
//!
//! What is said is looked at before anything of it is taken: a camera that is none, a time that
//! can't be, a text that is too long are refused with their reason.

use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

use super::recording::Placed;
use super::reporter::Reporter;
use super::{Store, locked};
use crate::catalogue::Catalogue;
use crate::config::{Config, duration};
use crate::control::{Answer, EndAsk, EventAsk, EventRow, EventsAsk, EventsWanted, Time};
use crate::retention::Terms;
use crate::ring::{ClipState, Reason};
use crate::segment::{EventClass, EventFact, event_id, label_of};
use crate::units::{NANOS_PER_SECOND, StreamKey, WallTime, nanos_of};
use crate::view::utc_timestamp;

/// No event is told of that begins, ends or was heard of later than this from now on, in
/// nanoseconds: the clock of its source is wrong.
const AHEAD_NANOS_MAX: i64 = 3600 * NANOS_PER_SECOND;
/// Nor one from before 2000.
const EARLIEST: WallTime = WallTime(946_684_800 * NANOS_PER_SECOND);
/// How long one that is added by hand may last.
const LENGTH_MAX: Duration = Duration::from_secs(86_400);
/// Who tells of it, where it does not say.
const SOURCE: &str = "socket";
/// What it is, where nobody says.
const LABEL: &str = "event";

/// Where events are known.
pub(super) struct Events<'e> {
    config: &'e Config,
    cameras: Vec<Placed>,
    store: &'e Store,
    brings_back: Cell<bool>,
}

/// What came of an ask.
pub(super) struct Done {
    pub answer: Answer,
    /// Whether the answer is to wait for the disk.
    pub sync: bool,
    /// Whether footage in the trash may have to come back.
    pub brings_back: bool,
}

impl<'e> Events<'e> {
    pub(super) fn new(config: &'e Config, reporter: &'e Reporter, store: &'e Store) -> Events<'e> {
        Events { config, cameras: reporter.cameras(), store, brings_back: Cell::new(false) }
    }

    /// Does what is asked for.
    pub(super) fn carry_out(&self, ask: &EventsAsk) -> Done {
        let (outcome, sync) = match ask {
            EventsAsk::Add(ask) => (self.add(ask).map(done), ask.sync),
            EventsAsk::End(ask) => (self.end(ask).map(done), ask.sync),
            EventsAsk::List(wanted) => (self.list(wanted), false),
            EventsAsk::Remove(wanted) => (self.remove(wanted).map(done), true),
        };
        let answer = outcome.unwrap_or_else(|why| Err(why).into());
        Done { answer, sync, brings_back: self.brings_back.get() }
    }

    fn add(&self, ask: &EventAsk) -> Result<Vec<String>, String> {
        let streams = streams_of(&ask.camera, &self.cameras, self.store)?;
        let id = ask.id.clone().unwrap_or_else(new_id);
        let source = ask.source.clone().unwrap_or_else(|| SOURCE.to_owned());
        let mut said = Vec::new();
        for stream in streams {
            let known =
                locked(&self.store.catalogue).event(stream, event_id(&source, &id)).cloned();
            let fact = self.fact(ask, (&source, &id), known.as_deref())?;
            said.push((stream, known, fact));
        }
        let mut lines = Vec::new();
        for (stream, known, fact) in said {
            let news = known.as_deref().is_none_or(|known| known.with(&fact) != *known);
            if news {
                self.say(stream, &fact)?;
            }
            let name = self.name(stream, fact.start);
            let what = if known.is_some() { "updated" } else { "added" };
            let what = if news { what } else { "nothing new of" };
            let EventFact { class, label, id, .. } = &fact;
            lines.push(format!("{name}: {what} {class} {label}, {id}"));
        }
        Ok(lines)
    }

    /// What is said, with what is known where nothing is.
    fn fact(
        &self,
        ask: &EventAsk,
        (source, id): (&str, &str),
        known: Option<&EventFact>,
    ) -> Result<EventFact, String> {
        let now = self.store.clock.read().wall;
        let class = ask.class.as_deref().map(class_of).transpose()?;
        let label = ask.label.as_deref().map(|said| {
            label_of(said)
                .ok_or_else(|| format!("label {said:?} has no letter a to z and no digit"))
        });
        let start = self.time("start", ask.start.as_ref(), now)?;
        let start = start.or(known.map(|known| known.start)).unwrap_or(now);
        let end = match (&ask.end, &ask.length) {
            (Some(_), Some(_)) => return Err("say one of end and for".to_owned()),
            (None, Some(length)) => {
                let range = Duration::from_secs(1)..=LENGTH_MAX;
                let length = duration::parse_within(length, &range);
                Some(start.plus_nanos(nanos_of(length.map_err(|why| format!("for: {why}"))?)))
            }
            (end, None) => self.time("end", end.as_ref(), now)?,
        };
        let score_permille = match ask.score {
            Some(score) if (0.0..=1.0).contains(&score) => Some((score * 1000.0).round() as u16),
            Some(score) => return Err(format!("score {score} is not from 0 to 1")),
            None => known.and_then(|known| known.score_permille),
        };
        let before = |text: fn(&EventFact) -> &String| known.map(|known| text(known).clone());
        let fact = EventFact {
            source: source.to_owned(),
            id: id.to_owned(),
            class: class.or(known.map(|known| known.class)).unwrap_or(EventClass::Detection),
            label: label
                .transpose()?
                .or_else(|| before(|known| &known.label))
                .unwrap_or_else(|| LABEL.to_owned()),
            start,
            end: end.or(known.and_then(|known| known.end)),
            heard: self.time("time", ask.time.as_ref(), now)?.unwrap_or(now),
            zones: ask
                .zones
                .clone()
                .or_else(|| known.map(|known| known.zones.clone()))
                .unwrap_or_default(),
            score_permille,
            text: ask.text.clone().or_else(|| before(|known| &known.text)).unwrap_or_default(),
        };
        fact.check()?;
        Ok(fact)
    }

    fn time(
        &self,
        what: &str,
        time: Option<&Time>,
        now: WallTime,
    ) -> Result<Option<WallTime>, String> {
        let Some(time) = time else { return Ok(None) };
        let wall = time.wall().map_err(|why| format!("{what}: {why}"))?;
        if wall < EARLIEST {
            return Err(format!("{what}: {} is before 2000", utc_timestamp(wall)));
        }
        if wall.nanos_since(now) > AHEAD_NANOS_MAX {
            let wall = utc_timestamp(wall);
            return Err(format!("{what}: {wall} is more than an hour from now"));
        }
        Ok(Some(wall))
    }

    /// Has the ring take it.
    fn say(&self, stream: StreamKey, fact: &EventFact) -> Result<(), String> {
        let said = self.store.writer.say_of_event(stream.stream, fact.event_id(), fact.encode());
        said.map_err(|why| why.to_string())?;
        let times = claimed(fact, self.terms(stream), self.store.clock.read().wall);
        let is_retired =
            |state: ClipState| matches!(state, ClipState::Expiring { reason: Reason::Quiet, .. });
        let brings_back = locked(&self.store.catalogue)
            .clips_overlapping(stream, times)
            .any(|clip| is_retired(clip.state));
        self.brings_back.set(self.brings_back.get() || brings_back);
        Ok(())
    }

    fn end(&self, ask: &EndAsk) -> Result<Vec<String>, String> {
        let now = self.store.clock.read().wall;
        let end = self.time("end", ask.end.as_ref(), now)?.unwrap_or(now);
        let mut ended = Vec::new();
        for stream in streams_of(&ask.camera, &self.cameras, self.store)? {
            let going: Vec<EventFact> = {
                let catalogue = locked(&self.store.catalogue);
                let open = catalogue.events_of(stream).filter(|event| {
                    event.end.is_none()
                        && ask.id.as_ref().is_none_or(|id| event.id == *id)
                        && ask.source.as_ref().is_none_or(|source| event.source == *source)
                });
                open.map(|event| EventFact::clone(event)).collect()
            };
            for event in going {
                let end = end.max(event.start);
                let over = EventFact { end: Some(end), heard: now.max(event.heard), ..event };
                self.say(stream, &over)?;
                let EventFact { class, label, id, .. } = &over;
                ended.push(format!("{}: ended {class} {label}, {id}", self.name(stream, end)));
            }
        }
        if ended.is_empty() {
            let which =
                ask.id.as_ref().map_or("no event".to_owned(), |id| format!("no event {id:?}"));
            return Err(format!("{}: {which} goes on", ask.camera));
        }
        Ok(ended)
    }

    fn list(&self, wanted: &EventsWanted) -> Result<Answer, String> {
        let limit = wanted.limit.unwrap_or(EventsWanted::LIMIT_MAX);
        if limit > EventsWanted::LIMIT_MAX {
            return Err(format!("no more than {} are listed at once", EventsWanted::LIMIT_MAX));
        }
        let mut found = self.find(wanted)?;
        found.sort_by_key(|(stream, event)| (event.start, *stream));
        if wanted.newest {
            found.reverse();
        }
        let catalogue = locked(&self.store.catalogue);
        let shown = found.into_iter().skip(wanted.offset).take(limit);
        let events = shown.map(|(stream, event)| self.row(&catalogue, stream, &event)).collect();
        Ok(Answer { events, ..Answer::default() })
    }

    fn remove(&self, wanted: &EventsWanted) -> Result<Vec<String>, String> {
        if wanted.id.is_none() {
            return Err("no event is named by its id".to_owned());
        }
        let found = self.find(wanted)?;
        if found.is_empty() {
            return Err(format!(
                "there is no event {:?}",
                wanted.id.as_deref().unwrap_or_default()
            ));
        }
        let removed = found.into_iter().map(|(stream, event)| {
            let withdrawn = self.store.writer.withdraw_event(stream.stream, event.event_id());
            withdrawn.map_err(|why| why.to_string())?;
            let EventFact { class, label, id, start, .. } = &event;
            Ok(format!("{}: removed {class} {label}, {id}", self.name(stream, *start)))
        });
        removed.collect()
    }

    fn find(&self, wanted: &EventsWanted) -> Result<Vec<(StreamKey, EventFact)>, String> {
        let now = self.store.clock.read().wall;
        let class = wanted.class.as_deref().map(class_of).transpose()?;
        let time = |time: &Option<Time>| time.as_ref().map(Time::wall).transpose();
        let from = time(&wanted.from)?.unwrap_or(WallTime(i64::MIN));
        let to = time(&wanted.to)?.unwrap_or(WallTime(i64::MAX));
        let streams = match &wanted.camera {
            Some(camera) => streams_of(camera, &self.cameras, self.store)?,
            None => locked(&self.store.catalogue).streams().map(|(stream, _)| stream).collect(),
        };
        let is_meant = |event: &EventFact| {
            let is =
                |said: &Option<String>, own: &str| said.as_ref().is_none_or(|said| said == own);
            is(&wanted.id, &event.id)
                && is(&wanted.source, &event.source)
                && is(&wanted.label, &event.label)
                && class.is_none_or(|class| class == event.class)
                && event.start < to
                && event.end.unwrap_or(now) >= from
        };
        let catalogue = locked(&self.store.catalogue);
        let found = streams.into_iter().flat_map(|stream| {
            let events = catalogue.events_of(stream).filter(|event| is_meant(event));
            events.map(move |event| (stream, EventFact::clone(event)))
        });
        Ok(found.collect())
    }

    fn row(&self, catalogue: &Catalogue, stream: StreamKey, event: &EventFact) -> EventRow {
        let (terms, now) = (self.terms(stream), self.store.clock.read().wall);
        let of_class = terms.of(event.class);
        let times = claimed(event, terms, now);
        let grows =
            catalogue.growing_of(stream).is_some_and(|(_, growth)| growth.start < times.end);
        let clips = catalogue.clips_overlapping(stream, times).filter(|clip| clip.readable());
        let bytes: Vec<u64> = clips.map(|clip| clip.used.bytes.0).collect();
        let is_there = grows || !bytes.is_empty();
        let camera = catalogue.stream(stream).map(|fact| fact.name_at(event.start).to_owned());
        EventRow {
            id: event.id.clone(),
            source: event.source.clone(),
            camera: camera.unwrap_or_default(),
            class: event.class.to_string(),
            label: event.label.clone(),
            start: utc_timestamp(event.start),
            end: event.end.map(utc_timestamp),
            updated: utc_timestamp(event.heard),
            zones: event.zones.clone(),
            score: event.score_permille.map(|score| f64::from(score) / 1000.0),
            text: event.text.clone(),
            pre_seconds: of_class.pre.as_secs_f64(),
            post_seconds: of_class.post.as_secs_f64(),
            footage: if is_there { "some" } else { "none" }.to_owned(),
            clips: bytes.len(),
            bytes: bytes.iter().sum(),
        }
    }

    fn terms(&self, stream: StreamKey) -> &Terms {
        let own = self.cameras.iter().find(|it| it.stream == stream.stream);
        own.map_or(&self.config.retain, |camera| &camera.settings.retain)
    }

    fn name(&self, stream: StreamKey, at: WallTime) -> String {
        let catalogue = locked(&self.store.catalogue);
        let name = catalogue.stream(stream).map(|fact| fact.name_at(at).to_owned());
        name.unwrap_or_else(|| format!("stream {stream}"))
    }
}

/// The streams of a camera, or the one of that name; of one that has left the settings, its
/// last.
pub(super) fn streams_of(
    name: &str,
    cameras: &[Placed],
    store: &Store,
) -> Result<Vec<StreamKey>, String> {
    let ring = store.archive.number();
    let meant =
        cameras.iter().filter(|it| it.name() == name || it.settings.camera.as_str() == name);
    let meant: Vec<StreamKey> = meant.map(|it| StreamKey { ring, stream: it.stream }).collect();
    if !meant.is_empty() {
        return Ok(meant);
    }
    let left = locked(&store.catalogue).stream_named(name).map(|(stream, _)| stream);
    left.map(|stream| vec![stream]).ok_or_else(|| {
        let known: Vec<&str> = cameras.iter().map(|camera| camera.name()).collect();
        match name {
            "" => format!("no camera is named; there are {}", known.join(", ")),
            name => format!("{name:?} is no camera; there are {}", known.join(", ")),
        }
    })
}

fn done(lines: Vec<String>) -> Answer {
    Ok(lines).into()
}

/// Which time an event is about, with what is claimed beside it.
fn claimed(event: &EventFact, terms: &Terms, now: WallTime) -> Range<WallTime> {
    let of_class = terms.of(event.class);
    let end = event.end_at(now, nanos_of(terms.stale));
    event.start.minus(of_class.pre)..end.plus_nanos(nanos_of(of_class.post).saturating_add(1))
}

fn class_of(name: &str) -> Result<EventClass, String> {
    EventClass::named(name).ok_or_else(|| {
        let named: Vec<&str> = EventClass::NAMED.iter().map(|(name, _)| *name).collect();
        format!("{name:?} is no class of events; there are {}", named.join(", "))
    })
}

/// What nobody else calls an event.
fn new_id() -> String {
    let mut id = uuid::Uuid::new_v4().simple().to_string();
    id.truncate(12);
    id
}
