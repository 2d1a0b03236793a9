//! What a signature does not cover: the method and headers that would change what the backend does (signed-url.md, "Attacks", unsigned
//! inputs), and policies that deny or fail.

use super::{Attack, Verdict};
use crate::forge::Forge;

const METHODS: &[&str] =
    &["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "COPY", "get", "GETT", "M-SEARCH"];

/// Headers that tell a backend another request than the signed one, and the word that must not arrive.
const REMOVED: &[(&str, &str)] = &[
    ("X-HTTP-Method-Override: DELETE", "delete"),
    ("X-HTTP-Method: DELETE", "delete"),
    ("X-Method-Override: DELETE", "delete"),
    ("X_HTTP_Method_Override: DELETE", "delete"),
    ("X-HTTP_Method-Override: DELETE", "delete"),
    ("X-Original-URL: /secret", "/secret"),
    ("X-Original-Method: DELETE", "delete"),
    ("X-Rewrite-URL: /secret", "/secret"),
    ("X_Rewrite_Url: /secret", "/secret"),
    ("X-Amz-Copy-Source: /secret/object", "/secret"),
    ("X-Minio-Copy-Source: /secret/object", "/secret"),
    ("X-Goog-Copy-Source: /secret/object", "/secret"),
    ("X-Ms-Copy-Source: /secret/object", "/secret"),
    ("X-Ms-Rename-Source: /secret/object", "/secret"),
    ("Authly-Target: /secret", "/secret"),
    ("X-Authly-User: admin", "admin"),
    ("Proxy-Authorization: Basic YWRtaW46", "basic"),
    ("Via: 1.1 admin", "admin"),
    ("X-Secret-Hop: admin\r\nConnection: X-Secret-Hop", "admin"),
];

/// Headers that belong to the client and change nothing of what may be read.
const KEPT: &[&str] =
    &["Range: bytes=0-99", "If-None-Match: \"x\"", "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"];

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    let link = forge.link("/reports/q3.pdf");
    let put = forge.link_with("/uploads/a", "&sx-m=PUT");
    let new = |group: &str, name: &str, target: &str| Attack::new(group, name, forge, target);
    let methods = METHODS.iter().map(|method| new("method", method, &link).method(method).refused("method_not_signed"));
    let removed = REMOVED.iter().map(|(line, word)| {
        let name = line.split(':').next().unwrap_or_default();
        new("header", name, &link).header(line).without(&[word])
    });
    let kept = KEPT.iter().map(|line| new("header", line, &link).header(line).without(&[]));
    let more = [
        new("method", "GET of a link for PUT", &put).refused("method_not_signed"),
        new("method", "HEAD of a link for PUT", &put).method("HEAD").refused("method_not_signed"),
        new("method", "POST of a link for PUT", &put).method("POST").refused("method_not_signed"),
        new("method", "PUT of a link for PUT", &put).method("PUT").without(&[]),
        new("method", "signed, but not the route's", &forge.link_with("/reports/a", "&sx-m=DELETE"))
            .method("DELETE")
            .refused("method_not_signed"),
        new("method", "not the route's any more beside GET", &forge.link_with("/reports/a", "&sx-m=GET.PUT"))
            .method("PUT")
            .refused("method_not_signed"),
        new("method", "CONNECT", &link).method("CONNECT").refused("method_not_signed").proxied(Verdict::Malformed),
        new("method", "with a space", &link).method("GET GET").refused("method_not_signed").proxied(Verdict::Malformed),
        new("method", "with CR LF", &link).method("GET\r\nX: y").malformed().asked(Verdict::Unasked),
        new("header", "a raw byte that is no UTF-8", &link).header(b"X-Any: \xff\xfe").without(&[]),
        new("header", "a control byte", &link).header("X-Any: a\x01b").malformed(),
        new("header", "a folded line", &link).header("X-Any: a\r\n b").malformed(),
        new("header", "a name with a space", &link).header("X-Any : a").malformed(),
        new("policy", "denied by path", &forge.link("/reports/secret/a")).refused("policy_denied"),
        new("policy", "a forbid that fails denies", &forge.link("/reports/boom/a")).refused("policy_denied"),
        new("policy", "denied for whom it is meant", &forge.link_with("/reports/a", "&sx-w=u.mallory"))
            .refused("policy_denied"),
        new("policy", "another one is not denied", &forge.link_with("/reports/a", "&sx-w=u.alice")).without(&[]),
    ];
    methods.chain(removed).chain(kept).chain(more).collect()
}
