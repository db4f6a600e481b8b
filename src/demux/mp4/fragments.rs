//! Fragments: boxes that each tell of some samples behind them (ISO/IEC 14496-12, 8.8).

use super::boxes::{child, children, full};
use super::tables::{Place, Places};

/// Of samples that decoding can't begin with (`sample_is_non_sync_sample`, 8.8.3.1).
const NOT_SYNC: u32 = 1 << 16;

/// No time is later, in ticks: what is added to one fits 64 bits.
const TIME_MAX: i64 = 1 << 60;

/// A `moof` box.
pub(super) struct Fragment {
    /// Where it begins, in bytes from the beginning of the file.
    pub(super) start: u64,
    pub(super) body: Vec<u8>,
}

/// What is the same for all samples of a fragment that say nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    entry: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    /// Those of a track, in the body of a `moov` (8.8.3).
    pub(super) fn read(moov: &[u8], track: u32) -> Defaults {
        let all = child(moov, b"mvex").into_iter().flat_map(children);
        let of_track = all.filter(|(kind, _)| kind == b"trex").filter_map(|(_, body)| {
            let (_, _, mut body) = full(body)?;
            let number = body.u32()?;
            let (entry, duration) = (body.u32()?, body.u32()?);
            Some((number, Defaults { entry, duration, size: body.u32()?, flags: body.u32()? }))
        });
        let mut of_track = of_track.filter(|(number, _)| *number == track);
        of_track.next().map(|(_, defaults)| defaults).unwrap_or_default()
    }
}

/// Where samples of a track go.
pub(super) struct Walk<'a> {
    pub(super) track: u32,
    pub(super) defaults: Defaults,
    /// Ticks a second.
    pub(super) timescale: u32,
    /// Length of the file, in bytes.
    pub(super) length: u64,
    pub(super) places: &'a mut Places,
    /// Numbers of samples, from 1, at which times begin anew.
    pub(super) anew: Vec<u64>,
    /// What is added to times since they began anew, in ticks.
    pub(super) moved: i64,
}

impl Walk<'_> {
    /// Adds the samples of a fragment. What can't be read of it is passed.
    pub(super) fn add(&mut self, fragment: &Fragment) {
        // Where the data of the last run ended: a run that names no place goes on there.
        let mut behind = fragment.start;
        let of_tracks = children(&fragment.body).filter(|(kind, _)| kind == b"traf");
        for (index, (_, traf)) in of_tracks.enumerate() {
            let added = self.add_of_track(traf, fragment.start, index == 0, &mut behind);
            if added.is_none() {
                return;
            }
        }
    }

    fn add_of_track(
        &mut self,
        traf: &[u8],
        start: u64,
        is_first: bool,
        behind: &mut u64,
    ) -> Option<()> {
        let (_, flags, mut header) = full(child(traf, b"tfhd")?)?;
        let is_wanted = header.u32()? == self.track;
        let mut told = |bit: u32| match flags & bit {
            0 => Some(None),
            _ => header.u32().map(Some),
        };
        // `base_data_offset` has eight bytes.
        let base = told(1)?.zip(if flags & 1 == 0 { None } else { told(1)? });
        let base = base.map(|(high, low)| u64::from(high) << 32 | u64::from(low));
        let of_track = Defaults {
            entry: told(2)?.unwrap_or(self.defaults.entry),
            duration: told(8)?.unwrap_or(self.defaults.duration),
            size: told(0x10)?.unwrap_or(self.defaults.size),
            flags: told(0x20)?.unwrap_or(self.defaults.flags),
        };
        let is_of_moof = flags & 0x0002_0000 != 0 || is_first;
        let base = base.unwrap_or(if is_of_moof { start } else { *behind });
        *behind = base;
        if is_wanted && let Some(time) = child(traf, b"tfdt").and_then(decode_time) {
            self.begin_at(time);
        }
        for (_, trun) in children(traf).filter(|(kind, _)| kind == b"trun") {
            self.add_run(trun, &of_track, is_wanted, base, behind)?;
        }
        Some(())
    }

    /// A fragment says when its first sample is decoded. Times that go back begin anew: a writer
    /// was started again.
    fn begin_at(&mut self, time: i64) {
        let end = self.places.end;
        let moved = time.saturating_add(self.moved);
        // Rounding of whoever wrote it is no beginning.
        let back = end.saturating_sub(moved);
        if self.places.count > 0 && back > i64::from(self.timescale) / 2 {
            self.anew.push(self.places.count + 1);
            self.moved = end.saturating_sub(time);
        }
        self.places.end = time.saturating_add(self.moved);
    }

    fn add_run(
        &mut self,
        trun: &[u8],
        of_track: &Defaults,
        is_wanted: bool,
        base: u64,
        behind: &mut u64,
    ) -> Option<()> {
        let (_, flags, mut run) = full(trun)?;
        let count = run.u32()?;
        if flags & 1 != 0 {
            *behind = base.saturating_add_signed(i64::from(run.u32()? as i32));
        }
        let mut first_flags = if flags & 4 != 0 { Some(run.u32()?) } else { None };
        // Of samples that are all the same the run may have any number.
        let is_uniform = flags & 0xf00 == 0;
        if is_uniform && (!is_wanted || of_track.size == 0) {
            let bytes = u64::from(of_track.size) * u64::from(count);
            *behind = behind.saturating_add(bytes);
            if is_wanted {
                self.places.pass_empty(count, of_track.duration);
            }
            return Some(());
        }
        for _ in 0..count {
            let mut told = |bit: u32| match flags & bit {
                0 => Some(None),
                _ => run.u32().map(Some),
            };
            let duration = told(0x100)?.unwrap_or(of_track.duration);
            let size = told(0x200)?.unwrap_or(of_track.size);
            let marks = told(0x400)?.or(first_flags.take()).unwrap_or(of_track.flags);
            let composition = told(0x800)?.unwrap_or(0) as i32;
            let offset = *behind;
            *behind = offset.saturating_add(size.into());
            if !is_wanted {
                continue;
            }
            if self.places.is_full(self.length) {
                self.places.count += 1;
                return None;
            }
            let decoded = self.places.end;
            let place = Place {
                offset,
                size,
                decoded,
                composed: decoded.saturating_add(composition.into()),
                duration,
                entry: of_track.entry.saturating_sub(1).min(u16::MAX.into()) as u16,
                sync: marks & NOT_SYNC == 0,
            };
            if offset > self.length {
                // A run that goes on behind the end is not listed one by one.
                self.places.count += 1;
                return Some(());
            }
            self.places.push(place, self.length);
        }
        Some(())
    }
}

fn decode_time(tfdt: &[u8]) -> Option<i64> {
    let (version, _, mut body) = full(tfdt)?;
    let time = match version {
        1 => i64::try_from(body.u64()?).ok()?,
        _ => body.u32()?.into(),
    };
    (time < TIME_MAX).then_some(time)
}
