//! Whether the pictures of a file are those that are stored somewhere.

use super::footage::{Footage, ImportError};
use super::frames::Pictures;

/// A picture that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSample {
    /// Its length, in bytes.
    pub length: u64,
    /// Whether a clip begins with it.
    pub begins_clip: bool,
}

/// A picture of a file.
struct Wanted {
    /// The number of its sample.
    number: usize,
    length: u64,
    is_key: bool,
    is_leading: bool,
}

/// How many samples of a file it takes to make all of some stored pictures, in the order of
/// decoding; `None` where the file has others. Pictures that a recorder leaves out, before the
/// first one that decoding can begin with, need not be there; those from one on that a later clip
/// had to begin with may be there again.
///
/// # Errors
/// If the file can't be read.
pub fn samples_of(
    footage: &Footage,
    stored: &[StoredSample],
) -> Result<Option<usize>, ImportError> {
    let wanted = recorded(footage)?;
    let mut next = 0;
    for stored in stored {
        if stored.begins_clip {
            // A clip begins with a picture that decoding can begin with: what was cut off amid a
            // group was gone on with from there.
            let so_far = wanted.get(..=next).unwrap_or(&wanted);
            next = so_far.iter().rposition(|picture| picture.is_key).unwrap_or(next);
        }
        // What leads the key picture of a clip is not recorded, where there is nothing before it.
        let is_gone = |it: &Wanted| it.is_leading && it.length != stored.length;
        while wanted.get(next).is_some_and(is_gone) {
            next += 1;
        }
        match wanted.get(next) {
            Some(picture) if picture.length == stored.length => next += 1,
            _ => return Ok(None),
        }
    }
    let is_all = next == wanted.len();
    let last = next.checked_sub(1).and_then(|last| wanted.get(last));
    // Samples behind the last picture are none.
    let count = if is_all { footage.sample_count() } else { last.map_or(0, |it| it.number + 1) };
    Ok(Some(count))
}

/// The pictures of a file that a recorder may keep: from the first one on that decoding can begin
/// with.
fn recorded(footage: &Footage) -> Result<Vec<Wanted>, ImportError> {
    let mut pictures = Pictures::new(footage)?;
    let mut recorded = Vec::new();
    while let Some((number, _, picture)) = pictures.next()? {
        let is_key = picture.is_key || picture.is_recovery;
        if is_key || !recorded.is_empty() {
            let (length, is_leading) = (picture.data.len() as u64, picture.is_leading);
            recorded.push(Wanted { number, length, is_key, is_leading });
        }
    }
    Ok(recorded)
}
