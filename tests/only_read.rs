//! `reelfs mount`: a ring that is only read, while another process records into it and when nobody
//! does.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clips::{assert_plays, attribute, closed_clips, identities, identities_left};
use daemon::{Site, is_mounted, run_tool, text, try_tool, wait_until};
use reelfs::device::{Access, FileDevice, OpenError};

/// How long new footage may take, and what is removed, to be seen by who only reads, in seconds.
const SEEN_WITHIN: u64 = 5;

/// A mount that only reads; unmounted when dropped.
struct Reader(PathBuf);

impl Reader {
    /// Beside the site's own mount.
    fn mount(site: &Site, options: &str) -> Reader {
        let reader = Reader::place(site);
        let ring = site.ring_path();
        let words = ["mount", "-o", options, text(&ring), text(&reader.0)];
        let output = site.reelfs(&words);
        assert!(output.status.success(), "{}", error_of(&output));
        reader
    }

    fn place(site: &Site) -> Reader {
        let path = site.path("reader");
        fs::create_dir_all(&path).expect("a mount point");
        Reader(path)
    }

    fn names(&self) -> BTreeSet<String> {
        closed_clips(&self.0).into_iter().collect()
    }

    /// The process that serves it ends when it is unmounted.
    fn unmount(&self) {
        let serving = serving(&self.0);
        assert_eq!(serving.len(), 1, "one process serves it");
        run_tool("umount", &[text(&self.0)]);
        wait_until("its process ends", 10, || {
            serving.iter().all(|process| !process.join("exe").exists())
        });
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if is_mounted(&self.0) {
            run_tool("umount", &["-l", text(&self.0)]);
        }
    }
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Processes with a path among their words.
fn serving(path: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").expect("the processes").flatten().map(|entry| entry.path());
    let has_path = |process: &PathBuf| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == text(path).as_bytes())
    };
    all.filter(has_path).collect()
}

fn digest(path: &Path) -> String {
    run_tool("b2sum", &[text(path)])
}

/// A ring with a camera that is a program, which goes on in real time.
fn recorded() -> Site {
    let mut site = Site::new("64M");
    let footage = clips::footage(&site.path(""), "yard.mp4", 120, &[]);
    let words = ["-v", "error", "-re", "-i", text(&footage), "-c", "copy", "-f", "mpegts", "-"];
    site.add_program("yard", &[&["ffmpeg"], &words[..]].concat());
    site
}

/// A ring with a minute of a camera that can't be reached.
fn imported() -> Site {
    let mut site = Site::new("64M");
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let footage = clips::footage(&site.path(""), "yard.mp4", 60, &[]);
    site.import("yard", "2026-03-01T12:00:00Z", &footage);
    site
}

#[test]
fn a_view_follows_a_ring_whose_daemon_is_killed_and_started_again() {
    let site = recorded();
    let daemon = site.run();
    let reader = Reader::mount(&site, "zone=UTC");
    let (mount, stop) = (site.mount(), AtomicBool::new(false));
    let ends = std::thread::scope(|scope| {
        // Somebody lists it all the time, and reads what is there.
        let watcher = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                identities_left(&reader.0);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        wait_until("a clip", 30, || !closed_clips(&mount).is_empty());
        wait_until("the same", SEEN_WITHIN, || identities(&reader.0) == identities(&mount));
        let first = closed_clips(&mount).remove(0);
        fs::remove_file(mount.join(&first)).expect("rm");
        wait_until("it goes", SEEN_WITHIN, || !reader.names().contains(&first));
        assert!(reader.0.join(".trash").join(&first).exists());
        let back = mount.join(".trash").join(&first);
        fs::rename(back, mount.join(&first)).expect("mv out of the trash");
        wait_until("it is back", SEEN_WITHIN, || reader.names().contains(&first));
        run_tool(
            "setfattr",
            &["-n", "user.reelfs.keep", "-v", "forever", text(&mount.join(&first))],
        );
        let is_kept = || attribute(&reader.0.join(&first), "state") == "kept";
        wait_until("it is kept", SEEN_WITHIN, is_kept);

        // What it was recording is there when nobody goes on with it, and stays when one does.
        let before = reader.names();
        daemon.kill();
        wait_until("what grew", SEEN_WITHIN, || reader.names().len() == before.len() + 1);
        let left = identities(&reader.0);
        let daemon = site.run();
        assert_eq!(identities(&reader.0), left, "also while the next one begins");
        let known = identities(&mount);
        assert!(left.iter().all(|(name, identity)| known.get(name) == Some(identity)));
        wait_until("another clip", 30, || closed_clips(&mount).len() > left.len());
        wait_until("the same", SEEN_WITHIN, || identities(&reader.0) == identities(&mount));
        daemon.stop();
        stop.store(true, Ordering::Relaxed);
        watcher.join()
    });
    assert!(ends.is_ok(), "whoever lists and reads it sees no error");
    reader.names().iter().for_each(|name| assert_plays(&reader.0.join(name)));
    reader.unmount();
}

