//! What a replica does with what a poll of the store saw, given what it remembers (DESIGN.md, "Configuration feed" and
//! "Restore and failover"; docs/decisions/0016-restores.md).
//!
//! Owns: the rule, and the memory that it needs. Never does: I/O; the loading itself. The poller of the store drives it, and so
//! does the simulation in `tests/feed.rs`.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::feed::{Position, SHARDS};

/// A replica that remembers nothing believes a store that was silent for so long to be an old copy.
pub const MAX_SILENCE: Duration = Duration::from_secs(60);

/// The server that a store runs on. Both numbers stay when a base backup is restored in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Made when the cluster was.
    pub system_identifier: i64,
    /// One more after each promotion.
    pub timeline: i64,
}

/// A heartbeat in the store. No two have number and time in common, so that one that is gone shows that history is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// From 1, one more each time.
    pub number: i64,
    /// When, by the database's clock.
    pub at: Timestamp,
}

/// The history of a store, as a poll saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Changes whenever the store epoch is raised.
    pub incarnation: Uuid,
    /// When that was, by the database's clock.
    pub raised_at: Timestamp,
    /// The newest beat.
    pub last: Beat,
    /// The time since, forwards or backwards, by the database's clock.
    pub silence: Duration,
    /// The server that wrote the newest beat.
    pub written_on: Origin,
    /// The server that answers.
    pub answers: Origin,
    /// The oldest beat that is kept.
    pub oldest: i64,
    /// Whether the beat that the replica remembers is there.
    pub kept: bool,
}

impl History {
    /// The newest place in it.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark { incarnation: self.incarnation, beat: self.last }
    }
}

/// What a poll saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The store's history.
    pub history: History,
    /// The heads of the feed.
    pub heads: Position,
    /// Changes up to here are pruned.
    pub pruned: [i64; SHARDS],
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing changed.
    Stay,
    /// Apply the changes since the position.
    Changes,
    /// Load everything: what is in memory may belong to another history.
    Everything,
    /// Raise the store epoch, forget, and poll again.
    Raise(Reason),
}

/// Why the store is believed to have lost what it had acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Another server, or another timeline, answers.
    Moved,
    /// The feed's head is below one already seen.
    FeedWentBack,
    /// A beat that was there is gone.
    BeatLost,
    /// Nobody watched it for longer than [`MAX_SILENCE`].
    Silence,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Moved => "another server or timeline answers",
            Self::FeedWentBack => "the head of the feed is below one already seen",
            Self::BeatLost => "a heartbeat that was there is gone",
            Self::Silence => "the last heartbeat is more than a minute old",
        })
    }
}

/// A place in one history of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which history.
    pub incarnation: Uuid,
    /// How far.
    pub beat: Beat,
}

impl Mark {
    /// Whether a store with this history, asked about [`Self::beat`], has everything that it had at this mark.
    #[must_use]
    pub fn continues_in(&self, history: &History) -> bool {
        history.answers == history.written_on && history.incarnation == self.incarnation && history.kept
    }
}

/// What a replica remembers of the store: nothing before it has loaded everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Follower {
    known: Option<(Mark, Position)>,
    /// Something else is served than what is known, or about to be.
    loading: bool,
}

