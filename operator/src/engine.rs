//! The reconcile engine, shared by the operator and by `authly dev`: what is declared → the store → status.
//!
//! Owns: the index of everything declared, coalescing, the order of writes, Secrets of clients, statuses. Never does:
//! Kubernetes (see [`Cluster`]), rules between objects (`authly-desired`), SQL (`authly-store`).
//!
//! One task owns all state; the store is written from it, one tenant at a time; the cluster is written beside it, bounded
//! and with a backoff per object. Every step is derived from what the steps before left behind, so it may end anywhere.

mod apply;
mod backoff;
mod batch;
mod cluster;
mod condition;
mod credentials;
mod existing;
mod facts;
mod hashes;
mod index;
mod input;
mod judge;
mod kept;
mod later;
mod ledger;
mod metrics;
mod pause;
mod pepper;
mod plan;
mod programmed;
mod purge;
mod reconcile;
mod replicas;
mod retention;
mod rotation;
mod seen;
mod signing;
mod slots;
mod tasks;
#[cfg(test)]
pub(crate) mod tests;
mod triggers;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use authly_model::{
    client::SecretHash,
    clock::Clock,
    duration::Seconds,
    ids::{ObjectName, ObjectRef},
};
use authly_secrets::KekRing;
use authly_store::Leader;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use apply::NotApplied;
use batch::Batch;
pub use cluster::{Cluster, ClusterError, Notice, NoticeKind, SecretData, SecretObject, SecretWrite, Target};
use index::Index;
pub use input::{Declared, FINALIZER, Input};
use ledger::Ledger;
pub use metrics::EngineMetrics;
use programmed::Acknowledgement;
use signing::SigningKeys;
use tasks::{Task, Tasks};

/// Inputs taken at once.
const INPUTS: usize = 500;
/// How long the loop sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// What an engine is made of.
pub struct Parts<C> {
    /// Where manifests live.
    pub cluster: Arc<C>,
    /// The right to write the store. Its installation is the engine's.
    pub leader: Leader,
    /// The platform keys that wrap the keys of new tenants.
    pub kek: Arc<KekRing>,
    /// Time for transition times.
    pub clock: Arc<dyn Clock>,
    /// What it counts.
    pub metrics: EngineMetrics,
    /// Tenants that spell no issuer get `<issuer base>/t/<name>`.
    pub issuer_base: String,
    /// How long a verifier may keep a key set: at least what the servers say.
    pub jwks_max_age: Seconds,
}

/// Why an engine stopped. All of it is cured by starting anew, after leadership is acquired again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A newer leader wrote to the store.
    #[error("a newer leader has taken over the store")]
    Fenced,
    /// The Lease was lost.
    #[error("the lease was lost")]
    NotLeader,
    /// A task of the engine panicked.
    #[error("a task of the engine failed")]
    Broken,
}

/// The engine.
pub struct Engine<C> {
    cluster: Arc<C>,
    leader: Leader,
    kek: Arc<KekRing>,
    clock: Arc<dyn Clock>,
    metrics: EngineMetrics,
    index: Index,
    ledger: Ledger,
    batch: Batch,
    tasks: Tasks,
    /// Hashes of client secrets that wait for their commit, by tenant.
    hash_batch: Batch,
    commits: HashMap<String, BTreeMap<ObjectName, Vec<SecretHash>>>,
    /// Objects that were seen to go.
    deleted: BTreeSet<ObjectRef>,
    /// Objects, and clients' hashes, that replicas have not acknowledged yet.
    waiting: BTreeSet<ObjectRef>,
    waiting_secrets: BTreeSet<ObjectRef>,
    /// Secrets as their last visits left them, each until the next one: some, so that they take little memory.
    left: HashMap<ObjectRef, SecretObject>,
    /// What the rotation of signing keys waits for.
    signing: SigningKeys,
    /// The last answer; `None` before the first.
    replicas: Option<Vec<Acknowledgement>>,
    polled: Option<Instant>,
    /// Whether a replica moved since.
    hinted: bool,
    /// When what retention did was last read.
    runs_read: Option<Instant>,
    /// When tombstones were last looked through.
    purge_read: Option<Instant>,
    synced: bool,
    /// The store was read at least once.
    started: bool,
    /// The ledger must be read again.
    stale: bool,
    /// Someone asked for a reconcile, who may know of something that is not seen here: the next batch reads the ledger again.
    asked: bool,
}

