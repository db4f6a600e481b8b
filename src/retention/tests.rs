//! Tests of the decisions.

use proptest::prelude::*;

use std::collections::BTreeMap;

use super::*;
use crate::clock::Stopwatch;
use crate::ring::{News, Used};
use crate::segment::ClockQuality;
use crate::segment::{ClipFact, StreamFact, StreamName};
use crate::segment::{EventClass, EventFact};
use crate::units::{ClipId, RingNumber, Sequence, SessionNumber, StreamNumber, length_of};

const RING: RingNumber = RingNumber(0);

const DAY: i64 = 86_400_000_000_000;
const NOW: i64 = 21_000 * DAY;

fn id(counter: u64) -> ClipId {
    ClipId(Sequence::new(SessionNumber(1), counter))
}

fn key(counter: u64) -> ClipKey {
    ClipKey::new(RING, id(counter)).expect("a sound id")
}

fn on_ring(stream: u32) -> StreamKey {
    StreamKey { ring: RING, stream: StreamNumber(stream) }
}

fn add_clip(to: &mut Catalogue, counter: u64, stream: u32, end: i64, quality: ClockQuality) {
    let fact = ClipFact::between(WallTime(end - DAY / 24), WallTime(end), quality);
    let news = News::ClipClosed {
        clip: id(counter),
        stream: StreamNumber(stream),
        fact: fact.encode().into(),
        used: Used { bytes: ByteCount(4096), blocks: 1 },
        redating: None,
    };
    to.apply(RING, &news).expect("a well-formed clip");
}

fn set_state(to: &mut Catalogue, counter: u64, state: ClipState) {
    to.apply(RING, &News::StateSet { clip: id(counter), state }).expect("a state");
}

fn add_stream(to: &mut Catalogue, stream: u32, retain_nanos: Option<i64>) {
    let fact = StreamFact {
        uuid: [0; 16],
        names: vec![StreamName { name: format!("camera-{stream}"), since: WallTime(0) }],
        retain_nanos,
        removed: None,
        switch: None,
    };
    let fact = fact.encode().into();
    to.apply(RING, &News::StreamSet { stream: StreamNumber(stream), fact }).expect("a stream");
}

fn policy(cameras: &[(u32, Option<i64>)], retain_default: Option<i64>) -> Policy {
    let cameras = cameras.iter().map(|(number, retain)| {
        let retain = retain.or(retain_default).map(length_of);
        (on_ring(*number), Terms::of_age(retain))
    });
    Policy {
        general: Terms::default(),
        retain_removed: None,
        quotas: Vec::new(),
        cameras: cameras.collect(),
        created: WallTime(0),
    }
}

#[test]
fn what_is_said_of_cameras_that_are_gone_holds_for_them_alone() {
    let catalogue = ten_days();
    let cameras = policy(&[(0, None), (1, Some(9 * DAY))], None);
    assert_eq!(purged(&catalogue, &cameras, NOW), [] as [u64; 0], "nothing was said");
    let gone = Policy { retain_removed: Some(length_of(2 * DAY)), ..cameras };
    let purged_of_2 = (20..27).collect::<Vec<u64>>();
    assert_eq!(purged(&catalogue, &gone, NOW), purged_of_2);
    let none = Policy { cameras: BTreeMap::new(), ..gone };
    assert_eq!(purged(&catalogue, &none, NOW), [] as [u64; 0], "that is a mistake");
}

fn decided(catalogue: &Catalogue, policy: &Policy, now: i64) -> Vec<Due> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        match decide(catalogue, policy, Verdict::Trusted(WallTime(now)), from) {
            Decisions::Due { due, next } => {
                assert!(due.len() <= DUE_MAX);
                all.extend(due);
                if next.is_none() {
                    return all;
                }
                assert!(next > from, "it goes on");
                from = next;
            }
            Decisions::Suspended { .. } => panic!("suspended on a trusted clock"),
        }
    }
}

fn purged(catalogue: &Catalogue, policy: &Policy, now: i64) -> Vec<u64> {
    let due = decided(catalogue, policy, now);
    let purged = due.iter().filter(|due| matches!(due.action, Action::Purge(_)));
    purged.map(|due| due.clip.number() & 0xffff).collect()
}

/// Three streams with a clip a day for ten days: ids 0 to 9, 10 to 19, 20 to 29.
fn ten_days() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for stream in 0..3_u32 {
        add_stream(&mut catalogue, stream, None);
        for day in 0..10_u64 {
            let counter = u64::from(stream) * 10 + day;
            let end = NOW - (9 - day as i64) * DAY;
            add_clip(&mut catalogue, counter, stream, end, ClockQuality::Synchronised);
        }
    }
    catalogue
}

