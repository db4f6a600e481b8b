//! Frames whose pictures are NAL units: with the parameter sets that decode them, and none twice.
//! Pure.
//!
//! What codecs do apart is a [`NalCodec`]: another one is another row of functions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::coding::{Coded, Depacketizer, Heard, ReorderDepth};
use super::odd::Odd;
use super::parameters::Parameters;
use super::picture::{Assembler, Picture};
use super::rtp::Packet;
use super::sdp::Format;
use super::sets::Sets;
use super::source::Place;
use super::track::VideoFacts;
use super::units::Syntax;
use crate::clock::Reading;
use crate::segment::ParameterSet;

/// What a codec of NAL units does its own way.
pub(super) struct NalCodec {
    /// What its units look like.
    pub(super) syntax: &'static Syntax,
    /// Parameter sets that a description tells.
    pub(super) told_sets: fn(&Format) -> Vec<Vec<u8>>,
    /// Puts units in front of a picture's, behind what has to be first.
    pub(super) with_front: fn(Vec<u8>, &[u8]) -> Vec<u8>,
    /// What decodes the picture that a unit belongs to; `None` where the sets do not say.
    pub(super) decoding: fn(&Sets, &[u8]) -> Option<Decoding>,
}

/// What the parameter sets of a picture say.
pub(super) struct Decoding {
    pub(super) set: ParameterSet,
    pub(super) reorder_depth: ReorderDepth,
    /// A picture may be two fields, each of which begins like a picture.
    pub(super) has_fields: bool,
    /// RFC 6381 name of the codec.
    pub(super) codec: String,
    /// Pictures a second.
    pub(super) frame_rate: Option<f64>,
}

/// The pictures of one track.
pub(super) struct Pictures {
    codec: &'static NalCodec,
    assembler: Assembler,
    sets: Sets,
    /// The sets are not those that `parameters` were made from.
    has_new_sets: bool,
    /// What was given with a frame last.
    parameters: Option<Arc<Parameters>>,
    facts: VideoFacts,
    lost_packets: u32,
    /// The last picture: some servers send it twice.
    last: Option<Seen>,
    /// Ticks between the last two.
    step: Option<i64>,
    heard: Heard,
}

/// What a picture is known again by: its time, its length, and how it begins.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    time: i64,
    length: usize,
    beginning: Vec<u8>,
}

/// So much of a picture, in bytes: another slice of the same picture begins with another place.
const BEGINNING_BYTES: usize = 256;

impl Seen {
    fn of(picture: &Picture) -> Seen {
        let beginning = picture.data[..picture.data.len().min(BEGINNING_BYTES)].to_vec();
        Seen { time: picture.time, length: picture.data.len(), beginning }
    }
}

impl Pictures {
    /// None yet, of a stream that is described like this.
    pub(super) fn new(codec: &'static NalCodec, format: &Format) -> Pictures {
        let mut sets = Sets::default();
        for set in (codec.told_sets)(format) {
            sets.take(codec.syntax, &set);
        }
        Pictures {
            codec,
            assembler: Assembler::new(codec.syntax),
            sets,
            has_new_sets: true,
            parameters: None,
            facts: VideoFacts::default(),
            lost_packets: 0,
            last: None,
            step: None,
            heard: Heard::default(),
        }
    }

    /// Whether what was left out before a picture may have been another one: there is room for it.
    fn lacks(&mut self, picture: &Picture) -> bool {
        let step = self.last.as_ref().map(|last| picture.time.saturating_sub(last.time));
        let usual = std::mem::replace(&mut self.step, step);
        let is_far = step.zip(usual).is_some_and(|(step, usual)| step > usual + usual / 2);
        picture.is_doubtful && is_far
    }

    /// A picture as the recorder wants it; `None` where it came before, or nobody could decode it.
    fn coded(&mut self, picture: Picture) -> Option<Coded> {
        self.lost_packets = self.lost_packets.saturating_add(picture.lost);
        let seen = Seen::of(&picture);
        if self.last.as_ref() == Some(&seen) {
            return None;
        }
        let lacks = self.lacks(&picture);
        if lacks {
            self.lost_packets = self.lost_packets.max(picture.skipped).max(1);
        }
        self.last = Some(seen);
        let mut changed = Vec::new();
        for set in &picture.sets {
            if self.sets.take(self.codec.syntax, set) {
                changed.push(set.clone());
            }
        }
        self.has_new_sets |= !changed.is_empty();
        let mut parameters = None;
        if self.has_new_sets && (picture.is_key || self.parameters.is_none()) {
            parameters = self.new_parameters(&picture)?;
        }
        let front = match picture.is_key {
            true => self.sets.in_front(&picture.sets),
            false => Sets::joined(&changed),
        };
        let data = match front.is_empty() {
            true => picture.data,
            false => (self.codec.with_front)(front, &picture.data),
        };
        Some(Coded {
            time: picture.time,
            is_key: picture.is_key,
            parameters,
            is_recovery: false,
            is_leading: false,
            duration: None,
            lost_packets: std::mem::take(&mut self.lost_packets),
            received: picture.received,
            data,
        })
    }

    /// What decodes a picture, where it is news; `None` where nothing does.
    fn new_parameters(&mut self, picture: &Picture) -> Option<Option<Arc<Parameters>>> {
        let slice = picture.data.get(picture.slice + 4..)?;
        // What strangers send is read by libraries here: a panic in them is no picture, and not
        // the end of the recorder.
        let read = || (self.codec.decoding)(&self.sets, slice);
        let decoding = catch_unwind(AssertUnwindSafe(read)).ok()??;
        self.has_new_sets = false;
        self.assembler.set_fields(decoding.has_fields);
        let size = decoding.set.video.map_or((0, 0), |video| (video.width, video.height));
        self.facts.codec = decoding.codec;
        self.facts.picture = (u32::from(size.0), u32::from(size.1));
        self.facts.frame_rate = decoding.frame_rate.or(self.facts.frame_rate);
        let encoded = decoding.set.encode();
        if self.parameters.as_ref().is_some_and(|known| *known.encoded == *encoded) {
            return Some(None);
        }
        let new = Parameters::new(&decoding.set, encoded.into(), decoding.reorder_depth);
        let new = Arc::new(new);
        self.parameters = Some(Arc::clone(&new));
        Some(Some(new))
    }
}

impl Depacketizer for Pictures {
    fn push(&mut self, packet: &Packet<'_>, place: Place, received: &Reading) -> Result<(), Odd> {
        self.assembler.push(packet, place, received)
    }

    fn next(&mut self) -> Option<Coded> {
        loop {
            let picture = self.assembler.next()?;
            self.heard.frames += 1;
            self.heard.key_frames += u64::from(picture.is_key);
            if let Some(coded) = self.coded(picture) {
                return Some(coded);
            }
        }
    }

    fn waits(&self) -> bool {
        self.assembler.waits()
    }

    fn flush(&mut self) {
        self.assembler.flush();
    }

    fn heard(&self) -> Heard {
        self.heard
    }

    fn has_parameters(&self) -> bool {
        self.parameters.is_some()
    }

    fn video_facts(&self) -> VideoFacts {
        self.facts.clone()
    }
}
