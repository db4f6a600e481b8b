//! Packets of sound in the payload of a stream, several of them with a time stamp, or one in
//! several pieces: AAC behind headers (ISO/IEC 13818-7, 6.2, ADTS), and Opus ("Opus in MPEG-TS",
//! opus-codec.org).

use std::collections::VecDeque;
use std::ops::Range;

use super::lane::{Gathered, Part};
use super::sections::Stream;
use super::stamps::Stamped;
use super::{STAMPS_PER_SECOND, Unit};
use crate::audio::{AAC_RATES, OPUS_RATE, opus_configuration, opus_samples};
use crate::demux::cursor::Cursor;
use crate::demux::{Coding, Entry};

/// What waits for its end, in bytes: no packet is longer than 8 KiB.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// Samples of an access unit of AAC.
const UNIT_SAMPLES: u32 = 1024;

/// The sound of one stream.
pub(super) struct Sound {
    coding: Coding,
    channels: u8,
    gathered: Gathered,
    /// From which byte on packets have which time.
    stamp: Option<(usize, Stamped)>,
    clock: Option<Clock>,
    /// What decodes it, as was told last.
    told: Option<Entry>,
    is_behind_loss: bool,
    /// How often something was missing.
    pub(super) torn: u64,
    /// Frames that hold several packets, and are left out.
    pub(super) unparted: u64,
}

/// The time of what comes next: so many samples behind a time stamp.
#[derive(Clone, Copy)]
struct Clock {
    from: Stamped,
    samples: u64,
}

/// A packet among bytes.
struct Found {
    data: Range<usize>,
    entry: Entry,
    /// Samples in it, and of how many a second they are.
    samples: (u32, u32),
}

/// What bytes begin with.
enum Beginning {
    Packet(Found),
    /// Several packets in so many bytes, which nothing parts, of so many samples.
    Several(usize, u64),
    /// Nothing of use in so many bytes.
    Nothing(usize),
    /// More has to come.
    Open,
}

impl Sound {
    pub(super) fn new(stream: &Stream) -> Sound {
        Sound {
            coding: stream.coding.clone(),
            channels: stream.channels,
            gathered: Gathered::default(),
            stamp: None,
            clock: None,
            told: None,
            is_behind_loss: false,
            torn: 0,
            unparted: 0,
        }
    }

    pub(super) fn push(&mut self, part: &Part<'_>, stream: usize, units: &mut VecDeque<Unit>) {
        if let Some(stamped) = part.stamp {
            self.stamp = Some((self.gathered.bytes.len(), stamped));
        }
        self.gathered.add(part);
        // Amid a packet, and before any time stamp, what looks like a header is none.
        let mut at = match (self.clock, self.stamp) {
            (Some(_), _) => 0,
            (None, Some((begins, _))) => begins,
            (None, None) => self.gathered.bytes.len(),
        };
        loop {
            let rest = self.gathered.bytes.get(at..).unwrap_or_default();
            let beginning = match self.coding {
                Coding::Opus => self.opus(rest),
                _ => adts(rest),
            };
            match beginning {
                Beginning::Packet(found) => {
                    let end = at + found.data.end;
                    self.take(found, at, stream, units);
                    at = end;
                }
                Beginning::Several(bytes, samples) => {
                    self.pass_several(at, samples);
                    at += bytes;
                }
                Beginning::Nothing(bytes) => at += bytes.max(1),
                Beginning::Open => break,
            }
        }
        self.pass(at);
        if self.gathered.bytes.len() > WAITING_BYTES_MAX {
            self.lose();
        }
    }

    /// Packets are missing.
    pub(super) fn lose(&mut self) {
        let waiting = self.gathered.bytes.len();
        self.pass(waiting);
        (self.clock, self.stamp) = (None, None);
        self.torn += u64::from(!std::mem::replace(&mut self.is_behind_loss, true));
    }

    fn pass(&mut self, bytes: usize) {
        self.gathered.pass(bytes.min(self.gathered.bytes.len()));
        if let Some((begins, _)) = &mut self.stamp {
            *begins = begins.saturating_sub(bytes);
        }
    }

    /// What begins behind so many bytes has the time of the stamp before it.
    fn set_clock(&mut self, at: usize) {
        if let Some((_, from)) = self.stamp.take_if(|(begins, _)| *begins <= at) {
            self.clock = Some(Clock { from, samples: 0 });
        }
    }

    /// Leaves out what lies behind so many bytes; time goes on over it.
    fn pass_several(&mut self, at: usize, samples: u64) {
        self.set_clock(at);
        if let Some(clock) = &mut self.clock {
            clock.samples += samples;
        }
        self.unparted += 1;
        self.is_behind_loss = true;
    }

