//! What the store holds of each tenant, as this process knows it: read in bulk at the start and after an unclear commit,
//! kept up after each commit. It saves one read per reconcile; the epoch makes it right, since nobody else writes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use authly_desired::{StoredClaims, StoredTenant as Claimed, TenantOwner};
use authly_model::{
    client::SecretHash,
    diff::{Change, Stored},
    feed::Revision,
    ids::{Kind, ObjectName, ObjectRef, OwnerKey, TenantId},
    key::Algorithm,
    rotation::{KeyPolicy, KnownKey},
    route::Route,
    tenant::Tenant,
};
use authly_secrets::UnlockedTenant;
use authly_store::{Claims, Leader, StoreError, StoredTenant};

/// One stored tenant.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: TenantId,
    pub(super) issuer: String,
    /// The algorithm that its token keys should have.
    pub(super) algorithm: Algorithm,
    /// How its signing keys rotate.
    pub(super) key_policy: KeyPolicy,
    /// Its signing keys that are not revoked; `None` must be read.
    pub(super) signing: Option<Vec<KnownKey>>,
    /// The request whose rotation has begun.
    pub(super) rotation_request: Option<String>,
    pub(super) stored: Stored,
    /// A revision that carries everything that is stored.
    pub(super) revision: Revision,
    /// The revision of each object that changed lately; every replica has passed the others long ago.
    pub(super) revisions: BTreeMap<ObjectRef, Revision>,
    /// The hashes of each client's secrets.
    pub(super) hashes: BTreeMap<ObjectName, Vec<SecretHash>>,
    /// Its keys, once they were needed.
    pub(super) keys: Option<Arc<UnlockedTenant>>,
    /// The newest of its peppers, once its keys were needed.
    pub(super) newest_pepper: String,
    /// The request whose change of the pepper has begun.
    pub(super) pepper_request: Option<String>,
}

/// All stored tenants of the installation, by name.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) tenants: HashMap<String, Held>,
}

impl Ledger {
    /// Reads everything in bulk; unwrapped keys are kept from `before`.
    pub(super) async fn load(leader: &Leader, before: &Self) -> Result<(Self, StoredClaims), StoreError> {
        let (tenants, claims) = (leader.stored().await?, leader.claims().await?);
        let mut all = all_claims(claims);
        let mut ledger = Self::default();
        for tenant in tenants {
            let name = tenant.tenant.name.clone();
            let owner = TenantOwner { installation: leader.installation().to_owned(), name: name.clone() };
            all.tenant_ids.insert(tenant.id, owner);
            all.tenants.insert(name.clone(), claimed(&tenant));
            let known = before.tenants.get(&name).filter(|held| held.id == tenant.id);
            let keys = known.and_then(|held| Some((held.keys.clone()?, held.newest_pepper.clone())));
            ledger.tenants.insert(name, held(tenant, keys));
        }
        Ok((ledger, all))
    }
}

fn all_claims(claims: Claims) -> StoredClaims {
    let owner = |key: OwnerKey| TenantOwner { installation: key.installation, name: key.object.object.name };
    let owners = |map: BTreeMap<String, OwnerKey>| map.into_iter().map(|(claim, key)| (claim, owner(key))).collect();
    StoredClaims { hosts: owners(claims.hosts), issuers: owners(claims.issuers), ..StoredClaims::default() }
}

fn claimed(tenant: &StoredTenant) -> Claimed {
    Claimed {
        id: tenant.id,
        issuer: tenant.tenant.issuer.clone(),
        deletion: tenant.tenant.deletion,
        client_ids: tenant.client_ids.iter().map(|(object, id)| (id.clone(), object.clone())).collect(),
        paths: tenant.routes.values().flat_map(paths).collect(),
    }
}

fn held(tenant: StoredTenant, unlocked: Option<(Arc<UnlockedTenant>, String)>) -> Held {
    let (keys, newest_pepper) = unlocked.map_or_else(Default::default, |(keys, newest)| (Some(keys), newest));
    Held {
        id: tenant.id,
        algorithm: tenant.tenant.token_algorithm,
        key_policy: tenant.tenant.key_policy,
        signing: Some(tenant.keys),
        rotation_request: tenant.rotation_request,
        issuer: tenant.tenant.issuer,
        stored: tenant.stored,
        revision: tenant.revision,
        revisions: tenant.revisions,
        hashes: tenant.client_secrets,
        keys,
        newest_pepper,
        pepper_request: tenant.pepper_request,
    }
}

fn paths(route: &Route) -> impl Iterator<Item = ((String, String), ObjectName)> {
    route.hosts.iter().map(|host| ((host.clone(), route.path_prefix.clone()), route.object.clone()))
}

/// What a commit wrote.
#[derive(Debug, Clone)]
pub(super) struct Committed<'a> {
    pub(super) changes: &'a [Change],
    pub(super) hashes: BTreeMap<ObjectName, Vec<SecretHash>>,
    pub(super) revision: Revision,
}

