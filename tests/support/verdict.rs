//! Judges what a daemon recorded of a test camera that has faults: the mounted clips, as tools read
//! them that are not ours, against what the camera's server says that it sent (see `cameras.py`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::cameras::Cameras;
use crate::clips::attribute_time;
use crate::daemon::{run_tool, text, try_tool};
use crate::sounds::{extent, packets, samples};

const MILLI: i64 = 1_000_000;
const SECOND: i64 = 1000 * MILLI;

/// What was due so shortly before a connection was closed, or the daemon was stopped, may not have
/// gone out, or not have come whole: packets wait in the server, and a picture for the next one.
const UNDER_WAY_NANOS: i64 = SECOND;
/// What a told time may be off, beside the time that the server's queue holds a frame.
const TIME_ERROR_NANOS: i64 = 100 * MILLI;
/// So much footage at most is told wrongly behind a camera's clock that stood still, of which the
/// first frames come so long behind the command that had it stand at most.
///
/// Behind one that was set, the first frames are told by when they came, which is late on a busy
/// machine.
const UNKNOWN_TIMES: [(&str, i64); 2] = [("freeze", SECOND), ("clockjump", SECOND / 2)];
const UNKNOWN_NANOS: i64 = 10 * SECOND;
/// Where a session takes the place of another one whose way was longer, times come back to what was
/// captured within this.
const SEAM_NANOS: i64 = 3 * SECOND;
/// Frames that are off in a row have so many numbers between them at most.
const OFF_APART_MAX: u64 = 5;
/// A server that is there again has a session within this: the recorder waits 0.4 s, then 1, 2
/// and 5 s, and longer where it was refused before.
const RECONNECT_NANOS: i64 = 8 * SECOND;
/// Behind a session of this length it waits 0.4 s again.
const GOOD_NANOS: i64 = 5 * SECOND;
/// Sound that is recorded as FLAC comes in frames of this length at most, in seconds; one of AAC
/// has 1024 samples of 16 kHz.
const FLAC_FRAME: f64 = 0.256;
const AAC_FRAME: f64 = 0.064;
/// Of one, in bytes.
const AAC_BYTES_MAX: usize = 512;
/// How long the last picture of a session stands is not known, and sound that belongs to the last
/// ones is under way.
const PICTURE: f64 = 0.04;
const SOUND_UNDER_WAY: f64 = 0.25;
/// Has ffmpeg decode everything, and keep times as they are: it would round them to the rate of the
/// pictures, and complain where two of them have one then.
const AS_TIMED: [&str; 7] = ["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-"];
/// So many bytes of sound are looked for to find where a clip's begins.
const PROBE: usize = 512;
/// Where a session is followed by another one, its sound goes on within so many bytes of that.
const SEAM_BYTES: usize = 200_000;
/// What the recorder puts in where sound is missing: a silent unit of AAC, mono.
const SILENT_UNIT: [u8; 6] = [0x00, 0xc8, 0x00, 0x80, 0x23, 0x80];
/// Two clocks do not run alike: sound is moved by this where it is off by as much, in seconds; and
/// once in so many seconds at most, all in all.
const MOVED: f64 = 0.021;
const MOVED_SECONDS: f64 = 30.0;
/// A camera over TCP with so many gaps in a row that nothing filled is not waited for, up to the
/// first packet that it sends out of order, which costs its picture then.
const UNFILLED_MAX: u32 = 16;
/// More of a kind is said in one line.
const SAID_MAX: usize = 8;

/// What a camera sends beside its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sounds {
    /// Stored without loss: as ffmpeg reads what was sent.
    Pcm(&'static [&'static str]),
    /// Stored as it comes.
    Aac,
}

/// What is judged.
pub struct Judged<'a> {
    pub camera: &'a str,
    pub server: &'a Cameras,
    /// Whether pictures are built on one another.
    pub has_groups: bool,
    pub sounds: Sounds,
    /// All of the camera, in the order of their times.
    pub clips: Vec<PathBuf>,
    /// While the daemon ran, in ns since 1970.
    pub ran: (i64, i64),
}

/// What came of it: a row of the table, and what should not be.
pub struct Verdict {
    pub row: Row,
    pub wrong: Vec<String>,
}

