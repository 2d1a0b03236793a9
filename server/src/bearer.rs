//! Bearer tokens at our own API (RFC 6750): a token of this tenant, for the issuer as audience, with the scope
//! `signed_urls`, of a client that still exists and is not suspended.

use std::sync::Arc;

use authly_model::client::SIGNED_URLS_SCOPE;
use authly_runtime::problem::Problem;
use authly_store::{LiveClient, TenantScope};
use axum::extract::FromRequestParts;
use http::{HeaderValue, StatusCode, header, request::Parts};

use crate::{
    api::{self, problem},
    app::App,
    issuer::Tenanted,
    oauth::access_token,
};

/// A client that may use the URL API.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The client.
    pub(crate) live: Arc<LiveClient>,
    /// The tenant.
    pub(crate) tenanted: Tenanted,
    /// The scope for what the client does.
    pub(crate) scope: TenantScope,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let tenanted = <Tenanted as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or_else(missing)?;
        let token = value.to_str().ok().and_then(bearer).filter(|_| values.next().is_none()).ok_or_else(invalid)?;
        let claims = access_token::verify(app, &tenanted, token).ok_or_else(invalid)?;
        if !claims.aud.contains(&tenanted.tenant().issuer) {
            return Err(invalid());
        }
        if !claims.has_scope(SIGNED_URLS_SCOPE) {
            return Err(insufficient_scope());
        }
        let live = app.live.client(tenanted.scope(), &claims.client_id).await.map_err(|_| api::unavailable())?;
        let live = live.filter(|l| !l.client.suspended).ok_or_else(invalid)?;
        let scope = tenanted.scope_of(&live.client.client_id);
        Ok(Self { live, tenanted, scope })
    }
}

pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn challenge(problem: Problem, value: &'static str) -> Problem {
    problem.header(header::WWW_AUTHENTICATE, HeaderValue::from_static(value))
}

fn missing() -> Problem {
    let detail = "send an access token of this issuer as Authorization: Bearer";
    challenge(problem(StatusCode::UNAUTHORIZED, "token_required", detail), "Bearer")
}

fn invalid() -> Problem {
    let detail = "the access token is expired, revoked, malformed or not for this issuer: request a new one";
    challenge(problem(StatusCode::UNAUTHORIZED, "invalid_token", detail), "Bearer error=\"invalid_token\"")
}

fn insufficient_scope() -> Problem {
    let detail = "the access token lacks the scope signed_urls: request one with it";
    let value = "Bearer error=\"insufficient_scope\", scope=\"signed_urls\"";
    challenge(problem(StatusCode::FORBIDDEN, "insufficient_scope", detail), value)
}
