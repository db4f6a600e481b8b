//! Frames of a track beside the video become samples of a clip: sound without a hole, from its
//! first picture on. Pure.
//!
//! Players play the packets of a sound track back to back, whatever their times are, and some
//! ignore what an edit list says of its beginning (reelfs(7) has the table): so time in a sound
//! track is the number of its samples. It begins with the clip, exactly or less than a packet
//! before; what is missing is silence, and what is too much, because two clocks do not run alike,
//! is left out where it is more than anybody hears.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::camera::{Frame, Packets, Parameters, Pcm, Sound};
use crate::segment::{Sample, SampleFlags};

/// Sound that is off by less stays where it is, in parts of a second: 20 ms.
const OFF_PARTS: i64 = 50;
/// Silence of one chunk at most, in seconds: a longer one goes on in the next.
const SILENCE_S_MAX: i64 = 10;

/// A frame that waits, and what decodes it.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) frame: Frame,
    pub(super) parameters: Arc<Parameters>,
}

impl Waiting {
    /// How long it lasts.
    pub(super) fn ticks(&self) -> i64 {
        match &self.parameters.sound {
            Some(Sound::Pcm(pcm)) => (self.frame.data.len() / pcm.width()) as i64,
            Some(Sound::Packets(packets)) => self.frame.duration.unwrap_or(packets.ticks).into(),
            None => 0,
        }
    }

    /// Leaves out so many ticks of its beginning, where it can be divided.
    pub(super) fn skip(&mut self, ticks: i64) {
        if let Some(Sound::Pcm(pcm)) = &self.parameters.sound
            && ticks > 0
        {
            self.frame.data.drain(..ticks as usize * pcm.width());
            self.frame.pts = self.frame.pts.saturating_add(ticks);
        }
    }
}

/// Where frames go, in ticks since the clip began.
pub(super) struct Place<'a> {
    /// Where the samples of the clip so far end; `None` where it has none.
    pub(super) from: Option<i64>,
    /// The clip before ended where this one begins, with the sample before the first that waits.
    pub(super) goes_on: bool,
    /// Nothing lies behind it.
    pub(super) to: i64,
    /// When a frame of this time was captured.
    pub(super) at: &'a dyn Fn(i64) -> i64,
    /// Ticks a second.
    pub(super) timescale: u32,
}

/// Samples that are cut.
#[derive(Default)]
pub(super) struct CutSamples {
    /// Where they begin and end, in ticks since the clip began.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) samples: Vec<Sample>,
    pub(super) data: Vec<u8>,
    /// The frames that they are made of; of the last one, what is.
    pub(super) taken: Vec<Waiting>,
}

impl CutSamples {
    fn at(from: i64) -> CutSamples {
        CutSamples { from, to: from, ..CutSamples::default() }
    }

    fn push(&mut self, ticks: u32, data: &[u8]) {
        let flags = SampleFlags { sync: true, ..SampleFlags::default() };
        let size = data.len() as u32;
        self.samples.push(Sample { duration: ticks, size, composition_offset: 0, flags });
        self.data.extend_from_slice(data);
        self.to = self.to.saturating_add(i64::from(ticks));
    }
}

/// Cuts what waits of one track; what lies behind goes on waiting. `None` where that is all.
pub(super) fn cut(
    waiting: &mut VecDeque<Waiting>,
    parameters: &Parameters,
    place: &Place<'_>,
) -> Option<CutSamples> {
    let cut = match &parameters.sound {
        Some(Sound::Pcm(pcm)) => cut_pcm(waiting, pcm, place),
        Some(Sound::Packets(packets)) => cut_packets(waiting, packets, place),
        None => cut_records(waiting, place),
    };
    Some(cut).filter(|cut| !cut.samples.is_empty())
}

