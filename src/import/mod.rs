//! Existing footage in: files of other recorders become the frames that a camera would have sent.
//!
//! What a container says is taken apart in `demux`, and what a codec says is read by `camera`.
//! From there on a file is a camera: the same code decides where clips begin and end, what a gap
//! is, and what can't be kept.
//!
//! | part | knows |
//! |---|---|
//! | [`Footage`] | one file: its track of pictures, and of sound |
//! | [`Frames`] | its frames, in the order of their times on the wall |
//! | [`NamePattern`] | what the names of files say |
//! | [`placed`] | where files lie in time, and in which order |
//! | [`samples_of`] | whether a file is what is stored somewhere |
//! | `order` | when the pictures of a track are shown, and which of them |

#![warn(clippy::indexing_slicing)]

mod compare;
mod footage;
mod frames;
mod naming;
mod order;
mod placing;

pub use compare::{StoredSample, samples_of};
pub use footage::{Footage, ImportError, Known, Survey};
pub use frames::Frames;
pub use naming::{FromName, NamePattern, Named};
pub use placing::{Beginning, Dated, Misplaced, Placed, has_own_times, placed};
