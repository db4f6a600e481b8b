//! What chunks and facts mean: samples, times, parameters, clips. Pure.
//!
//! The ring stores opaque tables, opaque parameters and opaque facts. This room gives each its
//! meaning and its one encoding: a [`ChunkTable`] describes the samples of a chunk, a
//! [`ParameterSet`] says how to decode them, a [`ClipFact`] is everything that listing and `stat`
//! need of a clip, a [`StreamFact`] names a stream, an [`Observation`] is something that happened
//! to it and an [`EventFact`] something that is said of it.
//!
//! All encodings are versioned by their first byte, little-endian varints after it, and reading
//! one answers a value or a named reason ([`Malformed`]): no input can panic or allocate more
//! than a small multiple of its own length.

mod clip;
mod end_reason;
mod event;
mod growth;
mod name;
mod parameters;
mod pause;
mod redating;
mod split;
mod stream;
mod table;

pub use crate::wire::Malformed;
pub use clip::{ClipFact, TrackTotals};
pub use end_reason::EndReason;
pub use event::{EventClass, EventFact, event_id, label_of};
pub use growth::{EntryFacts, Growth, ParameterMark};
pub use name::{NameForm, NameRank};
pub use parameters::{AudioParameters, Codec, Colour, Look, ParameterSet, VideoParameters};
pub use pause::{Pause, Pauses};
pub use redating::Redating;
pub use split::{Part, split};
pub use stream::{Observation, ObservationKind, StreamFact, StreamName, Switch};
pub use table::{
    Anchor, ChunkTable, ClockQuality, Sample, SampleFlags, TrackKind, TrackNumber, TrackTable,
};