#[test]
fn a_camera_has_its_own_retain_or_the_default() {
    let catalogue = ten_days();
    let own = policy(&[(0, Some(7 * DAY)), (1, None)], Some(8 * DAY));
    assert_eq!(purged(&catalogue, &own, NOW), [0, 1, 10]);
    let none = policy(&[(0, None), (1, None)], None);
    assert_eq!(purged(&catalogue, &none, NOW), Vec::<u64>::new());
}

#[test]
fn a_camera_that_left_the_configuration_keeps_its_last_retain() {
    let mut catalogue = ten_days();
    let left = policy(&[(0, None)], Some(9 * DAY));
    assert_eq!(
        purged(&catalogue, &left, NOW),
        Vec::<u64>::new(),
        "the default is not for streams that left"
    );
    add_stream(&mut catalogue, 2, Some(8 * DAY));
    assert_eq!(purged(&catalogue, &left, NOW), [20]);
}

#[test]
fn a_configuration_without_cameras_deletes_nothing() {
    let mut catalogue = ten_days();
    add_stream(&mut catalogue, 2, Some(DAY));
    assert_eq!(purged(&catalogue, &policy(&[], Some(DAY)), NOW), Vec::<u64>::new());
}

#[test]
fn what_was_found_is_given_up_with_its_age_and_not_before() {
    let mut catalogue = ten_days();
    let all_closed = purged(&catalogue, &policy(&[(0, Some(5 * DAY))], None), NOW);
    assert!(!all_closed.is_empty());
    for counter in 0..10 {
        set_state(&mut catalogue, counter, ClipState::Found);
    }
    assert_eq!(purged(&catalogue, &policy(&[(0, Some(5 * DAY))], None), NOW), all_closed);
}

#[test]
fn a_retain_that_is_no_length_deletes_nothing() {
    let mut catalogue = ten_days();
    for retain in [0, -1, i64::MIN] {
        add_stream(&mut catalogue, 2, Some(retain));
        let policy = policy(&[(0, None), (1, None)], None);
        assert_eq!(purged(&catalogue, &policy, NOW), Vec::<u64>::new());
    }
}

#[test]
fn a_doubted_clock_decides_nothing() {
    let mut catalogue = ten_days();
    let reason = Reason::Deleted;
    set_state(&mut catalogue, 0, ClipState::Expiring { until: WallTime(0), reason });
    let since = WallTime(NOW);
    let verdict = Verdict::Suspended { since, step_nanos: DAY, reason: Doubt::Stepped };
    let decisions = decide(&catalogue, &policy(&[(1, Some(DAY))], None), verdict, None);
    let suspended = Decisions::Suspended { since, step_nanos: DAY, reason: Doubt::Stepped };
    assert_eq!(decisions, suspended);
}

#[test]
fn deadlines_pass_and_protection_ends_at_their_times() {
    let mut catalogue = ten_days();
    let until = WallTime(NOW - 1);
    set_state(&mut catalogue, 0, ClipState::Kept { until: None });
    set_state(&mut catalogue, 1, ClipState::Kept { until: Some(until) });
    set_state(&mut catalogue, 8, ClipState::Expiring { until, reason: Reason::Deleted });
    set_state(&mut catalogue, 9, ClipState::Purging { reason: Reason::Expired });
    let policy = policy(&[(0, Some(9 * DAY))], None);
    let facts = |now| {
        let due = decided(&catalogue, &policy, now);
        due.iter().map(|d| (d.clip, d.action, d.why)).collect::<Vec<_>>()
    };
    let interrupted = (key(9), Action::Purge(Reason::Expired), Why::Interrupted);
    assert_eq!(facts(NOW - 1), [interrupted]);
    assert_eq!(
        facts(NOW),
        [
            (key(1), Action::Release, Why::ProtectionOver),
            (key(8), Action::Purge(Reason::Deleted), Why::GraceOver),
            interrupted,
        ]
    );
}

