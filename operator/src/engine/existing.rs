//! The Secret that someone else writes, `existingSecretRef`: read, never written (operator.md, rule 7; decision 0013).
//!
//! While it is not there, or not what it must be, the client waits: nothing is made up, and what worked before goes on
//! working. A value that changes by itself is taken over at once, and the one before works for the overlap. Who announces
//! a value in `<key>_next` before it becomes `<key>` loses no request; the servers have it by then.

use authly_model::{client::SecretHash, ids::ObjectName};
use authly_secrets::{BadSuppliedSecret, ClientSecret};

use super::{
    cluster::{Cluster, SecretData, SecretObject},
    credentials::{CredentialsError, Plan, Visit, Visited, texts},
    seen::Seen,
    slots::{Slots, is_same, target},
};

/// Why a Secret of someone else cannot be used yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the Secret {0} does not exist: create it, or let its controller do so; nothing is generated in its place")]
    NotFound(ObjectName),
    #[error("the Secret {0} has no key `{1}`: add it, or name another in credentials.existingSecretRef.key")]
    KeyMissing(ObjectName, String),
    #[error("the value of `{1}` in the Secret {0} is no client secret: {2}")]
    Invalid(ObjectName, String, BadSuppliedSecret),
}

/// Reads the Secret and says what the store must hold.
pub(super) async fn look<C: Cluster>(cluster: &C, plan: &Plan, key: &str) -> Result<Visited, CredentialsError> {
    let found = cluster.secret(&plan.at).await?;
    let found = found.ok_or_else(|| Unusable::NotFound(plan.at.clone()))?;
    let slots = read(plan, &found, key)?;
    let mut since = plan.rotation.since.clone();
    // There is nothing here to rotate: a request is answered by the look that it caused.
    let seen = Seen::new(plan, slots, plan.rotation.requested.clone(), &mut since);
    let values = texts(&found).filter_map(|text| ClientSecret::supplied(text).ok());
    if let Some(anew) = seen.digested_anew(values, plan) {
        return Ok(seen.visited(plan, |_| anew));
    }
    let hashes = target(&seen.slots, &plan.stored, seen.known(plan).overlap_over);
    if !is_same(&hashes, &plan.stored) {
        return Ok(seen.visited(plan, |ready| Visit::Commit { hashes, ready }));
    }
    if plan.sweep && !seen.slots.is_retiring(&plan.stored) {
        // The Secret that was generated before this one was named: whoever still read it had the overlap to move.
        cluster.delete_secrets(&plan.at.namespace, &plan.owner, Some(&plan.at.name)).await?;
        return Ok(Visited { swept: true, ..seen.visited(plan, |_| Visit::Ready) });
    }
    Ok(seen.visited(plan, |_| Visit::Ready))
}

fn read(plan: &Plan, found: &SecretObject, key: &str) -> Result<Slots, CredentialsError> {
    let hash = |key: &str| -> Option<Result<SecretHash, BadSuppliedSecret>> {
        let value = found.data.get(key)?;
        let secret = SecretData::text(value).ok_or(BadSuppliedSecret::Characters).and_then(ClientSecret::supplied);
        Some(secret.and_then(|secret| plan.keys.hash_secret(&secret).map_err(|_| BadSuppliedSecret::Characters)))
    };
    let named = || (plan.at.clone(), key.to_owned());
    let current = hash(key).ok_or_else(|| {
        let (at, key) = named();
        Unusable::KeyMissing(at, key)
    })?;
    let current = current.map_err(|why| {
        let (at, key) = named();
        Unusable::Invalid(at, key, why)
    })?;
    let beside = |suffix: &str| hash(&format!("{key}_{suffix}")).and_then(Result::ok);
    Ok(Slots { next: beside("next"), current: Some(current), previous: beside("previous") })
}