/// Figures of one camera.
#[derive(Default)]
pub struct Row {
    camera: String,
    sessions: usize,
    /// Frames that went out whole, and those of them that had to be recorded and were.
    sent: usize,
    whole: usize,
    recorded: usize,
    missing: usize,
    torn_sent: usize,
    torn_stored: usize,
    damaged: u64,
    clips: usize,
    sound: f64,
    pictures: f64,
    error_millis: i64,
    error_at: String,
    off_seconds: f64,
    gaps: usize,
}

impl Row {
    /// The heading of a table.
    pub const HEADING: &str = "camera      sessions    sent   whole recorded missing  torn stored \
        damaged clips   sound s pictures s off s gaps error ms";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<12}{:>8}{:>8}{:>8}{:>9}{:>8}",
            self.camera, self.sessions, self.sent, self.whole, self.recorded, self.missing
        )?;
        write!(f, "{:>6}{:>7}{:>8}", self.torn_sent, self.torn_stored, self.damaged)?;
        write!(f, "{:>6}{:>10.1}{:>11.1}", self.clips, self.sound, self.pictures)?;
        let at = if self.error_millis == 0 { "" } else { &self.error_at };
        write!(f, "{:>6.1}{:>5}{:>9}  {at}", self.off_seconds, self.gaps, self.error_millis)
    }
}

/// A frame as the server sent it.
struct Sent {
    session: u64,
    key: bool,
    /// When it was captured, in ns since 1970.
    due: i64,
    /// When it went out, and for how long the server's queue had held it before, in ns.
    out: i64,
    held: i64,
    md5: String,
    picture: String,
    size: String,
    /// Packets of it that were left out, and those of them that had some of the picture.
    lost: u64,
    lost_slices: u64,
    /// It may be lost all the same.
    is_excused: bool,
}

/// From when to when a session stood, in ns since 1970.
#[derive(Default)]
struct Session {
    begun: i64,
    played: Option<i64>,
    closed: Option<i64>,
}

/// All that the server says.
struct Said {
    frames: BTreeMap<u64, Sent>,
    sessions: BTreeMap<u64, Session>,
    /// Commands, and when they were carried out.
    faults: Vec<(i64, String)>,
    /// Numbers of the frames with a picture.
    by_picture: HashMap<String, Vec<u64>>,
}

/// A frame in a clip.
struct Stored {
    number: u64,
    told: i64,
}

struct Clip {
    path: PathBuf,
    start: i64,
    end: i64,
    damaged: u64,
    frames: Vec<Stored>,
}

/// What happened to the pictures that one is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    Whole,
    /// Nothing that went out is lost, or only what nobody need have noticed.
    Doubtful,
    Torn,
}

/// Said of many things in few words.
#[derive(Default)]
struct Complaints {
    wrong: Vec<String>,
    kinds: BTreeMap<&'static str, usize>,
}

impl Complaints {
    fn say(&mut self, kind: &'static str, more: impl FnOnce() -> String) {
        let count = self.kinds.entry(kind).or_default();
        *count += 1;
        if *count <= SAID_MAX {
            self.wrong.push(format!("{kind}: {}", more()));
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        let many = self.kinds.iter().filter(|(_, count)| **count > SAID_MAX);
        self.wrong.extend(many.map(|(kind, count)| format!("{kind}: {count} in all")));
        self.wrong
    }
}

fn number(line: &Value, key: &str) -> i64 {
    line[key].as_i64().unwrap_or_else(|| panic!("no {key}: {line}"))
}

fn words(line: &Value, key: &str) -> String {
    line[key].as_str().unwrap_or_else(|| panic!("no {key}: {line}")).to_owned()
}

impl Said {
    /// The commands that were given, each behind the second at which it was.
    fn script(&self) -> String {
        // One that nobody plays has none.
        let begun = self.sessions.values().map(|session| session.begun).filter(|begun| *begun > 0);
        let begun = begun.min().unwrap_or(0);
        let commands = self.faults.iter().map(|(at, command)| {
            let seconds = (at - begun) as f64 / 1e9;
            format!("{seconds:.2} {command}")
        });
        commands.collect::<Vec<_>>().join(";")
    }