/// Samples: to the sample.
fn cut_pcm(waiting: &mut VecDeque<Waiting>, pcm: &Pcm, place: &Place<'_>) -> CutSamples {
    let (width, off) = (pcm.width(), i64::from(place.timescale) / OFF_PARTS);
    let mut silence_max = SILENCE_S_MAX * i64::from(place.timescale);
    let from = place.from.unwrap_or(0);
    let (mut to, mut bytes, mut all) = (from, Vec::new(), Vec::new());
    while let Some(Waiting { frame, parameters }) = waiting.front_mut() {
        let at = (place.at)(frame.pts);
        if at >= place.to || to >= place.to {
            break;
        }
        // Where sound begins to the sample, later where it is heard.
        let bearable = if to == 0 && !place.goes_on { 0 } else { off };
        let missing = at.saturating_sub(to);
        if missing > bearable {
            let silence = missing.min(silence_max);
            bytes.resize(bytes.len() + silence as usize * width, 0);
            to += silence;
            silence_max -= silence;
            if silence < missing {
                break;
            }
        }
        let count = (frame.data.len() / width) as i64;
        let skipped = if missing < -bearable { missing.saturating_neg().min(count) } else { 0 };
        let taken = (count - skipped).min(place.to - to);
        let (first, end) = (skipped as usize * width, (skipped + taken) as usize * width);
        bytes.extend_from_slice(&frame.data[first..end]);
        to += taken;
        if skipped + taken < count {
            let mut data = mem::take(&mut frame.data);
            let rest = data.split_off(end);
            let own = Frame { data, ..frame.clone() };
            all.push(Waiting { frame: own, parameters: Arc::clone(parameters) });
            (frame.data, frame.pts) = (rest, frame.pts.saturating_add(skipped + taken));
            break;
        }
        all.extend(waiting.pop_front());
    }
    let mut cut = CutSamples { taken: all, ..CutSamples::at(from) };
    for (ticks, data) in pcm.code(&bytes, from.unsigned_abs()) {
        cut.push(ticks, &data);
    }
    cut
}

/// Packets: to the packet. The one that lies across the end belongs to what follows.
fn cut_packets(
    waiting: &mut VecDeque<Waiting>,
    packets: &Packets,
    place: &Place<'_>,
) -> CutSamples {
    let usual = i64::from(packets.ticks.max(1));
    // What goes on from the clip before begins with this one, whatever steering did since.
    let off =
        if place.goes_on { (i64::from(place.timescale) / OFF_PARTS).min(usual - 1) } else { 0 };
    let silence_max = SILENCE_S_MAX * i64::from(place.timescale) / usual;
    let mut cut: Option<CutSamples> = place.from.map(CutSamples::at);
    while let Some(Waiting { frame, .. }) = waiting.front() {
        let ticks = frame.duration.unwrap_or(packets.ticks).max(1);
        let at = (place.at)(frame.pts);
        let end = at.saturating_add(i64::from(ticks));
        if end > place.to {
            break;
        }
        if cut.is_none() && end <= -off {
            waiting.pop_front();
            continue;
        }
        let wanted = |missing: i64| match &packets.silence {
            Some(silence) => (missing.div_euclid(usual), Some(silence)),
            None => (0, None),
        };
        let cut = cut.get_or_insert_with(|| {
            if at <= off {
                return CutSamples::at(at.clamp(1 - i64::from(ticks), 0));
            }
            // As many silent ones as it takes to begin with the clip, or less than one before.
            let ahead = wanted(at.saturating_add(usual - 1)).0.min(silence_max);
            CutSamples::at(at.saturating_sub(ahead * usual))
        });
        let missing = at.saturating_sub(cut.to);
        if missing < -usual / 2 {
            waiting.pop_front();
            continue;
        }
        let (count, silence) = wanted(missing.saturating_add(usual / 2));
        for _ in 0..count.clamp(0, silence_max) {
            cut.push(packets.ticks, silence.map_or(&[][..], |silence| silence));
        }
        if count > silence_max {
            break;
        }
        cut.push(ticks, &frame.data);
        cut.taken.extend(waiting.pop_front());
    }
    cut.unwrap_or_default()
}

