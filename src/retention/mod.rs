//! Which clips expire and why: from catalogue, settings and guarded clock to decisions. Pure.
//!
//! - A clip of which the last picture is older than its stream's `retain` is purged, without grace.
//! - An expiring clip is purged when its deadline has passed.
//! - A kept clip is left alone; when its protection is over it is an ordinary clip again.
//! - A clip that is certainly dated too early ages with the next one that is not.
//! - While the clock is doubted, nothing is decided at all.
//!
//! What is not said deletes nothing: a stream without `retain` never expires, and a configuration
//! without a single camera, which is more likely a mistake than a wish, lets nothing grow old.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::catalogue::{Catalogue, Clip};
use crate::clock::{Doubt, Verdict};
use crate::dating::{earliest_of, is_misdated, made_at};
use crate::ring::{ClipState, Reason, StateRequest};
use crate::units::{ByteCount, ClipKey, StreamKey, WallTime, length_of};

/// Decisions of one pass at most, so that a pass takes the catalogue's lock for milliseconds also
/// when a `retain` of a year becomes one of a day. The next pass goes on.
pub const DUE_MAX: usize = 1000;

/// What the configuration says about how long footage stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `[purge] retain`: for cameras of the configuration that say nothing.
    pub retain_default: Option<Duration>,
    /// `[purge] removed_retain`: for streams that have left the configuration.
    pub retain_removed: Option<Duration>,
    /// The streams of the configured cameras, with their own `retain`.
    pub cameras: BTreeMap<StreamKey, Option<Duration>>,
    /// When the ring was made, by the clock of then: nothing was recorded before.
    pub created: WallTime,
}

impl Policy {
    /// How long footage of `stream` stays: what its camera says, else the default; for a stream
    /// that has left the configuration what is said of those, else the last `retain` known of it.
    /// `None` where it stays until it is evicted.
    #[must_use]
    pub fn retain(&self, catalogue: &Catalogue, stream: StreamKey) -> Option<Duration> {
        if self.cameras.is_empty() {
            return None;
        }
        let retain = match self.cameras.get(&stream) {
            Some(own) => own.or(self.retain_default),
            None => {
                let known = || catalogue.stream(stream)?.retain_nanos.map(length_of);
                self.retain_removed.or_else(known)
            }
        };
        // A length that is none can only be damage: it would delete everything.
        retain.filter(|retain| !retain.is_zero())
    }
}

/// Why something is to be done with a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is older than its stream's `retain`.
    OlderThan {
        /// What that was.
        retain: Duration,
    },
    /// It was removed, and the time in which it could be restored is over.
    GraceOver,
    /// Its purge was begun and not finished.
    Interrupted,
    /// It was kept until a time that has passed.
    ProtectionOver,
}

/// What to do with a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Free it for good, at once.
    Purge(Reason),
    /// Make it an ordinary closed clip.
    Release,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// About which clip.
    pub clip: ClipKey,
    /// Whose.
    pub stream: StreamKey,
    /// The state that it was made in: in another one it does not hold.
    pub state: ClipState,
    /// Space that the clip takes on the device.
    pub used: ByteCount,
    /// What to do.
    pub action: Action,
    /// Why.
    pub why: Why,
}

/// What a pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decisions {
    /// To be carried out, at most [`DUE_MAX`]; where there are that many there may be more.
    Due(Vec<Due>),
    /// The clock is doubted; see [`Verdict::Suspended`].
    Suspended {
        /// When the doubt began, as the doubted clock shows it.
        since: WallTime,
        /// How far the clock is ahead of what is known, in nanoseconds.
        step_nanos: i64,
        /// Why it is doubted.
        reason: Doubt,
    },
}

/// Decides what is due. Removed clips come first, then each stream's clips from the oldest on.
#[must_use]
pub fn decide(catalogue: &Catalogue, policy: &Policy, verdict: Verdict) -> Decisions {
    let now = match verdict {
        Verdict::Trusted(now) => now,
        Verdict::Suspended { since, step_nanos, reason } => {
            return Decisions::Suspended { since, step_nanos, reason };
        }
    };
    let deadlines = catalogue.clips_marked().filter_map(|clip| deadline_passed(clip, now));
    let mut streams: Vec<StreamKey> = catalogue.streams().map(|(number, _)| number).collect();
    // A configured stream's `retain` holds also where its fact was lost.
    streams.extend(policy.cameras.keys().filter(|number| catalogue.stream(**number).is_none()));
    let aged = streams.into_iter().flat_map(|stream| {
        let retain = policy.retain(catalogue, stream);
        let old = move |retain| older_than(catalogue, policy.created, stream, retain, now);
        retain.into_iter().flat_map(old)
    });
    Decisions::Due(deadlines.chain(aged).take(DUE_MAX).collect())
}

