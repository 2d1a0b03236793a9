//! Imports go downward only, and siblings on a row never import each other (DESIGN.md, "Workspace").

use std::{collections::BTreeMap, process::Command};

/// The rows, from the top. A crate may depend on crates of lower rows only.
const ROWS: [&[&str]; 12] = [
    &["authly-tests", "authly-benches"],
    &["authly"],
    &["authly-operator", "authly-server", "authly-gateway"],
    &["authly-store"],
    &["authly-desired"],
    &["authly-secrets"],
    &["authly-runtime"],
    &["authly-crds", "authly-policies"],
    &["authly-model"],
    &["authly-signed-url"],
    &["authly-embedded-postgres"],
    &["authly-fuzzing"],
];

fn row(name: &str) -> usize {
    ROWS.iter().position(|row| row.contains(&name)).unwrap_or_else(|| panic!("{name} has no row: add it to ROWS"))
}

fn workspace() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output =
        Command::new(cargo).args(["metadata", "--no-deps", "--offline", "--format-version=1"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let package = |package: &serde_json::Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        let inside = dependencies.iter().filter(|d| d["path"].is_string() && d["kind"] != "dev");
        (text(&package["name"]), inside.map(|d| text(&d["name"])).collect())
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn imports_go_downward_only() {
    let workspace = workspace();
    assert!(workspace.len() >= 13, "cargo metadata shows the whole workspace: {workspace:?}");
    for (name, dependencies) in &workspace {
        for dependency in dependencies {
            assert!(row(dependency) > row(name), "{name} must not import {dependency}: it is on the same row or above");
        }
    }
}

#[test]
fn the_published_crate_stands_alone() {
    let workspace = workspace();
    assert_eq!(workspace["authly-signed-url"], Vec::<String>::new());
}
