//! The examples of the manual page that is written by hand do what they say.

#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clips::footage;
use daemon::{Site, run_tool, text};

/// What is done in the tree before an example, the example, and what holds behind it.
const EXAMPLES: [[&str; 3]; 31] = [
    [
        "",
        "cp .range/front-door/2026-11-21T13-05-00--13-07-30.mp4 ~/clip.mp4",
        "ffprobe -v error ~/clip.mp4",
    ],
    ["", "mpv .range/front-door/10m--now.mp4", ""],
    ["", "ffprobe .range/front-door/2026-11-21.mp4", ""],
    ["", "cat .range/front-door/.log", ""],
    ["", "R=.range/front-door/2026-11-21T13-05-00--13-07-30", "test -s $R.vtt"],
    ["", "mpv --sub-file=$R.vtt $R.mp4", ""],
    ["", "mpv $R.clock.mp4", ""],
    ["", "ffmpeg -i .range/front-door/now.key.mp4 ~/now.png", "test -s ~/now.png"],
    ["", "rm 2026-11-21/front-door/13-10-00.mp4", "test ! -e 2026-11-21/front-door/13-10-00.mp4"],
    ["mv .trash/2026-11-21 .", "rm -r 2026-11-21/front-door", "test ! -e 2026-11-21/front-door"],
    ["mv .trash/2026-11-21 .", "rm -r 2026-11-21", "test ! -e 2026-11-21"],
    [
        "mv .trash/2026-11-21 . && rm 2026-11-21/front-door/13-10-00.mp4",
        "mv .trash/2026-11-21/front-door/13-10-00.mp4 2026-11-21/front-door",
        "test -s 2026-11-21/front-door/13-10-00.mp4",
    ],
    ["rm -r 2026-11-21", "mv .trash/2026-11-21 .", "test -s 2026-11-21/front-door/13-10-00.mp4"],
    [
        "rm 2026-11-21/front-door/13-10-00.mp4",
        "rm .trash/2026-11-21/front-door/13-10-00.mp4",
        "test ! -e .trash/2026-11-21/front-door/13-10-00.mp4",
    ],
    ["rm -r 2026-11-21", "rm -r .trash/2026-11-21", "test ! -e .trash/2026-11-21"],
    [
        "",
        "setfattr -n user.reelfs.keep -v 2099-01-31 2026-11-20/front-door/13-05-00.mp4",
        "test -s .kept/2026-11-20/front-door/13-05-00.mp4",
    ],
    [
        "",
        "setfattr -n user.reelfs.keep -v 90d .range/front-door/2026-11-20T13-05-00--13-07-30.mp4",
        "getfattr --only-values -n user.reelfs.keep 2026-11-20/front-door/13-05-00.mp4 | grep Z",
    ],
    ["", "setfattr -n user.reelfs.keep -v forever 2026-11-20", "! rm -rf 2026-11-20"],
    [
        "",
        "setfattr -x user.reelfs.keep .kept/2026-11-20",
        "test ! -e .kept/2026-11-20/front-door/*",
    ],
    ["", "df -h .kept", ""],
    [
        "",
        "reelfs keep --until 90d --camera front-door --from 2026-11-20T13:05 --to 2026-11-20T13:06",
        "test -s .kept/2026-11-20/front-door/13-05-00.mp4",
    ],
    ["", "reelfs unkeep .kept/2026-11-20", "test ! -e .kept/2026-11-20/front-door/*"],
    ["", "reelfs rm --dry-run 2026-11-20", "test -s 2026-11-20/front-door/13-05-00.mp4"],
    ["", "reelfs event add front-door parcel --for 30s", "reelfs event list | grep parcel"],
    [
        "",
        "reelfs event add front-door person --from 2026-11-20T13:05:02 --to 2026-11-20T13:05:07",
        "",
    ],
    ["", "reelfs event list --camera front-door --label person", "reelfs event list | grep 5.000s"],
    ["", "reelfs event end front-door || true", ""],
    ["", "reelfs expire --dry-run", ""],
    ["", "reelfs record off front-door --for 2h", "reelfs status | grep 'front-door  *off '"],
    ["", "reelfs record auto front-door", "! reelfs status | grep 'front-door  *off '"],
    [
        "R=2026-11-20/front-door/13-05-00.mp4; reelfs rm $R; (sleep 1; reelfs restore .trash/$R) &",
        "inotifywait -q -r -e moved_to --format %w%f .",
        "test -s $R",
    ],
];

/// Clips of the days of the examples, and footage of the last minute.
fn front_door() -> Site {
    let mut site = Site::new("64M");
    site.add_camera("front-door", "rtsp://127.0.0.1:1/", "retain = \"4000d\"\n");
    let file = footage(&site.path(""), "made.mp4", 10, &[]);
    let just_now = run_tool("date", &["-u", "-d", "20 seconds ago", "+%F %T"]);
    let days = ["2026-11-20 13:05:00", "2026-11-21 13:05:00", "2026-11-21 13:10:00"];
    for start in days.into_iter().chain([just_now.trim()]) {
        site.import_with("front-door", start, &file, &["--force"]);
    }
    site
}

/// A home whose mpv needs neither a screen nor a sound card, and plays two seconds at once.
fn home(site: &Site) -> PathBuf {
    let home = site.path("home");
    fs::create_dir_all(home.join(".config/mpv")).expect("a directory");
    let settings = "vo=null\nao=null\nuntimed\nend=2\n";
    fs::write(home.join(".config/mpv/mpv.conf"), settings).expect("its settings");
    // The program, where its settings are.
    let (folder, program) = (site.path(""), env!("CARGO_BIN_EXE_reelfs"));
    let config = folder.join("reelfs.toml");
    let words = "word=$1; shift; case $word in event) word=\"event $1\"; shift; esac";
    let reelfs = format!("#!/bin/sh\n{words}\nexec {program:?} $word --config {config:?} \"$@\"\n");
    fs::write(home.join("reelfs"), reelfs).expect("a file");
    run_tool("chmod", &["+x", text(&home.join("reelfs"))]);
    home
}

#[test]
fn the_examples_of_the_page_written_by_hand_do_what_they_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/reelfs.7");
    let page = fs::read_to_string(path).expect("man/reelfs.7 can be read");
    let lines = page.lines().filter_map(|line| line.strip_prefix("$ "));
    let examples: Vec<String> = lines.map(|line| line.replace("\\-", "-")).collect();
    assert_eq!(examples, EXAMPLES.map(|[_, example, _]| example), "each is tried here");
    let site = front_door();
    let daemon = site.run();
    let script = format!("set -ex\nPATH=~:$PATH\n{}", EXAMPLES.as_flattened().join("\n"));
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(site.mount())
        .env("HOME", text(&home(&site)))
        .output()
        .expect("a shell");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", output.status);
    daemon.stop();
}
