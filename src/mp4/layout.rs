//! Which boxes a file has, how long they are, and when each track is presented.

use super::boxes::{FULL_HEADER_BYTES, HEADER_BYTES, LARGE_HEADER_BYTES};
use super::{Mp4Error, OUTPUT_VERSION};
use crate::segment::{ClipFact, TrackKind, TrackTotals};

/// Brand, version and compatible brands of the file (ISO/IEC 14496-12, 4.3). `iso6` stands for
/// signed composition offsets and versioned sample groups, `mp41` for the MPEG-4 sample entries.
pub(super) const BRANDS: [&[u8; 4]; 4] = [b"isom", b"isom", b"iso6", b"mp41"];
/// Length of an entry of `elst` version 1 (ISO/IEC 14496-12, 8.6.6), in bytes.
const EDIT_BYTES: u64 = 8 + 8 + 2 + 2;

const FTYP: u64 = HEADER_BYTES + 4 * (BRANDS.len() as u64 + 1);
/// Version 1 (8.2.2).
const MVHD: u64 = FULL_HEADER_BYTES + 8 + 8 + 4 + 8 + 4 + 2 + 2 + 8 + 36 + 24 + 4;
/// Version 1 (8.3.2).
const TKHD: u64 = FULL_HEADER_BYTES + 8 + 8 + 4 + 4 + 8 + 8 + 2 + 2 + 2 + 2 + 36 + 4 + 4;
/// A reference to one track (8.3.3).
const TREF: u64 = HEADER_BYTES + HEADER_BYTES + 4;
/// Version 1 (8.4.2).
const MDHD: u64 = FULL_HEADER_BYTES + 8 + 8 + 4 + 8 + 2 + 2;
/// Without the name (8.4.3).
const HDLR: u64 = FULL_HEADER_BYTES + 4 + 4 + 12;
const VMHD: u64 = FULL_HEADER_BYTES + 8;
const SMHD: u64 = FULL_HEADER_BYTES + 4;
const NMHD: u64 = FULL_HEADER_BYTES;
/// `dref` with one `url ` (8.7.2).
const DINF: u64 = HEADER_BYTES + FULL_HEADER_BYTES + 4 + FULL_HEADER_BYTES;
/// A table before its entries (8.6.1, 8.7.4, 8.7.5).
const TABLE: u64 = FULL_HEADER_BYTES + 4;
/// `stsz` before its entries (8.7.3).
const STSZ: u64 = FULL_HEADER_BYTES + 4 + 4;
/// `sgpd` with one `roll`, and `sbgp` that puts all samples into it (8.9, 10.1).
const ROLL: u64 = FULL_HEADER_BYTES + 4 + 4 + 4 + 2 + FULL_HEADER_BYTES + 4 + 4 + 8;

/// Handler type and name of a kind of track (ISO/IEC 14496-12, 8.4.3).
pub(super) fn handler(kind: TrackKind) -> (&'static [u8; 4], &'static [u8]) {
    match kind {
        TrackKind::Video => (b"vide", b"Video"),
        TrackKind::Audio => (b"soun", b"Audio"),
        TrackKind::Timed | TrackKind::Unknown(_) => (b"meta", b"Metadata"),
    }
}

/// The track that tick 0 belongs to and that the others accompany: the first video.
pub(crate) fn lead(fact: &ClipFact) -> Option<&TrackTotals> {
    fact.tracks.iter().find(|track| track.kind == TrackKind::Video)
}

/// The version under which all tracks are in the file, and sound is presented to its own end.
const EVERY_TRACK: u16 = 1;

/// Whether samples of a kind are in the file of the clip.
pub(super) fn holds(fact: &ClipFact, kind: TrackKind) -> bool {
    fact.output_version == EVERY_TRACK || kind != TrackKind::Timed
}

/// The clip's tracks that are in its file.
pub(super) fn shown(fact: &ClipFact) -> impl Iterator<Item = &TrackTotals> + Clone {
    fact.tracks.iter().filter(|track| holds(fact, track.kind))
}

/// Whether `track` describes another one, and says so in a `tref`.
pub(super) fn described<'a>(fact: &'a ClipFact, track: &TrackTotals) -> Option<&'a TrackTotals> {
    lead(fact).filter(|_| track.kind == TrackKind::Timed)
}

/// Whether the track lists its sync samples; without a list all are (ISO/IEC 14496-12, 8.6.2).
pub(super) fn lists_sync_samples(track: &TrackTotals) -> bool {
    track.sync_samples < track.samples
}

/// When a track is presented; all in ticks of the track, none negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Presentation {
    /// From the clip's tick 0 to the first of it that is presented.
    pub delay: u64,
    /// Where in the track's own time line the presentation begins.
    pub media_time: u64,
    /// How long it lasts.
    pub length: u64,
}

impl Presentation {
    pub(super) fn new(fact: &ClipFact, track: &TrackTotals) -> Presentation {
        let is_lead = lead(fact).is_some_and(|lead| lead.track == track.track);
        let start = track.start.0;
        let first = i64::from(track.first_offset).max(0);
        let media_time = match is_lead {
            true => first,
            false => {
                let primed = first.saturating_add(i64::from(track.codec_delay));
                primed.max(start.saturating_neg())
            }
        };
        // The lead begins at tick 0, but where the clip's first chunks were lost.
        let delay = match is_lead {
            true => start.max(0),
            false => start.saturating_add(media_time).max(0),
        };
        // Composition lags behind decoding by `first` at both ends; what is cut off beyond that
        // is not presented.
        let cut = media_time.saturating_sub(first);
        let whole = media_length(track).saturating_sub(cut.unsigned_abs());
        let delay = delay.unsigned_abs();
        // What goes on behind the last picture would put the next clip off where two are joined.
        let room = if is_lead { None } else { end_of_lead(fact, track.timescale) };
        let length = match room.map(|end| end.saturating_sub(delay)) {
            None | Some(0) => whole,
            Some(room) => whole.min(room),
        };
        Presentation { delay, media_time: media_time.unsigned_abs(), length }
    }

