//! What a visit of a client's Secret needs, from what is declared, stored and known; and why a visit failed, in words.

use std::{collections::BTreeMap, sync::Arc};

use authly_desired::{Object, defaults};
use authly_model::{duration::Seconds, ids::ObjectRef};
use jiff::SignedDuration;

use super::{
    Engine,
    cluster::{Cluster, ClusterError, SecretObject},
    credentials::{CredentialsError, Guess, Plan, Rotation, visit},
    existing::{Unusable, look},
    index::secret_place,
    programmed::Failing,
    rotation::Shown,
    slots::CURRENT,
    tasks::{Done, Task},
};

impl<C: Cluster> Engine<C> {
    pub(super) fn start_secret(&mut self, object: &ObjectRef, task: &Task) {
        let left = self.left.remove(object);
        let Some(plan) = self.plan(object, left) else {
            // Something that it needs is not known now: the next reconcile of the tenant asks for the visit again.
            if let Some(entry) = self.index.entries.get_mut(object) {
                entry.credentials.due = true;
            }
            return;
        };
        let cluster = Arc::clone(&self.cluster);
        let existing = self.existing_key(object);
        self.tasks.spawn(task.clone(), async move {
            Done::Secret(match existing {
                None => visit(cluster.as_ref(), &plan).await,
                Some(key) => look(cluster.as_ref(), &plan, &key).await,
            })
        });
    }

    /// The key to read of the Secret of someone else; `None` for a client whose secret is generated.
    fn existing_key(&self, object: &ObjectRef) -> Option<String> {
        let Some(Object::OAuthClient(client)) = self.index.world.get(object) else { return None };
        let existing = client.spec.credentials.as_ref()?.existing_secret_ref.as_ref()?;
        Some(existing.key.clone().unwrap_or_else(|| CURRENT.to_owned()))
    }

    fn plan(&self, object: &ObjectRef, left: Option<SecretObject>) -> Option<Plan> {
        let entry = self.index.entries.get(object).filter(|entry| entry.paused.is_none() && !entry.triggers.paused)?;
        let client_id = entry.credentials.client_id.clone()?;
        let held = self.ledger.tenants.get(entry.tenant.as_ref()?).filter(|held| held.has(object))?;
        let Some(Object::OAuthClient(client)) = self.index.world.get(object) else { return None };
        let credentials = client.spec.credentials.as_ref();
        let template = credentials.and_then(|credentials| credentials.secret.clone()).unwrap_or_default();
        let existing = credentials.and_then(|credentials| credentials.existing_secret_ref.as_ref());
        let overlap = existing.map_or(template.overlap.as_ref(), |existing| existing.overlap.as_ref());
        let stored = held.hashes.get(&object.object).cloned().unwrap_or_default();
        let since = entry.credentials.shown.clone().unwrap_or_else(|| Shown::seen(&entry.seen.value())).since;
        let is_new = stored.is_empty() && since.is_none() && entry.credentials.outcome.is_none();
        Some(Plan {
            guess: left.map(Guess::Left).or(is_new.then_some(Guess::Missing)),
            at: secret_place(&client),
            owner: self.owner(object),
            labels: template.labels,
            annotations: template.annotations,
            fixed: BTreeMap::from([
                ("client_id", client_id),
                ("issuer", held.issuer.clone()),
                ("token_endpoint", format!("{}/token", held.issuer)),
            ]),
            keys: held.keys.clone()?,
            stored,
            programmed: entry.credentials.carried.as_ref().is_some_and(|carried| carried.passed),
            under_way: entry.credentials.carried.as_ref().is_some_and(|carried| !carried.passed),
            rotation: Rotation {
                every: template.rotate_every.as_ref().map(|every| duration(Some(every), defaults::ROTATION_OVERLAP)),
                overlap: duration(overlap, defaults::ROTATION_OVERLAP),
                requested: entry.triggers.rotate.clone(),
                since,
            },
            sweep: !entry.credentials.swept,
            clock: Arc::clone(&self.clock),
        })
    }

    /// The owner mark of an object: never a UID, so it survives restores and cluster moves (operator.md, rule 9).
    pub(super) fn owner(&self, object: &ObjectRef) -> String {
        format!("{}/{}/{}", self.leader.installation(), object.kind, object.object)
    }
}

/// A duration that admission has seen, or else the default.
fn duration(text: Option<&String>, default: Seconds) -> SignedDuration {
    SignedDuration::from_secs(text.and_then(|text| text.parse().ok()).unwrap_or(default).0)
}

/// The condition of a visit that failed.
pub(super) fn failing(error: &CredentialsError) -> Failing {
    match error {
        CredentialsError::Unusable(unusable) => {
            let reason = match unusable {
                Unusable::NotFound(_) => "SecretNotFound",
                Unusable::KeyMissing(..) => "SecretKeyMissing",
                Unusable::Invalid(..) => "SecretInvalid",
            };
            Failing::new(reason, error.to_string())
        }
        CredentialsError::NotOurs(_) => Failing::new("SecretNotOwned", error.to_string()),
        CredentialsError::Cluster(ClusterError::Denied { fix }) => Failing::new(
            "SecretAccessDenied",
            format!("the operator may not write Secrets in this namespace; run: {fix}"),
        ),
        CredentialsError::Cluster(ClusterError::Refused(_)) => Failing::new("SecretRefused", error.to_string()),
        CredentialsError::Cluster(_) => Failing::new("SecretPending", error.to_string()),
        CredentialsError::Secrets(_) => Failing::new("SecretFailed", error.to_string()),
    }
}
