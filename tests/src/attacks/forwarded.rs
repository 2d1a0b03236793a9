//! Forwarded headers and client networks (signed-url.md, "Attacks", forwarded headers, IP). Nobody is trusted unless configured: the
//! gateway's forward-auth peer is 127.0.0.1 alone.

use super::{Attack, Verdict};
use crate::forge::Forge;

/// Headers that claim to come from 10.1.2.3.
const SPOOFED: &[&str] = &[
    "X-Forwarded-For: 10.1.2.3",
    "X_Forwarded_For: 10.1.2.3",
    "Forwarded: for=10.1.2.3",
    "X-Real-IP: 10.1.2.3",
    "True-Client-IP: 10.1.2.3",
    "CF-Connecting-IP: 10.1.2.3",
    "X-Client-IP: 10.1.2.3",
    "X-Cluster-Client-IP: 10.1.2.3",
    "Fastly-Client-IP: 10.1.2.3",
    "X-Envoy-External-Address: 10.1.2.3",
];

/// Headers of a proxy that must not say another thing to the backend, and the word that must not arrive.
const REMOVED: &[(&str, &str)] = &[
    ("X-Forwarded-For: 6.6.6.6", "6.6.6.6"),
    ("X_Forwarded_For: 6.6.6.6", "6.6.6.6"),
    ("X-Real-IP: 6.6.6.6", "6.6.6.6"),
    ("Forwarded: for=6.6.6.6;proto=gopher", "gopher"),
    ("X-Forwarded-Prefix: /secret", "/secret"),
    ("X-Forwarded-Port: 6666", "6666"),
    ("X-Forwarded-Server: evil", "evil"),
    ("X-Forwarded-User: admin", "admin"),
    ("X-Envoy-Original-Path: /secret", "/secret"),
    ("X-Envoy-Internal: true", "envoy"),
    ("X-Envoy-Decorator-Operation: evil", "evil"),
    ("Front-End-Https: gopher", "gopher"),
    ("X-Scheme: gopher", "gopher"),
];

/// Told by a trusted proxy; every one makes what decides ambiguous.
const AMBIGUOUS: &[&str] = &[
    "X-Forwarded-Method: GET",
    "X-Forwarded-Uri: /reports/q3.pdf",
    "X-Forwarded-Host: cdn.example.com",
    "X-Forwarded-Proto: https",
    "X_Forwarded_Method: GET",
    "X-Forwarded_Method: GET",
    "X_Forwarded-Method: GET",
    "X_Forwarded_Uri: /secret",
    "X-Forwarded_Uri: /secret",
    "X_Forwarded-Uri: /secret",
    "X_Forwarded_Host: cdn.example.com",
    "X-Forwarded_Host: cdn.example.com",
    "X_Forwarded_Proto: https",
    "X-Forwarded_Proto: https",
    "X_Forwarded_For: 10.1.2.3",
    "X-Forwarded_For: 10.1.2.3",
];

/// Lines of a trusted proxy for a link that is bound to 10.0.0.0/8.
const MISMATCHED: &[(&str, &str)] = &[
    ("spoofed on the left", "X-Forwarded-For: 10.1.2.3, 203.0.113.9"),
    ("spoofed in a line before", "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 203.0.113.9"),
    ("none told", "X-Any: x"),
    ("empty", "X-Forwarded-For: "),
    ("a comma at the end", "X-Forwarded-For: 10.1.2.3,"),
    ("unknown", "X-Forwarded-For: unknown"),
    ("leading zeros", "X-Forwarded-For: 010.1.2.3"),
    ("hexadecimal", "X-Forwarded-For: 0x0a.1.2.3"),
    ("a number", "X-Forwarded-For: 167838211"),
    ("three parts", "X-Forwarded-For: 10.1.515"),
    ("a zone id", "X-Forwarded-For: fe80::1%10.1.2.3"),
    ("NAT64", "X-Forwarded-For: 64:ff9b::10.1.2.3"),
    ("6to4", "X-Forwarded-For: 2002:a01:203::"),
    ("IPv4-compatible", "X-Forwarded-For: ::10.1.2.3"),
    ("a network", "X-Forwarded-For: 10.0.0.0/8"),
    ("a name", "X-Forwarded-For: 10.1.2.3.evil.example"),
    ("not ASCII", "X-Forwarded-For: 10.1.2.3\u{a0}"),
];

const MATCHED: &[(&str, &str)] = &[
    ("inside", "X-Forwarded-For: 10.1.2.3"),
    ("inside, mapped", "X-Forwarded-For: ::ffff:10.1.2.3"),
    ("inside, with a port", "X-Forwarded-For: 10.1.2.3:4711"),
];

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    let link = forge.link("/reports/q3.pdf");
    let bound = forge.link_with("/reports/q3.pdf", "&sx-c=i0a000000~8");
    let local = forge.link_with("/reports/q3.pdf", "&sx-c=i7f000000~8");
    let new = |group: &str, name: &str, target: &str| Attack::new(group, name, forge, target);
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    // Only `X-Forwarded-For` of a configured peer counts, and its alias is refused.
    let spoofed = SPOOFED.iter().map(|line| {
        let attack = new("network", &format!("spoofed by {}", name(line)), &bound).header(line);
        match *line {
            line if line.starts_with("X-Forwarded-For") => attack.refused("network_mismatch").asked(Verdict::Unasked),
            line if line.starts_with("X_Forwarded_For") => {
                attack.refused("network_mismatch").asked(Verdict::Refused("not_canonical"))
            }
            _ => attack.refused("network_mismatch"),
        }
    });
    let removed = REMOVED.iter().map(|(line, word)| {
        let attack = new("forwarded", &format!("{} to the backend", name(line)), &link).header(line).without(&[word]);
        if line.starts_with("X_Forwarded_For") { attack.asked(Verdict::Refused("not_canonical")) } else { attack }
    });
    let ambiguous = AMBIGUOUS.iter().map(|line| {
        let attack = new("forwarded", &format!("a second {}", name(line)), &link).header(line);
        attack.without(&["/secret", "10.1.2.3"]).asked(Verdict::Refused("not_canonical"))
    });
    let mismatched =
        MISMATCHED.iter().map(|(name, line)| new("network", name, &bound).header(line).refused("network_mismatch"));
    let matched = MATCHED.iter().map(|(name, line)| {
        new("network", name, &bound).header(line).refused("network_mismatch").asked(Verdict::Passes(vec![]))
    });
    let more = [
        new("network", "the client's own", &local).without(&[]),
        new("network", "the client's own, spoofing another", &local)
            .header("X-Forwarded-For: 10.1.2.3")
            .without(&["10.1.2.3"])
            .asked(Verdict::Refused("network_mismatch")),
        new("forwarded", "from a peer that is not configured", &link)
            .from([127, 0, 0, 2])
            .without(&[])
            .asked(Verdict::Refused("no_route")),
        new("forwarded", "Connection that names what decides", &bound)
            .header("Connection: X-Forwarded-For, X-Forwarded-Uri, Host")
            .refused("network_mismatch"),
    ];
    spoofed.chain(removed).chain(ambiguous).chain(mismatched).chain(matched).chain(more).collect()
}
