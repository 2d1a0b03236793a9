//! The poller: heads every 200 ms, and at once after a hint, changes as deltas, one acknowledgement for each new position.
//!
//! Each poll looks at the store's history first (`authly_model::follow`): a store that lost what it had acknowledged gets its epoch
//! raised, and everything is loaded anew. It has a connection of its own, so that no queue of requests delays a revocation. A successful
//! poll is the heartbeat; its age counts from the poll's start, after a login.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use authly_model::{
    feed::Position,
    follow::{Follower, History, Mark, Reason, Seen, Step},
    ids::{ObjectRef, TenantId},
};
use sqlx::{Connection, PgConnection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Live, Snapshot,
    build::{self, Rows},
    clients::Reloaded,
    delta::{Delta, Revocations},
    load::{self, Heads},
};
use crate::{
    Backoff, Hints, LoadFailure, Result, connect::LOGIN, error::unavailable, hints, history, replica,
    scope::PlatformScope,
};

const INTERVAL: Duration = Duration::from_millis(200);
/// The longest pause after polls that failed.
const FAILED: Duration = Duration::from_secs(1);
/// Between two polls that hints ask for.
const HINTED: Duration = Duration::from_millis(20);
/// Looking at the heads, acknowledging.
const STEP: Duration = Duration::from_secs(1);
/// Loading and compiling what changed, which may be everything.
const LOAD: Duration = Duration::from_secs(60);
/// A third of the lease (10 s), so that one lost renewal does not lapse it.
const RENEW: Duration = Duration::from_secs(3);
/// How old the newest heartbeat may be before this replica writes the next.
const BEAT: Duration = Duration::from_secs(1);
const PRUNE: Duration = Duration::from_secs(10);

/// What was read of a delta, in one view.
struct Loaded {
    rows: Rows,
    revoked: Revocations,
    clients: Reloaded,
}

struct Poller {
    live: Arc<Live>,
    scope: PlatformScope,
    connection: Option<PgConnection>,
    follower: Follower,
    generation: u64,
    /// Tenants that cannot be read and have no last good row.
    unloaded: BTreeMap<TenantId, (ObjectRef, String)>,
    /// What was written last, and when.
    acknowledged: Option<(Vec<LoadFailure>, Instant)>,
    /// The operator waits for the position, which is not written yet.
    awaited: bool,
    pruned: Instant,
}

/// Polls until cancelled.
pub(super) async fn run(live: Arc<Live>, mut nudged: mpsc::Receiver<oneshot::Sender<bool>>, cancel: CancellationToken) {
    let mut poller = Poller {
        live,
        scope: PlatformScope(()),
        connection: None,
        follower: Follower::default(),
        generation: 0,
        unloaded: BTreeMap::new(),
        acknowledged: None,
        awaited: true,
        pruned: Instant::now(),
    };
    let hints = Hints::listen(&poller.live.store, hints::FEED);
    let mut next = tokio::time::Instant::now();
    let mut soon = next;
    let mut backoff = Backoff::new(INTERVAL, FAILED);
    loop {
        let hinted = async {
            hints.next().await;
            tokio::time::sleep_until(soon).await;
        };
        let mut waiting = Vec::new();
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep_until(next) => {}
            () = hinted => {}
            Some(nudge) = nudged.recv() => waiting.push(nudge),
        }
        while let Ok(nudge) = nudged.try_recv() {
            waiting.push(nudge);
        }
        let now = tokio::time::Instant::now();
        (soon, next) = (now + HINTED, now + INTERVAL);
        let ok = poller.poll().await;
        match ok {
            true => backoff.reset(),
            false => next = tokio::time::Instant::now() + backoff.pause(),
        }
        for answer in waiting {
            let _ = answer.send(ok);
        }
    }
}

impl Poller {
    async fn poll(&mut self) -> bool {
        let outcome = self.try_poll().await;
        if let Err(error) = &outcome {
            tracing::warn!(%error, "polling the feed failed");
            self.live.store.is_away();
        }
        if self.pruned.elapsed() > PRUNE {
            self.pruned = Instant::now();
            let now = self.live.clock.now();
            self.live.snapshot().tenants().for_each(|tenant| tenant.revocations.prune(now));
        }
        outcome.is_ok()
    }

