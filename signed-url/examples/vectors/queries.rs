//! Owns the vectors about the application's query ("Attacks", query).

use super::Vector;
use super::make::{HOST, PARAMS, signed, target};

const GOOD: &[(&str, &str)] = &[
    ("one parameter", "/a?v=2"),
    ("a name without a value", "/a?download"),
    ("duplicate names, verbatim", "/a?v=1&v=2"),
    ("an empty parameter inside", "/a?v=1&&w=2"),
    ("plus", "/a?q=a+b"),
    ("escaped space", "/a?q=a%20b"),
    ("lower-case escapes", "/a?q=%c3%bc%2f"),
    (
        "escaped semicolon, slash and percent",
        "/a?response-content-disposition=attachment%3B%20filename%3D%22a%2Fb%25.pdf%22",
    ),
    ("raw semicolon", "/a?v=1;w=2"),
    ("slashes, question marks and dots", "/a?next=/../b//?c"),
    ("brackets and other visible ASCII", "/a?a[]=1&b={}|\\^`'"),
    ("sx- as a value", "/a?v=sx-s"),
    ("sx- inside a name", "/a?asx-s=1"),
    ("sx without the hyphen", "/a?sx=1"),
    ("a doubly encoded sx- name", "/a?sx%252Ds=1"),
    ("sx-k after a question mark inside a name", "/a?sxdf?sx-k=v=2"),
    ("sx-k after a question mark inside a value", "/a?v=1?sx-k=AAECAwQFBgcI"),
    ("sx-k after an ampersand in the path", "/a&sx-k=AAECAwQFBgcI"),
    ("sx-s after an ampersand in the path", "/a&sx-s=AAAA?v=1"),
];

/// Application queries that are refused, correctly signed with the parameters behind them.
const BAD: &[(&str, &str)] = &[
    ("sx-s before the block", "/a?sx-s=1"),
    ("an unknown sx- name", "/a?sx-z=1"),
    ("an sx- name without a value", "/a?sx-z"),
    ("only sx-", "/a?sx-=1"),
    ("SX-S", "/a?SX-S=1"),
    ("mixed case", "/a?Sx-k=1"),
    ("sx%2Ds", "/a?sx%2Ds=1"),
    ("sx%2ds", "/a?sx%2ds=1"),
    ("an escaped first letter", "/a?%73x-s=1"),
    ("all three escaped, upper case", "/a?%53%58%2D=1"),
    ("an sx- name after a semicolon", "/a?v=1;sx-s=1"),
    ("sx-k after a semicolon", "/a?v=1;sx-k=AAECAwQFBgcI"),
    ("sx-s without the hyphen's neighbours changed, second parameter", "/a?v=1&sx-s=1"),
    ("an overlong s", "/a?%C1%B3x-s=1"),
    ("leading ampersand", "/a?&v=1"),
    ("only an ampersand", "/a?&"),
    ("trailing ampersand", "/a?v=1&"),
    ("encoded NUL", "/a?v=%00"),
    ("encoded CR LF", "/a?v=%0d%0aX:1"),
    ("Latin-1", "/a?v=%FC"),
    ("bare percent", "/a?v=100%"),
    ("no hexadecimal digits", "/a?v=%zz"),
    ("space", "/a?v=a b"),
    ("CR LF", "/a?v=1\r\nX: 1"),
    ("non-ASCII", "/a?v=ü"),
    ("quote", "/a?v=\"1\""),
    ("angle bracket", "/a?v=<1>"),
    ("fragment", "/a?v=1#x"),
];

/// Signed with `v=1&w=2`, requested otherwise.
const CHANGED: &[(&str, &str, &str, &str)] = &[
    ("reordered", "v=1&w=2", "w=2&v=1", "signature_invalid"),
    ("a value changed", "v=1", "v=2", "signature_invalid"),
    ("a parameter dropped", "v=1&w=2", "v=1", "signature_invalid"),
    ("the query dropped", "v=1&w=2&", "", "signature_invalid"),
    ("a parameter added", "v=1&", "v=1&x=1&", "signature_invalid"),
    ("a duplicate added", "w=2&", "w=2&w=3&", "signature_invalid"),
    ("plus for %20", "v=1", "v=+", "signature_invalid"),
    ("semicolon for ampersand", "v=1&w", "v=1;w", "signature_invalid"),
    ("semicolon before the block", "&sx-k", ";sx-k", "not_canonical"),
    ("semicolon inside the block", "&sx-e", ";sx-e", "not_canonical"),
    ("semicolon before the signature", "&sx-s", ";sx-s", "not_canonical"),
    ("SX-S for sx-s", "&sx-s", "&SX-S", "not_canonical"),
    ("sx%2Ds for sx-s", "&sx-s", "&sx%2Ds", "not_canonical"),
    ("an escaped value", "AAECAwQFBgcI", "AAECAwQFBgc%49", "not_canonical"),
    ("an application parameter inside the block", "&sx-e", "&x=1&sx-e", "not_canonical"),
];

pub(super) fn vectors() -> Vec<Vector> {
    let good = GOOD.iter().map(|(name, text)| target("query", name, text).admitted(text));
    let bad = BAD.iter().map(|(name, text)| target("query", name, text).refused("not_canonical"));
    let changed = CHANGED
        .iter()
        .map(|(name, from, to, reason)| target("query", name, "/a?v=1&w=2").tampered(from, to).refused(reason));
    let ends = [
        target("query", "a parameter after the signature", "/a").with(|v| v.target += "&v=1").refused("not_canonical"),
        target("query", "a second signature", "/a").with(|v| v.target += "&sx-s=AAAA").refused("not_canonical"),
        target("query", "an ampersand after the signature", "/a").with(|v| v.target += "&").refused("not_canonical"),
        target("query", "a fragment after the signature", "/a").with(|v| v.target += "#a").refused("not_canonical"),
        target("query", "a line feed after the signature", "/a").with(|v| v.target += "\n").refused("not_canonical"),
        signed("query", "an ampersand after the question mark", HOST, &format!("/a?&{PARAMS}"))
            .refused("not_canonical"),
        signed("query", "two ampersands before the block", HOST, &format!("/a?v=1&&{PARAMS}")).refused("not_canonical"),
        signed("query", "a second question mark", HOST, &format!("/a?v=1?{PARAMS}")).refused("not_canonical"),
        signed("query", "the block twice", HOST, &format!("/a?{PARAMS}&{PARAMS}")).refused("not_canonical"),
    ];
    good.chain(bad).chain(changed).chain(ends).collect()
}
