//! Random bytes from aws-lc-rs, the only source of randomness for ids, keys and secrets.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::error::{Result, SecretsError};

/// `N` random bytes.
///
/// # Errors
/// [`SecretsError::Crypto`] if the system's source fails.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| SecretsError::Crypto("make random bytes"))?;
    Ok(out)
}

/// `N` random bytes as unpadded base64url, for ids such as `jti` and `kid`.
///
/// # Errors
/// As [`bytes`].
pub fn base64url<const N: usize>() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<N>()?))
}
