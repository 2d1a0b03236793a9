//! Metadata as an API server checks it: names, labels, annotations, known fields.

use serde_json::Value;

use super::Violation;
use crate::schema::{member, noun};

/// Where objects of the kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A Tenant.
    Cluster,
    /// Every other kind of this API.
    Namespaced,
    /// A core/v1 Namespace, whose name is a DNS label.
    Namespace,
}

/// The longest name of an object of this API: it becomes part of client ids and issuers.
pub(crate) const MAX_NAME: usize = 63;
/// The most bytes of all annotations together.
const MAX_ANNOTATIONS: usize = 256 * 1024;
const KNOWN: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "generateName",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

pub(crate) fn check(metadata: Option<&Value>, scope: Scope, found: &mut Vec<Violation>) {
    let Some(Value::Object(map)) = metadata else {
        found.push(Violation::new("metadata", "metadata with a name is required"));
        return;
    };
    for key in map.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
        found.push(Violation::new(member("metadata", key), "unknown field"));
    }
    match map.get("name") {
        Some(Value::String(name)) => check_name(name, scope, found),
        None | Some(Value::Null) => found.push(Violation::new("metadata", "name is required")),
        Some(other) => found.push(Violation::new("metadata.name", format!("must be a string, not {}", noun(other)))),
    }
    match map.get("namespace") {
        Some(Value::String(namespace)) if scope == Scope::Namespaced && !is_label(namespace) => {
            found.push(Violation::new("metadata.namespace", "is not a DNS label of at most 63 characters"));
        }
        None | Some(Value::Null | Value::String(_)) => {}
        Some(other) => {
            found.push(Violation::new("metadata.namespace", format!("must be a string, not {}", noun(other))));
        }
    }
    check_map(map.get("labels"), "metadata.labels", found, |key, value| {
        let message = "is not a label value: at most 63 of A-Z a-z 0-9 - _ . with a letter or digit at both ends";
        (!is_qualified(key)).then_some(KEY).or_else(|| (!is_label_value(value)).then_some(message))
    });
    check_map(map.get("annotations"), "metadata.annotations", found, |key, _| {
        (!is_qualified(&key.to_ascii_lowercase())).then_some(KEY)
    });
    let size: usize = map
        .get("annotations")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| k.len() + v.as_str().map_or(0, str::len))
        .sum();
    if size > MAX_ANNOTATIONS {
        found.push(Violation::new("metadata.annotations", "are larger than 256 KiB"));
    }
}

fn check_name(name: &str, scope: Scope, found: &mut Vec<Violation>) {
    if name.chars().count() > MAX_NAME {
        found.push(Violation::new("metadata.name", "is at most 63 characters"));
    } else if scope == Scope::Namespace && !is_label(name) {
        found.push(Violation::new("metadata.name", "is not a DNS label: a-z, 0-9 and - inside"));
    } else if !is_subdomain(name) {
        found.push(Violation::new("metadata.name", "is not a DNS name: a-z, 0-9, with - and . inside"));
    }
}

fn check_map(
    map: Option<&Value>,
    path: &str,
    found: &mut Vec<Violation>,
    problem: impl Fn(&str, &str) -> Option<&'static str>,
) {
    match map {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (key, value) in map {
                let message = match value {
                    Value::String(text) => problem(key, text).map(str::to_owned),
                    other => Some(format!("must be a string, not {}", noun(other))),
                };
                found.extend(message.map(|message| Violation::new(member(path, key), message)));
            }
        }
        Some(other) => found.push(Violation::new(path, format!("must be a mapping, not {}", noun(other)))),
    }
}

/// What a label's or annotation's key is.
pub(crate) const KEY: &str =
    "a key is a name of at most 63 characters, with an optional DNS prefix and a slash before it";

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A label's value: empty, or at most 63 characters that start and end with a letter or digit.
fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

fn is_name(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A key as the CRDs' rule has it: the prefix may hold any of `a-z 0-9 . -`, its ends are letters or digits.
pub(crate) fn is_template_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((prefix, name)) => {
            let ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let bytes = prefix.as_bytes();
            bytes.len() <= 253
                && ends(bytes.first())
                && ends(bytes.last())
                && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
                && is_name(name)
        }
    }
}

/// A key of metadata: a name, with an optional DNS subdomain and a slash before it.
fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    }
}
