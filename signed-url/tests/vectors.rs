//! The vectors for other languages: the committed file is what the generator makes, and each vector gives its stated
//! result through the public API. The expectations are written by hand in the generator, never computed here.

#![allow(clippy::unwrap_used)]

#[path = "../examples/vectors/cases.rs"]
mod cases;

use std::collections::HashSet;

use authly_signed_url::*;
use cases::{File, Vector};

const COMMITTED: &str = include_str!("../vectors/sx1.json");

fn file() -> File {
    serde_json::from_str(COMMITTED).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_committed_file_is_current() {
    assert!(
        cases::json() == COMMITTED,
        "run: cargo run -p authly-signed-url --example vectors > signed-url/vectors/sx1.json"
    );
}

#[test]
fn names_are_unique_and_many() {
    let file = file();
    let names: HashSet<_> = file.vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(names.len(), file.vectors.len());
    assert!(names.len() >= 150);
}

/// The verifying key of a vector, from the file alone.
fn key(file: &File, vector: &Vector) -> Option<VerifyingKey> {
    let key = &file.keys[vector.key.as_ref()?];
    Some(match &key.public {
        Some(public) => VerifyingKey::ed25519(&unhex(public).try_into().unwrap()).unwrap(),
        None => VerifyingKey::hmac(&unhex(&key.secret).try_into().unwrap()),
    })
}

/// (result, reason, stripped)
fn answer(file: &File, vector: &Vector) -> (&'static str, Option<String>, Option<String>) {
    let refused = |refusal: Refusal| ("refused", Some(refusal.reason().to_owned()), None);
    let host = match Host::parse(&vector.host) {
        Ok(host) => host,
        Err(refusal) => return refused(refusal),
    };
    let key = key(file, vector);
    let request = OfflineRequest {
        cookie: vector.cookie.as_deref(),
        client: vector.client.as_ref().map(|text| text.parse().unwrap()),
        origin: vector.origin.as_ref().map(String::as_bytes),
        user_agent: vector.user_agent.as_ref().map(String::as_bytes),
        country: vector.country.as_ref().map(|text| Country::parse(text).unwrap()),
        holder: vector.holder.as_ref().map(|text| Thumbprint::parse(text).unwrap()),
        ..OfflineRequest::new(&host, &vector.target, &vector.method, vector.now, vector.max_ttl)
    };
    match verify_offline(&request, |_| key.as_ref()) {
        Ok(Offline::Admitted(url)) => ("admitted", None, Some(url.stripped_target().to_owned())),
        Ok(Offline::NeedsOnline(url)) => ("needs_online", None, Some(url.stripped_target().to_owned())),
        Err(refusal) => refused(refusal),
    }
}

#[test]
fn every_vector_gives_its_result() {
    let file = file();
    for vector in &file.vectors {
        let expected = (&*vector.result, vector.reason.clone(), vector.stripped.clone());
        assert_eq!(answer(&file, vector), expected, "{}: {} {}", vector.name, vector.host, vector.target);
    }
}

/// What is admitted can be signed again from its claims, to the same bytes; what is not canonical cannot be signed.
#[test]
fn signing_agrees_with_verification() {
    let file = file();
    let seed = unhex(&file.keys["ed25519"].secret).try_into().unwrap();
    let key = SigningKey::ed25519_seed(&seed);
    for vector in &file.vectors {
        let Ok(host) = Host::parse(&vector.host) else { continue };
        let Some(stripped) = &vector.stripped else { continue };
        let Ok(unverified) = parse_unverified(&host, &vector.target) else { continue };
        let claims = unverified.unverified_claims().clone();
        let verified = unverified.verify(&key.verifying_key());
        let Ok(prefix) = verified.map(|url| url.signed_prefix().map(str::to_owned)) else { continue };
        let input = match prefix {
            Some(prefix) => prepare_prefix(&host, &prefix, &claims).unwrap().signing_input().to_vec(),
            None => prepare(&host, stripped, &claims).unwrap().signing_input().to_vec(),
        };
        assert_eq!(Some(String::from_utf8(input).unwrap()), vector.signing_input, "{}", vector.name);
    }
}

#[test]
fn paths_that_verification_refuses_are_not_signed() {
    let file = file();
    let key = SigningKey::ed25519_seed(&[0; 32]); // the longer signature: one vector tests the bound
    let id = UrlId::new(1_795_436_400, None, None, [0; 8]).unwrap();
    let claims = Claims::new(Kid([0; 9]), id, 1_795_440_000);
    let host = Host::parse("cdn.example.com").unwrap();
    for vector in file.vectors.iter().filter(|v| v.group == "path" && v.reason.as_deref() == Some("not_canonical")) {
        let path = vector.target.split("?sx-k").next().unwrap();
        assert_eq!(
            sign(&host, path, &claims, &key).map_err(|r| r.reason()).err(),
            Some("not_canonical"),
            "{}",
            vector.name
        );
    }
}

#[test]
fn keys_tags_and_derivations() {
    let file = file();
    for vector in &file.public_keys {
        let reason =
            VerifyingKey::ed25519(&unhex(&vector.public).try_into().unwrap()).map_err(|r| r.reason().to_owned()).err();
        assert_eq!(reason, vector.reason, "{}", vector.name);
    }
    for vector in &file.tags {
        let kind = if vector.kind == "u" { TagKind::User } else { TagKind::Client };
        assert_eq!(tag(&unhex(&vector.key), kind, &vector.id).to_vec(), unhex(&vector.tag));
    }
    for vector in &file.hmac_keys {
        let root = unhex(&vector.root).try_into().unwrap();
        assert_eq!(derive_hmac_key(&root, &vector.tenant, &vector.edge, vector.epoch).to_vec(), unhex(&vector.key));
    }
}

/// Ours is quicker than the strict form of the library; on every signature of the file it answers the same.
#[test]
fn ed25519_is_as_strict_as_the_strict_form() {
    use base64::Engine as _;
    let file = file();
    let public = unhex(file.keys["ed25519"].public.as_ref().unwrap()).try_into().unwrap();
    let public = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
    let mut compared = 0;
    for vector in
        file.vectors.iter().filter(|vector| vector.group == "signature" && vector.key.as_deref() == Some("ed25519"))
    {
        let (signed, spelled) = vector.target.rsplit_once("&sx-s=").unwrap();
        let Ok(bytes) = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(spelled) else { continue };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(&bytes) else { continue };
        let strict = public.verify_strict(format!("sx1\n{}\n{signed}", vector.host).as_bytes(), &signature);
        assert_eq!(strict.is_ok(), vector.result == "admitted", "{}", vector.name);
        compared += 1;
    }
    assert!(compared > 20);
}

#[test]
fn every_refusal_says_its_reason_and_what_to_do() {
    for vector in &file().vectors {
        let Ok(host) = Host::parse(&vector.host) else { continue };
        if let Err(refusal) = parse_unverified(&host, &vector.target) {
            assert!(!refusal.detail().is_empty());
            assert_eq!(refusal.to_string(), format!("{}: {}", refusal.reason(), refusal.detail()));
        }
    }
}
