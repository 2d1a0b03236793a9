//! What is paused: nothing is done about it, and its status says so (operator.md, rule 14).
//!
//! An object keeps what is stored of it, and its Secret stays as it is; a Tenant pauses everything of the tenant. What is
//! deleted goes all the same.

use authly_desired::Resolved;
use authly_model::{
    diff::Item,
    ids::{Kind, ObjectRef},
};

use super::{Engine, cluster::Cluster, triggers::PAUSED};

impl<C: Cluster> Engine<C> {
    /// Notes which objects of a tenant are paused, and says so.
    pub(super) fn note_paused(&mut self, tenant: &str) {
        let whole = ObjectRef::new(Kind::Tenant, "", tenant);
        let all = self.index.entries.get(&whole).is_some_and(|entry| entry.triggers.paused);
        for reference in self.index.of_tenant(tenant) {
            let Some(entry) = self.index.entries.get_mut(&reference) else { continue };
            let why = if entry.deleting {
                None
            } else if entry.triggers.paused {
                Some(format!("the annotation {PAUSED} pauses it: remove it to go on"))
            } else if all {
                Some(format!("the annotation {PAUSED} of Tenant `{tenant}` pauses it: remove it there to go on"))
            } else {
                None
            };
            let ended = why.is_none() && entry.paused.is_some();
            entry.paused = why;
            // Its Secret may have moved on meanwhile.
            entry.credentials.due |= ended;
            if entry.paused.is_some() {
                self.refresh(&reference);
            }
        }
    }

    /// What is paused stays as it is stored.
    pub(super) fn keep_paused(&self, tenant: &str, resolved: &mut Resolved) {
        let desired = &mut resolved.desired;
        for ObjectRef { kind, object } in self.index.of_tenant(tenant).iter().filter(|object| self.is_paused(object)) {
            match kind {
                Kind::Tenant => desired.tenant = Some(Item::Keep),
                Kind::OAuthClient => drop(desired.clients.insert(object.clone(), Item::Keep)),
                Kind::SignedUrlRoute => drop(desired.routes.insert(object.clone(), Item::Keep)),
                Kind::AccessPolicy => drop(desired.policies.insert(object.clone(), Item::Keep)),
                Kind::RetentionPolicy => drop(desired.retentions.insert(object.clone(), Item::Keep)),
            }
        }
    }

    /// Whether nothing is to be done about an object.
    pub(super) fn is_paused(&self, object: &ObjectRef) -> bool {
        self.index.entries.get(object).is_some_and(|entry| entry.paused.is_some())
    }
}
