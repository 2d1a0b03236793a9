//! Scopes as types: which tenant, and who acts. A store function for tenant rows cannot be called without one, and
//! nothing outside this crate can make one except from a tenant of the snapshot.

use std::sync::Arc;

use authly_model::ids::TenantId;

/// Who acts, as audit records name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An authenticated client.
    Client(String),
    /// Whoever holds a signed URL.
    Bearer,
    /// Nobody authenticated.
    Anonymous,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Bearer => f.write_str("bearer"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// One tenant and one actor. Made by [`crate::LiveTenant::scope`] only:
///
/// ```
/// # use authly_store::{Actor, LiveTenant, Store, TenantScope};
/// async fn usage(store: &Store, tenant: &LiveTenant) {
///     let scope: TenantScope = tenant.scope(Actor::Anonymous);
///     let _ = store.url_usage(&scope, &[0; 24]).await;
/// }
/// ```
///
/// A tenant's id is not enough, and a scope cannot be written by hand:
///
/// ```compile_fail,E0308
/// # use authly_store::{Actor, LiveTenant, Store, TenantScope};
/// async fn usage(store: &Store, tenant: &LiveTenant) {
///     let _ = store.url_usage(&tenant.id, &[0; 24]).await;
/// }
/// ```
///
/// ```compile_fail,E0451
/// # use authly_store::{Actor, LiveTenant, Store, TenantScope};
/// fn forge(tenant: &LiveTenant, mine: &TenantScope) -> TenantScope {
///     TenantScope { tenant: tenant.id, ..mine.clone() }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct TenantScope {
    tenant: TenantId,
    audit_public: Arc<[u8]>,
    actor: Actor,
}

impl TenantScope {
    pub(crate) const fn new(tenant: TenantId, audit_public: Arc<[u8]>, actor: Actor) -> Self {
        Self { tenant, audit_public, actor }
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who acts.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The same tenant with another actor, once it is known.
    #[must_use]
    pub fn with_actor(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    pub(crate) const fn audit_public(&self) -> &Arc<[u8]> {
        &self.audit_public
    }
}

/// The right to see several tenants: held by the feed's poller, the committer, a leader and the jobs.
#[derive(Debug)]
pub(crate) struct PlatformScope(pub(crate) ());
