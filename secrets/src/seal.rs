//! The platform's sealing key: Ed25519 (RFC 8032), its private half wrapped by the KEK. It signs the seals of the audit
//! chains; its public half may be given to anyone.
//!
//! Never does: what a seal is (`authly_model::seal`), SQL.

use authly_model::ids::TenantId;
use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    envelope::{self, Place},
    error::{Result, SecretsError},
    kek::KekRing,
    random,
};

/// A sealing key as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedSealingKey {
    /// The first eight hex digits of the SHA-256 of the public half.
    pub key_id: String,
    /// The public half.
    pub public_key: [u8; 32],
    /// The seed of the private half, wrapped by the KEK.
    pub wrapped: Vec<u8>,
}

impl WrappedSealingKey {
    /// Whether the active KEK wraps it.
    ///
    /// # Errors
    /// [`SecretsError::Truncated`] or [`SecretsError::Version`], if the envelope is damaged.
    pub fn is_current(&self, kek: &KekRing) -> Result<bool> {
        Ok(envelope::wrapped_by(&self.wrapped)? == kek.active_id()?.as_bytes())
    }

    /// The same key, wrapped by the active KEK.
    ///
    /// # Errors
    /// The envelope errors, if no KEK of the ring opens it.
    pub fn rewrap(&self, kek: &KekRing) -> Result<Self> {
        let place = place(&self.key_id);
        let seed = kek.0.open(&place, &self.wrapped)?;
        Ok(Self { wrapped: kek.0.active()?.seal(&place, &seed)?, ..self.clone() })
    }
}

/// Makes a sealing key.
///
/// # Errors
/// [`SecretsError::Crypto`] if the cryptographic library fails.
pub fn generate_sealing_key(kek: &KekRing) -> Result<WrappedSealingKey> {
    let seed = Zeroizing::new(random::bytes::<32>()?);
    let public_key = public_of(&parse(seed.as_slice())?)?;
    let key_id = sealing_key_id(&public_key);
    let wrapped = kek.0.active()?.seal(&place(&key_id), seed.as_slice())?;
    Ok(WrappedSealingKey { key_id, public_key, wrapped })
}

/// The id of a public sealing key.
#[must_use]
pub fn sealing_key_id(public_key: &[u8; 32]) -> String {
    let hash = digest::digest(&digest::SHA256, public_key);
    hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this is the key's signature over the message.
#[must_use]
pub fn verify_sealed(public_key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

/// A sealing key in memory.
pub struct SealingKey {
    public_key: [u8; 32],
    pair: Ed25519KeyPair,
}

impl SealingKey {
    /// Unwraps a stored key.
    ///
    /// # Errors
    /// The envelope errors; [`SecretsError::BadKey`] if the public half is not that of the private one.
    pub fn open(kek: &KekRing, stored: &WrappedSealingKey) -> Result<Self> {
        let pair = parse(&kek.0.open(&place(&stored.key_id), &stored.wrapped)?)?;
        let public_key = public_of(&pair)?;
        if public_key != stored.public_key || stored.key_id != sealing_key_id(&public_key) {
            return Err(SecretsError::BadKey("sealing"));
        }
        Ok(Self { public_key, pair })
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Signs.
    ///
    /// # Errors
    /// [`SecretsError::Crypto`] if the cryptographic library fails.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        let signature = self.pair.try_sign(message).map_err(|_| SecretsError::Crypto("sign"))?;
        <[u8; 64]>::try_from(signature.as_ref()).map_err(|_| SecretsError::Crypto("sign"))
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingKey").field("id", &sealing_key_id(&self.public_key)).finish_non_exhaustive()
    }
}

fn parse(seed: &[u8]) -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SecretsError::BadKey("sealing"))
}

fn public_of(pair: &Ed25519KeyPair) -> Result<[u8; 32]> {
    <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| SecretsError::BadKey("sealing"))
}

/// The platform's, not a tenant's: its place names the nil tenant.
const fn place(row: &str) -> Place<'_> {
    Place { tenant: TenantId(Uuid::nil()), table: "seal_key", column: "wrapped_private", row }
}

#[cfg(test)]
mod tests {
    use super::{SealingKey, generate_sealing_key, verify_sealed};
    use crate::{Kek, KekRing, KekSource, generate_kek};

    fn kek() -> Kek {
        Kek::load(&KekSource::Environment(generate_kek().unwrap())).unwrap()
    }

    #[test]
    fn a_key_survives_storage_and_signs_only_its_message() {
        let ring = KekRing::new(kek(), []);
        let stored = generate_sealing_key(&ring).unwrap();
        let key = SealingKey::open(&ring, &stored).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert!(verify_sealed(&stored.public_key, b"message", &signature));
        assert!(!verify_sealed(&stored.public_key, b"massage", &signature));
        let other = generate_sealing_key(&ring).unwrap();
        assert!(!verify_sealed(&other.public_key, b"message", &signature));
        assert!(SealingKey::open(&KekRing::new(kek(), []), &stored).is_err(), "another KEK");
        let mixed = super::WrappedSealingKey { public_key: other.public_key, ..stored };
        assert!(SealingKey::open(&ring, &mixed).is_err(), "another public half");
    }

    #[test]
    fn it_is_rewrapped_under_a_new_kek() {
        let stored = generate_sealing_key(&KekRing::new(kek(), [])).unwrap();
        assert!(stored.rewrap(&KekRing::new(kek(), [])).is_err());
        let text = generate_kek().unwrap();
        let load = || Kek::load(&KekSource::Environment(text.clone())).unwrap();
        let (ring, old_kek) = (KekRing::new(load(), []), load());
        let stored = generate_sealing_key(&ring).unwrap();
        let newer = KekRing::new(kek(), [old_kek]);
        assert!(stored.is_current(&ring).unwrap() && !stored.is_current(&newer).unwrap());
        let again = stored.rewrap(&newer).unwrap();
        assert!(again.is_current(&newer).unwrap());
        assert_ne!(again.wrapped, stored.wrapped);
        assert_eq!(SealingKey::open(&newer, &again).unwrap().public_key(), &stored.public_key);
    }
}
