//! Pictures that come whole, out of a container: what decodes them, and what they are to those
//! around them. Pure.
//!
//! A container says how a track is decoded, and which pictures decoding can begin with; the units
//! of a picture say so, too, and count. A picture stays as it is, but for the lengths of its units,
//! which get four bytes where they have fewer.

use std::sync::Arc;

use super::coding::ReorderDepth;
use super::leading::Leading;
use super::nal::NalCodec;
use super::open_picture::{Access, Open};
use super::parameters::Parameters;
use super::sets::{Sets, push_unit};
use super::units::Kind;
use super::{h264, h265};
use crate::clock::Reading;
use crate::demux::{Coding, Entry};
use crate::segment::{Codec, Colour, Look, ParameterSet, VideoParameters};
use crate::units::{BootTime, WallTime};

/// What waits for the picture that it belongs to, in bytes: messages and sets.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// A picture, as a [`Frame`](super::Frame) has it.
#[derive(Clone, Debug)]
pub struct StoredPicture {
    /// Units, each with a length of four bytes before it.
    pub data: Vec<u8>,
    /// Whether decoding can begin here.
    pub is_key: bool,
    /// Whether what is decoded from here on is right some pictures later.
    pub is_recovery: bool,
    /// Whether it is shown before the key picture that it follows, and needs pictures from before
    /// that.
    pub is_leading: bool,
    /// What decodes it, where that is news.
    pub parameters: Option<Arc<Parameters>>,
}

/// The pictures of one track of a container.
pub struct StoredPictures {
    /// `None` where pictures are no units: then each stands alone.
    codec: Option<&'static NalCodec>,
    configured: ParameterSet,
    aspect: Option<(u16, u16)>,
    look: Look,
    depth: usize,
    /// Bytes of the length of a unit.
    length_bytes: usize,
    sets: Sets,
    /// The sets are those of the configuration.
    is_as_configured: bool,
    has_new_sets: bool,
    parameters: Option<Arc<Parameters>>,
    leading: Leading,
    /// Units of a picture that has not come: some writers store them as samples.
    ahead: Vec<u8>,
    undecoded: u64,
}

impl StoredPictures {
    /// Those that an entry decodes. No picture is shown behind more than `depth` pictures that are
    /// decoded after it.
    ///
    /// # Errors
    /// If it can't be read, or is of nothing that is recorded.
    pub fn new(entry: &Entry, depth: usize) -> Result<StoredPictures, String> {
        let (codec, known) = match &entry.coding {
            Coding::H264 => (Codec::H264, Some(&h264::CODEC)),
            Coding::H265 => (Codec::H265, Some(&h265::CODEC)),
            Coding::Jpeg => (Codec::Jpeg, None),
            Coding::Other(name) => return Err(format!("{name} is not recorded")),
            other => return Err(format!("{other:?} is no video")),
        };
        let (width, height) = entry.size.unwrap_or((0, 0));
        let aspect = entry.pixel_aspect;
        let look = look_of(entry);
        let video = VideoParameters { width, height, pixel_aspect: aspect.unwrap_or((1, 1)), look };
        let configuration = entry.configuration.clone();
        let configured = ParameterSet { codec, configuration, video: Some(video), audio: None };
        let mut pictures = StoredPictures {
            codec: known,
            configured,
            aspect,
            look,
            depth,
            length_bytes: 4,
            sets: Sets::default(),
            is_as_configured: true,
            has_new_sets: true,
            parameters: None,
            leading: Leading::default(),
            ahead: Vec::new(),
            undecoded: 0,
        };
        pictures.configure()?;
        Ok(pictures)
    }

    fn configure(&mut self) -> Result<(), String> {
        let Some(codec) = self.codec else { return Ok(()) };
        let length_byte = if self.configured.codec == Codec::H264 { 4 } else { 21 };
        let cut_off = || "a configuration that is cut off".to_owned();
        let byte = self.configured.configuration.get_mut(length_byte).ok_or_else(cut_off)?;
        let length_bytes = usize::from(*byte & 3) + 1;
        // From here on each has four.
        *byte |= 3;
        let in_band = crate::mp4::sets_in_band(&self.configured).ok_or_else(cut_off)?;
        for set in units(&in_band, 4) {
            self.sets.take(codec.syntax, set);
        }
        self.length_bytes = length_bytes;
        Ok(())
    }

    /// What decodes the next picture is news to whoever gets it.
    pub fn tell_anew(&mut self) {
        (self.parameters, self.has_new_sets) = (None, true);
    }

