//! Keys and secrets of Authly: the platform key (KEK), envelope encryption, tenant keys, signing keys,
//! generated client secrets, and the sealing of audit payloads (DESIGN.md, "Keys, secrets, encryption").
//!
//! Owns: every key in memory and every byte that is stored encrypted. All cryptography is aws-lc-rs.
//! Never does: SQL, HTTP, key states (the store's), JWT verification (the server's). No type here prints a secret:
//! each one that holds key material has a redacted `Debug` and no `Display`.

mod audit;
mod client_secret;
mod envelope;
mod error;
mod hmac_key;
mod jwk;
mod kek;
pub mod random;
mod seal;
pub mod signing;
mod tenant_keys;
mod unlocked;

pub use audit::{AuditOpener, AuditSealer};
pub use client_secret::{BadClientSecret, BadSuppliedSecret, ClientSecret};
pub use envelope::Place;
pub use error::{Result, SecretsError};
pub use hmac_key::{Pepper, TAG_LENGTH, TagKey, TagKind};
pub use kek::{Kek, KekRing, KekSource, generate_kek};
pub use seal::{SealingKey, WrappedSealingKey, generate_sealing_key, sealing_key_id, verify_sealed};
pub use signing::{NewSigningKey, SigningKeyRow, TokenSigner};
pub use tenant_keys::{KeyPurpose, NewTenantKeys, WrappedKey, generate_tenant_keys, rewrap_data_key};
pub use unlocked::UnlockedTenant;
