//! The views: `[view]`, or several as `[[view]]`.

use std::path::PathBuf;
use std::time::Duration;

use super::document::{ConfigError, Document, Located};
use super::section::Section;
use super::{Config, HOUR_SECONDS, keys, zone};
use crate::view::Selection;
use crate::zone::Zone;

/// Each view has its own tree in memory, and threads of its own that serve it.
pub const VIEWS_MAX: usize = 16;

/// One view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewConfig {
    /// Where the tree is mounted. No two views have the same, nor is one in that of another.
    pub mount: PathBuf,
    /// The zone of names and days.
    pub zone: Zone,
    /// Pattern of a clip's path; not empty, otherwise unchecked: the view knows what it allows.
    pub layout: String,
    /// Where that stands.
    pub(super) layout_line: Option<usize>,
    /// Whether users other than the daemon's may enter the mount.
    pub allow_other: bool,
    /// Whether the root lists what is otherwise found by its name alone.
    pub list_special: bool,
    /// Whether programs that watch directories are told of what the daemon adds and removes.
    pub announce: bool,
    /// The cameras that it shows.
    pub cameras: Selection,
    /// Whether nothing can be changed through it.
    pub read_only: bool,
    /// The user whom everything belongs to; `None`: the daemon's.
    pub uid: Option<u32>,
    /// The group that everything belongs to; `None`: the daemon's.
    pub gid: Option<u32>,
    /// Permissions that nobody has: 0 to 0o777.
    pub umask: u16,
}

/// All views, one at least, and how long their clips are.
pub(super) fn read_all(
    document: &Document<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<ViewConfig>, Duration), ConfigError> {
    let mut sections = document.sections(&keys::VIEW)?;
    if sections.is_empty() {
        sections.push(Section::new(document, &keys::VIEW, None, None));
    }
    let mut views: Vec<ViewConfig> = Vec::new();
    for section in &sections {
        if views.len() >= VIEWS_MAX {
            return Err(section.refuse(&format!("there are more than {VIEWS_MAX} views")));
        }
        views.push(read(section, &views, warnings)?);
    }
    warnings.dedup();
    Ok((views, read_clip(&sections)?))
}

fn read(
    section: &Section<'_>,
    others: &[ViewConfig],
    warnings: &mut Vec<String>,
) -> Result<ViewConfig, ConfigError> {
    let mount = section.path(&keys::VIEW_MOUNT)?;
    let other = others.iter().find(|other| {
        mount.value.starts_with(&other.mount) || other.mount.starts_with(&mount.value)
    });
    if let Some(other) = other {
        let other = other.mount.display();
        let why = format!("another view is mounted at {other}, and no mount hides another");
        return Err(mount.refuse(why));
    }
    let zone = match section.optional_string(&keys::VIEW_ZONE)? {
        Some(name) => zone::parse(&name.value).map_err(|reason| name.refuse(reason))?,
        None => {
            let (zone, warning) = zone::system_zone();
            warnings.extend(warning);
            zone
        }
    };
    let layout = section.string(&keys::VIEW_LAYOUT)?;
    Ok(ViewConfig {
        mount: mount.value,
        zone,
        layout: layout.value,
        layout_line: layout.line,
        allow_other: section.boolean(&keys::VIEW_ALLOW_OTHER)?.value,
        list_special: section.boolean(&keys::VIEW_LIST_SPECIAL)?.value,
        announce: section.boolean(&keys::VIEW_ANNOUNCE)?.value,
        cameras: read_cameras(section)?,
        read_only: section.boolean(&keys::VIEW_READ_ONLY)?.value,
        uid: section.optional_number(&keys::VIEW_UID)?,
        gid: section.optional_number(&keys::VIEW_GID)?,
        umask: section.permissions(&keys::VIEW_UMASK)?,
    })
}

fn read_cameras(section: &Section<'_>) -> Result<Selection, ConfigError> {
    let Some(words) = section.optional_words(&keys::VIEW_CAMERAS)? else {
        return Ok(Selection::ALL);
    };
    if words.value.is_empty() || words.value.iter().any(String::is_empty) {
        return Err(words.refuse("names no camera; without it, all are shown"));
    }
    Ok(Selection::of(words.value))
}

