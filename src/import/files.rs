//! Where the samples of a track lie and when they are decoded, from its tables and fragments.
//!
//! `re_mp4` has a walk of its own; it trusts the tables, lists every sample of every track, and
//! loses the track's time line. This one checks, and lists one track.

use re_mp4::{MoofBox, MoovBox, StblBox, TfhdBox, TrafBox, TrexBox, TrunBox};

use super::problem::Problem;

/// The most samples of one file: seven days at 25 frames a second. A forged count of samples of
/// no length would fill the memory.
const SAMPLES_MAX: usize = 1 << 24;

/// A sample: where it lies, when it is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// In bytes from the beginning of the file.
    pub offset: u64,
    /// In bytes.
    pub size: u32,
    /// On the track's own time line, in ticks.
    pub decode_time: i64,
    /// Composition time minus decode time, in ticks.
    pub composition_offset: i64,
    /// Decode time to the next sample, in ticks.
    pub duration: u32,
    /// Whether decoding can begin here.
    pub sync: bool,
}

fn malformed(what: &str) -> Problem {
    Problem::Malformed(what.to_owned())
}

fn check_count(count: usize) -> Result<(), Problem> {
    if count <= SAMPLES_MAX {
        return Ok(());
    }
    Err(Problem::Unsupported(format!("{count} samples, at most {SAMPLES_MAX}")))
}

/// Whether a sample lies in a file of `length` bytes. It is the `number`th, from 1, of `count`.
pub(super) fn check_place(
    place: &Place,
    length: u64,
    number: usize,
    count: usize,
) -> Result<(), Problem> {
    let end = place.offset.saturating_add(u64::from(place.size));
    if end <= length {
        return Ok(());
    }
    Err(Problem::Truncated { what: format!("sample {number} of {count}"), end, length })
}

fn one_entry_only(description: u32) -> Result<(), Problem> {
    match description {
        1 => Ok(()),
        other => Err(Problem::Unsupported(format!(
            "samples of a second codec configuration (sample entry {other})"
        ))),
    }
}

/// The samples that the tables of a track list (ISO/IEC 14496-12, 8.6 and 8.7); none where the
/// file is fragmented. `length` is that of the file, in bytes.
pub(super) fn table_places(tables: &StblBox, length: u64) -> Result<Vec<Place>, Problem> {
    let count = match tables.stsz.sample_size {
        0 => tables.stsz.sample_sizes.len(),
        _ => tables.stsz.sample_count as usize,
    };
    check_count(count)?;
    // The count may be forged: samples that lie in the file bound what is listed.
    let mut places = Vec::new();
    let stts = tables.stts.entries.iter();
    let mut durations = runs(stts.map(|run| (run.sample_count, run.sample_delta)));
    let ctts = tables.ctts.iter().flat_map(|ctts| ctts.entries.iter());
    let mut shifts = runs(ctts.map(|run| (run.sample_count, run.sample_offset)));
    let mut decode_time = 0_i64;
    walk_chunks(tables, count, |offset, size| {
        let Some(duration) = durations.next() else {
            return Err(malformed("stts lists fewer samples than stsz"));
        };
        let number = places.len() as u32 + 1;
        let listed = tables.stss.as_ref();
        let place = Place {
            offset,
            size,
            decode_time,
            composition_offset: i64::from(shifts.next().unwrap_or(0)),
            duration,
            sync: listed.is_none_or(|stss| stss.entries.binary_search(&number).is_ok()),
        };
        check_place(&place, length, number as usize, count)?;
        places.push(place);
        decode_time = decode_time.saturating_add(i64::from(duration));
        Ok(())
    })?;
    Ok(places)
}

/// The values of a table of runs, one for each sample.
fn runs<T: Copy>(entries: impl Iterator<Item = (u32, T)>) -> impl Iterator<Item = T> {
    entries.flat_map(|(count, value)| std::iter::repeat_n(value, count as usize))
}

