//! Fuzz targets of what this crate parses: credentials, forms, JWS, registered keys, signing requests.

use authly_model::key::Algorithm;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::HeaderValue;
use serde_json::{Value, json};

use crate::{
    bearer,
    oauth::{assertion, assertion_keys, client_auth, form::Form, jws::UnverifiedJws},
    urls::spec::SignRequest,
};

const COUNT: usize = 20_000;

#[test]
fn basic_credentials() {
    authly_fuzzing::run("basic", COUNT, |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else { return };
        if let Some(token) = value.to_str().ok().and_then(bearer::bearer) {
            assert!(token.len() < input.len());
        }
        let Some((user, secret)) = client_auth::basic_credentials(&value) else { return };
        // What was read can be written and read again.
        let escaped = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let text = format!("Basic {}", STANDARD.encode(format!("{}:{}", escaped(&user), escaped(&secret))));
        let again = client_auth::basic_credentials(&HeaderValue::try_from(text).unwrap());
        assert_eq!(again, Some((user, secret)));
    });
}

#[test]
fn forms() {
    authly_fuzzing::run("form", COUNT, |input| {
        let Ok(mut form) = Form::parse(input) else { return };
        let count = |name: &str| form_urlencoded::parse(input).filter(|(n, v)| n == name && !v.is_empty()).count();
        for name in ["client_id", "client_secret", "grant_type", "scope", "token", "client_assertion"] {
            assert_eq!(usize::from(form.take(name).is_some()), count(name), "{name} stands once or not at all");
        }
        assert_eq!(form.resources.len(), count("resource"));
    });
}

/// Nothing but the very assertion that was signed verifies, whatever is done to it.
#[test]
fn signatures() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())});
    let key = assertion_keys::parse(&jwk).unwrap();
    authly_fuzzing::run("jws", COUNT, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let _ = assertion::unverified_subject(text);
        let Some(jws) = UnverifiedJws::parse(text) else { return };
        for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::PS256] {
            assert!(jws.verify::<Value>(&key.decoding, algorithm).is_none(), "nobody signed it");
        }
    });
    authly_fuzzing::run("jws-text", COUNT, |input| {
        let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"EdDSA"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(input));
        let signed = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())));
        let _ = assertion::unverified_subject(&signed);
        let jws = UnverifiedJws::parse(&signed).unwrap();
        let claims = jws.verify::<Value>(&key.decoding, Algorithm::EdDSA);
        assert_eq!(claims, serde_json::from_slice(input).ok(), "what was signed is what is read");
        // The same text as a header: whatever it names, a signature over another message is none.
        let forged = format!("{}.{}", URL_SAFE_NO_PAD.encode(input), signed.split_once('.').unwrap().1);
        if let Some(jws) = UnverifiedJws::parse(&forged).filter(|_| *input != *br#"{"alg":"EdDSA"}"#) {
            assert!(jws.verify::<Value>(&key.decoding, Algorithm::EdDSA).is_none());
        }
    });
}

#[test]
fn registered_keys() {
    authly_fuzzing::run("jwk", COUNT, |input| {
        let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
        let Some(key) = assertion_keys::parse(&value) else { return };
        assert!(key.algorithms.len() <= 2);
        // A key of any shape answers; none takes a signature of nothing.
        let jws = UnverifiedJws::parse("eyJhbGciOiJFZERTQSJ9.e30.AAAA").unwrap();
        assert!(key.algorithms.iter().all(|algorithm| jws.verify::<Value>(&key.decoding, *algorithm).is_none()));
    });
}

#[test]
fn signing_requests() {
    authly_fuzzing::run("sign-request", COUNT, |input| {
        let _ = serde_json::from_slice::<SignRequest>(input);
    });
}
