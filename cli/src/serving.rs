//! A running server and a running gateway, the same for their commands and for dev mode: start, serve until told to stop,
//! drain, write out what waits, close.

use std::{sync::Arc, time::Duration};

use authly_gateway::{Gateway, GatewayParts, KEPT_BYTES, Services};
use authly_model::{clock::Clock, duration::Seconds};
use authly_runtime::{Health, Listener, Metrics, Networks, ServeOptions, serve};
use authly_secrets::KekRing;
use authly_server::{App, AppParts};
use authly_store::{Caps, Committer, Limits, Live, ReplicaIdentity, ReplicaRole, Store, jobs::Jobs};
use axum::Router;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::job_metrics::JobMetrics;

/// What both roles need.
pub(crate) struct Common {
    /// The pool, logged in as the role.
    pub(crate) store: Store,
    pub(crate) listener: Listener,
    /// Networks whose X-Forwarded-For is believed.
    pub(crate) trusted: Networks,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long requests in flight may take once told to stop.
    pub(crate) drain: Duration,
}

/// What works behind the listener, and ends after it.
struct Behind {
    live: Arc<Live>,
    committer: Committer,
    cancel: CancellationToken,
}

impl Behind {
    fn start(common: &Common, role: ReplicaRole) -> Self {
        let cancel = CancellationToken::new();
        let identity = ReplicaIdentity { id: Uuid::new_v4(), role };
        let clock = || Arc::clone(&common.clock);
        let live = Live::start(common.store.clone(), identity, Caps::default(), clock(), cancel.clone());
        let committer = Committer::start(&common.store, clock(), Limits::default(), cancel.clone());
        let snapshot = Arc::clone(&live);
        common.health.check("snapshot", move || snapshot.is_ready());
        Self { live, committer, cancel }
    }

    /// Every acknowledged record is written; what was spooled is too, as far as the store answers.
    async fn end(self, store: &Store) {
        self.committer.flush().await;
        self.cancel.cancel();
        store.close().await;
    }
}

/// Serves as server until `stop`, with key sets that may be kept for `jwks_max_age`; with `jobs`, a pool of that role, runs
/// jobs too.
pub(crate) async fn server(
    common: Common,
    (kek, jwks_max_age): (Arc<KekRing>, Seconds),
    jobs: Option<Store>,
    stop: CancellationToken,
) {
    let behind = Behind::start(&common, ReplicaRole::Server);
    let parts = AppParts {
        live: Arc::clone(&behind.live),
        store: common.store.clone(),
        committer: behind.committer.clone(),
        kek: Arc::clone(&kek),
        clock: Arc::clone(&common.clock),
        jwks_max_age,
    };
    let router = authly_server::router(App::new(parts, &common.metrics));
    let working = jobs.map(|store| {
        let watch = Arc::new(JobMetrics::register(&common.metrics));
        let jobs = Jobs { store: store.clone(), kek, clock: Arc::clone(&common.clock), watch };
        let cancel = behind.cancel.clone();
        tokio::spawn(async move {
            jobs.run(cancel).await;
            store.close().await;
        })
    });
    let store = common.store.clone();
    listen("server", common, router, stop).await;
    behind.end(&store).await;
    if let Some(working) = working
        && let Err(error) = working.await
    {
        tracing::error!(%error, "the jobs failed");
    }
}

/// Serves as gateway until `stop`.
pub(crate) async fn gateway(common: Common, services: Services, forward_auth_peers: Networks, stop: CancellationToken) {
    let behind = Behind::start(&common, ReplicaRole::Gateway);
    let parts = GatewayParts {
        live: Arc::clone(&behind.live),
        committer: behind.committer.clone(),
        clock: Arc::clone(&common.clock),
        services,
        forward_auth_peers,
        kept_bytes: KEPT_BYTES,
    };
    let router = authly_gateway::router(Gateway::new(parts, &common.metrics));
    let store = common.store.clone();
    listen("gateway", common, router, stop).await;
    behind.end(&store).await;
}

async fn listen(name: &'static str, common: Common, router: Router, stop: CancellationToken) {
    let mut options = ServeOptions::new(name, &common.metrics);
    options.trusted = common.trusted;
    options.drain = common.drain;
    serve(common.listener, router, options, stop).await;
}
