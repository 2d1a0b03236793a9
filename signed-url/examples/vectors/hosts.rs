//! Owns the vectors about hosts ("Attacks", host).

use super::Vector;
use super::make::{PARAMS, signed};

const GOOD: &[(&str, &str)] = &[
    ("a name", "files.acme.example"),
    ("a port that is not the default", "files.acme.example:8443"),
    ("an A-label", "xn--bcher-kva.example"),
    ("localhost", "localhost"),
    ("below localhost, with a port", "files.localhost:8081"),
    ("a label beginning with a digit", "4.cdn.example"),
    ("port 80 where https is the default", "files.acme.example:80"),
];

const BAD: &[(&str, &str)] = &[
    ("trailing dot", "cdn.example.com."),
    ("upper case", "CDN.example.com"),
    ("U-label", "bücher.example"),
    ("full-width dot", "cdn。example.com"),
    ("user info", "user@cdn.example.com"),
    ("user info with a password", "cdn.example.com:x@evil.example"),
    ("default port", "cdn.example.com:443"),
    ("default port of http on localhost", "localhost:80"),
    ("empty port", "cdn.example.com:"),
    ("port with a leading zero", "cdn.example.com:08443"),
    ("port 0", "cdn.example.com:0"),
    ("port above 65535", "cdn.example.com:65536"),
    ("two ports", "cdn.example.com:1:2"),
    ("two hosts", "cdn.example.com, evil.example"),
    ("two hosts without space", "cdn.example.com,evil.example"),
    ("empty", ""),
    ("empty label", "cdn..example.com"),
    ("leading dot", ".example.com"),
    ("underscore", "cdn_1.example.com"),
    ("wildcard", "*.example.com"),
    ("hyphen at the edge of a label", "cdn-.example.com"),
    ("escaped dot", "cdn%2Eexample.com"),
    ("IPv4 address", "192.0.2.1"),
    ("short IPv4 address", "127.1"),
    ("IPv4 address as one number", "2130706433"),
    ("hexadecimal IPv4 address", "0x7f.0x1"),
    ("IPv6 address", "[2001:db8::1]"),
    ("space", "cdn.example.com "),
    ("line feed that would move bytes between host and path", "cdn.example.com\n"),
    ("slash", "cdn.example.com/t"),
    ("label of 64 characters", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"),
];

/// Signed for one host, requested at another.
const CHANGED: &[(&str, &str, &str)] = &[
    ("another host", "cdn.example.com", "files.example.com"),
    ("a port added", "cdn.example.com", "cdn.example.com:8443"),
    ("a port dropped", "cdn.example.com:8443", "cdn.example.com"),
    ("a host below", "example.com", "cdn.example.com"),
];

pub(super) fn vectors() -> Vec<Vector> {
    let before = format!("/a?{PARAMS}");
    let sign = |name, host| signed("host", name, host, &before);
    let good = GOOD.iter().map(|(name, host)| sign(name, host).admitted("/a"));
    let bad = BAD.iter().map(|(name, host)| sign(name, host).refused("not_canonical"));
    let changed = CHANGED
        .iter()
        .map(|(name, from, to)| sign(name, from).with(|v| v.host = (*to).to_owned()).refused("signature_invalid"));
    good.chain(bad).chain(changed).collect()
}
