//! Owns the vectors that compare a signed constraint with a fact of the request ("Attacks", IP and forwarded headers).

use sha2::Digest as _;

use super::Vector;
use super::make::{PARAMS, b64, params};

const NETWORKS: &[(&str, &str, Option<&str>, bool)] = &[
    ("the first address", "i0a010000~16", Some("10.1.0.0"), true),
    ("the last address", "i0a010000~16", Some("10.1.255.255"), true),
    ("one address below", "i0a010000~16", Some("10.0.255.255"), false),
    ("one address above", "i0a010000~16", Some("10.2.0.0"), false),
    ("IPv4-mapped, inside", "i0a010000~16", Some("::ffff:10.1.2.3"), true),
    ("IPv4-mapped, outside", "i0a010000~16", Some("::ffff:10.2.2.3"), false),
    ("IPv4-compatible is not IPv4", "i0a010000~16", Some("::10.1.2.3"), false),
    ("NAT64 is not IPv4", "i0a010000~16", Some("64:ff9b::10.1.2.3"), false),
    ("6to4 is not IPv4", "i0a010000~16", Some("2002:a01:203::1"), false),
    ("unknown client", "i0a010000~16", None, false),
    ("one IPv4 host", "ic0000201~32", Some("192.0.2.1"), true),
    ("half of IPv4", "i80000000~1", Some("192.0.2.1"), true),
    ("the other half of IPv4", "i00000000~1", Some("192.0.2.1"), false),
    ("IPv6 inside", "i20010db8000000000000000000000000~32", Some("2001:db8:ffff::1"), true),
    ("IPv6 outside", "i20010db8000000000000000000000000~32", Some("2001:db9::1"), false),
    ("one IPv6 host", "i00000000000000000000000000000001~128", Some("::1"), true),
    ("an IPv4 client at an IPv6 network", "i20010db8000000000000000000000000~32", Some("10.1.2.3"), false),
    (
        "a mapped client at an IPv6 network that spans the mapped range",
        "i00000000000000000000000000000000~64",
        Some("::ffff:10.1.2.3"),
        false,
    ),
];

pub(super) fn vectors() -> Vec<Vector> {
    let networks = NETWORKS.iter().map(|(name, value, client, inside)| {
        let vector = with("network", name, value).with(|v| v.client = client.map(str::to_owned));
        if *inside { vector.admitted("/a") } else { vector.refused("network_mismatch") }
    });
    networks.chain(headers()).chain(others()).collect()
}

fn with(group: &str, name: &str, value: &str) -> Vector {
    params(group, name, &format!("{PARAMS}&sx-c={value}"))
}

fn digest(value: &str) -> String {
    b64(&sha2::Sha256::digest(value))[..16].to_owned()
}

fn headers() -> Vec<Vector> {
    let origin = |name: &str, sent: Option<&str>| {
        let value = format!("o{}", digest("https://app.acme.example"));
        with("origin", name, &value).with(|v| v.origin = sent.map(str::to_owned))
    };
    let agent = |name: &str, sent: Option<&str>| {
        with("user agent", name, &format!("a{}", digest("player/1.0"))).with(|v| v.user_agent = sent.map(str::to_owned))
    };
    vec![
        origin("the signed one", Some("https://app.acme.example")).admitted("/a"),
        origin("another", Some("https://evil.example")).refused("origin_mismatch"),
        origin("another case", Some("https://APP.acme.example")).refused("origin_mismatch"),
        origin("with a slash", Some("https://app.acme.example/")).refused("origin_mismatch"),
        origin("null", Some("null")).refused("origin_mismatch"),
        origin("empty", Some("")).refused("origin_mismatch"),
        origin("none", None).refused("origin_mismatch"),
        agent("the signed one", Some("player/1.0")).admitted("/a"),
        agent("another", Some("player/1.1")).refused("user_agent_mismatch"),
        agent("none", None).refused("user_agent_mismatch"),
    ]
}

fn others() -> Vec<Vector> {
    let country =
        |name: &str, known: Option<&str>| with("country", name, "gDE").with(|v| v.country = known.map(str::to_owned));
    let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"; // RFC 7638, section 3.1, with its last bits zero
    let holder = |name: &str, proven: Option<&str>| {
        with("holder", name, &format!("j{thumbprint}")).with(|v| v.holder = proven.map(str::to_owned))
    };
    let all =
        format!("i0a010000~16.o{}.a{}.gDE.j{thumbprint}", digest("https://app.acme.example"), digest("player/1.0"));
    vec![
        country("the signed one", Some("DE")).admitted("/a"),
        country("another", Some("FR")).refused("country_mismatch"),
        country("unknown", None).refused("country_mismatch"),
        holder("the signed key", Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")).admitted("/a"),
        holder("another key", Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")).refused("holder_mismatch"),
        holder("no proof", None).refused("holder_mismatch"),
        with("all facts", "each as signed", &all)
            .with(|v| {
                v.client = Some("10.1.2.3".to_owned());
                v.origin = Some("https://app.acme.example".to_owned());
                v.user_agent = Some("player/1.0".to_owned());
                v.country = Some("DE".to_owned());
                v.holder = Some(thumbprint.to_owned());
            })
            .admitted("/a"),
    ]
}