    /// Entries of the edit list.
    pub(super) fn edits(&self) -> u64 {
        1 + u64::from(self.delay > 0)
    }
}

/// Where the last picture's turn is over, in ticks of a track that ends there at the latest.
fn end_of_lead(fact: &ClipFact, timescale: u32) -> Option<u64> {
    let lead = lead(fact).filter(|_| fact.output_version != EVERY_TRACK)?;
    let shown = Presentation::new(fact, lead);
    Some(rescaled(shown.delay.saturating_add(shown.length), lead.timescale, timescale))
}

/// `ticks` of one timescale in ticks of another, rounded to the nearest.
pub(super) fn rescaled(ticks: u64, from: u32, to: u32) -> u64 {
    let from = u128::from(from.max(1));
    let scaled = (u128::from(ticks) * u128::from(to) + from / 2) / from;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Length of the track's own time line, in its ticks.
pub(super) fn media_length(track: &TrackTotals) -> u64 {
    track.end.0.saturating_sub(track.start.0).max(0).unsigned_abs()
}

/// Where the parts of a file lie, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Length of all that is made: `ftyp`, `moov` and the header of the `mdat`.
    pub header_length: u64,
    /// Length of the samples behind it.
    pub data_length: u64,
}

impl Layout {
    /// # Errors
    /// [`Mp4Error::UnknownVersion`], [`Mp4Error::UnknownTrack`], and [`Mp4Error::TooLarge`] where a
    /// box, a count or the file can't be expressed.
    pub(super) fn new(fact: &ClipFact) -> Result<Layout, Mp4Error> {
        if !(EVERY_TRACK..=OUTPUT_VERSION).contains(&fact.output_version) {
            return Err(Mp4Error::UnknownVersion(fact.output_version));
        }
        let mut moov = u128::from(HEADER_BYTES + MVHD);
        let mut data_length = 0_u128;
        for track in shown(fact) {
            if let TrackKind::Unknown(kind) = track.kind {
                return Err(Mp4Error::UnknownTrack { track: track.track.0, kind });
            }
            limited("samples of a track", track.samples.into(), u32::MAX.into())?;
            moov += track_length(fact, track);
            data_length += u128::from(track.bytes);
        }
        let moov = limited("moov box", moov, u32::MAX.into())?;
        let header_length = FTYP + moov + LARGE_HEADER_BYTES;
        let limit = i64::MAX.unsigned_abs() - header_length;
        let data_length = limited("samples of the clip", data_length, limit)?;
        Ok(Layout { header_length, data_length })
    }

    pub(super) fn size(&self) -> u64 {
        self.header_length + self.data_length
    }
}

fn limited(what: &'static str, found: u128, limit: u64) -> Result<u64, Mp4Error> {
    match u64::try_from(found) {
        Ok(value) if value <= limit => Ok(value),
        _ => Err(Mp4Error::TooLarge { what, found, limit }),
    }
}

fn track_length(fact: &ClipFact, track: &TrackTotals) -> u128 {
    let (_, name) = handler(track.kind);
    let (media_header, roll) = match track.kind {
        TrackKind::Video => (VMHD, 0),
        TrackKind::Audio => (SMHD, ROLL),
        TrackKind::Timed | TrackKind::Unknown(_) => (NMHD, 0),
    };
    let fixed = HEADER_BYTES // trak
        + TKHD
        + described(fact, track).map_or(0, |_| TREF)
        + HEADER_BYTES // edts
        + TABLE
        + EDIT_BYTES * Presentation::new(fact, track).edits()
        + HEADER_BYTES // mdia
        + MDHD
        + HDLR
        + name.len() as u64
        + 1
        + HEADER_BYTES // minf
        + media_header
        + DINF
        + HEADER_BYTES // stbl
        + roll;
    u128::from(fixed) + tables_length(track)
}

fn tables_length(track: &TrackTotals) -> u128 {
    let table =
        |entry_bytes: u64, entries: u128| u128::from(TABLE) + u128::from(entry_bytes) * entries;
    let stsd = table(1, track.sample_entry_bytes.into());
    let stts = table(8, track.duration_runs.into());
    let ctts = if track.reordered { table(8, track.offset_runs.into()) } else { 0 };
    let stss = if lists_sync_samples(track) { table(4, track.sync_samples.into()) } else { 0 };
    let stsc = table(12, track.chunks.into());
    let stsz = u128::from(STSZ) + 4 * u128::from(track.samples);
    let co64 = table(8, track.chunks.into());
    stsd + stts + ctts + stss + stsc + stsz + co64
}

/// Length of the file of a clip, in bytes; exact, and known without any sample table.
///
/// # Errors
/// [`Mp4Error::UnknownVersion`] for a clip that a newer program closed, [`Mp4Error::TooLarge`]
/// where the sums are beyond what an mp4 can hold.
pub fn size(fact: &ClipFact) -> Result<u64, Mp4Error> {
    Layout::new(fact).map(|layout| layout.size())
}
