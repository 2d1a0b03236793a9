//! `private_key_jwt` (RFC 7523, RFC 8725): algorithms, claims, keys, and shapes that are no JWT.

use serde_json::{Value, json};

use crate::world::{Case, World, b64};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Good claims of `shop.signer`, with a `jti` of their own.
pub(crate) fn claims(world: &World) -> Value {
    let now = world.forge.now;
    let jti = uuid::Uuid::new_v4().to_string();
    json!({"iss": "shop.signer", "sub": "shop.signer", "aud": world.issuer("acme"), "exp": now + 120, "iat": now, "jti": jti})
}

fn post(name: impl std::fmt::Display, assertion: &str) -> Case {
    let assertion: String = form_urlencoded(assertion);
    let body = format!("grant_type=client_credentials&client_assertion_type={TYPE}&client_assertion={assertion}");
    Case::post(format!("assertion: {name}"), "token", body)
}

fn form_urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub(crate) fn cases(world: &World) -> Vec<Case> {
    [algorithms(world), changed(world), texts(world), headers(world), shapes(world)].into_iter().flatten().collect()
}

fn algorithms(world: &World) -> Vec<Case> {
    // alg, kid, how it is really signed
    let refused = [
        ("none", "ed", "nothing"),
        ("None", "ed", "nothing"),
        ("NONE", "ed", "zeros"),
        ("", "ed", "EdDSA"),
        ("HS256", "ed", "HS256 with the public key"),
        ("HS256", "ed", "HS256 with the key's text"),
        ("HS256", "rsa", "HS256 with the RSA key's DER"),
        ("EdDSA", "ed", "HS256 with the public key"),
        ("RS256", "rsa", "HS256 with the RSA key's DER"),
        ("RS256", "ed", "EdDSA"),
        ("ES256", "ed", "EdDSA"),
        ("EdDSA", "ec", "ES256"),
        ("ES256", "ec", "ES256 in DER"),
        ("ES256", "ec", "zeros"),
        ("EdDSA", "ed", "zeros"),
        ("ES384", "ec", "ES256"),
        ("ES256K", "ec", "ES256"),
        ("PS256", "rsa", "PS256"), // the key is for RS256 alone
        ("RS256", "rsa", "PS256"),
        ("PS256", "rsa", "RS256"),
        ("RS384", "rsa", "RS256"),
        ("RS1", "rsa", "RS256"),
        ("eddsa", "ed", "EdDSA"),
        ("Ed448", "ed", "EdDSA"),
        ("EdDSA", "ec", "EdDSA"),
        ("EdDSA", "unknown", "EdDSA"),
        ("EdDSA", "../../../dev/null", "EdDSA"),
        ("EdDSA", "' or '1'='1", "EdDSA"),
        ("EdDSA", "ed\0", "EdDSA"),
    ];
    let good =
        [("EdDSA", "ed", "EdDSA"), ("Ed25519", "ed", "EdDSA"), ("ES256", "ec", "ES256"), ("RS256", "rsa", "RS256")];
    let case = |(alg, kid, how): (&str, &str, &str)| {
        let header = json!({"alg": alg, "kid": kid}).to_string();
        let assertion = world.keys.jws(how, &header, &claims(world).to_string());
        post(format!("alg `{alg}`, kid `{}`, signed with {how}", kid.escape_debug()), &assertion)
    };
    refused.map(case).into_iter().chain(good.map(case).map(|case| case.gives(200, "access_token"))).collect()
}

