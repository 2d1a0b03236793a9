//! Keys and signatures.
//!
//! Owns the two algorithms and every cryptographic refusal. Never takes the algorithm from a URL: the key that `sx-k`
//! names fixes it. Never prints key material. Governed by "Native format `sx1`", "HMAC variant" and "Attacks", crypto;
//! RFC 8032, RFC 2104.

pub(crate) mod derive;
mod ed25519;

use std::fmt;

use ed25519_dalek::Signer as _;
use hmac::digest::KeyInit as _;
use hmac::digest::zeroize::Zeroizing;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{Refusal, spelling};

/// A signature of one of the two lengths; the length must fit the key.
#[derive(Clone, Copy)]
pub(crate) enum Signature {
    Ed25519([u8; 64]),
    Hmac([u8; 32]),
}

impl Signature {
    /// Reads 86 (Ed25519) or 43 (HMAC) base64url characters.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        const RULE: &str = "a signature is 86 or 43 base64url characters with zero trailing bits; use it as issued";
        match text.len() {
            43 => spelling::base64_array(text, RULE).map(Self::Hmac),
            _ => spelling::base64_array(text, RULE).map(Self::Ed25519),
        }
    }

    /// Takes the bytes that a signer outside this crate returned.
    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, Refusal> {
        if let Ok(bytes) = <[u8; 64]>::try_from(bytes) {
            return Ok(Self::Ed25519(bytes));
        }
        let bytes = <[u8; 32]>::try_from(bytes);
        bytes
            .map(Self::Hmac)
            .map_err(|_| Refusal::InvalidSpec("a signature has 64 (Ed25519) or 32 (HMAC-SHA-256) bytes"))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::Hmac(bytes) => bytes,
        }
    }
}

/// Verifies. Parse it once and keep it: that is where the work lies. The HMAC kind is a secret.
#[derive(Clone)]
pub struct VerifyingKey(Verifying);

#[derive(Clone)]
enum Verifying {
    Ed25519(ed25519::PublicKey),
    Hmac(Hmac<Sha256>),
}

impl VerifyingKey {
    /// An Ed25519 public key, the `x` of its JWK. Refuses what is not a canonically encoded point of the prime-order
    /// group, so all small-order keys, with `invalid_key`.
    pub fn ed25519(public: &[u8; 32]) -> Result<Self, Refusal> {
        ed25519::PublicKey::new(public).map(Verifying::Ed25519).map(Self)
    }

    /// An HMAC-SHA-256 key, for example from [`crate::derive_hmac_key`].
    pub fn hmac(key: &[u8; 32]) -> Self {
        Self(Verifying::Hmac(hmac_sha256(key)))
    }

    /// Verifies the concatenation of `message`. A signature of the other algorithm is just invalid.
    pub(crate) fn verify(&self, message: &[&[u8]], signature: &Signature) -> Result<(), Refusal> {
        match (&self.0, signature) {
            (Verifying::Ed25519(key), Signature::Ed25519(signature)) => key.verify(message, signature),
            (Verifying::Hmac(mac), Signature::Hmac(signature)) => {
                let mut mac = mac.clone();
                message.iter().for_each(|part| mac.update(part));
                mac.verify_slice(signature).map_err(|_| Refusal::SignatureInvalid) // constant time
            }
            _ => Err(Refusal::SignatureInvalid),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Verifying::Ed25519(_) => f.write_str("VerifyingKey(Ed25519)"),
            Verifying::Hmac(_) => f.write_str("VerifyingKey(HMAC-SHA-256)"),
        }
    }
}

/// Signs. What it keeps in memory, the seed or the states of the hash, is wiped when it is dropped.
pub struct SigningKey(Signing);

enum Signing {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Hmac(Hmac<Sha256>),
}

impl SigningKey {
    /// The 32-byte seed of RFC 8032, the `d` of its JWK.
    pub fn ed25519_seed(seed: &[u8; 32]) -> Self {
        Self(Signing::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))))
    }

    /// An HMAC-SHA-256 key, for example from [`crate::derive_hmac_key`].
    pub fn hmac(key: &[u8; 32]) -> Self {
        Self(Signing::Hmac(hmac_sha256(key)))
    }

    /// The key that verifies what this one signs.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(match &self.0 {
            Signing::Ed25519(key) => Verifying::Ed25519(ed25519::PublicKey::of(key)),
            Signing::Hmac(mac) => Verifying::Hmac(mac.clone()),
        })
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        match &self.0 {
            Signing::Ed25519(key) => Signature::Ed25519(key.sign(message).to_bytes()),
            Signing::Hmac(mac) => {
                let mut mac = mac.clone();
                mac.update(message);
                Signature::Hmac(mac.finalize().into_bytes().into())
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// HMAC-SHA-256 with a key of any length, which is what RFC 2104 permits: padded to a block, or hashed if longer.
pub(crate) fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    let hashed;
    let key = if key.len() > block.len() {
        hashed = Sha256::digest(key);
        &hashed[..]
    } else {
        key
    };
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
