//! Whether the pictures of a file are those that are stored somewhere.

use super::footage::{Footage, ImportError};
use super::frames::Pictures;

/// How many samples of a file it takes to make all of some pictures, which are told by their
/// lengths in bytes in the order of decoding; `None` where the file has others. Pictures that a
/// recorder leaves out, before the first one that decoding can begin with, need not be there.
///
/// # Errors
/// If the file can't be read.
pub fn samples_of(footage: &Footage, stored: &[u64]) -> Result<Option<usize>, ImportError> {
    let mut pictures = Pictures::new(footage)?;
    let mut stored = stored.iter();
    let Some(mut wanted) = stored.next() else { return Ok(Some(0)) };
    let mut has_begun = false;
    let mut is_behind = false;
    while let Some((number, _, picture)) = pictures.next()? {
        has_begun |= picture.is_key || picture.is_recovery;
        // What leads the first key picture is not recorded.
        is_behind |= has_begun && !picture.is_key && !picture.is_leading;
        if !has_begun || (picture.is_leading && !is_behind) {
            continue;
        }
        if picture.data.len() as u64 != *wanted {
            return Ok(None);
        }
        match stored.next() {
            Some(next) => wanted = next,
            None => {
                // Samples behind the last picture are none.
                let is_all = pictures.next()?.is_none();
                return Ok(if is_all { Some(footage.sample_count()) } else { Some(number + 1) });
            }
        }
    }
    // There is more than the file has.
    Ok(None)
}
