//! Which of many things are shown. Pure.

use crate::units::WallTime;

/// From when to when something lasted.
pub(super) type Span = (WallTime, WallTime);

/// Which clips, blocks or facts are shown; all of them where nothing is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of the stream that has, or had, this name.
    pub camera: Option<String>,
    /// What ends later than this.
    pub from: Option<WallTime>,
    /// What begins before this.
    pub to: Option<WallTime>,
    /// What is at this time, with so many neighbours on each side.
    pub at: Option<(WallTime, usize)>,
    /// At most so many.
    pub limit: Option<usize>,
    /// So many are left out first.
    pub offset: usize,
    /// Newest first.
    pub newest: bool,
}

impl Selection {
    /// Whether only what has a time can be meant.
    pub(super) fn by_time(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.at.is_some()
    }

    /// The selected part of `items`, which come oldest first. `limit` holds where none is set.
    pub(super) fn of<T>(
        &self,
        mut items: Vec<T>,
        span: impl Fn(&T) -> Option<Span>,
        limit: Option<usize>,
    ) -> Vec<T> {
        if self.by_time() {
            items.retain(|item| span(item).is_some_and(|span| self.overlaps(span)));
        }
        if let Some((time, neighbours)) = self.at {
            items.sort_by_key(|item| span(item).map(|(start, _)| start));
            around(&mut items, &span, time, neighbours);
        }
        if self.newest {
            items.reverse();
        }
        let limit = self.limit.or(limit).unwrap_or(usize::MAX);
        items.into_iter().skip(self.offset).take(limit).collect()
    }

    pub(super) fn overlaps(&self, (start, end): Span) -> bool {
        self.from.is_none_or(|from| end > from) && self.to.is_none_or(|to| start < to)
    }
}

/// Keeps what is at `time`, or the last that began before it, and its neighbours.
fn around<T>(
    items: &mut Vec<T>,
    span: impl Fn(&T) -> Option<Span>,
    time: WallTime,
    neighbours: usize,
) {
    let began = items.partition_point(|item| span(item).is_some_and(|(start, _)| start <= time));
    let covers = |item: &T| span(item).is_some_and(|(_, end)| end > time);
    let at = items[..began].iter().rposition(covers).unwrap_or(began.saturating_sub(1));
    items.truncate(at.saturating_add(neighbours).saturating_add(1));
    items.drain(..at.saturating_sub(neighbours).min(items.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(selection: &Selection) -> Vec<i64> {
        let items: Vec<i64> = (0..10).map(|number| number * 10).collect();
        let span = |start: &i64| Some((WallTime(*start), WallTime(*start + 10)));
        selection.of(items, span, Some(5))
    }

    #[test]
    fn a_page_is_cut_from_either_end() {
        let all = Selection::default();
        assert_eq!(selected(&all), [0, 10, 20, 30, 40]);
        assert_eq!(selected(&Selection { offset: 8, ..all.clone() }), [80, 90]);
        let newest = Selection { newest: true, limit: Some(2), offset: 1, ..all };
        assert_eq!(selected(&newest), [80, 70]);
    }

    #[test]
    fn what_touches_the_times_is_shown() {
        let times = |from, to| Selection {
            from: Some(WallTime(from)),
            to: Some(WallTime(to)),
            ..Selection::default()
        };
        assert_eq!(selected(&times(25, 41)), [20, 30, 40]);
        assert_eq!(selected(&times(30, 40)), [30]);
    }

    #[test]
    fn neighbours_stand_on_both_sides_as_far_as_there_are_any() {
        let at = |time, neighbours| Selection {
            at: Some((WallTime(time), neighbours)),
            ..Selection::default()
        };
        assert_eq!(selected(&at(45, 1)), [30, 40, 50]);
        assert_eq!(selected(&at(5, 2)), [0, 10, 20]);
        assert_eq!(selected(&at(95, 1)), [80, 90]);
        assert_eq!(selected(&at(500, 0)), [90]);
        assert_eq!(selected(&at(-5, 0)), [0]);
    }
}
