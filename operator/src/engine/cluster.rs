//! What the engine asks of the place where manifests live: a Kubernetes API server, or the folder of `authly dev`.
//!
//! Every write carries the version that was read, so a writer that is late gets [`ClusterError::Conflict`] and looks
//! again. No type here prints secret data.

use std::{collections::BTreeMap, future::Future};

use authly_model::ids::{ObjectName, ObjectRef};
use serde_json::Value;
use zeroize::Zeroizing;

/// An object as it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub object: ObjectRef,
    /// `metadata.uid`; empty in dev mode.
    pub uid: String,
    /// `metadata.resourceVersion`; empty in dev mode.
    pub version: String,
}

/// A value of a Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretData(Zeroizing<Vec<u8>>);

impl SecretData {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The bytes, for the one write that stores them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl std::fmt::Debug for SecretData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretData(..)")
    }
}

/// A Secret as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretObject {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// The owner mark, `<installation>/OAuthClient/<namespace>/<name>`; `None` if it is not ours.
    pub owner: Option<String>,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// All annotations.
    pub annotations: BTreeMap<String, String>,
    /// The keys and values.
    pub data: BTreeMap<String, SecretData>,
}

/// A write of a Secret: what it does not name stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretWrite {
    /// Its place.
    pub at: ObjectName,
    /// The version that was read; `None` creates, and conflicts if it exists.
    pub version: Option<String>,
    /// The owner mark.
    pub owner: String,
    /// Labels to set.
    pub labels: BTreeMap<String, String>,
    /// Annotations to set.
    pub annotations: BTreeMap<String, String>,
    /// Keys to set.
    pub set: BTreeMap<String, SecretData>,
    /// Keys to remove.
    pub remove: Vec<String>,
}

/// Whether a notice is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// For information.
    Normal,
    /// Someone should look.
    Warning,
}

/// A Kubernetes Event, or a line on the terminal of `authly dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its kind.
    pub kind: NoticeKind,
    /// A CamelCase reason, the same as the condition's.
    pub reason: String,
    /// What happened and what to do. Never a secret.
    pub message: String,
}

/// Why a request to the cluster failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// It changed since it was read, or exists already.
    #[error("the object changed since it was read")]
    Conflict,
    /// It is gone.
    #[error("the object does not exist any more")]
    NotFound,
    /// Not permitted; `fix` is the command that permits it.
    #[error("not permitted; run: {fix}")]
    Denied {
        /// The exact command.
        fix: String,
    },
    /// The API server refused the object; the text comes from it and never from a Secret.
    #[error("refused: {0}")]
    Refused(String),
    /// No answer; try again.
    #[error("the API server did not answer: {0}")]
    Unavailable(String),
    /// This process does not lead any more; nothing was sent.
    #[error("this process does not lead any more")]
    NotLeader,
}

/// The place where manifests live.
pub trait Cluster: Send + Sync + 'static {
    /// Merges into the status of an object (RFC 7396: null removes a field); answers the object's new version.
    fn put_status(&self, target: &Target, status: &Value) -> impl Future<Output = Result<String, ClusterError>> + Send;

    /// Adds or removes the finalizer of a Tenant; answers the new version. Dev mode has none and answers the old one.
    fn put_finalizer(
        &self,
        target: &Target,
        present: bool,
    ) -> impl Future<Output = Result<String, ClusterError>> + Send;

    /// Reads a Secret.
    fn secret(&self, at: &ObjectName) -> impl Future<Output = Result<Option<SecretObject>, ClusterError>> + Send;

    /// Creates or changes a Secret; answers it as it is now.
    fn put_secret(&self, write: &SecretWrite) -> impl Future<Output = Result<SecretObject, ClusterError>> + Send;

    /// Deletes the Secrets in `namespace` that carry this owner mark, except the one named `keep`.
    fn delete_secrets(
        &self,
        namespace: &str,
        owner: &str,
        keep: Option<&str>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Tells people about an object. Best effort.
    fn publish(&self, target: &Target, notice: &Notice) -> impl Future<Output = ()> + Send;
}
