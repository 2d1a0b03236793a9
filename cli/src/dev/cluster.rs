//! The place where manifests live in dev mode, for the operator's engine: statuses in memory, Secrets as files, notices
//! as lines on the terminal.

use std::sync::Arc;

use authly_desired::{World, desired};
use authly_model::ids::{ObjectName, ObjectRef};
use authly_operator::engine::{Cluster, ClusterError, Notice, NoticeKind, SecretObject, SecretWrite, Target};
use serde_json::Value;

use super::{board::Board, secret_files::SecretFiles};
use crate::terminal::progress;

/// The folder in place of a cluster.
#[derive(Debug)]
pub(crate) struct DevCluster {
    board: Arc<Board>,
    secrets: Arc<SecretFiles>,
    installation: String,
    issuer_base: String,
}

impl DevCluster {
    pub(crate) fn new(board: Arc<Board>, secrets: Arc<SecretFiles>, installation: &str, issuer_base: &str) -> Self {
        Self { board, secrets, installation: installation.to_owned(), issuer_base: issuer_base.to_owned() }
    }

    /// `FILE:LINE:COLUMN` of what is wrong with an object, or of the object where no field is to blame.
    fn place(&self, object: &ObjectRef) -> Option<String> {
        let state = self.board.state();
        let admitted = state.objects.get(object)?;
        let manifest = admitted.manifest.as_ref()?;
        let tenant = admitted.object.tenant()?.to_owned();
        let mut world = World::new(&self.installation, &self.issuer_base);
        for (name, labels) in &state.namespaces {
            world.put(authly_desired::Namespace::new(name, labels.clone()).into());
        }
        for other in state.objects.values() {
            world.put(other.object.clone());
        }
        let resolved = desired(&world, &tenant);
        let refusal = resolved.verdicts.get(object).and_then(|verdict| verdict.accepted.as_ref().err());
        let (line, column) = match refusal {
            Some(refusal) => {
                let located = manifest.locate_refusal(refusal);
                (located.line, located.column)
            }
            None => manifest.positions.of("metadata.name"),
        };
        Some(format!("{}:{line}:{column}", manifest.file))
    }
}

impl Cluster for DevCluster {
    async fn put_status(&self, target: &Target, status: &Value) -> Result<String, ClusterError> {
        if self.board.put_status(&target.object, status) { Ok(String::new()) } else { Err(ClusterError::NotFound) }
    }

    async fn put_finalizer(&self, target: &Target, _: bool) -> Result<String, ClusterError> {
        Ok(target.version.clone())
    }

    async fn secret(&self, at: &ObjectName) -> Result<Option<SecretObject>, ClusterError> {
        self.secrets.read(at)
    }

    async fn put_secret(&self, write: &SecretWrite) -> Result<SecretObject, ClusterError> {
        let written = self.secrets.write(write);
        self.board.touch();
        written?;
        self.secret(&write.at).await?.ok_or(ClusterError::NotFound)
    }

    async fn delete_secrets(&self, namespace: &str, owner: &str, keep: Option<&str>) -> Result<(), ClusterError> {
        self.secrets.delete(namespace, owner, keep)
    }

    async fn publish(&self, target: &Target, notice: &Notice) {
        let Notice { reason, message, .. } = notice;
        let object = &target.object;
        match notice.kind {
            NoticeKind::Normal => progress(format_args!("{object}: {reason}: {message}")),
            NoticeKind::Warning => {
                let place = self.place(object).map(|place| format!("{place}: ")).unwrap_or_default();
                progress(format_args!(
                    "{place}{object}: {reason}: {message} (the last good version, if any, keeps serving)"
                ));
            }
        }
    }
}
