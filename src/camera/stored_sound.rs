//! Sound that comes out of a container: what decodes it, and how its packets become frames. Pure.

use std::sync::Arc;

use super::coding::ReorderDepth;
use super::parameters::Parameters;
use super::sound::{Packets, Pcm, Sound};
use super::stored::At;
use super::track::{Frame, SoundFacts};
use super::{aac, opus, pcm};
use crate::audio::{flac_samples, opus_samples};
use crate::demux::{Coding, Entry, PcmForm};
use crate::segment::{AudioParameters, Codec, ParameterSet, TrackNumber};

/// The number of a track of sound beside pictures.
const SOUND: TrackNumber = TrackNumber(1);

/// A track of sound of a container.
#[derive(Clone)]
pub struct StoredSound {
    /// What decodes its frames.
    pub parameters: Arc<Parameters>,
    /// Samples a second, each of which is a tick.
    pub sample_rate: u32,
    channels: u16,
    length: Length,
    coding: &'static str,
}

/// How many ticks a packet has.
#[derive(Clone, Copy)]
enum Length {
    /// Each as many.
    Same(u32),
    /// A packet of Opus says so.
    Opus,
    /// A frame of FLAC does.
    Flac,
    /// Those of its bytes, which are samples.
    Bytes(PcmForm),
}

impl StoredSound {
    /// That which an entry decodes.
    ///
    /// # Errors
    /// If it can't be read, or is of nothing that is recorded.
    pub fn new(entry: &Entry) -> Result<StoredSound, String> {
        let told = entry.configuration.as_slice();
        let (set, sound, length) = match &entry.coding {
            Coding::Aac => {
                let (set, packets) = aac::stored(told)?;
                let length = Length::Same(packets.ticks);
                (set, Sound::Packets(packets), length)
            }
            Coding::Opus => {
                let (set, packets) = opus::stored(told)?;
                (set, Sound::Packets(packets), Length::Opus)
            }
            Coding::Flac => {
                let packets = Packets { ticks: 0, silence: None };
                (flac(told)?, Sound::Packets(packets), Length::Flac)
            }
            Coding::Pcm(form) => {
                let (rate, channels) =
                    (entry.sample_rate.unwrap_or(0), entry.channels.unwrap_or(0));
                let shape = pcm::shape(rate, channels)?;
                (pcm::set(shape), Sound::Pcm(Pcm::new(rate, channels)), Length::Bytes(*form))
            }
            Coding::Other(name) => return Err(format!("{name} is not recorded")),
            other => return Err(format!("{other:?} is no sound")),
        };
        let audio = set.audio.ok_or_else(|| "no sampling rate".to_owned())?;
        let parameters = Parameters::new(&set, set.encode().into(), ReorderDepth::Known(0));
        let parameters = Arc::new(Parameters { sound: Some(sound), ..parameters });
        let AudioParameters { sample_rate, channels } = audio;
        let coding = entry.coding.known_name();
        Ok(StoredSound { parameters, sample_rate, channels, length, coding })
    }

    /// What is known of it.
    pub(super) fn facts(&self) -> SoundFacts {
        let StoredSound { coding, sample_rate, channels, .. } = *self;
        SoundFacts { coding, stored_as: None, sample_rate, channels }
    }

    /// A packet as of a camera, of so many samples; `is_first` of its track.
    #[must_use]
    pub fn sounding(&self, data: Vec<u8>, samples: u32, at: At, is_first: bool) -> Frame {
        Frame {
            track: SOUND,
            pts: at.pts,
            timescale: at.timescale,
            data,
            is_key: true,
            is_recovery: false,
            is_leading: false,
            is_open: false,
            duration: Some(samples),
            captured: Some(at.captured),
            parameters: is_first.then(|| self.parameters.clone()),
            lost_packets: at.is_behind_loss.into(),
            received: at.received,
        }
    }

    /// What becomes of a packet, and how many ticks that has; `None` where it is no packet.
    #[must_use]
    pub fn frame(&self, packet: Vec<u8>) -> Option<(Vec<u8>, u32)> {
        let (data, ticks) = match self.length {
            Length::Same(ticks) => (packet, ticks),
            Length::Opus => {
                let ticks = opus_samples(&packet)?;
                (packet, ticks)
            }
            Length::Flac => {
                let ticks = flac_samples(&packet)?;
                (packet, ticks)
            }
            Length::Bytes(form) => {
                let width = form.width() * usize::from(self.channels);
                let count = packet.len() / width;
                let data = pcm::decoded(form, packet.get(..count * width)?);
                (data, u32::try_from(count).ok()?)
            }
        };
        (ticks > 0 && !data.is_empty()).then_some((data, ticks))
    }
}

/// Sound goes on where the packet before ended where it is off by less, in parts of a second:
/// times of many containers are rounded.
const OFF_PARTS: i64 = 50;

/// Times of packets, one behind another.
#[derive(Default)]
pub struct SoundTimes {
    /// Where the sound so far ends, in samples.
    heard: Option<i64>,
}

impl SoundTimes {
    /// When a packet of so many samples begins that is stated to begin then, at so many a second.
    pub fn place(&mut self, stated: i64, samples: u32, sample_rate: u32) -> i64 {
        let off_max = i64::from(sample_rate) / OFF_PARTS;
        let follows = |heard: &i64| heard.abs_diff(stated) < off_max.cast_unsigned();
        let begins = self.heard.filter(follows).unwrap_or(stated);
        self.heard = Some(begins.saturating_add(samples.into()));
        begins
    }
}

/// What a STREAMINFO block says (RFC 9639, 8.2), which is the first one of a stream.
fn flac(configuration: &[u8]) -> Result<ParameterSet, String> {
    let cut_off = || "a configuration that is cut off".to_owned();
    let block = configuration.get(4..38).ok_or_else(cut_off)?;
    let packed: [u8; 4] =
        block.get(10..14).and_then(|it| it.try_into().ok()).ok_or_else(cut_off)?;
    let packed = u32::from_be_bytes(packed);
    let (sample_rate, channels) = (packed >> 12, (packed >> 9 & 7) as u16 + 1);
    if sample_rate == 0 {
        return Err("a sampling rate of 0".to_owned());
    }
    Ok(ParameterSet {
        codec: Codec::Flac,
        configuration: configuration.to_vec(),
        video: None,
        audio: Some(AudioParameters { sample_rate, channels }),
    })
}
