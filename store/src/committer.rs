//! Group commit: the writer of events (DESIGN.md, "Events, by class"; performance.md, "Group commit").
//!
//! Owns: the queue of waited events, the spool, the chains of this writer, its one connection. A batch is flushed at
//! once, one commit is in flight, and an answer waits for the commit that carries its record. Nothing hangs: with the
//! store away a request gets `Unavailable` within two seconds, and at once while that is known.
//! Never does: decisions; a record that is not encrypted.

mod batch;
mod chain;
mod commit;
mod effects;
mod record;
mod spool;
mod sql;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use authly_model::{audit::EventKind, clock::Clock};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{Granted, Result, Role, Store, StoreError, TenantScope, UrlRevocation, UseRequest, error::unavailable};
use record::{Effect, Outcome, Record, Reply};
use spool::Spool;

/// The longest that a waited event waits, in the queue and in its commit together.
const WAIT: Duration = Duration::from_secs(2);

/// How much waits in memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Waited events; one more is refused as `Full`.
    pub queue: usize,
    /// Spooled records, and counters; one more is counted as lost.
    pub spool: usize,
    /// Records of one commit.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue: 4096, spool: 8192, batch: 1024 }
    }
}

/// Counters since start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitterStats {
    /// Commits that succeeded.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// Records refused by the database.
    pub refused: u64,
    /// Batches given up because the store was away.
    pub unavailable: u64,
    /// Spooled records lost.
    pub lost: u64,
}

/// What the handle and the writer share.
#[derive(Debug, Default)]
struct Shared {
    /// The last commit failed and no probe has succeeded since.
    down: AtomicBool,
    commits: AtomicU64,
    records: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

/// The writer of events; cheap to clone. Each start is a writer boot of its own, with chains of its own.
#[derive(Debug, Clone)]
pub struct Committer {
    role: Role,
    queue: mpsc::Sender<Record>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    spool: Arc<Spool>,
    shared: Arc<Shared>,
}

impl Committer {
    /// Starts the writer. Roles server and gateway. When cancelled it commits what is queued and spooled, then stops.
    #[must_use]
    pub fn start(store: &Store, clock: Arc<dyn Clock>, limits: Limits, cancel: CancellationToken) -> Self {
        let (queue, queued) = mpsc::channel(limits.queue);
        let (flushes, flushed) = mpsc::channel(16);
        let spool = Arc::new(Spool::new(limits.spool, Arc::clone(&clock)));
        let shared = Arc::new(Shared::default());
        let writer = writer::Writer::new(store, clock, limits.batch, Arc::clone(&spool), Arc::clone(&shared));
        tokio::spawn(writer.run(queued, flushed, cancel));
        Self { role: store.role(), queue, flushes, spool, shared }
    }

    /// Waited: returns once the commit that carries the record is done. The payload is a small JSON object, at most
    /// 16 KiB encrypted; it must not hold a secret, token or signature. The actor of the scope is added to it.
    ///
    /// # Errors
    /// `Full`, `Unavailable`, `Refused`.
    pub async fn record(&self, scope: &TenantScope, kind: EventKind, payload: Value) -> Result<()> {
        self.wait(scope, kind, payload, Effect::None).await.map(drop)
    }

    /// Waited, several of one tenant: returns once all of them are durable. They go together, so into one commit if there is room
    /// for them in it; all are refused if there is no room for them in the queue.
    ///
    /// # Errors
    /// As [`Self::record`]: then some may have been recorded.
    pub async fn record_all(&self, scope: &TenantScope, events: Vec<(EventKind, Value)>) -> Result<()> {
        self.check_up()?;
        let permits = self.queue.try_reserve_many(events.len()).map_err(|error| refused_by_queue(&error))?;
        let (answers, answered): (Vec<_>, Vec<_>) = events.iter().map(|_| oneshot::channel()).unzip();
        for ((permit, (kind, payload)), answer) in permits.zip(events).zip(answers) {
            permit.send(Record::new(scope, kind, payload, Effect::None, Reply::Waited(answer)));
        }
        let all = futures::future::try_join_all(answered.into_iter().map(answer_of));
        tokio::time::timeout(WAIT, all).await.unwrap_or_else(|_| Err(too_slow())).map(drop)
    }

