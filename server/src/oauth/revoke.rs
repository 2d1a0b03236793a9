//! Token revocation (RFC 7009): the token's own client only; what is no token of the tenant answers 200.

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{access_token, client_auth, error::OAuthError, form::Form};
use crate::{app::App, issuer::Tenanted};

/// The request (RFC 7009 section 2.1), with client authentication as at the token endpoint.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)] // the shape for the OpenAPI document; `Form` parses the body
pub(crate) struct RevocationRequest {
    /// The token.
    token: String,
    /// Ignored: there is one kind of token.
    token_type_hint: Option<String>,
}

/// Revoke a token
///
/// Every replica refuses the token within a second.
#[utoipa::path(post, path = "/revoke", tag = "oauth",
    request_body(content = RevocationRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Revoked, or was no valid token"),
              (status = 400, description = "Refused", body = super::error::ErrorBody),
              (status = 401, description = "Client authentication failed", body = super::error::ErrorBody),
              (status = 413, description = "The body is larger than 64 KiB", body = super::error::ErrorBody),
              (status = 415, description = "Not a form", body = super::error::ErrorBody),
              (status = 503, description = "Not recordable now; see Retry-After", body = super::error::ErrorBody)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    tenanted: Tenanted,
    headers: HeaderMap,
    mut form: Form,
) -> Result<StatusCode, OAuthError> {
    let client = client_auth::authenticate(&app, &tenanted, &headers, &mut form).await?;
    let token = form.require("token")?;
    let Some(claims) = access_token::verify(&app, &tenanted, &token) else { return Ok(StatusCode::OK) };
    if claims.client_id != client.live.client.client_id {
        // RFC 7009 section 2.1: refused if it was not issued to the client that asks.
        return Err(OAuthError::InvalidGrant("the token was issued to another client: only that client may revoke it"));
    }
    let expires_at = Timestamp::from_second(claims.exp).map_err(|_| OAuthError::Internal)?;
    let payload = json!({"jti": claims.jti});
    let revoked = app.committer.revoke_token(&client.scope, &claims.jti, expires_at, payload).await;
    revoked.map_err(|_| OAuthError::Unavailable)?;
    // This replica refuses at once; the others within a second.
    if !app.live.refresh().await {
        tracing::warn!("this replica learns of a revocation late: the store did not answer the poll after it");
    }
    Ok(StatusCode::OK)
}
