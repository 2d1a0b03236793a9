//! Starting work for the cluster and drawing the consequences of its results.

use std::{sync::Arc, time::Instant};

use authly_model::{
    diff::Change,
    ids::{Kind, ObjectRef},
};
use futures::{StreamExt, stream};

use super::{
    Engine, EngineError,
    cluster::{Cluster, ClusterError, Notice, NoticeKind},
    condition,
    credentials::{CredentialsError, Visit, Visited},
    facts::said,
    index::Carried,
    kept::Kept,
    plan::failing,
    programmed::Failing,
    tasks::{Done, Task},
};

/// Secrets deleted at once, together with their clients.
const DELETIONS: usize = 16;
/// Secrets kept in memory between two visits; the others are read again.
const LEFT: usize = 1000;
/// Reasons that pass by themselves: no Event, and no hurry to say so.
pub(super) const QUIET: [&str; 3] = ["Pending", "SecretPending", "StoreUnavailable"];

impl<C: Cluster> Engine<C> {
    /// Starts as much queued work as may run at once.
    pub(super) fn start_work(&mut self) {
        while let Some(task) = self.tasks.start() {
            match &task {
                // The loop's own.
                Task::Load | Task::Tenant(_) => {}
                Task::Finalizer(object) => self.start_finalizer(object, &task),
                Task::Forget(object) => self.start_forget(object, &task),
                Task::Secret(object) => self.start_secret(object, &task),
                Task::Status(object) => self.start_status(object, &task),
            }
        }
    }

    fn start_status(&mut self, object: &ObjectRef, task: &Task) {
        let Some(entry) = self.index.entries.get(object) else { return };
        let seen = entry.seen.value();
        let Some(status) = said(entry, &seen, self.clock.now()) else { return };
        let (cluster, target) = (Arc::clone(&self.cluster), entry.target.clone());
        let patch = condition::merge_patch(&status, &seen);
        let notice = notice(&status, &seen);
        self.tasks.spawn(task.clone(), async move {
            let result = cluster.put_status(&target, &patch).await;
            if let (Ok(_), Some(notice)) = (&result, notice) {
                cluster.publish(&target, &notice).await;
            }
            Done::Status(status, result)
        });
    }

    fn start_finalizer(&mut self, object: &ObjectRef, task: &Task) {
        let Some(entry) = self.index.entries.get(object) else { return };
        let present = self.finalizer(&object.object.name, entry);
        if present == entry.finalizer {
            return;
        }
        let (cluster, target) = (Arc::clone(&self.cluster), entry.target.clone());
        self.tasks.spawn(task.clone(), async move { Done::Finalizer(cluster.put_finalizer(&target, present).await) });
    }

    fn start_forget(&mut self, object: &ObjectRef, task: &Task) {
        // It may have come back meanwhile.
        if self.index.entries.get(object).is_some_and(|entry| entry.credentials.client_id.is_some()) {
            return;
        }
        let (cluster, owner, namespace) =
            (Arc::clone(&self.cluster), self.owner(object), object.object.namespace.clone());
        self.tasks
            .spawn(task.clone(), async move { Done::Forget(cluster.delete_secrets(&namespace, &owner, None).await) });
    }

    /// Draws the consequences of a result.
    pub(super) fn finish(&mut self, task: Task, done: Done) -> Result<(), EngineError> {
        self.metrics.wrote(&task, &done);
        let now = Instant::now();
        match (&task, done) {
            (Task::Status(object), Done::Status(status, result)) => self.finish_status(object, status, result),
            (Task::Finalizer(object), Done::Finalizer(result)) => {
                if let (Ok(version), Some(entry)) = (&result, self.index.entries.get_mut(object)) {
                    entry.target.version.clone_from(version);
                }
                self.settle(task, result.map(|_| ()), now)
            }
            (Task::Secret(object), Done::Secret(result)) => {
                let object = object.clone();
                self.finish_secret(&object, result)
            }
            (_, Done::Forget(result)) => self.settle(task, result, now),
            _ => Ok(()),
        }
    }

    fn finish_status(
        &mut self,
        object: &ObjectRef,
        status: serde_json::Value,
        result: Result<String, ClusterError>,
    ) -> Result<(), EngineError> {
        let task = Task::Status(object.clone());
        if let Ok(version) = &result
            && let Some(entry) = self.index.entries.get_mut(object)
        {
            entry.target.version.clone_from(version);
            entry.seen = Kept::new(&status);
        }
        let done = result.is_ok();
        self.settle(task, result.map(|_| ()), Instant::now())?;
        if done {
            // It may have moved on meanwhile.
            self.refresh(object);
        }
        Ok(())
    }

    /// Backoff for what failed; what is gone is forgotten.
    fn settle(&mut self, task: Task, result: Result<(), ClusterError>, now: Instant) -> Result<(), EngineError> {
        match result {
            Ok(()) | Err(ClusterError::NotFound) => self.tasks.succeeded(&task),
            Err(ClusterError::NotLeader) => return Err(EngineError::NotLeader),
            Err(error) => {
                if error != ClusterError::Conflict {
                    tracing::warn!(?task, %error, "a write failed; trying again");
                }
                self.tasks.failed(task, now);
            }
        }
        Ok(())
    }

