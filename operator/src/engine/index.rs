//! Everything that is declared, in memory, with what was last seen and said of each object. Decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use authly_desired::{Namespace, Object, World};
use authly_model::{
    feed::Revision,
    ids::{Kind, ObjectName, ObjectRef},
};
use serde_json::Value;

use super::{
    cluster::Target, condition::Facts, input::Declared, kept::Kept, programmed::Failing, rotation::Shown,
    triggers::Triggers,
};

/// An object and what is known of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    pub(super) generation: i64,
    pub(super) deleting: bool,
    pub(super) finalizer: bool,
    /// What its annotations ask for.
    pub(super) triggers: Triggers,
    /// The request that was answered by a reconcile of this process.
    pub(super) reconciled: Option<String>,
    /// Why nothing is done about it.
    pub(super) paused: Option<String>,
    /// The tenant that it is or names; unknown while it never parsed.
    pub(super) tenant: Option<String>,
    /// Why it is not one of its kind.
    pub(super) malformed: Option<String>,
    /// The status as it was last read or written.
    pub(super) seen: Kept,
    /// What was last said of it; `None` until its tenant was reconciled.
    pub(super) facts: Option<Facts>,
    /// The revision that carries it.
    pub(super) carried: Option<Carried>,
    /// The credentials of a client.
    pub(super) credentials: Credentials,
    /// What retention did for a RetentionPolicy; `None` until it was read, and then what was seen holds.
    pub(super) runs: Option<Value>,
}

/// A revision on its way to the replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) revision: Revision,
    /// Whether every replica that needs it has passed it; stays true for this revision.
    pub(super) passed: bool,
    /// What status shows.
    pub(super) shown: String,
}

impl Carried {
    pub(super) fn new(revision: Revision) -> Self {
        Self { revision, passed: false, shown: format!("{}.{}", revision.shard, revision.seq) }
    }
}

/// Where the Secret of a client stands.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// The client id, once it is known; `None` for what has no Secret.
    pub(super) client_id: Option<String>,
    /// Whether the spec changed since the last visit.
    pub(super) due: bool,
    /// What the last visit said; `None` before the first.
    pub(super) outcome: Option<Result<(), Failing>>,
    /// The revision that carries the hashes.
    pub(super) carried: Option<Carried>,
    /// What the last visit said of the value and its rotation; `None` before the first, and then what was seen holds.
    pub(super) shown: Option<Shown>,
    /// Whether a Secret that was generated before is known to be gone.
    pub(super) swept: bool,
}

/// All objects.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) world: World,
    pub(super) entries: HashMap<ObjectRef, Entry>,
    of_tenant: BTreeMap<String, BTreeSet<ObjectRef>>,
    /// The clients of each Secret: several may name one that someone else writes.
    of_secret: BTreeMap<ObjectName, BTreeSet<ObjectRef>>,
}

impl Index {
    pub(super) fn new(installation: &str, issuer_base: &str) -> Self {
        let world = World::new(installation, issuer_base);
        Self { world, entries: HashMap::new(), of_tenant: BTreeMap::new(), of_secret: BTreeMap::new() }
    }

    /// Notes an object as it was seen. Answers the tenants that must be resolved again: none if only status changed.
    pub(super) fn declare(&mut self, declared: Declared) -> BTreeSet<String> {
        let reference = declared.target.object.clone();
        let old = self.entries.remove(&reference);
        let mut triggers = declared.object.as_ref().map(Triggers::of).unwrap_or_default();
        // What is deleted goes, paused or not.
        triggers.paused &= !declared.deleting;
        let unchanged = old.as_ref().is_some_and(|old| {
            (old.generation, old.deleting, old.finalizer, &old.target.uid, &old.triggers)
                == (declared.generation, declared.deleting, declared.finalizer, &declared.target.uid, &triggers)
                && old.malformed.is_none()
                && declared.object.is_ok()
        });
        let mut entry = old.unwrap_or_else(|| Entry::new(&declared));
        entry.target = declared.target;
        entry.seen = Kept::new(&declared.status);
        entry.triggers = triggers;
        (entry.generation, entry.deleting, entry.finalizer) =
            (declared.generation, declared.deleting, declared.finalizer);
        let mut touched = BTreeSet::new();
        if !unchanged {
            touched = self.resolve(&reference, &mut entry, declared.object);
        }
        self.entries.insert(reference, entry);
        touched
    }