fn deadline_passed(clip: &Clip, now: WallTime) -> Option<Due> {
    match clip.state {
        // Only its own program knows whether an unknown one's time is over.
        ClipState::Closed | ClipState::Found | ClipState::Unknown(_) => None,
        ClipState::Kept { until } => until
            .filter(|until| *until < now)
            .map(|_| due(clip, Action::Release, Why::ProtectionOver)),
        ClipState::Expiring { until, .. } if until >= now => None,
        ClipState::Expiring { .. } => expire(clip, Why::GraceOver),
        ClipState::Purging { .. } => expire(clip, Why::Interrupted),
    }
}

/// `None` where the clip's state does not allow it.
fn expire(clip: &Clip, why: Why) -> Option<Due> {
    let state = clip.state.after(StateRequest::Expire).ok()?;
    state.reason().map(|reason| due(clip, Action::Purge(reason), why))
}

fn older_than(
    catalogue: &Catalogue,
    created: WallTime,
    stream: StreamKey,
    retain: Duration,
    now: WallTime,
) -> impl Iterator<Item = Due> {
    let oldest_kept = now.minus(retain);
    // A ring that was made in the future was not made then.
    let created = made_at(created, now);
    let mut misdated = Misdated { catalogue, created, known: None };
    catalogue
        .clips_starting(stream, WallTime(i64::MIN)..oldest_kept)
        .filter(|clip| matches!(clip.state, ClipState::Closed | ClipState::Found))
        .filter(move |clip| clip.fact.end < oldest_kept)
        .filter(move |clip| misdated.age(clip).is_none_or(|before| before < oldest_kept))
        .filter_map(move |clip| expire(clip, Why::OlderThan { retain }))
}

/// How old clips are that are certainly dated too early: the first minutes after a power cut on a
/// machine without a battery-backed clock, dated 1970, would expire as soon as the clock is set.
struct Misdated<'a> {
    catalogue: &'a Catalogue,
    created: WallTime,
    /// Clips between these two keys were recorded before that time: thousands of them may lie
    /// before one that says so.
    known: Option<(Range<ClipKey>, WallTime)>,
}

impl Misdated<'_> {
    /// Before when a clip was recorded that is certainly dated too early: when the next one that is
    /// not was, as clips get their ids in the order of recording. The end of time where none
    /// follows; `None` for one that is taken for right.
    fn age(&mut self, clip: &Clip) -> Option<WallTime> {
        let earliest = earliest_of(self.catalogue, clip.key, self.created);
        if !is_misdated(clip, earliest) {
            return None;
        }
        if let Some((clips, before)) = &self.known
            && clips.contains(&clip.key)
        {
            return Some(*before);
        }
        let mut behind = self.catalogue.clips_behind(clip.key);
        let next = behind.find(|other| {
            let here = other.key.ring() == clip.key.ring();
            let read = other.fact.quality.is_read();
            here && read && !is_misdated(other, earliest)
        });
        let (end, before) =
            next.map_or((ClipKey::MAX, WallTime(i64::MAX)), |next| (next.key, next.fact.start));
        self.known = Some((clip.key..end, before));
        Some(before)
    }
}

fn due(clip: &Clip, action: Action, why: Why) -> Due {
    Due {
        clip: clip.key,
        stream: clip.stream,
        state: clip.state,
        used: clip.used.bytes,
        action,
        why,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::{News, Used};
    use crate::segment::ClockQuality;
    use crate::segment::{ClipFact, StreamFact, StreamName};
    use crate::units::{ClipId, RingNumber, Sequence, SessionNumber, StreamNumber};

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
        let cameras =
            cameras.iter().map(|(number, retain)| (on_ring(*number), retain.map(length_of)));
        Policy {
            retain_default: retain_default.map(length_of),
            retain_removed: None,
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
        match decide(catalogue, policy, Verdict::Trusted(WallTime(now))) {
            Decisions::Due(due) => due,
            Decisions::Suspended { .. } => panic!("suspended on a trusted clock"),
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
            let policy = policy(&[(0, Some(retain)), (1, None)], Some(retain));
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
        let decisions = decide(&catalogue, &policy(&[(1, Some(DAY))], None), verdict);
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
    fn a_pass_is_bounded() {
        let mut catalogue = Catalogue::new();
        add_stream(&mut catalogue, 0, None);
        for counter in 0..DUE_MAX as u64 + 10 {
            add_clip(&mut catalogue, counter, 0, DAY, ClockQuality::Synchronised);
        }
        let policy = policy(&[(0, Some(DAY))], None);
        assert_eq!(decided(&catalogue, &policy, NOW).len(), DUE_MAX);
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
}
