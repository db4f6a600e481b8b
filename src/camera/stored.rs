//! Pictures that come whole, out of a container: what decodes them, and what they are to those
//! around them. Pure.
//!
//! A container says how a track is decoded, and which pictures decoding can begin with; the units
//! of a picture say so, too, and count. A picture stays as it is, but for the lengths of its units,
//! which get four bytes where they have fewer, or start codes.

use std::sync::Arc;

use super::coding::ReorderDepth;
use super::leading::Leading;
use super::nal::NalCodec;
use super::open_picture::{Access, Open};
use super::parameters::Parameters;
use super::sets::{Sets, push_unit};
use super::track::{Frame, PICTURES, VideoFacts};
use super::units::{Kind, parted};
use super::{h264, h265};
use crate::clock::Reading;
use crate::demux::{Coding, Entry};
use crate::segment::{Codec, Colour, Look, ParameterSet, VideoParameters};
use crate::units::{BootTime, WallTime};

/// What waits for the picture that it belongs to, in bytes: messages and sets.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// What parts the units of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Each has its length before it, in so many bytes.
    Lengths(usize),
    /// Each begins behind a start code (ITU-T H.264 and H.265, annex B).
    StartCodes,
}

/// A picture, as a [`Frame`] has it.
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

/// Where a frame of a container is.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// When it is shown, in ticks.
    pub pts: i64,
    /// Ticks a second.
    pub timescale: u32,
    /// When it was captured, by the clock of the container.
    pub captured: WallTime,
    /// When it was there.
    pub received: Reading,
    /// What was before it is missing.
    pub is_behind_loss: bool,
}

impl StoredPicture {
    /// The same as of a camera.
    #[must_use]
    pub fn frame(self, at: At) -> Frame {
        Frame {
            track: PICTURES,
            pts: at.pts,
            timescale: at.timescale,
            data: self.data,
            is_key: self.is_key,
            is_recovery: self.is_recovery,
            is_leading: self.is_leading,
            is_open: false,
            duration: None,
            captured: Some(at.captured),
            parameters: self.parameters,
            // A container does not count what is missing.
            lost_packets: at.is_behind_loss.into(),
            received: at.received,
        }
    }
}

/// The pictures of one track of a container.
pub struct StoredPictures {
    /// `None` where pictures are no units: then each stands alone.
    codec: Option<&'static NalCodec>,
    configured: ParameterSet,
    aspect: Option<(u16, u16)>,
    depth: Option<usize>,
    framing: Framing,
    sets: Sets,
    /// The sets are those of the configuration.
    is_as_configured: bool,
    has_new_sets: bool,
    parameters: Option<Arc<Parameters>>,
    facts: VideoFacts,
    leading: Leading,
    /// Units of a picture that has not come: some writers store them as samples.
    ahead: Vec<u8>,
    undecoded: u64,
}