impl<C: Cluster> Engine<C> {
    /// An engine that knows nothing yet.
    #[must_use]
    pub fn new(parts: Parts<C>) -> Self {
        let index = Index::new(parts.leader.installation(), &parts.issuer_base);
        Self {
            cluster: parts.cluster,
            leader: parts.leader,
            kek: parts.kek,
            clock: parts.clock,
            metrics: parts.metrics,
            index,
            ledger: Ledger::default(),
            batch: Batch::default(),
            tasks: Tasks::default(),
            hash_batch: Batch::default(),
            commits: HashMap::new(),
            deleted: BTreeSet::new(),
            waiting: BTreeSet::new(),
            waiting_secrets: BTreeSet::new(),
            left: HashMap::new(),
            signing: SigningKeys::new(parts.jwks_max_age),
            replicas: None,
            polled: None,
            hinted: false,
            runs_read: None,
            purge_read: None,
            synced: false,
            started: false,
            stale: true,
            asked: false,
        }
    }

    /// Runs until `cancel`, the end of the inputs, or the loss of leadership.
    ///
    /// # Errors
    /// [`EngineError`]: stop writing, and start anew once leadership is acquired again.
    pub async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        cancel: CancellationToken,
    ) -> Result<(), EngineError> {
        let mut taken = Vec::with_capacity(INPUTS);
        let hints = self.leader.acknowledgements();
        loop {
            let wake = tokio::time::Instant::from_std(self.wake(Instant::now()));
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                done = self.tasks.join() => {
                    let (task, done) = done.map_err(|_| EngineError::Broken)?;
                    self.finish(task, done)?;
                }
                count = inputs.recv_many(&mut taken, INPUTS) => {
                    if count == 0 {
                        return Ok(());
                    }
                    taken.drain(..).for_each(|input| self.take(input));
                }
                () = hints.next() => self.hinted = true,
                () = tokio::time::sleep_until(wake) => {}
            }
            self.advance().await?;
        }
    }

    /// When the loop must look again by itself.
    fn wake(&self, now: Instant) -> Instant {
        if !self.synced {
            return now + IDLE;
        }
        let poll = self.next_poll(now);
        let runs = self.started.then(|| self.runs_read.map_or(now, |read| read + retention::READ));
        let purge =
            (self.started && self.has_tombstones()).then(|| self.purge_read.map_or(now, |read| read + purge::READ));
        let load = (!self.started && !self.tasks.is_waiting(&Task::Load, now)).then_some(now);
        let work = [self.batch.due(), self.hash_batch.due(), self.tasks.next_due(), self.signing_due(now)];
        work.into_iter().chain([poll, runs, purge, load]).flatten().min().unwrap_or(now + IDLE)
    }

    /// Does what is due.
    async fn advance(&mut self) -> Result<(), EngineError> {
        if !self.synced {
            return Ok(());
        }
        let now = Instant::now();
        let retries = self.tasks.take_due(now);
        self.batch.add_due(retries, now);
        self.batch.add_due(self.signing.take_due(self.clock.now()), now);
        if self.batch.due().is_some_and(|due| due <= now) {
            self.stale |= std::mem::take(&mut self.asked);
        }
        let loaded = self.load(now).await?;
        for tenant in self.batch.take(now) {
            let loaded = loaded.clone().map_err(NotApplied::Retry);
            self.reconcile(&tenant, loaded).await?;
        }
        for tenant in self.hash_batch.take(now) {
            self.commit_hashes(&tenant).await?;
        }
        self.poll(now).await?;
        self.read_runs(now).await?;
        self.purge(now).await?;
        self.start_work();
        Ok(())
    }
}
