//! The simulated store: what is durable, and what is lost when an older copy of it takes its place.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use authly_model::{
    feed::{Position, Revision, SHARDS},
    follow::{Beat, History, Origin, Seen},
};
use jiff::Timestamp;
use uuid::Uuid;

pub const TENANTS: usize = 6;
/// Fewer than in the product, so that some are pruned.
const KEPT_BEATS: i64 = 60;
const KEPT_CHANGES: usize = 12;

/// A version of a tenant's configuration; numbered as they were made, over all histories.
pub type Version = u64;

#[derive(Debug, Clone)]
struct BeatRow {
    at: i64,
    incarnation: Uuid,
    raised_at: i64,
    origin: Origin,
}

#[derive(Debug, Clone)]
pub struct Store {
    origin: Origin,
    beats: BTreeMap<i64, BeatRow>,
    pub heads: Position,
    pruned: [i64; SHARDS],
    changes: BTreeSet<(usize, i64, usize)>,
    /// Every version of each tenant, with its sequence number.
    pub versions: Vec<Vec<(i64, Version)>>,
    /// What replicas acknowledged, and until when that counts.
    pub rows: BTreeMap<usize, (Position, i64)>,
}

/// Tenants share shards, so that a head moves without most of them.
pub fn shard(tenant: usize) -> usize {
    tenant % 3
}

impl Store {
    pub fn new(incarnation: Uuid, now: i64) -> Self {
        let origin = Origin { system_identifier: 7, timeline: 1 };
        let first = BeatRow { at: now, incarnation, raised_at: now, origin };
        Self {
            origin,
            beats: BTreeMap::from([(1, first)]),
            heads: Position::default(),
            pruned: [0; SHARDS],
            changes: BTreeSet::new(),
            versions: vec![Vec::new(); TENANTS],
            rows: BTreeMap::new(),
        }
    }

    fn last(&self) -> (i64, &BeatRow) {
        self.beats.last_key_value().map(|(number, row)| (*number, row)).unwrap()
    }

    pub fn seen(&self, now: i64, known: Option<Beat>) -> Seen {
        let (number, row) = self.last();
        let history = History {
            incarnation: row.incarnation,
            raised_at: time(row.raised_at),
            last: Beat { number, at: time(row.at) },
            silence: Duration::from_millis(now.abs_diff(row.at)),
            written_on: row.origin,
            answers: self.origin,
            oldest: *self.beats.first_key_value().unwrap().0,
            kept: known.is_some_and(|beat| self.has(beat)),
        };
        Seen { history, heads: self.heads.clone(), pruned: self.pruned }
    }

    pub fn raised_at(&self) -> Timestamp {
        time(self.last().1.raised_at)
    }

    pub fn has(&self, beat: Beat) -> bool {
        self.beats.get(&beat.number).is_some_and(|row| time(row.at) == beat.at)
    }

    pub fn write(&mut self, tenant: usize, version: Version) -> Revision {
        let shard = shard(tenant);
        self.heads.0[shard] += 1;
        let seq = self.heads.0[shard];
        self.changes.insert((shard, seq, tenant));
        self.versions[tenant].push((seq, version));
        Revision { shard: i16::try_from(shard).unwrap(), seq }
    }

    pub fn prune(&mut self) {
        while self.changes.len() > KEPT_CHANGES {
            let (shard, seq, _) = self.changes.pop_first().unwrap();
            self.pruned[shard] = seq;
        }
    }

    pub fn changed_since(&self, position: &Position) -> Vec<usize> {
        self.changes.iter().filter(|(shard, seq, _)| *seq > position.0[*shard]).map(|(_, _, tenant)| *tenant).collect()
    }

    /// The version of a tenant at a position; 0 before the first.
    pub fn version_at(&self, tenant: usize, position: &Position) -> Version {
        let seq = position.0[shard(tenant)];
        self.versions[tenant].iter().rev().find(|(at, _)| *at <= seq).map_or(0, |(_, version)| *version)
    }

    pub fn has_version(&self, tenant: usize, version: Version) -> bool {
        self.versions[tenant].iter().any(|(_, there)| *there == version)
    }

    pub fn beat(&mut self, now: i64, expected: Uuid, at_once: bool) -> Option<Beat> {
        let (number, last) = self.last();
        if last.incarnation == expected && (at_once || now.abs_diff(last.at) >= 1000) {
            let row = BeatRow { at: now, ..last.clone() };
            self.beats.insert(number + 1, row);
            self.beats.retain(|kept, _| *kept > number + 1 - KEPT_BEATS);
        }
        let (number, last) = self.last();
        (last.incarnation == expected).then(|| Beat { number, at: time(last.at) })
    }

    pub fn raise(&mut self, now: i64, expected: Uuid, fresh: Uuid) -> bool {
        let (number, last) = self.last();
        if last.incarnation != expected {
            return false;
        }
        self.beats.insert(number + 1, BeatRow { at: now, incarnation: fresh, raised_at: now, origin: self.origin });
        // Every tenant is published anew, which makes no new version of it.
        for tenant in 0..TENANTS {
            let newest = self.versions[tenant].last().map_or(0, |(_, version)| *version);
            self.write(tenant, newest);
        }
        true
    }

    /// A standby that is promoted.
    pub fn promote(&mut self) {
        self.origin.timeline += 1;
    }
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}
