//! `desired(&World, tenant)`: one tenant's objects → what must be served, and a verdict per object (operator.md, rules
//! 1 to 4, 9, 10, 13). Owns the order of the rules; each kind's are in its own file. Invalid is not absent: what is
//! declared and refused is [`Item::Keep`]. Never scans what other tenants declare: the world's index answers.

use std::collections::{BTreeMap, HashMap};

use authly_model::{
    diff::{Desired, Item},
    ids::{Kind, ObjectName, ObjectRef, TenantId},
    tenant::{DeletionPolicy, Role, Tenant},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    admission::Violation,
    claims::StoredTenant,
    verdict::{Effective, Reason, Refusal, Verdict},
    world::{Children, World},
};

mod clients;
mod contest;
mod handshake;
mod policies;
mod retention;
mod routes;
mod tenant;

/// One tenant, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// False if another installation serves the Tenant: nothing is written, no status either.
    pub ours: bool,
    /// What must be served.
    pub desired: Desired,
    /// The id that the Tenant declares, for a new tenant.
    pub tenant_id: Option<TenantId>,
    /// True if the Tenant is gone and its deletion policy is Delete: service stops (rule 10).
    pub tombstone: bool,
    /// What is said of each object. Objects that are being deleted have none.
    pub verdicts: BTreeMap<ObjectRef, Verdict>,
}

/// Resolves the tenant of this name, declared or only referred to. Pure; linear in its objects.
#[must_use]
pub fn desired(world: &World, tenant: &str) -> Resolved {
    let mut resolved = Resolved {
        ours: true,
        desired: Desired {
            tenant: None,
            clients: BTreeMap::new(),
            routes: BTreeMap::new(),
            policies: BTreeMap::new(),
            retentions: BTreeMap::new(),
            incomplete: world.incomplete,
        },
        tenant_id: None,
        tombstone: false,
        verdicts: BTreeMap::new(),
    };
    let entry = world.tenants.get(tenant);
    if entry.is_some_and(|entry| tenant::installation(&entry.object) != world.installation) {
        resolved.ours = false;
        resolved.desired.incomplete = true;
        return resolved;
    }
    let stored = world.claims.tenants.get(tenant);
    let parent = match entry.filter(|entry| !is_deleting(&entry.object.metadata)) {
        Some(entry) => {
            let (parent, verdict) = tenant::resolve(world, entry, stored);
            resolved.verdicts.insert(ObjectRef::new(Kind::Tenant, "", tenant), verdict);
            resolved.tenant_id = entry.object.spec.tenant_id.as_deref().and_then(tenant::id);
            resolved.desired.tenant = Some(parent.clone().map_or(Item::Keep, Item::Valid));
            parent.map_err(|refusal| {
                let message = format!("Tenant `{tenant}` is not accepted: {}", refusal.message);
                Refusal::new(Reason::TenantNotAccepted, "spec.tenantRef", message)
            })
        }
        None => {
            let deleting = entry.map(|entry| tenant::deletion(&entry.object.spec));
            let unreadable = world.unreadable.contains(&ObjectRef::new(Kind::Tenant, "", tenant));
            let deletion = deleting.or_else(|| stored.map(|stored| stored.deletion));
            resolved.tombstone =
                deletion == Some(DeletionPolicy::Delete) && (deleting.is_some() || !(world.incomplete || unreadable));
            let message = format!("Tenant `{tenant}` does not exist: create it, or correct tenantRef.name");
            Err(Refusal::new(Reason::TenantNotFound, "spec.tenantRef", message))
        }
    };
    if let Some(children) = world.children.get(tenant) {
        let scope = Scope::new(world, entry.map(|entry| &entry.object.spec), parent, stored);
        scope.resolve(children, &mut resolved);
    }
    keep_unreadable(world, &mut resolved.desired);
    resolved
}

/// What stands in a source that could not be read stays as it is stored.
fn keep_unreadable(world: &World, desired: &mut Desired) {
    for ObjectRef { kind, object } in &world.unreadable {
        match kind {
            Kind::Tenant => {}
            Kind::OAuthClient => drop(desired.clients.insert(object.clone(), Item::Keep)),
            Kind::SignedUrlRoute => drop(desired.routes.insert(object.clone(), Item::Keep)),
            Kind::AccessPolicy => drop(desired.policies.insert(object.clone(), Item::Keep)),
            Kind::RetentionPolicy => drop(desired.retentions.insert(object.clone(), Item::Keep)),
        }
    }
}

/// What the rules of a tenant's objects read.
struct Scope<'a> {
    world: &'a World,
    /// The resolved Tenant, or why its objects cannot resolve.
    tenant: Result<Tenant, Refusal>,
    stored: Option<&'a StoredTenant>,
    /// The role of each namespace that has objects here, or why it has none.
    roles: HashMap<&'a str, Result<Role, Refusal>>,
}

impl<'a> Scope<'a> {
    fn new(
        world: &'a World,
        spec: Option<&authly_crds::TenantSpec>,
        tenant: Result<Tenant, Refusal>,
        stored: Option<&'a StoredTenant>,
    ) -> Self {
        let roles = match (&tenant, spec) {
            (Ok(tenant), Some(spec)) => handshake::roles(&world.namespaces, &tenant.name, &spec.allowed_namespaces),
            _ => HashMap::new(),
        };
        Self { world, tenant, stored, roles }
    }

    fn resolve(&self, children: &Children, resolved: &mut Resolved) {
        self.clients(&children.clients, resolved);
        self.routes(&children.routes, resolved);
        self.policies(&children.policies, resolved);
        self.retentions(&children.retentions, resolved);
    }

    /// Whether what is stored of an object that does not compete stays: it is declared and refused, or cannot be read.
    fn stays(&self, kind: Kind, object: &ObjectName, is_live: bool) -> bool {
        let reference = ObjectRef { kind, object: object.clone() };
        is_live || self.world.incomplete || self.world.unreadable.contains(&reference)
    }

    /// The rules that every kind begins with: the object alone, its Tenant, its namespace.
    fn admit(&self, object: &ObjectName, violations: &[Violation]) -> Result<(&Tenant, Role), Refusal> {
        if let Some(first) = violations.first() {
            return Err(Refusal::new(Reason::Invalid, &first.field, first.to_string()));
        }
        let tenant = self.tenant.as_ref().map_err(Clone::clone)?;
        match self.roles.get(object.namespace.as_str()) {
            Some(role) => role.clone().map(|role| (tenant, role)),
            None => {
                let namespace = &object.namespace;
                let message = format!("namespace `{namespace}` does not exist: create it");
                Err(Refusal::new(Reason::NamespaceNotFound, "metadata.namespace", message))
            }
        }
    }
}

fn is_deleting(metadata: &ObjectMeta) -> bool {
    metadata.deletion_timestamp.is_some()
}

/// Writes an object's outcome: valid or kept, and its verdict.
fn record<T>(
    kind: Kind,
    object: &ObjectName,
    outcome: Result<(T, Effective), Refusal>,
    items: &mut BTreeMap<ObjectName, Item<T>>,
    verdicts: &mut BTreeMap<ObjectRef, Verdict>,
) {
    let (item, verdict) = match outcome {
        Ok((spec, effective)) => (Item::Valid(spec), Verdict::accepted(effective)),
        Err(refusal) => (Item::Keep, Verdict::refused(refusal, Effective::default())),
    };
    items.insert(object.clone(), item);
    verdicts.insert(ObjectRef { kind, object: object.clone() }, verdict);
}
