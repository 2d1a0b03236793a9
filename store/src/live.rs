//! What a replica serves from: a snapshot in memory, kept current by polling the feed.
//!
//! Owns: the snapshot behind an `ArcSwap`, the poller, the replica's acknowledgements, the client cache. Never does:
//! writes of configuration; a query on the hot path. DESIGN.md, "Configuration feed" and "Acknowledgement".

mod build;
mod clients;
mod delta;
mod load;
mod poll;
mod snapshot;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use authly_model::clock::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{ReplicaIdentity, Result, Store, TenantScope};

use clients::Clients;
pub use clients::LiveClient;
pub use snapshot::{LiveKey, LiveTenant, Snapshot};

/// How long [`Live::refresh`] waits for its poll.
const REFRESH: Duration = Duration::from_secs(1);

/// How much is kept in memory.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Clients.
    pub clients: usize,
    /// Client ids that are known not to exist.
    pub unknown_clients: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { clients: 50_000, unknown_clients: 10_000 }
    }
}

/// The snapshot, kept current by polling.
#[derive(Debug)]
pub struct Live {
    store: Store,
    replica: ReplicaIdentity,
    clock: Arc<dyn Clock>,
    snapshot: ArcSwap<Snapshot>,
    clients: Arc<Clients>,
    ready: AtomicBool,
    started: Instant,
    /// When the last successful poll began, in microseconds after `started`, plus one; 0 before the first.
    polled: AtomicU64,
    nudges: mpsc::Sender<oneshot::Sender<bool>>,
}

impl Live {
    /// Starts polling every 200 ms; returns at once, not ready. Roles server and gateway.
    #[must_use]
    pub fn start(
        store: Store,
        replica: ReplicaIdentity,
        caps: Caps,
        clock: Arc<dyn Clock>,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        let (nudges, nudged) = mpsc::channel(1024);
        // From now on the committer waits for the poller's judgement of the history.
        store.watched().judged(None);
        let live = Arc::new(Self {
            store,
            replica,
            clock,
            snapshot: ArcSwap::default(),
            clients: Arc::new(Clients::new(caps)),
            ready: AtomicBool::new(false),
            started: Instant::now(),
            polled: AtomicU64::new(0),
            nudges,
        });
        tokio::spawn(poll::run(Arc::clone(&live), nudged, cancel));
        live
    }

    /// The current snapshot: one atomic load.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Time since the start of the last successful poll; `Duration::MAX` before the first.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        match self.polled.load(Ordering::Acquire).checked_sub(1) {
            Some(micros) => self.started.elapsed().saturating_sub(Duration::from_micros(micros)),
            None => Duration::MAX,
        }
    }

    /// Whether it has reached the head, and acknowledged it, once since it started. A lapsed lease does not change it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Polls now; true once a poll that began after this call has succeeded, false if it failed, and at once while the store is known
    /// to be away.
    pub async fn refresh(&self) -> bool {
        if self.store.pool().is_err() {
            return false;
        }
        let (answer, answered) = oneshot::channel();
        let polled = async {
            self.nudges.send(answer).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(REFRESH, polled).await.ok().flatten().unwrap_or(false)
    }

    /// A client, from memory or else from the store. Role server.
    ///
    /// # Errors
    /// `Unavailable` on a miss while the store is away; `Damaged` if it was written by a newer version.
    pub async fn client(&self, scope: &TenantScope, client_id: &str) -> Result<Option<Arc<LiveClient>>> {
        if let Some(known) = self.clients.cached(scope.tenant(), client_id) {
            return Ok(known);
        }
        // On the heap: most requests find their client above, and should not be as large as this.
        Box::pin(self.clients.load(&self.store, scope.tenant(), client_id)).await
    }

    /// Everything up to here is served: seen from the start of the poll that found it.
    fn polled_at(&self, start: Instant) {
        let micros = u64::try_from(start.duration_since(self.started).as_micros()).unwrap_or(u64::MAX - 1);
        self.polled.store(micros + 1, Ordering::Release);
    }
}
