//! What happens, by chance, and what must hold after each of it.

use uuid::Uuid;

use super::{
    Rule,
    replica::{Asked, Replica},
    store::{Store, TENANTS, Version},
};
use authly_model::feed::Position;

const REPLICAS: usize = 3;
/// The lease of an acknowledgement.
const LEASE: i64 = 10_000;

/// A copy of the store, as a standby that lags or a backup.
#[derive(Clone)]
struct Copied {
    store: Store,
    at: i64,
    /// The present store is not its continuation.
    diverged: bool,
}

/// Everything random, from one seed (splitmix64).
pub struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next(), self.next())
    }

    pub fn shuffled_and_doubled(&mut self, mut all: Vec<usize>) -> Vec<usize> {
        for i in (1..all.len()).rev() {
            all.swap(i, self.below(i + 1));
        }
        all.extend(all.first().copied());
        all
    }
}

/// What happened, so that a run that tried nothing is noticed.
#[derive(Debug, Default, Clone)]
pub struct Told {
    writes: u64,
    acknowledged: u64,
    late: u64,
    everything: u64,
    raises: u64,
    failovers: u64,
    restores: u64,
}

impl Told {
    pub fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.acknowledged += other.acknowledged;
        self.late += other.late;
        self.everything += other.everything;
        self.raises += other.raises;
        self.failovers += other.failovers;
        self.restores += other.restores;
    }

    pub fn is_eventful(&self) -> bool {
        [self.writes, self.acknowledged, self.late, self.everything, self.raises, self.failovers, self.restores]
            .iter()
            .all(|count| *count > 500)
    }
}

pub struct World {
    chance: Chance,
    now: i64,
    /// Which server answers: another one after each crash, failover and restore.
    server: u64,
    store: Store,
    copies: Vec<Copied>,
    replicas: Vec<Replica>,
    /// Acknowledgements on their way to a server.
    network: Vec<(u64, usize, Position)>,
    newest: Version,
    pub told: Told,
}

impl World {
    pub fn new(seed: u64, rule: Rule) -> Self {
        let mut chance = Chance(seed);
        let now = 1_800_000_000_000;
        let store = Store::new(chance.uuid(), now);
        let replicas = (0..REPLICAS).map(|_| Replica::new(rule)).collect();
        Self {
            chance,
            now,
            server: 0,
            store,
            copies: Vec::new(),
            replicas,
            network: Vec::new(),
            newest: 0,
            told: Told::default(),
        }
    }

    /// One thing happens.
    pub fn event(&mut self) {
        // Never the same instant twice: beats are told apart by theirs.
        self.now += 1 + i64::try_from(self.chance.below(400)).unwrap();
        match self.chance.below(100) {
            0..=14 => self.write(),
            15..=16 => self.copies.push(Copied { store: self.store.clone(), at: self.now, diverged: false }),
            17..=18 => self.store.prune(),
            19 => self.fail_over(),
            20 => self.restore(),
            // It crashes and recovers: nothing is lost, but every connection.
            21 => self.server += 1,
            22..=24 => {
                let n = self.chance.below(REPLICAS);
                self.replicas[n].cut();
            }
            // It restarts, as another replica.
            25 => {
                let n = self.chance.below(REPLICAS);
                self.replicas[n] = Replica::new(self.replicas[n].rule());
                self.store.rows.remove(&n);
                for copy in &mut self.copies {
                    copy.store.rows.remove(&n);
                }
                self.network.retain(|(_, replica, _)| *replica != n);
            }
            26..=39 => self.deliver(),
            _ => {
                let n = self.chance.below(REPLICAS);
                self.poll(n);
            }
        }
    }

    fn write(&mut self) {
        self.newest += 1;
        let tenant = self.chance.below(TENANTS);
        self.store.write(tenant, self.newest);
        self.told.writes += 1;
    }

    fn poll(&mut self, n: usize) {
        match self.replicas[n].step(self.server, &mut self.store, self.now, &mut self.chance) {
            Asked::Nothing => {}
            Asked::Raised => self.told.raises += 1,
            Asked::Loaded { all } => {
                self.told.everything += u64::from(all);
                self.settles(n);
            }
            Asked::Acknowledge(position) => {
                for tenant in 0..TENANTS {
                    let version = self.store.version_at(tenant, &position);
                    self.replicas[n].acknowledged[tenant].push(version);
                }
                self.told.acknowledged += 1;
                self.network.push((self.server, n, position));
            }
        }
    }

