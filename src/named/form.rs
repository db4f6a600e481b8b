//! Forms of files: how a name ends.

use std::ops::RangeInclusive;

/// How many times as fast a file may be.
const SPEEDS: RangeInclusive<u32> = 2..=10_000;

/// How a file of ranges is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// What becomes of time in which nothing was recorded.
    pub gaps: Gaps,
    /// What kind of file it is.
    pub container: Container,
}

/// What becomes of time in which nothing was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gaps {
    /// It is shown as that.
    Shown,
    /// The last picture stays.
    Held,
    /// It is left out.
    LeftOut,
    /// There is no file.
    Refused,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// ISO/IEC 14496-12.
    Mp4,
    /// The same as fragments (8.8), which can be played one by one.
    Fragments,
    /// Matroska (RFC 9559).
    Matroska,
    /// MPEG-TS (ISO/IEC 13818-1).
    Transport,
    /// Where the fragments are: an HLS playlist (RFC 8216) of the file of the same name.
    Playlist,
    /// The playlists of a camera's streams (RFC 8216, 4.3.4).
    MasterPlaylist,
    /// The mp4 of the same name with its key frames alone.
    KeyFrames,
    /// The same, so many times as fast.
    Timelapse(u32),
    /// The key frame at a time, or the last one before it.
    Still,
    /// The mp4 of the same name with the time on the wall as subtitles in it.
    Clock,
    /// The same as a file of its own (WebVTT).
    Captions,
    /// What the mp4 of the same name has in it.
    Json,
}

impl Container {
    const NAMED: [(&'static str, Container); 11] = [
        ("mp4", Container::Mp4),
        ("frag.mp4", Container::Fragments),
        ("mkv", Container::Matroska),
        ("ts", Container::Transport),
        ("m3u8", Container::Playlist),
        ("master.m3u8", Container::MasterPlaylist),
        ("keys.mp4", Container::KeyFrames),
        ("key.mp4", Container::Still),
        ("clock.mp4", Container::Clock),
        ("vtt", Container::Captions),
        ("json", Container::Json),
    ];
    const TIMELAPSE: (&'static str, &'static str) = ("timelapse-", "x.mp4");

    /// Whether the file consists of segments that are decoded one by one: it begins with a key
    /// frame.
    #[must_use]
    pub fn is_segmented(self) -> bool {
        matches!(
            self,
            Container::Fragments
                | Container::Playlist
                | Container::MasterPlaylist
                | Container::Matroska
                | Container::Transport
        )
    }

    /// Whether it has key frames, and nothing else.
    #[must_use]
    pub fn has_key_frames_alone(self) -> bool {
        matches!(self, Container::KeyFrames | Container::Timelapse(_) | Container::Still)
    }

    /// How many times as fast as on the wall time goes in it.
    #[must_use]
    pub fn speed(self) -> u32 {
        if let Container::Timelapse(speed) = self { speed } else { 1 }
    }

    fn named(name: &str) -> Option<Container> {
        let known = Container::NAMED.into_iter().find(|(own, _)| *own == name);
        known.map(|(_, container)| container).or_else(|| {
            let (begin, end) = Container::TIMELAPSE;
            let digits = name.strip_prefix(begin)?.strip_suffix(end)?;
            let speed = digits.parse().ok().filter(|speed| SPEEDS.contains(speed))?;
            // Written in one way alone: without a sign, or zeros in front.
            (digits == speed.to_string()).then_some(Container::Timelapse(speed))
        })
    }

    fn name(self) -> String {
        if let Container::Timelapse(speed) = self {
            let (begin, end) = Container::TIMELAPSE;
            return format!("{begin}{speed}{end}");
        }
        let known = Container::NAMED.into_iter().find(|(_, container)| *container == self);
        known.map_or_else(String::new, |(name, _)| name.to_owned())
    }
}

impl Form {
    const GAPS: [(&'static str, Gaps); 4] = [
        ("", Gaps::Shown),
        ("held.", Gaps::Held),
        ("joined.", Gaps::LeftOut),
        ("strict.", Gaps::Refused),
    ];

    pub(super) fn named(name: &str) -> Option<Form> {
        Form::GAPS.into_iter().find_map(|(begin, gaps)| {
            let container = Container::named(name.strip_prefix(begin)?)?;
            let has_gaps = container != Container::Still || gaps == Gaps::Shown;
            has_gaps.then_some(Form { gaps, container })
        })
    }

    /// What a clip is asked for as by a name, and what stands in front of that: a file of another
    /// kind than the one that is listed.
    #[must_use]
    pub fn of_clip(name: &str) -> Option<(&str, Form)> {
        name.match_indices('.').find_map(|(dot, _)| {
            let (stem, end) = (name.get(..dot)?, name.get(dot + 1..)?);
            let container = Container::named(end)?;
            let is_other = !matches!(container, Container::Mp4 | Container::Still);
            let form = Form { gaps: Gaps::Shown, container };
            (is_other && !stem.is_empty()).then_some((stem, form))
        })
    }

    /// What a name ends in that asks for it, without the dot in front.
    #[must_use]
    pub fn name(&self) -> String {
        let gaps = Form::GAPS.into_iter().find(|(_, gaps)| *gaps == self.gaps);
        gaps.map_or("", |(name, _)| name).to_owned() + &self.container.name()
    }

    /// What there is, for who asked for something else.
    pub(super) fn names() -> String {
        let plain = Container::NAMED.into_iter().map(|(name, _)| format!(".{name}, "));
        let timelapse = Container::Timelapse(60).name();
        let gaps = Form::GAPS.into_iter().filter(|(name, _)| !name.is_empty());
        let gaps: Vec<String> =
            gaps.map(|(name, _)| format!(".{}", name.trim_end_matches('.'))).collect();
        format!("{}.{timelapse}, and {} in front", plain.collect::<String>(), gaps.join(", "))
    }
}
