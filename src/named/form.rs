//! Forms of files: how a name ends.

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
    /// Where these are: an HLS playlist (RFC 8216) of the file of the same name.
    Playlist,
    /// The playlists of a camera's streams (RFC 8216, 4.3.4).
    MasterPlaylist,
    /// The time on the wall, as subtitles (WebVTT) for the mp4 of the same name.
    Captions,
    /// What the mp4 of the same name has in it.
    Json,
}

impl Container {
    /// Whether the file consists of segments that are decoded one by one: it begins with a key
    /// frame.
    #[must_use]
    pub fn is_segmented(self) -> bool {
        matches!(self, Container::Fragments | Container::Playlist | Container::MasterPlaylist)
    }
}

impl Form {
    const GAPS: [(&'static str, Gaps); 4] = [
        ("", Gaps::Shown),
        ("held.", Gaps::Held),
        ("joined.", Gaps::LeftOut),
        ("strict.", Gaps::Refused),
    ];
    const CONTAINERS: [(&'static str, Container); 6] = [
        ("mp4", Container::Mp4),
        ("frag.mp4", Container::Fragments),
        ("m3u8", Container::Playlist),
        ("master.m3u8", Container::MasterPlaylist),
        ("vtt", Container::Captions),
        ("json", Container::Json),
    ];

    /// All of them, with their names.
    pub(super) fn all() -> impl Iterator<Item = (String, Form)> {
        Form::GAPS.into_iter().flat_map(|(first, gaps)| {
            let named =
                move |(last, container)| (format!("{first}{last}"), Form { gaps, container });
            Form::CONTAINERS.into_iter().map(named)
        })
    }

    pub(super) fn named(name: &str) -> Option<Form> {
        Form::all().find(|(own, _)| own == name).map(|(_, form)| form)
    }

    /// What a clip is asked for as by a name, and what stands in front of that: a file of another
    /// kind than the one that is listed.
    #[must_use]
    pub fn of_clip(name: &str) -> Option<(&str, Form)> {
        Form::CONTAINERS.into_iter().rev().find_map(|(end, container)| {
            let stem = name.strip_suffix(end)?.strip_suffix('.')?;
            let form = Form { gaps: Gaps::Shown, container };
            (container != Container::Mp4 && !stem.is_empty()).then_some((stem, form))
        })
    }

    /// What a name ends in that asks for it, without the dot in front.
    #[must_use]
    pub fn name(&self) -> String {
        let named = Form::all().find(|(_, form)| form == self);
        named.map(|(name, _)| name).unwrap_or_default()
    }

    pub(super) fn names() -> String {
        Form::all().map(|(name, _)| format!(".{name}")).collect::<Vec<_>>().join(", ")
    }
}
