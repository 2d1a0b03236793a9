//! Objects on the API server by their paths, without a kubectl process for each: for suites that look often.

use anyhow::{Context, bail, ensure};
use http::{Method, Request};
use serde_json::Value;

/// A client for objects of any kind. Cheap to clone.
#[derive(Clone)]
pub struct Objects(pub kube::Client);

/// The path of an object: `tenants acme`, `oauthclients shop/billing`, `secrets shop/billing-oauth`, `leases …`, `namespaces …`.
pub fn path(what: &str) -> anyhow::Result<String> {
    let (plural, place) = what.split_once(' ').with_context(|| format!("`{what}` is not `plural place`"))?;
    let group = match plural {
        "namespaces" | "secrets" => "api/v1",
        "leases" => "apis/coordination.k8s.io/v1",
        "customresourcedefinitions" => "apis/apiextensions.k8s.io/v1",
        _ => "apis/authly.dev/v1alpha1",
    };
    Ok(match place.split_once('/') {
        Some((namespace, name)) => format!("/{group}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{group}/{plural}/{place}"),
    })
}

impl Objects {
    /// An object, if it is there.
    pub async fn find(&self, what: &str) -> anyhow::Result<Option<Value>> {
        self.send(Method::GET, &path(what)?, "application/json", None).await
    }

    /// An object that must be there.
    pub async fn get(&self, what: &str) -> anyhow::Result<Value> {
        self.find(what).await?.with_context(|| format!("there is no {what}"))
    }

    /// Applies an object (server-side).
    pub async fn apply(&self, what: &str, object: &Value) -> anyhow::Result<Value> {
        let path = format!("{}?fieldManager=tests&force=true", path(what)?);
        let applied = self.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(object)).await?;
        applied.with_context(|| format!("{what} cannot be applied"))
    }

    /// Creates an object: cheaper than applying it.
    pub async fn create(&self, what: &str, object: &Value) -> anyhow::Result<()> {
        let path = path(what)?;
        let collection = path.rsplit_once('/').map_or("", |(collection, _)| collection);
        let created = self.send(Method::POST, collection, "application/json", Some(object)).await?;
        created.map(drop).with_context(|| format!("{what} cannot be created"))
    }

    /// Merges into an object.
    pub async fn merge(&self, what: &str, patch: &Value) -> anyhow::Result<Value> {
        let merged = self.send(Method::PATCH, &path(what)?, "application/merge-patch+json", Some(patch)).await?;
        merged.with_context(|| format!("there is no {what}"))
    }

    /// Deletes an object, if it is there.
    pub async fn delete(&self, what: &str) -> anyhow::Result<()> {
        self.send(Method::DELETE, &path(what)?, "application/json", None).await.map(drop)
    }

    /// What a path answers, such as a list.
    pub async fn at(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, "application/json", None).await?.with_context(|| format!("{path}: 404"))
    }

    /// Fails unless the object is `Ready=True` at its own generation.
    pub async fn ready(&self, what: &str) -> anyhow::Result<Value> {
        let object = self.get(what).await?;
        ensure!(is_true(&object, "Ready"), "{what} is not Ready: {}", object["status"]);
        Ok(object)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Option<Value>> {
        let bytes = body.map(ToString::to_string).unwrap_or_default().into_bytes();
        let request = Request::builder().method(method).uri(path).header("content-type", content).body(bytes)?;
        match self.0.request(request).await {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => bail!("{path}: {error}"),
        }
    }
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether a condition is True at the object's own generation.
pub fn is_true(object: &Value, kind: &str) -> bool {
    let generation = &object["metadata"]["generation"];
    condition(object, kind).is_some_and(|c| c["status"] == "True" && c["observedGeneration"] == *generation)
}
