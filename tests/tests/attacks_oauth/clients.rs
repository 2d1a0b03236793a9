//! Client authentication and requests to the three endpoints (oauth.md, "Tried against it"; RFC 6749 sections 2.3, 3.2, 4.4).

use crate::world::{Case, World, basic};

const GRANT: &str = "grant_type=client_credentials";
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(crate) fn cases(world: &World) -> Vec<Case> {
    [secrets(world), methods(world), forms(world), grants(world)].into_iter().flatten().collect()
}

fn secrets(world: &World) -> Vec<Case> {
    let secret = world.secret("shop.billing");
    let own = format!("shop.billing:{secret}");
    let basics = [
        ("another client's secret", basic(format!("shop.billing:{}", world.secret("shop.other"))), 401),
        ("another tenant's client", world.basic("market.billing"), 401),
        ("an unknown client", basic(format!("shop.nobody:{secret}")), 401),
        ("an id in another case", basic(format!("Shop.Billing:{secret}")), 401),
        ("an id with a NUL", basic(format!("shop.billing\0:{secret}")), 401),
        ("an escaped NUL", basic(format!("shop.billing%00:{secret}")), 401),
        ("an id with a space", basic(format!(" shop.billing:{secret}")), 401),
        ("an id of 100,000 bytes is too large a header", basic(format!("{}:{secret}", "a".repeat(100_000))), 431),
        ("an id of 2,000 bytes", basic(format!("{}:{secret}", "a".repeat(2000))), 401),
        ("an id that is SQL", basic(format!("' or '1'='1:{secret}")), 401),
        ("no id", basic(format!(":{secret}")), 401),
        ("no secret", basic("shop.billing:"), 401),
        ("no colon", basic("shop.billing"), 401),
        ("nothing at all", basic(""), 401),
        ("a truncated secret", basic(&own[..own.len() - 1]), 401),
        ("a longer secret", basic(format!("{own}A")), 401),
        ("a secret with a wrong checksum", basic(format!("{}AAAAAA", &own[..own.len() - 6])), 401),
        ("a secret with a space", basic(format!("{own} ")), 401),
        ("a secret with a line feed", basic(format!("{own}\n")), 401),
        ("a secret in upper case", basic(format!("shop.billing:{}", secret.to_uppercase())), 401),
        ("credentials that are no UTF-8", basic(b"shop.billing:\xff\xfe"), 401),
        ("an escape that is no UTF-8", basic("shop.billing:%ff%fe"), 401),
        ("half an escape", basic(format!("shop.billing%2:{secret}")), 401),
        ("escaped twice", basic(format!("shop%252Ebilling:{secret}")), 401),
        ("no base64", "Authorization: Basic !!!!".to_owned(), 401),
        ("base64url", format!("Authorization: Basic {}", crate::world::b64(format!("{own}??>>"))), 401),
        ("only the scheme", "Authorization: Basic".to_owned(), 401),
        ("two spaces and nothing", "Authorization: Basic  ".to_owned(), 401),
        ("another scheme", format!("Authorization: Bearer {}", world.tokens["own"]), 401),
        ("an unknown scheme", "Authorization: Negotiate YII=".to_owned(), 401),
        ("no scheme", "Authorization: c2hvcC5iaWxsaW5n".to_owned(), 401),
        ("bytes that are no ASCII", "Authorization: Basic \u{fc}".to_owned(), 401),
        ("a client that is suspended", world.basic("shop.paused"), 400),
    ];
    let refused = basics.into_iter().map(|(name, line, status)| {
        let code = match status {
            401 => "invalid_client",
            400 => "unauthorized_client",
            _ => "",
        };
        Case::post(format!("basic: {name}"), "token", GRANT).header(line).gives(status, code)
    });
    let good = [
        ("its own", world.basic("shop.billing")),
        ("an escaped dot", basic(format!("shop%2Ebilling:{secret}"))),
        ("another case of the scheme", world.basic("shop.billing").replace("Basic", "bAsIc")),
    ];
    let good = good.into_iter().map(|(name, line)| {
        Case::post(format!("basic: {name}"), "token", GRANT).header(line).gives(200, "access_token")
    });
    refused.chain(good).collect()
}