/// Records: each lasts until the next.
fn cut_records(waiting: &mut VecDeque<Waiting>, place: &Place<'_>) -> CutSamples {
    let mut cut: Option<CutSamples> = None;
    while let Some(Waiting { frame, .. }) = waiting.front() {
        let at = (place.at)(frame.pts);
        if at >= place.to {
            break;
        }
        if at >= place.from.unwrap_or(0) {
            let cut = cut.get_or_insert_with(|| CutSamples::at(at));
            if let Some(last) = cut.samples.last_mut() {
                let start = cut.to - i64::from(last.duration);
                let lasts = at.saturating_sub(start).clamp(1, i64::from(u32::MAX));
                last.duration = lasts as u32;
                cut.to = start + lasts;
            }
            cut.push(1, &frame.data);
        }
        waiting.pop_front();
    }
    cut.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::ReorderDepth;
    use crate::clock::Reading;
    use crate::segment::{AudioParameters, Codec, ParameterSet, TrackNumber};
    use crate::units::{BootTime, WallTime};

    /// Of a packet of AAC.
    const TICKS: i64 = 1024;

    /// Where the samples of a clip begin, and what they are, of packets that begin `first` ticks
    /// behind it: each has its number for a content, and silence is the letter `s`.
    fn cut_at(first: i64, goes_on: bool) -> (i64, Vec<u8>) {
        let packets = Packets { ticks: TICKS as u32, silence: Some(Arc::from(&b"s"[..])) };
        let audio = AudioParameters { sample_rate: 16_000, channels: 1 };
        let (codec, configuration) = (Codec::Aac, vec![7; 2]);
        let set = ParameterSet { codec, configuration, video: None, audio: Some(audio) };
        let made = Parameters::new(&set, set.encode().into(), ReorderDepth::Known(0));
        let parameters = Arc::new(Parameters { sound: Some(Sound::Packets(packets)), ..made });
        let received =
            Reading { wall: WallTime(0), boot: BootTime(0), boot_id: [3; 16], synchronised: true };
        let packet = |number: u8| Frame {
            track: TrackNumber(1),
            pts: first + i64::from(number) * TICKS,
            timescale: 16_000,
            data: vec![number],
            is_key: true,
            received,
            ..Frame::default()
        };
        let waiting =
            |number| Waiting { frame: packet(number), parameters: Arc::clone(&parameters) };
        let mut all: VecDeque<Waiting> = (0..3).map(waiting).collect();
        let place = Place { from: None, goes_on, to: i64::MAX, at: &|pts| pts, timescale: 16_000 };
        let cut = cut(&mut all, &parameters, &place).expect("samples");
        (cut.from, cut.data)
    }

    #[test]
    fn packets_go_on_in_the_next_clip_whatever_the_clock_was_steered_by_meanwhile() {
        let off = 16_000 / OFF_PARTS;
        for first in [-TICKS - off + 1, -TICKS, 1 - TICKS, -7, 0, 1, off] {
            let (from, samples) = cut_at(first, true);
            assert_eq!((from, samples), (first.clamp(1 - TICKS, 0), vec![0, 1, 2]), "{first}");
        }
        assert_eq!(cut_at(off + 1, true), (off + 1 - TICKS, b"s\0\x01\x02".to_vec()));
        assert_eq!(cut_at(-TICKS - off, true), (-off, vec![1, 2]));
    }

    #[test]
    fn packets_that_begin_with_a_clip_do_so_to_the_tick() {
        assert_eq!(cut_at(0, false), (0, vec![0, 1, 2]));
        assert_eq!(cut_at(1 - TICKS, false), (1 - TICKS, vec![0, 1, 2]));
        assert_eq!(cut_at(-TICKS, false), (0, vec![1, 2]));
        assert_eq!(cut_at(1, false), (1 - TICKS, b"s\0\x01\x02".to_vec()));
        assert_eq!(cut_at(TICKS + 1, false), (1 - TICKS, b"ss\0\x01\x02".to_vec()));
    }
}
