//! Lists the clips of a ring, without a daemon and without changing a byte:
//! `cargo run --example list_clips -- ring.img`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use reelfs::device::{Access, FileDevice};
use reelfs::ring::Inspection;
use reelfs::segment::{ClipFact, StreamFact};
use reelfs::view::utc_timestamp;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: list_clips RING");
        return ExitCode::from(2);
    };
    match list(Path::new(&path), &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("list_clips: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The ring's facts say it all: superblock and ledger are read, and no block.
///
/// # Errors
/// It is no ring, can't be read, or nothing takes the output.
pub fn list(path: &Path, out: &mut dyn Write) -> Result<(), Box<dyn std::error::Error>> {
    let device = FileDevice::open(path, Access::ReadOnly)?;
    let inspection = Inspection::open(&device)?;
    for (id, clip) in inspection.clips() {
        let stream = inspection.streams().find(|(stream, _)| *stream == clip.stream);
        let camera = stream.map(|(_, fact)| StreamFact::decode(fact)).transpose()?;
        let camera = camera.map_or_else(|| "?".to_owned(), |camera| camera.name().to_owned());
        // A clip without a state is still growing, and has sums in place of its fact.
        let Some(state) = clip.state else {
            writeln!(out, "{id} {camera} growing")?;
            continue;
        };
        let fact = ClipFact::decode(&clip.fact)?;
        let (start, end) = (utc_timestamp(fact.start), utc_timestamp(fact.end));
        writeln!(out, "{id} {camera} {start} {end} {} frames, {state:?}", fact.frames())?;
    }
    Ok(())
}
