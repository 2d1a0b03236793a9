//! Signing keys: made, wrapped, and kept parsed for signing (RFC 7515, RFC 7518 section 3, RFC 8037, RFC 9068).
//!
//! Parsing a private key costs as much as a signature, so a [`TokenSigner`] parses once. Stored form: PKCS#8
//! version 1, sealed under the tenant's data key. Never does: key states, rotation, verification.

mod key_pair;

use authly_model::{
    ids::TenantId,
    key::{Algorithm, KeyUse},
    token::ACCESS_TOKEN_TYPE,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    envelope::{Keyring, Place},
    error::{Result, SecretsError},
    jwk::public_jwk,
    random,
};
use key_pair::KeyPair;

/// A new signing key, as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSigningKey {
    /// Token keys: 16 random bytes, URL keys: 9, base64url.
    pub kid: String,
    /// What it signs.
    pub key_use: KeyUse,
    /// Its algorithm; EdDSA for URL keys.
    pub algorithm: Algorithm,
    /// The public key, with `kid`, `alg` and `use`.
    pub public_jwk: Value,
    /// The private key, sealed for (tenant, use, algorithm, kid).
    pub wrapped_private: Vec<u8>,
}

/// A stored signing key, as the store reads it.
#[derive(Debug, Clone, Copy)]
pub struct SigningKeyRow<'a> {
    /// The key's id.
    pub kid: &'a str,
    /// What it signs.
    pub key_use: KeyUse,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// As in [`NewSigningKey`].
    pub wrapped_private: &'a [u8],
}

/// Makes a key. RSA takes a quarter of a second of CPU: call it off the async workers.
pub(crate) fn generate(
    data: &Keyring,
    tenant: TenantId,
    key_use: KeyUse,
    algorithm: Algorithm,
) -> Result<NewSigningKey> {
    if key_use == KeyUse::Url && algorithm != Algorithm::EdDSA {
        return Err(SecretsError::Unsupported(key_use, algorithm));
    }
    let kid = match key_use {
        KeyUse::Token => random::base64url::<16>()?,
        KeyUse::Url => random::base64url::<9>()?,
    };
    let pair = KeyPair::generate(algorithm)?;
    let public_jwk = public_jwk(&pair.public_key(), &kid, key_use, algorithm)?;
    let row = row_key(&kid, key_use, algorithm);
    let wrapped_private = data.active()?.seal(&place(tenant, &row), &pair.to_pkcs8()?)?;
    Ok(NewSigningKey { kid, key_use, algorithm, public_jwk, wrapped_private })
}

/// Opens a stored key. The use and algorithm are authenticated: a row whose columns were changed does not open.
pub(crate) fn open(data: &Keyring, tenant: TenantId, row: &SigningKeyRow<'_>) -> Result<Zeroizing<Vec<u8>>> {
    data.open(&place(tenant, &row_key(row.kid, row.key_use, row.algorithm)), row.wrapped_private)
}

/// The 32-byte seed of a URL key, which the signed-URL library signs with.
pub(crate) fn url_seed(data: &Keyring, tenant: TenantId, row: &SigningKeyRow<'_>) -> Result<Zeroizing<[u8; 32]>> {
    if row.key_use != KeyUse::Url {
        return Err(SecretsError::BadKey("URL signing"));
    }
    KeyPair::parse(row.algorithm, &open(data, tenant, row)?)?.seed()
}

fn row_key(kid: &str, key_use: KeyUse, algorithm: Algorithm) -> String {
    format!("{}/{}/{kid}", key_use.as_str(), algorithm.as_str())
}

const fn place(tenant: TenantId, row: &str) -> Place<'_> {
    Place { tenant, table: "signing_key", column: "wrapped_private", row }
}

/// Signs access tokens with one key, parsed once; the JOSE header is encoded once too.
pub struct TokenSigner {
    kid: String,
    algorithm: Algorithm,
    header: String,
    pair: KeyPair,
}

impl TokenSigner {
    pub(crate) fn new(kid: &str, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self> {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: &'a str,
            typ: &'a str,
            kid: &'a str,
        }
        let header = Header { alg: algorithm.as_str(), typ: ACCESS_TOKEN_TYPE, kid };
        let mut encoded = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
        encoded.push('.');
        Ok(Self { kid: kid.to_owned(), algorithm, header: encoded, pair: KeyPair::parse(algorithm, pkcs8)? })
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key's algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key, as the JWKS carries it.
    ///
    /// # Errors
    /// Never for a key that parsed.
    pub fn public_jwk(&self) -> Result<Value> {
        public_jwk(&self.pair.public_key(), &self.kid, KeyUse::Token, self.algorithm)
    }

    /// A signed JWT with `typ` `at+jwt` (RFC 9068 section 2.1) in compact serialisation (RFC 7515 section 7.1).
    ///
    /// # Errors
    /// [`SecretsError::Claims`] if the claims are not JSON.
    pub fn sign<C: Serialize + ?Sized>(&self, claims: &C) -> Result<String> {
        let claims = serde_json::to_vec(claims)?;
        let capacity = self.header.len() + (claims.len() + self.pair.signature_length()).div_ceil(3) * 4 + 8;
        let mut token = String::with_capacity(capacity);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(&claims, &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSigner")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyPair, TokenSigner};
    use authly_model::key::Algorithm;

    /// RFC 8032 section 7.1, test 1, as PKCS#8 version 1; RFC 8037 appendix A gives the same key's `x`.
    const PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20\
        \x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
        \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";

    /// The token was made with Python's `cryptography`.
    #[test]
    fn known_answer() {
        let signer = TokenSigner::new("k", Algorithm::EdDSA, PKCS8).unwrap();
        assert_eq!(signer.public_jwk().unwrap()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(
            signer.sign(&serde_json::json!({"sub": "a"})).unwrap(),
            "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsifQ.eyJzdWIiOiJhIn0.oGH9L3vAbmds0PUbm6mz8as2_-syZTbVKHBUJCuLjfhKeX5Xur-7K_MARfql8EgNS-CUHigYJjoHON42iVTzCQ"
        );
        let pair = KeyPair::parse(Algorithm::EdDSA, PKCS8).unwrap();
        assert_eq!(pair.to_pkcs8().unwrap().as_slice(), PKCS8);
        assert_eq!(pair.seed().unwrap().as_slice(), &PKCS8[16..]);
        assert!(TokenSigner::new("k", Algorithm::ES256, PKCS8).is_err());
        assert!(TokenSigner::new("k", Algorithm::RS256, &PKCS8[1..]).is_err());
    }
}