    /// An acknowledgement arrives, in any order; it may arrive again, or its server may be gone.
    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let at = self.chance.below(self.network.len());
        let (server, n, position) = self.network[at].clone();
        if self.chance.below(4) != 0 {
            self.network.swap_remove(at);
        }
        if server == self.server {
            self.told.late += u64::from(self.store.rows.get(&n).is_some_and(|(row, _)| !position.covers(row)));
            self.store.rows.insert(n, (position, self.now + LEASE));
        }
    }

    /// A copy that may take over. From one that went another way the leases have lapsed.
    fn may_serve(&self, copy: &Copied) -> bool {
        !copy.diverged || self.now - copy.at > LEASE
    }

    /// A standby that lags takes over: what it had not received is lost.
    fn fail_over(&mut self) {
        if let Some(n) = (0..self.copies.len()).rev().find(|n| self.may_serve(&self.copies[*n])) {
            let mut standby = self.copies[n].clone();
            standby.store.promote();
            self.told.failovers += 1;
            self.replace(n, standby);
        }
    }

    /// An old copy is restored in place; timeline and system identifier stay. It is old enough to miss a beat that a living
    /// replica has seen: the rule promises nothing below a second.
    fn restore(&mut self) {
        let misses = |copy: &Copied| {
            self.replicas.iter().any(|replica| replica.known_beat().is_some_and(|beat| !copy.store.has(beat)))
        };
        let fit = |n: &usize| self.may_serve(&self.copies[*n]) && misses(&self.copies[*n]);
        let old: Vec<usize> = (0..self.copies.len()).filter(fit).collect();
        if old.is_empty() {
            return;
        }
        let n = old[self.chance.below(old.len())];
        self.told.restores += 1;
        self.replace(n, self.copies[n].clone());
    }

    fn replace(&mut self, n: usize, copy: Copied) {
        self.server += 1;
        // The others stay: the lost history may come back, too.
        for (other, kept) in self.copies.iter_mut().enumerate() {
            kept.diverged |= copy.diverged || other > n;
        }
        self.store = copy.store;
        for replica in &mut self.replicas {
            replica.lost = replica.known_beat().filter(|beat| !self.store.has(*beat)).map(|beat| beat.at);
        }
    }

    /// A replica has judged the present store, and serves from it.
    fn settles(&mut self, n: usize) {
        let raised_at = self.store.raised_at();
        let replica = &mut self.replicas[n];
        // Counted URLs issued while it could know of their uses are refused.
        if replica.lost.is_some_and(|known| raised_at > known) {
            replica.lost = None;
        }
        // What this history has lost can be promised no more.
        for (tenant, acknowledged) in replica.acknowledged.iter_mut().enumerate() {
            acknowledged.retain(|version| self.store.has_version(tenant, *version));
        }
    }

    pub fn check(&self) -> Result<(), String> {
        for (n, replica) in self.replicas.iter().enumerate() {
            for tenant in 0..TENANTS {
                let served = replica.served[tenant];
                // What the operator reads in the present store.
                if let Some((row, until)) = self.store.rows.get(&n)
                    && self.now < *until
                {
                    let promised = self.store.version_at(tenant, row);
                    if served < promised {
                        return Err(format!(
                            "replica {n} serves {served} of tenant {tenant}, its row promises {promised}"
                        ));
                    }
                }
                // What it ever acknowledged, as far as the store still has it.
                let there = |version: &&Version| self.store.has_version(tenant, **version);
                let promised = replica.acknowledged[tenant].iter().filter(there).max().copied().unwrap_or(0);
                if served < promised {
                    return Err(format!(
                        "replica {n} serves {served} of tenant {tenant} after acknowledging {promised}"
                    ));
                }
            }
            if replica.lost.is_some() && replica.follows(self.server) {
                return Err(format!("replica {n} goes on in a history that lost its beat, and no epoch was raised"));
            }
        }
        Ok(())
    }

    /// With no more faults every replica serves and acknowledges the head.
    pub fn settle(&mut self) -> Result<(), String> {
        for _ in 0..40 {
            self.now += 100;
            for n in 0..REPLICAS {
                self.poll(n);
                self.check()?;
            }
        }
        for (n, replica) in self.replicas.iter().enumerate() {
            for tenant in 0..TENANTS {
                let head = self.store.version_at(tenant, &self.store.heads);
                if replica.served[tenant] != head {
                    return Err(format!("replica {n} never comes to {head} of tenant {tenant}"));
                }
            }
        }
        Ok(())
    }
}