#[test]
fn footage_dated_too_early_after_a_power_cut_stays_as_long_as_what_comes_behind() {
    let mut catalogue = ten_days();
    add_clip(&mut catalogue, 40, 0, DAY, ClockQuality::Unsynchronised);
    add_clip(&mut catalogue, 41, 0, 2 * DAY, ClockQuality::Unsynchronised);
    add_clip(&mut catalogue, 42, 0, 3 * DAY, ClockQuality::Given);
    let policy = policy(&[(0, Some(30 * DAY)), (1, None)], None);
    assert_eq!(purged(&catalogue, &policy, NOW), [42], "an import is as old as it says");
    let later = NOW + 31 * DAY;
    assert_eq!(purged(&catalogue, &policy, later).len(), 11, "nothing says how old they are");
    // An hour of many cameras lies between, before the clock is set.
    (43..5000).for_each(|counter| {
        add_clip(&mut catalogue, counter, 1, 3 * DAY, ClockQuality::Unsynchronised);
    });
    add_clip(&mut catalogue, 5000, 1, NOW + 5 * DAY, ClockQuality::Unsynchronised);
    assert_eq!(purged(&catalogue, &policy, later).len(), 11, "they are of that day or before");
    assert_eq!(purged(&catalogue, &policy, later + 5 * DAY).len(), 13);
}

#[test]
fn footage_dated_before_the_ring_or_what_was_recorded_before_it_is_dated_too_early() {
    let mut catalogue = Catalogue::new();
    add_stream(&mut catalogue, 0, None);
    add_clip(&mut catalogue, 1, 0, NOW - 50 * DAY, ClockQuality::Unsynchronised);
    add_clip(&mut catalogue, 2, 0, NOW, ClockQuality::Synchronised);
    add_clip(&mut catalogue, 3, 0, NOW - 40 * DAY, ClockQuality::Unsynchronised);
    let mut policy = policy(&[(0, Some(30 * DAY))], None);
    assert_eq!(purged(&catalogue, &policy, NOW + DAY), [1]);
    policy.created = WallTime(NOW - 45 * DAY);
    assert_eq!(purged(&catalogue, &policy, NOW + DAY), Vec::<u64>::new());
    policy.created = WallTime(NOW + 3650 * DAY);
    assert_eq!(purged(&catalogue, &policy, NOW + DAY), [1], "it can't have been made then");
}

#[test]
fn each_part_of_a_pass_is_bounded_and_all_of_them_are_everything() {
    let mut catalogue = Catalogue::new();
    add_stream(&mut catalogue, 0, None);
    add_stream(&mut catalogue, 1, None);
    let count = 2 * DUE_MAX as u64 + 10;
    for counter in 0..count {
        // Many of one moment.
        let end = DAY + (counter / 100) as i64;
        add_clip(&mut catalogue, counter, (counter % 2) as u32, end, ClockQuality::Synchronised);
    }
    let policy = policy(&[(0, Some(DAY)), (1, Some(DAY))], None);
    let first = decide(&catalogue, &policy, Verdict::Trusted(WallTime(NOW)), None);
    let Decisions::Due { due, next: Some(_) } = first else { panic!("{first:?}") };
    assert_eq!(due.len(), DUE_MAX);
    let mut all = purged(&catalogue, &policy, NOW);
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>());
}

fn state() -> impl Strategy<Value = ClipState> {
    let time = || (NOW - 20 * DAY..NOW + 20 * DAY).prop_map(WallTime);
    prop_oneof![
        4 => Just(ClipState::Closed),
        1 => Just(ClipState::Kept { until: None }),
        1 => time().prop_map(|until| ClipState::Kept { until: Some(until) }),
        1 => time().prop_map(|until| ClipState::Expiring { until, reason: Reason::Deleted }),
    ]
}

fn clips() -> impl Strategy<Value = Vec<(u32, i64, ClipState, bool)>> {
    let clip = (0..3_u32, NOW - 40 * DAY..NOW + DAY, state(), any::<bool>());
    prop::collection::vec(clip, 0..40)
}

fn catalogue_of(clips: &[(u32, i64, ClipState, bool)]) -> Catalogue {
    let mut catalogue = Catalogue::new();
    (0..3).for_each(|stream| add_stream(&mut catalogue, stream, Some(15 * DAY)));
    for (counter, (stream, end, state, synchronised)) in clips.iter().enumerate() {
        let quality = match synchronised {
            true => ClockQuality::Synchronised,
            false => ClockQuality::Unsynchronised,
        };
        add_clip(&mut catalogue, counter as u64, *stream, *end, quality);
        set_state(&mut catalogue, counter as u64, *state);
    }
    catalogue
}

