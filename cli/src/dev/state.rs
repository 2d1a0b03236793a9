//! What dev mode holds in place of an API server: the objects that were admitted, their versions and statuses.
//!
//! Admission is a cluster's: a manifest that is wrong, or that an update may not bring, changes nothing, and the object
//! as it was keeps serving. Nothing is deleted while anything in the folder could not be read. Pure.

use std::collections::{BTreeMap, BTreeSet};

use authly_desired::{
    Object,
    manifest::{DEFAULT_NAMESPACE, Manifest, ManifestError},
    validate,
};
use authly_model::ids::ObjectRef;
use jiff::Timestamp;
use serde_json::Value;

use super::{json, manifests::Reading};

type Labels = BTreeMap<String, String>;

/// Everything that is declared.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<ObjectRef, Admitted>,
    pub(crate) namespaces: BTreeMap<String, Labels>,
}

/// An object that was admitted.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// The object, with its time of creation.
    pub(crate) object: Object,
    /// Grows when the spec changes.
    pub(crate) generation: i64,
    /// What the engine reported; null until it has.
    pub(crate) status: Value,
    /// Where it stands; nothing when only the data folder knows it.
    pub(crate) manifest: Option<Manifest>,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Declared(ObjectRef),
    Deleted(ObjectRef),
    Namespace(String, Option<Labels>),
    Complete(bool),
}

/// What came of a reading.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// In the order in which the engine is told.
    pub(crate) changes: Vec<Change>,
    /// What was refused, and why.
    pub(crate) errors: Vec<ManifestError>,
}

impl State {
    /// Whether the reading would delete something.
    pub(crate) fn would_delete(&self, reading: &Reading) -> bool {
        let declared = declared(&reading.manifests);
        reading.errors.is_empty() && self.objects.keys().any(|object| !declared.contains(object))
    }

    /// Takes over what may take effect.
    pub(crate) fn admit(&mut self, reading: Reading, now: Timestamp) -> Outcome {
        let declared = declared(&reading.manifests);
        let complete = reading.errors.is_empty();
        let mut outcome = Outcome { errors: reading.errors, ..Outcome::default() };
        let manifests = without_duplicates(reading.manifests, &mut outcome.errors);
        let (namespaces, objects): (Vec<_>, Vec<_>) =
            manifests.into_iter().partition(|manifest| manifest.object.reference().is_none());
        let declared_namespaces = self.admit_namespaces(namespaces, &mut outcome);
        for manifest in objects {
            self.admit_object(manifest, now, &mut outcome);
        }
        outcome.changes.push(Change::Complete(complete));
        if complete {
            self.delete_others(&declared, &declared_namespaces, &mut outcome);
        }
        outcome
    }

    fn admit_namespaces(&mut self, manifests: Vec<Manifest>, outcome: &mut Outcome) -> BTreeSet<String> {
        let mut declared = BTreeSet::new();
        for manifest in manifests {
            let Object::Namespace(namespace) = &manifest.object else { continue };
            declared.insert(namespace.name.clone());
            if self.namespaces.get(&namespace.name) != Some(&namespace.labels) {
                self.namespaces.insert(namespace.name.clone(), namespace.labels.clone());
                outcome.changes.push(Change::Namespace(namespace.name.clone(), Some(namespace.labels.clone())));
            }
        }
        declared
    }

    fn admit_object(&mut self, manifest: Manifest, now: Timestamp, outcome: &mut Outcome) {
        let Some(reference) = manifest.object.reference() else { return };
        let namespace = &reference.object.namespace;
        if !namespace.is_empty() && namespace != DEFAULT_NAMESPACE && !self.namespaces.contains_key(namespace) {
            outcome.errors.push(no_namespace(&manifest, namespace));
            return;
        }
        let old = self.objects.get(&reference);
        let violations = validate(old.map(|old| &old.object), &manifest.object);
        if !violations.is_empty() {
            outcome.errors.extend(violations.iter().map(|violation| manifest.locate(violation)));
            return;
        }
        let created = old.and_then(|old| json::created(&old.object)).unwrap_or(now);
        let object = json::with_creation(&manifest.object, created);
        match self.objects.get_mut(&reference) {
            Some(old) => {
                old.manifest = Some(manifest);
                if old.object == object {
                    return;
                }
                old.generation += i64::from(json::spec(&old.object) != json::spec(&object));
                old.object = object;
            }
            None => {
                let new = Admitted { object, generation: 1, status: Value::Null, manifest: Some(manifest) };
                self.objects.insert(reference.clone(), new);
            }
        }
        outcome.changes.push(Change::Declared(reference));
    }

    fn delete_others(&mut self, declared: &BTreeSet<ObjectRef>, namespaces: &BTreeSet<String>, outcome: &mut Outcome) {
        let gone: Vec<ObjectRef> = self.objects.keys().filter(|object| !declared.contains(object)).cloned().collect();
        for object in gone {
            self.objects.remove(&object);
            outcome.changes.push(Change::Deleted(object));
        }
        // A namespace stays as long as anything is in it, as in a cluster.
        let used: BTreeSet<&str> = self.objects.keys().map(|object| object.object.namespace.as_str()).collect();
        let unused = |name: &&String| !namespaces.contains(*name) && !used.contains(name.as_str());
        let gone: Vec<String> = self.namespaces.keys().filter(unused).cloned().collect();
        for name in gone {
            self.namespaces.remove(&name);
            outcome.changes.push(Change::Namespace(name, None));
        }
    }
}

