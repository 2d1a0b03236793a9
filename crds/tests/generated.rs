//! The committed YAML is what the types generate, and holds to what API servers ask of a schema.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::path::Path;

#[test]
fn committed_yaml_is_generated() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    let all = authly_crds::all_yaml().unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), all.len(), "crds/yaml has a file that no kind generates");
    for (name, text) in all {
        let committed = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(committed == text, "{name} is stale: run `cargo run -p authly-crds --example generate`");
    }
}

#[test]
fn every_string_list_and_map_is_bounded() {
    for crd in authly_crds::all().unwrap() {
        let crd = serde_json::to_value(crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(schema["properties"]["status"]["default"]["observedGeneration"], -1);
        walk(schema, crd["metadata"]["name"].as_str().unwrap());
    }
}

fn walk(schema: &Value, path: &str) {
    let has = |key: &str| schema.get(key).is_some();
    assert!(!has("nullable") && !has("oneOf") && !has("anyOf") && !has("$ref"), "{path}: not structural: {schema}");
    assert!(path.ends_with(".status") || !has("default"), "{path}: a default in the schema shows as drift");
    match schema["type"].as_str() {
        Some("string") => assert!(has("maxLength") || has("enum") || has("format"), "{path}: no maxLength"),
        Some("array") => {
            assert!(has("maxItems"), "{path}: no maxItems");
            walk(&schema["items"], &format!("{path}[]"));
        }
        Some("object") if has("additionalProperties") => {
            assert!(has("maxProperties"), "{path}: no maxProperties");
            walk(&schema["additionalProperties"], &format!("{path}[*]"));
        }
        Some("object") => {
            for (name, property) in schema["properties"].as_object().unwrap() {
                walk(property, &format!("{path}.{name}"));
            }
        }
        Some("integer") => assert!(!schema["format"].as_str().unwrap_or("").starts_with('u'), "{path}: {schema}"),
        Some("boolean") => {}
        other => panic!("{path}: type {other:?} in {schema}"),
    }
}
