//! Whether frames that come late were captured late. Pure.
//!
//! Where a camera sends nothing for a moment and goes on where it stopped, all frames from there on
//! are later than those before, by the same: it takes a moment to be seen. A network that stood
//! still delivers what it kept, and is as fast as before right away; one that is slow becomes so
//! bit by bit, and stops being so. Where frames come one by one whose time does not rise, the
//! camera's time stands still.
//!
//! What is compared is the *lead* of a frame: its arrival less its time, in nanoseconds.

use std::collections::VecDeque;
use std::mem;

use crate::units::{BootTime, NANOS_PER_SECOND};

const MILLI: i64 = 1_000_000;

/// They are judged by those of so long, in nanoseconds, and by so many at least.
const JUDGED_NANOS: i64 = 600 * MILLI;
const JUDGED_MIN: usize = 4;
/// By so many it is sure that the least delay is among them.
const SURE_MIN: usize = 14;
/// Of that many, the least of each of so many parts is compared instead of each lead: what is busy
/// for a moment delays some of them, and makes none early.
const PARTS: usize = 3;

/// Less than this, and half of what delays usually vary, is no hiccup, in nanoseconds.
const OFF_NANOS_MIN: i64 = 80 * MILLI;
/// By what leads may differ behind one, beside what delays usually vary, in nanoseconds.
const LOOSE_NANOS: i64 = 40 * MILLI;
/// So many may be late just before time falls behind.
const LEAP_MAX: usize = 2;
/// What came to be late bit by bit is judged by those of so long, in nanoseconds.
const SLOWLY_NANOS: i64 = 3 * NANOS_PER_SECOND;

/// Time stands still where so many frames in a row, which came one by one, rise by less than this
/// part of what they usually do; no clock does for longer than this, in nanoseconds.
const STILL_MIN: usize = 6;
const STILL_PARTS: i64 = 4;
const STILL_NANOS_MAX: i64 = 6 * NANOS_PER_SECOND;

/// How frames usually come is seen from the last ones: of twice as long as this, in nanoseconds. A
/// lead that grows meanwhile is no usual one: it is that of a clock whose rate is off.
const USUAL_NANOS: i64 = NANOS_PER_SECOND;
/// The same where nothing that has been told can be relied on yet.
const USUAL_FIRST_NANOS: i64 = 400 * MILLI;
/// Of what delays vary by, so much at most passes for such a growth, in nanoseconds.
const STEADY_NANOS: i64 = 60 * MILLI;
/// Frames that are remembered: bounds memory and work.
const KEPT_MAX: usize = 256;

/// One frame that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) lead: i64,
    pub(super) received: BootTime,
}

impl Seen {
    /// Its time, in nanoseconds.
    fn media(&self) -> i64 {
        self.received.0.saturating_sub(self.lead)
    }
}

/// When a frame is told to be captured, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<T> {
    /// It is not settled.
    Unknown,
    /// The way of frames is known since lately.
    Lately(T),
    /// It is what frames that are late are compared with.
    Well(T),
}

impl<T> Told<T> {
    /// What is told, if it is; `is_long` where the way of frames is known for a while.
    pub(super) fn new(told: Option<T>, is_long: bool) -> Told<T> {
        match told {
            Some(told) if is_long => Told::Well(told),
            Some(told) => Told::Lately(told),
            None => Told::Unknown,
        }
    }

    pub(super) fn map<U>(self, function: impl FnOnce(T) -> U) -> Told<U> {
        match self {
            Told::Unknown => Told::Unknown,
            Told::Lately(told) => Told::Lately(function(told)),
            Told::Well(told) => Told::Well(function(told)),
        }
    }
}

/// What has been late, or early, since then.
#[derive(Debug)]
struct Suspect {
    since: BootTime,
    seen: VecDeque<Seen>,
    usual: Usual,
}

/// How frames come.
#[derive(Clone, Copy, Debug)]
struct Usual {
    lead: i64,
    /// By how much leads differ.
    spread: i64,
    /// By how much they rise until a frame is judged, as they did so far: the clock may be slow.
    rise: i64,
    /// How far frames are apart.
    step: i64,
}

