//! What a camera offers: its session description (RFC 8866), as far as it is about media. Pure.
//!
//! Only lines of `m=` and `a=` count. Whatever else such a text has to have, cameras forget.

/// More media than a camera has reason to offer; what lies behind is not looked at.
const MEDIA_MAX: usize = 64;
/// Formats of one medium at most: payload types have seven bits, and few are told.
const FORMATS_MAX: usize = 16;

/// What is offered, and what it is called.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Description {
    /// What made it (RFC 8866, 6.3).
    pub(super) tool: Option<String>,
    /// The address of the whole (RFC 2326, C.1.1).
    pub(super) control: Option<String>,
    pub(super) media: Vec<Media>,
    /// There are more of them.
    pub(super) is_cut: bool,
}

/// One medium.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Media {
    /// `video`, `audio`, `application`; in lower case.
    pub(super) kind: String,
    pub(super) control: Option<String>,
    /// Pictures a second (RFC 8866, 6.11).
    pub(super) frame_rate: Option<f64>,
    /// It is sent in one direction only (RFC 8866, 6.7.3).
    pub(super) is_send_only: bool,
    /// Never empty.
    pub(super) formats: Vec<Format>,
}

/// One way in which a medium is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    /// The one that its attributes name, where that is another one: it may be either.
    pub(super) other_type: Option<u8>,
    /// In lower case; empty where it is not told.
    pub(super) encoding: String,
    /// Ticks a second, where it is told.
    pub(super) clock_rate: Option<u32>,
    /// Channels of sound, where they are told.
    pub(super) channels: Option<u16>,
    /// As the camera wrote it (RFC 8866, 6.15).
    pub(super) parameters: String,
    /// Width and height in pixels, where they are told (RFC 6064, 4; `x-dimensions` of servers
    /// whose pictures are over what RFC 2435 can tell).
    pub(super) picture: Option<(u16, u16)>,
}

/// Payload types with a fixed meaning (RFC 3551, 6): name, ticks a second, channels.
const FIXED: [(u8, &str, u32, u16); 11] = [
    (0, "pcmu", 8000, 1),
    (3, "gsm", 8000, 1),
    (4, "g723", 8000, 1),
    (8, "pcma", 8000, 1),
    (9, "g722", 8000, 1),
    (10, "l16", 44_100, 2),
    (11, "l16", 44_100, 1),
    (14, "mpa", 90_000, 1),
    (26, "jpeg", 90_000, 1),
    (32, "mpv", 90_000, 1),
    (33, "mp2t", 90_000, 1),
];

impl Description {
    pub(super) fn parse(text: &str) -> Description {
        let mut description = Description::default();
        for line in text.lines() {
            let Some((kind, value)) = line.trim().split_once('=') else { continue };
            match kind.trim() {
                "m" if description.media.len() == MEDIA_MAX => {
                    description.is_cut = true;
                    break;
                }
                "m" => description.media.push(Media::parse(value)),
                "a" => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    let name = name.trim().to_ascii_lowercase();
                    description.attribute(&name, value.trim());
                }
                _ => {}
            }
        }
        description
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let Some(media) = self.media.last_mut() else {
            match name {
                "tool" => self.tool = Some(value.to_owned()),
                "control" => self.control = Some(value.to_owned()),
                _ => {}
            }
            return;
        };
        match name {
            "control" => media.control = Some(value.to_owned()),
            "framerate" => media.frame_rate = value.parse().ok().filter(|rate| *rate > 0.0),
            "sendonly" => media.is_send_only = true,
            "rtpmap" => media.map(value),
            "fmtp" => {
                if let Some((format, parameters)) = media.named(value) {
                    parameters.clone_into(&mut format.parameters);
                    let told = format.parameter("x-dimensions").and_then(size);
                    format.picture = told.or(format.picture);
                }
            }
            "framesize" => {
                if let Some((format, told)) = media.named(value) {
                    format.picture = size(told);
                }
            }
            "x-dimensions" => {
                for format in &mut media.formats {
                    format.picture = size(value);
                }
            }
            _ => {}
        }
    }
}

impl Media {
    /// Of the value of `m=`: kind, port, protocol, formats.
    fn parse(value: &str) -> Media {
        let mut words = value.split_whitespace();
        let kind = words.next().unwrap_or_default().to_ascii_lowercase();
        let types = words.skip(2).filter_map(|word| word.parse().ok());
        let mut formats: Vec<Format> = types.take(FORMATS_MAX).map(Format::fixed).collect();
        if formats.is_empty() {
            formats.push(Format::default());
        }
        Media { kind, formats, ..Media::default() }
    }

    /// The format that an attribute is about, and what it says. Where there is one format, an
    /// attribute with another number is about it, too.
    fn named<'a>(&mut self, value: &'a str) -> Option<(&mut Format, &'a str)> {
        let (number, rest) = value.split_once(char::is_whitespace)?;
        let number: u8 = number.parse().ok()?;
        let known = self.formats.iter().position(|format| format.payload_type == number);
        let at = known.or((self.formats.len() == 1).then_some(0))?;
        if known.is_none() {
            self.formats[at].other_type = Some(number);
        }
        Some((&mut self.formats[at], rest.trim()))
    }

    /// Of the value of `a=rtpmap:`: number, name, clock rate, channels.
    fn map(&mut self, value: &str) {
        let Some((format, map)) = self.named(value) else { return };
        let mut parts = map.split('/').map(str::trim);
        format.encoding = parts.next().unwrap_or_default().to_ascii_lowercase();
        format.clock_rate = parts.next().and_then(|rate| rate.parse().ok()).filter(|it| *it > 0);
        format.channels = parts.next().and_then(|count| count.parse().ok()).filter(|it| *it > 0);
    }
}