proptest! {
    #[test]
    fn nothing_young_kept_or_restorable_is_ever_purged(
        clips in clips(),
        retain in 1..40 * DAY,
        now in NOW - 10 * DAY..NOW + 40 * DAY,
    ) {
        let catalogue = catalogue_of(&clips);
        let policy = policy(&[(0, Some(retain)), (1, None)], None);
        for due in decided(&catalogue, &policy, now) {
            let clip = catalogue.clip(due.clip).expect("a clip of the catalogue");
            prop_assert_eq!(clip.state, due.state);
            if due.action == Action::Release {
                let ClipState::Kept { until: Some(until) } = clip.state else {
                    panic!("released while {:?}", clip.state)
                };
                prop_assert!(until.0 < now);
                continue;
            }
            match clip.state {
                ClipState::Closed => {
                    let retain = match clip.stream.stream.0 { 0 => retain, _ => 15 * DAY };
                    prop_assert!(clip.stream.stream.0 != 1, "a stream without retain expired");
                    prop_assert!(clip.fact.end.0 < now - retain);
                }
                ClipState::Expiring { until, .. } => prop_assert!(until.0 < now),
                other => prop_assert!(false, "purged while {:?}", other),
            }
        }
    }

    #[test]
    fn what_is_due_stays_due_as_time_goes_on_and_retain_shrinks(
        clips in clips(),
        retain in 2..40 * DAY,
        now in NOW - 10 * DAY..NOW + 40 * DAY,
        later in 0..40 * DAY,
    ) {
        let catalogue = catalogue_of(&clips);
        let before = policy(&[(0, Some(retain)), (1, None)], Some(retain));
        let shorter = policy(&[(0, Some(retain / 2)), (1, None)], Some(retain / 2));
        let due = purged(&catalogue, &before, now);
        let due_later = purged(&catalogue, &before, now + later);
        let due_shorter = purged(&catalogue, &shorter, now);
        for clip in due {
            prop_assert!(due_later.contains(&clip) && due_shorter.contains(&clip));
        }
    }
}

const SECOND: i64 = 1_000_000_000;

fn seconds(seconds: i64) -> Duration {
    length_of(seconds * SECOND)
}

/// Nothing for its own sake; detections for an hour, alerts for a day, 10 s before and behind.
fn terms_of_events() -> Terms {
    let class = |period: Option<i64>| {
        let (period, beside) = (period.map(seconds), seconds(10));
        EventTerms { period, pre: beside, post: beside }
    };
    Terms {
        continuous: Some(Duration::ZERO),
        detections: class(Some(3600)),
        alerts: class(Some(86_400)),
        manual: class(None),
        hold: seconds(60),
        late: seconds(600),
        stale: seconds(300),
    }
}

fn policy_of(terms: Terms) -> Policy {
    Policy { cameras: BTreeMap::from([(on_ring(0), terms)]), ..Policy::default() }
}

/// An event of stream 0, in seconds since the epoch of these tests.
fn say(
    to: &mut Catalogue,
    class: EventClass,
    start: i64,
    end: Option<i64>,
    heard: i64,
) -> EventFact {
    let at = |second: i64| WallTime(NOW + second * SECOND);
    let fact = EventFact {
        source: "test".into(),
        id: format!("{start}-{}", class.code()),
        class,
        label: "person".into(),
        start: at(start),
        end: end.map(at),
        heard: at(heard),
        zones: Vec::new(),
        score_permille: None,
        text: String::new(),
    };
    let (stream, event) = (StreamNumber(0), fact.event_id());
    let news = News::EventSet { stream, event, fact: fact.encode().into() };
    to.apply(RING, &news).expect("an event");
    fact
}

/// A clip of stream 0 from one second to another.
fn clip_at(to: &mut Catalogue, counter: u64, start: i64, end: i64, quality: ClockQuality) {
    let at = |second: i64| WallTime(NOW + second * SECOND);
    let fact = ClipFact::between(at(start), at(end), quality);
    let news = News::ClipClosed {
        clip: id(counter),
        stream: StreamNumber(0),
        fact: fact.encode().into(),
        used: Used { bytes: ByteCount(4096), blocks: 1 },
        redating: None,
    };
    to.apply(RING, &news).expect("a clip");
}

/// Clips 0 to 9, of a minute each, without a gap from second 0 on.
fn ten_minutes() -> Catalogue {
    let mut catalogue = Catalogue::new();
    add_stream(&mut catalogue, 0, None);
    for minute in 0..10 {
        let quality = ClockQuality::Synchronised;
        clip_at(&mut catalogue, minute as u64, minute * 60, minute * 60 + 60, quality);
    }
    catalogue
}

/// What becomes of which clips at a second.
fn fates(catalogue: &Catalogue, terms: &Terms, at: i64) -> Vec<(u64, Why)> {
    let due = decided(catalogue, &policy_of(terms.clone()), NOW + at * SECOND);
    due.iter().map(|due| (due.clip.number() & 0xffff, due.why)).collect()
}

