//! Which pieces of which clips a range consists of, and what is between them. Pure.

use std::ops::Range;
use std::sync::Arc;

use crate::compilation::Cut;
use crate::named::Gaps;
use crate::segment::{ClipFact, TrackKind, TrackTotals};
use crate::units::{Ticks, WallTime};

/// Time without footage that is a gap: what is shorter, the last picture lasts.
const GAP_NANOS_MIN: i64 = 100_000_000;
/// Two clips show the same time where they overlap by more; ticks may not say when a clip ends.
const OVERLAP_NANOS_MIN: i64 = 1_000_000;
/// Sound that goes on behind the pictures for longer is cut off.
const SOUND_NANOS_MAX: i64 = 100_000_000;

/// A clip that a range has a piece of.
pub(super) struct Planned {
    /// The how-manieth.
    pub clip: usize,
    /// What of its time, where that is not all.
    pub times: Option<Range<WallTime>>,
}

/// What a range consists of.
#[derive(Default)]
pub(super) struct Plan {
    /// In the order of time.
    pub pieces: Vec<Planned>,
    /// Times of clips in it that others show.
    pub covered: Vec<Range<WallTime>>,
}

/// Which pieces a range has, of clips in the order of their beginnings. Where several show the same
/// time, the one that begins last does, and where it ends, the others go on.
pub(super) fn plan(clips: &[&ClipFact], range: &Range<WallTime>) -> Plan {
    let ends: Vec<WallTime> = (0..clips.len()).map(|clip| end_of(clips, clip)).collect();
    let mut edges: Vec<WallTime> =
        clips.iter().map(|fact| fact.start).chain(ends.clone()).collect();
    edges.extend([range.start, range.end]);
    edges.retain(|edge| (range.start..=range.end).contains(edge));
    edges.sort_unstable();
    edges.dedup();
    let mut plan = Plan::default();
    let (mut next, mut active) = (0, Vec::<usize>::new());
    let mut pieces: Vec<(usize, Range<WallTime>)> = Vec::new();
    for pair in edges.windows(2) {
        let times = pair[0]..pair[1];
        while clips.get(next).is_some_and(|fact| fact.start <= times.start) {
            active.push(next);
            next += 1;
        }
        active.retain(|clip| ends[*clip] > times.start);
        let Some((shown, covered)) = active.split_last() else { continue };
        for _ in covered {
            match plan.covered.last_mut() {
                Some(last) if last.end == times.start => last.end = times.end,
                _ => plan.covered.push(times.clone()),
            }
        }
        match pieces.last_mut() {
            Some((last, own)) if last == shown && own.end == times.start => own.end = times.end,
            _ => pieces.push((*shown, times)),
        }
    }
    plan.pieces = pieces
        .into_iter()
        .map(|(clip, times)| {
            let fact = clips[clip];
            let is_whole = times == (fact.start..ends[clip]) && !has_more_sound(fact);
            Planned { clip, times: (!is_whole).then_some(times) }
        })
        .collect();
    plan
}

/// When a clip ends: with the next one, where ticks can't say it as exactly.
fn end_of(clips: &[&ClipFact], clip: usize) -> WallTime {
    let end = clips[clip].end;
    let next = clips.get(clip + 1).map_or(end, |next| next.start.max(clips[clip].start));
    if (1..=OVERLAP_NANOS_MIN).contains(&end.nanos_since(next)) { next } else { end }
}

/// Whether sound begins long before the pictures, or goes on long behind them.
fn has_more_sound(fact: &ClipFact) -> bool {
    let length = fact.end.nanos_since(fact.start);
    let is_more = |track: &TrackTotals| {
        let nanos = |ticks: Ticks| ticks.to_nanos(track.timescale);
        nanos(track.start) < -SOUND_NANOS_MAX
            || nanos(track.end).saturating_sub(length) > SOUND_NANOS_MAX
    };
    fact.tracks.iter().filter(|track| track.kind == TrackKind::Audio).any(is_more)
}

/// A piece of a clip, or all of it.
pub(super) struct Piece {
    /// Which of the clips.
    pub clip: usize,
    pub cut: Option<Arc<Cut>>,
    /// From when its first picture is shown, until when its last one is.
    pub shown: Range<WallTime>,
    /// The clip begins before the piece does: what is in front of its first picture is no gap.
    pub is_begun: bool,
}

impl Piece {
    /// A piece with which its clip begins.
    pub(super) fn of(clip: usize, fact: &ClipFact, cut: Cut) -> Piece {
        let shown = cut.start(fact)..cut.end(fact);
        Piece { clip, cut: Some(Arc::new(cut)), shown, is_begun: false }
    }
}

