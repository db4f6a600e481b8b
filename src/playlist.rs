//! HLS playlists (RFC 8216) of files whose segments are byte ranges. Pure.
//!
//! A playlist has one `EXT-X-MAP` and no discontinuity: decode times go on throughout, and key
//! frames bring their parameter sets; where there is a new map, several players go on with the old
//! one, and some end at a discontinuity. Each segment says when it was.

use std::fmt::Write;
use std::ops::Range;

use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::units::{NANOS_PER_SECOND, WallTime};

/// What a name may not have as it is, where it stands for a file (RFC 3986, 3.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Byte ranges of a map need 5, fragments 7 (RFC 8216, 7).
const VERSION: u32 = 7;

/// A segment of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSegment {
    /// Which bytes of the file.
    pub bytes: Range<u64>,
    /// How long it is shown, in nanoseconds.
    pub length_nanos: i64,
    /// When its first picture was.
    pub wall: WallTime,
}

/// The playlist of the file `name`, of which the first `map_bytes` are needed for every segment
/// (RFC 8216, 4.3.3).
#[must_use]
pub fn media_playlist(name: &str, map_bytes: u64, segments: &[MediaSegment]) -> String {
    let uri = utf8_percent_encode(name, ESCAPED).to_string();
    let longest = segments.iter().map(|segment| segment.length_nanos).max().unwrap_or(0);
    // Rounded to the nearest, none may be longer (RFC 8216, 4.3.3.1).
    let target = (longest + NANOS_PER_SECOND - 1) / NANOS_PER_SECOND;
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target}\n\
         #EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MAP:URI=\"{uri}\",BYTERANGE=\"{map_bytes}@0\"\n",
    );
    for MediaSegment { bytes, length_nanos, wall } in segments {
        let seconds = *length_nanos as f64 / NANOS_PER_SECOND as f64;
        let time = DateTime::<Utc>::from_timestamp_nanos(wall.0);
        let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{time}\n#EXTINF:{seconds:.6},\n\
             #EXT-X-BYTERANGE:{}@{}\n{uri}\n",
            bytes.end - bytes.start,
            bytes.start,
        );
    }
    text + "#EXT-X-ENDLIST\n"
}

/// A way to play the same footage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The name of its playlist.
    pub name: String,
    /// Codecs by their names in RFC 6381; none where one of them has no such name.
    pub codecs: Vec<String>,
    /// Width and height, in pixels.
    pub picture: (u16, u16),
    /// Of the segment with the most bits a second, and of all together.
    pub peak_bits: u64,
    /// The same of all of them.
    pub mean_bits: u64,
}

impl Variant {
    /// A way whose segments these are.
    #[must_use]
    pub fn new(
        name: String,
        codecs: Vec<String>,
        picture: (u16, u16),
        segments: &[MediaSegment],
    ) -> Variant {
        let bits_a_second = |bytes: u64, nanos: i64| {
            let second = u128::from(NANOS_PER_SECOND.unsigned_abs());
            let bits = u128::from(bytes) * 8 * second / u128::from(nanos.max(1).unsigned_abs());
            u64::try_from(bits).unwrap_or(u64::MAX)
        };
        let length = |segment: &MediaSegment| segment.bytes.end - segment.bytes.start;
        let own = |segment: &MediaSegment| bits_a_second(length(segment), segment.length_nanos);
        let peak_bits = segments.iter().map(own).max().unwrap_or(0);
        let nanos = segments.iter().map(|segment| segment.length_nanos).sum();
        let mean_bits = bits_a_second(segments.iter().map(length).sum(), nanos);
        Variant { name, codecs, picture, peak_bits, mean_bits }
    }
}

/// The playlist of several playlists (RFC 8216, 4.3.4).
#[must_use]
pub fn master_playlist(variants: &[Variant]) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for Variant { name, codecs, picture: (width, height), peak_bits, mean_bits } in variants {
        let uri = utf8_percent_encode(name, ESCAPED);
        let codecs = match codecs.as_slice() {
            [] => String::new(),
            codecs => format!(",CODECS=\"{}\"", codecs.join(",")),
        };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={peak_bits},AVERAGE-BANDWIDTH={mean_bits}{codecs},\
             RESOLUTION={width}x{height}\n{uri}\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> [MediaSegment; 2] {
        let wall = WallTime(1_795_266_300 * NANOS_PER_SECOND + 480_000_000);
        let second = wall.plus_nanos(4 * NANOS_PER_SECOND);
        [
            MediaSegment { bytes: 800..1800, length_nanos: 4 * NANOS_PER_SECOND, wall },
            MediaSegment { bytes: 1800..1900, length_nanos: NANOS_PER_SECOND / 2, wall: second },
        ]
    }

    #[test]
    fn a_playlist_says_where_each_segment_is_and_when_it_was() {
        let expected = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n\
            #EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-MAP:URI=\"10%20h%C3%A4ll.mp4\",BYTERANGE=\"700@0\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-21T13:05:00.480Z\n#EXTINF:4.000000,\n\
            #EXT-X-BYTERANGE:1000@800\n10%20h%C3%A4ll.mp4\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-21T13:05:04.480Z\n#EXTINF:0.500000,\n\
            #EXT-X-BYTERANGE:100@1800\n10%20h%C3%A4ll.mp4\n#EXT-X-ENDLIST\n";
        assert_eq!(media_playlist("10 häll.mp4", 700, &segments()), expected);
    }

    #[test]
    fn a_master_playlist_says_what_each_way_takes() {
        let codecs = vec!["avc1.64001F".to_owned(), "fLaC".to_owned()];
        let variant = Variant::new("a.m3u8".to_owned(), codecs, (640, 360), &segments());
        let unnamed = Variant { codecs: Vec::new(), ..variant.clone() };
        let expected = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2000,AVERAGE-BANDWIDTH=1955,CODECS=\"avc1.64001F,fLaC\",\
            RESOLUTION=640x360\na.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2000,AVERAGE-BANDWIDTH=1955,RESOLUTION=640x360\na.m3u8\n";
        assert_eq!(master_playlist(&[variant, unnamed]), expected);
    }
}
