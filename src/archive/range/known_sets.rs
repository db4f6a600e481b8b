//! What decodes clips, as far as it has been asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::compilation::ClipSets;
use crate::segment::ParameterSet;
use crate::units::ClipId;

/// Clips whose parameter sets are remembered: three days of clips of ten seconds.
const SETS_REMEMBERED: usize = 1 << 15;

/// Parameter sets of clips; those of one camera are hardly ever different.
#[derive(Default)]
pub(in crate::archive) struct KnownSets(Mutex<HashMap<ClipId, ClipSets>>);

impl KnownSets {
    pub(super) fn get(&self, clip: ClipId) -> Option<ClipSets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&clip).cloned()
    }

    /// Keeps those of a clip, in one copy with those of other clips that are the same.
    pub(super) fn keep(&self, clip: ClipId, sets: ClipSets, like: Option<&ClipSets>) -> ClipSets {
        let same = |own: &Arc<ParameterSet>, other: Option<&Arc<ParameterSet>>| match other {
            Some(other) if other == own => other.clone(),
            _ => own.clone(),
        };
        let sound_like = like.and_then(|like| like.sound.as_ref());
        let shared = ClipSets {
            video: same(&sets.video, like.map(|like| &like.video)),
            sound: sets.sound.as_ref().map(|sound| same(sound, sound_like)),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SETS_REMEMBERED {
            known.clear();
        }
        known.insert(clip, shared.clone());
        shared
    }

    pub(in crate::archive) fn forget(&self, clip: ClipId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&clip);
    }
}