#[test]
fn what_nobody_records_into_is_read_and_nothing_of_it_is_changed() {
    let site = imported();
    let daemon = site.run();
    let known = identities(&site.mount());
    daemon.kill();
    let before = digest(&site.ring_path());
    let reader = Reader::mount(&site, "zone=UTC");
    assert_eq!(identities(&reader.0), known);
    let clip = reader.0.join(known.keys().next().expect("a clip"));
    let (copy, new) = (site.path("copy.mp4"), reader.0.join("new"));
    let refused = [
        vec!["rm", text(&clip)],
        vec!["mv", text(&clip), text(&reader.0)],
        vec!["rmdir", text(clip.parent().expect("a directory"))],
        vec!["touch", text(&new)],
        vec!["setfattr", "-n", "user.reelfs.keep", "-v", "forever", text(&clip)],
    ];
    for words in refused {
        let error = error_of(&try_tool(words[0], &words[1..]));
        assert!(error.contains("Read-only file system"), "{words:?}: {error}");
    }
    run_tool("cp", &["-a", text(&clip), text(&copy)]);
    assert_eq!(fs::read(&copy).expect("a copy"), fs::read(&clip).expect("a clip"));
    let range = reader.0.join(".range/yard/2026-03-01T12-00-15--12-00-25.mp4");
    assert_plays(&range);
    assert!(fs::read_to_string(reader.0.join(".log")).expect("a log").contains("6 clips"));
    for absent in [".status.json", ".metrics"] {
        assert!(!reader.0.join(absent).exists(), "no daemon says {absent}");
    }
    assert_eq!(fs::read_dir(reader.0.join("live")).expect("live").count(), 0);
    reader.unmount();
    assert_eq!(digest(&site.ring_path()), before, "not a byte is written");
}

#[test]
fn one_that_is_cut_off_ends_with_that_as_its_reason() {
    let site = imported();
    let place = Reader::place(&site);
    let mut served = Command::new(env!("CARGO_BIN_EXE_reelfs"));
    served.args(["mount", "--foreground", text(&site.ring_path()), text(&place.0)]);
    let served = served.stderr(Stdio::piped()).spawn().expect("it starts");
    wait_until("it is mounted", 10, || is_mounted(&place.0));
    let in_use = File::open(&place.0).expect("its root");
    let forced = nix::mount::umount2(&place.0, nix::mount::MntFlags::MNT_FORCE);
    assert_eq!(forced, Err(nix::errno::Errno::EBUSY));
    let output = served.wait_with_output().expect("it ends");
    let error = error_of(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("reader: somebody has cut it off ('umount -f'"), "{error}");
    drop(in_use);
    assert!(!is_mounted(&place.0), "nothing dead is left in its place");
}