fn retired(catalogue: &Catalogue, terms: &Terms, at: i64) -> Vec<u64> {
    let fates = fates(catalogue, terms, at);
    fates.iter().filter(|(_, why)| *why == Why::Unclaimed).map(|(clip, _)| *clip).collect()
}

#[test]
fn an_event_keeps_the_clips_that_it_touches_and_those_within_pre_and_post() {
    let mut catalogue = ten_minutes();
    say(&mut catalogue, EventClass::Detection, 185, Some(235), 235);
    assert_eq!(retired(&catalogue, &terms_of_events(), 700), [0, 1, 5, 6, 7, 8, 9]);
    say(&mut catalogue, EventClass::Detection, 409, Some(471), 480);
    assert_eq!(retired(&catalogue, &terms_of_events(), 700), [0, 1, 5, 9], "pre and post");
    // Nothing is decided of the last one yet: an event may come, and claim what was before it.
    assert_eq!(retired(&catalogue, &terms_of_events(), 669), [0, 1, 5]);
    assert_eq!(retired(&catalogue, &terms_of_events(), 671), [0, 1, 5, 9]);
}

#[test]
fn of_two_events_over_one_clip_the_longer_claim_wins_whichever_was_first() {
    let mut catalogue = ten_minutes();
    say(&mut catalogue, EventClass::Alert, 190, Some(191), 191);
    say(&mut catalogue, EventClass::Detection, 200, Some(201), 201);
    say(&mut catalogue, EventClass::Detection, 310, Some(311), 311);
    let old = |at| {
        let fates = fates(&catalogue, &terms_of_events(), at);
        let old = |why: &Why| matches!(why, Why::OlderThan { .. });
        fates.into_iter().filter(|(_, why)| old(why)).collect::<Vec<_>>()
    };
    assert_eq!(old(300 + 3600), [], "the clip from 300 on ends at 360");
    let hour = Why::OlderThan { retain: seconds(3600) };
    assert_eq!(old(361 + 3600), [(5, hour)]);
    let day = Why::OlderThan { retain: seconds(86_400) };
    assert_eq!(old(241 + 86_400), [(3, day), (5, hour)]);
}

#[test]
fn a_strict_continuous_does_not_take_what_an_event_claims_and_the_other_way_round() {
    let mut catalogue = ten_minutes();
    say(&mut catalogue, EventClass::Detection, 185, Some(200), 200);
    let strict = Terms { continuous: Some(seconds(120)), ..terms_of_events() };
    let gone = fates(&catalogue, &strict, 1000);
    let minutes = Why::OlderThan { retain: seconds(120) };
    assert_eq!(gone, [0, 1, 4, 5, 6, 7, 8, 9].map(|clip| (clip, minutes)), "of age, at once");
    let long = Terms { continuous: Some(seconds(7200)), ..terms_of_events() };
    assert_eq!(fates(&catalogue, &long, 3800), []);
    assert_eq!(fates(&catalogue, &long, 7000), [], "the detection's hour is over, this is not");
    let no_end = Terms { continuous: None, ..terms_of_events() };
    assert_eq!(fates(&catalogue, &no_end, 99_999_999), []);
}

#[test]
fn an_event_that_comes_late_brings_back_what_it_claims() {
    let mut catalogue = ten_minutes();
    let terms = terms_of_events();
    let until = WallTime(NOW + 1300 * SECOND);
    for due in decided(&catalogue, &policy_of(terms.clone()), NOW + 700 * SECOND) {
        assert_eq!(due.action, Action::Retire { until });
        let state = due.state.after(StateRequest::Retire { until }).expect("it is closed");
        set_state(&mut catalogue, due.clip.number() & 0xffff, state);
    }
    assert_eq!(fates(&catalogue, &terms, 1299), [], "they are in the trash");
    say(&mut catalogue, EventClass::Manual, 200, Some(210), 1200);
    assert_eq!(fates(&catalogue, &terms, 1299), [], "of a class that claims nothing");
    say(&mut catalogue, EventClass::Alert, 200, Some(210), 1200);
    assert_eq!(fates(&catalogue, &terms, 1299), [(3, Why::Claimed)]);
    // Somebody has removed another one, and that stands.
    let deleted = ClipState::Expiring { until, reason: Reason::Deleted };
    set_state(&mut catalogue, 3, deleted);
    assert_eq!(fates(&catalogue, &terms, 1299), []);
    assert_eq!(fates(&catalogue, &terms, 1301).len(), 10, "its time is over");
}

