//! Hashes of client secrets on their way to the store: many clients, one transaction, one revision.
//!
//! Apart from the reconcile of a tenant, since it needs none of its objects: ten thousand new clients get their secrets
//! in twenty commits.

use std::time::Instant;

use authly_model::{
    client::SecretHash,
    ids::{Kind, ObjectName, ObjectRef},
};
use authly_store::Batch;
use std::collections::BTreeMap;

use super::{
    Engine, EngineError, apply::NotApplied, cluster::Cluster, index::Carried, ledger::Committed, programmed::Failing,
    tasks::Task,
};

impl<C: Cluster> Engine<C> {
    /// Notes the hashes that the store must hold of a client.
    pub(super) fn commit_later(&mut self, tenant: &str, client: &ObjectRef, hashes: Vec<SecretHash>) {
        self.commits.entry(tenant.to_owned()).or_default().insert(client.object.clone(), hashes);
        self.hash_batch.add([tenant.to_owned()], Instant::now());
    }

    /// Commits the hashes of a tenant's clients.
    pub(super) async fn commit_hashes(&mut self, tenant: &str) -> Result<(), EngineError> {
        let mut hashes = self.commits.remove(tenant).unwrap_or_default();
        let Some(held) = self.ledger.tenants.get_mut(tenant) else { return Ok(()) };
        if held.keys.is_none() && hashes.values().any(|hashes| !hashes.is_empty()) {
            // The keys are read anew after a change of the pepper: until then nothing is stored under one that may be gone.
            self.commits.insert(tenant.to_owned(), hashes);
            self.hash_batch.add([tenant.to_owned()], Instant::now());
            return Ok(());
        }
        // A client may have gone since its Secret was visited, and so may the pepper: the Secret is looked at again.
        hashes.retain(|client, hashes| {
            let is_known = hashes.iter().all(|hash| held.knows_pepper(&hash.pepper_id));
            if !is_known {
                self.tasks.add_now(Task::Secret(object(client)));
            }
            is_known && held.has(&object(client))
        });
        if hashes.is_empty() {
            return Ok(());
        }
        let batch = Batch { secrets: hashes.clone(), ..Batch::default() };
        match self.leader.apply(held.id, batch).await {
            Ok(revision) => {
                let clients: Vec<_> = hashes.keys().map(object).collect();
                held.note(Committed { changes: &[], hashes, revision });
                if !held.old_peppers().is_empty() {
                    self.batch.add([tenant.to_owned()], Instant::now());
                }
                for client in clients {
                    if let Some(entry) = self.index.entries.get_mut(&client) {
                        entry.credentials.carried = Some(Carried::new(revision));
                        self.waiting_secrets.insert(client.clone());
                        // Of a value that was generated just now all is said until every server has its hash.
                        if !self.left.contains_key(&client) {
                            self.tasks.add_now(Task::Secret(client));
                        }
                    }
                }
                Ok(())
            }
            Err(error) => {
                tracing::warn!(tenant, %error, "hashes of client secrets were not committed; trying again");
                self.stale = true;
                match error.into() {
                    NotApplied::Stop(error) => Err(error),
                    NotApplied::Retry(failing) => {
                        self.hashes_failed(&hashes, &failing);
                        Ok(())
                    }
                }
            }
        }
    }

    /// The Secrets that hold these values are looked at again, after the store.
    fn hashes_failed(&mut self, hashes: &BTreeMap<ObjectName, Vec<SecretHash>>, failing: &Failing) {
        for client in hashes.keys().map(object) {
            self.tasks.failed(Task::Secret(client.clone()), Instant::now());
            self.say_credentials(&client, Err(failing.clone()));
        }
    }

    /// Says how the credentials of a client are.
    pub(super) fn say_credentials(&mut self, client: &ObjectRef, outcome: Result<(), Failing>) {
        let Some(entry) = self.index.entries.get_mut(client) else { return };
        if entry.credentials.outcome.as_ref() == Some(&outcome) {
            return;
        }
        entry.credentials.outcome = Some(outcome.clone());
        if let Some(facts) = &mut entry.facts {
            facts.credentials = outcome;
        }
        self.refresh(client);
    }
}

fn object(client: &ObjectName) -> ObjectRef {
    ObjectRef { kind: Kind::OAuthClient, object: client.clone() }
}
