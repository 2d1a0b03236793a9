//! A tenant whose keys are unwrapped: held by servers and the operator, never by a gateway.

use authly_model::{
    client::SecretHash,
    ids::TenantId,
    key::{Algorithm, KeyUse},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    audit::AuditOpener,
    client_secret::ClientSecret,
    envelope::{EnvelopeKey, Keyring, Place},
    error::{Result, SecretsError},
    hmac_key::{Pepper, TagKey},
    kek::KekRing,
    signing::{self, NewSigningKey, SigningKeyRow, TokenSigner},
    tenant_keys::{self, KeyPurpose, WrappedKey},
};

/// A tenant's keys in memory.
#[derive(Debug)]
pub struct UnlockedTenant {
    tenant: TenantId,
    data: Keyring,
    peppers: Vec<Pepper>,
    tag: TagKey,
    /// Still wrapped: they are opened only for `audit verify` and export.
    audit_private: Vec<WrappedKey>,
}

impl UnlockedTenant {
    /// Unwraps a tenant's rows. Of several rows of one purpose the first is used for new values, so give the newest first.
    ///
    /// # Errors
    /// [`SecretsError::Missing`] without a key of some purpose; the envelope errors if a row is not this tenant's, was
    /// changed, or needs a KEK that is not in the ring.
    pub fn unlock(kek: &KekRing, tenant: TenantId, rows: &[WrappedKey]) -> Result<Self> {
        let of = |purpose| rows.iter().filter(move |row| row.purpose == purpose);
        let mut data_keys = of(KeyPurpose::Data)
            .map(|row| EnvelopeKey::new(row.key_id.clone(), &tenant_keys::unwrap(&kek.0, tenant, row)?));
        let active = data_keys.next().ok_or(SecretsError::Missing(KeyPurpose::Data))??;
        let data = Keyring::new(active, data_keys.collect::<Result<Vec<_>>>()?);
        let open = |row: &WrappedKey| -> Result<Zeroizing<Vec<u8>>> {
            let key = tenant_keys::unwrap(&data, tenant, row)?;
            if key.len() == 32 { Ok(key) } else { Err(SecretsError::BadKey(row.purpose.as_str())) }
        };
        let peppers = of(KeyPurpose::Pepper)
            .map(|row| Ok(Pepper::new(row.key_id.clone(), &open(row)?)))
            .collect::<Result<Vec<_>>>()?;
        if peppers.is_empty() {
            return Err(SecretsError::Missing(KeyPurpose::Pepper));
        }
        let tag = of(KeyPurpose::Tag).next().ok_or(SecretsError::Missing(KeyPurpose::Tag))?;
        let tag = TagKey::new(&open(tag)?);
        let audit_private: Vec<_> = of(KeyPurpose::AuditPrivate).cloned().collect();
        if audit_private.is_empty() {
            return Err(SecretsError::Missing(KeyPurpose::AuditPrivate));
        }
        Ok(Self { tenant, data, peppers, tag, audit_private })
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The ids of its peppers; new secrets are digested under the first.
    pub fn pepper_ids(&self) -> impl Iterator<Item = &str> {
        self.peppers.iter().map(Pepper::id)
    }

    /// Makes another pepper, as a row for the store.
    ///
    /// # Errors
    /// [`SecretsError::Crypto`] if the cryptographic library fails.
    pub fn new_pepper(&self) -> Result<WrappedKey> {
        tenant_keys::new_key(&self.data, self.tenant, KeyPurpose::Pepper)
    }

    /// What to store of a secret of which `hash` is stored, if that is of an older pepper than the first.
    ///
    /// # Errors
    /// Never: a tenant has a pepper.
    pub fn digest_anew(&self, secret: &ClientSecret, hash: &SecretHash) -> Result<Option<SecretHash>> {
        let is_old = self.peppers.first().is_some_and(|pepper| pepper.id() != hash.pepper_id);
        let matches = is_old && self.check_secret(secret, std::slice::from_ref(hash));
        matches.then(|| self.hash_secret(secret)).transpose()
    }

    /// The pepper of this key id.
    #[must_use]
    pub fn pepper(&self, id: &str) -> Option<&Pepper> {
        self.peppers.iter().find(|pepper| pepper.id() == id)
    }

    /// The key of signed-URL tags.
    #[must_use]
    pub const fn tag_key(&self) -> &TagKey {
        &self.tag
    }

    /// What to store of a new client secret.
    ///
    /// # Errors
    /// Never: a tenant has a pepper.
    pub fn hash_secret(&self, secret: &ClientSecret) -> Result<SecretHash> {
        let pepper = self.peppers.first().ok_or(SecretsError::Missing(KeyPurpose::Pepper))?;
        Ok(SecretHash { pepper_id: pepper.id().to_owned(), digest: secret.digest(pepper).to_vec() })
    }

    /// Whether `secret` is one of `hashes`. Each is compared in constant time.
    #[must_use]
    pub fn check_secret(&self, secret: &ClientSecret, hashes: &[SecretHash]) -> bool {
        hashes.iter().any(|hash| self.pepper(&hash.pepper_id).is_some_and(|pepper| secret.matches(pepper, hash)))
    }

    /// Makes a signing key. RSA takes a quarter of a second of CPU: call it off the async workers.
    ///
    /// # Errors
    /// [`SecretsError::Unsupported`] for a URL key that is not EdDSA.
    pub fn generate_signing_key(&self, key_use: KeyUse, algorithm: Algorithm) -> Result<NewSigningKey> {
        signing::generate(&self.data, self.tenant, key_use, algorithm)
    }

    /// The signer of a stored token key.
    ///
    /// # Errors
    /// [`SecretsError::BadKey`] for a URL key; the envelope errors if the row is not this tenant's or was changed.
    pub fn token_signer(&self, row: &SigningKeyRow<'_>) -> Result<TokenSigner> {
        if row.key_use != KeyUse::Token {
            return Err(SecretsError::BadKey("token signing"));
        }
        TokenSigner::new(row.kid, row.algorithm, &signing::open(&self.data, self.tenant, row)?)
    }

    /// The Ed25519 seed of a stored URL key.
    ///
    /// # Errors
    /// As [`Self::token_signer`], for a token key.
    pub fn url_seed(&self, row: &SigningKeyRow<'_>) -> Result<Zeroizing<[u8; 32]>> {
        signing::url_seed(&self.data, self.tenant, row)
    }

    /// Opens the audit payloads of one writer boot.
    ///
    /// # Errors
    /// The envelope errors, if `sealed_key` is not of this tenant and writer.
    pub fn audit_opener(&self, writer: Uuid, sealed_key: &[u8]) -> Result<AuditOpener> {
        AuditOpener::open(self.tenant, writer, sealed_key, |id| {
            let row = self
                .audit_private
                .iter()
                .find(|row| row.key_id == id)
                .ok_or_else(|| SecretsError::UnknownKey { key_id: id.to_owned() })?;
            tenant_keys::unwrap(&self.data, self.tenant, row)
        })
    }

    /// Seals a value for the place where it is stored.
    ///
    /// # Errors
    /// [`SecretsError::Rejected`] if the place is another tenant's.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        self.own(place)?;
        self.data.active()?.seal(place, plain)
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// The envelope errors, if it was sealed for another place or changed.
    pub fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.own(place)?;
        self.data.open(place, blob)
    }

    fn own(&self, place: &Place<'_>) -> Result<()> {
        if place.tenant == self.tenant { Ok(()) } else { Err(SecretsError::Rejected) }
    }
}