impl Usual {
    /// The same, compared with what is told where that can be.
    fn told(self, told: Told<i64>) -> Usual {
        match told {
            Told::Well(lead) => Usual { lead, rise: 0, ..self },
            Told::Unknown | Told::Lately(_) => self,
        }
    }

    /// Whether a lead is unlike the usual one.
    fn is_left_by(&self, lead: i64, count: usize) -> bool {
        let spread = if count < SURE_MIN { self.spread } else { self.spread / 2 };
        let off = lead.saturating_sub(self.lead).saturating_abs();
        off > OFF_NANOS_MIN.saturating_add(spread).saturating_add(self.rise)
    }

    /// Whether time goes on from one frame to the next: no clock that stands still does, and no
    /// network holds up a frame until its time is that of the next one.
    fn goes_on(&self, media: i64, next: i64) -> bool {
        next.saturating_sub(media) > self.step / STILL_PARTS
    }
}

impl Suspect {
    fn is_late(&self) -> bool {
        self.seen.back().is_some_and(|last| last.lead > self.usual.lead)
    }

    /// Whether a frame comes behind a silence and is later than the one before it by as much as
    /// would be unusual for the first one.
    fn leaps(&self, seen: &Seen) -> bool {
        let Some(last) = self.seen.back() else { return false };
        let silence = seen.received.0.saturating_sub(last.received.0);
        let later = seen.lead.saturating_sub(last.lead);
        let is_unusual = self.usual.is_left_by(self.usual.lead.saturating_add(later), SURE_MIN);
        is_unusual && later > 0 && silence > self.usual.step.saturating_mul(2)
    }

    /// Whether the camera's time stands still, although frames come.
    fn stands_still(&self) -> bool {
        let last = || self.seen.iter().rev().take(STILL_MIN);
        let of = |value: fn(&Seen) -> i64| range(last().map(value)).map_or(0, |(_, range)| range);
        let usual = self.usual.step.saturating_mul(STILL_MIN as i64 - 1);
        self.seen.len() >= STILL_MIN
            && of(Seen::media) < usual / STILL_PARTS
            && of(|seen| seen.received.0) > usual / 2
    }

    /// How far the lead is off, where it has come to rest: at once, or slowly.
    fn verdict(&self) -> Option<i64> {
        let now = self.seen.back()?.received;
        let loose = LOOSE_NANOS.saturating_add(self.usual.spread);
        let recent = |nanos: i64| {
            let is_recent = |seen: &&Seen| now.0.saturating_sub(seen.received.0) <= nanos;
            self.seen.iter().rev().take_while(is_recent).count()
        };
        let leapt = |off: &i64| {
            let level = self.usual.lead.saturating_add(*off);
            // What is beyond it was kept, and is delivered as fast as it can be.
            let short = |seen: &Seen| level.saturating_sub(seen.lead).saturating_mul(off.signum());
            let is_far = |seen: &&Seen| short(seen) > loose;
            // Those that come with the one before them were held up by it.
            let mut last = (i64::MIN, i64::MIN);
            let mut goes_on = |seen: &&Seen| {
                let now = (seen.media(), seen.received.0);
                let before = mem::replace(&mut last, now);
                self.usual.goes_on(before.0, now.0) && self.usual.goes_on(before.1, now.1)
            };
            self.seen.iter().take_while(is_far).filter(|seen| goes_on(seen)).count() <= LEAP_MAX
        };
        match now.0.saturating_sub(self.since.0) {
            ..JUDGED_NANOS => None,
            JUDGED_NANOS..SLOWLY_NANOS => {
                let judged = self.off(recent(JUDGED_NANOS).max(JUDGED_MIN), loose);
                judged.or_else(|| self.off(SURE_MIN, loose)).filter(leapt)
            }
            _ => self.off(recent(SLOWLY_NANOS).max(JUDGED_MIN), loose.saturating_mul(2)),
        }
    }

