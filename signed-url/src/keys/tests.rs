//! Owns the tests of keys: what is refused, and the derivation.

use super::*;
use crate::derive_hmac_key;

/// RFC 8032, section 7.1, test 1: the public key.
const PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

#[test]
fn nothing_secret_is_printed() {
    let key = SigningKey::hmac(&[0x41; 32]);
    assert_eq!(format!("{key:?} {:?}", key.verifying_key()), "SigningKey(…) VerifyingKey(HMAC-SHA-256)");
}

#[test]
fn the_other_algorithm_is_invalid() {
    let (ed25519, hmac) = (SigningKey::ed25519_seed(&[1; 32]), SigningKey::hmac(&[1; 32]));
    let (first, second) = (ed25519.sign(b"m"), hmac.sign(b"m"));
    assert_eq!(ed25519.verifying_key().verify(&[b"m"], &first), Ok(()));
    assert_eq!(hmac.verifying_key().verify(&[b"", b"m"], &second), Ok(()));
    assert_eq!(ed25519.verifying_key().verify(&[b"m"], &second), Err(Refusal::SignatureInvalid));
    assert_eq!(hmac.verifying_key().verify(&[b"m"], &first), Err(Refusal::SignatureInvalid));
    // The public key, taken for an HMAC key, opens nothing.
    let confused = SigningKey::hmac(&PUBLIC).sign(b"m");
    assert!(VerifyingKey::ed25519(&PUBLIC).unwrap().verify(&[b"m"], &confused).is_err());
}

#[test]
fn hmac_keys_of_any_length() {
    for length in [0, 1, 32, 64, 65, 200] {
        let key = vec![7; length];
        let mut by_crate = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key).unwrap();
        let mut ours = hmac_sha256(&key);
        by_crate.update(b"m");
        ours.update(b"m");
        assert_eq!(ours.finalize().into_bytes(), by_crate.finalize().into_bytes(), "{length}");
    }
}

#[test]
fn derived_keys_are_apart() {
    let root = [9; 32];
    let keys = [
        derive_hmac_key(&root, "acme", "edge", 1),
        derive_hmac_key(&root, "acme", "edge", 2),
        derive_hmac_key(&root, "acmee", "dge", 1),
        derive_hmac_key(&root, "acm", "eedge", 1),
        derive_hmac_key(&root, "edge", "acme", 1),
        derive_hmac_key(&[8; 32], "acme", "edge", 1),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }
}

#[test]
fn secrets_are_wiped_when_dropped() {
    fn wiped<T: hmac::digest::zeroize::ZeroizeOnDrop>() {}
    wiped::<ed25519_dalek::SigningKey>();
    wiped::<Sha256>(); // all that an Hmac<Sha256> holds
}