/// One claim changed.
fn changed(world: &World) -> Vec<Case> {
    let now = world.forge.now;
    let issuer = world.issuer("acme");
    let changes = [
        ("another issuer", "iss", json!("shop.billing")),
        ("another subject", "sub", json!("shop.billing")),
        ("an unknown subject", "sub", json!("shop.nobody")),
        ("a subject of another tenant", "sub", json!("market.signer")),
        ("no issuer", "iss", Value::Null),
        ("no subject", "sub", Value::Null),
        ("a subject that is a list", "sub", json!(["shop.signer"])),
        ("no audience", "aud", Value::Null),
        ("a list of the right audience", "aud", json!([issuer])),
        ("the right audience beside another", "aud", json!([issuer, "https://evil.example"])),
        ("another audience", "aud", json!("https://evil.example")),
        ("the token endpoint as audience", "aud", json!(format!("{issuer}/token"))),
        ("another tenant as audience", "aud", json!(world.issuer("globex"))),
        ("an audience with a slash more", "aud", json!(format!("{issuer}/"))),
        ("an audience in another case", "aud", json!(issuer.to_uppercase())),
        ("an audience that only begins so", "aud", json!(format!("{issuer}.evil.example"))),
        ("no expiry", "exp", Value::Null),
        ("an expiry as text", "exp", json!((now + 120).to_string())),
        ("a broken expiry", "exp", json!(now as f64 + 120.5)),
        ("an expiry in exponents", "exp", json!(1e300)),
        ("an expiry beyond 64 bits", "exp", json!(u64::MAX)),
        ("the largest expiry", "exp", json!(i64::MAX)),
        ("a negative expiry", "exp", json!(i64::MIN)),
        ("an expiry as true", "exp", json!(true)),
        ("expired", "exp", json!(now - 1)),
        ("expires in a day", "exp", json!(now + 86_400)),
        ("issued in an hour", "iat", json!(now + 3600)),
        ("issued as text", "iat", json!("now")),
        ("begins in an hour", "nbf", json!(now + 3600)),
        ("begins at the end of time", "nbf", json!(i64::MAX)),
        ("no jti", "jti", Value::Null),
        ("an empty jti", "jti", json!("")),
        ("a jti of 129 characters", "jti", json!("a".repeat(129))),
        ("a jti that is a number", "jti", json!(7)),
    ];
    let refused = changes.into_iter().map(|(name, claim, value)| {
        let mut claims = claims(world);
        claims[claim] = value;
        post(name, &world.keys.jws("EdDSA", r#"{"alg":"EdDSA","kid":"ed"}"#, &claims.to_string()))
    });
    let mut more = claims(world);
    (more["evil"], more["nbf"]) = (json!({"a": [1, 2, 3]}), json!(now));
    let good = post("with a claim more", &world.keys.jws("EdDSA", r#"{"alg":"EdDSA"}"#, &more.to_string()));
    refused.chain([good.gives(200, "access_token")]).collect()
}

/// Claims that are not what they seem: given twice, nested without end, no object.
fn texts(world: &World) -> Vec<Case> {
    let good = claims(world).to_string();
    let inside = &good[1..good.len() - 1];
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let texts = [
        ("a subject twice", format!("{{\"sub\":\"shop.billing\",{inside}}}")),
        ("an audience twice", format!("{{{inside},\"aud\":\"https://evil.example\"}}")),
        ("an expiry twice", format!("{{\"exp\":9999999999,{inside}}}")),
        ("an escaped name twice", format!("{{{inside},\"\\u0073ub\":\"shop.billing\"}}")),
        ("a subject nested 2000 deep", format!("{{{},\"sub\":{deep}}}", inside.replace("\"sub\"", "\"x\""))),
        ("a list", format!("[{good}]")),
        ("null", "null".to_owned()),
        ("a number", "1".to_owned()),
        ("nothing", String::new()),
        ("something behind the end", format!("{good} x")),
        ("a comment", format!("{{/**/{inside}}}")),
        ("a comma at the end", format!("{{{inside},}}")),
        ("NaN", format!("{{{inside},\"nbf\":NaN}}")),
        ("single quotes", good.replace('"', "'")),
        ("a byte order mark", format!("\u{feff}{good}")),
    ];
    let case = |(name, text): (&str, String)| {
        post(format!("claims with {name}"), &world.keys.jws("EdDSA", r#"{"alg":"EdDSA","kid":"ed"}"#, &text))
    };
    // What nobody reads may be nested: it is skipped without recursion, and the size is bounded.
    let skipped = ("what is skipped nested 2000 deep", format!("{{{inside},\"x\":{deep}}}"));
    let skipped = case(skipped).gives(200, "access_token");
    texts.into_iter().map(case).chain([skipped]).collect()
}

fn headers(world: &World) -> Vec<Case> {
    let attacker = crate::keys::Keys::generate();
    let jwk = attacker.public().remove(0);
    let claimed = || claims(world).to_string();
    // Signed by the attacker, with a pointer to the attacker's key.
    let pointers = [
        ("jwk", json!({"alg": "EdDSA", "kid": "ed", "jwk": jwk})),
        ("jku", json!({"alg": "EdDSA", "kid": "ed", "jku": "http://127.0.0.1:1/jwks.json"})),
        ("x5u", json!({"alg": "EdDSA", "kid": "ed", "x5u": "http://127.0.0.1:1/x.pem"})),
        ("x5c", json!({"alg": "EdDSA", "kid": "ed", "x5c": ["MIIB"]})),
        ("a kid that is a URL", json!({"alg": "EdDSA", "kid": "http://127.0.0.1:1/jwks.json"})),
        ("nothing", json!({"alg": "EdDSA"})),
    ];
    let pointers = pointers.map(|(name, header)| {
        let assertion = attacker.jws("EdDSA", &header.to_string(), &claimed());
        post(format!("signed by somebody, with {name}"), &assertion)
    });
    let headers = [
        ("crit", r#"{"alg":"EdDSA","crit":["exp"]}"#.to_owned()),
        ("an unencoded payload", r#"{"alg":"EdDSA","b64":false,"crit":["b64"]}"#.to_owned()),
        ("alg twice", r#"{"alg":"EdDSA","alg":"none"}"#.to_owned()),
        ("kid twice", r#"{"alg":"EdDSA","kid":"ed","kid":"ec"}"#.to_owned()),
        ("no alg", r#"{"kid":"ed"}"#.to_owned()),
        ("a list of alg", r#"{"alg":["EdDSA"]}"#.to_owned()),
        ("a list of kid", r#"{"alg":"EdDSA","kid":["ed"]}"#.to_owned()),
        ("a number as kid", r#"{"alg":"EdDSA","kid":1}"#.to_owned()),
        ("a list", r#"["EdDSA"]"#.to_owned()),
        ("a nested kid", format!(r#"{{"alg":"EdDSA","kid":{}{}}}"#, "[".repeat(1000), "]".repeat(1000))),
    ];
    let headers = headers
        .map(|(name, header)| post(format!("a header with {name}"), &world.keys.jws("EdDSA", &header, &claimed())));
    pointers.into_iter().chain(headers).collect()
}

fn shapes(world: &World) -> Vec<Case> {
    let good = || world.keys.jws("EdDSA", r#"{"alg":"EdDSA","kid":"ed"}"#, &claims(world).to_string());
    let (one, long) = (good(), claims(world).to_string());
    let parts: Vec<&str> = one.split('.').collect();
    let padded = format!("{},\"x\":\"{}\"}}", &long[..long.len() - 1], "a".repeat(9000));
    let shapes = [
        ("empty text", " ".to_owned()),
        ("one part", parts[0].to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{one}.{}", parts[2])),
        ("five parts, as a JWE has", format!("{one}.a.b")),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("a truncated signature", one[..one.len() - 4].to_owned()),
        ("a longer signature", format!("{one}AAAA")),
        ("padding", format!("{one}==")),
        ("a space inside", one.replacen('.', ". ", 1)),
        ("a line feed at the end", format!("{one}\n")),
        ("the standard alphabet", one.replace('-', "+").replace('_', "/") + "+/"),
        ("JSON serialisation", json!({"payload": parts[1], "protected": parts[0], "signature": parts[2]}).to_string()),
        ("another payload", format!("{}.{}.{}", parts[0], b64(r#"{"sub":"shop.billing"}"#), parts[2])),
        (
            "another assertion's signature",
            format!("{}.{}.{}", parts[0], parts[1], good().rsplit('.').next().unwrap_or("")),
        ),
        ("over 8 KiB", world.keys.jws("EdDSA", r#"{"alg":"EdDSA"}"#, &padded)),
        ("60,000 dots", ".".repeat(60_000 / 3)),
        ("bytes that are no text", "\u{fffd}.\u{fffd}.\u{fffd}".to_owned()),
        ("an access token", world.tokens["own"].clone()),
    ];
    let mut cases: Vec<Case> = shapes.into_iter().map(|(name, text)| post(name, &text)).collect();
    // At another tenant, whose client has the very same key; and for an endpoint of its own.
    let body = |assertion: &str| format!("client_assertion_type={TYPE}&client_assertion={assertion}");
    cases.push(Case::post(
        "assertion: at another tenant",
        "/t/globex/token",
        format!("{}&grant_type=client_credentials", body(&good())),
    ));
    cases.push(
        Case::post("assertion: at introspection", "introspect", format!("{}&token=x", body(&good())))
            .gives(200, "{\"active\":false}"),
    );
    cases
}

/// Sent twice in this order: the second is a replay.
pub(crate) fn replays(world: &World) -> Vec<Case> {
    let assertion = world.keys.jws("EdDSA", r#"{"alg":"EdDSA","kid":"ed"}"#, &claims(world).to_string());
    let body = format!("client_assertion_type={TYPE}&client_assertion={assertion}");
    vec![
        post("used once", &assertion).gives(200, "access_token"),
        post("used again", &assertion),
        Case::post("assertion: used again at introspection", "introspect", format!("{body}&token=x")),
        Case::post("assertion: used again at revocation", "revoke", format!("{body}&token=x")),
    ]
}
