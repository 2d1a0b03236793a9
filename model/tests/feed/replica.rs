//! A simulated replica: the poller's steps, one at a time, so that everything else happens between any two of them.

use authly_model::{
    feed::Position,
    follow::{Beat, Follower, Mark, Seen, Step},
};

use jiff::Timestamp;

use super::{
    Rule,
    store::{Store, TENANTS, Version},
    world::Chance,
};

/// Where a poll stands. Each step is a round trip, and any may be the last.
#[derive(Debug, Clone)]
enum Stage {
    Idle,
    /// It looked at history and heads.
    Looked(Seen),
    /// It raised the epoch, and looks again.
    Raised,
    /// It read a view, which is still to be built.
    Read {
        seen: Seen,
        all: bool,
        rows: Vec<(usize, Version)>,
    },
    /// It serves what it read, which no beat covers yet.
    Built {
        seen: Seen,
        all: bool,
    },
    /// It is about to acknowledge what it serves.
    Applied(Seen),
}

#[derive(Debug, Clone)]
pub struct Replica {
    follower: Follower,
    rule: Rule,
    /// The store's server that its connection leads to.
    session: Option<u64>,
    stage: Stage,
    /// The version of each tenant that it serves; 0 is none.
    pub served: Vec<Version>,
    /// The newest version of each tenant that it acknowledged.
    pub acknowledged: Vec<Vec<Version>>,
    /// When the beat was that it knew, if the store has lost it: the epoch must be raised later than that.
    pub lost: Option<Timestamp>,
}

/// What a step asks of the world.
pub enum Asked {
    Nothing,
    /// A message that may arrive late, twice or never.
    Acknowledge(Position),
    Raised,
    Loaded {
        all: bool,
    },
}

impl Replica {
    pub fn new(rule: Rule) -> Self {
        Self {
            follower: Follower::default(),
            rule,
            session: None,
            stage: Stage::Idle,
            served: vec![0; TENANTS],
            acknowledged: vec![Vec::new(); TENANTS],
            lost: None,
        }
    }

    pub fn rule(&self) -> Rule {
        self.rule
    }

    pub fn known_beat(&self) -> Option<Beat> {
        self.follower.mark().map(|mark| mark.beat)
    }

    /// Whether it has judged the store as it is now, and serves from it.
    pub fn follows(&self, server: u64) -> bool {
        self.session == Some(server) && matches!(self.stage, Stage::Applied(_))
    }

    /// The connection is cut: the next poll starts afresh.
    pub fn cut(&mut self) {
        (self.session, self.stage) = (None, Stage::Idle);
    }

    /// One round trip of the poll with the store's present server.
    pub fn step(&mut self, server: u64, store: &mut Store, now: i64, chance: &mut Chance) -> Asked {
        if self.session.is_some_and(|session| session != server) {
            self.cut();
            return Asked::Nothing;
        }
        self.session = Some(server);
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle | Stage::Raised => {
                self.stage = Stage::Looked(store.seen(now, self.known_beat()));
                Asked::Nothing
            }
            Stage::Looked(seen) => self.judge(seen, store, now, chance),
            Stage::Read { seen, all, rows } => {
                self.follower.loads();
                if all {
                    self.served = vec![0; TENANTS];
                }
                for (tenant, version) in rows {
                    self.served[tenant] = version;
                }
                self.stage = Stage::Built { seen, all };
                Asked::Loaded { all: false }
            }
            Stage::Built { seen, all } => {
                let Some(beat) = store.beat(now, seen.history.incarnation, true) else {
                    return Asked::Nothing;
                };
                self.follower.serves(Mark { incarnation: seen.history.incarnation, beat }, seen.heads.clone());
                self.stage = Stage::Applied(seen);
                Asked::Loaded { all }
            }
            Stage::Applied(seen) => {
                store.beat(now, seen.history.incarnation, false);
                match self.follower.position() {
                    Some(position) => Asked::Acknowledge(position.clone()),
                    None => Asked::Nothing,
                }
            }
        }
    }

    fn judge(&mut self, seen: Seen, store: &mut Store, now: i64, chance: &mut Chance) -> Asked {
        match (self.rule)(&self.follower, &seen) {
            Step::Raise(_) => {
                store.raise(now, seen.history.incarnation, chance.uuid());
                self.follower.forget();
                self.stage = Stage::Raised;
                Asked::Raised
            }
            Step::Stay => {
                self.follower.serves(seen.history.mark(), seen.heads.clone());
                self.stage = Stage::Applied(seen);
                Asked::Loaded { all: false }
            }
            Step::Changes | Step::Everything => {
                // The heads of the view, which is later than the look, decide.
                let seen = Seen { history: seen.history, ..store.seen(now, self.known_beat()) };
                let all = match (self.rule)(&self.follower, &seen) {
                    Step::Raise(_) => return Asked::Nothing,
                    Step::Everything => true,
                    Step::Stay | Step::Changes => false,
                };
                let tenants = match self.follower.position() {
                    Some(position) if !all => chance.shuffled_and_doubled(store.changed_since(position)),
                    _ => (0..TENANTS).collect(),
                };
                let read = |tenant: usize| (tenant, store.version_at(tenant, &seen.heads));
                let rows = tenants.into_iter().map(read).collect();
                self.stage = Stage::Read { seen, all, rows };
                Asked::Nothing
            }
        }
    }
}
