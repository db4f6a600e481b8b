//! What `reelfs check` finds, says and puts right; and the daemon's own scrub.
//!
//! A ring is damaged at one place after another; each is found where it is, costs what is said,
//! is put right where that is promised, and nothing is written unless it was asked for.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/clips.rs"]
mod clips;
#[path = "support/daemon.rs"]
mod daemon;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use cameras::Cameras;
use clips::assert_plays;
use daemon::{Site, run_tool, text, wait_until};
use reelfs::check;
use reelfs::device::{Access, FileDevice};
use serde_json::Value;

const PAGE: u64 = 4096;
/// Where the first ledger area begins: see `src/ring/FORMAT.md`.
const LEDGER: u64 = 1 << 20;
const SECONDS: u32 = 70;

/// A ring with two clips of 30 s and one of 10 s, all of them in several blocks.
fn recorded() -> Site {
    recorded_for(SECONDS)
}

fn recorded_for(seconds: u32) -> Site {
    let mut site = Site::new("16M");
    site.view = "clip = \"30s\"\nzone = \"UTC\"\n".to_owned();
    site.ring += "scrub = \"off\"\n";
    site.add_camera("yard", "rtsp://127.0.0.1:1/", "");
    let noise = ["-vf", "noise=alls=40:allf=t+u", "-qp", "36"];
    let file = clips::footage(&site.path(""), "yard.mp4", seconds, &noise);
    site.import("yard", "2026-03-01T12:00:00Z", &file);
    site
}

/// What is in it: answers of `inspect`.
struct Map {
    ring: Value,
    blocks: Vec<Value>,
}

impl Map {
    fn of(site: &Site) -> Map {
        let ring = site.ring_path();
        let inspect = |words: &[&str]| -> Value {
            let output = site.reelfs(&[&["inspect", text(&ring), "--json"], words].concat());
            serde_json::from_slice(&output.stdout).expect("JSON")
        };
        let blocks = inspect(&["block", "0", "1", "2", "3", "4"]);
        Map { ring: inspect(&["ring"]), blocks: blocks.as_array().expect("a list").clone() }
    }

    fn number(&self, name: &str) -> u64 {
        self.ring[name].as_u64().unwrap_or_else(|| panic!("{name}: {}", self.ring))
    }

    fn page(&self, block: u64, page: u64) -> u64 {
        self.number("blocks_start") + block * self.number("block_bytes") + page * PAGE
    }

    /// Blocks and pages of all chunks of a kind of a clip.
    fn chunks(&self, kind: &str, clip: &str) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        for block in &self.blocks {
            let chunks = block["chunks"].as_array().expect("chunks").iter();
            let wanted = chunks.filter(|chunk| chunk["kind"] == kind && chunk["clip"] == clip);
            let number = |value: &Value| value.as_u64().expect("a number");
            found.extend(wanted.map(|chunk| (number(&block["block"]), number(&chunk["page"]))));
        }
        found
    }

    /// When the first sample in a block was taken.
    fn first_time(&self, block: u64) -> Value {
        let block = self.blocks.iter().find(|found| found["block"] == block).expect("a block");
        let chunks = block["chunks"].as_array().expect("chunks");
        let first = chunks.iter().find(|chunk| chunk["kind"] == "media").expect("samples");
        first["samples"][0]["time"].clone()
    }

    /// Block and page of the chunk of a kind with a number in a clip.
    fn chunk(&self, kind: &str, clip: &str, number: u64) -> (u64, u64) {
        for block in &self.blocks {
            for chunk in block["chunks"].as_array().expect("chunks") {
                let is_it = chunk["kind"] == kind && chunk["clip"] == clip;
                if is_it && (kind != "media" || chunk["number_in_clip"] == number) {
                    let number = |value: &Value| value.as_u64().expect("a number");
                    return (number(&block["block"]), number(&chunk["page"]));
                }
            }
        }
        panic!("no {kind} {number} of clip {clip}");
    }
}

/// The three clips, oldest first.
fn clip_ids(site: &Site) -> Vec<String> {
    let output = site.reelfs(&["inspect", text(&site.ring_path()), "clips", "--json"]);
    let clips: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let clips = clips.as_array().expect("a list").iter();
    clips.map(|clip| clip["clip"].as_str().expect("an id").to_owned()).collect()
}

struct Checked {
    status: i32,
    answer: Value,
    errors: String,
}

