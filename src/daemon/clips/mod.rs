//! Clips that somebody asks to be kept, released, removed or restored, by their paths or by the
//! time of a camera.

mod keep;

use std::path::Path;
use std::time::Duration;

pub(super) use keep::Closing;

use super::reporter::Reporter;
use super::views::{View, Views};
use super::{Store, locked};
use crate::catalogue::Clip;
use crate::cli::quantity::size_text;
use crate::clock::Stopwatch;
use crate::control::{Answer, ClipsAsk, Verb};
use crate::library::{Footage, LibraryError, RingLibrary};
use crate::named::{Form, Named, parse_until};
use crate::ring::{ClipState, Refusal};
use crate::segment::StreamFact;
use crate::units::{ByteCount, ClipKey, Counted, WallTime};
use crate::view::{
    CLIP_SUFFIX, NOW_NAME, NodeKind, RANGE_NAME, ROOT, Tree, growing_name, ranges_name, utc_second,
};
use crate::zone::Zone;

/// A ring that is asked for too much at once is given so much time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before it is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// Clips that are meant, as they are shown: each once.
#[derive(Debug, Default)]
struct Chosen {
    listed: Vec<ClipKey>,
    removed: Vec<ClipKey>,
    /// What is meant that grows, with whose it is.
    growing: Vec<(String, ClipKey)>,
}

/// What becomes of what is asked for.
pub(super) enum Begun {
    /// It is done, or not.
    Answered(Answer),
    /// Clips have to end before.
    Closing(Closing),
}

/// Who looks for them.
struct Search<'s> {
    view: &'s View,
    library: &'s RingLibrary,
    zone: Zone,
    store: &'s Store,
}

/// Does what is asked for, or says what would be done. What is to be kept and grows is ended, which
/// takes until its next key frame and the flush behind that.
pub(super) fn carry_out(
    ask: &ClipsAsk,
    reporter: &Reporter,
    views: &Views,
    store: &Store,
) -> Begun {
    let begun = Search::new(ask, views, store).and_then(|search| {
        let chosen = search.choose(ask)?;
        let until = search.until(ask)?;
        if ask.verb == Verb::Keep && !ask.dry_run && !chosen.growing.is_empty() {
            let now = search.library.now();
            chosen.growing.iter().for_each(|(camera, _)| reporter.end_clip(camera, now));
            return Ok(Begun::Closing(Closing::new(chosen)));
        }
        Ok(Begun::Answered(match ask.verb {
            Verb::Keep => search.keep(&chosen, until, ask.dry_run),
            Verb::Unkeep => search.release(&chosen.listed, ask.dry_run),
            Verb::Rm => search.remove(chosen, ask.dry_run),
            Verb::Restore => search.restore(&chosen.removed, ask.dry_run),
        }))
    });
    begun.unwrap_or_else(|why| Begun::Answered(Err(why).into()))
}

