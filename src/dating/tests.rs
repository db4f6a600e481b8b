//! Clips on clocks that are wrong, right, and set.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ring::{News, Timing, Used};
use crate::segment::{ClipFact, ClockQuality, NameForm, Redating};
use crate::units::{BootTime, ClipId, RingNumber, Sequence, SessionNumber, StreamNumber};

const RING: RingNumber = RingNumber(0);
const SECOND: i64 = NANOS_PER_SECOND;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// When the ring was made, and an hour of the boot clock later.
const CREATED: i64 = 1_790_000_000 * SECOND;
const BOOT: u8 = 7;

use ClockQuality::{Given, Synchronised, Unsynchronised};

fn id(number: u64) -> ClipId {
    ClipId(Sequence::new(SessionNumber(1), number))
}

fn key(number: u64) -> ClipKey {
    ClipKey::new(RING, id(number)).expect("a sound id")
}

/// A clip of ten seconds.
fn clip(to: &mut Catalogue, number: u64, start: i64, quality: ClockQuality) {
    let (start, end) = (WallTime(start), WallTime(start + 10 * SECOND));
    let fact = ClipFact::between(start, end, quality);
    let closed = News::ClipClosed {
        clip: id(number),
        stream: StreamNumber(1),
        fact: fact.encode().into(),
        used: Used::default(),
        redating: None,
    };
    to.apply(RING, &closed).expect("a clip");
}

/// From this clip on the wall clock is `offset` ahead of the boot clock.
fn timed(to: &mut Catalogue, number: u64, offset: i64, boot: u8, synchronised: bool) {
    let (wall, boot, boot_id) = (WallTime(offset + 5), BootTime(5), [boot; 16]);
    let timing = Timing { clock: ClockFact { wall, boot, boot_id }, synchronised };
    let (stream, clip) = (StreamNumber(1), id(number));
    to.apply(RING, &News::StreamTimed { stream, clip, timing }).expect("a timing");
}

/// An hour after the boot, of which the wall clock shows `offset` more.
fn now(offset: i64, confirmed: bool) -> Now {
    let reading = Reading {
        wall: WallTime(offset + HOUR),
        boot: BootTime(HOUR),
        boot_id: [BOOT; 16],
        synchronised: confirmed,
    };
    Now { reading, confirmed, created: WallTime(CREATED) }
}

fn wrong(catalogue: &Catalogue, now: &Now) -> Vec<(u64, i64)> {
    let wrong = wrong_clips(catalogue, now, 100);
    wrong
        .iter()
        .map(|wrong| (wrong.clip.clip().number() & 0xFFFF_FFFF, wrong.shift_nanos))
        .collect()
}

/// A boot at 1970: two clips, then the right time, and one more.
fn without_a_battery() -> Catalogue {
    let mut catalogue = Catalogue::new();
    timed(&mut catalogue, 10, 0, BOOT, false);
    clip(&mut catalogue, 10, 20 * SECOND, Unsynchronised);
    clip(&mut catalogue, 11, 30 * SECOND, Unsynchronised);
    timed(&mut catalogue, 12, CREATED + DAY, BOOT, false);
    clip(&mut catalogue, 12, CREATED + DAY + 40 * SECOND, Unsynchronised);
    catalogue
}

#[test]
fn what_was_recorded_in_1970_is_as_much_later_as_the_clock_was_set() {
    let mut catalogue = without_a_battery();
    let right = now(CREATED + DAY, false);
    assert_eq!(wrong(&catalogue, &right), [(10, CREATED + DAY), (11, CREATED + DAY)]);
    let redating = Redating { shift_nanos: CREATED + DAY, name_form: NameForm::Seconds };
    let redating: Arc<[u8]> = redating.encode().into();
    for number in [10, 11] {
        let news = News::ClipRedated { clip: id(number), redating: redating.clone() };
        catalogue.apply(RING, &news).expect("a redating");
    }
    assert_eq!(wrong(&catalogue, &right), [], "once");
    let clips: Vec<_> = catalogue.clips_of(catalogue.clip(key(10)).expect("it").stream).collect();
    assert_eq!(clips[0].fact.start, WallTime(CREATED + DAY + 20 * SECOND));
    assert_eq!(clips.len(), 3);
}

#[test]
fn a_time_that_is_wrong_itself_redates_nothing() {
    let catalogue = without_a_battery();
    for offset in [0, EARLIEST.0 - DAY, CREATED - DAY] {
        assert_eq!(wrong(&catalogue, &now(offset, false)), [], "{offset}");
    }
}

