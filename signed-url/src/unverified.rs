//! Reading a signed URL, up to its verification.
//!
//! Owns the step from bytes to a proof. Never lets an unverified claim out under a plain name, and never looks keys
//! up: the caller does, by tenant and `kid`. Governed by "Native format `sx1`" and "By prefix".

use std::borrow::Cow;

use crate::format::{sx1, sx1p};
use crate::keys::Signature;
use crate::target::Target;
use crate::{Claims, Host, Kid, Refusal, VerifiedUrl, VerifyingKey};

/// Reads the target of a request: with the signature at the end of the query, or with a prefix token in the path.
///
/// `host` and `target` must be the request's own, from the connection or a configured peer, byte for byte.
pub fn parse_unverified<'a>(host: &'a Host, target: &'a str) -> Result<UnverifiedUrl<'a>, Refusal> {
    if let Some((token, rest)) = sx1p::split_token(target)? {
        return read_token(host, rest, token);
    }
    let sx1::Parts { target, claims, signature, signed_target } = sx1::read(target)?;
    Ok(UnverifiedUrl { host, target, claims, signature, form: Form::Url { signed_target } })
}

/// Reads the target of a request whose prefix token came in the cookie [`crate::COOKIE_NAME`].
pub fn parse_unverified_cookie<'a>(host: &'a Host, target: &'a str, token: &str) -> Result<UnverifiedUrl<'a>, Refusal> {
    read_token(host, target, token)
}

fn read_token<'a>(host: &'a Host, target: &'a str, token: &str) -> Result<UnverifiedUrl<'a>, Refusal> {
    let target = Target::parse(target)?;
    let sx1p::Parts { claims, signature, params, prefix_length } = sx1p::read(token)?;
    let prefix = sx1p::prefix(&target, prefix_length)?;
    Ok(UnverifiedUrl { host, target, claims, signature, form: Form::Token { prefix, params } })
}

/// A well-formed URL whose signature has not been verified: nothing in it may be believed.
pub struct UnverifiedUrl<'a> {
    host: &'a Host,
    target: Target<'a>,
    claims: Claims<'a>,
    signature: Signature,
    form: Form<'a>,
}

/// Which bytes are signed.
enum Form<'a> {
    Url { signed_target: &'a str },
    Token { prefix: &'a str, params: String },
}

impl<'a> UnverifiedUrl<'a> {
    /// The key to look up, among those of the route's tenant only. If there is none: [`Refusal::UnknownKey`].
    pub fn kid(&self) -> Kid {
        self.claims.kid
    }

    /// What it claims, for inspection. Decide nothing by it.
    pub fn unverified_claims(&self) -> &Claims<'a> {
        &self.claims
    }

    /// Path and query for the backend: what the request says itself, canonical, without the token and without `sx-*`.
    pub fn target(&self) -> Target<'a> {
        self.target
    }

    /// Verifies the signature. Time, method and constraints are still to be checked on the result.
    pub fn verify(self, key: &VerifyingKey) -> Result<VerifiedUrl<'a>, Refusal> {
        let host = self.host.as_str().as_bytes();
        let prefix_length = match &self.form {
            Form::Url { signed_target } => {
                let message = [sx1::DOMAIN.as_bytes(), host, b"\n", signed_target.as_bytes()];
                key.verify(&message, &self.signature)?;
                None
            }
            Form::Token { prefix, params } => {
                let message = [sx1p::DOMAIN.as_bytes(), host, b"\n", prefix.as_bytes(), b"\n", params.as_bytes()];
                key.verify(&message, &self.signature)?;
                Some(prefix.len())
            }
        };
        let target = Cow::Borrowed(self.target.as_str());
        Ok(VerifiedUrl { host: Cow::Borrowed(self.host), target, prefix_length, claims: self.claims })
    }
}

impl std::fmt::Debug for UnverifiedUrl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the signature: a log line with it would be the link itself.
        f.debug_struct("UnverifiedUrl").field("host", self.host).field("kid", &self.claims.kid).finish_non_exhaustive()
    }
}
