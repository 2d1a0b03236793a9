//! Secrets on the API server: reading, and writing as a merge patch that carries the version.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Map, Value, json};

use super::failure::translate_secret;
use crate::engine::{ClusterError, SecretData, SecretObject, SecretWrite};

/// The annotation that says whose a Secret is.
const OWNER: &str = "authly.dev/owner";
/// The label by which the Secrets of this operator are found.
const MANAGED: (&str, &str) = ("app.kubernetes.io/managed-by", "authly");
const PAGE: u32 = 500;

/// Reads a Secret.
pub(super) async fn read(api: &Api<Secret>, name: &str, fix: &str) -> Result<Option<SecretObject>, ClusterError> {
    let found = api.get_opt(name).await.map_err(|error| translate_secret(&error, fix))?;
    Ok(found.map(object))
}

fn object(secret: Secret) -> SecretObject {
    let mut annotations = secret.metadata.annotations.unwrap_or_default();
    SecretObject {
        version: secret.metadata.resource_version.unwrap_or_default(),
        owner: annotations.remove(OWNER),
        labels: secret.metadata.labels.unwrap_or_default(),
        annotations,
        data: secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, SecretData::new(value.0))).collect(),
    }
}

/// Creates or changes a Secret; answers it as it is now.
pub(super) async fn write(api: &Api<Secret>, write: &SecretWrite, fix: &str) -> Result<SecretObject, ClusterError> {
    let result = match &write.version {
        None => api.create(&PostParams::default(), &new(write)).await,
        Some(version) => api.patch(&write.at.name, &PatchParams::default(), &Patch::Merge(patch(write, version))).await,
    };
    result.map(object).map_err(|error| translate_secret(&error, fix))
}

/// Deletes the Secrets of `owner`, except `keep`; reads metadata only.
pub(super) async fn delete_owned(
    client: &Client,
    namespace: &str,
    owner: &str,
    keep: Option<&str>,
    fix: &str,
) -> Result<(), ClusterError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut page = ListParams::default().labels(&format!("{}={}", MANAGED.0, MANAGED.1)).limit(PAGE);
    loop {
        let list = api.list_metadata(&page).await.map_err(|error| translate_secret(&error, fix))?;
        for found in list.items {
            let meta = found.metadata;
            let ours = meta.annotations.as_ref().and_then(|a| a.get(OWNER)).is_some_and(|mark| mark == owner);
            let Some(name) = meta.name.filter(|name| ours && Some(name.as_str()) != keep) else { continue };
            let preconditions = Preconditions { uid: meta.uid, resource_version: meta.resource_version };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match api.delete(&name, &params).await.map_err(|error| translate_secret(&error, fix)) {
                Ok(_) | Err(ClusterError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

fn new(write: &SecretWrite) -> Secret {
    let mut labels = write.labels.clone();
    labels.insert(MANAGED.0.to_owned(), MANAGED.1.to_owned());
    let mut annotations = write.annotations.clone();
    annotations.insert(OWNER.to_owned(), write.owner.clone());
    Secret {
        metadata: ObjectMeta {
            name: Some(write.at.name.clone()),
            namespace: Some(write.at.namespace.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(encoded(&write.set)),
        ..Secret::default()
    }
}

fn patch(write: &SecretWrite, version: &str) -> Value {
    let new = new(write);
    let mut data: Map<String, Value> = write.remove.iter().map(|key| (key.clone(), Value::Null)).collect();
    data.extend(new.data.unwrap_or_default().into_iter().map(|(key, value)| (key, json!(value))));
    json!({
        "metadata": {
            "resourceVersion": version, "labels": new.metadata.labels, "annotations": new.metadata.annotations,
        },
        "data": data,
    })
}

fn encoded(data: &BTreeMap<String, SecretData>) -> BTreeMap<String, ByteString> {
    data.iter().map(|(key, value)| (key.clone(), ByteString(value.expose().to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use super::patch;
    use crate::engine::{SecretData, SecretWrite};
    use authly_model::ids::ObjectName;

    #[test]
    fn a_promotion_is_one_patch_with_the_version_that_was_read() {
        let write = SecretWrite {
            at: ObjectName::new("shop", "billing-oauth"),
            version: Some("7".to_owned()),
            owner: "default/OAuthClient/shop/billing".to_owned(),
            labels: [("team".to_owned(), "shop".to_owned())].into(),
            annotations: [].into(),
            set: [("client_secret".to_owned(), SecretData::new("v"))].into(),
            remove: vec!["client_secret_next".to_owned()],
        };
        assert_eq!(
            patch(&write, "7"),
            serde_json::json!({
                "metadata": {
                    "resourceVersion": "7",
                    "labels": {"team": "shop", "app.kubernetes.io/managed-by": "authly"},
                    "annotations": {"authly.dev/owner": "default/OAuthClient/shop/billing"},
                },
                "data": {"client_secret": "dg==", "client_secret_next": null},
            })
        );
    }
}
