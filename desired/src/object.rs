//! A manifest's object, typed: one of the five kinds, or a core/v1 Namespace. Owns what every object has in common:
//! its reference, its Tenant, its age. Cloning is cheap.

use std::{collections::BTreeMap, sync::Arc};

use authly_crds::{AccessPolicy, OAuthClient, RetentionPolicy, SignedUrlRoute, Tenant};
use authly_model::ids::{Kind, ObjectName, ObjectRef};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// A Tenant.
    Tenant(Arc<Tenant>),
    /// An OAuthClient.
    OAuthClient(Arc<OAuthClient>),
    /// A SignedUrlRoute.
    SignedUrlRoute(Arc<SignedUrlRoute>),
    /// An AccessPolicy.
    AccessPolicy(Arc<AccessPolicy>),
    /// A RetentionPolicy.
    RetentionPolicy(Arc<RetentionPolicy>),
    /// A core/v1 Namespace: its name and labels are what the handshake reads.
    Namespace(Namespace),
}

/// A Kubernetes namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels, `kubernetes.io/metadata.name` included, which every API server sets.
    pub labels: BTreeMap<String, String>,
}

impl Namespace {
    /// A namespace of this name and these labels, and the one label that every namespace has.
    #[must_use]
    pub fn new(name: &str, mut labels: BTreeMap<String, String>) -> Self {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        Self { name: name.to_owned(), labels }
    }
}

impl Object {
    /// Kind, namespace and name; nothing for a Namespace, which is not of this API.
    #[must_use]
    pub fn reference(&self) -> Option<ObjectRef> {
        let kind = self.kind()?;
        let object = self.metadata().map(object_name)?;
        Some(ObjectRef { kind, object })
    }

    /// The kind; nothing for a Namespace.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Tenant(_) => Some(Kind::Tenant),
            Self::OAuthClient(_) => Some(Kind::OAuthClient),
            Self::SignedUrlRoute(_) => Some(Kind::SignedUrlRoute),
            Self::AccessPolicy(_) => Some(Kind::AccessPolicy),
            Self::RetentionPolicy(_) => Some(Kind::RetentionPolicy),
            Self::Namespace(_) => None,
        }
    }

    /// The name of the Tenant that it is, or belongs to.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Tenant(o) => o.metadata.name.as_deref(),
            Self::OAuthClient(o) => Some(&o.spec.tenant_ref.name),
            Self::SignedUrlRoute(o) => Some(&o.spec.tenant_ref.name),
            Self::AccessPolicy(o) => Some(&o.spec.tenant_ref.name),
            Self::RetentionPolicy(o) => Some(&o.spec.tenant_ref.name),
            Self::Namespace(_) => None,
        }
    }

    /// The metadata; nothing for a Namespace.
    #[must_use]
    pub fn metadata(&self) -> Option<&ObjectMeta> {
        match self {
            Self::Tenant(o) => Some(&o.metadata),
            Self::OAuthClient(o) => Some(&o.metadata),
            Self::SignedUrlRoute(o) => Some(&o.metadata),
            Self::AccessPolicy(o) => Some(&o.metadata),
            Self::RetentionPolicy(o) => Some(&o.metadata),
            Self::Namespace(_) => None,
        }
    }

    /// The object as the API server would show it.
    ///
    /// # Errors
    /// Only if the type cannot be JSON, which none of these is.
    pub(crate) fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        match self {
            Self::Tenant(o) => serde_json::to_value(&**o),
            Self::OAuthClient(o) => serde_json::to_value(&**o),
            Self::SignedUrlRoute(o) => serde_json::to_value(&**o),
            Self::AccessPolicy(o) => serde_json::to_value(&**o),
            Self::RetentionPolicy(o) => serde_json::to_value(&**o),
            Self::Namespace(n) => Ok(serde_json::json!({"metadata": {"name": n.name, "labels": n.labels}})),
        }
    }
}

impl From<Tenant> for Object {
    fn from(object: Tenant) -> Self {
        Self::Tenant(Arc::new(object))
    }
}

impl From<OAuthClient> for Object {
    fn from(object: OAuthClient) -> Self {
        Self::OAuthClient(Arc::new(object))
    }
}

impl From<SignedUrlRoute> for Object {
    fn from(object: SignedUrlRoute) -> Self {
        Self::SignedUrlRoute(Arc::new(object))
    }
}

impl From<AccessPolicy> for Object {
    fn from(object: AccessPolicy) -> Self {
        Self::AccessPolicy(Arc::new(object))
    }
}

impl From<RetentionPolicy> for Object {
    fn from(object: RetentionPolicy) -> Self {
        Self::RetentionPolicy(Arc::new(object))
    }
}

impl From<Namespace> for Object {
    fn from(namespace: Namespace) -> Self {
        Self::Namespace(namespace)
    }
}

/// The place that metadata names.
#[must_use]
pub fn object_name(metadata: &ObjectMeta) -> ObjectName {
    ObjectName::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// When it was created; never in dev mode.
pub(crate) fn created(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.creation_timestamp.as_ref().map(|time| time.0)
}
