//! The authority that a request is for: one, unambiguous, or the request is refused (RFC 9110 section 7.2, RFC 9112
//! section 3.2, RFC 9113 section 8.3.1). Two answers to "which host?" are how caches and proxies are confused.

use http::{HeaderMap, Uri, Version, header};

/// Why a request's authority was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// HTTP/1.1 without `Host`, or HTTP/2 without an authority.
    #[error("the request names no host: send exactly one Host header")]
    Missing,
    /// More than one `Host`, or one that differs from the target's authority.
    #[error("the request names several hosts: send exactly one Host header, equal to the target's")]
    Ambiguous,
    /// Not `host` or `host:port`.
    #[error("the Host header is not a host name or address with an optional port")]
    Syntax,
}

/// The authority as the client spelled it: `host` or `host:port`.
///
/// # Errors
/// [`BadHost`]; the listener has already answered 400 to such a request.
pub fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, BadHost> {
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(BadHost::Ambiguous),
        (host, _) => host.map(|h| h.to_str().map_err(|_| BadHost::Syntax)).transpose()?,
    };
    let authority = match (uri.authority().map(http::uri::Authority::as_str), host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => return Err(BadHost::Ambiguous),
        (Some(target), _) => target,
        (None, Some(host)) => host,
        (None, None) => return Err(BadHost::Missing),
    };
    if is_authority(authority) { Ok(authority) } else { Err(BadHost::Syntax) }
}

/// HTTP/1.0 may come without a host; everything else may not.
pub(crate) fn check(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), BadHost> {
    match authority(uri, headers) {
        Err(BadHost::Missing) if version == Version::HTTP_10 => Ok(()),
        other => other.map(|_| ()),
    }
}

/// `host [":" port]` without user information; registered names as DNS and URLs in practice spell them.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((v6, "")) => return is_ipv6(v6),
            Some((v6, rest)) if is_ipv6(v6) => ("x", rest.strip_prefix(':').unwrap_or("-")),
            _ => return false,
        },
        None => text.split_once(':').unwrap_or((text, "0")),
    };
    let host_ok = (1..=253).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    host_ok && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{BadHost, authority};
    use http::{HeaderMap, HeaderValue, Uri, header};

    fn of(uri: &str, hosts: &[&str]) -> Result<String, BadHost> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
        }
        authority(&uri.parse::<Uri>().unwrap(), &headers).map(str::to_owned)
    }

    #[test]
    fn one_host_or_none() {
        for (uri, hosts, expected) in [
            ("/", &["a.example"][..], Ok("a.example")),
            ("/", &["A.Example:8080"], Ok("A.Example:8080")),
            ("/", &["[::1]:80"], Ok("[::1]:80")),
            ("/", &["[::1]"], Ok("[::1]")),
            ("http://a.example/", &["A.example"], Ok("a.example")),
            ("http://a.example/", &[], Ok("a.example")),
            ("http://a.example/", &["b.example"], Err(BadHost::Ambiguous)),
            ("/", &["a", "a"], Err(BadHost::Ambiguous)),
            ("/", &[], Err(BadHost::Missing)),
            ("/", &[""], Err(BadHost::Syntax)),
            ("/", &["a:"], Err(BadHost::Syntax)),
            ("/", &["a:99999"], Err(BadHost::Syntax)),
            ("/", &["a:+1"], Err(BadHost::Syntax)),
            ("/", &["u@a"], Err(BadHost::Syntax)),
            ("/", &["a/b"], Err(BadHost::Syntax)),
            ("/", &["a, b"], Err(BadHost::Syntax)),
            ("/", &["[::1"], Err(BadHost::Syntax)),
            ("/", &["[::1]x"], Err(BadHost::Syntax)),
            ("/", &["é"], Err(BadHost::Syntax)),
        ] {
            assert_eq!(of(uri, hosts), expected.map(str::to_owned), "{uri} {hosts:?}");
        }
    }
}
