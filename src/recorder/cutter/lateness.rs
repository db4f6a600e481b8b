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

use super::usual::{
    JUDGED_NANOS, KEPT_MAX, LOOSE_NANOS, Recent, STILL_PARTS, SURE_MIN, Seen, Told, Usual, is_near,
    range,
};
use crate::units::{BootTime, NANOS_PER_SECOND};

/// They are judged by so many at least.
const JUDGED_MIN: usize = 4;
/// Of so many that the least delay is sure, the least of each of so many parts is compared instead
/// of each lead: what is busy for a moment delays some of them, and makes none early.
const PARTS: usize = 3;

/// So many may be late just before time falls behind.
const LEAP_MAX: usize = 2;
/// What came to be late bit by bit is judged by those of so long, in nanoseconds.
const SLOWLY_NANOS: i64 = 3 * NANOS_PER_SECOND;

/// Time stands still where so many frames in a row, which came one by one, rise too little; no
/// clock does for longer than this, in nanoseconds.
const STILL_MIN: usize = 6;
const STILL_NANOS_MAX: i64 = 6 * NANOS_PER_SECOND;

/// What has been late, or early, since then.
#[derive(Debug)]
struct Suspect {
    since: BootTime,
    seen: VecDeque<Seen>,
    usual: Usual,
}

impl Suspect {
    fn is_late(&self) -> bool {
        self.seen.back().is_some_and(|last| last.lead > self.usual.lead)
    }

    /// Whether a frame comes behind a silence, is later than the one before it by as much as would
    /// be unusual for the first one, and later than all that came lately.
    fn leaps(&self, seen: &Seen) -> bool {
        let Some(last) = self.seen.back() else { return false };
        let mut lately = self.seen.iter().rev().take(SURE_MIN);
        let silence = seen.received.0.saturating_sub(last.received.0);
        let later = seen.lead.saturating_sub(last.lead);
        let is_unusual = self.usual.is_left_by(self.usual.lead.saturating_add(later), SURE_MIN);
        is_unusual
            && silence > self.usual.step.saturating_mul(2)
            && lately.all(|before| before.lead < seen.lead)
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
    recent: Recent,
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
        self.recent.shift(by);
        for seen in self.suspect.iter_mut().flat_map(|suspect| &mut suspect.seen) {
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
        // The usual case, which nothing needs to be known of but what is told, or was usual.
        let is_usual = match told {
            Told::Well(told) => is_near(seen.lead, told),
            Told::Unknown => self.suspect.is_none() && self.recent.is_like(&seen),
            Told::Lately(_) => false,
        };
        if is_usual {
            self.recent.note(seen);
            self.suspect = None;
            return None;
        }
        let usual = match &self.suspect {
            Some(suspect) => Some(suspect.usual.told(told)),
            None => self.recent.look(&seen, told),
        };
        self.recent.note(seen);
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
