//! The CEL rules of OAuthClient.

use authly_crds::{AuthMethod, ClientSecretTemplate, ClientType, Jwk, Jwks, KeyType, OAuthClientSpec};
use authly_model::{duration::Seconds, tenant::MAX_ACCESS_TOKEN_LIFETIME};

use super::{IMMUTABLE, Violation, between, metadata};
use crate::defaults::{MAX_ROTATION_OVERLAP, MIN_ACCESS_TOKEN_LIFETIME, ROTATION_OVERLAP, ROTATION_PERIOD};

pub(super) fn check(old: Option<&OAuthClientSpec>, new: &OAuthClientSpec, found: &mut Vec<Violation>) {
    let uses_keys = uses_keys(new);
    if uses_keys != new.jwks.is_some() {
        found.push(Violation::new("spec.jwks", "jwks goes with authMethod PrivateKeyJwt, and only with it"));
    }
    if uses_keys && new.credentials.is_some() {
        found.push(Violation::new("spec.credentials", "credentials go with authMethod ClientSecret only"));
    }
    if (new.type_ == ClientType::Web) == new.redirect_uris.is_empty() {
        found.push(Violation::new("spec.redirectUris", "a Web client has redirectUris, a Service has none"));
    }
    let lifetime = new.tokens.as_ref().and_then(|tokens| tokens.access_token_lifetime.as_ref());
    let (min, max) = (MIN_ACCESS_TOKEN_LIFETIME.0, MAX_ACCESS_TOKEN_LIFETIME.0);
    between(lifetime, min, max, "spec.tokens.accessTokenLifetime", found);
    if let Some(credentials) = &new.credentials {
        if credentials.secret.is_some() == credentials.existing_secret_ref.is_some() {
            let message = "set exactly one of secret and existingSecretRef";
            found.push(Violation::new("spec.credentials", message));
        }
        let overlap = credentials.existing_secret_ref.as_ref().and_then(|existing| existing.overlap.as_ref());
        let field = "spec.credentials.existingSecretRef.overlap";
        between(overlap, 0, MAX_ROTATION_OVERLAP.0, field, found);
    }
    if let Some(secret) = new.credentials.as_ref().and_then(|credentials| credentials.secret.as_ref()) {
        check_rotation(secret, found);
        for (what, map) in [("labels", &secret.labels), ("annotations", &secret.annotations)] {
            if !map.keys().all(|key| metadata::is_template_key(key)) {
                found.push(Violation::new(format!("spec.credentials.secret.{what}"), metadata::KEY));
            }
        }
    }
    if let Some(jwks) = &new.jwks {
        check_jwks(jwks, found);
    }
    if let Some(old) = old {
        check_transition(old, new, found);
    }
}

fn check_rotation(secret: &ClientSecretTemplate, found: &mut Vec<Violation>) {
    let (min, max) = ROTATION_PERIOD;
    between(secret.rotate_every.as_ref(), min.0, max.0, "spec.credentials.secret.rotateEvery", found);
    between(secret.overlap.as_ref(), 0, MAX_ROTATION_OVERLAP.0, "spec.credentials.secret.overlap", found);
    let seconds = |text: &String| text.parse::<Seconds>().ok();
    let every = secret.rotate_every.as_ref().and_then(seconds);
    let overlap = secret.overlap.as_ref().map_or(Some(ROTATION_OVERLAP), seconds);
    if every.zip(overlap).is_some_and(|(every, overlap)| overlap >= every) {
        let message = "overlap, 24h by default, is shorter than rotateEvery";
        found.push(Violation::new("spec.credentials.secret.overlap", message));
    }
}

fn uses_keys(spec: &OAuthClientSpec) -> bool {
    spec.auth_method == Some(AuthMethod::PrivateKeyJwt)
}

fn check_transition(old: &OAuthClientSpec, new: &OAuthClientSpec, found: &mut Vec<Violation>) {
    if old.type_ != new.type_ {
        found.push(Violation::new("spec.type", IMMUTABLE));
    }
    if old.client_id != new.client_id {
        found.push(Violation::new("spec.clientId", IMMUTABLE));
    }
    let secret = |spec: &OAuthClientSpec| spec.credentials.as_ref()?.secret.as_ref()?.name.clone();
    let generates = |spec: &OAuthClientSpec| {
        !uses_keys(spec) && spec.credentials.as_ref().is_none_or(|c| c.existing_secret_ref.is_none())
    };
    if generates(old) && generates(new) && secret(old) != secret(new) {
        found.push(Violation::new("spec.credentials.secret.name", IMMUTABLE));
    }
}

fn check_jwks(jwks: &Jwks, found: &mut Vec<Violation>) {
    for (i, key) in jwks.keys.iter().enumerate() {
        for message in problems(key) {
            found.push(Violation::new(format!("spec.jwks.keys[{i}]"), message));
        }
        if key.kid.is_none() && jwks.keys.len() > 1 {
            found.push(Violation::new(format!("spec.jwks.keys[{i}]"), "each of several keys has a kid"));
        }
        if key.kid.is_some() && jwks.keys[..i].iter().any(|other| other.kid == key.kid) {
            found.push(Violation::new(format!("spec.jwks.keys[{i}].kid"), "each kid stands once"));
        }
    }
}

fn problems(key: &Jwk) -> Vec<&'static str> {
    let mut problems = Vec::new();
    let is_43 = |member: &Option<String>| member.as_ref().is_some_and(|text| text.len() == 43);
    let crv = key.crv.as_deref();
    let rsa_members = key.n.is_some() || key.e.is_some();
    if key.d.is_some() {
        problems.push("d is private key material: publish the public key only, and replace this one");
    }
    let (shape, algorithms, message) = match key.kty {
        KeyType::OKP => (
            crv == Some("Ed25519") && is_43(&key.x) && key.y.is_none() && !rsa_members,
            &["EdDSA"][..],
            "an OKP key has crv Ed25519 and x of 43 characters, and no other member of a key",
        ),
        KeyType::EC => (
            crv == Some("P-256") && is_43(&key.x) && is_43(&key.y) && !rsa_members,
            &["ES256"][..],
            "an EC key has crv P-256, x and y of 43 characters each, and no other member of a key",
        ),
        KeyType::RSA => (
            key.n.as_ref().is_some_and(|n| (342..=683).contains(&n.len()))
                && key.e.as_ref().is_some_and(|e| e.len() <= 6)
                && crv.is_none()
                && key.x.is_none()
                && key.y.is_none(),
            &["RS256", "PS256"][..],
            "an RSA key has n of 2048 to 4096 bits and e, and no other member of a key",
        ),
    };
    if !shape {
        problems.push(message);
    }
    if key.alg.as_deref().is_some_and(|alg| !algorithms.contains(&alg)) {
        problems.push("alg does not fit kty");
    }
    problems
}
