//! Fuzz targets of what this crate reads: authorities, client addresses, networks, and paths for the log.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Uri, header};

use crate::{ClientAddress, Networks, access_log, host, request_id::RequestId};

const COUNT: usize = 20_000;

/// The target, then a `Host` by line.
#[test]
fn hosts() {
    authly_fuzzing::run("host", COUNT, |input| {
        let mut lines = input.split(|byte| *byte == b'\n');
        let Some(Ok(uri)) = lines.next().map(Uri::try_from) else { return };
        let mut headers = HeaderMap::new();
        for value in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(header::HOST, value.clone());
            headers.append("x-request-id", value);
        }
        let id = RequestId::of(&headers);
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
        let Ok(authority) = host::authority(&uri, &headers) else { return };
        assert!(!authority.is_empty() && !authority.contains(['@', '/', '\\', ' ', ',', '%', '?', '#']), "{authority}");
        assert!(headers.get_all(header::HOST).iter().count() <= 1);
    });
}

/// The peer, then a line of `X-Forwarded-For` each.
#[test]
fn client_addresses() {
    let trusted = Networks::parse(["10.0.0.0/8", "fd00::/8"]).unwrap();
    authly_fuzzing::run("forwarded-for", COUNT, |input| {
        let text = String::from_utf8_lossy(input);
        let mut lines = text.split('\n');
        let Some(Ok(peer)) = lines.next().map(str::parse::<IpAddr>) else { return };
        let mut headers = HeaderMap::new();
        let mut told = 0;
        for value in lines.filter_map(|line| HeaderValue::from_str(line).ok()) {
            headers.append("x-forwarded-for", value);
            told += 1;
        }
        let ClientAddress(client) = ClientAddress::decide(peer, &trusted, &headers);
        if told == 0 || !trusted.contains(peer) {
            assert_eq!(client, Some(peer.to_canonical()), "nobody else may say who the client is");
        }
        assert!(client.is_none_or(|address| address.to_canonical() == address), "mapped addresses are unmapped");
    });
}

#[test]
fn networks() {
    authly_fuzzing::run("network", COUNT, |input| {
        let Ok(networks) = Networks::parse([String::from_utf8_lossy(input)]) else { return };
        let everyone = ["192.0.2.1", "2001:db8::1", "10.0.0.1", "127.0.0.1", "fd00::1", "240.0.0.1", "ff02::1"];
        assert!(!everyone.iter().all(|address| networks.contains(address.parse().unwrap())), "it trusts everyone");
    });
}

/// No token and no signature reach the log.
#[test]
fn log_paths() {
    authly_fuzzing::run("log-path", COUNT, |input| {
        let path = String::from_utf8_lossy(input);
        let logged = access_log::redact(&path);
        let plain = access_log::fully_decoded(&logged).to_ascii_lowercase();
        assert!(!plain.contains("sx-s"), "{path} is logged as {logged}");
        if let Some(rest) = path.strip_prefix("/~sx/").filter(|rest| rest.len() > 20 && !rest.contains(['/', '%'])) {
            assert!(!logged.contains(rest), "{path} is logged as {logged}");
        }
    });
}
