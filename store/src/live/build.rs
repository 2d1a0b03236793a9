//! From rows to tenants. What cannot be loaded keeps its last good one and is reported; nothing else is affected.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use authly_model::{
    ids::{Kind, ObjectName, ObjectRef, TenantId},
    key::{Algorithm, KeyState, KeyUse},
    policy::{Mode, Policy},
    route::Route,
    tenant::{Role, Tenant},
};
use authly_policies::TenantPolicies;

use super::{
    LiveKey, LiveTenant,
    load::{KeyRow, ObjectRow, TenantRow},
    snapshot::Routes,
};
use crate::Revocations;

/// The rows of some tenants, read in one consistent view.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) tenants: Vec<TenantRow>,
    pub(super) keys: Vec<KeyRow>,
    pub(super) routes: Vec<ObjectRow>,
    pub(super) policies: Vec<ObjectRow>,
}

const FORBID: &str = "forbid (principal, action, resource);";

/// Why a tenant is not in the result: its row cannot be read and it has no last good one.
pub(super) type Unloaded = (TenantId, ObjectRef, String);

/// Builds the tenants of `rows`. Compiles Cedar, so call it off the async workers.
pub(super) fn build(
    rows: Rows,
    last: &HashMap<TenantId, Arc<LiveTenant>>,
    generation: u64,
) -> (Vec<Arc<LiveTenant>>, Vec<Unloaded>) {
    let mut keys = by_tenant(rows.keys, |r| r.tenant);
    let mut routes = by_tenant(rows.routes, |r| r.tenant);
    let mut policies = by_tenant(rows.policies, |r| r.tenant);
    let mut built = Vec::with_capacity(rows.tenants.len());
    let mut unloaded = Vec::new();
    for row in rows.tenants {
        let id = row.id;
        let parts = Parts {
            keys: keys.remove(&id).unwrap_or_default(),
            routes: routes.remove(&id).unwrap_or_default(),
            policies: policies.remove(&id).unwrap_or_default(),
        };
        match tenant(row, parts, last.get(&id), generation) {
            Ok(live) => built.push(Arc::new(live)),
            Err((object, message)) => unloaded.push((id, object, message)),
        }
    }
    (built, unloaded)
}

struct Parts {
    keys: Vec<KeyRow>,
    routes: Vec<ObjectRow>,
    policies: Vec<ObjectRow>,
}

fn by_tenant<R>(rows: Vec<R>, tenant: impl Fn(&R) -> TenantId) -> HashMap<TenantId, Vec<R>> {
    let mut map: HashMap<TenantId, Vec<R>> = HashMap::new();
    for row in rows {
        map.entry(tenant(&row)).or_default().push(row);
    }
    map
}

fn tenant(
    row: TenantRow,
    parts: Parts,
    last: Option<&Arc<LiveTenant>>,
    generation: u64,
) -> Result<LiveTenant, (ObjectRef, String)> {
    let mut failures = BTreeMap::new();
    let object = ObjectRef::new(Kind::Tenant, "", &row.name);
    let tenant = match (serde_json::from_value::<Tenant>(row.spec), last) {
        (Ok(tenant), _) => tenant,
        (Err(error), Some(last)) => {
            failures.insert(object, unreadable(&error));
            last.tenant.clone()
        }
        (Err(error), None) => return Err((object, unreadable(&error))),
    };
    let routes = routes(parts.routes, last, &mut failures);
    let (sources, policies) = policies(row.id, parts.policies, last, &mut failures);
    Ok(LiveTenant {
        id: row.id,
        tenant,
        tombstoned: row.tombstoned,
        keys: parts.keys.into_iter().filter_map(key).collect(),
        store_epoch: row.store_epoch,
        generation,
        audit_public: row.audit_public.into(),
        routes: Arc::new(routes),
        sources,
        policies,
        revocations: last.map_or_else(|| Arc::new(Revocations::default()), |last| Arc::clone(&last.revocations)),
        failures,
    })
}

fn unreadable(error: &serde_json::Error) -> String {
    format!("cannot be read by this version: {error}; upgrade it, the last good one keeps serving")
}

/// A key of an algorithm or state that this version does not know is not served.
fn key(row: KeyRow) -> Option<LiveKey> {
    let key_use = [KeyUse::Token, KeyUse::Url].into_iter().find(|u| u.as_str() == row.key_use)?;
    let state = KeyState::parse(&row.state).filter(|s| s.is_published())?;
    let algorithm = Algorithm::parse(&row.algorithm)?;
    Some(LiveKey { kid: row.kid, key_use, algorithm, state, public_jwk: row.public_jwk })
}

fn routes(rows: Vec<ObjectRow>, last: Option<&Arc<LiveTenant>>, failures: &mut BTreeMap<ObjectRef, String>) -> Routes {
    let route = |row: ObjectRow| match serde_json::from_value::<Route>(row.spec) {
        Ok(route) => Some(Arc::new(route)),
        Err(error) => {
            let good = last.and_then(|last| last.route_named(&row.object)).cloned();
            failures.insert(ObjectRef { kind: Kind::SignedUrlRoute, object: row.object }, unreadable(&error));
            good
        }
    };
    Routes::new(rows.into_iter().filter_map(route).collect::<Vec<_>>())
}

/// Compiles what changed. An object that cannot be loaded is replaced by its last good source; without one (a replica
/// that has just started, beside a newer operator) by a `forbid` in its role, because it may be one itself.
fn policies(
    tenant: TenantId,
    rows: Vec<ObjectRow>,
    last: Option<&Arc<LiveTenant>>,
    failures: &mut BTreeMap<ObjectRef, String>,
) -> (Arc<Vec<Policy>>, Arc<TenantPolicies>) {
    let good = |object: &ObjectName, role, mode| {
        let last = last.and_then(|l| l.sources.iter().find(|p| &p.object == object)).cloned();
        last.unwrap_or_else(|| Policy { object: object.clone(), role, mode, cedar: FORBID.to_owned() })
    };
    let refused = |object: &ObjectName| ObjectRef { kind: Kind::AccessPolicy, object: object.clone() };
    let mut sources = Vec::with_capacity(rows.len());
    for row in rows {
        match serde_json::from_value::<Policy>(row.spec) {
            Ok(policy) => sources.push(policy),
            Err(error) => {
                failures.insert(refused(&row.object), unreadable(&error));
                sources.push(good(&row.object, Role::Owner, Mode::Enforce));
            }
        }
    }
    if let Some(last) = last
        && *last.sources == sources
    {
        return (Arc::clone(&last.sources), Arc::clone(&last.policies));
    }
    let (mut compiled, failed) = TenantPolicies::compile(tenant, &sources);
    if !failed.is_empty() {
        for failure in failed {
            for source in sources.iter_mut().filter(|p| p.object == failure.object) {
                *source = good(&failure.object, source.role, source.mode);
            }
            failures.insert(refused(&failure.object), failure.message);
        }
        compiled = TenantPolicies::compile(tenant, &sources).0;
    }
    (Arc::new(sources), Arc::new(compiled))
}
