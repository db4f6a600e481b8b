//! What is due to go: told, and hurried.

use super::reporter::Reporter;
use super::{Store, events, locked};
use crate::control::{Answer, ExpireAsk};
use crate::purge::{self, Purger};
use crate::units::StreamKey;

/// Does what is asked for.
pub(super) fn carry_out(ask: &ExpireAsk, reporter: &Reporter, store: &Store) -> Answer {
    let done = streams(ask, reporter, store).and_then(|streams| match ask {
        ExpireAsk { dry_run: true, .. } => preview(streams.as_deref(), reporter, store),
        ExpireAsk { confirm: true, .. } => {
            confirm(&streams.ok_or("no camera is named")?, reporter, store)
        }
        _ => {
            reporter.hurry_purge();
            Ok(vec!["what is due goes now".to_owned()])
        }
    });
    done.into()
}

fn streams(
    ask: &ExpireAsk,
    reporter: &Reporter,
    store: &Store,
) -> Result<Option<Vec<StreamKey>>, String> {
    let Some(camera) = &ask.camera else { return Ok(None) };
    events::streams_of(camera, &reporter.cameras(), store).map(Some)
}

fn name_of(stream: StreamKey, store: &Store) -> String {
    let name = locked(&store.catalogue).stream(stream).map(|fact| fact.name().to_owned());
    name.unwrap_or_else(|| format!("stream {stream}"))
}

fn preview(
    streams: Option<&[StreamKey]>,
    reporter: &Reporter,
    store: &Store,
) -> Result<Vec<String>, String> {
    let now = store.clock.read().wall;
    let policy = reporter.with_purger(Purger::policy);
    let policy = policy.ok_or("nothing is given up: the ring can't be written")?;
    let policy = policy.map_err(|suspension| {
        format!("nothing is given up until the clock is confirmed ({})", suspension.reason)
    })?;
    let preview = purge::preview(&policy, &store.catalogue, now);
    let is_meant = |stream: &StreamKey| streams.is_none_or(|meant| meant.contains(stream));
    let meant = preview.iter().filter(|it| is_meant(&it.stream));
    let mut lines: Vec<String> = meant.map(|it| it.line(&name_of(it.stream, store))).collect();
    let held = reporter.with_purger(Purger::held).unwrap_or_default();
    for (stream, _) in held.iter().filter(|(stream, _)| is_meant(stream)) {
        let name = name_of(*stream, store);
        lines.push(format!("{name}: held: --confirm {name} has it go"));
    }
    if lines.is_empty() {
        lines.push("nothing is due".to_owned());
    }
    Ok(lines)
}

fn confirm(
    streams: &[StreamKey],
    reporter: &Reporter,
    store: &Store,
) -> Result<Vec<String>, String> {
    let held = reporter.with_purger(Purger::held).unwrap_or_default();
    let meant: Vec<StreamKey> =
        streams.iter().copied().filter(|stream| held.contains_key(stream)).collect();
    if meant.is_empty() {
        return Err("nothing of it is held".to_owned());
    }
    let confirmed = meant.into_iter().map(|stream| {
        reporter.with_purger(|purger| purger.confirm(stream));
        let name = name_of(stream, store);
        log::info!("{name}: what is held is to go: somebody has confirmed it");
        format!("{name}: what is held goes now")
    });
    Ok(confirmed.collect())
}
