//! A pass that would give up most of what a camera has is more likely a slip than a wish.

use std::collections::{BTreeMap, BTreeSet};

use super::account;
use crate::catalogue::Catalogue;
use crate::retention::{DUE_MAX, Due, Why};
use crate::units::{BootTime, ByteCount, NANOS_PER_SECOND, StreamKey};

/// What is given up of a camera is not looked at below this.
const GIVEN_UP_MIN: ByteCount = ByteCount(1 << 30);

/// How often the log says it again, in nanoseconds of boot time: an hour.
const REMINDER_NANOS: i64 = 3600 * NANOS_PER_SECOND;

/// What one pass would give up of a stream by its age, because nothing
/// claims it, or because it has too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Braked {
    /// How many clips.
    pub clips: u64,
    /// Space that they take on the device.
    pub bytes: ByteCount,
}

/// All that a pass would do, by stream; of each no more than can be done at once.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    streams: BTreeMap<StreamKey, OfStream>,
}

#[derive(Debug, Default)]
struct OfStream {
    due: Vec<Due>,
    given_up: Braked,
}

fn gives_up(due: &Due) -> bool {
    matches!(due.why, Why::OlderThan { .. } | Why::Unclaimed | Why::OverQuota { .. })
}

impl Gathered {
    pub(super) fn add(&mut self, due: &[Due]) {
        for due in due {
            let of_stream = self.streams.entry(due.stream).or_default();
            if gives_up(due) {
                of_stream.given_up.clips += 1;
                of_stream.given_up.bytes += due.used;
            }
            if of_stream.due.len() < DUE_MAX {
                of_stream.due.push(*due);
            }
        }
    }

    /// Whether anything of a stream is to be given up.
    pub(super) fn gives_up(&self, stream: StreamKey) -> bool {
        self.streams.get(&stream).is_some_and(|of_stream| of_stream.given_up.clips > 0)
    }

    /// What is to be carried out at once, and whether that is all of it.
    pub(super) fn due(self) -> (Vec<Due>, bool) {
        let mut all: Vec<Due> = self.streams.into_values().flat_map(|it| it.due).collect();
        let is_all = all.len() < DUE_MAX;
        all.truncate(DUE_MAX);
        (all, is_all)
    }
}

/// The brake, and what it holds.
#[derive(Debug, Default)]
pub(super) struct Brake {
    held: BTreeMap<StreamKey, Braked>,
    /// Somebody has said that these are to go on, until there is nothing to be held any more.
    confirmed: BTreeSet<StreamKey>,
    /// Boot time when the log last said that something is held.
    reminded_at: BTreeMap<StreamKey, BootTime>,
}

impl Brake {
    /// Takes out of what was gathered what one pass is not to give up: more than `share_max`
    /// percent of what a camera has.
    pub(super) fn hold(
        &mut self,
        gathered: &mut Gathered,
        share_max: Option<u8>,
        catalogue: &Catalogue,
        now: BootTime,
    ) {
        let is_too_much = |stream: StreamKey, given_up: Braked| {
            let Some(share) = share_max else { return false };
            let all = catalogue.totals(stream).used.0;
            given_up.bytes > GIVEN_UP_MIN
                && u128::from(given_up.bytes.0) * 100 > u128::from(all) * u128::from(share)
        };
        let mut held = BTreeMap::new();
        for (stream, of_stream) in &mut gathered.streams {
            if !is_too_much(*stream, of_stream.given_up) {
                self.confirmed.remove(stream);
            } else if !self.confirmed.contains(stream) {
                of_stream.due.retain(|due| !gives_up(due));
                held.insert(*stream, of_stream.given_up);
            }
        }
        self.confirmed.retain(|stream| gathered.streams.contains_key(stream));
        self.held = held;
        self.tell(share_max.unwrap_or_default(), catalogue, now);
    }

