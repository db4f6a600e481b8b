//! Cameras that have more than they may: their oldest goes. Pure.

use std::iter::Peekable;

use super::{Action, DUE_MAX, Due, Why, due};
use crate::catalogue::{Catalogue, Clip};
use crate::clock::Verdict;
use crate::ring::{ClipState, Reason};
use crate::units::{ByteCount, StreamKey};

/// How much a camera may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// All of its streams.
    pub streams: Vec<StreamKey>,
    /// What their clips may take on the device together, in bytes.
    pub max: ByteCount,
}

/// What goes because a camera has more than it may, from its oldest clip on; at most [`DUE_MAX`].
/// What grows counts, and what is kept; neither goes. Nothing while the clock is doubted.
#[must_use]
pub fn over_quota(catalogue: &Catalogue, quota: &Quota, verdict: Verdict) -> Vec<Due> {
    if !matches!(verdict, Verdict::Trusted(_)) {
        return Vec::new();
    }
    let taken: u64 = quota.streams.iter().map(|stream| taken_by(catalogue, *stream)).sum();
    let mut excess = taken.saturating_sub(quota.max.0);
    let mut streams: Vec<_> =
        quota.streams.iter().map(|stream| catalogue.clips_of(*stream).peekable()).collect();
    let mut over = Vec::new();
    while excess > 0
        && over.len() < DUE_MAX
        && let Some(clip) = next_oldest(&mut streams)
    {
        if clip.state == ClipState::Closed {
            excess = excess.saturating_sub(clip.used.bytes.0);
            let why = Why::OverQuota { max: quota.max };
            over.push(due(clip, Action::Purge(Reason::Quota), why));
        }
    }
    over
}

/// What listed clips of a stream take, and the samples of the one that grows.
fn taken_by(catalogue: &Catalogue, stream: StreamKey) -> u64 {
    let growing = catalogue
        .growing_of(stream)
        .map_or(0, |(_, growth)| growth.tracks.iter().map(|track| track.bytes).sum());
    catalogue.totals(stream).used.0.saturating_add(growing)
}

fn next_oldest<'c>(streams: &mut [Peekable<impl Iterator<Item = &'c Clip>>]) -> Option<&'c Clip> {
    let heads = streams.iter_mut().filter_map(|stream| {
        let start = stream.peek()?.fact.start;
        Some((start, stream))
    });
    heads.min_by_key(|(start, _)| *start)?.1.next()
}