/// What stands in the file.
pub(super) enum Step {
    Clip(Piece),
    /// Nothing, shown as such, for so many nanoseconds.
    Blank(i64),
    /// Nothing, and the last picture lasts; also for less than none.
    Held(i64),
}

impl Step {
    /// How long it lasts in the file, in nanoseconds.
    pub(super) fn length_nanos(&self) -> i64 {
        match self {
            Step::Clip(piece) => piece.shown.end.nanos_since(piece.shown.start),
            Step::Blank(nanos) | Step::Held(nanos) => *nanos,
        }
    }
}

/// A range as it stands in the file.
pub(super) struct Assembled {
    pub steps: Vec<Step>,
    /// When nothing was recorded.
    pub gaps: Vec<Range<WallTime>>,
    /// From when to when it goes; `None` where nothing is in it.
    pub shown: Option<Range<WallTime>>,
}

/// Puts the pieces of a range together, with what is between them.
pub(super) fn assemble(
    pieces: Vec<Piece>,
    range: &Range<WallTime>,
    gaps: Gaps,
    shows_gaps: bool,
) -> Assembled {
    let mut all = Assembled { steps: Vec::new(), gaps: Vec::new(), shown: None };
    let mut until = range.start;
    for piece in pieces {
        match (piece.is_begun, &all.shown) {
            (true, None) => {}
            (true, Some(_)) => all.hold(until..piece.shown.start),
            (false, _) => all.add_gap(until..piece.shown.start, gaps, shows_gaps),
        }
        let begin = all.shown.take().map_or(piece.shown.start, |shown| shown.start);
        until = piece.shown.end;
        all.shown = Some(begin..until);
        all.steps.push(Step::Clip(piece));
    }
    let end = range.end;
    if end.nanos_since(until) > GAP_NANOS_MIN {
        all.add_gap(until..end, gaps, shows_gaps);
    }
    all
}

impl Assembled {
    fn hold(&mut self, times: Range<WallTime>) {
        let nanos = times.end.nanos_since(times.start);
        self.steps.extend((nanos != 0).then_some(Step::Held(nanos)));
    }

