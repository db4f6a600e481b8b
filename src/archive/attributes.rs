//! What `ls` cannot say of a clip, as names and values.

use std::ops::Range;

use super::range::{OpenedRange, Shown};
use crate::segment::{ClipFact, Pauses};
use crate::units::{ClipId, NANOS_PER_SECOND, WallTime};
use crate::view::utc_timestamp;

const DIGEST_ATTRIBUTE: &str = "user.reelfs.digest";
const ENDED_ATTRIBUTE: &str = "user.reelfs.ended";
/// What a clip that still grows does not have yet.
pub(super) const OF_CLOSED: [&str; 2] = [DIGEST_ATTRIBUTE, ENDED_ATTRIBUTE];

/// Longest value of the pauses, in bytes: together with the others it has to fit what ext4 keeps
/// of one file's attributes, which is a block of 4 KiB, or `cp -a` and `rsync -X` fail there.
const PAUSES_BYTES_MAX: usize = 2048;
/// Longest list of gaps, or of what is omitted, of a range, in bytes, but for its last line: both
/// have to fit, as above.
const LINES_BYTES_MAX: usize = 1450;
const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// Whose a clip is.
#[derive(Clone, Debug)]
pub struct Whose {
    /// What its camera is called.
    pub camera: String,
    /// The UUID of its stream; `None` where the ring has lost it.
    pub stream: Option<[u8; 16]>,
    /// That of its ring.
    pub ring: [u8; 16],
}

/// The extended attributes of a clip: times in UTC to the nanosecond, the duration in seconds.
/// Pauses and records are told of where there are any.
#[must_use]
pub fn attributes(whose: &Whose, clip: ClipId, fact: &ClipFact) -> Vec<(&'static str, String)> {
    let length = fact.end.nanos_since(fact.start).max(0);
    let digest: String = fact.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("{} {clip}", uuid::Uuid::from_bytes(whose.ring));
    let (width, height) = fact.picture;
    let bytes = fact.tracks.iter().fold(0_u64, |sum, track| sum.saturating_add(track.bytes));
    let mut attributes = vec![
        ("user.reelfs.start", utc_timestamp(fact.start)),
        ("user.reelfs.end", utc_timestamp(fact.end)),
        ("user.reelfs.duration", seconds(length)),
        ("user.reelfs.camera", whose.camera.clone()),
        ("user.reelfs.codec", fact.codec.clone()),
        ("user.reelfs.width", width.to_string()),
        ("user.reelfs.height", height.to_string()),
        ("user.reelfs.frames", fact.frames().to_string()),
        ("user.reelfs.keyframes", fact.key_frames().to_string()),
        ("user.reelfs.bytes", bytes.to_string()),
        ("user.reelfs.damaged", fact.damaged().to_string()),
        ("user.reelfs.id", id),
        (DIGEST_ATTRIBUTE, digest),
        ("user.reelfs.clock", fact.quality.name().to_owned()),
        (ENDED_ATTRIBUTE, fact.end_reason.to_string()),
    ];
    if let Some(stream) = whose.stream {
        attributes.push(("user.reelfs.stream", uuid::Uuid::from_bytes(stream).to_string()));
    }
    if !fact.pauses.is_empty() {
        attributes.push(("user.reelfs.gaps", pauses_text(fact)));
    }
    if fact.records() > 0 {
        attributes.push(("user.reelfs.records", fact.records().to_string()));
    }
    attributes
}