impl Follower {
    /// The place to ask the store about.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        self.known.as_ref().map(|(mark, _)| mark)
    }

    /// What is served, and may be acknowledged: nothing older than this. `None` while it changes.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.known.as_ref().filter(|_| !self.loading).map(|(_, position)| position)
    }

    /// What to do with what a poll saw.
    #[must_use]
    pub fn step(&self, seen: &Seen) -> Step {
        let history = &seen.history;
        if history.answers != history.written_on {
            return Step::Raise(Reason::Moved);
        }
        let Some((mark, position)) = &self.known else {
            // The first beat of all is the migration's: nothing was ever served from such a store.
            let silent = history.silence > MAX_SILENCE && history.last.number > 1;
            return if silent { Step::Raise(Reason::Silence) } else { Step::Everything };
        };
        let same = mark.incarnation == history.incarnation;
        match (history.kept, same) {
            (true, true) if !seen.heads.covers(position) => Step::Raise(Reason::FeedWentBack),
            // Interrupted: some of what is served is newer than the position, which no longer says what to load.
            (true, true) if self.loading => Step::Everything,
            (true, true) if seen.heads == *position => Step::Stay,
            (true, true) if reaches(position, &seen.pruned) => Step::Changes,
            (true, _) => Step::Everything,
            // Asleep for so long that its beat is forgotten: those who were awake have watched.
            (false, true) if mark.beat.number < history.oldest && seen.heads.covers(position) => Step::Everything,
            // Somebody else has found out, and raised the epoch.
            (false, false) if history.raised_at > mark.beat.at => Step::Everything,
            (false, _) => Step::Raise(Reason::BeatLost),
        }
    }

    /// Everything up to this position is served. The mark's beat must be newer than all that was read for it, so that a store
    /// that has the beat has that, too.
    pub fn serves(&mut self, mark: Mark, position: Position) {
        self.known = Some((mark, position));
        self.loading = false;
    }

    /// Before anything else is served than what is known, so that who is interrupted on the way does not take the one for the other.
    /// The mark stays: what the store had at its beat it must still have.
    pub fn loads(&mut self) {
        self.loading = true;
    }

    /// What is known belongs to another history.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Whether the changes since `position` are all there.
fn reaches(position: &Position, pruned: &[i64; SHARDS]) -> bool {
    position.0.iter().zip(pruned).all(|(at, pruned)| at >= pruned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(number: i64, silence: u64) -> Seen {
        let origin = Origin { system_identifier: 1, timeline: 1 };
        let at = Timestamp::from_second(number).unwrap_or_default();
        let history = History {
            incarnation: Uuid::nil(),
            raised_at: Timestamp::UNIX_EPOCH,
            last: Beat { number, at },
            silence: Duration::from_secs(silence),
            written_on: origin,
            answers: origin,
            oldest: 1,
            kept: true,
        };
        Seen { history, heads: Position([5; SHARDS]), pruned: [0; SHARDS] }
    }

    #[test]
    fn a_silence_matters_to_who_remembers_nothing() {
        let mut follower = Follower::default();
        assert_eq!(follower.step(&seen(9, 61)), Step::Raise(Reason::Silence));
        assert_eq!(follower.step(&seen(9, 60)), Step::Everything);
        assert_eq!(follower.step(&seen(1, 9_999)), Step::Everything, "fresh from its migration");
        follower.serves(seen(9, 0).history.mark(), Position([5; SHARDS]));
        assert_eq!(follower.step(&seen(9, 9_999)), Step::Stay, "what it remembers is there");
    }

    #[test]
    fn who_is_interrupted_while_it_loads_remembers_its_beat_and_loads_everything() {
        let mut follower = Follower::default();
        follower.loads();
        assert_eq!(follower.step(&seen(9, 61)), Step::Raise(Reason::Silence), "there is nothing to remember yet");
        let mark = seen(9, 0).history.mark();
        follower.serves(mark, Position([5; SHARDS]));
        follower.loads();
        assert_eq!((follower.position(), follower.mark()), (None, Some(&mark)));
        assert_eq!(follower.step(&seen(9, 61)), Step::Everything, "a silence is explained by what it remembers");
        let mut restored = seen(9, 0);
        restored.history.kept = false;
        assert_eq!(follower.step(&restored), Step::Raise(Reason::BeatLost));
        restored.history.kept = true;
        restored.heads = Position([4; SHARDS]);
        assert_eq!(follower.step(&restored), Step::Raise(Reason::FeedWentBack));
        follower.serves(mark, Position([5; SHARDS]));
        assert_eq!(follower.step(&seen(9, 0)), Step::Stay);
        assert_eq!(follower.position(), Some(&Position([5; SHARDS])));
    }

    #[test]
    fn who_slept_longer_than_beats_are_kept_loads_everything() {
        let mut follower = Follower::default();
        follower.serves(seen(9, 0).history.mark(), Position([5; SHARDS]));
        let mut later = seen(4000, 0);
        (later.history.oldest, later.history.kept) = (400, false);
        assert_eq!(follower.step(&later), Step::Everything);
        later.history.oldest = 9;
        assert_eq!(follower.step(&later), Step::Raise(Reason::BeatLost));
        assert!(follower.mark().is_some_and(|mark| !mark.continues_in(&later.history)));
    }
}
