//! Manifests: a text of YAML documents → typed objects, or errors with file, line and column that say what to do.
//! Owns what `kubectl` and the API server do with a text before an object exists; refuses what they refuse.

use std::sync::Arc;

use authly_crds::API_VERSION;
use authly_model::ids::{Kind, ObjectRef};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    admission::{self, Violation, metadata},
    object::{Namespace, Object},
    schema::{cut, noun},
    verdict::Refusal,
    yaml::{self, Document, Positions},
};

/// The most bytes of one file.
pub const MAX_BYTES: usize = 1 << 20;
/// The namespace of an object that names none, as for `kubectl`.
pub const DEFAULT_NAMESPACE: &str = "default";

/// An object and where it stands.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The object.
    pub object: Object,
    /// Line and column of every field.
    pub positions: Positions,
    /// The file.
    pub file: String,
    text: Arc<str>,
}

/// Why a document was refused: one per problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ManifestError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1, in characters.
    pub column: u64,
    /// What is wrong and what to do.
    pub message: String,
    /// The object, where the document says which it is.
    pub object: Option<ObjectRef>,
}

impl Manifest {
    /// A violation of [`crate::validate`] (of an update, say) as an error with its place.
    #[must_use]
    pub fn locate(&self, violation: &Violation) -> ManifestError {
        self.error(self.positions.of(&violation.field), violation.to_string())
    }

    /// A refusal of [`crate::desired`] as an error with its place; within a policy, that of the Cedar text.
    #[must_use]
    pub fn locate_refusal(&self, refusal: &Refusal) -> ManifestError {
        let at = match refusal.at {
            Some(at) => self.positions.within(&refusal.field, at, &self.text),
            None => self.positions.of(&refusal.field),
        };
        self.error(at, format!("{}: {}", refusal.reason, refusal.message))
    }

    fn error(&self, (line, column): (u64, u64), message: String) -> ManifestError {
        ManifestError { file: self.file.clone(), line, column, message, object: self.object.reference() }
    }
}

/// Reads every document of `text`. A text that is not YAML gives one error and no object.
#[must_use]
pub fn parse(text: &str, file: &str) -> Vec<Result<Manifest, ManifestError>> {
    let error = |line, column, message| ManifestError { file: file.to_owned(), line, column, message, object: None };
    if text.len() > MAX_BYTES {
        return vec![Err(error(1, 1, format!("the file is larger than {MAX_BYTES} bytes: split it")))];
    }
    let documents = match yaml::read(text) {
        Ok(documents) => documents,
        Err(bad) => {
            let (line, column) = bad.location().map_or((1, 1), |at| (at.line(), at.column()));
            return vec![Err(error(line, column, format!("not valid YAML: {}", bad.without_snippet())))];
        }
    };
    let shared: Arc<str> = text.into();
    documents.into_iter().flat_map(|document| read_document(document, file, &shared)).collect()
}

fn read_document(document: Document, file: &str, text: &Arc<str>) -> Vec<Result<Manifest, ManifestError>> {
    let Document { value, positions } = document;
    match read_object(value) {
        Ok(object) => vec![Ok(Manifest { object, positions, file: file.to_owned(), text: Arc::clone(text) })],
        Err((object, violations)) => violations
            .into_iter()
            .map(|violation| {
                let (line, column) = positions.of(&violation.field);
                let message = if violation.field.is_empty() { violation.message } else { violation.to_string() };
                let line = if violation.field.is_empty() { positions.first_line() } else { line };
                Err(ManifestError { file: file.to_owned(), line, column, message, object: object.clone() })
            })
            .collect(),
    }
}

type Refused = (Option<ObjectRef>, Vec<Violation>);

fn read_object(value: Value) -> Result<Object, Refused> {
    let one = |field: &str, message: String| (None, vec![Violation::new(field, message)]);
    let Value::Object(mut map) = value else {
        return Err(one(
            "",
            format!("a manifest is a mapping with apiVersion, kind and metadata, not {}", noun(&value)),
        ));
    };
    let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if (api_version.as_str(), kind.as_str()) == ("v1", "Namespace") {
        return read_namespace(&map).map_err(|violations| (None, violations));
    }
    if api_version != API_VERSION {
        let message = format!("`{}` is not known here: use {API_VERSION}, or v1 for a Namespace", cut(&api_version));
        return Err(one("apiVersion", message));
    }
    let Some(kind) = Kind::parse(&kind) else {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        return Err(one("kind", format!("`{}` is not a kind of {API_VERSION}: use {known}", cut(&kind))));
    };
    let mut found = unknown_roots(&map, &["apiVersion", "kind", "metadata", "spec", "status"]);
    map.remove("status");
    place(&mut map, kind);
    let value = Value::Object(map);
    found.extend(admission::check_shape(kind, &value));
    let object = reference(kind, &value);
    if !found.is_empty() {
        return Err((object, found));
    }
    let typed = typed(kind, value).map_err(|bad| (object.clone(), vec![Violation::new("", bad.to_string())]))?;
    let found = admission::rules(None, &typed);
    if found.is_empty() { Ok(typed) } else { Err((object, found)) }
}

/// What an API server does to metadata: drops what only it sets, and the namespace of what has none.
fn place(map: &mut Map<String, Value>, kind: Kind) {
    let Some(Value::Object(metadata)) = map.get_mut("metadata") else { return };
    for key in [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    ] {
        metadata.remove(key);
    }
    if kind == Kind::Tenant {
        metadata.remove("namespace");
    } else if metadata.get("namespace").is_none_or(Value::is_null) {
        metadata.insert("namespace".to_owned(), DEFAULT_NAMESPACE.into());
    }
}

fn unknown_roots(map: &Map<String, Value>, known: &[&str]) -> Vec<Violation> {
    let unknown = map.keys().filter(|key| !known.contains(&key.as_str()));
    unknown.map(|key| Violation::new(key, format!("unknown field; an object has {}", known.join(", ")))).collect()
}

fn reference(kind: Kind, value: &Value) -> Option<ObjectRef> {
    let text = |key: &str| value["metadata"][key].as_str();
    Some(ObjectRef::new(kind, text("namespace").unwrap_or_default(), text("name")?))
}

fn typed(kind: Kind, mut value: Value) -> Result<Object, serde_json::Error> {
    fn read<T: DeserializeOwned + Into<Object>>(value: Value) -> Result<Object, serde_json::Error> {
        serde_json::from_value::<T>(value).map(Into::into)
    }
    prune_nulls(&mut value);
    match kind {
        Kind::Tenant => read::<authly_crds::Tenant>(value),
        Kind::OAuthClient => read::<authly_crds::OAuthClient>(value),
        Kind::SignedUrlRoute => read::<authly_crds::SignedUrlRoute>(value),
        Kind::AccessPolicy => read::<authly_crds::AccessPolicy>(value),
        Kind::RetentionPolicy => read::<authly_crds::RetentionPolicy>(value),
    }
}

/// A null member is an absent one, as in an API server.
fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, member| !member.is_null());
            map.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}

fn read_namespace(map: &Map<String, Value>) -> Result<Object, Vec<Violation>> {
    let mut found = unknown_roots(map, &["apiVersion", "kind", "metadata", "spec", "status"]);
    metadata::check(map.get("metadata"), metadata::Scope::Namespace, &mut found);
    if !found.is_empty() {
        return Err(found);
    }
    let metadata = &map["metadata"];
    let labels = metadata["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect();
    Ok(Namespace::new(metadata["name"].as_str().unwrap_or_default(), labels).into())
}
