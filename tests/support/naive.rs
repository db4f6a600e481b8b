//! A ring as a child would build it: lists of what was handed in, and of what was promised.

use std::collections::{BTreeMap, BTreeSet};

use reelfs::ring::{ClipContents, ClipState, ClockFact};
use reelfs::units::{BlockNumber, ClipId, EventId, StreamNumber, WallTime};

/// What the ring took at once.
pub struct Piece {
    pub length: usize,
    pub table: Vec<u8>,
    pub parameters: Vec<Vec<u8>>,
}

pub struct Clip {
    pub stream: StreamNumber,
    pub pieces: Vec<Piece>,
    /// The samples of all pieces.
    pub samples: Vec<u8>,
    /// How many bytes of them can't be lost any more.
    pub durable: usize,
    /// The fact that it is listed under; nothing of it changes from then on.
    pub listed: Option<Vec<u8>>,
    /// It takes no more.
    pub ended: bool,
    pub state: ClipState,
    /// The states that a cut may leave: the last one acknowledged, and all that were asked for
    /// since.
    pub possible: Vec<ClipState>,
    pub blocks: BTreeSet<BlockNumber>,
}

impl Clip {
    pub fn new(stream: StreamNumber) -> Clip {
        Clip {
            stream,
            pieces: Vec::new(),
            samples: Vec::new(),
            durable: 0,
            listed: None,
            ended: false,
            state: ClipState::Closed,
            possible: vec![ClipState::Closed],
            blocks: BTreeSet::new(),
        }
    }

    pub fn take(&mut self, piece: Piece, data: &[u8]) {
        self.samples.extend_from_slice(data);
        self.pieces.push(piece);
    }

    pub fn set_state(&mut self, state: ClipState) {
        self.state = state;
        self.possible.push(state);
    }

    /// Whether it may be given up where the ring needs the space.
    pub fn is_evictable(&self) -> bool {
        let evictable =
            matches!(self.state, ClipState::Closed | ClipState::Expiring { .. } | ClipState::Found);
        self.listed.is_some() && evictable
    }

    pub fn is_kept(&self) -> bool {
        matches!(self.state, ClipState::Kept { .. })
    }

    pub fn is_purging(&self) -> bool {
        matches!(self.state, ClipState::Purging { .. })
    }

    /// Whether a cut may leave it in this state.
    pub fn may_be(&self, state: ClipState, wipes: bool) -> bool {
        // An eviction wipes what was deleted, and says so first.
        let wiped = wipes && matches!(state, ClipState::Purging { .. });
        let expiring =
            |state: &ClipState| matches!(state, ClipState::Expiring { .. } | ClipState::Found);
        self.possible.contains(&state) || wiped && self.possible.iter().any(expiring)
    }

    /// Each chunk is part of one piece, with its table and its parameter sets.
    pub fn check_places(&self, contents: &ClipContents) -> Result<(), String> {
        let mut pieces = self.pieces.iter();
        let mut rest = 0;
        let mut piece = None;
        for (index, chunk) in contents.chunks.iter().enumerate() {
            if rest == 0 {
                piece = pieces.next();
                rest = piece.map_or(0, |piece| piece.length);
            }
            let length = chunk.place.data_length as usize;
            let Some(piece) = piece.filter(|_| length <= rest) else {
                return Err(format!("chunk {index} of {length} bytes, {rest} are left"));
            };
            rest -= length;
            let set = |index: &u16| contents.parameters.get(usize::from(*index));
            let sets: Vec<_> = chunk.parameters.iter().map(set).collect();
            let same = sets.len() == piece.parameters.len()
                && sets.iter().zip(&piece.parameters).all(|(a, b)| a.is_some_and(|a| **a == **b));
            if !same || *chunk.table != *piece.table {
                return Err(format!("chunk {index} has another's table or parameter sets"));
            }
        }
        Ok(())
    }

    /// Only its first `length` bytes are there.
    pub fn cut(&mut self, length: usize) {
        self.samples.truncate(length);
        let mut begun = 0;
        self.pieces.retain(|piece| {
            begun += piece.length;
            begun - piece.length < length
        });
    }
}

/// A value that is set now and then; a cut may set it back as far as to the last acknowledged.
pub struct Value<T> {
    /// The last acknowledged first.
    possible: Vec<T>,
}

impl<T: Default> Default for Value<T> {
    fn default() -> Value<T> {
        Value::of(T::default())
    }
}

impl<T> Value<T> {
    pub fn of(value: T) -> Value<T> {
        Value { possible: vec![value] }
    }
}

impl<T: PartialEq> Value<T> {
    pub fn set(&mut self, value: T) {
        self.possible.push(value);
    }

    pub fn now(&self) -> Option<&T> {
        self.possible.last()
    }

    pub fn acknowledge(&mut self) {
        self.possible.drain(..self.possible.len().saturating_sub(1));
    }

    /// A cut left this one; whether that can be.
    pub fn found(&mut self, value: T) -> bool {
        let known = self.possible.contains(&value);
        self.possible = vec![value];
        known
    }
}

pub type Observation = (StreamNumber, WallTime, WallTime, Vec<u8>);

#[derive(Default)]
pub struct Naive {
    pub clips: BTreeMap<ClipId, Clip>,
    /// Gone; a cut before the next flush may bring them back.
    pub leaving: BTreeMap<ClipId, Clip>,
    /// Gone for good.
    pub dead: BTreeSet<ClipId>,
    /// Empty: none yet.
    pub streams: BTreeMap<StreamNumber, Value<Vec<u8>>>,
    /// Empty: none yet, or withdrawn.
    pub events: BTreeMap<(StreamNumber, EventId), Value<Vec<u8>>>,
    pub clock: Value<Option<ClockFact>>,
    /// In the order in which they were made; the first `observations_durable` can't be lost.
    pub observations: Vec<Observation>,
    pub observations_durable: usize,
}

impl Naive {
    /// A flush has covered everything.
    pub fn acknowledge(&mut self) {
        for clip in self.clips.values_mut() {
            clip.possible = vec![clip.state];
        }
        self.dead.extend(std::mem::take(&mut self.leaving).into_keys());
        self.streams.values_mut().for_each(Value::acknowledge);
        self.events.values_mut().for_each(Value::acknowledge);
        self.clock.acknowledge();
        self.observations_durable = self.observations.len();
    }

    pub fn leave(&mut self, clip: ClipId) {
        if let Some(gone) = self.clips.remove(&clip) {
            self.leaving.insert(clip, gone);
        }
    }
}
