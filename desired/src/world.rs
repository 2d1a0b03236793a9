//! All declared objects of an installation, indexed so that resolving a tenant reads only what it needs. Owns the index
//! and which tenants a change can touch; decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use authly_crds::{AccessPolicy, OAuthClient, RetentionPolicy, SignedUrlRoute, Tenant};
use authly_model::ids::{Kind, ObjectName, ObjectRef};
use std::sync::Arc;

use crate::{
    admission::{Violation, validate},
    claims::StoredClaims,
    defaults,
    object::Object,
    policy_check::PolicyChecks,
};

/// All declared objects of an installation.
#[derive(Debug)]
pub struct World {
    /// The installation whose Tenants are ours.
    pub(crate) installation: String,
    /// Issuers that no Tenant spells start with this.
    pub(crate) issuer_base: String,
    /// Labels by namespace.
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) tenants: BTreeMap<String, Entry<Tenant>>,
    pub(crate) children: HashMap<String, Children>,
    /// The tenants that declare each host, issuer or id.
    pub(crate) wanted: BTreeMap<Claim, BTreeSet<String>>,
    /// The clients that write each Secret, over all tenants.
    pub(crate) secrets: HashMap<ObjectName, BTreeSet<(String, ObjectName)>>,
    pub(crate) claims: StoredClaims,
    pub(crate) unreadable: BTreeSet<ObjectRef>,
    pub(crate) incomplete: bool,
    /// The tenant of each object below one.
    homes: HashMap<ObjectRef, String>,
}

/// What only one tenant of a database may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    Host(String),
    Issuer(String),
    Id(String),
}

/// A declared object and what is known of it alone.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub(crate) object: Arc<T>,
    pub(crate) violations: Vec<Violation>,
}

/// The objects below a tenant.
#[derive(Debug, Default)]
pub(crate) struct Children {
    pub(crate) clients: BTreeMap<ObjectName, Entry<OAuthClient>>,
    pub(crate) routes: BTreeMap<ObjectName, Entry<SignedUrlRoute>>,
    pub(crate) policies: BTreeMap<ObjectName, (Entry<AccessPolicy>, PolicyChecks)>,
    pub(crate) retentions: BTreeMap<ObjectName, Entry<RetentionPolicy>>,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(installation: &str, issuer_base: &str) -> Self {
        Self {
            installation: installation.to_owned(),
            issuer_base: issuer_base.to_owned(),
            namespaces: BTreeMap::new(),
            tenants: BTreeMap::new(),
            children: HashMap::new(),
            wanted: BTreeMap::new(),
            secrets: HashMap::new(),
            claims: StoredClaims::default(),
            unreadable: BTreeSet::new(),
            incomplete: false,
            homes: HashMap::new(),
        }
    }

    /// Adds or replaces an object. Returns the tenants that must be resolved again.
    pub fn put(&mut self, object: Object) -> BTreeSet<String> {
        let Some(reference) = object.reference() else { return self.put_namespace(object) };
        let mut touched = self.remove(&reference);
        self.unreadable.remove(&reference);
        let violations = validate(None, &object);
        let tenant = object.tenant().unwrap_or_default().to_owned();
        let name = reference.object.clone();
        let children = match &object {
            Object::Tenant(_) => None,
            _ => Some(self.children.entry(tenant.clone()).or_default()),
        };
        match (object, children) {
            (Object::Tenant(object), _) => {
                for claim in claims_of(&object, &self.issuer_base) {
                    let holders = self.wanted.entry(claim).or_default();
                    touched.extend(holders.iter().cloned());
                    holders.insert(tenant.clone());
                }
                self.tenants.insert(tenant.clone(), Entry { object, violations });
            }
            (Object::OAuthClient(object), Some(children)) => {
                if let Some(secret) = written_secret(&object) {
                    let holders = self.secrets.entry(secret).or_default();
                    touched.extend(holders.iter().map(|(tenant, _)| tenant.clone()));
                    holders.insert((tenant.clone(), name.clone()));
                }
                children.clients.insert(name, Entry { object, violations });
            }
            (Object::SignedUrlRoute(object), Some(children)) => {
                children.routes.insert(name, Entry { object, violations });
            }
            (Object::AccessPolicy(object), Some(children)) => {
                children.policies.insert(name, (Entry { object, violations }, PolicyChecks::default()));
            }
            (Object::RetentionPolicy(object), Some(children)) => {
                children.retentions.insert(name, Entry { object, violations });
            }
            (Object::Namespace(_), _) | (_, None) => {}
        }
        if reference.kind != Kind::Tenant {
            self.homes.insert(reference, tenant.clone());
        }
        touched.insert(tenant);
        touched
    }

