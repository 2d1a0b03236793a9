//! Identifiers. What a manifest declares is named by an [`OwnerKey`], never by a Kubernetes UID
//! (operator.md, rule 9); what the store keeps is keyed by [`TenantId`], never by a tenant's name.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The key of a tenant in the store, the first column of every tenant table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub Uuid);

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The kinds that manifests declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `Tenant`, cluster-scoped.
    Tenant,
    /// `OAuthClient`.
    OAuthClient,
    /// `SignedUrlRoute`.
    SignedUrlRoute,
    /// `AccessPolicy`.
    AccessPolicy,
    /// `RetentionPolicy`.
    RetentionPolicy,
}

impl Kind {
    /// Every kind, in the order in which manifests are best applied.
    pub const ALL: [Self; 5] =
        [Self::Tenant, Self::OAuthClient, Self::SignedUrlRoute, Self::AccessPolicy, Self::RetentionPolicy];

    /// The kind as manifests spell it; also its spelling in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "Tenant",
            Self::OAuthClient => "OAuthClient",
            Self::SignedUrlRoute => "SignedUrlRoute",
            Self::AccessPolicy => "AccessPolicy",
            Self::RetentionPolicy => "RetentionPolicy",
        }
    }

    /// The kind of this spelling, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A namespaced object's place: `<namespace>/<name>`. A Tenant's namespace is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// The Kubernetes namespace, empty for a Tenant.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl ObjectName {
    /// The object `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// A kind and a name: one object of an installation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The object's kind.
    pub kind: Kind,
    /// The object's place.
    pub object: ObjectName,
}

impl ObjectRef {
    /// The object of this kind, namespace and name.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, object: ObjectName::new(namespace, name) }
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.object)
    }
}

/// Who owns a row that a manifest declared: it survives restores and cluster moves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OwnerKey {
    /// The installation, `default` unless the Tenant says otherwise.
    pub installation: String,
    /// The object.
    pub object: ObjectRef,
}
