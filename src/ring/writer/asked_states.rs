//! States that have been asked for and not been set yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::ring::types::ClipState;
use crate::units::ClipId;

/// States that clips will be in once everything queued is served: what the next request starts
/// from.
#[derive(Default)]
pub(super) struct AskedStates(HashMap<ClipId, (ClipState, usize)>);

impl AskedStates {
    /// `None` where nothing is queued for the clip.
    pub fn of(&self, clip: ClipId) -> Option<ClipState> {
        self.0.get(&clip).map(|(state, _)| *state)
    }

    /// A request is queued that leads to `state`.
    pub fn asked(&mut self, clip: ClipId, state: ClipState) {
        let entry = self.0.entry(clip).or_insert((state, 0));
        *entry = (state, entry.1 + 1);
    }

    /// One of the requests for the clip is carried out.
    pub fn served(&mut self, clip: ClipId) {
        if let Entry::Occupied(mut entry) = self.0.entry(clip) {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Sequence, SessionNumber};

    #[test]
    fn the_last_state_asked_for_counts_until_all_are_served() {
        let clip = ClipId(Sequence::new(SessionNumber(1), 1));
        let mut states = AskedStates::default();
        assert_eq!(states.of(clip), None);
        states.asked(clip, ClipState::Found);
        states.asked(clip, ClipState::Closed);
        states.served(clip);
        assert_eq!(states.of(clip), Some(ClipState::Closed));
        states.served(clip);
        assert_eq!(states.of(clip), None);
        states.served(clip);
        assert!(states.0.is_empty(), "nothing is left behind");
    }
}