#[test]
fn an_event_that_is_never_ended_ends_where_it_was_last_heard_of() {
    let mut catalogue = ten_minutes();
    say(&mut catalogue, EventClass::Alert, 100, None, 130);
    assert_eq!(retired(&catalogue, &terms_of_events(), 430), [0], "it goes on");
    let stale = [0, 3, 4, 5, 6, 7, 8, 9];
    assert_eq!(retired(&catalogue, &terms_of_events(), 700), stale, "until 130, and 10 s");
}

#[test]
fn footage_of_an_unknown_time_stays_for_the_longest_that_any_event_would_keep_it() {
    let mut catalogue = ten_minutes();
    // Of a clock that had lost its time, and was set behind it.
    clip_at(&mut catalogue, 10, -90_000, -89_940, ClockQuality::Unsynchronised);
    clip_at(&mut catalogue, 11, 700, 760, ClockQuality::Synchronised);
    let gone = |at| retired(&catalogue, &terms_of_events(), at).contains(&10);
    assert!(!gone(1000) && !gone(80_000));
    let old = |at| {
        let day = Why::OlderThan { retain: seconds(86_400) };
        fates(&catalogue, &terms_of_events(), at).contains(&(10, day))
    };
    assert!(!old(699 + 86_400) && old(701 + 86_400), "as the next one that is known");
}

#[test]
fn what_a_wrong_clock_has_retired_comes_back_with_its_right_times() {
    let mut catalogue = ten_minutes();
    let retired = |until: i64| ClipState::Expiring {
        until: WallTime(NOW + until * SECOND),
        reason: Reason::Quiet,
    };
    set_state(&mut catalogue, 4, retired(1300));
    // By its times it was recorded from 300 to 360 then, and was retired at -700.
    set_state(&mut catalogue, 5, retired(-100));
    assert_eq!(
        fates(&catalogue, &terms_of_events(), 400),
        [
            (5, Why::Claimed),
            (0, Why::Unclaimed),
            (1, Why::Unclaimed),
            (2, Why::Unclaimed),
            (3, Why::Unclaimed)
        ]
    );
    // Where what it shows was claimed, it comes back also when its time is over.
    set_state(&mut catalogue, 5, retired(500));
    say(&mut catalogue, EventClass::Alert, 320, Some(330), 330);
    assert!(fates(&catalogue, &terms_of_events(), 900).contains(&(5, Why::Claimed)));
}

#[test]
fn an_event_of_a_class_of_later_programs_claims_for_the_longest() {
    let mut catalogue = ten_minutes();
    say(&mut catalogue, EventClass::Unknown(9), 185, Some(186), 186);
    assert!(!retired(&catalogue, &terms_of_events(), 700).contains(&3));
}

#[test]
fn what_was_found_is_not_retired() {
    let mut catalogue = ten_minutes();
    set_state(&mut catalogue, 4, ClipState::Found);
    assert!(!fates(&catalogue, &terms_of_events(), 9000).iter().any(|(clip, _)| *clip == 4));
}

#[test]
fn an_event_is_forgotten_with_the_last_of_its_footage_and_not_before_its_time() {
    let mut catalogue = ten_minutes();
    let alert = say(&mut catalogue, EventClass::Alert, 185, Some(186), 186);
    let before = say(&mut catalogue, EventClass::Alert, -100, Some(-90), -90);
    let policy = policy_of(terms_of_events());
    let over = |catalogue: &Catalogue, at: i64| {
        let now = Verdict::Trusted(WallTime(NOW + at * SECOND));
        let over = events_over(catalogue, &policy, now);
        over.into_iter().map(|(_, event)| event).collect::<Vec<_>>()
    };
    assert_eq!(over(&catalogue, 86_310), [], "it claims what may still come in from elsewhere");
    assert_eq!(over(&catalogue, 90_000), [before.event_id()]);
    for (clip, left) in
        [(3, vec![before.event_id()]), (2, vec![before.event_id(), alert.event_id()])]
    {
        let gone = News::ClipGone { clip: id(clip), reason: Reason::Expired };
        catalogue.apply(RING, &gone).expect("it was there");
        assert_eq!(over(&catalogue, 90_000), left, "the one before began within pre");
    }
    let none = Policy { cameras: BTreeMap::new(), ..policy.clone() };
    let late = Verdict::Trusted(WallTime(i64::MAX));
    assert_eq!(events_over(&catalogue, &none, late), [], "without a camera nothing is forgotten");
}