#[test]
fn a_block_that_is_used_again_is_an_error_to_who_reads_it() {
    let site = imported();
    let reader = Reader::mount(&site, "zone=UTC");
    let oldest = reader.0.join(closed_clips(&reader.0).remove(0));
    let (bytes, open) = (fs::read(&oldest).expect("a clip"), File::open(&oldest).expect("a clip"));
    let uncached = || {
        let clip = File::open(&oldest)?;
        let mut read = vec![0; bytes.len()];
        clip.read_exact_at(&mut read, 0).map(|()| read)
    };
    let long = clips::footage(&site.path(""), "long.mp4", 300, &["-b:v", "2M", "-minrate", "2M"]);
    for hour in 13..23 {
        site.import("yard", &format!("2026-03-01T{hour}:00:00Z"), &long);
        match uncached() {
            Ok(read) => assert!(read == bytes, "other bytes"),
            Err(_) => break,
        }
    }
    wait_until("it is gone", SEEN_WITHIN, || !oldest.exists());
    let mut read = vec![0; bytes.len()];
    let error = open.read_exact_at(&mut read, 0).expect_err("it is used for something else");
    assert_eq!(error.raw_os_error(), Some(5), "{error}");
    let daemon = site.run();
    let names = || closed_clips(&site.mount()).into_iter().collect::<BTreeSet<_>>();
    wait_until("the same", SEEN_WITHIN, || reader.names() == names());
    assert_eq!(identities(&reader.0), identities(&site.mount()));
    daemon.stop();
}

#[test]
fn mount_and_fstab_know_it_by_its_type() {
    let site = imported();
    let place = text(&Reader::place(&site).0).to_owned();
    let programs = site.path("bin");
    fs::create_dir(&programs).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_reelfs"), programs.join("reelfs"))
        .expect("a link");
    // Mounts of its own: in these the program is installed, where mount(8)'s helper looks for it.
    let inside = |script: &str| {
        let all = format!("mount --bind {} /usr/local/bin && {script}", text(&programs));
        let output = Command::new("unshare").args(["-m", "sh", "-c", &all]).output();
        let output = output.expect("unshare runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said, error_of(&output))
    };
    let (ring, table) = (site.ring_path(), site.path("fstab"));
    let by_table = |options: &str, look: &str| {
        let line = format!("{} {place} fuse.reelfs {options} 0 0\n", text(&ring));
        fs::write(&table, line).expect("a table");
        let mounted = format!("mount -T {} {place} && cd {place}", text(&table));
        inside(&format!("{mounted} && {look} && cd / && umount {place}"))
    };
    let done = |said: &str| (Some(0), said.to_owned(), String::new());
    let usual = "defaults,noauto,nofail,x-systemd.automount,zone=Asia/Tokyo,uid=1234,umask=227";
    let look = "stat -c '%u %g %a' . && ls */*/* | head -n1 && findmnt -n -o FSTYPE,SOURCE .";
    let (status, said, error) = by_table(usual, look);
    let said: Vec<&str> = said.split_whitespace().collect();
    let first = "2026-03-01/yard/21-00-00.mp4";
    assert_eq!(said, ["1234", "0", "550", first, "fuse.reelfs", text(&ring)], "{error}");
    assert_eq!((status, error.as_str()), (Some(0), ""));
    let others = by_table("layout=camera,zone=UTC,cameras=yard:gate", "ls */* | head -n3");
    assert_eq!(others, done("12-00-00.mp4\n12-00-10.mp4\n12-00-20.mp4\n"));
    assert_eq!(by_table("cameras=gate", "ls"), done("now\n"));

    let (status, _, error) = by_table("zone=Atlantis/City", "ls");
    assert!(status != Some(0) && error.contains("Atlantis/City"), "{status:?}: {error}");
    let nowhere = text(&site.path("nowhere.img")).to_owned();
    let (status, _, error) = inside(&format!("mount -t fuse.reelfs {nowhere} {place}"));
    assert!(status != Some(0) && error.contains("nowhere.img"), "{status:?}: {error}");
}

#[test]
fn who_asks_for_a_moment_whether_a_ring_is_taken_keeps_no_daemon_out() {
    let site = Site::new("64M");
    let ring = site.ring_path();
    let asking = File::open(&ring).expect("the ring");
    asking.lock_shared().expect("nobody has it");
    let opened = FileDevice::open(&ring, Access::Exclusive);
    assert!(matches!(opened, Err(OpenError::InUse { .. })), "as long as that lasts");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            asking.unlock().expect("it is locked");
        });
        FileDevice::open(&ring, Access::Exclusive).expect("it was for a moment");
    });
}
