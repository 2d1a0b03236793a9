//! Texts of manifests: documents, places, and what is refused before there is an object.

#![allow(clippy::unwrap_used)]

use authly_desired::{Manifest, ManifestError, Object, parse};

fn errors(text: &str) -> Vec<ManifestError> {
    parse(text, "a.yaml").into_iter().filter_map(Result::err).collect()
}

fn one(text: &str) -> Manifest {
    parse(text, "a.yaml").remove(0).unwrap()
}

const TENANT: &str = "apiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec:\n";

#[test]
fn several_documents_and_empty_ones() {
    let text = format!(
        "# only a comment\n---\n{TENANT}  suspend: true\n---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{team: a}}}}\n---\n"
    );
    let objects: Vec<Object> = parse(&text, "a.yaml").into_iter().map(|m| m.unwrap().object).collect();
    assert_eq!(objects.len(), 2);
    let Object::Namespace(namespace) = &objects[1] else { panic!("{objects:?}") };
    assert_eq!(namespace.labels["kubernetes.io/metadata.name"], "shop");
    assert_eq!(namespace.labels["team"], "a");
    assert!(parse("", "a.yaml").is_empty() && parse("# nothing\n", "a.yaml").is_empty());
}

#[test]
fn errors_name_file_line_and_column() {
    let bad = &errors(&format!("{TENANT}  displayname: Acme\n"))[0];
    assert_eq!((bad.line, bad.column), (5, 3), "{bad}");
    assert!(bad.to_string().starts_with("a.yaml:5:3: spec.displayname: unknown field; spec knows"), "{bad}");
    assert_eq!(bad.object.as_ref().unwrap().to_string(), "Tenant acme");
    let bad = &errors(&format!("---\n{TENANT}  urlHosts:\n  - files.acme.example\n  - Files.acme.example\n"))[0];
    assert_eq!((bad.line, bad.column), (8, 5), "{bad}");
    let bad = &errors(&format!("{TENANT}  tokens: {{accessTokenLifetime: 2d}}\n"))[0];
    assert_eq!((bad.line, bad.column), (5, 12), "{bad}");
    assert!(bad.message.contains("at most 1d"), "{bad}");
    let bad = &errors(&format!("{TENANT}  suspend: maybe\n  legalHold: 1\n"));
    assert_eq!(bad.len(), 2, "every problem is told: {bad:?}");
}

#[test]
fn what_is_not_yaml_is_one_error_with_a_place() {
    let bad = errors("a: [1\nb: 2\n");
    assert_eq!(bad.len(), 1);
    assert!(bad[0].line >= 1 && bad[0].message.starts_with("not valid YAML"), "{}", bad[0]);
    let bad = errors("a: 1\na: 2\n");
    assert!(bad[0].line == 2 && bad[0].message.contains("duplicate"), "{}", bad[0]);
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("{[", "]: 1}")] {
        let bad = errors(&format!("a: {}{}\n", open.repeat(64), close.repeat(64)));
        assert!(bad[0].message.starts_with("not valid YAML"), "{}", bad[0]);
    }
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(1..40)
            .map(|i| {
                format!(
                    "b{i}: &b{i} [*{0},*{0},*{0},*{0},*{0},*{0},*{0},*{0},*{0}]\n",
                    if i == 1 { "a".to_owned() } else { format!("b{}", i - 1) }
                )
            })
            .collect::<String>();
    assert_eq!(errors(&bomb).len(), 1);
    assert!(errors(&"#".repeat((1 << 20) + 1))[0].message.contains("split it"));
    assert_eq!(errors("just text")[0].line, 1);
}

#[test]
fn a_namespace_defaults_as_kubectl_does_and_server_fields_are_dropped() {
    let client = "apiVersion: authly.dev/v1alpha1\nkind: OAuthClient\nmetadata: {name: a, uid: x, creationTimestamp: 2026-01-01T00:00:00Z, generation: 4}\nspec: {tenantRef: {name: acme}, type: Service}\nstatus: {clientId: x}\n";
    let object = one(client).object;
    assert_eq!(object.reference().unwrap().to_string(), "OAuthClient default/a");
    let metadata = object.metadata().unwrap();
    assert!(metadata.uid.is_none() && metadata.creation_timestamp.is_none());
    let tenant =
        one("apiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme, namespace: shop}\nspec: {}\n");
    assert_eq!(tenant.object.reference().unwrap().to_string(), "Tenant acme");
}

#[test]
fn a_refusal_in_cedar_has_its_place_in_the_file() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec: {allowedNamespaces: [{name: shop, role: Owner}]}\n---\napiVersion: authly.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  tenantRef: {name: acme}\n  cedar: |\n    permit (principal, action == Action::\"sign\", resource);\n    permit (principal, action == Action::\"fly\", resource);\n";
    let mut world = authly_desired::World::new("default", "https://auth.example");
    let manifests: Vec<Manifest> = parse(text, "p.yaml").into_iter().map(Result::unwrap).collect();
    for manifest in &manifests {
        world.put(manifest.object.clone());
    }
    let resolved = authly_desired::desired(&world, "acme");
    let refusal = resolved.verdicts.values().find_map(|v| v.accepted.as_ref().err()).unwrap();
    let bad = manifests[2].locate_refusal(refusal);
    assert_eq!(bad.line, 17, "{bad}");
    assert!(bad.column >= 5 && bad.message.starts_with("PolicyInvalid: "), "{bad}");
}