#[test]
fn a_ring_that_was_made_in_the_future_keeps_no_clip_from_its_right_time() {
    let catalogue = without_a_battery();
    let meant = wrong(&catalogue, &now(CREATED + DAY, true));
    let ahead = Now { created: WallTime(i64::MAX), ..now(CREATED + DAY, true) };
    assert_eq!(wrong(&catalogue, &ahead), meant);
    assert!(!meant.is_empty());
}

#[test]
fn a_synchronised_clip_of_an_earlier_boot_says_when_the_next_one_can_be() {
    let mut catalogue = Catalogue::new();
    clip(&mut catalogue, 1, CREATED + 5 * DAY, Synchronised);
    timed(&mut catalogue, 10, CREATED + DAY, BOOT, false);
    clip(&mut catalogue, 10, CREATED + DAY + 20 * SECOND, Unsynchronised);
    assert_eq!(wrong(&catalogue, &now(CREATED + 4 * DAY, false)), [], "wrong as well");
    assert_eq!(wrong(&catalogue, &now(CREATED + 6 * DAY, false)), [(10, 5 * DAY)]);
}

#[test]
fn a_clip_that_may_be_right_waits_until_the_time_is_confirmed() {
    for shift in [3 * HOUR, -2 * HOUR] {
        let mut catalogue = Catalogue::new();
        timed(&mut catalogue, 10, CREATED + DAY, BOOT, false);
        clip(&mut catalogue, 10, CREATED + DAY + 20 * SECOND, Unsynchronised);
        assert_eq!(wrong(&catalogue, &now(CREATED + DAY + shift, false)), []);
        assert_eq!(wrong(&catalogue, &now(CREATED + DAY + shift, true)), [(10, shift)]);
    }
}

#[test]
fn a_small_step_is_no_correction() {
    let mut catalogue = Catalogue::new();
    timed(&mut catalogue, 10, CREATED + DAY, BOOT, false);
    clip(&mut catalogue, 10, CREATED + DAY + 20 * SECOND, Unsynchronised);
    assert_eq!(wrong(&catalogue, &now(CREATED + DAY + SECOND - 1, true)), []);
}

#[test]
fn what_a_synchronised_clock_dated_is_never_moved_nor_what_follows_it() {
    let mut catalogue = Catalogue::new();
    timed(&mut catalogue, 10, CREATED + DAY, BOOT, true);
    clip(&mut catalogue, 10, CREATED + DAY + 20 * SECOND, Synchronised);
    // A virtual machine that stood still for three hours, and whose clock follows later.
    timed(&mut catalogue, 11, CREATED + DAY, BOOT, false);
    clip(&mut catalogue, 11, CREATED + DAY + 30 * SECOND, Unsynchronised);
    assert_eq!(wrong(&catalogue, &now(CREATED + DAY + 3 * HOUR, true)), []);
}

#[test]
fn another_boot_and_what_was_brought_in_stay_as_they_are() {
    let mut catalogue = Catalogue::new();
    timed(&mut catalogue, 9, 0, BOOT + 1, false);
    clip(&mut catalogue, 9, 20 * SECOND, Unsynchronised);
    timed(&mut catalogue, 10, 1, BOOT, false);
    clip(&mut catalogue, 10, 30 * SECOND, Given);
    assert_eq!(wrong(&catalogue, &now(CREATED + DAY, true)), []);
    assert!(is_misdated(catalogue.clip(key(9)).expect("a clip"), EARLIEST));
    assert!(!is_misdated(catalogue.clip(key(10)).expect("a clip"), EARLIEST));
}

proptest! {
    /// Whatever is said of clocks: no panic, nothing that is dated, and nothing into the future.
    #[test]
    fn any_timings_move_clips_to_where_they_can_have_been(
        timings in prop::collection::vec(any::<(u8, i64, bool, bool)>(), 0..8),
        clips in prop::collection::vec(any::<(u8, u32, u8)>(), 0..12),
        offset: i64,
        confirmed: bool,
    ) {
        let mut catalogue = Catalogue::new();
        for (number, offset, here, synchronised) in timings {
            let boot = if here { BOOT } else { BOOT + 1 };
            timed(&mut catalogue, u64::from(number), offset.saturating_sub(5), boot, synchronised);
        }
        for (number, start, quality) in clips {
            let quality = [Given, Synchronised, Unsynchronised][usize::from(quality % 3)];
            clip(&mut catalogue, u64::from(number), i64::from(start) * SECOND, quality);
        }
        let now = now(offset.saturating_sub(HOUR), confirmed);
        for Wrong { clip, shift_nanos } in wrong_clips(&catalogue, &now, 100) {
            let clip = catalogue.clip(clip).expect("a clip");
            prop_assert!(!clip.dated());
            let end = clip.fact.end.plus_nanos(shift_nanos);
            prop_assert!(end <= now.reading.wall.plus_nanos(AHEAD_NANOS_MAX));
        }
    }
}
