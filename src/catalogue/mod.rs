//! Streams, clips and their states in memory, from facts. Pure.
//!
//! Of all rings of a tree: what a ring calls by a number goes by that and the ring's here
//! ([`ClipKey`], [`StreamKey`]).
//!
//! The ring tells what became true ([`News`]); the catalogue holds the result and says what that
//! changes for whoever shows it ([`Change`]). It answers without a disk, holds nothing that grows
//! with the number of samples, and about 450 bytes a clip.

mod events;
mod growing;
mod names;
mod timings;
mod totals;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

pub use timings::StreamTiming;
pub use totals::StreamTotals;

use crate::ring::{ClipState, News, Timing, Used};
use crate::segment::{ClipFact, ClockQuality, Malformed, Redating, StreamFact};
use crate::units::{ClipId, ClipKey, RingNumber, StreamKey, WallTime};

use events::Events;
use growing::Growing;
use names::SettledNames;

/// A closed clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Which; also its inode.
    pub key: ClipKey,
    /// Whose.
    pub stream: StreamKey,
    /// Its state.
    pub state: ClipState,
    /// What it takes on the device.
    pub used: Used,
    /// Whether it was recorded on a wrong clock, and has got its times since.
    pub redated: bool,
    /// Everything that listing and `stat` need, with the times that are in force.
    pub fact: Arc<ClipFact>,
}

impl Clip {
    /// What its ring calls it.
    #[must_use]
    pub fn id(&self) -> ClipId {
        self.key.clip()
    }

    /// Whether the clip is shown among the files: closed or kept.
    #[must_use]
    pub fn listed(&self) -> bool {
        self.state.is_listed()
    }

    /// Whether its times are known to be right, or were given to it by who brought it in.
    #[must_use]
    pub fn dated(&self) -> bool {
        self.redated || self.fact.quality != ClockQuality::Unsynchronised
    }

    /// Whether its samples may be read: until it is being purged.
    #[must_use]
    pub fn readable(&self) -> bool {
        !self.state.is_purging()
    }
}

/// What a piece of [`News`] changes for whoever shows the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that is shown.
    Nothing,
    /// A clip is listed from now on.
    Listed(ClipKey),
    /// A clip was listed and is not any more; it still exists.
    Hidden(ClipKey),
    /// A clip that was hidden is listed again.
    Restored(ClipKey),
    /// A clip's state is another one; whether it is listed has not changed.
    Restated(ClipKey),
    /// A clip has got other times, and with them another name and inode.
    Redated(ClipKey),
    /// A clip is gone; this is what it was. It was listed until now if [`Clip::listed`].
    Gone(Clip),
    /// A stream is new, or something about it changed; its clips may have another name.
    StreamSet(StreamKey),
    /// A growing clip has got longer, or has ended.
    Grown(ClipKey),
}

/// Streams, clips and their states.
#[derive(Debug, Default)]
pub struct Catalogue {
    streams: BTreeMap<StreamKey, StreamFact>,
    totals: BTreeMap<StreamKey, StreamTotals>,
    clips: BTreeMap<ClipKey, Clip>,
    by_start: BTreeSet<(StreamKey, WallTime, ClipKey)>,
    /// Clips in another state than closed.
    marked: BTreeSet<ClipKey>,
    /// Clips that were recorded here and of which the time is known to be right.
    dated: BTreeSet<ClipKey>,
    /// Which clocks the clips of streams take their times from.
    timings: BTreeMap<(StreamKey, ClipKey), Timing>,
    growing: Growing,
    /// What sources say.
    events: Events,
    /// Clips whose name is settled and that are not closed yet.
    settled: SettledNames,
}

impl Catalogue {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Catalogue {
        Catalogue::default()
    }

