//! Names are local times: on days of 23 and 25 hours, in every layout, and where two clips begin
//! in one second. A name belongs to its clip, not to which siblings survive.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use chrono::DateTime;
use clips::{Identity, attribute_time, closed_clips, identities};
use daemon::{Site, run_tool, text};
use reelfs::segment::{NameForm, NameRank};
use reelfs::units::WallTime;
use reelfs::view::Layout;
use reelfs::zone::Zone;

const NOWHERE: &str = "rtsp://127.0.0.1:1/";
const HOUR: i64 = 3600 * 1_000_000_000;

/// More than a day of footage, with a picture (a key frame) each minute.
fn long_footage(folder: &Path, hours: u32) -> PathBuf {
    let file = folder.join(format!("{hours}h.mp4"));
    let length = (hours * 3600).to_string();
    let source = "testsrc2=size=64x64:rate=1/60";
    let words = ["-v", "error", "-y", "-f", "lavfi", "-i", source, "-t", &length];
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "1"];
    run_tool("ffmpeg", &[&words[..], &codec, &[text(&file)]].concat());
    file
}

/// The names of clips that a day of a camera should have.
fn hours(first: u32, repeated: Option<u32>, skipped: Option<u32>) -> Vec<String> {
    let mut names = Vec::new();
    for hour in (first..24).filter(|hour| skipped != Some(*hour)) {
        if repeated == Some(hour) {
            names.push(format!("{hour:02}-00-00.mp4"));
            names.push(format!("{hour:02}b-00-00.mp4"));
        } else {
            names.push(format!("{hour:02}-00-00.mp4"));
        }
    }
    names
}

#[test]
fn days_of_23_and_25_hours_have_as_many_clips_and_no_name_twice() {
    let mut site = Site::new("64M");
    site.view = "clip = \"1h\"\nzone = \"Europe/Berlin\"".to_owned();
    site.add_camera("yard", NOWHERE, "");
    let file = long_footage(&site.path(""), 26);
    site.import("yard", "2026-03-28T23:00:00Z", &file);
    site.import("yard", "2026-10-24T22:00:00Z", &file);
    let daemon = site.run();
    let mount = site.mount();
    let short = closed_clips(&mount.join("2026-03-29/yard"));
    assert_eq!(short, hours(0, None, Some(2)), "clocks are put forward at two");
    let long = closed_clips(&mount.join("2026-10-25/yard"));
    assert_eq!(long, hours(0, Some(2), None), "clocks are put back at three");
    let day = mount.join("2026-10-25/yard");
    let start = |name: &str| attribute_time(&day.join(name), "start");
    assert_eq!(start("02b-00-00.mp4") - start("02-00-00.mp4"), HOUR);
    assert_eq!(start("03-00-00.mp4") - start("02b-00-00.mp4"), HOUR);
    for name in &long {
        assert_eq!(clips::attribute(&day.join(name), "frames"), "60", "{name}");
    }
    daemon.stop();
}

