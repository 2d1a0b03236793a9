//! Audit payloads: encrypted by a key that each writer boot makes per tenant and seals, with HPKE (RFC 9180, base
//! mode, X25519 / HKDF-SHA256 / AES-256-GCM), to the tenant's public audit key. A gateway so writes what it cannot read.
//!
//! Sealed key: `version (1) ‖ audit key id (4) ‖ encapsulated key (32) ‖ ciphertext and tag (48)`.
//! Payload: `version (1) ‖ counter (8, big-endian) ‖ ciphertext ‖ tag (16)`. The counter is the nonce and never
//! repeats, whatever numbers the chain gives: a number that is used again after a failed batch must not reuse a nonce.

use std::sync::atomic::{AtomicU64, Ordering};

use authly_model::ids::TenantId;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
};
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    error::{Result, SecretsError},
    random,
};

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const ENCAPSULATED_LEN: usize = 32;
const TAG_LEN: usize = 16;

/// A tenant's audit key pair.
pub(crate) fn generate_key_pair() -> Result<(Vec<u8>, HpkePrivateKey)> {
    let (public, private) = DH_KEM_X25519_HKDF_SHA256_AES_256
        .generate_key_pair()
        .map_err(|_| SecretsError::Crypto("generate an audit key pair"))?;
    Ok((public.0, private))
}

fn key_id_bytes(public: &[u8]) -> [u8; KEY_ID_LEN] {
    let hash = digest::digest(&digest::SHA256, public);
    let mut id = [0; KEY_ID_LEN];
    id.copy_from_slice(&hash.as_ref()[..KEY_ID_LEN]);
    id
}

