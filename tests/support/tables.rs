//! The sample tables of an mp4 file of one track, as ffmpeg writes it with its index at the end:
//! read, and written in another way.
#![allow(dead_code, reason = "each test file uses its own part of this")]

/// What the tables say of a sample.
#[derive(Clone, Debug)]
pub struct Row {
    pub size: u32,
    pub duration: u32,
    pub composition: i32,
    pub is_key: bool,
    /// The number of its sample entry, from 1.
    pub entry: u32,
}

/// Where a box of that type begins.
pub fn box_at(bytes: &[u8], kind: &[u8; 4]) -> usize {
    bytes.windows(4).position(|window| window == kind).expect("a box") - 4
}

pub fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"))
}

/// The same in the index: types of boxes are brands of the file, too.
fn indexed(bytes: &[u8], kind: &[u8; 4]) -> usize {
    let index = box_at(bytes, b"moov");
    index + box_at(&bytes[index..], kind)
}

/// Values of a table of runs, one for each sample.
fn runs(bytes: &[u8], kind: &[u8; 4]) -> Vec<u32> {
    let at = indexed(bytes, kind);
    let run = |run: usize| {
        let at = at + 16 + 8 * run;
        std::iter::repeat_n(number(bytes, at + 4), number(bytes, at) as usize)
    };
    (0..number(bytes, at + 12) as usize).flat_map(run).collect()
}

/// All samples; those of the file lie one behind another.
pub fn rows(bytes: &[u8]) -> Vec<Row> {
    let (sizes, keys) = (indexed(bytes, b"stsz"), indexed(bytes, b"stss"));
    let keys: Vec<u32> = (0..number(bytes, keys + 12) as usize)
        .map(|key| number(bytes, keys + 16 + 4 * key))
        .collect();
    let (durations, compositions) = (runs(bytes, b"stts"), runs(bytes, b"ctts"));
    let row = |index: usize| Row {
        size: number(bytes, sizes + 20 + 4 * index),
        duration: durations[index],
        composition: compositions[index] as i32,
        is_key: keys.contains(&(index as u32 + 1)),
        entry: 1,
    };
    (0..number(bytes, sizes + 16) as usize).map(row).collect()
}

/// Where samples lie.
pub fn samples_at(bytes: &[u8]) -> usize {
    number(bytes, indexed(bytes, b"stco") + 16) as usize
}

fn table(kind: &[u8; 4], version: u32, count: usize, words: &[u32]) -> Vec<u8> {
    let length = 16 + 4 * words.len() as u32;
    let kind = u32::from_be_bytes(*kind);
    let head = [length, kind, version << 24, count as u32];
    head.iter().chain(words).flat_map(|word| word.to_be_bytes()).collect()
}

/// The file with other tables; each sample is a chunk of its own.
pub fn with_rows(bytes: &[u8], rows: &[Row]) -> Vec<u8> {
    let count = rows.len();
    let each = |word: &dyn Fn(&Row) -> u32| -> Vec<u32> {
        rows.iter().flat_map(|row| [1, word(row)]).collect()
    };
    let keys = rows.iter().enumerate().filter(|(_, row)| row.is_key);
    let keys: Vec<u32> = keys.map(|(index, _)| index as u32 + 1).collect();
    let place = |at: &mut u32, row: &Row| Some(std::mem::replace(at, *at + row.size));
    let places: Vec<u32> = rows.iter().scan(samples_at(bytes) as u32, place).collect();
    let chunks: Vec<u32> = (0..).zip(rows).flat_map(|(at, row)| [at + 1, 1, row.entry]).collect();
    // Before the count it says that sizes differ.
    let sizes = [count as u32].into_iter().chain(rows.iter().map(|row| row.size));
    let sizes = table(b"stsz", 0, 0, &sizes.collect::<Vec<_>>());
    let tables = [
        table(b"stts", 0, count, &each(&|row| row.duration)),
        table(b"ctts", 1, count, &each(&|row| row.composition as u32)),
        table(b"stss", 0, keys.len(), &keys),
        table(b"stsc", 0, count, &chunks),
        sizes,
        table(b"stco", 0, count, &places),
    ]
    .concat();
    let start = indexed(bytes, b"stbl");
    let entries = indexed(bytes, b"stsd");
    let behind = entries + number(bytes, entries) as usize;
    let end = start + number(bytes, start) as usize;
    let mut written = bytes.to_vec();
    for parent in [b"moov", b"trak", b"mdia", b"minf", b"stbl"] {
        let at = indexed(bytes, parent);
        let length = number(bytes, at) as usize + tables.len() - (end - behind);
        written[at..at + 4].copy_from_slice(&(length as u32).to_be_bytes());
    }
    written.splice(behind..end, tables);
    written
}

/// The file without its edit list: all is shown, as its tables say.
pub fn without_edits(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = indexed(&bytes, b"edts");
    bytes[at + 4..at + 8].copy_from_slice(b"free");
    bytes
}

/// The file whose first edit lasts so many ticks of the movie.
pub fn with_edit_of(bytes: &[u8], ticks: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = indexed(&bytes, b"elst") + 16;
    bytes[at..at + 4].copy_from_slice(&ticks.to_be_bytes());
    bytes
}

/// Sizes in a table of so many bits each, in the room of one of 32, of the last track.
pub fn with_short_sizes(bytes: &[u8], width: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(4).rposition(|window| window == b"stsz").expect("a table") - 4;
    let count = number(&bytes, at + 16) as usize;
    let sizes: Vec<u32> = (0..count).map(|index| number(&bytes, at + 20 + 4 * index)).collect();
    assert!(sizes.iter().all(|size| *size < 1 << width), "they have room");
    let packed: Vec<u8> = match width {
        4 => sizes.chunks(2).map(|two| (two[0] << 4 | two.get(1).unwrap_or(&0)) as u8).collect(),
        8 => sizes.iter().map(|size| *size as u8).collect(),
        _ => sizes.iter().flat_map(|size| (*size as u16).to_be_bytes()).collect(),
    };
    bytes[at + 4..at + 8].copy_from_slice(b"stz2");
    bytes[at + 12..at + 16].copy_from_slice(&width.to_be_bytes());
    bytes[at + 20..at + 20 + packed.len()].copy_from_slice(&packed);
    bytes
}

/// The file with another box in its first sample entry of H.264.
pub fn with_entry_box(bytes: &[u8], kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = 8 + body.len() as u32;
    let mut written = bytes.to_vec();
    for parent in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"] {
        let at = indexed(bytes, parent);
        let longer = number(bytes, at) + length;
        written[at..at + 4].copy_from_slice(&longer.to_be_bytes());
    }
    let at = indexed(bytes, b"pasp");
    written.splice(at..at, [&length.to_be_bytes()[..], kind, body].concat());
    written
}
