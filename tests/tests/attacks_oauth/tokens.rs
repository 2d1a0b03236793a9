//! Access tokens at introspection, revocation and the signing API (RFC 6750, 7009, 7662, 9068): forged, borrowed, broken.

use authly_tests::forge::Forge;
use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::world::{Case, World, b64};

/// What a good token of `shop.billing` claims.
fn claims(world: &World) -> Value {
    let now = world.forge.now;
    json!({
        "iss": world.issuer("acme"), "sub": "shop.billing", "aud": world.issuer("acme"), "client_id": "shop.billing",
        "iat": now, "exp": now + 3600, "jti": "AAAAAAAAAAAAAAAAAAAAAA", "scope": "read signed_urls",
    })
}

/// Signed with a tenant's token key.
fn jws(forge: &Forge, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(claims));
    format!("{message}.{}", forge.token_signature(&message))
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!([]), |inner, _| json!([inner]))
}

/// Tokens that no endpoint may take.
fn forged(world: &World) -> Vec<(String, String)> {
    let forge = &world.forge;
    let kid = &forge.token_kid;
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
    let with = |changes: &[(&str, Value)]| {
        let mut claims = claims(world);
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        jws(forge, &header.to_string(), &claims.to_string())
    };
    let head = |changes: &[(&str, Value)]| {
        let mut header = header.clone();
        for (name, value) in changes {
            header[*name] = value.clone();
        }
        jws(forge, &header.to_string(), &claims(world).to_string())
    };
    let good = &world.tokens["own"];
    let parts: Vec<&str> = good.split('.').collect();
    let message = format!("{}.{}", b64(header.to_string()), b64(claims(world).to_string()));
    let hs = format!("{}.{}", b64(json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}).to_string()), parts[1]);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, kid.as_bytes()), hs.as_bytes());
    let url_key =
        format!("{}.{}", b64(json!({"alg": "EdDSA", "typ": "at+jwt", "kid": forge.kid}).to_string()), parts[1]);
    let inside = claims(world).to_string();
    let inside = &inside[1..inside.len() - 1];
    let text = |text: String| jws(forge, &header.to_string(), &text);
    let now = forge.now;
    [
        ("random text", "x".to_owned()),
        ("a truncated one", good[..good.len() - 3].to_owned()),
        ("one without a signature", format!("{}.{}.", parts[0], parts[1])),
        ("one with four parts", format!("{good}.x")),
        ("other claims", format!("{}.{}.{}", parts[0], b64(claims(world).to_string()), parts[2])),
        ("alg none", format!("{}.{}.", b64(r#"{"alg":"none","typ":"at+jwt"}"#), parts[1])),
        ("HS256 with the kid", format!("{hs}.{}", b64(mac))),
        ("another algorithm in its header", head(&[("alg", json!("RS256"))])),
        ("the type JWT", head(&[("typ", json!("JWT"))])),
        ("no type", head(&[("typ", Value::Null)])),
        ("no kid", head(&[("kid", Value::Null)])),
        ("a kid of nobody", head(&[("kid", json!("AAAAAAAAAAAAAAAAAAAAAA"))])),
        ("a kid that is a path", head(&[("kid", json!("../jwks.json"))])),
        ("crit", head(&[("crit", json!(["exp"]))])),
        ("the URL key's id, signed by the token key", head(&[("kid", json!(forge.kid))])),
        ("the URL key", format!("{url_key}.{}", forge.signature(&url_key))),
        ("the URL key under the token key's id", format!("{message}.{}", forge.signature(&message))),
        ("another tenant's key", format!("{message}.{}", world.other.token_signature(&message))),
        ("another tenant's token", world.tokens["of another tenant"].clone()),
        ("another tenant's key and id", {
            let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": world.other.token_kid});
            jws(&world.other, &header.to_string(), &claims(world).to_string())
        }),
        ("another issuer", with(&[("iss", json!(world.issuer("globex")))])),
        ("an issuer with a slash more", with(&[("iss", json!(format!("{}/", world.issuer("acme"))))])),
        ("expired", with(&[("exp", json!(now - 1))])),
        ("no expiry", with(&[("exp", Value::Null)])),
        ("an expiry as text", with(&[("exp", json!("9999999999"))])),
        ("a broken expiry", with(&[("exp", json!(9_999_999_999.5))])),
        ("an expiry beyond 64 bits", with(&[("exp", json!(u64::MAX))])),
        ("an expiry twice", text(format!("{{\"exp\":1,{inside}}}"))),
        ("an audience twice", text(format!("{{{inside},\"aud\":\"x\"}}"))),
        ("an audience that is a number", with(&[("aud", json!(1))])),
        ("a nested scope", with(&[("scope", nested(100))])),
        ("a list of claims", text(format!("[{{{inside}}}]"))),
        ("over 16 KiB", with(&[("scope", json!("a".repeat(20_000)))])),
    ]
    .map(|(name, token)| (name.to_owned(), token))
    .into()
}

pub(crate) fn cases(world: &World) -> Vec<Case> {
    [introspection(world), revocation(world), bearer(world)].into_iter().flatten().collect()
}

fn introspection(world: &World) -> Vec<Case> {
    let own = world.basic("shop.billing");
    let inactive = "{\"active\":false}";
    let ask =
        |name: &str, token: &str| Case::post(format!("introspect: {name}"), "introspect", format!("token={token}"));
    let forged = forged(world).into_iter().map(|(name, token)| ask(&name, &token).header(&own).gives(200, inactive));
    let good = &world.tokens["own"];
    let rest = [
        ask("nobody asks", good),
        ask("another tenant asks", good).header(world.basic("market.billing")),
        ask("the token itself as credential", good).header(format!("Authorization: Bearer {good}")),
        ask("a suspended client asks", good).header(world.basic("shop.paused")).gives(400, "unauthorized_client"),
        ask("another client asks", good).header(world.basic("shop.other")).gives(200, inactive),
        ask("another client's", &world.tokens["of another client"]).header(&own).gives(200, inactive),
        ask("no token", "").header(&own).gives(400, "invalid_request"),
        ask("two tokens", &format!("{good}&token=x")).header(&own).gives(400, "invalid_request"),
        ask("a wrong hint", &format!("{good}&token_type_hint=refresh_token"))
            .header(&own)
            .gives(200, "\"active\":true"),
        ask("a token with a space", &format!("{good}%20")).header(&own).gives(200, inactive),
        ask("by GET", good).header(&own).method("GET").gives(405, "method_not_allowed"),
        Case::post("introspect: a token in the query", &format!("introspect?token={good}"), "")
            .header(&own)
            .gives(400, "invalid_request"),
        ask("its own", good).header(&own).gives(200, "\"active\":true"),
    ];
    forged.chain(rest).collect()
}

fn revocation(world: &World) -> Vec<Case> {
    let own = world.basic("shop.billing");
    let ask = |name: &str, token: &str| Case::post(format!("revoke: {name}"), "revoke", format!("token={token}"));
    let forged = forged(world).into_iter().map(|(name, token)| ask(&name, &token).header(&own).gives(200, ""));
    let good = &world.tokens["own"];
    let rest = [
        ask("nobody asks", good),
        ask("another tenant asks", good).header(world.basic("market.billing")),
        ask("another client asks", good).header(world.basic("shop.other")).gives(400, "invalid_grant"),
        ask("no token", "").header(&own).gives(400, "invalid_request"),
        ask("by GET", good).header(&own).method("GET").gives(405, "method_not_allowed"),
        Case::post("revoke: none of these revoked it", "introspect", format!("token={good}"))
            .header(&own)
            .gives(200, "\"active\":true"),
    ];
    forged.chain(rest).collect()
}

fn bearer(world: &World) -> Vec<Case> {
    let good = &world.tokens["own"];
    let ask = |name: &str| {
        Case::post(format!("bearer: {name}"), "v1/signed-urls", "{}").only("Content-Type: application/json")
    };
    let with =
        |name: &str, value: &str| ask(name).header(format!("Authorization: {value}")).gives(401, "invalid_token");
    let forged = forged(world);
    let forged = forged.iter().map(|(name, token)| with(name, &format!("Bearer {token}")));
    let malformed = [
        ("only the scheme", "Bearer"),
        ("the scheme and spaces", "Bearer   "),
        ("a comma", "Bearer a, Bearer b"),
        ("dots", "Bearer .."),
        ("a quote", "Bearer \""),
        ("bytes that are no ASCII", "Bearer \u{fc}"),
        ("no base64", "Bearer !.!.!"),
        ("another scheme", "Token x"),
        ("DPoP", &format!("DPoP {good}")),
        ("a token without a scheme", good),
    ];
    let malformed = malformed.into_iter().map(|(name, value)| with(name, value));
    let line = format!("Authorization: Bearer {good}");
    let rest = [
        ask("none").gives(401, "token_required"),
        ask("two").header(&line).header(&line).gives(401, "invalid_token"),
        Case::post("bearer: in the query", &format!("v1/signed-urls?access_token={good}"), "{}")
            .only("Content-Type: application/json")
            .gives(401, "token_required"),
        Case::post("bearer: in the form", "v1/signed-urls", format!("access_token={good}"))
            .gives(401, "token_required"),
        with("basic credentials", world.basic("shop.billing").trim_start_matches("Authorization: ")),
        with("for another audience", &format!("Bearer {}", world.tokens["for another audience"])),
        with("without the scope", &format!("Bearer {}", world.tokens["without the scope"]))
            .gives(403, "insufficient_scope"),
        with("its own", &format!("Bearer {good}")).gives(400, "invalid_request"),
        with("its own, in another case of the scheme", &format!("bEARER {good}")).gives(400, "invalid_request"),
    ];
    forged.chain(malformed).chain(rest).collect()
}