impl StoredPictures {
    /// Those that an entry decodes. No picture is shown behind more than `depth` pictures that are
    /// decoded after it, where that is known.
    ///
    /// # Errors
    /// If it can't be read, or is of nothing that is recorded.
    pub fn new(entry: &Entry, depth: Option<usize>) -> Result<StoredPictures, String> {
        let (codec, known) = match &entry.coding {
            Coding::H264 => (Codec::H264, Some(&h264::CODEC)),
            Coding::H265 => (Codec::H265, Some(&h265::CODEC)),
            Coding::Jpeg => (Codec::Jpeg, None),
            Coding::Other(name) => return Err(format!("{name} is not recorded")),
            other => return Err(format!("{other:?} is no video")),
        };
        let coding = entry.coding.known_name();
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
            depth,
            framing: Framing::StartCodes,
            sets: Sets::default(),
            is_as_configured: false,
            has_new_sets: true,
            parameters: None,
            facts: VideoFacts { coding, ..VideoFacts::default() },
            leading: Leading::default(),
            ahead: Vec::new(),
            undecoded: 0,
        };
        pictures.configure()?;
        Ok(pictures)
    }

    fn configure(&mut self) -> Result<(), String> {
        let Some(codec) = self.codec.filter(|_| !self.configured.configuration.is_empty()) else {
            return Ok(());
        };
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
        (self.framing, self.is_as_configured) = (Framing::Lengths(length_bytes), true);
        Ok(())
    }

    /// What decodes the next picture is news to whoever gets it.
    pub fn tell_anew(&mut self) {
        (self.parameters, self.has_new_sets) = (None, true);
    }

    /// What is known of them, as far as they were looked at.
    pub(super) fn facts(&self) -> VideoFacts {
        self.facts.clone()
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
        let stream = self.framing == Framing::StartCodes;
        let units: Vec<&[u8]> = match self.framing {
            Framing::Lengths(bytes) => units(sample, bytes).collect(),
            Framing::StartCodes => parted(sample),
        };
        for unit in units {
            let kind = (codec.syntax.kind)(unit);
            // Every picture of a stream has one, which tells nothing else.
            if stream && kind == Kind::Delimiter {
                continue;
            }
            if matches!(kind, Kind::Set(..)) {
                sets.push(unit);
            }
            open.note(kind, data.len());
            open.note_whole(kind);
            push_unit(&mut data, unit);
        }
        self.take_sets(codec, &sets);
        if open.slices == 0 {
            if data.len() <= AHEAD_BYTES_MAX {
                self.ahead = data;
            }
            return None;
        }
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
        if let (Some(video), Some(told)) = (&mut set.video, &self.configured.video) {
            // What the container says counts, but for colours.
            video.pixel_aspect = self.aspect.unwrap_or(video.pixel_aspect);
            video.look = told.look;
            video.look.colour = told.look.colour.filter(|_| !decoding.has_colour);
        }
        let encoded = set.encode();
        if self.parameters.as_ref().is_some_and(|known| *known.encoded == *encoded) {
            return Some(None);
        }
        self.facts.codec = decoding.codec;
        self.facts.frame_rate = decoding.frame_rate;
        self.facts.picture =
            set.video.map_or((0, 0), |video| (video.width.into(), video.height.into()));
        let depth = self.depth.map_or(decoding.reorder_depth, ReorderDepth::Known);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::h264::tests::{PPS_UNIT, SPS_UNIT};

    /// An entry of H.264 whose units have lengths of so many bytes.
    fn entry(length_bytes: u8) -> Entry {
        let mut configuration = vec![1, SPS_UNIT[1], SPS_UNIT[2], SPS_UNIT[3], 0xfb + length_bytes];
        for (count, set) in [(0xe1, &SPS_UNIT[..]), (1, &PPS_UNIT[..])] {
            configuration.push(count);
            configuration.extend((set.len() as u16).to_be_bytes());
            configuration.extend(set);
        }
        Entry { configuration, ..Entry::of(Coding::H264) }
    }

    fn sample(length_bytes: u8, units: &[&[u8]]) -> Vec<u8> {
        let mut sample = Vec::new();
        for unit in units {
            let length = (unit.len() as u32).to_be_bytes();
            sample.extend(&length[4 - usize::from(length_bytes)..]);
            sample.extend(*unit);
        }
        sample
    }

    const KEY: &[u8] = &[0x65, 0x88, 0x80];
    const OTHER: &[u8] = &[0x41, 0x9a, 0x02];
    const MESSAGE: &[u8] = &[6, 5, 1, 7, 0x80];

    #[test]
    fn units_get_lengths_of_four_bytes_and_stay_as_they_are() {
        for length_bytes in [1, 2, 4] {
            let mut pictures =
                StoredPictures::new(&entry(length_bytes), Some(0)).expect("it is read");
            let key = sample(length_bytes, &[MESSAGE, KEY]);
            let key = pictures.take(&key, 0, true).expect("a picture");
            assert!(key.is_key && key.data == sample(4, &[MESSAGE, KEY]));
            let set = &key.parameters.expect("with the first one").encoded;
            let set = ParameterSet::decode(set).expect("a set");
            assert_eq!(set.configuration[4] & 3, 3);
            let other = pictures.take(&sample(length_bytes, &[OTHER]), 1, true).expect("one");
            assert!(!other.is_key && other.parameters.is_none(), "whatever the container says");
        }
    }

    #[test]
    fn units_behind_start_codes_get_lengths_and_lose_their_delimiter() {
        let stream = Entry::of(Coding::H264);
        let mut pictures = StoredPictures::new(&stream, None).expect("sets come with its pictures");
        let key = [&[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1][..], &SPS_UNIT, &[0, 0, 1], &PPS_UNIT];
        let key = [&key.concat()[..], &[0, 0, 1], KEY, &[0, 0, 0]].concat();
        let lone = [&[0, 0, 1][..], KEY].concat();
        assert!(pictures.take(&lone, 0, true).is_none(), "nothing decodes it");
        let key = pictures.take(&key, 1, false).expect("a picture");
        assert_eq!(key.data, sample(4, &[&SPS_UNIT, &PPS_UNIT, KEY]));
        let set = &key.parameters.expect("its own").encoded;
        let set = ParameterSet::decode(set).expect("a set");
        assert!(key.is_key && set.configuration.starts_with(&[1, SPS_UNIT[1]]));
        assert_eq!(pictures.undecoded(), 1);
    }

    #[test]
    fn what_stands_alone_belongs_to_the_picture_behind_it() {
        let mut pictures = StoredPictures::new(&entry(4), Some(0)).expect("it is read");
        assert!(pictures.take(&sample(4, &[MESSAGE]), 0, false).is_none());
        let key = pictures.take(&sample(4, &[KEY]), 0, false).expect("a picture");
        assert!(key.is_key && key.data == sample(4, &[MESSAGE, KEY]));
        assert_eq!(pictures.undecoded(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_reason() {
        let mut cut = entry(4);
        cut.configuration.truncate(9);
        assert!(StoredPictures::new(&cut, Some(0)).is_err_and(|why| why.contains("cut off")));
        let other = Entry { coding: Coding::Other("VP9".to_owned()), ..entry(4) };
        assert!(StoredPictures::new(&other, Some(0)).is_err_and(|why| why.contains("VP9")));
        let mut pictures = StoredPictures::new(&entry(4), Some(0)).expect("it is read");
        assert!(pictures.take(&[0, 0, 0, 9, 0x65], 0, true).is_none(), "it is cut off");
    }
}
