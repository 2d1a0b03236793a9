//! Verification without a server.
//!
//! Owns the order of all checks that need no shared state. Never admits a URL whose uses, rate, concurrency or policy
//! only the server can judge. Revocation is the caller's: ids, tags and keys against its signed snapshot.
//! Governed by "Native format `sx1`", offline verifiers.

use std::net::IpAddr;

use crate::{
    Country, Host, Kid, Refusal, Thumbprint, VerifiedUrl, VerifyingKey, parse_unverified, parse_unverified_cookie,
};

/// What a verifier knows about a request. A fact that is `None` refuses the URLs that constrain it. It holds the link
/// itself, so it does not print.
#[derive(Clone, Copy)]
pub struct OfflineRequest<'a> {
    /// The request's host.
    pub host: &'a Host,
    /// Path and query as received.
    pub target: &'a str,
    /// The cookie [`crate::COOKIE_NAME`], used if the target carries no signature itself.
    pub cookie: Option<&'a str>,
    /// The request's method.
    pub method: &'a str,
    /// The present in Unix seconds.
    pub now: i64,
    /// The longest life that the route permits, in seconds.
    pub max_ttl: i64,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The raw `Origin` header.
    pub origin: Option<&'a [u8]>,
    /// The raw `User-Agent` header.
    pub user_agent: Option<&'a [u8]>,
    /// The country of the client's address.
    pub country: Option<Country>,
    /// The thumbprint of the key in a DPoP proof that has been verified.
    pub holder: Option<Thumbprint>,
}

impl<'a> OfflineRequest<'a> {
    /// A request of which nothing else is known.
    pub fn new(host: &'a Host, target: &'a str, method: &'a str, now: i64, max_ttl: i64) -> Self {
        let (cookie, client, origin, user_agent, country, holder) = (None, None, None, None, None, None);
        Self { host, target, cookie, method, now, max_ttl, client, origin, user_agent, country, holder }
    }
}

/// The answer to a request that nothing refuses.
#[derive(Debug, Clone)]
#[must_use = "only `Admitted` admits the request"]
pub enum Offline<'a> {
    /// Everything holds.
    Admitted(VerifiedUrl<'a>),
    /// Signature, time, method and all else hold, but uses, rate, concurrency or a policy are the server's to judge:
    /// send the request there, or refuse it.
    NeedsOnline(VerifiedUrl<'a>),
}

/// Checks everything that can be checked without shared state. `key` finds a key by id among those of the tenant.
pub fn verify_offline<'a, 'k>(
    request: &OfflineRequest<'a>,
    key: impl FnOnce(Kid) -> Option<&'k VerifyingKey>,
) -> Result<Offline<'a>, Refusal> {
    let unverified = match (parse_unverified(request.host, request.target), request.cookie) {
        (Err(Refusal::SignatureMissing), Some(token)) => parse_unverified_cookie(request.host, request.target, token)?,
        (parsed, _) => parsed?,
    };
    let key = key(unverified.kid()).ok_or(Refusal::UnknownKey)?;
    let url = unverified.verify(key)?;
    url.check_time(request.now, request.max_ttl)?;
    url.check_method(request.method)?;
    url.check_network(request.client)?;
    url.check_origin(request.origin)?;
    url.check_user_agent(request.user_agent)?;
    url.check_country(request.country)?;
    url.check_holder(request.holder)?;
    Ok(if url.claims().constraints.need_online() { Offline::NeedsOnline(url) } else { Offline::Admitted(url) })
}