impl<'s> Search<'s> {
    fn new(ask: &ClipsAsk, views: &'s Views, store: &'s Store) -> Result<Search<'s>, String> {
        let mount = ask.mount.as_deref();
        let Some(view) = views.at(mount) else {
            let mount = mount.unwrap_or(Path::new("")).display();
            return Err(format!("no view is mounted at {mount}; there are {}", views.places()));
        };
        // A camera's time is asked for through no view, unless one is named.
        if view.is_read_only() && (mount.is_some() || !ask.paths.is_empty()) {
            return Err(format!("{}: the view is read-only", view.path.display()));
        }
        Ok(Search { view, library: &views.library, zone: view.zone(), store })
    }

    /// Until when clips are to be kept; `None`: for ever.
    fn until(&self, ask: &ClipsAsk) -> Result<Option<WallTime>, String> {
        match (&ask.until, ask.verb) {
            (None, _) => Ok(None),
            (Some(text), Verb::Keep) => {
                parse_until(text, &self.zone, self.library.now()).map_err(|error| error.to_string())
            }
            (Some(_), _) => Err("only what is kept has an end".to_owned()),
        }
    }

    fn choose(&self, ask: &ClipsAsk) -> Result<Chosen, String> {
        let mut chosen = Chosen::default();
        for path in &ask.paths {
            self.add_path(path, &mut chosen).map_err(|why| format!("{path}: {why}"))?;
        }
        if let Some(span) = &ask.span {
            let (from, to) = span.times()?;
            let catalogue = locked(&self.store.catalogue);
            let is_shown = ask.mount.is_none() || self.view.cameras.has(&span.camera);
            let was_it = |fact: &StreamFact| fact.names.iter().any(|it| it.name == span.camera);
            if !is_shown || !catalogue.streams().any(|(_, fact)| was_it(fact)) {
                return Err(format!("{:?} is no camera that has footage", span.camera));
            }
            drop(catalogue);
            self.add_span(&span.camera, (from, to), &mut chosen);
        }
        for clips in [&mut chosen.listed, &mut chosen.removed] {
            clips.sort_unstable();
            clips.dedup();
        }
        if ask.paths.is_empty() && ask.span.is_none() {
            return Err("neither a path nor a camera is named".to_owned());
        }
        Ok(chosen)
    }

    fn add_path(&self, path: &str, chosen: &mut Chosen) -> Result<(), String> {
        let names: Vec<&str> = path.split('/').filter(|name| !["", "."].contains(name)).collect();
        match names.as_slice() {
            [NOW_NAME, name] => {
                let mut cameras = self.view.library.growing_cameras().into_iter();
                let camera = cameras.find(|camera| growing_name(camera) == **name);
                let camera = camera.ok_or("nothing that grows is there")?;
                self.add_growing(&locked(&self.store.catalogue), &camera, None, chosen);
                Ok(())
            }
            [RANGE_NAME, camera, name] => {
                let cameras = self.view.library.cameras();
                let camera = cameras.into_iter().find(|known| ranges_name(known) == **camera);
                let camera = camera.ok_or("there is no such camera")?;
                let named = Named::parse(name, &self.zone, self.library.now());
                for range in named.map_err(|error| error.to_string())?.ranges {
                    self.add_span(&camera, (range.start, range.end), chosen);
                }
                Ok(())
            }
            names => add_names(&self.view.shown.tree(), names, chosen),
        }
    }

    fn add_span(&self, camera: &str, (from, to): (WallTime, WallTime), chosen: &mut Chosen) {
        let catalogue = locked(&self.store.catalogue);
        let meant = |clip: &&Clip| {
            clip.fact.start < to && clip.fact.end > from && catalogue.camera_of(clip) == camera
        };
        for clip in catalogue.clips().filter(meant) {
            match clip.state {
                state if state.is_listed() => chosen.listed.push(clip.key),
                state if state.is_in_trash() => chosen.removed.push(clip.key),
                _ => {}
            }
        }
        self.add_growing(&catalogue, camera, Some(to), chosen);
    }

    fn release(&self, clips: &[ClipKey], dry_run: bool) -> Answer {
        let kept: Vec<ClipKey> = clips.iter().copied().filter(|clip| self.is_kept(*clip)).collect();
        if kept.is_empty() {
            return nothing(clips.len(), "not kept");
        }
        if dry_run {
            return self.would_be("released", &kept);
        }
        let released = self.view.shown.release(&kept, self.library);
        let released = released.map_err(|error| error.to_string());
        released.map(|_| vec![format!("released {}", self.sum(&kept))]).into()
    }

    /// What is in the trash goes for good where it was meant by its path there; a span does not
    /// mean it.
    fn remove(&self, chosen: Chosen, dry_run: bool) -> Answer {
        let is_listed = !chosen.listed.is_empty();
        let (clips, verb, how) = match is_listed {
            true => (chosen.listed, "removed", ""),
            false => (chosen.removed, "removed", " for good"),
        };
        if clips.is_empty() {
            return nothing(0, "");
        }
        let (kept, others): (Vec<_>, Vec<_>) =
            clips.into_iter().partition(|clip| self.is_kept(*clip));
        let stay =
            (!kept.is_empty()).then(|| format!("not removed, because kept: {}", self.sum(&kept)));
        if dry_run {
            let mut answer = self.would_be(&format!("{verb}{how}"), &others);
            answer.error = stay;
            return answer;
        }
        let (shown, library) = (&self.view.shown, self.library);
        let answer = self.each(&others, &format!("{verb} {{}}{how}"), |clip| match is_listed {
            true => shown.remove(clip, library),
            false => shown.purge(clip, library),
        });
        Answer { error: answer.error.or(stay), ..answer }
    }

    fn restore(&self, clips: &[ClipKey], dry_run: bool) -> Answer {
        if clips.is_empty() {
            return nothing(0, "");
        }
        if dry_run {
            return self.would_be("restored", clips);
        }
        let (shown, library) = (&self.view.shown, self.library);
        self.each(clips, "restored {}", |clip| shown.restore(clip, library))
    }

    /// Does something to each, until the ring refuses for a reason that is not the clip's own.
    fn each(
        &self,
        clips: &[ClipKey],
        told: &str,
        change: impl Fn(ClipKey) -> Result<(), LibraryError>,
    ) -> Answer {
        let begun = Stopwatch::start();
        let sum = |clips: &[ClipKey]| told.replace("{}", &self.sum(clips));
        // Beforehand: what is gone has no size.
        let all = sum(clips);
        let (mut done, mut error) = (0, None);
        for &clip in clips {
            let mut outcome = change(clip);
            while outcome == Err(LibraryError::Busy) && begun.elapsed() < PATIENCE {
                std::thread::sleep(PAUSE);
                outcome = change(clip);
            }
            match outcome {
                // It has become what was wanted, or somebody else was faster.
                Ok(()) | Err(LibraryError::Gone) => done += 1,
                Err(LibraryError::Refused(refusal)) => {
                    error = error.or(Some(refused(refusal)));
                }
                Err(why) => {
                    error = Some(why.to_string());
                    break;
                }
            }
        }
        let lines = match done {
            0 => Vec::new(),
            _ if done == clips.len() => vec![all],
            _ => vec![sum(&clips[..done])],
        };
        Answer { done: lines, error, ..Answer::default() }
    }

    fn is_kept(&self, clip: ClipKey) -> bool {
        self.store.writer.state_asked(clip.clip()).is_some_and(ClipState::is_kept)
    }

    /// A line for each, and their sum.
    fn would_be(&self, verb: &str, clips: &[ClipKey]) -> Answer {
        let catalogue = locked(&self.store.catalogue);
        let line = |clip: &Clip| {
            let (camera, start) = (catalogue.camera_of(clip), utc_second(clip.fact.start));
            format!(
                "would be {verb}: {camera}, the clip from {start}, {}",
                size_text(clip.used.bytes)
            )
        };
        let known = clips.iter().filter_map(|clip| catalogue.clip(*clip));
        let mut done: Vec<String> = known.map(line).collect();
        drop(catalogue);
        done.push(format!("{} would be {verb}", self.sum(clips)));
        Ok(done).into()
    }

    /// How many clips, and how large: `12 clips, 1.76 GiB`.
    fn sum(&self, clips: &[ClipKey]) -> String {
        let catalogue = locked(&self.store.catalogue);
        let used =
            clips.iter().filter_map(|clip| catalogue.clip(*clip)).map(|clip| clip.used.bytes.0);
        let bytes = ByteCount(used.sum());
        format!("{}, {}", Counted(clips.len() as u64, "clip"), size_text(bytes))
    }
}

