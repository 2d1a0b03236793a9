//! The published keys (RFC 7517): tokens and URLs apart, `next`, `active` and `retiring` alike.

use authly_model::key::KeyUse;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use serde::Serialize;

use crate::issuer::Tenanted;

/// How long a verifier may keep the keys. Rotation waits twice this long (DESIGN.md, "Keys").
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// A JWK set.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JwkSet {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<serde_json::Value>,
}

/// Keys of access tokens
#[utoipa::path(get, path = "/jwks.json", tag = "oauth", security(()),
    responses((status = 200, description = "Public keys (RFC 7517)", body = JwkSet)))]
pub(crate) async fn token_keys(tenanted: Tenanted) -> Response {
    keys(&tenanted, KeyUse::Token)
}

/// Keys of signed URLs
#[utoipa::path(get, path = "/sx/jwks.json", tag = "signed-urls", security(()),
    responses((status = 200, description = "Public keys (RFC 7517)", body = JwkSet)))]
pub(crate) async fn url_keys(tenanted: Tenanted) -> Response {
    keys(&tenanted, KeyUse::Url)
}

fn keys(tenanted: &Tenanted, key_use: KeyUse) -> Response {
    let published = tenanted.live().keys.iter().filter(|key| key.key_use == key_use && key.state.is_published());
    let keys = published.map(|key| key.public_jwk.clone()).collect();
    ([(header::CACHE_CONTROL, CACHE)], Json(JwkSet { keys })).into_response()
}
