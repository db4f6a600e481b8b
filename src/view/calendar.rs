//! Where clips are cut.

use std::time::Duration;

use crate::units::{NANOS_PER_SECOND, WallTime, nanos_of};
use crate::zone::Zone;

/// The next instant at which a clip has to end: later than `wall`, at most `clip_length` away.
///
/// `clip_length` divides an hour; boundaries are its multiples on the local clock, so that
/// every local hour and every local midnight is one. Where a clock change shifts the clock by
/// less than an hour, clips go by the new clock as soon as that does not make one too long.
#[must_use]
pub fn clip_boundary_after(zone: &Zone, clip_length: Duration, wall: WallTime) -> WallTime {
    let length = nanos_of(clip_length).max(1);
    let offset = offset_nanos(zone, wall);
    let same_clock = multiple_after(length, offset, wall);
    let new_offset = offset_nanos(zone, same_clock);
    if new_offset == offset {
        return same_clock;
    }
    let change = zone.change_between(wall, same_clock);
    let new_clock = multiple_after(length, new_offset, change.plus_nanos(-1));
    if new_clock.nanos_since(wall) <= length { new_clock } else { same_clock }
}

fn offset_nanos(zone: &Zone, wall: WallTime) -> i64 {
    i64::from(zone.offset_seconds(wall)) * NANOS_PER_SECOND
}

/// The first multiple of `length` later than `wall` on a clock that is `offset` ahead of UTC.
fn multiple_after(length: i64, offset: i64, wall: WallTime) -> WallTime {
    let into = wall.0.saturating_add(offset).rem_euclid(length);
    wall.plus_nanos(length - into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::length_of;
    use chrono::{DateTime, Timelike};
    use proptest::prelude::*;

    const MINUTE: i64 = 60 * NANOS_PER_SECOND;
    const LENGTHS: [i64; 9] = [
        10 * NANOS_PER_SECOND,
        15 * NANOS_PER_SECOND,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        60 * MINUTE,
    ];

    fn zone(name: &str) -> Zone {
        Zone::named(name).expect("in the database")
    }

    fn at(text: &str) -> WallTime {
        let parsed = DateTime::parse_from_rfc3339(text).expect("a time in the test");
        WallTime(parsed.timestamp_nanos_opt().expect("in range"))
    }

    fn boundary(zone: &Zone, minutes: i64, text: &str) -> WallTime {
        clip_boundary_after(zone, length_of(minutes * MINUTE), at(text))
    }

    #[test]
    fn boundaries_are_multiples_on_the_local_clock() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(
            boundary(&berlin, 10, "2026-11-21T13:04:07.5+01:00"),
            at("2026-11-21T13:10:00+01:00")
        );
        assert_eq!(
            boundary(&berlin, 10, "2026-11-21T13:10:00+01:00"),
            at("2026-11-21T13:20:00+01:00")
        );
        assert_eq!(
            boundary(&zone("Asia/Kathmandu"), 60, "2026-11-21T13:10:00+05:45"),
            at("2026-11-21T14:00:00+05:45")
        );
        assert_eq!(
            boundary(&zone("Asia/Kolkata"), 60, "2026-11-21T23:59:59+05:30"),
            at("2026-11-22T00:00:00+05:30")
        );
    }

    #[test]
    fn both_passes_of_a_repeated_hour_are_cut_alike() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(
            boundary(&berlin, 30, "2026-10-25T02:45:00+02:00"),
            at("2026-10-25T02:00:00+01:00")
        );
        assert_eq!(
            boundary(&berlin, 30, "2026-10-25T02:10:00+01:00"),
            at("2026-10-25T02:30:00+01:00")
        );
    }

    #[test]
    fn a_half_hour_change_never_makes_a_clip_too_long() {
        // Lord Howe goes from 02:00 (+10:30) to 02:30 (+11).
        let zone = zone("Australia/Lord_Howe");
        assert_eq!(
            boundary(&zone, 60, "2026-10-04T01:50:00+10:30"),
            at("2026-10-04T03:00:00+11:00")
        );
        assert_eq!(
            boundary(&zone, 60, "2026-10-04T01:00:00+10:30"),
            at("2026-10-04T02:30:00+11:00")
        );
    }

    #[test]
    fn a_midnight_that_a_clock_change_skips_is_still_a_cut() {
        // Beirut goes from 00:00 to 01:00.
        let zone = zone("Asia/Beirut");
        let cut = boundary(&zone, 60, "2026-03-28T23:20:00+02:00");
        assert_eq!(cut, at("2026-03-29T01:00:00+03:00"));
        assert_eq!(zone.local(cut).hour(), 1);
    }

    proptest! {
        #[test]
        fn boundaries_grow_and_are_never_further_than_a_clip(
            name in prop::sample::select(Zone::names().collect::<Vec<_>>()),
            second in 0i64..4_000_000_000,
            fraction in 0i64..NANOS_PER_SECOND,
            length in 0..LENGTHS.len(),
        ) {
            let (zone, length) = (zone(name), LENGTHS[length]);
            let mut wall = WallTime(second * NANOS_PER_SECOND + fraction);
            for _ in 0..8 {
                let next = clip_boundary_after(&zone, length_of(length), wall);
                prop_assert!(next > wall);
                prop_assert!(next.nanos_since(wall) <= length);
                let here = offset_nanos(&zone, wall);
                let there = offset_nanos(&zone, next);
                if here == there {
                    prop_assert_eq!((next.0 + there).rem_euclid(length), 0);
                }
                wall = next;
            }
        }

        #[test]
        fn no_clip_reaches_over_a_local_midnight(
            second in 1_700_000_000i64..1_900_000_000,
            length in 0..LENGTHS.len(),
            zone in prop::sample::select(vec![
                zone("Europe/Berlin"), zone("America/New_York"), zone("Asia/Kathmandu"),
                zone("Australia/Lord_Howe"), zone("America/St_Johns"), zone("Asia/Beirut"),
                zone("America/Havana"), Zone::UTC,
            ]),
        ) {
            let wall = WallTime(second * NANOS_PER_SECOND);
            let last = clip_boundary_after(&zone, length_of(LENGTHS[length]), wall).plus_nanos(-1);
            let (first_day, last_day) =
                (zone.local(wall).date_naive(), zone.local(last).date_naive());
            prop_assert_eq!(first_day, last_day);
        }
    }
}
