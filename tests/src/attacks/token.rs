//! Prefix tokens, in the path and in the cookie (signed-url.md, "By prefix").

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Attack, Verdict};
use crate::forge::Forge;

const PREFIX: &str = "/reports/42/";

/// Paths behind a token for `/reports/42/`.
const BELOW: &[(&str, &str, &str)] = &[
    ("another folder of the same length", "/reports/43/a", "signature_invalid"),
    ("another case", "/reports/42/../42/a", "not_canonical"),
    ("another route of the same length", "/uploads/42/a", "signature_invalid"),
    ("the folder without its slash", "/reports/42", "prefix_mismatch"),
    ("a folder whose name only begins so", "/reports/421/a", "prefix_mismatch"),
    ("above", "/reports/", "prefix_mismatch"),
    ("a slash in the query", "/reports/4?/a", "prefix_mismatch"),
    ("dot-dot segment", "/reports/42/../43/a", "not_canonical"),
    ("encoded dot-dot segment", "/reports/42/%2e%2e/43/a", "not_canonical"),
    ("dot-dot segment with a parameter", "/reports/42/..;/43/a", "not_canonical"),
    ("encoded slash", "/reports/42/..%2F43/a", "not_canonical"),
    ("doubly encoded", "/reports/42/%252e%252e/43/a", "not_canonical"),
    ("backslash", "/reports/42/..\\43\\a", "not_canonical"),
    ("empty segment", "/reports/42//a", "not_canonical"),
    ("empty segment at the beginning", "//reports/42/a", "not_canonical"),
    ("an sx- parameter beside it", "/reports/42/a?sx-s=1", "not_canonical"),
    ("SX-E beside it", "/reports/42/a?SX-E=1", "not_canonical"),
    ("a path of no route", "/elsewheres/a", "no_route"),
];

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    [below(forge), spelled(forge), forged(forge), cookies(forge), bound(forge)].into_iter().flatten().collect()
}

fn by_path(forge: &Forge, name: &str, token: &str, path: &str) -> Attack {
    Attack::new("token", name, forge, format!("/~sx/{token}{path}"))
}

fn by_cookie(forge: &Forge, name: &str, token: &str, path: &str) -> Attack {
    Attack::new("cookie", name, forge, path).header(format!("Cookie: a=1; __Host-sx={token}; b=2"))
}

fn below(forge: &Forge) -> Vec<Attack> {
    let token = forge.token(PREFIX);
    let refused = BELOW.iter().flat_map(|(name, path, reason)| {
        let both = [by_path(forge, name, &token, path), by_cookie(forge, name, &token, path)];
        both.map(|attack| attack.refused(reason))
    });
    let good = [("a file", "/reports/42/a"), ("folders below, with a query", "/reports/42/b/c.ts?t=7")];
    let good = good.iter().flat_map(|(name, path)| {
        [by_path(forge, name, &token, path), by_cookie(forge, name, &token, path)]
            .map(|attack| attack.without(&[&token]))
    });
    refused.chain(good).collect()
}

/// Other spellings around correct bytes.
fn spelled(forge: &Forge) -> Vec<Attack> {
    let token = forge.token(PREFIX);
    let (left, right) = token.split_once('.').unwrap_or_default();
    let spellings = [
        ("no dot", format!("{left}{right}")),
        ("no signature", format!("{left}.")),
        ("no parameters", format!(".{right}")),
        ("padded", format!("{left}.{right}==")),
        ("swapped", format!("{right}.{left}")),
        ("three parts, as a JWT has", format!("{left}.{left}.{right}")),
        ("an escaped dot", format!("{left}%2E{right}")),
        ("twice", format!("{token}.{token}")),
        ("parameters that are not UTF-8", format!("{}.{right}", URL_SAFE_NO_PAD.encode([0xff; 80]))),
        ("empty", String::new()),
        ("of 9000 bytes", format!("{}.{right}", "A".repeat(9000))),
    ];
    let spelled = spellings.into_iter().flat_map(|(name, token)| {
        let path = "/reports/42/a";
        [by_path(forge, name, &token, path), by_cookie(forge, name, &token, path)]
            .map(|attack| attack.refused("not_canonical"))
    });
    let path = |name: &str, target: String| Attack::new("token", name, forge, target);
    let more = [
        path("nothing behind it", format!("/~sx/{token}")).refused("not_canonical"),
        path("a query directly behind it", format!("/~sx/{token}?v=1")).refused("not_canonical"),
        path("twice in a path", format!("/~sx/{token}/~sx/{token}/reports/42/a")).refused("not_canonical"),
        path("an escaped marker", format!("/%7Esx/{token}/reports/42/a")).refused("not_canonical"),
        path("an upper-case marker", format!("/~SX/{token}/reports/42/a")).refused("signature_missing"),
        path("the marker not first", format!("/reports/42/~sx/{token}/a")).refused("signature_missing"),
        path("in a query", format!("/reports/42/a?__Host-sx={token}")).refused("signature_missing"),
    ];
    spelled.chain(more).collect()
}

