//! Two gateways in this process over one snapshot, one store and one clock that the test moves: one keeps proofs, one does not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use authly_gateway::{Gateway, GatewayParts, Services};
use authly_model::{clock::Clock, diff::Change, ids::TenantId, key::KeyUse};
use authly_runtime::{Listener, Metrics, Networks, ServeOptions, serve};
use authly_secrets::{SigningKeyRow, UnlockedTenant};
use authly_signed_url::{Kid, SigningKey};
use authly_store::{
    Actor, Batch, Caps, Committer, Leader, Limits, Live, ReplicaIdentity, ReplicaRole, Role, Store, TenantScope,
    UrlRevocation,
};
use jiff::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::support::{Database, batch, kek, new_keys, put_tenant, tenant};

/// A clock that the test moves.
#[derive(Debug)]
pub struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

impl Moved {
    pub fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// What a gateway answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    pub target: String,
}

/// A request as another proxy describes it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
}

struct Running {
    address: SocketAddr,
    metrics: Metrics,
}

pub struct World {
    pub clock: Arc<Moved>,
    pub leader: Leader,
    pub live: Arc<Live>,
    pub host: String,
    pub tenant: TenantId,
    pub key: SigningKey,
    pub kid: Kid,
    revoker: Committer,
    gateways: [Running; 2],
    http: reqwest::Client,
    _stop: DropGuard,
}

/// A store's logins have 1.5 s each, which a busy machine may not keep.
async fn login(db: &Database, role: Role) -> Store {
    for _ in 0..40 {
        if let Ok(store) = db.try_store(role, None).await {
            return store;
        }
    }
    panic!("{role} cannot log in");
}

/// Waits up to two minutes.
async fn patiently<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    for _ in 0..6000 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within two minutes: {what}");
}

impl World {
    pub async fn start(db: &Database) -> Self {
        let clock = Arc::new(Moved(AtomicI64::new(authly_model::clock::SystemClock.unix())));
        let leader = Leader::acquire(login(db, Role::Operator).await, "default").await.unwrap();
        let (store, cancel) = (login(db, Role::Gateway).await, CancellationToken::new());
        let identity = ReplicaIdentity { id: Uuid::new_v4(), role: ReplicaRole::Gateway };
        let live = Live::start(store.clone(), identity, Caps::default(), clock.clone(), cancel.clone());
        let committer = Committer::start(&store, clock.clone(), Limits::default(), cancel.clone());
        let server = login(db, Role::Server).await;
        let revoker = Committer::start(&server, clock.clone(), Limits::default(), cancel.clone());
        patiently("the snapshot is ready", || async { live.is_ready() }).await;
        let mut gateways = Vec::new();
        for kept_bytes in [authly_gateway::KEPT_BYTES, 0] {
            let metrics = Metrics::new();
            let peers = Networks::parse(["127.0.0.0/8"]).unwrap();
            let parts = GatewayParts {
                live: Arc::clone(&live),
                committer: committer.clone(),
                clock: clock.clone(),
                services: Services::new(&[], None).unwrap(),
                forward_auth_peers: peers,
                kept_bytes,
            };
            let router = authly_gateway::router(Gateway::new(parts, &metrics));
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            gateways.push(Running { address: listener.address(), metrics: metrics.clone() });
            tokio::spawn(serve(listener, router, ServeOptions::new("gateway", &metrics), cancel.clone()));
        }
        Self {
            clock,
            leader,
            live,
            host: String::new(),
            tenant: TenantId(Uuid::nil()),
            key: SigningKey::ed25519_seed(&[0; 32]),
            kid: Kid([0; 9]),
            revoker,
            gateways: gateways.try_into().unwrap_or_else(|_| unreachable!()),
            #[allow(clippy::disallowed_methods)] // loopback only
            http: reqwest::Client::new(),
            _stop: cancel.drop_guard(),
        }
    }

    /// A tenant of its own for each history.
    pub async fn new_tenant(&mut self, seed: u64) {
        let id = TenantId(Uuid::new_v4());
        let spec = tenant("default", &format!("t{seed}"));
        let keys = new_keys(id);
        let unlocked = UnlockedTenant::unlock(&kek(), id, &keys.wrapped).unwrap();
        let url = keys.signing.iter().find(|key| key.key_use == KeyUse::Url).unwrap();
        let row = SigningKeyRow {
            kid: &url.kid,
            key_use: url.key_use,
            algorithm: url.algorithm,
            wrapped_private: &url.wrapped_private,
        };
        self.key = SigningKey::ed25519_seed(&unlocked.url_seed(&row).unwrap());
        self.kid = Kid::parse(&url.kid).unwrap();
        self.host = spec.url_hosts.first().unwrap().clone();
        self.tenant = id;
        let batch = Batch { changes: vec![put_tenant(&spec)], new_keys: Some(keys), ..Batch::default() };
        self.leader.apply(id, batch).await.unwrap();
        self.refresh().await;
    }

    /// Until a poll that began now has succeeded.
    async fn refresh(&self) {
        patiently("the snapshot is current", || self.live.refresh()).await;
    }

    pub async fn configure(&self, changes: Vec<Change>) {
        self.leader.apply(self.tenant, batch(changes)).await.unwrap();
        self.refresh().await;
    }

    pub async fn revoke(&self, revocation: UrlRevocation) {
        self.revoker.revoke_urls(&self.scope(), revocation, serde_json::json!({})).await.unwrap();
        self.refresh().await;
    }

    fn scope(&self) -> TenantScope {
        self.live.snapshot().tenant(self.tenant).unwrap().scope(Actor::Client("shop.billing".into()))
    }

    /// Asks one of the two.
    pub async fn ask(&self, gateway: usize, asked: &Asked) -> Answer {
        let mut request = self
            .http
            .get(format!("http://{}/forward-auth", self.gateways[gateway].address))
            .header("x-forwarded-method", asked.method)
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", &self.host)
            .header("x-forwarded-uri", &asked.target);
        for (name, value) in &asked.headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
        Answer { status: response.status().as_u16(), reason: header("authly-reason"), target: header("authly-target") }
    }

    /// How many good signatures were kept from before, and verified anew: of the gateway that keeps, or of the `new` one.
    pub fn proofs(&self, gateway: &str) -> (u64, u64) {
        let text = self.gateways[usize::from(gateway == "new")].metrics.encode().unwrap();
        let value = |source: &str| {
            let start = format!("authly_url_proofs_total{{source=\"{source}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap().parse().unwrap()
        };
        (value("kept"), value("verified"))
    }
}
