//! `RetentionPolicy`: how long data of a class stays (operator.md, rule 13).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{bounds, rules, status, status::TenantRef};

/// What a RetentionPolicy declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "authly.dev",
    version = "v1alpha1",
    kind = "RetentionPolicy",
    plural = "retentionpolicies",
    shortname = "arp",
    category = "authly",
    namespaced,
    status = "RetentionPolicyStatus",
    derive = "PartialEq",
    doc = "How long a tenant's data of a class stays. Needs a namespace with role Owner.",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = spec_rules()))]
pub struct RetentionPolicySpec {
    /// The Tenant. Immutable.
    pub tenant_ref: TenantRef,
    /// DryRun counts what would go, Enforce lets it go. Default: DryRun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RetentionMode")]
    pub mode: Option<RetentionMode>,
    /// The rules; a class of data stands in at most one of them.
    #[schemars(length(min = 1, max = 8))]
    pub rules: Vec<RetentionRule>,
}

/// Whether data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetentionMode {
    /// Counts what would go.
    DryRun,
    /// Lets it go.
    Enforce,
}

/// How long data of some classes stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = action_rules()))]
pub struct RetentionRule {
    /// The classes. Tokens: expired revocations, replay ids and use counts. Audit: the payloads of audit records.
    #[schemars(schema_with = "data")]
    pub data: Vec<DataClass>,
    /// How long past its own end (for audit past its time) data stays.
    #[schemars(schema_with = "bounds::retention_period")]
    pub after: String,
    /// What happens then. Default, and the only choice of a class: Delete for Tokens, Anonymize for Audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RetentionAction")]
    pub action: Option<RetentionAction>,
}

/// A class of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataClass {
    /// Expired revocations, replay ids and use counts past their floor.
    Tokens,
    /// Audit records: payloads go, the hash skeleton stays.
    Audit,
}

/// What happens to data past its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetentionAction {
    /// The row goes.
    Delete,
    /// Its payload goes; counts and hashes stay.
    Anonymize,
}

/// What the operator reports of a RetentionPolicy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionPolicyStatus {
    /// The generation that this status describes; -1 until the operator has seen the object.
    #[schemars(schema_with = "status::observed_generation")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, ResolvedRefs, Programmed, Ready; Reconciling and Stalled only while true.
    #[schemars(schema_with = "status::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The value of the annotation authly.dev/reconcile-requested-at that was handled last.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_requested_at: Option<String>,
    /// The revision of the tenant's configuration that carries this object.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What it governs.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The effective mode; LegalHold while the Tenant's legal hold holds everything back.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// For each class the last run that found something to do, or the last one at all.
    #[schemars(length(max = 2))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RetentionRun>,
}

/// What a run of retention did. One that found and did what the one before did is not shown anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionRun {
    /// The class of data.
    #[schemars(schema_with = "status::short")]
    pub data: String,
    /// The mode of the run.
    #[schemars(schema_with = "status::short")]
    pub mode: String,
    /// Rows that were due when it began.
    pub matched: i64,
    /// Rows that were deleted or anonymised.
    pub done: i64,
    /// When it began.
    #[schemars(schema_with = "status::time")]
    pub started_at: String,
    /// When it ended; absent while it runs.
    #[schemars(schema_with = "status::time")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

fn data(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 2, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "maxLength": 16, "enum": ["Tokens", "Audit"]},
    })
}

fn action_rules() -> serde_json::Value {
    rules::rules([(
        "!has(self.action) || self.data.all(d, self.action == (d == 'Tokens' ? 'Delete' : 'Anonymize'))".to_owned(),
        "Tokens are deleted and Audit is anonymized: leave action out or split the rule",
    )])
}

fn spec_rules() -> serde_json::Value {
    rules::rules([(
        "['Tokens', 'Audit'].all(c, self.rules.filter(r, c in r.data).size() <= 1)".to_owned(),
        "a class of data stands in at most one rule",
    )])
}
