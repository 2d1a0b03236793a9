//! Exponential backoff per key, reset on success (operator.md, rule 15).

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

const FIRST: Duration = Duration::from_millis(200);
const MAX: Duration = Duration::from_secs(30);

/// What failed, how often, and when it is due again.
#[derive(Debug)]
pub(super) struct Backoff<K> {
    failed: HashMap<K, Failed>,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    /// `None` while the retry is under way.
    due: Option<Instant>,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self { failed: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone> Backoff<K> {
    /// Notes a failure and when to try again.
    pub(super) fn failed(&mut self, key: K, now: Instant) {
        let failed = self.failed.entry(key).or_insert(Failed { times: 0, due: None });
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(failed.times)).min(MAX);
        failed.times = failed.times.saturating_add(1);
        failed.due = Some(now + wait);
    }

    /// Forgets the failures of a key.
    pub(super) fn succeeded(&mut self, key: &K) {
        self.failed.remove(key);
    }

    /// Whether a retry of the key waits for its time.
    pub(super) fn is_waiting(&self, key: &K, now: Instant) -> bool {
        self.failed.get(key).and_then(|f| f.due).is_some_and(|due| now < due)
    }

    /// The earliest retry.
    pub(super) fn next(&self) -> Option<Instant> {
        self.failed.values().filter_map(|f| f.due).min()
    }

    /// The keys whose retry is due; each is given out once until it fails again.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<K> {
        let mut due = Vec::new();
        for (key, failed) in &mut self.failed {
            if failed.due.is_some_and(|at| at <= now) {
                failed.due = None;
                due.push(key.clone());
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FIRST, MAX};
    use std::time::{Duration, Instant};

    #[test]
    fn waits_double_up_to_a_bound_and_a_success_resets_them() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        for expected in [FIRST, FIRST * 2, FIRST * 4] {
            backoff.failed("a", now);
            assert_eq!(backoff.next(), Some(now + expected));
            assert!(backoff.is_waiting(&"a", now) && !backoff.is_waiting(&"b", now));
            assert!(backoff.take_due(now).is_empty());
            assert_eq!(backoff.take_due(now + expected), ["a"]);
            assert_eq!(backoff.next(), None, "given out once");
        }
        for _ in 0..40 {
            backoff.failed("a", now);
        }
        assert_eq!(backoff.next(), Some(now + MAX));
        backoff.succeeded(&"a");
        assert_eq!(backoff.next(), None);
        backoff.failed("a", now);
        assert_eq!(backoff.next(), Some(now + Duration::from_millis(200)));
    }
}
