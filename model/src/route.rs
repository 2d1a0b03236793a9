//! A signed-URL route as `desired` resolved it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::{duration::Seconds, ids::ObjectName};

/// The longest lifetime that any route may allow (signed-url.md, "Time").
pub const MAX_TTL: Seconds = Seconds(7 * 86_400);
/// `maxTtl` where the manifest does not say.
pub const DEFAULT_MAX_TTL: Seconds = Seconds(86_400);
/// `defaultTtl` where the manifest does not say (never above the route's `maxTtl`).
pub const DEFAULT_TTL: Seconds = Seconds(900);

/// The effective configuration of a signed-URL route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The SignedUrlRoute object; `<namespace>/<name>` is its id in APIs and policies.
    pub object: ObjectName,
    /// Hosts, `host` or `host:port`, a subset of the tenant's.
    pub hosts: BTreeSet<String>,
    /// The path prefix, starting and ending with `/`; the longest one wins.
    pub path_prefix: String,
    /// Methods that may be signed, upper case, sorted.
    pub methods: BTreeSet<String>,
    /// EXP − issue time may not exceed this.
    pub max_ttl: Seconds,
    /// The lifetime where a request names none.
    pub default_ttl: Seconds,
    /// How stale the revocation set may be.
    pub revocation: Revocation,
    /// Where the gateway sends redeemed requests; none means that the route is enforced elsewhere (forward-auth).
    pub backend: Option<Backend>,
}

/// How stale a replica's revocations may be before it stops redeeming (signed-url.md, "Revocation").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Revocation {
    /// 15 minutes.
    Normal,
    /// One second.
    High,
}

/// A Kubernetes Service in the route's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The Service's name.
    pub service: String,
    /// The Service's port.
    pub port: u16,
}
