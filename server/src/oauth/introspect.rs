//! Token introspection (RFC 7662): for a confidential client of the tenant, tokens issued to it or whose audience
//! it lists; anything else is `active: false`, which tells nothing.

use std::sync::Arc;

use authly_model::{audit::EventKind, client::Client, token::AccessClaims};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize, Serializer};

use super::{access_token, client_auth, error::OAuthError, form::Form};
use crate::{app::App, issuer::Tenanted};

/// The request (RFC 7662 section 2.1), with client authentication as at the token endpoint.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)] // the shape for the OpenAPI document; `Form` parses the body
pub(crate) struct IntrospectionRequest {
    /// The token.
    token: String,
    /// Ignored: there is one kind of token.
    token_type_hint: Option<String>,
}

/// The answer (RFC 7662 section 2.2). Of a token that is not active nothing but that is told.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // the shape for the OpenAPI document; `Answer` writes it
pub(crate) struct IntrospectionResponse {
    /// Whether the token is good for the asking client.
    active: bool,
    /// The issuer.
    iss: Option<String>,
    /// The subject.
    sub: Option<String>,
    /// The audience: a string for one, an array for several.
    #[schema(value_type = Option<Audience>)]
    aud: Option<Audience>,
    /// The client that it was issued to.
    client_id: Option<String>,
    /// Issued at, Unix seconds.
    iat: Option<i64>,
    /// Expires at, Unix seconds.
    exp: Option<i64>,
    /// Its id.
    jti: Option<String>,
    /// Space-separated scopes.
    scope: Option<String>,
    /// `Bearer`.
    token_type: Option<String>,
}

/// One audience or several (RFC 7519 section 4.1.3).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // the shape for the OpenAPI document
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The answer as it is written.
#[derive(Debug, Serialize)]
struct Answer {
    active: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    claims: Option<ActiveClaims>,
}

/// What is told of an active token.
#[derive(Debug, Serialize)]
struct ActiveClaims {
    #[serde(flatten, serialize_with = "shared")]
    claims: Arc<AccessClaims>,
    token_type: &'static str,
}

fn shared<S: Serializer>(claims: &Arc<AccessClaims>, serializer: S) -> Result<S::Ok, S::Error> {
    claims.serialize(serializer)
}

/// Introspect a token
#[utoipa::path(post, path = "/introspect", tag = "oauth",
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The state of the token", body = IntrospectionResponse),
              (status = 400, description = "Refused", body = super::error::ErrorBody),
              (status = 401, description = "Client authentication failed", body = super::error::ErrorBody),
              (status = 413, description = "The body is larger than 64 KiB", body = super::error::ErrorBody),
              (status = 415, description = "Not a form", body = super::error::ErrorBody),
              (status = 503, description = "Revocations are too old to answer", body = super::error::ErrorBody)))]
pub(crate) async fn introspect(
    State(app): State<App>,
    tenanted: Tenanted,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, OAuthError> {
    let client = client_auth::authenticate(&app, &tenanted, &headers, &mut form).await?;
    let token = form.require("token")?;
    let claims = access_token::verify(&app, &tenanted, &token).filter(|claims| may_see(&client.live.client, claims));
    let claims = match claims {
        Some(claims) if of_serving_client(&app, &tenanted, &client.live.client, &claims).await? => Some(claims),
        _ => None,
    };
    app.committer.count(&client.scope, EventKind::Introspected, &client.live.client.client_id);
    let answer =
        Answer { active: claims.is_some(), claims: claims.map(|claims| ActiveClaims { claims, token_type: "Bearer" }) };
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(answer)).into_response())
}

/// A token dies with its client: when that is suspended or deleted.
async fn of_serving_client(
    app: &App,
    tenanted: &Tenanted,
    asking: &Client,
    claims: &AccessClaims,
) -> Result<bool, OAuthError> {
    if claims.client_id == asking.client_id {
        return Ok(true);
    }
    let owner = app.live.client(tenanted.scope(), &claims.client_id).await.map_err(|_| OAuthError::Unavailable)?;
    Ok(owner.is_some_and(|live| !live.client.suspended))
}

fn may_see(client: &Client, claims: &AccessClaims) -> bool {
    claims.client_id == client.client_id || claims.aud.iter().any(|aud| client.audiences.contains(aud))
}