fn declared(manifests: &[Manifest]) -> BTreeSet<ObjectRef> {
    manifests.iter().filter_map(|manifest| manifest.object.reference()).collect()
}

/// An object that stands twice is refused twice: which of them is meant cannot be known.
fn without_duplicates(manifests: Vec<Manifest>, errors: &mut Vec<ManifestError>) -> Vec<Manifest> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for manifest in &manifests {
        let name = json::name(&manifest.object);
        let (line, column) = manifest.positions.of("metadata.name");
        if let Some(first) = seen.get(&name) {
            let message = format!("{name} stands at {first} already: remove one of the two");
            errors.push(ManifestError {
                file: manifest.file.clone(),
                line,
                column,
                message,
                object: manifest.object.reference(),
            });
            twice.insert(name);
        } else {
            seen.insert(name, format!("{}:{line}", manifest.file));
        }
    }
    manifests.into_iter().filter(|manifest| !twice.contains(&json::name(&manifest.object))).collect()
}

fn no_namespace(manifest: &Manifest, namespace: &str) -> ManifestError {
    let (line, column) = manifest.positions.of("metadata.namespace");
    let message = format!(
        "namespace {namespace} does not exist: add a manifest of kind Namespace (apiVersion v1) with that name"
    );
    ManifestError { file: manifest.file.clone(), line, column, message, object: manifest.object.reference() }
}

#[cfg(test)]
mod tests {
    use super::{Change, State};
    use crate::dev::manifests::Reading;
    use authly_desired::manifest;

    const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

    fn client(kind: &str, extra: &str) -> String {
        format!(
            "apiVersion: authly.dev/v1alpha1\nkind: OAuthClient\nmetadata: {{name: billing, namespace: shop}}\n\
             spec:\n  tenantRef: {{name: acme}}\n  type: {kind}\n{extra}"
        )
    }

    /// What the state says of these files: changes, then errors.
    fn admit(state: &mut State, files: &[&str]) -> String {
        let mut reading = Reading::default();
        for (i, text) in files.iter().enumerate() {
            for document in manifest::parse(text, &format!("{i}.yaml")) {
                match document {
                    Ok(manifest) => reading.manifests.push(manifest),
                    Err(error) => reading.errors.push(error),
                }
            }
        }
        let outcome = state.admit(reading, "2026-11-23T12:00:00Z".parse().unwrap());
        let changes = outcome.changes.into_iter().map(|change| match change {
            Change::Declared(object) => format!("+{object}"),
            Change::Deleted(object) => format!("-{object}"),
            Change::Namespace(name, labels) => format!("{}ns {name}", if labels.is_some() { "+" } else { "-" }),
            Change::Complete(complete) => format!("complete {complete}"),
        });
        let errors = outcome.errors.into_iter().map(|error| error.to_string());
        changes.chain(errors).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_wrong_edit_changes_and_deletes_nothing() {
        let mut state = State::default();
        let good = client("Service", "  scopes: [a]\n");
        assert_eq!(admit(&mut state, &[NAMESPACE, &good]), "+ns shop\n+OAuthClient shop/billing\ncomplete true");
        assert_eq!(admit(&mut state, &[NAMESPACE, &good]), "complete true");

        let broken = admit(&mut state, &[NAMESPACE, &good.replace("scopes", "scops")]);
        assert!(broken.starts_with("complete false\n1.yaml:7:3: "), "{broken}");
        let broken = admit(&mut state, &[NAMESPACE, "{"]);
        assert!(broken.starts_with("complete false\n1.yaml:"), "{broken}");
        assert_eq!(state.objects.len(), 1);

        let changed = client("Service", "  scopes: [a, b]\n");
        assert_eq!(admit(&mut state, &[NAMESPACE, &changed]), "+OAuthClient shop/billing\ncomplete true");
        assert_eq!(state.objects.values().map(|admitted| admitted.generation).collect::<Vec<_>>(), [2]);
        assert_eq!(admit(&mut state, &[]), "complete true\n-OAuthClient shop/billing\n-ns shop");
    }

    #[test]
    fn a_file_that_parses_takes_effect_beside_one_that_does_not() {
        let mut state = State::default();
        let good = client("Service", "");
        let said = admit(&mut state, &[NAMESPACE, "a: [", &good]);
        assert!(said.starts_with("+ns shop\n+OAuthClient shop/billing\ncomplete false\n1.yaml:"), "{said}");
        let said = admit(&mut state, &["a: ["]);
        assert!(said.starts_with("complete false"), "{said}");
        assert_eq!((state.objects.len(), state.namespaces.len()), (1, 1));
    }

    #[test]
    fn what_a_cluster_refuses_is_refused() {
        let mut state = State::default();
        let good = client("Service", "");
        let said = admit(&mut state, &[&good]);
        assert_eq!(
            said,
            "complete true\n0.yaml:3:27: namespace shop does not exist: add a manifest of kind Namespace (apiVersion v1) with that name"
        );
        admit(&mut state, &[NAMESPACE, &good]);
        let said = admit(&mut state, &[NAMESPACE, &client("Web", "  redirectUris: [\"https://a.example/cb\"]\n")]);
        assert!(said.starts_with("complete true\n1.yaml:6:") && said.contains("immutable"), "{said}");
        let said = admit(&mut state, &[NAMESPACE, &good, &good]);
        assert!(said.contains("2.yaml:3:") && said.contains("stands at 1.yaml:3 already"), "{said}");
        assert_eq!(state.objects.len(), 1);
    }
}
