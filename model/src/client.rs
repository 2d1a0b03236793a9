//! An OAuth client as `desired` resolved it, and the forms of its credentials.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::{duration::Seconds, ids::ObjectName};

/// The scope that lets a client call the URL signing API; built in for Service and Web clients.
pub const SIGNED_URLS_SCOPE: &str = "signed_urls";

/// The effective configuration of an OAuth client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The OAuthClient object.
    pub object: ObjectName,
    /// The `client_id`, `[A-Za-z0-9._~-]{1,128}`, unique in the tenant. Immutable.
    pub client_id: String,
    /// The type.
    pub client_type: ClientType,
    /// How it authenticates at the token endpoint.
    pub auth_method: AuthMethod,
    /// Public keys (JWK, RFC 7517) for `private_key_jwt`; empty otherwise.
    pub jwks: Vec<serde_json::Value>,
    /// Redirect URIs, exact strings.
    pub redirect_uris: Vec<String>,
    /// Scopes that it may ask for, the built-in ones included.
    pub scopes: BTreeSet<String>,
    /// Audiences (RFC 8707 resource indicators) that it may ask for; the issuer is always allowed.
    pub audiences: BTreeSet<String>,
    /// The lifetime of its access tokens.
    pub access_token_lifetime: Seconds,
    /// True refuses every token request.
    pub suspended: bool,
}

/// The type of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientType {
    /// A backend that acts for itself.
    Service,
    /// A web application with a backend.
    Web,
}

/// How a client authenticates (RFC 7591 section 2, `token_endpoint_auth_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// A secret, by `client_secret_basic` or `client_secret_post`.
    ClientSecret,
    /// A signed assertion, `private_key_jwt` (RFC 7523).
    PrivateKeyJwt,
}

/// What the store keeps of a generated client secret: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash {
    /// The key id of the pepper that made the digest.
    pub pepper_id: String,
    /// HMAC-SHA-256 of the secret under the pepper.
    pub digest: Vec<u8>,
}
