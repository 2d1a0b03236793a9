//! From what is presented to a URL whose signature is verified: by verifying it, or because exactly this was verified and redeemed
//! before. Only what was redeemed is kept, so that forged, expired and revoked URLs never take the place of good ones; and what a
//! kept proof cannot answer is verified anew, so that both ways refuse with the same reason.
//!
//! Never decides about time, method, network, headers, revocation and uses: those are checked at every request.

use std::sync::Arc;

use authly_runtime::{Proofs, Scope};
use authly_signed_url::{
    Host, Refusal, UnverifiedUrl, VerifiedUrl, parse_unverified, parse_unverified_cookie, split_token,
};

use crate::{answer::Refused, keys::Parsed, presented::Presented};

/// A URL or a token that was redeemed.
#[derive(Debug)]
pub(crate) struct Redeemable {
    url: VerifiedUrl<'static>,
    /// What policies decided, where that depends on nothing but what this is kept under.
    permit: Option<Permit>,
}

/// That policies permit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permit {
    /// The Shadow policies that would have denied it.
    pub(crate) shadow: Vec<String>,
}

/// What is presented, read: with its proof, or still to be verified.
pub(crate) enum Candidate<'a> {
    Proven(Proof<'a>),
    Unverified { url: UnverifiedUrl<'a>, token: Option<&'a str> },
}

/// A verified URL.
pub(crate) enum Proof<'a> {
    /// Verified for this request; with its token if it has one.
    New { url: VerifiedUrl<'a>, token: Option<&'a str> },
    /// A URL that was redeemed before.
    Kept(Arc<Redeemable>),
    /// A token that was redeemed before, for this request's target.
    KeptToken(VerifiedUrl<'a>),
}

impl<'a> Candidate<'a> {
    /// The path for the backend: what the request says itself, without the token.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Proven(proof) => proof.path(),
            Self::Unverified { url, .. } => url.target().path(),
        }
    }

    /// Verifies what is not proven yet.
    pub(crate) fn prove(self, keys: impl FnOnce() -> Parsed) -> Result<Proof<'a>, Refused> {
        match self {
            Self::Proven(proof) => Ok(proof),
            Self::Unverified { url, token } => {
                let keys = keys();
                let key = keys.get(&url.kid()).ok_or(Refusal::UnknownKey)?;
                Ok(Proof::New { url: url.verify(key)?, token })
            }
        }
    }
}

impl<'a> Proof<'a> {
    /// The URL.
    pub(crate) fn url(&self) -> &VerifiedUrl<'a> {
        match self {
            Self::New { url, .. } | Self::KeptToken(url) => url,
            Self::Kept(kept) => &kept.url,
        }
    }

    /// Whether it was known from before.
    pub(crate) const fn is_kept(&self) -> bool {
        !matches!(self, Self::New { .. })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &str {
        self.url().stripped_target().split('?').next().unwrap_or_default()
    }

    /// What policies decided, where it is known.
    pub(crate) fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Kept(kept) => kept.permit.as_ref(),
            Self::New { .. } | Self::KeptToken(_) => None,
        }
    }
}

/// The proofs of a gateway.
#[derive(Debug)]
pub(crate) struct Kept {
    /// By method, host and target.
    urls: Proofs<Redeemable, 3>,
    /// By host and token: a token takes one place, whatever is asked for below its prefix.
    tokens: Proofs<Redeemable, 2>,
}

impl Kept {
    /// Holds this many bytes at most.
    pub(crate) fn new(bytes: u64) -> Self {
        Self { urls: Proofs::new(bytes / 4 * 3), tokens: Proofs::new(bytes / 4) }
    }

    /// Reads what is presented to a tenant: from what is kept, or anew.
    pub(crate) fn read<'a>(
        &self,
        scope: Scope,
        presented: &Presented<'a>,
        host: &'a Host,
    ) -> Result<Candidate<'a>, Refused> {
        if let Some((token, target)) = split_token(presented.target)? {
            return match self.find_token(scope, host, token, target) {
                Some(proof) => Ok(Candidate::Proven(proof)),
                None => {
                    Ok(Candidate::Unverified { url: parse_unverified(host, presented.target)?, token: Some(token) })
                }
            };
        }
        if let Some(kept) = self.urls.find(scope, [presented.method, host.as_str(), presented.target]) {
            return Ok(Candidate::Proven(Proof::Kept(kept)));
        }
        match parse_unverified(host, presented.target) {
            Ok(url) => Ok(Candidate::Unverified { url, token: None }),
            // A signature in the target comes first; only without one the cookie counts.
            Err(Refusal::SignatureMissing) => match presented.cookie()? {
                Some(token) => self.read_cookie(scope, presented, host, token),
                None => Err(Refusal::SignatureMissing.into()),
            },
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn read_cookie<'a>(
        &self,
        scope: Scope,
        presented: &Presented<'a>,
        host: &'a Host,
        token: &'a str,
    ) -> Result<Candidate<'a>, Refused> {
        if let Some(proof) = self.find_token(scope, host, token, presented.target) {
            return Ok(Candidate::Proven(proof));
        }
        let url = parse_unverified_cookie(host, presented.target, token)?;
        Ok(Candidate::Unverified { url, token: Some(token) })
    }

    fn find_token<'a>(&self, scope: Scope, host: &Host, token: &str, target: &'a str) -> Option<Proof<'a>> {
        let kept = self.tokens.find(scope, [host.as_str(), token])?;
        kept.url.at(target).ok().map(Proof::KeptToken)
    }

    /// Keeps what is about to be redeemed and was verified for this request.
    pub(crate) fn keep(&self, scope: Scope, presented: &Presented<'_>, proof: &Proof<'_>, permit: Option<Permit>) {
        let Proof::New { url, token } = proof else { return };
        let host = url.host().as_str();
        let texts = host.len() + url.stripped_target().len();
        let shadow: usize = permit.iter().flat_map(|permit| &permit.shadow).map(|name| name.len() + 32).sum();
        let url = url.clone().into_owned();
        match token {
            // What policies decide depends on the path, and a token has many.
            Some(token) => {
                let kept = Arc::new(Redeemable { url, permit: None });
                self.tokens.keep(scope, [host, token], kept, 2 * texts);
            }
            None => {
                let texts_of = [presented.method, host, presented.target];
                self.urls.keep(scope, texts_of, Arc::new(Redeemable { url, permit }), 2 * texts + shadow);
            }
        }
    }
}
