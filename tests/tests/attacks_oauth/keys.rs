//! The clients' keys, and assertions of every shape.

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};

use crate::world::b64;

/// A key of each kind that a client may register.
pub(crate) struct Keys {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
    /// The same key, for signatures in DER.
    ec_der: EcdsaKeyPair,
    rsa: RsaKeyPair,
}

impl Keys {
    pub(crate) fn generate() -> Self {
        let ed = Ed25519KeyPair::generate().unwrap();
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pkcs8 = ec.to_pkcs8v1().unwrap();
        let ec_der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        Self { ed, ec, ec_der, rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    pub(crate) fn public(&self) -> Vec<Value> {
        let point = self.ec.public_key().as_ref();
        let rsa = self.rsa.public_key();
        let (n, e) =
            (rsa.modulus().big_endian_without_leading_zero(), rsa.exponent().big_endian_without_leading_zero());
        vec![
            json!({"kty": "OKP", "crv": "Ed25519", "x": self.x(), "kid": "ed", "alg": "EdDSA", "use": "sig"}),
            json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]), "kid": "ec", "use": "sig"}),
            json!({"kty": "RSA", "n": b64(n), "e": b64(e), "kid": "rsa", "alg": "RS256", "use": "sig"}),
        ]
    }

    /// The public half of the Ed25519 key.
    pub(crate) fn x(&self) -> String {
        b64(self.ed.public_key().as_ref())
    }

    /// Signs `header.claims` in one of the ways that the cases ask for.
    pub(crate) fn sign(&self, how: &str, message: &str) -> Vec<u8> {
        let (random, bytes) = (SystemRandom::new(), message.as_bytes());
        let rsa = |encoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, bytes, &mut signature).unwrap();
            signature
        };
        let mac = |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref().to_vec();
        match how {
            "EdDSA" => self.ed.sign(bytes).as_ref().to_vec(),
            "ES256" => self.ec.sign(&random, bytes).unwrap().as_ref().to_vec(),
            "ES256 in DER" => self.ec_der.sign(&random, bytes).unwrap().as_ref().to_vec(),
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "HS256 with the public key" => mac(self.ed.public_key().as_ref()),
            "HS256 with the key's text" => mac(self.x().as_bytes()),
            "HS256 with the RSA key's DER" => mac(self.rsa.public_key().as_der().unwrap().as_ref()),
            "nothing" => Vec::new(),
            "zeros" => vec![0; 64],
            other => unreachable!("no way to sign is called {other}"),
        }
    }

    /// A JWS of these texts, signed so.
    pub(crate) fn jws(&self, how: &str, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign(how, &message);
        format!("{message}.{}", b64(signature))
    }
}
