//! A URL whose signature has been verified.
//!
//! Owns the proof (it cannot be made outside this crate) and the checks that need only the claims and the request.
//! Never counts, revokes or asks a policy: those need the server. Each check fails closed: a constraint without the
//! fact to compare it with is a refusal. Governed by "Native format `sx1`", time, methods and CONSTRAINTS.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::{Claims, Country, HeaderDigest, Host, MAX_TTL, Refusal, SKEW, Target, Thumbprint};

/// Proof that a key signed this URL for this host. It is not yet permission: check time, method and constraints.
#[derive(Debug, Clone)]
pub struct VerifiedUrl<'a> {
    pub(crate) host: Cow<'a, Host>,
    pub(crate) target: Cow<'a, str>,
    pub(crate) prefix_length: Option<usize>,
    pub(crate) claims: Claims<'a>,
}

impl<'a> VerifiedUrl<'a> {
    /// What was signed.
    pub fn claims(&self) -> &Claims<'a> {
        &self.claims
    }

    /// The host it was signed for.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The target for the backend: verbatim, without the token and without `sx-*` parameters.
    pub fn stripped_target(&self) -> &str {
        &self.target
    }

    /// The signed prefix, if a prefix token was verified. What follows it, the query included, is not signed.
    pub fn signed_prefix(&self) -> Option<&str> {
        self.target.get(..self.prefix_length?)
    }

    /// Checks the clock. `now` is Unix seconds, `max_ttl` the longest life in seconds that the route permits (7 days at
    /// most count). The expiry has no leeway; issue and beginning may lie 30 s ahead.
    pub fn check_time(&self, now: i64, max_ttl: i64) -> Result<(), Refusal> {
        if now >= self.claims.expires_at {
            return Err(Refusal::Expired);
        }
        let latest = now.saturating_add(SKEW);
        if i64::from(self.claims.id.issued_at) > latest {
            return Err(Refusal::NotYetValid("it was issued in the future; set the clocks of signer and verifier"));
        }
        if self.claims.not_before.is_some_and(|begin| begin > latest) {
            return Err(Refusal::NotYetValid("the time in sx-n has not come; wait"));
        }
        if self.claims.lifetime() > max_ttl.min(MAX_TTL) {
            return Err(Refusal::LifetimeExceedsRoute);
        }
        Ok(())
    }

    /// Checks the request's real method, never one from an override header. Case matters.
    pub fn check_method(&self, method: &str) -> Result<(), Refusal> {
        if self.claims.methods.allows(method) { Ok(()) } else { Err(Refusal::MethodNotSigned) }
    }

    /// Checks `i` against the client's address; IPv4-mapped IPv6 counts as IPv4.
    pub fn check_network(&self, client: Option<IpAddr>) -> Result<(), Refusal> {
        match self.claims.constraints.network {
            Some(network) if !client.is_some_and(|client| network.contains(client)) => Err(Refusal::NetworkMismatch),
            _ => Ok(()),
        }
    }

    /// Checks `o` against the raw value of the `Origin` header.
    pub fn check_origin(&self, origin: Option<&[u8]>) -> Result<(), Refusal> {
        same(self.claims.constraints.origin, origin.map(HeaderDigest::of), Refusal::OriginMismatch)
    }

    /// Checks `a` against the raw value of the `User-Agent` header.
    pub fn check_user_agent(&self, user_agent: Option<&[u8]>) -> Result<(), Refusal> {
        same(self.claims.constraints.user_agent, user_agent.map(HeaderDigest::of), Refusal::UserAgentMismatch)
    }

    /// Checks `g` against the country of the client's address.
    pub fn check_country(&self, country: Option<Country>) -> Result<(), Refusal> {
        same(self.claims.constraints.country, country, Refusal::CountryMismatch)
    }

    /// Checks `j` against the thumbprint of the key in a DPoP proof that the caller has verified.
    pub fn check_holder(&self, holder: Option<Thumbprint>) -> Result<(), Refusal> {
        same(self.claims.constraints.holder, holder, Refusal::HolderMismatch)
    }

    /// The proof of a prefix token for another target below the prefix that was verified: what is signed is the prefix, so
    /// nothing is verified again. A target that is not canonical or not below it is refused, and so is every other one
    /// for a URL that was signed by itself.
    pub fn at(&self, target: &'a str) -> Result<Self, Refusal> {
        let target = Target::parse(target)?;
        let prefix = self.signed_prefix().filter(|prefix| target.path().starts_with(prefix));
        let prefix_length = Some(prefix.ok_or(Refusal::PrefixMismatch)?.len());
        let (host, target) = (self.host.clone(), Cow::Borrowed(target.as_str()));
        Ok(Self { host, target, prefix_length, claims: self.claims.clone() })
    }

    /// The same proof, borrowing nothing, for a cache. Time, revocation and uses are checked anew on every hit.
    pub fn into_owned(self) -> VerifiedUrl<'static> {
        VerifiedUrl {
            host: Cow::Owned(self.host.into_owned()),
            target: Cow::Owned(self.target.into_owned()),
            prefix_length: self.prefix_length,
            claims: self.claims.into_owned(),
        }
    }
}

/// Nothing signed, nothing to compare; else the fact must be there and equal. None of these values is a secret.
fn same<T: PartialEq>(signed: Option<T>, fact: Option<T>, refusal: Refusal) -> Result<(), Refusal> {
    if signed.is_none() || signed == fact { Ok(()) } else { Err(refusal) }
}
