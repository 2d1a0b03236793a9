//! `validate(old, new)`: the verdict of the API server on one object (operator.md, rule 4). Owns the schema's part through
//! `schema` and the CEL rules as Rust, one file per kind; the manifest corpus holds both sides together. Never looks at a
//! second object: that is `resolve`'s part.

use authly_model::{duration::Seconds, ids::Kind};
use serde_json::Value;

use crate::{object::Object, schema};

mod access_policy;
pub(crate) mod metadata;
mod oauth_client;
mod retention_policy;
mod signed_url_route;
mod tenant;

/// One thing that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Violation {
    /// Where, such as `spec.hosts[0]`.
    pub field: String,
    /// What, and what to do.
    pub message: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Everything that an API server would refuse, in creating `new` or in updating `old` to it.
#[must_use]
pub fn validate(old: Option<&Object>, new: &Object) -> Vec<Violation> {
    let Some(kind) = new.kind() else { return validate_namespace(new) };
    let Ok(json) = new.to_json() else { return vec![Violation::new("", "is not JSON")] };
    let mut found = check_shape(kind, &json);
    if found.is_empty() {
        found = rules(old, new);
    }
    found
}

fn validate_namespace(new: &Object) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Ok(json) = new.to_json() {
        metadata::check(json.get("metadata"), metadata::Scope::Namespace, &mut found);
    }
    found
}

/// Metadata and the schema: what can be said before the object is typed. The root's own members are `manifest`'s part.
pub(crate) fn check_shape(kind: Kind, object: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    let scope = if kind == Kind::Tenant { metadata::Scope::Cluster } else { metadata::Scope::Namespaced };
    metadata::check(object.get("metadata"), scope, &mut found);
    match (schema::spec_schema(kind), object.get("spec")) {
        (Some(schema), Some(spec)) if !spec.is_null() => schema.check(spec, "spec", &mut found),
        (Some(_), _) => found.push(Violation::new("", "spec is required")),
        (None, _) => found.push(Violation::new("", "this kind has no schema")),
    }
    found
}

/// The CEL rules. An `old` of another kind, or another object, counts as none.
pub(crate) fn rules(old: Option<&Object>, new: &Object) -> Vec<Violation> {
    let old = old.filter(|old| old.reference() == new.reference());
    let mut found = Vec::new();
    if new.kind() != Some(Kind::Tenant) && old.is_some_and(|old| old.tenant() != new.tenant()) {
        found.push(Violation::new("spec.tenantRef", IMMUTABLE));
    }
    match new {
        Object::Tenant(new) => {
            let old = old.and_then(|old| if let Object::Tenant(old) = old { Some(&old.spec) } else { None });
            tenant::check(old, &new.spec, &mut found);
        }
        Object::OAuthClient(new) => {
            let old = old.and_then(|old| if let Object::OAuthClient(old) = old { Some(&old.spec) } else { None });
            oauth_client::check(old, &new.spec, &mut found);
        }
        Object::SignedUrlRoute(new) => signed_url_route::check(&new.spec, &mut found),
        Object::AccessPolicy(new) => access_policy::check(&new.spec, &mut found),
        Object::RetentionPolicy(new) => retention_policy::check(&new.spec, &mut found),
        Object::Namespace(_) => {}
    }
    found
}

const IMMUTABLE: &str = "is immutable: delete the object and create it again";

/// Refuses a host that spells a default port.
fn no_default_port(hosts: &[String], field: &str, found: &mut Vec<Violation>) {
    for (i, host) in hosts.iter().enumerate() {
        if host.ends_with(":80") || host.ends_with(":443") {
            found.push(Violation::new(format!("{field}[{i}]"), "leave out the default ports :80 and :443"));
        }
    }
}

/// Refuses a duration outside of the bounds, both included.
fn between(text: Option<&String>, min: i64, max: i64, field: &str, found: &mut Vec<Violation>) {
    let Some(text) = text else { return };
    match text.parse::<Seconds>() {
        Ok(seconds) if (min..=max).contains(&seconds.0) => {}
        Ok(_) => {
            let message = format!("`{text}` is out of bounds: at least {} and at most {}", Seconds(min), Seconds(max));
            found.push(Violation::new(field, message));
        }
        Err(bad) => found.push(Violation::new(field, bad.to_string())),
    }
}
