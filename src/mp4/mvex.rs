//! What stands in front of fragments: a `moov` without samples (ISO/IEC 14496-12, 8.8).

use super::boxes::BoxWriter;
use super::moov::{MovieClock, file_type, movie_header, trak};
use super::trak::Trak;
use crate::units::Ticks;

/// Writes `ftyp` and `moov`; what follows lasts so many nanoseconds, where that is known. `flags`
/// says what the samples of a track mostly are (8.8.3.1).
pub(crate) fn write(
    to: &mut BoxWriter,
    clock: &MovieClock,
    traks: &[Trak<'_>],
    length_nanos: Option<i64>,
    flags: impl Fn(&Trak<'_>) -> u32,
) {
    file_type(to);
    to.plain(b"moov", |to| {
        movie_header(to, clock, traks);
        for track in traks {
            to.plain(b"trak", |to| trak(to, clock, track, |_, _| ()));
        }
        // 8.8.1 to 8.8.3.
        to.plain(b"mvex", |to| {
            if let Some(nanos) = length_nanos {
                let length = Ticks::from_nanos(nanos, clock.timescale);
                to.full(b"mehd", 1, 0, |to| to.i64(length.0));
            }
            for track in traks {
                to.full(b"trex", 0, 0, |to| {
                    to.u32(track.id);
                    to.u32(1);
                    to.u32(0);
                    to.u32(0);
                    to.u32(flags(track));
                });
            }
        });
    });
}