/// The extended attributes of a range of a stream with this UUID: when it begins and ends, what it
/// shows, in which times of it nothing was recorded, and what was that is not in it.
#[must_use]
pub fn range_attributes(
    range: &OpenedRange,
    stream: Option<[u8; 16]>,
) -> Vec<(&'static str, String)> {
    let Shown { frames, codec, picture: (width, height), quality } = &range.shown;
    let quality: Vec<&str> = quality.iter().map(|quality| quality.name()).collect();
    let mut attributes = vec![
        ("user.reelfs.start", utc_timestamp(range.start)),
        ("user.reelfs.end", utc_timestamp(range.end)),
        ("user.reelfs.duration", seconds(range.length_nanos.max(0))),
        ("user.reelfs.camera", range.camera.clone()),
        ("user.reelfs.bytes", range.content.size().to_string()),
        ("user.reelfs.codec", codec.clone()),
        ("user.reelfs.width", width.to_string()),
        ("user.reelfs.height", height.to_string()),
        ("user.reelfs.frames", frames.to_string()),
        ("user.reelfs.clips", range.clips.len().to_string()),
        ("user.reelfs.clock", quality.join(", ")),
    ];
    if let Some(stream) = stream {
        attributes.push(("user.reelfs.stream", uuid::Uuid::from_bytes(stream).to_string()));
    }
    let line = |times: &Range<WallTime>, why: &str| {
        let length = milliseconds(times.end.nanos_since(times.start).max(0));
        (format!("{} {length}{why}", utc_timestamp(times.start)), times.clone())
    };
    if !range.gaps.is_empty() {
        let lines = range.gaps.iter().map(|gap| line(gap, ""));
        attributes.push(("user.reelfs.gaps", lines_text(lines)));
    }
    if !range.omitted.is_empty() {
        let lines = range.omitted.iter().map(|(times, why)| line(times, &format!(" {why}")));
        attributes.push(("user.reelfs.omitted", lines_text(lines)));
    }
    attributes
}

/// As many lines as there is room for; the others are summed up in a last one.
fn lines_text(lines: impl Iterator<Item = (String, Range<WallTime>)>) -> String {
    let (mut text, mut more, mut more_nanos) = (String::new(), 0_u64, 0_i64);
    for (line, times) in lines {
        if more == 0 && text.len() + line.len() < LINES_BYTES_MAX {
            text.push_str(if text.is_empty() { "" } else { "\n" });
            text.push_str(&line);
            continue;
        }
        more += 1;
        more_nanos = more_nanos.saturating_add(times.end.nanos_since(times.start).max(0));
    }
    if more > 0 {
        text.push_str(&format!("\n+{more} {}", milliseconds(more_nanos)));
    }
    text
}

/// A line for each pause, when it began and its length in seconds; what does not fit is summed up
/// in a last one. Neither begins with what the other begins with: a year, and a sign.
fn pauses_text(fact: &ClipFact) -> String {
    let pause_text = |from: i64, length: i64| {
        format!("{} {}", utc_timestamp(fact.start.plus_nanos(from)), milliseconds(length))
    };
    let more_text = |count: u64, nanos: i64| format!("+{count} {}", milliseconds(nanos));
    // The sum at its longest.
    let room = PAUSES_BYTES_MAX - more_text(u64::MAX, i64::MAX).len() - 1;
    let (mut more, mut more_nanos) = fact.pauses.more();
    let mut lines: Vec<String> = Vec::with_capacity(Pauses::LISTED_MAX + 1);
    let mut length = 0;
    for pause in fact.pauses.listed() {
        let line = pause_text(pause.from_nanos, pause.length_nanos);
        if length + line.len() + 1 > room {
            more = more.saturating_add(1);
            more_nanos = more_nanos.saturating_add(pause.length_nanos);
            continue;
        }
        length += line.len() + 1;
        lines.push(line);
    }
    if more > 0 {
        lines.push(more_text(more, more_nanos));
    }
    lines.join("\n")
}

fn seconds(nanos: i64) -> String {
    format!("{}.{:09}", nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND)
}

