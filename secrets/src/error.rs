//! The one error of this crate. No message carries key material, plaintext or ciphertext.

use std::path::PathBuf;

use authly_model::key::{Algorithm, KeyUse};

use crate::tenant_keys::KeyPurpose;

/// Why a key or secret could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The KEK's file could not be read.
    #[error("cannot read the platform key file {path}: {source}; check that the file is mounted and readable")]
    KekFile {
        /// The configured path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The KEK is not 32 bytes in an accepted spelling.
    #[error(
        "{place} does not hold a platform key: it must be 32 random bytes as 64 hex digits or base64, or raw in a \
         file; make one with `openssl rand -hex 32`"
    )]
    KekFormat {
        /// Where it came from.
        place: String,
    },
    /// The KEK looks like a placeholder.
    #[error("the platform key in {place} is not random: make one with `openssl rand -hex 32`")]
    KekWeak {
        /// Where it came from.
        place: String,
    },
    /// An envelope names a key that is not loaded.
    #[error("sealed under key `{key_id}`, which is not loaded: give that key as an older platform key")]
    UnknownKey {
        /// The id in the envelope's header.
        key_id: String,
    },
    /// An envelope is shorter than its header says, or its header is not readable.
    #[error("the sealed value is damaged: its header is incomplete; restore the row from a backup")]
    Truncated,
    /// An envelope of another format.
    #[error("the sealed value has format version {0}, which this release does not read: upgrade it")]
    Version(u8),
    /// Authentication failed.
    #[error(
        "the sealed value could not be opened: it was changed, or it belongs to another tenant, table, column or row"
    )]
    Rejected,
    /// A tenant's rows lack a key.
    #[error("the tenant has no {} key: its rows are incomplete; restore them from a backup", .0.as_str())]
    Missing(KeyPurpose),
    /// A key opened, but it is not a key of its kind.
    #[error("the stored {0} key is not readable: restore the row from a backup")]
    BadKey(&'static str),
    /// A use that does not go with an algorithm.
    #[error("a {} key cannot be {}: signed URLs use EdDSA only", .0.as_str(), .1.as_str())]
    Unsupported(KeyUse, Algorithm),
    /// The claims are not JSON.
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
    /// The cryptographic library refused an operation that cannot fail on valid input.
    #[error("the cryptographic library refused to {0}")]
    Crypto(&'static str),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, SecretsError>;
