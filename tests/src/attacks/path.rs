//! Paths (signed-url.md, "Attacks", path). All but the changed ones carry a correct signature of exactly these bytes.

use super::{Attack, Verdict};
use crate::forge::Forge;

const REFUSED: &[(&str, &str)] = &[
    ("dot segment", "/reports/./q3.pdf"),
    ("dot-dot segment", "/reports/../secret"),
    ("dot-dot segment at the end", "/reports/a/.."),
    ("dot-dot segment at the beginning", "/../reports/q3.pdf"),
    ("encoded dot-dot segment, lower case", "/reports/%2e%2e/secret"),
    ("encoded dot-dot segment, upper case", "/reports/%2E%2E/secret"),
    ("half-encoded dot-dot segment", "/reports/.%2E/secret"),
    ("dot-dot segment with a parameter", "/reports/..;p/secret"),
    ("dot-dot segment with an encoded parameter", "/reports/..%3Bp/secret"),
    ("dot segment with a parameter", "/reports/.;/q3.pdf"),
    ("path parameter", "/reports/q3.pdf;v=1"),
    ("empty segment", "/reports//q3.pdf"),
    ("empty segment at the beginning", "//reports/q3.pdf"),
    ("empty segment at the end", "/reports/a//"),
    ("encoded slash", "/reports/..%2Fsecret"),
    ("encoded slash, lower case", "/reports/..%2fsecret"),
    ("encoded backslash", "/reports/..%5Csecret"),
    ("encoded percent", "/reports/a%25b"),
    ("doubly encoded dot-dot segment", "/reports/%252e%252e/secret"),
    ("doubly encoded slash", "/reports/..%252Fsecret"),
    ("encoded NUL", "/reports/q3.pdf%00.txt"),
    ("encoded line feed", "/reports/a%0Ab"),
    ("encoded CR LF", "/reports/a%0D%0AX-Header:%20b"),
    ("encoded DEL", "/reports/a%7F"),
    ("encoded letter", "/reports/%71%33.pdf"),
    ("encoded dot in a name", "/reports/q3%2Epdf"),
    ("encoded prefix of the route", "/%72eports/q3.pdf"),
    ("lower-case escape", "/reports/%c3%bc"),
    ("overlong dots", "/reports/%C0%AE%C0%AE/secret"),
    ("overlong slash", "/reports/..%C0%AFsecret"),
    ("overlong slash of three bytes", "/reports/..%E0%80%AFsecret"),
    ("full-width slash in an unfinished escape", "/reports/..%EF%BC"),
    ("surrogate", "/reports/%ED%A0%80"),
    ("Latin-1", "/reports/%FC"),
    ("lone continuation byte", "/reports/%80"),
    ("bare percent", "/reports/100%"),
    ("half an escape", "/reports/a%4"),
    ("no hexadecimal digits", "/reports/a%GG"),
    ("IIS-style escape", "/reports/%u002e%u002e/secret"),
    ("square bracket", "/reports/a[1]"),
    ("pipe", "/reports/a|b"),
    ("caret", "/reports/a^b"),
    ("brace", "/reports/{a}"),
    ("quote", "/reports/\"a\""),
    ("backslash", "/reports/..\\secret"),
    ("the reserved segment without a token", "/~sx/reports/q3.pdf"),
];

/// No byte of these may stand in a request line, but it may in a header.
const UNSENDABLE: &[(&str, &str)] = &[
    ("space", "/reports/a b"),
    ("tab", "/reports/a\tb"),
    ("angle bracket", "/reports/<a>"),
    ("backtick", "/reports/a`b"),
    ("asterisk form", "*"),
    ("no leading slash", "reports/q3.pdf"),
];

/// Signed for one path, asked for as another.
const CHANGED: &[(&str, &str, &str, &str)] = &[
    ("another file", "/reports/q3.pdf", "/reports/q4.pdf", "signature_invalid"),
    ("another case", "/reports/q3.pdf", "/reports/Q3.pdf", "signature_invalid"),
    ("another case of the route", "/reports/q3.pdf", "/Reports/q3.pdf", "no_route"),
    ("a segment below a literal asterisk", "/reports/*", "/reports/a", "signature_invalid"),
    ("a trailing slash added", "/reports/q3.pdf?", "/reports/q3.pdf/?", "signature_invalid"),
    ("a folder below a file", "/reports/q3.pdf?", "/reports/q3.pdf/a?", "signature_invalid"),
    ("the route's prefix stripped", "/reports/uploads/a", "/uploads/a", "signature_invalid"),
    ("the route's prefix added", "/uploads/a", "/reports/uploads/a", "signature_invalid"),
    ("a prefix without its slash", "/reports/q3.pdf", "/reportsq3.pdf", "no_route"),
    ("a sub-delimiter escaped on the way", "/reports/a!b", "/reports/a%21b", "signature_invalid"),
    ("a sub-delimiter unescaped on the way", "/reports/a%21b", "/reports/a!b", "signature_invalid"),
    ("a decomposed character", "/reports/%C3%BC", "/reports/u%CC%88", "signature_invalid"),
    ("a path of no route", "/reports/q3.pdf", "/elsewhere/q3.pdf", "no_route"),
];

const GOOD: &[(&str, &str)] = &[
    ("a file", "/reports/q3.pdf"),
    ("sub-delimiters", "/reports/a$&+,=:@-._~"),
    ("sub-delimiters that some escape", "/reports/a!'()*"),
    ("UTF-8", "/reports/%F0%9F%98%80"),
    ("dots inside names", "/reports/.well-known/a..b/c."),
];

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    let new = |name: &str, target: &str| Attack::new("path", name, forge, target);
    let refused = REFUSED.iter().map(|(name, path)| new(name, &forge.link(path)).refused("not_canonical"));
    let unsendable = UNSENDABLE
        .iter()
        .map(|(name, path)| new(name, &forge.link(path)).refused("not_canonical").proxied(Verdict::Malformed));
    let changed = CHANGED.iter().map(|(name, from, to, reason)| {
        let link = forge.link(from.trim_end_matches('?'));
        assert!(link.contains(from), "{name}: nothing to replace");
        new(name, &link.replacen(from, to, 1)).refused(reason)
    });
    let good = GOOD.iter().map(|(name, path)| new(name, &forge.link(path)).without(&[]));
    let longest = format!("/reports/{}", "a".repeat(8192 - forge.link("/reports/").len()));
    let more = [
        new("no signature", "/reports/q3.pdf").refused("signature_missing"),
        new("no signature, with a query", "/reports/q3.pdf?a=b").refused("signature_missing"),
        new("a query taken for a path", &forge.sign(&format!("/reports/a%3F{}", forge.params())))
            .refused("signature_missing"),
        new("8192 bytes", &forge.link(&longest)).without(&[]),
        new("8193 bytes", &forge.link(&format!("{longest}a"))).refused("not_canonical"),
        new("a raw non-ASCII letter", &forge.link("/reports/ü")).refused("not_canonical"),
        new("CR LF", &forge.link("/reports/a\r\nHost: evil.example")).malformed(),
        new("a line feed", &forge.link("/reports/a\nX: b")).malformed().asked(Verdict::Unasked),
        new("NUL", &forge.link("/reports/a\0b")).malformed(),
        // What follows # never reaches us as a request line; told by a proxy, it is refused.
        new("a fragment before the query", &forge.link("/reports/q3.pdf#a"))
            .refused("not_canonical")
            .proxied(Verdict::Refused("signature_missing")),
    ];
    refused.chain(unsendable).chain(changed).chain(good).chain(more).collect()
}
