//! What a request presents for redemption: method, host, target and the client's address, exactly one of each, and the headers
//! that a URL may be bound to. Nothing is normalised; what is ambiguous is refused.

use std::net::IpAddr;

use authly_runtime::{ClientAddress, Networks, host};
use authly_signed_url::COOKIE_NAME;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};

use crate::answer::Refused;

const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What decides at forward-auth and has a hyphen in its name.
const DECISIVE: [&str; 6] =
    ["x-forwarded-method", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-proto", "x-forwarded-for", "user-agent"];

/// A request as it will be judged. It holds the link itself, so it does not print.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The host, with its port unless it is the scheme's default.
    pub(crate) host: &'a str,
    /// Path and query as received.
    pub(crate) target: &'a str,
    /// The client, IPv4-mapped addresses unmapped; unknown where a trusted proxy passed on nonsense.
    pub(crate) address: Option<IpAddr>,
    headers: &'a HeaderMap,
}

impl<'a> Presented<'a> {
    /// Of a request to the proxy itself.
    pub(crate) fn to_proxy(parts: &'a Parts, address: ClientAddress) -> Result<Self, Refused> {
        let host = host::authority(&parts.uri, &parts.headers)
            .map_err(|_| Refused::NotCanonical("the request must name exactly one host"))?;
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Ok(Self { method: parts.method.as_str(), host, target, address: address.0, headers: &parts.headers })
    }

    /// Of the request that another proxy asks about. The caller has checked that the peer is a configured one.
    pub(crate) fn to_forward_auth(headers: &'a HeaderMap, peer: IpAddr, peers: &Networks) -> Result<Self, Refused> {
        refuse_aliases(headers, &DECISIVE)?;
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
            method: required(&FORWARDED_METHOD)?,
            host: host.strip_suffix(default_port).unwrap_or(host),
            target: required(&FORWARDED_URI)?,
            address: ClientAddress::decide(peer, peers, headers).0,
            headers,
        })
    }

    /// The prefix token in the cookie, if there is one; not read where there is none, and not two.
    pub(crate) fn cookie(&self) -> Result<Option<&'a str>, Refused> {
        let mut found = None;
        for token in self.headers.get_all(header::COOKIE).iter().flat_map(tokens) {
            let token = std::str::from_utf8(token).map_err(|_| AMBIGUOUS)?;
            if found.replace(token).is_some() {
                return Err(AMBIGUOUS);
            }
        }
        Ok(found)
    }

    /// The raw `Origin`. Asking proxies pass it on as the client sent it.
    pub(crate) fn origin(&self) -> Result<Option<&'a [u8]>, Refused> {
        raw(self.headers, &header::ORIGIN)
    }

    /// The raw `User-Agent`, in the same way.
    pub(crate) fn user_agent(&self) -> Result<Option<&'a [u8]>, Refused> {
        refuse_aliases(self.headers, &["user-agent"])?;
        raw(self.headers, &header::USER_AGENT)
    }
}

/// The values of the prefix cookie in one `Cookie` header (RFC 6265 section 4.2.1).
pub(crate) fn tokens(cookies: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    cookies.as_bytes().split(|byte| *byte == b';').filter_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(COOKIE_NAME.as_bytes())?;
        rest.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii)
    })
}

/// The cookies without the prefix token, for the backend: `None` if there is none, empty if nothing else is left.
pub(crate) fn without_token(cookies: &HeaderValue) -> Option<HeaderValue> {
    let is_token = |pair: &&[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii() == COOKIE_NAME.as_bytes()
    };
    let pairs = || cookies.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    if !pairs().any(|pair| is_token(&pair)) {
        return None;
    }
    let left: Vec<&[u8]> = pairs().filter(|pair| !pair.is_empty() && !is_token(pair)).collect();
    HeaderValue::from_bytes(&left.join(&b"; "[..])).ok()
}

/// Refuses a header that whoever maps `_` to `-`, as CGI and its heirs do, takes for one of `names`: `X-Forwarded_Method` too.
fn refuse_aliases(headers: &HeaderMap, names: &[&str]) -> Result<(), Refused> {
    let same = |one: u8, other: u8| one == other || (one == b'_' && other == b'-');
    let is_alias = |name: &str| {
        let of = |decisive: &&str| {
            name.len() == decisive.len() && name.bytes().zip(decisive.bytes()).all(|(a, b)| same(a, b))
        };
        name.contains('_') && names.iter().any(of)
    };
    if headers.keys().any(|name| is_alias(name.as_str())) { Err(AMBIGUOUS) } else { Ok(()) }
}

/// The text of a header that may stand once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let value = raw(headers, name)?;
    value.map(|value| std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).ok_or(AMBIGUOUS)).transpose()
}

/// The bytes of a header that may stand once.
fn raw<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Refused> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(AMBIGUOUS);
    }
    Ok(value.map(HeaderValue::as_bytes))
}

const AMBIGUOUS: Refused = Refused::NotCanonical("a header that decides about the URL is given twice or is not ASCII");

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{DECISIVE, refuse_aliases, tokens, without_token};

    /// Every mixture of hyphens and underscores of every decisive name but the name itself.
    #[test]
    fn aliases_with_underscores_are_refused() {
        for name in DECISIVE {
            let hyphens: Vec<usize> = name.match_indices('-').map(|(at, _)| at).collect();
            for mask in 0..1_u32 << hyphens.len() {
                let mut alias = name.as_bytes().to_vec();
                for (bit, at) in hyphens.iter().enumerate() {
                    if mask >> bit & 1 == 1 {
                        alias[*at] = b'_';
                    }
                }
                let mut headers = HeaderMap::new();
                headers.insert(HeaderName::from_bytes(&alias).unwrap(), HeaderValue::from_static("GET"));
                assert_eq!(refuse_aliases(&headers, &DECISIVE).is_ok(), mask == 0, "{:?}", String::from_utf8(alias));
            }
        }
    }

    #[test]
    fn the_token_is_found_and_taken_out() {
        for (cookies, found, left) in [
            ("__Host-sx=a.b", &["a.b"][..], Some("")),
            ("x=1; __Host-sx=a.b; y=2", &["a.b"], Some("x=1; y=2")),
            ("__Host-sx = a.b ;x", &["a.b"], Some("x")),
            ("__Host-sx=a; __Host-sx=b", &["a", "b"], Some("")),
            ("__Host-sx", &[], Some("")),
            ("__Host-sxy=a; z=__Host-sx=b", &[], None),
            ("__host-sx=a;;", &[], None),
        ] {
            let value = HeaderValue::from_static(cookies);
            assert_eq!(tokens(&value).collect::<Vec<_>>(), found.iter().map(|t| t.as_bytes()).collect::<Vec<_>>());
            assert_eq!(without_token(&value), left.map(HeaderValue::from_static), "{cookies}");
        }
    }
}