    fn of(server: &Cameras) -> Said {
        let lines = server.said();
        let mut said = Said {
            frames: BTreeMap::new(),
            sessions: BTreeMap::new(),
            faults: Vec::new(),
            by_picture: HashMap::new(),
        };
        for line in &lines {
            if line["fault"].is_string() {
                said.faults.push((number(line, "at"), words(line, "fault")));
            } else if line["frame"].is_null() && line["session"].is_u64() {
                let session = said.sessions.entry(number(line, "session") as u64).or_default();
                session.begun = line["begun"].as_i64().unwrap_or(session.begun);
                session.played = session.played.or(line["played"].as_i64());
                session.closed = line["closed"].as_i64().or(session.closed);
            }
        }
        for line in lines.iter().filter(|line| line["md5"].is_string()) {
            said.take(line);
        }
        let (mut unfilled, mut pair) = (0, false);
        for line in &lines {
            let (is_torn, is_swapped) = (line["torn"].is_u64(), line["swapped"].is_u64());
            unfilled += u32::from(is_torn);
            let sent = line["frame"].as_u64().and_then(|number| said.frames.get_mut(&number));
            if let Some(sent) = sent.filter(|_| is_torn || is_swapped) {
                sent.lost += u64::from(is_torn);
                sent.lost_slices += u64::from(is_torn && line["slice"] == true);
                sent.is_excused |= is_swapped && unfilled >= UNFILLED_MAX;
            }
            // Both frames of a pair are told.
            pair = if is_swapped { !pair } else { false };
            if is_swapped && !pair {
                unfilled = 0;
            }
        }
        said
    }

    fn take(&mut self, line: &Value) {
        let session = number(line, "session") as u64;
        let begun = self.sessions.get(&session).map_or(0, |session| session.begun);
        let (sent, due) = (number(line, "sent"), number(line, "due"));
        let leaves = begun + number(line, "time");
        let frame = Sent {
            session,
            key: line["key"] == true,
            due,
            out: sent.max(leaves),
            held: (leaves - due).max(0),
            md5: words(line, "md5"),
            picture: words(line, "picture"),
            size: words(line, "size"),
            lost: 0,
            lost_slices: 0,
            is_excused: false,
        };
        let number = number(line, "frame") as u64;
        // What two sessions sent is of the one or of the other.
        let is_excused = self.frames.contains_key(&number);
        self.by_picture.entry(frame.picture.clone()).or_default().push(number);
        self.frames.insert(number, Sent { is_excused, ..frame });
    }

    /// The session whose place another one took while it played, and when it was over.
    fn former(&self, session: u64) -> Option<(u64, i64)> {
        let played = self.sessions.get(&session)?.played?;
        let mut before = self.sessions.range(..session).rev();
        let (former, closed) = before.find_map(|(number, it)| {
            it.played?;
            Some((*number, it.closed?))
        })?;
        (played < closed).then_some((former, closed))
    }

    /// For how long the server's queue held a frame; or those of the session whose place this one
    /// took a moment ago: times do not leap with that.
    fn held(&self, number: u64) -> i64 {
        let sent = &self.frames[&number];
        let former = self.former(sent.session);
        let taken_over = former.filter(|(_, closed)| sent.due < closed + SEAM_NANOS);
        let held = taken_over.and_then(|(former, _)| {
            let mut before = self.frames.range(..number).rev();
            before.find(|(_, sent)| sent.session == former).map(|(_, sent)| sent.held)
        });
        held.unwrap_or(0).max(sent.held)
    }

    /// Whether a session took the place of another one a moment before.
    fn is_behind_seam(&self, at: i64) -> bool {
        let formers = self.sessions.keys().filter_map(|session| self.former(*session));
        formers.map(|(_, closed)| at - closed).any(|since| (-SECOND..SEAM_NANOS).contains(&since))
    }

    /// When a frame is no more expected, because its session is over.
    fn end(&self, session: u64, stopped: i64) -> i64 {
        let closed = self.sessions.get(&session).and_then(|session| session.closed);
        closed.unwrap_or(i64::MAX).min(stopped) - UNDER_WAY_NANOS
    }

