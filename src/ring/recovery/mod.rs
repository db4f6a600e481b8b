//! Opening a ring, and making its ledger anew: what was growing is closed, what is in doubt is
//! found.

mod adopt;
mod doubt;
mod open;
mod opening;
mod rescue;

pub(super) use open::{Unwritable, open};
pub use opening::Opening;
pub use rescue::Rescued;
pub(super) use rescue::rescue;