/// Correctly signed parameters that must not be, and signatures that belong to something else.
fn forged(forge: &Forge) -> Vec<Attack> {
    let (params, end) = (forge.params(), format!("sx-p={}", PREFIX.len()));
    let parameters = [
        ("uses", format!("{params}&sx-c=u3&{end}"), "constraint_unsupported"),
        ("concurrency", format!("{params}&sx-c=x3&{end}"), "constraint_unsupported"),
        ("a rate", format!("{params}&sx-c=r5-60&{end}"), "constraint_unsupported"),
        ("no length", params.clone(), "not_canonical"),
        ("something behind the length", format!("{params}&{end}&sx-c=gDE"), "not_canonical"),
        ("a leading zero", format!("{params}&sx-p=012"), "not_canonical"),
        ("length 0", format!("{params}&sx-p=0"), "prefix_mismatch"),
        ("a length within a name", format!("{params}&sx-p=11"), "prefix_mismatch"),
        ("a length beyond the path", format!("{params}&sx-p=9999999999"), "prefix_mismatch"),
        ("a shorter folder than was signed", format!("{params}&sx-p=9"), "signature_invalid"),
        ("for PUT", format!("{params}&sx-m=PUT&{end}"), "method_not_signed"),
        ("expired", format!("{}&{end}", forge.params_at(forge.now - 60, forge.now - 1)), "expired"),
        (
            "longer than the route",
            format!("{}&{end}", forge.params_at(forge.now - 9, forge.now + 86_400)),
            "lifetime_exceeds_route",
        ),
    ];
    let signed = parameters.into_iter().flat_map(|(name, params, reason)| {
        let token = forge.token_with(PREFIX, &params);
        let both = [by_path(forge, name, &token, "/reports/42/a"), by_cookie(forge, name, &token, "/reports/42/a")];
        both.map(|attack| attack.refused(reason))
    });
    let (params, host) = (format!("{params}&{end}"), &forge.host);
    let messages = [
        ("signed as a URL", format!("sx1\n{host}\n{PREFIX}\n{params}")),
        ("signed for another host", format!("sx1p\nfiles.example.com:8443\n{PREFIX}\n{params}")),
        ("signed for another folder", format!("sx1p\n{host}\n/reports/43/\n{params}")),
        ("signed without its prefix", format!("sx1p\n{host}\n\n{params}")),
    ];
    let other = messages.into_iter().flat_map(|(name, message)| {
        let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(&params), forge.signature(&message));
        let both = [by_path(forge, name, &token, "/reports/42/a"), by_cookie(forge, name, &token, "/reports/42/a")];
        both.map(|attack| attack.refused("signature_invalid"))
    });
    signed.chain(other).collect()
}

fn cookies(forge: &Forge) -> Vec<Attack> {
    let token = forge.token(PREFIX);
    let other = forge.token("/reports/43/");
    let with = |name: &str, line: String| Attack::new("cookie", name, forge, "/reports/42/a").header(line);
    let link = forge.link("/reports/42/a");
    vec![
        with("twice", format!("Cookie: __Host-sx={token}; __Host-sx={token}")).refused("not_canonical"),
        with("in two lines", format!("Cookie: __Host-sx={token}\r\nCookie: __Host-sx={other}"))
            .refused("not_canonical"),
        with("another case of its name", format!("Cookie: __host-sx={token}")).refused("signature_missing"),
        with("another name", format!("Cookie: sx={token}; __Secure-sx={token}")).refused("signature_missing"),
        with("quoted", format!("Cookie: __Host-sx=\"{token}\"")).refused("not_canonical"),
        with("not UTF-8", "Cookie: __Host-sx=".to_owned()).refused("not_canonical"),
        with("in another header", format!("Cookie2: __Host-sx={token}")).refused("signature_missing"),
        Attack::new("cookie", "does not save a bad link", forge, format!("{link}x"))
            .header(format!("Cookie: __Host-sx={token}"))
            .refused("not_canonical"),
        Attack::new("cookie", "a good link beside a bad one", forge, &link)
            .header("Cookie: a=1; __Host-sx=broken; b=2")
            .without(&["broken"]),
        with("PUT with one for GET", format!("Cookie: __Host-sx={token}")).method("PUT").refused("method_not_signed"),
        // The path's token comes first, and the cookie is not read.
        Attack::new("cookie", "beside a token in the path", forge, format!("/~sx/{token}/reports/42/a"))
            .header(format!("Cookie: __Host-sx={other}"))
            .without(&[&other]),
    ]
}

/// Tokens that are bound to a network.
fn bound(forge: &Forge) -> Vec<Attack> {
    let token = forge.token_with(PREFIX, &format!("{}&sx-c=i0a000000~8&sx-p={}", forge.params(), PREFIX.len()));
    let path = "/reports/42/a";
    let both = [
        by_path(forge, "bound to another network", &token, path),
        by_cookie(forge, "bound to another network", &token, path),
    ];
    let spoofed =
        by_path(forge, "bound to a network that is spoofed", &token, path).header("X-Forwarded-For: 10.1.2.3");
    let mut list: Vec<Attack> = both.into_iter().map(|attack| attack.refused("network_mismatch")).collect();
    list.push(spoofed.refused("network_mismatch").asked(Verdict::Unasked));
    list
}