/// Adds what is at a path of the tree.
fn add_names(tree: &Tree, names: &[&str], chosen: &mut Chosen) -> Result<(), String> {
    let mut parent = ROOT;
    let mut found = tree.node(ROOT);
    for (number, name) in names.iter().enumerate() {
        parent = found.map_or(parent, |node| node.inode);
        let is_last = number + 1 == names.len();
        let of_another_kind = || {
            let (stem, _) = Form::of_clip(name).filter(|_| is_last)?;
            tree.lookup(parent, &format!("{stem}{CLIP_SUFFIX}"))
        };
        let node = tree.lookup(parent, name).or_else(of_another_kind);
        found = Some(node.ok_or("no clip and no directory of clips is there")?);
    }
    let node = found.ok_or("it is not there")?;
    let (clips, is_trash) = match node.kind {
        NodeKind::Clip { clip, .. } => (vec![clip], tree.is_trash(parent)),
        NodeKind::Directory { .. } => (tree.clips_below(node.inode), tree.is_trash(node.inode)),
    };
    let list = if is_trash { &mut chosen.removed } else { &mut chosen.listed };
    list.extend(clips);
    Ok(())
}

fn refused(refusal: Refusal) -> String {
    format!("not all: {refusal}")
}

/// Nothing is to be done: none is meant, or those that are meant are something else.
fn nothing(count: usize, what: &str) -> Answer {
    Err(match count {
        0 => "there is no such clip".to_owned(),
        count => format!("{}: {what}", Counted(count as u64, "clip")),
    })
    .into()
}
