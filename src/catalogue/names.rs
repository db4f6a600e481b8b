//! Which form a clip's name has, so that no two clips of a directory are named alike.

use std::collections::BTreeMap;

use super::Catalogue;
use crate::segment::{NameForm, NameRank};
use crate::units::{ClipKey, NANOS_PER_SECOND, StreamKey, WallTime};

const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// A name that was given to a clip which is not closed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct SettledName {
    stream: StreamKey,
    start: WallTime,
    form: NameForm,
}

impl Catalogue {
    /// Settles how the name of a clip that begins at `start` tells it from the others, when the
    /// clip is sealed. To the second, unless another clip in any state that is not gone, listed
    /// under the same stream name, has that, or it would not sort in time then; with milliseconds
    /// else, and then with a number. `is_shown_twice` says whether a clock may show the time of
    /// `start` twice.
    ///
    /// The name is taken from now on, although the clip is listed only when its fact is durable:
    /// two clips that are sealed before one flush must not be given the same one. Asking again for
    /// the same clip settles its name anew.
    pub fn settle_name(
        &mut self,
        clip: ClipKey,
        stream: StreamKey,
        start: WallTime,
        is_shown_twice: bool,
    ) -> NameForm {
        self.settled.remove(&clip);
        let form = match free_form(start, &self.names_in_second(clip, stream, start)) {
            // What every build has called so, and shows alike.
            NameForm::InOrder { rank: NameRank::Second, .. } if !is_shown_twice => {
                NameForm::Seconds
            }
            form => form,
        };
        self.settled.insert(clip, SettledName { stream, start, form });
        form
    }

    /// Gives back the name of a clip that was settled but will not be closed.
    pub fn forget_name(&mut self, clip: ClipKey) {
        self.settled.remove(&clip);
    }

    fn names_in_second(
        &self,
        asking: ClipKey,
        stream: StreamKey,
        start: WallTime,
    ) -> Vec<(WallTime, NameForm)> {
        let second = start.plus_nanos(-start.0.rem_euclid(NANOS_PER_SECOND));
        let times = second..second.plus_nanos(NANOS_PER_SECOND);
        let mut names = Vec::new();
        for stream in self.namesakes(stream, start) {
            let clips = self.clips_starting(stream, times.clone()).filter(|c| c.key != asking);
            names.extend(clips.map(|clip| (clip.fact.start, clip.fact.name_form)));
            let settled = self.settled.values();
            let settled = settled.filter(|s| s.stream == stream && times.contains(&s.start));
            names.extend(settled.map(|name| (name.start, name.form)));
        }
        names
    }

    /// The streams that share a directory at `time`: a camera's name may have been another's
    /// before, and a clock that went back brings the two together.
    fn namesakes(&self, stream: StreamKey, time: WallTime) -> Vec<StreamKey> {
        let name = self.stream(stream).map(|fact| fact.name_at(time));
        let same = |fact: &crate::segment::StreamFact| Some(fact.name_at(time)) == name;
        let others = self.streams().filter(|(other, fact)| *other != stream && same(fact));
        std::iter::once(stream).chain(others.map(|(other, _)| other)).collect()
    }
}

/// The form under which a clip that begins at `start` sorts among `taken`, all of which begin in
/// the same second, and is none of them.
fn free_form(start: WallTime, taken: &[(WallTime, NameForm)]) -> NameForm {
    let rank = free_rank(start, taken);
    let millisecond = |time: WallTime| time.0.div_euclid(NANOS_PER_MILLISECOND);
    let same = taken.iter().filter(|(other, _)| millisecond(*other) == millisecond(start));
    let numbers = same.filter_map(|(_, form)| match form {
        NameForm::InOrder { rank: other, number } if *other == rank => Some(*number),
        _ => None,
    });
    NameForm::InOrder { rank, number: numbers.max().map_or(1, |number| number.saturating_add(1)) }
}

fn free_rank(start: WallTime, taken: &[(WallTime, NameForm)]) -> NameRank {
    let is_rank = |form: &NameForm, wanted: NameRank| match form {
        NameForm::Seconds => wanted == NameRank::Second,
        // Of earlier builds: `12-00-00.500.mp4` sorts in front of `12-00-00.mp4`.
        NameForm::Milliseconds | NameForm::Numbered(_) => wanted == NameRank::Before,
        NameForm::InOrder { rank, .. } => *rank == wanted,
    };
    let times = |wanted| taken.iter().filter(move |(_, form)| is_rank(form, wanted));
    if let Some((holder, _)) = times(NameRank::Second).next() {
        return if start < *holder { NameRank::Before } else { NameRank::Behind };
    }
    if times(NameRank::Behind).any(|(time, _)| *time < start) {
        return NameRank::Behind;
    }
    match times(NameRank::Before).any(|(time, _)| *time > start) {
        true => NameRank::Before,
        false => NameRank::Second,
    }
}

/// Clips whose names are settled, by key.
pub(super) type SettledNames = BTreeMap<ClipKey, SettledName>;