/// Tells offset and length of each of the `count` samples, chunk by chunk.
fn walk_chunks(
    tables: &StblBox,
    count: usize,
    mut tell: impl FnMut(u64, u32) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let chunk_offset = |chunk: usize| match (&tables.stco, &tables.co64) {
        (Some(stco), _) => stco.entries.get(chunk).map(|offset| u64::from(*offset)),
        (None, Some(co64)) => co64.entries.get(chunk).copied(),
        (None, None) => None,
    };
    let chunks = &tables.stsc.entries;
    let mut run = 0;
    let mut sample = 0;
    let mut chunk = 0_u32;
    while sample < count {
        while chunks.get(run + 1).is_some_and(|next| next.first_chunk <= chunk + 1) {
            run += 1;
        }
        let Some(of_chunk) = chunks.get(run).filter(|first| first.first_chunk <= chunk + 1) else {
            return Err(malformed("stsc does not describe the first chunk"));
        };
        one_entry_only(of_chunk.sample_description_index)?;
        let Some(mut offset) = chunk_offset(chunk as usize) else {
            return Err(malformed("stco lists fewer chunks than the samples take"));
        };
        for _ in 0..of_chunk.samples_per_chunk {
            if sample == count {
                break;
            }
            let size = match tables.stsz.sample_size {
                0 => tables.stsz.sample_sizes.get(sample).copied().unwrap_or(0),
                size => size,
            };
            tell(offset, size)?;
            offset = offset.saturating_add(u64::from(size));
            sample += 1;
        }
        chunk += 1;
    }
    Ok(())
}

/// The samples of a track that the fragments list (ISO/IEC 14496-12, 8.8), behind those that
/// the tables listed.
pub(super) fn fragment_places(
    moov: &MoovBox,
    fragments: &[MoofBox],
    track: u32,
    before: &[Place],
) -> Result<Vec<Place>, Problem> {
    let extends = moov.mvex.iter().flat_map(|mvex| &mvex.trexs);
    let defaults = extends.into_iter().find(|trex| trex.track_id == track);
    let mut places = Vec::new();
    let mut decode_time =
        before.last().map_or(0, |last| last.decode_time.saturating_add(i64::from(last.duration)));
    for fragment in fragments {
        // Where the data of the fragment's last run ended: a run that names no place goes on there.
        let mut behind = fragment.start;
        for (index, of_track) in fragment.trafs.iter().enumerate() {
            let header = &of_track.tfhd;
            let has_base = header.flags & TfhdBox::FLAG_DEFAULT_BASE_IS_MOOF != 0;
            let base = match header.base_data_offset {
                Some(base) => base,
                None if has_base || index == 0 => fragment.start,
                None => behind,
            };
            behind = base;
            let wanted = header.track_id == track;
            if wanted {
                let described = header.sample_description_index;
                let usual = defaults.map(|trex| trex.default_sample_description_index);
                one_entry_only(described.or(usual).unwrap_or(1))?;
                let stated = of_track.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time);
                let stated = stated.and_then(|time| i64::try_from(time).ok());
                decode_time = stated.unwrap_or(decode_time);
            }
            for run in &of_track.truns {
                behind = match run.data_offset {
                    Some(offset) => base.saturating_add_signed(i64::from(offset)),
                    None => behind,
                };
                check_count(places.len().saturating_add(run.sample_count as usize))?;
                let values = RunValues { of_track, run, defaults };
                for number in 0..run.sample_count as usize {
                    let place = values.place(number, behind, decode_time);
                    behind = behind.saturating_add(u64::from(place.size));
                    if wanted {
                        let duration = i64::from(place.duration);
                        decode_time = decode_time.saturating_add(duration);
                        places.push(place);
                    }
                }
            }
        }
    }
    Ok(places)
}

/// A run of a fragment with all the places where a value may be stated once for many samples.
struct RunValues<'a> {
    of_track: &'a TrafBox,
    run: &'a TrunBox,
    defaults: Option<&'a TrexBox>,
}

impl RunValues<'_> {
    /// Sample `number` of the run, counted from 0.
    fn place(&self, number: usize, offset: u64, decode_time: i64) -> Place {
        /// `sample_is_non_sync_sample` (ISO/IEC 14496-12, 8.8.3.1).
        const NOT_SYNC: u32 = 1 << 16;
        let (header, run) = (&self.of_track.tfhd, self.run);
        let usual = |stated: Option<u32>, default: fn(&TrexBox) -> u32| {
            stated.or(self.defaults.map(default)).unwrap_or(0)
        };
        let size = run.sample_sizes.get(number).copied();
        let duration = run.sample_durations.get(number).copied();
        let first = if number == 0 { run.first_sample_flags } else { None };
        let flags = run.sample_flags.get(number).copied().or(first);
        let shift = run.sample_cts.get(number).copied().unwrap_or(0);
        let flags = flags.unwrap_or_else(|| {
            usual(header.default_sample_flags, |trex| trex.default_sample_flags)
        });
        Place {
            offset,
            size: size.unwrap_or_else(|| {
                usual(header.default_sample_size, |trex| trex.default_sample_size)
            }),
            decode_time,
            // Signed in version 1; writers of version 0 mean signed numbers, too.
            composition_offset: i64::from(shift as i32),
            duration: duration.unwrap_or_else(|| {
                usual(header.default_sample_duration, |trex| trex.default_sample_duration)
            }),
            sync: flags & NOT_SYNC == 0,
        }
    }
}
