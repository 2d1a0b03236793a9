//! The token endpoint (RFC 6749 section 3.2): authenticates the client and dispatches on `grant_type`.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::{client_auth, error::OAuthError, form::Form, grant};
use crate::{app::App, issuer::Tenanted};

/// The request (RFC 6749 section 4.4.2, RFC 8707 section 2, RFC 7523 section 2.2).
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)] // the shape for the OpenAPI document; `Form` parses the body
pub(crate) struct TokenRequest {
    /// `client_credentials`.
    grant_type: String,
    /// Space-separated scopes; all of the client's without it.
    scope: Option<String>,
    /// Audiences; may repeat; the issuer without it.
    resource: Option<Vec<String>>,
    /// With `client_secret_post`.
    client_id: Option<String>,
    /// With `client_secret_post`.
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, with `private_key_jwt`.
    client_assertion_type: Option<String>,
    /// The assertion, with `private_key_jwt`.
    client_assertion: Option<String>,
}

/// The answer (RFC 6749 section 5.1).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TokenResponse {
    /// A JWT access token (RFC 9068).
    pub(crate) access_token: String,
    /// `Bearer`.
    pub(crate) token_type: &'static str,
    /// Lifetime in seconds.
    pub(crate) expires_in: i64,
    /// What was granted, space-separated.
    pub(crate) scope: String,
}

/// Issue a token
///
/// The answer waits until the audit record of the token is durable.
#[utoipa::path(post, path = "/token", tag = "oauth",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "A token", body = TokenResponse),
              (status = 400, description = "Refused (RFC 6749 section 5.2)", body = super::error::ErrorBody),
              (status = 401, description = "Client authentication failed", body = super::error::ErrorBody),
              (status = 413, description = "The body is larger than 64 KiB", body = super::error::ErrorBody),
              (status = 415, description = "Not a form", body = super::error::ErrorBody),
              (status = 503, description = "Not recordable now; see Retry-After", body = super::error::ErrorBody)))]
pub(crate) async fn token(
    State(app): State<App>,
    tenanted: Tenanted,
    headers: http::HeaderMap,
    mut form: Form,
) -> Result<Response, OAuthError> {
    let client = client_auth::authenticate(&app, &tenanted, &headers, &mut form).await?;
    let grant_type = form.require("grant_type")?;
    let answer = match grant_type.as_str() {
        "client_credentials" => grant::client_credentials::issue(&app, &tenanted, &client, &mut form).await?,
        _ => return Err(OAuthError::UnsupportedGrantType),
    };
    // RFC 6749 section 5.1: no-store on every answer that carries a token.
    let no_store = HeaderValue::from_static("no-store");
    Ok(([(header::CACHE_CONTROL, no_store)], Json(answer)).into_response())
}
