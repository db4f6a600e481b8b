//! States of clips, as `getfattr` tells them.

use super::Attribute;
use crate::ring::ClipState;
use crate::view::utc_timestamp;

/// What is to be said of the state of a clip.
pub(super) fn attributes(state: ClipState) -> Vec<Attribute> {
    let (name, more) = match state {
        ClipState::Closed => ("closed", Vec::new()),
        ClipState::Kept { until } => {
            let until = until.map_or("forever".to_owned(), utc_timestamp);
            ("kept", vec![("user.reelfs.keep", until)])
        }
        ClipState::Expiring { until, reason } => {
            let reason = ("user.reelfs.reason", reason.to_string());
            ("expiring", vec![("user.reelfs.expires", utc_timestamp(until)), reason])
        }
        ClipState::Found => ("found", vec![("user.reelfs.expires", "found".to_owned())]),
        ClipState::Purging { reason } => {
            ("purging", vec![("user.reelfs.reason", reason.to_string())])
        }
        ClipState::Unknown(state) => {
            ("unknown", vec![("user.reelfs.expires", format!("unknown ({})", state.code))])
        }
    };
    [vec![("user.reelfs.state", name.to_owned())], more].concat()
}
