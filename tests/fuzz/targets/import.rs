//! Files of other programs, as `reelfs import` reads them: mp4, MPEG-TS or Matroska, as the fuzzer
//! begins with one or another.

use std::io::{Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use reelfs::import::{Footage, Frames, Known};
use reelfs::ring::ClipContents;
use reelfs::units::WallTime;

use super::Seed;
use super::footage::contents;

/// Frames that are read of a file.
const FRAMES_READ_MAX: usize = 64;

pub fn run(data: &[u8]) {
    static FILE: Mutex<Option<tempfile::NamedTempFile>> = Mutex::new(None);
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = file.get_or_insert_with(|| tempfile::NamedTempFile::new().expect("a file"));
    let written = file
        .as_file_mut()
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(data));
    written.expect("an input in a file");
    match Footage::open(file.path()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(mut footage) => {
            look(&footage, data);
            let half = footage.sample_count() / 2;
            if footage.begin_behind(Known { samples: half, until_nanos: 0 }).is_some() {
                look(&footage, data);
            }
        }
    }
}

fn look(footage: &Footage, data: &[u8]) {
    let survey = footage.survey();
    assert!(footage.timescale() > 0 && footage.sample_count() > 0);
    assert!(survey.length_nanos >= 0 && survey.largest_sample <= data.len() as u64);
    assert!(survey.remarks.iter().all(|remark| !remark.to_string().is_empty()));
    let start = WallTime(1_800_000_000_000_000_000);
    let Ok(frames) = Frames::new(footage, start, start) else { return };
    for frame in frames.take(FRAMES_READ_MAX) {
        let frame = frame.expect("samples that do not lie in the file are left out");
        assert!(frame.timescale > 0 && !frame.data.is_empty());
    }
}

/// The file that this program makes of a clip, samples of zeros included.
fn file_of(contents: &ClipContents) -> Vec<u8> {
    let (_, fact) = super::movie::fact_of(contents).expect("footage by the rules");
    let chunks = contents.chunks.iter().map(|chunk| reelfs::mp4::Chunk {
        table: &chunk.table,
        parameters: &chunk.parameters,
        data_length: chunk.place.data_length,
    });
    let movie = reelfs::mp4::Movie::new(&fact, &contents.parameters, chunks).expect("a file");
    let mut bytes = Vec::new();
    for piece in movie.pieces(0..movie.size()) {
        match piece {
            reelfs::mp4::Piece::Made(made) => bytes.extend_from_slice(made),
            reelfs::mp4::Piece::Media { .. } => {
                bytes.resize(bytes.len() + piece.length() as usize, 0);
            }
        }
    }
    bytes
}

pub fn seeds() -> Vec<Seed> {
    let file = file_of(&contents(2));
    let cut = file[..file.len() - 40].to_vec();
    vec![("ours", file), ("cut", cut)]
}
