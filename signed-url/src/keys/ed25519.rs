//! Ed25519 public keys.
//!
//! Owns which keys and signatures are refused beyond the equation of RFC 8032. Never signs.
//! Governed by "Attacks", crypto; measured in `benches/verify.rs`.

use ed25519_dalek::ed25519::signature::MultipartVerifier as _;

use crate::Refusal;

/// The encoding of the group's neutral element.
const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// A key that is a canonical encoding of a point of prime order.
#[derive(Clone)]
pub(super) struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    pub(super) fn new(bytes: &[u8; 32]) -> Result<Self, Refusal> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes)
            .map_err(|_| Refusal::InvalidKey("these 32 bytes are no Ed25519 public key; send the x of its JWK"))?;
        let point = key.to_edwards();
        if point.compress().to_bytes() != *bytes {
            return Err(Refusal::InvalidKey("the key is not in its canonical encoding; make a new key"));
        }
        if point.is_small_order() || !point.is_torsion_free() {
            return Err(Refusal::InvalidKey("the key is of small or mixed order and proves nothing; make a new key"));
        }
        Ok(Self(key))
    }

    pub(super) fn of(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key())
    }

    /// The library refuses S ≥ L and compares R by its bytes, so without cofactor and canonical. With a key of prime
    /// order the only small-order R that can satisfy the equation is the neutral element. Together this accepts
    /// exactly what dalek's strict form accepts, without its second decompression (a seventh of the time).
    pub(super) fn verify(&self, message: &[&[u8]], signature: &[u8; 64]) -> Result<(), Refusal> {
        if signature.starts_with(&IDENTITY) {
            return Err(Refusal::SignatureInvalid);
        }
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.multipart_verify(message, &signature).map_err(|_| Refusal::SignatureInvalid)
    }
}