    /// The torn frames of a clip, in words: how many packets each has lost, how many of these had
    /// some of its picture, and whether it is stored.
    fn torn(&self, clip: &Clip, stored: &BTreeSet<u64>) -> String {
        let numbers = || clip.frames.iter().map(|frame| frame.number);
        let Some((first, last)) = numbers().min().zip(numbers().max()) else {
            return String::new();
        };
        let torn = self.frames.range(first..=last).filter(|(_, sent)| sent.lost > 0);
        let words = torn.map(|(number, sent)| {
            let kind = if sent.key { "key " } else { "" };
            let stored = if stored.contains(number) { ", stored" } else { "" };
            format!("{kind}{number} -{} ({}){stored}", sent.lost, sent.lost_slices)
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// Of the frames that were sent with such a picture, the one that was due at about that time.
    fn nearest(&self, picture: &str, told: i64) -> Option<u64> {
        let numbers = self.by_picture.get(picture)?;
        numbers.iter().copied().min_by_key(|number| (self.frames[number].due - told).abs())
    }

    /// Frames that must be recorded: whole, behind the first key frame of a session that was, and
    /// not under way at its end. Where the size of the picture changes with a key frame that was
    /// not, nobody can tell what follows up to the next one.
    fn expected(&self, stopped: i64) -> BTreeSet<u64> {
        let mut expected = BTreeSet::new();
        let mut decodable: Option<(u64, &str)> = None;
        for (number, sent) in &self.frames {
            let this = (sent.session, &sent.size[..]);
            if sent.key && sent.lost == 0 && !sent.is_excused {
                decodable = Some(this);
            }
            let is_played = self.sessions.get(&sent.session).is_some_and(|it| it.played.is_some());
            let is_out =
                sent.lost == 0 && !sent.is_excused && sent.out < self.end(sent.session, stopped);
            if is_played && is_out && decodable == Some(this) {
                expected.insert(*number);
            } else if decodable.is_some_and(|decodable| decodable != this) {
                decodable = None;
            }
        }
        expected
    }
}

impl Judged<'_> {
    /// Looks at everything.
    pub fn verdict(&self) -> Verdict {
        let mut wrong = Complaints::default();
        let said = Said::of(self.server);
        let clips = self.read(&said, &mut wrong);
        let mut row = Row { camera: self.camera.to_owned(), ..Row::default() };
        row.sessions = said.sessions.values().filter(|session| session.played.is_some()).count();
        row.clips = clips.len();
        self.judge_outages(&said, &mut wrong);
        self.judge_frames(&said, &clips, &mut row, &mut wrong);
        self.judge_damage(&said, &clips, &mut row, &mut wrong);
        self.judge_times(&said, &clips, &mut row, &mut wrong);
        self.judge_sound(&said, &clips, &mut row, &mut wrong);
        let mut wrong = wrong.into_lines();
        if !wrong.is_empty() {
            wrong.push(format!("once more: REELFS_SCRIPT='{}'", said.script()));
        }
        Verdict { row, wrong }
    }

    /// The clips with their frames, each of which must have been sent.
    fn read(&self, said: &Said, wrong: &mut Complaints) -> Vec<Clip> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/framecheck.py");
        let mut clips = Vec::new();
        for path in &self.clips {
            let (start, end) = (attribute_time(path, "start"), attribute_time(path, "end"));
            let damaged =
                optional_attribute(path, "damaged").map_or(0, |it| it.parse().expect("a number"));
            let mut clip = Clip { path: path.clone(), start, end, damaged, frames: Vec::new() };
            for line in run_tool("/usr/bin/python3", &[script, text(path)]).lines() {
                let line: Value = serde_json::from_str(line).expect("JSON");
                let told = start + (line["t"].as_f64().expect("a time") * 1e9).round() as i64;
                let picture = words(&line, "picture");
                let found = line["frame"].as_u64().or_else(|| said.nearest(&picture, told));
                let Some((number, sent)) = found.and_then(|it| Some((it, said.frames.get(&it)?)))
                else {
                    wrong.say("a frame that was never sent", || {
                        format!("{}: {line}", path.display())
                    });
                    continue;
                };
                if words(&line, "md5") != sent.md5 {
                    let is_picture = self.has_groups && picture == sent.picture;
                    let is_whole = sent.lost == 0 && !sent.is_excused;
                    if !is_picture || is_whole || sent.lost_slices > 0 {
                        wrong.say("a frame that is another one than was sent", || {
                            let lost = (sent.lost, sent.lost_slices);
                            format!("{number} in {}, packets lost: {lost:?}", path.display())
                        });
                    }
                }
                clip.frames.push(Stored { number, told });
            }
            clips.push(clip);
        }
        clips
    }

    /// Nothing was recorded only while the server did not want it.
    fn judge_outages(&self, said: &Said, wrong: &mut Complaints) {
        if let Err(why) = self.server.has_media() {
            wrong.say("the server, not reelfs, failed", || why);
        }
        let mut since = self.ran.0;
        let ends = (self.ran.1, None);
        let sessions = said.sessions.values().filter_map(|it| Some((it.played?, it.closed)));
        let mut refused = Vec::new();
        for (at, fault) in &said.faults {
            if let Some(seconds) = fault.strip_prefix("refuse ") {
                let seconds: f64 = seconds.parse().expect("a number");
                refused.push((*at, (seconds * 1e9) as i64));
            }
        }
        let mut asked = since;
        for (played, closed) in sessions.chain([ends]) {
            let refusals = refused.iter().filter(|(at, _)| (asked - SECOND..played).contains(at));
            // The recorder's waits double while it is refused.
            let explained = RECONNECT_NANOS + 2 * refusals.map(|(_, length)| length).sum::<i64>();
            if played - since > explained {
                wrong.say("there was no session", || {
                    format!("for {} ms, from {since} on", (played - since) / MILLI)
                });
            }
            since = closed.unwrap_or(self.ran.1);
            // The waits go on behind a session that was none to speak of.
            if since - played >= GOOD_NANOS {
                asked = since;
            }
        }
    }

    /// Each frame that went out whole is there, once, and in its place.
    fn judge_frames(&self, said: &Said, clips: &[Clip], row: &mut Row, wrong: &mut Complaints) {
        let mut stored = BTreeSet::new();
        let mut last = None;
        for (clip, frame) in
            clips.iter().flat_map(|clip| clip.frames.iter().map(move |it| (clip, it)))
        {
            if last.is_some_and(|last| last >= frame.number) {
                wrong.say("a frame that is twice, or out of order", || {
                    format!("{} behind {last:?} in {}", frame.number, clip.path.display())
                });
            }
            last = Some(frame.number);
            stored.insert(frame.number);
        }
        let expected = said.expected(self.ran.1);
        for number in expected.difference(&stored) {
            row.missing += 1;
            wrong.say("a frame that went out whole is missing", || {
                let sent = &said.frames[number];
                let around = said.frames.range(number.saturating_sub(2)..number + 3);
                let around: Vec<_> = around.map(|(number, it)| (number, it.key, it.lost)).collect();
                format!(
                    "{number} of session {}, around it: {around:?}, {}",
                    sent.session,
                    fault_before(said, sent.due)
                )
            });
        }
        row.sent = said.frames.len();
        row.whole = expected.len();
        row.recorded = stored.len();
        row.torn_sent = said.frames.values().filter(|sent| sent.lost > 0).count();
        row.torn_stored = stored.iter().filter(|number| said.frames[number].lost > 0).count();
    }

    /// A clip says how many of its frames are damaged, and one with none plays without a word.
    fn judge_damage(&self, said: &Said, clips: &[Clip], row: &mut Row, wrong: &mut Complaints) {
        let stored: BTreeSet<u64> =
            clips.iter().flat_map(|clip| &clip.frames).map(|frame| frame.number).collect();
        let bases = bases(&said.frames, &stored);
        for clip in clips {
            let of = |wanted: Basis| {
                let frames = clip.frames.iter().filter(|frame| bases[&frame.number] == wanted);
                frames.count() as u64
            };
            let (torn, doubtful) =
                if self.has_groups { (of(Basis::Torn), of(Basis::Doubtful)) } else { (0, 0) };
            row.damaged += clip.damaged;
            if !(torn..=torn + doubtful).contains(&clip.damaged) {
                wrong.say("damage that is not told as it is", || {
                    let torn_frames = said.torn(clip, &stored);
                    format!(
                        "{}: {} frames, and {torn} are, {doubtful} may be: {torn_frames}",
                        clip.path.display(),
                        clip.damaged
                    )
                });
            }
            if torn + doubtful == 0 {
                let output = try_tool(
                    "ffmpeg",
                    &[&["-v", "error", "-i", text(&clip.path)][..], &AS_TIMED].concat(),
                );
                let complaint = String::from_utf8_lossy(&output.stderr);
                if !output.status.success() || !complaint.is_empty() {
                    wrong.say("an undamaged clip does not play", || {
                        format!(
                            "{}: {}",
                            clip.path.display(),
                            complaint.chars().take(300).collect::<String>()
                        )
                    });
                }
            }
            let gaps = optional_attribute(&clip.path, "gaps").unwrap_or_default();
            row.gaps += gaps.lines().count();
        }
    }

    /// A frame is told when it was captured, or up to when the server's queue let it go. Behind a
    /// camera's clock that stood still it takes a moment to be known.
    fn judge_times(&self, said: &Said, clips: &[Clip], row: &mut Row, wrong: &mut Complaints) {
        // Frames in a row that are off: numbers, and the largest error.
        let mut off: Vec<(u64, u64, i64)> = Vec::new();
        for frame in clips.iter().flat_map(|clip| &clip.frames) {
            let sent = &said.frames[&frame.number];
            let late = frame.told - sent.due;
            let error = if late < 0 { late } else { (late - said.held(frame.number)).max(0) };
            if error.abs() / MILLI > row.error_millis.abs() {
                row.error_millis = error / MILLI;
                row.error_at = format!("frame {}, {}", frame.number, fault_before(said, sent.due));
            }
            if error.abs() <= TIME_ERROR_NANOS {
                continue;
            }
            match off.last_mut() {
                Some((_, last, worst)) if frame.number - *last <= OFF_APART_MAX => {
                    *last = frame.number;
                    *worst = if error.abs() > worst.abs() { error } else { *worst };
                }
                _ => off.push((frame.number, frame.number, error)),
            }
        }
        for (first, last, worst) in off {
            let [from, to] = [first, last].map(|number| said.frames[&number].due);
            let footage = to - from;
            row.off_seconds += footage as f64 / 1e9;
            let allowed = said.faults.iter().filter_map(|(at, fault)| {
                let kind = fault.split(' ').next()?;
                let most = UNKNOWN_TIMES.iter().find(|(name, _)| *name == kind)?.1;
                (*at..at + UNKNOWN_NANOS).contains(&from).then_some(most)
            });
            if allowed.max().is_none_or(|most| footage > most) {
                wrong.say("times that are off", || {
                    let [worst, footage] = [worst, footage].map(|nanos| nanos / MILLI);
                    let before = fault_before(said, from);
                    let begun = said.sessions[&said.frames[&first].session].begun;
                    let age = (from - begun) / MILLI;
                    format!(
                        "frames {first} to {last}, {footage} ms by {worst} ms, {before}, \
                         {age} ms behind the beginning of a session"
                    )
                });
            }
        }
    }

    /// The sound of a clip is as long as its pictures, and what was sent, and goes on in the next.
    fn judge_sound(&self, said: &Said, clips: &[Clip], row: &mut Row, wrong: &mut Complaints) {
        let (sent, seams) = self.sent_sound();
        let is_seam = |from: usize, to: usize| seams.iter().any(|seam| (from..to).contains(seam));
        let frame = if self.sounds == Sounds::Aac { AAC_FRAME } else { FLAC_FRAME };
        let mut before: Option<(i64, usize)> = None;
        let mut moved = 0;
        for (place, clip) in clips.iter().enumerate() {
            let is_last = clips.get(place + 1).is_none_or(|next| next.start != clip.end);
            // A packet across the end is the next clip's, and all may be off by what nobody hears.
            let allowed = frame + if is_last { PICTURE + SOUND_UNDER_WAY } else { MOVED };
            let pictures = extent(&clip.path, "v:0").expect("pictures");
            let Some(sound) = extent(&clip.path, "a:0") else {
                row.pictures += pictures.1;
                wrong.say("a clip without sound", || clip.path.display().to_string());
                continue;
            };
            row.pictures += pictures.1;
            row.sound += sound.1;
            // Pictures of a session whose way was longer are told later than the sound.
            let is_late = pictures.1 > sound.1 && said.is_behind_seam(clip.end);
            let is_off = (pictures.1 - sound.1).abs() > allowed && !is_late;
            if is_off || sound.0.abs() > 0.001 {
                wrong.say("sound that is not as long as its pictures", || {
                    format!("{}: {sound:?} for {pictures:?}", clip.path.display())
                });
            }
            let stored = self.stored_sound(clip, sound.1);
            let from = before.map_or(0, |(_, end)| end);
            // What was sent may be silent, too.
            let goes_on = sent[from..].starts_with(&stored[..PROBE.min(stored.len())]);
            let zeros = stored.iter().position(|byte| *byte != 0).unwrap_or(stored.len());
            let silence = if goes_on { 0 } else { zeros & !1 };
            let heard = &stored[silence..];
            // A packet that lies across the end of a clip may be in both.
            let shared = if self.sounds == Sounds::Aac { from.min(AAC_BYTES_MAX) } else { 0 };
            let searched = from - shared;
            let Some((skipped, at)) = resume(&sent, &seams, searched, heard) else {
                wrong.say("sound that was never sent", || clip.path.display().to_string());
                continue;
            };
            let (end, holes) = follow(&sent, &seams, at, &heard[skipped..]);
            moved += self.judge_holes(said, clip, holes, is_seam, wrong);
            let is_joined = before.is_some_and(|(end, _)| end == clip.start) && !is_seam(from, at);
            if is_joined && (at > from || silence > 0) {
                wrong.say("sound that is missing between two clips", || {
                    format!(
                        "{} bytes before {}, and {silence} of silence, {}",
                        at.saturating_sub(from),
                        clip.path.display(),
                        fault_before(said, clip.start)
                    )
                });
            }
            before = Some((clip.end, end));
        }
        if f64::from(moved) > 1.0 + row.sound / MOVED_SECONDS {
            wrong.say("sound that is moved too often", || {
                format!("{moved} times in {:.0} s", row.sound)
            });
        }
    }

    /// Where the sound of a clip does not go on as it was sent: it is moved, which is counted, or
    /// goes on behind a seam.
    fn judge_holes(
        &self,
        said: &Said,
        clip: &Clip,
        holes: Vec<Hole>,
        is_seam: impl Fn(usize, usize) -> bool,
        wrong: &mut Complaints,
    ) -> u32 {
        let mut moved = 0;
        for Hole { place, from, missing, zeros } in holes {
            if missing.is_some_and(|missing| is_seam(from, from + missing)) {
                continue;
            }
            let is_moved = match missing {
                Some(0) => zeros <= self.put_in_bytes_max(),
                Some(missing) => zeros == 0 && missing <= self.left_out_bytes_max(),
                None => false,
            };
            if is_moved {
                moved += 1;
                continue;
            }
            let heard = match self.sounds {
                Sounds::Pcm(format) => place as f64 / 2.0 / sample_rate(format),
                Sounds::Aac => 0.0,
            };
            let fault = fault_before(said, clip.start + (heard * 1e9) as i64);
            let clip = clip.path.display();
            wrong.say("sound that becomes another one than was sent", || match missing {
                Some(missing) => {
                    format!("{clip}: at byte {place}: {missing} bytes are {zeros} zeros, {fault}")
                }
                None => format!("{clip}: from byte {place} on, {zeros} zeros first, {fault}"),
            });
        }
        moved
    }

    /// What was sent, one session behind another, and where all but the first begin: each has a
    /// sound of its own. A clip goes on in another session where that follows without a seam.
    fn sent_sound(&self) -> (Vec<u8>, Vec<usize>) {
        let (mut sent, mut seams) = (Vec::new(), Vec::new());
        for payloads in self.server.sound_by_session().into_values() {
            if !sent.is_empty() {
                seams.push(sent.len());
            }
            match self.sounds {
                // A unit each, behind a header of four bytes (RFC 3640, 3.3.6).
                Sounds::Aac => sent.extend(payloads.iter().flat_map(|payload| &payload[4..])),
                Sounds::Pcm(format) => {
                    let folder = tempfile::tempdir().expect("a folder");
                    let file = folder.path().join("sent");
                    std::fs::write(&file, payloads.concat()).expect("it is written");
                    sent.extend(samples(format, &file).into_iter().flat_map(i16::to_le_bytes));
                }
            }
        }
        (sent, seams)
    }

    /// The sound of a clip that is so many seconds long. Where a clip ended earlier than was known
    /// when its sound was written, ffmpeg decodes all of the last frame.
    fn stored_sound(&self, clip: &Clip, seconds: f64) -> Vec<u8> {
        match self.sounds {
            Sounds::Aac => {
                let mut stored = packets(&clip.path);
                while let Some(at) = position(&stored, &SILENT_UNIT) {
                    stored[at..at + SILENT_UNIT.len()].fill(0);
                }
                stored
            }
            Sounds::Pcm(format) => {
                let heard = samples(&[], &clip.path).into_iter();
                let count = (seconds * sample_rate(format)).round() as usize;
                heard.take(count).flat_map(i16::to_le_bytes).collect()
            }
        }
    }

    /// So many bytes of silence move sound by as much as it may be off.
    fn put_in_bytes_max(&self) -> usize {
        match self.sounds {
            Sounds::Aac => SILENT_UNIT.len(),
            Sounds::Pcm(format) => (2.0 * MOVED * sample_rate(format)) as usize,
        }
    }

    /// So many bytes that are left out do.
    fn left_out_bytes_max(&self) -> usize {
        match self.sounds {
            Sounds::Aac => AAC_BYTES_MAX,
            Sounds::Pcm(_) => self.put_in_bytes_max(),
        }
    }
}

fn sample_rate(format: &[&str]) -> f64 {
    let rate = format.iter().skip_while(|it| **it != "-ar").nth(1).expect("a rate");
    rate.parse().expect("a number")
}

/// Of each frame that is stored, whether what it is built on is there.
fn bases(frames: &BTreeMap<u64, Sent>, stored: &BTreeSet<u64>) -> HashMap<u64, Basis> {
    let mut bases = HashMap::new();
    let mut basis = Basis::Whole;
    let mut last = None;
    for (number, sent) in frames {
        let is_stored = stored.contains(number);
        let before = last.replace((sent.session, *number));
        let is_new = before.is_none_or(|(session, _)| session != sent.session);
        if is_new || (sent.key && sent.lost == 0) {
            basis = Basis::Whole;
        } else if basis == Basis::Whole && before != Some((sent.session, number - 1)) {
            // The camera left frames out: a decoder may miss them.
            basis = Basis::Doubtful;
        }
        if sent.is_excused && basis == Basis::Whole {
            basis = Basis::Doubtful;
        }
        if sent.lost > 0 {
            // What is stored is right: it lost only what stands around its picture, or came whole
            // to another session that was there at that time.
            basis = if is_stored && (sent.key || basis != Basis::Torn) {
                Basis::Doubtful
            } else {
                Basis::Torn
            };
        }
        if is_stored {
            bases.insert(*number, basis);
        }
    }
    bases
}

/// A moment, in milliseconds since 1970, and the last command before, in words.
fn fault_before(said: &Said, at: i64) -> String {
    let now = at / MILLI;
    match said.faults.iter().rfind(|(given, _)| *given <= at) {
        Some((given, fault)) => format!("at {now}, {} ms behind {fault:?}", (at - given) / MILLI),
        None => format!("at {now}, before all faults"),
    }
}

fn optional_attribute(clip: &std::path::Path, name: &str) -> Option<String> {
    let name = format!("user.reelfs.{name}");
    let words = ["--absolute-names", "--only-values", "-n", &name, text(clip)];
    let output = try_tool("getfattr", &words);
    output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
}

/// A place in what is heard behind which something else comes than was sent there.
struct Hole {
    place: usize,
    /// Where that is in what was sent.
    from: usize,
    /// So many bytes that were sent are missing, if it goes on.
    missing: Option<usize>,
    /// So many are there instead.
    zeros: usize,
}

/// Follows what is heard from a place in what was sent on. Answers where that ends, and the holes.
fn follow(sent: &[u8], seams: &[usize], at: usize, heard: &[u8]) -> (usize, Vec<Hole>) {
    let (mut end, mut place, mut holes) = (at, 0, Vec::new());
    loop {
        let pairs = sent[end..].iter().zip(&heard[place..]);
        let same = pairs.take_while(|(sent, heard)| sent == heard).count();
        (end, place) = (end + same, place + same);
        if place == heard.len() {
            return (end, holes);
        }
        let zeros = heard[place..].iter().take_while(|byte| **byte == 0).count();
        let found = resume(sent, seams, end, &heard[place + zeros..]);
        let missing = found.map(|(_, at)| at - end);
        holes.push(Hole { place, from: end, missing, zeros });
        let Some((skipped, at)) = found else { return (end, holes) };
        (end, place) = (at, place + zeros + skipped);
    }
}

/// Where what is heard goes on in what was sent, behind a place. Its first bytes may be of the
/// session before and too few to be found; answers how many are, too.
fn resume(sent: &[u8], seams: &[usize], from: usize, heard: &[u8]) -> Option<(usize, usize)> {
    let probe = |skipped: usize| &heard[skipped..(skipped + PROBE).min(heard.len())];
    if let Some(at) = position(&sent[from..], probe(0)) {
        return Some((0, from + at));
    }
    let behind = seams.iter().copied().filter(|seam| *seam >= from);
    let mut places = behind.flat_map(|seam| (0..PROBE.min(heard.len())).map(move |it| (seam, it)));
    places.find_map(|(seam, skipped)| {
        let begins = &sent[seam..(seam + SEAM_BYTES).min(sent.len())];
        position(begins, probe(skipped)).map(|at| (skipped, seam + at))
    })
}

/// Where a part of something is in all of it.
fn position(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len().max(1)).position(|window| window == part)
}
