//! What the gateway is made of, and its one router.

use std::sync::Arc;

use authly_model::clock::Clock;
use authly_runtime::{ClientAddress, Networks, Peer};
use authly_store::{Committer, Live};
use axum::{
    Router,
    extract::{Request, State},
    response::Response,
};

use crate::{backend::Services, forward_auth, keys::Keys, metrics::Metrics, proof::Kept, proxy};

/// The path that configured proxies ask.
const FORWARD_AUTH: &str = "/forward-auth";

/// What a gateway may hold of verified URLs, in bytes, unless told otherwise: some 40,000 of them.
pub const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// What the gateway needs. `cli` and the tests wire it.
#[derive(Debug)]
pub struct GatewayParts {
    /// The snapshot of configuration and revocations.
    pub live: Arc<Live>,
    /// Group commit of counted uses and audit records.
    pub committer: Committer,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where Services are.
    pub services: Services,
    /// Networks of proxies that may ask `/forward-auth`.
    pub forward_auth_peers: Networks,
    /// How many bytes of verified URLs are kept at most; with 0 every URL is verified each time.
    pub kept_bytes: u64,
}

/// The shared state, cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<Inner>);

/// The fields that handlers use.
#[derive(Debug)]
pub struct Inner {
    pub(crate) live: Arc<Live>,
    pub(crate) committer: Committer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) services: Services,
    pub(crate) forward_auth_peers: Networks,
    pub(crate) keys: Keys,
    pub(crate) kept: Kept,
    pub(crate) metrics: Metrics,
}

impl std::ops::Deref for Gateway {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Gateway {
    /// Wires the parts; metrics are registered with the given registry.
    #[must_use]
    pub fn new(parts: GatewayParts, registry: &authly_runtime::metrics::Metrics) -> Self {
        Self(Arc::new(Inner {
            live: parts.live,
            committer: parts.committer,
            clock: parts.clock,
            services: parts.services,
            forward_auth_peers: parts.forward_auth_peers,
            keys: Keys::default(),
            kept: Kept::new(parts.kept_bytes),
            metrics: Metrics::register(registry),
        }))
    }
}

/// The public listener's routes: every path belongs to the proxy, except forward-auth for its configured peers.
pub fn router(gateway: Gateway) -> Router {
    Router::new().fallback(serve).with_state(gateway)
}

async fn serve(State(gateway): State<Gateway>, Peer(peer): Peer, client: ClientAddress, request: Request) -> Response {
    if request.uri().path() == FORWARD_AUTH && gateway.forward_auth_peers.contains(peer.ip()) {
        forward_auth::answer(&gateway, peer.ip(), request.headers()).await
    } else {
        // On the heap: what streams through is large, what is asked by another proxy is not.
        Box::pin(proxy::answer(&gateway, client, request)).await
    }
}