/// Seconds to the millisecond, rounded to the nearest.
fn milliseconds(nanos: i64) -> String {
    let milliseconds = nanos.saturating_add(NANOS_PER_MILLISECOND / 2) / NANOS_PER_MILLISECOND;
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::RangeContent;
    use crate::segment::{ClockQuality, Pause};
    use crate::units::{Sequence, SessionNumber, WallTime};

    fn paused(count: i64) -> ClipFact {
        let (start, end) = (WallTime(40_000_000), WallTime(9 * NANOS_PER_SECOND));
        let mut fact = ClipFact::between(start, end, ClockQuality::Synchronised);
        for number in 0..count {
            let from_nanos = number * 60 * NANOS_PER_SECOND;
            fact.pauses.add(Pause { from_nanos, length_nanos: 5_039_600_000 });
        }
        fact
    }

    fn all(fact: &ClipFact) -> Vec<(&'static str, String)> {
        let clip = ClipId(Sequence::new(SessionNumber(3), 17));
        let camera = "a".repeat(64);
        attributes(&Whose { camera, stream: Some([0x22; 16]), ring: [0x11; 16] }, clip, fact)
    }

    fn one(fact: &ClipFact, name: &str) -> Option<String> {
        all(fact).into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    #[test]
    fn a_clip_says_whose_it_is_and_what_is_not_whole() {
        let whole = paused(0);
        assert_eq!(one(&whole, "user.reelfs.damaged").as_deref(), Some("0"));
        assert_eq!(one(&whole, "user.reelfs.gaps"), None);
        assert_eq!(one(&whole, "user.reelfs.records"), None);
        let stream = "22222222-2222-2222-2222-222222222222";
        assert_eq!(one(&whole, "user.reelfs.stream").as_deref(), Some(stream));
        assert_eq!(one(&whole, "user.reelfs.clock").as_deref(), Some("synchronised"));
        let id = "11111111-1111-1111-1111-111111111111 3.17";
        assert_eq!(one(&whole, "user.reelfs.id").as_deref(), Some(id));
        let gaps = "1970-01-01T00:00:00.040000000Z 5.040\n1970-01-01T00:01:00.040000000Z 5.040";
        assert_eq!(one(&paused(2), "user.reelfs.gaps").as_deref(), Some(gaps));
    }

    #[test]
    fn pauses_without_end_are_summed_up_in_a_line() {
        let gaps = one(&paused(1000), "user.reelfs.gaps").expect("pauses");
        assert!(gaps.len() <= PAUSES_BYTES_MAX, "{} bytes", gaps.len());
        let lines: Vec<&str> = gaps.lines().collect();
        assert_eq!(lines.len(), Pauses::LISTED_MAX + 1);
        assert_eq!(lines[Pauses::LISTED_MAX], "+968 4878.333");
        // With their names, and what the state of a clip adds, they fit what ext4 keeps of a file.
        let bytes: usize =
            all(&paused(1000)).iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes + 300 <= 3500, "{bytes} bytes");
        // What a forged fact says may be longer than any camera's.
        let mut forged = ClipFact { start: WallTime(i64::MAX), ..paused(0) };
        for _ in 0..40 {
            forged.pauses.add(Pause { from_nanos: i64::MIN, length_nanos: i64::MAX });
        }
        let gaps = one(&forged, "user.reelfs.gaps").expect("pauses");
        assert!(gaps.len() <= PAUSES_BYTES_MAX, "{} bytes", gaps.len());
    }

    #[test]
    fn all_that_a_range_says_fits_what_ext4_keeps_of_a_file() {
        let times = |number: i64| {
            let start = WallTime((i64::MAX / 2000) * (1000 + number));
            start..start.plus_nanos(i64::MAX / 2001)
        };
        let reason = "its pictures are coded in another way than those of the first clip";
        let range = OpenedRange {
            camera: "c".repeat(64),
            content: RangeContent::Text(Vec::new()),
            start: WallTime(i64::MAX),
            end: WallTime(i64::MAX),
            length_nanos: i64::MAX,
            gaps: (0..1000).map(times).collect(),
            omitted: (0..1000).map(|number| (times(number), reason)).collect(),
            clips: Vec::new(),
            shown: Shown {
                frames: u64::MAX,
                codec: "hvc1.2.4.L153.B0.23.41.30.20.10.00".to_owned(),
                picture: (u16::MAX, u16::MAX),
                quality: vec![
                    ClockQuality::Unsynchronised,
                    ClockQuality::Synchronised,
                    ClockQuality::Given,
                    ClockQuality::Unknown(200),
                ],
            },
            identity: [0; 32],
        };
        let all = range_attributes(&range, Some([7; 16]));
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= 3500, "{bytes} bytes");
        let gaps = all.iter().find(|(name, _)| *name == "user.reelfs.gaps");
        let (_, gaps) = gaps.expect("gaps");
        assert!(gaps.lines().count() > 20 && gaps.contains("\n+9"), "{gaps}");
    }
}
