//! Names under the mount: layouts, cameras' names and times of any kind give every clip a place
//! of its own, which is found again, and any name may be looked up.

use std::hint::black_box;

use reelfs::named::Named;
use reelfs::segment::NameForm;
use reelfs::units::{BootTime, ClipKey, WallTime, length_of};
use reelfs::view::{
    Inode, Layout, ListedClip, NodeKind, ROOT, Tree, clip_boundary_after, growing_name,
    utc_timestamp,
};
use reelfs::zone::Zone;

use super::Seed;
use super::input::{Input, Output};

fn key(number: u64) -> ClipKey {
    ClipKey::from_number(number).expect("a clip's number")
}

/// Clips that go into a tree.
const CLIPS_MAX: u64 = 200;

/// A name in a directory, in bytes (NAME_MAX of the kernel).
const NAME_BYTES_MAX: usize = 255;

/// Half hours, an hour that is repeated by 30 minutes, days that were left out, and none.
const ZONES: [&str; 5] =
    ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"];

fn zone(name: &str) -> Zone {
    Zone::named(name).expect("in the database")
}

fn check_name(name: &str) {
    assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX, "{} bytes", name.len());
    assert!(name != "." && name != ".." && !name.contains(['/', '\0']), "{name:?}");
}

/// Looks at everything that is listed below a directory.
fn check_listing(tree: &Tree, inode: u64, clips: &mut usize) {
    let Some(entries) = tree.list(inode, 0) else { return };
    for entry in entries {
        check_name(entry.name);
        let found = tree.lookup(inode, entry.name);
        assert_eq!(found, Some(entry.node), "{:?} is found", entry.name);
        assert_eq!(tree.parent(entry.node.inode), Some(inode));
        match entry.node.kind {
            NodeKind::Clip { .. } => *clips += 1,
            NodeKind::Directory { .. } => check_listing(tree, entry.node.inode, clips),
        }
    }
}

fn insert(tree: &mut Tree, input: &mut Input<'_>, number: u64) {
    let camera = String::from_utf8_lossy(input.part()).into_owned();
    check_name(&growing_name(&camera));
    let start = WallTime(input.u64() as i64);
    let form = NameForm::from_code(input.u32());
    let clip = key(1 << 40 | number);
    let end = start.plus_nanos(i64::from(input.u32()));
    let place = tree.insert(&ListedClip {
        clip,
        redated: false,
        camera: &camera,
        start,
        end,
        form,
        size: 1,
    });
    let found = tree.lookup(place.parent, &place.name).expect("it is there");
    assert_eq!(found.inode, clip.number());
    assert_eq!(tree.place(clip), Some(place));
    for time in [start, end] {
        black_box(utc_timestamp(time));
        ZONES.iter().for_each(|name| drop(black_box(zone(name).local(time).to_string())));
    }
}

fn check_boundary(zone: &Zone, wall: WallTime, minutes: u8) {
    let length = i64::from(minutes.max(1)) * 60_000_000_000;
    let next = clip_boundary_after(zone, length_of(length), wall);
    if wall.0 < i64::MAX - 4 * length && wall.0 > i64::MIN / 2 {
        assert!(next > wall && next.nanos_since(wall) <= length, "{wall} to {next}");
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let zone = zone(ZONES[usize::from(input.byte()) % ZONES.len()]);
    let pattern = String::from_utf8_lossy(input.part()).into_owned();
    let default = || Layout::parse("default").expect("a layout");
    let layout = Layout::parse(&pattern).unwrap_or_else(|_| default());
    let mut tree = Tree::new(layout, zone.clone());
    let mut number = 0;
    while !input.is_empty() && number < CLIPS_MAX {
        number += 1;
        match input.byte() % 5 {
            0 | 1 => insert(&mut tree, &mut input, number),
            2 => {
                let name = String::from_utf8_lossy(input.part()).into_owned();
                black_box(Inode::growing(&name));
                for parent in [ROOT, Inode::Now.word(), input.u64()] {
                    black_box(tree.lookup(parent, &name));
                    drop(tree.rmdir(parent, &name));
                }
                if let Ok(named) = Named::parse(&name, &zone, WallTime(input.u64() as i64)) {
                    assert!(named.ranges.iter().all(|range| range.start < range.end), "{name:?}");
                }
            }
            3 => {
                drop(tree.remove(key(1 << 40 | u64::from(input.byte()))));
                tree.drop_empty(BootTime(input.u64() as i64));
            }
            _ => check_boundary(&zone, WallTime(input.u64() as i64), input.byte()),
        }
    }
    let mut clips = 0;
    check_listing(&tree, ROOT, &mut clips);
    assert_eq!(clips, tree.clip_count(), "every clip is listed once");
}

pub fn seeds() -> Vec<Seed> {
    let begin = |zone: u8, pattern: &str| Output(vec![zone]).part(pattern.as_bytes());
    let clip = |to: Output, camera: &str, start: i64, form: u32| {
        let to = to.bytes(&[0]).part(camera.as_bytes()).bytes(&start.to_le_bytes());
        to.bytes(&form.to_le_bytes()).bytes(&600_000_u32.to_le_bytes())
    };
    let start = super::footage::START;
    let two = clip(clip(begin(1, "default"), "front-door", start, 0), "front-door", start, 1);
    let looked = two.bytes(&[2]).part(b"2026-11-21").bytes(&[0; 8]);
    let removed = looked.bytes(&[3, 1]).bytes(&(1_u64 << 40).to_le_bytes());
    let pattern = "%y/%j/{camera} %H%M%S.mp4";
    let odd = clip(begin(2, pattern), "a/b:c..", i64::MIN, 7);
    let odd = clip(odd, "now", i64::MAX, 0);
    let apart = begin(2, "{stream}/%G-W%V-%u/%U %W/{camera}.%s %B %a.mp4");
    let apart = clip(apart, "front-door.sub", i64::MAX, 0);
    let apart = clip(apart, "now.live", i64::MIN, 1 << 31 | 1);
    let boundary = begin(3, "frigate").bytes(&[4]).bytes(&start.to_le_bytes()).bytes(&[10]);
    let range = "2026-11-21T13-05-00.5+0100--13-07-30,1h30m--now,2026-11-21.held.mp4";
    let range = begin(1, "default").bytes(&[2]).part(range.as_bytes()).bytes(&[0; 8]);
    let range = range.bytes(&start.to_le_bytes());
    vec![
        ("two", removed.0),
        ("odd", odd.0),
        ("apart", apart.0),
        ("boundary", boundary.0),
        ("range", range.0),
    ]
}