impl Checked {
    fn findings(&self) -> &Vec<Value> {
        self.answer["findings"].as_array().unwrap_or_else(|| panic!("{}", self.errors))
    }

    fn only(&self) -> &Value {
        assert_eq!(self.findings().len(), 1, "{:#}", self.answer);
        &self.findings()[0]
    }
}

fn ask(site: &Site, options: &[&str]) -> Checked {
    let ring = site.ring_path();
    let words = [&["check", text(&ring), "--json"], options].concat();
    let output = site.reelfs(&words);
    Checked {
        status: output.status.code().expect("an exit status"),
        answer: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn digest(path: &Path) -> blake3::Hash {
    blake3::hash(&fs::read(path).expect("the ring"))
}

fn flip(site: &Site, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(site.ring_path()).expect("the ring");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("the ring");
    file.write_all_at(&[byte[0] ^ 0x10], at).expect("the ring");
}

/// Flips a bit, checks that nothing is written by looking, and flips it back afterwards.
fn flipped(site: &Site, at: u64, options: &[&str]) -> Checked {
    flip(site, at);
    let before = digest(&site.ring_path());
    let checked = ask(site, options);
    assert_eq!(digest(&site.ring_path()), before, "a check has written");
    flip(site, at);
    checked
}

#[test]
fn a_whole_ring_is_clean_and_the_check_writes_nothing() {
    let site = recorded();
    let before = digest(&site.ring_path());
    for options in [&[][..], &["--scrub"]] {
        let checked = ask(&site, options);
        assert_eq!(checked.status, 0, "{:#}", checked.answer);
        assert_eq!(checked.answer["clips"], 3);
        let tried = checked.answer["chunks_tried"].as_u64().expect("a count");
        assert_eq!(tried >= u64::from(SECONDS), options == ["--scrub"]);
    }
    assert_eq!(digest(&site.ring_path()), before);
    let repaired = ask(&site, &["--repair"]);
    assert_eq!(repaired.status, 0, "{:#}", repaired.answer);
    assert_eq!(digest(&site.ring_path()), before, "nothing was to be repaired");
}

#[test]
fn a_flipped_bit_in_either_superblock_is_found_and_repaired() {
    let site = recorded();
    let whole = fs::read(site.ring_path()).expect("the ring");
    let copy = whole.len() as u64 - PAGE;
    for (at, part, offset) in [(100, "superblock", 0), (copy + 100, "superblock copy", copy)] {
        let checked = flipped(&site, at, &[]);
        assert_eq!(checked.status, 1, "{:#}", checked.answer);
        assert_eq!(checked.only()["place"]["part"], part);
        assert_eq!(checked.only()["place"]["offset"], offset);
        assert_eq!(checked.only()["cost"]["kind"], "nothing");
        flip(&site, at);
        let repaired = ask(&site, &["--repair"]);
        assert_eq!(repaired.status, 1);
        assert_eq!(repaired.answer["repaired"].as_array().map(Vec::len), Some(1));
        assert_eq!(fs::read(site.ring_path()).expect("the ring"), whole, "as it was");
        assert_eq!(ask(&site, &[]).status, 0);
    }
}

/// How many pages the log has; it stands in both areas.
fn ledger_pages(whole: &[u8]) -> u64 {
    let is_page = |page: u64| &whole[(LEDGER + page * PAGE) as usize..][..4] == b"rlLP";
    let pages = (0..).take_while(|page| is_page(*page)).count() as u64;
    assert!(pages > 4, "{pages}");
    pages
}

/// The pages of the ledger that a check has named, as (area, page).
fn rotten(checked: &Checked) -> Vec<(u64, u64)> {
    let number = |value: &Value| value.as_u64().expect("a number");
    let findings = checked.findings().iter();
    let ledger = findings.filter(|finding| finding["place"]["part"] == "ledger");
    ledger.map(|f| (number(&f["place"]["area"]), number(&f["place"]["page"]))).collect()
}

#[test]
fn a_rotten_ledger_page_is_found_and_costs_nothing_while_the_other_copy_has_it() {
    let site = recorded();
    let whole = fs::read(site.ring_path()).expect("the ring");
    let area = Map::of(&site).number("ledger_area_bytes");
    // The last page is not known to have been flushed: without it the log ends before it.
    for (page, copy) in (0..ledger_pages(&whole) - 1).zip([0, 1].into_iter().cycle()) {
        let at = LEDGER + copy * area + page * PAGE + 200;
        let checked = flipped(&site, at, &[]);
        assert_eq!(checked.status, 1, "{:#}", checked.answer);
        assert_eq!(rotten(&checked), [(copy, page)]);
        assert_eq!(checked.only()["cost"]["kind"], "nothing");
        flip(&site, at);
        let repaired = ask(&site, &["--repair"]);
        assert_eq!(repaired.status, 1);
        assert!(repaired.answer["repaired"].to_string().contains("a new checkpoint"));
        let again = ask(&site, &["--scrub"]);
        assert_eq!((again.status, again.answer["clips"].as_u64()), (0, Some(3)));
        fs::write(site.ring_path(), &whole).expect("the ring");
    }
}

#[test]
fn a_page_that_is_rotten_in_both_copies_leaves_facts_open_and_loses_no_footage() {
    let site = recorded();
    let whole = fs::read(site.ring_path()).expect("the ring");
    let area = Map::of(&site).number("ledger_area_bytes");
    for page in 1..ledger_pages(&whole) - 1 {
        let at = LEDGER + page * PAGE + 200;
        flip(&site, at);
        let checked = flipped(&site, at + area, &[]);
        flip(&site, at + area);
        assert_eq!(checked.status, 1, "{:#}", checked.answer);
        assert_eq!(rotten(&checked), [(0, page), (1, page)]);
        assert_eq!(checked.findings()[0]["cost"]["kind"], "facts");
        let repaired = ask(&site, &["--repair"]);
        let done = repaired.answer["repaired"].to_string();
        assert!(repaired.status == 1 && done.contains("3 clips that nobody"), "{done}");
        let again = ask(&site, &["--scrub"]);
        assert_eq!((again.status, again.answer["clips"].as_u64()), (0, Some(3)), "page {page}");
        fs::write(site.ring_path(), &whole).expect("the ring");
    }
}

#[test]
fn an_area_that_is_gone_is_found_and_filled_again() {
    let site = recorded();
    let whole = fs::read(site.ring_path()).expect("the ring");
    let map = Map::of(&site);
    let area = map.number("ledger_area_bytes");
    for copy in 0..2 {
        let file = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
        file.write_all_at(&vec![0; area as usize], LEDGER + copy * area).expect("the ring");
        let checked = ask(&site, &[]);
        assert_eq!(checked.status, 1, "{:#}", checked.answer);
        assert_eq!(checked.only()["place"]["area"], copy);
        assert_eq!(ask(&site, &["--repair"]).status, 1);
        let again = ask(&site, &["--scrub"]);
        assert_eq!((again.status, again.answer["clips"].as_u64()), (0, Some(3)));
        fs::write(site.ring_path(), &whole).expect("the ring");
    }
}

#[test]
fn without_any_ledger_a_rescue_finds_every_clip_as_it_was() {
    let site = recorded();
    let before = {
        let daemon = site.run();
        let before = clips::identities(&site.mount());
        daemon.stop();
        before
    };
    assert_eq!(before.len(), 3);
    let map = Map::of(&site);
    let file = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
    let blank = vec![0; (map.number("blocks_start") - LEDGER) as usize];
    file.write_all_at(&blank, LEDGER).expect("the ring");
    let checked = ask(&site, &[]);
    assert_eq!(checked.status, 3);
    assert!(checked.errors.contains("--rescue makes a new ledger"), "{}", checked.errors);

    let rescued = ask(&site, &["--rescue"]);
    assert_eq!(rescued.status, 1, "{}", rescued.errors);
    assert_eq!(rescued.answer["clips_found"], 3);
    assert_eq!(rescued.answer["streams_found"], 1);
    let checked = ask(&site, &["--scrub"]);
    assert_eq!((checked.status, checked.answer["clips"].as_u64()), (0, Some(3)));
    let daemon = site.run();
    let mount = site.mount();
    assert!(clips::identities(&mount).is_empty(), "nobody can vouch for them");
    let found = mount.join(".trash/2026-03-01");
    assert_eq!(clips::attribute(&found.join("yard/12-00-00.mp4"), "expires"), "found");
    run_tool("mv", &[text(&found), text(&mount)]);
    wait_until("the clips are back", 5, || clips::clips_of(&mount, "yard").len() == 3);
    assert_eq!(clips::identities(&mount), before);
    for clip in before.keys() {
        assert_plays(&site.mount().join(clip));
    }
    daemon.stop();
}

#[test]
fn a_damaged_block_header_costs_nothing_and_is_found() {
    let site = recorded();
    let map = Map::of(&site);
    let checked = flipped(&site, map.page(2, 0) + 40, &[]);
    assert_eq!(checked.status, 1, "{:#}", checked.answer);
    let place = &checked.only()["place"];
    assert_eq!((&place["part"], &place["block"]), (&"block".into(), &2.into()));
    assert_eq!(place["offset"], map.page(2, 0));
    assert_eq!(checked.only()["cost"]["kind"], "nothing");
}

#[test]
fn a_damaged_chunk_header_costs_its_chunk_or_its_clip_and_the_camera_is_named() {
    let site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let (block, page) = map.chunk("media", &ids[1], 5);
    let checked = flipped(&site, map.page(block, page) + 30, &[]);
    assert_eq!(checked.status, 2, "{:#}", checked.answer);
    let (place, cost) = (&checked.only()["place"], &checked.only()["cost"]);
    assert_eq!((&place["block"], &place["page"]), (&block.into(), &page.into()));
    assert_eq!(place["clip"], ids[1]);
    assert_eq!(cost["camera"], "yard");
    // The table says where the others are: one second of a clip that begins at 12:00:30.
    assert_eq!(cost["from"], "2026-03-01T12:00:35.000000000Z");
    assert_eq!(cost["to"], "2026-03-01T12:00:36.000000000Z");
    let loss = checked.answer["losses"][0].as_str().expect("a loss");
    assert!(loss.contains("yard") && loss.contains("12:00:30"), "{loss}");

    // Also of a short clip. Of one chunk, which has no table, it is all.
    for (seconds, chunk, from, to) in [(5, 2, 2, 3), (1, 0, 0, 1)] {
        let site = recorded_for(seconds);
        let (block, page) = Map::of(&site).chunk("media", &clip_ids(&site)[0], chunk);
        let checked = flipped(&site, Map::of(&site).page(block, page) + 30, &[]);
        assert_eq!(checked.status, 2);
        let cost = &checked.only()["cost"];
        assert_eq!(cost["from"], format!("2026-03-01T12:00:0{from}.000000000Z"));
        assert_eq!(cost["to"], format!("2026-03-01T12:00:0{to}.000000000Z"));
    }
}

#[test]
fn a_damaged_parameter_set_costs_clips_that_have_no_table() {
    let site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let (block, page) = map.chunk("parameters", &ids[0], 0);
    for at in [30, 300] {
        // In its header, and in its data.
        let checked = flipped(&site, map.page(block, page) + at, &[]);
        assert!(checked.status == 1 || at == 300, "{:#}", checked.answer);
    }
    let site = recorded_for(1);
    let (map, ids) = (Map::of(&site), clip_ids(&site));
    let (block, page) = map.chunk("parameters", &ids[0], 0);
    let checked = flipped(&site, map.page(block, page) + 30, &[]);
    assert_eq!(checked.status, 2, "{:#}", checked.answer);
    assert!(checked.findings().iter().all(|finding| finding["place"]["clip"] == ids[0]));
}

#[test]
fn damaged_samples_are_found_by_a_scrub_with_the_second_that_they_cost() {
    let site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let (block, page) = map.chunk("media", &ids[0], 7);
    let at = map.page(block, page) + 5 * PAGE + 77;
    assert_eq!(flipped(&site, at, &[]).status, 0, "samples are not read without --scrub");
    let checked = flipped(&site, at, &["--scrub"]);
    assert_eq!(checked.status, 2, "{:#}", checked.answer);
    let (place, cost) = (&checked.only()["place"], &checked.only()["cost"]);
    assert_eq!((&place["block"], &place["page"]), (&block.into(), &page.into()));
    assert_eq!((&place["clip"], &place["chunk"]), (&Value::from(ids[0].as_str()), &7.into()));
    assert_eq!(cost["from"], "2026-03-01T12:00:07.000000000Z");
    assert_eq!(cost["to"], "2026-03-01T12:00:08.000000000Z");
    let found = checked.only()["found"].as_str().expect("words");
    assert!(found.contains("1 of 4 units damaged, the first is 1"), "{found}");
}

#[test]
fn a_damaged_table_or_its_copy_costs_speed() {
    let site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let tables = map.chunks("table", &ids[0]);
    assert_eq!(tables.len(), 2, "a clip in several blocks has a copy of its table");
    for (block, page) in tables {
        for at in [20, 1000] {
            let checked = flipped(&site, map.page(block, page) + at, &[]);
            assert_eq!(checked.status, 1, "{:#}", checked.answer);
            let place = &checked.only()["place"];
            assert_eq!((&place["part"], &place["page"]), (&"table".into(), &page.into()));
            assert_eq!(place["block"], block);
            assert_eq!(checked.only()["cost"]["kind"], "cache");
        }
    }
}

/// Fills a page with what it never was.
fn ruin(site: &Site, at: u64) {
    let file = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
    file.write_all_at(&[0xa5; PAGE as usize], at).expect("the ring");
}

#[test]
fn what_something_else_says_is_written_again_as_it_was() {
    let site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let whole = fs::read(site.ring_path()).expect("the ring");
    let with_table = |kind: &str| -> Vec<(u64, u64)> {
        ids[..2].iter().flat_map(|clip| map.chunks(kind, clip)).collect()
    };
    let (sets, tables) = (with_table("parameters"), with_table("table"));
    assert!(sets.len() >= 3 && tables.len() >= 3, "{sets:?} {tables:?}");
    let headers: Vec<(u64, u64)> = (0..5).map(|block| (block, 0)).collect();
    // Of each thing that is said in several places one is left.
    let together = [
        [&sets[..], &tables[..1]].concat(),
        [&sets[..], &tables[1..2]].concat(),
        [&sets[..], &tables[tables.len() - 1..]].concat(),
        [&headers[..], &tables[..1]].concat(),
    ];
    let alone = sets.iter().chain(&tables).chain(&headers).map(|place| vec![*place]);
    for places in alone.chain(together) {
        let pages: Vec<u64> = places.iter().map(|(block, page)| map.page(*block, *page)).collect();
        fs::write(site.ring_path(), &whole).expect("the ring");
        pages.iter().for_each(|at| ruin(&site, *at));
        assert_eq!(ask(&site, &[]).status, 1, "{places:?}");
        let repaired = ask(&site, &["--repair"]);
        assert_eq!(repaired.status, 1);
        assert_eq!(repaired.errors, "", "{places:?}");
        let checked = ask(&site, &["--scrub"]);
        assert_eq!(checked.status, 0, "{places:?}: {:#}", checked.answer);
        // All but the moment at which a block was begun, which nothing else knows.
        let mut now = fs::read(site.ring_path()).expect("the ring");
        for (_, at) in places.iter().zip(&pages).filter(|((_, page), _)| *page == 0) {
            let page = *at as usize..(*at + PAGE) as usize;
            now[page.clone()].copy_from_slice(&whole[page]);
        }
        assert!(now == whole, "{places:?}");
    }

    // The last of these rings has headers that were written again: blocks are found by them.
    let area = map.number("ledger_area_bytes");
    let file = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
    file.write_all_at(&vec![0; 2 * area as usize], LEDGER).expect("the ring");
    let rescued = ask(&site, &["--rescue"]);
    assert_eq!((rescued.status, rescued.answer["clips_found"].as_u64()), (1, Some(3)));
    assert_eq!(rescued.answer["blocks_unreadable"], 0);
    assert_eq!(ask(&site, &["--scrub"]).status, 0);
}

/// Seconds behind 12:00 of a time as `inspect` writes it.
fn seconds_of(time: &Value) -> f64 {
    let time = time.as_str().expect("a time").split("12:").nth(1).expect("its minutes");
    let (minutes, seconds) = time.split_once(':').expect("its seconds");
    let number = |text: &str| text.trim_end_matches('Z').parse::<f64>().expect("a number");
    60.0 * number(minutes) + number(seconds)
}

#[test]
fn a_rescued_clip_shows_what_is_left_of_it_at_its_time() {
    let site = recorded();
    let map = Map::of(&site);
    let (block, page) = map.chunk("media", &clip_ids(&site)[0], 22);
    let begins = seconds_of(&map.first_time(1));
    assert!(block > 0 && begins > 1.0, "{block} {begins}");
    let file = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
    let blank = vec![0; (map.number("blocks_start") - LEDGER) as usize];
    file.write_all_at(&blank, LEDGER).expect("the ring");
    file.write_all_at(&vec![0; map.number("block_bytes") as usize], map.page(0, 0)).expect("it");
    ruin(&site, map.page(block, page));
    let rescued = ask(&site, &["--rescue"]);
    assert_eq!((rescued.status, rescued.answer["clips_found"].as_u64()), (2, Some(3)));
    assert_eq!(rescued.answer["chunks_lost"], 1);
    let losses = rescued.answer["losses"].as_array().expect("a list");
    let clip = &clip_ids(&site)[0];
    assert_eq!(losses.len(), 1, "{losses:?}");
    let loss = losses[0].as_str().expect("words");
    assert!(loss.starts_with(&format!("yard clip {clip} of 2026-03-01T12:00:2")), "{loss}");
    let checked = ask(&site, &["--scrub"]);
    assert_eq!(checked.status, 0, "{:#}", checked.answer);
    let daemon = site.run();
    let clip = site.mount().join(".trash/2026-03-01/yard/12-00-00.mp4");
    assert_plays(&clip);
    let shown = ["-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
    let shown = run_tool("ffprobe", &[&["-v", "error"], &shown[..], &[text(&clip)]].concat());
    let times: Vec<f64> = shown.lines().map(|time| time.parse().expect("a time")).collect();
    assert!((times[0] - begins).abs() < 0.001, "{} and {begins}", times[0]);
    // A second is missing, and what is behind it is where it was.
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let gap = gaps.iter().position(|gap| *gap > 0.9).expect("a gap");
    assert!((times[gap + 1] - 23.0).abs() < 0.001, "{}", times[gap + 1]);
    assert!((times[times.len() - 1] - 29.9).abs() < 0.001, "{}", times[times.len() - 1]);
    daemon.stop();
}

#[test]
fn a_block_that_is_gone_costs_what_was_in_it() {
    let site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let file = OpenOptions::new().write(true).open(site.ring_path()).expect("the ring");
    let length = map.number("block_bytes") as usize;
    file.write_all_at(&vec![0; length], map.page(0, 0)).expect("the ring");
    let checked = ask(&site, &["--scrub"]);
    assert_eq!(checked.status, 2, "{:#}", checked.answer);
    let findings = checked.findings();
    assert!(findings.iter().all(|finding| finding["place"]["block"] == 0), "{findings:#?}");
    let costs = findings.iter().filter(|finding| finding["cost"]["kind"] == "footage");
    let costs: Vec<_> = costs.map(|finding| &finding["cost"]).collect();
    assert_eq!(costs.len(), 1, "{findings:#?}");
    assert_eq!(costs[0]["clip"], ids[0]);
    assert_eq!(costs[0]["from"], "2026-03-01T12:00:00.000000000Z");
    let kept = map.first_time(1);
    assert_eq!(costs[0]["to"], kept, "the next block begins there");
}

#[test]
fn the_lines_for_people_say_place_found_expected_and_cost() {
    let site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let (block, page) = map.chunk("media", &ids[1], 5);
    let at = map.page(block, page);
    flip(&site, at + 30);
    let output = site.reelfs(&["check", text(&site.ring_path())]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stdout);
    let place = format!("chunk in block {block} page {page} (byte {at}) clip {}", ids[1]);
    assert!(said.contains(&place), "{said}");
    assert!(said.contains("found no header"), "{said}");
    assert!(said.contains("expected the header of a chunk; costs footage of camera yard"));
    assert!(said.contains("findings: 1, of them costing footage: 1"), "{said}");
}

/// As `reelfs check … | head -n 0`: the status is what was found, and a repair is made.
#[test]
fn nobody_has_to_read_to_the_end() {
    let site = recorded();
    flip(&site, 20);
    let ring = site.ring_path();
    let unread = |options: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut check = site.command(&[&["check", text(&ring)], options].concat());
        check.stdout(writer).status().expect("it starts").code()
    };
    assert_eq!(unread(&[]), Some(1));
    assert_eq!(unread(&["--json"]), Some(1));
    assert_eq!(unread(&["--repair"]), Some(1));
    assert_eq!(unread(&[]), Some(0), "it is repaired");
}

#[test]
fn what_can_not_be_checked_ends_with_3() {
    let site = Site::without_ring();
    let nothing = site.path("nothing.img");
    assert_eq!(site.reelfs(&["check", text(&nothing)]).status.code(), Some(3));
    fs::write(&nothing, vec![0; 16 << 20]).expect("a file");
    let output = site.reelfs(&["check", text(&nothing), "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["status"], 3);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("no reelfs superblock")));
    assert_eq!(site.reelfs(&["check"]).status.code(), Some(3));
    assert_eq!(site.reelfs(&["check", "--help"]).status.code(), Some(0));
}

#[test]
fn a_good_ledger_is_not_rescued() {
    let site = recorded();
    let before = digest(&site.ring_path());
    let output = site.reelfs(&["check", text(&site.ring_path()), "--rescue"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("its ledger is good") && said.contains("deleted"), "{said}");
    assert_eq!(digest(&site.ring_path()), before);
}

#[test]
fn a_check_works_beside_the_daemon_and_a_repair_does_not() {
    let site = recorded();
    let daemon = site.run();
    let checked = ask(&site, &["--scrub", "--index", text(&site.index_path())]);
    assert_eq!(checked.status, 0, "{:#}", checked.answer);
    let notes = checked.answer["notes"].to_string();
    assert!(notes.contains("a daemon records"), "{notes}");
    assert!(notes.contains("the index is in use"), "{notes}");
    let refused = ask(&site, &["--repair"]);
    assert_eq!(refused.status, 3);
    assert!(refused.errors.contains("in use"), "{}", refused.errors);
    assert_eq!(ask(&site, &["--rescue"]).status, 3);
    daemon.kill();

    let before = digest(&site.ring_path());
    let after = ask(&site, &[]);
    assert_eq!(after.status, 0, "a crash is no damage: {:#}", after.answer);
    assert!(after.answer["notes"].to_string().contains("did not end in order"));
    assert_eq!(digest(&site.ring_path()), before);
    let repaired = ask(&site, &["--repair"]);
    assert_eq!(repaired.status, 1, "{:#}", repaired.answer);
    let after = ask(&site, &[]);
    assert_eq!((after.status, after.answer["is_unclean"].as_bool()), (0, Some(false)));
}

#[test]
fn beside_a_daemon_that_records_and_evicts_nothing_is_wrong_and_after_a_crash_neither() {
    let mut site = recorded();
    let cameras = Cameras::start(&["--cameras", "2", "--bitrate", "4000k", "--size", "1280x720"]);
    site.view = "clip = \"10s\"\nzone = \"UTC\"\n".to_owned();
    for camera in [1, 2] {
        site.add_camera(&format!("camera-{camera}"), &cameras.url(camera), "");
    }
    let daemon = site.run();
    daemon.wait_recording("camera-1");
    let mut checks = 0;
    wait_until("something is evicted", 90, || {
        let checked = ask(&site, &["--scrub"]);
        assert_eq!(checked.status, 0, "{:#}", checked.answer);
        checks += 1;
        daemon.status()["ring"]["evicted"].as_u64() > Some(2)
    });
    assert!(checks > 2, "{checks}");
    daemon.kill();

    let after = ask(&site, &["--scrub"]);
    assert_eq!(after.status, 0, "a crash is no damage: {:#}", after.answer);
    let notes = after.answer["notes"].to_string();
    assert!(notes.contains("of camera-1") && notes.contains("to be taken over: "), "{notes}");
    let repaired = ask(&site, &["--repair"]);
    assert_eq!(repaired.status, 1, "{:#}", repaired.answer);
    let words = repaired.answer["repaired"][0].as_str().expect("words");
    assert!(words.starts_with("2 growing clips are closed"), "{words}");
    let after = ask(&site, &["--scrub"]);
    assert_eq!((after.status, after.answer["is_unclean"].as_bool()), (0, Some(false)));
}

#[test]
fn an_index_of_another_ring_is_found_and_set_aside() {
    let site = recorded();
    let daemon = site.run();
    let clip = site.mount().join("2026-03-01/yard/12-00-00.mp4");
    wait_until("an index", 10, || site.index_path().join("sled/db").exists());
    fs::read(&clip).expect("a clip");
    daemon.stop();
    let index = site.index_path();
    let checked = ask(&site, &["--index", text(&index)]);
    assert_eq!(checked.status, 0, "{:#}", checked.answer);

    // Whatever is in its file: nothing disagrees, or a cache does.
    let whole = fs::read(index.join("sled/db")).expect("sled's file");
    for step in [7, 97, 1009] {
        let mut garbled = whole.clone();
        garbled.iter_mut().step_by(step).for_each(|byte| *byte ^= 0x40);
        fs::write(index.join("sled/db"), garbled).expect("sled's file");
        let checked = ask(&site, &["--index", text(&index)]);
        assert!(checked.status <= 1, "{:#}", checked.answer);
    }
    fs::write(index.join("sled/db"), whole).expect("sled's file");

    let other = Site::new("16M");
    let checked = ask(&other, &["--index", text(&index)]);
    assert_eq!(checked.status, 1, "{:#}", checked.answer);
    assert_eq!(checked.only()["place"]["part"], "index");
    assert_eq!(checked.only()["cost"]["kind"], "cache");
    assert!(index.join("sled").exists(), "it was only looked at");
    assert_eq!(ask(&other, &["--index", text(&index), "--repair"]).status, 1);
    assert!(index.join("sled.discarded").exists() && !index.join("sled").exists());
    assert_eq!(ask(&other, &["--index", text(&index)]).status, 0);
}

/// Hears nothing.
struct Deaf;

impl check::Listener for Deaf {
    fn found(&mut self, _: &check::Finding) {}
    fn noted(&mut self, _: &str) {}
    fn progress(&mut self, _: check::Progress) {}
}

/// A generator that a failure can be replayed with: xorshift.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn no_flipped_bit_escapes_a_scrub() {
    let given = std::env::var("REELFS_CHECK_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let seed: u64 = given.unwrap_or(now.as_nanos() as u64 | 1);
    println!("REELFS_CHECK_SEED={seed}");
    let site = recorded();
    let map = Map::of(&site);
    let path = site.ring_path();
    let whole = fs::read(&path).expect("the ring");
    let ledger = LEDGER..LEDGER + 8 * PAGE;
    let places = [
        0..PAGE,
        whole.len() as u64 - PAGE..whole.len() as u64,
        ledger.clone(),
        map.page(0, 0)..map.page(5, 0),
        map.page(0, 0)..map.page(5, 0),
        map.page(0, 0)..map.page(5, 0),
    ];
    let file = OpenOptions::new().write(true).open(&path).expect("the ring");
    let mut state = seed;
    let mut found = 0;
    for _ in 0..250 {
        let place = &places[random(&mut state) as usize % places.len()];
        let at = place.start + random(&mut state) % (place.end - place.start);
        let byte = whole[at as usize];
        let changed = byte ^ 1 << (random(&mut state) % 8);
        file.write_all_at(&[changed], at).expect("the ring");
        let device = FileDevice::open(&path, Access::ReadOnly).expect("the ring");
        let options = check::Options { scrub: true, ..check::Options::default() };
        let report = check::check(&device, &options, &mut Deaf);
        let is_found = report.map_or(true, |report| report.status() > 0);
        // Padding is covered by no checksum, and is zeros. The last pages of the log may be a
        // torn tail.
        assert!(is_found || byte == 0 || ledger.contains(&at), "byte {at}");
        found += u32::from(is_found);
        file.write_all_at(&[byte], at).expect("the ring");
    }
    assert!(found > 120, "{found}");
}

#[test]
fn the_daemon_finds_a_flipped_bit_by_itself() {
    let mut site = recorded();
    let map = Map::of(&site);
    let ids = clip_ids(&site);
    let (block, page) = map.chunk("media", &ids[0], 7);
    flip(&site, map.page(block, page) + 5 * PAGE + 77);
    site.ring = site.ring.replace("off", "2s");
    let daemon = site.run();
    let scrub = || daemon.status()["scrub"].clone();
    wait_until("the damage is found", 30, || scrub()["damaged"] == 1);
    wait_until("a pass is complete", 30, || scrub()["last_complete"].is_string());
    let latest = &scrub()["latest"][0];
    assert_eq!(latest["camera"], "yard");
    assert_eq!(latest["clip"], ids[0]);
    assert_eq!((&latest["block"], &latest["page"]), (&block.into(), &page.into()));
    assert_eq!(latest["from"], "2026-03-01T12:00:07.000000000Z");
    assert_eq!(latest["to"], "2026-03-01T12:00:08.000000000Z");
    let chunks = scrub()["chunks"].as_u64().expect("a count");
    wait_until("another pass", 30, || scrub()["chunks"].as_u64() > Some(2 * chunks));
    assert_eq!(scrub()["damaged"], 1, "each place is told once");
    let told = daemon.log().matches("scrub: yard: clip").count();
    assert_eq!(told, 1, "{}", daemon.log());
    let config = site.config();
    let status = site.reelfs(&["status", "--config", text(&config)]);
    let said = String::from_utf8_lossy(&status.stdout);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("damaged places: 1; latest: yard from 2026-03-01T12:00:07Z"), "{said}");
    daemon.stop();
}

#[test]
fn a_scrub_that_is_off_is_not_in_the_status() {
    let site = recorded();
    let daemon = site.run();
    assert!(daemon.status()["scrub"].is_null());
    assert_plays(&site.mount().join("2026-03-01/yard/12-01-00.mp4"));
    daemon.stop();
}
