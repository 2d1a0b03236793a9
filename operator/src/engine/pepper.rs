//! Change of a tenant's pepper, under which the digests of client secrets are made (docs/decisions/0007-rotation-of-keys.md).
//!
//! A new pepper is stored beside the old one. Once every server knows it, each client's Secret is visited, and what is stored of
//! its values is digested anew. Once no digest needs the old pepper and every server knows that, it is deleted. Clients notice
//! nothing. Every step is derived from what is stored, so it may end anywhere.

use authly_model::{
    client::SecretHash,
    ids::{Kind, ObjectRef},
};
use authly_secrets::SecretsError;
use authly_store::{Batch, PepperChange};

use super::{Engine, apply::NotApplied, cluster::Cluster, programmed::Failing, tasks::Task};

/// The field of a Tenant's status that says which request's change has begun.
pub(super) const FIELD: &str = "pepperRequestedAt";

impl<C: Cluster> Engine<C> {
    /// Takes the step of a tenant's peppers that is due.
    pub(super) async fn change_pepper(&mut self, name: &str) -> Result<(), NotApplied> {
        if let Some(request) = self.pepper_request(name) {
            self.unlock(name).await?;
            let keys = self.ledger.tenants.get(name).and_then(|held| held.keys.clone());
            let Some(keys) = keys else { return Ok(()) };
            let is_changing = self.ledger.tenants.get(name).is_some_and(|held| !held.old_peppers().is_empty());
            let change = if is_changing {
                PepperChange::Join(request.clone())
            } else {
                let failed = |error: SecretsError| Failing::new("KeysUnavailable", error.to_string());
                let pepper = keys.new_pepper().map_err(|error| NotApplied::Retry(failed(error)))?;
                PepperChange::Add(pepper, request.clone())
            };
            self.commit_pepper(name, change).await?;
            if let Some(held) = self.ledger.tenants.get_mut(name) {
                held.pepper_request = Some(request);
            }
            self.unlock(name).await?;
        }
        // Of a tenant without clients nothing is unlocked, and nothing is to be digested.
        if self.ledger.tenants.get(name).is_none_or(|held| held.old_peppers().is_empty()) {
            return Ok(());
        }
        if !self.is_known_to_all(name) {
            self.signing.wait_for(name);
            return Ok(());
        }
        // Every server knows the newest: it is the one to digest under from now on.
        self.unlock_anew(name).await?;
        let Some(held) = self.ledger.tenants.get(name) else { return Ok(()) };
        let old = held.old_peppers();
        let needs = |hashes: &[SecretHash]| hashes.iter().any(|hash| old.contains(&hash.pepper_id));
        let clients = held.hashes.iter().filter(|(_, hashes)| needs(hashes));
        let clients: Vec<_> =
            clients.map(|(client, _)| ObjectRef { kind: Kind::OAuthClient, object: client.clone() }).collect();
        if clients.is_empty() {
            tracing::info!(tenant = name, "the old pepper goes: no secret is digested under it");
            self.commit_pepper(name, PepperChange::Remove(old)).await?;
            return self.unlock(name).await;
        }
        for client in clients {
            self.tasks.add_now(Task::Secret(client));
        }
        Ok(())
    }

    /// The request whose change has not begun. During a change a request is that change.
    fn pepper_request(&self, name: &str) -> Option<String> {
        let request = self.index.triggers_of(name)?.pepper.as_ref()?;
        let held = self.ledger.tenants.get(name).filter(|held| !held.stored.tombstoned)?;
        (held.pepper_request.as_ref() != Some(request)).then(|| request.clone())
    }

    async fn commit_pepper(&mut self, name: &str, change: PepperChange) -> Result<(), NotApplied> {
        let Some(held) = self.ledger.tenants.get_mut(name) else { return Ok(()) };
        let batch = Batch { pepper: Some(change), ..Batch::default() };
        // Whatever comes of it, they are read again: after an unclear commit too.
        held.keys = None;
        match self.leader.apply(held.id, batch).await {
            Ok(revision) => {
                held.published(name, revision);
                Ok(())
            }
            Err(error) => {
                self.stale = true;
                Err(error.into())
            }
        }
    }

    /// Unlocks again, if secrets are still digested under an older pepper than the newest.
    async fn unlock_anew(&mut self, name: &str) -> Result<(), NotApplied> {
        if let Some(held) = self.ledger.tenants.get_mut(name)
            && !held.uses_newest_pepper()
        {
            held.keys = None;
        }
        self.unlock(name).await
    }
}
