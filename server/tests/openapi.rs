//! The committed OpenAPI document is the one that the server's routes make.
#![allow(clippy::unwrap_used)]

use serde_json::Value;

#[test]
fn the_committed_document_is_current() {
    let committed: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let current = serde_json::to_value(authly_server::document()).unwrap();
    assert_eq!(committed, current, "run `cargo run -p authly-server --example openapi`");
    assert!(current["paths"].as_object().unwrap().len() >= 9);
}

/// A token that is not active is answered with `{"active": false}` alone, and the document permits it.
#[test]
fn an_inactive_token_conforms() {
    let document = serde_json::to_value(authly_server::document()).unwrap();
    let schema = &document["components"]["schemas"]["IntrospectionResponse"];
    assert_eq!(schema["required"], serde_json::json!(["active"]), "{schema}");
    assert!(schema.get("allOf").is_none() && schema["properties"]["token_type"].is_object(), "{schema}");
}