    /// Takes in what became true on a ring. News about a clip that is not known changes nothing.
    ///
    /// # Errors
    /// Where an id or an encoded fact can't be read; the catalogue is then as it was.
    pub fn apply(&mut self, ring: RingNumber, news: &News) -> Result<Change, Malformed> {
        Ok(match news {
            News::ClipClosed { clip, stream, fact, used, redating } => {
                let key = clip_key(ring, *clip)?;
                let fact = Arc::new(ClipFact::decode_in_force(fact, redating.as_deref())?);
                let (stream, used) = (StreamKey { ring, stream: *stream }, *used);
                let (state, redated) = (ClipState::Closed, redating.is_some());
                self.insert(Clip { key, stream, state, used, redated, fact });
                Change::Listed(key)
            }
            News::ClipRedated { clip, redating } => {
                self.redate(clip_key(ring, *clip)?, &Redating::decode(redating)?)
            }
            News::StreamTimed { stream, clip, timing } => {
                let stream = StreamKey { ring, stream: *stream };
                self.add_timing(stream, clip_key(ring, *clip)?, *timing);
                Change::Nothing
            }
            News::StateSet { clip, state } => self.set_state(clip_key(ring, *clip)?, *state),
            News::ClipGone { clip, .. } => {
                let key = clip_key(ring, *clip)?;
                self.settled.remove(&key);
                self.growing.remove(key);
                self.remove(key).map_or(Change::Nothing, Change::Gone)
            }
            News::StreamSet { stream, fact } => {
                let stream = StreamKey { ring, stream: *stream };
                let fact = StreamFact::decode(fact)?;
                if self.streams.get(&stream) == Some(&fact) {
                    return Ok(Change::Nothing);
                }
                self.streams.insert(stream, fact);
                Change::StreamSet(stream)
            }
            News::EventSet { stream, event, fact } => {
                self.events.set(StreamKey { ring, stream: *stream }, *event, fact)?;
                Change::Nothing
            }
            News::Grown { clip } => Change::Grown(clip_key(ring, *clip)?),
        })
    }

    fn insert(&mut self, clip: Clip) {
        self.settled.remove(&clip.key);
        self.growing.remove(clip.key);
        self.remove(clip.key);
        self.by_start.insert((clip.stream, clip.fact.start, clip.key));
        self.totals.entry(clip.stream).or_default().add(&clip);
        if clip.dated() && clip.fact.quality.is_read() {
            self.dated.insert(clip.key);
        }
        self.clips.insert(clip.key, clip);
    }

    fn remove(&mut self, key: ClipKey) -> Option<Clip> {
        let clip = self.clips.remove(&key)?;
        self.by_start.remove(&(clip.stream, clip.fact.start, key));
        self.marked.remove(&key);
        self.dated.remove(&key);
        if let Some(totals) = self.totals.get_mut(&clip.stream) {
            totals.take(&clip);
        }
        Some(clip)
    }

    fn redate(&mut self, key: ClipKey, redating: &Redating) -> Change {
        self.settled.remove(&key);
        let found = self.clips.get(&key).filter(|clip| !clip.redated).cloned();
        let Some(clip) = found else { return Change::Nothing };
        let marked = self.marked.contains(&key);
        let fact = Arc::new(clip.fact.redated(redating));
        self.insert(Clip { redated: true, fact, ..clip });
        if marked {
            self.marked.insert(key);
        }
        Change::Redated(key)
    }

    fn set_state(&mut self, key: ClipKey, state: ClipState) -> Change {
        let Some(clip) = self.clips.get_mut(&key) else { return Change::Nothing };
        if clip.state == state {
            return Change::Nothing;
        }
        let totals = self.totals.entry(clip.stream).or_default();
        totals.take(clip);
        let before = std::mem::replace(&mut clip.state, state);
        totals.add(clip);
        if state == ClipState::Closed {
            self.marked.remove(&key);
        } else {
            self.marked.insert(key);
        }
        match (before.is_listed(), state.is_listed()) {
            (true, false) => Change::Hidden(key),
            (false, true) => Change::Restored(key),
            _ => Change::Restated(key),
        }
    }

    /// The name under which a clip is shown: the one that was in force when it began.
    #[must_use]
    pub fn camera_of(&self, clip: &Clip) -> String {
        self.stream(clip.stream).map_or_else(
            || format!("stream-{}", clip.stream),
            |stream| stream.name_at(clip.fact.start).to_owned(),
        )
    }

