//! Owns the vectors about prefix tokens, in paths and in cookies ("By prefix").

use super::Vector;
use super::make::{HOST, PARAMS, b64, ed25519, request, token};

const PREFIX: &str = "/videos/42/";

pub(super) fn vectors() -> Vec<Vector> {
    [good(), below(), cookies(), spelling(), parameters()].into_iter().flatten().collect()
}

/// `/~sx/TOKEN` and this path; the token is for `/videos/42/`.
fn path(name: &str, path: &str) -> Vector {
    let params = format!("{PARAMS}&sx-p={}", PREFIX.len());
    with_token(name, &token(HOST, PREFIX, &params), path, &format!("sx1p\n{HOST}\n{PREFIX}\n{params}"))
}

fn with_token(name: &str, token: &str, path: &str, input: &str) -> Vector {
    let vector = request("prefix", name, HOST, &format!("/~sx/{token}{path}"));
    Vector { signing_input: Some(input.to_owned()), ..vector }
}

/// A token with these parameters, correctly signed for `/videos/42/`.
fn params(name: &str, params: &str) -> Vector {
    with_token(name, &token(HOST, PREFIX, params), "/videos/42/a", &format!("sx1p\n{HOST}\n{PREFIX}\n{params}"))
}

fn good() -> Vec<Vector> {
    let root = format!("{PARAMS}&sx-p=1");
    vec![
        path("the design page's", "/videos/42/seg1.ts").admitted("/videos/42/seg1.ts"),
        path("the folder itself", "/videos/42/").admitted("/videos/42/"),
        path("folders below", "/videos/42/a/b/c.ts").admitted("/videos/42/a/b/c.ts"),
        path("a query, which is not signed", "/videos/42/a.m3u8?_HLS_msn=7").admitted("/videos/42/a.m3u8?_HLS_msn=7"),
        with_token("the root", &token(HOST, "/", &root), "/a/b", &format!("sx1p\n{HOST}\n/\n{root}")).admitted("/a/b"),
    ]
}

fn below() -> Vec<Vector> {
    let cases = [
        ("another folder of the same length", "/videos/43/seg1.ts", "signature_invalid"),
        ("another case", "/Videos/42/seg1.ts", "signature_invalid"),
        ("the folder without its slash", "/videos/42", "prefix_mismatch"),
        ("a folder whose name only begins so", "/videos/421/seg1.ts", "prefix_mismatch"),
        ("above", "/videos/", "prefix_mismatch"),
        ("only the root", "/", "prefix_mismatch"),
        ("a slash in the query", "/videos/4?/a", "prefix_mismatch"),
        ("dot-dot segment", "/videos/42/../43/seg1.ts", "not_canonical"),
        ("encoded dot-dot segment", "/videos/42/%2e%2e/43/seg1.ts", "not_canonical"),
        ("dot-dot segment with a parameter", "/videos/42/..;/43/seg1.ts", "not_canonical"),
        ("encoded slash", "/videos/42/..%2F43/seg1.ts", "not_canonical"),
        ("empty segment", "/videos/42//seg1.ts", "not_canonical"),
        ("empty segment after the token", "//videos/42/seg1.ts", "not_canonical"),
        ("nothing after the token", "", "not_canonical"),
        ("a query directly after the token", "?v=1", "not_canonical"),
        ("an sx- parameter beside a token", "/videos/42/a?sx-s=1", "not_canonical"),
        ("fragment", "/videos/42/a#b", "not_canonical"),
    ];
    cases.into_iter().map(|(name, text, reason)| path(name, text).refused(reason)).collect()
}

fn cookies() -> Vec<Vector> {
    let params = format!("{PARAMS}&sx-p={}", PREFIX.len());
    let input = format!("sx1p\n{HOST}\n{PREFIX}\n{params}");
    let value = token(HOST, PREFIX, &params);
    let cookie = |name: &str, target: &str| {
        let vector = request("cookie", name, HOST, target);
        Vector { cookie: Some(value.clone()), signing_input: Some(input.clone()), ..vector }
    };
    let url = super::make::target("cookie", "a signed URL goes before a cookie", "/a");
    vec![
        cookie("inside", "/videos/42/seg1.ts").admitted("/videos/42/seg1.ts"),
        cookie("inside, with a query", "/videos/42/a?v=1").admitted("/videos/42/a?v=1"),
        cookie("another folder", "/videos/43/seg1.ts").refused("signature_invalid"),
        cookie("outside", "/audio").refused("prefix_mismatch"),
        cookie("another host", "/videos/42/a")
            .with(|v| v.host = "evil.example".to_owned())
            .refused("signature_invalid"),
        cookie("not canonical", "/videos/42/./a").refused("not_canonical"),
        cookie("an sx- parameter beside it", "/videos/42/a?SX-E=1").refused("not_canonical"),
        cookie("no token", "/videos/42/a").with(|v| v.cookie = Some(String::new())).refused("not_canonical"),
        cookie("quoted", "/videos/42/a").with(|v| v.cookie = Some(format!("\"{value}\""))).refused("not_canonical"),
        cookie("two tokens", "/videos/42/a")
            .with(|v| v.cookie = Some(format!("{value}.{value}")))
            .refused("not_canonical"),
        cookie("a bad URL is not saved by a cookie", "/videos/42/a?sx-k=1").refused("not_canonical"),
        url.with(|v| v.cookie = Some("broken".to_owned())).admitted("/a"),
    ]
}