/// Zones, and a day in which each has put its clock back, with the hours of UTC around it. By 30
/// minutes, by two hours, at midnight, over midnight; and, by a day, forward.
const CHANGES: [(&str, &str); 15] = [
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("America/Havana", "2026-11-01T05:00:00Z"),
    ("Asia/Beirut", "2026-10-24T21:00:00Z"),
    ("Africa/Cairo", "2026-10-29T21:00:00Z"),
    ("Africa/Casablanca", "2026-02-15T02:00:00Z"),
    ("Atlantic/Azores", "2026-10-25T01:00:00Z"),
    ("America/Nuuk", "2026-10-25T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("America/Caracas", "2007-12-09T07:00:00Z"),
    ("Antarctica/Troll", "2026-10-25T01:00:00Z"),
    ("Asia/Gaza", "2026-10-23T23:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("<-03>3<-0130>1:30,M3.2.0/1:30,M11.1.0/2", "2026-11-01T03:30:00Z"),
];

/// Layouts that have year to second in order, with anything between them.
const LAYOUTS: [&str; 18] = [
    "default",
    "frigate",
    "{camera}/%F/%H-%M-%S.mp4",
    "{camera}/%Y/%m/%d/%H/%M/%S.mp4",
    "{camera}/%Y/%j/%H%M%S.mp4",
    "{camera}_%Y%m%d%H%M%S.mp4",
    "{camera}_%Y%m%dT%H%M%S.mp4",
    "%F_%H-%M-%S_{camera}.mp4",
    "%F/{camera}/%Hh%Mm%Ss.mp4",
    "%F/{camera}/%H h %M min %S s.mp4",
    "%F/%H/{camera}/%M.%S.mp4",
    "%F/%H Uhr/{camera}/%M-%S.mp4",
    "%F/%H{camera}%M%S.mp4",
    "%F/{camera}/%H_%M_%S.mp4",
    "%F/{camera}/%H.%M.%S.mp4",
    "%F/{camera}/%H~%M~%S.mp4",
    "%F/{camera}/%H時%M分%S秒.mp4",
    "%y%m%d/{camera}/%H+%M+%S %H.mp4",
];

fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap_or_else(|| Zone::posix(name).expect(name))
}

/// The paths of clips that begin every 10 minutes for three hours before `around` and after it,
/// and of several in one second, in time.
fn paths_around(layout: &Layout, zone: &Zone, around: &str) -> Vec<String> {
    let around = DateTime::parse_from_rfc3339(around).unwrap().timestamp_nanos_opt().unwrap();
    let mut paths = Vec::new();
    for step in -18..18 {
        let start = around + step * (HOUR / 6);
        let in_order = |rank, number| NameForm::InOrder { rank, number };
        for (milliseconds, form) in [
            (200, in_order(NameRank::Before, 1)),
            (300, in_order(NameRank::Before, 1)),
            (400, in_order(NameRank::Second, 1)),
            (400, in_order(NameRank::Behind, 1)),
            (400, in_order(NameRank::Behind, 2)),
            (400, in_order(NameRank::Behind, 10)),
            (500, in_order(NameRank::Behind, 1)),
        ] {
            let path = layout.path(zone, "yard", WallTime(start + milliseconds * 1_000_000), form);
            paths.push([path.directories, vec![path.file]].concat().join("/"));
        }
    }
    paths
}

/// A folder with the locale en_US.UTF-8, for `LOCPATH`.
fn locales() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let made = folder.path().join("en_US.UTF-8");
    run_tool("localedef", &["-i", "en_US", "-f", "UTF-8", text(&made)]);
    folder
}

/// What a tool prints of `names` in a locale.
fn sorted_by(words: &[&str], locale: &str, locales: &Path, folder: &Path, input: &str) -> String {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .env("LC_ALL", locale)
        .env("LOCPATH", locales)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Each directory of the paths with the names in it, in the order in which they come.
fn directories(paths: &[String]) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut begin = 0;
        for end in ends {
            let names = found.entry(&path[..begin]).or_default();
            let name = path[begin..end].trim_start_matches('/');
            if names.last() != Some(&name) {
                names.push(name);
            }
            begin = end;
        }
    }
    found
}

#[test]
fn names_sort_in_time_in_every_zone_and_layout_by_bytes_and_by_locale() {
    let (locales, folder) = (locales(), tempfile::tempdir().unwrap());
    for layout in LAYOUTS {
        let parsed = Layout::parse(layout).expect(layout);
        // The number of the directory, then the name.
        let (mut listed, mut count) = (String::new(), 0);
        for (name, around) in CHANGES {
            let paths = paths_around(&parsed, &zone(name), around);
            if layout == "default" {
                let again = paths.iter().filter(|path| path.contains('b')).count();
                assert!(again > 0 || name == "Pacific/Apia", "{name} has no repeated hour");
            }
            let unsorted = paths.windows(2).find(|pair| pair[0] >= pair[1]);
            assert_eq!(unsorted, None, "{name} in {layout:?}");
            for names in directories(&paths).values() {
                count += 1;
                listed.extend(names.iter().map(|name| format!("{count:03}\t{name}\n")));
            }
        }
        for locale in ["C", "en_US.UTF-8"] {
            let tool = ["sort", "-s", "-t\t", "-k1,1", "-k2"];
            let sorted = sorted_by(&tool, locale, locales.path(), folder.path(), &listed);
            let differs = sorted.lines().zip(listed.lines()).find(|(found, made)| found != made);
            assert_eq!(differs, None, "{layout:?} under {locale}");
        }
    }
}

