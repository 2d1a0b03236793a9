//! Schemathesis against the server's own OpenAPI document, with real credentials: no 500, and every answer is one that the document tells:
//! its status, content type and schema.

use std::{collections::BTreeMap, process::Command};

use authly_tests::{
    api::{http, sign_report, token},
    dev::{Dev, repository},
    is_long,
    scratch::Scratch,
};
use serde_json::{Map, Value, json};

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Examples of each endpoint in the phase that fuzzes; the phase of coverage goes through all boundaries of the schemas besides.
fn examples() -> &'static str {
    if is_long() { "1000" } else { "30" }
}

/// Whose credentials an operation needs, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Client,
    Bearer,
    Public,
    /// Before the issuer's path, which no base URL below the issuer can express.
    WellKnown,
}

impl Group {
    /// Every path of the document belongs to one.
    fn of(path: &str) -> Self {
        match path {
            "/token" | "/introspect" | "/revoke" => Self::Client,
            "/jwks.json" | "/sx/jwks.json" => Self::Public,
            METADATA => Self::WellKnown,
            _ => Self::Bearer,
        }
    }
}

/// Runs it on every operation of a document, from this base URL.
fn run(document: &Value, base: &str, extra: &[String]) {
    let folder = Scratch::new("openapi").unwrap();
    std::fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();
    let mut command = Command::new(repository().join("tests/.venv/bin/schemathesis"));
    command.current_dir(folder.path());
    command.args(["run", "openapi.json", "--url", base, "--max-examples", examples()]);
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
    let paths = document["paths"].as_object().unwrap();
    assert!(output.status.success(), "{:?}: {text}\n{}", paths.keys(), String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_to_its_document() {
    let dev = Dev::quickstart().await.unwrap();
    let (http, client) = (http(), dev.client("shop.billing").unwrap());
    let bearer = token(&http, &dev.json.token_endpoint, client, &[]).await.unwrap();
    sign_report(&http, &dev, &bearer, json!({"uses": 3})).await.unwrap();

    let origin = format!("http://localhost:{}", dev.server_port);
    let issuer = dev.json.issuer.as_str();
    let document: Value = http.get(format!("{origin}/openapi.json")).send().await.unwrap().json().await.unwrap();
    let mut groups: BTreeMap<Group, Map<String, Value>> = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let group = Group::of(path);
        let path = match group {
            Group::WellKnown => format!("{path}{}", issuer.strip_prefix(&origin).unwrap()),
            _ => path.clone(),
        };
        groups.entry(group).or_default().insert(path, operations.clone());
    }
    assert_eq!(groups.len(), 4, "{groups:?}");
    for (group, paths) in groups {
        let part = Value::Object(
            document.as_object().unwrap().clone().into_iter().chain([("paths".to_owned(), paths.into())]).collect(),
        );
        match group {
            Group::Client => {
                let secret = client.client_secret.as_deref().unwrap();
                run(&part, issuer, &["--auth".to_owned(), format!("{}:{secret}", client.client_id)]);
            }
            Group::Bearer => run(&part, issuer, &["--header".to_owned(), format!("Authorization: Bearer {bearer}")]),
            Group::Public => run(&part, issuer, &[]),
            Group::WellKnown => run(&part, &origin, &[]),
        }
    }
    let log = dev.process.output();
    assert!(!log.contains("panicked"), "{log}");
}
