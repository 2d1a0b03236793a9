//! `AccessPolicy`: Cedar source and its tests. What Cedar itself says of the source is not the schema's matter: it
//! shows as `Accepted`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{rules, status, status::TenantRef};

/// What an AccessPolicy declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "authly.dev",
    version = "v1alpha1",
    kind = "AccessPolicy",
    plural = "accesspolicies",
    shortname = "aap",
    category = "authly",
    namespaced,
    status = "AccessPolicyStatus",
    derive = "PartialEq",
    doc = "Cedar policies of a tenant, with tests.",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "Tests", type_ = "string", json_path = ".status.tests")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessPolicySpec {
    /// The Tenant. Immutable.
    pub tenant_ref: TenantRef,
    /// Enforce decides; Shadow is evaluated apart and never decides. Default: Enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PolicyMode")]
    pub mode: Option<PolicyMode>,
    /// The policies in Cedar, at most 32 KiB. Ids are written without tenant: `Client::"shop.billing"`.
    #[schemars(schema_with = "cedar")]
    pub cedar: String,
    /// Decisions that must hold for this policy and the built-in guards alone. One that fails keeps the last good policy.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PolicyTest>,
}

/// Whether a policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyMode {
    /// Decides.
    Enforce,
    /// Evaluated apart; never decides.
    Shadow,
}

/// One decision that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = test_rules()))]
pub struct PolicyTest {
    /// Who asks: `Client::"<client id>"`. For `redeem` the one whom the URL is for, if any.
    #[schemars(schema_with = "principal")]
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub as_: Option<String>,
    /// What is asked.
    pub action: TestAction,
    /// The route, `<name>` in the own namespace or `<namespace>/<name>`; for `sign` and `redeem`.
    #[schemars(schema_with = "route")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The path; for `sign` and `redeem`.
    #[schemars(schema_with = "path")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The decision.
    pub expect: Expectation,
}

/// The action of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TestAction {
    /// An access token is issued.
    IssueToken,
    /// A URL is signed.
    Sign,
    /// A signed URL is redeemed.
    Redeem,
}

/// The decision that a test expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Expectation {
    /// Permitted.
    Allow,
    /// Denied.
    Deny,
}

/// What the operator reports of an AccessPolicy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicyStatus {
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
    /// The effective mode.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Tests passed of tests declared, such as 2/2.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<String>,
}

fn cedar(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 32768})
}

fn principal(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 300, "pattern": r#"^Client::"[A-Za-z0-9._~-]{1,128}"$"#,
    })
}

fn route(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 127,
        "pattern": "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$",
    })
}

fn path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^/[\x21-\x7e]*$"})
}

fn test_rules() -> serde_json::Value {
    rules::rules([
        (
            "self.action == 'issueToken' ? !has(self.route) && !has(self.path) : has(self.route) && has(self.path)"
                .to_owned(),
            "sign and redeem need route and path, issueToken takes neither",
        ),
        ("self.action == 'redeem' || has(self.as)".to_owned(), "issueToken and sign need as"),
    ])
}