/// A change over midnight, as Newfoundland's until 2010 (no zone has one today): local days
/// overlap in time then, but each of them sorts.
#[test]
fn each_day_sorts_where_the_clock_is_put_back_over_midnight() {
    let layout = Layout::parse("default").unwrap();
    let paths = paths_around(&layout, &zone("Antarctica/Casey"), "2010-03-04T15:00:00Z");
    let days = directories(&paths);
    assert_eq!(days[""], ["2010-03-04", "2010-03-05", "2010-03-04", "2010-03-05"]);
    for (day, names) in &days {
        let sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(sorted || day.is_empty(), "{day}: {names:?}");
    }
    assert!(days["2010-03-05/yard"].contains(&"01b00-10-00.mp4"), "{days:?}");
}

#[test]
fn ls_lists_the_repeated_hour_in_time() {
    let (locales, folder) = (locales(), tempfile::tempdir().unwrap());
    let paths =
        paths_around(&Layout::parse("default").unwrap(), &zone("Europe/Berlin"), CHANGES[0].1);
    let names: Vec<&str> = paths.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    for name in &names {
        fs::write(folder.path().join(name), "").unwrap();
    }
    for locale in ["C", "en_US.UTF-8"] {
        let listed = sorted_by(&["ls"], locale, locales.path(), folder.path(), "");
        assert_eq!(listed.lines().collect::<Vec<_>>(), names, "{locale}");
    }
}

/// Inodes and what else must not change, whatever the names are.
fn by_inode(mount: &Path) -> BTreeMap<u64, Identity> {
    identities(mount).into_values().map(|identity| (identity.inode, identity)).collect()
}

#[test]
fn a_layout_changes_names_and_nothing_else() {
    let mut site = Site::new("32M");
    site.add_camera("front-door", NOWHERE, "");
    let file = clips::footage(&site.path(""), "footage.mp4", 25, &[]);
    site.import("front-door", "2026-07-01T22:59:50Z", &file);
    let mount = site.mount();
    let mut known = None;
    for (layout, expected) in [
        (
            "default",
            ["00-59-50.mp4", "01-00-00.mp4", "01-00-10.mp4"]
                .map(|name| format!("2026-07-02/front-door/{name}")),
        ),
        (
            "frigate",
            [
                "2026-07-01/22/front-door/59.50.mp4".to_owned(),
                "2026-07-01/23/front-door/00.00.mp4".to_owned(),
                "2026-07-01/23/front-door/00.10.mp4".to_owned(),
            ],
        ),
        (
            "{camera}/%Y/%j/{camera}_%H%M%S.mp4",
            ["005950", "010000", "010010"]
                .map(|time| format!("front-door/2026/183/front-door_{time}.mp4")),
        ),
    ] {
        site.view = format!("clip = \"10s\"\nzone = \"Europe/Berlin\"\nlayout = {layout:?}");
        let daemon = site.run();
        assert_eq!(closed_clips(&mount), expected, "{layout}");
        let now = by_inode(&mount);
        assert_eq!(known.get_or_insert_with(|| now.clone()), &now, "{layout}");
        daemon.stop();
    }
}

