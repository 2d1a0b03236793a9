//! Owns the vectors about paths ("Attacks", path).

use super::Vector;
use super::make::{HOST, PARAMS, request, signed, target};

const GOOD: &[(&str, &str)] = &[
    ("the root", "/"),
    ("a file", "/t/acme/reports/q3.pdf"),
    ("a folder", "/a/b/"),
    ("three dots are a name", "/.../a"),
    ("dots inside names", "/.well-known/a..b/c."),
    ("all raw sub-delimiters but the semicolon", "/a!$&'()*+,=:@-._~"),
    ("escaped sub-delimiters", "/a%21%24%26%27%28%29%2A%2B%2C%3D%3A%40"),
    ("escaped space, quote, hash and question mark", "/a%20%22%23%3F"),
    ("two bytes of UTF-8", "/%C3%BC"),
    ("three bytes of UTF-8", "/%E2%82%AC"),
    ("four bytes of UTF-8", "/%F0%9F%98%80"),
    ("~sx only as the first segment is reserved", "/a/~sx/b"),
    ("a name beginning with ~sx", "/~sxa"),
    ("an asterisk is a name", "/reports/*"),
];

const BAD: &[(&str, &str)] = &[
    ("dot segment", "/a/./b"),
    ("dot-dot segment", "/a/../b"),
    ("dot-dot segment at the end", "/a/.."),
    ("dot segment at the end", "/a/."),
    ("dot-dot segment at the beginning", "/../a"),
    ("encoded dot-dot segment, lower case", "/a/%2e%2e/b"),
    ("encoded dot-dot segment, upper case", "/a/%2E%2E/b"),
    ("half-encoded dot-dot segment", "/a/.%2E/b"),
    ("dot-dot segment with a parameter", "/a/..;p/b"),
    ("dot-dot segment with an encoded parameter", "/a/..%3Bp/b"),
    ("semicolon", "/a;v=1"),
    ("encoded semicolon", "/a%3B"),
    ("empty segment", "/a//b"),
    ("empty segment at the beginning", "//a"),
    ("empty segment at the end", "/a//"),
    ("encoded slash", "/a%2Fb"),
    ("encoded slash, lower case", "/a%2fb"),
    ("encoded backslash", "/a%5Cb"),
    ("backslash", "/a\\b"),
    ("encoded percent", "/a%25b"),
    ("doubly encoded dot-dot segment", "/a/%252e%252e/b"),
    ("encoded NUL", "/a%00"),
    ("encoded line feed", "/a%0Ab"),
    ("encoded CR LF", "/a%0D%0AX-Header:%20b"),
    ("encoded DEL", "/a%7F"),
    ("encoded letter", "/%61"),
    ("encoded digit", "/%31"),
    ("encoded tilde", "/%7Ea"),
    ("encoded hyphen", "/a%2Db"),
    ("lower-case escape", "/%c3%bc"),
    ("mixed-case escape", "/%c3%BC"),
    ("overlong dot", "/%C0%AE%C0%AE/a"),
    ("overlong slash", "/a%E0%80%AFb"),
    ("surrogate", "/%ED%A0%80"),
    ("above the last code point", "/%F4%90%80%80"),
    ("Latin-1", "/%FC"),
    ("truncated UTF-8", "/%E2%82"),
    ("UTF-8 across a slash", "/%C3/%BC"),
    ("lone continuation byte", "/%80"),
    ("bare percent", "/a%"),
    ("half an escape", "/a%4"),
    ("no hexadecimal digits", "/a%GG"),
    ("IIS-style escape", "/%u002e"),
    ("raw non-ASCII", "/ü"),
    ("space", "/a b"),
    ("tab", "/a\tb"),
    ("CR LF", "/a\r\nHost: evil.example"),
    ("NUL", "/a\0b"),
    ("fragment", "/a#b"),
    ("angle bracket", "/<a>"),
    ("square bracket", "/a[1]"),
    ("brace", "/{a}"),
    ("pipe", "/a|b"),
    ("caret", "/a^b"),
    ("backtick", "/a`b"),
    ("quote", "/\"a\""),
    ("no leading slash", "a/b"),
    ("asterisk form", "*"),
    ("empty", ""),
    ("absolute form", "https://cdn.example.com/a"),
    ("absolute form of another host", "http://evil.example/a"),
    ("the reserved segment", "/~sx"),
    ("below the reserved segment, no token", "/~sx/a"),
];

/// Signed for one path, requested as another.
const CHANGED: &[(&str, &str, &str)] = &[
    ("another case", "/reports/q3.pdf", "/reports/Q3.pdf"),
    ("another segment below a literal asterisk", "/reports/*", "/reports/a"),
    ("a route's prefix stripped before verification", "/t/acme/reports/q3.pdf", "/reports/q3.pdf"),
    ("a route's prefix added before verification", "/reports/q3.pdf", "/t/acme/reports/q3.pdf"),
    ("a trailing slash added", "/reports/q3.pdf?", "/reports/q3.pdf/?"),
    ("a sub-delimiter escaped on the way", "/a!b", "/a%21b"),
    ("a sub-delimiter unescaped on the way", "/a%21b", "/a!b"),
    ("a decomposed character", "/%C3%BC", "/u%CC%88"),
    ("a file beside the signed one", "/reports/q3.pdf", "/reports/q4.pdf"),
];

pub(super) fn vectors() -> Vec<Vector> {
    let good = GOOD.iter().map(|(name, path)| target("path", name, path).admitted(path));
    let bad = BAD.iter().map(|(name, path)| target("path", name, path).refused("not_canonical"));
    let changed = CHANGED.iter().map(|(name, from, to)| {
        let path = from.trim_end_matches('?');
        target("path", name, path).tampered(from, to).refused("signature_invalid")
    });
    let longest = format!("/{}", "a".repeat(8191 - format!("?{PARAMS}&sx-s=").len() - 86));
    let bound = [
        target("path", "8192 bytes with the signature", &longest).admitted(&longest),
        target("path", "8193 bytes with the signature", &(longest + "a")).refused("not_canonical"),
        request("path", "no signature", HOST, "/a").refused("signature_missing"),
        request("path", "no signature, with a query", HOST, "/a?b=c").refused("signature_missing"),
        signed("path", "a path taken for a query", HOST, &format!("/a%3F{PARAMS}")).refused("signature_missing"),
    ];
    good.chain(bad).chain(changed).chain(bound).collect()
}
