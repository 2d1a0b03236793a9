//! A cluster in memory that keeps the rules of an API server: versions, conflicts, ownership marks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use authly_model::ids::{ObjectName, ObjectRef};
use serde_json::Value;

use crate::engine::{Cluster, ClusterError, Notice, SecretObject, SecretWrite, Target};

/// What a write that is chosen to fail does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written.
    Lost,
    /// It is written, but the answer is lost.
    Unanswered,
}

#[derive(Default)]
pub(crate) struct State {
    version: u64,
    pub(crate) secrets: BTreeMap<ObjectName, SecretObject>,
    pub(crate) statuses: BTreeMap<ObjectRef, Value>,
    pub(crate) versions: BTreeMap<ObjectRef, String>,
    pub(crate) generations: BTreeMap<ObjectRef, i64>,
    pub(crate) finalizers: BTreeSet<ObjectRef>,
    pub(crate) notices: Vec<(ObjectRef, Notice)>,
    /// Reads of Secrets so far.
    pub(crate) read: usize,
    /// Status writes so far.
    pub(crate) written: usize,
    /// Namespaces without a grant.
    pub(crate) denied: BTreeSet<String>,
    /// The write of Secrets, counted from now, that fails.
    pub(crate) fault: Option<(usize, Fault)>,
}

#[derive(Default)]
pub(crate) struct FakeCluster(Mutex<State>);

impl FakeCluster {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn bump(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// The version of an object; a new one if it changed.
    pub(crate) fn touch(&mut self, object: &ObjectRef, changed: bool) -> String {
        if changed || !self.versions.contains_key(object) {
            let version = self.bump();
            self.versions.insert(object.clone(), version);
        }
        self.versions[object].clone()
    }

    fn fault(&mut self) -> Option<Fault> {
        match &mut self.fault {
            Some((0, fault)) => {
                let fault = *fault;
                self.fault = None;
                Some(fault)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    fn write(&mut self, write: &SecretWrite) -> Result<SecretObject, ClusterError> {
        let found = self.secrets.get(&write.at).cloned();
        if found.as_ref().map(|secret| secret.version.clone()) != write.version {
            return Err(ClusterError::Conflict);
        }
        let mut secret = found.unwrap_or_default();
        secret.version = self.bump();
        secret.owner = Some(write.owner.clone());
        secret.labels.extend(write.labels.clone());
        secret.annotations.extend(write.annotations.clone());
        for key in &write.remove {
            secret.data.remove(key);
        }
        secret.data.extend(write.set.clone());
        self.secrets.insert(write.at.clone(), secret.clone());
        Ok(secret)
    }

    fn granted(&self, namespace: &str) -> Result<(), ClusterError> {
        if self.denied.contains(namespace) {
            return Err(ClusterError::Denied { fix: "kubectl create rolebinding …".to_owned() });
        }
        Ok(())
    }

    fn check(&self, target: &Target) -> Result<(), ClusterError> {
        match self.versions.get(&target.object) {
            None => Err(ClusterError::NotFound),
            Some(version) if *version == target.version => Ok(()),
            Some(_) => Err(ClusterError::Conflict),
        }
    }
}

impl Cluster for FakeCluster {
    async fn put_status(&self, target: &Target, status: &Value) -> Result<String, ClusterError> {
        let mut state = self.state();
        state.check(target)?;
        let version = state.bump();
        state.versions.insert(target.object.clone(), version.clone());
        let stored = state.statuses.entry(target.object.clone()).or_insert(Value::Null);
        merge(stored, status);
        state.written += 1;
        Ok(version)
    }

    async fn put_finalizer(&self, target: &Target, present: bool) -> Result<String, ClusterError> {
        let mut state = self.state();
        state.check(target)?;
        let version = state.bump();
        state.versions.insert(target.object.clone(), version.clone());
        if present {
            state.finalizers.insert(target.object.clone());
        } else {
            state.finalizers.remove(&target.object);
        }
        Ok(version)
    }

    async fn secret(&self, at: &ObjectName) -> Result<Option<SecretObject>, ClusterError> {
        let mut state = self.state();
        state.read += 1;
        state.granted(&at.namespace)?;
        Ok(state.secrets.get(at).cloned())
    }

    async fn put_secret(&self, write: &SecretWrite) -> Result<SecretObject, ClusterError> {
        let mut state = self.state();
        state.granted(&write.at.namespace)?;
        let lost = || ClusterError::Unavailable("killed".to_owned());
        match state.fault() {
            Some(Fault::Lost) => return Err(lost()),
            Some(Fault::Unanswered) => {
                state.write(write)?;
                return Err(lost());
            }
            None => {}
        }
        state.write(write)
    }

    async fn delete_secrets(&self, namespace: &str, owner: &str, keep: Option<&str>) -> Result<(), ClusterError> {
        let mut state = self.state();
        state.secrets.retain(|at, secret| {
            at.namespace != namespace || secret.owner.as_deref() != Some(owner) || Some(at.name.as_str()) == keep
        });
        Ok(())
    }

    async fn publish(&self, target: &Target, notice: &Notice) {
        self.state().notices.push((target.object.clone(), notice.clone()));
    }
}

/// RFC 7396, one level deep, which is all that a status needs.
fn merge(stored: &mut Value, patch: &Value) {
    if !stored.is_object() {
        *stored = Value::Object(serde_json::Map::new());
    }
    let (Some(stored), Some(patch)) = (stored.as_object_mut(), patch.as_object()) else { return };
    for (key, value) in patch {
        if value.is_null() {
            stored.remove(key);
        } else {
            stored.insert(key.clone(), value.clone());
        }
    }
}
