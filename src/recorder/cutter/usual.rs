//! How frames usually come: what those are compared with that come late. Pure.

use std::collections::VecDeque;

use crate::units::{BootTime, NANOS_PER_SECOND};

const MILLI: i64 = 1_000_000;

/// Late ones are judged by those of so long, in nanoseconds.
pub(super) const JUDGED_NANOS: i64 = 600 * MILLI;
/// By so many it is known how they come.
const KNOWN_MIN: usize = 8;
/// By so many it is sure that the least delay is among them.
pub(super) const SURE_MIN: usize = 14;

/// Less than this, and half of what delays usually vary, is no hiccup, in nanoseconds.
const OFF_NANOS_MIN: i64 = 80 * MILLI;
/// By what leads may differ behind one, beside what delays usually vary, in nanoseconds.
pub(super) const LOOSE_NANOS: i64 = 40 * MILLI;

/// Time stands still that rises by less than this part of what it usually does.
pub(super) const STILL_PARTS: i64 = 4;

/// How frames usually come is seen from the last ones: of twice as long as this, in nanoseconds. A
/// lead that grows meanwhile is no usual one: it is that of a clock whose rate is off.
const USUAL_NANOS: i64 = NANOS_PER_SECOND;
/// The same where nothing that has been told can be relied on yet.
const USUAL_FIRST_NANOS: i64 = 400 * MILLI;
/// Of what delays vary by, so much at most passes for such a growth, in nanoseconds.
const STEADY_NANOS: i64 = 60 * MILLI;
/// Frames that are remembered: bounds memory and work.
pub(super) const KEPT_MAX: usize = 256;
/// How they usually come is seen anew after so long, in nanoseconds.
const LOOK_NANOS: i64 = NANOS_PER_SECOND / 4;

/// One frame that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) lead: i64,
    pub(super) received: BootTime,
}

impl Seen {
    /// Its time, in nanoseconds.
    pub(super) fn media(&self) -> i64 {
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

/// How frames come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    pub(super) lead: i64,
    /// By how much leads differ.
    pub(super) spread: i64,
    /// By how much they rise until a frame is judged, as they did so far: the clock may be slow.
    rise: i64,
    /// How far frames are apart.
    pub(super) step: i64,
}

impl Usual {
    /// The same, compared with what is told where that can be.
    pub(super) fn told(self, told: Told<i64>) -> Usual {
        match told {
            Told::Well(lead) => Usual { lead, rise: 0, ..self },
            Told::Unknown | Told::Lately(_) => self,
        }
    }

    /// Whether a lead is unlike the usual one.
    pub(super) fn is_left_by(&self, lead: i64, count: usize) -> bool {
        let spread = if count < SURE_MIN { self.spread } else { self.spread / 2 };
        let off = lead.saturating_sub(self.lead).saturating_abs();
        off > OFF_NANOS_MIN.saturating_add(spread).saturating_add(self.rise)
    }

    /// Whether time goes on from one frame to the next: no clock that stands still does, and no
    /// network holds up a frame until its time is that of the next one.
    pub(super) fn goes_on(&self, media: i64, next: i64) -> bool {
        next.saturating_sub(media) > self.step / STILL_PARTS
    }
}

/// The last frames.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seen: VecDeque<Seen>,
    /// How they came, and when that was looked at.
    known: Option<(Usual, BootTime)>,
}

impl Recent {
    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.known = None;
    }

    /// All came later by so many nanoseconds than they seemed to.
    pub(super) fn shift(&mut self, by: i64) {
        for lead in self.seen.iter_mut().map(|seen| &mut seen.lead) {
            *lead = lead.saturating_add(by);
        }
        if let Some((usual, _)) = &mut self.known {
            usual.lead = usual.lead.saturating_add(by);
        }
    }

    /// Whether a frame comes as those did that came lately.
    pub(super) fn is_like(&self, seen: &Seen) -> bool {
        self.known.is_some_and(|(usual, at)| {
            seen.received.0.saturating_sub(at.0) < LOOK_NANOS && is_near(seen.lead, usual.lead)
        })
    }

    /// How frames came up to this one, which is another one.
    pub(super) fn look(&mut self, seen: &Seen, told: Told<i64>) -> Option<Usual> {
        let usual = self.usual(told);
        self.known = usual.map(|usual| (usual, seen.received));
        usual.or_else(|| self.begun(seen))
    }

    pub(super) fn note(&mut self, seen: Seen) {
        self.seen.push_back(seen);
        let is_old = |first: &Seen| seen.received.0 - first.received.0 > 2 * USUAL_NANOS;
        while self.seen.len() > KEPT_MAX
            || (self.seen.len() > KNOWN_MIN && self.seen.front().is_some_and(is_old))
        {
            self.seen.pop_front();
        }
    }

    /// How the few frames came with which a session began, before a long silence that its time does
    /// not tell of.
    fn begun(&self, seen: &Seen) -> Option<Usual> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let is_short = self.seen.len() < KNOWN_MIN
            || last.received.0.saturating_sub(first.received.0) < USUAL_FIRST_NANOS;
        let silence = seen.received.0.saturating_sub(last.received.0);
        let step = seen.media().saturating_sub(last.media());
        let is_left_out = silence > USUAL_NANOS && step > 0 && step < silence / 2;
        let (lead, spread) = range(self.seen.iter().map(|seen| seen.lead))?;
        (is_short && is_left_out).then_some(Usual { lead, spread, rise: 0, step })
    }

    /// How frames came up to now, where enough of them did and they came steadily.
    fn usual(&self, told: Told<i64>) -> Option<Usual> {
        let (first, last) = (self.seen.front()?.received, self.seen.back()?.received);
        let span = last.0.saturating_sub(first.0);
        let span_min = match told {
            Told::Well(_) => USUAL_NANOS,
            Told::Unknown | Told::Lately(_) => USUAL_FIRST_NANOS,
        };
        if span < span_min || self.seen.len() < KNOWN_MIN {
            return None;
        }
        let is_early = |seen: &&Seen| seen.received.0.saturating_sub(first.0) < span / 2;
        let half = self.seen.iter().take_while(is_early).count();
        let leads = || self.seen.iter().map(|seen| seen.lead);
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
        let (_, media) = range(self.seen.iter().map(Seen::media))?;
        let step = media / (self.seen.len() as i64 - 1);
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

/// Whether two leads are the same, but for what is no hiccup.
pub(super) fn is_near(lead: i64, other: i64) -> bool {
    lead.saturating_sub(other).saturating_abs() <= OFF_NANOS_MIN
}

/// The least, and how far the most is from it.
pub(super) fn range(values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    let ends = |ends: Option<(i64, i64)>, value: i64| {
        let (least, most) = ends.unwrap_or((value, value));
        Some((least.min(value), most.max(value)))
    };
    let (least, most) = values.fold(None, ends)?;
    Some((least, most.saturating_sub(least)))
}
