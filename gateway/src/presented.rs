//! What a request presents for redemption: method, host, target and the client's address, exactly one of each.
//! Nothing is normalised; what is ambiguous is refused.

use std::net::IpAddr;

use authly_runtime::{ClientAddress, Networks, host};
use http::{HeaderMap, HeaderName, request::Parts};

use crate::answer::Refused;

const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A request as it will be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    /// The method.
    pub(crate) method: String,
    /// The host, with its port unless it is the scheme's default.
    pub(crate) host: String,
    /// Path and query as received.
    pub(crate) target: String,
    /// The client, IPv4-mapped addresses unmapped; unknown where a trusted proxy passed on nonsense.
    pub(crate) address: Option<IpAddr>,
}

impl Presented {
    /// The path of the target.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Of a request to the proxy itself.
    pub(crate) fn to_proxy(parts: &Parts, address: ClientAddress) -> Result<Self, Refused> {
        let host = host::authority(&parts.uri, &parts.headers)
            .map_err(|_| Refused::NotCanonical("the request must name exactly one host"))?;
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Ok(Self {
            method: parts.method.as_str().to_owned(),
            host: host.to_owned(),
            target: target.to_owned(),
            address: address.0,
        })
    }

    /// Of the request that another proxy asks about. The caller has checked that the peer is a configured one.
    pub(crate) fn to_forward_auth(headers: &HeaderMap, peer: IpAddr, peers: &Networks) -> Result<Self, Refused> {
        let required = |name: &HeaderName| {
            one(headers, name)?.ok_or(Refused::NotCanonical(
                "forward-auth needs X-Forwarded-Method, X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Uri",
            ))
        };
        let scheme = required(&FORWARDED_PROTO)?;
        if !matches!(scheme, "http" | "https") {
            return Err(Refused::NotCanonical("X-Forwarded-Proto must be http or https"));
        }
        let host = required(&FORWARDED_HOST)?;
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        Ok(Self {
            method: required(&FORWARDED_METHOD)?.to_owned(),
            host: host.strip_suffix(default_port).unwrap_or(host).to_owned(),
            target: required(&FORWARDED_URI)?.to_owned(),
            address: ClientAddress::decide(peer, peers, headers).0,
        })
    }
}

/// The value of a header that may stand once. An alias with underscores is a second one.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let ambiguous = Refused::NotCanonical("a header that decides about the URL is given twice or is not ASCII");
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let alias = name.as_str().replace('-', "_");
    if values.next().is_some() || (alias != name.as_str() && headers.contains_key(alias.as_str())) {
        return Err(ambiguous);
    }
    value.to_str().map(Some).map_err(|_| ambiguous)
}
