//! Settings change while the daemon runs, by SIGHUP and when their file does: what is not meant
//! goes on, what is wrong changes nothing.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use cameras::Cameras;
use daemon::{Daemon, Site, run_tool, text, wait_until};

/// Nobody answers there, which is known at once.
const NOBODY: &str = "rtsp://127.0.0.1:1/";

/// When the settings in force were taken.
fn since(daemon: &Daemon) -> String {
    daemon.status()["settings"]["since"].as_str().expect("a time").to_owned()
}

/// Waits until other settings than those since `before` are in force.
fn wait_taken(daemon: &Daemon, before: &str) {
    wait_until("settings are taken", 30, || since(daemon) != before);
}

/// Has the daemon read the settings of the site again.
fn reload(site: &Site, daemon: &Daemon) {
    let before = since(daemon);
    site.config();
    daemon.signal("HUP");
    wait_taken(daemon, &before);
}

/// Why settings were refused last.
fn refused(daemon: &Daemon) -> Option<String> {
    daemon.status()["settings"]["refused"].as_str().map(str::to_owned)
}

/// Waits until settings are refused for another reason than before, which has these words.
fn wait_refused(daemon: &Daemon, before: Option<&str>, words: &str) -> String {
    wait_until(words, 10, || refused(daemon).is_some_and(|reason| before != Some(&reason)));
    let reason = refused(daemon).expect("a reason");
    assert!(reason.contains(words), "{words}: {reason}");
    reason
}

/// All clips of a camera, closed ones and the growing one.
fn clips_of(site: &Site, camera: &str) -> Vec<PathBuf> {
    let clips = clips::clips_of(&site.mount(), camera).into_iter();
    clips.map(|clip| site.mount().join(clip)).collect()
}

/// A camera with two streams, in a section of its own.
fn section(name: &str, [main, sub]: [String; 2], more: &str) -> String {
    format!(
        "[[camera]]\nname = \"{name}\"\n{more}streams = {{ main = \"{main}\", sub = \"{sub}\" }}\n"
    )
}

/// The same with another transport for the second stream.
fn changed_sub(name: &str, [main, sub]: [String; 2]) -> String {
    format!(
        "[[camera]]\nname = \"{name}\"\n[camera.streams]\nmain = \"{main}\"\n\
         [camera.streams.sub]\nurl = \"{sub}\"\ntransport = \"tcp\"\n"
    )
}

/// The numbers of all frames of a stream.
fn numbers(site: &Site, stream: &str) -> Vec<u64> {
    clips::frames(&clips_of(site, stream)).iter().map(|frame| frame.number).collect()
}