impl Format {
    fn fixed(payload_type: u8) -> Format {
        let known = FIXED.iter().find(|(number, ..)| *number == payload_type);
        Format {
            payload_type,
            other_type: None,
            encoding: known.map_or(String::new(), |(_, name, ..)| (*name).to_owned()),
            clock_rate: known.map(|(_, _, rate, _)| *rate),
            channels: known.map(|(.., channels)| *channels),
            parameters: String::new(),
            picture: None,
        }
    }

    /// The value of a parameter, by name in any case, without quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.split(';').find_map(|parameter| {
            let (is, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            is.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Width and height, however they are parted.
fn size(text: &str) -> Option<(u16, u16)> {
    let (width, height) = text.split_once([',', '-', 'x'])?;
    let size = (width.trim().parse().ok()?, height.trim().parse().ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FMTP: &str = "a=fmtp:96 packetization-mode=1; profile-level-id=4d001f; \
                        sprop-parameter-sets=Z00AHw==,aO48gA==";

    fn format(lines: &[&str]) -> Format {
        let description = Description::parse(&lines.join("\r\n"));
        description.media[0].formats[0].clone()
    }

    #[test]
    fn what_cameras_write_is_understood() {
        let whole = format!(
            "v=0\no=- 0 0 IN IP4\nc=IN\ns=\na=tool:x 1\na=control:*\nm=audio 0 RTP/AVP 0\n\
             m=video 0 rtp/avp 96\na=RTPMAP:96  H264/90000\n{FMTP}\na=framerate:12.5\n\
             a=control:rtsp://other/track1\n"
        );
        let description = Description::parse(&whole);
        assert_eq!(description.tool.as_deref(), Some("x 1"));
        assert_eq!(description.control.as_deref(), Some("*"));
        let [audio, video] = &description.media[..] else { panic!("{description:?}") };
        assert_eq!(audio.formats[0].encoding, "pcmu");
        assert_eq!((video.kind.as_str(), video.frame_rate), ("video", Some(12.5)));
        assert_eq!(video.control.as_deref(), Some("rtsp://other/track1"));
        let format = &video.formats[0];
        assert_eq!((format.encoding.as_str(), format.clock_rate), ("h264", Some(90_000)));
        assert_eq!(format.parameter("sprop-parameter-sets"), Some("Z00AHw==,aO48gA=="));
    }

    #[test]
    fn little_is_enough() {
        for lines in [
            &["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"][..],
            &["m=video 0 RTP/AVP 96", "a=rtpmap:96\tH264/90000"],
            &["m=video 0 RTP/AVP 96", "a=rtpmap:97 h264 / 90000 "],
            &["m=video 0 RTP/AVP", "a=rtpmap:96 H264/90000"],
            &["m = video 0 RTP/AVP 96", "a = rtpmap:96 H264/90000"],
        ] {
            let format = format(lines);
            assert_eq!((format.encoding.as_str(), format.clock_rate), ("h264", Some(90_000)));
        }
        assert_eq!(Description::parse(""), Description::default());
    }

    #[test]
    fn parameters_are_found_in_any_writing() {
        for parameters in [
            "a=fmtp:96 sprop-parameter-sets=AA,BB;",
            "a=fmtp:96 SPROP-PARAMETER-SETS = \"AA,BB\" ; packetization-mode",
            "a=fmtp:96\tpacketization-mode;;sprop-parameter-sets=AA,BB",
        ] {
            let format = format(&["m=video 0 RTP/AVP 96", parameters]);
            assert_eq!(format.parameter("sprop-parameter-sets"), Some("AA,BB"), "{parameters}");
            assert_eq!(format.parameter("packetization-mode"), None);
        }
    }

    #[test]
    fn the_size_of_pictures_is_found_in_any_writing() {
        for line in [
            "a=x-dimensions:3840,2160",
            "a=x-dimensions: 3840 , 2160",
            "a=framesize:26 3840-2160",
            "a=fmtp:26 x-dimensions=3840,2160",
            "a=fmtp:26 a=1;x-dimensions=\"3840x2160\"",
        ] {
            let format = format(&["m=video 0 RTP/AVP 26", line]);
            assert_eq!(format.picture, Some((3840, 2160)), "{line}");
        }
        for line in ["a=x-dimensions:0,9", "a=x-dimensions:70000,9", "a=framesize:26 3840"] {
            assert_eq!(format(&["m=video 0 RTP/AVP 26", line]).picture, None, "{line}");
        }
    }

    #[test]
    fn more_than_anybody_offers_is_cut() {
        let many = "m=video 0 RTP/AVP 96\r\n".repeat(5000);
        let description = Description::parse(&many);
        assert_eq!((description.media.len(), description.is_cut), (MEDIA_MAX, true));
        let many = format!("m=video 0 RTP/AVP {}", "96 ".repeat(5000));
        assert_eq!(Description::parse(&many).media[0].formats.len(), FORMATS_MAX);
    }
}
