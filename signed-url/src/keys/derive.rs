//! Derived HMAC keys.
//!
//! Owns how an edge's key follows from a root, so that an edge can be given one key and learn no other. Never stores
//! or names keys. Governed by "HMAC variant"; RFC 5869.

use hkdf::Hkdf;
use sha2::Sha256;

const SALT: &[u8] = b"authly sx1 hmac";

/// Derives the HMAC key of one tenant at one edge in one epoch: HKDF-SHA-256 with salt `authly sx1 hmac` and info
/// len(tenant) ‖ tenant ‖ len(edge) ‖ edge ‖ epoch, lengths and epoch as four bytes, big-endian.
pub fn derive_hmac_key(root: &[u8; 32], tenant: &str, edge: &str, epoch: u32) -> [u8; 32] {
    let mut key = [0; 32];
    // The lengths keep ("ab", "c") and ("a", "bc") apart.
    let (tenant_length, edge_length) = (length(tenant), length(edge));
    let info = [&tenant_length[..], tenant.as_bytes(), &edge_length, edge.as_bytes(), &epoch.to_be_bytes()];
    let expanded = Hkdf::<Sha256>::new(Some(SALT), root).expand_multi_info(&info, &mut key);
    debug_assert!(expanded.is_ok(), "HKDF fails only for more than 255 blocks");
    key
}

fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()
}
