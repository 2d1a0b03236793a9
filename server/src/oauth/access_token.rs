//! JWT access tokens (RFC 9068): signing with the tenant's active key, and verification for introspection,
//! revocation and our own API.

use authly_model::{
    key::KeyUse,
    token::{ACCESS_TOKEN_TYPE, AccessClaims},
};

use super::{error::OAuthError, jws::UnverifiedJws};
use crate::{app::App, issuer::Tenanted};

/// The largest token that is looked at.
pub(crate) const MAX_LENGTH: usize = 16 * 1024;

/// Signs with the tenant's active token key; parsed keys are kept.
pub(crate) async fn sign(app: &App, tenanted: &Tenanted, claims: &AccessClaims) -> Result<String, OAuthError> {
    let keyring = app.keyring(tenanted).await?;
    keyring.sign_token(claims).map_err(|error| {
        tracing::warn!(%error, tenant = %tenanted.id(), "the token could not be signed");
        OAuthError::Unavailable
    })
}

/// The claims of a token that this tenant signed, that is in time and not revoked; `None` for any other string.
pub(crate) fn verify(app: &App, tenanted: &Tenanted, token: &str) -> Option<AccessClaims> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let jws = UnverifiedJws::parse(token)?;
    let header = &jws.unverified_header;
    // RFC 9068 section 4: the type must be checked, so that no other JWT of the tenant passes.
    if !header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(ACCESS_TOKEN_TYPE)) {
        return None;
    }
    let verifiers = app.verifiers(tenanted);
    let key = verifiers.find(KeyUse::Token, header.kid.as_deref()?)?;
    let claims: AccessClaims = jws.verify(&key.decoding, key.algorithm)?;
    let now = app.clock.unix();
    let live = tenanted.live();
    let good =
        claims.iss == live.tenant.issuer && now < claims.exp && !live.revocations().is_token_revoked(&claims.jti);
    good.then_some(claims)
}