    /// Hands out a packet that was found behind so many bytes.
    fn take(&mut self, found: Found, at: usize, stream: usize, units: &mut VecDeque<Unit>) {
        self.set_clock(at);
        // What comes before any time stamp has no time.
        let Some(clock) = &mut self.clock else { return };
        let (samples, rate) = found.samples;
        let later = clock.samples * u64::from(STAMPS_PER_SECOND) / u64::from(rate.max(1));
        let is_anew = clock.from.is_anew && clock.samples == 0;
        clock.samples += u64::from(samples);
        let pts = clock.from.pts.saturating_add(later as i64);
        let begins = at + found.data.start;
        let data = self.gathered.bytes.get(begins..at + found.data.end).unwrap_or_default();
        let is_news = self.told.as_ref() != Some(&found.entry);
        if is_news {
            self.told = Some(found.entry.clone());
        }
        units.push_back(Unit {
            stream,
            entry: is_news.then_some(found.entry),
            pts,
            dts: pts,
            data: data.to_vec(),
            sync: true,
            is_behind_loss: std::mem::take(&mut self.is_behind_loss),
            is_anew,
            place: self.gathered.place(begins),
        });
    }

    /// A packet of Opus behind its control header.
    fn opus(&self, bytes: &[u8]) -> Beginning {
        match opus_header(bytes) {
            None if bytes.len() < WAITING_BYTES_MAX => Beginning::Open,
            None | Some(Err(())) => Beginning::Nothing(1),
            Some(Ok((header, size))) => match bytes.get(header..header + size) {
                None => Beginning::Open,
                Some(packet) => match opus_samples(packet) {
                    None => Beginning::Nothing(header + size),
                    Some(samples) => Beginning::Packet(Found {
                        data: header..header + size,
                        entry: self.opus_entry(),
                        samples: (samples, OPUS_RATE),
                    }),
                },
            },
        }
    }

    fn opus_entry(&self) -> Entry {
        let configuration = opus_configuration(self.channels);
        Entry { configuration, ..Entry::of(Coding::Opus) }
    }
}

/// Whether bytes begin with a frame of AAC behind its header.
pub(super) fn is_adts(bytes: &[u8]) -> bool {
    matches!(adts(bytes), Beginning::Packet(_) | Beginning::Several(..))
}

/// An access unit of AAC behind its header.
fn adts(bytes: &[u8]) -> Beginning {
    let Some(header) = bytes.first_chunk::<7>() else { return Beginning::Open };
    let bits = header.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let field = |from: u32, count: u32| (bits >> (56 - from - count)) & ((1 << count) - 1);
    // The header, with a checksum or without one, and what it is the length of.
    let head = if field(15, 1) == 1 { 7 } else { 9 };
    let (length, blocks) = (field(30, 13) as usize, field(54, 2));
    let (kind, index, channels) = (field(16, 2) + 1, field(18, 4), field(23, 3));
    let rate = AAC_RATES.get(index as usize).copied();
    let (0xfff, 0, Some(rate), true) = (field(0, 12), field(13, 2), rate, length > head) else {
        let next = bytes.iter().skip(1).position(|byte| *byte == 0xff);
        return Beginning::Nothing(next.map_or(bytes.len(), |next| next + 1));
    };
    if bytes.len() < length {
        return Beginning::Open;
    }
    if blocks > 0 {
        return Beginning::Several(length, (blocks + 1) * u64::from(UNIT_SAMPLES));
    }
    let specific = (kind << 11 | index << 7 | channels << 3) as u16;
    let entry = Entry { configuration: specific.to_be_bytes().to_vec(), ..Entry::of(Coding::Aac) };
    Beginning::Packet(Found { data: head..length, entry, samples: (UNIT_SAMPLES, rate) })
}

/// Length of the control header of a packet, and of that; `None` where it is cut off, and an error
/// where it is none.
fn opus_header(bytes: &[u8]) -> Option<Result<(usize, usize), ()>> {
    let mut at = Cursor(bytes);
    let word = at.u16()?;
    if word >> 5 != 0x3ff {
        return Some(Err(()));
    }
    let mut size = 0;
    loop {
        let byte = at.u8()?;
        size += usize::from(byte);
        if byte < 255 {
            break;
        }
    }
    // What is to be cut from its beginning and its end, and more fields.
    at.skip(usize::from(word >> 4 & 1) * 2 + usize::from(word >> 3 & 1) * 2)?;
    if word >> 2 & 1 == 1 {
        let more = at.u8()?;
        at.skip(usize::from(more))?;
    }
    Some(if size > 0 { Ok((bytes.len() - at.0.len(), size)) } else { Err(()) })
}
