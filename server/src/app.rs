//! What handlers share: the live snapshot, the store, the committer, parsed keys, time, metrics.

use std::sync::Arc;

use authly_model::{audit::EventKind, clock::Clock, duration::Seconds};
use authly_secrets::KekRing;
use authly_store::{Committer, Live, Store, StoreError, TenantScope};

use crate::{
    issuer::Tenanted,
    keyring::{Keyring, Keyrings, Verifiers},
    metrics::Metrics,
    oauth::{
        access_token::KeptTokens, assertion_keys::ClientKeys, documents::Documents, error::OAuthError,
        grant::permits::Permits,
    },
};

/// What the server is made of. `cli` and the tests wire it.
#[derive(Debug)]
pub struct AppParts {
    /// The snapshot of configuration and revocations.
    pub live: Arc<Live>,
    /// The store, logged in as the server's role.
    pub store: Store,
    /// Group commit of audit records.
    pub committer: Committer,
    /// The platform keys that unwrap tenant keys.
    pub kek: Arc<KekRing>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long a verifier may keep a key set.
    pub jwks_max_age: Seconds,
}

/// The shared state, cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

/// The fields that handlers use.
#[derive(Debug)]
pub struct Inner {
    pub(crate) live: Arc<Live>,
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) tokens: KeptTokens,
    pub(crate) permits: Permits,
    pub(crate) documents: Documents,
    pub(crate) client_keys: ClientKeys,
    keyrings: Keyrings,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Wires the parts; metrics are registered with the given registry.
    #[must_use]
    pub fn new(parts: AppParts, registry: &authly_runtime::metrics::Metrics) -> Self {
        let keyrings = Keyrings::new(parts.store.clone(), parts.kek);
        Self(Arc::new(Inner {
            live: parts.live,
            store: parts.store,
            committer: parts.committer,
            clock: parts.clock,
            metrics: Metrics::register(registry),
            tokens: KeptTokens::default(),
            permits: Permits::default(),
            documents: Documents::new(parts.jwks_max_age),
            client_keys: ClientKeys::default(),
            keyrings,
        }))
    }

    /// The tenant's secret keys, unlocked once and kept until its keys change.
    pub(crate) async fn keyring(&self, tenanted: &Tenanted) -> Result<Arc<Keyring>, OAuthError> {
        self.keyrings.of(tenanted).await.map_err(|error| {
            tracing::error!(%error, tenant = %tenanted.id(), "the tenant's keys could not be unlocked");
            OAuthError::Unavailable
        })
    }

    /// The tenant's public keys, parsed once and kept until they change.
    pub(crate) fn verifiers(&self, tenanted: &Tenanted) -> Arc<Verifiers> {
        self.keyrings.verifiers(tenanted)
    }

    /// Records durably: returns after the commit that carries the record.
    pub(crate) async fn record(
        &self,
        scope: &TenantScope,
        kind: EventKind,
        payload: serde_json::Value,
    ) -> Result<(), StoreError> {
        self.committer.record(scope, kind, payload).await
    }
}
