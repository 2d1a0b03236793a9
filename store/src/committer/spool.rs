//! Spooled events: counters by minute and records that nobody waits for. Bounded; what is lost is counted and recorded.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use authly_model::{audit::EventKind, clock::Clock, ids::TenantId};
use serde_json::json;
use tokio::sync::Notify;

use super::record::{Effect, Record, Reply};
use crate::{Actor, TenantScope};

#[derive(Debug)]
pub(super) struct Spool {
    limit: usize,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    lost: AtomicU64,
    /// Something waits to be written.
    pub(super) filled: Notify,
}

#[derive(Default)]
struct State {
    records: VecDeque<Record>,
    counters: HashMap<(TenantId, EventKind, String), Counter>,
    lost: HashMap<TenantId, (u64, Arc<[u8]>)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

struct Counter {
    /// Minutes since the Unix epoch.
    minute: i64,
    count: u64,
    audit_public: Arc<[u8]>,
}

impl Spool {
    pub(super) fn new(limit: usize, clock: Arc<dyn Clock>) -> Self {
        Self { limit, clock, state: Mutex::default(), lost: AtomicU64::new(0), filled: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many records and counts were lost since start.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn push(&self, record: Record) {
        self.put(&mut self.state(), record);
        self.filled.notify_one();
    }

    pub(super) fn count(&self, scope: &TenantScope, kind: EventKind, key: &str) {
        let minute = self.minute();
        let mut state = self.state();
        let full = state.counters.len() >= self.limit;
        let at = (scope.tenant(), kind, key.to_owned());
        match state.counters.get_mut(&at) {
            Some(counter) if counter.minute == minute => counter.count += 1,
            Some(counter) => {
                let audit_public = Arc::clone(&counter.audit_public);
                let done = std::mem::replace(counter, Counter { minute, count: 1, audit_public });
                self.put(&mut state, record(at, done));
            }
            None if full => self.lose(&mut state, scope.tenant(), scope.audit_public(), 1),
            None => {
                let audit_public = Arc::clone(scope.audit_public());
                state.counters.insert(at, Counter { minute, count: 1, audit_public });
            }
        }
    }

    /// Moves counters of minutes that are over (all of them, if `all`) to the records; whether anything waits.
    pub(super) fn tick(&self, all: bool) -> bool {
        let minute = self.minute();
        let mut state = self.state();
        let done: Vec<_> = state.counters.extract_if(|_, counter| all || counter.minute < minute).collect();
        for (at, counter) in done {
            self.put(&mut state, record(at, counter));
        }
        !(state.records.is_empty() && state.lost.is_empty())
    }

    /// At most `room` records to write now; what was lost comes first.
    pub(super) fn take(&self, room: usize) -> Vec<Record> {
        let mut state = self.state();
        let tenants: Vec<TenantId> = state.lost.keys().copied().take(room).collect();
        let mut taken = Vec::new();
        for tenant in tenants {
            if let Some((count, audit_public)) = state.lost.remove(&tenant) {
                let scope = TenantScope::new(tenant, audit_public, Actor::Anonymous);
                let payload = json!({ "count": count });
                taken.push(Record::new(&scope, EventKind::SpoolLost, payload, Effect::None, Reply::Lost(count)));
            }
        }
        let rest = room.saturating_sub(taken.len()).min(state.records.len());
        taken.extend(state.records.drain(..rest));
        taken
    }

    /// Takes back what was not written; the order is kept.
    pub(super) fn give_back(&self, records: Vec<Record>) {
        let mut state = self.state();
        for record in records.into_iter().rev() {
            match record.reply {
                Reply::Lost(count) => {
                    let (lost, _) = state.lost.entry(record.tenant).or_insert((0, record.audit_public));
                    *lost += count;
                }
                _ if state.records.len() < self.limit => state.records.push_front(record),
                _ => self.lose(&mut state, record.tenant, &record.audit_public, weight(&record)),
            }
        }
    }

    fn minute(&self) -> i64 {
        self.clock.unix().div_euclid(60)
    }

    fn put(&self, state: &mut State, record: Record) {
        if state.records.len() < self.limit {
            state.records.push_back(record);
        } else {
            self.lose(state, record.tenant, &record.audit_public, weight(&record));
        }
    }

    fn lose(&self, state: &mut State, tenant: TenantId, audit_public: &Arc<[u8]>, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        state.lost.entry(tenant).or_insert_with(|| (0, Arc::clone(audit_public))).0 += count;
    }
}

/// How many events a spooled record stands for.
fn weight(record: &Record) -> u64 {
    record.payload.get("count").and_then(serde_json::Value::as_u64).unwrap_or(1)
}

fn record((tenant, kind, key): (TenantId, EventKind, String), counter: Counter) -> Record {
    let payload = json!({ "key": key, "minute": counter.minute * 60, "count": counter.count });
    let scope = TenantScope::new(tenant, counter.audit_public, Actor::Anonymous);
    Record::new(&scope, kind, payload, Effect::None, Reply::Spooled)
}
