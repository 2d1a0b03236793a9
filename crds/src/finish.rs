//! The CustomResourceDefinitions as they are installed. Owns what the derives cannot say: common columns, the default
//! of status, the bound on names, and the removal of `nullable`, since null is no value of this API.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition as Column, CustomResourceDefinition,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{AccessPolicy, OAuthClient, RetentionPolicy, SignedUrlRoute, Tenant, rules};

/// Every kind's definition, in the order in which manifests are best applied.
///
/// # Errors
/// Only if a definition is not JSON, which the tests of this crate exclude.
pub fn all() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [Tenant::crd(), OAuthClient::crd(), SignedUrlRoute::crd(), AccessPolicy::crd(), RetentionPolicy::crd()]
        .into_iter()
        .map(finish)
        .collect()
}

/// Every kind's definition as YAML documents: the file's name in `crds/yaml`, and its text.
///
/// # Errors
/// As [`all`].
pub fn all_yaml() -> Result<Vec<(String, String)>, Box<dyn std::error::Error + Send + Sync>> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    all()?
        .iter()
        .map(|crd| {
            Ok((file_name(crd), serde_saphyr::to_string_with_options(&serde_json::to_value(crd)?, options.clone())?))
        })
        .collect()
}

/// The name of a definition's file, such as `tenants.yaml`.
#[must_use]
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}.yaml", crd.spec.names.plural)
}

fn finish(mut crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, serde_json::Error> {
    for version in &mut crd.spec.versions {
        let specific = version.additional_printer_columns.take().unwrap_or_default();
        version.additional_printer_columns = Some(columns(specific));
    }
    let mut value = serde_json::to_value(crd)?;
    strip(&mut value);
    for version in value["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
        schema["x-kubernetes-validations"] =
            rules::rule("size(self.metadata.name) <= 63", "metadata.name is at most 63 characters");
    }
    serde_json::from_value(value)
}

fn columns(specific: Vec<Column>) -> Vec<Column> {
    let ready = r#".status.conditions[?(@.type=="Ready")]"#;
    let column = |name: &str, path: String, wide: bool| Column {
        name: name.to_owned(),
        type_: "string".to_owned(),
        json_path: path,
        priority: wide.then_some(1),
        ..Column::default()
    };
    let mut all =
        vec![column("Ready", format!("{ready}.status"), false), column("Reason", format!("{ready}.reason"), false)];
    all.extend(specific);
    all.push(column("Message", format!("{ready}.message"), true));
    all.push(column("Revision", ".status.revision".to_owned(), true));
    all.push(Column { type_: "date".to_owned(), ..column("Age", ".metadata.creationTimestamp".to_owned(), false) });
    all
}

/// Removes `nullable`, and null among the values of an enum.
fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable").is_some_and(Value::is_boolean) {
                map.remove("nullable");
            }
            if let Some(Value::Array(values)) = map.get_mut("enum") {
                values.retain(|v| !v.is_null());
            }
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
