//! The hour in a clip's name: sorts in time also where the clock shows it twice.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Timelike};

use crate::segment::NameForm;
use crate::units::WallTime;
use crate::zone::{SecondPass, Zone};

/// When a clip begins, as its name says it.
pub(super) struct LocalStart {
    /// On the local clock.
    pub time: DateTime<FixedOffset>,
    /// The hour of it.
    pub hour: NameHour,
    /// Seconds by which the clock is ahead of UTC, where the name says so: that of a clip from an
    /// earlier build, in either pass of what is shown twice.
    pub told_offset_seconds: Option<i32>,
}

/// An hour, by how often the clock shows its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameHour {
    /// Once, or for the first time.
    Only(u32),
    /// For the second time.
    Again(u32),
    /// For the second time; and what is repeated reaches over several hours of the day, of which
    /// this is the last.
    AgainBehind {
        /// The last hour of the first pass: names of the second pass sort behind it.
        last: u32,
        /// The hour that the clock shows.
        own: u32,
    },
}

impl LocalStart {
    /// `start` on the clock of `zone`, for a name of this form.
    pub fn new(zone: &Zone, start: WallTime, form: NameForm) -> LocalStart {
        let time = zone.local(start);
        let only = NameHour::Only(time.hour());
        if !matches!(form, NameForm::InOrder { .. }) {
            let told_offset_seconds =
                zone.shows_twice(start).then(|| time.offset().local_minus_utc());
            return LocalStart { time, hour: only, told_offset_seconds };
        }
        let again = zone.second_pass(start);
        let hour = again.map_or(only, |again| hour_again(&again, time.hour(), time.date_naive()));
        LocalStart { time, hour, told_offset_seconds: None }
    }
}

impl NameHour {
    /// The hour that stands in the name, where it sorts.
    pub fn sorts_as(self) -> u32 {
        match self {
            NameHour::Only(hour) | NameHour::Again(hour) => hour,
            NameHour::AgainBehind { last, .. } => last,
        }
    }
}

/// Of what is repeated, only what lies on `day` counts: another day's names are in another
/// directory, or begin with another date.
fn hour_again(again: &SecondPass, own: u32, day: NaiveDate) -> NameHour {
    let last = again.to - TimeDelta::nanoseconds(1);
    let last = if last.date() == day { last.hour() } else { 23 };
    let first = if again.from.date() == day { again.from.hour() } else { 0 };
    if first == last { NameHour::Again(own) } else { NameHour::AgainBehind { last, own } }
}
