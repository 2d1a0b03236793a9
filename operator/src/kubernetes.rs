//! The API server as the engine's [`Cluster`].
//!
//! Owns: every Kubernetes write. Each asks [`Leadership`] first, carries the resourceVersion that was read, and is given
//! up after a time, so that an old leader stops at once and its late writes conflict (operator.md, rule 11).

mod failure;
mod grants;
pub(crate) mod lease;
mod notice;
mod secret;
#[cfg(test)]
mod tests;
mod watch;

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use authly_model::{
    clock::Clock,
    ids::{Kind, ObjectName, ObjectRef},
};
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

pub(crate) use failure::describe;
use failure::translate;
use grants::Grants;
pub use lease::LeaseTimes;
pub(crate) use lease::{Elector, Leadership, LeasePlace};

use crate::engine::{Cluster, ClusterError, FINALIZER, Input, Notice, SecretObject, SecretWrite, Target};

/// The longest wait for one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A Kubernetes cluster, while this process leads.
pub(crate) struct KubeCluster {
    client: Client,
    leadership: Leadership,
    grants: Grants,
    resources: HashMap<Kind, ApiResource>,
    instance: String,
    clock: Arc<dyn Clock>,
}

impl KubeCluster {
    /// The cluster behind `client`; what its Secret watches see goes to `inputs`.
    pub(crate) async fn new(
        client: Client,
        leadership: Leadership,
        instance: String,
        clock: Arc<dyn Clock>,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let grants = Grants::new(client.clone(), inputs, leadership.lost().clone()).await;
        let resources = Kind::ALL.into_iter().map(|kind| (kind, watch::resource(kind))).collect();
        Self { client, leadership, grants, resources, instance, clock }
    }

    fn objects(&self, object: &ObjectRef) -> Api<DynamicObject> {
        let Some(resource) = self.resources.get(&object.kind) else {
            return Api::all_with(self.client.clone(), &watch::resource(object.kind));
        };
        let namespace = &object.object.namespace;
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, resource)
        }
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        self.grants.watch(namespace);
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Sends a write, unless leadership is lost before or while it is under way.
    async fn lead<T>(&self, write: impl Future<Output = Result<T, ClusterError>>) -> Result<T, ClusterError> {
        if !self.leadership.is_held() {
            return Err(ClusterError::NotLeader);
        }
        let bounded = bounded(write);
        self.leadership.lost().run_until_cancelled(bounded).await.unwrap_or(Err(ClusterError::NotLeader))
    }

    async fn merge(&self, target: &Target, patch: &Value, subresource: bool) -> Result<String, ClusterError> {
        let api = self.objects(&target.object);
        let (name, params, patch) = (&target.object.object.name, PatchParams::default(), Patch::Merge(patch));
        let result = if subresource {
            api.patch_status(name, &params, &patch).await
        } else {
            api.patch(name, &params, &patch).await
        };
        let object =
            result.map_err(|error| translate(&error, "the chart's ClusterRole of the operator is not bound"))?;
        Ok(object.metadata.resource_version.unwrap_or_default())
    }
}

async fn bounded<T>(request: impl Future<Output = Result<T, ClusterError>>) -> Result<T, ClusterError> {
    let late = || ClusterError::Unavailable(format!("no answer within {} s", TIMEOUT.as_secs()));
    tokio::time::timeout(TIMEOUT, request).await.unwrap_or_else(|_| Err(late()))
}

impl Cluster for KubeCluster {
    async fn put_status(&self, target: &Target, status: &Value) -> Result<String, ClusterError> {
        let patch = json!({"metadata": {"resourceVersion": target.version}, "status": status});
        self.lead(self.merge(target, &patch, true)).await
    }

    async fn put_finalizer(&self, target: &Target, present: bool) -> Result<String, ClusterError> {
        self.lead(async {
            let api = self.objects(&target.object);
            let found = api.get(&target.object.object.name).await;
            let found = found.map_err(|error| translate(&error, ""))?;
            if found.metadata.resource_version.as_deref() != Some(target.version.as_str()) {
                return Err(ClusterError::Conflict);
            }
            let mut finalizers = found.metadata.finalizers.unwrap_or_default();
            finalizers.retain(|name| name != FINALIZER);
            if present {
                finalizers.push(FINALIZER.to_owned());
            }
            let patch = json!({"metadata": {"resourceVersion": target.version, "finalizers": finalizers}});
            self.merge(target, &patch, false).await
        })
        .await
    }

    async fn secret(&self, at: &ObjectName) -> Result<Option<SecretObject>, ClusterError> {
        let api = self.secrets(&at.namespace);
        bounded(secret::read(&api, &at.name, &self.grants.fix(&at.namespace))).await
    }

    async fn put_secret(&self, write: &SecretWrite) -> Result<SecretObject, ClusterError> {
        let api = self.secrets(&write.at.namespace);
        let written = self.lead(secret::write(&api, write, &self.grants.fix(&write.at.namespace))).await?;
        self.grants.wrote(&write.at, &written.version);
        Ok(written)
    }

    async fn delete_secrets(&self, namespace: &str, owner: &str, keep: Option<&str>) -> Result<(), ClusterError> {
        let fix = self.grants.fix(namespace);
        self.lead(secret::delete_owned(&self.client, namespace, owner, keep, &fix)).await
    }

    async fn publish(&self, target: &Target, notice: &Notice) {
        let event = notice::event(target, notice, &self.instance, self.clock.as_ref());
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let write = async { api.create(&PostParams::default(), &event).await.map_err(|error| translate(&error, "")) };
        if let Err(error) = self.lead(write).await {
            tracing::debug!(object = %target.object, %error, "an Event was not published");
        }
    }
}

/// Starts the watches of everything that manifests declare.
pub(crate) fn start_watches(client: &Client, inputs: &mpsc::Sender<Input>) -> JoinSet<()> {
    let barrier = watch::Barrier::new(Kind::ALL.len() + 1);
    let mut watches = JoinSet::new();
    watches.spawn(watch::watch_namespaces(client.clone(), inputs.clone(), barrier.clone()));
    for kind in Kind::ALL {
        watches.spawn(watch::watch_kind(client.clone(), kind, inputs.clone(), barrier.clone()));
    }
    watches
}