    /// Removes an object. Returns the tenants that must be resolved again.
    pub fn remove(&mut self, reference: &ObjectRef) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        if self.unreadable.remove(reference) {
            touched.extend(self.tenant_names());
        }
        if reference.kind == Kind::Tenant {
            let name = &reference.object.name;
            if let Some(entry) = self.tenants.remove(name) {
                for claim in claims_of(&entry.object, &self.issuer_base) {
                    release(&mut self.wanted, &claim, name, &mut touched);
                }
                touched.insert(name.clone());
            }
            return touched;
        }
        let Some(tenant) = self.homes.remove(reference) else { return touched };
        if let Some(children) = self.children.get_mut(&tenant) {
            let name = &reference.object;
            match reference.kind {
                Kind::OAuthClient => {
                    if let Some(entry) = children.clients.remove(name)
                        && let Some(secret) = written_secret(&entry.object)
                        && let Some(holders) = self.secrets.get_mut(&secret)
                    {
                        holders.remove(&(tenant.clone(), name.clone()));
                        touched.extend(holders.iter().map(|(tenant, _)| tenant.clone()));
                        if holders.is_empty() {
                            self.secrets.remove(&secret);
                        }
                    }
                }
                Kind::SignedUrlRoute => drop(children.routes.remove(name)),
                Kind::AccessPolicy => drop(children.policies.remove(name)),
                Kind::RetentionPolicy => drop(children.retentions.remove(name)),
                Kind::Tenant => {}
            }
        }
        touched.insert(tenant);
        touched
    }

    /// Removes a namespace. Returns the tenants that must be resolved again.
    pub fn remove_namespace(&mut self, name: &str) -> BTreeSet<String> {
        self.namespaces.remove(name);
        self.tenants_in(name)
    }

    fn put_namespace(&mut self, object: Object) -> BTreeSet<String> {
        let Object::Namespace(namespace) = object else { return BTreeSet::new() };
        let before = self.namespaces.insert(namespace.name.clone(), namespace.labels.clone());
        if before.as_ref() == Some(&namespace.labels) { BTreeSet::new() } else { self.tenants_in(&namespace.name) }
    }

    fn tenants_in(&self, namespace: &str) -> BTreeSet<String> {
        let inside = self.homes.iter().filter(|(reference, _)| reference.object.namespace == namespace);
        inside.map(|(_, tenant)| tenant.clone()).collect()
    }

    /// Says what Postgres holds.
    pub fn set_claims(&mut self, claims: StoredClaims) {
        self.claims = claims;
    }

    /// What Postgres holds, to be kept up after a commit.
    pub fn claims_mut(&mut self) -> &mut StoredClaims {
        &mut self.claims
    }

    /// Says that an object exists whose content could not be read: what is stored of it stays. [`World::put`] and
    /// [`World::remove`] take it back.
    pub fn put_unreadable(&mut self, reference: ObjectRef) {
        self.unreadable.insert(reference);
    }

    /// True while some source could not be read at all (a file that is not YAML): nothing is deleted.
    pub fn set_incomplete(&mut self, incomplete: bool) {
        self.incomplete = incomplete;
    }

    /// Whether some source could not be read at all.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Every tenant that is declared or referred to.
    #[must_use]
    pub fn tenant_names(&self) -> BTreeSet<String> {
        let referred = self.children.iter().filter(|(_, children)| !children.is_empty()).map(|(name, _)| name);
        self.tenants.keys().chain(referred).chain(self.claims.tenants.keys()).cloned().collect()
    }

    /// An object, as last put.
    #[must_use]
    pub fn get(&self, reference: &ObjectRef) -> Option<Object> {
        if reference.kind == Kind::Tenant {
            return self.tenants.get(&reference.object.name).map(|e| Object::Tenant(Arc::clone(&e.object)));
        }
        let children = self.children.get(self.homes.get(reference)?)?;
        let name = &reference.object;
        match reference.kind {
            Kind::Tenant => None,
            Kind::OAuthClient => children.clients.get(name).map(|e| Object::OAuthClient(Arc::clone(&e.object))),
            Kind::SignedUrlRoute => children.routes.get(name).map(|e| Object::SignedUrlRoute(Arc::clone(&e.object))),
            Kind::AccessPolicy => children.policies.get(name).map(|(e, _)| Object::AccessPolicy(Arc::clone(&e.object))),
            Kind::RetentionPolicy => {
                children.retentions.get(name).map(|e| Object::RetentionPolicy(Arc::clone(&e.object)))
            }
        }
    }
}

impl Children {
    fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.routes.is_empty() && self.policies.is_empty() && self.retentions.is_empty()
    }
}

fn release(wanted: &mut BTreeMap<Claim, BTreeSet<String>>, claim: &Claim, name: &str, touched: &mut BTreeSet<String>) {
    if let Some(holders) = wanted.get_mut(claim) {
        holders.remove(name);
        touched.extend(holders.iter().cloned());
        if holders.is_empty() {
            wanted.remove(claim);
        }
    }
}

/// What a Tenant wants that only one may have.
pub(crate) fn claims_of(tenant: &Tenant, issuer_base: &str) -> Vec<Claim> {
    let mut claims: Vec<Claim> = tenant.spec.url_hosts.iter().cloned().map(Claim::Host).collect();
    claims.push(Claim::Issuer(issuer_of(tenant, issuer_base)));
    claims.extend(tenant.spec.tenant_id.clone().map(Claim::Id));
    claims
}

/// The effective issuer.
pub(crate) fn issuer_of(tenant: &Tenant, issuer_base: &str) -> String {
    let name = tenant.metadata.name.as_deref().unwrap_or_default();
    tenant.spec.issuer.clone().unwrap_or_else(|| defaults::issuer(issuer_base, name))
}

/// The Secret of a client's credentials: the one that they go to, or the one of someone else that they come from.
#[must_use]
pub fn secret_of(client: &OAuthClient) -> ObjectName {
    let own = crate::object::object_name(&client.metadata);
    let credentials = client.spec.credentials.as_ref();
    let existing = credentials.and_then(|credentials| Some(credentials.existing_secret_ref.as_ref()?.name.clone()));
    let named = || credentials?.secret.as_ref()?.name.clone();
    let name = existing.or_else(named).unwrap_or_else(|| defaults::secret_name(&own.name));
    ObjectName::new(own.namespace, name)
}

/// The Secret that is written for a client; none if it names one of someone else.
pub(crate) fn written_secret(client: &OAuthClient) -> Option<ObjectName> {
    let credentials = client.spec.credentials.as_ref();
    let reads = credentials.is_some_and(|credentials| credentials.existing_secret_ref.is_some());
    (!reads).then(|| secret_of(client))
}
