//! What has become true between two states of the facts in force, as news. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ring::fact::Fact;
use crate::ring::space::{ClipRecord, Space};
use crate::ring::types::{ClipState, News, Reason};
use crate::units::ClipId;

/// The news that lead from `before` to `after`: streams first, then what is gone, then the clips of
/// `after` in their order.
pub(super) fn difference(before: &Space, after: &Space) -> Vec<News> {
    let mut news: Vec<News> = after
        .streams()
        .filter(|(stream, fact)| {
            !before.streams().any(|(known, old)| known == *stream && old == *fact)
        })
        .map(|(stream, fact)| News::StreamSet { stream, fact: fact.clone() })
        .collect();
    news.extend(events(before, after));
    let mut replaced = BTreeSet::new();
    for (clip, old) in before.clips() {
        let Some(state) = old.state else { continue };
        let new = after.clip(clip).filter(|new| new.state.is_some());
        if new.is_some_and(|new| is_same_footage(old, new)) {
            continue;
        }
        replaced.insert(clip);
        news.push(News::ClipGone { clip, reason: reason_of(state) });
    }
    for (clip, new) in after.clips() {
        let Some(state) = new.state else { continue };
        let old = before.clip(clip).filter(|old| old.state.is_some());
        match old.filter(|_| !replaced.contains(&clip)) {
            Some(old) => changed(clip, old, new, &mut news),
            None => {
                news.push(closed(clip, new));
                if state != ClipState::Closed {
                    news.push(News::StateSet { clip, state });
                }
            }
        }
    }
    news
}

/// The news that a fact is, which `space` has taken in; `known` says whether its clip had been
/// closed before.
pub(super) fn told_by(fact: &Fact, space: &Space, known: bool) -> Option<News> {
    Some(match fact {
        Fact::Stream { stream, fact } => News::StreamSet { stream: *stream, fact: fact.clone() },
        Fact::Clip { clip, .. } if !known => closed(*clip, space.clip(*clip)?),
        Fact::State { clip, state } => News::StateSet { clip: *clip, state: *state },
        Fact::Event { stream, event, fact, .. } => {
            News::EventSet { stream: *stream, event: *event, fact: fact.clone() }
        }
        Fact::Gone { clip, reason } => News::ClipGone { clip: *clip, reason: *reason },
        Fact::Redated { clip, redating } => {
            News::ClipRedated { clip: *clip, redating: redating.clone() }
        }
        _ => return None,
    })
}

/// What is said otherwise of events, and which of them are withdrawn.
fn events(before: &Space, after: &Space) -> Vec<News> {
    let (old, new) = (before.events(), after.events());
    let withdrawn = old.iter().filter(|(stream, event, ..)| new.get(*stream, *event).is_none());
    let withdrawn = withdrawn.map(|(stream, event, ..)| (stream, event, Arc::from([])));
    let is_new = |stream, event, fact: &Arc<[u8]>| {
        old.get(stream, event).is_none_or(|(_, known)| known != fact)
    };
    let said = new.iter().filter(|&(stream, event, _, fact)| is_new(stream, event, fact));
    let said = said.map(|(stream, event, _, fact)| (stream, event, fact.clone()));
    let all = withdrawn.chain(said);
    all.map(|(stream, event, fact)| News::EventSet { stream, event, fact }).collect()
}

/// Whether one record goes over into the other by what may happen to a closed clip: nothing of a
/// file changes but where it was recorded on a wrong clock, and that once.
fn is_same_footage(old: &ClipRecord, new: &ClipRecord) -> bool {
    let redating = old.redating.is_none() || old.redating == new.redating;
    redating && old.stream == new.stream && old.fact == new.fact && old.extents == new.extents
}

fn changed(clip: ClipId, old: &ClipRecord, new: &ClipRecord, news: &mut Vec<News>) {
    if let (None, Some(redating)) = (&old.redating, &new.redating) {
        news.push(News::ClipRedated { clip, redating: redating.clone() });
    }
    if let Some(state) = new.state
        && old.state != new.state
    {
        news.push(News::StateSet { clip, state });
    }
}

fn closed(clip: ClipId, record: &ClipRecord) -> News {
    News::ClipClosed {
        clip,
        stream: record.stream,
        fact: record.fact.clone(),
        used: record.used(),
        redating: record.redating.clone(),
    }
}

/// What became of a clip whose last fact was not seen.
fn reason_of(state: ClipState) -> Reason {
    match state {
        ClipState::Purging { reason } => reason,
        _ => Reason::Evicted,
    }
}
