//! A tenant as `desired` resolved it: every default is filled in.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::{duration::Seconds, key::Algorithm};

/// The access-token lifetime where neither Tenant nor OAuthClient says otherwise.
pub const DEFAULT_ACCESS_TOKEN_LIFETIME: Seconds = Seconds(600);
/// The longest access-token lifetime that a manifest may ask for.
pub const MAX_ACCESS_TOKEN_LIFETIME: Seconds = Seconds(86_400);

/// The effective configuration of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// `metadata.name`.
    pub name: String,
    /// The installation that owns it.
    pub installation: String,
    /// A name for people.
    pub display_name: String,
    /// The issuer, exactly as tokens carry it: a URL without trailing slash, query or fragment. Immutable once stored.
    pub issuer: String,
    /// The hosts that its signed-URL routes may use, `host` or `host:port`, lower case.
    pub url_hosts: BTreeSet<String>,
    /// The algorithm of access tokens.
    pub token_algorithm: Algorithm,
    /// The lifetime of access tokens.
    pub access_token_lifetime: Seconds,
    /// True stops all service: no token, no signature, no redemption.
    pub suspended: bool,
    /// True holds back every retention job.
    pub legal_hold: bool,
    /// What deleting the manifest does.
    pub deletion: DeletionPolicy,
}

/// What deleting the Tenant manifest does (operator.md, rule 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// Keeps serving; the same manifest adopts it again.
    Retain,
    /// A tombstone stops service at once; the same manifest restores it.
    Delete,
}

/// The role of a namespace in a tenant (operator.md, rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Own clients, routes and guarded policies.
    Member,
    /// Also tenant-wide policies and retention.
    Owner,
}