    /// What is known of a stream.
    #[must_use]
    pub fn stream(&self, stream: StreamKey) -> Option<&StreamFact> {
        self.streams.get(&stream)
    }

    /// All streams that are known, by ring and number, those that left the configuration included.
    pub fn streams(&self) -> impl Iterator<Item = (StreamKey, &StreamFact)> {
        self.streams.iter().map(|(number, fact)| (*number, fact))
    }

    /// The stream whose name in force is `name`; of several, one that is still in the
    /// configuration, and of those the newest.
    #[must_use]
    pub fn stream_named(&self, name: &str) -> Option<(StreamKey, &StreamFact)> {
        newest_named(self.streams(), name)
    }

    /// As [`Catalogue::stream_named`], among the streams of one ring.
    #[must_use]
    pub fn stream_of(&self, ring: RingNumber, name: &str) -> Option<(StreamKey, &StreamFact)> {
        newest_named(self.streams().filter(|(stream, _)| stream.ring == ring), name)
    }

    /// A clip in any state that is not gone; a growing one is not closed and not here.
    #[must_use]
    pub fn clip(&self, key: ClipKey) -> Option<&Clip> {
        self.clips.get(&key)
    }

    /// All clips in the order of their keys: those of a ring in the order in which they were begun.
    pub fn clips(&self) -> impl DoubleEndedIterator<Item = &Clip> {
        self.clips.values()
    }

    /// Clips with keys behind `key`, in order: goes on where a page of a listing ended.
    pub fn clips_behind(&self, key: ClipKey) -> impl DoubleEndedIterator<Item = &Clip> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.clips.range((Excluded(key), Unbounded)).map(|(_, clip)| clip)
    }

    /// Clips from `key` on, in order.
    pub fn clips_from(&self, key: ClipKey) -> impl DoubleEndedIterator<Item = &Clip> {
        self.clips.range(key..).map(|(_, clip)| clip)
    }

    /// Clips with keys before `key`, in order.
    pub fn clips_before(&self, key: ClipKey) -> impl DoubleEndedIterator<Item = &Clip> {
        self.clips.range(..key).map(|(_, clip)| clip)
    }

    /// Clips that are kept, expiring or being purged, in the order of their keys: what `.kept` and
    /// `.trash` show, and what deadlines have to be watched for.
    pub fn clips_marked(&self) -> impl DoubleEndedIterator<Item = &Clip> {
        self.marked.iter().filter_map(|key| self.clips.get(key))
    }

    /// Clips of a stream in any state, in the order of their starts.
    pub fn clips_of(&self, stream: StreamKey) -> impl DoubleEndedIterator<Item = &Clip> {
        self.by_start
            .range(first_of(stream, WallTime(i64::MIN))..=last_of(stream))
            .filter_map(|(_, _, key)| self.clips.get(key))
    }

    /// Clips of a stream in any state that begin in `starts`, in the order of their starts.
    pub fn clips_starting(
        &self,
        stream: StreamKey,
        starts: Range<WallTime>,
    ) -> impl DoubleEndedIterator<Item = &Clip> {
        // An empty range from its end is what a range that ends before it begins stands for.
        let from = first_of(stream, starts.start.min(starts.end));
        self.by_start
            .range(from..first_of(stream, starts.end))
            .filter_map(|(_, _, key)| self.clips.get(key))
    }

    /// Clips of a stream in any state of which some part lies in `times`, in the order of their
    /// starts.
    pub fn clips_overlapping(
        &self,
        stream: StreamKey,
        times: Range<WallTime>,
    ) -> impl DoubleEndedIterator<Item = &Clip> {
        let length_max = self.totals.get(&stream).map_or(0, |totals| totals.clip_length_max);
        let from = times.start.plus_nanos(length_max.saturating_neg());
        self.clips_starting(stream, from..times.end).filter(move |clip| clip.fact.end > times.start)
    }

    /// Sums over the clips of a stream; zeros for one that has none.
    #[must_use]
    pub fn totals(&self, stream: StreamKey) -> StreamTotals {
        let mut totals = self.totals.get(&stream).cloned().unwrap_or_default();
        totals.oldest = self.clips_of(stream).find(|clip| clip.listed()).map(|c| c.fact.start);
        totals.newest = self.clips_of(stream).rfind(|clip| clip.listed()).map(|c| c.fact.end);
        totals
    }

    /// How many clips there are, in any state.
    #[must_use]
    pub fn clip_count(&self) -> usize {
        self.clips.len()
    }
}

