//! Metadata and keys: what decides which tenant answers, and that nothing of the request gets into them (oauth.md: Host and
//! X-Forwarded-Host in the issuer, mix-up).

use crate::world::{Case, World};

const METADATA: &str = "/.well-known/oauth-authorization-server";

pub(crate) fn cases(world: &World) -> Vec<Case> {
    let new = |name: &str, target: &str| Case::get(format!("document: {name}"), target).gives(404, "not_found");
    let metadata = format!("{METADATA}/t/acme");
    let nowhere = [
        ("metadata of nobody", format!("{METADATA}/t/nobody")),
        ("metadata behind the issuer", format!("/t/acme{METADATA}")),
        ("metadata of no tenant", METADATA.to_owned()),
        ("metadata in another case", format!("{METADATA}/t/ACME")),
        ("metadata with something behind", format!("{metadata}/x")),
        ("OpenID metadata, which is not served", "/t/acme/.well-known/openid-configuration".to_owned()),
        ("keys of nobody", "/t/nobody/jwks.json".to_owned()),
        ("keys through another tenant", "/t/acme/../globex/jwks.json".to_owned()),
        ("keys through an escaped dot segment", "/t/acme/%2e%2e/globex/jwks.json".to_owned()),
        ("keys behind an escaped slash", "/t/acme%2Fjwks.json".to_owned()),
        ("keys with an escape", "/t/%61cme/jwks.json".to_owned()),
        ("keys with an empty segment", "//t/acme/jwks.json".to_owned()),
        ("keys with two slashes", "/t/acme//jwks.json".to_owned()),
        ("keys with a parameter", "/t/acme;x/jwks.json".to_owned()),
        ("keys with a slash behind", "/t/acme/jwks.json/".to_owned()),
        ("keys of a name that only begins so", "/t/acmex/jwks.json".to_owned()),
        ("the root", "/".to_owned()),
        ("a path that is no UTF-8", "/t/%ff/jwks.json".to_owned()),
        ("8,000 segments", "/a".repeat(8000)),
    ];
    let nowhere = nowhere.iter().map(|(name, target)| new(name, target));
    let issuer: &'static str = Box::leak(format!("\"issuer\":\"{}\"", world.issuer("acme")).into_boxed_str());
    let good = |name: &str| new(name, &metadata).gives(200, issuer);
    let key: &'static str = Box::leak(world.forge.token_kid.clone().into_boxed_str());
    let rest = [
        good("metadata"),
        good("metadata, with another X-Forwarded-Host").header("X-Forwarded-Host: evil.example"),
        good("metadata, with another Forwarded").header("Forwarded: host=evil.example;proto=http"),
        good("metadata, with another X-Forwarded-Proto").header("X-Forwarded-Proto: gopher"),
        good("metadata, with another X-Original-URL")
            .header("X-Original-URL: /.well-known/oauth-authorization-server/t/globex"),
        new("metadata for another Host", &metadata).host("evil.example"),
        new("metadata for another port", &metadata).host("localhost:1"),
        new("metadata for a Host with a dot behind", &metadata).host("localhost."),
        new("metadata for a Host that is none", &metadata).host("local host").gives(400, ""),
        new("metadata for a Host with user info", &metadata).host("evil@localhost").gives(400, ""),
        new("keys", "/t/acme/jwks.json").gives(200, key),
        new("keys by POST", "/t/acme/jwks.json").method("POST").gives(405, "method_not_allowed"),
        new("keys by TRACE", "/t/acme/jwks.json").method("TRACE").gives(405, "method_not_allowed"),
        new("metadata by DELETE", &metadata).method("DELETE").gives(405, "method_not_allowed"),
    ];
    nowhere.chain(rest).collect()
}
