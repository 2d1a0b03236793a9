//! What suites do to a cluster, the stack's or another: apply manifests with the real kubectl, and look at objects.
//!
//! Looking is done again and again until something is so: by the API, for a kubectl process each time takes longer than what it waits for.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    controlplane::{ControlPlane, stdout_of},
    dev::{DevClient, repository},
    objects::Objects,
    process::eventually,
};

/// Applies manifests with the real kubectl to a cluster.
pub async fn apply_to(cluster: &ControlPlane, yaml: &str) -> anyhow::Result<String> {
    stdout_of(cluster.kubectl(&["apply", "-f", "-"], Some(yaml)).await?)
}

/// Applies the committed CRDs; several suites may do so at once.
pub async fn apply_crds(cluster: &ControlPlane) -> anyhow::Result<()> {
    let folder = repository().join("crds/yaml").to_string_lossy().into_owned();
    let args = ["apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", &folder];
    stdout_of(cluster.kubectl(&args, None).await?)?;
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
    stdout_of(cluster.kubectl(&wait, None).await?).map(drop)
}

/// An object of a cluster. `what` is `kind name` or `kind name -n namespace`.
pub async fn object_in(cluster: &ControlPlane, what: &str) -> anyhow::Result<Value> {
    object(&Objects(cluster.client().await?), what).await
}

pub(super) async fn object(objects: &Objects, what: &str) -> anyhow::Result<Value> {
    let (kind, place) = what.split_once(' ').with_context(|| format!("`{what}` is not `kind name`"))?;
    let plural = match kind.strip_suffix("policy") {
        Some(kind) => format!("{kind}policies"),
        None => format!("{kind}s"),
    };
    let place = match place.split_once(" -n ") {
        Some((name, namespace)) => format!("{namespace}/{name}"),
        None if ["tenant", "namespace"].contains(&kind) => place.to_owned(),
        None => format!("default/{place}"),
    };
    objects.get(&format!("{plural} {place}")).await
}

/// The client that a Secret names and its token endpoint, once the Secret has them.
pub async fn client_in(cluster: &ControlPlane, namespace: &str, secret: &str) -> anyhow::Result<(DevClient, String)> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let objects = Objects(cluster.client().await?);
    eventually(&format!("Secret {namespace}/{secret}"), Duration::from_secs(20), || async {
        let object = objects.get(&format!("secrets {namespace}/{secret}")).await?;
        let value = |key: &str| -> anyhow::Result<String> {
            let text = object["data"][key].as_str().with_context(|| format!("no {key}"))?;
            Ok(String::from_utf8(STANDARD.decode(text)?)?)
        };
        let client = DevClient {
            client_id: value("client_id")?,
            client_secret: Some(value("client_secret")?),
            client_type: "Service".to_owned(),
            redirect_uris: Vec::new(),
        };
        ensure!(value("issuer").is_ok_and(|issuer| !issuer.is_empty()), "no issuer");
        Ok((client, value("token_endpoint")?))
    })
    .await
}
