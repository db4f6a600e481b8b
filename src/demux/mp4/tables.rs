//! The sample tables of a track (ISO/IEC 14496-12, 8.6 and 8.7). A table that ends early ends what
//! is told of the samples.

use super::boxes::{child, full};
use crate::demux::cursor::Cursor;
use crate::demux::{Coding, Entry, samples_max};

/// A sample: where it lies, when it is decoded and shown, on the track's own time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) decoded: i64,
    pub(super) composed: i64,
    pub(super) duration: u32,
    pub(super) entry: u16,
    pub(super) sync: bool,
}

/// The samples of a track.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Those that are whole, in the order of decoding.
    pub(super) whole: Vec<Place>,
    /// How many there should be.
    pub(super) count: u64,
    /// How many of those have no bytes.
    pub(super) empty: u64,
    /// Where the last of them ends, in decode time.
    pub(super) end: i64,
}

impl Places {
    /// Takes the next sample of a file of so many bytes.
    pub(super) fn push(&mut self, place: Place, length: u64) {
        self.count += 1;
        self.end = place.decoded.saturating_add(place.duration.into());
        let end = place.offset.saturating_add(place.size.into());
        if place.size == 0 {
            self.empty += 1;
        } else if end <= length && !self.is_full(length) {
            self.whole.push(place);
        }
    }

    /// Passes so many samples without bytes.
    pub(super) fn pass_empty(&mut self, count: u32, duration: u32) {
        self.count += u64::from(count);
        self.empty += u64::from(count);
        let ticks = i64::from(count).saturating_mul(duration.into());
        self.end = self.end.saturating_add(ticks);
    }

    /// Whether there are as many as a file of so many bytes can have.
    pub(super) fn is_full(&self, length: u64) -> bool {
        self.whole.len() as u64 >= samples_max(length)
    }
}

