//! Coalescing: objects that change together become one transaction and one revision (operator.md, rule 5).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long the first change of a batch waits for others.
const WINDOW: Duration = Duration::from_millis(100);
/// How many changed objects end the wait.
const LIMIT: usize = 500;

/// Tenants with changes that are not applied yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    tenants: BTreeSet<String>,
    objects: usize,
    opened: Option<Instant>,
}

impl Batch {
    /// Notes one changed object of these tenants.
    pub(super) fn add(&mut self, tenants: impl IntoIterator<Item = String>, now: Instant) {
        self.tenants.extend(tenants);
        if self.tenants.is_empty() {
            return;
        }
        self.objects += 1;
        self.opened.get_or_insert(now);
    }

    /// Adds tenants that waited already: the batch is due.
    pub(super) fn add_due(&mut self, tenants: impl IntoIterator<Item = String>, now: Instant) {
        self.tenants.extend(tenants);
        if !self.tenants.is_empty() && self.objects == 0 {
            self.objects = LIMIT;
            self.opened.get_or_insert(now);
        }
    }

    /// When the batch is due; `None` while it is empty.
    pub(super) fn due(&self) -> Option<Instant> {
        let opened = self.opened?;
        Some(if self.objects >= LIMIT { opened } else { opened + WINDOW })
    }

    /// The tenants to apply, if the batch is due.
    pub(super) fn take(&mut self, now: Instant) -> BTreeSet<String> {
        if self.due().is_none_or(|due| now < due) {
            return BTreeSet::new();
        }
        std::mem::take(self).tenants
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, LIMIT, WINDOW};
    use std::time::{Duration, Instant};

    #[test]
    fn changes_wait_for_each_other_but_not_longer_than_the_window() {
        let start = Instant::now();
        let mut batch = Batch::default();
        assert_eq!(batch.due(), None);
        batch.add([], start);
        assert_eq!(batch.due(), None);
        batch.add(["acme".to_owned()], start);
        batch.add(["acme".to_owned(), "globex".to_owned()], start + Duration::from_millis(90));
        assert_eq!(batch.due(), Some(start + WINDOW));
        assert!(batch.take(start + Duration::from_millis(99)).is_empty());
        assert_eq!(batch.take(start + WINDOW).into_iter().collect::<Vec<_>>(), ["acme", "globex"]);
        assert_eq!(batch.due(), None);
    }

    #[test]
    fn five_hundred_objects_end_the_wait() {
        let start = Instant::now();
        let mut batch = Batch::default();
        for _ in 0..LIMIT - 1 {
            batch.add(["acme".to_owned()], start);
        }
        assert!(batch.take(start).is_empty());
        batch.add(["acme".to_owned()], start);
        assert_eq!(batch.take(start).len(), 1);
    }
}
