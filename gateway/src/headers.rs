//! Which headers go on to the backend and which come back.
//!
//! The backend must be able to believe every forwarding header that it gets: all that a client could have written
//! is removed first, aliases with underscores included (signed-url.md, "Attacks": forwarded headers, unsigned inputs).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::presented::without_token;

/// Hop-by-hop headers (RFC 9110 section 7.6.1), besides those that Connection names.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Headers that tell a backend another address, host, scheme, path or method than the one that was signed.
const SPOOFABLE: [&str; 24] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-cluster-client-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-originating-ip",
    "x-azure-clientip",
    "wl-proxy-client-ip",
    "proxy-client-ip",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-http-host-override",
    "via",
    // Answered by the listener already.
    "expect",
];

/// Families of the same kind.
const SPOOFABLE_PREFIXES: [&str; 6] = ["x-forwarded", "x-original-", "x-rewrite-", "x-envoy-", "authly-", "x-authly-"];

/// Removes what must not reach the backend.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    join_cookies(headers);
    remove_token(headers);
    let spoofed = |name: &HeaderName| {
        let canonical = match name.as_str() {
            text if text.contains('_') => Cow::Owned(text.replace('_', "-")),
            text => Cow::Borrowed(text),
        };
        let canonical = canonical.as_ref();
        SPOOFABLE.contains(&canonical)
            || HOP_BY_HOP.contains(&canonical)
            || SPOOFABLE_PREFIXES.iter().any(|prefix| canonical.starts_with(prefix))
            // A copy or rename would read or write an object that the URL does not name.
            || canonical.contains("copy-source")
            || canonical.contains("rename-source")
    };
    remove_where(headers, spoofed);
}

/// Removes what must not come back, and adds what protects the link.
pub(crate) fn clean_response(headers: &mut HeaderMap, private: bool) {
    remove_hop_by_hop(headers);
    remove_where(headers, |name| name.as_str().starts_with("authly-"));
    // A page behind the link must not leak it in Referer.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if private {
        // A shared cache would hand out the content without spending a use, or outside of its network.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().to_ascii_lowercase().parse().ok())
        // Connection must not strip what the gateway itself relies on (CVE-2024-45410).
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// HTTP/2 may split cookies; HTTP/1.1 may not (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let joined = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    match HeaderValue::from_bytes(&joined) {
        Ok(value) => drop(headers.insert(header::COOKIE, value)),
        Err(_) => drop(headers.remove(header::COOKIE)),
    }
}

/// The backend never sees a prefix token: whoever has it may use it.
fn remove_token(headers: &mut HeaderMap) {
    match headers.get(header::COOKIE).and_then(without_token) {
        Some(left) if left.is_empty() => drop(headers.remove(header::COOKIE)),
        Some(left) => drop(headers.insert(header::COOKIE, left)),
        None => {}
    }
}

fn remove_where(headers: &mut HeaderMap, mut unwanted: impl FnMut(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::{clean_request, clean_response};
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn map(names: &[&'static str]) -> HeaderMap {
        let value = HeaderValue::from_static("x");
        names.iter().map(|name| (HeaderName::from_static(name), value.clone())).collect()
    }

    #[test]
    fn removes_what_a_client_could_spoof() {
        let mut headers = map(&[
            "x-forwarded-for",
            "x_forwarded_host",
            "x-original-url",
            "x-http-method-override",
            "x-envoy-original-path",
            "x-amz-copy-source",
            "x-minio-copy-source-range",
            "authly-reason",
            "te",
            "upgrade",
            "secret-hop",
            "accept",
            "range",
        ]);
        headers.insert("connection", HeaderValue::from_static("Secret-Hop, host, close"));
        headers.insert("host", HeaderValue::from_static("files.example"));
        clean_request(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host", "range"]);
    }

    #[test]
    fn counted_content_is_not_shared() {
        let mut headers = map(&["cache-control", "keep-alive", "authly-reason", "etag"]);
        clean_response(&mut headers, true);
        assert_eq!(headers["cache-control"], "private, no-store");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(
            !headers.contains_key("keep-alive")
                && !headers.contains_key("authly-reason")
                && headers.contains_key("etag")
        );
    }
}
