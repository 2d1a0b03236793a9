//! Who may lead, as a pure decision (operator.md, rule 11).
//!
//! Other machines' clocks are never compared: a holder has expired once this process has seen its record unchanged for
//! the record's own duration, measured by this machine's monotonic clock.

use std::time::{Duration, Instant};

/// How long a lease lasts and when its holder gives up.
#[derive(Debug, Clone, Copy)]
pub struct LeaseTimes {
    /// Another candidate may take over after this long without a renewal.
    pub duration: Duration,
    /// A holder that could not renew for this long stops writing. Below `duration`, so that two never write at once.
    pub deadline: Duration,
    /// Between two tries.
    pub retry: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { duration: Duration::from_secs(15), deadline: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

/// A lease record as this process saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The holder; empty after a release.
    pub(crate) holder: String,
    /// The resourceVersion: it changes with every renewal.
    pub(crate) version: String,
    /// What the holder promised.
    pub(crate) duration: Duration,
    /// When this version was first seen here.
    pub(crate) at: Instant,
}

impl Seen {
    /// Notes a record: an unchanged one keeps the instant at which it was first seen.
    pub(crate) fn note(
        before: Option<Self>,
        holder: String,
        version: String,
        duration: Duration,
        now: Instant,
    ) -> Self {
        match before {
            Some(seen) if seen.version == version => seen,
            _ => Self { holder, version, duration, at: now },
        }
    }
}

/// What to do with the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// There is none: create it with this process as holder.
    Create,
    /// It is free or expired: replace it, carrying the version that was seen.
    Take,
    /// It is ours.
    Renew,
    /// Another process holds it.
    Wait,
}

/// Decides for the candidate `me`.
pub(crate) fn decide(me: &str, seen: Option<&Seen>, now: Instant) -> Decision {
    match seen {
        None => Decision::Create,
        Some(seen) if seen.holder == me => Decision::Renew,
        Some(seen) if seen.holder.is_empty() => Decision::Take,
        Some(seen) if now.saturating_duration_since(seen.at) >= seen.duration => Decision::Take,
        Some(_) => Decision::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Seen, decide};
    use std::time::{Duration, Instant};

    fn seen(holder: &str, at: Instant) -> Seen {
        Seen { holder: holder.to_owned(), version: "1".to_owned(), duration: Duration::from_secs(15), at }
    }

    #[test]
    fn a_lease_is_taken_only_when_free_or_expired() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(decide("a", None, start), Decision::Create);
        assert_eq!(decide("a", Some(&seen("", start)), start), Decision::Take);
        assert_eq!(decide("a", Some(&seen("a", start)), after(99)), Decision::Renew);
        assert_eq!(decide("a", Some(&seen("b", start)), after(14)), Decision::Wait);
        assert_eq!(decide("a", Some(&seen("b", start)), after(15)), Decision::Take);
        // A clock that seems to go back never expires anything.
        assert_eq!(decide("a", Some(&seen("b", after(20))), start), Decision::Wait);
    }

    #[test]
    fn a_renewal_starts_the_wait_again() {
        let start = Instant::now();
        let later = start + Duration::from_secs(14);
        let first = seen("b", start);
        let same = Seen::note(Some(first.clone()), "b".to_owned(), "1".to_owned(), first.duration, later);
        assert_eq!(same, first);
        let renewed = Seen::note(Some(first), "b".to_owned(), "2".to_owned(), Duration::from_secs(15), later);
        assert_eq!(renewed.at, later);
        assert_eq!(decide("a", Some(&renewed), start + Duration::from_secs(16)), Decision::Wait);
    }
}