    fn add_gap(&mut self, gap: Range<WallTime>, gaps: Gaps, shows_gaps: bool) {
        let nanos = gap.end.nanos_since(gap.start);
        let is_gap = nanos > GAP_NANOS_MIN;
        if is_gap {
            self.gaps.push(gap.clone());
        }
        let begin = self.shown.as_ref().map(|shown| shown.start);
        let step = match begin {
            _ if nanos == 0 || is_gap && gaps == Gaps::LeftOut => return,
            _ if is_gap && shows_gaps => Step::Blank(nanos),
            // There is no picture yet that could last.
            None => return,
            Some(_) => Step::Held(nanos),
        };
        self.steps.push(step);
        self.shown = Some(begin.unwrap_or(gap.start)..gap.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::ClockQuality;
    use crate::units::NANOS_PER_SECOND;

    fn at(seconds: f64) -> WallTime {
        WallTime((seconds * NANOS_PER_SECOND as f64) as i64)
    }

    fn seconds(time: WallTime) -> f64 {
        time.0 as f64 / NANOS_PER_SECOND as f64
    }

    fn clip(from: f64, to: f64) -> ClipFact {
        ClipFact::between(at(from), at(to), ClockQuality::Synchronised)
    }

    /// Which pieces, in seconds; all of a clip is told by its number alone.
    fn planned(clips: &[(f64, f64)], range: (f64, f64)) -> Vec<(usize, Option<(f64, f64)>)> {
        let facts: Vec<ClipFact> = clips.iter().map(|(from, to)| clip(*from, *to)).collect();
        let facts: Vec<&ClipFact> = facts.iter().collect();
        let pieces = plan(&facts, &(at(range.0)..at(range.1))).pieces;
        let times = |times: Range<WallTime>| (seconds(times.start), seconds(times.end));
        pieces.into_iter().map(|piece| (piece.clip, piece.times.map(times))).collect()
    }

    #[test]
    fn what_is_whole_is_taken_whole_and_ends_are_cut() {
        let clips = [(0.0, 10.0), (10.0, 20.0), (30.0, 40.0)];
        assert_eq!(planned(&clips, (0.0, 40.0)), [(0, None), (1, None), (2, None)]);
        let cut = [(0, Some((5.0, 10.0))), (1, None), (2, Some((30.0, 32.0)))];
        assert_eq!(planned(&clips, (5.0, 32.0)), cut);
        assert_eq!(planned(&clips, (11.0, 12.0)), [(1, Some((11.0, 12.0)))]);
        assert_eq!(planned(&clips, (20.0, 30.0)), [], "nothing was recorded then");
    }

    #[test]
    fn of_two_that_show_one_time_the_later_one_does() {
        let put_back = [(0.0, 10.0), (7.0, 20.0)];
        assert_eq!(planned(&put_back, (0.0, 20.0)), [(0, Some((0.0, 7.0))), (1, None)]);
        // What ticks can't say is no overlap.
        let rounded = [(0.0, 10.000_000_4), (10.0, 20.0)];
        assert_eq!(planned(&rounded, (0.0, 20.0)), [(0, None), (1, None)]);
        // Behind one that lies within the other that goes on.
        let within = [(0.0, 10.0), (3.0, 5.0)];
        let pieces = [(0, Some((0.0, 3.0))), (1, None), (0, Some((5.0, 10.0)))];
        assert_eq!(planned(&within, (0.0, 10.0)), pieces);
        assert_eq!(planned(&within, (4.0, 6.0)), [(1, Some((4.0, 5.0))), (0, Some((5.0, 6.0)))]);
        let at_once = [(0.0, 10.0), (0.0, 4.0)];
        assert_eq!(planned(&at_once, (0.0, 10.0)), [(1, None), (0, Some((4.0, 10.0)))]);
        let facts = within.map(|(from, to)| clip(from, to));
        let covered = plan(&facts.each_ref(), &(at(0.0)..at(4.5))).covered;
        assert_eq!(covered, [at(3.0)..at(4.5)]);
    }

    type Times = (f64, f64);

    /// The steps of pieces without cuts: a clip is `c`, a blank `b` and a picture that stays `h`,
    /// each with its seconds; then the gaps, and what is shown.
    fn assembled(
        pieces: &[Times],
        gaps: Gaps,
        shows_gaps: bool,
    ) -> (Vec<(char, f64)>, Vec<Times>, Option<Times>) {
        let piece = |(from, to): &(f64, f64)| Piece {
            clip: 0,
            cut: None,
            shown: at(*from)..at(*to),
            is_begun: false,
        };
        let pieces = pieces.iter().map(piece).collect();
        let all = assemble(pieces, &(at(0.0)..at(60.0)), gaps, shows_gaps);
        let of = |times: &Range<WallTime>| (seconds(times.start), seconds(times.end));
        let step = |step: &Step| match step {
            Step::Clip(piece) => ('c', seconds(piece.shown.end) - seconds(piece.shown.start)),
            Step::Blank(nanos) => ('b', seconds(WallTime(*nanos))),
            Step::Held(nanos) => ('h', seconds(WallTime(*nanos))),
        };
        let gaps = all.gaps.iter().map(of).collect();
        (all.steps.iter().map(step).collect(), gaps, all.shown.as_ref().map(of))
    }

    #[test]
    fn gaps_are_shown_held_or_left_out_and_told_of_in_any_case() {
        let pieces = [(5.0, 20.0), (20.0, 30.0), (40.0, 50.0)];
        let gaps = vec![(0.0, 5.0), (30.0, 40.0), (50.0, 60.0)];
        let (steps, told, shown) = assembled(&pieces, Gaps::Shown, true);
        let all = [('b', 5.0), ('c', 15.0), ('c', 10.0), ('b', 10.0), ('c', 10.0), ('b', 10.0)];
        assert_eq!((steps, &told, shown), (all.to_vec(), &gaps, Some((0.0, 60.0))));
        // Nothing is shown before the first picture where no grey can be.
        let (steps, told, shown) = assembled(&pieces, Gaps::Held, false);
        let held = [('c', 15.0), ('c', 10.0), ('h', 10.0), ('c', 10.0), ('h', 10.0)];
        assert_eq!((steps, &told, shown), (held.to_vec(), &gaps, Some((5.0, 60.0))));
        let (steps, told, shown) = assembled(&pieces, Gaps::LeftOut, false);
        let joined = [('c', 15.0), ('c', 10.0), ('c', 10.0)];
        assert_eq!((steps, &told, shown), (joined.to_vec(), &gaps, Some((5.0, 50.0))));
    }

    #[test]
    fn what_is_short_is_no_gap_and_the_picture_lasts() {
        let (steps, gaps, _) = assembled(&[(0.0, 20.0), (20.05, 60.0)], Gaps::Shown, true);
        assert_eq!(gaps, []);
        assert_eq!(steps.iter().map(|step| step.0).collect::<String>(), "chc");
        let nothing = assemble(Vec::new(), &(at(0.0)..at(60.0)), Gaps::Shown, true);
        assert_eq!(nothing.gaps, [at(0.0)..at(60.0)], "of several ranges one may be a gap");
        assert!(matches!(nothing.steps[..], [Step::Blank(_)]));
    }
}
