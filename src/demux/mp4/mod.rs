//! mp4 and QuickTime files (ISO/IEC 14496-12; QuickTime File Format): whole, in fragments, or what
//! is left of them. What nobody needs is not looked at.

mod boxes;
mod entries;
mod fragments;
mod movie;
mod tables;
mod times;

use super::{Contents, Kind, Problem, Remark, Source, samples_max};
use boxes::{BoxType, Header};
use entries::named;
use fragments::Fragment;
use movie::Movie;

/// What is read of `moov` and `moof` boxes, in bytes: a day of 25 frames a second takes 26 MB.
const BOX_BYTES_MAX: u64 = 1 << 30;
/// All that are looked at.
const TRAKS_MAX: usize = 32;
/// Stretches without a box that are looked through.
const STRAYS_MAX: usize = 64;
/// What is looked through at a time for a box behind what is none, in bytes.
const WINDOW_BYTES: usize = 1 << 20;

/// Boxes that a file begins with.
const FIRST: [&BoxType; 12] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid",
    b"sidx", b"emsg",
];

/// Whether a file that begins like this is one.
pub(super) fn is_one(head: &[u8; 12]) -> bool {
    let [_, _, _, _, kind @ .., _, _, _, _] = head;
    FIRST.contains(&kind)
}

/// Takes a file apart.
pub(super) fn contents(source: &dyn Source) -> Result<Contents, Problem> {
    let boxes = Boxes::read(source)?;
    let Some(moov) = &boxes.moov else { return Err(Problem::NoIndex) };
    let movie = Movie::read(moov);
    let mut remarks = boxes.remarks;
    let mut tracks = Vec::new();
    let videos = movie.traks.iter().filter(|trak| trak.kind() == Kind::Video).count();
    let mut samples = 0;
    for trak in &movie.traks {
        // What is wrong with sound, or with one video of several, costs nothing else.
        let may_lack = trak.kind() != Kind::Video || videos > 1;
        match trak.track(&movie, &boxes.fragments, source.length(), &mut remarks) {
            Ok(track) => {
                samples += track.samples.len() as u64;
                if samples > samples_max(source.length()) {
                    return Err(Problem::Unsupported(format!("{samples} samples")));
                }
                tracks.push(track);
            }
            Err(problem) if may_lack => {
                let what = problem.to_string();
                remarks.push(Remark::LeftOut { number: trak.number(), what });
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(Contents { tracks, created: movie.created, remarks })
}

/// The boxes of a file that say where samples are.
#[derive(Default)]
struct Boxes {
    moov: Option<Vec<u8>>,
    fragments: Vec<Fragment>,
    remarks: Vec<Remark>,
    /// Length of all that was read, in bytes.
    bytes: u64,
    strays: usize,
}

impl Boxes {
    fn read(source: &dyn Source) -> Result<Boxes, Problem> {
        let length = source.length();
        let mut boxes = Boxes::default();
        let mut at = 0;
        while at < length {
            let header = Header::read(source, at)?;
            at = match header {
                Some(header) if header.end <= length => {
                    boxes.take(source, &header)?;
                    header.end
                }
                // A file that is cut off, or grew no further: what lies in the last box may be
                // boxes that a writer meant to wrap at the end.
                _ if boxes.strays == STRAYS_MAX => length,
                _ => {
                    boxes.strays += 1;
                    let until = next_box(source, at + 8)?.unwrap_or(length);
                    boxes.remark(header.as_ref(), at, until);
                    until
                }
            };
        }
        Ok(boxes)
    }

    /// Says what was found instead of a whole box.
    fn remark(&mut self, header: Option<&Header>, at: u64, until: u64) {
        // What holds the samples of tables need not be whole where those are.
        self.remarks.push(match header {
            Some(header) if self.is_in_fragments() => {
                Remark::Ends { kind: format!("{} box", named(&header.kind)), offset: at }
            }
            Some(_) => return,
            None => Remark::Stray { offset: at, length: until - at },
        });
    }

    fn is_in_fragments(&self) -> bool {
        let moov = self.moov.as_deref().unwrap_or_default();
        boxes::child(moov, b"mvex").is_some()
    }

    fn take(&mut self, source: &dyn Source, header: &Header) -> Result<(), Problem> {
        if matches!(&header.kind, b"moov" | b"moof") {
            self.bytes += header.end - header.body;
            if self.bytes > BOX_BYTES_MAX {
                let bytes = self.bytes;
                return Err(Problem::Unsupported(format!("an index of {bytes} bytes")));
            }
        }
        match &header.kind {
            b"moov" if self.moov.is_none() => self.moov = Some(body(source, header)?),
            b"moof" => {
                let body = body(source, header)?;
                self.fragments.push(Fragment { start: header.start, body });
            }
            _ => {}
        }
        Ok(())
    }
}

fn body(source: &dyn Source, header: &Header) -> Result<Vec<u8>, Problem> {
    let mut body = vec![0; (header.end - header.body) as usize];
    source.read_at(header.body, &mut body)?;
    Ok(body)
}

/// Where the next `moof` or `moov` begins at `from` or behind it.
fn next_box(source: &dyn Source, from: u64) -> Result<Option<u64>, Problem> {
    let length = source.length();
    let mut window = vec![0; WINDOW_BYTES];
    let mut at = from;
    while at < length {
        let wanted = (length - at).min(WINDOW_BYTES as u64) as usize;
        let Some(read) = window.get_mut(..wanted) else { break };
        source.read_at(at, read)?;
        for place in memchr::memmem::find_iter(read, b"moo") {
            let start = (at + place as u64).checked_sub(4).filter(|start| *start >= from);
            let Some(start) = start else { continue };
            if is_index(source, start)? {
                return Ok(Some(start));
            }
        }
        // A name may lie across the end of the window.
        at += (wanted as u64).saturating_sub(8).max(1);
    }
    Ok(None)
}

/// Whether a whole `moof` or `moov` begins there: its first box is the one that it has to begin
/// with.
fn is_index(source: &dyn Source, start: u64) -> Result<bool, Problem> {
    let Some(header) = Header::read(source, start)? else { return Ok(false) };
    let first: &BoxType = match &header.kind {
        b"moof" => b"mfhd",
        b"moov" => b"mvhd",
        _ => return Ok(false),
    };
    let within = Header::read(source, header.body)?;
    Ok(header.end <= source.length() && within.is_some_and(|within| within.kind == *first))
}