#[test]
fn a_fifth_camera_comes_changes_and_goes_and_no_stream_of_four_loses_a_frame() {
    let cameras = Cameras::start(&["--cameras", "10", "--gop", "25"]);
    let of = |camera: u16| [cameras.url(2 * camera - 1), cameras.url(2 * camera)];
    let mut site = Site::new("128M");
    let names = ["one", "two", "three", "four"];
    let four: String =
        names.iter().zip(1..).map(|(name, camera)| section(name, of(camera), "")).collect();
    let streams: Vec<String> =
        names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.sub")]).collect();
    site.cameras = format!("{four}{}", section("goes", of(5), ""));
    let daemon = site.run();
    let has_state = |streams: [&str; 2], state| {
        streams.iter().for_each(|stream| daemon.wait_state(stream, state, 30));
    };
    streams.iter().for_each(|stream| daemon.wait_state(stream, "recording", 30));
    has_state(["goes", "goes.sub"], "recording");
    wait_until("a clip", 30, || !clips_of(&site, "goes.sub").is_empty());

    // By SIGHUP: it goes, and comes under another name.
    site.cameras = format!("{four}{}", section("comes", of(5), ""));
    reload(&site, &daemon);
    has_state(["goes", "goes.sub"], "removed");
    has_state(["comes", "comes.sub"], "recording");
    assert!(clips_of(&site, "goes.sub").len() > 1, "its footage stays, and is closed");
    // One of its streams has another transport, the other one is left alone.
    let own = changed_sub("comes", of(5));
    site.cameras = format!("{four}{own}");
    reload(&site, &daemon);
    has_state(["comes", "comes.sub"], "recording");
    for stream in ["comes", "comes.sub"] {
        wait_until("two seconds of it", 30, || numbers(&site, stream).len() > 50);
    }

    // By its file alone, replaced as editors do it: the one that left is back, and how long the
    // others' footage stays is no reason to disturb them.
    let before = since(&daemon);
    let longer = four.replace("name", "retain = \"2m\"\nname");
    let config = site.path("reelfs.toml");
    let now = fs::read_to_string(&config).expect("the settings");
    let (head, _) = now.split_once("[[camera]]").expect("cameras");
    let replaced = format!("{head}{longer}{}", section("goes", of(5), ""));
    fs::write(site.path("new"), replaced).expect("room");
    fs::rename(site.path("new"), &config).expect("the same directory");
    wait_taken(&daemon, &before);
    has_state(["comes", "comes.sub"], "removed");
    has_state(["goes", "goes.sub"], "recording");
    assert_eq!(daemon.camera("one.sub")["retain_seconds"], 120);
    std::thread::sleep(Duration::from_secs(3));

    let log = daemon.log();
    for words in ["goes: is recorded from now on", "comes.sub: not in the configuration any more"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let changed =
        |stream: &str| log.matches(&format!("{stream}: its settings have changed")).count();
    assert!(streams.iter().all(|stream| changed(stream) == 0), "{log}");
    assert_eq!((changed("comes"), changed("comes.sub")), (0, 1), "{log}");
    site.cameras = format!("{longer}{}", section("goes", of(5), ""));
    daemon.stop();
    let daemon = site.run();
    for stream in &streams {
        let own = numbers(&site, stream);
        assert!(own.len() > 100, "{stream}: {} frames", own.len());
        assert!(own.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{stream}: {own:?}");
    }
    for stream in ["comes", "comes.sub", "goes", "goes.sub"] {
        assert!(numbers(&site, stream).len() > 50, "{stream}");
    }
    daemon.stop();
}

/// Runs `reelfs record`; answers its exit status and what it says.
fn record(site: &Site, words: &[&str]) -> (Option<i32>, String) {
    let config = site.path("reelfs.toml");
    let output = site.reelfs(&[&["record", "--config", text(&config)][..], words].concat());
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).expect("text"))
}

