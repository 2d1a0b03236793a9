//! Public keys as JWK (RFC 7517; RSA and EC in RFC 7518 section 6, Ed25519 in RFC 8037 section 2).

use authly_model::key::{Algorithm, KeyUse};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::error::{Result, SecretsError};

/// The `alg` of a published key. URL keys carry the fully-specified name (signed-url.md, "Keys"; RFC 9864), token
/// keys the one that access tokens carry in their header.
const fn published_algorithm(key_use: KeyUse, algorithm: Algorithm) -> &'static str {
    match (key_use, algorithm) {
        (KeyUse::Url, Algorithm::EdDSA) => "Ed25519",
        (_, algorithm) => algorithm.as_str(),
    }
}

/// The public part of a key: raw for Ed25519, an uncompressed point for P-256, modulus and exponent for RSA.
pub(crate) enum PublicKey<'a> {
    Ed25519(&'a [u8]),
    P256(&'a [u8]),
    Rsa { n: &'a [u8], e: &'a [u8] },
}

pub(crate) fn public_jwk(key: &PublicKey<'_>, kid: &str, key_use: KeyUse, algorithm: Algorithm) -> Result<Value> {
    let alg = published_algorithm(key_use, algorithm);
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Ok(match key {
        PublicKey::Ed25519(x) => {
            json!({"kty": "OKP", "crv": "Ed25519", "x": b64(x), "kid": kid, "alg": alg, "use": "sig"})
        }
        PublicKey::P256(point) => {
            // SEC 1 section 2.3.3: 04 ‖ x ‖ y
            let Some((0x04, xy)) = point.split_first() else { return Err(SecretsError::BadKey("ES256")) };
            let (x, y) = xy.split_at_checked(32).ok_or(SecretsError::BadKey("ES256"))?;
            json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y), "kid": kid, "alg": alg, "use": "sig"})
        }
        PublicKey::Rsa { n, e } => {
            json!({"kty": "RSA", "n": b64(n), "e": b64(e), "kid": kid, "alg": alg, "use": "sig"})
        }
    })
}
