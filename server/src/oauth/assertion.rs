//! `private_key_jwt` (RFC 7523 section 3; oauth.md "What certification looks at"): the audience is the issuer as a
//! plain string, the lifetime is short, and a `jti` is accepted once.

use std::sync::Arc;

use authly_model::client::AuthMethod;
use authly_store::LiveClient;
use jiff::Timestamp;
use serde::Deserialize;

use super::{error::OAuthError, jws::UnverifiedJws};
use crate::{app::App, issuer::Tenanted};

/// `client_assertion_type` (RFC 7523 section 2.2).
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far in the future `exp` may be, seconds: bounds how long a `jti` must be remembered. An hour is what common
/// client libraries ask for; the rest is clock skew.
const MAX_LIFETIME: i64 = 3600 + MAX_AHEAD;
/// How far ahead `iat` and `nbf` may be, seconds: clock skew of 8 s must pass, of over 60 s must not.
const MAX_AHEAD: i64 = 30;
/// The largest assertion.
const MAX_LENGTH: usize = 8 * 1024;
/// The longest `jti`.
const MAX_JTI: usize = 128;

/// The claims (RFC 7523 section 3). A number that is no integer, or a claim given twice, does not parse.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    /// A plain string: an array could smuggle in another server's name (audience injection).
    aud: String,
    exp: i64,
    jti: String,
    iat: Option<i64>,
    nbf: Option<i64>,
}

/// The `sub` of an assertion, read before its signature is checked, only to find the client's keys.
pub(crate) fn unverified_subject(assertion: &str) -> Option<String> {
    if assertion.len() > MAX_LENGTH {
        return None;
    }
    UnverifiedJws::parse(assertion)?.unverified_claims::<Claims>().map(|claims| claims.sub)
}

/// Verifies the assertion and spends its `jti`.
pub(crate) async fn verify(
    app: &App,
    tenanted: &Tenanted,
    live: &Arc<LiveClient>,
    assertion: &str,
) -> Result<(), OAuthError> {
    let claims = verified_claims(app, tenanted, live, assertion).ok_or(OAuthError::InvalidClient)?;
    let client = &live.client;
    let now = app.clock.unix();
    let in_time = now < claims.exp
        && claims.exp <= now + MAX_LIFETIME
        && claims.iat.is_none_or(|iat| iat <= now + MAX_AHEAD)
        && claims.nbf.is_none_or(|nbf| nbf <= now + MAX_AHEAD);
    let right = claims.iss == client.client_id
        && claims.sub == client.client_id
        && claims.aud == tenanted.tenant().issuer
        && (1..=MAX_JTI).contains(&claims.jti.len());
    if !(in_time && right) {
        return Err(OAuthError::InvalidClient);
    }
    let key = format!("assertion\n{}\n{}", client.client_id, claims.jti);
    // One second more than it is accepted, so that no replay slips through at the end.
    let expires_at = Timestamp::from_second(claims.exp + 1).map_err(|_| OAuthError::InvalidClient)?;
    let fresh = app
        .store
        .put_once(tenanted.scope(), &key, app.clock.now(), expires_at)
        .await
        .map_err(|_| OAuthError::Unavailable)?;
    if fresh { Ok(()) } else { Err(OAuthError::InvalidClient) }
}

fn verified_claims(app: &App, tenanted: &Tenanted, live: &Arc<LiveClient>, assertion: &str) -> Option<Claims> {
    if live.client.auth_method != AuthMethod::PrivateKeyJwt {
        return None;
    }
    let jws = UnverifiedJws::parse(assertion)?;
    let (algorithm, kid) = (jws.algorithm()?, &jws.unverified_header.kid);
    let keys = app.client_keys.of(tenanted.id(), live);
    keys.iter()
        .filter(|key| kid.is_none() || key.kid.is_none() || *kid == key.kid)
        .filter(|key| key.algorithms.contains(&algorithm))
        .find_map(|key| jws.verify(&key.decoding, algorithm))
}
