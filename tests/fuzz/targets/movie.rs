//! The mp4 file of arbitrary tables: sizes that were announced are those that come, every byte
//! comes once, and what does not fit together is refused.

use std::hint::black_box;

use reelfs::archive::{Whose, attributes};
use reelfs::mp4::{self, Chunk, Movie, Piece, entry_facts};
use reelfs::ring::ClipContents;
use reelfs::segment::{ChunkTable, ClipFact, EndReason, EntryFacts, Growth, NameForm};
use reelfs::units::{ClipId, Sequence, Ticks};

use super::Seed;
use super::footage::contents;
use super::input::{Input, Output};

/// The sums over the chunks and the fact that the archive would make of them.
pub fn fact_of(contents: &ClipContents) -> Option<(Growth, ClipFact)> {
    let entries: Vec<EntryFacts> =
        contents.parameters.iter().map(|set| entry_facts(set)).collect::<Result<_, _>>().ok()?;
    let mut sums: Option<Growth> = None;
    for chunk in &contents.chunks {
        let table = ChunkTable::decode(&chunk.table).ok()?;
        let used: Vec<EntryFacts> =
            chunk.parameters.iter().map(|set| entries[usize::from(*set)].clone()).collect();
        sums.get_or_insert_with(|| Growth::new(&table)).add(&table, &[7; 32], &used);
    }
    let growth = sums?;
    let fact = ClipFact {
        start: growth.start,
        end: growth.end(),
        output_version: mp4::OUTPUT_VERSION,
        name_form: NameForm::Seconds,
        end_reason: EndReason::Boundary,
        quality: growth.quality,
        digest: growth.digest,
        codec: growth.codec.clone(),
        picture: growth.picture,
        tracks: growth.tracks.clone(),
        pauses: growth.pauses.clone(),
    };
    Some((growth, fact))
}

fn check(movie: &Movie, fact: &ClipFact, contents: &ClipContents, from: u64, length: u64) {
    assert_eq!(mp4::size(fact), Ok(movie.size()), "what stat says and what is opened");
    assert!(movie.header_length() as u64 <= movie.size());
    let camera = "front-door".to_owned();
    let whose = Whose { camera, stream: Some([8; 16]), ring: [7; 16] };
    black_box(attributes(&whose, ClipId(Sequence(9)), fact));
    for range in [0..movie.size(), 0..u64::MAX, from..from.saturating_add(length)] {
        let end = range.end.min(movie.size());
        let mut at = range.start.min(end);
        let expected_end = end.max(at);
        for piece in movie.pieces(range) {
            assert!(piece.length() > 0, "no piece is empty");
            if let Piece::Media { chunk, range } = &piece {
                assert!(range.start < range.end);
                assert!(range.end <= contents.chunks[*chunk].place.data_length);
            }
            at += piece.length();
        }
        assert_eq!(at, expected_end, "every byte comes, and none more");
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (from, length) = (input.u64() >> 16, u64::from(input.u32()));
    let length_nanos = input.u64() as i64;
    let told = input.part();
    let Ok(contents) = ClipContents::decode(input.0) else { return };
    let fact = match told {
        [] => fact_of(&contents).map(|(_, fact)| fact),
        encoded => ClipFact::decode(encoded).ok(),
    };
    let Some(mut fact) = fact else { return };
    if let Some(track) = fact.tracks.first_mut().filter(|_| told.is_empty()) {
        // As the recorder settles it.
        track.end = Ticks::from_nanos(length_nanos, track.timescale).max(track.start);
    }
    let chunks = contents.chunks.iter().map(|chunk| Chunk {
        table: &chunk.table,
        parameters: &chunk.parameters,
        data_length: chunk.place.data_length,
    });
    if let Ok(movie) = Movie::new(&fact, &contents.parameters, chunks) {
        check(&movie, &fact, &contents, from, length);
    }
}

pub fn seeds() -> Vec<Seed> {
    let begin = |from: u64| {
        let numbers = [&(from << 16).to_le_bytes()[..], &900_u32.to_le_bytes()];
        Output(numbers.concat()).bytes(&320_000_000_u64.to_le_bytes())
    };
    let (_, fact) = fact_of(&contents(2)).expect("footage by the rules");
    let mut audio_only = contents(1);
    let mut table = super::footage::table(0);
    table.tracks.remove(0);
    table.tracks[0].parameters = 0;
    audio_only.chunks[0].place.data_length = table.byte_count() as u32;
    audio_only.chunks[0].table = table.encode().into();
    audio_only.chunks[0].parameters = vec![1];
    vec![
        ("sums", begin(0).part(&[]).bytes(&contents(3).encode()).0),
        ("told", begin(700).part(&fact.encode()).bytes(&contents(2).encode()).0),
        ("audio", begin(3).part(&[]).bytes(&audio_only.encode()).0),
    ]
}
