//! The pause between two tries of a store that is away: longer each time up to a bound, and of random length, so that the replicas of
//! an installation do not all come at the same moment when it is back.

use std::time::Duration;

use uuid::Uuid;

/// Pauses between tries, from `first` to `longest`.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// The first pause is at most `first`, none is longer than `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause: between half of its full length and all of it.
    pub fn pause(&mut self) -> Duration {
        let full = self.next;
        self.next = full.saturating_mul(2).min(self.longest);
        let [random, ..] = *Uuid::new_v4().as_bytes();
        full / 2 + full / 2 * u32::from(random) / u32::from(u8::MAX)
    }

    /// A try succeeded.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_differ() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(350));
        for full in [100, 200, 350, 350] {
            let pause = backoff.pause();
            assert!((ms(full) / 2..=ms(full)).contains(&pause), "{pause:?} of {full} ms");
        }
        backoff.reset();
        assert!(backoff.pause() <= ms(100));
        let pauses: std::collections::BTreeSet<_> = (0..50).map(|_| backoff.pause()).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
    }
}