    async fn try_poll(&mut self) -> Result<()> {
        // A step that fails drops the connection: whatever state it is in, the next poll starts afresh.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let options = self.live.store.connect_options();
                within(LOGIN, async { Ok(PgConnection::connect_with(options).await?) }).await?
            }
        };
        let start = Instant::now();
        let mut seen = within(STEP, self.look(&mut connection)).await?;
        if let Step::Raise(reason) = self.follower.step(&seen) {
            tracing::error!(%reason, "the store has lost what it had acknowledged: its epoch is raised");
            within(LOAD, self.raise(&mut connection, &seen.history, reason)).await?;
            seen = within(STEP, self.look(&mut connection)).await?;
        }
        match self.follower.step(&seen) {
            Step::Stay => self.follower.serves(seen.history.mark(), seen.heads),
            Step::Changes | Step::Everything => within(LOAD, self.advance(&mut connection, &seen.history)).await?,
            Step::Raise(reason) => return Err(unavailable(&format!("its history is doubtful: {reason}"))),
        }
        self.live.store.watched().judged(self.follower.mark().copied());
        self.live.polled_at(start);
        within(STEP, self.acknowledge(&mut connection)).await?;
        self.live.ready.store(true, Ordering::Release);
        if seen.history.silence >= BEAT {
            within(STEP, history::beat(&self.scope, &mut connection, seen.history.incarnation, false)).await?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// The history and the heads.
    async fn look(&self, connection: &mut PgConnection) -> Result<Seen> {
        let known = self.follower.mark().map(|mark| &mark.beat);
        let history = history::look(&self.scope, connection, known).await?;
        let Heads { position, pruned } = load::heads(&self.scope, connection).await?;
        Ok(Seen { history, heads: position, pruned })
    }

    /// Raises the epoch of every tenant. Nothing is written to the store before it is loaded anew.
    async fn raise(&mut self, connection: &mut PgConnection, history: &History, reason: Reason) -> Result<()> {
        self.live.store.watched().judged(None);
        let begin = "BEGIN; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '10s'";
        let mut tx = connection.begin_with(begin).await?;
        // After a mere silence a leader may have watched on.
        let fence = reason != Reason::Silence;
        history::raise(&self.scope, &mut tx, Some(history.incarnation), fence).await?;
        tx.commit().await?;
        self.follower.forget();
        self.acknowledged = None;
        self.awaited = true;
        Ok(())
    }

    /// Applies everything up to the head, in one consistent view.
    async fn advance(&mut self, connection: &mut PgConnection, history: &History) -> Result<()> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '30s'";
        let mut view = connection.begin_with(begin).await?;
        let Heads { position, pruned } = load::heads(&self.scope, &mut view).await?;
        let seen = Seen { history: history.clone(), heads: position, pruned };
        let delta = match (self.follower.step(&seen), self.follower.position()) {
            (Step::Raise(_), _) => return Err(unavailable("the feed went back")),
            (Step::Stay | Step::Changes, Some(position)) => {
                Delta::of(load::changes(&self.scope, &mut view, position).await?)
            }
            _ => Delta::everything(),
        };
        let rows = delta.rows(&self.scope, &mut view).await?;
        let known = self.live.snapshot();
        let new: Vec<Uuid> =
            rows.tenants.iter().filter(|t| delta.all || known.tenant(t.id).is_none()).map(|t| t.id.0).collect();
        let revoked = delta.revocations(&self.scope, &mut view, &new, self.live.clock.now()).await?;
        let clients = self.live.clients.reload(&self.scope, &mut view, &delta.clients).await?;
        view.rollback().await?;
        self.follower.loads();
        self.awaited |= delta.declared;
        // At once, for the tenants that are known: compiling what else changed may take its time.
        revoked.add_to(&known);
        self.apply(&seen.heads, delta, Loaded { rows, revoked, clients }).await?;
        // Newer than all that was read: a store that has it has that, too.
        let beat = history::beat(&self.scope, connection, history.incarnation, true).await?;
        self.follower.serves(Mark { incarnation: history.incarnation, beat }, seen.heads);
        Ok(())
    }

    async fn apply(&mut self, position: &Position, delta: Delta, loaded: Loaded) -> Result<()> {
        let Loaded { rows, revoked, clients } = loaded;
        let last = self.live.snapshot();
        self.generation += 1;
        let gone = delta.gone(&rows);
        let changed: Vec<TenantId> = rows.tenants.iter().map(|t| t.id).chain(gone.iter().copied()).collect();
        let next = if delta.all || !changed.is_empty() {
            let mut tenants = if delta.all { HashMap::new() } else { last.by_id().clone() };
            if delta.all {
                self.unloaded.clear();
            }
            let (old, generation) = (Arc::clone(&last), self.generation);
            let built = tokio::task::spawn_blocking(move || build::build(rows, old.by_id(), generation)).await;
            let (built, unloaded) = built.map_err(|_| unavailable("loading the configuration was interrupted"))?;
            for id in &changed {
                self.unloaded.remove(id);
            }
            for id in &gone {
                tenants.remove(id);
            }
            tenants.extend(built.into_iter().map(|tenant| (tenant.id, tenant)));
            self.unloaded.extend(unloaded.into_iter().map(|(id, object, message)| (id, (object, message))));
            Snapshot::new(position.clone(), tenants)
        } else {
            last.moved(position.clone())
        };
        revoked.add_to(&next);
        // Clients change before the position moves: "I serve nothing older than this" includes them.
        if delta.all {
            self.live.clients.clear()
        } else {
            self.live.clients.replace(delta.clients, clients)
        }
        self.live.snapshot.store(Arc::new(next));
        Ok(())
    }

    /// A position that only revocations moved is written with the next renewal: they come by the hundred, and every replica hears of
    /// each.
    async fn acknowledge(&mut self, connection: &mut PgConnection) -> Result<()> {
        let Some(position) = self.follower.position() else { return Ok(()) };
        let failures = self.failures();
        let last = self.acknowledged.as_ref();
        let current = last.is_some_and(|(reported, at)| *reported == failures && at.elapsed() < RENEW);
        if self.awaited || !current {
            replica::acknowledge(connection, self.live.replica, position, &failures, self.awaited).await?;
            self.acknowledged = Some((failures, Instant::now()));
            self.awaited = false;
        }
        Ok(())
    }

    fn failures(&self) -> Vec<LoadFailure> {
        let failure = |tenant, object: &ObjectRef, message: &String| LoadFailure {
            tenant,
            object: object.clone(),
            message: message.clone(),
        };
        let snapshot = self.live.snapshot();
        let mut failures: Vec<LoadFailure> = snapshot
            .tenants()
            .flat_map(|t| t.failures.iter().map(|(object, message)| failure(t.id, object, message)))
            .chain(self.unloaded.iter().map(|(id, (object, message))| failure(*id, object, message)))
            .collect();
        failures.sort_by(|a, b| (a.tenant, &a.object).cmp(&(b.tenant, &b.object)));
        failures.truncate(replica::MAX_FAILURES);
        failures
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| Err(unavailable("it did not answer in time")))
}