impl Held {
    /// A tenant that was just created.
    pub(super) fn new(id: TenantId, tenant: &Tenant, revision: Revision) -> Self {
        Self {
            id,
            issuer: tenant.issuer.clone(),
            algorithm: tenant.token_algorithm,
            key_policy: tenant.key_policy.clone(),
            signing: None,
            rotation_request: None,
            stored: Stored::default(),
            revision,
            revisions: BTreeMap::new(),
            hashes: BTreeMap::new(),
            keys: None,
            newest_pepper: String::new(),
            pepper_request: None,
        }
    }

    /// Notes a commit.
    pub(super) fn note(&mut self, committed: Committed<'_>) {
        self.revision = committed.revision;
        for change in committed.changes {
            let object = change.object();
            self.revisions.insert(object.clone(), committed.revision);
            match change {
                Change::PutTenant(tenant, hash) => {
                    self.stored.tenant = Some(*hash);
                    self.stored.tombstoned = false;
                    self.issuer.clone_from(&tenant.issuer);
                    self.algorithm = tenant.token_algorithm;
                    self.key_policy.clone_from(&tenant.key_policy);
                }
                Change::TombstoneTenant => self.stored.tombstoned = true,
                Change::PutClient(_, hash)
                | Change::PutRoute(_, hash)
                | Change::PutPolicy(_, hash)
                | Change::PutRetention(_, hash) => {
                    self.stored.objects.insert(object, *hash);
                }
                Change::Delete(_) => {
                    self.stored.objects.remove(&object);
                    self.revisions.remove(&object);
                    if object.kind == Kind::OAuthClient {
                        self.hashes.remove(&object.object);
                    }
                }
            }
        }
        self.hashes.extend(committed.hashes);
    }

    /// Notes a commit of the tenant's keys or peppers; it has no revision if nobody serves what it wrote.
    pub(super) fn published(&mut self, name: &str, revision: Revision) {
        if revision.seq > 0 {
            self.revision = revision;
            self.revisions.insert(ObjectRef::new(Kind::Tenant, "", name), revision);
        }
    }

    /// Whether secrets are digested under the newest pepper.
    pub(super) fn uses_newest_pepper(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.pepper_ids().next() == Some(self.newest_pepper.as_str()))
    }

    /// Whether this pepper is stored.
    pub(super) fn knows_pepper(&self, id: &str) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.pepper(id).is_some())
    }

    /// Its peppers besides the newest.
    pub(super) fn old_peppers(&self) -> Vec<String> {
        let ids = self.keys.iter().flat_map(|keys| keys.pepper_ids());
        ids.filter(|id| *id != self.newest_pepper).map(ToOwned::to_owned).collect()
    }

    /// Whether an object is stored.
    pub(super) fn has(&self, object: &ObjectRef) -> bool {
        if object.kind == Kind::Tenant {
            self.stored.tenant.is_some()
        } else {
            self.stored.objects.contains_key(object)
        }
    }
}

/// Notes in the claims what a commit wrote: on a conflict the one already stored wins.
/// Call it before [`Held::note`]: an object that is not stored yet has nothing to give up.
pub(super) fn claim(claims: &mut StoredClaims, owner: &TenantOwner, held: &Held, changes: &[Change]) {
    let id = held.id;
    for change in changes {
        if let Change::PutTenant(tenant, _) = change {
            claims.hosts.retain(|host, holder| holder != owner || tenant.url_hosts.contains(host));
            claims.hosts.extend(tenant.url_hosts.iter().map(|host| (host.clone(), owner.clone())));
            claims.issuers.insert(tenant.issuer.clone(), owner.clone());
            claims.tenant_ids.insert(id, owner.clone());
            let claimed = claims.tenants.entry(owner.name.clone()).or_insert_with(|| Claimed {
                id,
                issuer: tenant.issuer.clone(),
                deletion: tenant.deletion,
                client_ids: HashMap::new(),
                paths: HashMap::new(),
            });
            claimed.deletion = tenant.deletion;
        }
        let Some(claimed) = claims.tenants.get_mut(&owner.name) else { continue };
        let object = change.object();
        match change {
            Change::PutClient(client, _) => {
                if held.has(&object) {
                    claimed.client_ids.retain(|_, holder| *holder != object.object);
                }
                claimed.client_ids.insert(client.client_id.clone(), client.object.clone());
            }
            Change::PutRoute(route, _) => {
                if held.has(&object) {
                    claimed.paths.retain(|_, holder| *holder != object.object);
                }
                claimed.paths.extend(paths(route));
            }
            Change::Delete(gone) if gone.kind == Kind::OAuthClient => {
                claimed.client_ids.retain(|_, holder| *holder != gone.object);
            }
            Change::Delete(gone) if gone.kind == Kind::SignedUrlRoute => {
                claimed.paths.retain(|_, holder| *holder != gone.object);
            }
            _ => {}
        }
    }
}