fn reason(daemon: &Daemon, camera: &str) -> String {
    daemon.camera(camera)["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_camera_that_is_not_there_is_told_with_its_reason_and_its_tries() {
    let cameras = Cameras::start(&["--gop", "25"]);
    let mut site = Site::new("64M");
    site.add_camera("yard", &cameras.url(9), "");
    let daemon = site.run();
    let tries = || daemon.camera("yard")["tries"].as_u64().unwrap_or_default();
    wait_until("it is tried again", 30, || tries() >= 2);
    let error = daemon.camera("yard")["error"].clone();
    let words = "the camera has no stream /9 (404 Not Found)";
    assert!(error["text"].as_str().is_some_and(|text| text.contains(words)), "{error}");
    let output = site.reelfs(&["status", "--config", text(&site.path("reelfs.toml"))]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(daemon.log().contains(&format!("yard: not recorded: describe failed: {words}")));
    daemon.stop();
}

#[test]
fn cameras_are_switched_by_hand_and_by_hours_and_stay_so_over_a_power_cut() {
    let cameras = Cameras::start(&["--cameras", "4", "--gop", "25"]);
    let mut site = Site::new("128M");
    site.cameras = section("yard", [cameras.url(1), cameras.url(2)], "");
    site.add_camera("door", &cameras.url(3), "record = \"off\"");
    let another_day = (chrono::Utc::now() + chrono::TimeDelta::days(3)).format("%a");
    let hours = format!("record = \"{another_day} 12:00-12:01\"");
    site.add_camera("hours", &cameras.url(4), &hours);
    let daemon = site.run();
    for stream in ["yard", "yard.sub"] {
        daemon.wait_state(stream, "recording", 30);
    }
    assert_eq!(daemon.camera("door")["state"], "off");
    assert!(reason(&daemon, "door").starts_with("record is \"off\", since "));
    let (status, told) = record(&site, &["on", "nobody"]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("\"nobody\" is no camera; there are yard, yard.sub, door"), "{told}");
    assert_eq!(record(&site, &["off", "yard", "--for", "soon"]).0, Some(2));

    // A camera with all its streams, for a while, and then by itself.
    let (status, told) = record(&site, &["off", "yard", "--for", "3s"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.starts_with("yard: off until 20") && told.contains("\nyard.sub: off until"));
    for stream in ["yard", "yard.sub"] {
        assert_eq!(daemon.camera(stream)["state"], "off", "at once");
    }
    assert_eq!(daemon.status()["wrong"], serde_json::json!([]));
    for stream in ["yard", "yard.sub"] {
        daemon.wait_state(stream, "recording", 30);
    }

    // Until somebody says so, whatever happens to the daemon; a stream of its own.
    assert_eq!(record(&site, &["off", "yard.sub"]).1, "yard.sub: off\n");
    assert_eq!(record(&site, &["on", "door", "hours"]).0, Some(0));
    daemon.wait_state("door", "recording", 30);
    daemon.wait_state("hours", "recording", 30);
    daemon.kill();
    assert_eq!(record(&site, &["off", "yard"]).0, Some(1), "no daemon listens");
    let daemon = site.run();
    assert_eq!(daemon.camera("yard.sub")["state"], "off");
    assert!(reason(&daemon, "yard.sub").starts_with("switched off by hand, since "));
    daemon.wait_state("door", "recording", 30);
    daemon.wait_state("yard", "recording", 30);
    let (status, told) = record(&site, &["auto", "yard", "hours"]);
    assert_eq!((status, told.lines().count()), (Some(0), 3), "{told}");
    assert_eq!(record(&site, &["off", "door"]).0, Some(0));
    daemon.wait_state("door", "off", 30);
    daemon.wait_state("hours", "off", 30);
    daemon.wait_state("yard.sub", "recording", 30);

    // Settings do not turn on what somebody has turned off, nor does a stream that is new, and one
    // that is disabled is in nobody's way.
    site.cameras = section("door", [cameras.url(3), cameras.url(4)], "");
    let disabled = format!("url = {:?}\nenabled = false\n", cameras.url(2));
    site.cameras += "[[camera]]\nname = \"yard\"\n[camera.streams]\n";
    site.cameras += &format!("main = {:?}\n[camera.streams.sub]\n{disabled}", cameras.url(1));
    reload(&site, &daemon);
    for stream in ["door", "door.sub"] {
        assert!(reason(&daemon, stream).starts_with("switched off by hand"), "{stream}");
    }
    assert_eq!(record(&site, &["off", "yard"]).1, "yard: off\n");
    assert_eq!(daemon.camera("yard")["state"], "off");
    daemon.stop();
    let ring = site.ring_path();
    let ledger = site.reelfs(&["inspect", text(&ring), "ledger"]);
    let ledger = String::from_utf8_lossy(&ledger.stdout).into_owned();
    let of = |words: &str| ledger.lines().any(|it| it.contains("off") && it.contains(words));
    assert!(of("switched off by hand") && of("record is \"off\"") && of("12:00-12:01"), "{ledger}");
}

/// The first line that differs, counted from 1.
fn changed_line(text: &str, other: &str) -> usize {
    let mut lines = text.lines().zip(other.lines());
    let same = lines.position(|(one, other)| one != other);
    1 + same.unwrap_or_else(|| text.lines().count())
}

/// Settings with a mistake, and what is said of it.
fn in_twenty_ways(text: &str) -> [(String, &'static str); 20] {
    let camera = |line: &str| text.to_owned() + line + "\n";
    let section = |lines: &str| text.to_owned() + "[[camera]]\n" + lines + "\n";
    let many = |number| format!("[[camera]]\nname = \"c{number}\"\nurl = \"{NOBODY}\"\n");
    [
        (String::new(), "view.mount: missing"),
        (text.replace("[purge]", "[purge"), "reelfs.toml:"),
        (text.replace("[purge]", "[purg]"), "no such section; did you mean `purge`?"),
        (text.replace("flush", "flsh"), "ring.flsh: no such key; did you mean `flush`?"),
        (text.replace("\"10s\"", "10"), "view.clip: is a number"),
        (text.replace("\"10s\"", "\"7m\""), "view.clip: does not divide an hour"),
        (text.replace("\"10s\"", "\"1s\""), "view.clip: 1s is not from 10s to"),
        (text.replace("\"UTC\"", "\"Europe/Atlantis\""), "view.zone"),
        (text.replace("\"yard\"", "\"ya/rd\""), "camera.name"),
        (text.replace("\"yard\"", "\"\""), "camera.name"),
        (text.replace("\"yard\"", "\"now\""), "is taken"),
        (text.replace("rtsp:", "http:"), "camera.url"),
        (text.replace("rtsp://127.0.0.1:1/", "rtsp://"), "camera.url"),
        (camera("retain = \"5s\""), "camera.retain"),
        (camera("audio = \"yes\""), "camera.audio"),
        (camera("transport = \"carrier pigeon\""), "camera.transport"),
        (camera("password_file = \"/pw\""), "there is no `username`"),
        (section("name = \"door\""), "camera.url: missing"),
        (section(&format!("name = \"yard\"\nurl = \"{NOBODY}\"")), "yard"),
        ((0..20).map(many).fold(text.to_owned(), |all, one| all + &one), "too few for 21 cameras"),
    ]
}

#[test]
fn what_is_wrong_is_refused_by_its_line_and_the_former_settings_stay() {
    let mut site = Site::new("64M");
    site.add_camera("yard", NOBODY, "");
    let daemon = site.run();
    let (good, before) = (site.config(), since(&daemon));
    let text = fs::read_to_string(&good).expect("the settings");
    // The file as a whole, and what two settings say together.
    let without_line = [0, 19];
    let mut last = None;
    for (number, (wrong, words)) in in_twenty_ways(&text).iter().enumerate() {
        assert_ne!(*wrong, text, "{words}");
        fs::write(&good, wrong).expect("room");
        daemon.signal("HUP");
        let reason = wait_refused(&daemon, last.as_deref(), words);
        // The name that is there already stands below the head of its section.
        let line = changed_line(&text, wrong) + usize::from(number == 18);
        let of_line = format!("reelfs.toml:{line}: ");
        assert!(without_line.contains(&number) || reason.contains(&of_line), "{of_line}{reason}");
        last = Some(reason);
        assert_eq!(since(&daemon), before, "{number}");
        assert_eq!(daemon.status()["cameras"].as_array().map(Vec::len), Some(1), "{number}");
    }
    let last = last.as_deref();
    let beside = site.path("good.toml");
    fs::write(&beside, &text).expect("room");
    let told = site.reelfs(&["status", "--config", daemon::text(&beside)]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("the settings are the former ones:"), "{told}");
    // What takes effect at the next start alone has to be right, too.
    let layout = text.replace("[view]", "[view]\nlayout = \"%Q.mp4\"");
    fs::write(&good, layout).expect("room");
    daemon.signal("HUP");
    let reason = wait_refused(&daemon, last, "view.layout");
    fs::remove_file(&good).expect("it is there");
    daemon.signal("HUP");
    wait_refused(&daemon, Some(&reason), "can't be read");

    // Back again, with what can be taken now and what can't.
    let changed = text.replace("flush = \"1s\"", "flush = \"3s\"").replace("10s", "20s");
    fs::write(&good, changed.replace("[purge]", "[purge]\ngrace = \"2h\"")).expect("room");
    wait_taken(&daemon, &before);
    let settings = daemon.status()["settings"].clone();
    assert_eq!(
        (&settings["refused"], settings["at_restart"][0].as_str()),
        (&serde_json::Value::Null, Some("ring.flush"))
    );
    assert!(daemon.log().contains("ring.flush has changed, which takes effect at the next start"));
    daemon.stop();
}

/// Resident memory in KiB, threads, and open files.
fn taken(daemon: &Daemon) -> [u64; 3] {
    let files = fs::read_dir(format!("/proc/{}/fd", daemon.id())).expect("it runs").count();
    [daemon.kernel_number("VmRSS"), daemon.kernel_number("Threads"), files as u64]
}

/// Has cameras come and go: of one stream, of two, and with hours, of which one is switched; and
/// each time the one with these streams, which is recorded.
fn come_and_go(site: &mut Site, daemon: &Daemon, live: Option<&[String; 2]>, times: usize) {
    const AT_ONCE: usize = 10;
    let stays = site.cameras.clone();
    let nobody = || [NOBODY.to_owned(), NOBODY.to_owned()];
    for _ in 0..times {
        if let Some(streams) = live {
            site.cameras.push_str(&section("yard", streams.clone(), ""));
            reload(site, daemon);
            daemon.wait_state("yard", "recording", 30);
            daemon.wait_state("yard.sub", "recording", 30);
        }
        for number in 0..AT_ONCE {
            let name = format!("c{number}");
            let camera = match number % 3 {
                0 => format!("[[camera]]\nname = \"{name}\"\nurl = \"{NOBODY}\"\n"),
                1 => section(&name, nobody(), ""),
                _ => section(&name, nobody(), "record = \"mon-fri 18:00-07:00\"\n"),
            };
            site.cameras.push_str(&camera);
        }
        reload(site, daemon);
        assert_eq!(record(site, &["off", "c1", "--for", "1h"]).0, Some(0));
        site.cameras.clone_from(&stays);
        reload(site, daemon);
    }
}

#[test]
fn hundreds_of_cameras_that_come_and_go_leave_nothing_behind() {
    let mut site = Site::new("128M");
    site.add_camera("stays", NOBODY, "");
    let daemon = site.run();
    let cameras = Cameras::start(&["--cameras", "2", "--gop", "12"]);
    let live = [cameras.url(1), cameras.url(2)];
    come_and_go(&mut site, &daemon, Some(&live), 4);
    let before = taken(&daemon);
    come_and_go(&mut site, &daemon, Some(&live), 8);
    come_and_go(&mut site, &daemon, None, 42);
    let after = taken(&daemon);
    assert!(after[0] < before[0] + (8 << 10), "{before:?} and {after:?} KiB");
    assert!(after[1] <= before[1] + 2, "{before:?} and {after:?} threads");
    assert!(after[2] <= before[2] + 2, "{before:?} and {after:?} open files");
    assert_eq!(daemon.camera("stays")["state"], "waiting");
    daemon.stop();
}

#[test]
fn a_terminal_that_is_closed_does_not_end_the_daemon() {
    let mut site = Site::new("64M");
    site.add_camera("yard", NOBODY, "");
    let (config, id) = (site.config(), site.path("id"));
    let words = [env!("CARGO_BIN_EXE_reelfs"), "run", "--config", text(&config)].join(" ");
    let command = format!("echo $$ >{}; exec {words}", text(&id));
    let mut terminal = Command::new("script")
        .args(["-qfec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("script, of bsdutils");
    let status = site.mount().join(".status.json");
    wait_until("it serves", 20, || status.exists());
    terminal.kill().expect("it runs");
    terminal.wait().expect("a child");
    std::thread::sleep(Duration::from_secs(2));
    let told = fs::read_to_string(&status).expect("it serves still");
    assert!(told.contains("\"yard\""), "{told}");
    run_tool("kill", &[fs::read_to_string(&id).expect("its number").trim()]);
    wait_until("it ends", 20, || !daemon::is_mounted(&site.mount()));
}

#[test]
fn a_camera_that_is_disabled_is_left_alone_and_nobody_misses_it() {
    let mut site = Site::new("64M");
    site.add_camera("yard", NOBODY, "enabled = false");
    let daemon = site.run();
    let status = |site: &Site| site.reelfs(&["status", "--config", text(&site.config())]);
    let before = since(&daemon);
    let told = status(&site);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
    assert!(String::from_utf8_lossy(&told.stdout).contains("disabled"));
    // What was written is what is in force.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(since(&daemon), before, "a file that is written as it was is no news");
    site.cameras = site.cameras.replace("false", "true");
    reload(&site, &daemon);
    daemon.wait_state("yard", "waiting", 30);
    assert_eq!(status(&site).status.code(), Some(1));
    site.cameras = site.cameras.replace("true", "false");
    reload(&site, &daemon);
    daemon.wait_state("yard", "disabled", 30);
    let log = daemon.log();
    assert!(log.contains("yard: disabled: it is not recorded from now on"), "{log}");
    daemon.stop();
}

#[test]
fn a_link_that_leads_to_another_file_is_a_change() {
    let mut site = Site::new("64M");
    site.add_camera("yard", NOBODY, "");
    let (config, folder) = (site.config(), site.path("versions"));
    fs::create_dir(&folder).expect("a directory");
    let text = fs::read_to_string(&config).expect("the settings");
    for (version, own) in [("1", text.clone()), ("2", text.replace("yard", "gate"))] {
        fs::create_dir(folder.join(version)).expect("a directory");
        fs::write(folder.join(version).join("reelfs.toml"), own).expect("room");
    }
    // As a container's settings are replaced: the file is a link through a directory that is one.
    let link = |target: &str| {
        let new = site.path("new");
        std::os::unix::fs::symlink(format!("versions/{target}"), &new).expect("a link");
        fs::rename(new, site.path("current")).expect("the same directory");
    };
    link("1");
    fs::remove_file(&config).expect("it is there");
    std::os::unix::fs::symlink("current/reelfs.toml", &config).expect("a link");
    let log = fs::File::create(site.path("log")).expect("a log");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_reelfs"))
        .args(["run", "--config", daemon::text(&config)])
        .stderr(log)
        .spawn()
        .expect("reelfs");
    let told = || fs::read_to_string(site.path("log")).expect("a log");
    wait_until("it records", 20, || told().contains("recording after"));
    link("2");
    wait_until("another camera", 10, || told().contains("gate: is recorded from now on"));
    run_tool("kill", &[&daemon.id().to_string()]);
    assert!(daemon.wait().expect("a child").success());
}

#[test]
fn a_name_that_differs_from_that_of_other_footage_by_case_alone_is_refused() {
    let mut site = Site::new("64M");
    site.add_camera("yard", NOBODY, "");
    let file = clips::footage(&site.path(""), "made.mp4", 2, &[]);
    site.import("yard", "2026-11-21 13:05:00", &file);
    let daemon = site.run();
    site.cameras = site.cameras.replace("yard", "Yard");
    let config = site.config();
    daemon.signal("HUP");
    let words = "camera.name: \"Yard\" differs from \"yard\", of which the ring has footage";
    wait_refused(&daemon, None, words);
    assert_eq!(daemon.camera("yard")["state"], "waiting", "the former one is in force");
    daemon.stop();
    let import = ["import", "--config", text(&config), "--camera", "Yard", "--start", "-10m"];
    for command in
        [&["run", "--config", text(&config)][..], &[&import[..], &[text(&file)]].concat()]
    {
        let output = site.reelfs(command);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(words) && told.contains("reelfs.toml:"), "{told}");
    }
}
