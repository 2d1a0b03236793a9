//! Fuzz targets of what this crate reads from requests: cookies, forwarded headers, what goes on to a backend.

use authly_runtime::Networks;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    headers::clean_request,
    presented::{Presented, tokens, without_token},
};

const COUNT: usize = 20_000;

/// After the token was taken out nobody finds one.
#[test]
fn cookies() {
    authly_fuzzing::run("cookie", COUNT, |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else { return };
        let found = tokens(&value).count();
        match without_token(&value) {
            Some(left) => assert_eq!(tokens(&left).count(), 0),
            None => assert_eq!(found, 0),
        }
    });
}

/// `Name: value` by line.
fn headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}

/// What is judged stands in exactly one header, and no backend sees one that contradicts it.
#[test]
fn forwarded_headers() {
    let peers = Networks::parse(["10.0.0.0/8"]).unwrap();
    authly_fuzzing::run("headers", COUNT, |input| {
        let mut headers = headers(input);
        let canonical = |name: &HeaderName| name.as_str().replace('_', "-");
        if let Ok(presented) = Presented::to_forward_auth(&headers, [10, 0, 0, 1].into(), &peers) {
            for (name, value) in [("x-forwarded-method", presented.method), ("x-forwarded-uri", presented.target)] {
                let same: Vec<_> = headers.iter().filter(|(other, _)| canonical(other) == name).collect();
                assert_eq!((same.len(), same[0].1.as_bytes()), (1, value.as_bytes()), "{name}");
            }
            let _ = (presented.cookie(), presented.origin(), presented.user_agent());
        }
        clean_request(&mut headers);
        for name in headers.keys().map(canonical) {
            let spoofed = ["x-forwarded", "x-original-", "x-rewrite-", "x-envoy-", "authly-"];
            assert!(!spoofed.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            assert!(
                !matches!(&*name, "connection" | "upgrade" | "te" | "x-http-method-override" | "forwarded"),
                "{name}"
            );
            assert!(!name.contains("copy-source"), "{name}");
        }
    });
}