fn newest_named<'a>(
    streams: impl Iterator<Item = (StreamKey, &'a StreamFact)>,
    name: &str,
) -> Option<(StreamKey, &'a StreamFact)> {
    streams
        .filter(|(_, fact)| fact.name() == name)
        .max_by_key(|(stream, fact)| (fact.removed.is_none(), *stream))
}

/// What a clip of a ring is called among those of all rings.
///
/// # Errors
/// Where no ring gives out such an id.
pub fn clip_key(ring: RingNumber, clip: ClipId) -> Result<ClipKey, Malformed> {
    ClipKey::new(ring, clip).ok_or_else(|| {
        let reason = format!("{clip} is no id that a ring gives out");
        Malformed { what: "clip", at: 0, reason }
    })
}

fn first_of(stream: StreamKey, start: WallTime) -> (StreamKey, WallTime, ClipKey) {
    (stream, start, ClipKey::MIN)
}

fn last_of(stream: StreamKey) -> (StreamKey, WallTime, ClipKey) {
    (stream, WallTime(i64::MAX), ClipKey::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::Reason;
    use crate::segment::{ClockQuality, NameForm, NameRank, StreamName};
    use crate::units::{ByteCount, Sequence, SessionNumber, StreamNumber};

    const SECOND: i64 = 1_000_000_000;

    const RING: RingNumber = RingNumber(3);

    fn id(counter: u64) -> ClipId {
        ClipId(Sequence::new(SessionNumber(1), counter))
    }

    fn key(counter: u64) -> ClipKey {
        clip_key(RING, id(counter)).expect("a sound id")
    }

    fn on_ring(stream: u32) -> StreamKey {
        StreamKey { ring: RING, stream: StreamNumber(stream) }
    }

    fn fact(start: i64, length: i64, name_form: NameForm) -> ClipFact {
        let (start, end) = (WallTime(start), WallTime(start + length));
        ClipFact {
            name_form,
            digest: [7; 32],
            codec: "avc1.640028".into(),
            picture: (1920, 1080),
            ..ClipFact::between(start, end, ClockQuality::Synchronised)
        }
    }

    fn closed(counter: u64, stream: u32, fact: &ClipFact) -> News {
        News::ClipClosed {
            clip: id(counter),
            stream: StreamNumber(stream),
            fact: fact.encode().into(),
            used: Used { bytes: ByteCount(4096 * counter), blocks: 1 },
            redating: None,
        }
    }

    fn stream_set(stream: u32, names: &[(&str, i64)], removed: bool) -> News {
        let fact = StreamFact {
            uuid: [stream as u8; 16],
            names: names
                .iter()
                .map(|(name, since)| StreamName {
                    name: (*name).to_owned(),
                    since: WallTime(*since),
                })
                .collect(),
            retain_nanos: None,
            removed: removed.then_some(WallTime(0)),
            switch: None,
        };
        News::StreamSet { stream: StreamNumber(stream), fact: fact.encode().into() }
    }

    fn apply(catalogue: &mut Catalogue, news: &News) -> Change {
        catalogue.apply(RING, news).expect("well-formed news")
    }

    #[test]
    fn a_malformed_fact_is_named_and_changes_nothing() {
        let mut catalogue = Catalogue::new();
        let stream = StreamNumber(1);
        let garbage: Arc<[u8]> = vec![1, 2, 3].into();
        let (clip, used) = (id(1), Used::default());
        let news = [
            News::ClipClosed { clip, stream, fact: garbage.clone(), used, redating: None },
            News::StreamSet { stream, fact: garbage },
        ];
        for piece in &news {
            catalogue.apply(RING, piece).expect_err("garbage");
        }
        assert_eq!(catalogue.clip_count(), 0);
        assert_eq!(catalogue.streams().count(), 0);
    }

    #[test]
    fn what_two_rings_call_alike_is_told_apart() {
        let mut catalogue = Catalogue::new();
        let (first, second) = (RingNumber(0), RingNumber(1));
        let news = closed(1, 1, &fact(5 * SECOND, SECOND, NameForm::Seconds));
        for (ring, camera) in [(first, "front"), (second, "back")] {
            catalogue.apply(ring, &stream_set(1, &[(camera, 0)], false)).expect("a stream");
            catalogue.apply(ring, &news).expect("a clip");
        }
        let cameras: Vec<_> = catalogue.clips().map(|clip| catalogue.camera_of(clip)).collect();
        assert_eq!(cameras, ["front", "back"]);
        let back = catalogue.stream_named("back").expect("known").0;
        assert_eq!(back, StreamKey { ring: second, stream: StreamNumber(1) });
        assert_eq!(catalogue.totals(back).clips, 1);
        let gone = News::ClipGone { clip: id(1), reason: Reason::Evicted };
        catalogue.apply(first, &gone).expect("an id");
        let left: Vec<_> = catalogue.clips().map(|clip| clip.key.ring()).collect();
        assert_eq!((left, catalogue.totals(back).clips), (vec![second], 1));
    }

    #[test]
    fn an_id_that_no_ring_gives_out_is_named_and_changes_nothing() {
        let mut catalogue = Catalogue::new();
        let clip = ClipId(Sequence(1 << 62));
        let fact = fact(0, SECOND, NameForm::Seconds).encode().into();
        let (stream, used, reason) = (StreamNumber(1), Used::default(), Reason::Deleted);
        for news in [
            News::ClipClosed { clip, stream, fact, used, redating: None },
            News::StateSet { clip, state: ClipState::Closed },
            News::ClipGone { clip, reason },
        ] {
            catalogue.apply(RING, &news).expect_err("no id");
        }
        assert_eq!(catalogue.clip_count(), 0);
    }

    #[test]
    fn a_clip_is_listed_hidden_restored_and_gone() {
        let mut catalogue = Catalogue::new();
        let seconds = fact(5 * SECOND, SECOND, NameForm::Seconds);
        assert_eq!(apply(&mut catalogue, &closed(1, 1, &seconds)), Change::Listed(key(1)));
        let mut set = |state| {
            let change = apply(&mut catalogue, &News::StateSet { clip: id(1), state });
            let totals = catalogue.totals(on_ring(1));
            (change, totals.clips, totals.hidden_clips, totals.oldest)
        };
        let begin = Some(WallTime(5 * SECOND));
        let until = WallTime(9 * SECOND);
        let reason = Reason::Deleted;
        let kept = ClipState::Kept { until: None };
        let expiring = ClipState::Expiring { until, reason };
        assert_eq!(set(kept), (Change::Restated(key(1)), 1, 0, begin));
        assert_eq!(set(kept), (Change::Nothing, 1, 0, begin));
        assert_eq!(set(expiring), (Change::Hidden(key(1)), 0, 1, None));
        assert_eq!(set(ClipState::Closed), (Change::Restored(key(1)), 1, 0, begin));
        assert_eq!(set(expiring), (Change::Hidden(key(1)), 0, 1, None));
        assert_eq!(set(ClipState::Purging { reason }), (Change::Restated(key(1)), 0, 1, None));
        let gone = News::ClipGone { clip: id(1), reason };
        assert!(matches!(apply(&mut catalogue, &gone), Change::Gone(clip) if !clip.listed()));
        assert_eq!(apply(&mut catalogue, &gone), Change::Nothing);
        assert_eq!(
            catalogue.totals(on_ring(1)),
            StreamTotals { clip_length_max: SECOND, ..StreamTotals::default() }
        );
    }

    #[test]
    fn the_name_in_force_is_found_and_a_removed_stream_gives_way() {
        let mut catalogue = Catalogue::new();
        apply(&mut catalogue, &stream_set(1, &[("front", 0)], false));
        apply(&mut catalogue, &stream_set(2, &[("front", 0), ("back", 9)], false));
        apply(&mut catalogue, &stream_set(3, &[("front", 0)], true));
        let number = |name| catalogue.stream_named(name).map(|(key, _)| key.stream.0);
        assert_eq!(number("front"), Some(1));
        assert_eq!(number("back"), Some(2));
        assert_eq!(number("side"), None);
    }

    #[test]
    fn two_clips_sealed_before_one_flush_have_different_names() {
        let mut catalogue = Catalogue::new();
        let stream = on_ring(1);
        let behind = |number| NameForm::InOrder { rank: NameRank::Behind, number };
        let mut settle =
            |counter, start| catalogue.settle_name(key(counter), stream, WallTime(start), false);
        assert_eq!(settle(1, 100), NameForm::Seconds);
        assert_eq!(settle(2, 200), behind(1));
        assert_eq!(settle(3, 300), behind(2));
        assert_eq!(settle(4, 400), behind(3));
        assert_eq!(settle(5, 5_000_000), behind(1));
        assert_eq!(settle(6, SECOND), NameForm::Seconds);
        assert_eq!(settle(7, -1), NameForm::Seconds);
        assert_eq!(settle(4, 400), behind(3), "asking again gives the same");
        apply(&mut catalogue, &closed(2, 1, &fact(200, SECOND, behind(1))));
        catalogue.forget_name(key(1));
        let mut free = |start| catalogue.settle_name(key(8), stream, WallTime(start), false);
        assert_eq!(free(900), behind(4), "the clips of 200, 300 and 400 ns are in front of it");
        assert_eq!(free(100), NameForm::Seconds);
    }

    /// A clock that is set back, or an import, closes a clip behind one that begins after it.
    #[test]
    fn names_of_one_second_sort_in_time_whichever_clip_closes_first() {
        const MILLISECOND: i64 = SECOND / 1000;
        let stream = on_ring(1);
        let in_order = |rank| NameForm::InOrder { rank, number: 1 };
        let settle_beside = |known: (i64, NameForm), start, is_shown_twice| {
            let mut catalogue = Catalogue::new();
            let known = fact(known.0 * MILLISECOND, SECOND, known.1);
            apply(&mut catalogue, &closed(1, 1, &known));
            let start = WallTime(start * MILLISECOND);
            catalogue.settle_name(key(2), stream, start, is_shown_twice)
        };
        let second = in_order(NameRank::Second);
        for known in [NameForm::Seconds, second] {
            assert_eq!(settle_beside((500, known), 200, false), in_order(NameRank::Before));
            assert_eq!(settle_beside((500, known), 700, false), in_order(NameRank::Behind));
        }
        // `12-00-00.500.mp4` of an earlier build sorts in front of `12-00-00.mp4`.
        let earlier = NameForm::Milliseconds;
        assert_eq!(settle_beside((500, earlier), 200, false), in_order(NameRank::Before));
        assert_eq!(settle_beside((500, earlier), 700, false), NameForm::Seconds);
        let behind = in_order(NameRank::Behind);
        assert_eq!(settle_beside((500, behind), 200, false), NameForm::Seconds);
        assert_eq!(settle_beside((500, behind), 700, false), behind);
        assert_eq!(settle_beside((5000, NameForm::Seconds), 700, true), second);
    }

    #[test]
    fn a_stream_that_took_over_a_name_does_not_take_over_its_clips_names() {
        let mut catalogue = Catalogue::new();
        apply(&mut catalogue, &stream_set(1, &[("front", 0), ("old", 9 * SECOND)], false));
        apply(&mut catalogue, &stream_set(2, &[("front", 9 * SECOND)], false));
        apply(&mut catalogue, &closed(1, 1, &fact(SECOND, SECOND, NameForm::Seconds)));
        // The clock went back: the second stream records under the first one's name and time.
        let form = catalogue.settle_name(key(2), on_ring(2), WallTime(SECOND + 1), false);
        assert_eq!(form, NameForm::InOrder { rank: NameRank::Behind, number: 1 });
    }

    #[test]
    fn the_clip_begun_last_is_the_growing_one() {
        use crate::segment::{Growth, Pauses};
        let mut catalogue = Catalogue::new();
        let growth = Growth {
            start: WallTime(5),
            quality: ClockQuality::Synchronised,
            digest: [0; 32],
            chunks: 3,
            codec: String::new(),
            picture: (0, 0),
            tracks: Vec::new(),
            entries: Vec::new(),
            pauses: Pauses::default(),
        };
        let stream = on_ring(1);
        catalogue.resume(key(1), stream, growth.clone());
        catalogue.resume(key(2), stream, growth.clone());
        catalogue.resume(key(3), on_ring(2), growth.clone());
        assert_eq!(catalogue.growing_of(stream), Some((key(2), &growth)));
        assert_eq!(catalogue.end_growing(key(2)), Some((stream, growth.clone())));
        assert_eq!(catalogue.growing_of(stream), Some((key(1), &growth)));
        assert_eq!(catalogue.growing(key(2)), None);
        apply(&mut catalogue, &closed(1, 1, &fact(5, 5, NameForm::Seconds)));
        assert_eq!(catalogue.growing_of(stream), None);
    }

    #[test]
    fn ranges_that_end_before_they_begin_are_empty() {
        let mut catalogue = Catalogue::new();
        apply(&mut catalogue, &closed(1, 1, &fact(5, 5, NameForm::Seconds)));
        let stream = on_ring(1);
        let back = Range { start: WallTime(10), end: WallTime(0) };
        assert_eq!(catalogue.clips_starting(stream, back.clone()).count(), 0);
        assert_eq!(catalogue.clips_overlapping(stream, back).count(), 0);
    }

    /// News over a few ids, streams and seconds, so that they meet.
    fn news() -> impl Strategy<Value = News> {
        let clip = (0..12_u64, 0..3_u32, 0..8 * SECOND, 0..3 * SECOND);
        let state = prop_oneof![
            Just(ClipState::Closed),
            Just(ClipState::Kept { until: None }),
            Just(ClipState::Expiring { until: WallTime(0), reason: Reason::Deleted }),
            Just(ClipState::Purging { reason: Reason::Expired }),
        ];
        prop_oneof![
            3 => clip.prop_map(|(counter, stream, start, length)| {
                closed(counter, stream, &fact(start, length, NameForm::Seconds))
            }),
            2 => (0..12_u64, state).prop_map(|(counter, state)| News::StateSet {
                clip: id(counter),
                state,
            }),
            1 => (0..12_u64).prop_map(|counter| News::ClipGone {
                clip: id(counter),
                reason: Reason::Evicted,
            }),
            1 => (0..12_u64, -3 * SECOND..3 * SECOND).prop_map(|(counter, shift_nanos)| {
                let redating = Redating { shift_nanos, name_form: NameForm::Milliseconds };
                let redating = redating.encode().into();
                News::ClipRedated { clip: id(counter), redating }
            }),
        ]
    }

    /// The naive model: a list that is searched.
    fn apply_naively(model: &mut Vec<Clip>, news: &News) {
        match news {
            News::ClipClosed { clip, stream, fact, used, .. } => {
                model.retain(|other| other.id() != *clip);
                let fact = Arc::new(ClipFact::decode(fact).expect("well-formed"));
                let key = clip_key(RING, *clip).expect("a sound id");
                let (stream, used) = (on_ring(stream.0), *used);
                let (state, redated) = (ClipState::Closed, false);
                model.push(Clip { key, stream, state, used, redated, fact });
            }
            News::StateSet { clip, state } => {
                model.iter_mut().filter(|c| c.id() == *clip).for_each(|c| c.state = *state);
            }
            News::ClipGone { clip, .. } => model.retain(|other| other.id() != *clip),
            News::ClipRedated { clip, redating } => {
                let redating = Redating::decode(redating).expect("well-formed");
                for clip in model.iter_mut().filter(|c| c.id() == *clip && !c.redated) {
                    let fact = Arc::new(clip.fact.redated(&redating));
                    *clip = Clip { redated: true, fact, ..clip.clone() };
                }
            }
            News::StreamSet { .. }
            | News::StreamTimed { .. }
            | News::EventSet { .. }
            | News::Grown { .. } => {}
        }
        model.sort_by_key(|clip| (clip.fact.start, clip.key));
    }

    proptest! {
        #[test]
        fn the_catalogue_answers_as_a_list_would(
            news in prop::collection::vec(news(), 0..60),
            from in 0..8 * SECOND,
            length in 0..5 * SECOND,
        ) {
            let (mut catalogue, mut model) = (Catalogue::new(), Vec::new());
            for piece in &news {
                apply(&mut catalogue, piece);
                apply_naively(&mut model, piece);
            }
            let mut by_id: Vec<&Clip> = model.iter().collect();
            by_id.sort_by_key(|clip| clip.key);
            let marked = by_id.iter().copied().filter(|clip| clip.state != ClipState::Closed);
            prop_assert!(catalogue.clips_marked().eq(marked));
            prop_assert!(catalogue.clips().eq(by_id));
            let times = WallTime(from)..WallTime(from + length);
            for stream in (0..3).map(on_ring) {
                let own = || model.iter().filter(move |clip| clip.stream == stream);
                prop_assert!(catalogue.clips_of(stream).eq(own()));
                let starting = own().filter(|clip| times.contains(&clip.fact.start));
                prop_assert!(catalogue.clips_starting(stream, times.clone()).eq(starting));
                let overlapping = own()
                    .filter(|c| c.fact.start < times.end && c.fact.end > times.start);
                prop_assert!(catalogue.clips_overlapping(stream, times.clone()).eq(overlapping));
                let totals = catalogue.totals(stream);
                let listed = || own().filter(|clip| clip.listed());
                prop_assert_eq!(totals.clips, listed().count() as u64);
                prop_assert_eq!(totals.used.0, listed().map(|clip| clip.used.bytes.0).sum::<u64>());
                let hidden = own().count() as u64 - totals.clips;
                prop_assert_eq!(totals.hidden_clips, hidden);
                prop_assert_eq!(totals.oldest, listed().map(|clip| clip.fact.start).next());
            }
        }

        /// Clips close in an order of their own, some go away: no two that exist, or are about to,
        /// ever have the same second, form, and where it counts millisecond.
        #[test]
        fn names_stay_unique(
            starts in prop::collection::vec((0..3_i64, 0..3_i64, any::<bool>()), 1..40)
        ) {
            let mut catalogue = Catalogue::new();
            let stream = on_ring(1);
            for (counter, (second, millisecond, gone)) in starts.iter().enumerate() {
                let counter = counter as u64;
                let start = second * SECOND + millisecond * 1_000_000;
                let form = catalogue.settle_name(key(counter), stream, WallTime(start), false);
                apply(&mut catalogue, &closed(counter, 1, &fact(start, SECOND, form)));
                if *gone {
                    let clip = id(counter / 2);
                    apply(&mut catalogue, &News::ClipGone { clip, reason: Reason::Evicted });
                }
                let mut names: Vec<_> = catalogue.clips().map(|clip| name(&clip.fact)).collect();
                names.sort_unstable();
                let all = names.len();
                names.dedup();
                prop_assert_eq!(all, names.len());
            }
        }
    }

    fn name(fact: &ClipFact) -> (i64, u32) {
        let nanos = match fact.name_form {
            NameForm::Seconds => SECOND,
            _ => 1_000_000,
        };
        (fact.start.0 / nanos, fact.name_form.code())
    }
}
