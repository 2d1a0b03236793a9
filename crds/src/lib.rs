//! The kinds of `authly.dev/v1alpha1`, as Rust types and as CustomResourceDefinitions (operator.md, "Kinds").
//!
//! Owns: shape, bounds, CEL rules, printer columns and status of every kind, one file each, and the YAML in
//! `crds/yaml`. Never does: defaults for spec fields (they live in `authly-model` and `authly-desired`), I/O, or
//! anything that needs a second object.

#![allow(clippy::duplicated_attributes)] // kube's `printcolumn(...)` stands once per column

mod access_policy;
mod bounds;
mod finish;
mod jwk;
mod oauth_client;
mod retention_policy;
mod rules;
mod signed_url_route;
mod status;
mod tenant;

pub use access_policy::{
    AccessPolicy, AccessPolicySpec, AccessPolicyStatus, Expectation, PolicyMode, PolicyTest, TestAction,
};
pub use finish::{all, all_yaml, file_name};
pub use jwk::{Jwk, Jwks, KeyType};
pub use oauth_client::{
    AuthMethod, ClientCredentials, ClientSecretTemplate, ClientTokens, ClientType, ExistingSecretRef, OAuthClient,
    OAuthClientSpec, OAuthClientStatus,
};
pub use retention_policy::{
    DataClass, RetentionAction, RetentionMode, RetentionPolicy, RetentionPolicySpec, RetentionPolicyStatus,
    RetentionRule,
};
pub use signed_url_route::{
    Backend, BackendService, Edge, EdgeType, Method, Revocation, SignedUrlRoute, SignedUrlRouteSpec,
    SignedUrlRouteStatus,
};
pub use status::{CONDITION_TYPES, TenantRef};
pub use tenant::{
    AllowedNamespaces, DeletionPolicy, NamespaceRole, NamespaceSelector, SigningAlgorithm, SigningKeyStatus,
    SigningKeys, Tenant, TenantSpec, TenantStatus, TenantTokens,
};

/// The API group.
pub const GROUP: &str = "authly.dev";
/// The version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every kind.
pub const API_VERSION: &str = "authly.dev/v1alpha1";
