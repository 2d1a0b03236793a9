//! Schemathesis against the server's own OpenAPI document, with real credentials: no 500, and every answer is one that the document tells:
//! its status, content type and schema.

use std::{path::Path, process::Command};

use authly_tests::{
    api::{http, sign_report, token},
    dev::{Dev, repository},
    scratch::Scratch,
};
use serde_json::{Value, json};

/// Examples of each endpoint in the phase that fuzzes; the phase of coverage goes through all boundaries of the schemas besides.
fn examples() -> &'static str {
    if std::env::var_os("AUTHLY_LONG").is_some() { "1000" } else { "30" }
}

/// Runs it on the operations whose path matches. What it keeps goes into the folder of the document.
fn run(folder: &Path, issuer: &str, paths: &str, extra: &[&str]) {
    let mut command = Command::new(repository().join("tests/.venv/bin/schemathesis"));
    command.current_dir(folder);
    command.args(["run", "openapi.json", "--url", issuer, "--include-path-regex", paths, "--max-examples", examples()]);
    // The same cases at every run, so that a failure tells of a change and not of chance.
    command.args([
        "--seed",
        "1",
        "--no-color",
        "--phases",
        "examples,coverage,fuzzing",
        "--generation-database",
        "none",
    ]);
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    command.args(["--checks", checks, "--continue-on-failure", "--warnings", "off", "--request-timeout", "30"]);
    let output = command.args(extra).output().expect("schemathesis is installed by tests/install");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{paths}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_to_its_document() {
    let dev = Dev::quickstart().await.unwrap();
    let (http, client) = (http(), dev.client("shop.billing").unwrap());
    let bearer = token(&http, &dev.json.token_endpoint, client, &[]).await.unwrap();
    sign_report(&http, &dev, &bearer, json!({"uses": 3})).await.unwrap();

    let url = format!("http://localhost:{}/openapi.json", dev.server_port);
    let mut document: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
    let operations = document["paths"].as_object().unwrap().len();
    // Its place is before the issuer's path, which no base URL can express.
    document["paths"].as_object_mut().unwrap().remove("/.well-known/oauth-authorization-server");
    let folder = Scratch::new("openapi").unwrap();
    std::fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();

    let issuer = dev.json.issuer.as_str();
    let secret = client.client_secret.as_deref().unwrap();
    let basic = format!("{}:{secret}", client.client_id);
    run(folder.path(), issuer, "^/(token|introspect|revoke)$", &["--auth", &basic]);
    let header = format!("Authorization: Bearer {bearer}");
    run(folder.path(), issuer, "^/v1/", &["--header", &header]);
    run(folder.path(), issuer, "jwks", &[]);
    println!("{operations} paths in the document");
    let log = dev.process.output();
    assert!(!log.contains("panicked"), "{log}");
}