    /// Pictures so far that nothing decodes.
    #[must_use]
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }

    /// The next picture in the order of decoding, shown at `time`; `sync` where the container says
    /// that decoding can begin with it. `None` where the sample is none, or nothing decodes it.
    pub fn take(&mut self, sample: &[u8], time: i64, sync: bool) -> Option<StoredPicture> {
        let Some(codec) = self.codec else { return self.take_whole(sample) };
        let mut open = Open::new(time, NO_TIME, 0);
        let mut sets = Vec::new();
        let mut data = std::mem::take(&mut self.ahead);
        for unit in units(sample, self.length_bytes) {
            let kind = (codec.syntax.kind)(unit);
            if matches!(kind, Kind::Set(..)) {
                sets.push(unit);
            }
            open.note(kind, data.len());
            open.note_whole(kind);
            push_unit(&mut data, unit);
        }
        if open.slices == 0 {
            if data.len() <= AHEAD_BYTES_MAX {
                self.ahead = data;
            }
            self.take_sets(codec, &sets);
            return None;
        }
        self.take_sets(codec, &sets);
        let access = match open.access() {
            Access::None | Access::Recovery if sync && open.is_intra() => Access::OpenKey,
            access => access,
        };
        let is_key = matches!(access, Access::Key | Access::OpenKey);
        let mut parameters = None;
        if self.has_new_sets && (is_key || access == Access::Recovery) {
            let slice = data.get(open.slice + 4..).unwrap_or_default();
            let Some(new) = self.new_parameters(codec, slice) else {
                self.undecoded += 1;
                return None;
            };
            parameters = new;
        }
        Some(StoredPicture {
            is_key,
            is_recovery: access == Access::Recovery,
            is_leading: self.leading.take(access, time),
            parameters,
            data,
        })
    }

    fn take_sets(&mut self, codec: &NalCodec, sets: &[&[u8]]) {
        for set in sets {
            if self.sets.take(codec.syntax, set) {
                (self.has_new_sets, self.is_as_configured) = (true, false);
            }
        }
    }

    fn take_whole(&mut self, sample: &[u8]) -> Option<StoredPicture> {
        let parameters = self.parameters.is_none().then(|| {
            let encoded = self.configured.encode().into();
            Arc::new(Parameters::new(&self.configured, encoded, ReorderDepth::Known(0)))
        });
        if let Some(new) = &parameters {
            self.parameters = Some(Arc::clone(new));
        }
        let data = sample.to_vec();
        let is_picture = !data.is_empty();
        is_picture.then_some(StoredPicture {
            data,
            is_key: true,
            is_recovery: false,
            is_leading: false,
            parameters,
        })
    }

    /// What decodes a picture, where it is news; `None` where nothing does.
    fn new_parameters(
        &mut self,
        codec: &NalCodec,
        slice: &[u8],
    ) -> Option<Option<Arc<Parameters>>> {
        let decoding = codec.decoding_of(&self.sets, slice)?;
        self.has_new_sets = false;
        let mut set = decoding.set;
        if self.is_as_configured {
            set.configuration.clone_from(&self.configured.configuration);
        }
        if let Some(video) = &mut set.video {
            // What the container says counts, but for colours.
            video.pixel_aspect = self.aspect.unwrap_or(video.pixel_aspect);
            video.look = self.look;
            video.look.colour = self.look.colour.filter(|_| !decoding.has_colour);
        }
        let encoded = set.encode();
        if self.parameters.as_ref().is_some_and(|known| *known.encoded == *encoded) {
            return Some(None);
        }
        let depth = ReorderDepth::Known(self.depth);
        let new = Arc::new(Parameters::new(&set, encoded.into(), depth));
        self.parameters = Some(Arc::clone(&new));
        Some(Some(new))
    }
}

fn look_of(entry: &Entry) -> Look {
    let colour = entry.colour.map(|[primaries, transfer, matrix, range]| Colour {
        primaries,
        transfer,
        matrix,
        is_full_range: range != 0,
    });
    Look { quarter_turns: entry.quarter_turns, colour, clean_aperture: entry.clean_aperture }
}

/// Of a picture that nobody received.
const NO_TIME: Reading =
    Reading { wall: WallTime(0), boot: BootTime(0), boot_id: [0; 16], synchronised: false };

/// The units of a sample, each behind its length, up to one that is cut off; none of them is empty.
fn units(mut rest: &[u8], length_bytes: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let (length, behind) = rest.split_at_checked(length_bytes)?;
            let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            let (unit, behind) = behind.split_at_checked(length)?;
            rest = behind;
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}
