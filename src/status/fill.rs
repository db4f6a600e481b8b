//! What ring and catalogue have to say in a [`Status`](super::Status).

use std::path::Path;
use std::time::Duration;

use super::forecast::rate;
use super::{CameraStatus, DeviceStatus, RingStatus};
use crate::catalogue::Catalogue;
use crate::device::Health;
use crate::ring::{Counters, Superblock, Usage};
use crate::segment::StreamFact;
use crate::units::{NANOS_PER_SECOND, StreamKey, WallTime};
use crate::view::utc_timestamp;

/// The ring's part. `counters` are zeros where no daemon runs.
#[must_use]
pub fn ring_status(
    superblock: &Superblock,
    device: &Path,
    usage: &Usage,
    counters: &Counters,
    catalogue: &Catalogue,
    now: WallTime,
) -> RingStatus {
    let totals: Vec<_> = catalogue.streams().map(|(stream, _)| catalogue.totals(stream)).collect();
    let streams = catalogue.streams().map(|(stream, _)| stream);
    let oldest = streams.filter_map(|stream| oldest_of(catalogue, stream)).min();
    RingStatus {
        device: device.display().to_string(),
        uuid: uuid::Uuid::from_bytes(superblock.ring_uuid).to_string(),
        label: superblock.label.clone(),
        size_bytes: usage.size.0,
        used_bytes: usage.used.0,
        expiring_bytes: usage.expiring.0,
        kept_bytes: usage.kept.0,
        keep_max_bytes: None,
        free_bytes: usage.free.0,
        bad_blocks: usage.bad_blocks,
        oldest: oldest.map(utc_timestamp),
        retention_seconds: oldest.map(|oldest| age_seconds(oldest, now)),
        forecast_seconds: None,
        clips: totals.iter().map(|totals| totals.clips).sum(),
        evicted: counters.evicted,
        events_dropped: counters.events_dropped,
        device_errors: counters.errors(),
        writes: counters.writes,
        written_bytes: counters.write_bytes,
        flushes: counters.flushes,
    }
}

/// The device's part.
#[must_use]
pub fn device_status(
    health: &Health,
    counters: &Counters,
    unwritable: Option<String>,
) -> DeviceStatus {
    let (state, since) = match (health.gone, health.stalled) {
        (Some(gone), _) => ("gone", Some(gone)),
        (None, Some(stalled)) => ("stalled", Some(stalled)),
        (None, None) if unwritable.is_some() => ("read-only", None),
        (None, None) if counters.commits_failed > 1 => ("failing", None),
        (None, None) => ("present", None),
    };
    DeviceStatus {
        state: state.to_owned(),
        since_seconds: since.map(|since| since.as_secs()),
        refused: health.refused.clone(),
        unwritable,
        read_errors: health.read_errors,
        write_errors: counters.write_errors,
        flush_errors: counters.flush_errors,
    }
}

/// A status for each camera of the configuration, in its order, and behind them one for each
/// other stream that still has footage. `configured` are names with the `retain` that holds for
/// them. What the catalogue can't know is left at zero: the state is `stopped` or `removed`.
#[must_use]
pub fn camera_totals(
    catalogue: &Catalogue,
    configured: &[(&str, Option<Duration>)],
    now: WallTime,
) -> Vec<CameraStatus> {
    let mut shown: Vec<StreamKey> = Vec::new();
    let mut cameras: Vec<CameraStatus> = configured
        .iter()
        .map(|(name, retain)| {
            let stream = catalogue.stream_named(name).map(|(stream, _)| stream);
            shown.extend(stream);
            let retain = retain.map(|retain| retain.as_secs());
            camera(name, "stopped", (catalogue, stream), retain, now)
        })
        .collect();
    let others = catalogue.streams().filter(|(stream, _)| !shown.contains(stream));
    cameras.extend(others.filter_map(|(stream, fact)| {
        let totals = catalogue.totals(stream);
        let has_footage = totals.clips + totals.hidden_clips > 0;
        let known = (catalogue, Some(stream));
        has_footage.then(|| camera(fact.name(), "removed", known, retain_seconds(fact), now))
    }));
    cameras
}

fn camera(
    name: &str,
    state: &str,
    (catalogue, stream): (&Catalogue, Option<StreamKey>),
    retain_seconds: Option<u64>,
    now: WallTime,
) -> CameraStatus {
    let totals = stream.map(|stream| catalogue.totals(stream)).unwrap_or_default();
    let oldest = stream.and_then(|stream| oldest_of(catalogue, stream));
    CameraStatus {
        name: name.to_owned(),
        state: state.to_owned(),
        clips: totals.clips,
        used_bytes: totals.used.0,
        oldest: oldest.map(utc_timestamp),
        retention_seconds: oldest.map(|oldest| age_seconds(oldest, now)),
        retain_seconds,
        bytes_per_second: stream.and_then(|stream| rate(catalogue, stream, now)),
        events: stream.map_or(0, |stream| catalogue.events_of(stream).count() as u64),
        ..CameraStatus::default()
    }
}

/// When the oldest footage of a stream begins, that of its growing clip included: it can be read.
fn oldest_of(catalogue: &Catalogue, stream: StreamKey) -> Option<WallTime> {
    let growing = catalogue.growing_of(stream).map(|(_, growth)| growth.start);
    catalogue.totals(stream).oldest.into_iter().chain(growing).min()
}

