//! Tokens of every algorithm, verified by the `jsonwebtoken` crate from the published JWK alone.
#![allow(clippy::unwrap_used, missing_docs)] // helpers of tests

use std::collections::BTreeSet;

use authly_model::{
    ids::TenantId,
    key::{Algorithm, KeyUse},
    token::AccessClaims,
};
use authly_secrets::{
    Kek, KekRing, KekSource, NewSigningKey, SigningKeyRow, TokenSigner, UnlockedTenant, generate_kek,
    generate_tenant_keys,
};
use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(1));

fn tenant() -> UnlockedTenant {
    let ring = KekRing::new(Kek::load(&KekSource::Environment(generate_kek().unwrap())).unwrap(), []);
    let keys = generate_tenant_keys(&ring, ACME, Algorithm::EdDSA).unwrap();
    UnlockedTenant::unlock(&ring, ACME, &keys.wrapped).unwrap()
}

fn signer(tenant: &UnlockedTenant, key: &NewSigningKey) -> TokenSigner {
    let NewSigningKey { kid, key_use, algorithm, wrapped_private, .. } = key;
    let row = SigningKeyRow { kid, key_use: *key_use, algorithm: *algorithm, wrapped_private };
    tenant.token_signer(&row).unwrap()
}

fn claims() -> AccessClaims {
    AccessClaims {
        iss: "https://id.example/t/acme".to_owned(),
        sub: "shop.billing".to_owned(),
        aud: BTreeSet::from(["https://api.example".to_owned()]),
        client_id: "shop.billing".to_owned(),
        iat: 1_795_436_400,
        exp: 4_000_000_000,
        jti: "AAECAwQFBgcICQoLDA0ODw".to_owned(),
        scope: "read".to_owned(),
    }
}

fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm.as_str().parse().unwrap());
    validation.set_audience(&["https://api.example"]);
    validation.set_issuer(&["https://id.example/t/acme"]);
    validation
}

#[test]
fn every_algorithm_verifies_from_its_public_jwk() {
    let tenant = tenant();
    for algorithm in Algorithm::ALL {
        let key = tenant.generate_signing_key(KeyUse::Token, algorithm).unwrap();
        let signer = signer(&tenant, &key);
        assert_eq!(signer.public_jwk().unwrap(), key.public_jwk);
        assert_eq!((signer.kid(), signer.algorithm()), (key.kid.as_str(), algorithm));
        let token = signer.sign(&claims()).unwrap();

        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(header.kid.as_deref(), Some(key.kid.as_str()));
        let jwk: Jwk = serde_json::from_value(key.public_jwk.clone()).unwrap();
        let verify = DecodingKey::from_jwk(&jwk).unwrap();
        let verified = jsonwebtoken::decode::<AccessClaims>(&token, &verify, &validation(algorithm)).unwrap();
        assert_eq!(verified.claims, claims());
        // one changed character of the claims
        let dot = token.find('.').unwrap();
        let mut changed = token.clone().into_bytes();
        changed[dot + 8] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert!(jsonwebtoken::decode::<AccessClaims>(&changed, &verify, &validation(algorithm)).is_err());
        // nothing private in what is published
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.public_jwk.get(private).is_none(), "{private}");
        }
        assert_eq!(key.public_jwk["alg"], algorithm.as_str());
        assert_eq!(key.public_jwk["use"], "sig");
        assert!(!format!("{signer:?}").contains("pair"));
    }
}

#[test]
fn url_keys_publish_the_fully_specified_algorithm() {
    let key = tenant().generate_signing_key(KeyUse::Url, Algorithm::EdDSA).unwrap();
    assert_eq!(key.public_jwk["alg"], "Ed25519");
    assert_eq!(key.public_jwk["kid"].as_str().unwrap().len(), 12);
}