fn spell(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

/// The id of a public audit key: the first eight hex digits of its SHA-256.
pub(crate) fn key_id(public: &[u8]) -> String {
    spell(&key_id_bytes(public))
}

/// What binds a key or payload to its tenant and writer.
fn context(domain: &[u8], tenant: TenantId, writer: Uuid) -> Vec<u8> {
    [domain, tenant.0.as_bytes(), writer.as_bytes()].concat()
}

fn payload_aad(tenant: TenantId, writer: Uuid, number: i64) -> Aad<Vec<u8>> {
    let mut aad = context(b"authly audit payload 1\n", tenant, writer);
    aad.extend_from_slice(&number.to_be_bytes());
    Aad::from(aad)
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn payload_key(key: &[u8]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SecretsError::BadKey("audit"))
}

/// Seals the audit payloads of one (tenant, writer boot). It cannot open them.
pub struct AuditSealer {
    tenant: TenantId,
    writer: Uuid,
    key: LessSafeKey,
    counter: AtomicU64,
    sealed_key: Vec<u8>,
}

impl AuditSealer {
    /// Makes a key for this boot and seals it to the tenant's public audit key.
    ///
    /// # Errors
    /// [`SecretsError::BadKey`] if `audit_public` is not an X25519 key.
    pub fn new(tenant: TenantId, writer: Uuid, audit_public: &[u8]) -> Result<Self> {
        let bad = |_| SecretsError::BadKey("audit");
        let key = Zeroizing::new(random::bytes::<32>()?);
        let info = context(b"authly audit key 1\n", tenant, writer);
        let (encapsulated, ciphertext) = DH_KEM_X25519_HKDF_SHA256_AES_256
            .seal(&info, &[], key.as_slice(), &HpkePublicKey(audit_public.to_vec()))
            .map_err(bad)?;
        let sealed_key = [&[VERSION], key_id_bytes(audit_public).as_slice(), &encapsulated.0, &ciphertext].concat();
        Ok(Self { tenant, writer, key: payload_key(key.as_slice())?, counter: AtomicU64::new(0), sealed_key })
    }

    /// The key for this boot, sealed: stored once per (tenant, writer) before the first payload.
    #[must_use]
    pub fn sealed_key(&self) -> &[u8] {
        &self.sealed_key
    }

    /// Seals the payload of the event with this number in the chain.
    ///
    /// # Errors
    /// [`SecretsError::Crypto`] if the cryptographic library fails.
    pub fn seal(&self, number: i64, plain: &[u8]) -> Result<Vec<u8>> {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut out = Vec::with_capacity(1 + 8 + plain.len() + TAG_LEN);
        out.push(VERSION);
        out.extend_from_slice(&counter.to_be_bytes());
        out.extend_from_slice(plain);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(counter), payload_aad(self.tenant, self.writer, number), &mut out[9..])
            .map_err(|_| SecretsError::Crypto("encrypt"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }
}

impl std::fmt::Debug for AuditSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditSealer")
            .field("tenant", &self.tenant)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// Opens the audit payloads of one (tenant, writer boot).
pub struct AuditOpener {
    tenant: TenantId,
    writer: Uuid,
    key: LessSafeKey,
}

impl AuditOpener {
    /// `private` gives the private key of an audit key id.
    pub(crate) fn open(
        tenant: TenantId,
        writer: Uuid,
        sealed_key: &[u8],
        private: impl FnOnce(&str) -> Result<Zeroizing<Vec<u8>>>,
    ) -> Result<Self> {
        let rest = after_version(sealed_key)?;
        let (id, rest) = rest.split_at_checked(KEY_ID_LEN).ok_or(SecretsError::Truncated)?;
        let (encapsulated, ciphertext) = rest.split_at_checked(ENCAPSULATED_LEN).ok_or(SecretsError::Truncated)?;
        let private = HpkePrivateKey::from(private(&spell(id))?.to_vec());
        let info = context(b"authly audit key 1\n", tenant, writer);
        let key = DH_KEM_X25519_HKDF_SHA256_AES_256
            .open(&EncapsulatedSecret(encapsulated.to_vec()), &info, &[], ciphertext, &private)
            .map(Zeroizing::new)
            .map_err(|_| SecretsError::Rejected)?;
        Ok(Self { tenant, writer, key: payload_key(&key)? })
    }

    /// Opens the payload of the event with this number.
    ///
    /// # Errors
    /// [`SecretsError::Rejected`] if it was changed or is another event's.
    pub fn open_payload(&self, number: i64, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (counter, body) = after_version(blob)?.split_first_chunk::<8>().ok_or(SecretsError::Truncated)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length = self
            .key
            .open_in_place(
                nonce(u64::from_be_bytes(*counter)),
                payload_aad(self.tenant, self.writer, number),
                &mut plain,
            )
            .map_err(|_| SecretsError::Rejected)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

impl std::fmt::Debug for AuditOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditOpener")
            .field("tenant", &self.tenant)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

fn after_version(blob: &[u8]) -> Result<&[u8]> {
    match blob {
        [VERSION, rest @ ..] => Ok(rest),
        [] => Err(SecretsError::Truncated),
        [version, ..] => Err(SecretsError::Version(*version)),
    }
}

#[cfg(test)]
mod tests {
    use super::{AuditOpener, key_id};
    use authly_model::ids::TenantId;
    use uuid::Uuid;
    use zeroize::Zeroizing;

    /// Both were made with Python's `cryptography` (HPKE suite X25519 / HKDF-SHA256 / AES-256-GCM, and AESGCM) from the
    /// header of this file: private key 00…1f, tenant 1, writer 7, payload key 05…05, counter 3, number 42.
    const SEALED_KEY: &str = "01eedd883df420171ee334bb09d211e0ffd38cda674285636099f18b6a0ef5dc2775758c26af00ced2a09f908286cd77bddeb835959a7f640fe567fc837f91f302e3de49f5163b4fcf3aa9f7ba1c1457c3e0f44b40";
    const PAYLOAD: &str = "01000000000000000395802f479ba4783ecf218dbcf440fc48de5bba33dc1c2c";
    const PUBLIC: &str = "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn known_answer() {
        let private: Vec<u8> = (0..32).collect();
        let open = |id: &str| {
            assert_eq!(id, key_id(&bytes(PUBLIC)));
            Ok(Zeroizing::new(private))
        };
        let tenant = TenantId(Uuid::from_u128(1));
        let opener = AuditOpener::open(tenant, Uuid::from_u128(7), &bytes(SEALED_KEY), open).unwrap();
        assert_eq!(opener.open_payload(42, &bytes(PAYLOAD)).unwrap().as_slice(), b"{\"n\":1}");
    }
}