    fn tell(&mut self, share_max: u8, catalogue: &Catalogue, now: BootTime) {
        let name = |stream: StreamKey| {
            let known = catalogue.stream(stream).map(|fact| fact.name().to_owned());
            known.unwrap_or_else(|| format!("stream {stream}"))
        };
        for (&stream, held) in &self.held {
            let told = self.reminded_at.get(&stream);
            if told.is_some_and(|told| now.0.saturating_sub(told.0) < REMINDER_NANOS) {
                continue;
            }
            self.reminded_at.insert(stream, now);
            let name = name(stream);
            log::warn!(
                "{name}: nothing is given up: {} clips with {} would go at once, more than \
                 {share_max}% of what there is (purge.brake); `reelfs expire --confirm {name}` \
                 has them go",
                held.clips,
                account::mebibytes(held.bytes),
            );
        }
        let over: Vec<StreamKey> =
            self.reminded_at.keys().copied().filter(|it| !self.held.contains_key(it)).collect();
        for stream in over {
            self.reminded_at.remove(&stream);
            log::info!("{}: what is due is given up again", name(stream));
        }
    }

    /// Somebody says that what is held of a stream is to go.
    pub(super) fn confirm(&mut self, stream: StreamKey) {
        self.confirmed.insert(stream);
    }

    /// What is held.
    pub(super) fn held(&self) -> &BTreeMap<StreamKey, Braked> {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Action;
    use crate::ring::{ClipState, News, Reason, Used};
    use crate::segment::{ClipFact, ClockQuality};
    use crate::units::{
        ClipId, ClipKey, RingNumber, Sequence, SessionNumber, StreamNumber, WallTime,
    };

    const GIB: u64 = 1 << 30;
    const RING: RingNumber = RingNumber(0);
    const STREAM: StreamKey = StreamKey { ring: RING, stream: StreamNumber(1) };

    fn id(number: u64) -> ClipId {
        ClipId(Sequence::new(SessionNumber(1), number))
    }

    /// Ten clips of a GiB.
    fn ten() -> Catalogue {
        let mut catalogue = Catalogue::new();
        for number in 0..10 {
            let fact = ClipFact::between(WallTime(0), WallTime(1), ClockQuality::Given);
            let news = News::ClipClosed {
                clip: id(number),
                stream: STREAM.stream,
                fact: fact.encode().into(),
                used: Used { bytes: ByteCount(GIB), blocks: 1 },
                redating: None,
            };
            catalogue.apply(RING, &news).expect("a clip");
        }
        catalogue
    }

    fn old(count: u64, why: Why, used: u64) -> Gathered {
        let mut gathered = Gathered::default();
        for number in 0..count {
            let clip = ClipKey::new(RING, id(number)).expect("a sound id");
            let action = Action::Purge(Reason::Expired);
            let (state, used) = (ClipState::Closed, ByteCount(used));
            gathered.add(&[Due { clip, stream: STREAM, state, used, action, why }]);
        }
        gathered
    }

    #[test]
    fn more_than_its_share_of_a_camera_waits_until_somebody_confirms_it() {
        let catalogue = ten();
        let (mut brake, why) = (Brake::default(), Why::Unclaimed);
        let done = |brake: &mut Brake, count, why, used, share: Option<u8>| {
            let mut gathered = old(count, why, used);
            brake.hold(&mut gathered, share, &catalogue, BootTime(0));
            (gathered.due().0.len(), brake.held().get(&STREAM).map(|held| held.clips))
        };
        assert_eq!(done(&mut brake, 5, why, GIB, Some(50)), (5, None), "half is not more");
        assert_eq!(done(&mut brake, 6, why, GIB, Some(50)), (0, Some(6)));
        assert_eq!(done(&mut brake, 6, Why::GraceOver, GIB, Some(50)), (6, None), "by hand");
        assert_eq!(done(&mut brake, 6, why, GIB, None), (6, None), "off");
        assert_eq!(done(&mut brake, 6, why, GIB / 6, Some(0)), (6, None), "a GiB is little");
        assert_eq!(done(&mut brake, 10, why, GIB, Some(50)), (0, Some(10)));
        brake.confirm(STREAM);
        assert_eq!(done(&mut brake, 10, why, GIB, Some(50)), (10, None));
        assert_eq!(done(&mut brake, 9, why, GIB, Some(50)), (9, None), "it goes on to the end");
        assert_eq!(done(&mut brake, 1, why, GIB, Some(50)), (1, None));
        assert_eq!(done(&mut brake, 9, why, GIB, Some(50)), (0, Some(9)), "and holds anew");
    }
}
