//! What all kinds share: the reference to the Tenant, and the conditions (operator.md, rule 6).

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{bounds, rules};

/// The conditions that every object has, in order. `Reconciling` and `Stalled` are there only while true.
pub const CONDITION_TYPES: [&str; 4] = ["Accepted", "ResolvedRefs", "Programmed", "Ready"];

/// The Tenant that the object belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::immutable()))]
pub struct TenantRef {
    /// The Tenant's name.
    #[schemars(schema_with = "bounds::object_name")]
    pub name: String,
}

/// The generation that the status describes; -1 until the operator has seen the object.
pub(crate) fn observed_generation(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64"})
}

/// A short effective value.
pub(crate) fn short(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 1024})
}

/// An instant, RFC 3339.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// Conditions as Kubernetes defines them, one per type.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[A-Za-z][A-Za-z0-9]*$"},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z][A-Za-z0-9]*$"},
                "message": {"type": "string", "maxLength": 4096},
            },
        },
    })
}
