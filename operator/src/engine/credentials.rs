//! The Secret of one client: reads it, takes the steps of [`super::slots`] that need the cluster, and says what the
//! engine must do next (operator.md, rule 7).
//!
//! A Secret without our mark is never touched. The value of a secret stays in this file and in the Secret.
//! Losing the Secret by hand is a rotation: only the hash is kept, so a new value is made, and the old one stays valid
//! until the new one works.

use std::{collections::BTreeMap, sync::Arc};

use authly_model::{client::SecretHash, ids::ObjectName};
use authly_secrets::{ClientSecret, UnlockedTenant};

use super::{
    cluster::{Cluster, ClusterError, SecretData, SecretObject, SecretWrite},
    slots::{CURRENT, NEXT, Slots, Step, next_step},
};

/// Reads and writes of one visit. More are needed only if someone else writes the same Secret all the time.
const ROUNDS: usize = 6;

/// Everything that a visit of a client's Secret needs.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) at: ObjectName,
    pub(super) owner: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// client_id, issuer, token_endpoint.
    pub(super) fixed: BTreeMap<&'static str, String>,
    pub(super) keys: Arc<UnlockedTenant>,
    /// The hashes in the store.
    pub(super) stored: Vec<SecretHash>,
    /// Whether every live server has them.
    pub(super) programmed: bool,
}

/// What a visit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Visit {
    /// `client_secret` works.
    Ready,
    /// The store must hold exactly these hashes.
    Commit {
        hashes: Vec<SecretHash>,
        /// Whether `client_secret` works already, and this only drops hashes.
        ready: bool,
    },
    /// `client_secret_next` waits for the servers.
    Wait,
}

/// Why a visit failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error("the Secret {0} exists and is not this client's: delete it, or choose another credentials.secret.name")]
    NotOurs(ObjectName),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("a secret could not be made: {0}")]
    Secrets(String),
}

/// Brings the Secret as far as it goes without the store.
pub(super) async fn visit<C: Cluster>(cluster: &C, plan: &Plan) -> Result<Visit, CredentialsError> {
    for _ in 0..ROUNDS {
        let found = cluster.secret(&plan.at).await?;
        if found.as_ref().is_some_and(|secret| secret.owner.as_deref() != Some(&plan.owner)) {
            return Err(CredentialsError::NotOurs(plan.at.clone()));
        }
        let slots = found.as_ref().map(|secret| Slots::read(secret, &plan.keys)).unwrap_or_default();
        let mut write = template(plan, found.as_ref());
        match next_step(&slots, &plan.stored, plan.programmed) {
            Step::Generate => {
                let secret = ClientSecret::generate().map_err(|error| CredentialsError::Secrets(error.to_string()))?;
                write.set.insert(NEXT.to_owned(), SecretData::new(secret.expose()));
                // What is not a client secret of ours never stays where Pods read.
                write.remove.push(CURRENT.to_owned());
            }
            Step::Promote => {
                let Some(value) = found.as_ref().and_then(|secret| secret.data.get(NEXT)) else { continue };
                write.set.insert(CURRENT.to_owned(), value.clone());
                write.remove.push(NEXT.to_owned());
            }
            step if found.as_ref().is_some_and(|secret| is_tidy(secret, &write)) => {
                return Ok(match step {
                    Step::Commit(hashes) => {
                        let works = |current| slots.next.is_none() && plan.stored.contains(current);
                        Visit::Commit { hashes, ready: slots.current.as_ref().is_some_and(works) }
                    }
                    Step::Wait => Visit::Wait,
                    _ => Visit::Ready,
                });
            }
            // Labels, annotations or fixed keys drifted.
            _ => {}
        }
        match cluster.put_secret(&write).await {
            Ok(()) | Err(ClusterError::Conflict | ClusterError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ClusterError::Conflict.into())
}

fn template(plan: &Plan, found: Option<&SecretObject>) -> SecretWrite {
    SecretWrite {
        at: plan.at.clone(),
        version: found.map(|secret| secret.version.clone()),
        owner: plan.owner.clone(),
        labels: plan.labels.clone(),
        annotations: plan.annotations.clone(),
        set: plan.fixed.iter().map(|(key, value)| ((*key).to_owned(), SecretData::new(value.as_str()))).collect(),
        remove: Vec::new(),
    }
}

fn is_tidy(secret: &SecretObject, write: &SecretWrite) -> bool {
    let has = |all: &BTreeMap<String, String>, (key, value): (&String, &String)| all.get(key) == Some(value);
    write.labels.iter().all(|pair| has(&secret.labels, pair))
        && write.annotations.iter().all(|pair| has(&secret.annotations, pair))
        && write.set.iter().all(|(key, value)| secret.data.get(key) == Some(value))
}
