//! Every encoding that stands in a fact, a chunk or the index: what is read is written again, and
//! chunks are divided without losing a byte.

use reelfs::mp4::entry_facts;
use reelfs::ring::{ClipContents, ClipState, Fact, UnknownState};
use reelfs::segment::{
    ChunkTable, ClipFact, Growth, Observation, ObservationKind, ParameterSet, StreamFact,
    StreamName, split,
};
use reelfs::units::{ClipId, Sequence, WallTime};

use super::Seed;
use super::footage::{START, contents, parameters, table};
use super::input::Input;
use super::movie::fact_of;

/// The most bytes of samples that are made up for a table.
const DATA_BYTES_MAX: u64 = 1 << 20;

/// Reads, writes and reads again.
macro_rules! there_and_back {
    ($kind:ty, $bytes:expr) => {
        if let Ok(value) = <$kind>::decode($bytes) {
            let again = <$kind>::decode(&value.encode());
            assert_eq!(again.as_ref(), Ok(&value), "what was read is written");
        }
    };
}

fn divided(bytes: &[u8], bytes_max: usize) {
    let Ok(table) = ChunkTable::decode(bytes) else { return };
    if table.byte_count() > DATA_BYTES_MAX {
        return;
    }
    let data: Vec<u8> = (0..table.byte_count()).map(|at| at as u8).collect();
    if let Some((first, second)) = split(&table, &data, bytes_max) {
        assert!(first.1.len() <= bytes_max);
        assert_eq!(first.1.len() + second.1.len(), data.len());
        for (table, data) in [first, second] {
            assert_eq!(table.byte_count(), data.len() as u64);
        }
    }
}

fn facts(bytes: &[u8]) {
    for (kind, body) in Fact::records(bytes) {
        if let Ok(fact) = Fact::decode(kind, body) {
            let mut record = Vec::new();
            fact.append_to(&mut record);
            assert_eq!(record.len(), fact.record_length());
            assert_eq!(Fact::decode(record[0], &record[3..]), Ok(fact));
        }
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 8 {
        0 => {
            let bytes_max = usize::from(input.u16());
            there_and_back!(ChunkTable, input.0);
            divided(input.0, bytes_max);
        }
        1 => there_and_back!(ClipContents, input.0),
        2 => there_and_back!(ClipFact, input.0),
        3 => there_and_back!(Growth, input.0),
        4 => there_and_back!(StreamFact, input.0),
        5 => there_and_back!(Observation, input.0),
        6 => {
            there_and_back!(ParameterSet, input.0);
            drop(entry_facts(input.0));
        }
        _ => facts(input.0),
    }
}

pub fn seeds() -> Vec<Seed> {
    let (growth, fact) = fact_of(&contents(2)).expect("footage by the rules");
    let name = StreamName { name: "front-door".into(), since: WallTime(START) };
    let stream = StreamFact {
        uuid: [3; 16],
        names: vec![name],
        retain_nanos: None,
        removed: None,
        switch: None,
    };
    let (from, to) = (WallTime(START), WallTime(START + 5));
    let kind = ObservationKind::TimeJump;
    let observation = Observation { from, to, kind, number: -3, text: "back".into() };
    let mut paused = table(2);
    paused.tracks[0].samples[1].flags.resumed = true;
    paused.tracks[0].samples[1].flags.damaged = true;
    let (mut flawed, mut paused_fact) = (growth.clone(), fact.clone());
    flawed.add(&paused, &[7; 32], &[]);
    paused_fact.pauses = flawed.pauses.clone();
    let mut records = Vec::new();
    Fact::Clean.append_to(&mut records);
    let encodings = [
        ("table", [&[50, 0][..], &table(1).encode()].concat()),
        ("contents", contents(2).encode()),
        ("fact", fact.encode()),
        ("growth", growth.encode()),
        ("stream", stream.encode()),
        ("observation", observation.encode()),
        ("parameters", parameters()[0].to_vec()),
        ("records", records),
    ];
    let mut unknown = Vec::new();
    Fact::Unknown { kind: 20, body: [1, 2, 3].into() }.append_to(&mut unknown);
    let clip = ClipId(Sequence(9));
    let state = ClipState::Unknown(UnknownState::new(9, &[1, 2]).expect("short"));
    Fact::State { clip, state }.append_to(&mut unknown);
    let flawed = [
        (0, "paused_table", [&[50, 0][..], &paused.encode()].concat()),
        (2, "paused_fact", paused_fact.encode()),
        (3, "paused_growth", flawed.encode()),
        (7, "unknown_records", unknown),
    ];
    let numbered = (0_u8..).zip(encodings).map(|(number, (name, bytes))| (number, name, bytes));
    let all = numbered.chain(flawed);
    all.map(|(number, name, bytes)| (name, [&[number][..], &bytes].concat())).collect()
}