/// Spellings of the token around correct bytes.
fn spelling() -> Vec<Vector> {
    let params = format!("{PARAMS}&sx-p={}", PREFIX.len());
    let value = token(HOST, PREFIX, &params);
    let (left, right) = value.split_once('.').unwrap();
    let swapped = format!("{right}.{left}");
    let bits = format!("{}B", &right[..right.len() - 1]);
    let tokens = [
        ("no dot", format!("{left}{right}")),
        ("no signature", format!("{left}.")),
        ("no parameters", format!(".{right}")),
        ("padded parameters", format!("{left}=.{right}")),
        ("padded signature", format!("{left}.{right}==")),
        ("swapped", swapped),
        ("three parts, as a JWT has", format!("{left}.{left}.{right}")),
        ("trailing bits in the signature", format!("{left}.{bits}")),
        ("an escaped dot", format!("{left}%2E{right}")),
        ("parameters not encoded", format!("{params}.{right}")),
        ("parameters that are not UTF-8", format!("{}.{right}", b64(&[0xff; 80]))),
        ("empty", String::new()),
    ];
    let bad =
        tokens.into_iter().map(|(name, text)| with_token(name, &text, "/videos/42/a", "").refused("not_canonical"));
    let forged = [
        ("signed as a URL", format!("sx1\n{HOST}\n{PREFIX}\n{params}")),
        ("signed for another host", format!("sx1p\nevil.example\n{PREFIX}\n{params}")),
        ("signed for another prefix", format!("sx1p\n{HOST}\n/videos/43/\n{params}")),
    ];
    let forged = forged.into_iter().map(|(name, input)| {
        let text = format!("{left}.{}", b64(&ed25519(&input)));
        with_token(name, &text, "/videos/42/a", "").refused("signature_invalid")
    });
    bad.chain(forged).collect()
}

fn parameters() -> Vec<Vector> {
    let p = format!("sx-p={}", PREFIX.len());
    let cases = [
        ("uses", format!("{PARAMS}&sx-c=u3&{p}"), "constraint_unsupported"),
        ("concurrency", format!("{PARAMS}&sx-c=x3&{p}"), "constraint_unsupported"),
        ("an unknown constraint", format!("{PARAMS}&sx-c=z3&{p}"), "constraint_unsupported"),
        ("no length", PARAMS.to_owned(), "not_canonical"),
        ("a signature in place of the length", format!("{PARAMS}&sx-s=1"), "not_canonical"),
        ("something after the length", format!("{PARAMS}&{p}&sx-c=gDE"), "not_canonical"),
        ("an ampersand after the length", format!("{PARAMS}&{p}&"), "not_canonical"),
        ("the length first", format!("{p}&{PARAMS}"), "not_canonical"),
        ("a leading zero in the length", format!("{PARAMS}&sx-p=011"), "not_canonical"),
        ("an application parameter", format!("v=1&{PARAMS}&{p}"), "not_canonical"),
        ("a line feed in the parameters", format!("{PARAMS}&{p}\n"), "not_canonical"),
        ("length 0", format!("{PARAMS}&sx-p=0"), "prefix_mismatch"),
        ("a length within a name", format!("{PARAMS}&sx-p=10"), "prefix_mismatch"),
        ("a length beyond the path", format!("{PARAMS}&sx-p=9999999999"), "prefix_mismatch"),
        ("a shorter folder than was signed", format!("{PARAMS}&sx-p=8"), "signature_invalid"),
    ];
    let bad = cases.into_iter().map(|(name, text, reason)| params(name, &text).refused(reason));
    let good = [
        params("a rate", &format!("{PARAMS}&sx-c=r5-60&{p}")).needs_online("/videos/42/a"),
        params("a country", &format!("{PARAMS}&sx-c=gDE&{p}"))
            .with(|v| v.country = Some("DE".to_owned()))
            .admitted("/videos/42/a"),
        params("a method", &format!("{PARAMS}&sx-m=PUT&{p}")).refused("method_not_signed"),
        params("expired", &format!("{PARAMS}&{p}")).with(|v| v.now = super::make::EXPIRES).refused("expired"),
    ];
    good.into_iter().chain(bad).collect()
}
