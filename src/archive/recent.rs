//! What was used lately, as far as there is room for it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things by their keys, each with the memory that it takes; used last first.
pub(super) struct Recent<K, T> {
    kept: Mutex<VecDeque<(K, usize, Arc<T>)>>,
    /// Together, in bytes.
    memory_max: usize,
    /// So many are kept at least, however large they are, and at most.
    counts: RangeInclusive<usize>,
}

impl<K: PartialEq, T> Recent<K, T> {
    pub(super) fn new(memory_max: usize, counts: RangeInclusive<usize>) -> Recent<K, T> {
        Recent { kept: Mutex::default(), memory_max, counts }
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<T>> {
        let mut kept = self.lock();
        let at = kept.iter().position(|(known, ..)| known == key)?;
        let found = kept.remove(at)?;
        let value = found.2.clone();
        kept.push_front(found);
        Some(value)
    }

    /// Keeps one more in place of another with its key, and what there is room for of the others.
    pub(super) fn keep(&self, key: K, memory: usize, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let mut kept = self.lock();
        kept.retain(|(known, ..)| *known != key);
        kept.push_front((key, memory, value.clone()));
        let mut sum = 0;
        let fits = kept.iter().take_while(|(_, memory, _)| {
            sum += memory;
            sum <= self.memory_max
        });
        let count = fits.count().clamp(*self.counts.start(), *self.counts.end());
        kept.truncate(count);
        value
    }

    pub(super) fn forget(&self, key: &K) {
        self.lock().retain(|(known, ..)| known != key);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(K, usize, Arc<T>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_and_the_least_is_kept_however_large() {
        let recent = Recent::new(100, 1..=3);
        ["a", "b", "c"].iter().for_each(|key| drop(recent.keep(*key, 40, ())));
        let kept = || ["a", "b", "c", "d"].map(|key| recent.get(&key).is_some());
        assert_eq!(kept(), [false, true, true, false], "as far as there is room");
        recent.get(&"b");
        recent.keep("d", 50, ());
        assert_eq!(kept(), [false, true, false, true], "c was used before b");
        recent.keep("a", 1000, ());
        assert_eq!(kept(), [true, false, false, false]);
        ["b", "c", "d"].iter().for_each(|key| drop(recent.keep(*key, 1, ())));
        assert_eq!(kept(), [false, true, true, true], "three at most");
        recent.keep("c", 2, ());
        recent.forget(&"c");
        assert_eq!(kept(), [false, true, false, true]);
    }
}