fn retain_seconds(fact: &StreamFact) -> Option<u64> {
    let nanos = fact.retain_nanos.and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(|nanos| nanos / NANOS_PER_SECOND.unsigned_abs())
}

fn age_seconds(time: WallTime, now: WallTime) -> u64 {
    (now.nanos_since(time).max(0) / NANOS_PER_SECOND).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{ClipState, Geometry, News, Reason, Used};
    use crate::segment::{ClipFact, ClockQuality, EndReason, NameForm, Pauses, StreamName};
    use crate::units::{ByteCount, ClipId, RingNumber, Sequence, SessionNumber, StreamNumber};

    const HOUR: i64 = 3600 * NANOS_PER_SECOND;

    fn clip(to: &mut Catalogue, counter: u64, stream: u32, start: i64) -> ClipId {
        let fact = ClipFact {
            start: WallTime(start),
            end: WallTime(start + HOUR),
            output_version: 1,
            name_form: NameForm::Seconds,
            end_reason: EndReason::Boundary,
            quality: ClockQuality::Synchronised,
            digest: [0; 32],
            codec: String::new(),
            picture: (0, 0),
            tracks: Vec::new(),
            pauses: Pauses::default(),
        };
        let clip = ClipId(Sequence::new(SessionNumber(1), counter));
        let (stream, used) = (StreamNumber(stream), Used { bytes: ByteCount(4096), blocks: 1 });
        let (fact, redating) = (fact.encode().into(), None);
        let news = News::ClipClosed { clip, stream, fact, used, redating };
        to.apply(RingNumber(0), &news).expect("a clip");
        clip
    }

    fn stream(to: &mut Catalogue, number: u32, name: &str) {
        let fact = StreamFact {
            uuid: [number as u8; 16],
            names: vec![StreamName { name: name.to_owned(), since: WallTime(0) }],
            retain_nanos: Some(48 * HOUR),
            removed: None,
            switch: None,
        };
        let news = News::StreamSet { stream: StreamNumber(number), fact: fact.encode().into() };
        to.apply(RingNumber(0), &news).expect("a stream");
    }

    fn example() -> Catalogue {
        let mut catalogue = Catalogue::new();
        stream(&mut catalogue, 1, "yard");
        stream(&mut catalogue, 2, "door");
        stream(&mut catalogue, 3, "cellar");
        stream(&mut catalogue, 4, "attic");
        let hidden = clip(&mut catalogue, 1, 1, HOUR);
        clip(&mut catalogue, 2, 1, 2 * HOUR);
        clip(&mut catalogue, 3, 3, 5 * HOUR);
        let state = ClipState::Expiring { until: WallTime(0), reason: Reason::Deleted };
        catalogue.apply(RingNumber(0), &News::StateSet { clip: hidden, state }).expect("a state");
        catalogue
    }

    #[test]
    fn cameras_come_in_the_order_of_the_configuration_and_removed_ones_behind_them() {
        let configured = [("door", None), ("new", None), ("yard", Some(Duration::from_secs(3600)))];
        let cameras = camera_totals(&example(), &configured, WallTime(12 * HOUR));
        let facts: Vec<_> = cameras
            .iter()
            .map(|c| (&*c.name, &*c.state, c.clips, c.retention_seconds, c.retain_seconds))
            .collect();
        assert_eq!(
            facts,
            [
                ("door", "stopped", 0, None, None),
                ("new", "stopped", 0, None, None),
                ("yard", "stopped", 1, Some(10 * 3600), Some(3600)),
                ("cellar", "removed", 1, Some(7 * 3600), Some(48 * 3600)),
            ]
        );
    }

    #[test]
    fn the_ring_says_what_it_holds_and_how_far_back_it_goes() {
        let superblock = Superblock {
            ring_uuid: [0x11; 16],
            node_uuid: [0; 16],
            pool_uuid: [0; 16],
            ring_number: Default::default(),
            created: WallTime(0),
            label: "cameras".to_owned(),
            compat: 0,
            ro_compat: 0,
            incompat: 0,
            disk_label: None,
            geometry: Geometry::plan(ByteCount(64 << 20), None).expect("a geometry"),
        };
        let usage = Usage {
            size: ByteCount(56 << 20),
            used: ByteCount(8 << 20),
            expiring: ByteCount(4096),
            kept: ByteCount(2 << 20),
            free: ByteCount(48 << 20),
            bad_blocks: 3,
        };
        let counters = Counters { flushes: 7, ..Counters::default() };
        let now = WallTime(12 * HOUR);
        let status =
            ring_status(&superblock, Path::new("/dev/x"), &usage, &counters, &example(), now);
        assert_eq!(status.uuid, "11111111-1111-1111-1111-111111111111");
        assert_eq!((status.clips, status.flushes), (2, 7));
        assert_eq!(status.oldest.as_deref(), Some("1970-01-01T02:00:00.000000000Z"));
        assert_eq!(status.retention_seconds, Some(10 * 3600));
        assert_eq!((status.expiring_bytes, status.free_bytes), (4096, 48 << 20));
        assert_eq!((status.kept_bytes, status.keep_max_bytes), (2 << 20, None));
    }
}
