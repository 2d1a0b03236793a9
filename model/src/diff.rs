//! From what is declared and what is stored to what must change. Pure; shared by operator, dev and tests.
//!
//! The rule that this file exists for: **invalid is not absent**. An object that is declared but cannot be
//! resolved is [`Item::Keep`], and the diff never deletes for Keep.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use crate::{
    client::Client,
    ids::{Kind, ObjectName, ObjectRef},
    policy::Policy,
    retention::Retention,
    route::Route,
    tenant::Tenant,
};

/// A declared object: resolved, or to be left as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<T> {
    /// Resolved: this is what must be served.
    Valid(T),
    /// Declared but not resolvable now: the last good one keeps serving.
    Keep,
}

/// What is declared for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The Tenant itself; `None` when its manifest is absent (rule 10 decides what that means).
    pub tenant: Option<Item<Tenant>>,
    /// Clients by object.
    pub clients: BTreeMap<ObjectName, Item<Client>>,
    /// Routes by object.
    pub routes: BTreeMap<ObjectName, Item<Route>>,
    /// Policies by object.
    pub policies: BTreeMap<ObjectName, Item<Policy>>,
    /// Retention policies by object.
    pub retentions: BTreeMap<ObjectName, Item<Retention>>,
    /// True while any source of this tenant could not be read (a dev file that does not parse): nothing is deleted.
    pub incomplete: bool,
}

/// SHA-256 of an object's canonical JSON: equal hashes mean nothing to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpecHash(pub [u8; 32]);

/// The hash of a resolved object. Struct fields serialise in declaration order and sets in sort order, so this is canonical.
///
/// # Errors
/// Only if the type cannot be JSON, which none of this crate's types are.
pub fn spec_hash<T: Serialize + DeserializeOwned>(spec: &T) -> Result<SpecHash, serde_json::Error> {
    Ok(SpecHash(Sha256::digest(serde_json::to_vec(spec)?).into()))
}

/// What is stored for one tenant, as the operator's start-up reads it in bulk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The hash of the stored tenant, if there is one.
    pub tenant: Option<SpecHash>,
    /// True while a tombstone stops its service.
    pub tombstoned: bool,
    /// The hash of every stored object below the tenant.
    pub objects: BTreeMap<ObjectRef, SpecHash>,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Creates, updates, or (after a tombstone) restores the tenant.
    PutTenant(Tenant, SpecHash),
    /// Stops the tenant's service; its rows stay.
    TombstoneTenant,
    /// Creates or updates a client.
    PutClient(Client, SpecHash),
    /// Creates or updates a route.
    PutRoute(Route, SpecHash),
    /// Creates or updates a policy.
    PutPolicy(Policy, SpecHash),
    /// Creates or updates a retention policy.
    PutRetention(Retention, SpecHash),
    /// Deletes an object below the tenant.
    Delete(ObjectRef),
}

impl Change {
    /// The object that the change writes.
    #[must_use]
    pub fn object(&self) -> ObjectRef {
        let of = |kind, object: &ObjectName| ObjectRef { kind, object: object.clone() };
        match self {
            Self::PutTenant(t, _) => ObjectRef::new(Kind::Tenant, "", &t.name),
            Self::TombstoneTenant => ObjectRef::new(Kind::Tenant, "", ""),
            Self::PutClient(c, _) => of(Kind::OAuthClient, &c.object),
            Self::PutRoute(r, _) => of(Kind::SignedUrlRoute, &r.object),
            Self::PutPolicy(p, _) => of(Kind::AccessPolicy, &p.object),
            Self::PutRetention(r, _) => of(Kind::RetentionPolicy, &r.object),
            Self::Delete(object) => object.clone(),
        }
    }
}

/// The writes that bring `stored` to `desired`: deletions first, so that a client id or path can move between objects.
///
/// # Errors
/// As [`spec_hash`].
pub fn diff(desired: &Desired, stored: &Stored) -> Result<Vec<Change>, serde_json::Error> {
    let mut changes = Vec::new();
    if !desired.incomplete {
        for object in stored.objects.keys() {
            if !is_declared(desired, object) {
                changes.push(Change::Delete(object.clone()));
            }
        }
    }
    if let Some(Item::Valid(tenant)) = &desired.tenant {
        let hash = spec_hash(tenant)?;
        if stored.tenant != Some(hash) || stored.tombstoned {
            changes.insert(0, Change::PutTenant(tenant.clone(), hash));
        }
    }
    puts(&desired.clients, Kind::OAuthClient, stored, &mut changes, Change::PutClient)?;
    puts(&desired.routes, Kind::SignedUrlRoute, stored, &mut changes, Change::PutRoute)?;
    puts(&desired.policies, Kind::AccessPolicy, stored, &mut changes, Change::PutPolicy)?;
    puts(&desired.retentions, Kind::RetentionPolicy, stored, &mut changes, Change::PutRetention)?;
    Ok(changes)
}

fn is_declared(desired: &Desired, object: &ObjectRef) -> bool {
    let name = &object.object;
    match object.kind {
        Kind::Tenant => true,
        Kind::OAuthClient => desired.clients.contains_key(name),
        Kind::SignedUrlRoute => desired.routes.contains_key(name),
        Kind::AccessPolicy => desired.policies.contains_key(name),
        Kind::RetentionPolicy => desired.retentions.contains_key(name),
    }
}

fn puts<T: Clone + Serialize + DeserializeOwned>(
    items: &BTreeMap<ObjectName, Item<T>>,
    kind: Kind,
    stored: &Stored,
    changes: &mut Vec<Change>,
    put: impl Fn(T, SpecHash) -> Change,
) -> Result<(), serde_json::Error> {
    for (object, item) in items {
        let Item::Valid(spec) = item else { continue };
        let hash = spec_hash(spec)?;
        if stored.objects.get(&ObjectRef { kind, object: object.clone() }) != Some(&hash) {
            changes.push(put(spec.clone(), hash));
        }
    }
    Ok(())
}