/// What all views that say it agree on.
fn read_clip(sections: &[Section<'_>]) -> Result<Duration, ConfigError> {
    let mut agreed = None::<Duration>;
    for section in sections {
        let clip = divisor_of_an_hour(section.duration(&keys::VIEW_CLIP)?)?;
        let is_said = section.own(&keys::VIEW_CLIP);
        match (agreed, is_said) {
            (Some(agreed), Some(said)) if agreed != clip => {
                return Err(
                    said.refuse("differs from that of another view: clips are those of all")
                );
            }
            (None, Some(_)) => agreed = Some(clip),
            _ => {}
        }
    }
    match (agreed, sections.first()) {
        (None, Some(section)) => divisor_of_an_hour(section.duration(&keys::VIEW_CLIP)?),
        (agreed, _) => Ok(agreed.unwrap_or_default()),
    }
}

fn divisor_of_an_hour(clip: Located<Duration>) -> Result<Duration, ConfigError> {
    match clip.value.subsec_nanos() == 0 && HOUR_SECONDS.is_multiple_of(clip.value.as_secs()) {
        true => Ok(clip.value),
        false => Err(clip.refuse("does not divide an hour: 5m, 10m, 15m, 20m, 30m and 1h do")),
    }
}

impl Config {
    /// What is to be said of views that are likely to be a mistake.
    pub(super) fn unlikely_views(&self) -> Vec<String> {
        let mut said = Vec::new();
        for view in &self.views {
            let at = format!("{}: {}", self.file().display(), view.mount.display());
            if (view.uid.is_some() || view.gid.is_some()) && !view.allow_other {
                said.push(format!(
                    "{at}: uid and gid let nobody in whom allow_other does not let in"
                ));
            }
            for word in view.cameras.words() {
                let one = Selection::of(vec![word.clone()]);
                if !self.cameras.iter().any(|camera| one.has(camera.name.as_str())) {
                    said.push(format!("{at}: cameras: {word:?} is none that is configured"));
                }
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(views: &str) -> Result<Config, ConfigError> {
        let text = format!(
            "[ring]\ndevice = \"ring\"\n{views}\n\
             [[camera]]\nname = \"door\"\nurl = \"rtsp://h/\"\n"
        );
        Config::parse(Path::new("/r/reelfs.toml"), &text)
    }

    fn refusal(views: &str) -> String {
        parse(views).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_view_alone_has_what_it_always_had() {
        let config = parse("[view]\nmount = \"m\"\nzone = \"Asia/Tokyo\"").expect("settings");
        let [view] = &config.views[..] else { panic!("{:?}", config.views) };
        assert!(view.cameras.is_all() && !view.read_only);
        assert_eq!((view.uid, view.gid, view.umask), (None, None, 0o022));
        assert_eq!(config.zone, view.zone);
    }

    #[test]
    fn several_views_have_each_their_own_and_the_clips_in_common() {
        let config = parse(
            "[[view]]\nmount = \"a\"\nzone = \"UTC\"\n\
             [[view]]\nmount = \"b\"\nzone = \"Asia/Tokyo\"\nlayout = \"frigate\"\nclip = \"5m\"\n\
             cameras = [\"door\", \"y*\"]\nread_only = true\n\
             uid = 1000\ngid = 0\numask = \"027\"\n",
        )
        .expect("settings");
        let [a, b] = &config.views[..] else { panic!("{:?}", config.views) };
        assert_eq!((a.mount.as_path(), &a.zone), (Path::new("/r/a"), &config.zone));
        assert_eq!((b.mount.as_path(), b.layout.as_str()), (Path::new("/r/b"), "frigate"));
        assert!(b.cameras.has("yard") && !b.cameras.has("hall") && b.read_only);
        assert_eq!((b.uid, b.gid, b.umask), (Some(1000), Some(0), 0o027));
        assert_eq!(config.clip, Duration::from_secs(300));
        let said = config.warnings.join("\n");
        assert!(said.contains("/r/b: uid and gid let nobody in"), "{said}");
        assert!(said.contains("/r/b: cameras: \"y*\" is none that is configured"), "{said}");
        assert_eq!(config.warnings.len(), 2, "{said}");
    }

    #[test]
    fn views_that_would_hide_one_another_are_refused() {
        for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "./a/")] {
            let views = format!("[[view]]\nmount = {one:?}\n[[view]]\nmount = {other:?}\n");
            assert!(refusal(&views).contains(":6: view.mount: another view is mounted at /r/a"));
        }
        assert!(parse("[[view]]\nmount = \"a\"\n[[view]]\nmount = \"ab\"\n").is_ok());
    }

    #[test]
    fn what_a_view_can_not_have_is_refused_with_its_line() {
        let second = |more: &str| {
            refusal(&format!(
                "[[view]]\nmount = \"a\"\nclip = \"10m\"\n[[view]]\nmount = \"b\"\n{more}"
            ))
        };
        for (more, said) in [
            ("clip = \"5m\"", ":8: view.clip: differs from that of another view"),
            ("cameras = []", ":8: view.cameras: names no camera"),
            ("cameras = \"door\"", ":8: view.cameras: is a text, has to be a list"),
            ("uid = -1", ":8: view.uid: -1 is not from 0 to 4294967294"),
            ("gid = 4294967295", ":8: view.gid: 4294967295 is not from 0"),
            ("gid = \"video\"", ":8: view.gid: is a text, has to be a whole number such as 0"),
            ("umask = \"028\"", ":8: view.umask: \"028\" is no umask"),
            ("umask = 22", ":8: view.umask: is a number, has to be a text"),
            ("camera = [\"door\"]", "view.camera: no such key; did you mean `cameras`?"),
        ] {
            assert!(second(more).contains(said), "{more}: {}", second(more));
        }
        let many: String = (0..17).map(|n| format!("[[view]]\nmount = \"m{n}\"\n")).collect();
        assert!(refusal(&many).contains("more than 16 views"), "{}", refusal(&many));
        let wrong = Config::parse(Path::new("c"), "view = 3\n").expect_err("a number").to_string();
        assert!(wrong.contains("write [view], or [[view]] once for each view"));
    }

    #[test]
    fn a_layout_is_refused_where_it_stands() {
        let config = parse("[[view]]\nmount = \"a\"\n[[view]]\nmount = \"b\"\nlayout = \"x\"\n");
        let config = config.expect("settings");
        let error = config.refuse_layout(&config.views[1], "is wrong").to_string();
        assert_eq!(error, "/r/reelfs.toml:7: view.layout: is wrong");
    }
}
