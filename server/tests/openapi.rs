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
