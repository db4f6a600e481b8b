//! When samples are shown: the edit list of a track (ISO/IEC 14496-12, 8.6.6).

use super::boxes::{child, full};
use crate::demux::cursor::Cursor;

/// A file has few; each of its samples is looked up in all of them.
const EDITS_MAX: u32 = 1024;

/// A piece of a track that is shown, in its ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// From where on, in the track's own time.
    media: i64,
    /// When that is shown, from the beginning of the file.
    at: i64,
    length: i64,
}

/// The edits of a track.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    pieces: Vec<Piece>,
}

impl Edits {
    /// Of the body of a `trak`. `timescale` is that of the track, `of_movie` that of the movie.
    pub(super) fn read(trak: &[u8], timescale: u32, of_movie: u32) -> Edits {
        let read = || {
            let (version, _, mut list) = full(child(child(trak, b"edts")?, b"elst")?)?;
            let count = list.u32()?;
            let mut edits = Edits::default();
            let mut passed = 0_u128;
            let ticks = |units: u128| {
                let scaled = units.saturating_mul(timescale.into()) / u128::from(of_movie.max(1));
                i64::try_from(scaled).unwrap_or(i64::MAX)
            };
            for _ in 0..count.min(EDITS_MAX) {
                let Some((length, media)) = edit(&mut list, version) else { break };
                let at = ticks(passed);
                passed = passed.saturating_add(length.into());
                // An edit without a length lasts for the whole of what follows in fragments.
                let length = if length == 0 { i64::MAX } else { ticks(passed).saturating_sub(at) };
                // Nothing is shown for as long as an empty edit lasts.
                if media >= 0 {
                    edits.pieces.push(Piece { media, at, length });
                }
            }
            Some(edits)
        };
        read().unwrap_or_default()
    }

    /// When a sample is shown that has this composition time, in ticks from the beginning of the
    /// file, and whether it is. One that is not has the time that it would have.
    pub(super) fn shown(&self, composition: i64) -> (i64, bool) {
        let Some(first) = self.pieces.first() else { return (composition, true) };
        let behind = |piece: &Piece| composition.saturating_sub(piece.media);
        let within = |piece: &&Piece| (0..piece.length).contains(&behind(piece));
        match self.pieces.iter().find(within) {
            Some(piece) => (piece.at.saturating_add(behind(piece)), true),
            None => {
                let before = self.pieces.iter().rev().find(|piece| behind(piece) >= 0);
                let piece = before.unwrap_or(first);
                (piece.at.saturating_add(behind(piece)), false)
            }
        }
    }
}

/// Length and media time of the next edit.
fn edit(list: &mut Cursor<'_>, version: u8) -> Option<(u64, i64)> {
    let edit = match version {
        1 => (list.u64()?, list.u64()? as i64),
        _ => (list.u32()?.into(), i64::from(list.u32()? as i32)),
    };
    list.skip(4).map(|()| edit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(pieces: &[(i64, i64, i64)]) -> Edits {
        let pieces = pieces.iter().map(|(media, at, length)| Piece {
            media: *media,
            at: *at,
            length: *length,
        });
        Edits { pieces: pieces.collect() }
    }

    #[test]
    fn what_no_edit_shows_is_not_shown() {
        assert_eq!(Edits::default().shown(7), (7, true));
        let cut = edits(&[(10, 0, 20)]);
        assert_eq!(
            [5, 10, 29, 30].map(|at| cut.shown(at)),
            [(-5, false), (0, true), (19, true), (20, false)]
        );
        let two = edits(&[(10, 100, 20), (50, 120, 10)]);
        assert_eq!([12, 35, 55].map(|at| two.shown(at)), [(102, true), (125, false), (125, true)]);
    }
}