#[test]
fn a_camera_that_has_more_than_it_may_loses_its_oldest_whatever_claims_them() {
    let mut catalogue = ten_minutes();
    let quota = |kibibytes: u64, streams: &[u32]| Quota {
        streams: streams.iter().map(|stream| on_ring(*stream)).collect(),
        max: ByteCount(kibibytes << 10),
    };
    let over = |catalogue: &Catalogue, quota: &Quota| {
        let over = over_quota(catalogue, quota, Verdict::Trusted(WallTime(NOW)));
        assert!(over.iter().all(|due| due.action == Action::Purge(Reason::Quota)));
        over.iter().map(|due| due.clip.number() & 0xffff).collect::<Vec<_>>()
    };
    assert_eq!(over(&catalogue, &quota(40, &[0])), [] as [u64; 0], "ten clips of 4 KiB");
    assert_eq!(over(&catalogue, &quota(39, &[0])), [0]);
    say(&mut catalogue, EventClass::Alert, 10, Some(20), 20);
    assert_eq!(over(&catalogue, &quota(31, &[0])), [0, 1, 2]);
    // Kept ones count, and stay; what is in the trash goes by itself.
    set_state(&mut catalogue, 0, ClipState::Kept { until: None });
    let expiring = ClipState::Expiring { until: WallTime(NOW), reason: Reason::Deleted };
    set_state(&mut catalogue, 1, expiring);
    assert_eq!(over(&catalogue, &quota(31, &[0])), [2, 3]);
    assert_eq!(over(&catalogue, &quota(0, &[0])).len(), 8, "what is kept is too much by itself");
    // All streams of a camera have it together, the oldest of any goes.
    for number in 0..5 {
        let end = NOW + (number as i64 * 60 + 90) * SECOND;
        add_clip_of(&mut catalogue, 100 + number, 7, end - 60 * SECOND, end);
    }
    assert_eq!(over(&catalogue, &quota(40, &[0, 7])), [100, 101, 2, 102]);
    let doubted =
        Verdict::Suspended { since: WallTime(NOW), step_nanos: DAY, reason: Doubt::Stepped };
    assert_eq!(over_quota(&catalogue, &quota(0, &[0]), doubted), []);
}

/// What becomes of a clip, second by second.
fn naive(
    clip: (i64, i64),
    events: &[(EventClass, i64, Option<i64>, i64)],
    terms: &Terms,
    now: i64,
) -> Option<Why> {
    let whole = |length: Duration| length.as_secs() as i64;
    let mut claims: Vec<i64> = vec![whole(terms.continuous?)];
    for (class, start, end, heard) in events {
        let terms_of_class = terms.of(*class);
        let open = if now - heard > whole(terms.stale) { *heard } else { now };
        let (from, to) = (start - whole(terms_of_class.pre), end.unwrap_or(open).max(*start));
        let to = to + whole(terms_of_class.post);
        if (clip.0..clip.1).any(|second| from < second + 1 && second <= to) || to == clip.1 {
            claims.extend(terms_of_class.period.map(whole));
        }
    }
    let longest = claims.into_iter().max().filter(|longest| *longest > 0);
    let pending = whole(terms.hold) + whole(terms.longest_pre());
    match longest {
        _ if now <= clip.1 + pending => None,
        None => Some(Why::Unclaimed),
        Some(period) => {
            (now > clip.1 + period).then_some(Why::OlderThan { retain: seconds(period) })
        }
    }
}

fn some_event() -> impl Strategy<Value = (EventClass, i64, Option<i64>, i64)> {
    let class =
        prop::sample::select(vec![EventClass::Detection, EventClass::Alert, EventClass::Manual]);
    let length = prop::option::weighted(0.8, 0..200_i64);
    (class, -100..700_i64, length, 0..300_i64).prop_map(|(class, start, length, heard)| {
        (class, start, length.map(|length| start + length), start + heard)
    })
}

fn many_histories() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) }
}

