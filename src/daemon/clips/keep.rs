//! Clips that are kept: also one that grows, which is ended for that.

use super::{Chosen, PATIENCE, Search, nothing};
use crate::catalogue::Catalogue;
use crate::cli::quantity::size_text;
use crate::clock::Stopwatch;
use crate::control::{Answer, ClipsAsk};
use crate::daemon::views::Views;
use crate::daemon::{Store, locked};
use crate::library::{Footage, LibraryError};
use crate::units::{ClipId, ClipKey, WallTime};
use crate::view::utc_second;

/// Clips that are to be kept, of which some grew when that was asked for.
pub(in crate::daemon) struct Closing {
    chosen: Chosen,
    since: Stopwatch,
}

impl Closing {
    pub(super) fn new(chosen: Chosen) -> Closing {
        Closing { chosen, since: Stopwatch::start() }
    }

    /// Keeps them once they have ended, or says which has not; `None` while they may.
    pub(in crate::daemon) fn go_on(
        &mut self,
        ask: &ClipsAsk,
        views: &Views,
        store: &Store,
    ) -> Option<Answer> {
        let Chosen { listed, growing, .. } = &mut self.chosen;
        {
            let catalogue = locked(&store.catalogue);
            growing.retain(|(_, key)| {
                let closed = catalogue.clip(*key);
                listed.extend(closed.filter(|clip| clip.state.is_listed()).map(|clip| clip.key));
                closed.is_none()
            });
        }
        if !growing.is_empty() && self.since.elapsed() < PATIENCE {
            return None;
        }
        let answer = Search::new(ask, views, store).and_then(|search| {
            let until = search.until(ask)?;
            Ok(search.keep(&self.chosen, until, false))
        });
        Some(answer.unwrap_or_else(|why| Err(why).into()))
    }
}

impl Search<'_> {
    /// Adds what grows of a camera, where it began before a time.
    pub(super) fn add_growing(
        &self,
        catalogue: &Catalogue,
        camera: &str,
        before: Option<WallTime>,
        chosen: &mut Chosen,
    ) {
        let growing = catalogue.stream_named(camera).and_then(|it| catalogue.growing_of(it.0));
        if let Some((key, growth)) = growing
            && before.is_none_or(|before| growth.start < before)
            && !chosen.growing.iter().any(|(_, known)| *known == key)
        {
            chosen.growing.push((camera.to_owned(), key));
        }
    }

    /// What still grows is told as an error.
    pub(super) fn keep(&self, chosen: &Chosen, until: Option<WallTime>, dry_run: bool) -> Answer {
        let Chosen { listed: clips, removed, growing } = chosen;
        let grows = |(camera, _): &(String, ClipKey)| match dry_run {
            true => format!("{camera}: the clip that grows would be ended, and kept"),
            false => format!(
                "{camera}: its newest clip is not kept: it grows still, and no key frame has come \
                 for {} s",
                PATIENCE.as_secs()
            ),
        };
        let mut grows: Vec<String> = growing.iter().map(grows).collect();
        if clips.is_empty() {
            return match grows.pop() {
                None => nothing(removed.len(), "removed: restore before you keep"),
                Some(line) if dry_run => Ok(vec![line]).into(),
                Some(line) => Err(line).into(),
            };
        }
        let answer = self.keep_closed(clips, until, dry_run);
        match dry_run {
            true => Answer { done: [grows, answer.done].concat(), ..answer },
            false => Answer { error: answer.error.or(grows.pop()), ..answer },
        }
    }

    fn keep_closed(&self, clips: &[ClipKey], until: Option<WallTime>, dry_run: bool) -> Answer {
        if dry_run {
            let ids: Vec<ClipId> = clips.iter().map(|clip| clip.clip()).collect();
            let (_, after) = self.store.writer.kept_with(&ids);
            let most = self.library.keep_max();
            let mut answer = self.would_be("kept", clips);
            answer.done.push(format!(
                "{} kept then, of {} at most",
                size_text(after),
                size_text(most)
            ));
            answer.error = (after > most).then(|| "that is more than may be kept".to_owned());
            return answer;
        }
        let kept = self.view.shown.keep(clips, until, self.library);
        let until = until.map_or("for ever".to_owned(), |it| format!("until {}", utc_second(it)));
        match kept {
            Ok(_) => Ok(vec![format!("kept {}, {until}", self.sum(clips))]).into(),
            Err(LibraryError::NoRoom { before, after, most }) => {
                let [before, after, most] = [before, after, most].map(size_text);
                Err(format!(
                    "nothing is kept: with it {after} would be, of {most} at most \
                     (ring.keep_max); {before} are"
                ))
                .into()
            }
            Err(error) => Err(error.to_string()).into(),
        }
    }
}