fn methods(world: &World) -> Vec<Case> {
    let (secret, line) = (world.secret("shop.billing"), world.basic("shop.billing"));
    let posted = format!("client_id=shop.billing&client_secret={secret}&{GRANT}");
    let claims = crate::assertions::claims(world);
    let assertion = world.keys.jws("EdDSA", r#"{"alg":"EdDSA","kid":"ed"}"#, &claims.to_string());
    let asserted = format!("client_assertion_type={TYPE}&client_assertion={assertion}");
    let new = |name: &str, body: &str| Case::post(format!("method: {name}"), "token", body);
    let one = "invalid_request";
    vec![
        new("none", GRANT),
        new("only an id", &format!("client_id=shop.billing&{GRANT}")),
        new("header and form", &posted).header(&line).gives(400, one),
        new("header and another id", &format!("client_id=shop.other&{GRANT}")).header(&line).gives(400, one),
        new("header and assertion", &format!("{asserted}&{GRANT}")).header(&line).gives(400, one),
        new("form and assertion", &format!("{posted}&{asserted}")).gives(400, one),
        new("two headers", GRANT).header(&line).header(&line).gives(400, one),
        new("a secret without an id", &format!("client_secret={secret}&{GRANT}")).gives(400, one),
        new("a secret twice", &format!("{posted}&client_secret={secret}")).gives(400, one),
        new("an id twice", &format!("{posted}&client_id=shop.billing")).gives(400, one),
        new("an id twice, empty first", &format!("client_id=&client_secret={secret}&client_id=shop.other&{GRANT}")),
        new("an assertion without its type", &format!("client_assertion={assertion}&{GRANT}")).gives(400, one),
        new("a type without an assertion", &format!("client_assertion_type={TYPE}&{GRANT}")).gives(400, one),
        new("an assertion of another type", &format!("{}&{GRANT}", asserted.replace("jwt-bearer", "saml2-bearer")))
            .gives(400, one),
        new("an assertion for another id", &format!("{asserted}&client_id=shop.other&{GRANT}")),
        new("an assertion of a client with a secret", &{
            let mut claims = claims.clone();
            (claims["iss"], claims["sub"]) = ("shop.billing".into(), "shop.billing".into());
            let assertion = world.keys.jws("EdDSA", r#"{"alg":"EdDSA"}"#, &claims.to_string());
            format!("client_assertion_type={TYPE}&client_assertion={assertion}&{GRANT}")
        }),
        new("a secret of a client with keys", &format!("client_id=shop.signer&client_secret={secret}&{GRANT}")),
        Case::post("method: a secret in the query", &format!("token?{posted}"), GRANT),
        Case::post("method: everything in the query", &format!("token?{posted}"), ""),
        new("a secret in a cookie", GRANT).header(format!("Cookie: client_secret={secret}")),
        new("a secret in the form", &posted).gives(200, "access_token"),
    ]
}

fn forms(world: &World) -> Vec<Case> {
    let good = format!("client_id=shop.billing&client_secret={}&{GRANT}", world.secret("shop.billing"));
    let new = |name: &str, body: &[u8]| Case::post(format!("form: {name}"), "token", body);
    let json = r#"{"grant_type":"client_credentials"}"#;
    let bad = "invalid_request";
    vec![
        new("as JSON", json.as_bytes()).only("Content-Type: application/json").gives(415, bad),
        new("as multipart", b"--x--").only("Content-Type: multipart/form-data; boundary=x").gives(415, bad),
        new("of no type", good.as_bytes()).only("X-Any: x").gives(415, bad),
        new("of a type that only begins so", good.as_bytes())
            .only("Content-Type: application/x-www-form-urlencoded-not")
            .gives(415, bad),
        new("of two types", good.as_bytes()).header("Content-Type: application/json").gives(200, "access_token"),
        new("of 64 KiB and a byte", &b"a".repeat(65_537)).gives(413, bad),
        new("with raw UTF-8", format!("{good}&scope=é").as_bytes()).gives(400, bad),
        new("with bytes that are no UTF-8", b"client_id=\xff\xfe").gives(400, bad),
        new("with 101 parameters", format!("{good}&{}", "a=1&".repeat(101)).as_bytes()).gives(400, bad),
        new("with a NUL", format!("{good}&x=%00").as_bytes()).gives(200, "access_token"),
        new("with brackets", format!("{good}&client_id[]=shop.other").as_bytes()).gives(200, "access_token"),
        new("with a semicolon", good.replace('&', ";").as_bytes()),
        new("by GET", b"").method("GET").gives(405, "method_not_allowed"),
        new("by PUT", good.as_bytes()).method("PUT").gives(405, "method_not_allowed"),
        new("with a method override", good.as_bytes()).header("X-HTTP-Method-Override: GET").gives(200, "access_token"),
        new("compressed", good.as_bytes()).header("Content-Encoding: gzip").gives(200, "access_token"),
    ]
}

fn grants(world: &World) -> Vec<Case> {
    let client = format!("client_id=shop.billing&client_secret={}", world.secret("shop.billing"));
    let new = |name: &str, rest: &str| Case::post(format!("grant: {name}"), "token", format!("{client}&{rest}"));
    let other = [
        "password",
        "authorization_code",
        "refresh_token",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "Client_Credentials",
        "client_credentials%20",
        "client_credentials%00",
    ];
    let other = other.map(|grant| new(grant, &format!("grant_type={grant}")).gives(400, "unsupported_grant_type"));
    let long = format!("{GRANT}&scope={}", "a".repeat(60_000));
    let many = format!("{GRANT}&{}", "resource=https%3A%2F%2Fapi.acme.example&".repeat(40));
    let rest = [
        ("none", "scope=read", "invalid_request"),
        ("twice", "grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("a scope of nobody", &format!("{GRANT}&scope=admin"), "invalid_scope"),
        ("one scope of nobody", &format!("{GRANT}&scope=read+admin"), "invalid_scope"),
        ("a scope in another case", &format!("{GRANT}&scope=READ"), "invalid_scope"),
        ("a scope with a quote", &format!("{GRANT}&scope=%22"), "invalid_scope"),
        ("a scope with a NUL", &format!("{GRANT}&scope=read%00"), "invalid_scope"),
        ("a scope with a line feed", &format!("{GRANT}&scope=read%0Aadmin"), "invalid_scope"),
        ("scopes twice", &format!("{GRANT}&scope=read&scope=read"), "invalid_request"),
        ("a scope of 60,000 bytes", &long, "invalid_scope"),
        ("a resource of nobody", &format!("{GRANT}&resource=https://evil.example"), "invalid_target"),
        ("another tenant's issuer", &format!("{GRANT}&resource={}", world.issuer("globex")), "invalid_target"),
        ("a resource with a slash more", &format!("{GRANT}&resource=https://api.acme.example/"), "invalid_target"),
        ("a resource with a fragment", &format!("{GRANT}&resource=https://api.acme.example%23a"), "invalid_target"),
        ("a resource that is no URI", &format!("{GRANT}&resource=api"), "invalid_target"),
        ("40 resources", &many, "invalid_target"),
    ];
    let rest = rest.map(|(name, body, code)| new(name, body).gives(400, code));
    other.into_iter().chain(rest).collect()
}
