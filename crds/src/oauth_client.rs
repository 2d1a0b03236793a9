//! `OAuthClient`: an application that gets tokens from a tenant's issuer. Its generated secret goes into a Secret of
//! its own namespace.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{bounds, jwk::Jwks, rules, status, status::TenantRef};

/// What an OAuthClient declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "authly.dev",
    version = "v1alpha1",
    kind = "OAuthClient",
    shortname = "aoc",
    category = "authly",
    namespaced,
    status = "OAuthClientStatus",
    derive = "PartialEq",
    doc = "An OAuth client of a tenant.",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "Client-ID", type_ = "string", json_path = ".status.clientId"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secretName")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = spec_rules()))]
pub struct OAuthClientSpec {
    /// The Tenant. Immutable.
    pub tenant_ref: TenantRef,
    /// Service: a backend that acts for itself. Web: a web application with a backend. Immutable.
    #[serde(rename = "type")]
    #[schemars(extend("x-kubernetes-validations" = rules::immutable()))]
    pub type_: ClientType,
    /// The client_id. One with a dot starts with `<own namespace>.`. Default: `<namespace>.<name>`. Immutable.
    #[schemars(schema_with = "client_id")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How it authenticates at the token endpoint. Default: ClientSecret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AuthMethod")]
    pub auth_method: Option<AuthMethod>,
    /// Its public keys; for PrivateKeyJwt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Jwks")]
    pub jwks: Option<Jwks>,
    /// Where Web clients may be sent back to, exactly: https, or http on localhost, 127.0.0.1 or `[::1]`.
    #[schemars(schema_with = "bounds::redirect_uris")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    /// The scopes that it may ask for, beside the built-in `signed_urls`.
    #[schemars(schema_with = "bounds::scopes")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The audiences that it may ask for, absolute URIs, beside the issuer.
    #[schemars(schema_with = "bounds::audiences")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Its access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ClientTokens")]
    pub tokens: Option<ClientTokens>,
    /// Where its generated secret goes; for ClientSecret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ClientCredentials")]
    pub credentials: Option<ClientCredentials>,
    /// True refuses every token request. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// The type of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClientType {
    /// A backend that acts for itself.
    Service,
    /// A web application with a backend.
    Web,
}

/// How a client authenticates (RFC 7591 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthMethod {
    /// A generated secret, by `client_secret_basic` or `client_secret_post`.
    ClientSecret,
    /// A signed assertion, `private_key_jwt` (RFC 7523).
    PrivateKeyJwt,
}

/// Access tokens of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientTokens {
    /// Their lifetime. Default: the Tenant's; at most 24h.
    #[schemars(schema_with = "bounds::token_lifetime")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<String>,
}

/// The credentials of a client: exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::rule(
    "has(self.secret) != has(self.existingSecretRef)", "set exactly one of secret and existingSecretRef",
)))]
pub struct ClientCredentials {
    /// The Secret that receives client_id, client_secret, issuer and token_endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ClientSecretTemplate")]
    pub secret: Option<ClientSecretTemplate>,
    /// A Secret that someone else writes, such as a controller of external secrets. Nothing is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ExistingSecretRef")]
    pub existing_secret_ref: Option<ExistingSecretRef>,
}

/// A Secret of the own namespace that someone else writes. Its value has 32 to 256 characters of printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExistingSecretRef {
    /// Its name.
    #[schemars(schema_with = "bounds::secret_name")]
    pub name: String,
    /// The key of the value; `<key>_next` beside it is accepted as well. Default: client_secret.
    #[schemars(schema_with = "bounds::secret_key")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long the value before still works after a change. Default: 24h.
    #[schemars(schema_with = "bounds::rotation_overlap")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
}

/// The Secret that receives a client's credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rotation_rule()))]
pub struct ClientSecretTemplate {
    /// Its name. Default: `<name>-oauth`. Immutable.
    #[schemars(schema_with = "bounds::secret_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels that it gets.
    #[schemars(schema_with = "bounds::labels")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations that it gets.
    #[schemars(schema_with = "bounds::annotations")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// How often its value changes by itself. Default: never, only on request.
    #[schemars(schema_with = "bounds::rotation_period")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<String>,
    /// How long the value before still works after a change. Default: 24h.
    #[schemars(schema_with = "bounds::rotation_overlap")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
}

/// What the operator reports of an OAuthClient.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuthClientStatus {
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
    /// The client_id.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The Secret with its credentials, in its own namespace.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// The beginning of the digest of the value in client_secret: it tells values apart.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,
    /// Since when that value serves.
    #[schemars(schema_with = "status::time")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_rotated_at: Option<String>,
    /// The value of the annotation authly.dev/rotate-requested-at that was handled last.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_requested_at: Option<String>,
    /// The issuer of its tokens.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

fn rotation_rule() -> serde_json::Value {
    let (every, overlap) = (rules::seconds("self.rotateEvery"), rules::seconds("self.overlap"));
    let rule = format!("!has(self.rotateEvery) || (has(self.overlap) ? {overlap} : 86400) < {every}");
    rules::rule(&rule, "overlap, 24h by default, is shorter than rotateEvery")
}

fn client_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._~-]+$"})
}

fn spec_rules() -> serde_json::Value {
    rules::rules([
        (
            concat!(
                "has(self.clientId) == has(oldSelf.clientId)",
                " && (!has(self.clientId) || self.clientId == oldSelf.clientId)"
            )
            .to_owned(),
            "clientId is immutable: delete the object and create it again",
        ),
        (
            "(has(self.authMethod) && self.authMethod == 'PrivateKeyJwt') == has(self.jwks)".to_owned(),
            "jwks goes with authMethod PrivateKeyJwt, and only with it",
        ),
        (
            "!has(self.credentials) || !has(self.authMethod) || self.authMethod == 'ClientSecret'".to_owned(),
            "credentials go with authMethod ClientSecret only",
        ),
        (
            concat!(
                "(has(self.authMethod) && self.authMethod == 'PrivateKeyJwt') || ",
                "(has(oldSelf.authMethod) && oldSelf.authMethod == 'PrivateKeyJwt') || ",
                "(has(self.credentials) && has(self.credentials.existingSecretRef)) || ",
                "(has(oldSelf.credentials) && has(oldSelf.credentials.existingSecretRef)) || ",
                "(has(self.credentials) && has(self.credentials.secret) && has(self.credentials.secret.name)",
                " ? self.credentials.secret.name : '') == ",
                "(has(oldSelf.credentials) && has(oldSelf.credentials.secret) && has(oldSelf.credentials.secret.name)",
                " ? oldSelf.credentials.secret.name : '')",
            )
            .to_owned(),
            "credentials.secret.name is immutable: delete the object and create it again",
        ),
        (
            concat!(
                "self.type == 'Web' ? has(self.redirectUris) && size(self.redirectUris) > 0",
                " : !has(self.redirectUris) || size(self.redirectUris) == 0"
            )
            .to_owned(),
            "a Web client has redirectUris, a Service has none",
        ),
    ])
}
