//! The published keys (RFC 7517): tokens and URLs apart, `next`, `active` and `retiring` alike.

use authly_model::key::KeyUse;
use authly_runtime::problem::Problem;
use authly_store::LiveTenant;
use axum::{extract::State, response::Response};
use serde::Serialize;

use crate::{api, app::App, issuer::Tenanted};

/// A JWK set.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JwkSet {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<serde_json::Value>,
}

/// The key sets of a tenant: of access tokens, and of signed URLs.
pub(crate) fn key_sets(live: &LiveTenant) -> (JwkSet, JwkSet) {
    let of = |key_use| {
        let published = live.keys.iter().filter(|key| key.key_use == key_use && key.state.is_published());
        JwkSet { keys: published.map(|key| key.public_jwk.clone()).collect() }
    };
    (of(KeyUse::Token), of(KeyUse::Url))
}

/// Keys of access tokens
#[utoipa::path(get, path = "/jwks.json", tag = "oauth", security(()),
    responses((status = 200, description = "Public keys (RFC 7517)", body = JwkSet)))]
pub(crate) async fn token_keys(State(app): State<App>, tenanted: Tenanted) -> Result<Response, Problem> {
    let published = app.documents.of(tenanted.live()).map_err(|_| api::internal())?;
    Ok(app.documents.answer(published.token_keys.clone()))
}

/// Keys of signed URLs
#[utoipa::path(get, path = "/sx/jwks.json", tag = "signed-urls", security(()),
    responses((status = 200, description = "Public keys (RFC 7517)", body = JwkSet)))]
pub(crate) async fn url_keys(State(app): State<App>, tenanted: Tenanted) -> Result<Response, Problem> {
    let published = app.documents.of(tenanted.live()).map_err(|_| api::internal())?;
    Ok(app.documents.answer(published.url_keys.clone()))
}
