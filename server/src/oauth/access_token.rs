//! JWT access tokens (RFC 9068): signing with the tenant's active key, and verification for introspection,
//! revocation and our own API.

use std::sync::Arc;

use authly_model::{
    key::KeyUse,
    token::{ACCESS_TOKEN_TYPE, AccessClaims},
};
use authly_runtime::Proofs;

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

/// What a server may hold of verified tokens, in bytes: some 15,000 of them.
const KEPT_BYTES: u64 = 24 * 1024 * 1024;

/// Claims of tokens that were verified and good, by the token. What is unknown, forged or out of time is never kept.
#[derive(Debug)]
pub(crate) struct KeptTokens(Proofs<AccessClaims, 1>);

impl Default for KeptTokens {
    fn default() -> Self {
        Self(Proofs::new(KEPT_BYTES))
    }
}

/// The claims of a token that this tenant signed, that is in time and not revoked; `None` for any other string. The signature is
/// verified once while the tenant's configuration stays the same; time and revocation are checked each time.
pub(crate) fn verify(app: &App, tenanted: &Tenanted, token: &str) -> Option<Arc<AccessClaims>> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let live = tenanted.live();
    let generation = (live.id, live.generation);
    if let Some(claims) = app.tokens.0.find(generation, [token]) {
        return is_good(app, tenanted, &claims).then_some(claims);
    }
    let claims = Arc::new(verified(app, tenanted, token)?);
    if !is_good(app, tenanted, &claims) {
        return None;
    }
    app.tokens.0.keep(generation, [token], Arc::clone(&claims), token.len());
    Some(claims)
}

/// The claims, if the signature is the tenant's.
fn verified(app: &App, tenanted: &Tenanted, token: &str) -> Option<AccessClaims> {
    let jws = UnverifiedJws::parse(token)?;
    let header = &jws.unverified_header;
    // RFC 9068 section 4: the type must be checked, so that no other JWT of the tenant passes.
    if !header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(ACCESS_TOKEN_TYPE)) {
        return None;
    }
    let verifiers = app.verifiers(tenanted);
    let key = verifiers.find(KeyUse::Token, header.kid.as_deref()?)?;
    jws.verify(&key.decoding, key.algorithm)
}

fn is_good(app: &App, tenanted: &Tenanted, claims: &AccessClaims) -> bool {
    let live = tenanted.live();
    claims.iss == live.tenant.issuer
        && app.clock.unix() < claims.exp
        && !live.revocations().is_token_revoked(&claims.jti)
}