    fn finish_secret(
        &mut self,
        object: &ObjectRef,
        result: Result<Visited, CredentialsError>,
    ) -> Result<(), EngineError> {
        let task = Task::Secret(object.clone());
        if self.index.entries.get(object).is_none_or(|entry| entry.credentials.client_id.is_none()) {
            // While its Secret was written the client went, or became one that has none.
            self.tasks.cancel(&task);
            self.tasks.add_now(Task::Forget(object.clone()));
            return Ok(());
        }
        if let Ok(visited) = &result {
            self.tasks.succeeded(&task);
            self.note_visited(object, visited);
            if let Some(left) = visited.left.as_ref().filter(|_| self.left.len() < LEFT) {
                self.left.insert(object.clone(), left.clone());
            }
        }
        let tenant = self.index.entries.get(object).and_then(|entry| entry.tenant.clone()).unwrap_or_default();
        let revision = self.ledger.tenants.get(&tenant).map(|held| held.revision);
        let Some(entry) = self.index.entries.get_mut(object) else { return Ok(()) };
        let credentials = &mut entry.credentials;
        let was_ready = matches!(credentials.outcome, Some(Ok(())));
        let pending = Err(Failing::new(
            "SecretPending",
            "its secret is on the way to the servers; the Secret gets client_secret once it works",
        ));
        let mut later = None;
        let outcome = match result.map(|visited| visited.visit) {
            Ok(Visit::Commit { hashes, ready }) => {
                later = Some(hashes);
                if ready { Ok(()) } else { pending }
            }
            Ok(Visit::Wait { ready }) => {
                if credentials.carried.is_none() {
                    credentials.carried = revision.map(Carried::new);
                }
                // What every server has already waits for the value before to retire: for a time, not for a replica.
                if credentials.carried.as_ref().is_none_or(|carried| !carried.passed) {
                    self.waiting_secrets.insert(object.clone());
                }
                if ready { Ok(()) } else { pending }
            }
            Ok(Visit::Ready) => {
                let arrived = credentials.carried.as_ref().is_none_or(|carried| carried.passed);
                if arrived || was_ready { Ok(()) } else { pending }
            }
            Err(CredentialsError::Cluster(ClusterError::NotLeader)) => return Err(EngineError::NotLeader),
            Err(error) => {
                self.tasks.failed(task, Instant::now());
                Err(failing(&error))
            }
        };
        if let Some(hashes) = later {
            self.commit_later(&tenant, object, hashes);
        }
        self.say_credentials(object, outcome);
        Ok(())
    }

    /// Deletes the Secrets of clients that are about to be deleted from the store: first these, so that a kill in between
    /// leaves the row, and with it the memory of what is to do. What fails is tried again beside.
    pub(super) async fn forget_deleted(&mut self, changes: &[Change]) {
        let clients = changes.iter().filter_map(|change| match change {
            Change::Delete(gone) if gone.kind == Kind::OAuthClient => Some(gone.clone()),
            _ => None,
        });
        let deletions: Vec<_> = clients
            .filter(|client| !self.index.entries.contains_key(client) || self.is_deleting(client))
            .map(|client| (self.owner(&client), client))
            .collect();
        let cluster = &self.cluster;
        let results: Vec<_> = stream::iter(deletions)
            .map(|(owner, client)| async move {
                let result = cluster.delete_secrets(&client.object.namespace, &owner, None).await;
                (client, result)
            })
            .buffer_unordered(DELETIONS)
            .collect()
            .await;
        for (client, result) in results {
            match result {
                Ok(()) | Err(ClusterError::NotFound) => {}
                Err(ClusterError::Denied { .. }) => {
                    tracing::warn!(%client, "the client's Secret stays: the operator may not delete it");
                }
                Err(_) => self.tasks.failed(Task::Forget(client), Instant::now()),
            }
        }
    }

    fn is_deleting(&self, object: &ObjectRef) -> bool {
        self.index.entries.get(object).is_some_and(|entry| entry.deleting)
    }
}

/// The Event of a change of Ready, if people should hear of it: something is wrong, or what was wrong is mended.
fn notice(status: &serde_json::Value, seen: &serde_json::Value) -> Option<Notice> {
    let (ready, reason, message) = condition::ready(status)?;
    let before = condition::ready(seen);
    if before == Some((ready, reason, message)) {
        return None;
    }
    let was_wrong = before.is_some_and(|(ready, reason, _)| !ready && !QUIET.contains(&reason));
    let kind = if !ready && !QUIET.contains(&reason) {
        NoticeKind::Warning
    } else if ready && was_wrong {
        NoticeKind::Normal
    } else {
        return None;
    };
    Some(Notice { kind, reason: reason.to_owned(), message: message.to_owned() })
}