    /// How far it is off, seen from so many frames, whose leads differ by so much at most.
    fn off(&self, count: usize, loose: i64) -> Option<i64> {
        let leads = || self.seen.iter().rev().take(count).map(|seen| seen.lead);
        let (least, differ) = match count {
            ..SURE_MIN => range(leads())?,
            _ => range(floors(leads(), count).into_iter())?,
        };
        let is_at_rest = differ <= loose && leads().count() == count;
        let is_off = self.usual.is_left_by(least, count);
        (is_at_rest && is_off).then(|| least.saturating_sub(self.usual.lead))
    }
}

/// The camera's time stands still.
#[derive(Clone, Copy, Debug)]
struct Still {
    since: BootTime,
    usual: Usual,
    /// The time of the frame before, in nanoseconds.
    media: i64,
}

impl Still {
    /// Whether time goes on with a frame, or will not.
    fn is_over(&self, seen: &Seen) -> bool {
        self.usual.goes_on(self.media, seen.media()) || self.is_endless(seen)
    }

    /// One more frame comes, which gets the time at which it came.
    fn goes_on(&mut self, seen: &Seen) -> Verdict {
        self.media = seen.received.0.saturating_sub(self.usual.lead);
        Verdict::Still(self.usual.lead)
    }

    fn is_endless(&self, seen: &Seen) -> bool {
        seen.received.0.saturating_sub(self.since.0) > STILL_NANOS_MAX
    }
}

/// What has become clear with a frame.
pub(super) enum Verdict {
    /// Times have fallen behind by so many nanoseconds.
    Behind(i64),
    /// What is told is too late.
    Early,
    /// Each of the frames that wait was captured when it came, less this.
    Still(i64),
}

/// The frames of one track so far.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    recent: VecDeque<Seen>,
    suspect: Option<Suspect>,
    still: Option<Still>,
    /// Its time has stood still for longer than that of any clock.
    is_no_clock: bool,
}

impl Lateness {
    /// Since when frames are late of which it is not clear why.
    pub(super) fn since(&self) -> Option<BootTime> {
        self.suspect.as_ref().filter(|suspect| suspect.is_late()).map(|suspect| suspect.since)
    }

