//! Parts one behind another: where each is, and when the tracks are presented.

use std::sync::Arc;

use super::blank::{PART_NANOS, PARTS_MAX, Pattern};
use super::clip::Clip;
use super::fit::tracks_of;
use super::part::Part;
use super::{ClipSets, Common, Cut, Ingredient, SOUND, TRACKS, VIDEO};
use crate::mp4::Mp4Error;
use crate::mp4::layout::Presentation;
use crate::mp4::tables::TABLES;
use crate::segment::{ClipFact, Codec};

/// How long packets of sound are in a clip, in ticks: the most common length is not known from its
/// fact, but the mean is, and packets are alike.
pub(super) fn usual_packet(ingredient: &Ingredient<'_>) -> Option<u32> {
    let Ingredient::Clip { fact, sets, .. } = ingredient else { return None };
    let [_, Some(sound)] = tracks_of(fact) else { return None };
    let set = sets.sound.as_ref()?;
    if set.codec == Codec::Aac {
        // Of 1024 samples; twice as many ticks where the rate is doubled behind the core.
        let rate = set.audio?.sample_rate.max(1);
        return Some(1024 * (sound.timescale / rate).max(1));
    }
    let length = sound.end.0.saturating_sub(sound.start.0).max(0).unsigned_abs();
    u32::try_from(length / sound.samples.max(1)).ok()
}

/// When a track is presented.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub presentation: Presentation,
    /// Length of the track's own time line, in its ticks.
    pub media_length: u64,
    /// What its first sample lasts, about, in the same.
    pub first_duration: u32,
}

/// Lays parts one behind another.
pub(super) struct Laying<'a> {
    common: &'a Common,
    pattern: &'a Pattern,
    parts: Vec<Part>,
    /// Where the next part is shown, in nanoseconds from the beginning of the file.
    nanos: i64,
    /// Where sound goes on, in its ticks; `None` where there was none yet.
    sound: Option<i64>,
    /// Where it would be for who plays packet behind packet, whatever their times.
    played: i64,
}

impl<'a> Laying<'a> {
    pub(super) fn new(common: &'a Common, pattern: &'a Pattern) -> Laying<'a> {
        Laying { common, pattern, parts: Vec::new(), nanos: 0, sound: None, played: 0 }
    }

    pub(super) fn add_clip(
        &mut self,
        number: usize,
        fact: &ClipFact,
        sets: &ClipSets,
        cut: Option<&Arc<Cut>>,
    ) -> Result<(), Mp4Error> {
        let clip = Clip::new(self.common, number, fact, sets, cut.cloned());
        let part = clip.part(self.common, self.nanos, fact)?;
        if let Some(stretch) = &part.stretches[SOUND] {
            self.fill_sound(stretch.first);
            let begin = self.sound.map_or(stretch.first, |_| self.played);
            self.played = begin + stretch.end - stretch.first;
            self.sound = self.sound.max(Some(stretch.end));
        }
        self.nanos = self.nanos.saturating_add(part.length_nanos);
        self.parts.push(part);
        // What comes next may have no sound: silence goes up to where it begins.
        let end = self.common.ticks(SOUND, self.nanos);
        self.fill_sound(end);
        self.check_parts()
    }

    /// Silence up to a tick: as many packets as bring what is played next to it, where there is
    /// room for one; the last one may be cut short by what follows.
    fn fill_sound(&mut self, until: i64) {
        let Some(packet) = self.pattern.silence_ticks() else { return };
        let begin = self.sound.unwrap_or(0);
        let room = until.saturating_sub(begin);
        if room < packet {
            return;
        }
        let wanted = (until.saturating_sub(self.played) + packet / 2).div_euclid(packet);
        let count = wanted.clamp(0, room.saturating_add(packet - 1) / packet);
        self.parts.extend(self.pattern.silence(self.common, begin, count));
        self.sound = Some(begin + count * packet);
        self.played += count * packet;
    }

    pub(super) fn add_blank(&mut self, nanos: i64) -> Result<(), Mp4Error> {
        if !self.pattern.has_pictures() {
            self.hold(nanos);
            return Ok(());
        }
        let end = self.nanos.saturating_add(nanos);
        while self.nanos < end {
            let at = self.common.ticks(VIDEO, self.nanos);
            let length = (end - self.nanos).min(PART_NANOS);
            self.parts.push(self.pattern.grey(self.common, at, length));
            self.hold(length);
            self.check_parts()?;
        }
        Ok(())
    }

    /// A range may be named that is as long as time.
    fn check_parts(&self) -> Result<(), Mp4Error> {
        match self.parts.len() {
            found if found <= PARTS_MAX => Ok(()),
            found => {
                let (what, limit) = ("parts of a file", PARTS_MAX as u64);
                Err(Mp4Error::TooLarge { what, found: found as u128, limit })
            }
        }
    }

    pub(super) fn hold(&mut self, nanos: i64) {
        self.nanos = self.nanos.saturating_add(nanos);
        let until = self.common.ticks(SOUND, self.nanos);
        self.fill_sound(until);
    }

    pub(super) fn finish(self) -> Result<(Vec<Part>, i64), Mp4Error> {
        self.check_parts()?;
        Ok((self.parts, self.nanos))
    }
}

