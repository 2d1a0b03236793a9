//! `SignedUrlRoute`: hosts and a path prefix whose URLs are signed and redeemed (signed-url.md).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{
    bounds,
    rules::{self, seconds},
    status,
    status::TenantRef,
};

/// What a SignedUrlRoute declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "authly.dev",
    version = "v1alpha1",
    kind = "SignedUrlRoute",
    shortname = "asr",
    category = "authly",
    namespaced,
    status = "SignedUrlRouteStatus",
    derive = "PartialEq",
    doc = "A path prefix on a tenant's hosts whose URLs are signed and redeemed.",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "Host", type_ = "string", json_path = ".status.host"),
    printcolumn(name = "Path", type_ = "string", json_path = ".status.path"),
    printcolumn(name = "Max-TTL", type_ = "string", json_path = ".status.maxTtl")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = spec_rules()))]
pub struct SignedUrlRouteSpec {
    /// The Tenant. Immutable.
    pub tenant_ref: TenantRef,
    /// The hosts, `host` or `host:port`, each one of the Tenant's urlHosts.
    #[schemars(schema_with = "bounds::route_hosts")]
    pub hosts: Vec<String>,
    /// The path prefix, starting and ending with a slash. Within a host the longest wins.
    #[schemars(schema_with = "path_prefix")]
    pub path_prefix: String,
    /// The methods that may be signed. GET brings HEAD. Default: GET and HEAD.
    #[schemars(schema_with = "methods")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// Who redeems its URLs. Default: Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Edge")]
    pub edge: Option<Edge>,
    /// The longest lifetime of a URL. Default: 24h, at most 7d.
    #[schemars(schema_with = "bounds::ttl")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl: Option<String>,
    /// The lifetime where a request names none. Default: 15m, or maxTtl where that is shorter.
    #[schemars(schema_with = "bounds::ttl")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<String>,
    /// How stale revocations may be: Normal 15 minutes, High one second. Default: Normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Revocation")]
    pub revocation: Option<Revocation>,
    /// Where the gateway sends redeemed requests. Default: nowhere; the route is enforced by forward-auth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Backend")]
    pub backend: Option<Backend>,
}

/// Who redeems the URLs: a union by `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// The kind of edge.
    #[serde(rename = "type")]
    pub type_: EdgeType,
}

/// The kinds of edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EdgeType {
    /// Authly's gateway or verifier library.
    Native,
}

/// A method that may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET; brings HEAD.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// The method as HTTP spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How stale revocations may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Revocation {
    /// 15 minutes.
    Normal,
    /// One second.
    High,
}

/// Where redeemed requests go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backend {
    /// A Service in the own namespace.
    pub service: BackendService,
}

/// A Service in the route's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackendService {
    /// The Service's name.
    #[schemars(schema_with = "bounds::dns_label")]
    pub name: String,
    /// The Service's port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// What the operator reports of a SignedUrlRoute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedUrlRouteStatus {
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
    /// The first host, and how many more there are.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path prefix.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The effective longest lifetime.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl: Option<String>,
    /// The effective lifetime where a request names none.
    #[schemars(schema_with = "status::short")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<String>,
}

fn path_prefix(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 512,
        "pattern": "^/([A-Za-z0-9._~!$&'()*+,=:@-]+/)*$",
        "x-kubernetes-validations": rules::rules([
            ("!self.contains('/./') && !self.contains('/../')".to_owned(), "leave out the segments . and .."),
            ("!self.startsWith('/~sx/')".to_owned(), "/~sx/ is reserved for prefix tokens"),
        ]),
    })
}

fn methods(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 6, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "maxLength": 8, "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]},
    })
}

fn spec_rules() -> serde_json::Value {
    let (default, max) = (seconds("self.defaultTtl"), seconds("self.maxTtl"));
    rules::rules([(
        format!("!has(self.defaultTtl) || {default} <= (has(self.maxTtl) ? {max} : 86400)"),
        "defaultTtl is at most maxTtl, which is 24h where it is not set",
    )])
}