#[test]
fn two_clips_in_one_second_keep_their_names_when_the_other_is_deleted() {
    let mut site = Site::new("32M");
    site.purge = "every = \"1s\"\ngrace = \"0s\"".to_owned();
    site.add_camera("yard", NOWHERE, "");
    let file = clips::footage(&site.path(""), "footage.mp4", 1, &["-frames:v", "4"]);
    for start in ["12:00:00.0", "12:00:00.5", "12:00:01.0", "12:00:01.5"] {
        site.import("yard", &format!("2026-07-01T{start}Z"), &file);
    }
    // Footage that overlaps, as a clock that was set back makes it.
    let other = clips::footage(&site.path(""), "other.mp4", 1, &["-frames:v", "4", "-qp", "40"]);
    site.import_with("yard", "2026-07-01T12:00:01.5Z", &other, &["--force"]);
    let names = |words: &[&str]| -> Vec<String> {
        words.iter().map(|word| format!("2026-07-01/yard/{word}.mp4")).collect()
    };
    let mount = site.mount();
    let daemon = site.run();
    let all = ["12-00-00", "12-00-00s500", "12-00-01", "12-00-01s500", "12-00-01s500n02"];
    let mut sorted = names(&all);
    sorted.sort();
    assert_eq!(closed_clips(&mount), sorted);
    let before = identities(&mount);
    // Of the one second the first goes, of the other the second.
    for gone in names(&["12-00-00", "12-00-01s500"]) {
        fs::remove_file(mount.join(gone)).expect("rm");
    }
    let mut left = names(&["12-00-00s500", "12-00-01", "12-00-01s500n02"]);
    left.sort();
    let assert_left = || {
        assert_eq!(closed_clips(&mount), left);
        for (clip, identity) in identities(&mount) {
            assert_eq!(before.get(&clip), Some(&identity), "{clip}");
        }
    };
    assert_left();
    daemon::wait_until("the purge", 15, || daemon.log().contains("yard: purged 2 clips"));
    assert_left();
    daemon.stop();
    let daemon = site.run();
    assert_left();
    daemon.stop();
    // A free name is given out again.
    site.import("yard", "2026-07-01T12:00:00Z", &file);
    let daemon = site.run();
    assert!(mount.join("2026-07-01/yard/12-00-00.mp4").exists(), "{:?}", closed_clips(&mount));
    daemon.stop();
}

/// What a command prints under a variable `TZ`, or none, and with a file over `/etc/localtime`, as
/// a container has its host's: over the file that the link names.
fn under_zone(command: &[&str], variable: Option<&str>, localtime: Option<&Path>) -> Output {
    let script = match localtime {
        Some(file) => format!("mount --bind {} /etc/localtime && exec \"$@\"", text(file)),
        None => "exec \"$@\"".to_owned(),
    };
    let mut child = Command::new("unshare");
    child.args(["--mount", "sh", "-c", &script, "sh"]).args(command).env("LC_ALL", "C");
    child.env_remove("TZ").envs(variable.map(|text| ("TZ", text)));
    child.output().expect("unshare")
}

