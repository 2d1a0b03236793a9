//! Hosts (signed-url.md, "Attacks", host).

use super::{Attack, Verdict};
use crate::forge::Forge;

/// What stands in `Host` with a good link. The forwarded host of a proxy may be spelled in ways that `Host` itself may not.
const REFUSED: &[(&str, &str)] = &[
    ("trailing dot", "cdn.example.com."),
    ("upper case", "CDN.example.com"),
    ("leading zero in the port", "cdn.example.com:0443"),
    ("IPv4 address", "127.0.0.1"),
    ("IPv6 address", "[::1]"),
    ("IPv4 address as a number", "2130706433"),
    ("IPv4 address in hexadecimal", "0x7f000001"),
    ("underscore", "cdn_example.com"),
    ("empty label", "cdn..example.com"),
    ("leading hyphen", "-cdn.example.com"),
    ("label of 64 characters", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com"),
];

/// No `Host` header at all to any parser, but what a careless proxy could pass on.
const MALFORMED: &[(&str, &str)] = &[
    ("user info", "user@cdn.example.com"),
    ("user info with a colon", "cdn.example.com:x@evil.example"),
    ("U-label", "cdn.exämple.com"),
    ("a path", "cdn.example.com/reports"),
    ("two in one", "cdn.example.com, evil.example"),
    ("a space", "cdn.example.com evil.example"),
    ("empty", ""),
    ("port 0", "cdn.example.com:0x1"),
    ("port out of range", "cdn.example.com:65536"),
    ("no port after the colon", "cdn.example.com:"),
    ("escape", "cdn%2Eexample.com"),
];

pub(super) fn attacks(forge: &Forge, other: &Forge) -> Vec<Attack> {
    let link = forge.link("/reports/q3.pdf");
    let new = |name: &str| Attack::new("host", name, forge, &link);
    let refused = REFUSED.iter().map(|(name, host)| new(name).hosts(&[host]).refused("not_canonical"));
    let malformed = MALFORMED
        .iter()
        .map(|(name, host)| new(name).hosts(&[host]).refused("not_canonical").proxied(Verdict::Malformed));
    let (good, evil) = (forge.host.as_str(), "evil.example");
    let absolute = |origin: &str, name: &str| Attack::new("host", name, forge, format!("{origin}{link}"));
    let more = [
        new("of nobody").hosts(&[evil]).refused("no_route"),
        new("another of the tenant").hosts(&["files.example.com:8443"]).refused("signature_invalid"),
        new("the tenant's other host without its port").hosts(&["files.example.com"]).refused("no_route"),
        new("the tenant's other host with another port").hosts(&["files.example.com:8444"]).refused("no_route"),
        new("another tenant's").hosts(&[&other.host]).refused("unknown_key"),
        new("default port of http").hosts(&["cdn.example.com:80"]).refused("no_route"),
        new("another port").hosts(&["cdn.example.com:8443"]).refused("no_route"),
        // https is not ours to tell at the proxy; forward-auth is told and drops the default port.
        new("default port of https")
            .hosts(&["cdn.example.com:443"])
            .refused("not_canonical")
            .asked(Verdict::Passes(vec![])),
        new("two that differ").hosts(&[good, evil]).refused("not_canonical").proxied(Verdict::Malformed),
        new("two that agree").hosts(&[good, good]).refused("not_canonical").proxied(Verdict::Malformed),
        new("none").hosts(&[]).refused("not_canonical").proxied(Verdict::Malformed),
        absolute("http://cdn.example.com", "absolute form, agreeing")
            .without(&[])
            .asked(Verdict::Refused("not_canonical")),
        absolute("http://evil.example", "absolute form of another host")
            .refused("not_canonical")
            .proxied(Verdict::Malformed),
        absolute("http://user@cdn.example.com", "absolute form with user info")
            .refused("not_canonical")
            .proxied(Verdict::Malformed),
        absolute("//evil.example", "network-path reference").refused("not_canonical"),
        new("X-Forwarded-Host of another tenant")
            .header(format!("X-Forwarded-Host: {}", other.host))
            .without(&[&other.host])
            .asked(Verdict::Refused("not_canonical")),
        new("Forwarded with another host").header("Forwarded: host=evil.example").without(&[evil]),
        new("X-Host and X-HTTP-Host-Override")
            .header("X-Host: evil.example")
            .header("X-HTTP-Host-Override: evil.example")
            .without(&[evil]),
    ];
    refused.chain(malformed).chain(more).collect()
}