    fn resolve(
        &mut self,
        reference: &ObjectRef,
        entry: &mut Entry,
        object: Result<Object, String>,
    ) -> BTreeSet<String> {
        let before = entry.tenant.clone();
        let mut touched = match object {
            Err(why) => {
                entry.malformed = Some(why);
                self.world.put_unreadable(reference.clone());
                before.clone().map_or_else(|| self.world.tenant_names(), |tenant| BTreeSet::from([tenant]))
            }
            Ok(_) if entry.triggers.paused && self.world.get(reference).is_some() => {
                // What was there before stays the truth until it goes on.
                before.clone().into_iter().collect()
            }
            Ok(object) => {
                entry.malformed = None;
                entry.tenant = object.tenant().map(ToOwned::to_owned);
                if let Object::OAuthClient(client) = &object {
                    (entry.credentials.due, entry.credentials.swept) = (true, false);
                    self.forget_secret(reference);
                    self.of_secret.entry(secret_place(client)).or_default().insert(reference.clone());
                }
                self.world.put(object)
            }
        };
        if before != entry.tenant {
            if let Some(set) = before.as_ref().and_then(|tenant| self.of_tenant.get_mut(tenant)) {
                set.remove(reference);
            }
            touched.extend(before);
        }
        if let Some(tenant) = &entry.tenant {
            self.of_tenant.entry(tenant.clone()).or_default().insert(reference.clone());
        }
        touched
    }

    /// Forgets which Secret a client names.
    fn forget_secret(&mut self, reference: &ObjectRef) {
        let Some(Object::OAuthClient(client)) = self.world.get(reference) else { return };
        let at = secret_place(&client);
        if let Some(clients) = self.of_secret.get_mut(&at) {
            clients.remove(reference);
            if clients.is_empty() {
                self.of_secret.remove(&at);
            }
        }
    }

    /// Forgets an object. Answers it and the tenants that must be resolved again.
    pub(super) fn delete(&mut self, reference: &ObjectRef) -> (Option<Entry>, BTreeSet<String>) {
        self.forget_secret(reference);
        let mut touched = self.world.remove(reference);
        let entry = self.entries.remove(reference);
        if let Some(tenant) = entry.as_ref().and_then(|entry| entry.tenant.clone()) {
            if let Some(set) = self.of_tenant.get_mut(&tenant) {
                set.remove(reference);
                if set.is_empty() {
                    self.of_tenant.remove(&tenant);
                }
            }
            touched.insert(tenant);
        }
        (entry, touched)
    }

    /// Notes a Namespace.
    pub(super) fn namespace(&mut self, name: &str, labels: Option<BTreeMap<String, String>>) -> BTreeSet<String> {
        match labels {
            Some(labels) => self.world.put(Namespace::new(name, labels).into()),
            None => self.world.remove_namespace(name),
        }
    }

    /// The objects that are, or name, a tenant.
    pub(super) fn of_tenant(&self, tenant: &str) -> Vec<ObjectRef> {
        self.of_tenant.get(tenant).into_iter().flatten().cloned().collect()
    }

    /// What the annotations of a Tenant ask for, while it is declared.
    pub(super) fn triggers_of(&self, tenant: &str) -> Option<&Triggers> {
        Some(&self.entries.get(&ObjectRef::new(Kind::Tenant, "", tenant))?.triggers)
    }

    /// The store has lost a tenant: whatever is declared of it will be new there.
    pub(super) fn start_anew(&mut self, tenant: &str) {
        for reference in self.of_tenant.get(tenant).into_iter().flatten() {
            if let Some(entry) = self.entries.get_mut(reference) {
                entry.carried = None;
                entry.credentials = Credentials { due: true, ..Credentials::default() };
            }
        }
    }

    /// The clients whose Secrets are in a namespace, or of this name in it.
    pub(super) fn clients_of(&self, namespace: &str, secret: Option<&str>) -> Vec<ObjectRef> {
        let Some(name) = secret else {
            let inside = self.of_secret.iter().filter(|(at, _)| at.namespace == namespace);
            return inside.flat_map(|(_, clients)| clients.clone()).collect();
        };
        self.of_secret.get(&ObjectName::new(namespace, name)).into_iter().flatten().cloned().collect()
    }
}

impl Entry {
    fn new(declared: &Declared) -> Self {
        Self {
            target: declared.target.clone(),
            generation: declared.generation,
            deleting: declared.deleting,
            finalizer: declared.finalizer,
            triggers: Triggers::default(),
            reconciled: None,
            paused: None,
            tenant: None,
            malformed: None,
            seen: Kept::new(&Value::Null),
            facts: None,
            carried: None,
            credentials: Credentials::default(),
            runs: None,
        }
    }
}

/// Where the credentials of a client are.
pub(super) fn secret_place(client: &authly_crds::OAuthClient) -> ObjectName {
    authly_desired::secret_of(client)
}
