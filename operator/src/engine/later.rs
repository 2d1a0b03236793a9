//! Work of a later time: what waits because something better may be there to say by then, and what is due by a schedule.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Instant,
};

/// Keys in the order in which they are due, each once.
#[derive(Debug)]
pub(super) struct Later<K> {
    order: BTreeSet<(Instant, K)>,
    times: HashMap<K, Instant>,
}

impl<K> Default for Later<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), times: HashMap::new() }
    }
}

impl<K: Ord + Hash + Clone> Later<K> {
    /// Gives a key its time, in the place of an earlier wish.
    pub(super) fn set(&mut self, key: K, at: Instant) {
        self.remove(&key);
        self.times.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    /// Gives a key a time, unless it has one.
    pub(super) fn wish(&mut self, key: K, at: Instant) {
        if !self.times.contains_key(&key) {
            self.set(key, at);
        }
    }

    /// Takes a key back.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some((key, at)) = self.times.remove_entry(key) {
            self.order.remove(&(at, key));
        }
    }

    /// When the next key is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The keys that are due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<K> {
        let mut taken = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            if let Some((_, key)) = self.order.pop_first() {
                self.times.remove(&key);
                taken.push(key);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::Later;
    use std::time::{Duration, Instant};

    #[test]
    fn each_key_is_due_once_at_its_first_wish_or_at_the_time_it_was_set_to_last() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut later = Later::default();
        later.wish("a", start + ms(500));
        later.wish("b", start + ms(600));
        later.wish("a", start + ms(700));
        assert!(later.take_due(start + ms(499)).is_empty());
        assert_eq!(later.next(), Some(start + ms(500)));
        assert_eq!(later.take_due(start + ms(500)), ["a"]);
        later.remove(&"b");
        later.wish("b", start + ms(1050));
        assert!(later.take_due(start + ms(700)).is_empty(), "the first wish was taken back");
        later.set("b", start + ms(1100));
        assert!(later.take_due(start + ms(1050)).is_empty(), "it was set to another time");
        assert_eq!(later.take_due(start + ms(1100)), ["b"]);
        assert_eq!(later.next(), None);
    }
}