#[test]
fn the_zone_is_the_one_that_date_shows_or_a_warning_says_why_not() {
    let mut site = Site::new("32M");
    site.view = "clip = \"10s\"".to_owned();
    site.add_camera("yard", NOWHERE, "");
    let file = clips::footage(&site.path(""), "footage.mp4", 1, &["-frames:v", "4"]);
    for start in ["2026-01-01T12:00:00Z", "2026-07-01T12:00:00Z"] {
        site.import("yard", start, &file);
    }
    // A zone that no database has a name for.
    let source = site.path("zones");
    let rules =
        "Rule X 2000 max - Mar lastSun 1:00u 1:30 S\nRule X 2000 max - Oct lastSun 1:00u 0 -\n";
    fs::write(&source, format!("{rules}Zone Own 4:15 X %z\n")).expect("rules");
    run_tool("/usr/sbin/zic", &["-d", text(&site.path("made")), text(&source)]);
    let own = site.path("made/Own");
    let by_path = format!(":{}", text(&own));
    let ring = site.ring_path();
    let inspect = [env!("CARGO_BIN_EXE_reelfs"), "inspect", text(&ring), "clips"];
    let times = |variable, localtime| {
        let shown = under_zone(&inspect, variable, localtime);
        let printed = String::from_utf8(shown.stdout).expect("text");
        let offsets = printed
            .split_whitespace()
            .filter(|word| word.len() == 5 && word.starts_with(['+', '-']));
        let mut offsets: Vec<String> = offsets.map(str::to_owned).collect();
        offsets.dedup();
        (offsets, String::from_utf8(shown.stderr).expect("text"))
    };
    for (variable, localtime) in [
        (None, None),
        (None, Some(&own)),
        (Some("Europe/Berlin"), None),
        (Some(":America/St_Johns"), None),
        (Some("CET-1CEST,M3.5.0,M10.5.0/3"), None),
        (Some("<+03>-3"), None),
        (Some("AEST-10AEDT"), None),
        (Some(""), None),
        (Some(by_path.as_str()), None),
    ] {
        let localtime = localtime.map(PathBuf::as_path);
        let date = |day: &str| {
            let command = ["date", "-d", &format!("{day} 12:00 UTC"), "+%z"];
            let shown = under_zone(&command, variable, localtime);
            String::from_utf8(shown.stdout).expect("text").trim().to_owned()
        };
        let mut expected = vec![date("2026-01-01"), date("2026-07-01")];
        expected.dedup();
        assert_eq!(times(variable, localtime), (expected, String::new()), "TZ {variable:?}");
    }
    for variable in ["Europe/Berln", "CET-1CEST,M3", "Europe/Berlin "] {
        let (offsets, warning) = times(Some(variable), Some(own.as_path()));
        assert_eq!(offsets, ["+0415", "+0545"], "the machine's");
        assert!(warning.contains("view.zone") && warning.contains(variable), "{warning}");
    }
    // A database that is older, or newer, than the one that is built in.
    let over = format!("mount --bind {} /usr/share/zoneinfo/Asia/Tokyo && exec \"$@\"", text(&own));
    let words = [&["--mount", "sh", "-c", &over, "sh"], &inspect[..]].concat();
    let shown = Command::new("unshare").args(words).env("TZ", "Asia/Tokyo").output().unwrap();
    let warning = String::from_utf8(shown.stderr).expect("text");
    let expected = ["Asia/Tokyo", "+09:00", "C library", "view.zone"];
    assert!(expected.iter().all(|word| warning.contains(word)), "{warning}");
}

#[test]
fn footage_stays_as_it_is_when_its_zone_is_renamed_and_its_camera_removed() {
    let mut site = Site::new("32M");
    site.view = "clip = \"10s\"\nzone = \"Europe/Kiev\"".to_owned();
    site.add_camera("yard", NOWHERE, "");
    let with_yard = std::mem::take(&mut site.cameras);
    site.add_camera("gate", NOWHERE, "");
    let without_yard = std::mem::replace(&mut site.cameras, with_yard);
    let file = clips::footage(&site.path(""), "footage.mp4", 25, &[]);
    // The hour that comes twice, from its first pass on.
    site.import("yard", "2026-10-25T00:59:55Z", &file);
    let daemon = site.run();
    let mount = site.mount();
    let known = identities(&mount);
    let names = ["03-59-55", "03b-00-00", "03b-00-10"];
    let expected = names.map(|name| format!("2026-10-25/yard/{name}.mp4"));
    assert_eq!(known.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    daemon.stop();
    site.view = site.view.replace("Kiev", "Kyiv");
    site.cameras = without_yard;
    let daemon = site.run();
    assert_eq!(identities(&mount), known);
    let yard = daemon.camera("yard");
    assert_eq!((&yard["state"], &yard["clips"]), (&"removed".into(), &3.into()));
    for name in &expected {
        clips::assert_plays(&mount.join(name));
    }
    daemon.stop();
}