/// Gives every stretch its end, and says when the tracks are presented.
pub(super) fn arrange(
    common: &Common,
    parts: &mut [Part],
    total_nanos: i64,
) -> Result<[Option<Shown>; TRACKS], Mp4Error> {
    let mut all = [None, None];
    for (track, shown) in all.iter_mut().enumerate() {
        let mut next: Option<i64> = None;
        let mut last = 0;
        for part in parts.iter_mut().rev() {
            let Some(stretch) = &mut part.stretches[track] else { continue };
            let own_end = match (track, next) {
                (_, Some(next)) => next,
                (VIDEO, None) => common.ticks(VIDEO, total_nanos).max(stretch.end),
                (_, None) => stretch.end,
            };
            last = last.max(own_end);
            let length = own_end.saturating_sub(stretch.last);
            if length > i64::from(u32::MAX) {
                let found = length.unsigned_abs().into();
                let what = "ticks for which a picture lasts";
                return Err(Mp4Error::TooLarge { what, found, limit: u32::MAX.into() });
            }
            stretch.end = own_end;
            next = Some(stretch.first);
        }
        let Some(first) = next else { continue };
        let first_duration = parts.iter().find_map(|part| part.stretches[track].as_ref());
        *shown = Some(Shown {
            presentation: presented(common, track, first, last, total_nanos),
            media_length: last.saturating_sub(first).max(0).unsigned_abs(),
            first_duration: first_duration.map_or(0, |stretch| stretch.first_duration),
        });
    }
    Ok(all)
}

/// When a track is presented that is decoded from `first` to `last`, in its ticks since the
/// beginning of the file.
fn presented(
    common: &Common,
    track: usize,
    first: i64,
    last: i64,
    total_nanos: i64,
) -> Presentation {
    let total = common.ticks(track, total_nanos).max(0);
    if track == VIDEO {
        let media_time = common.lag.saturating_sub(first).max(0).unsigned_abs();
        return Presentation { delay: 0, media_time, length: total.unsigned_abs() };
    }
    let (delay, media_time) = (first.max(0), first.saturating_neg().max(0));
    let length = last.min(total).saturating_sub(delay).max(0);
    Presentation {
        delay: delay.unsigned_abs(),
        media_time: media_time.unsigned_abs(),
        length: length.unsigned_abs(),
    }
}

/// Says how much is in front of each part; returns the length of all samples, in bytes.
pub(super) fn place(parts: &mut [Part]) -> u64 {
    let mut before = [[0; TABLES]; TRACKS];
    let mut offset = 0;
    for part in parts {
        part.offset = offset;
        offset += part.length;
        for (stretch, before) in part.stretches.iter_mut().zip(&mut before) {
            let Some(stretch) = stretch else { continue };
            stretch.before = *before;
            before.iter_mut().zip(stretch.counts).for_each(|(sum, count)| *sum += count);
        }
    }
    offset
}