    /// Forgets how frames came: their times run at another pace from here on.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
        (self.suspect, self.still) = (None, None);
    }

    /// All frames came later by so many nanoseconds than they seemed to: what their times are told
    /// in is known better.
    pub(super) fn shift(&mut self, by: i64) {
        let suspects = self.suspect.iter_mut().flat_map(|suspect| &mut suspect.seen);
        for seen in self.recent.iter_mut().chain(suspects) {
            seen.lead = seen.lead.saturating_add(by);
        }
        for usual in self.suspect.iter_mut().map(|suspect| &mut suspect.usual) {
            usual.lead = usual.lead.saturating_add(by);
        }
        if let Some(still) = &mut self.still {
            still.usual.lead = still.usual.lead.saturating_add(by);
            still.media = still.media.saturating_sub(by);
        }
    }

    /// What has become clear with a frame.
    pub(super) fn judge(&mut self, seen: Seen, told: Told<i64>) -> Option<Verdict> {
        if self.is_no_clock {
            return None;
        }
        if let Some(still) = self.still.take_if(|still| still.is_over(&seen)) {
            self.is_no_clock = still.is_endless(&seen);
        }
        if let Some(still) = &mut self.still {
            return Some(still.goes_on(&seen));
        }
        // The usual case, which nothing needs to be known of but what is told.
        let is_near = |told: i64| seen.lead.saturating_sub(told).saturating_abs() <= OFF_NANOS_MIN;
        if matches!(told, Told::Well(told) if is_near(told)) {
            self.note(seen);
            self.suspect = None;
            return None;
        }
        let usual = match &self.suspect {
            Some(suspect) => Some(suspect.usual.told(told)),
            None => self.usual(told),
        };
        self.note(seen);
        let Some(usual) = usual.filter(|usual| usual.is_left_by(seen.lead, SURE_MIN)) else {
            self.suspect = None;
            return None;
        };
        // What was late before that is another matter.
        self.suspect.take_if(|suspect| suspect.leaps(&seen));
        let new = || Suspect { since: seen.received, seen: VecDeque::new(), usual };
        let suspect = self.suspect.get_or_insert_with(new);
        if suspect.seen.len() == KEPT_MAX {
            suspect.seen.pop_front();
        }
        suspect.seen.push_back(seen);
        suspect.usual = usual;
        if suspect.stands_still() {
            let still = Still { since: suspect.since, usual, media: 0 };
            self.forget();
            return Some(self.still.insert(still).goes_on(&seen));
        }
        let off = suspect.verdict()?;
        self.forget();
        Some(if off > 0 { Verdict::Behind(off) } else { Verdict::Early })
    }

    fn note(&mut self, seen: Seen) {
        self.recent.push_back(seen);
        let is_old = |first: &Seen| seen.received.0 - first.received.0 > 2 * USUAL_NANOS;
        while self.recent.len() > KEPT_MAX
            || (self.recent.len() > 2 * JUDGED_MIN && self.recent.front().is_some_and(is_old))
        {
            self.recent.pop_front();
        }
    }

    /// How frames came up to now, where enough of them did and they came steadily.
    fn usual(&self, told: Told<i64>) -> Option<Usual> {
        let (first, last) = (self.recent.front()?.received, self.recent.back()?.received);
        let span = last.0.saturating_sub(first.0);
        let span_min = match told {
            Told::Well(_) => USUAL_NANOS,
            Told::Unknown | Told::Lately(_) => USUAL_FIRST_NANOS,
        };
        if span < span_min || self.recent.len() < 2 * JUDGED_MIN {
            return None;
        }
        let is_early = |seen: &&Seen| seen.received.0.saturating_sub(first.0) < span / 2;
        let half = self.recent.iter().take_while(is_early).count();
        let leads = || self.recent.iter().map(|seen| seen.lead);
        let (early, recent) = (range(leads().take(half))?, range(leads().skip(half))?);
        // A lead that grows is no spread; nor is one leap, from one frame to the next.
        let rise = recent.0.saturating_sub(early.0);
        let growth = rise.saturating_abs();
        let steps = leads().zip(leads().skip(1));
        let steps = steps.map(|(one, next)| one.saturating_sub(next).saturating_abs());
        let (_, leap) =
            steps.fold((0, 0), |(most, second), step| (most.max(step), second.max(step.min(most))));
        let spread = early.1.min(recent.1).saturating_sub(growth).max(leap);
        let loose = LOOSE_NANOS + (spread / 4).min(STEADY_NANOS);
        let is_steady = growth <= loose;
        let (_, media) = range(self.recent.iter().map(Seen::media))?;
        let step = media / (self.recent.len() as i64 - 1);
        let lead = match told {
            Told::Lately(told) => recent.0.max(told),
            _ => recent.0,
        };
        let is_known = is_steady || matches!(told, Told::Well(_));
        let until_judged = (JUDGED_NANOS + span / 4) as f64 / (span / 2) as f64;
        let rise = (rise.max(0) as f64 * until_judged) as i64;
        is_known.then(|| Usual { lead, spread, rise, step }.told(told))
    }
}

/// The least of each part of so many.
fn floors(leads: impl Iterator<Item = i64>, count: usize) -> [i64; PARTS] {
    let mut floors = [i64::MAX; PARTS];
    for (at, lead) in leads.enumerate() {
        let floor = &mut floors[at * PARTS / count];
        *floor = lead.min(*floor);
    }
    floors
}

/// The least, and how far the most is from it.
fn range(values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    let ends = |ends: Option<(i64, i64)>, value: i64| {
        let (least, most) = ends.unwrap_or((value, value));
        Some((least.min(value), most.max(value)))
    };
    let (least, most) = values.fold(None, ends)?;
    Some((least, most.saturating_sub(least)))
}
