//! The keys that a tenant is born with, as rows for the store.
//!
//! The data key is wrapped by the KEK; everything else of the tenant is wrapped by its data key, so a KEK provider
//! unwraps one key per tenant.

use authly_model::{
    ids::TenantId,
    key::{Algorithm, KeyUse},
};
use zeroize::Zeroizing;

use crate::{
    audit,
    envelope::{self, EnvelopeKey, Keyring, Place},
    error::{Result, SecretsError},
    kek::KekRing,
    random,
    signing::{self, NewSigningKey},
};

/// What a wrapped key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyPurpose {
    /// Encrypts the tenant's other keys and data; wrapped by the KEK.
    Data,
    /// Digests client secrets.
    Pepper,
    /// Makes the tags of signed-URL ids.
    Tag,
    /// Opens the keys of audit writers (HPKE).
    AuditPrivate,
}

impl KeyPurpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Data, Self::Pepper, Self::Tag, Self::AuditPrivate];

    /// The spelling in the store; part of the associated data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Pepper => "pepper",
            Self::Tag => "tag",
            Self::AuditPrivate => "audit_private",
        }
    }

    /// The purpose of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }
}

/// A wrapped key, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its id, unique in (tenant, purpose).
    pub key_id: String,
    /// The envelope.
    pub wrapped: Vec<u8>,
}

/// All rows of a new tenant's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTenantKeys {
    /// One of each [`KeyPurpose`].
    pub wrapped: Vec<WrappedKey>,
    /// The tenant's public audit key (X25519, 32 bytes), all that a gateway needs.
    pub audit_public: Vec<u8>,
    /// One token key of the tenant's algorithm and one URL key.
    pub signing: Vec<NewSigningKey>,
}

/// Makes every key of a new tenant. With an RSA algorithm it takes a quarter of a second of CPU: call it off the async workers.
///
/// # Errors
/// [`crate::SecretsError::Crypto`] if the cryptographic library fails.
pub fn generate_tenant_keys(kek: &KekRing, tenant: TenantId, algorithm: Algorithm) -> Result<NewTenantKeys> {
    let data = Zeroizing::new(random::bytes::<32>()?);
    let data_id = new_key_id()?;
    let data_row = wrap(kek.0.active()?, tenant, KeyPurpose::Data, data_id.clone(), data.as_slice())?;
    let ring = Keyring::new(EnvelopeKey::new(data_id, data.as_slice())?, []);

    let mut wrapped = vec![data_row];
    for purpose in [KeyPurpose::Pepper, KeyPurpose::Tag] {
        wrapped.push(new_key(&ring, tenant, purpose)?);
    }
    let (audit_public, audit_private) = audit::generate_key_pair()?;
    let audit_id = audit::key_id(&audit_public);
    wrapped.push(wrap(ring.active()?, tenant, KeyPurpose::AuditPrivate, audit_id, audit_private.secret_bytes())?);

    let signing = vec![
        signing::generate(&ring, tenant, KeyUse::Token, algorithm)?,
        signing::generate(&ring, tenant, KeyUse::Url, Algorithm::EdDSA)?,
    ];
    Ok(NewTenantKeys { wrapped, audit_public, signing })
}

/// The same data key, wrapped by the active KEK; `None` if it is already.
///
/// # Errors
/// [`SecretsError::UnknownKey`] if the ring has not the KEK that wrapped it; [`SecretsError::BadKey`] for another purpose: the
/// KEK wraps data keys alone.
pub fn rewrap_data_key(kek: &KekRing, tenant: TenantId, row: &WrappedKey) -> Result<Option<WrappedKey>> {
    if row.purpose != KeyPurpose::Data {
        return Err(SecretsError::BadKey("data"));
    }
    if envelope::wrapped_by(&row.wrapped)? == kek.active_id()?.as_bytes() {
        return Ok(None);
    }
    let key = unwrap(&kek.0, tenant, row)?;
    wrap(kek.0.active()?, tenant, KeyPurpose::Data, row.key_id.clone(), &key).map(Some)
}

/// A random key for this purpose, wrapped by the data key.
pub(crate) fn new_key(data: &Keyring, tenant: TenantId, purpose: KeyPurpose) -> Result<WrappedKey> {
    let key = Zeroizing::new(random::bytes::<32>()?);
    wrap(data.active()?, tenant, purpose, new_key_id()?, key.as_slice())
}

fn new_key_id() -> Result<String> {
    random::base64url::<6>()
}

fn wrap(by: &EnvelopeKey, tenant: TenantId, purpose: KeyPurpose, key_id: String, key: &[u8]) -> Result<WrappedKey> {
    let wrapped = by.seal(&place(tenant, &row_key(purpose, &key_id)), key)?;
    Ok(WrappedKey { purpose, key_id, wrapped })
}

/// Opens one row with the ring that wrapped it.
pub(crate) fn unwrap(ring: &Keyring, tenant: TenantId, row: &WrappedKey) -> Result<Zeroizing<Vec<u8>>> {
    ring.open(&place(tenant, &row_key(row.purpose, &row.key_id)), &row.wrapped)
}

fn row_key(purpose: KeyPurpose, key_id: &str) -> String {
    format!("{}/{key_id}", purpose.as_str())
}

const fn place(tenant: TenantId, row: &str) -> Place<'_> {
    Place { tenant, table: "tenant_key", column: "wrapped", row }
}