proptest! {
    #![proptest_config(many_histories())]

    #[test]
    fn clips_go_when_a_list_of_seconds_says_so(
        events in prop::collection::vec(some_event(), 0..12),
        beside in prop::collection::vec(0..120_i64, 6),
        periods in prop::collection::vec(prop::option::of(60..4000_i64), 3),
        (continuous, hold, stale) in (prop::option::of(60..2000_i64), 0..400_i64, 60..400_i64),
        now in 0..5000_i64,
    ) {
        let class = |at: usize| EventTerms {
            period: periods[at].map(seconds),
            pre: seconds(beside[at]),
            post: seconds(beside[at + 3]),
        };
        let terms = Terms {
            continuous: Some(seconds(continuous.unwrap_or(0))),
            detections: class(0),
            alerts: class(1),
            manual: class(2),
            hold: seconds(hold),
            late: seconds(600),
            stale: seconds(stale),
        };
        prop_assume!(terms.know_events());
        let mut catalogue = ten_minutes();
        for (number, (kind, start, end, heard)) in events.iter().enumerate() {
            // Each is another one, also of one second.
            let fact = say(&mut Catalogue::new(), *kind, *start, *end, *heard);
            let fact = EventFact { id: number.to_string(), ..fact };
            let (stream, event) = (StreamNumber(0), fact.event_id());
            let news = News::EventSet { stream, event, fact: fact.encode().into() };
            catalogue.apply(RING, &news).expect("an event");
        }
        let fates: BTreeMap<u64, Why> = fates(&catalogue, &terms, now).into_iter().collect();
        for minute in 0..10 {
            let clip = (minute * 60, minute * 60 + 60);
            let wanted = naive(clip, &events, &terms, now);
            prop_assert_eq!(fates.get(&(minute as u64)).copied(), wanted, "clip {}", minute);
        }
    }
}

/// Ten streams with so many clips of a minute, each tenth with an alert in it, and what they are
/// asked to keep.
fn many(clips: u64) -> (Catalogue, Policy) {
    let mut catalogue = Catalogue::new();
    let streams = 10;
    (0..streams).for_each(|stream| add_stream(&mut catalogue, stream, None));
    for number in 0..clips {
        let (stream, minute) = ((number % 10) as u32, (number / 10) as i64);
        let start = NOW + minute * 60 * SECOND;
        add_clip_of(&mut catalogue, number, stream, start, start + 60 * SECOND);
        if minute % 10 == 0 {
            let fact = EventFact { id: number.to_string(), ..an_alert(start + 30 * SECOND) };
            let (stream, event) = (StreamNumber(stream), fact.event_id());
            let news = News::EventSet { stream, event, fact: fact.encode().into() };
            catalogue.apply(RING, &news).expect("an event");
        }
    }
    let century = EventTerms { period: Some(seconds(3_000_000_000)), ..terms_of_events().alerts };
    let terms = Terms { alerts: century, ..terms_of_events() };
    let cameras = (0..streams).map(|stream| (on_ring(stream), terms.clone())).collect();
    (catalogue, Policy { cameras, ..Policy::default() })
}

fn an_alert(start: i64) -> EventFact {
    EventFact {
        source: "test".into(),
        id: "a".into(),
        class: EventClass::Alert,
        label: "person".into(),
        start: WallTime(start),
        end: Some(WallTime(start + 5 * SECOND)),
        heard: WallTime(start),
        zones: Vec::new(),
        score_permille: None,
        text: String::new(),
    }
}

/// `REELFS_CLIPS` says how many clips; a million take a second.
#[test]
fn a_pass_over_many_clips_is_quick_and_holds_the_catalogue_for_moments() {
    let asked = std::env::var("REELFS_CLIPS");
    let clips: u64 = asked.map_or(50_000, |it| it.parse().expect("a number"));
    let (catalogue, policy) = many(clips);
    let now = Verdict::Trusted(WallTime(NOW + 100_000_000 * SECOND));
    let (mut from, mut longest, mut found) = (None, Duration::ZERO, 0);
    let began = Stopwatch::start();
    loop {
        let one = Stopwatch::start();
        let decisions = decide(&catalogue, &policy, now, from);
        longest = longest.max(one.elapsed());
        let Decisions::Due { due, next } = decisions else { panic!("the clock is trusted") };
        (found, from) = (found + due.len() as u64, next);
        if from.is_none() {
            break;
        }
    }
    let took = began.elapsed();
    println!("{clips} clips: {took:?}, the longest part {longest:?}");
    assert_eq!(found, clips * 9 / 10, "each tenth is claimed");
    // Machines are busy: ten times as long is not yet another algorithm.
    assert!(took < Duration::from_micros(clips * 10), "{took:?}");
    assert!(longest < Duration::from_millis(50), "{longest:?}");
    let one = Stopwatch::start();
    assert_eq!(events_over(&catalogue, &policy, now), []);
    assert!(one.elapsed() < Duration::from_millis(50), "{:?}", one.elapsed());
}

fn add_clip_of(to: &mut Catalogue, counter: u64, stream: u32, start: i64, end: i64) {
    let fact = ClipFact::between(WallTime(start), WallTime(end), ClockQuality::Synchronised);
    let news = News::ClipClosed {
        clip: id(counter),
        stream: StreamNumber(stream),
        fact: fact.encode().into(),
        used: Used { bytes: ByteCount(4096), blocks: 1 },
        redating: None,
    };
    to.apply(RING, &news).expect("a clip");
}
