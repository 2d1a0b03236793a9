//! `Tenant`: one customer of the platform, its issuer, hosts and namespaces. Cluster-scoped and not in the category
//! `authly`, since an app team without cluster-wide list would get Forbidden.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{bounds, rules, status};

/// What a Tenant declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "authly.dev",
    version = "v1alpha1",
    kind = "Tenant",
    shortname = "atn",
    status = "TenantStatus",
    derive = "PartialEq",
    doc = "A tenant: its issuer, the hosts of its signed URLs and the namespaces that it admits.",
    printcolumn(name = "Issuer", type_ = "string", json_path = ".status.issuer")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = spec_rules()))]
pub struct TenantSpec {
    /// A name for people. Default: the object's name.
    #[schemars(schema_with = "display_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The UUID that keys the tenant in the store. Default: generated when first programmed. Immutable.
    #[schemars(schema_with = "uuid")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The issuer of its tokens, a URL without trailing slash. Default: `<issuer base>/t/<name>`. Immutable once set.
    #[schemars(schema_with = "bounds::issuer")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The hosts that its signed-URL routes may use, `host` or `host:port`. A host belongs to one tenant.
    #[schemars(schema_with = "bounds::hosts")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub url_hosts: Vec<String>,
    /// The namespaces whose objects may name this Tenant. Where several entries match, Owner wins.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_namespaces: Vec<AllowedNamespaces>,
    /// The keys that sign its access tokens and its URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SigningKeys")]
    pub signing_keys: Option<SigningKeys>,
    /// Its access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TenantTokens")]
    pub tokens: Option<TenantTokens>,
    /// True stops all service: no token, no signature, no redemption. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// True holds back every retention job at once, also one that is under way. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<bool>,
    /// The installation of Authly that serves it. Default: `default`. Immutable.
    #[schemars(schema_with = "bounds::dns_label")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<String>,
    /// What deleting this object does. Retain keeps serving, Delete stops service at once. Default: Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DeletionPolicy")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// How long after the deletion of a Tenant with `deletionPolicy: Delete` its keys are destroyed, and with them
    /// everything that they encrypt. Applying the Tenant again before that restores it. Default: 30d.
    #[schemars(schema_with = "bounds::purge_after")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_after: Option<String>,
}

/// Namespaces that a Tenant admits, by exactly one of `name` and `selector`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::rule(
    "has(self.name) != has(self.selector)", "set exactly one of name and selector")))]
pub struct AllowedNamespaces {
    /// One namespace.
    #[schemars(schema_with = "bounds::dns_label")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Every namespace with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NamespaceSelector")]
    pub selector: Option<NamespaceSelector>,
    /// Owner: also tenant-wide policies and retention. Member: own clients, routes and guarded policies.
    pub role: NamespaceRole,
}

/// Chooses namespaces by label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceSelector {
    /// The labels, all of which the namespace carries with these values.
    #[schemars(schema_with = "bounds::match_labels")]
    pub match_labels: BTreeMap<String, String>,
}

/// The role of a namespace in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespaceRole {
    /// Own clients, routes and guarded policies.
    Member,
    /// Also tenant-wide policies and retention.
    Owner,
}

/// The keys that sign access tokens and URLs, apart from each other. The annotation `authly.dev/rotate-requested-at` rotates
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningKeys {
    /// The algorithm of access tokens; a change is a rotation. Default: EdDSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SigningAlgorithm")]
    pub algorithm: Option<SigningAlgorithm>,
    /// How long a key signs before the next one does. Default: until a rotation is requested.
    #[schemars(schema_with = "bounds::key_rotation_period")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<String>,
    /// How long a key that was replaced stays published at least. What it signed is waited for anyway. Default: 0s.
    #[schemars(schema_with = "bounds::key_overlap")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// The ids of keys (see status.signingKeys) that are not trusted any more, at once. One that signs is replaced at once.
    #[schemars(schema_with = "bounds::key_ids")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
}

/// A JWS algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::upper_case_acronyms)] // the `alg` values themselves
pub enum SigningAlgorithm {
    /// Ed25519.
    EdDSA,
    /// ECDSA P-256 with SHA-256.
    ES256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
}

/// Access tokens of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantTokens {
    /// Their lifetime, where the client does not say. Default: 10m, at most 24h.
    #[schemars(schema_with = "bounds::token_lifetime")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<String>,
}

/// What deleting a Tenant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Keeps serving; the same manifest adopts it again.
    Retain,
    /// Stops service at once; the same manifest restores it.
    Delete,
}

/// What the operator reports of a Tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
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
    /// The key of the tenant in the store.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The issuer, exactly as tokens carry it.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Its signing keys that are not revoked.
    #[schemars(length(max = 4096))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<SigningKeyStatus>,
    /// The value of the annotation `authly.dev/rotate-requested-at` whose rotation has begun.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_requested_at: Option<String>,
    /// The value of the annotation `authly.dev/rotate-pepper-requested-at` whose change has begun.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pepper_requested_at: Option<String>,
}

/// One signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKeyStatus {
    /// Its id, as in the JWKS.
    #[schemars(schema_with = "status::short")]
    pub kid: String,
    /// token or url.
    #[serde(rename = "use")]
    #[schemars(schema_with = "status::short")]
    pub key_use: String,
    /// The algorithm.
    #[schemars(schema_with = "status::short")]
    pub algorithm: String,
    /// next: published, active: signs, retiring: what it signed is still accepted.
    #[schemars(schema_with = "status::short")]
    pub state: String,
    /// Since when it is in this state.
    #[schemars(schema_with = "status::time")]
    pub since: String,
}

fn display_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[^\x00-\x1f\x7f]+$"})
}

fn uuid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 36, "maxLength": 36,
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    })
}

fn spec_rules() -> serde_json::Value {
    rules::rules([
        (
            "!has(oldSelf.tenantId) || (has(self.tenantId) && self.tenantId == oldSelf.tenantId)".to_owned(),
            "tenantId is immutable once set",
        ),
        (
            "!has(oldSelf.issuer) || (has(self.issuer) && self.issuer == oldSelf.issuer)".to_owned(),
            "issuer is immutable once set: its tokens carry it",
        ),
        (
            concat!(
                "(has(self.installation) ? self.installation : 'default')",
                " == (has(oldSelf.installation) ? oldSelf.installation : 'default')"
            )
            .to_owned(),
            "installation is immutable",
        ),
    ])
}