/// A table of runs: how many samples, and a value.
struct Runs<'a> {
    entries: Cursor<'a>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    /// Of the body of an `stts` or `ctts`.
    fn new(body: Option<&'a [u8]>) -> Runs<'a> {
        let entries = body.and_then(full).and_then(|(_, _, mut list)| list.skip(4).map(|()| list));
        Runs { entries: entries.unwrap_or(Cursor(&[])), left: 0, value: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            (self.left, self.value) = (self.entries.u32()?, self.entries.u32()?);
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// Lengths of samples: of an `stsz` or an `stz2` (ISO/IEC 14496-12, 8.7.3).
enum Sizes<'a> {
    Same(u32),
    Each(Cursor<'a>),
    /// Of 4 bits each, and the one that is left of a byte.
    Halves(Cursor<'a>, Option<u8>),
    Short(Cursor<'a>, u32),
}

impl<'a> Sizes<'a> {
    /// How many there are, too.
    fn read(stbl: &'a [u8]) -> Option<(Sizes<'a>, u32)> {
        if let Some(stsz) = child(stbl, b"stsz") {
            let (_, _, mut list) = full(stsz)?;
            let (same, count) = (list.u32()?, list.u32()?);
            let sizes = if same > 0 { Sizes::Same(same) } else { Sizes::Each(list) };
            return Some((sizes, count));
        }
        let (_, _, mut list) = full(child(stbl, b"stz2")?)?;
        let (width, count) = (list.u32()? & 0xff, list.u32()?);
        let sizes = match width {
            4 => Sizes::Halves(list, None),
            8 | 16 => Sizes::Short(list, width),
            _ => return None,
        };
        Some((sizes, count))
    }

    fn next(&mut self) -> Option<u32> {
        match self {
            Sizes::Same(size) => Some(*size),
            Sizes::Each(list) => list.u32(),
            Sizes::Short(list, 8) => list.u8().map(u32::from),
            Sizes::Short(list, _) => list.u16().map(u32::from),
            Sizes::Halves(list, left) => match left.take() {
                Some(low) => Some(low.into()),
                None => {
                    let both = list.u8()?;
                    *left = Some(both & 0xf);
                    Some(u32::from(both >> 4))
                }
            },
        }
    }
}

/// Chunks: where each begins, how many samples it has, and which entry decodes them.
struct Chunks<'a> {
    offsets: Cursor<'a>,
    is_wide: bool,
    runs: Cursor<'a>,
    number: u32,
    run: Option<(u32, u16)>,
    next: Option<(u32, u32, u32)>,
}

impl<'a> Chunks<'a> {
    fn read(stbl: &'a [u8]) -> Option<Chunks<'a>> {
        let narrow = child(stbl, b"stco");
        let (_, _, mut offsets) = full(narrow.or_else(|| child(stbl, b"co64"))?)?;
        offsets.skip(4)?;
        let (_, _, mut runs) = full(child(stbl, b"stsc")?)?;
        runs.skip(4)?;
        let mut chunks =
            Chunks { offsets, is_wide: narrow.is_none(), runs, number: 0, run: None, next: None };
        chunks.next = chunks.read_run();
        Some(chunks)
    }

    fn read_run(&mut self) -> Option<(u32, u32, u32)> {
        Some((self.runs.u32()?, self.runs.u32()?, self.runs.u32()?))
    }

    /// Offset, samples, entry.
    fn next(&mut self) -> Option<(u64, u32, u16)> {
        self.number = self.number.checked_add(1)?;
        while let Some((_, count, entry)) = self.next.filter(|(first, ..)| *first <= self.number) {
            let entry = entry.saturating_sub(1).min(u16::MAX.into()) as u16;
            self.run = Some((count, entry));
            self.next = self.read_run();
        }
        let offset = match self.is_wide {
            true => self.offsets.u64()?,
            false => self.offsets.u32()?.into(),
        };
        let (count, entry) = self.run?;
        Some((offset, count, entry))
    }
}

/// The samples that the tables of a track list, in a file of so many bytes.
pub(super) fn places(stbl: &[u8], entries: &[Entry], length: u64) -> Places {
    let mut places = Places::default();
    let read = Sizes::read(stbl).zip(Chunks::read(stbl));
    let Some(((sizes, count), chunks)) = read else { return places };
    match entries.first().map(|entry| (&entry.coding, entry.channels)) {
        Some((Coding::Pcm(form), Some(channels))) => {
            let width = form.width() as u64 * u64::from(channels);
            of_pcm(stbl, chunks, (width, count), length, &mut places);
        }
        _ => {
            of_packets(stbl, chunks, sizes, count, length, &mut places);
            places.count = places.count.max(count.into());
        }
    }
    places
}

fn of_packets(
    stbl: &[u8],
    mut chunks: Chunks<'_>,
    mut sizes: Sizes<'_>,
    count: u32,
    length: u64,
    places: &mut Places,
) {
    let mut durations = Runs::new(child(stbl, b"stts"));
    let mut offsets = Runs::new(child(stbl, b"ctts"));
    let mut keys = child(stbl, b"stss").map(Keys::new);
    let mut number = 0_u32;
    while let Some((mut offset, samples, entry)) = chunks.next() {
        for _ in 0..samples {
            if number == count || places.is_full(length) {
                return;
            }
            number += 1;
            let (Some(size), Some(duration)) = (sizes.next(), durations.next()) else { return };
            // Signed in version 1; writers of version 0 mean signed numbers, too.
            let composition = i64::from(offsets.next().unwrap_or(0) as i32);
            let decoded = places.end;
            let place = Place {
                offset,
                size,
                decoded,
                composed: decoded.saturating_add(composition),
                duration,
                entry,
                sync: keys.as_mut().is_none_or(|keys| keys.has(number)),
            };
            if offset > length {
                // What lies behind the end may be forged: it is not listed one by one.
                return;
            }
            places.push(place, length);
            offset = offset.saturating_add(size.into());
        }
    }
}

/// Samples without compression at most that are one of ours.
const PCM_SAMPLES_MAX: u32 = 4096;

/// Samples without compression: so many of a chunk are one. `shape` is the length of one in bytes,
/// and how many there are.
fn of_pcm(
    stbl: &[u8],
    mut chunks: Chunks<'_>,
    shape: (u64, u32),
    length: u64,
    places: &mut Places,
) {
    let ticks = Runs::new(child(stbl, b"stts")).next().unwrap_or(1).max(1);
    let (width, mut left) = shape;
    while let Some((mut offset, of_chunk, entry)) = chunks.next() {
        let mut of_chunk = of_chunk.min(left);
        if of_chunk == 0 {
            return;
        }
        while of_chunk > 0 {
            let samples = of_chunk.min(PCM_SAMPLES_MAX);
            let Ok(size) = u32::try_from(width * u64::from(samples)) else { return };
            let (decoded, duration) = (places.end, samples.saturating_mul(ticks));
            let place =
                Place { offset, size, decoded, composed: decoded, duration, entry, sync: true };
            if offset > length || places.is_full(length) {
                // Of what is left there is one at least.
                places.count += 1;
                return;
            }
            places.push(place, length);
            offset = offset.saturating_add(size.into());
            (of_chunk, left) = (of_chunk - samples, left - samples);
        }
    }
}

/// Samples that decoding can begin with (ISO/IEC 14496-12, 8.6.2), which are asked for by rising
/// numbers.
struct Keys<'a> {
    list: Cursor<'a>,
    next: Option<u32>,
}

impl<'a> Keys<'a> {
    fn new(stss: &'a [u8]) -> Keys<'a> {
        let list = full(stss).and_then(|(_, _, mut list)| list.skip(4).map(|()| list));
        let mut list = list.unwrap_or(Cursor(&[]));
        let next = list.u32();
        Keys { list, next }
    }

    fn has(&mut self, number: u32) -> bool {
        while self.next.is_some_and(|next| next < number) {
            self.next = self.list.u32();
        }
        self.next == Some(number)
    }
}
