//! The snapshot's types: immutable once built, except revocations, which only grow until they expire.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use authly_model::{
    feed::Position,
    ids::{ObjectName, ObjectRef, TenantId},
    key::{Algorithm, KeyState, KeyUse},
    policy::Policy,
    route::Route,
    tenant::Tenant,
};
use authly_policies::TenantPolicies;

use crate::{Actor, Revocations, TenantScope};

/// The public half of a signing key.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveKey {
    /// Its id.
    pub kid: String,
    /// What it signs.
    pub key_use: KeyUse,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its state.
    pub state: KeyState,
    /// RFC 7517, with kid, alg and use.
    pub public_jwk: serde_json::Value,
}

/// A tenant as a replica serves it.
#[derive(Debug)]
pub struct LiveTenant {
    /// Its id.
    pub id: TenantId,
    /// Its configuration.
    pub tenant: Tenant,
    /// True after deletion: no service.
    pub tombstoned: bool,
    /// Public keys, newest first; revoked ones are left out.
    pub keys: Vec<LiveKey>,
    /// Counted URLs issued before this (Unix seconds) are refused.
    pub store_epoch: i64,
    /// Differs after every change of this tenant but a revocation or a client: the key of decision caches.
    pub generation: u64,
    pub(super) audit_public: Arc<[u8]>,
    pub(super) routes: Arc<Routes>,
    /// The sources that `policies` was compiled from.
    pub(super) sources: Arc<Vec<Policy>>,
    pub(super) policies: Arc<TenantPolicies>,
    pub(super) revocations: Arc<Revocations>,
    /// What could not be loaded; the last good one of each serves.
    pub(super) failures: BTreeMap<ObjectRef, String>,
}

impl LiveTenant {
    /// Whether it is served: neither suspended nor tombstoned.
    #[must_use]
    pub const fn is_serving(&self) -> bool {
        !self.tombstoned && !self.tenant.suspended
    }

    /// A scope for this tenant.
    #[must_use]
    pub fn scope(&self, actor: Actor) -> TenantScope {
        TenantScope::new(self.id, Arc::clone(&self.audit_public), actor)
    }

    /// The route of a host (`host` or `host:port`, as routes spell it) and path: the longest prefix wins.
    #[must_use]
    pub fn route(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        self.routes.by_host.get(host)?.iter().find(|route| path.starts_with(&route.path_prefix))
    }

    /// A route by name.
    #[must_use]
    pub fn route_named(&self, name: &ObjectName) -> Option<&Arc<Route>> {
        self.routes.by_name.get(name)
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.by_name.values()
    }

    /// Its compiled policies.
    #[must_use]
    pub fn policies(&self) -> &TenantPolicies {
        &self.policies
    }

    /// Its revocations.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }
}

/// A tenant's routes by name and by host.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) by_name: BTreeMap<ObjectName, Arc<Route>>,
    /// Longest prefix first; equal ones, which `desired` refuses, by name.
    by_host: HashMap<String, Vec<Arc<Route>>>,
}

impl Routes {
    pub(super) fn new(routes: impl IntoIterator<Item = Arc<Route>>) -> Self {
        let by_name: BTreeMap<_, _> = routes.into_iter().map(|r| (r.object.clone(), r)).collect();
        let mut by_host: HashMap<String, Vec<Arc<Route>>> = HashMap::new();
        for route in by_name.values() {
            for host in &route.hosts {
                by_host.entry(host.clone()).or_default().push(Arc::clone(route));
            }
        }
        for routes in by_host.values_mut() {
            routes.sort_by_key(|route| std::cmp::Reverse(route.path_prefix.len()));
        }
        Self { by_name, by_host }
    }
}

/// Everything that a replica serves from, at one position of the feed.
#[derive(Debug, Default)]
pub struct Snapshot {
    position: Position,
    index: Arc<Index>,
}

#[derive(Debug, Default)]
struct Index {
    tenants: HashMap<TenantId, Arc<LiveTenant>>,
    hosts: HashMap<String, Arc<LiveTenant>>,
    /// By authority; longest issuer path first.
    issuers: HashMap<String, Vec<(String, Arc<LiveTenant>)>>,
}

impl Snapshot {
    pub(super) fn new(position: Position, tenants: HashMap<TenantId, Arc<LiveTenant>>) -> Self {
        let mut hosts = HashMap::new();
        let mut issuers: HashMap<String, Vec<(String, Arc<LiveTenant>)>> = HashMap::new();
        for live in tenants.values() {
            for host in &live.tenant.url_hosts {
                hosts.insert(host.clone(), Arc::clone(live));
            }
            let (authority, path) = split_issuer(&live.tenant.issuer);
            issuers.entry(authority).or_default().push((path, Arc::clone(live)));
        }
        for paths in issuers.values_mut() {
            paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        }
        Self { position, index: Arc::new(Index { tenants, hosts, issuers }) }
    }

    /// The same tenants at a later position.
    pub(super) fn moved(&self, position: Position) -> Self {
        Self { position, index: Arc::clone(&self.index) }
    }

    /// By the longest issuer path at `authority` (lower case, default port dropped) that `path` starts with, at the
    /// end of a segment; with the rest of the path, empty or starting with `/`.
    #[must_use]
    pub fn tenant_by_issuer<'p>(&self, authority: &str, path: &'p str) -> Option<(&Arc<LiveTenant>, &'p str)> {
        self.index.issuers.get(authority)?.iter().find_map(|(prefix, live)| {
            let rest = path.strip_prefix(prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((live, rest))
        })
    }

    /// By a host of its signed URLs, `host` or `host:port`, as the tenant spells it.
    #[must_use]
    pub fn tenant_by_host(&self, host: &str) -> Option<&Arc<LiveTenant>> {
        self.index.hosts.get(host)
    }

    /// By id.
    #[must_use]
    pub fn tenant(&self, id: TenantId) -> Option<&Arc<LiveTenant>> {
        self.index.tenants.get(&id)
    }

    /// Every tenant, suspended and tombstoned ones included.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<LiveTenant>> {
        self.index.tenants.values()
    }

    /// Where in the feed it stands.
    #[must_use]
    pub const fn position(&self) -> &Position {
        &self.position
    }

    pub(super) fn by_id(&self) -> &HashMap<TenantId, Arc<LiveTenant>> {
        &self.index.tenants
    }
}

/// Authority and path of an issuer, which is a URL without query or fragment.
fn split_issuer(issuer: &str) -> (String, String) {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let cut = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    (authority.to_ascii_lowercase(), path.trim_end_matches('/').to_owned())
}
