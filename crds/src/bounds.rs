//! Bounded strings, lists and maps. Every one in a CRD needs a bound, or the API server refuses the cost of its CEL
//! rules. Patterns are in the syntax that RE2 and Rust's `regex` share.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::rules::{rule, rules, seconds};

/// A DNS label (RFC 1123): a namespace, a Service.
const DNS_LABEL: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// A DNS subdomain (RFC 1123): an object's name.
const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";
/// `host` or `host:port`, lower-case A-labels.
const HOST: &str = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*(:[1-9][0-9]{0,4})?$";
/// The key of a label or annotation.
const LABEL_KEY: &str = "^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$";
/// The value of a label.
const LABEL_VALUE: &str = "^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$";

pub(crate) fn dns_label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": DNS_LABEL})
}

/// An object's name in this API: a DNS subdomain of at most 63 characters.
pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": DNS_SUBDOMAIN})
}

pub(crate) fn secret_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 253, "pattern": DNS_SUBDOMAIN})
}

/// A key of a Secret; with the suffixes of the slots it has at most 253 characters.
pub(crate) fn secret_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 240, "pattern": "^[-._a-zA-Z0-9]+$"})
}

/// A duration of at least `min` and at most `max` seconds.
fn duration_between(min: i64, max: i64, message: &str) -> Schema {
    let value = seconds("self");
    json_schema!({
        "type": "string", "minLength": 2, "maxLength": 6, "pattern": "^[0-9]{1,5}[smhd]$",
        "x-kubernetes-validations": rules([(format!("{value} >= {min} && {value} <= {max}"), message)]),
    })
}

pub(crate) fn token_lifetime(_: &mut SchemaGenerator) -> Schema {
    duration_between(10, 86_400, "an access token lives at least 10s and at most 24h")
}

pub(crate) fn ttl(_: &mut SchemaGenerator) -> Schema {
    duration_between(1, 604_800, "a signed URL lives at least 1s and at most 7d")
}

pub(crate) fn rotation_period(_: &mut SchemaGenerator) -> Schema {
    duration_between(10, 3_155_760_000, "a rotation period is at least 10s and at most 36525d")
}

pub(crate) fn rotation_overlap(_: &mut SchemaGenerator) -> Schema {
    duration_between(0, 31_622_400, "an overlap is at most 366d")
}

pub(crate) fn key_rotation_period(_: &mut SchemaGenerator) -> Schema {
    duration_between(3600, 315_360_000, "a key signs at least 1h and at most 3650d")
}

pub(crate) fn key_overlap(_: &mut SchemaGenerator) -> Schema {
    duration_between(0, 31_536_000, "an overlap is at most 365d")
}

/// Ids of signing keys, each once.
pub(crate) fn key_ids(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"},
    })
}

pub(crate) fn retention_period(_: &mut SchemaGenerator) -> Schema {
    duration_between(0, 3_155_760_000, "a retention period is at most 36525d")
}

pub(crate) fn purge_after(_: &mut SchemaGenerator) -> Schema {
    duration_between(1, 315_360_000, "a deleted tenant keeps its keys at least 1s and at most 3650d")
}

/// A list of hosts, each once.
pub(crate) fn hosts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 253, "pattern": HOST,
            "x-kubernetes-validations": rule(
                "!self.endsWith(':80') && !self.endsWith(':443')",
                "leave out the default ports :80 and :443",
            ),
        },
    })
}

/// Hosts of a route: at least one, at most 16.
pub(crate) fn route_hosts(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = hosts(generator);
    schema.insert("minItems".to_owned(), 1.into());
    schema.insert("maxItems".to_owned(), 16.into());
    schema
}

/// Scope tokens (RFC 6749 section 3.3), each once.
pub(crate) fn scopes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[\x21\x23-\x5b\x5d-\x7e]+$"},
    })
}

/// Resource indicators (RFC 8707 section 2): absolute URIs without fragment, each once.
pub(crate) fn audiences(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 3, "maxLength": 512,
            "pattern": r"^[A-Za-z][A-Za-z0-9+.-]{0,30}:[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+$",
        },
    })
}

/// Redirect URIs (RFC 6749 section 3.1.2; RFC 8252 section 7.3 for loopback): exact, without fragment or user.
pub(crate) fn redirect_uris(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 32, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 9, "maxLength": 512,
            "pattern": concat!(
                r"^(https://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|http://(localhost|127\.0\.0\.1|\[::1\]))",
                r"(:[1-9][0-9]{0,4})?",
                r"(/[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]*)?$",
            ),
        },
    })
}

/// An issuer (RFC 8414 section 2): https, or http on localhost; no query, fragment or trailing slash.
pub(crate) fn issuer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 9, "maxLength": 255,
        "pattern": concat!(
            r"^(https://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|http://(localhost|127\.0\.0\.1|\[::1\]))",
            r"(:[1-9][0-9]{0,4})?",
            r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        ),
    })
}

/// A public key member in base64url without padding (RFC 7518 section 6).
pub(crate) fn base64url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 700, "pattern": "^[A-Za-z0-9_-]+$"})
}

/// Labels, at most 16.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    map(LABEL_VALUE, 63, 16)
}

/// Labels to match, at least one.
pub(crate) fn match_labels(_: &mut SchemaGenerator) -> Schema {
    let mut schema = map(LABEL_VALUE, 63, 8);
    schema.insert("minProperties".to_owned(), 1.into());
    schema
}

/// Annotations, at most 16.
pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    map("", 1024, 16)
}

fn map(value_pattern: &str, max_length: i32, max: i32) -> Schema {
    let mut value = json_schema!({"type": "string", "maxLength": max_length});
    if !value_pattern.is_empty() {
        value.insert("pattern".to_owned(), value_pattern.into());
    }
    json_schema!({
        "type": "object", "maxProperties": max, "additionalProperties": value,
        "x-kubernetes-validations": rule(
            &format!("self.all(key, key.matches(r'{LABEL_KEY}'))"),
            "a key is a name of at most 63 characters, with an optional DNS prefix and a slash before it",
        ),
    })
}