    /// Debits uses of a counted URL, with a `UrlUsed` record that says what was granted, in one commit.
    /// An error means that nothing was acknowledged: refuse.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn redeem(&self, scope: &TenantScope, request: UseRequest, payload: Value) -> Result<Granted> {
        match self.wait(scope, EventKind::UrlUsed, payload, Effect::Use(request)).await? {
            Outcome::Granted(granted) => Ok(granted),
            Outcome::Recorded => Err(unavailable("the use was not counted")),
        }
    }

    /// Revokes a token (`jti`) until it expires, with its record and feed change, in one commit. Role server.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn revoke_token(
        &self,
        scope: &TenantScope,
        jti: &str,
        expires_at: Timestamp,
        payload: Value,
    ) -> Result<()> {
        let effect = Effect::RevokeToken { jti: jti.to_owned(), expires_at };
        self.revoke(scope, EventKind::TokenRevoked, payload, effect).await
    }

    /// Revokes URLs, with its record and feed change, in one commit. Role server.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn revoke_urls(&self, scope: &TenantScope, revocation: UrlRevocation, payload: Value) -> Result<()> {
        self.revoke(scope, EventKind::UrlRevoked, payload, Effect::RevokeUrls(revocation)).await
    }

    /// Spooled: never waits. What does not fit is counted, and recorded as `SpoolLost`.
    pub fn spool(&self, scope: &TenantScope, kind: EventKind, payload: Value) {
        self.spool.push(Record::new(scope, kind, payload, Effect::None, Reply::Spooled));
    }

    /// Spooled as a counter by minute: `Redeemed` by route, `Introspected` by client.
    pub fn count(&self, scope: &TenantScope, kind: EventKind, key: &str) {
        self.spool.count(scope, kind, key);
    }

    /// Counters since start.
    #[must_use]
    pub fn stats(&self) -> CommitterStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CommitterStats {
            commits: of(&self.shared.commits),
            records: of(&self.shared.records),
            refused: of(&self.shared.refused),
            unavailable: of(&self.shared.unavailable),
            lost: self.spool.lost(),
        }
    }

    /// Whether the last commit failed and the store has not answered since.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.shared.down.load(Ordering::Acquire)
    }

    /// Writes what is spooled and counted, within two seconds; call it after the listeners have drained.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        let flush = async {
            if self.flushes.send(done).await.is_ok() {
                let _ = flushed.await;
            }
        };
        let _ = tokio::time::timeout(WAIT, flush).await;
    }

    async fn revoke(&self, scope: &TenantScope, kind: EventKind, payload: Value, effect: Effect) -> Result<()> {
        if self.role != Role::Server {
            return Err(StoreError::Refused(format!("authly_{} may not revoke", self.role)));
        }
        self.wait(scope, kind, payload, effect).await.map(drop)
    }

    async fn wait(&self, scope: &TenantScope, kind: EventKind, payload: Value, effect: Effect) -> Result<Outcome> {
        self.check_up()?;
        let (answer, answered) = oneshot::channel();
        let record = Record::new(scope, kind, payload, effect, Reply::Waited(answer));
        self.queue.try_send(record).map_err(|error| refused_by_queue(&error))?;
        tokio::time::timeout(WAIT, answer_of(answered)).await.unwrap_or_else(|_| Err(too_slow()))
    }

    fn check_up(&self) -> Result<()> {
        if self.is_down() { Err(unavailable("it did not answer a moment ago")) } else { Ok(()) }
    }
}

async fn answer_of(answered: oneshot::Receiver<Result<Outcome>>) -> Result<Outcome> {
    answered.await.unwrap_or_else(|_| Err(unavailable("this process is stopping")))
}

fn too_slow() -> StoreError {
    unavailable("it did not answer in time")
}

fn refused_by_queue<T>(error: &mpsc::error::TrySendError<T>) -> StoreError {
    match error {
        mpsc::error::TrySendError::Full(_) => StoreError::Full,
        mpsc::error::TrySendError::Closed(_) => unavailable("this process is stopping"),
    }
}
