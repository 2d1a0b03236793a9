//! Authorization server metadata (RFC 8414). Nothing is advertised that does not work.

use authly_runtime::problem::Problem;
use authly_store::LiveTenant;
use axum::{extract::State, response::Response};
use serde::Serialize;

use crate::{api, app::App, issuer::Tenanted};

/// What the server tells of itself (RFC 8414 section 2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Metadata {
    /// The issuer, exactly as tokens carry it.
    issuer: String,
    /// Where tokens are issued.
    token_endpoint: String,
    /// Where tokens are introspected (RFC 7662).
    introspection_endpoint: String,
    /// Where tokens are revoked (RFC 7009).
    revocation_endpoint: String,
    /// The keys of access tokens (RFC 7517).
    jwks_uri: String,
    /// Empty: there is no authorization endpoint yet.
    response_types_supported: [&'static str; 0],
    /// The grants served.
    grant_types_supported: [&'static str; 1],
    /// How clients authenticate at each of the three endpoints.
    token_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 3],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    /// Algorithms of client assertions.
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    introspection_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    revocation_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
}

const METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
const ASSERTION_ALGORITHMS: [&str; 5] = ["EdDSA", "Ed25519", "ES256", "RS256", "PS256"];

/// The metadata of a tenant.
pub(crate) fn of(live: &LiveTenant) -> Metadata {
    let issuer = &live.tenant.issuer;
    let at = |path: &str| format!("{issuer}{path}");
    Metadata {
        issuer: issuer.clone(),
        token_endpoint: at("/token"),
        introspection_endpoint: at("/introspect"),
        revocation_endpoint: at("/revoke"),
        jwks_uri: at("/jwks.json"),
        response_types_supported: [],
        grant_types_supported: ["client_credentials"],
        token_endpoint_auth_methods_supported: METHODS,
        introspection_endpoint_auth_methods_supported: METHODS,
        revocation_endpoint_auth_methods_supported: METHODS,
        token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
        introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
        revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    }
}

/// Authorization server metadata
///
/// Served at `/.well-known/oauth-authorization-server` followed by the issuer's path (RFC 8414 section 3.1).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "oauth", security(()),
    responses((status = 200, description = "The metadata", body = Metadata)))]
pub(crate) async fn metadata(State(app): State<App>, tenanted: Tenanted) -> Result<Response, Problem> {
    let published = app.documents.of(tenanted.live()).map_err(|_| api::internal())?;
    Ok(app.documents.answer(published.metadata.clone()))
}
